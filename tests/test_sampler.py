"""Ancestral sampling: its exact law for Gaussian data, and the wiring of its noise.

For Gaussian data the best noise predictor is affine, so a whole run is affine in x_T and z_T … z_2. Run with
zero and with unit noises it shows its mean and its Jacobian, and these are compared with the recursion that
the chapter proves. No sample is drawn.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sympy import Basic
from torch import Tensor

from ddpm_ref import process
from ddpm_ref.latents import encode, interpolate, slerp
from ddpm_ref.objective import Model
from ddpm_ref.process import Prediction, Variance
from ddpm_ref.sampler import State, ancestral, sample
from ddpm_ref.schedule import Schedule, linear
from ddpm_ref.score import Score, score_from_eps, score_of
from ddpm_ref.subsequence import Subsequence
from ddpm_ref.subsequence import steps as choose
from derivations.gaussians import after_step
from derivations.proof.claims import Mutant
from tests.oracle import BETAS, CLAIMS, evaluate, exact, mp, steps

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


def agree(
    found: tuple[list[float], list[float]], true: tuple[list[float], list[float]], tolerance: float = 1e-11
) -> bool:
    return all(
        abs(a - b) <= tolerance * (1 + abs(b))
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


@pytest.mark.parametrize("draw", [ancestral, sample])
def test_images_are_clipped_unless_told_not_to(draw: Callable[..., Iterator[State]]) -> None:
    def image(**options: bool) -> Tensor:
        *_, last = draw(
            zero, linear(5, 0.1, 0.3), torch.full((1, 2), 9.0), noise=lambda t: torch.zeros(1, 2), **options
        )
        return last.x

    assert image().equal(torch.ones(1, 2))
    assert image(clip=True).equal(image())
    assert (image(clip=False) > 1).all()


def test_gradients_are_not_kept_and_the_callers_mode_is_not_touched() -> None:
    parameter = torch.ones((), requires_grad=True)
    for state in ancestral(lambda x, t: parameter * x, linear(3, 0.1, 0.3), torch.ones(1, 2)):
        assert not state.x.requires_grad
        assert torch.is_grad_enabled()


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_prediction_that_is_not_finite_is_named_by_its_t(bad: float) -> None:
    def model(x_t: Tensor, t: Tensor) -> Tensor:
        return torch.full_like(x_t, bad if int(t[0]) == 3 else 0.0)

    with pytest.raises(FloatingPointError, match=r"the model's prediction must be finite; .* at t = 3"):
        list(ancestral(model, linear(5, 0.1, 0.3), torch.zeros(1, 2)))


# -- any sub-sequence, any η ---------------------------------------------------------------------------------


def law_of_a_walk(
    schedule: Schedule, taken: Sequence[int], model: Model, **options: Any
) -> tuple[list[float], list[float]]:
    """Mean and variance at every state, read off a run with zero noise and one for each unit noise."""
    N = len(taken)
    inputs = torch.cat([torch.zeros(1, N), torch.eye(N)]).double()  # row: x_T, then z_t for t in steps
    column = {t: N - 1 - i for i, t in enumerate(taken)}  # x_T has column 0; the step at steps[-1] column 1
    states = sample(
        model, schedule, inputs[:, 0], start=taken[-1], steps=taken,
        noise=lambda t: inputs[:, column[t] + 1], clip=False, **options,
    )  # fmt: skip
    means, variances = [], []
    for state in states:
        means.append(float(state.x[0]))
        variances.append(float((state.x[1:] - state.x[0]).square().sum()))
    return means, variances


def law_of_the_walks_claims(
    schedule: Schedule,
    taken: Sequence[int],
    mean: float,
    deviation: float,
    step: Callable[[dict[str, Any]], tuple[Any, Any]],
) -> tuple[list[float], list[float]]:
    """The same from N(0, 1) on, by `step`: the mean of x_s at a given x_t, and the variance of its noise."""
    means, variances = [mp.mpf(0)], [mp.mpf(1)]
    for s, t in reversed(list(pairwise((0, *taken)))):
        at = {**steps(schedule, t), "data_mean": mp.mpf(mean), "data_deviation": mp.mpf(deviation)}
        at["alpha_bar_s"] = steps(schedule, s)["alpha_bar_t"] if s else mp.mpf(1)
        moved, noise = zip(*(step({**at, "x_t": mp.mpf(x)}) for x in (0, 1)), strict=True)
        _, variance = after_step(0, variances[-1], moved[1] - moved[0], noise[0])
        means.append(moved[0] + (moved[1] - moved[0]) * means[-1])
        variances.append(variance)
    return [float(m) for m in means], [float(v) for v in variances]


def ddim(
    eta: float, parts: Mapping[str, Basic] | None = None, of_eta: Mapping[str, Basic] | None = None
) -> Callable[[dict[str, Any]], tuple[Any, Any]]:
    line = {**CLAIMS["sampling.ddim-step"].parts, **(parts or {})}["value"]
    variance = {**CLAIMS["sampling.ddim-eta"].parts, **(of_eta or {})}["value"]

    def step(at: dict[str, Any]) -> tuple[Any, Any]:
        at["eta"], at["z"] = mp.mpf(eta), mp.mpf(0)
        at["eps_theta"] = evaluate(DENOISER.value, at)
        at["sigma_t"] = mp.sqrt(evaluate(variance, at)) if at["alpha_bar_s"] < 1 else mp.mpf(0)
        noise = evaluate(line, {**at, "z": mp.mpf(1)}) - evaluate(line, at)
        return evaluate(line, at), noise**2

    return step


def ancestral_stretch(variance: Variance) -> Callable[[dict[str, Any]], tuple[Any, Any]]:
    posterior, stretch = CLAIMS["sampling.stretch-posterior"], CLAIMS["forward.composition"]

    def step(at: dict[str, Any]) -> tuple[Any, Any]:
        at["eps"] = evaluate(DENOISER.value, at)
        at["x_0"] = evaluate(CLAIMS["parameterization.x0-from-eps"].value, at)
        own = posterior.variance if variance == "fixed_small" else stretch.variance
        noise = evaluate(own, at) if at["alpha_bar_s"] < 1 else mp.mpf(0)
        return evaluate(posterior.mean, at), noise

    return step


def rounding(walk: Subsequence, prediction: Prediction) -> float:
    """What `agree` may allow: more where a predicted mean is read at one step and used for a stretch.

    The image has a smaller share in the mean of one step than in that of the stretch, so 64 roundings of the
    mean grow by the quotient of the two shares.
    """
    if prediction != "mu":
        return 1e-11
    grown = walk.posterior_mean_coef_x0[1:] / walk.whole.posterior_mean_coef_x0[list(walk.steps)]
    return max(1e-11, 64 * 2**-52 * float(grown.max()))


@st.composite
def walks(draw: st.DrawFn) -> tuple[Schedule, tuple[int, ...]]:
    """A schedule, and any of its sub-sequences."""
    schedule = draw(schedules)
    taken = draw(st.sets(st.integers(1, schedule.T), min_size=1))
    return schedule, tuple(sorted(taken))


@pytest.mark.holds("sampling.ddim-step", "sampling.ddim-eta", "sampling.gaussian-denoiser")
@pytest.mark.parametrize("prediction", ["eps", "x0", "mu", "v"])
@given(walk=walks(), mean=st.floats(-2, 2), deviation=st.floats(0.1, 2), share=st.floats(0, 1))
@settings(max_examples=25)
def test_the_law_of_ddim_is_the_claims_for_any_eta_and_any_steps(
    prediction: Prediction,
    walk: tuple[Schedule, tuple[int, ...]],
    mean: float,
    deviation: float,
    share: float,
) -> None:
    schedule, taken = walk
    eta = share * min(Subsequence(schedule, taken).eta_max, 3.0)
    model = denoiser(schedule, mean, deviation, prediction)
    found = law_of_a_walk(schedule, taken, model, prediction=prediction, eta=eta)
    true = law_of_the_walks_claims(schedule, taken, mean, deviation, ddim(eta))
    assert agree(found, true, rounding(Subsequence(schedule, taken, eta=eta), prediction))


@pytest.mark.holds("sampling.stretch-posterior", "forward.composition")
@pytest.mark.parametrize("prediction", ["eps", "mu"])
@pytest.mark.parametrize("variance", ["fixed_large", "fixed_small"])
@given(walk=walks(), mean=st.floats(-2, 2), deviation=st.floats(0.1, 2))
@settings(max_examples=25)
def test_the_law_of_ancestral_sampling_over_any_steps_is_the_stretches(
    variance: Variance,
    prediction: Prediction,
    walk: tuple[Schedule, tuple[int, ...]],
    mean: float,
    deviation: float,
) -> None:
    schedule, taken = walk
    model = denoiser(schedule, mean, deviation, prediction)
    found = law_of_a_walk(schedule, taken, model, prediction=prediction, variance=variance)
    true = law_of_the_walks_claims(schedule, taken, mean, deviation, ancestral_stretch(variance))
    assert agree(found, true, rounding(Subsequence(schedule, taken), prediction))


WRONG_DDIM = [
    pytest.param(wrong, id=f"{name}: {wrong.name}")
    for name in ("sampling.ddim-step", "sampling.ddim-eta")
    for wrong in CLAIMS[name].mutants
]


@pytest.mark.parametrize("wrong", WRONG_DDIM)
def test_a_ddim_with_another_law_would_fail(wrong: Mutant) -> None:
    schedule, taken = linear(8, 0.01, 0.5), (2, 5, 8)
    model = denoiser(schedule, 0.5, 0.7, "eps")
    in_line = wrong in CLAIMS["sampling.ddim-step"].mutants
    mutated = ddim(0.2, wrong.parts) if in_line else ddim(0.2, of_eta=wrong.parts)
    true = law_of_the_walks_claims(schedule, taken, 0.5, 0.7, mutated)
    assert not agree(law_of_a_walk(schedule, taken, model, eta=0.2), true)


def test_ddim_misses_the_datas_variance_by_the_inverse_of_the_number_of_steps() -> None:
    """The error of a first-order scheme: a tenth of it takes ten times the steps."""
    schedule = linear()
    model = denoiser(schedule, 0.3, 0.6, "eps")

    def missing(N: int) -> float:
        return 0.36 - law_of_a_walk(schedule, choose(1000, N), model, eta=0.0)[1][-1]

    assert missing(10) / missing(100) == pytest.approx(10, rel=0.25)
    assert missing(20) / missing(200) == pytest.approx(10, rel=0.25)


def test_all_steps_are_ancestral_sampling_to_the_last_bit() -> None:
    schedule = linear(20, 0.01, 0.3)
    x_T = torch.randn(4, 3, generator=torch.Generator().manual_seed(0))
    z = {t: torch.randn(4, 3, generator=torch.Generator().manual_seed(t)) for t in range(2, 21)}
    x = x_T
    states = sample(half, schedule, x_T, steps=range(1, 21), noise=z.__getitem__)
    assert next(states).x.equal(x_T)
    for state in states:
        t = state.t + 1
        x = process.p_sample(schedule, half(x, torch.tensor([t])), x, t, z.get(t))
        assert state.x.equal(x)


@pytest.mark.parametrize("steps", [(20,), (1, 20), (3, 9, 11, 20), tuple(range(1, 21))])
def test_eta_one_is_ancestral_sampling_with_the_smaller_variance(steps: tuple[int, ...]) -> None:
    schedule = linear(20, 0.01, 0.3)
    x_T = torch.randn(4, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    z = {t: torch.randn(4, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(t)) for t in steps}
    options: dict[str, Any] = {"steps": steps, "noise": z.__getitem__}
    ours = sample(half, schedule, x_T, eta=1.0, **options)
    theirs = sample(half, schedule, x_T, variance="fixed_small", **options)
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one.x, other.x, rtol=1e-13, atol=1e-13)


def half(x_t: Tensor, t: Tensor) -> Tensor:
    return x_t / 2


def test_a_learned_variance_lies_between_the_stretchs_two() -> None:
    schedule, taken = linear(20, 0.01, 0.3), (4, 9, 20)
    walk = Subsequence(schedule, taken)
    x_T = torch.zeros(1, 1, dtype=torch.float64)

    def variance_for(value: float) -> float:
        states = sample(
            lambda x_t, t: torch.cat([x_t, torch.full_like(x_t, value)], dim=1),
            schedule, x_T, steps=taken, variance="learned", noise=lambda t: torch.ones_like(x_T),
        )  # fmt: skip
        next(states)
        return float(next(states).x) ** 2

    assert variance_for(1.0) == pytest.approx(float(walk.variance_fixed_large[3]), rel=1e-12)
    assert variance_for(-1.0) == pytest.approx(float(walk.variance_fixed_small[3]), rel=1e-12)


def test_the_model_is_asked_at_the_whole_schedules_t_and_noise_for_all_but_the_last_step() -> None:
    told: list[int] = []
    asked: list[int] = []

    def model(x_t: Tensor, t: Tensor) -> Tensor:
        told.append(int(t[0]))
        return torch.zeros_like(x_t)

    def noise(t: int) -> Tensor:
        asked.append(t)
        return torch.zeros(2, 3)

    states = list(sample(model, linear(9, 0.1, 0.3), torch.zeros(2, 3), steps=[2, 5, 9], noise=noise))
    assert [state.t for state in states] == [9, 5, 2, 0]
    assert told == [9, 5, 2]
    assert asked == [9, 5]


def test_ddim_draws_nothing() -> None:
    def noise(t: int) -> Tensor:
        raise AssertionError("no noise is needed")

    generator = torch.Generator().manual_seed(0)
    before = generator.get_state()
    list(sample(zero, linear(9, 0.1, 0.3), torch.zeros(2, 3), eta=0.0, noise=noise))
    list(sample(zero, linear(9, 0.1, 0.3), torch.zeros(2, 3), eta=0.0, generator=generator))
    assert generator.get_state().equal(before)


def test_ddim_follows_the_clipped_image() -> None:
    schedule = linear(5, 0.1, 0.3)
    x_T = torch.full((1, 1), 3.0, dtype=torch.float64)
    _, state, *_ = sample(zero, schedule, x_T, eta=0.0)
    one = torch.ones_like(x_T)
    law = process.q_posterior(Subsequence(schedule, range(1, 6), eta=0.0), one, x_T, 5)
    assert state.x.equal(law.mean)
    assert state.x0_hat is not None
    assert state.x0_hat.equal(one)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_stays_in_its_dtype_and_finite(dtype: torch.dtype) -> None:
    x_T = torch.randn(2, 3, generator=torch.Generator().manual_seed(0)).to(dtype)
    for eta in (None, 0.0, 1.0):
        for state in sample(half, linear(), x_T, steps=choose(1000, 10), eta=eta):
            assert state.x.dtype == dtype
            assert state.x0_hat is None or state.x0_hat.dtype == dtype
            assert state.x.isfinite().all()


# -- a corrector between the steps ---------------------------------------------------------------------------


def test_the_corrector_acts_after_every_step_but_the_last_with_the_score_of_its_level() -> None:
    schedule = linear(9, 0.1, 0.3)
    seen: list[int] = []

    def corrector(score: Score, given: Schedule, x_t: Tensor, t: int) -> Tensor:
        seen.append(t)
        eps = process.eps_from_x0(schedule, x_t, t, torch.ones_like(x_t))  # what the clipped image leaves
        assert score(x_t, t).allclose(score_from_eps(schedule, eps, t))
        assert given is schedule
        return torch.full_like(x_t, 7.0)

    far = torch.full((1, 2), 50.0)
    states = list(sample(zero, schedule, far, steps=[1, 5, 9], eta=0.0, corrector=corrector))
    assert seen == [5, 1]
    assert [float(state.x[0, 0]) for state in states] == [50.0, 7.0, 7.0, 1.0]


@pytest.mark.parametrize("prediction", ["eps", "x0", "mu", "v"])
@pytest.mark.parametrize("variance", ["fixed_large", "learned"])
def test_the_correctors_score_is_the_models_whatever_it_predicts(
    prediction: Prediction, variance: Variance
) -> None:
    schedule = linear(5, 0.1, 0.3)
    says: dict[str, Any] = {"prediction": prediction, "variance": variance}

    def model(x_t: Tensor, t: Tensor) -> Tensor:
        return torch.cat([x_t.cos(), x_t.sin()], 1) if variance == "learned" else x_t.cos()

    def corrector(score: Score, given: Schedule, x_t: Tensor, t: int) -> Tensor:
        assert score(x_t, t).equal(score_of(model, schedule, clip=True, **says)(x_t, t))
        return x_t

    x_T = torch.randn(3, 2, generator=torch.Generator().manual_seed(0))
    list(sample(model, schedule, x_T, corrector=corrector, generator=torch.Generator(), **says))


def test_a_corrector_in_another_dtype_does_not_change_the_samples() -> None:
    states = sample(zero, linear(5, 0.1, 0.3), torch.zeros(1, 2), corrector=lambda score, _, x, t: x.double())
    assert all(state.x.dtype == torch.float32 for state in states)


def test_a_corrector_of_another_shape_or_without_a_number_is_named() -> None:
    schedule = linear(5, 0.1, 0.3)
    with pytest.raises(ValueError, match="corrector must return the shape of x_t"):
        list(sample(zero, schedule, torch.zeros(1, 2), corrector=lambda score, _, x, t: x[:, :1]))
    with pytest.raises(FloatingPointError, match="the state must be finite; got nan or infinity at t = 4"):
        list(sample(zero, schedule, torch.zeros(1, 2), corrector=lambda score, _, x, t: x / 0))


# -- what is refused -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steps": [1, 5]}, r"steps must end in 9, where x_T stands; got 5 last.*pass start=5"),
        ({"steps": [2, 5], "start": 4}, "steps must end in 4"),
        ({"steps": [9, 5, 1]}, "strictly increasing; got 9 before 5: sort them"),
        ({"steps": [0, 9]}, "add 1 to steps that are counted from 0"),
        ({"start": 0}, r"start must be an integer in 1\.\.T = 1\.\.9; got 0"),
        ({"start": 10}, "got 10"),
        ({"eta": -0.5}, "eta must be in"),
        ({"eta": float("nan")}, "eta must be in"),
        ({"eta": 9.0}, "eta must be in"),
        ({"variance": "small"}, "variance must be one of"),
        ({"noise": zero, "generator": torch.Generator()}, "must not both be given"),
    ],
)
def test_bad_arguments_are_refused_before_the_loop(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        sample(zero, linear(9, 0.1, 0.3), torch.zeros(1, 2), **options)


def test_a_number_of_steps_is_not_a_sub_sequence() -> None:
    with pytest.raises(TypeError, match=r"such as steps\(9, N\) returns; got 5"):
        sample(zero, linear(9, 0.1, 0.3), torch.zeros(1, 2), steps=5)  # type: ignore[arg-type]


def test_noise_of_another_shape_is_refused() -> None:
    with pytest.raises(ValueError, match="noise must have shape"):
        list(sample(zero, linear(9, 0.1, 0.3), torch.zeros(1, 2), eta=0.5, noise=lambda t: torch.zeros(1)))


# -- there and back ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("prediction", ["eps", "x0", "mu", "v"])
def test_what_is_encoded_is_decoded(prediction: Prediction) -> None:
    """With enough rounds the latent's own prediction is used, and DDIM's step leads back exactly."""
    schedule, taken = linear(), choose(1000, 10)
    model = denoiser(schedule, 0.3, 0.6, prediction)
    x_0 = torch.tensor([-0.8, 0.1, 1.0], dtype=torch.float64)
    *_, latent = encode(model, schedule, x_0, steps=taken, rounds=60, prediction=prediction)
    assert latent.t == 1000
    *_, back = sample(model, schedule, latent.x, steps=taken, eta=0.0, prediction=prediction, clip=False)
    torch.testing.assert_close(back.x, x_0, rtol=0, atol=1e-12)


def test_one_round_is_as_near_as_the_steps_are_short() -> None:
    schedule = linear()
    model = denoiser(schedule, 0.3, 0.6, "eps")
    x_0 = torch.tensor([-0.8, 0.1, 1.0], dtype=torch.float64)

    def missed(N: int) -> float:
        *_, latent = encode(model, schedule, x_0, steps=choose(1000, N))
        *_, back = sample(model, schedule, latent.x, steps=choose(1000, N), eta=0.0, clip=False)
        return float((back.x - x_0).abs().max())

    assert missed(200) < missed(50) / 2 < missed(10) / 4


@pytest.mark.parametrize("prediction", ["eps", "x0", "mu", "v"])
def test_every_state_of_the_encoder_has_the_image_that_the_model_sees_in_it(prediction: Prediction) -> None:
    """Once the rounds have settled on the state's own prediction."""
    schedule = linear(20, 0.01, 0.3)
    model = denoiser(schedule, 0.3, 0.6, prediction)
    x_0 = torch.tensor([-0.8, 0.1, 1.0], dtype=torch.float64)
    first, *states = encode(model, schedule, x_0, rounds=60, prediction=prediction)
    assert (first.t, first.x0_hat) == (0, None)
    assert first.x.equal(x_0)
    assert [state.t for state in states] == list(range(1, 21))
    for t, x, x0_hat in states:
        seen = process.to_x0(schedule, model(x, torch.tensor([t])), x, t, prediction=prediction)
        torch.testing.assert_close(x0_hat, seen, rtol=0, atol=1e-12)


