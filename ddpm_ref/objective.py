"""What training minimises: L_simple, and the bound's terms L_1 … L_{T−1} that it reweights.

A model is any callable `(x_t, t) -> prediction` with `t` an int64 tensor of shape (B,) holding the paper's t,
in 1..T, and the prediction shaped like `x_t`.

Source: Ho, Jain, Abbeel 2020, sections 3.2 and 3.4.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ddpm_ref.gaussian import Gaussian, kl
from ddpm_ref.process import (
    Prediction,
    Variance,
    check_choices,
    p_mean_variance,
    q_posterior,
    q_sample,
    target,
)
from ddpm_ref.schedule import Schedule, working_dtype

__all__ = ["L_simple", "L_t_minus_1", "Model", "predict", "weight"]

Model = Callable[[Tensor, Tensor], Tensor]
"""`(x_t, t) -> prediction`."""


def predict(model: Model, x_t: Tensor, t: int | Tensor) -> Tensor:
    """Call the model with t as an int64 tensor of shape (B,), and check the shape of its answer.

    Raises:
        ValueError: if the prediction is not shaped like `x_t`.
    """
    steps = (
        x_t.new_full(x_t.shape[:1], t, dtype=torch.long)
        if isinstance(t, int)
        else t.to(x_t.device, torch.long)
    )
    prediction_value = model(x_t, steps)
    if prediction_value.shape != x_t.shape:
        raise ValueError(
            f"the model must return the shape of x_t, {tuple(x_t.shape)}; got {tuple(prediction_value.shape)}"
        )
    return prediction_value


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
    wanted = target(schedule, x_0, x_t, t, noise, prediction=prediction)
    # Half precision has too few digits to average squares in.
    error = wanted.to(working_dtype(wanted.dtype)) - predict(model, x_t, t)
    return error.square().unsqueeze(-1).flatten(1).mean(1)


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
        variance: the variance σ_t² of the reverse step.

    Returns:
        Shape (B, 1, ..., 1), or (1, 1, ..., 1) where t is an int.

    Raises:
        ValueError: if t is out of range or `variance` is unknown.
        TypeError: if t is not integer or `like` not floating point.
    """
    check_choices("eps", variance)
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
    step = p_mean_variance(
        schedule, predict(model, x_t, t), x_t, t, prediction=prediction, variance=variance, clip=clip
    )
    return kl(q_posterior(schedule, x_0, x_t, t), Gaussian(step.mean, step.variance))
