"""The code computes what the claims prove, on drawn schedules, steps, shapes and dtypes.

Each call below is compared with its claim's expression.

The same calls are then held against the claims' mutants: a reference that computed one of them would fail
here.
"""

from __future__ import annotations

import pytest
import torch
from hypothesis import Phase, assume, given, settings
from hypothesis import strategies as st
from sympy import Basic
from torch import Tensor

from ddpm_ref import gaussian, objective, process, schedule
from ddpm_ref.gaussian import Gaussian
from tests.oracle import CLAIMS, HELD, Case, Held, Values, evaluate, exact, holds, mp

# -- the forward process -------------------------------------------------------------------------------------


@holds("forward.kernel", part="mean")
def kernel_mean(case: Case) -> Tensor:
    return case.schedule.at("sqrt_alpha", case.t, case.x_prev) * case.x_prev


@holds("forward.kernel", part="variance")
def kernel_variance(case: Case) -> Tensor:
    return case.schedule.at("beta", case.t, case.x_prev)


@holds("forward.alpha-bar", ulps=0.5)
def alpha_bar(case: Case) -> Tensor:
    return case.schedule.alpha_bar[case.t]


@holds("forward.snr", ulps=0.5)
def snr(case: Case) -> Tensor:
    return case.schedule.snr[case.t]


@holds("forward.marginal", part="mean")
def marginal_mean(case: Case) -> Tensor:
    return process.q_mean_variance(case.schedule, case.x_0, case.t).mean


@holds("forward.marginal", part="variance")
def marginal_variance(case: Case) -> Tensor:
    return process.q_mean_variance(case.schedule, case.x_0, case.t).variance


@holds("forward.sample")
def q_sample(case: Case) -> Tensor:
    return process.q_sample(case.schedule, case.x_0, case.t, case.eps)


# -- the posterior -------------------------------------------------------------------------------------------


@holds("posterior.mean")
def posterior_mean(case: Case) -> Tensor:
    return process.q_posterior(case.schedule, case.x_0, case.x_t, case.t).mean


@holds("posterior.mean")
def mu_from_x0(case: Case) -> Tensor:
    return process.mu_from_x0(case.schedule, case.x_t, case.t, case.x_0)


@holds("posterior.variance")
def posterior_variance(case: Case) -> Tensor:
    return process.q_posterior(case.schedule, case.x_0, case.x_t, case.t).variance


@holds("posterior.variance", ulps=0.5)
def posterior_variance_table(case: Case) -> Tensor:
    return case.schedule.posterior_variance[case.t]


@holds("posterior.law", part="mean")
def law_mean(case: Case) -> Tensor:
    return process.q_posterior(case.schedule, case.x_0, case.x_t, case.t).mean


@holds("posterior.law", part="variance")
def law_variance(case: Case) -> Tensor:
    return process.q_posterior(case.schedule, case.x_0, case.x_t, case.t).variance


@holds("posterior.first-step", part="mean", last=1)
def first_mean(case: Case) -> Tensor:
    return process.q_posterior(case.schedule, case.x_0, case.x_t, case.t).mean


@holds("posterior.first-step", part="variance", last=1)
def first_variance(case: Case) -> Tensor:
    return process.q_posterior(case.schedule, case.x_0, case.x_t, case.t).variance


@holds("posterior.log-variance-clipped", last=1, left_out=1, ulps=0.5)
def fixed_small_at_1(case: Case) -> Tensor:
    return case.schedule.variance_fixed_small[case.t]


@holds("posterior.log-variance-clipped", last=1, left_out=1, ulps=0.5)
def fixed_large_at_1(case: Case) -> Tensor:
    return case.schedule.variance_fixed_large[case.t]


@holds("posterior.log-variance-clipped", last=1, left_out=1, ulps=16)  # exp multiplies an error by |log|
def variance_of_the_last_reverse_step(case: Case) -> Tensor:
    return process.p_mean_variance(case.schedule, case.eps_theta, case.x_t, case.t).log_variance.exp()


# -- conversions ---------------------------------------------------------------------------------------------


@holds("parameterization.x0-from-eps")
def x0_from_eps(case: Case) -> Tensor:
    return process.x0_from_eps(case.schedule, case.x_t, case.t, case.eps)


@holds("parameterization.eps-from-x0")
def eps_from_x0(case: Case) -> Tensor:
    return process.eps_from_x0(case.schedule, case.x_t, case.t, case.x_0)


@holds("parameterization.mean-from-eps")
def mu_from_eps(case: Case) -> Tensor:
    return process.mu_from_eps(case.schedule, case.x_t, case.t, case.eps)


@holds("parameterization.eps-from-mean")
def eps_from_mu(case: Case) -> Tensor:
    return process.eps_from_mu(case.schedule, case.x_t, case.t, case.mu_tilde)


@holds("parameterization.x0-from-mean")
def x0_from_mu(case: Case) -> Tensor:
    return process.x0_from_mu(case.schedule, case.x_t, case.t, case.mu_tilde)


@holds("parameterization.v")
def velocity(case: Case) -> Tensor:
    return process.target(case.schedule, case.x_0, case.x_t, case.t, case.eps, prediction="v")


@holds("parameterization.x0-from-v")
def x0_from_v(case: Case) -> Tensor:
    return process.x0_from_v(case.schedule, case.x_t, case.t, case.v)


