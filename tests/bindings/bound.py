"""bound: the prior's term. The others are held in tests/test_bound.py, where their means are exact."""

from __future__ import annotations

from torch import Tensor

from ddpm_ref import bound
from tests.oracle import Case, Values, holds, steps


def end(case: Case, i: int) -> Values:
    """The schedule's symbols at T, whatever t was drawn."""
    return steps(case.schedule, case.schedule.T)


@holds("bound.prior-term", ulps=8, extra=end)
def prior_term(case: Case) -> Tensor:
    return bound.prior_term(case.schedule, case.x_0)
