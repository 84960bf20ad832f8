"""Data whose truth is known: a Gaussian and a mixture of Gaussians over images.

A law draws images, gives their exact log-density and their entropy. A model trained on them can then be held
against the truth: its bound against the entropy, its predictions against the exact denoiser of
[denoisers][ddpm_ref.denoisers]. All is computed in float64. Densities are of continuous images, which are not
confined to [−1, 1]: sample without clipping, and let the last term of the bound be a density's too.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import torch
from torch import Tensor

from ddpm_ref.gaussian import Gaussian, log_density
from ddpm_ref.schedule import working_dtype

__all__ = ["Estimate", "GaussianLaw", "MixtureLaw", "gaussian_images", "mixture_images"]


class Estimate(NamedTuple):
    """A mean of draws."""

    value: float
    error: float  # its standard error

    @classmethod
    def of(cls, draws: Tensor) -> Estimate:
        """Average draws of shape (N,), N at least 2."""
        deviation, mean = torch.std_mean(draws.double())
        return cls(float(mean), float(deviation) / math.sqrt(len(draws)))


@dataclass(frozen=True, eq=False)
class GaussianLaw:
    """Gaussian images.

    Attributes:
        mean: of one image, any shape; d is its number of coordinates.
        covariance: a positive variance for all coordinates, shape (); or one for each, shaped like the mean;
            or the covariance of the flattened image, shape (d, d), symmetric and positive definite.

    Raises:
        ValueError: if the covariance has another shape, or is not finite, symmetric and positive.
    """

    mean: Tensor
    covariance: Tensor

    def __post_init__(self) -> None:
        d, given = self.mean.numel(), self.covariance
        shapes = ((), tuple(self.mean.shape), (d, d))
        if tuple(given.shape) not in shapes:
            raise ValueError(
                f"covariance must have shape (), {shapes[1]} or {shapes[2]}; got {tuple(given.shape)}"
            )
        if not bool(self.mean.isfinite().all() and given.isfinite().all()):
            raise ValueError("mean and covariance must be finite; got nan or infinity")
        if self._is_full and not torch.allclose(given, given.T, rtol=1e-6, atol=0):
            raise ValueError("covariance must be symmetric")
        if (least := float(self.variances.min())) <= 0:
            raise ValueError(f"covariance must be positive; its smallest variance is {least:.3g}")

    @property
    def _is_full(self) -> bool:
        return self.covariance.dim() == 2 and self.covariance.shape != self.mean.shape

    @cached_property
    def _spectrum(self) -> tuple[Tensor, Tensor | None]:
        if self._is_full:
            values, basis = torch.linalg.eigh(self.covariance.double())
            return values, basis
        return self.covariance.double().expand(self.mean.shape).reshape(-1), None

    @property
    def variances(self) -> Tensor:
        """The variances along `axes`, shape (d,): the eigenvalues of the covariance."""
        return self._spectrum[0]

    @property
    def axes(self) -> Tensor | None:
        """The principal axes as columns, shape (d, d); None if they are the coordinates' own."""
        return self._spectrum[1]

    def along_axes(self, x: Tensor) -> Tensor:
        """Rotate flat images (..., d) so that their coordinates are independent."""
        return x if self.axes is None else x @ self.axes.to(x.device)

    def from_axes(self, y: Tensor) -> Tensor:
        """Undo `along_axes`."""
        return y if self.axes is None else y @ self.axes.to(y.device).T

    def sample(
        self, n: int, generator: torch.Generator | None = None, *, dtype: torch.dtype = torch.float32
    ) -> Tensor:
        """Draw n images: shape (n, ...), on the CPU."""
        z = torch.randn(n, self.mean.numel(), generator=generator, dtype=torch.float64)
        images = self.mean.double().reshape(-1) + self.from_axes(self.variances.sqrt() * z)
        return images.reshape(n, *self.mean.shape).to(dtype)

    def log_density(self, x: Tensor) -> Tensor:
        """Return the log-density of images (B, ...), in nats, shape (B,).

        Claim: [gaussians.density][], along each axis.

        Raises:
            ValueError: if the images are not shaped like the mean.
        """
        y = self.along_axes(flat(x, self.mean) - self.mean.to(x.device).double().reshape(-1))
        law = Gaussian(torch.zeros_like(y), self.variances.to(y.device).expand_as(y))
        return log_density(law, y).to(working_dtype(x.dtype))

    def entropy(self) -> float:
        """Return `½ Σ (log 2π s_i² + 1)` over the variances along the axes, in nats.

        Claim: [parameterization.entropy][].
        """
        return float(0.5 * ((2 * math.pi * self.variances).log() + 1).sum())


