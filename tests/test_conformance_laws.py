"""The kit, as it runs, holds an adapter to the vectors: row by row, and the law of what a sampler draws."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction
from functools import partial
from typing import Any, ClassVar

import numpy as np
import pytest

from ddpm_ref.conformance.checks import checks
from ddpm_ref.conformance.formulas import Formula, book, elementwise, exact, mp
from ddpm_ref.conformance.laws import DENOISER, LawCheck, compared, law_checks, walk
from ddpm_ref.conformance.measure import Result, measure
from ddpm_ref.conformance.protocol import Adapter, Array, NotOffered, VarianceKind
from ddpm_ref.conformance.rows import ASKED, RowCheck, row_checks
from ddpm_ref.conformance.runner import plan
from ddpm_ref.conformance.stepping import step_checks
from ddpm_ref.conformance.steps import Steps
from tests.test_conformance import Control, Everything, real

SHORT = 60
ROWS = [check for check in row_checks(checks(Everything), Everything) if check.vector.schedule.T <= SHORT]
NAMES = sorted({check.name for check in ROWS})


# -- row by row ----------------------------------------------------------------------------------------------


def _on(check: RowCheck, dtype: str, factor: Any = 1) -> Result | None:
    case = check.rows_case(dtype, "cpu")
    if case is None:
        return None
    adapter: Any = Control(check, case, lambda: super(RowCheck, check).evaluate(case, case.symbols) * factor)
    return measure(check, adapter, case)


@pytest.mark.parametrize("name", NAMES)
def test_the_formulas_give_the_rows(name: str) -> None:
    """The formula, evaluated by the kit, passes where the truth is the vector's: two roads, one number."""
    for check in (check for check in ROWS if check.name == name):
        for dtype in check.dtypes:
            if (right := _on(check, dtype)) is None:
                continue
            assert right.outcome == "passed", right
            assert right.ulps is not None
            assert right.ulps <= 0.51


@pytest.mark.parametrize("name", NAMES)
def test_another_number_is_not_a_rows(name: str) -> None:
    check = next(check for check in ROWS if check.name == name)
    wrong = _on(check, "float64", 1 + mp.mpf(2) ** -20)
    assert wrong is not None
    assert wrong.outcome in ("failed", "inexact"), wrong


def test_the_truth_is_the_vectors_number() -> None:
    check = next(check for check in ROWS if check.name == "q_sample")
    altered = replace(check, vector=replace(check.vector, truth=check.vector.truth * Fraction(9, 8)))
    result = _on(altered, "float64")
    assert result is not None
    assert result.outcome == "failed"
    law, _ = _laws(Sampler, "uneven")[0]
    assert (
        compared(law, walk(law, partial(_taken, Sampler(_betas(law), "float64", "cpu")))).outcome == "passed"
    )
    twice = replace(law.law["variance"], truth=law.law["variance"].truth * 2)
    altered_law = replace(law, law={**law.law, "variance": twice})
    found = walk(altered_law, partial(_taken, Sampler(_betas(law), "float64", "cpu")))
    assert compared(altered_law, found).outcome == "failed"


def _betas(law: LawCheck) -> Array:
    assert law.vector.schedule is not None
    return law.vector.schedule.betas


def _taken(adapter: Adapter, x: Array, t: int, eps: Array, z: Array) -> Array:
    return adapter.step(x, np.array([t]), eps, z, "fixed_large", None)


def test_every_quantity_that_an_adapter_can_be_asked_for_has_rows() -> None:
    names = {name.partition("[")[0] for name in NAMES}
    assert names == {*ASKED.values(), "reverse_variance", "step", "last_step"} - {"L_simple"}  # T = 1000
    assert {check.name for check in row_checks(checks(Everything), Everything)} == {*NAMES, "L_simple"}


def test_one_schedule_is_exact_in_every_dtype() -> None:
    dtypes = {case.dtype for c in ROWS for d in c.dtypes if (case := c.rows_case(d, "cpu"))}
    assert dtypes == {"float64", "float32", "bfloat16", "float16"}


# -- laws ----------------------------------------------------------------------------------------------------

CLAIMS = {
    "fixed_large": "sampling.variance-for-normal-data",
    "fixed_small": "sampling.variance-for-one-image",
}
_sqrt = elementwise(mp.sqrt)


def _floats(values: Any) -> Array:
    return real(values).reshape(np.shape(values))  # a root of a negative number becomes nan


