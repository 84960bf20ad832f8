"""The decoder: the last reverse step as a distribution over pixel values.

With `levels` values on a grid from −1 to 1, each value has the mass of the bin around it: half the distance
to either neighbour, and open at both ends of the scale. The masses sum to one, so their logarithm is a
likelihood, which a density's is not.

Source: Ho, Jain, Abbeel 2020, section 3.3, equation 13.
"""

from __future__ import annotations

import math
from typing import Literal, get_args

import torch
from torch import Tensor
from torch.special import erfc, erfcx

from ddpm_ref.gaussian import Gaussian, check_same_shape, log_density, sum_coordinates, widen
from ddpm_ref.schedule import working_dtype

__all__ = [
    "CDF",
    "bits_per_dim",
    "check_decoder",
    "check_levels",
    "decoder_log_likelihood",
    "from_levels",
]

CDF = Literal["exact", "tanh"]
"""The distribution function of the last step: the Gaussian's, or the approximation of the original code."""

# Gauss–Legendre on [−1, 1], as weights of a mean. Eight nodes are exact to 1e-17 where they are used.
_NODES = (
    (0.18343464249564980, 0.18134189168918099),
    (0.52553240991632899, 0.15685332293894364),
    (0.79666647741362674, 0.11119051722668724),
    (0.96028985649753623, 0.05061426814518813),
)


def from_levels(k: Tensor, levels: int = 256) -> Tensor:
    """Put pixel values on [−1, 1]: `x_0 = 2k/(levels − 1) − 1`.

    Bytes have 256 levels, `k/127.5 − 1`; the digits 17, `k/8 − 1`.

    Claim: [decoder.scaling][]. Source: Ho et al. 2020, section 3.3.

    Args:
        k: whole numbers 0 … levels − 1, any shape; PyTorch's default dtype is used where it is an integer's.
        levels: how many values there are, at least 2.

    Raises:
        ValueError: if `levels` is below 2.
    """
    check_decoder(levels)
    k = k if k.is_floating_point() else k.to(torch.get_default_dtype())
    return 2 * k / (levels - 1) - 1


def check_levels(x_0: Tensor, levels: int) -> None:
    """Raise unless every entry lies on the grid of `levels` values.

    Two units of rounding are allowed, of float32 at least: the images may have come through it.

    Raises:
        ValueError: if a value is not on the grid, naming it; or the dtype is too coarse for the grid.
    """
    check_decoder(levels)
    allowed = 2 * max(torch.finfo(x_0.dtype).eps, torch.finfo(torch.float32).eps)
    if 4 * allowed > 2 / (levels - 1):
        raise ValueError(f"x_0 must be float32 or wider to tell {levels} levels apart; got {x_0.dtype}")
    off = (x_0 - _snap(x_0, levels)).abs() > allowed
    off |= (x_0.abs() > 1 + allowed) | x_0.isnan()
    if bool(off.any()):
        raise ValueError(
            f"x_0 must hold {levels} values evenly spaced from −1 to 1, as levels={levels} says; got "
            f"{float(x_0[off][0]):.6g} (levels=None is for data without a grid)"
        )


def decoder_log_likelihood(
    p: Gaussian, x_0: Tensor, *, levels: int | None = 256, cdf: CDF = "exact"
) -> Tensor:
    """Return `log p(x_0 | x_1)` in nats: each coordinate's mass, multiplied.

    `p(k) = F(δ₊(k)) − F(δ₋(k))` with edges `δ± = x_0(k) ± 1/(levels − 1)`, except `F = 0` below the lowest
    value and `F = 1` above the highest. `F(x) = Φ((x − μ)/σ)`; with `cdf="tanh"`
    `Φ(u) ≈ ½ (1 + tanh(√(2/π) (u + 0.044715 u³)))`. Nothing underflows and no digit cancels, however far
    x_0 lies from the mean, so there is no floor under the masses; the original code has one, 1e-12, which
    makes them sum to more than one.

    Without a grid, `levels=None`, it is the log-density instead, [gaussians.density][].

    Claims: [decoder.bin][], [decoder.edges][], [decoder.tanh][], [decoder.sums-to-one][]. Source: Ho et al.
    2020, equation 13.

    Args:
        p: the last step's law, mean of shape (B, ...); every variance positive.
        x_0: images on the grid, shape (B, ...). Rounding is taken off. Whether they are on the grid is
            checked on the CPU only; see [check_levels][ddpm_ref.decoder.check_levels].
        levels: how many values there are, at least 2; or None.
        cdf: the distribution function.

    Returns:
        Shape (B,), the sum over coordinates; float32 for half precision.

    Raises:
        ValueError: if `levels` or `cdf` is not one of these, shapes differ, or `x_0` is off the grid.
    """
    check_decoder(levels, cdf)
    if levels is None:
        return log_density(p, x_0)
    mean, variance = widen(p)
    check_same_shape("x_0", x_0, mean)
    if x_0.device.type == "cpu":
        check_levels(x_0, levels)
    x_0 = _snap(x_0.to(mean.dtype), levels)
    sigma = variance.sqrt()
    log_mass = _log_mass_exact if cdf == "exact" else _log_mass_tanh
    # In units of σ: the pixel value's distance from the mean, and half the width of its bin.
    centre = (x_0 - mean) / sigma
    half_width = (1 / ((levels - 1) * sigma)).expand_as(centre)
    return sum_coordinates(log_mass(centre, half_width, x_0 == -1, x_0 == 1), mean)


