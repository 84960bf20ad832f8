"""The kit, as it runs, holds an adapter to the vectors: row by row, and the law of what a sampler draws."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction
from functools import partial
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np
import pytest

from ddpm_ref.conformance import vectors
from ddpm_ref.conformance.adapters.reference import Reference
from ddpm_ref.conformance.cases import Case
from ddpm_ref.conformance.checks import checks
from ddpm_ref.conformance.diagnosis import NONE_KNOWN
from ddpm_ref.conformance.formulas import Formula, book, elementwise, exact, mp
from ddpm_ref.conformance.laws import DENOISER, Law, LawCheck, compared, law_checks, walk
from ddpm_ref.conformance.measure import Result, measure
from ddpm_ref.conformance.protocol import Adapter, Array, NotOffered, VarianceKind
from ddpm_ref.conformance.rows import ASKED, RowCheck, row_checks
from ddpm_ref.conformance.runner import plan
from ddpm_ref.conformance.stepping import step_checks
from ddpm_ref.conformance.steps import EPS, Steps, spreads
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


def _plain(check: RowCheck, case: Case, symbols: Any, wrong: Formula | None) -> Any:
    """Evaluate as a check does that knows no rows."""
    return super(RowCheck, check).evaluate(case, symbols, wrong)


def test_the_truth_is_the_vectors_number() -> None:
    check = next(check for check in ROWS if check.name == "q_sample")
    altered = replace(check, vector=replace(check.vector, truth=check.vector.truth * Fraction(9, 8)))
    result = _on(altered, "float64")
    assert result is not None
    assert result.outcome == "failed"
    case = altered.rows_case("float64", "cpu")
    assert case is not None
    formulas = altered.evaluate(case, case.symbols)  # which a mistake is looked for in
    assert np.allclose((altered.evaluate(case) / formulas).astype(float), 9 / 8)
    assert np.all(check.evaluate(case, wrong=check.formula) == formulas)
    earlier = case.steps.at(np.maximum(case.t - 1, 1))
    assert np.all(check.evaluate(case, earlier) == _plain(check, case, earlier, None))
    assert np.any(check.evaluate(case, earlier) != formulas)
    for mutant in check.mutants:
        wrong = mutant.parts["value"]
        assert np.all(check.evaluate(case, wrong=wrong) == _plain(check, case, None, wrong))
        assert np.any(check.evaluate(case, wrong=wrong) != formulas)
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


def _rows(values: Any, rows: list[int]) -> Any:
    """Take these rows of an array, as a batch of images of one line."""
    return np.stack([np.reshape(values[row], (1, 1, -1)) for row in rows])


@pytest.mark.parametrize("name", NAMES)
def test_a_case_has_the_rows_of_its_vector(name: str) -> None:
    for check in (check for check in ROWS if check.name == name):
        vector, T = check.vector, check.vector.schedule.T
        steps = [T] * len(vector.truth) if vector.t is None else vector.t.tolist()
        rows = [row for row, t in enumerate(steps) if t >= check.first]
        case = check.rows_case("float64", "cpu")
        assert (case is None) == (rows == [])
        if case is None:
            continue
        assert (case.name, case.dtype, case.device, case.steps.T) == (vector.id, "float64", "cpu", T)
        assert case.t.tolist() == [steps[row] for row in rows]
        for name, values in vector.inputs.items():
            assert np.array_equal(case.drawn(name), _rows(values, rows))
        assert np.all(check.evaluate(case).astype(float) == _rows(vector.truth, rows).astype(float))
        size = _rows(vector.scale, rows).astype(float)
        if check.terms is not None:
            size = size + check.terms(case, check.values(case, case.symbols)).astype(float)
        for units in (1, check.ulps):
            wanted = units * 2.0**-52 * size
            assert np.allclose(check.allowed(case, units), wanted, rtol=1e-12, atol=1e-320)
        assert np.array_equal(check.allowed(case), check.allowed(case, check.ulps))


def test_rows_are_asked_for_where_the_dtype_holds_the_schedule() -> None:
    for check in ROWS:
        betas = check.vector.schedule.betas
        held = bool(np.all(betas.astype(np.float32) == betas))
        if check.rows_case("float64", "cpu") is not None:
            assert (check.rows_case("float32", "cpu") is not None) == held


@pytest.mark.parametrize(
    "variances",
    [
        {},
        {"a": "fixed_large"},
        {"b": "fixed_small"},
        {"a": "fixed_large", "c": "fixed_large"},
        {"l": "learned"},
    ],
)
def test_rows_are_asked_for_by_the_adapters_names_of_variances(
    variances: Mapping[str, VarianceKind],
) -> None:
    kind = type("Some", (Adapter,), {"variances": variances})
    fixed = {own: meant for own, meant in variances.items() if meant != "learned"}
    found = {check.name for check in row_checks(checks(kind), kind) if "[" in check.name}
    assert found == {f"{name}[{own}]" for own in fixed for name in ("step", "last_step", "reverse_variance")}


def test_a_row_asks_for_what_its_vector_is_of() -> None:
    listed = row_checks(checks(Everything), Everything)
    assert {(check.name, check.vector.id) for check in ROWS} <= {
        (check.name, check.vector.id) for check in listed
    }
    functions = {name for name in vars(Adapter) if not name.startswith("_")}
    asked = {check.vector.quantity for check in listed}
    quantities = {
        vector.quantity for topic in vectors.topics() for vector in vectors.load(topic) if vector.schedule
    }
    assert quantities & functions - {"L_t_minus_1", "ddim_step"} <= asked
    for check in listed:
        vector, (function, _, own) = check.vector, check.name.rstrip("]").partition("[")
        kind = Everything.variances.get(own)
        assert not vector.settings.get("clip")
        assert vector.claims[0] != "posterior.first-step"
        if function == "step":
            assert (vector.quantity, vector.settings["variance"]) == ("p_sample", kind)
        elif function == "last_step":
            assert (vector.quantity, set(vector.t)) == ("p_sample", {1})
        elif function == "reverse_variance":
            assert vector.quantity == f"variance_{kind}"
        else:
            assert ASKED[vector.quantity] == check.name


def test_the_least_number_of_a_dtype_is_excused_twice() -> None:
    for check in ROWS:
        if "float16" in check.dtypes and (case := check.rows_case("float16", "cuda:1")):
            assert case.device == "cuda:1"
            relative = check.allowed(case, 2) - check.allowed(case, 1)
            assert np.allclose(check.allowed(case, 1) - relative, 2 * 2.0**-24, rtol=1e-6)


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
    spacings: tuple[str, ...] = ("none",)
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


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_code_that_computes_in_its_dtype_has_the_laws(dtype: str) -> None:
    """The project's own sampler, which rounds at every step: the bound on what that adds up to holds."""
    kind: Any = type("Once", (Reference,), {"dtypes": (dtype,)})
    every = checks(kind) + [check for spacing in kind.spacings for check in step_checks(kind, spacing)]
    found = [(case, work) for *_, case, work in law_checks(every, kind) if f"/uneven, {dtype}" in case]
    assert len(found) >= 5
    for case, work in found:
        result = work()
        assert result.outcome == "passed", result
        assert result.case == case
        assert result.ulps is not None
        assert result.allowed is not None
        assert 0.01 < result.allowed < 200
        assert result.ulps <= result.allowed


