"""The bound: exact means for Gaussian data, one pass for everything, strata by enumeration, what is refused.

Every term of an unclipped model with affine predictions is a quadratic in (x_0, eps). Four points with
weights 1/4 have the means of such a quadratic under a Gaussian law, so nothing is sampled here.
"""

from __future__ import annotations

import json
import math
import weakref
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from itertools import combinations, product
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sympy import Basic
from torch import Tensor

from ddpm_ref import objective
from ddpm_ref.bound import Bound, Term, bound, bound_terms, collect, prior_term
from ddpm_ref.coding import rate_distortion, reconstruct
from ddpm_ref.decoder import CDF, bits_per_dim, decoder_log_likelihood, from_levels
from ddpm_ref.gaussian import Gaussian, kl
from ddpm_ref.objective import predict
from ddpm_ref.process import Prediction, Variance, p_mean_variance, q_posterior, q_sample, target
from ddpm_ref.schedule import Schedule, linear
from ddpm_ref.subset import Subset, stratified
from derivations.proof.claims import Mutant
from tests.oracle import CLAIMS, Values, evaluate, exact, mp, steps

MEAN, SPREAD = mp.mpf("0.25"), mp.mpf("0.5")  # of the data
SCHEDULE = Schedule.from_betas([0.01, 0.03, 0.1, 0.3, 0.6])


def true_model(schedule: Schedule, *, learned: bool = True) -> objective.Model:
    """The best noise predictor for the data, and the output that makes the variance that of the true step."""

    def model(x_t: Tensor, t: Tensor) -> Tensor:
        values = at(schedule, int(t[0]))
        values["x_t"] = exact(x_t)
        eps = evaluate(CLAIMS["sampling.gaussian-denoiser"].value, values | {"data_deviation": SPREAD})
        answer = [torch.tensor(eps.astype(float))]
        if learned:
            step = evaluate(CLAIMS["coding.reverse-step"].variance, values)
            scale = CLAIMS["parameterization.learned-variance"].value
            # The logarithm is linear in the output.
            low, high = (evaluate(scale, values | {"variance_output": mp.mpf(o)}) for o in (-1, 1))
            answer.append(torch.full_like(x_t, float(2 * (mp.log(step) - low) / (high - low) - 1)))
        return torch.cat(answer, 1)

    return model


def at(schedule: Schedule, t: int) -> dict[str, Any]:
    """The symbols at t, those of Gaussian data included."""
    values = {**steps(schedule, t), "data_spread": SPREAD, "data_mean": MEAN}
    low = "posterior.variance" if t > 1 else "posterior.log-variance-clipped"
    values["beta_tilde_t"] = evaluate(CLAIMS[low].value, values)
    distortion = CLAIMS["coding.distortion"].value
    values["missing_t"] = evaluate(distortion, values)
    if t > 1:
        values["missing_prev"] = evaluate(distortion, {**values, **steps(schedule, t - 1)})
    return values


def cubature() -> tuple[Tensor, Callable[[int], Tensor]]:
    """Images and noises whose plain averages are the means of quadratics, in one coordinate."""
    m, s, root = float(MEAN), float(SPREAD), math.sqrt(2)
    x_0 = torch.tensor([m + root * s, m - root * s, m, m], dtype=torch.float64).reshape(4, 1, 1)
    eps = torch.tensor([0, 0, root, -root], dtype=torch.float64).reshape(4, 1, 1)
    return x_0, lambda t: eps


@pytest.fixture(scope="module")
def gaussian_bound() -> Bound:
    x_0, noise = cubature()
    return bound(
        true_model(SCHEDULE), SCHEDULE, x_0, noise=noise, variance="learned", clip=False, levels=None
    )


# -- for Gaussian data, exactly ------------------------------------------------------------------------------


def close(found: object, truth: Any, error: float = 1e-12) -> None:
    assert abs(mp.mpf(float(found)) - truth) <= error * (1 + abs(truth))  # type: ignore[arg-type]


@pytest.mark.holds("coding.step-rate", "coding.distortion", "bound.terms")
@pytest.mark.parametrize("t", range(2, SCHEDULE.T + 1))
def test_a_true_reverse_step_costs_what_its_claim_says(gaussian_bound: Bound, t: int) -> None:
    values = at(SCHEDULE, t)
    close(gaussian_bound.means[t - 1, 0], evaluate(CLAIMS["coding.step-rate"].value, values))
    close(gaussian_bound.means[t - 1, 1], evaluate(CLAIMS["coding.distortion"].value, values))


