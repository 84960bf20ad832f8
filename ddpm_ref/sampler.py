"""Sampling: one loop down the steps, that yields every state; callers keep, plot or stop as they like.

| | |
|---|---|
| DDPM, algorithm 2 | `ancestral(model, schedule, x_T)` |
| fewer steps | `sample(…, steps=steps(T, 50))` |
| DDIM | `sample(…, steps=steps(T, 50), eta=0.0)` |
| between the two | `eta` from 0 to 1: DDPM with `variance="fixed_small"`; larger values add more noise |
| predictor–corrector | `sample(…, corrector=LangevinCorrector())` |
| from a noised image | `sample(model, schedule, x_t, start=t)` |

Between images, and from images to latents: [latents][ddpm_ref.latents].
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from ddpm_ref.finite import FirstBad
from ddpm_ref.noise import Noise, noise_source
from ddpm_ref.objective import Model, Output, predict
from ddpm_ref.process import (
    Prediction,
    ReverseStep,
    Variance,
    check_choices,
    p_mean_variance,
    q_posterior,
    to_x0,
)
from ddpm_ref.schedule import Schedule, working_dtype
from ddpm_ref.score import Score, score_of
from ddpm_ref.subsequence import Subsequence, taken

__all__ = ["Corrector", "State", "ancestral", "sample"]


class State(NamedTuple):
    """Where the reverse process stands."""

    t: int  # T … 0
    x: Tensor  # x_t, (B, ...)
    x0_hat: Tensor | None  # the clean image that the step to x_t aimed at; None before the first step


Corrector = Callable[[Score, Schedule, Tensor, int], Tensor]
"""`(score, schedule, x_t, t) -> x_t`, moved within its noise level; see `ddpm_ref.langevin`."""


def ancestral(
    model: Model,
    schedule: Schedule,
    x_T: Tensor,
    *,
    noise: Noise | None = None,
    generator: torch.Generator | None = None,
    prediction: Prediction = "eps",
    variance: Variance = "fixed_large",
    clip: bool = True,
) -> Iterator[State]:
    """Sample by the reverse process: `x_{t−1} = mean + σ_t z_t` for t = T … 2, and the mean alone for t = 1.

    Yields T+1 states: `State(T, x_T, None)`, then one after each step; the last has t = 0 and holds the
    samples. With the same noise the states are the same, so the law of the samples can be computed by
    injecting unit noises. It is [sample][ddpm_ref.sampler.sample] with all steps.

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
    return sample(
        model, schedule, x_T,
        noise=noise, generator=generator, prediction=prediction, variance=variance, clip=clip,
    )  # fmt: skip