@dataclass(frozen=True, eq=False)
class MixtureLaw:
    """A mixture of Gaussians, each with independent coordinates.

    Attributes:
        weights: positive, shape (K,); they need not add up to one.
        means: one image for each component, shape (K, ...).
        variances: positive; one for all, shape (), one for each component, (K,), or shaped like the means.

    Raises:
        ValueError: if shapes do not match, or a weight or variance is not positive and finite.
    """

    weights: Tensor
    means: Tensor
    variances: Tensor

    def __post_init__(self) -> None:
        K = self.means.shape[0] if self.means.dim() else 0
        if tuple(self.weights.shape) != (K,) or not K:
            raise ValueError(
                f"weights must have shape (K,) for means of shape (K, ...); got {tuple(self.weights.shape)} "
                f"and {tuple(self.means.shape)}"
            )
        if tuple(self.variances.shape) not in ((), (K,), tuple(self.means.shape)):
            raise ValueError(
                f"variances must have shape (), ({K},) or {tuple(self.means.shape)}; "
                f"got {tuple(self.variances.shape)}"
            )
        for name in ("weights", "variances"):
            given = getattr(self, name)
            if not bool(((given > 0) & given.isfinite()).all()):  # false for nan
                raise ValueError(
                    f"{name} must be positive and finite; got {given.min():.3g} to {given.max():.3g}"
                )
        if not bool(self.means.isfinite().all()):
            raise ValueError("means must be finite; got nan or infinity")

    @cached_property
    def log_weights(self) -> Tensor:
        """The logarithms of the weights, which then add up to one; shape (K,)."""
        return self.weights.double().log().log_softmax(0)

    @cached_property
    def spreads(self) -> Tensor:
        """The variance of each coordinate in each component, flattened: (K, d)."""
        K = len(self.weights)
        each = self.variances.double()
        if each.dim() < 2:
            each = each.reshape(-1, *(1,) * (self.means.dim() - 1))
        return each.expand(self.means.shape).reshape(K, -1)

    @cached_property
    def centres(self) -> Tensor:
        """The components' means, flattened: (K, d)."""
        return self.means.double().reshape(len(self.weights), -1)

    def _draw(self, n: int, generator: torch.Generator | None) -> Tensor:
        which = torch.multinomial(self.log_weights.exp(), n, replacement=True, generator=generator)
        z = torch.randn(n, self.centres.shape[1], generator=generator, dtype=torch.float64)
        return self.centres[which] + self.spreads[which].sqrt() * z

    def sample(
        self, n: int, generator: torch.Generator | None = None, *, dtype: torch.dtype = torch.float32
    ) -> Tensor:
        """Draw n images: shape (n, ...), on the CPU."""
        return self._draw(n, generator).reshape(n, *self.means.shape[1:]).to(dtype)

    def joint(self, x: Tensor) -> Tensor:
        """Return `log w_k + log N(x; m_k, s_k²)` of images (B, ...), in nats, shape (B, K).

        Claim: [gaussians.density][].

        Raises:
            ValueError: if the images are not shaped like the means.
        """
        return log_joint(flat(x, self.means[0]), self.log_weights, self.centres, self.spreads)

    def log_density(self, x: Tensor) -> Tensor:
        """Return the log-density of images (B, ...), in nats, shape (B,).

        Claim: [score.mixture-surprise][].

        Raises:
            ValueError: if the images are not shaped like the means.
        """
        return self.joint(x).logsumexp(1).to(working_dtype(x.dtype))

    def entropy(self, draws: int = 20_000, generator: torch.Generator | None = None) -> Estimate:
        """Return the entropy in nats, with a standard error.

        `Σ w_k (½ Σ (log 2π s_k² + 1) − log w_k) − E[H(k | x)]`: all but the last is a closed form, and what
        is drawn lies between 0 and log K, so by Hoeffding's inequality the error exceeds `log K √(4/draws)`
        with probability at most 7e-4. Components that do not overlap make it exact.

        Claim: [score.mixture-surprise][], in the mean.

        Args:
            draws: images to average over, at least 2.
            generator: where they come from, on the CPU; a generator with seed 0 if not given.

        Raises:
            ValueError: if `draws` is below 2.
        """
        if draws < 2:
            raise ValueError(f"draws must be at least 2; got {draws}")
        if generator is None:
            generator = torch.Generator().manual_seed(0)
        log_r = log_joint(
            self._draw(draws, generator), self.log_weights, self.centres, self.spreads
        ).log_softmax(1)
        unknown = Estimate.of(-(log_r.exp() * log_r).sum(1))
        of_components = 0.5 * ((2 * math.pi * self.spreads).log() + 1).sum(1) - self.log_weights
        known = float((self.log_weights.exp() * of_components).sum())
        return Estimate(known - unknown.value, unknown.error)