@pytest.mark.holds("coding.rate-distortion", "coding.distortion")
def test_every_row_of_the_coding_table_is_at_shannons_limit(gaussian_bound: Bound) -> None:
    """But for what the prior is not q(x_T): L_T is paid where the claim has the information in x_T."""
    rows = rate_distortion(gaussian_bound)
    assert [row.reverse_steps for row in rows] == [1, 2, 3, 4, 5]
    limit = CLAIMS["coding.rate-distortion"].value
    first = bits(evaluate(limit, at(SCHEDULE, SCHEDULE.T)))
    for row in rows:
        values = at(SCHEDULE, SCHEDULE.T - row.reverse_steps + 1)
        close(row.rate - rows[0].rate, bits(evaluate(limit, values)) - first)
        close(row.rmse, mp.sqrt(values["missing_t"]))
    close(rows[0].rate, bits(exact(gaussian_bound.L_T).mean()))


@pytest.mark.holds("coding.lossless")
def test_the_whole_message_is_the_entropy_of_the_data(gaussian_bound: Bound) -> None:
    whole = exact(gaussian_bound.nats - gaussian_bound.L_T).mean()
    told = evaluate(CLAIMS["coding.information"].value, at(SCHEDULE, SCHEDULE.T))
    close(whole + told, evaluate(CLAIMS["coding.lossless"].value, at(SCHEDULE, 1)))


TERMS = CLAIMS["bound.terms"]


def with_other_terms(expression: Basic) -> tuple[Any, Any]:
    """The bound of one image with one noise for each t, and an expression of its own and of other terms."""
    generator = torch.Generator().manual_seed(0)
    drawn = torch.randn(SCHEDULE.T + 1, 1, 1, 1, dtype=torch.float64, generator=generator)
    x_0, model = drawn[0], true_model(SCHEDULE)

    def noise(t: int) -> Tensor:
        return drawn[t]

    options: dict[str, Any] = {"noise": noise, "variance": "learned", "clip": False, "levels": None}
    nats = {term.t: exact(term.nats)[0] for term in bound_terms(model, SCHEDULE, x_0, **options)}
    x = {t: q_sample(SCHEDULE, x_0, t, noise(t)) if t else x_0 for t in range(SCHEDULE.T + 1)}

    def step(t: int) -> Gaussian:
        output = predict(model, x[t], t, variance="learned")
        found = p_mean_variance(
            SCHEDULE, output.prediction_value, x[t], t,
            variance="learned", variance_value=output.variance_value, clip=False,
        )  # fmt: skip
        return Gaussian(found.mean, found.variance)

    def forward(t: int) -> Gaussian:
        kept, added = (SCHEDULE.at(name, t, x_0) for name in ("sqrt_alpha", "beta"))
        return Gaussian(kept * x[t - 1], added)

    def total(each: Iterable[Tensor]) -> Any:
        return sum(exact(one)[0] for one in each)

    later = range(2, SCHEDULE.T + 1)
    values = {
        "kl_prior": exact(prior_term(SCHEDULE, x_0))[0],
        "log_p_first": -nats[1],
        "kl_rest_t": sum(nats[t] for t in later),
        "kl_rest_prev": sum(nats[t] for t in later[:-1]),
        "kl_rest_turned": total(kl(step(t), q_posterior(SCHEDULE, x_0, x[t], t)) for t in later),
        "kl_rest_without_x0": mp.mpf(0),  # the model's steps are q(x_{t-1} | x_t)
        "upward_kl_sum": total(kl(forward(t - 1), step(t)) for t in later),
    }
    found = bound(model, SCHEDULE, x_0, **options).nats
    return exact(found)[0], evaluate(expression, values)


@pytest.mark.holds("bound.terms")
def test_the_bound_is_the_sum_of_the_claims_terms() -> None:
    found, true = with_other_terms(TERMS.value)
    assert abs(found - true) <= 1e-13 * abs(true)


@pytest.mark.parametrize("wrong", TERMS.mutants, ids=lambda wrong: wrong.name)
def test_a_bound_of_other_terms_would_fail(wrong: Mutant) -> None:
    found, false = with_other_terms(wrong.parts["value"])
    assert abs(found - false) > 0.01


@pytest.mark.holds("bound.prior-term")
def test_the_prior_term_is_part_of_the_bound(gaussian_bound: Bound) -> None:
    x_0, _ = cubature()
    for image, found in zip(x_0, gaussian_bound.L_T, strict=True):
        values = {**steps(SCHEDULE, SCHEDULE.T), "x_0": exact(image), "d": mp.mpf(1)}
        close(found, evaluate(CLAIMS["bound.prior-term"].value, values))


