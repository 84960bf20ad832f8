"""score: the score and the noise, Tweedie's formula, denoising score matching."""

from __future__ import annotations

from torch import Tensor

from ddpm_ref import process, score
from ddpm_ref.score import Weighting
from tests.bindings.objective import sigma
from tests.oracle import CLAIMS, Case, Values, evaluate, holds, mp


@holds("score.kernel")
def score_from_eps(case: Case) -> Tensor:
    return score.score_from_eps(case.schedule, case.eps, case.t)


@holds("score.optimal-eps")
def eps_from_score(case: Case) -> Tensor:
    return score.eps_from_score(case.schedule, case.score_q, case.t)


@holds("score.kernel", ulps=4)
def score_of_a_model(case: Case) -> Tensor:
    return score.score_of(lambda x_t, t: case.eps, case.schedule)(case.x_t, case.t)


@holds("score.tweedie")
def x0_from_score(case: Case) -> Tensor:
    return score.x0_from_score(case.schedule, case.x_t, case.t, case.score_q)


@holds("score.noise-level", part="variance", ulps=8)
def noise_level(case: Case) -> Tensor:
    return score.noise_level(case.schedule, case.t, case.x_t).square()


@holds("score.algorithm-2", first=2, ulps=6, roundings=2, extra=sigma)
def ancestral_step_by_the_score(case: Case) -> Tensor:
    eps = score.eps_from_score(case.schedule, case.s_theta, case.t)
    return process.p_sample(case.schedule, eps, case.x_t, case.t, case.z, clip=False)


# -- denoising score matching --------------------------------------------------------------------------------


def loss(case: Case, weighting: Weighting) -> Tensor:
    return score.denoising_score_matching(
        lambda x_t, t: case.s_theta, case.schedule, case.x_0, case.t, case.eps, weighting=weighting
    )


def kernels_score(case: Case, i: int) -> Values:
    return {"score_1": evaluate(CLAIMS["score.kernel"].value, case.values(i))}


@holds("score.eps-prediction", ulps=16, extra=kernels_score)
def simple(case: Case) -> Tensor:
    return loss(case, "simple")


def one_level(case: Case, i: int) -> Values:
    """The kernel as additive noise: of the shrunk image, at deviation √(1 − ᾱ_t)."""
    values = case.values(i)
    marginal = CLAIMS["forward.marginal"]
    return {
        "x": evaluate(marginal.mean, values),
        "x_noised": evaluate(CLAIMS["forward.sample"].value, values),
        "sigma": mp.sqrt(evaluate(marginal.variance, values)),
    }


@holds("score.objective", ulps=16, extra=one_level)
def objective(case: Case) -> Tensor:
    return loss(case, "objective")


@holds("score.bound-weight", first=2, ulps=16, extra=sigma)
def bound_weight(case: Case) -> Tensor:
    return loss(case, "bound") / (2 * loss(case, "objective"))
