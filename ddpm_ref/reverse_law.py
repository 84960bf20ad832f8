"""The exact law of ancestral sampling, for Gaussian data and the exact denoiser.

Nothing is drawn. With the exact denoiser a reverse step is affine in the state, so a state that is Gaussian
stays so, with the data's principal axes; mean and variance along each axis obey a recursion.

Source: Ho, Jain, Abbeel 2020, section 3.2.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ddpm_ref.exact import StepVariance, state_variance, step_variance
from ddpm_ref.gaussian import Gaussian, kl
from ddpm_ref.laws import GaussianLaw
from ddpm_ref.schedule import Schedule

__all__ = ["ReverseLaw", "reverse_law"]


@dataclass(frozen=True, eq=False)
class ReverseLaw:
    """The law of every state, from `N(0, I)` at t = T to the samples at t = 0.

    Attributes:
        schedule: the noise schedule.
        data: the law that the denoiser is exact for.
        means: of `x_t` along the data's axes, shape (T+1, d).
        variances: of `x_t` along them, shape (T+1, d).
    """

    schedule: Schedule
    data: GaussianLaw
    means: Tensor
    variances: Tensor

    def mean(self, t: int) -> Tensor:
        """The mean of `x_t`, shaped like an image."""
        return self.data.from_axes(self.means[t]).reshape(self.data.mean.shape)

    def covariance(self, t: int) -> Tensor:
        """The covariance of the flattened `x_t`, shape (d, d)."""
        roots = self.data.from_axes(self.variances[t].sqrt().diag())
        return roots.T @ roots

    def divergence(self, t: int) -> float:
        """The divergence from this law of `q(x_t)`, the state of the forward process, in nats.

        With the data's entropy, that at t = 0 adds up to minus the mean log-likelihood of the samples' law.

        Claim: [parameterization.kl][].
        """
        signal = self.schedule.sqrt_alpha_bar[t : t + 1].unsqueeze(1)
        forward = Gaussian(signal * _mean(self.data), state_variance(self.schedule, self.data)[t : t + 1])
        return float(kl(forward, Gaussian(self.means[t : t + 1], self.variances[t : t + 1])))


def reverse_law(
    schedule: Schedule,
    law: GaussianLaw,
    *,
    variance: StepVariance = "fixed_large",
    noise_at_1: bool = False,
) -> ReverseLaw:
    """Return the law of every state of ancestral sampling.

    Along an axis with mean m and variance s², a step turns mean and variance into

        f · mean + β_t √ᾱ_{t−1} / v_t · m   and   f² · variance + σ_t²   with   f = √α_t v_{t−1} / v_t

    and `v_t = ᾱ_t s² + 1 − ᾱ_t`.

    Claim: [sampling.reverse-law][]. Source: Ho et al. 2020, algorithm 2.

    Args:
        schedule: the noise schedule.
        law: the data.
        variance: the variance σ_t² of the reverse steps.
        noise_at_1: whether the last step adds noise: a sampler does not, but the model's likelihood does.

    Raises:
        ValueError: if `variance` is unknown.
    """
    own = step_variance(schedule, law, variance)
    v, m = state_variance(schedule, law), _mean(law)
    means, variances = torch.zeros_like(v), torch.ones_like(v)
    for t in range(schedule.T, 0, -1):
        factor = schedule.sqrt_alpha[t] * v[t - 1] / v[t]
        pull = schedule.beta[t] * schedule.sqrt_alpha_bar[t - 1] / v[t]
        means[t - 1] = factor * means[t] + pull * m
        variances[t - 1] = factor.square() * variances[t]
        if t > 1 or noise_at_1:
            variances[t - 1] += own[t]
    return ReverseLaw(schedule, law, means, variances)


def _mean(law: GaussianLaw) -> Tensor:
    return law.along_axes(law.mean.double().reshape(-1))