def bits(nats: Any) -> Any:
    return evaluate(CLAIMS["decoder.bits-per-dim"].value, {"nats": nats, "d": mp.mpf(1)})


@given(x_0=st.lists(st.floats(-1, 1), min_size=1, max_size=3), T=st.sampled_from([1, 5, 40]))
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_the_prior_term_keeps_its_digits_where_alpha_bar_is_tiny(
    dtype: torch.dtype, x_0: list[float], T: int
) -> None:
    """Down to 1e-280, where 1 - ᾱ is 1 and the claim's own terms cancel."""
    schedule = Schedule.from_betas([1 - 1e-7] * T if dtype == torch.float64 else [0.9] * min(T, 30))
    image = torch.tensor([x_0], dtype=dtype)
    values: Values = {
        **steps(schedule, schedule.T),
        "x_0": exact(image[0]),
        "d": mp.mpf(len(x_0)),
    }
    with mp.workdps(700):
        truth = evaluate(CLAIMS["bound.prior-term"].value, values)
    info = torch.finfo(dtype)
    assert abs(exact(prior_term(schedule, image))[0] - truth) <= 8 * info.eps * truth + info.tiny


def test_the_papers_prior_term_is_1e_5_bits() -> None:
    """As section 4 says, here for pixel values that are all equally common."""
    x_0 = from_levels(torch.arange(256.0, dtype=torch.float64)).reshape(1, -1)
    assert float(bits_per_dim(prior_term(linear(), x_0), 256)) == pytest.approx(1e-5, rel=0.05)


# -- the terms are those of the losses -----------------------------------------------------------------------


def draw(T: int = 4, levels: int = 17) -> tuple[Schedule, Tensor, dict[int, Tensor]]:
    generator = torch.Generator().manual_seed(0)
    k = torch.randint(levels, (3, 2, 2, 2), generator=generator).double()
    noises = {t: torch.randn(k.shape, generator=generator, dtype=torch.float64) for t in range(1, T + 1)}
    return linear(T, 0.05, 0.4), from_levels(k, levels), noises


def network(x_t: Tensor, t: Tensor) -> Tensor:
    """Something that depends on everything."""
    return torch.sin(3 * x_t + t.reshape(-1, 1, 1, 1))


def with_variance(x_t: Tensor, t: Tensor) -> Tensor:
    return torch.cat([network(x_t, t), network(x_t, t + 1)], 1)


@pytest.mark.parametrize("clip", [True, False])
@pytest.mark.parametrize("variance", ["fixed_large", "fixed_small", "learned"])
@pytest.mark.parametrize("prediction", ["eps", "x0", "mu", "v"])
def test_the_mean_of_the_training_loss_over_t_is_the_bound_that_training_can_change(
    prediction: Prediction, variance: Variance, clip: bool
) -> None:
    schedule, x_0, noises = draw()
    model = with_variance if variance == "learned" else network
    found = bound(
        model,
        schedule,
        x_0,
        noise=noises.__getitem__,
        prediction=prediction,
        variance=variance,
        clip=clip,
        levels=17,
    )
    losses = [
        objective.L_vlb(
            model,
            schedule,
            x_0,
            t,
            noises[t],
            prediction=prediction,
            variance=variance,
            clip=clip,
            levels=17,
        )
        for t in range(1, schedule.T + 1)
    ]
    in_bits = [found.in_bits(float(nats)) for nats in found.nats - found.L_T]
    torch.testing.assert_close(
        torch.stack(losses).mean(0), torch.tensor(in_bits, dtype=torch.float64), rtol=1e-13, atol=0
    )


def test_a_term_holds_the_errors_of_the_same_call() -> None:
    schedule, x_0, noises = draw()
    calls: Counter[int] = Counter()

    def model(x_t: Tensor, t: Tensor) -> Tensor:
        calls[int(t[0])] += 1
        return network(x_t, t)

    for term in bound_terms(model, schedule, x_0, noise=noises.__getitem__, levels=17):
        z = noises[term.t]
        x_t = q_sample(schedule, x_0, term.t, z)
        step = p_mean_variance(schedule, network(x_t, torch.full((3,), term.t)), x_t, term.t)
        assert torch.equal(term.x0_hat, step.x0_hat)
        torch.testing.assert_close(term.x0_error, (x_0 - step.x0_hat).square().mean((1, 2, 3)))
        simple = objective.L_simple(network, schedule, x_0, term.t, z)
        torch.testing.assert_close(term.eps_error, simple)
        if term.t == 1:
            p = Gaussian(step.mean, step.variance)
            assert torch.equal(term.nats, -decoder_log_likelihood(p, x_0, levels=17))
        else:
            loss = objective.L_t_minus_1(network, schedule, x_0, term.t, z)
            assert torch.equal(term.nats, loss)
        assert torch.equal(reconstruct(network, schedule, x_0, term.t, z), term.x0_hat)
    assert calls == dict.fromkeys(range(1, 5), 1)