@pytest.mark.parametrize("rounds", [1, 2, 5])
def test_a_round_is_one_call_of_the_model_at_each_step(rounds: int) -> None:
    told: list[int] = []

    def model(x_t: Tensor, t: Tensor) -> Tensor:
        told.append(int(t[0]))
        return x_t / 2

    schedule, x_0 = linear(9, 0.1, 0.3), torch.ones(1, 2)
    *_, last = encode(model, schedule, x_0, steps=[4, 9], rounds=rounds)
    assert told == [4] * rounds + [9] * rounds
    *_, unsaid = encode(half, schedule, x_0, steps=[4, 9])
    assert unsaid.x.equal(last.x) == (rounds == 1)


def test_a_variance_that_is_learned_has_no_part_in_the_latent() -> None:
    schedule, x_0 = linear(9, 0.1, 0.3), torch.ones(1, 2)
    *_, plain = encode(half, schedule, x_0)
    *_, learned = encode(lambda x, t: torch.cat([x / 2, -x], 1), schedule, x_0, variance="learned")
    assert learned.x.equal(plain.x)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_latents_of_half_precision_images_are_in_their_dtype(dtype: torch.dtype) -> None:
    u, v = latents(dtype)
    schedule = linear(9, 0.1, 0.3)
    assert all(state.x.dtype == dtype for state in encode(half, schedule, u))
    assert all(state.x.dtype == dtype for state in interpolate(half, schedule, u, v, 4, u, [0.5]))
    assert slerp(u, v, [0.1, 0.7]).equal(slerp(u.float(), v.float(), [0.1, 0.7]).to(dtype))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rounds": 0}, "rounds must be an integer, at least 1; got 0"),
        ({"x_0": torch.full((1, 2), torch.nan)}, "x_0 must be finite"),
        ({"variance": "small"}, "variance must be one of"),
        ({"steps": [5, 2]}, "strictly increasing"),
        ({"steps": []}, "at least one step"),
        ({"prediction": "noise"}, "prediction must be one of"),
    ],
)
def test_bad_arguments_of_the_encoder_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        encode(zero, linear(9, 0.1, 0.3), **{"x_0": torch.zeros(1, 2), **options})


