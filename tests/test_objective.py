"""The bound's terms: what the code returns is the claim's divergence of the two laws that it compares."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ddpm_ref import objective, process
from ddpm_ref.process import Prediction, Variance
from tests.oracle import CLAIMS, Case, cases, evaluate, exact, mp


def always(answer: torch.Tensor, x_t: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
    """A model that predicts the same whatever it sees."""
    return answer


@pytest.mark.holds("parameterization.L-t-1")
@pytest.mark.parametrize("variance", ["fixed_large", "fixed_small"])
@pytest.mark.parametrize("prediction", ["eps", "x0", "mu", "v"])
@given(case=cases(first=2))
def test_a_term_is_the_divergence_of_posterior_and_reverse_step(
    prediction: Prediction, variance: Variance, case: Case
) -> None:
    x_0, eps, predicted = (x.double() for x in (case.x_0, case.eps, case.eps_theta))
    x_t = process.q_sample(case.schedule, x_0, case.t, eps)
    found = objective.L_t_minus_1(
        lambda x, t: predicted,
        case.schedule,
        x_0,
        case.t,
        eps,
        prediction=prediction,
        variance=variance,
        clip=False,
    )
    means = {
        "eps": process.mu_from_eps(case.schedule, x_t, case.t, predicted),
        "x0": process.mu_from_x0(case.schedule, x_t, case.t, predicted),
        "mu": predicted,
        "v": process.mu_from_x0(
            case.schedule, x_t, case.t, process.x0_from_v(case.schedule, x_t, case.t, predicted)
        ),
    }
    posterior = process.q_posterior(case.schedule, x_0, x_t, case.t)
    for i in range(len(case.t)):
        values = case.values(i)
        values["beta_tilde_t"] = evaluate(CLAIMS["posterior.variance"].value, values)
        squared = values["beta_t"] if variance == "fixed_large" else values["beta_tilde_t"]
        values["sigma_t"] = mp.sqrt(squared)
        values["mu_tilde"], values["mu_theta"] = exact(posterior.mean[i]), exact(means[prediction][i])
        truth = evaluate(CLAIMS["parameterization.L-t-1"].value, values)
        # the two means are rounded before their difference is squared
        size = np.abs(values["mu_tilde"]) + np.abs(values["mu_theta"]) + np.abs(exact(x_t[i]))
        rounding = 2.0**-52 * (np.sum(size**2) / squared + values["d"])
        assert abs(exact(found[i]) - truth) <= 64 * rounding


@given(case=cases(first=2), variance=st.sampled_from(["fixed_large", "fixed_small"]))
def test_the_weight_turns_the_simple_objective_into_the_bounds_term(case: Case, variance: Variance) -> None:
    """L_{t-1} at two predictions differs by d λ_t times the difference of L_simple: no constant is left."""
    x_0, eps = case.x_0.double(), case.eps.double()
    terms, losses = [], []
    for guess in (case.eps_theta.double(), 2 * case.eps_theta.double()):
        model = partial(always, guess)
        terms.append(
            objective.L_t_minus_1(model, case.schedule, x_0, case.t, eps, variance=variance, clip=False)
        )
        losses.append(objective.L_simple(model, case.schedule, x_0, case.t, eps))
    factor = objective.weight(case.schedule, case.t, losses[0], variance=variance)
    d = x_0[0].numel()
    difference = d * factor * (losses[1] - losses[0])
    size = float((d * factor * (losses[0] + losses[1] + 1)).max())
    torch.testing.assert_close(terms[1] - terms[0], difference, rtol=1e-6, atol=1e-6 * size)


@given(case=cases(first=2))
def test_a_network_that_predicts_the_noise_pays_only_the_constant(case: Case) -> None:
    """With the posterior's own variance the constant is zero, so the term is."""
    x_0, eps = case.x_0.double(), case.eps.double()
    found = objective.L_t_minus_1(
        lambda x, t: eps, case.schedule, x_0, case.t, eps, variance="fixed_small", clip=False
    )
    scale = 1 / case.schedule.variance_fixed_small[case.t]
    assert (found <= 1e-24 * scale * x_0[0].numel() * 1e3 + 1e-12).all()


@given(case=cases(), prediction=st.sampled_from(["eps", "x0", "mu", "v"]))
def test_a_network_that_predicts_the_target_has_no_loss(case: Case, prediction: Prediction) -> None:
    x_t = process.q_sample(case.schedule, case.x_0, case.t, case.eps)
    target = process.target(case.schedule, case.x_0, x_t, case.t, case.eps, prediction=prediction)
    loss = objective.L_simple(
        lambda x, t: target, case.schedule, case.x_0, case.t, case.eps, prediction=prediction
    )
    assert (loss == 0).all()


@given(case=cases())
def test_the_network_sees_the_noised_image_and_the_papers_t(case: Case) -> None:
    seen: list[tuple[torch.Tensor, torch.Tensor]] = []

    def model(x_t: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        seen.append((x_t, t))
        return torch.zeros_like(x_t)

    objective.L_simple(model, case.schedule, case.x_0, case.t, case.eps)
    ((x_t, t),) = seen
    assert t.dtype == torch.int64
    assert torch.equal(t, case.t)
    assert torch.equal(x_t, process.q_sample(case.schedule, case.x_0, case.t, case.eps))