def _found(law: LawCheck) -> Law:
    return walk(law, partial(_taken, Sampler(_betas(law), "float64", "cpu")))


@pytest.mark.parametrize("part", ["mean", "variance"])
@pytest.mark.parametrize("row", [0, 3, -1])
def test_a_law_is_wrong_where_it_is_wrong(part: str, row: int) -> None:
    law, _ = _laws(Sampler, "uneven")[0]
    found, vector = _found(law), law.law[part]
    assert vector.t is not None
    truth = vector.truth.copy()
    truth[row] += Fraction(1, 1000)
    altered = replace(law, law={**law.law, part: replace(vector, truth=truth)})
    result = compared(altered, found)
    assert (result.check, result.claim, result.case) == (law.name, "sampling.ancestral-step", law.label)
    assert (result.outcome, result.at) == ("failed", f"the {part} at t = {vector.t[row]}")
    assert float(result.found) == pytest.approx(float(vector.truth[row]), rel=1e-8, abs=1e-15)
    assert float(result.wanted) == pytest.approx(float(truth[row]), rel=1e-8)
    error = 1 / (1000 * float(vector.scale[row]))
    assert result.relative == pytest.approx(error, rel=1e-6)
    assert result.ulps == pytest.approx(error * 2**52, rel=1e-6)
    assert result.diagnosis == f"{NONE_KNOWN}; {law.step.name} looks at each step by itself"
    assert result.best is not None
    assert 0 <= result.best <= 0.51 * abs(float(truth[row])) / float(vector.scale[row])


