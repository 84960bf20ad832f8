"""objective, gaussian: losses, weights, densities and divergences."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ddpm_ref import gaussian, objective
from ddpm_ref.gaussian import Gaussian
from tests.oracle import CLAIMS, Case, Values, evaluate, exact, holds, mp


def sigma(case: Case, i: int) -> Values:
    """σ_t for the larger of the two fixed variances."""
    return {"sigma_t": mp.sqrt(case.values(i)["beta_t"])}


def sigma_small(case: Case, i: int) -> Values:
    """σ_t for the smaller one."""
    return {"sigma_t": mp.sqrt(evaluate(CLAIMS["posterior.variance"].value, case.values(i)))}


def output(case: Case, i: int) -> Values:
    """The network's output for the variance, in [-1, 1], and the lower end of the scale."""
    low = evaluate(CLAIMS["posterior.variance"].value, case.values(i))
    return {"variance_output": exact(case.v[i].tanh()), "beta_tilde_t": low}


def output_at_1(case: Case, i: int) -> Values:
    """The same at t = 1, where the lower end is another."""
    low = evaluate(CLAIMS["posterior.log-variance-clipped"].value, case.values(i))
    return {**output(case, i), "beta_tilde_t": low}


def sigma_learned(case: Case, i: int) -> Values:
    """σ_t for a learned variance, coordinate by coordinate."""
    log_variance = evaluate(
        CLAIMS["parameterization.learned-variance"].value, {**case.values(i), **output(case, i)}
    )
    return {"sigma_t": np.vectorize(lambda u: mp.sqrt(mp.exp(u)), otypes=[object])(log_variance)}


def with_a_channel(x: Tensor) -> Tensor:
    """The same numbers as images of one channel: a learned variance doubles the channels."""
    return x.reshape(len(x), 1, -1)


def with_variance(case: Case) -> objective.Model:
    """A network that predicts the noise and a variance."""
    answer = torch.cat([with_a_channel(case.eps_theta), with_a_channel(case.v.tanh())], 1)
    return lambda x_t, t: answer


def vlb(case: Case, i: int) -> Values:
    """The bound's part of the hybrid, as the code gives it by itself; `test_objective` holds that."""
    x_0, eps = with_a_channel(case.x_0), with_a_channel(case.eps)
    found = objective.L_vlb(
        with_variance(case), case.schedule, x_0, case.t, eps, variance="learned", levels=None
    )
    return {"vlb": exact(found)[i], "vlb_weight": mp.mpf(0.25)}


@holds("parameterization.L-hybrid", ulps=8, extra=vlb)
def L_hybrid(case: Case) -> Tensor:
    x_0, eps = with_a_channel(case.x_0), with_a_channel(case.eps)
    return objective.L_hybrid(
        with_variance(case), case.schedule, x_0, case.t, eps, levels=None, vlb_weight=0.25
    )


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
