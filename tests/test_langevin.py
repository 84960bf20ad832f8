"""Langevin dynamics: the exact law of every walk towards a Gaussian, read off unit noises; and its wiring.

With an affine score a walk is affine in its noises, so a run with zero noise and one for each unit noise show
its mean and its variance. No sample is drawn.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from itertools import pairwise
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sympy import Basic
from torch import Tensor

from ddpm_ref.langevin import LangevinCorrector, annealed_langevin, langevin, langevin_step
from ddpm_ref.objective import Model
from ddpm_ref.sampler import sample
from ddpm_ref.schedule import Schedule, linear
from ddpm_ref.score import Score, eps_from_score, score_of, x0_from_score
from ddpm_ref.subsequence import steps as choose
from derivations.gaussians import after_step
from derivations.proof.claims import Mutant
from tests.oracle import CLAIMS, evaluate, mp, steps

LAW, BIAS, STEP = (CLAIMS[f"score.{name}"] for name in ("langevin-law", "langevin-bias", "langevin-step"))
TARGET = CLAIMS["score.gaussian"]


def slope(gamma: Any, mu: Any, sigma: Any) -> Any:
    """How much of a deviation a step keeps: the mean of the claim's step, at two points."""

    def moved(x: Any) -> Any:
        score = evaluate(TARGET.value, {"x": x, "mu": mu, "sigma": sigma})
        return evaluate(STEP.mean, {"x_prev": x, "gamma": gamma, "score_q": score})

    return moved(mp.mpf(1)) - moved(mp.mpf(0))


def gaussian_score(mu: float, sigma: float) -> Callable[[Tensor], Tensor]:
    at_0, at_1 = (
        float(evaluate(TARGET.value, {"x": mp.mpf(x), "mu": mp.mpf(mu), "sigma": mp.mpf(sigma)}))
        for x in (0, 1)
    )
    return lambda x: at_0 + (at_1 - at_0) * x


def law_of_the_code(mu: float, sigma: float, gamma: float, x_0: float, n: int) -> list[tuple[float, float]]:
    inputs = torch.cat([torch.zeros(1, n), torch.eye(n)]).double()  # row: z_1 … z_n
    start = torch.full((n + 1,), x_0, dtype=torch.float64)
    states = langevin(
        gaussian_score(mu, sigma), start, step_size=gamma, n=n, noise=lambda k: inputs[:, k - 1]
    )
    return [(float(x[0]), float((x[1:] - x[0]).square().sum())) for x in states]


def law_of_the_claim(
    mu: float, sigma: float, gamma: float, x_0: float, n: int, parts: Mapping[str, Basic] | None = None
) -> list[tuple[float, float]]:
    expressions = {**LAW.parts, **(parts or {})}
    at = {"mu": mp.mpf(mu), "sigma": mp.mpf(sigma), "gamma": mp.mpf(gamma), "x_0": mp.mpf(x_0)}
    kept = slope(at["gamma"], at["mu"], at["sigma"])
    laws = ({**at, "slope_t": kept**t} for t in range(n + 1))
    return [tuple(float(evaluate(expressions[part], law)) for part in ("mean", "variance")) for law in laws]  # type: ignore[misc]


def agree(found: list[tuple[float, float]], true: list[tuple[float, float]]) -> bool:
    return all(
        abs(a - b) <= 1e-11 * (1 + abs(b))
        for ours, theirs in zip(found, true, strict=True)
        for a, b in zip(ours, theirs, strict=True)
    )


@pytest.mark.holds("score.langevin-law", "score.langevin-step")
@given(mu=st.floats(-2, 2), sigma=st.floats(0.2, 2), share=st.floats(0.01, 0.99), x_0=st.floats(-3, 3))
@settings(max_examples=40)
def test_the_law_after_every_step_is_the_claims(mu: float, sigma: float, share: float, x_0: float) -> None:
    gamma = 4 * sigma**2 * share
    assert agree(law_of_the_code(mu, sigma, gamma, x_0, 12), law_of_the_claim(mu, sigma, gamma, x_0, 12))


