"""The decoder beyond its claims' drawn cases: tails, gradients, sums, refusals, the paper's figures."""

from __future__ import annotations

from typing import Any

import mpmath
import numpy as np
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st

from ddpm_ref import decoder
from ddpm_ref.decoder import CDF, check_levels, decoder_log_likelihood, from_levels
from ddpm_ref.gaussian import Gaussian, log_density
from ddpm_ref.schedule import linear
from derivations.decoder import lower_standardised, upper_standardised
from tests.bindings.decoder import by_tanh
from tests.oracle import CLAIMS, FUNCTIONS, evaluate, mp

CDFS: tuple[CDF, ...] = ("exact", "tanh")


def single(mean: float, sigma: float, k: float, levels: int, dtype: torch.dtype = torch.float64) -> Any:
    """A last step and a pixel value, one coordinate each."""
    p = Gaussian(torch.tensor([[mean]], dtype=dtype), torch.tensor([[sigma]], dtype=dtype) ** 2)
    return p, from_levels(torch.tensor([[k]], dtype=dtype), levels)


def log_mass(mean: Any, sigma: Any, k: int, levels: int, cdf: CDF, *, digits: int) -> Any:
    """The logarithm of the claim's mass, at as many digits as its two distribution functions share."""
    with mp.workdps(digits):
        values = {"level": mp.mpf(k), "brightest": mp.mpf(levels - 1), "pixel_mean": mean, "sigma": sigma}
        of = mp.ncdf if cdf == "exact" else by_tanh
        above, below = (evaluate(edge, values) for edge in (upper_standardised, lower_standardised))
        edges = {
            "cdf_t": mp.mpf(1) if k == levels - 1 else of(above),
            "cdf_prev": mp.mpf(0) if k == 0 else of(below),
        }
        return mp.log(evaluate(CLAIMS["decoder.bin"].value, edges))


# A bin far narrower than σ, and one that is nearly three deviations wide.
@example(k=100, log10_sigma=1.0, off=0.5, dtype=torch.float64, cdf="exact")
@example(k=100, log10_sigma=1.0, off=2.0, dtype=torch.float32, cdf="exact")
@example(k=100, log10_sigma=-2.55, off=0.5, dtype=torch.float64, cdf="exact")
@given(
    k=st.sampled_from([0, 1, 2, 100, 254, 255, 256]),
    log10_sigma=st.floats(-3, 1),
    off=st.floats(-60, 60),
    dtype=st.sampled_from([torch.float64, torch.float32]),
    cdf=st.sampled_from(CDFS),
)
def test_no_digit_is_lost_in_the_tails(
    k: int, log10_sigma: float, off: float, dtype: torch.dtype, cdf: CDF
) -> None:
    """Up to 60 deviations away, 30 with tanh, where masses are e^-1800 and cancel in Φ."""
    levels = 257  # a grid without rounding
    off = off if cdf == "exact" else off / 2
    sigma = torch.tensor(10.0**log10_sigma, dtype=dtype)
    x_0 = float(from_levels(torch.tensor(k, dtype=dtype), levels))
    p, image = single(x_0 - off * float(sigma), float(sigma), k, levels, dtype)
    found = float(decoder_log_likelihood(p, image, levels=levels, cdf=cdf))
    mean, deviation = mp.mpf(float(p.mean)), mp.sqrt(mp.mpf(float(p.variance)))
    truth = log_mass(mean, deviation, k, levels, cdf, digits=1000)
    # The distance to the pixel value is rounded once, in units of σ; it enters squared, with tanh cubed.
    eps = torch.finfo(dtype).eps
    assert abs(found - truth) <= 16 * eps * (abs(truth) + 1)


@pytest.mark.holds("decoder.sums-to-one")
@pytest.mark.parametrize("cdf", CDFS)
@pytest.mark.parametrize("levels", [2, 3, 17, 256])
@given(mean=st.floats(-3, 3), log10_sigma=st.floats(-4, 2))
def test_the_masses_sum_to_one(cdf: CDF, levels: int, mean: float, log10_sigma: float) -> None:
    k = torch.arange(levels, dtype=torch.float64).reshape(-1, 1)
    p = Gaussian(torch.full_like(k, mean), torch.full_like(k, 10.0**log10_sigma) ** 2)
    masses = decoder_log_likelihood(p, from_levels(k, levels), levels=levels, cdf=cdf).exp()
    # Masses near one another's edges are as exact as an edge is: rounded once, then divided by σ.
    one = evaluate(CLAIMS["decoder.sums-to-one"].value, {})
    assert abs(float(masses.sum()) - one) <= 8 * 2.0**-52 * (1 + 10.0**-log10_sigma)