@pytest.mark.parametrize("clip", [True, False])
@pytest.mark.parametrize("variance", ["fixed_large", "learned"])
@pytest.mark.parametrize("prediction", ["eps", "x0", "mu", "v"])
def test_what_a_receiver_makes_of_an_image_is_what_the_bound_measures(
    prediction: Prediction, variance: Variance, clip: bool
) -> None:
    schedule, x_0, noises = draw()
    model = with_variance if variance == "learned" else network
    options: dict[str, Any] = {"prediction": prediction, "variance": variance, "clip": clip}
    for term in bound_terms(model, schedule, x_0, noise=noises.__getitem__, levels=17, **options):
        received = reconstruct(model, schedule, x_0, term.t, noises[term.t], **options)
        assert torch.equal(received, term.x0_hat)
        torch.testing.assert_close(term.x0_error, (x_0 - received).square().mean((1, 2, 3)))


@pytest.mark.parametrize("cdf", ["exact", "tanh"])
def test_the_last_term_is_that_of_the_decoder_asked_for(cdf: CDF) -> None:
    schedule, x_0, noises = draw()
    x_1 = q_sample(schedule, x_0, 1, noises[1])
    step = p_mean_variance(schedule, network(x_1, torch.ones(3)), x_1, 1)
    p = Gaussian(step.mean, step.variance)
    found = bound(network, schedule, x_0, noise=noises.__getitem__, levels=17, cdf=cdf)
    assert torch.equal(found.L_0, -decoder_log_likelihood(p, x_0, levels=17, cdf=cdf))


def test_what_is_not_said_is_as_in_the_paper() -> None:
    """A model of the noise, σ² = β, predicted images that are clipped, and pixels of eight bits."""
    schedule, _, noises = draw()
    pixels = torch.randint(256, (3, 2, 2, 2), generator=torch.Generator().manual_seed(1))
    x_0, noise = from_levels(pixels.double()), noises.__getitem__
    paper = bound(
        network, schedule, x_0, noise=noise,
        prediction="eps", variance="fixed_large", clip=True, levels=256, cdf="exact",
    )  # fmt: skip
    terms = bound_terms(network, schedule, x_0, noise=noise)
    for found in (bound(network, schedule, x_0, noise=noise), collect(terms, schedule, x_0)):
        assert torch.equal(found.nats, paper.nats)
        assert found.levels == 256


def test_numbers_are_images_of_one_coordinate() -> None:
    schedule, x_0, noises = draw()
    options: dict[str, Any] = {"clip": False, "levels": None}
    one, other = (
        bound(
            lambda x_t, t: torch.sin(3 * x_t), schedule, x_0[:, 0, 0, 0].reshape(shape),
            noise=lambda t, shape=shape: noises[t][:, 0, 0, 0].reshape(shape), **options,  # type: ignore[misc]
        )
        for shape in ((3,), (3, 1, 1))
    )  # fmt: skip
    assert one.d == other.d == 1
    assert one.nats.equal(other.nats)
    assert one.means.equal(other.means)


def test_terms_in_single_precision_are_added_up_in_double() -> None:
    schedule, x_0, _ = draw()
    terms = list(bound_terms(network, schedule, x_0.float(), levels=17))
    found = collect(terms, schedule, x_0.float(), levels=17)
    assert terms[0].nats.dtype == torch.float32
    nats = torch.stack([term.nats.double() for term in terms])
    torch.testing.assert_close(found.nats - found.L_T, nats.sum(0), rtol=1e-14, atol=0)
    torch.testing.assert_close(found.means[:, 0], nats.mean(1).flip(0), rtol=1e-14, atol=0)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_errors_of_half_precision_are_measured_in_single(dtype: torch.dtype) -> None:
    schedule, x_0, noises = draw()
    half = {t: z.to(dtype) for t, z in noises.items()}
    terms = bound_terms(network, schedule, x_0.to(dtype), noise=half.__getitem__, levels=None)
    for term in terms:
        x_t = q_sample(schedule, x_0.to(dtype), term.t, half[term.t])
        eps_hat = network(x_t, torch.full((3,), term.t))
        assert (x_t.dtype, eps_hat.dtype, term.x0_hat.dtype) == (dtype, dtype, dtype)
        error = (half[term.t].double() - eps_hat.double()).square().mean((1, 2, 3))
        torch.testing.assert_close(term.eps_error, error.float(), rtol=1e-6, atol=0)
        assert term.nats.dtype == term.x0_error.dtype == torch.float32