def test_an_encoder_that_leaves_the_numbers_names_its_t() -> None:
    states = encode(lambda x, t: x / 0, linear(9, 0.1, 0.3), torch.zeros(1, 2), steps=[4, 9])
    with pytest.raises(FloatingPointError, match="at t = 4"):
        list(states)


# -- between images ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"steps": (3, 7, 12)},
        {"eta": 0.0},
        {"prediction": "x0"},
        {"variance": "fixed_small"},
        {"variance": "learned"},
        {"clip": False},
    ],
    ids=str,
)
def test_interpolation_begins_and_ends_in_what_its_ends_alone_would_give(options: dict[str, Any]) -> None:
    schedule = linear(20, 0.01, 0.3)
    generator = torch.Generator().manual_seed(0)
    a, b, noise = (torch.randn(2, 1, 4, 4, generator=generator) for _ in range(3))
    z = {t: torch.randn(2, 1, 4, 4, generator=generator) for t in range(2, 13)}
    model: Model = both_halves if options.get("variance") == "learned" else half
    states = list(
        interpolate(model, schedule, a, b, 12, noise, [0.0, 0.5, 1.0], step_noise=z.__getitem__, **options)
    )
    for x_0, at in ((a, 0), (b, 2)):
        x_t = process.q_sample(schedule, x_0, 12, noise)
        alone = sample(model, schedule, x_t, start=12, noise=z.__getitem__, **options)
        for found, expected in zip(states, alone, strict=True):
            assert found.t == expected.t
            assert found.x.shape == (3, 2, 1, 4, 4)
            torch.testing.assert_close(found.x[at], expected.x)
            if expected.x0_hat is None:
                assert found.x0_hat is None
            else:
                assert found.x0_hat is not None
                torch.testing.assert_close(found.x0_hat[at], expected.x0_hat)
    assert states[-1].t == 0
    assert not states[-1].x[1].allclose(states[-1].x[0])


