"""exact, laws: closed forms for Gaussian data. What has a difference in it stands in tests/test_exact.py."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ddpm_ref import exact
from ddpm_ref.laws import GaussianLaw
from ddpm_ref.schedule import Schedule
from tests.bindings.denoisers import deviations, gaussian
from tests.oracle import CLAIMS, Case, Values, evaluate, holds, mp, steps


def law(case: Case) -> GaussianLaw:
    shape = case.x_0.shape[1:]
    variance = torch.tensor(deviations(case)[0], dtype=torch.float64).square()
    return GaussianLaw(torch.zeros(shape, dtype=torch.float64), variance)


@holds("sampling.smallest-loss", ulps=4, extra=gaussian)
def smallest_loss(case: Case) -> Tensor:
    return exact.smallest_loss(case.schedule, law(case))[case.t]


@holds("coding.distortion", ulps=4, extra=gaussian)
def distortion(case: Case) -> Tensor:
    return exact.distortion(case.schedule, law(case))[case.t]


@holds("coding.information", ulps=4, extra=gaussian)
def rate(case: Case) -> Tensor:
    return exact.rate(case.schedule, law(case))[case.t] / case.x_0[0].numel()


def missing(case: Case, i: int) -> Values:
    of_data = gaussian(case, i)
    left = CLAIMS["coding.distortion"].value
    t = int(case.t[i])
    found = {"missing_t": evaluate(left, {**case.values(i), **of_data})}
    if t > 1:
        found["missing_prev"] = evaluate(left, {**steps(case.schedule, t - 1), **of_data})
    return {**of_data, **found}


@holds("coding.rate-distortion", first=2, ulps=4, extra=missing)
def rate_by_distortion(case: Case) -> Tensor:
    return exact.rate(case.schedule, law(case))[case.t] / case.x_0[0].numel()


@holds("parameterization.reverse-variance", first=2, ulps=4, extra=gaussian)
def reverse_variance(case: Case) -> Tensor:
    return exact.reverse_variance(case.schedule, law(case))[case.t, 0]


@holds("parameterization.entropy", ulps=8, extra=lambda case, i: {"sigma": mp.mpf(deviations(case)[0])})
def entropy(case: Case) -> Tensor:
    return torch.tensor([law(case).entropy()], dtype=torch.float64)


def ending_at_each(case: Case, value: Callable[[Schedule, GaussianLaw], float]) -> Tensor:
    """A number of the whole schedule, for the schedule that ends at each t."""
    variance = law(case).covariance
    return torch.tensor(
        [
            value(Schedule.from_betas(case.schedule.betas[: int(t)]), GaussianLaw(mean.double(), variance))
            for t, mean in zip(case.t, case.data_mean, strict=True)
        ],
        dtype=torch.float64,
    )


@holds("sampling.gaussian-prior-term", ulps=64, extra=gaussian)
def prior_term(case: Case) -> Tensor:
    return ending_at_each(case, exact.prior_term)


@holds("sampling.gaussian-gap", ulps=64, extra=gaussian)
def gap_but_for_the_variances(case: Case) -> Tensor:
    return ending_at_each(case, lambda schedule, law: exact.bound(schedule, law).prior_excess)


@holds("sampling.gaussian-gap", ulps=64, extra=gaussian)
def gap_with_the_true_variances(case: Case) -> Tensor:
    return ending_at_each(case, lambda schedule, law: exact.bound(schedule, law, variance="true").gap)
