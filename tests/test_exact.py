"""Gaussian data and the exact denoiser: the bound and the sampler's law equal their closed forms.

Everything is quadratic in the data's normal and the noise, so a mean over finitely many points is exact:
nothing is drawn.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any, Literal

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sympy import Basic
from torch import Tensor

from ddpm_ref import ancestral, exact
from ddpm_ref.bound import Bound, bound
from ddpm_ref.denoisers import GaussianDenoiser
from ddpm_ref.exact import StepVariance
from ddpm_ref.gaussian import Gaussian, log_density
from ddpm_ref.laws import GaussianLaw
from ddpm_ref.objective import Model
from ddpm_ref.process import Variance
from ddpm_ref.reverse_law import reverse_law
from ddpm_ref.schedule import Schedule, cosine, linear
from derivations.proof.claims import Mutant
from tests.oracle import BETAS, CLAIMS, evaluate, mp, steps

Fixed = Literal["fixed_large", "fixed_small"]

ROTATION, _ = torch.linalg.qr(torch.tensor([[1.0, 2, 3], [0, 1, 4], [5, 6, 0]], dtype=torch.float64))
MEAN = torch.tensor([[[0.5, -0.25, 0.0]]], dtype=torch.float64)
SPREADS = torch.tensor([0.04, 0.36, 1.69], dtype=torch.float64)
LAWS = {
    "isotropic": GaussianLaw(MEAN, torch.tensor(0.36, dtype=torch.float64)),
    "diagonal": GaussianLaw(MEAN, SPREADS.reshape(1, 1, 3)),
    "full": GaussianLaw(MEAN, ROTATION @ SPREADS.diag() @ ROTATION.T),
}
FIXED: tuple[Fixed, ...] = ("fixed_large", "fixed_small")


# -- the terms, against their claims -------------------------------------------------------------------------

TERMS = ("sampling.gaussian-term", "sampling.gaussian-excess", "sampling.gaussian-last-term")


def of_the_claim(
    id: str,
    schedule: Schedule,
    law: GaussianLaw,
    t: int,
    variance: StepVariance,
    expression: Basic | None = None,
) -> float:
    """A term of the bound for one t: the claim's expression for each axis, added up."""
    total = mp.mpf(0)
    for s2 in law.variances.tolist():
        at = {**steps(schedule, t), "d": mp.mpf(1), "data_deviation": mp.sqrt(mp.mpf(s2))}
        if variance == "true":
            true = CLAIMS["parameterization.reverse-variance"].value
            at["sigma_t"] = mp.sqrt(evaluate(true, {**at, "data_variance": mp.mpf(s2)}))
        else:
            table = getattr(schedule, f"variance_{variance}")
            at["sigma_t"] = mp.sqrt(mp.mpf(float(table[t])))
        total += evaluate(expression if expression is not None else CLAIMS[id].value, at)
    return float(total)


def of_the_code(id: str, schedule: Schedule, law: GaussianLaw, t: int, variance: StepVariance) -> float:
    match id:
        case "sampling.gaussian-term":
            return float(exact.step_term(schedule, law, variance=variance)[t])
        case "sampling.gaussian-excess":
            return float(exact.step_excess(schedule, law, variance=variance)[t])
        case _:
            return exact.last_term(schedule, law, variance=variance)


def near(found: float, true: float) -> bool:
    return abs(found - true) <= 1e-12 * (1 + abs(true))


@pytest.mark.holds(*TERMS)
@pytest.mark.parametrize("variance", [*FIXED, "true"])
@pytest.mark.parametrize("id", TERMS)
@given(betas=st.lists(BETAS, min_size=2, max_size=6), draw=st.data())
@settings(max_examples=20)
def test_a_term_is_the_claims(
    id: str, variance: StepVariance, betas: list[float], draw: st.DataObject
) -> None:
    schedule = Schedule.from_betas(betas)
    t = 1 if id == "sampling.gaussian-last-term" else draw.draw(st.integers(2, len(betas)))
    law = LAWS[draw.draw(st.sampled_from(sorted(LAWS)))]
    assert near(of_the_code(id, schedule, law, t, variance), of_the_claim(id, schedule, law, t, variance))


@pytest.mark.parametrize(
    ("id", "wrong"),
    [pytest.param(id, wrong, id=f"{id}: {wrong.name}") for id in TERMS for wrong in CLAIMS[id].mutants],
)
def test_a_term_that_computed_a_mutant_would_fail(id: str, wrong: object) -> None:
    schedule, t = linear(8, 0.01, 0.5), 1 if id == "sampling.gaussian-last-term" else 4
    mutant = wrong.parts["value"]  # type: ignore[attr-defined]
    found = of_the_claim(id, schedule, LAWS["full"], t, "fixed_large", mutant)
    assert not near(found, of_the_code(id, schedule, LAWS["full"], t, "fixed_large"))


