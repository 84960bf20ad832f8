"""langevin: one step of it, and one step at a noise level."""

from __future__ import annotations

import torch
from torch import Tensor

from ddpm_ref import langevin
from tests.oracle import Case, Values, holds, mp


def length(case: Case, i: int) -> Values:
    return {"gamma": mp.mpf(case.schedule.betas[0])}


@holds("score.langevin-step", part="mean", extra=length)
def langevin_mean(case: Case) -> Tensor:
    zero = torch.zeros_like(case.x_prev)
    return langevin.langevin_step(case.x_prev, case.score_q, case.schedule.betas[0], zero)


@holds("score.langevin-step", part="variance", ulps=4, roundings=3, extra=length)
def langevin_variance(case: Case) -> Tensor:
    zero = torch.zeros_like(case.x_prev)
    return langevin.langevin_step(zero, zero, case.schedule.betas[0], torch.ones_like(zero)).square()


def ratio(case: Case) -> float:
    return (0.1, 0.5, 1.0, 3.5)[case.seed % 4]


def corrected(case: Case, x_t: Tensor, score: Tensor, noise: Tensor) -> Tensor:
    """One step of the corrector, example by example: it takes one t for all."""

    def moved(i: int) -> Tensor:
        at = slice(i, i + 1)
        corrector = langevin.LangevinCorrector(ratio(case), noise=lambda t, k: noise[at])
        return corrector(lambda x, t: score[at], case.schedule, x_t[at], int(case.t[i]))

    return torch.cat([moved(i) for i in range(len(case.t))])


@holds("score.annealed-step", part="mean", ulps=4, extra=lambda case, i: {"rho": mp.mpf(ratio(case))})
def annealed_mean(case: Case) -> Tensor:
    return corrected(case, case.x_t, case.score_q, torch.zeros_like(case.x_t))


@holds(
    "score.annealed-step",
    part="variance",
    ulps=8,
    roundings=3,
    extra=lambda case, i: {"rho": mp.mpf(ratio(case))},
)
def annealed_variance(case: Case) -> Tensor:
    zero = torch.zeros_like(case.x_t)
    return corrected(case, zero, zero, torch.ones_like(zero)).square()