@pytest.mark.parametrize("wrong", CLAIMS["decoder.sums-to-one"].mutants, ids=lambda wrong: wrong.name)
def test_masses_with_other_ends_do_not_sum_to_one(wrong: Any) -> None:
    """A fifth of the mass lies above the scale and a twenty-fifth below it: what the mutants lose."""
    ends = {"brightest": mp.mpf(4), "pixel_mean": mp.mpf(0.5), "sigma": mp.mpf(1)}
    cdfs = {
        "cdf_top": mp.ncdf(evaluate(upper_standardised, {**ends, "level": mp.mpf(4)})),
        "cdf_bottom": mp.ncdf(evaluate(lower_standardised, {**ends, "level": mp.mpf(0)})),
    }
    k = torch.arange(5, dtype=torch.float64).reshape(-1, 1)
    p = Gaussian(torch.full_like(k, 0.5), torch.ones_like(k))
    masses = decoder_log_likelihood(p, from_levels(k, 5), levels=5).exp()
    assert abs(float(masses.sum()) - evaluate(wrong.parts["value"], cdfs)) > 0.01


@pytest.mark.holds("decoder.edges")
@pytest.mark.parametrize("wrong", CLAIMS["decoder.edges"].mutants, ids=lambda wrong: wrong.name)
def test_other_edges_have_other_masses(wrong: Any) -> None:
    """Between two neighbours the mean is at an edge; a wrong edge moves mass."""
    p, x_0 = single(0.0, 0.25, 2, 5)
    found = float(decoder_log_likelihood(p, x_0, levels=5).exp())

    def mass(upper: Any) -> float:
        above, below = (float(evaluate(upper, {"level": mp.mpf(k), "brightest": mp.mpf(4)})) for k in (2, 1))
        cdf = [float(mpmath.ncdf(edge / 0.25)) for edge in (above, below)]
        return cdf[0] - cdf[1]

    assert mass(CLAIMS["decoder.edges"].value) == pytest.approx(found, rel=1e-14)
    assert abs(mass(wrong.parts["value"]) - found) > 1e-3


@pytest.mark.parametrize("cdf", CDFS)
def test_the_gradient_is_the_derivative_on_both_sides_of_every_seam(cdf: CDF) -> None:
    """By differences; branches change at a half width w of σ/2, and at the distance σ²/w."""
    levels = 257
    k = torch.tensor([[0.0, 1, 128, 128, 128, 128, 200, 255, 256]], dtype=torch.float64)
    x_0 = from_levels(k, levels)
    offsets = torch.tensor([[0.5, -3, 0.1, 2.4, 2.6, 30, -30, 4, 0.5]], dtype=torch.float64)
    for ratio in (0.05, 0.39, 0.41, 0.49, 0.51, 3.0):  # half the width of a bin over σ
        sigma = torch.full_like(k, 1 / (levels - 1) / ratio)
        mean = (x_0 - offsets * sigma).requires_grad_()
        log_variance = (2 * sigma.log()).requires_grad_()
        torch.autograd.gradcheck(
            lambda m, v: decoder_log_likelihood(Gaussian(m, v.exp()), x_0, levels=levels, cdf=cdf),
            (mean, log_variance),
            eps=1e-7,
            atol=1e-3,
            rtol=1e-5,
        )


@pytest.mark.parametrize("cdf", CDFS)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_value_and_gradient_are_finite_however_wrong_the_mean_is(cdf: CDF, dtype: torch.dtype) -> None:
    mean = torch.tensor([[0.0, 1e-6, 1, -30, 3e3, -1e5, 1e7]], dtype=dtype, requires_grad=True)
    for k in (0, 7, 16):
        for variance in (1e-8, 5e-5, 1e-2, 1.0, 1e4):
            x_0 = from_levels(torch.full_like(mean, k), 17)
            p = Gaussian(mean, torch.full_like(mean, variance).requires_grad_())
            value = decoder_log_likelihood(p, x_0, levels=17, cdf=cdf)
            gradients = torch.autograd.grad(value.sum(), p)
            assert value.isfinite().all()
            assert (value <= 0).all()
            if cdf == "exact" or variance >= 5e-5:
                assert all(g.isfinite().all() for g in gradients)


