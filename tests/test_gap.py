"""The gap to the best: nothing for the best itself, and what the two losses differ by for others."""

from math import hypot, log

import pytest
import torch
from torch import Tensor

from ddpm_ref import exact
from ddpm_ref.bound import Bound, bound
from ddpm_ref.denoisers import DatasetDenoiser, GaussianDenoiser
from ddpm_ref.gap import Gap, Truth, gaps, split_loss
from ddpm_ref.laws import GaussianLaw, gaussian_images
from ddpm_ref.process import Prediction, q_sample, target
from ddpm_ref.schedule import Schedule, linear
from ddpm_ref.subset import stratified

SCHEDULE = linear(20, 1e-3, 0.3)
IMAGES = torch.rand(40, 1, 4, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 2 - 1


def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(1)


def nothing(x_t: Tensor, t: Tensor) -> Tensor:
    return torch.zeros_like(x_t)


def test_the_ideal_denoiser_has_no_gap_and_another_model_has() -> None:
    ideal = DatasetDenoiser(SCHEDULE, IMAGES)
    for gap in gaps(ideal, ideal, SCHEDULE, IMAGES, [1, 7, 20], generator=seeded()):
        assert gap.excess == gap.excess_error == 0
    for gap in gaps(nothing, ideal, SCHEDULE, IMAGES, [1, 7, 20], generator=seeded()):
        assert gap.excess > 5 * gap.excess_error > 0
        assert gap.loss == gap.least + gap.excess


def test_the_parts_add_up_to_the_loss_of_drawn_noise() -> None:
    # A network that answers 0 has the loss E‖eps‖²/d = 1, whatever t and the images are.
    ideal = DatasetDenoiser(SCHEDULE, IMAGES)
    many = IMAGES.repeat(50, 1, 1, 1)  # each image equally often
    for gap in gaps(nothing, ideal, SCHEDULE, many, [2, 10, 20], generator=seeded()):
        # least and excess vary together, so 5 errors of each is generous; it is below 0.06.
        assert 5 * gap.excess_error < 0.06
        assert gap.loss == pytest.approx(1, abs=5 * gap.excess_error + 0.005)


@pytest.mark.parametrize("prediction", ["eps", "x0", "mu", "v"])
def test_the_gap_is_that_of_the_noise_whatever_is_predicted(prediction: str) -> None:
    ideal = DatasetDenoiser(SCHEDULE, IMAGES)

    def model(x_t: Tensor, t: Tensor) -> Tensor:
        eps = ideal(x_t, t) + 0.5
        x_0 = (x_t - SCHEDULE.at("sqrt_one_minus_alpha_bar", t, x_t) * eps) / SCHEDULE.at(
            "sqrt_alpha_bar", t, x_t
        )
        return target(SCHEDULE, x_0, x_t, t, eps, prediction=prediction)  # type: ignore[arg-type]

    x_t = torch.randn(5, 1, 4, 4, generator=seeded(), dtype=torch.float64)
    least, excess = split_loss(model, ideal, SCHEDULE, x_t, 9, prediction=prediction)  # type: ignore[arg-type]
    torch.testing.assert_close(excess, torch.full_like(excess, 0.25))
    torch.testing.assert_close(least, ideal.least_loss(x_t, 9))


@pytest.mark.parametrize("prediction", ["eps", "x0", "mu", "v"])
def test_a_gap_is_the_mean_of_the_split_over_images(prediction: Prediction) -> None:
    """Also of a network that learns its variance, which has no part in it."""
    ideal = DatasetDenoiser(SCHEDULE, IMAGES)
    noise = {t: torch.randn(IMAGES.shape, generator=seeded(), dtype=torch.float64) for t in (1, 7, 20)}

    def network(x_t: Tensor, t: Tensor) -> Tensor:
        return torch.sin(3 * x_t)

    def with_variance(x_t: Tensor, t: Tensor) -> Tensor:
        return torch.cat([network(x_t, t), x_t], 1)

    found = gaps(
        with_variance, ideal, SCHEDULE, IMAGES, [1, 7, 20],
        noise=noise.__getitem__, prediction=prediction, variance="learned",
    )  # fmt: skip
    for gap, t in zip(found, (1, 7, 20), strict=True):
        assert gap.t == t
        x_t = q_sample(SCHEDULE, IMAGES, t, noise[t])
        least, excess = split_loss(network, ideal, SCHEDULE, x_t, t, prediction=prediction)
        assert gap.least == pytest.approx(float(least.mean()), rel=1e-13)
        assert gap.excess == pytest.approx(float(excess.mean()), rel=1e-13)
        assert gap.excess_error == pytest.approx(float(excess.var() / 40) ** 0.5, rel=1e-13)


def test_two_images_are_enough_and_their_noise_comes_from_the_generator() -> None:
    ideal = DatasetDenoiser(SCHEDULE, IMAGES)

    def run(seed: int) -> Gap:
        generator = torch.Generator().manual_seed(seed)
        return next(gaps(nothing, ideal, SCHEDULE, IMAGES[:2], [7], generator=generator))

    assert run(0) == run(0)
    assert run(0) != run(1)


def test_numbers_are_images_of_one_coordinate() -> None:
    x_t = torch.randn(5, generator=seeded(), dtype=torch.float64)
    one, other = (
        split_loss(nothing, GaussianDenoiser(SCHEDULE, law), SCHEDULE, x_t.reshape(5, *law.mean.shape), 9)
        for law in (GaussianLaw(torch.zeros(shape), torch.ones(())) for shape in ((), (1,)))
    )
    assert one.least.equal(other.least)
    assert one.excess.equal(other.excess)
    assert len(set(one.excess.tolist())) == 5


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_a_loss_of_half_precision_is_averaged_in_single(dtype: torch.dtype) -> None:
    ideal = DatasetDenoiser(SCHEDULE, IMAGES)
    x_t = torch.randn(5, 1, 4, 4, generator=seeded()).to(dtype)
    narrow, wide = (split_loss(nothing, ideal, SCHEDULE, x, 9) for x in (x_t, x_t.float()))
    for ours, theirs in zip(narrow, wide, strict=True):
        assert ours.dtype == torch.float32
        assert ours.equal(theirs)


def test_bad_input_is_refused_and_a_bad_model_is_named_with_its_t() -> None:
    ideal = DatasetDenoiser(SCHEDULE, IMAGES)
    with pytest.raises(ValueError, match="x_0 must hold at least 2 images; got 1"):
        next(gaps(nothing, ideal, SCHEDULE, IMAGES[:1], [1]))
    with pytest.raises(ValueError, match="x_0 must be finite"):
        next(gaps(nothing, ideal, SCHEDULE, IMAGES / 0, [1]))
    with pytest.raises(ValueError, match="t must be in"):
        next(gaps(nothing, ideal, SCHEDULE, IMAGES, [21]))
    bad = gaps(lambda x, t: x / (t[0] - 7), ideal, SCHEDULE, IMAGES, [8, 7])
    assert next(bad).t == 8
    with pytest.raises(FloatingPointError, match="nan or infinity at t = 7"):
        next(bad)


# -- data of a known law -------------------------------------------------------------------------------------


def compared(schedule: Schedule, n: int = 400, shift: float = 0.0) -> Truth:
    """The bound with an exact denoiser whose noise is off by `shift`, beside the entropy."""
    law = gaussian_images(4)
    x_0 = law.sample(n, generator=seeded())
    ideal = GaussianDenoiser(schedule, law)

    def of(extra: float) -> Bound:
        def model(x: Tensor, t: Tensor) -> Tensor:
            return ideal(x, t) + extra

        return bound(model, schedule, x_0, generator=seeded(), clip=False, levels=None)

    exact_gap = exact.bound(schedule, law).gap
    return Truth.of(of(shift), of(0.0), law.entropy(), law.log_density(x_0), exact_gap)


def test_the_gap_of_the_exact_denoiser_is_the_closed_form() -> None:
    for schedule in (linear(20, 5e-3, 0.9), linear(80, 1.25e-3, 0.25)):
        truth = compared(schedule)
        assert truth.avoidable == truth.avoidable_error == 0
        assert truth.exact_gap == pytest.approx(truth.least, abs=4 * truth.least_error)
        assert (truth.least, truth.least_error) == (truth.gap, truth.gap_error)
        assert 4 * truth.gap_error < 0.1 < truth.gap


def test_a_worse_model_pays_what_the_weights_of_the_bound_say() -> None:
    schedule, shift = linear(20, 5e-3, 0.9), 0.3
    truth = compared(schedule, shift=shift)
    # Given x_t, an error of the noise costs its weight; at t = 1 as well, as the last term is a density's.
    cost = float(schedule.weight_fixed_large[1:].sum()) * shift**2 / log(2)
    assert truth.avoidable == pytest.approx(cost, abs=4 * truth.avoidable_error)
    assert cost > 20 * truth.avoidable_error
    assert truth.gap == pytest.approx(truth.exact_gap + cost, abs=4 * truth.gap_error)  # type: ignore[operator]


def test_the_gap_of_a_subset_of_steps_knows_what_it_left_out() -> None:
    law, schedule = gaussian_images(4), linear(80, 1.25e-3, 0.25)
    x_0, ideal = law.sample(400, generator=seeded()), GaussianDenoiser(schedule, law)

    def of(steps: int) -> Truth:
        some = stratified(80, steps, seeded())
        found = bound(ideal, schedule, x_0, generator=seeded(), clip=False, levels=None, subset=some)
        return Truth.of(found, found, law.entropy(), law.log_density(x_0))

    assert of(9).gap_error > 1.5 * of(80).gap_error
    assert of(9).avoidable_error == 0


def test_every_number_stands_beside_its_own_error() -> None:
    """An image's own bound, taken for its surprise, leaves a gap of 0 with the error of the missing steps."""
    law, schedule = gaussian_images(4), linear(80, 1.25e-3, 0.25)
    x_0, ideal, some = law.sample(40, generator=seeded()), GaussianDenoiser(schedule, law), stratified(80, 9)

    def of(extra: float) -> Bound:
        def model(x: Tensor, t: Tensor) -> Tensor:
            return ideal(x, t) + extra

        return bound(model, schedule, x_0, generator=seeded(), clip=False, levels=None, subset=some)

    ours, best = of(0.3), of(0.0)
    truth = Truth.of(ours, best, 1.5, law.log_density(x_0), entropy_error=0.25)
    assert (truth.entropy, truth.entropy_error) == (ours.in_bits(1.5), ours.in_bits(0.25))
    assert truth.bound == pytest.approx(ours.bits_per_dim)
    assert ours.examples_error is not None
    assert truth.bound_error == pytest.approx(hypot(ours.examples_error, ours.subset_error))
    assert truth.gap == pytest.approx(truth.least + truth.avoidable)
    assert truth.exact_gap is None
    of_ours, of_best = (Truth.of(ours, best, 1.5, -nats) for nats in (ours.nats, best.nats))
    assert of_ours.entropy_error == of_best.entropy_error == 0
    assert of_ours.gap == of_best.least == 0
    assert of_ours.gap_error == pytest.approx(ours.subset_error)
    assert of_best.least_error == pytest.approx(best.subset_error)
    assert of_ours.avoidable == -of_ours.least
    assert of_best.avoidable == of_best.gap == truth.avoidable