def test_a_law_passes_up_to_the_bound_and_no_further() -> None:
    law, _ = _laws(Sampler, "uneven")[0]
    found = _found(law)
    passed = compared(law, found)
    assert (passed.outcome, passed.diagnosis) == ("passed", "")
    vector = law.law["variance"]
    assert vector.t is not None
    i = [*law.chain, 0].index(int(vector.t[2]))
    for share, outcome in ((0.9, "passed"), (1.2, "failed")):
        variance = found.values["variance"].copy()
        variance[i] += share * found.bounds["variance"][i]
        result = compared(law, replace(found, values={**found.values, "variance": variance}))
        assert (result.outcome, result.at) == (outcome, f"the variance at t = {vector.t[2]}")
        assert result.ulps is not None
        assert result.allowed is not None
        assert result.ulps / result.allowed == pytest.approx(share, rel=0.1)


def test_the_law_of_a_run_is_that_of_its_states() -> None:
    """The first pixel has no noise, every other one unit of it: the squares of what they add sum up."""
    law, _ = _laws(Sampler, "uneven")[0]
    states: list[Array] = []

    def keep(x: Array, t: int, eps: Array, z: Array) -> Array:
        states.append(x.ravel())
        assert x.shape == (1, 1, 1, len(law.chain) + 2)
        assert z.ravel().tolist() == np.eye(len(law.chain) + 2)[law.chain.index(t) + 2].tolist()
        after: Array = 0.5 * x + 0.25 * z + 0.125
        last.append(after.ravel())
        return after

    last: list[Array] = []
    found = walk(law, keep)
    assert states[0].tolist() == np.eye(len(law.chain) + 2)[1].tolist()
    mean, variance = [0.0], [1.0]
    for _ in law.chain:
        mean.append(0.5 * mean[-1] + 0.125)
        variance.append(0.25 * variance[-1] + 0.0625)
    assert np.allclose(found.values["mean"], mean)
    assert np.allclose(found.values["variance"], variance)
    for name in ("mean", "variance"):
        assert found.bounds[name][0] == 0
        assert np.all(found.bounds[name][1:] > 0)
        assert np.all(found.bounds[name][:-1] < 1e-13)


class Rounds:
    """A step that rounds by one, and keeps what it was asked."""

    def __init__(self, check: Any) -> None:
        self.formula, self.name = check.formula, check.name
        self.asked: list[tuple[Any, Any, Any, float]] = []

    def rounding(self, case: Any, values: Any, moved: Any, eps: float, wrong: Any) -> float:
        assert wrong is None
        self.asked.append((case, values, moved, eps))
        return 1.0


def _denoised(law: LawCheck, t: int, x: Any) -> Array:
    symbols = Steps(_betas(law)).at([t])
    data = {name: mp.mpf(law.vector.settings[name]) for name in ("data_mean", "data_deviation")}
    return _floats(book().claims[DENOISER].parts["value"]({**symbols, **data, "x_t": exact(x)}))


