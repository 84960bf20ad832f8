"""Exact denoisers: what a perfect network would answer, for data whose law is known.

A denoiser is a callable `(x_t, t) -> eps`, so it can stand wherever a model does: in the loss, the bound
and the samplers. Its answer is the conditional mean of the noise given `x_t`, and no network has a smaller
squared error. Its other methods give the same knowledge in other forms.

All is computed in float64, whatever the dtype of `x_t`, and rounded once to it. At t = 1 the weights of a
data set's images are nearly one-hot, and at any t a component can be so unlikely that its density underflows:
everything goes through logarithms. A nan in `x_t` makes that example's answer nan; a law or a data set that
is not finite is refused.

Source: Ho, Jain, Abbeel 2020, section 3.2; for the conditional mean, Efron 2011.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from ddpm_ref.gaussian import Gaussian, log_density
from ddpm_ref.laws import GaussianLaw, MixtureLaw, flat, log_joint
from ddpm_ref.schedule import Schedule, working_dtype

__all__ = ["DatasetDenoiser", "Denoiser", "GaussianDenoiser", "MixtureDenoiser"]

_ENTRIES = 2**22
"""Float64 numbers in the largest temporary array: 32 MiB."""


class _State(NamedTuple):
    x: Tensor  # x_t, (B, d)
    signal: Tensor  # √ᾱ_t, (B, 1) or (1, 1), like those below
    alpha_bar: Tensor
    sigma: Tensor  # √(1 − ᾱ_t)
    variance: Tensor  # 1 − ᾱ_t


class Denoiser(ABC):
    """What `x_t` tells about the image and the noise, for data of a known law.

    Every method takes `x_t` of shape (B, ...) and t in 1..T, an int or an integer tensor of shape (B,).

    Attributes:
        schedule: the noise schedule.

    Raises:
        ValueError: by every method, if `x_t` does not have the data's shape or t is out of range.
        TypeError: by every method, if t is not integer or `x_t` not floating point.
    """

    def __init__(self, schedule: Schedule, like: Tensor) -> None:
        self.schedule = schedule
        self._like = like  # an image

    def __call__(self, x_t: Tensor, t: int | Tensor) -> Tensor:
        """Return the best prediction of the noise, `E[eps | x_t]`, shaped like `x_t`.

        Claims: [score.optimal-eps][], [sampling.gaussian-denoiser][].
        """
        return self._eps(self._state(x_t, t)).reshape(x_t.shape).to(x_t.dtype)

    def x0_hat(self, x_t: Tensor, t: int | Tensor) -> Tensor:
        """Return the mean of the images that may have led here, `E[x_0 | x_t]`, shaped like `x_t`.

        Claim: [score.tweedie][].
        """
        return self._x0_hat(self._state(x_t, t)).reshape(x_t.shape).to(x_t.dtype)

    def score(self, x_t: Tensor, t: int | Tensor) -> Tensor:
        """Return `∇ log q(x_t) = −E[eps | x_t] / √(1 − ᾱ_t)`, shaped like `x_t`.

        Claims: [score.mixture][], [score.gaussian-data][].
        """
        state = self._state(x_t, t)
        return (-self._eps(state) / state.sigma).reshape(x_t.shape).to(x_t.dtype)

    def log_density(self, x_t: Tensor, t: int | Tensor) -> Tensor:
        """Return `log q(x_t)` in nats, shape (B,); float32 for half precision.

        Claims: [gaussians.density][], [score.mixture-surprise][].
        """
        return self._log_density(self._state(x_t, t)).to(working_dtype(x_t.dtype))

    def spread(self, x_t: Tensor, t: int | Tensor) -> Tensor:
        """Return `E[‖x_0 − x0_hat‖² | x_t]`, the trace of the covariance of the image given `x_t`.

        Claims: [score.posterior-spread][], [coding.distortion][].

        Returns:
            Shape (B,), the sum over coordinates; float32 for half precision.
        """
        return self._spread(self._state(x_t, t)).to(working_dtype(x_t.dtype))

    def least_loss(self, x_t: Tensor, t: int | Tensor) -> Tensor:
        """Return `E[‖eps − E[eps | x_t]‖² | x_t] / d`: no network has a smaller L_simple, given this `x_t`.

        It is `ᾱ_t / (1 − ᾱ_t)` times the mean squared error of `x0_hat`. Averaged over `x_t` it is the
        smallest loss at t, and it varies less than the loss of a single draw of the noise.

        Claims: [sampling.smallest-loss][], [parameterization.error-x0][].

        Returns:
            Shape (B,); float32 for half precision.
        """
        state = self._state(x_t, t)
        snr = (state.alpha_bar / state.variance).squeeze(1)
        return (snr * self._spread(state) / self._like.numel()).to(working_dtype(x_t.dtype))

    def _state(self, x_t: Tensor, t: int | Tensor) -> _State:
        self.schedule.check_t(t, x_t)
        x = flat(x_t, self._like)
        names = ("sqrt_alpha_bar", "alpha_bar", "sqrt_one_minus_alpha_bar", "one_minus_alpha_bar")
        return _State(x, *(self.schedule.at(name, t, x) for name in names))

    @abstractmethod
    def _eps(self, state: _State) -> Tensor: ...

    @abstractmethod
    def _x0_hat(self, state: _State) -> Tensor: ...

    @abstractmethod
    def _log_density(self, state: _State) -> Tensor: ...

    @abstractmethod
    def _spread(self, state: _State) -> Tensor: ...


class GaussianDenoiser(Denoiser):
    """The exact denoiser of Gaussian images.

    Along each axis of the covariance, with mean m and variance s² there,

        E[eps | x_t] = √(1 − ᾱ_t) / (ᾱ_t s² + 1 − ᾱ_t) · (x_t − √ᾱ_t m)

    Claim: [sampling.gaussian-denoiser][]. Source: Ho et al. 2020, section 3.2.

    Args:
        schedule: the noise schedule.
        law: mean and covariance of the images.
    """

    def __init__(self, schedule: Schedule, law: GaussianLaw) -> None:
        super().__init__(schedule, law.mean)
        self.law = law
        self._mean = law.mean.double().flatten()

    def _centred(self, state: _State) -> Gaussian:
        """Where `x_t` lies along the axes, from the middle of q(x_t), and the variance of q(x_t) there."""
        y = self.law.along_axes(state.x - state.signal * self._mean.to(state.x.device))
        return Gaussian(y, state.alpha_bar * self._variances(state) + state.variance)

    def _variances(self, state: _State) -> Tensor:
        return self.law.variances.to(state.x.device)

    def _eps(self, state: _State) -> Tensor:
        y, variance = self._centred(state)
        return self.law.from_axes(state.sigma * y / variance)

    def _x0_hat(self, state: _State) -> Tensor:
        y, variance = self._centred(state)
        moved = self.law.from_axes(state.signal * self._variances(state) * y / variance)
        return self._mean.to(moved.device) + moved

    def _log_density(self, state: _State) -> Tensor:
        y, variance = self._centred(state)
        return log_density(Gaussian(torch.zeros_like(y), variance.expand_as(y)), y)

    def _spread(self, state: _State) -> Tensor:
        y, variance = self._centred(state)
        return (state.variance * self._variances(state) / variance).expand_as(y).sum(1)


class MixtureDenoiser(Denoiser):
    """The exact denoiser of a mixture of Gaussians: its components' denoisers, weighted by Bayes' rule.

    Claims: [score.mixture][], [score.optimal-eps][].

    Args:
        schedule: the noise schedule.
        law: weights, means and variances of the components.
    """

    def __init__(self, schedule: Schedule, law: MixtureLaw) -> None:
        super().__init__(schedule, law.means[0])
        self.law = law

    def log_posterior(self, x_t: Tensor, t: int | Tensor) -> Tensor:
        """Return the log-probability that `x_t` came from each component: (B, K), in nats, float64."""
        return self._joint(self._state(x_t, t)).log_softmax(1)

    def _components(self, state: _State) -> Gaussian:
        """The components of q(x_t): their means and variances, (B, K, d)."""
        signal, alpha_bar, variance = (
            s.unsqueeze(1) for s in (state.signal, state.alpha_bar, state.variance)
        )
        centres, spreads = (a.to(state.x.device) for a in (self.law.centres, self.law.spreads))
        return Gaussian(signal * centres, alpha_bar * spreads + variance)

    def _joint(self, state: _State) -> Tensor:
        return log_joint(state.x, self.law.log_weights, *self._components(state))

    def _given_component(self, state: _State) -> tuple[Tensor, Tensor]:
        """Each component's posterior weight, (B, K, 1), and `(x_t − its mean) / its variance`, (B, K, d)."""
        mean, variance = self._components(state)
        weights = log_joint(state.x, self.law.log_weights, mean, variance).softmax(1)
        return weights.unsqueeze(2), (state.x.unsqueeze(1) - mean) / variance

    def _images(self, state: _State) -> tuple[Tensor, Tensor]:
        """Each component's posterior weight, and its estimate of the image."""
        weights, pull = self._given_component(state)
        centres, spreads = (a.to(state.x.device) for a in (self.law.centres, self.law.spreads))
        return weights, centres + state.signal.unsqueeze(1) * spreads * pull

    def _eps(self, state: _State) -> Tensor:
        weights, pull = self._given_component(state)
        return state.sigma * (weights * pull).sum(1)

    def _x0_hat(self, state: _State) -> Tensor:
        weights, images = self._images(state)
        return (weights * images).sum(1)

    def _log_density(self, state: _State) -> Tensor:
        return self._joint(state).logsumexp(1)

    def _spread(self, state: _State) -> Tensor:
        weights, images = self._images(state)
        mean = (weights * images).sum(1, keepdim=True)
        own = (
            state.variance.unsqueeze(1) * self.law.spreads.to(mean.device) / self._components(state).variance
        )
        return (weights * (own + (images - mean).square())).sum((1, 2))