@pytest.mark.parametrize("wrong", LAW.mutants, ids=lambda wrong: wrong.name)
def test_a_walk_with_another_law_would_fail(wrong: Mutant) -> None:
    true = law_of_the_claim(0.5, 0.7, 0.3, -1.0, 6, wrong.parts)
    assert not agree(law_of_the_code(0.5, 0.7, 0.3, -1.0, 6), true)


@pytest.mark.holds("score.langevin-bias")
@pytest.mark.parametrize("gamma", [0.01, 0.3, 1.5])
def test_it_settles_at_the_biased_variance_and_not_at_the_targets(gamma: float) -> None:
    n = int(12 / gamma) + 60
    found = law_of_the_code(0.5, 0.7, gamma, -1.0, n)[-1]
    values = {"sigma": mp.mpf(0.7), "gamma": mp.mpf(gamma)}
    assert found[0] == pytest.approx(0.5, abs=1e-4)
    assert found[1] == pytest.approx(float(evaluate(BIAS.value, values)), rel=1e-6)


@pytest.mark.parametrize("wrong", BIAS.mutants, ids=lambda wrong: wrong.name)
def test_a_walk_that_settled_elsewhere_would_fail(wrong: Mutant) -> None:
    found = law_of_the_code(0.5, 0.7, 0.3, -1.0, 100)[-1]
    values = {"sigma": mp.mpf(0.7), "gamma": mp.mpf(0.3)}
    assert found[1] != pytest.approx(float(evaluate(wrong.parts["value"], values)), rel=1e-3)


@pytest.mark.holds("score.langevin-contracts")
@pytest.mark.parametrize(("share", "settles"), [(0.999, True), (1.001, False)])
def test_a_step_of_four_variances_is_the_limit(share: float, settles: bool) -> None:
    zero = torch.zeros(1, dtype=torch.float64)
    walk = langevin(
        gaussian_score(0, 0.7), zero + 1, step_size=4 * 0.7**2 * share, n=2000, noise=lambda k: zero
    )
    *_, last = walk
    assert (abs(float(last)) < 1) == settles


# -- annealed, and between the steps of a sampler ------------------------------------------------------------

SCHEDULE = linear(12, 0.02, 0.4)
MEAN, DEVIATION = 0.3, 0.6


@lru_cache
def affine(schedule: Schedule, t: int) -> tuple[Any, Any]:
    """Value at 0 and slope of the claim's score of q(x_t), for Gaussian data."""
    at = {**steps(schedule, t), "data_mean": mp.mpf(MEAN), "data_deviation": mp.mpf(DEVIATION)}
    expression = CLAIMS["score.gaussian-data"].value
    at_0, at_1 = (evaluate(expression, {**at, "x_t": mp.mpf(x)}) for x in (0, 1))
    return at_0, at_1 - at_0


def score_under(schedule: Schedule) -> Score:
    def score(x_t: Tensor, t: int | Tensor) -> Tensor:
        value, slope = affine(schedule, int(t if isinstance(t, int) else t[0]))
        return float(value) + float(slope) * x_t

    return score


def model_under(schedule: Schedule) -> Model:
    return lambda x_t, t: eps_from_score(schedule, score_under(schedule)(x_t, t), t)


score = score_under(SCHEDULE)


def within_level(mean: Any, variance: Any, t: int, ratio: float, n: int) -> tuple[Any, Any]:
    """The law after n of the claim's steps at level t."""
    at = {**steps(SCHEDULE, t), "rho": mp.mpf(ratio)}
    value, steepness = affine(SCHEDULE, t)
    step = CLAIMS["score.annealed-step"]
    for _ in range(n):
        moved = [
            evaluate(step.mean, {**at, "x_t": mp.mpf(x), "score_q": value + steepness * x}) for x in (0, 1)
        ]
        kept = moved[1] - moved[0]
        _, variance = after_step(0, variance, kept, evaluate(step.variance, at))
        mean = moved[0] + kept * mean
    return mean, variance