def sample(
    model: Model,
    schedule: Schedule,
    x_T: Tensor,
    *,
    start: int | None = None,
    steps: Sequence[int] | None = None,
    eta: float | None = None,
    corrector: Corrector | None = None,
    noise: Noise | None = None,
    generator: torch.Generator | None = None,
    prediction: Prediction = "eps",
    variance: Variance = "fixed_large",
    clip: bool = True,
) -> Iterator[State]:
    """Sample over any sub-sequence of the steps, by DDPM or DDIM, with or without a corrector.

    Each step leads from t to the step s before it in `steps`, and from the first of them to s = 0. The model
    is always asked at the whole schedule's t. Without `eta` the step is the ancestral one of the
    [sub-sequence's schedule][ddpm_ref.subsequence.Subsequence], whose β is `1 − ᾱ_t/ᾱ_s`. With `eta`,

        x_s = √ᾱ_s x̂_0 + √(1 − ᾱ_s − σ²) ε̂ + σ z_t,   σ² = η² (1 − ᾱ_s)/(1 − ᾱ_t) (1 − ᾱ_t/ᾱ_s)

    where `ε̂` is the noise between `x_t` and the predicted image, clipped or not. The last step is `x̂_0`.

    Yields N+1 states: `State(start, x_T, None)`, then one after each step; the last has t = 0.

    Claims: [sampling.ddim-step][], [sampling.ddim-eta][], [sampling.stretch-posterior][]. Source: Song, Meng,
    Ermon 2021, equation 12; Nichol, Dhariwal 2021, section 4; for the corrector, Song et al. 2021,
    algorithm 3.

    Args:
        model: any callable `(x_t, t) -> prediction`, where t is an int64 tensor of shape (B,) in 1..T.
        schedule: the noise schedule that the model was trained with.
        x_T: where to begin, shape (B, ...): standard normal, or an image diffused to `start`.
        start: the t at which `x_T` stands, in 1..T; T if not given.
        steps: strictly increasing, ending in `start`, such as `steps(T, N)` returns; all if not given.
        eta: None for the ancestral step; else from 0 to `Subsequence(schedule, steps).eta_max`, with 0 for
            DDIM, which draws no noise, and 1 for the ancestral step with variance "fixed_small".
        corrector: applied after each step but the last, at the noise level the step led to.
        noise: `z_t = noise(t)` for all t in `steps` but the first, shaped like `x_T`; drawn from `generator`
            if not given, and never asked for where `eta` is 0.
        generator: where the noise comes from; PyTorch's default if not given.
        prediction: what the model predicts.
        variance: the variance of an ancestral step, on the sub-sequence's schedule. With `eta` it has no say,
            but "learned" still tells that the model returns twice the channels.
        clip: whether to clip the predicted clean image to [−1, 1] at every step.

    Raises:
        ValueError: at once, if `start`, `steps` or `eta` is out of range, `steps` is not increasing or does
            not end in `start`, both `noise` and `generator` are given, `x_T` is not finite, or `prediction`
            or `variance` is unknown; during the loop, if the model, `noise` or `corrector` returns a wrong
            shape.
        TypeError: at once, if `x_T` is not floating point, or `steps` not a sequence of integers.
        FloatingPointError: if the model or the corrector returned a value that is not finite; raised at that
            step on the CPU, and before the last state on other devices, which are not made to wait.
    """
    check_choices(prediction, variance)
    walk = taken(schedule, x_T, start, steps, eta, "x_T")
    score = score_of(model, schedule, prediction=prediction, variance=variance, clip=clip)

    def step(x_t: Tensor, i: int) -> tuple[ReverseStep, Output]:
        t = walk.at_step(i)
        output = predict(model, x_t, t, variance=variance)
        exact = x_t.to(working_dtype(x_t.dtype))
        # On the whole schedule, because "mu" was trained there. On the sub-sequence's it is another mean.
        x0_hat = to_x0(schedule, output.prediction_value, exact, t, prediction=prediction)
        if clip:
            x0_hat = x0_hat.clamp(-1, 1)
        if eta is not None:
            law = q_posterior(walk, x0_hat, exact, i)
            return ReverseStep(law.mean, law.variance, law.variance.log(), x0_hat), output
        return p_mean_variance(
            walk, x0_hat, exact, i,
            prediction="x0", variance=variance, variance_value=output.variance_value, clip=False,
        ), output  # fmt: skip

    def correct(x_s: Tensor, s: int) -> Tensor:
        if corrector is None:
            return x_s
        corrected = corrector(score, schedule, x_s, s)
        if corrected.shape != x_s.shape:
            raise ValueError(
                f"the corrector must return the shape of x_t, {tuple(x_s.shape)}; "
                f"got {tuple(corrected.shape)}"
            )
        return corrected.to(x_s.dtype)

    return _states(walk, x_T, step, correct, noise_source(noise, generator, x_T))


def _states(
    walk: Subsequence,
    x: Tensor,
    step: Callable[[Tensor, int], tuple[ReverseStep, Output]],
    correct: Callable[[Tensor, int], Tensor],
    noise: Noise,
) -> Iterator[State]:
    yield State(walk.at_step(walk.T), x, None)
    predictions, corrected = FirstBad(x.device), FirstBad(x.device)
    for i in range(walk.T, 0, -1):
        t, s = walk.at_step(i), walk.at_step(i - 1)
        # The context must not span a yield: it would then hold in the caller's code too.
        with torch.no_grad():
            law, output = step(x, i)
            predictions.see(t, *output)  # clipping would hide an infinite one
            predictions.stop("the model's prediction", last=i == 1)
            x = (law.mean if i == 1 or walk.eta == 0 else law.sample(i, noise(t))).to(x.dtype)
            if s > 0:
                x = correct(x, s)
                corrected.see(s, x)
            corrected.stop("the state", last=i == 1)
        yield State(s, x, law.x0_hat.to(x.dtype))