def test_float32_gradients_point_as_far_as_they_should() -> None:
    """∂ log p/∂μ is near (x_0 - μ)/σ² in the tail; torch.special.log_ndtr's has lost it at 5000 σ."""
    for off in (50.0, 5e3, 3e4):
        p, x_0 = single(-off, 1.0, 16, 33, torch.float32)
        mean = p.mean.requires_grad_()
        value = decoder_log_likelihood(Gaussian(mean, p.variance), x_0, levels=33)
        (gradient,) = torch.autograd.grad(value.sum(), mean)
        assert float(gradient) == pytest.approx(off, rel=2e-3)


def test_without_a_grid_it_is_the_density() -> None:
    p, x_0 = single(0.1, 0.3, 0.123, 2)
    assert torch.equal(decoder_log_likelihood(p, x_0, levels=None), log_density(p, x_0))


def test_half_precision_is_computed_in_float32() -> None:
    p, x_0 = single(0.1, 0.3, 1, 17, torch.bfloat16)
    assert decoder_log_likelihood(p, x_0, levels=17).dtype == torch.float32


# -- the paper's figures -------------------------------------------------------------------------------------


def last_term(cdf: CDF) -> float:
    """Bits of a pixel between the ends of the scale, if the paper's last step is true."""
    variance = linear(1000).variance_fixed_large[1].reshape(1, 1)
    node, share = np.polynomial.hermite_e.hermegauss(60)
    z = torch.from_numpy(node).reshape(-1, 1)
    x_0 = from_levels(torch.full_like(z, 128))
    ll = decoder_log_likelihood(Gaussian(x_0 + variance.sqrt() * z, variance), x_0, cdf=cdf)
    return float(decoder.bits_per_dim(-ll, 1) @ torch.from_numpy(share / share.sum()))


def test_the_papers_last_term_follows_from_its_last_variance() -> None:
    """Near the least cost in the limit of narrow bins; these are as wide as a deviation, nearly."""
    variance = float(linear(1000).variance_fixed_large[1])
    assert 127.5 * variance**0.5 == pytest.approx(0.9415, abs=5e-5)
    least = evaluate(
        CLAIMS["decoder.least-cost"].value, {"distortion": mp.mpf(variance), "brightest": mp.mpf(255)}
    )
    bits = float(evaluate(CLAIMS["decoder.bits-per-dim"].value, {"nats": least, "d": mp.mpf(1)}))
    assert bits == pytest.approx(1.9602, abs=5e-5)
    assert bits < last_term("exact") < bits + 0.003
    assert last_term("exact") == pytest.approx(1.97, abs=0.01)  # what the paper measured


def test_the_approximation_by_tanh_moves_the_last_term_by_less_than_3e_4() -> None:
    assert 1e-6 < abs(last_term("tanh") - last_term("exact")) < 3e-4


def test_a_floor_would_add_what_its_claim_allows() -> None:
    """Floored, the 256 masses sum to 1 + 2.5e-10, and decoder.floor says at most 1 + 2.56e-10."""
    k = torch.arange(256, dtype=torch.float64).reshape(-1, 1)
    p = Gaussian(torch.zeros_like(k), torch.full_like(k, float(linear(1000).variance_fixed_large[1])))
    masses = decoder_log_likelihood(p, from_levels(k), cdf="tanh").exp()
    floored = float((masses.clamp(min=1e-12) - masses).sum())
    values = {"cdf_t": mp.mpf(0), "level": mp.mpf(255), "mass_floor": mp.mpf(10) ** -12}
    allowed = evaluate(CLAIMS["decoder.floor"].statement.parts["relation"].rhs, values)
    assert 2.4e-10 < floored <= allowed


# -- refusals ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("levels", [2, 17, 256])
def test_every_value_of_the_grid_is_accepted_also_if_it_came_through_float32(
    levels: int, dtype: torch.dtype
) -> None:
    k = torch.arange(levels, dtype=torch.float32)
    check_levels((k / ((levels - 1) / 2) - 1).to(dtype), levels)


