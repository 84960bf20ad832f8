"""schedule: the named schedules."""

from __future__ import annotations

from torch import Tensor

from ddpm_ref import schedule
from tests.oracle import Case, Values, holds, mp


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