@pytest.mark.parametrize("name", ["law[fixed_large]", "ddim_law[eta = 0]"])
def test_an_error_is_carried_on_as_the_sampler_carries_on_a_state(name: str) -> None:
    """What a step makes of a state that is off, less what it makes of the state, and its own rounding."""
    law = next(law for law, _ in _laws(Sampler, "uneven") if law.name == name)
    sampler, step = Sampler(_betas(law), "float64", "cpu"), Rounds(law.step)
    after = dict(pairwise([*law.chain, 0]))

    def take(x: Array, t: int, eps: Array, z: Array) -> Array:
        assert np.allclose(eps, _denoised(law, t, x), rtol=1e-12)
        if name.startswith("ddim"):
            return sampler.ddim_step_to(x, t, after[t], eps, z, 0.0)
        return _taken(sampler, x, t, eps, z)

    stub: Any = step
    found = walk(replace(law, step=stub), take)
    errors = [0.0]
    zero = np.zeros((1, 1, 1, 1))
    for t in law.chain:
        off = zero + errors[-1]
        moved = take(off, t, _denoised(law, t, off), zero) - take(zero, t, _denoised(law, t, zero), zero)
        errors.append(abs(moved.item()) + 1)
    assert np.allclose(found.bounds["mean"], errors, rtol=1e-9)
    exactly = walk(law, take)
    for i, error in enumerate(errors):  # every state is off by as much, and so is the one without noise
        added = np.sqrt(exactly.values["variance"][i])
        assert found.bounds["variance"][i] >= (added + 2 * error) ** 2 - added**2 - 1e-9
    assert np.allclose(found.values["variance"], exactly.values["variance"])


@pytest.mark.parametrize("name", ["law[fixed_large]", "ddim_law[eta = 0.5]"])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_the_rounding_of_a_step_is_bounded_for_what_it_was_given(name: str, dtype: str) -> None:
    law = next(replace(law, dtype=dtype) for law, _ in _laws(Sampler, "uneven") if law.name == name)
    after = dict(pairwise([*law.chain, 0]))
    step, taken = Rounds(law.step), []

    def take(x: Array, t: int, eps: Array, z: Array) -> Array:
        assert {x.dtype.name, eps.dtype.name, z.dtype.name} == {dtype}
        taken.append((x.copy(), t, eps.copy(), z.copy()))
        return 0.5 * x + z

    stub: Any = step
    walk(replace(law, step=stub), take)
    assert len(step.asked) == len(taken) == len(law.chain)
    for (case, values, moved, eps), (x, t, predicted, z) in zip(step.asked, taken, strict=True):
        assert (case.t.tolist(), case.dtype, eps) == ([t], dtype, EPS[dtype])
        assert np.array_equal(values["x_t"], x)
        assert np.array_equal(values["eps_theta"], predicted)
        assert np.array_equal(values["z"], z)
        symbols = Steps(_betas(law)).at([t], [after[t]])
        for name, off in spreads(symbols, [t], dtype).items():
            assert np.allclose(moved[name], off, rtol=1e-12, equal_nan=True)
            assert np.allclose(values[name], symbols[name].astype(float), rtol=1e-12, equal_nan=True)
        assert np.array_equal(moved["eps_theta"], EPS[dtype] * np.abs(values["eps_theta"]))
        assert not {"x_t", "z"} & set(moved)
        assert (values["sigma_t"] == 0).all() == (t == 1)
        assert values.get("eta") == (0.5 if "eta" in law.name else None)


@pytest.mark.parametrize(("bounds", "named"), [(0.0, True), (3.9, True), (-3.9, True), (4.1, False)])
def test_a_mistake_is_named_where_its_law_is_met_up_to_rounding(bounds: float, named: bool) -> None:
    law, _ = _laws(Sampler, "uneven")[0]
    mutants = {(m.claim, m.name): m for m in law.law["variance"].mutants if m.claim != DENOISER}
    wrong = next(
        m for key, m in mutants.items() if key not in {(m.claim, m.name) for m in law.law["mean"].mutants}
    )
    rows = len(law.chain) + 1
    values, off = {}, {}
    for part, vector in law.law.items():
        assert vector.t is not None
        truth, scale = vector.truth.astype(float), vector.scale.astype(float)
        if part == "variance":
            seen = wrong.truth.astype(float)
            truth = np.where(np.isnan(seen), truth, seen) + bounds * (1e-9 + EPS["float64"] * scale)
        at = [[*law.chain, 0].index(t) for t in vector.t]
        values[part], off[part] = np.zeros(rows), np.full(rows, 1e-9)
        values[part][at] = truth
    result = compared(law, Law(values, off))
    assert result.outcome == "failed"
    words = f"{wrong.name} ({wrong.seen})" if wrong.seen else wrong.name
    assert (result.diagnosis == words) == named, result


