"""Ancestral sampling: its exact law for Gaussian data, and the wiring of its noise.

For Gaussian data the best noise predictor is affine, so a whole run is affine in x_T and z_T … z_2. Run with
zero and with unit noises it shows its mean and its Jacobian, and these are compared with the recursion that
the chapter proves. No sample is drawn.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sympy import Basic
from torch import Tensor

from ddpm_ref import ancestral, process
from ddpm_ref.process import Prediction, Variance
from ddpm_ref.schedule import Schedule, linear
from tests.oracle import BETAS, CLAIMS, evaluate, mp, steps

DENOISER = CLAIMS["sampling.gaussian-denoiser"]
LAW = CLAIMS["sampling.reverse-law"]


def denoiser(
    schedule: Schedule,
    mean: float,
    deviation: float,
    prediction: Prediction,
    expression: Basic = DENOISER.value,
) -> Callable[[Tensor, Tensor], Tensor]:
    """The claim's predictor as a model: its value and its slope, read off the expression at each t."""
    affine = {}
    for t in range(1, schedule.T + 1):
        at = {**steps(schedule, t), "data_mean": mp.mpf(mean), "data_deviation": mp.mpf(deviation)}
        at_0, at_1 = (evaluate(expression, {**at, "x_t": mp.mpf(x)}) for x in (0, 1))
        affine[t] = float(at_0), float(at_1 - at_0)

    def model(x_t: Tensor, t: Tensor) -> Tensor:
        value, slope = affine[int(t[0])]
        eps = value + slope * x_t
        match prediction:
            case "eps":
                return eps
            case "x0":
                return process.x0_from_eps(schedule, x_t, int(t[0]), eps)
            case "mu":
                return process.mu_from_eps(schedule, x_t, int(t[0]), eps)
            case "v":
                return process.v_from_eps(schedule, x_t, int(t[0]), eps)

    return model


def law_of_the_code(
    schedule: Schedule, model: Callable[[Tensor, Tensor], Tensor], variance: Variance, prediction: Prediction
) -> tuple[list[float], list[float]]:
    """Mean and variance of x_t for t = T … 0: a run with zero noise, and one for each unit noise."""
    T = schedule.T
    inputs = torch.cat([torch.zeros(1, T), torch.eye(T)]).double()  # row: x_T, z_T, …, z_2
    states = ancestral(
        model,
        schedule,
        inputs[:, 0],
        noise=lambda t: inputs[:, T + 1 - t],
        variance=variance,
        prediction=prediction,
        clip=False,
    )
    means, variances = [], []
    for state in states:
        means.append(float(state.x[0]))
        variances.append(float((state.x[1:] - state.x[0]).square().sum()))
    return means, variances


def law_of_the_claim(
    schedule: Schedule,
    mean: float,
    deviation: float,
    variance: Variance,
    parts: dict[str, Basic] | None = None,
) -> tuple[list[float], list[float]]:
    """The recursion of the chapter, from N(0, 1) at T down to t = 0, where the last step adds no noise."""
    expressions = {**LAW.parts, **(parts or {})}
    means, variances = [mp.mpf(0)], [mp.mpf(1)]
    for t in range(schedule.T, 0, -1):
        at = {**steps(schedule, t), "data_mean": mp.mpf(mean), "data_deviation": mp.mpf(deviation)}
        at["mu_1"], at["sigma_1"] = means[-1], mp.sqrt(variances[-1])
        own = evaluate(CLAIMS["posterior.variance"].value, at) if variance == "fixed_small" else at["beta_t"]
        at["sigma_t"] = mp.sqrt(own) if t > 1 else mp.mpf(0)
        means.append(evaluate(expressions["mean"], at))
        variances.append(evaluate(expressions["variance"], at))
    return [float(m) for m in means], [float(v) for v in variances]


schedules = st.lists(BETAS, min_size=1, max_size=8).map(Schedule.from_betas)


def agree(found: tuple[list[float], list[float]], true: tuple[list[float], list[float]]) -> bool:
    return all(
        abs(a - b) <= 1e-11 * (1 + abs(b))
        for ours, theirs in zip(found, true, strict=True)
        for a, b in zip(ours, theirs, strict=True)
    )


@pytest.mark.holds("sampling.reverse-law", "sampling.gaussian-denoiser")
@pytest.mark.parametrize("prediction", ["eps", "x0", "mu", "v"])
@pytest.mark.parametrize("variance", ["fixed_large", "fixed_small"])
@given(schedule=schedules, mean=st.floats(-2, 2), deviation=st.floats(0.1, 2))
@settings(max_examples=25)
def test_the_law_of_every_state_is_the_claims_recursion(
    prediction: Prediction, variance: Variance, schedule: Schedule, mean: float, deviation: float
) -> None:
    model = denoiser(schedule, mean, deviation, prediction)
    assert agree(
        law_of_the_code(schedule, model, variance, prediction),
        law_of_the_claim(schedule, mean, deviation, variance),
    )


@pytest.mark.parametrize("wrong", LAW.mutants, ids=lambda wrong: wrong.name)
def test_a_sampler_with_another_law_would_fail(wrong: object) -> None:
    schedule = linear(8, 0.01, 0.5)
    model = denoiser(schedule, 0.5, 0.7, "eps")
    true = law_of_the_claim(schedule, 0.5, 0.7, "fixed_large", dict(wrong.parts))  # type: ignore[attr-defined]
    assert not agree(law_of_the_code(schedule, model, "fixed_large", "eps"), true)