# -- the bound that the code estimates -----------------------------------------------------------------------


def cubature(law: GaussianLaw) -> tuple[Tensor, Tensor]:
    """Images and noises whose average is that over the law, for every quadratic form in (x_0, eps)."""
    d = law.mean.numel()
    axes = torch.eye(2 * d, dtype=torch.float64)
    z, eps = torch.split(math.sqrt(2 * d) * torch.cat([axes, -axes]), d, 1)
    images = law.mean.reshape(1, d) + law.from_axes(law.variances.sqrt() * z)
    return images.reshape(-1, *law.mean.shape), eps.reshape(-1, *law.mean.shape)


def bound_of_the_code(model: Model, schedule: Schedule, law: GaussianLaw, variance: Variance) -> Bound:
    x_0, eps = cubature(law)
    return bound(model, schedule, x_0, noise=lambda t: eps, variance=variance, clip=False, levels=None)


SCHEDULES = {
    "1": linear(1, 0.3),
    "2": linear(2, 0.1, 0.6),
    "10": linear(10, 0.01, 0.8),
    "cosine, 40": cosine(40),
    "100": linear(100, 1e-3, 0.2),
    "the paper's": linear(),
}


@pytest.mark.parametrize("variance", FIXED)
@pytest.mark.parametrize(
    ("steps", "law"),
    [*((steps, "full") for steps in SCHEDULES), ("10", "isotropic"), ("10", "diagonal")],
)
def test_the_bound_with_the_exact_denoiser_is_the_closed_form(steps: str, law: str, variance: Fixed) -> None:
    schedule, data = SCHEDULES[steps], LAWS[law]
    found = bound_of_the_code(GaussianDenoiser(schedule, data), schedule, data, variance)
    true = exact.bound(schedule, data, variance=variance)
    assert float(found.nats.mean()) == pytest.approx(true.total, abs=1e-10, rel=1e-13)
    assert float(found.L_T.mean()) == pytest.approx(true.L_T, abs=1e-10)
    assert float(found.L_0.mean()) == pytest.approx(true.L_0, abs=1e-10, rel=1e-13)
    assert found.means[1:, 0] == pytest.approx(true.steps[2:], abs=1e-10)
    assert found.means[:, 1] == pytest.approx(exact.distortion(schedule, data)[1:], abs=1e-12)
    assert found.means[:, 2] == pytest.approx(exact.smallest_loss(schedule, data)[1:], abs=1e-12)


@pytest.mark.parametrize("steps", ["2", "10", "100"])
def test_a_denoiser_that_knows_the_variance_too_pays_for_nothing_but_the_prior(steps: str) -> None:
    """The learned variance can be the true one, coordinate by coordinate."""
    schedule, data = SCHEDULES[steps], LAWS["diagonal"]
    denoiser, true = GaussianDenoiser(schedule, data), exact.reverse_variance(schedule, data)

    def model(x_t: Tensor, t: Tensor) -> Tensor:
        low, high = schedule.log_variance_fixed_small[t[0]], schedule.beta[t[0]].log()
        share = (true[t[0]].log() - low) / (high - low)
        return torch.cat([denoiser(x_t, t), (2 * share - 1).reshape(1, 1, 1, 3).expand_as(x_t)], 1)

    found = bound_of_the_code(model, schedule, data, "learned")
    closed = exact.bound(schedule, data, variance="true")
    assert float(found.nats.mean()) == pytest.approx(closed.total, abs=1e-10)
    assert closed.gap == pytest.approx(closed.prior_excess, abs=1e-13)


def test_another_denoiser_has_a_larger_bound() -> None:
    schedule, data = SCHEDULES["10"], LAWS["full"]
    best, wrong = (
        float(bound_of_the_code(GaussianDenoiser(schedule, law), schedule, data, "fixed_large").nats.mean())
        for law in (data, GaussianLaw(MEAN, SPREADS.mean()))
    )
    assert wrong > best + 1e-3


# -- bound, likelihood, entropy ------------------------------------------------------------------------------


@pytest.mark.holds("coding.bound-by-marginals", "bound.terms")
@pytest.mark.parametrize("variance", [*FIXED, "true"])
@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("steps", SCHEDULES)
def test_the_terms_add_up_to_the_entropy_and_the_gap(steps: str, law: str, variance: StepVariance) -> None:
    """Two ways to the same sum: term by term, and by the marginals."""
    found = exact.bound(SCHEDULES[steps], LAWS[law], variance=variance)
    assert found.total == pytest.approx(found.entropy + found.gap, rel=1e-12, abs=1e-11)