def bits_per_dim(nats: Tensor, d: int) -> Tensor:
    """Turn nats per example into bits for each of its d coordinates: `nats / (d log 2)`.

    Claim: [decoder.bits-per-dim][].

    Raises:
        ValueError: if d is below 1.
    """
    if d < 1:
        raise ValueError(f"d must be at least 1; got {d}")
    return nats / (d * math.log(2))


def check_decoder(levels: int | None, cdf: str = "exact") -> None:
    """Raise `ValueError` unless `decoder_log_likelihood` knows both."""
    if levels is not None and (type(levels) is not int or levels < 2):
        raise ValueError(f"levels must be an integer, at least 2, or None; got {levels!r}")
    if cdf not in get_args(CDF):
        raise ValueError(f"cdf must be one of {', '.join(get_args(CDF))}; got {cdf!r}")


def _snap(x_0: Tensor, levels: int) -> Tensor:
    x_0 = x_0.to(working_dtype(x_0.dtype))
    return from_levels(((x_0 + 1) / 2 * (levels - 1)).round(), levels)


def _log_mass_exact(c: Tensor, w: Tensor, lowest: Tensor, highest: Tensor) -> Tensor:
    """Return `log(Φ(c + w) − Φ(c − w))`, with the bin open below or above where it says so."""
    # Each branch of a `where` gets arguments at which it is finite, or the gradient would be nan.
    r = c.abs()  # by symmetry the bin may lie on the left, where the logarithms of Φ keep their digits
    narrow = (w <= 0.5) & (r * w <= 1)

    # Density in the middle, times width, times the mean of the density over that in the middle.
    near, thin = torch.where(narrow, r, 0), torch.where(narrow, w, 0.5)
    mean = torch.zeros_like(r)
    for node, share in _NODES:
        s = thin * node
        mean = mean + share * ((-s * (near + s / 2)).exp() + (s * (near - s / 2)).exp())
    of_narrow = (2 * thin * mean / math.sqrt(2 * math.pi)).log() - near.square() / 2

    # The left tail of the right edge, less a share that is not nearly all of it.
    far, thick = torch.where(narrow, 0, r), torch.where(narrow, 1, w)
    right = _log_cdf(thick - far)
    # Φ falls by e^(−2rw) at least from edge to edge, also where the edges' difference is lost in rounding.
    fall = torch.maximum(right - _log_cdf(-far - thick), 2 * far * thick)
    of_wide = right + (-torch.expm1(-fall)).log()

    open_ended = _log_cdf(w + torch.where(highest, -c, c))
    return torch.where(lowest | highest, open_ended, torch.where(narrow, of_narrow, of_wide))


def _log_cdf(u: Tensor) -> Tensor:
    """Return `log Φ(u)`; unlike that of `torch.special.log_ndtr`, its gradient keeps its digits far left."""
    left = u < 0
    below, above = torch.where(left, u, 0), torch.where(left, 0, u)
    tail = (erfcx(below / -math.sqrt(2)) / 2).log() - below.square() / 2
    return torch.where(left, tail, torch.log1p(-erfc(above / math.sqrt(2)) / 2))


def _log_mass_tanh(c: Tensor, w: Tensor, lowest: Tensor, highest: Tensor) -> Tensor:
    """Return the same with `½ (1 + tanh g(u))`, which is the logistic function of 2g(u), for Φ(u)."""
    slope, cubic = 2 * math.sqrt(2 / math.pi), 0.044715
    above, below = (slope * (u + cubic * u**3) for u in (c + w, c - w))
    apart = 2 * slope * w * (1 + cubic * (3 * c.square() + w.square()))  # above − below, not cancelled
    up_to, from_there = (torch.nn.functional.logsigmoid(y) for y in (above, -below))
    closed = up_to + from_there + (-torch.expm1(-apart)).log()
    return torch.where(lowest, up_to, torch.where(highest, from_there, closed))