@holds("parameterization.eps-from-v")
def eps_from_v(case: Case) -> Tensor:
    return process.eps_from_v(case.schedule, case.x_t, case.t, case.v)


@holds("parameterization.v-from-x0")
def v_from_x0(case: Case) -> Tensor:
    return process.v_from_x0(case.schedule, case.x_t, case.t, case.x_0)


@holds("parameterization.v-from-eps")
def v_from_eps(case: Case) -> Tensor:
    return process.v_from_eps(case.schedule, case.x_t, case.t, case.eps)


@holds("parameterization.x0-from-eps")
def predicted_image_from_noise(case: Case) -> Tensor:
    return process.to_x0(case.schedule, case.eps, case.x_t, case.t, prediction="eps")


@holds("parameterization.x0-from-mean")
def predicted_image_from_mean(case: Case) -> Tensor:
    return process.to_x0(case.schedule, case.mu_tilde, case.x_t, case.t, prediction="mu")


@holds("parameterization.x0-from-v")
def predicted_image_from_velocity(case: Case) -> Tensor:
    return process.to_x0(case.schedule, case.v, case.x_t, case.t, prediction="v")


@holds("posterior.mean")
def target_mean(case: Case) -> Tensor:
    return process.target(case.schedule, case.x_0, case.x_t, case.t, case.eps, prediction="mu")


# -- objectives ----------------------------------------------------------------------------------------------


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


# -- reverse steps -------------------------------------------------------------------------------------------


@holds("sampling.ancestral-step", first=2, ulps=4, extra=sigma)
def p_sample(case: Case) -> Tensor:
    return process.p_sample(case.schedule, case.eps_theta, case.x_t, case.t, case.z, clip=False)


@holds("sampling.ancestral-step", first=2, ulps=4, extra=sigma_small)
def p_sample_small(case: Case) -> Tensor:
    return process.p_sample(
        case.schedule, case.eps_theta, case.x_t, case.t, case.z, variance="fixed_small", clip=False
    )


@holds("sampling.last-step", last=1)
def last_step(case: Case) -> Tensor:
    return process.p_sample(case.schedule, case.eps_theta, case.x_t, case.t, case.z, clip=False)


@holds("sampling.variance-for-normal-data", first=2, ulps=0.5)
def fixed_large(case: Case) -> Tensor:
    return case.schedule.variance_fixed_large[case.t]


@holds("sampling.variance-for-one-image", first=2, ulps=0.5)
def fixed_small(case: Case) -> Tensor:
    return case.schedule.variance_fixed_small[case.t]


# -- schedules -----------------------------------------------------------------------------------------------


def endpoints(case: Case, i: int) -> Values:
    return {"beta_1": mp.mpf(case.schedule.betas[0]), "beta_T": mp.mpf(case.schedule.betas[-1])}


@holds("forward.linear-schedule", left_out=1, ulps=0.5, extra=endpoints)
def linear(case: Case) -> Tensor:
    betas = case.schedule.betas
    return schedule.linear(len(betas), betas[0], betas[-1]).beta[case.t]


@holds(
    "forward.cosine-schedule",
    left_out=1,
    ulps=0.5,
    extra=lambda case, i: {"offset": mp.mpf(case.schedule.betas[0])},
)
def cosine(case: Case) -> Tensor:
    return schedule.cosine(case.schedule.T, s=case.schedule.betas[0], max_beta=1 - 1e-9).beta[case.t]


# -- the tests -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("held", HELD, ids=lambda held: held.name)
def test_code_computes_the_claim(held: Held) -> None:
    @given(held.cases)
    def agrees(case: Case) -> None:
        assert held.disagreement(case) <= 1

    agrees()


WRONG = [
    pytest.param(held, wrong.parts[held.part], id=f"{held.name}: {wrong.name}")
    for held in HELD
    for wrong in CLAIMS[held.claim].mutants
    if held.part in wrong.parts
]


@pytest.mark.parametrize(("held", "wrong"), WRONG)
def test_code_that_computed_a_mutant_would_fail(held: Held, wrong: Basic) -> None:
    @settings(phases=[Phase.generate])
    @given(held.cases)
    def differs(case: Case) -> None:
        try:
            found = held.disagreement(case, wrong)
        except (KeyError, ZeroDivisionError):
            assume(False)  # the mutant speaks of t + 1 where there is none, or is undefined
        assert found <= 1

    with pytest.raises(AssertionError):
        differs()


@given(excess=st.floats(1e-12, 0.9), larger=st.booleans())
def test_a_divergence_keeps_its_digits_where_the_variances_nearly_agree(excess: float, larger: bool) -> None:
    variance = 1 + excess if larger else 1 - excess
    zero = torch.zeros(1, 1, dtype=torch.float64)
    found = gaussian.kl(Gaussian(zero, torch.full_like(zero, variance)), Gaussian(zero, zero + 1))
    values = {
        "sigma_1": mp.sqrt(mp.mpf(variance)),
        "sigma_2": mp.mpf(1),
        "d": mp.mpf(1),
        **{name: exact(zero[0]) for name in ("mu_1", "mu_2")},
    }
    truth = evaluate(CLAIMS["parameterization.kl"].value, values)
    assert abs(exact(found)[0] - truth) <= 8 * 2.0**-52 * truth