@pytest.mark.parametrize("prediction", ["x0", "mu", "v"])
def test_the_error_of_the_noise_does_not_depend_on_what_is_predicted(prediction: Prediction) -> None:
    schedule, x_0, noises = draw()
    terms = {}
    names: tuple[Prediction, ...] = ("eps", prediction)
    for name in names:

        def model(x_t: Tensor, t: Tensor, name: Prediction = name) -> Tensor:
            guess = 1.1 * noises[int(t[0])]
            x0_guess = (x_t - schedule.at("sqrt_one_minus_alpha_bar", t, x_t) * guess) / schedule.at(
                "sqrt_alpha_bar", t, x_t
            )
            return target(schedule, x0_guess, x_t, t, guess, prediction=name)

        terms[name] = list(
            bound_terms(
                model, schedule, x_0, noise=noises.__getitem__, prediction=name, levels=17, clip=False
            )
        )
    for one, other in zip(terms["eps"], terms[prediction], strict=True):
        torch.testing.assert_close(one.nats, other.nats)
        torch.testing.assert_close(one.eps_error, other.eps_error)
        torch.testing.assert_close(one.eps_error, 0.01 * noises[one.t].square().mean((1, 2, 3)))


def test_the_noise_comes_from_the_generator() -> None:
    schedule, x_0, _ = draw()
    one, other, third = (
        bound(network, schedule, x_0, generator=torch.Generator().manual_seed(seed), levels=17)
        for seed in (3, 3, 4)
    )
    assert torch.equal(one.nats, other.nats)
    assert not torch.equal(one.nats, third.nats)


# -- adding up -----------------------------------------------------------------------------------------------


def test_joined_batches_are_the_whole() -> None:
    schedule, x_0, noises = draw()
    whole = bound(network, schedule, x_0, noise=noises.__getitem__, levels=17)
    parts = [
        bound(network, schedule, x_0[a:b], noise=lambda t, a=a, b=b: noises[t][a:b], levels=17)  # type: ignore[misc]
        for a, b in ((0, 1), (1, 3))
    ]
    joined = Bound.join(parts)
    for name in ("L_T", "L_0", "nats", "means", "deviations"):
        torch.testing.assert_close(getattr(joined, name), getattr(whole, name), rtol=1e-13, atol=1e-15)
    assert (joined.subset, joined.d, joined.levels) == (whole.subset, whole.d, whole.levels)
    assert joined.bits_per_dim == pytest.approx(whole.bits_per_dim)
    assert joined.examples_error == pytest.approx(whole.examples_error)


def test_images_one_by_one_are_the_whole() -> None:
    schedule, x_0, noises = draw()
    single = [
        bound(network, schedule, x_0[i : i + 1], noise=lambda t, i=i: noises[t][i : i + 1], levels=17)  # type: ignore[misc]
        for i in range(2)
    ]
    whole = bound(network, schedule, x_0[:2], noise=lambda t: noises[t][:2], levels=17)
    torch.testing.assert_close(Bound.join(single).deviations, whole.deviations, rtol=1e-12, atol=1e-15)
    assert Bound.join(single).examples_error == pytest.approx(whole.examples_error)
    alone = Bound.join(single[:1])
    assert alone.deviations.isnan().all()
    assert alone.means.equal(single[0].means)
    assert alone.examples_error is None


def test_what_is_written_is_valid_json_and_adds_up() -> None:
    schedule, x_0, noises = draw()
    for n in (3, 1):

        def noise(t: int, n: int = n) -> Tensor:
            return noises[t][:n]

        found = bound(network, schedule, x_0[:n], noise=noise, levels=17)
        written = json.loads(json.dumps(found.to_dict(), allow_nan=False))
        parts = written["L_T"] + written["L_1_to_L_T_minus_1"] + written["L_0"]
        assert parts == pytest.approx(written["bits_per_dim"])
        assert sum(written["per_t"]["bits_per_dim"]) == pytest.approx(parts - written["L_T"])
        assert written["per_t"]["t"] == [1, 2, 3, 4]
        assert (written["examples_error"] is None) == (n == 1)
        assert written["exact_in_t"]
        assert written["subset_error"] == 0