def both_halves(x_t: Tensor, t: Tensor) -> Tensor:
    return torch.cat([x_t / 2, x_t / 3], 1)


def test_interpolation_takes_its_noise_from_the_generator_and_shares_it() -> None:
    schedule, x = linear(9, 0.1, 0.3), torch.ones(2, 3)

    def run(seed: int) -> Tensor:
        generator = torch.Generator().manual_seed(seed)
        *_, last = interpolate(half, schedule, x, x, 4, x, [0.0, 1.0], generator=generator, clip=False)
        return last.x

    assert run(0).equal(run(0))
    assert not run(0).equal(run(1))
    assert run(0)[0].equal(run(0)[1])


@pytest.mark.parametrize("weights", [[], [1.5], [-0.1], [float("nan")]])
def test_bad_weights_are_refused(weights: list[float]) -> None:
    x = torch.zeros(1, 2)
    with pytest.raises(ValueError, match="weights must"):
        interpolate(zero, linear(9, 0.1, 0.3), x, x, 4, x, weights)
    with pytest.raises(ValueError, match="weights must"):
        slerp(x + 1, x + 1, weights)


def latents(dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    u, v = (torch.randn(3, 2, 5, generator=generator, dtype=torch.float64) for _ in range(2))
    return u.to(dtype), v.to(dtype)


SLERP = CLAIMS["sampling.slerp"]


def slerp_of_the_claim(u: Tensor, v: Tensor, w: float, expression: Basic) -> Any:
    a, b = exact(u), exact(v)
    cosine = (a * b).sum() / mp.sqrt((a**2).sum() * (b**2).sum())
    half_angle = mp.acos(cosine) / 2
    values = {
        "latent_1": a,
        "latent_2": b,
        "half_walked": mp.tan(w * half_angle),
        "half_left": mp.tan((1 - w) * half_angle),
    }
    return evaluate(expression, values)


def slerp_differs(dtype: torch.dtype, expression: Basic) -> float:
    u, v = latents(dtype)
    weights = [0.1, 0.7]
    found = slerp(u, v, weights)
    worst = 0.0
    for k, w in enumerate(weights):
        for i in range(len(u)):
            error = exact(found[k, i]) - slerp_of_the_claim(u[i], v[i], w, expression)
            worst = max(worst, float(abs(error).max()))
    return worst / torch.finfo(dtype).eps


@pytest.mark.holds("sampling.slerp")
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_slerp_is_the_claims(dtype: torch.dtype) -> None:
    assert slerp_differs(dtype, SLERP.value) <= 8  # units in the last place of numbers up to 3


@pytest.mark.parametrize("wrong", SLERP.mutants, ids=lambda wrong: wrong.name)
def test_another_way_between_latents_would_fail(wrong: Mutant) -> None:
    assert slerp_differs(torch.float64, wrong.parts["value"]) > 1e6


def test_slerp_of_small_and_no_angles_is_a_straight_line() -> None:
    u = torch.tensor([[1.0, 0.0]], dtype=torch.float64)
    v = torch.tensor([[1.0, 1e-12]], dtype=torch.float64)
    assert slerp(u, v, [0.5]).allclose((u + v)[None] / 2, rtol=1e-15, atol=0)
    assert slerp(u, 3 * u, [0.0, 0.5, 1.0])[:, 0, 0].tolist() == [1.0, 2.0, 3.0]


@pytest.mark.parametrize("scale", [2.0**-20, 2.0**20])
def test_slerp_knows_no_unit_of_length(scale: float) -> None:
    u, v = latents(torch.float64)
    assert slerp(scale * u, scale * v, [0.1, 0.7]).equal(scale * slerp(u, v, [0.1, 0.7]))


def test_slerp_refuses_opposite_directions_and_other_shapes() -> None:
    u = torch.tensor([[1.0, 2.0]])
    with pytest.raises(ValueError, match="opposite directions"):
        slerp(u, -u, [0.5])
    with pytest.raises(ValueError, match="second must have shape"):
        slerp(u, u[:, :1], [0.5])
    for bad in (0.0, torch.nan, torch.inf):
        with pytest.raises(ValueError, match="first must be finite and not zero"):
            slerp(bad * u, u, [0.5])
        with pytest.raises(ValueError, match="second must be finite and not zero"):
            slerp(u, bad * u, [0.5])


def test_interpolation_names_the_images_that_do_not_match() -> None:
    x = torch.zeros(2, 3)
    with pytest.raises(ValueError, match=r"x_0_other must have shape \(2, 3\); got \(1, 3\)"):
        interpolate(zero, linear(9, 0.1, 0.3), x, x[:1], 4, x, [0.5])
