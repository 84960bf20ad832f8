"""Conversions between what a network may predict, reverse steps, dtypes, devices, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import get_args

import pytest
import torch
from torch import Tensor

from ddpm_ref import process
from ddpm_ref.process import Prediction, Variance
from ddpm_ref.schedule import linear

SCHEDULE = linear(20, 0.01, 0.3)
T_BATCH = torch.tensor([1, 7, 20])
PREDICTIONS: tuple[Prediction, ...] = get_args(Prediction)
HALF = (torch.float16, torch.bfloat16)

Conversion = Callable[[Tensor, int | Tensor, Tensor], Tensor]


def by_name(name: str) -> Conversion:
    return lambda x, t, other: getattr(process, name)(SCHEDULE, x, t, other)


def from_prediction(name: str, prediction: Prediction) -> Conversion:
    return lambda x, t, other: getattr(process, name)(SCHEDULE, other, x, t, prediction=prediction)


CONVERSIONS: dict[str, Conversion] = {
    "q_sample": by_name("q_sample"),
    **{f"{a}_from_{b}": by_name(f"{a}_from_{b}") for a, b in (
        ("x0", "eps"), ("eps", "x0"), ("mu", "x0"), ("x0", "mu"), ("mu", "eps"), ("eps", "mu"),
        ("v", "x0"), ("v", "eps"), ("x0", "v"), ("eps", "v"),
    )},
    **{f"to_x0 of {name}": from_prediction("to_x0", name) for name in PREDICTIONS},
    **{f"to_eps of {name}": from_prediction("to_eps", name) for name in PREDICTIONS},
}  # fmt: skip
EACH = pytest.mark.parametrize("convert", CONVERSIONS.values(), ids=CONVERSIONS)


def drawn(seed: int, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(3, 2, 4, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


@pytest.mark.parametrize("prediction", PREDICTIONS)
@pytest.mark.parametrize("t", [7, T_BATCH])
def test_every_target_leads_back_to_the_image_and_its_noise(prediction: Prediction, t: int | Tensor) -> None:
    x_0, noise = drawn(0), drawn(1)
    x_t = process.q_sample(SCHEDULE, x_0, t, noise)
    value = process.target(SCHEDULE, x_0, x_t, t, noise, prediction=prediction)
    there = process.to_x0(SCHEDULE, value, x_t, t, prediction=prediction)
    torch.testing.assert_close(there, x_0, rtol=1e-11, atol=1e-11)
    there = process.to_eps(SCHEDULE, value, x_t, t, prediction=prediction)
    torch.testing.assert_close(there, noise, rtol=1e-11, atol=1e-11)


def test_the_noise_is_predicted_where_nothing_else_is_said() -> None:
    x_0, x_t, noise = drawn(0), drawn(1), drawn(2)
    assert process.target(SCHEDULE, x_0, x_t, T_BATCH, noise).equal(noise)
    assert process.to_eps(SCHEDULE, noise, x_t, T_BATCH).equal(noise)
    assert process.to_x0(SCHEDULE, noise, x_t, T_BATCH).equal(
        process.x0_from_eps(SCHEDULE, x_t, T_BATCH, noise)
    )


# -- dtypes and devices --------------------------------------------------------------------------------------


@EACH
@pytest.mark.parametrize("dtype", HALF)
def test_half_precision_is_computed_in_single_and_kept(convert: Conversion, dtype: torch.dtype) -> None:
    x, other = drawn(0, dtype), drawn(1, dtype)
    found = convert(x, T_BATCH, other)
    assert found.dtype == dtype
    assert found.equal(convert(x.float(), T_BATCH, other.float()).to(dtype))


@pytest.mark.parametrize("prediction", PREDICTIONS)
@pytest.mark.parametrize("dtype", HALF)
def test_a_target_in_half_precision_is_computed_in_single(prediction: Prediction, dtype: torch.dtype) -> None:
    x_0, x_t, noise = (drawn(seed, dtype) for seed in range(3))
    found = process.target(SCHEDULE, x_0, x_t, T_BATCH, noise, prediction=prediction)
    single = (x_0.float(), x_t.float(), T_BATCH, noise.float())
    assert found.dtype == dtype
    assert found.equal(process.target(SCHEDULE, *single, prediction=prediction).to(dtype))


@EACH
def test_the_first_argument_decides_on_the_dtype(convert: Conversion) -> None:
    """As where a network runs in single precision inside a sampler in double."""
    assert convert(drawn(0), T_BATCH, drawn(1).float()).dtype == torch.float64
    assert convert(drawn(0).float(), T_BATCH, drawn(1)).dtype == torch.float32


def test_a_learned_variance_has_the_digits_of_the_image_whatever_the_networks_dtype() -> None:
    value, output, x_t = drawn(0).float(), drawn(1).float(), drawn(2)
    found, truth = (
        process.p_mean_variance(
            SCHEDULE, value, x_t, T_BATCH, variance="learned", variance_value=output.to(dtype)
        )
        for dtype in (torch.float32, torch.float64)
    )
    assert found.log_variance.equal(truth.log_variance)
    assert found.variance.equal(truth.variance)


def test_steps_on_the_cpu_go_with_images_on_another_device() -> None:
    """On a device that has shapes and no numbers, and refuses a tensor from elsewhere as any other does."""
    x = drawn(0).to("meta")
    for name in PREDICTIONS:
        assert process.target(SCHEDULE, x, x, T_BATCH, x, prediction=name).device == x.device
        assert process.p_sample(SCHEDULE, x, x, T_BATCH, x, prediction=name).device == x.device


@pytest.mark.parametrize("prediction", PREDICTIONS)
@pytest.mark.parametrize("dtype", HALF)
def test_a_step_in_half_precision_is_taken_in_single(prediction: Prediction, dtype: torch.dtype) -> None:
    value, x_t, noise = drawn(0, dtype), drawn(1, dtype), drawn(2, dtype)
    found = process.p_sample(SCHEDULE, value, x_t, T_BATCH, noise, prediction=prediction)
    single = (value.float(), x_t.float(), T_BATCH, noise.float())
    assert found.dtype == dtype
    assert found.equal(process.p_sample(SCHEDULE, *single, prediction=prediction).to(dtype))


# -- reverse steps -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("variance", ["fixed_large", "fixed_small"])
@pytest.mark.parametrize("prediction", PREDICTIONS)
@pytest.mark.parametrize("t", [1, 7, T_BATCH])
def test_a_network_without_error_steps_by_the_posterior(
    prediction: Prediction, variance: Variance, t: int | Tensor
) -> None:
    """Whatever it predicts: the mean is the posterior's, and the step is that mean and its noise."""
    x_0, noise, z = drawn(0).tanh(), drawn(1), drawn(2)
    x_t = process.q_sample(SCHEDULE, x_0, t, noise)
    value = process.target(SCHEDULE, x_0, x_t, t, noise, prediction=prediction)
    law = process.p_mean_variance(SCHEDULE, value, x_t, t, prediction=prediction, variance=variance)
    posterior = process.q_posterior(SCHEDULE, x_0, x_t, t)
    torch.testing.assert_close(law.x0_hat, x_0, rtol=1e-11, atol=1e-11)
    torch.testing.assert_close(law.mean, posterior.mean, rtol=1e-11, atol=1e-11)
    found = process.p_sample(SCHEDULE, value, x_t, t, z, prediction=prediction, variance=variance)
    deviation = law.variance.sqrt() * (torch.as_tensor(t) > 1).reshape(-1, 1, 1)
    assert found.equal(law.mean + deviation * z)