@pytest.mark.parametrize("n", [1, 2, 3])
def test_what_is_written_is_what_the_bound_knows(n: int) -> None:
    schedule, x_0, noises = draw()
    found = bound(network, schedule, x_0[:n], noise=lambda t: noises[t][:n], levels=17)
    per_t = found.to_dict()["per_t"]
    assert found.to_dict() == {
        "bits_per_dim": found.bits_per_dim,
        "examples_error": found.examples_error,
        "subset_error": found.subset_error,
        "examples": n,
        "exact_in_t": True,
        "L_T": pytest.approx(found.in_bits(float(found.L_T.mean()))),
        "L_1_to_L_T_minus_1": pytest.approx(
            found.in_bits(float((found.nats - found.L_T - found.L_0).mean())), rel=1e-12
        ),
        "L_0": pytest.approx(found.in_bits(float(found.L_0.mean()))),
        "per_t": per_t,
    }
    assert (found.examples_error is None) == (n == 1)
    assert list(per_t) == ["t", *(f"{name}{end}" for name in NAMES for end in ("", "_error"))]
    bits_and_squares = torch.tensor([found.in_bits(1.0), 1, 1], dtype=torch.float64)
    for name, mean, deviation in zip(
        NAMES, (found.means * bits_and_squares).T, (found.deviations * bits_and_squares).T, strict=True
    ):
        assert per_t[name] == pytest.approx(mean.tolist(), rel=1e-14)
        if n == 1:
            assert per_t[f"{name}_error"] is None
        else:
            assert per_t[f"{name}_error"] == pytest.approx((deviation / math.sqrt(n)).tolist(), rel=1e-14)


NAMES = ("bits_per_dim", "x0_mse", "eps_mse")


def test_the_standard_error_is_that_of_a_mean() -> None:
    """By its definition: over all samples of two of three images with replacement, the mean's variance."""
    schedule, x_0, noises = draw()
    found = bound(network, schedule, x_0, noise=noises.__getitem__, levels=17)
    pairs = torch.stack([found.nats[list(pair)].mean() for pair in product(range(3), repeat=2)])
    # That has the population's variance over two; the sample's, which is unbiased, is 3/2 of it over three.
    assert found.examples_error is not None
    expected = found.in_bits(math.sqrt(float(pairs.var(correction=0)) * 2 * (3 / 2) / 3))
    assert found.examples_error == pytest.approx(expected)


def test_no_image_outlives_its_term() -> None:
    """Memory does not grow with T: at most the term being added, and the one being made."""
    schedule, x_0, noises = draw(T=20)
    alive: list[weakref.ref[Tensor]] = []

    def watched(terms: Iterator[Term]) -> Iterator[Term]:
        for term in terms:
            alive.append(weakref.ref(term.x0_hat))
            yield term
            del term
            assert sum(ref() is not None for ref in alive) <= 2

    terms = bound_terms(network, schedule, x_0, noise=noises.__getitem__, levels=17)
    collect(watched(terms), schedule, x_0, levels=17)
    assert len(alive) == 20


# -- a subset of the steps -----------------------------------------------------------------------------------


def every_draw(T: int, count: int) -> list[Subset]:
    """All subsets that `stratified` can draw, which are equally likely."""
    strata = stratified(T, count).strata
    choices = [combinations(range(a, b + 1), min(2, b - a + 1)) for a, b in strata]
    return [Subset(strata, drawn) for drawn in product(*choices)]


@pytest.mark.parametrize(("T", "count"), [(7, 3), (9, 5), (10, 4), (11, 7), (6, 5), (3, 3), (2, 2), (1, 1)])
def test_over_all_draws_the_sum_and_its_variance_are_right(T: int, count: int) -> None:
    values = [1 / t + 0.3 * math.sin(7 * t) for t in range(1, T + 1)]
    sums, variances = [], []
    for subset in every_draw(T, count):
        drawn = [values[t - 1] for t in subset.steps]
        assert len(drawn) == count
        assert sum(subset.weights) == pytest.approx(T)
        sums.append(sum(w * v for w, v in zip(subset.weights, drawn, strict=True)))
        variances.append(subset.variance_of_sum(drawn))
    mean = sum(sums) / len(sums)
    assert mean == pytest.approx(sum(values))
    spread = sum((s - mean) ** 2 for s in sums) / len(sums)
    assert sum(variances) / len(variances) == pytest.approx(spread, abs=1e-15)


@pytest.mark.parametrize("m", [2, 3, 4, 5])
def test_any_number_may_be_drawn_of_a_stratum(m: int) -> None:
    values = [0.3, 1.0, -2.0, 0.0, 5.0]
    found = []
    for drawn in combinations(range(1, 6), m):
        subset, seen = Subset(((1, 5),), (drawn,)), [values[t - 1] for t in drawn]
        found.append((subset.weights[0] * sum(seen), subset.variance_of_sum(seen)))
    sums, variances = (torch.tensor(each, dtype=torch.float64) for each in zip(*found, strict=True))
    assert float(variances.mean()) == pytest.approx(float(sums.var(correction=0)), abs=1e-12)