def unit_noises(count: int) -> Tensor:
    return torch.cat([torch.zeros(1, count), torch.eye(count)]).double()


@pytest.mark.holds("score.annealed-step", "score.noise-level")
@pytest.mark.parametrize("ratio", [0.1, 1.0, 3.0])
@pytest.mark.parametrize("taken", [(12,), (1, 5, 12), tuple(range(1, 13))])
def test_the_law_of_annealed_langevin_is_the_claims(taken: tuple[int, ...], ratio: float) -> None:
    n = 3
    inputs = unit_noises(1 + n * len(taken))
    column = {(t, k): 1 + n * i + k - 1 for i, t in enumerate(taken) for k in range(1, n + 1)}
    corrector = LangevinCorrector(ratio, n, noise=lambda t, k: inputs[:, column[t, k]])
    states = list(annealed_langevin(score, SCHEDULE, inputs[:, 0], steps=taken, corrector=corrector))
    assert [state.t for state in states] == [*reversed(taken), 0]
    mean, variance = mp.mpf(0), mp.mpf(1)
    for state, (s, t) in zip(states, reversed(list(pairwise((0, *taken)))), strict=False):
        mean, variance = within_level(mean, variance, t, ratio, n)
        assert float(state.x[0]) == pytest.approx(float(mean), rel=1e-11)
        assert float((state.x[1:] - state.x[0]).square().sum()) == pytest.approx(float(variance), rel=1e-11)
        bars = [steps(SCHEDULE, at)["alpha_bar_t"] if at else mp.mpf(1) for at in (s, t)]
        mean, variance = after_step(mean, variance, mp.sqrt(bars[0] / bars[1]), 0)  # the image keeps its size
    assert float(states[-1].x[0]) == pytest.approx(float(mean), rel=1e-11)


def test_annealed_langevin_ends_with_tweedies_image() -> None:
    zero = torch.zeros(2, dtype=torch.float64)
    corrector = LangevinCorrector(0.5, 2, noise=lambda t, k: zero)
    *_, before, last = annealed_langevin(score, SCHEDULE, zero + 1, corrector=corrector)
    assert (before.t, last.t) == (1, 0)
    assert before.x0_hat is not None
    assert last.x0_hat is before.x0_hat
    level = SCHEDULE.at("sqrt_alpha_bar", 1, zero)
    torch.testing.assert_close(last.x, before.x / level)
    # The second step from where the first one led, by hand.
    start = zero + 1
    one = LangevinCorrector(0.5, 1, noise=lambda t, k: zero)
    half_way = one(score, SCHEDULE, start, 1)
    _, aimed = LangevinCorrector(0.5, 2, noise=lambda t, k: zero).walk(score, SCHEDULE, start, 1)
    assert aimed.equal(x0_from_score(SCHEDULE, half_way, 1, score(half_way, 1)))


def test_more_steps_at_every_level_come_nearer_to_the_data() -> None:
    """The start, far too wide on the image's scale, is forgotten; what stays is the bias of the steps."""
    schedule, taken = linear(), choose(1000, 20, "quadratic")

    def excess(n: int) -> float:
        inputs = unit_noises(1 + n * len(taken))
        column = {(t, k): 1 + n * i + k - 1 for i, t in enumerate(taken) for k in range(1, n + 1)}
        corrector = LangevinCorrector(0.2, n, noise=lambda t, k: inputs[:, column[t, k]])
        states = annealed_langevin(
            score_under(schedule), schedule, inputs[:, 0], steps=taken, corrector=corrector
        )
        *_, last = states
        return float((last.x[1:] - last.x[0]).square().sum()) / DEVIATION**2 - 1

    assert excess(5) > 2
    assert 0 < excess(80) < excess(20) / 2 < 0.15


