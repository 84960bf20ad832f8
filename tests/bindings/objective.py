"""objective, gaussian: losses, weights, densities and divergences."""

from __future__ import annotations

from torch import Tensor

from ddpm_ref import gaussian, objective
from ddpm_ref.gaussian import Gaussian
from tests.oracle import CLAIMS, Case, Values, evaluate, holds, mp


def sigma(case: Case, i: int) -> Values:
    """σ_t for the larger of the two fixed variances."""
    return {"sigma_t": mp.sqrt(case.values(i)["beta_t"])}


def sigma_small(case: Case, i: int) -> Values:
    """σ_t for the smaller one."""
    return {"sigma_t": mp.sqrt(evaluate(CLAIMS["posterior.variance"].value, case.values(i)))}


@holds("parameterization.weight", first=2, extra=sigma)
def weight(case: Case) -> Tensor:
    return objective.weight(case.schedule, case.t, case.x_t)


@holds("parameterization.weight", first=2, extra=sigma_small)
def weight_small(case: Case) -> Tensor:
    return objective.weight(case.schedule, case.t, case.x_t, variance="fixed_small")


@holds("parameterization.L-simple", ulps=8, extra=sigma)
def L_simple(case: Case) -> Tensor:
    return objective.L_simple(lambda x_t, t: case.eps_theta, case.schedule, case.x_0, case.t, case.eps)


@holds("gaussians.density", ulps=8, extra=lambda case, i: {"sigma": mp.sqrt(case.values(i)["beta_t"])})
def log_density(case: Case) -> Tensor:
    variance = case.schedule.at("beta", case.t, case.x.double())
    return gaussian.log_density(Gaussian(case.mu.double(), variance), case.x.double())


def two_deviations(case: Case, i: int) -> Values:
    """Two exact deviations: those of the step and of its posterior, rounded to float64 first."""
    t = int(case.t[i])
    return {
        "sigma_1": mp.sqrt(mp.mpf(float(case.schedule.posterior_variance[t]))),
        "sigma_2": mp.sqrt(mp.mpf(float(case.schedule.beta[t]))),
    }


@holds("parameterization.kl", first=2, ulps=8, extra=two_deviations)
def kl(case: Case) -> Tensor:
    like = case.mu_1.double()
    first = Gaussian(like, case.schedule.at("posterior_variance", case.t, like))
    return gaussian.kl(first, Gaussian(case.mu_2.double(), case.schedule.at("beta", case.t, like)))