def test_pairs_are_drawn_uniformly() -> None:
    """6000 draws of the 10 pairs of one stratum; with chi-square above 33.7 one run in 10,000 fails."""
    generator = torch.Generator().manual_seed(0)
    seen = Counter(stratified(6, 3, generator).drawn[1] for _ in range(6000))
    assert len(seen) == 10
    assert sum((n - 600) ** 2 / 600 for n in seen.values()) < 33.7


def test_the_steps_come_from_the_generator() -> None:
    one, other, third = (stratified(1000, 21, torch.Generator().manual_seed(seed)) for seed in (3, 3, 4))
    assert one == other
    assert one.strata == third.strata
    assert one.drawn != third.drawn


@pytest.mark.parametrize("count", [20, 21])
def test_strata_grow_geometrically(count: int) -> None:
    """Each reaches as many times further than the one before, but for the rounding of small t."""
    T = 10**6
    pairs = [stratum for stratum in stratified(T, count).strata if stratum[0] != stratum[1]]
    assert len(pairs) == (count - 1) // 2
    factor = ((T + 1) / pairs[0][0]) ** (1 / len(pairs))
    for first, last in pairs:
        assert (last + 1) / first == pytest.approx(factor, rel=1 / first)


@pytest.mark.parametrize("count", [1000, 999, 998, 500, 51, 50, 4, 3])
def test_strata_fill_1_to_T(count: int) -> None:
    subset = stratified(1000, count)
    assert len(subset.steps) == count
    assert subset.T == 1000
    assert subset.drawn[0] == (1,)
    assert subset.is_whole == (count == 1000)


def test_strata_can_be_drawn_for_every_count() -> None:
    for T in range(1, 31):
        for count in range(min(3, T), T + 1):
            subset = stratified(T, count)  # which refuses strata without steps of their own
            assert (subset.T, len(subset.steps)) == (T, count)


@pytest.mark.parametrize("count", [3, 6, 11, 12])
def test_terms_that_are_all_alike_add_up_above_every_step(count: int) -> None:
    subset = stratified(12, count)
    assert subset.sums_above([0.5] * count) == pytest.approx([0.5 * (12 - t) for t in subset.steps])


def test_the_distortion_of_a_model_that_is_one_level_off_is_one() -> None:
    schedule, x_0, noises = draw()
    off = x_0 + from_levels(torch.tensor(1.0), 17) - from_levels(torch.tensor(0.0), 17)
    found = bound(
        lambda x_t, t: off, schedule, x_0, noise=noises.__getitem__, prediction="x0", clip=False, levels=17
    )
    assert [row.rmse for row in rate_distortion(found)] == pytest.approx([1.0] * 4)


@pytest.mark.parametrize("count", [0, 2, 11, 5.0, True])
def test_a_count_out_of_range_is_refused(count: Any) -> None:
    with pytest.raises(ValueError, match=r"count must be an integer in 3\.\.T = 3\.\.10"):
        stratified(10, count)


@pytest.mark.parametrize(
    ("strata", "drawn"),
    [
        ([(2, 3)], [(2, 3)]),
        ([(1, 2), (4, 5)], [(1, 2), (4, 5)]),
        ([(1, 2)], [(2, 1)]),
        ([(1, 2)], [(2, 3)]),
        ([(1, 3)], [(2,)]),
        ([(1, 3)], [()]),
        ([(1, 1), (2, 3)], [(1,), (1, 2)]),
    ],
)
def test_strata_that_are_none_are_refused(strata: Any, drawn: Any) -> None:
    with pytest.raises(ValueError, match="strat"):
        Subset(tuple(strata), tuple(drawn))


@pytest.mark.parametrize("drawn", [((1,),), ((1,), (2,), (3,))])
def test_every_stratum_has_its_steps(drawn: tuple[tuple[int, ...], ...]) -> None:
    with pytest.raises(ValueError, match=r"shorter|longer"):
        Subset(((1, 1), (2, 2)), drawn)


