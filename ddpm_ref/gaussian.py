"""Gaussians with a diagonal covariance: log-density and Kullback–Leibler divergence, in nats per example."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from ddpm_ref.schedule import working_dtype

__all__ = ["Gaussian", "kl", "log_density"]


class Gaussian(NamedTuple):
    """A Gaussian whose coordinates are independent: its mean, and its variance per coordinate."""

    mean: Tensor  # (B, ...)
    variance: Tensor  # broadcasts to (B, ...); (B, 1, ..., 1) is isotropic


def log_density(p: Gaussian, x: Tensor) -> Tensor:
    """Return `log p(x)`, summed over the coordinates.

    `log N(x; μ, σ²) = −½ [log 2πσ² + (x − μ)²/σ²]` per coordinate, in nats.

    Claim: [gaussians.density][].

    Args:
        p: mean of shape (B, ...); every variance positive.
        x: shape (B, ...).

    Returns:
        Shape (B,); float32 for half precision.

    Raises:
        ValueError: if `x` and the mean differ in shape, or the variance does not broadcast to it.
    """
    mean, variance = _wide(p)
    _check_same_shape("x", x, mean)
    return -0.5 * _per_example((2 * math.pi * variance).log() + (x - mean).square() / variance, mean)


def kl(p: Gaussian, q: Gaussian) -> Tensor:
    """Return the divergence `KL(p ‖ q)`, summed over the coordinates.

    `½ [log σ_q²/σ_p² + σ_p²/σ_q² − 1 + (μ_p − μ_q)²/σ_q²]` per coordinate, in nats. Accurate to rounding also
    where the variances nearly agree.

    Claim: [parameterization.kl][].

    Args:
        p: mean of shape (B, ...); every variance positive.
        q: mean of the same shape; every variance positive.

    Returns:
        Shape (B,); float32 for half precision.

    Raises:
        ValueError: if the means differ in shape, or a variance does not broadcast to them.
    """
    p, q = _wide(p), _wide(q)
    _check_same_shape("the mean of q", q.mean, p.mean)
    excess = _ratio_excess(p.variance, q.variance)
    return 0.5 * _per_example(excess + (p.mean - q.mean).square() / q.variance, p.mean)


def _ratio_excess(a: Tensor, b: Tensor) -> Tensor:
    """Return r − 1 − log r for r = a/b, without cancellation near r = 1."""
    r = a / b
    # With u = r − 1 and w = u/(2 + u), log r = 2 artanh w = 2 (w + w³/3 + w⁵/5 + …) and u − 2w = u w.
    u = ((a - b) / b).clamp(-0.25, 0.25)
    w = u / (2 + u)
    series = torch.zeros_like(w)
    for k in range(25, 1, -2):  # (w²)¹² < 1e-20 where |u| ≤ 1/4
        series = series * w.square() + 1 / k
    return torch.where((r - 1).abs() < 0.25, u * w - 2 * w**3 * series, r - 1 - r.log())


def _wide(p: Gaussian) -> Gaussian:
    mean, variance = (x.to(working_dtype(x.dtype)) for x in p)
    if variance.dim() > mean.dim() or any(
        v not in (1, m) for v, m in zip(reversed(variance.shape), reversed(mean.shape), strict=False)
    ):
        raise ValueError(
            f"variance must broadcast to the mean's shape {tuple(mean.shape)}; got {tuple(variance.shape)}"
        )
    return Gaussian(mean, variance)


def _per_example(x: Tensor, like: Tensor) -> Tensor:
    return x.expand_as(like).unsqueeze(-1).flatten(1).sum(1)


def _check_same_shape(name: str, x: Tensor, like: Tensor) -> None:
    if x.shape != like.shape:
        raise ValueError(f"{name} must have shape {tuple(like.shape)}; got {tuple(x.shape)}")