def test_the_last_step_takes_no_noise_whether_given_or_not() -> None:
    value, x_t, z = drawn(0), drawn(1), drawn(2)
    law = process.p_mean_variance(SCHEDULE, value, x_t, 1)
    for t in (1, torch.tensor([1, 1, 1])):
        for noise in (None, z):
            assert process.p_sample(SCHEDULE, value, x_t, t, noise).equal(law.mean)
    for t in (2, T_BATCH):
        with pytest.raises(ValueError, match="noise must be given unless t = 1; got None"):
            process.p_sample(SCHEDULE, value, x_t, t, None)


def test_a_step_clips_unless_told_not_to() -> None:
    value, x_t, z = drawn(0), 9 * drawn(1), drawn(2)
    clipped, free = (process.p_sample(SCHEDULE, value, x_t, 7, z, clip=clip) for clip in (True, False))
    assert process.p_sample(SCHEDULE, value, x_t, 7, z).equal(clipped)
    assert not clipped.equal(free)


def test_a_clipped_image_is_clipped_on_both_sides() -> None:
    x_t = torch.tensor([[30.0, -30.0]] * 3, dtype=torch.float64)
    step = process.p_mean_variance(SCHEDULE, torch.zeros_like(x_t), x_t, T_BATCH)
    assert step.x0_hat.equal(x_t.sign())


