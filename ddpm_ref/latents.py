"""Between images, and between images and the latents that DDIM makes them from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from ddpm_ref.gaussian import check_same_shape
from ddpm_ref.noise import Noise, noise_source
from ddpm_ref.objective import Model, predict
from ddpm_ref.process import Prediction, Variance, check_choices, q_sample, to_eps, to_x0
from ddpm_ref.sampler import State, sample
from ddpm_ref.schedule import Schedule, working_dtype
from ddpm_ref.subsequence import taken

__all__ = ["encode", "interpolate", "slerp"]


def interpolate(
    model: Model,
    schedule: Schedule,
    x_0: Tensor,
    x_0_other: Tensor,
    t: int,
    noise: Tensor,
    weights: Sequence[float],
    *,
    steps: Sequence[int] | None = None,
    eta: float | None = None,
    step_noise: Noise | None = None,
    generator: torch.Generator | None = None,
    prediction: Prediction = "eps",
    variance: Variance = "fixed_large",
    clip: bool = True,
) -> Iterator[State]:
    """Interpolate between images: noise both to t, mix them there, and sample from the mixtures.

    `x̄_t = (1 − w) x_t + w x_t'` for each w in `weights`, where `x_t` and `x_t'` are made of `x_0` and
    `x_0_other` with the same `noise`, so that the mixture is as noisy as the model expects at t. The noise of
    the steps is shared between the weights too, so that they differ in nothing else.

    Yields states as [sample][ddpm_ref.sampler.sample] does, with K weights in front: x has shape (K, B, ...).

    Claim: [sampling.interpolation][]. Source: Ho et al. 2020, section 4.4.

    Args:
        model: any callable `(x_t, t) -> prediction`; it is given K·B images at a time.
        schedule: the noise schedule.
        x_0: clean images, shape (B, ...).
        x_0_other: the images at the other end, same shape.
        t: in 1..T. The larger, the more of both is made up anew.
        noise: standard normal, shaped like `x_0`.
        weights: of `x_0_other`, each in [0, 1]; at least one.
        steps: strictly increasing, ending in t; all of 1..t if not given.
        eta: None for ancestral steps; 0 for DDIM.
        step_noise: as `noise` in `sample`, shaped like `x_0`; drawn from `generator` if not given.
        generator: where the noise of the steps comes from; PyTorch's default if not given.
        prediction: what the model predicts.
        variance: the variance of an ancestral step.
        clip: whether to clip the predicted clean image to [−1, 1] at every step.

    Raises:
        ValueError: also if shapes do not match, t is out of range, or `weights` is empty or leaves [0, 1].
    """
    check_same_shape("x_0_other", x_0_other, x_0)
    mixtures = _mix(weights, q_sample(schedule, x_0, t, noise), q_sample(schedule, x_0_other, t, noise))
    shared = noise_source(step_noise, generator, x_0)
    K = len(weights)
    states = sample(
        model, schedule, mixtures.flatten(0, 1), start=t, steps=steps, eta=eta,
        noise=lambda t: shared(t).repeat(K, *(1,) * (x_0.dim() - 1)),
        prediction=prediction, variance=variance, clip=clip,
    )  # fmt: skip
    return (
        State(at, x.reshape(mixtures.shape), None if hat is None else hat.reshape(mixtures.shape))
        for at, x, hat in states
    )


def _mix(weights: Sequence[float], first: Tensor, second: Tensor) -> Tensor:
    w = _weights(weights, first)
    return ((1 - w) * first + w * second).to(first.dtype)


def _weights(weights: Sequence[float], like: Tensor) -> Tensor:
    if not len(weights):
        raise ValueError("weights must hold at least one value; got none")
    for w in weights:
        if not 0 <= w <= 1:  # also false for nan
            raise ValueError(f"weights must be in [0, 1]; got {w}")
    dtype = working_dtype(like.dtype)
    return torch.as_tensor(list(weights), dtype=dtype, device=like.device).reshape(-1, *(1,) * like.dim())


def slerp(first: Tensor, second: Tensor, weights: Sequence[float]) -> Tensor:
    """Interpolate along great circles, each example flattened: `(sin((1−w)θ) u + sin(wθ) v) / sin θ`.

    Here θ is the angle between u and v. Vectors of equal length keep it on the way, which a straight line
    does not: half-way between two long standard normal latents it has lost three tenths of its length. Meant
    for DDIM latents, as [encode][ddpm_ref.latents.encode] makes them. Where u and v are parallel, it is the
    limit, a straight line.

    Claim: [sampling.slerp][]. Source: Song, Meng, Ermon 2021, equation 67.

    Args:
        first: shape (B, ...), not zero.
        second: the same shape, not zero.
        weights: of `second`, each in [0, 1]; at least one.

    Returns:
        Shape (K, B, ...).

    Raises:
        ValueError: if shapes do not match, a vector is zero or not finite, `weights` is empty or leaves
            [0, 1], or two vectors point in opposite directions, where there is no one shortest way.
    """
    check_same_shape("second", second, first)
    w = _weights(weights, first)
    u, v = (x.to(w.dtype).reshape(len(x), -1) for x in (first, second))
    lengths = [x.norm(dim=1, keepdim=True) for x in (u, v)]
    for name, length in zip(("first", "second"), lengths, strict=True):
        if not bool(((length > 0) & length.isfinite()).all()):  # false for nan
            raise ValueError(f"{name} must be finite and not zero: it has no direction otherwise")
    along, across = u / lengths[0], v / lengths[1]
    # Kahan's formula: acos would lose half of the digits of small angles.
    angle = 2 * torch.atan2((along - across).norm(dim=1), (along + across).norm(dim=1))
    if bool((angle >= torch.pi * (1 - torch.finfo(w.dtype).eps)).any()):
        raise ValueError("first and second must not point in opposite directions; got an angle of π")
    theta = angle.reshape(-1, *(1,) * (first.dim() - 1))
    straight = theta == 0
    safe = torch.where(straight, 1, theta)
    of_first = torch.where(straight, 1 - w, ((1 - w) * safe).sin() / safe.sin())
    of_second = torch.where(straight, w, (w * safe).sin() / safe.sin())
    return (of_first * first + of_second * second).to(first.dtype)


# -- from images to latents ----------------------------------------------------------------------------------


def encode(
    model: Model,
    schedule: Schedule,
    x_0: Tensor,
    *,
    steps: Sequence[int] | None = None,
    rounds: int = 1,
    prediction: Prediction = "eps",
    variance: Variance = "fixed_large",
) -> Iterator[State]:
    """Walk DDIM's steps backwards, from an image to the latent that DDIM takes to it.

    From s to the next t,

        x_t = √(ᾱ_t/ᾱ_s) x_s + (√(1 − ᾱ_t) − √(ᾱ_t/ᾱ_s) √(1 − ᾱ_s)) ε̂

    where ε̂ should be the model's at `x_t`, which is what is sought. One round takes it at `x_s` instead; each
    further one takes it at the `x_t` found so far. Where that settles, sampling with `eta=0.0`, the same
    steps and `clip=False` leads back to `x_0`; a clipped step has no inverse.

    Yields N+1 states, with t = 0 first and the latent last.

    Claim: [sampling.ddim-inversion][]. Source: Song, Meng, Ermon 2021, section 4.3.

    Args:
        model: any callable `(x_t, t) -> prediction`, where t is an int64 tensor of shape (B,) in 1..T.
        schedule: the noise schedule that the model was trained with.
        x_0: clean images, shape (B, ...).
        steps: strictly increasing; all if not given. The latent stands at the last of them.
        rounds: model evaluations per step, at least 1.
        prediction: what the model predicts.
        variance: "learned" if the model returns twice the channels; of no effect otherwise.

    Raises:
        ValueError: at once, if `steps` is out of range or not increasing, `rounds` is less than 1, `x_0` is
            not finite, or `prediction` or `variance` is unknown; during the loop, if the model returns a
            wrong shape.
        TypeError: at once, if `x_0` is not floating point, or `steps` not a sequence of integers.
        FloatingPointError: during the loop, if a state is not finite.
    """
    check_choices(prediction, variance)
    if type(rounds) is not int or rounds < 1:
        raise ValueError(f"rounds must be an integer, at least 1; got {rounds!r}")
    walk = taken(schedule, x_0, steps[-1] if steps else None, steps, 0.0, "x_0")

    def states() -> Iterator[State]:
        x = x_0
        yield State(0, x, None)
        for i in range(1, walk.T + 1):
            t = walk.at_step(i)
            with torch.no_grad():
                kept = walk.at("sqrt_alpha", i, x) * x
                before, after = (walk.at("sqrt_one_minus_alpha_bar", j, x) for j in (i - 1, i))
                # The difference of the roots, as a quotient in which nothing cancels.
                factor = walk.at("beta", i, x) / (after + walk.at("sqrt_alpha", i, x) * before)
                for _ in range(rounds):
                    output = predict(model, x, t, variance=variance)
                    eps = to_eps(schedule, output.prediction_value, x, t, prediction=prediction)
                    x = (kept + factor * eps).to(x_0.dtype)
                x0_hat = to_x0(schedule, eps, x, t)
            if not bool(x.isfinite().all()):
                raise FloatingPointError(f"the state must be finite; got nan or infinity at t = {t}")
            yield State(t, x, x0_hat)

    return states()