@pytest.mark.parametrize("wrong", DENOISER.mutants, ids=lambda wrong: wrong.name)
def test_a_wrong_denoiser_has_another_law(wrong: object) -> None:
    schedule = linear(8, 0.01, 0.5)
    model = denoiser(schedule, 0.5, 0.7, "eps", wrong.parts["value"])  # type: ignore[attr-defined]
    assert not agree(
        law_of_the_code(schedule, model, "fixed_large", "eps"),
        law_of_the_claim(schedule, 0.5, 0.7, "fixed_large"),
    )


@pytest.mark.parametrize("variance", ["fixed_large", "fixed_small"])
def test_a_thousand_steps_bring_gaussian_data_back(variance: Variance) -> None:
    """With the paper's schedule the law that comes out is the data's, up to the bias of a discrete chain."""
    schedule = linear()
    found = law_of_the_code(schedule, denoiser(schedule, 0.3, 0.6, "eps"), variance, "eps")
    assert agree(found, law_of_the_claim(schedule, 0.3, 0.6, variance))
    assert found[0][-1] == pytest.approx(0.3, abs=0.01)
    assert found[1][-1] == pytest.approx(0.36, rel=0.05)


# -- wiring --------------------------------------------------------------------------------------------------


def zero(x_t: Tensor, t: Tensor) -> Tensor:
    return torch.zeros_like(x_t)


def test_states_run_from_T_to_the_image_and_noise_is_asked_for_at_T_to_2() -> None:
    schedule = linear(5, 0.1, 0.3)
    asked: list[int] = []

    def noise(t: int) -> Tensor:
        asked.append(t)
        return torch.zeros(2, 3)

    states = list(ancestral(zero, schedule, torch.ones(2, 3), noise=noise))
    assert [state.t for state in states] == [5, 4, 3, 2, 1, 0]
    assert asked == [5, 4, 3, 2]
    assert states[0].x0_hat is None
    assert all(state.x0_hat is not None for state in states[1:])


def test_the_model_is_told_the_papers_t() -> None:
    told: list[int] = []

    def model(x_t: Tensor, t: Tensor) -> Tensor:
        assert t.dtype == torch.int64
        assert t.shape == (2,)
        assert (t == t[0]).all()
        told.append(int(t[0]))
        return torch.zeros_like(x_t)

    list(ancestral(model, linear(4, 0.1, 0.3), torch.zeros(2, 3)))
    assert told == [4, 3, 2, 1]


def test_the_same_generator_gives_the_same_images_and_another_gives_others() -> None:
    def run(seed: int) -> Tensor:
        generator = torch.Generator().manual_seed(seed)
        *_, last = ancestral(zero, linear(5, 0.1, 0.3), torch.zeros(2, 3), generator=generator)
        return last.x

    assert torch.equal(run(0), run(0))
    assert not torch.equal(run(0), run(1))


def test_every_step_takes_one_fresh_draw_of_the_generator() -> None:
    schedule = linear(6, 0.2, 0.2)
    generator = torch.Generator().manual_seed(3)
    z = {t: torch.randn(4, 4, generator=generator) for t in range(6, 1, -1)}
    given_noise = ancestral(zero, schedule, torch.zeros(4, 4), noise=z.__getitem__)
    drawn = ancestral(zero, schedule, torch.zeros(4, 4), generator=torch.Generator().manual_seed(3))
    for ours, theirs in zip(given_noise, drawn, strict=True):
        assert torch.equal(ours.x, theirs.x)


def test_clipping_acts_on_the_image_before_the_mean() -> None:
    """The predicted image stays in [-1, 1] and the mean is the posterior's for the clipped image."""
    schedule = linear(5, 0.1, 0.3)
    x_t = torch.full((1, 2), 3.0)
    step = process.p_mean_variance(schedule, torch.zeros_like(x_t), x_t, 4, clip=True)
    assert torch.equal(step.x0_hat, torch.ones_like(x_t))
    assert torch.equal(step.mean, process.q_posterior(schedule, torch.ones_like(x_t), x_t, 4).mean)
    opposite = process.p_mean_variance(schedule, torch.zeros_like(x_t), -x_t, 4, clip=True)
    assert torch.equal(opposite.x0_hat, -torch.ones_like(x_t))
    inside = process.p_mean_variance(schedule, torch.zeros_like(x_t), -x_t / 30, 4, clip=True)
    free = process.p_mean_variance(schedule, torch.zeros_like(x_t), -x_t / 30, 4, clip=False)
    assert torch.equal(inside.x0_hat, free.x0_hat)
    assert (process.p_mean_variance(schedule, torch.zeros_like(x_t), x_t, 4, clip=False).x0_hat > 1).all()


def test_gradients_are_not_kept_and_the_callers_mode_is_not_touched() -> None:
    parameter = torch.ones((), requires_grad=True)
    for state in ancestral(lambda x, t: parameter * x, linear(3, 0.1, 0.3), torch.ones(1, 2)):
        assert not state.x.requires_grad
        assert torch.is_grad_enabled()


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_prediction_that_is_not_finite_is_named_by_its_t(bad: float) -> None:
    def model(x_t: Tensor, t: Tensor) -> Tensor:
        return torch.full_like(x_t, bad if int(t[0]) == 3 else 0.0)

    with pytest.raises(FloatingPointError, match="at t = 3"):
        list(ancestral(model, linear(5, 0.1, 0.3), torch.zeros(1, 2)))
