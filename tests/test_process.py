"""Conversions between what a network may predict: by name, in half precision, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import get_args

import pytest
import torch
from torch import Tensor

from ddpm_ref import process
from ddpm_ref.process import Prediction
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


@EACH
@pytest.mark.parametrize("dtype", HALF)
def test_half_precision_is_computed_in_single_and_kept(convert: Conversion, dtype: torch.dtype) -> None:
    x, other = drawn(0, dtype), drawn(1, dtype)
    found = convert(x, T_BATCH, other)
    assert found.dtype == dtype
    assert found.equal(convert(x.float(), T_BATCH, other.float()).to(dtype))


@pytest.mark.parametrize("prediction", PREDICTIONS)
@pytest.mark.parametrize("dtype", HALF)
def test_a_step_in_half_precision_is_taken_in_single(prediction: Prediction, dtype: torch.dtype) -> None:
    value, x_t, noise = drawn(0, dtype), drawn(1, dtype), drawn(2, dtype)
    found = process.p_sample(SCHEDULE, value, x_t, T_BATCH, noise, prediction=prediction)
    single = (value.float(), x_t.float(), T_BATCH, noise.float())
    assert found.dtype == dtype
    assert found.equal(process.p_sample(SCHEDULE, *single, prediction=prediction).to(dtype))


def test_a_clipped_image_is_clipped_on_both_sides() -> None:
    x_t = torch.tensor([[30.0, -30.0]] * 3, dtype=torch.float64)
    step = process.p_mean_variance(SCHEDULE, torch.zeros_like(x_t), x_t, T_BATCH)
    assert step.x0_hat.equal(x_t.sign())


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