class DatasetDenoiser(Denoiser):
    """The ideal denoiser of a data set: every image equally likely, and no other.

    The probability that `x_t` came from image k is a softmax over k of `−‖x_t − √ᾱ_t x_k‖² / (2 (1 − ᾱ_t))`.
    A network that reached it would have the smallest loss on the training set, and would reproduce that set.

    Besides the images it needs room for 64 MiB, more only if a single row of B or of the data does: both are
    taken in pieces. Squared distances are expanded into products, in float64: a log-probability is off by
    about `1e-16 ‖x‖² / (1 − ᾱ_t)`.

    Claims: [score.two-images][], [score.tweedie][].

    Args:
        schedule: the noise schedule.
        images: the data set, shape (N, ...), floating point, on the device where it will be used.

    Raises:
        ValueError: if `images` is empty or not finite.
        TypeError: if it is not floating point.
    """

    def __init__(self, schedule: Schedule, images: Tensor) -> None:
        if not images.is_floating_point():
            raise TypeError(f"images must be floating point; got {images.dtype}")
        if images.dim() < 1 or not images.numel() or not bool(images.isfinite().all()):
            raise ValueError(f"images must be finite and at least one; got shape {tuple(images.shape)}")
        super().__init__(schedule, images[0])
        self._images = images.detach().reshape(len(images), -1)
        self._norms = torch.cat([part.square().sum(1) for part in self._parts()])

    def __len__(self) -> int:
        """The number of images."""
        return len(self._images)

    def log_posterior(self, x_t: Tensor, t: int | Tensor) -> Tensor:
        """Return the log-probability that `x_t` came from each image: (B, N), in nats, float64."""
        state = self._state(x_t, t)
        return torch.cat([self._logits(rows).log_softmax(1) for rows in self._rows(state)])

    def _parts(self) -> Iterator[Tensor]:
        for part in torch.split(self._images, max(1, _ENTRIES // self._images.shape[1])):
            yield part.double()

    def _rows(self, state: _State) -> Iterator[_State]:
        rows = max(1, _ENTRIES // len(self))
        pieces = [torch.split(s.expand(len(state.x), -1), rows) for s in state]
        return (_State(*piece) for piece in zip(*pieces, strict=True))

    def _logits(self, rows: _State) -> Tensor:
        """`log N(x_t; √ᾱ_t x_k, 1 − ᾱ_t)` but for what is the same for all k: (b, N)."""
        products = torch.cat([rows.x @ part.T for part in self._parts()], 1)
        return (rows.signal * products - rows.alpha_bar * self._norms / 2) / rows.variance

    def _averaged(self, rows: _State) -> tuple[Tensor, Tensor]:
        """The images' weights (b, N), and their weighted mean (b, d)."""
        weights = self._logits(rows).softmax(1)
        mean, first = torch.zeros_like(rows.x), 0
        for part in self._parts():
            mean += weights[:, first : first + len(part)] @ part
            first += len(part)
        return weights, mean

    def _x0_hat(self, state: _State) -> Tensor:
        return torch.cat([self._averaged(rows)[1] for rows in self._rows(state)])

    def _eps(self, state: _State) -> Tensor:
        return (state.x - state.signal * self._x0_hat(state)) / state.sigma

    def _log_density(self, state: _State) -> Tensor:
        shared = math.log(len(self)) + 0.5 * (
            state.x.shape[1] * (2 * math.pi * state.variance).log().squeeze(1)
            + state.x.square().sum(1) / state.variance.squeeze(1)
        )
        return torch.cat([self._logits(rows).logsumexp(1) for rows in self._rows(state)]) - shared

    def _spread(self, state: _State) -> Tensor:
        def of(rows: _State) -> Tensor:
            weights, mean = self._averaged(rows)
            return (weights @ self._norms - mean.square().sum(1)).clamp(min=0)  # a rounding below zero

        return torch.cat([of(rows) for rows in self._rows(state)])