@pytest.mark.parametrize("eta", [None, 0.0, 0.7])
def test_the_law_of_a_corrected_sampler_is_the_claims(eta: float | None) -> None:
    """Predictor and corrector in turns; the predictor's part is read off a step without the corrector."""
    taken, n, ratio = (3, 7, 12), 2, 0.8

    model = model_under(SCHEDULE)
    inputs = unit_noises(3 + 2 * n)
    column = {12: 1, 7: 2, (7, 1): 3, (7, 2): 4, (3, 1): 5, (3, 2): 6}
    corrector = LangevinCorrector(ratio, n, noise=lambda t, k: inputs[:, column[t, k]])
    states = sample(
        model, SCHEDULE, inputs[:, 0], steps=taken, eta=eta, corrector=corrector, clip=False,
        noise=lambda t: inputs[:, column[t]],
    )  # fmt: skip
    next(states)
    mean, variance = mp.mpf(0), mp.mpf(1)
    for i, state in enumerate(states):
        t, s = (12, 7, 3)[i], (7, 3, 0)[i]
        probe, z = torch.tensor([[0, 1, 0], [0, 0, 1]], dtype=torch.float64)
        alone = sample(
            model, SCHEDULE, probe, start=t, steps=[u for u in taken if u <= t], eta=eta, clip=False,
            noise=dict.fromkeys(taken, z).__getitem__,
        )  # fmt: skip
        next(alone)
        at_0, at_1, noisy = (mp.mpf(float(x)) for x in next(alone).x)
        _, variance = after_step(0, variance, at_1 - at_0, (noisy - at_0) ** 2)
        mean = at_0 + (at_1 - at_0) * mean
        if s:
            mean, variance = within_level(mean, variance, s, ratio, n)
        assert float(state.x[0]) == pytest.approx(float(mean), rel=1e-11)
        assert float((state.x[1:] - state.x[0]).square().sum()) == pytest.approx(float(variance), rel=1e-11)


def test_the_corrector_lowers_the_error_of_few_steps() -> None:
    schedule = linear()
    taken = choose(1000, 10)
    model = model_under(schedule)

    def missing(n: int) -> float:
        inputs = unit_noises(1 + 9 * n)
        column = {(t, k): 1 + n * i + k - 1 for i, t in enumerate(taken[:-1]) for k in range(1, n + 1)}
        corrector = LangevinCorrector(0.1, n, noise=lambda t, k: inputs[:, column[t, k]]) if n else None
        *_, last = sample(
            model, schedule, inputs[:, 0], steps=taken, eta=0.0, corrector=corrector, clip=False
        )
        return DEVIATION**2 - float((last.x[1:] - last.x[0]).square().sum())

    assert missing(0) > missing(5) > missing(40) > 0


# -- wiring --------------------------------------------------------------------------------------------------


def test_the_same_generator_gives_the_same_walk_and_every_step_draws_anew() -> None:
    def run(seed: int) -> Tensor:
        generator = torch.Generator().manual_seed(seed)
        *_, last = langevin(lambda x: -x, torch.zeros(3), step_size=0.1, n=4, generator=generator)
        return last

    assert run(0).equal(run(0))
    assert not run(0).equal(run(1))
    corrector = LangevinCorrector(n=2, generator=torch.Generator().manual_seed(0))
    flat: Score = lambda x, t: torch.zeros_like(x)  # noqa: E731
    first, second = (corrector(flat, SCHEDULE, torch.zeros(3), 5) for _ in range(2))
    assert not first.equal(second)
    again = LangevinCorrector(n=2, generator=torch.Generator().manual_seed(0))
    assert again(flat, SCHEDULE, torch.zeros(3), 5).equal(first)


def test_what_is_not_said_is_one_step_of_a_tenth_and_ten_steps_at_every_level() -> None:
    def run(corrector: LangevinCorrector | None) -> Tensor:
        torch.manual_seed(0)  # of PyTorch's default generator, which is what is not said
        *_, last = annealed_langevin(score, SCHEDULE, torch.ones(3), corrector=corrector)
        return last.x

    x = torch.ones(3)
    torch.manual_seed(0)
    moved = LangevinCorrector()(score, SCHEDULE, x, 5)
    torch.manual_seed(0)
    assert moved.equal(LangevinCorrector(ratio=0.1, n=1)(score, SCHEDULE, x, 5))
    assert run(None).equal(run(LangevinCorrector(ratio=0.1, n=10)))


