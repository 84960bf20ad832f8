"""Gaussians with a diagonal covariance: log-density and Kullback–Leibler divergence, in nats per example.

Numbers are not looked at, which would make a device wait: a nan makes that example nan.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from ddpm_ref.schedule import working_dtype

__all__ = ["Gaussian", "check_same_shape", "kl", "log_density", "log_excess", "sum_coordinates", "widen"]


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
    mean, variance = widen(p)
    check_same_shape("x", x, mean)
    off = x - mean  # divided before it is squared, so that a square that over- or underflows is no step
    return -0.5 * sum_coordinates((2 * math.pi * variance).log() + off / variance * off, mean)


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
    p, q = widen(p), widen(q)
    check_same_shape("the mean of q", q.mean, p.mean)
    r, apart = p.variance / q.variance, p.mean - q.mean
    info = torch.finfo(r.dtype)
    lost = r < info.tiny  # a quotient that underflows still has a logarithm
    of_variances = log_excess(
        torch.where(lost, 1, r).clamp(max=info.max), (p.variance - q.variance) / q.variance
    ) - torch.where(lost, p.variance.log() - q.variance.log(), 0)
    # Divided before it is squared, so that a square that over- or underflows is no step.
    return 0.5 * sum_coordinates(of_variances + apart / q.variance * apart, p.mean)


def log_excess(r: Tensor, u: Tensor) -> Tensor:
    """Return `r − 1 − log r`, given both r > 0 and `u = r − 1`, without cancellation near r = 1.

    It is twice what a coordinate pays in the divergence for its variance, r being the ratio of the variances.

    Claim: [parameterization.kl][].
    """
    # With w = u/(2 + u), log r = 2 artanh w = 2 (w + w³/3 + w⁵/5 + …) and u − 2w = u w.
    v = u.clamp(-0.25, 0.25)
    w = v / (2 + v)
    series = torch.zeros_like(w)
    for k in range(25, 1, -2):  # (w²)¹² < 1e-20 where |u| ≤ 1/4
        series = series * w.square() + 1 / k
    return torch.where(u.abs() < 0.25, v * w - 2 * w**3 * series, u - r.log())


def widen(p: Gaussian) -> Gaussian:
    """Return p in the dtype to compute in.

    Raises:
        ValueError: if the variance does not broadcast to the mean's shape.
    """
    mean, variance = (x.to(working_dtype(x.dtype)) for x in p)
    if variance.dim() > mean.dim() or any(
        v not in (1, m) for v, m in zip(reversed(variance.shape), reversed(mean.shape), strict=False)
    ):
        raise ValueError(
            f"variance must broadcast to the mean's shape {tuple(mean.shape)}; got {tuple(variance.shape)}"
        )
    return Gaussian(mean, variance)


def sum_coordinates(x: Tensor, like: Tensor) -> Tensor:
    """Broadcast x to the shape of `like`, (B, ...), and add up the coordinates of each example: (B,)."""
    return x.expand_as(like).unsqueeze(-1).flatten(1).sum(1)


def check_same_shape(name: str, x: Tensor, like: Tensor) -> None:
    """Raise `ValueError` unless both have the same shape."""
    if x.shape != like.shape:
        raise ValueError(f"{name} must have shape {tuple(like.shape)}; got {tuple(x.shape)}")