def by_marginals(schedule: Schedule, law: GaussianLaw, expression: Basic) -> float:
    """The claim's sum, each logarithm a mean over q: a quadratic, so two points for every axis have it."""
    variances = exact.state_variance(schedule, law)
    mean = law.along_axes(law.mean.reshape(1, -1))
    data = Gaussian(mean, variances[:1])
    end = Gaussian(schedule.sqrt_alpha_bar[-1] * mean, variances[-1:])
    prior = Gaussian(torch.zeros_like(mean), torch.ones_like(mean))

    def log_mean(p: Gaussian, q: Gaussian) -> Any:
        points = (q.mean + sign * q.variance.sqrt() for sign in (-1, 1))
        return mp.mpf(sum(float(log_density(p, x)) for x in points) / 2)

    values = {
        "log_q_image": log_mean(data, data),
        "log_q_end": log_mean(end, end),
        "log_p_end": log_mean(prior, end),
        "back_sum_end": mp.mpf(float(exact.step_excess(schedule, law)[1:].sum())),
    }
    return float(evaluate(expression, values))


MARGINALS = CLAIMS["coding.bound-by-marginals"]


@pytest.mark.holds("coding.bound-by-marginals")
@pytest.mark.parametrize("law", LAWS)
def test_the_bound_by_marginals_is_the_claims(law: str) -> None:
    schedule = linear(8, 0.01, 0.5)
    assert near(exact.bound(schedule, LAWS[law]).total, by_marginals(schedule, LAWS[law], MARGINALS.value))


@pytest.mark.parametrize("wrong", MARGINALS.mutants, ids=lambda wrong: wrong.name)
def test_a_bound_by_other_marginals_would_fail(wrong: Mutant) -> None:
    schedule = linear(8, 0.01, 0.5)
    found = exact.bound(schedule, LAWS["full"]).total
    assert abs(found - by_marginals(schedule, LAWS["full"], wrong.parts["value"])) > 1e-3


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("steps", SCHEDULES)
def test_the_likelihood_lies_between_the_entropy_and_the_bound(steps: str, law: str) -> None:
    schedule, data = SCHEDULES[steps], LAWS[law]
    for variance in FIXED:
        gap = reverse_law(schedule, data, variance=variance, noise_at_1=True).divergence(0)
        assert 0 <= gap <= exact.bound(schedule, data, variance=variance).gap


def test_the_bound_tends_to_the_entropy_like_one_over_T() -> None:
    """Where β_1 is small beside β_2, so that β̃_2 is the right variance for the last step."""
    data = LAWS["isotropic"]
    gaps = {T: exact.bound(linear(T, 10 / T**4, 20 / T), data).gap for T in (200, 400, 800)}
    for few, many in pairwise(gaps):
        assert gaps[many] / gaps[few] == pytest.approx(0.5, abs=0.01)
    # With betas that start evenly the last term alone keeps it away: it wants twice the variance.
    even = exact.bound(linear(800, 0.1 / 800, 20 / 800), data)
    assert even.gap > 0.09 * data.mean.numel()
    assert float(even.excess[1]) / even.gap > 0.98


# -- the law of the sampler ----------------------------------------------------------------------------------


def law_of_the_code(schedule: Schedule, law: GaussianLaw, variance: Variance) -> list[tuple[Tensor, Tensor]]:
    """Mean and covariance of x_t for t = T … 0: a run with zero noise, and one for each unit noise."""
    T, d = schedule.T, law.mean.numel()
    inputs = torch.cat([torch.zeros(1, T * d), torch.eye(T * d)]).double().reshape(-1, T, *law.mean.shape)
    states = ancestral(
        GaussianDenoiser(schedule, law),
        schedule,
        inputs[:, 0],
        noise=lambda t: inputs[:, T + 1 - t],
        variance=variance,
        clip=False,
    )
    found = []
    for state in states:
        zero, *rest = state.x.reshape(-1, d)
        jacobian = torch.stack(rest) - zero
        found.append((zero, jacobian.T @ jacobian))
    return found


@pytest.mark.parametrize("variance", FIXED)
@pytest.mark.parametrize("law", LAWS)
def test_the_samplers_law_is_the_closed_one(law: str, variance: Fixed) -> None:
    schedule, data = SCHEDULES["10"], LAWS[law]
    closed = reverse_law(schedule, data, variance=variance)
    for t, (mean, covariance) in zip(
        range(schedule.T, -1, -1), law_of_the_code(schedule, data, variance), strict=True
    ):
        assert closed.mean(t).reshape(-1) == pytest.approx(mean, abs=1e-13)
        assert closed.covariance(t) == pytest.approx(covariance, abs=1e-13)


