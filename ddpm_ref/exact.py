"""Gaussian data and the exact denoiser: the smallest loss, the bound and its gap, in closed form.

Nothing here is drawn. Along the principal axes of the data the coordinates are independent, so every number
is a sum over axes of a claim's formula, with the variance s² of that axis. Tables have T+1 entries, and nan
where they have no meaning; all are float64. Everything that is a sum over coordinates is in nats per image.

Source: Ho, Jain, Abbeel 2020, sections 2, 3.2 and 4.3.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor

from ddpm_ref.gaussian import Gaussian, kl
from ddpm_ref.laws import GaussianLaw
from ddpm_ref.schedule import Schedule

__all__ = [
    "ExactBound",
    "StepVariance",
    "bound",
    "distortion",
    "last_term",
    "prior_term",
    "rate",
    "reverse_variance",
    "smallest_loss",
    "state_variance",
    "step_excess",
    "step_term",
    "step_variance",
]

StepVariance = Literal["fixed_large", "fixed_small", "true"]
"""The variance of a reverse step: either of the fixed ones, or axis by axis that of the true reverse step."""


# -- what the state tells about the image --------------------------------------------------------------------


def smallest_loss(schedule: Schedule, law: GaussianLaw) -> Tensor:
    """Return the smallest L_simple that any network can have at t: `mean of ᾱ_t s² / (ᾱ_t s² + 1 − ᾱ_t)`.

    Claim: [sampling.smallest-loss][].

    Returns:
        Shape (T+1,), nan at t = 0.
    """
    signal = _column(schedule.alpha_bar) * law.variances
    return _with_0((signal / state_variance(schedule, law)).mean(1)[1:])


def distortion(schedule: Schedule, law: GaussianLaw) -> Tensor:
    """Return the error of the best estimate of the image: `D_t = mean of s² (1 − ᾱ_t) / (ᾱ_t s² + 1 − ᾱ_t)`.

    Claim: [coding.distortion][].

    Returns:
        Shape (T+1,), the mean square per coordinate; 0 at t = 0.
    """
    left = law.variances * _column(schedule.one_minus_alpha_bar) / state_variance(schedule, law)
    return left.mean(1)


def rate(schedule: Schedule, law: GaussianLaw) -> Tensor:
    """Return what `x_t` tells about the image: `½ Σ log(1 + s² ᾱ_t / (1 − ᾱ_t))`.

    For one variance it is the least rate at which any code can leave an error of D_t; for several, the chain
    spends more than the best code on the narrow axes.

    Claims: [coding.information][], [coding.rate-distortion][].

    Returns:
        Shape (T+1,), nan at t = 0.
    """
    return 0.5 * (_column(schedule.snr) * law.variances).log1p().sum(1)


def state_variance(schedule: Schedule, law: GaussianLaw) -> Tensor:
    """Return the variance of `x_t` along each axis: `v_t = ᾱ_t s² + 1 − ᾱ_t`.

    Claim: [score.gaussian-data][], whose denominator it is.

    Returns:
        Shape (T+1, d).
    """
    return _column(schedule.alpha_bar) * law.variances + _column(schedule.one_minus_alpha_bar)


def reverse_variance(schedule: Schedule, law: GaussianLaw) -> Tensor:
    """Return the variance `V_t` of the true reverse step along each axis.

    `V_t = β_t v_{t−1} / v_t` with `v_t = ᾱ_t s² + 1 − ᾱ_t`, the variance of `x_t`.

    Claim: [parameterization.reverse-variance][].

    Returns:
        Shape (T+1, d), nan at t = 0. At t = 1 it is the variance of the image given `x_1`.
    """
    v = state_variance(schedule, law)
    earlier = torch.cat([torch.full_like(v[:1], math.nan), v[:-1]])
    return _column(schedule.beta) * earlier / v


def step_variance(schedule: Schedule, law: GaussianLaw, variance: StepVariance) -> Tensor:
    """Look the variance σ_t² of the reverse steps up, along each axis.

    Returns:
        Shape (T+1, d), nan at t = 0.

    Raises:
        ValueError: if `variance` is unknown.
    """
    match variance:
        case "fixed_large":
            return _column(schedule.variance_fixed_large).expand(-1, len(law.variances))
        case "fixed_small":
            return _column(schedule.variance_fixed_small).expand(-1, len(law.variances))
        case "true":
            return reverse_variance(schedule, law)
        case _:
            raise ValueError(f"variance must be one of {', '.join(get_args(StepVariance))}; got {variance!r}")


# -- the terms of the bound ----------------------------------------------------------------------------------


def prior_term(schedule: Schedule, law: GaussianLaw) -> float:
    """Return the mean of `L_T = KL(q(x_T | x_0) ‖ N(0, I))` over the data.

    `½ [ᾱ_T (‖m‖² + Σ s²) − d (ᾱ_T + log(1 − ᾱ_T))]`.

    Claim: [sampling.gaussian-prior-term][].
    """
    # The divergence is that for an image whose squares are the data's second moments.
    moments = _mean(law).square() + law.variances
    image = (schedule.alpha_bar[-1] * moments).sqrt().reshape(1, -1)
    of_image = Gaussian(image, schedule.one_minus_alpha_bar[-1:].unsqueeze(1))
    return float(kl(of_image, _standard(image)))


def step_term(schedule: Schedule, law: GaussianLaw, *, variance: StepVariance = "fixed_large") -> Tensor:
    """Return the mean of `L_{t−1}` over the data, for t = 2 … T: `½ Σ [log(σ_t²/β̃_t) + V_t/σ_t² − 1]`.

    Claim: [sampling.gaussian-term][].

    Args:
        schedule: the noise schedule.
        law: the data.
        variance: the variance σ_t² of the reverse step.

    Returns:
        Shape (T+1,), nan at t = 0 and t = 1.

    Raises:
        ValueError: if `variance` is unknown.
    """
    sigma2 = step_variance(schedule, law, variance)[2:]
    # V_t is β̃_t and the weighted error of the estimate; in a sum of positive terms no digit is lost.
    weighted = (
        _column(schedule.posterior_mean_coef_x0)[2:]
        * (law.variances * _column(schedule.one_minus_alpha_bar) / state_variance(schedule, law)).sqrt()[2:]
    )
    posterior = Gaussian(weighted, _column(schedule.posterior_variance)[2:])
    none = sigma2.new_full((2,), math.nan)
    return torch.cat([none, kl(posterior, Gaussian(torch.zeros_like(weighted), sigma2))])


def step_excess(schedule: Schedule, law: GaussianLaw, *, variance: StepVariance = "fixed_large") -> Tensor:
    """Return what the step's variance costs: `½ Σ [log(σ_t²/V_t) + V_t/σ_t² − 1]`.

    It is the divergence of the true reverse step from the model's.

    Claim: [sampling.gaussian-excess][].

    Args:
        schedule: the noise schedule.
        law: the data.
        variance: the variance σ_t² of the reverse step.

    Returns:
        Shape (T+1,), nan at t = 0; at t = 1 it is that of the last term.

    Raises:
        ValueError: if `variance` is unknown.
    """
    true = reverse_variance(schedule, law)[1:]
    sigma2 = step_variance(schedule, law, variance)[1:]
    zero = torch.zeros_like(true)
    return _with_0(kl(Gaussian(zero, true), Gaussian(zero, sigma2)))


def last_term(schedule: Schedule, law: GaussianLaw, *, variance: StepVariance = "fixed_large") -> float:
    """Return the mean of `L_0 = −log p(x_0 | x_1)`, a density's: `½ Σ [log 2πσ_1² + V_1/σ_1²]`.

    Claim: [sampling.gaussian-last-term][].

    Raises:
        ValueError: if `variance` is unknown.
    """
    sigma2 = step_variance(schedule, law, variance)[1]
    true = reverse_variance(schedule, law)[1]
    return float(0.5 * ((2 * math.pi * sigma2).log() + true / sigma2).sum())


@dataclass(frozen=True, eq=False)
class ExactBound:
    """The bound for Gaussian data and the exact denoiser, in nats per image.

    Attributes:
        L_T: the prior's term.
        steps: `L_{t−1}` for t = 2 … T, shape (T+1,), nan at t = 0 and 1.
        L_0: the last term, a density's; it may be negative.
        prior_excess: the divergence of `q(x_T)` from the prior.
        excess: what each step's variance costs, shape (T+1,), nan at t = 0.
        entropy: of the data.
    """

    L_T: float
    steps: Tensor
    L_0: float
    prior_excess: float
    excess: Tensor
    entropy: float

    @property
    def total(self) -> float:
        """The bound: `L_T + Σ L_{t−1} + L_0`. Claim: [bound.terms][]."""
        return self.L_T + float(self.steps[2:].sum()) + self.L_0

    @property
    def gap(self) -> float:
        """The bound less the entropy, computed without subtracting one from the other.

        It is the prior's divergence and those of the steps. Claim: [coding.bound-by-marginals][].
        """
        return self.prior_excess + float(self.excess[1:].sum())


def bound(schedule: Schedule, law: GaussianLaw, *, variance: StepVariance = "fixed_large") -> ExactBound:
    """Return the bound that the exact denoiser has on Gaussian data, in the mean over the data.

    Claims: [bound.terms][], [coding.bound-by-marginals][], [sampling.gaussian-gap][].

    Args:
        schedule: the noise schedule.
        law: the data.
        variance: the variance of the reverse steps; with `"true"` only the prior separates bound and entropy.

    Raises:
        ValueError: if `variance` is unknown.
    """
    end = (schedule.sqrt_alpha_bar[-1] * _mean(law)).reshape(1, -1)
    q_T = Gaussian(end, state_variance(schedule, law)[-1:])
    return ExactBound(
        L_T=prior_term(schedule, law),
        steps=step_term(schedule, law, variance=variance),
        L_0=last_term(schedule, law, variance=variance),
        prior_excess=float(kl(q_T, _standard(end))),
        excess=step_excess(schedule, law, variance=variance),
        entropy=law.entropy(),
    )


# -- along the axes ------------------------------------------------------------------------------------------


def _column(table: Tensor) -> Tensor:
    return table.unsqueeze(1)


def _mean(law: GaussianLaw) -> Tensor:
    return law.along_axes(law.mean.double().reshape(-1))


def _standard(like: Tensor) -> Gaussian:
    return Gaussian(torch.zeros_like(like), torch.ones_like(like))


def _with_0(entries: Tensor) -> Tensor:
    return torch.cat([entries.new_full((1,), math.nan), entries])
