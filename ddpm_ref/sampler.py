"""Sampling: a loop over t = T … 1 that yields every state; callers keep, plot or stop as they like."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from ddpm_ref.objective import Model, predict
from ddpm_ref.process import Prediction, Variance, check_choices, p_mean_variance
from ddpm_ref.schedule import Schedule

__all__ = ["State", "ancestral"]


class State(NamedTuple):
    """Where the reverse process stands."""

    t: int  # T … 0
    x: Tensor  # x_t, (B, ...)
    x0_hat: Tensor | None  # the clean image that the step to x_t aimed at; None before the first step


def ancestral(
    model: Model,
    schedule: Schedule,
    x_T: Tensor,
    *,
    noise: Callable[[int], Tensor] | None = None,
    generator: torch.Generator | None = None,
    prediction: Prediction = "eps",
    variance: Variance = "fixed_large",
    clip: bool = True,
) -> Iterator[State]:
    """Sample by the reverse process: `x_{t−1} = mean + σ_t z_t` for t = T … 2, and the mean alone for t = 1.

    Yields T+1 states: `State(T, x_T, None)`, then one after each step; the last has t = 0 and holds the
    samples. With the same noise the states are the same, so the law of the samples can be computed by
    injecting unit noises.

    Claims: [sampling.ancestral-step][], and for Gaussian data the law of every state,
    [sampling.reverse-law][]. Source: Ho et al. 2020, algorithm 2.

    Args:
        model: any callable `(x_t, t) -> prediction`, where t is an int64 tensor of shape (B,) in 1..T.
        schedule: the noise schedule.
        x_T: where to start, standard normal, shape (B, ...).
        noise: `z_t = noise(t)` for t = T … 2, shaped like `x_T`; drawn from `generator` if not given.
        generator: where the noise comes from; PyTorch's default if not given.
        prediction: what the model predicts.
        variance: the variance σ_t² of a step.
        clip: whether to clip the predicted clean image to [−1, 1] at every step.

    Raises:
        ValueError: at once, if both `noise` and `generator` are given, `x_T` is not finite, or `prediction`
            or `variance` is unknown; during the loop, if the model or `noise` returns a wrong shape.
        TypeError: at once, if `x_T` is not floating point.
        FloatingPointError: if the model returned a value that is not finite; raised at that step on the CPU,
            and before the last state on other devices, which are not made to wait.
    """
    schedule.check_t(schedule.T, x_T)
    check_choices(prediction, variance)
    if noise is not None and generator is not None:
        raise ValueError("noise and generator must not both be given")
    if not bool(x_T.isfinite().all()):
        raise ValueError("x_T must be finite; got nan or infinity")
    if noise is None:

        def noise(t: int) -> Tensor:
            source = x_T.device if generator is None else generator.device
            z = torch.randn(x_T.shape, generator=generator, dtype=x_T.dtype, device=source)
            return z.to(x_T.device)

    return _states(model, schedule, x_T, noise, prediction, variance, clip)


def _states(
    model: Model,
    schedule: Schedule,
    x: Tensor,
    noise: Callable[[int], Tensor],
    prediction: Prediction,
    variance: Variance,
    clip: bool,
) -> Iterator[State]:
    yield State(schedule.T, x, None)
    first_bad = torch.zeros((), dtype=torch.long, device=x.device)  # the t of the first non-finite prediction
    for t in range(schedule.T, 0, -1):
        # The context must not span a yield: it would then hold in the caller's code too.
        with torch.no_grad():
            prediction_value = predict(model, x, t)
            # Clipping would hide an infinite prediction. The verdict stays on the device: reading it waits.
            good = prediction_value.isfinite().all() | (first_bad > 0)
            first_bad = torch.where(good, first_bad, t)
            if (x.device.type == "cpu" or t == 1) and (bad := int(first_bad)):
                raise FloatingPointError(
                    f"the model's prediction must be finite; got nan or infinity at t = {bad}"
                )
            step = p_mean_variance(
                schedule, prediction_value, x, t, prediction=prediction, variance=variance, clip=clip
            )
            x = step.sample(t, noise(t) if t > 1 else None).to(x.dtype)
        yield State(t - 1, x, step.x0_hat.to(x.dtype))