def test_a_law_that_is_no_number_is_told_where() -> None:
    law, _ = _laws(Sampler, "uneven")[0]
    found = _found(law)
    mean = found.values["mean"].copy()
    mean[2:] = np.nan
    result = compared(law, replace(found, values={**found.values, "mean": mean}))
    assert (result.outcome, result.diagnosis) == ("failed", "not a finite number")
    assert law.vector.t is not None
    assert result.at == f"the mean at t = {max(t for t in law.vector.t if t <= law.chain[2])}"


def test_every_law_has_its_checks() -> None:
    kind: Any = type("Two", (Sampler,), {"dtypes": ("float64", "float16", "float32"), "etas": (0.0, 1.0)})
    every = checks(kind) + [check for spacing in kind.spacings for check in step_checks(kind, spacing)]
    found = [(name, claim, case) for name, claim, case, _ in law_checks(every, kind)]
    wanted = []
    for vector in vectors.load("laws"):
        case = vector.id.replace(".variance/", "/")
        for dtype in ("float64", "float32"):
            if ".variance/" in vector.id and "variance" in vector.settings:
                wanted.append((f"law[{vector.settings['variance']}]", vector.claims[0], f"{case}, {dtype}"))
            elif ".variance/" in vector.id and vector.settings["eta"] != 0.5:
                name = f"ddim_law[eta = {vector.settings['eta']:g}]"
                wanted.append((name, vector.claims[0], f"{case}, {dtype}"))
    assert sorted(found) == sorted(wanted)
    assert {claim for _, claim, _ in found} == {"sampling.ancestral-step", "sampling.ddim-step"}


class Spaced(Sampler):
    """It takes the steps that one of its spacings has, and no others."""

    spacings = ("none", "later", "these")

    def timesteps(self, N: int, spacing: str) -> list[int]:
        if spacing == "none":
            raise NotOffered
        return [6, 4, 2, 1][:N] if spacing == "these" else [6, 5, 3, 2][:N]

    def ddim_step(
        self, x_t: Array, t: int, eps: Array, noise: Array, N: int, spacing: str, eta: float
    ) -> Array:
        assert (N, spacing) == (4, "these")
        after = {6: 4, 4: 2, 2: 1, 1: 0}[t]
        return super().ddim_step_to(x_t, t, after, eps, noise, eta)

    def ddim_step_to(self, x_t: Array, t: int, s: int, eps: Array, noise: Array, eta: float) -> Array:
        raise AssertionError("it has a spacing with these steps")


def test_steps_are_taken_by_a_spacing_that_has_them() -> None:
    laws = [(law, work) for law, work in _laws(Spaced, "uneven") if law.name.startswith("ddim_law")]
    assert [law.chain for law, _ in laws] == [[6, 4, 2, 1]] * 3
    assert [work().outcome for _, work in laws] == ["passed"] * 3


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


class ChangesNoise(Sampler):
    """It scales the noise in place."""

    def step(self, x_t: Array, t: Array, eps: Array, noise: Array, variance: str, value: Any) -> Array:
        (eps if t[0] == 4 else noise).fill(0.5 if t[0] < 5 else 0.0)
        return x_t


@pytest.mark.parametrize(
    ("kind", "outcome", "words"),
    [
        (ChangesNoise, "broken", "changed an argument at t = 6"),
        (Changes, "broken", "changed an argument at t = 6"),
        (Shrinks, "broken", "returned shape (1, 1, 1, 1); (1, 1, 1, 8) is needed at t = 6"),
        (Lost, "failed", "not a finite number"),
    ],
)
def test_a_sampler_that_misbehaves_is_told(kind: type[Adapter], outcome: str, words: str) -> None:
    result = next(work() for law, work in _laws(kind, "uneven") if law.name == "law[fixed_large]")
    assert (result.outcome, result.diagnosis) == (outcome, words)
    assert (result.check, result.claim) == ("law[fixed_large]", "sampling.ancestral-step")
    assert result.case.endswith("/uneven, float64")


def test_laws_are_not_offered_without_a_step() -> None:
    tasks = plan(Everything, "law")
    assert {task.check for task in tasks} == {"law[large]", "law[small]"}

    class Silent(Everything):
        dtypes = ("float64",)

        def __init__(self, betas: Array, dtype: str, device: str) -> None:
            pass

    assert {task.run().outcome for task in plan(Silent, "law")} == {"not offered"}