def test_the_rounding_of_an_image_moves_no_bin() -> None:
    exactly = from_levels(torch.arange(256, dtype=torch.float64).reshape(-1, 1))
    p = Gaussian(exactly + 0.01, torch.full_like(exactly, 1e-4))
    through_float32 = exactly.float().double()
    assert not torch.equal(through_float32, exactly)
    for image in (through_float32, through_float32.float()):
        assert torch.equal(decoder_log_likelihood(p, image), decoder_log_likelihood(p, exactly))


def test_bytes_become_images_in_the_default_dtype_and_other_images_keep_theirs() -> None:
    k = torch.arange(256, dtype=torch.uint8)
    assert from_levels(k).dtype == torch.float32
    assert from_levels(k).equal(from_levels(k.float()))
    for dtype in (torch.float64, torch.bfloat16):
        assert from_levels(k[:17].to(dtype), 17).dtype == dtype
        assert from_levels(k[:17].to(dtype), 17).double().equal(from_levels(k[:17], 17).double())


def test_images_on_another_device_are_not_read() -> None:
    """On a device that has shapes and no numbers: nothing there could be compared with a grid."""
    x = torch.zeros(2, 3, device="meta")
    for cdf in CDFS:
        found = decoder_log_likelihood(Gaussian(x, x[:, :1]), x, cdf=cdf)
        assert (found.device, found.shape) == (x.device, (2,))


@pytest.mark.parametrize("value", [0.0, 1.0001, -1.01, 1 + 2 / 255, float("nan"), 0.5])
def test_a_value_off_the_grid_is_refused(value: float) -> None:
    x_0 = torch.tensor([[1.0, value]])
    with pytest.raises(ValueError, match="256 values evenly spaced"):
        check_levels(x_0, 256)
    with pytest.raises(ValueError, match="256 values evenly spaced"):
        decoder_log_likelihood(Gaussian(x_0, torch.ones(1, 1)), x_0)


@pytest.mark.parametrize(("dtype", "most"), [(torch.bfloat16, 33), (torch.float16, 257)])
def test_a_dtype_that_cannot_hold_the_grid_is_refused(dtype: torch.dtype, most: int) -> None:
    """Eight units of rounding, twice what is allowed on either side, are the narrowest step of a grid."""
    assert 2 / (most - 1) == 8 * torch.finfo(dtype).eps
    check_levels(torch.ones(1, 1, dtype=dtype), most)
    with pytest.raises(ValueError, match=f"float32 or wider to tell {most + 1}"):
        check_levels(torch.ones(1, 1, dtype=dtype), most + 1)


@pytest.mark.parametrize("levels", [1, 0, -2, 2.0, True])
def test_levels_that_are_none_are_refused(levels: Any) -> None:
    p, x_0 = single(0, 1, 0, 2)
    for ask in (
        lambda: decoder_log_likelihood(p, x_0, levels=levels),
        lambda: check_levels(x_0, levels),
        lambda: from_levels(x_0, levels),
    ):
        with pytest.raises(ValueError, match="levels must be an integer, at least 2"):
            ask()


def test_other_arguments_are_refused_by_name() -> None:
    p, x_0 = single(0, 1, 0, 2)
    with pytest.raises(ValueError, match="cdf must be one of exact, tanh; got 'erf'"):
        decoder_log_likelihood(p, x_0, levels=2, cdf="erf")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="x_0 must have shape"):
        decoder_log_likelihood(p, x_0.flatten(), levels=2)
    with pytest.raises(ValueError, match="cdf must be one of exact, tanh; got 'erf'"):
        decoder_log_likelihood(p, x_0, levels=None, cdf="erf")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="d must be at least 1"):
        decoder.bits_per_dim(x_0, 0)


def test_the_oracle_of_the_tails_is_the_oracles_erf() -> None:
    """mp.ncdf, which keeps its digits on the left, against (1 + erf(u/√2))/2."""
    for u in (-3.0, -0.1, 0.0, 2.5):
        assert abs((1 + FUNCTIONS["erf"](mp.mpf(u) / mp.sqrt(2))) / 2 - mp.ncdf(mp.mpf(u))) < 1e-48


def test_two_units_of_rounding_off_the_grid_are_allowed_and_no_more() -> None:
    for dtype, unit in ((torch.float32, 2.0**-23), (torch.float64, 2.0**-23)):
        check_levels(torch.tensor([1.9, -1.9], dtype=dtype) * unit, 3)
        for off in (2.1, -2.1):
            with pytest.raises(ValueError, match="evenly spaced"):
                check_levels(torch.tensor([0, off], dtype=dtype) * unit, 3)