def test_no_step_leaves_the_start_and_gradients_are_not_kept() -> None:
    x = torch.ones(2)
    assert [state.equal(x) for state in langevin(lambda x: -x, x, step_size=0.1, n=0)] == [True]
    parameter = torch.ones((), requires_grad=True)
    for state in langevin(lambda x: -parameter * x, x, step_size=0.1, n=2):
        assert not state.requires_grad
        assert torch.is_grad_enabled()


def test_a_walk_that_explodes_is_named_by_its_step() -> None:
    zero = torch.zeros(2)
    walk = langevin(lambda x: -1e30 * x, torch.ones(2), step_size=1.0, n=50, noise=lambda k: zero)
    with pytest.raises(FloatingPointError, match=r"after step 2 of 50: .*step_size = 1\.0 is too long"):
        list(walk)
    bad: Score = lambda x, t: x / 0  # noqa: E731
    with pytest.raises(FloatingPointError, match="at t = 12"):
        list(annealed_langevin(bad, SCHEDULE, zero))


def test_noise_is_added_as_it_is_given() -> None:
    """Where the score is 0, a step of length 1/4 moves by half the noise, in the noise's direction."""
    zero, z = torch.zeros(3), torch.tensor([-1.0, 0.5, 2.0])
    assert langevin_step(zero, zero, 0.25, z).equal(z / 2)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_a_step_in_half_precision_is_rounded_once(dtype: torch.dtype) -> None:
    generator = torch.Generator().manual_seed(0)
    x, slope, z = torch.randn(3, 1000, generator=generator).to(dtype)
    wide = langevin_step(x.float(), slope.float(), 0.3, z.float())
    assert langevin_step(x, slope, 0.3, z).equal(wide.to(dtype))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_kept(dtype: torch.dtype) -> None:
    x = torch.ones(2, dtype=dtype)
    assert langevin_step(x, -x, 0.01, x).dtype == dtype
    states = annealed_langevin(score_of(lambda x, t: x / 2, SCHEDULE), SCHEDULE, x)
    assert all(state.x.dtype == dtype for state in states)


def test_bad_arguments_are_refused() -> None:
    x = torch.zeros(2)
    for gamma in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="step_size must be positive and finite"):
            langevin(lambda x: -x, x, step_size=gamma, n=3)
        for length in (gamma, torch.tensor([0.1, gamma])):
            with pytest.raises(ValueError, match="step_size must be positive and finite"):
                langevin_step(x, x, length, x)
    with pytest.raises(ValueError, match="n must be an integer, at least 0; got -1"):
        langevin(lambda x: -x, x, step_size=0.1, n=-1)
    with pytest.raises(ValueError, match="must not both be given"):
        langevin(lambda x: -x, x, step_size=0.1, n=1, noise=lambda k: x, generator=torch.Generator())
    with pytest.raises(ValueError, match="score must have shape"):
        langevin_step(x, x[:1], 0.1, x)
    with pytest.raises(ValueError, match="noise must have shape"):
        langevin_step(x, x, 0.1, x[:1])
    for ratio in (0.0, 4.0, -1.0, float("nan")):
        with pytest.raises(ValueError, match=r"ratio must be in \(0, 4\)"):
            LangevinCorrector(ratio)
    with pytest.raises(ValueError, match="n must be an integer, at least 1; got 0"):
        LangevinCorrector(n=0)
    with pytest.raises(ValueError, match="must not both be given"):
        LangevinCorrector(noise=lambda t, k: x, generator=torch.Generator())
    with pytest.raises(ValueError, match="sort them"):
        annealed_langevin(score, SCHEDULE, x, steps=[5, 2])