class Sampler(Adapter):
    """The claims' steps, each as it is printed, or with one of them wrong."""

    dtypes = ("float64",)
    variances: ClassVar[dict[str, VarianceKind]] = {
        "fixed_large": "fixed_large",
        "fixed_small": "fixed_small",
    }
    spacings = ("none",)
    wrong: ClassVar[Mapping[str, Formula]] = {}

    def __init__(self, betas: Array, dtype: str, device: str) -> None:
        self.schedule = Steps(betas)

    def _say(self, claim: str, values: Mapping[str, Any]) -> Any:
        return (self.wrong.get(claim) or book().claims[claim].parts["value"])(values)

    def _at(self, t: int, s: int, **images: Array) -> dict[str, Any]:
        symbols = self.schedule.at(np.array([t]), np.array([s]))
        return {**symbols, **{name: exact(image) for name, image in images.items()}}

    def step(self, x_t: Array, t: Array, eps: Array, noise: Array, variance: str, value: Any) -> Array:
        known = self._at(int(t[0]), int(t[0]) - 1, x_t=x_t, eps_theta=eps, z=noise)
        if t[0] == 1:
            return _floats(self._say("sampling.last-step", known))
        known["sigma_t"] = _sqrt(self._say(CLAIMS[variance], known))
        return _floats(self._say("sampling.ancestral-step", known))

    def timesteps(self, N: int, spacing: str) -> list[int]:
        raise NotOffered

    def ddim_step_to(self, x_t: Array, t: int, s: int, eps: Array, noise: Array, eta: float) -> Array:
        known = {**self._at(t, s, x_t=x_t, eps_theta=eps, z=noise), "eta": mp.mpf(eta)}
        known["sigma_t"] = _sqrt(self._say("sampling.ddim-eta", known))
        return _floats(self._say("sampling.ddim-step", known))


def _laws(kind: type[Adapter], schedule: str) -> list[tuple[LawCheck, Any]]:
    every = checks(kind) + [check for spacing in kind.spacings for check in step_checks(kind, spacing)]
    found: list[Any] = [work for *_, work in law_checks(every, kind)]
    return [(work.args[0], work) for work in found if work.args[0].label.endswith(f"/{schedule}, float64")]


@pytest.mark.parametrize(
    "schedule", ["uneven", "linear-1", pytest.param("cosine-50", marks=pytest.mark.slow)]
)
def test_a_sampler_of_the_claims_has_the_laws_of_the_definitions(schedule: str) -> None:
    for _, work in _laws(Sampler, schedule):
        result = work()
        assert result.outcome == "passed", result
        assert result.relative < 1e-12, result


@pytest.mark.parametrize("schedule", ["uneven", "linear-1"])
def test_every_mutant_that_a_law_shows_fails_and_is_named(schedule: str) -> None:
    tried = 0
    for law, _ in _laws(Sampler, schedule):
        wrongs = {(m.claim, m.name) for part in law.law.values() for m in part.mutants if m.claim != DENOISER}
        for claim, name in wrongs:
            [mutant] = [m for m in book().claims[claim].mutants if m.name == name]
            kind = type("Wrong", (Sampler,), {"wrong": {claim: mutant.parts["value"]}})
            [work] = [
                work
                for other, work in _laws(kind, schedule)
                if other.label == law.label and other.name == law.name
            ]
            result = work()
            assert result.outcome == "failed", (law.label, name)
            others = {m.name for part in law.law.values() for m in part.mutants}
            words = result.diagnosis.partition(" (")[0]
            assert words in {*others, "not a finite number"}, (law.label, name, result.diagnosis)
            tried += 1
    assert tried >= {"uneven": 60, "linear-1": 12}[schedule]


class Padded(Sampler):
    """ᾱ_0 is ᾱ_1 in the posterior's variance."""

    def _at(self, t: int, s: int, **images: Array) -> dict[str, Any]:
        known = super()._at(t, s, **images)
        return known if t > 2 else {**known, "alpha_bar_prev": known["alpha_bar_prev"] * (1 - mp.mpf("1e-9"))}


def test_a_small_mistake_in_one_step_is_seen_at_the_end() -> None:
    outcomes = {law.name: work().outcome for law, work in _laws(Padded, "uneven")}
    assert outcomes["law[fixed_small]"] == "failed"
    assert outcomes["law[fixed_large]"] == "passed"  # its variance has no ᾱ_{t-1}


class Changes(Sampler):
    """It scales its argument in place."""

    def step(self, x_t: Array, t: Array, eps: Array, noise: Array, variance: str, value: Any) -> Array:
        x_t *= 2
        return x_t


class Shrinks(Sampler):
    """It loses pixels."""

    def step(self, x_t: Array, t: Array, eps: Array, noise: Array, variance: str, value: Any) -> Array:
        return x_t[..., :1]


class Lost(Sampler):
    """Its numbers are none."""

    def step(self, x_t: Array, t: Array, eps: Array, noise: Array, variance: str, value: Any) -> Array:
        return x_t * np.nan


@pytest.mark.parametrize(
    ("kind", "outcome", "words"),
    [
        (Changes, "broken", "changed an argument at t = 6"),
        (Shrinks, "broken", "returned shape (1, 1, 1, 1); (1, 1, 1, 8) is needed at t = 6"),
        (Lost, "failed", "not a finite number"),
    ],
)
def test_a_sampler_that_misbehaves_is_told(kind: type[Adapter], outcome: str, words: str) -> None:
    result = next(work() for law, work in _laws(kind, "uneven") if law.name == "law[fixed_large]")
    assert (result.outcome, result.diagnosis) == (outcome, words)


def test_laws_are_not_offered_without_a_step() -> None:
    tasks = plan(Everything, "law")
    assert {task.check for task in tasks} == {"law[large]", "law[small]"}

    class Silent(Everything):
        dtypes = ("float64",)

        def __init__(self, betas: Array, dtype: str, device: str) -> None:
            pass

    assert {task.run().outcome for task in plan(Silent, "law")} == {"not offered"}