def log_joint(x: Tensor, log_weights: Tensor, centres: Tensor, spreads: Tensor) -> Tensor:
    """Return `log w_k + log N(x; m_k, s_k²)` for flat x (B, d) and components (K, d) or (B, K, d): (B, K).

    Claim: [gaussians.density][].
    """
    x = x.unsqueeze(1)
    centres, spreads = centres.to(x.device), spreads.to(x.device)
    exponent = (2 * math.pi * spreads).log() + (x - centres).square() / spreads
    return log_weights.to(x.device) - 0.5 * exponent.sum(-1)


def flat(x: Tensor, like: Tensor) -> Tensor:
    """Return images (B, ...) as float64 (B, d).

    Raises:
        TypeError: if they are not floating point.
        ValueError: if an image does not have the shape of `like`.
    """
    if not x.is_floating_point():
        raise TypeError(f"images must be floating point; got {x.dtype}")
    if x.shape[1:] != like.shape or not x.dim():
        wanted = ", ".join(["B", *map(str, like.shape)])
        raise ValueError(f"images must have shape ({wanted}); got {tuple(x.shape)}")
    return x.double().reshape(len(x), like.numel())


# -- two laws to train on ------------------------------------------------------------------------------------


def gaussian_images(size: int = 8) -> GaussianLaw:
    """Grey images of size×size whose pixels are correlated: `Cov(x_i, x_j) = 0.35² exp(−|i − j| / 2)`.

    The mean rises from −0.25 in one corner to 0.25 in the opposite one.
    """
    ramp = torch.linspace(-0.125, 0.125, size, dtype=torch.float64)
    row, column = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    places = torch.stack([row, column], -1).reshape(-1, 2).double()
    distance = (places.unsqueeze(1) - places).square().sum(-1).sqrt()
    return GaussianLaw((ramp.unsqueeze(1) + ramp).unsqueeze(0), 0.35**2 * (-distance / 2).exp())


def mixture_images(size: int = 8) -> MixtureLaw:
    """Grey images of size×size of three kinds: columns, rows and a checkerboard of ±0.5, with pixel noise.

    Their shares are 0.5, 0.3 and 0.2, and the noise has deviation 0.1, 0.2 and 0.3.
    """
    row, column = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    patterns = torch.stack([column // 2 % 2, row // 2 % 2, (row // 2 + column // 2) % 2]).double()
    return MixtureLaw(
        torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64),
        (patterns - 0.5).unsqueeze(1),
        torch.tensor([0.1, 0.2, 0.3], dtype=torch.float64).square(),
    )