def recursion(schedule: Schedule, s: float, m: float, parts: dict[str, Basic]) -> list[tuple[float, float]]:
    """Mean and variance of x_t for t = T … 0, by the claim's expressions, with noise at t = 1 as well."""
    found = [(mp.mpf(0), mp.mpf(1))]
    for t in range(schedule.T, 0, -1):
        at = {**steps(schedule, t), "data_mean": mp.mpf(m), "data_deviation": mp.mpf(s)}
        at |= {"mu_1": found[-1][0], "sigma_1": mp.sqrt(found[-1][1])}
        at["sigma_t"] = mp.sqrt(mp.mpf(float(schedule.variance_fixed_small[t])))
        found.append((evaluate(parts["mean"], at), evaluate(parts["variance"], at)))
    return [(float(mean), float(variance)) for mean, variance in found]


def agrees(schedule: Schedule, s: float, m: float, parts: dict[str, Basic]) -> bool:
    data = GaussianLaw(torch.tensor([m]).double(), torch.tensor(s).double().square())
    law = reverse_law(schedule, data, variance="fixed_small", noise_at_1=True)
    return all(
        near(float(law.means[t, 0]), mean) and near(float(law.variances[t, 0]), variance)
        for t, (mean, variance) in zip(
            range(schedule.T, -1, -1), recursion(schedule, s, m, parts), strict=True
        )
    )


@pytest.mark.holds("sampling.reverse-law")
@given(betas=st.lists(BETAS, min_size=1, max_size=6), k=st.integers(1, 30))
@settings(max_examples=20)
def test_the_closed_law_is_the_claims_recursion(betas: list[float], k: int) -> None:
    assert agrees(Schedule.from_betas(betas), k / 16, k / 8 - 2, dict(CLAIMS["sampling.reverse-law"].parts))


@pytest.mark.parametrize("wrong", CLAIMS["sampling.reverse-law"].mutants, ids=lambda wrong: wrong.name)
def test_a_law_that_followed_a_mutant_would_fail(wrong: object) -> None:
    parts = {**CLAIMS["sampling.reverse-law"].parts, **wrong.parts}  # type: ignore[attr-defined]
    assert not agrees(linear(8, 0.01, 0.5), 0.75, 0.5, parts)


@pytest.mark.holds("parameterization.kl")
@pytest.mark.parametrize("t", [0, 1, 6, 10])
@pytest.mark.parametrize("law", LAWS)
def test_the_divergence_of_every_state_is_that_of_two_full_gaussians(law: str, t: int) -> None:
    """Of q(x_t) from the sampler's law, axes and all, as PyTorch has it."""
    schedule, data = SCHEDULES["10"], LAWS[law]
    found = reverse_law(schedule, data)
    roots = data.from_axes(data.variances.sqrt().diag())
    signal, noise = schedule.sqrt_alpha_bar[t], schedule.one_minus_alpha_bar[t]
    forward, sampled = (
        torch.distributions.MultivariateNormal(mean.reshape(-1), covariance)
        for mean, covariance in (
            (signal * data.mean, signal**2 * roots.T @ roots + noise * torch.eye(3).double()),
            (found.mean(t), found.covariance(t)),
        )
    )
    true = torch.distributions.kl_divergence(forward, sampled)
    assert found.divergence(t) == pytest.approx(float(true), rel=1e-10)


# -- refusals and edges --------------------------------------------------------------------------------------


def test_the_variance_is_the_larger_fixed_one_unless_another_is_named() -> None:
    schedule, data = SCHEDULES["10"], LAWS["full"]
    for term in (exact.step_term, exact.step_excess):
        named = term(schedule, data, variance="fixed_large")
        assert term(schedule, data)[1:].nan_to_num().equal(named[1:].nan_to_num())
    assert exact.last_term(schedule, data) == exact.last_term(schedule, data, variance="fixed_large")
    assert exact.bound(schedule, data).total == exact.bound(schedule, data, variance="fixed_large").total
    law = reverse_law(schedule, data, variance="fixed_large")
    assert reverse_law(schedule, data).variances.equal(law.variances)


def test_an_unknown_variance_is_refused() -> None:
    with pytest.raises(
        ValueError, match="variance must be one of fixed_large, fixed_small, true; got 'beta'"
    ):
        exact.bound(linear(4), LAWS["full"], variance="beta")  # type: ignore[arg-type]


def test_tables_have_no_value_where_there_is_no_meaning() -> None:
    schedule, data = linear(4), LAWS["full"]
    for table in (exact.smallest_loss(schedule, data), exact.rate(schedule, data)):
        assert table.shape == (5,)
        assert table[0].isnan()
        assert table[1:].isfinite().all()
    assert exact.step_term(schedule, data).isnan().tolist() == [True, True, False, False, False]
    assert exact.step_term(linear(1), data).isnan().tolist() == [True, True]
    assert exact.distortion(schedule, data)[0] == 0
