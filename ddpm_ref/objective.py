"""What training minimises: L_simple, the variational bound, and their hybrid.

A model is any callable `(x_t, t) -> prediction` with `t` an int64 tensor of shape (B,) holding the paper's t,
in 1..T. The prediction is shaped like `x_t`; with a learned variance it has twice the channels, the second
half for the variance. A nan in an image, a noise or a prediction makes that example's loss nan: nothing here
looks at a number, since a device would have to wait.

| paper, table 2 | here |
|---|---|
| μ̃, L, learned diagonal Σ | `L_vlb(…, prediction="mu", variance="learned")` |
| μ̃, L, fixed isotropic Σ | `L_vlb(…, prediction="mu")` |
| μ̃, mean squared error | `L_simple(…, prediction="mu")` |
| ε, L, learned diagonal Σ | `L_vlb(…, variance="learned")` |
| ε, L, fixed isotropic Σ | `L_vlb(…)` |
| ε, mean squared error | `L_simple(…)` |

Source: Ho, Jain, Abbeel 2020, sections 3.2 and 3.4; Nichol, Dhariwal 2021, section 3.1.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from ddpm_ref.decoder import CDF, bits_per_dim, check_decoder, decoder_log_likelihood
from ddpm_ref.gaussian import Gaussian, kl
from ddpm_ref.process import (
    Prediction,
    ReverseStep,
    Variance,
    check_choices,
    p_mean_variance,
    q_sample,
    target,
)
from ddpm_ref.schedule import Schedule, working_dtype

__all__ = [
    "L_hybrid",
    "L_simple",
    "L_t_minus_1",
    "L_vlb",
    "Model",
    "Output",
    "divergence",
    "predict",
    "weight",
]

Model = Callable[[Tensor, Tensor], Tensor]
"""`(x_t, t) -> prediction`."""


class Output(NamedTuple):
    """What a model says of a batch, named as `p_mean_variance` takes it."""

    prediction_value: Tensor  # (B, ...)
    variance_value: Tensor | None  # (B, ...), None unless the variance is learned


def predict(model: Model, x_t: Tensor, t: int | Tensor, *, variance: Variance = "fixed_large") -> Output:
    """Call the model with t as an int64 tensor of shape (B,), and check the shape of its answer.

    With a learned variance the answer has shape (B, 2C, ...): first the prediction, then the variance's part.

    Raises:
        ValueError: if the answer has another shape, `variance` is unknown, or a variance is to be learned
            for images without channels.
    """
    check_choices("eps", variance)
    steps = (
        x_t.new_full(x_t.shape[:1], t, dtype=torch.long)
        if isinstance(t, int)
        else t.to(x_t.device, torch.long)
    )
    learned = variance == "learned"
    if learned and x_t.dim() < 2:
        raise ValueError(
            f"x_t must have channels, (B, C, ...), if variance is 'learned'; got {tuple(x_t.shape)}"
        )
    expected = (len(x_t), 2 * x_t.shape[1], *x_t.shape[2:]) if learned else tuple(x_t.shape)
    answer = model(x_t, steps)
    if answer.shape != expected:
        what = "twice the channels of x_t" if learned else "the shape of x_t"
        raise ValueError(
            f"the model must return {what}, {expected}, for variance {variance!r}; got {tuple(answer.shape)}"
        )
    return Output(*answer.chunk(2, dim=1)) if learned else Output(answer, None)


def L_simple(
    model: Model,
    schedule: Schedule,
    x_0: Tensor,
    t: int | Tensor,
    noise: Tensor,
    *,
    prediction: Prediction = "eps",
) -> Tensor:
    """Return the squared error of the prediction, averaged over the d coordinates, per example.

    `‖target − model(x_t, t)‖² / d` with `x_t = √ᾱ_t x_0 + √(1 − ᾱ_t) noise`. The training loss is its mean
    over the batch.

    Claim: [parameterization.L-simple][]. Source: Ho et al. 2020, equation 14, which sums where we average.

    Args:
        model: the network.
        schedule: the noise schedule.
        x_0: clean images, shape (B, ...).
        t: in 1..T; an int, or an integer tensor of shape (B,).
        noise: standard normal, shaped like `x_0`.
        prediction: what the model predicts.

    Returns:
        Shape (B,); float32 for half precision.

    Raises:
        ValueError: if shapes do not match, t is out of range, or `prediction` is unknown.
        TypeError: if t is not integer or `x_0` not floating point.
    """
    x_t = q_sample(schedule, x_0, t, noise)
    return _squared_error(schedule, predict(model, x_t, t), x_0, x_t, t, noise, prediction)


def L_vlb(
    model: Model,
    schedule: Schedule,
    x_0: Tensor,
    t: int | Tensor,
    noise: Tensor,
    *,
    prediction: Prediction = "eps",
    variance: Variance = "fixed_large",
    clip: bool = False,
    levels: int | None = 256,
    cdf: CDF = "exact",
) -> Tensor:
    """Return T times the bound's term for step t, in bits per dimension, per example.

    `T L_{t−1} / (d log 2)`, where `L_{t−1}` is the divergence of the reverse step from the posterior for
    t ≥ 2 and the decoder's `L_0` for t = 1. Over uniform t, its mean is the bound without `L_T`, which no
    training changes.

    Claims: [bound.terms][], [parameterization.L-t-1][], [decoder.bin][], [decoder.bits-per-dim][]. Source:
    Ho et al. 2020, equation 5; Nichol, Dhariwal 2021, equations 4 to 7.

    Args:
        model: the network.
        schedule: the noise schedule.
        x_0: clean images, shape (B, ...).
        t: in 1..T; an int, or an integer tensor of shape (B,).
        noise: standard normal, shaped like `x_0`; it makes `x_t`.
        prediction: what the model predicts.
        variance: the variance σ_t² of the reverse step.
        clip: whether to clip the predicted clean image to [−1, 1]. A clipped pixel has no gradient.
        levels: how many values a pixel has, or None for data without a grid.
        cdf: the decoder's distribution function.

    Returns:
        Shape (B,); float32 for half precision.

    Raises:
        ValueError: if shapes do not match, t is out of range, `x_0` is off the grid of `levels`, or
            `prediction`, `variance`, `levels` or `cdf` is unknown.
        TypeError: if t is not integer or `x_0` not floating point.
    """
    check_choices(prediction, variance)
    check_decoder(levels, cdf)
    x_t = q_sample(schedule, x_0, t, noise)
    output = predict(model, x_t, t, variance=variance)
    step = p_mean_variance(
        schedule, output.prediction_value, x_t, t,
        prediction=prediction, variance=variance, variance_value=output.variance_value, clip=clip,
    )  # fmt: skip
    return _vlb(schedule, step, x_0, t, levels, cdf)


def L_hybrid(
    model: Model,
    schedule: Schedule,
    x_0: Tensor,
    t: int | Tensor,
    noise: Tensor,
    *,
    prediction: Prediction = "eps",
    levels: int | None = 256,
    cdf: CDF = "exact",
    vlb_weight: float = 0.001,
) -> Tensor:
    """Return L_simple for the prediction, and a little of the bound for the learned variance.

    `L_simple + vlb_weight · L_vlb`, per example, in one call of the model. The gradient of `L_vlb` reaches
    the variance only; the mean of the reverse step counts as given.

    Claim: [parameterization.L-hybrid][]. Source: Nichol, Dhariwal 2021, equation 16.

    Args:
        model: the network; it returns twice the channels of `x_t`.
        schedule: the noise schedule.
        x_0: clean images, shape (B, C, ...).
        t: in 1..T; an int, or an integer tensor of shape (B,).
        noise: standard normal, shaped like `x_0`; it makes `x_t`.
        prediction: what the first half of the channels predicts.
        levels: how many values a pixel has, or None for data without a grid.
        cdf: the decoder's distribution function.
        vlb_weight: of the bound, in bits per dimension, against the mean squared error.

    Returns:
        Shape (B,); float32 for half precision.

    Raises:
        ValueError: if shapes do not match, t is out of range, `x_0` is off the grid of `levels`, or
            `prediction`, `levels` or `cdf` is unknown.
        TypeError: if t is not integer or `x_0` not floating point.
    """
    check_choices(prediction, "learned")
    check_decoder(levels, cdf)
    x_t = q_sample(schedule, x_0, t, noise)
    output = predict(model, x_t, t, variance="learned")
    simple = _squared_error(schedule, output, x_0, x_t, t, noise, prediction)
    step = p_mean_variance(
        schedule, output.prediction_value.detach(), x_t, t,
        prediction=prediction, variance="learned", variance_value=output.variance_value, clip=False,
    )  # fmt: skip
    return simple + vlb_weight * _vlb(schedule, step, x_0, t, levels, cdf)


def weight(
    schedule: Schedule, t: int | Tensor, like: Tensor, *, variance: Variance = "fixed_large"
) -> Tensor:
    """Return the factor of `‖eps − eps_hat‖²`, a sum over coordinates, in `L_{t−1}`.

    `λ_t = β_t² / (2 σ_t² α_t (1 − ᾱ_t))`, in nats. L_simple averages over d coordinates, so `L_{t−1}` is
    `d λ_t L_simple` plus what does not depend on the model.

    Claim: [parameterization.weight][]. Source: Ho et al. 2020, equation 12.

    Args:
        schedule: the noise schedule.
        t: in 1..T; an int, or an integer tensor of shape (B,).
        like: the tensor to be weighted, shape (B,) or (B, ...).
        variance: the variance σ_t² of the reverse step, one of the fixed ones.

    Returns:
        Shape (B, 1, ..., 1), or (1, 1, ..., 1) where t is an int.

    Raises:
        ValueError: if t is out of range, or `variance` is unknown or learned: then the weight is the model's.
        TypeError: if t is not integer or `like` not floating point.
    """
    check_choices("eps", variance)
    if variance == "learned":
        raise ValueError("variance must be fixed, 'fixed_large' or 'fixed_small'; got 'learned'")
    schedule.check_t(t, like)
    return schedule.at(f"weight_{variance}", t, like)


def L_t_minus_1(
    model: Model,
    schedule: Schedule,
    x_0: Tensor,
    t: int | Tensor,
    noise: Tensor,
    *,
    prediction: Prediction = "eps",
    variance: Variance = "fixed_large",
    clip: bool = True,
) -> Tensor:
    """Return the bound's term for step t, in nats per example.

    `L_{t−1} = KL(q(x_{t−1} | x_t, x_0) ‖ p(x_{t−1} | x_t))`.

    Claim: [parameterization.L-t-1][]. Source: Ho et al. 2020, equations 5 and 8.

    Args:
        model: the network.
        schedule: the noise schedule.
        x_0: clean images, shape (B, ...).
        t: in 2..T, since the term for t = 1 is the decoder's; an int, or an integer tensor of shape (B,).
        noise: standard normal, shaped like `x_0`; it makes `x_t`.
        prediction: what the model predicts.
        variance: the variance σ_t² of the reverse step.
        clip: whether to clip the predicted clean image to [−1, 1].

    Returns:
        Shape (B,), the sum over coordinates; float32 for half precision.

    Raises:
        ValueError: if shapes do not match, t is out of range, or `prediction` or `variance` is unknown.
        TypeError: if t is not integer or `x_0` not floating point.
    """
    check_choices(prediction, variance)
    schedule.check_t(t, x_0, first=2)
    x_t = q_sample(schedule, x_0, t, noise)
    output = predict(model, x_t, t, variance=variance)
    step = p_mean_variance(
        schedule, output.prediction_value, x_t, t,
        prediction=prediction, variance=variance, variance_value=output.variance_value, clip=clip,
    )  # fmt: skip
    return divergence(schedule, step, x_0, t)


def divergence(schedule: Schedule, step: ReverseStep, x_0: Tensor, t: int | Tensor) -> Tensor:
    """Return `L_{t−1}` of a reverse step that is at hand, in nats per example.

    `KL(q(x_{t−1} | x_t, x_0) ‖ p(x_{t−1} | x_t))`. Both means are the posterior's, for `x_0` and for the
    step's `x0_hat`, so what they owe to `x_t` cancels and is left out, with its rounding. At t = 1, where
    there is no divergence, it is finite and means nothing.

    Claim: [parameterization.L-t-1][].

    Returns:
        Shape (B,), the sum over coordinates; float32 for half precision.
    """
    like = step.x0_hat
    of_x0 = schedule.at("posterior_mean_coef_x0", t, like)
    posterior_variance = schedule.at("variance_fixed_small", t, like)  # and β̃_2 for β̃_1 = 0
    apart = of_x0 * (x_0 - like)  # not the difference of two rounded products
    return kl(Gaussian(apart, posterior_variance), Gaussian(torch.zeros_like(apart), step.variance))


def _vlb(
    schedule: Schedule, step: ReverseStep, x_0: Tensor, t: int | Tensor, levels: int | None, cdf: CDF
) -> Tensor:
    steps = torch.as_tensor(t, device=x_0.device)
    L_0 = -decoder_log_likelihood(Gaussian(step.mean, step.variance), x_0, levels=levels, cdf=cdf)
    nats = torch.where(steps == 1, L_0, divergence(schedule, step, x_0, t))
    return schedule.T * bits_per_dim(nats, x_0.shape[1:].numel())


def _squared_error(
    schedule: Schedule,
    output: Output,
    x_0: Tensor,
    x_t: Tensor,
    t: int | Tensor,
    noise: Tensor,
    prediction: Prediction,
) -> Tensor:
    wanted = target(schedule, x_0, x_t, t, noise, prediction=prediction)
    # Half precision has too few digits to average squares in.
    error = wanted.to(working_dtype(wanted.dtype)) - output.prediction_value
    return error.square().unsqueeze(-1).flatten(1).mean(1)