# -- what is refused -----------------------------------------------------------------------------------------


@EACH
def test_shapes_that_differ_are_refused(convert: Conversion) -> None:
    x = drawn(0)
    for other in (x[:1], x[:, :1], x[0]):
        with pytest.raises(ValueError, match="must have the shape of"):
            convert(x, 3, other)
        with pytest.raises(ValueError, match="must have the shape of"):
            convert(other, 3, x)


@EACH
def test_steps_that_do_not_exist_are_refused(convert: Conversion) -> None:
    for t in (0, 21, -1, torch.tensor([0, 1, 2]), torch.tensor([1, 2, 21])):
        with pytest.raises(ValueError, match=r"t must be in 1\.\.T"):
            convert(drawn(0), t, drawn(1))


@pytest.mark.parametrize("name", ["to_x0", "to_eps"])
def test_a_prediction_that_does_not_exist_is_refused(name: str) -> None:
    x = drawn(0)
    with pytest.raises(ValueError, match="prediction must be one of eps, x0, mu, v; got 'noise'"):
        getattr(process, name)(SCHEDULE, x, x, 3, prediction="noise")
    with pytest.raises(ValueError, match="prediction must be one of eps, x0, mu, v; got 'noise'"):
        process.target(SCHEDULE, x, x, 3, x, prediction="noise")  # type: ignore[arg-type]


@pytest.mark.parametrize("prediction", PREDICTIONS)
@pytest.mark.parametrize("argument", ["x_0", "x_t", "noise"])
def test_a_target_is_made_of_images_of_one_shape(argument: str, prediction: Prediction) -> None:
    x = drawn(0)
    given = {"x_0": x, "x_t": x, "noise": x, argument: x[:, :1]}
    with pytest.raises(ValueError, match="must have the shape of"):
        process.target(SCHEDULE, t=3, prediction=prediction, **given)


@EACH
def test_whole_numbers_are_no_image(convert: Conversion) -> None:
    x, pixels = drawn(0), torch.ones(3, 2, 4, dtype=torch.uint8)
    with pytest.raises(TypeError, match=r"must be floating point; got torch\.uint8"):
        convert(pixels, 3, x)
    with pytest.raises(TypeError, match=r"must be floating point; got torch\.uint8"):
        convert(x, 3, pixels)


def test_a_step_does_not_start_from_whole_numbers() -> None:
    x = drawn(0)
    with pytest.raises(TypeError, match="must be floating point"):
        process.p_mean_variance(SCHEDULE, x, x.long(), 3)


@pytest.mark.parametrize(
    ("variance", "given", "got"),
    [
        ("learned", False, "got None with 'learned'"),
        ("fixed_small", True, "got a tensor with 'fixed_small'"),
        ("fixed_large", True, "got a tensor with 'fixed_large'"),
    ],
)
def test_the_output_for_the_variance_goes_with_a_learned_one_only(
    variance: Variance, given: bool, got: str
) -> None:
    x = drawn(0)
    with pytest.raises(ValueError, match=f"must be given if variance is 'learned', and only then; {got}$"):
        process.p_mean_variance(SCHEDULE, x, x, 1, variance=variance, variance_value=x if given else None)
