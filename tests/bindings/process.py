"""process: the forward process, its posterior, the conversions, one reverse step."""

from __future__ import annotations

from torch import Tensor

from ddpm_ref import process
from tests.bindings.objective import output, output_at_1, sigma, sigma_learned, sigma_small
from tests.oracle import Case, holds

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


# -- reverse steps -------------------------------------------------------------------------------------------


@holds("sampling.ancestral-step", first=2, ulps=4, extra=sigma)
def p_sample(case: Case) -> Tensor:
    return process.p_sample(case.schedule, case.eps_theta, case.x_t, case.t, case.z, clip=False)


@holds("sampling.ancestral-step", first=2, ulps=4, extra=sigma_small)
def p_sample_small(case: Case) -> Tensor:
    return process.p_sample(
        case.schedule, case.eps_theta, case.x_t, case.t, case.z, variance="fixed_small", clip=False
    )


@holds("parameterization.learned-variance", first=2, ulps=4, extra=output)
def learned_log_variance(case: Case) -> Tensor:
    return process.learned_log_variance(case.schedule, case.v.tanh(), case.t)


@holds("parameterization.learned-variance", last=1, left_out=1, ulps=4, extra=output_at_1)
def learned_log_variance_at_1(case: Case) -> Tensor:
    return process.learned_log_variance(case.schedule, case.v.tanh(), case.t)


@holds("parameterization.learned-variance", first=2, ulps=4, extra=output)
def log_variance_of_a_learned_step(case: Case) -> Tensor:
    step = process.p_mean_variance(
        case.schedule, case.eps_theta, case.x_t, case.t, variance="learned", variance_value=case.v.tanh()
    )
    return step.log_variance


@holds("sampling.ancestral-step", first=2, ulps=16, extra=sigma_learned)  # exp multiplies an error by |log|
def p_sample_learned(case: Case) -> Tensor:
    return process.p_sample(
        case.schedule,
        case.eps_theta,
        case.x_t,
        case.t,
        case.z,
        variance="learned",
        variance_value=case.v.tanh(),
        clip=False,
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