def test_a_bound_on_a_subset_estimates_the_whole() -> None:
    """Over all draws of the subset, with the noise of each t fixed: the mean, the error, the coding table."""
    schedule, x_0, noises = draw(T=8)
    whole = bound(network, schedule, x_0, noise=noises.__getitem__, levels=17)
    found = [
        bound(network, schedule, x_0, noise=noises.__getitem__, levels=17, subset=subset)
        for subset in every_draw(8, 4)
    ]
    mean = sum(b.bits_per_dim for b in found) / len(found)
    assert mean == pytest.approx(whole.bits_per_dim)
    spread = sum((b.bits_per_dim - mean) ** 2 for b in found) / len(found)
    assert sum(b.subset_error**2 for b in found) / len(found) == pytest.approx(spread)
    assert all(torch.equal(b.L_0, whole.L_0) for b in found)
    table = {row.reverse_steps: row for row in rate_distortion(whole)}
    for part in found:
        rows = rate_distortion(part)
        assert len(rows) == 4
        assert all(row.rmse == pytest.approx(table[row.reverse_steps].rmse) for row in rows)
        assert rows == sorted(rows)
        total = part.bits_per_dim - part.in_bits(float(part.L_0.mean()))
        assert rows[-1].rate == pytest.approx(total)  # at t = 1 all is told but L_0


# -- what is refused, and what went wrong --------------------------------------------------------------------


@pytest.mark.parametrize("bad", [math.nan, math.inf])
@pytest.mark.parametrize("variance", ["fixed_large", "learned"])
def test_a_prediction_that_is_not_finite_is_reported_with_its_t(variance: Variance, bad: float) -> None:
    schedule, x_0, noises = draw()

    def model(x_t: Tensor, t: Tensor) -> Tensor:
        answer = with_variance(x_t, t) if variance == "learned" else network(x_t, t)
        if int(t[0]) <= 3:
            answer[1, -1] = bad  # of the variance, where it is learned
        return answer

    terms = bound_terms(model, schedule, x_0, noise=noises.__getitem__, variance=variance, levels=17)
    assert next(terms).t == 4
    with pytest.raises(FloatingPointError, match=r"the model's prediction must be finite; .* at t = 3"):
        next(terms)


def test_a_term_that_overflows_is_reported_with_its_t() -> None:
    schedule, x_0, noises = draw()

    def model(x_t: Tensor, t: Tensor) -> Tensor:
        answer = with_variance(x_t, t)
        answer[:, 2:] = -1e4 if int(t[0]) == 2 else 0.0  # a variance of e^-10000
        return answer

    with pytest.raises(FloatingPointError, match=r"term L_\{t-1\} must be finite; .* at t = 2"):
        bound(model, schedule, x_0, noise=noises.__getitem__, variance="learned", levels=17)


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"levels": 16}, "16 values evenly spaced"),
        ({"levels": 1}, "levels must be"),
        ({"cdf": "erf"}, "cdf must be one of"),
        ({"variance": "small"}, "variance must be one of"),
        ({"prediction": "score"}, "prediction must be one of"),
        ({"generator": torch.Generator()}, "noise and generator must not both"),
        ({"subset": Subset.whole(5)}, r"subset must be one of 1\.\.T = 1\.\.4"),
    ],
)
def test_a_bad_argument_is_refused_at_once(change: dict[str, Any], error: str) -> None:
    schedule, x_0, noises = draw()
    with pytest.raises(ValueError, match=error):
        bound_terms(network, schedule, x_0, **{"noise": noises.__getitem__, "levels": 17, **change})


@pytest.mark.parametrize("bad", [math.nan, math.inf])
@pytest.mark.parametrize("levels", [17, None])
def test_images_that_are_not_finite_are_refused(levels: int | None, bad: float) -> None:
    schedule, x_0, _ = draw()
    x_0[0, 0, 0, 0] = bad
    with pytest.raises(ValueError, match="x_0 must be finite"):
        bound_terms(network, schedule, x_0, levels=levels)
    with pytest.raises(ValueError, match="at least one image"):
        bound_terms(network, schedule, x_0[:0], levels=levels)


def test_terms_of_another_subset_are_refused() -> None:
    schedule, x_0, _ = draw()
    terms = list(bound_terms(network, schedule, x_0, levels=17))
    with pytest.raises(ValueError, match="1 of them are missing"):
        collect(terms[:-1], schedule, x_0, levels=17)
    with pytest.raises(ValueError, match="got t = 3"):
        collect(terms[1:], schedule, x_0, levels=17)
    with pytest.raises(ValueError, match="same subset, d and levels"):
        Bound.join(
            [collect(terms, schedule, x_0, levels=levels) for levels in (17, None)],
        )


def test_a_network_without_a_variance_is_refused_where_one_is_learned() -> None:
    schedule, x_0, noises = draw()
    with pytest.raises(ValueError, match="twice the channels of x_t"):
        bound(network, schedule, x_0, noise=noises.__getitem__, variance="learned", levels=17)
