"""What the kit says of an answer: how far off it is and where, and which mistake it is."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from ddpm_ref.conformance.cases import Case, cast, schedule
from ddpm_ref.conformance.check import Check
from ddpm_ref.conformance.checks import checks
from ddpm_ref.conformance.diagnosis import NONE_KNOWN
from ddpm_ref.conformance.formulas import Mutant, exact, mp
from ddpm_ref.conformance.measure import Result, guarded, measure, read
from ddpm_ref.conformance.protocol import Adapter, Array, NotOffered
from ddpm_ref.conformance.steps import EPS, MISREADINGS, column
from tests.test_conformance import Everything, real

CHECKS = {check.name: check for check in checks(Everything)}


class Says:
    """An adapter that gives one answer, whatever it is asked."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer

    def __getattr__(self, name: str) -> Callable[..., Any]:
        return lambda *_: self.answer


def _case(check: Check, betas: Array, dtype: str = "float64", name: str = "some") -> Case:
    case = check.case(name, betas, dtype, "cpu")
    assert case is not None
    adapter: Any = Says(None)
    check.call(adapter, case)  # which draws the arguments
    return case


def _said(check: Check, case: Case, answer: Any) -> Result:
    adapter: Any = Says(answer)
    return measure(check, adapter, case)


def _right(check: Check, case: Case) -> Array:
    found: Array = real(check.evaluate(case)).reshape(-1, *([] if check.number else case.shape))
    return found


LINEAR = schedule("linear", 24)


# -- how far off, and where ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("i", "units"), [(0, 2), (3, -100), (23, 2**30)])
def test_an_error_is_measured_where_it_is(i: int, units: int) -> None:
    check = CHECKS["alpha_bar"]
    case = _case(check, LINEAR)
    answer, truth = _right(check, case), check.evaluate(case).ravel()
    answer[i] *= 1 + units * EPS["float64"]
    result = _said(check, case, answer)
    assert (result.check, result.claim, result.case) == (
        "alpha_bar",
        "forward.alpha-bar",
        "some, float64, cpu",
    )
    assert result.outcome != "passed"
    assert result.at == f"t = {i + 1}"
    assert result.allowed == check.ulps == 1
    assert result.ulps == pytest.approx(abs(units), abs=1)
    assert result.relative == pytest.approx(abs(units) * EPS["float64"], abs=EPS["float64"])
    assert float(result.found) == pytest.approx(answer[i], rel=1e-8)
    assert float(result.wanted) == pytest.approx(float(truth[i]), rel=1e-8)
    assert result.best is not None
    assert 0 < result.best <= 0.5
    assert result.detail == ""


@pytest.mark.parametrize("name", ["q_sample", "posterior_variance", "eps_from_v", "kl", "L_simple"])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_one_unit_for_every_operation_is_excused_and_no_more(name: str, dtype: str) -> None:
    check = CHECKS[name]
    case = _case(check, LINEAR, dtype)
    truth, unit = check.evaluate(case), check.allowed(case, 1)
    for units, outcomes in ((check.ulps - 0.6, {"passed"}), (check.ulps + 0.6, {"failed", "inexact"})):
        for sign in (-1, 1):
            answer = (truth + sign * units * exact(unit)).astype(dtype)
            shape = (len(case.t),) if check.number else truth.shape
            result = _said(check, case, answer.reshape(shape))
            assert result.outcome in outcomes, result
            assert result.ulps == pytest.approx(units, abs=0.55)


@pytest.mark.parametrize(
    ("name", "wrong", "at"),
    [
        ("alpha_bar", {4: math.nan}, 4),
        ("alpha_bar", {4: math.inf, 9: -math.inf}, 4),
        ("q_sample", {6: math.nan}, 6),
    ],
)
def test_what_is_no_number_is_told(name: str, wrong: dict[int, float], at: int) -> None:
    check = CHECKS[name]
    case = _case(check, LINEAR)
    answer = _right(check, case)
    wanted = answer[at].copy()
    for i, value in wrong.items():
        answer[i].fill(value) if answer.ndim > 1 else answer.put(i, value)
    count = sum(answer[i].size for i in wrong)
    result = _said(check, case, answer)
    assert (result.outcome, result.at) == ("failed", f"t = {at + 1}")
    assert float(result.wanted) == pytest.approx(float(np.ravel(wanted)[0]), rel=1e-8)
    assert result.found == str(wrong[at])
    assert result.diagnosis.startswith(f"not a finite number, {count} of {answer.size} values")
    assert (result.ulps, result.relative) == (None, None)


def test_what_the_other_numbers_are_is_told_too() -> None:
    check = CHECKS["posterior_variance"]
    case = _case(check, LINEAR)
    [wrong] = [m for m in check.mutants if m.name == "a deviation"]
    answer = real(check.evaluate(case, wrong=wrong.parts["value"]))
    answer[3] = math.nan
    result = _said(check, case, answer)
    assert (
        result.diagnosis == f"not a finite number, 1 of {answer.size} values; the others: {wrong.described}"
    )
    answer[:] = 0.123
    answer[3] = math.nan
    assert _said(check, case, answer).diagnosis == f"not a finite number, 1 of {answer.size} values"
    answer[:] = math.nan
    assert (
        _said(check, case, answer).diagnosis == f"not a finite number, {answer.size} of {answer.size} values"
    )


def test_a_value_beyond_the_dtype_may_be_anything() -> None:
    check = CHECKS["snr"]
    case = _case(check, np.array([2.0**-130, 0.5]), "float32")
    with np.errstate(over="ignore"):
        right = _right(check, case).astype(np.float32)
    huge = right > 1e38
    assert huge.any()
    assert not huge.all()
    for value in (np.inf, 0, np.nan):
        assert _said(check, case, np.where(huge, np.float32(value), right)).outcome == "passed"
    assert _said(check, case, np.where(huge, right, np.float32(np.inf))).outcome == "failed"


@pytest.mark.parametrize("first", [1e-4, 1e-6, 1e-9])
def test_rounding_that_eats_a_hundredth_of_a_number_is_no_mere_rounding(first: float) -> None:
    check = CHECKS["one_minus_alpha_bar"]
    case = _case(check, np.full(24, first), "float32")
    answer = 1 - np.cumprod(1 - case.steps.betas.astype(np.float32))[case.t - 1]
    result = _said(check, case, answer)
    assert result.relative is not None
    assert result.outcome == ("inexact" if result.relative < 0.01 else "failed")
    assert (result.relative < 0.01) == (first == 1e-4)
    assert result.diagnosis == (
        "right but for rounding: computed in float32, where 1 - ᾱ loses digits at small t"
    )


# -- reading an answer ---------------------------------------------------------------------------------------


class Unreadable:
    def __array__(self, *_: Any, **__: Any) -> Array:
        raise OSError("the device is gone")


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (None, "returned None"),
        (Unreadable(), "returned what is no array: the device is gone"),
        (np.ones(3, int), "returned dtype int64; a float dtype is needed"),
        (np.ones(3, bool), "returned dtype bool; a float dtype is needed"),
        (np.array([1.0, 2, 3], object), "returned dtype object; a float dtype is needed"),
        (np.ones(2), "returned shape (2,); (3,) is needed"),
        (np.ones((3, 1)), "returned shape (3, 1); (3,) is needed"),
        (1.0, "returned shape (); (3,) is needed"),
    ],
)
def test_what_is_no_answer_is_told(answer: Any, problem: str) -> None:
    assert read(answer, (3,)) == problem
    check = CHECKS["alpha_bar"]
    assert _said(check, _case(check, LINEAR), answer).outcome == "broken"


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "longdouble"])
def test_every_float_is_read_as_the_number_it_is(dtype: str) -> None:
    answer = np.array([0.1, 2, 3]).astype(dtype)
    found = read(answer, (3,))
    assert isinstance(found, np.ndarray)
    assert found.dtype == np.float64
    assert found.tolist() == [float(value) for value in answer]
    assert isinstance(read([0.1, 2, 3], (3,)), np.ndarray)


# -- errors --------------------------------------------------------------------------------------------------


def _raises(error: BaseException) -> Callable[[], Result]:
    def work() -> Result:
        raise error

    return work


@pytest.mark.parametrize(
    ("error", "outcome", "words"),
    [
        (NotOffered("not in this dtype"), "not offered", "not in this dtype"),
        (NotImplementedError("later"), "not offered", "later"),
        (ValueError("no"), "broken", "raised ValueError: no"),
        (SystemExit(3), "broken", "raised SystemExit: 3"),
        (ValueError("x" * 300), "broken", "raised ValueError: " + "x" * 188),
    ],
)
def test_whatever_is_raised_is_a_result(error: BaseException, outcome: str, words: str) -> None:
    result = guarded("snr", "forward.snr", "linear", _raises(error))
    assert (result.check, result.claim, result.case) == ("snr", "forward.snr", "linear")
    assert (result.outcome, result.diagnosis) == (outcome, words)
    assert ("Traceback" in result.detail) == (outcome == "broken")
    assert 0 < result.seconds < 60
    with pytest.raises(KeyboardInterrupt):
        guarded("snr", "forward.snr", "linear", _raises(KeyboardInterrupt()))


def test_a_result_keeps_what_was_found() -> None:
    known = Result(
        "snr", "forward.snr", "linear", "passed", 0.4, 0.3, 1, 1e-17, "t = 3", "1", "2", "", "", 7.0
    )
    found = guarded("other", "other", "other", lambda: known)
    assert {**found.to_json(), "seconds": 7.0} == known.to_json()
    assert found.seconds < 7


def test_a_result_says_nothing_that_was_not_measured() -> None:
    known = Result("snr", "forward.snr", "linear", "not offered").to_json()
    numbers = dict.fromkeys(("ulps", "best", "allowed", "relative"))
    texts = dict.fromkeys(("at", "found", "wanted", "diagnosis", "detail"), "")
    given = {"check": "snr", "claim": "forward.snr", "case": "linear", "outcome": "not offered"}
    assert known == {**given, **numbers, **texts, "seconds": 0.0}


class Typo(Adapter):
    """It reads a table under a name that it has not."""

    dtypes = ("float64",)

    def __init__(self, betas: Array, dtype: str, device: str) -> None:
        self._bar = np.cumprod(1 - betas)

    def alpha_bar(self, t: Array) -> Array:
        return np.asarray(self._bars[t - 1])  # type: ignore[attr-defined]


def test_an_adapter_with_a_mistake_in_it_is_broken_and_does_not_pass_for_one_that_offers_less() -> None:
    def asked(name: str) -> Result:
        check, adapter = CHECKS[name], Typo(LINEAR, "float64", "cpu")
        return guarded(name, "", "", lambda: measure(check, adapter, _case(check, LINEAR)))

    result = asked("alpha_bar")
    assert result.outcome == "broken"
    assert result.diagnosis == "raised AttributeError: 'Typo' object has no attribute '_bars'"
    assert asked("one_minus_alpha_bar").outcome == "not offered"


def test_all_arguments_that_were_changed_are_named() -> None:
    class Changes(Says):
        def q_sample(self, x_0: Array, t: Array, noise: Array) -> Array:
            answer = x_0.copy()
            for array in (x_0, t, noise):
                array += 1
            return answer

    check = CHECKS["q_sample"]
    adapter: Any = Changes(None)
    result = measure(check, adapter, _case(check, LINEAR))
    assert (result.outcome, result.diagnosis) == ("broken", "changed its argument eps, t, x_0")


# -- which mistake -------------------------------------------------------------------------------------------

LONG = schedule("linear", 200)  # of which not every step is looked at


def _read_as(check: Check, case: Case, words: str) -> Any:
    misreading = next(m for m in MISREADINGS if m.name.startswith(words))
    return real(check.evaluate(case, misreading.symbols(case.steps, case.t, case.before, case.N)))


@pytest.mark.parametrize("words", ["ᾱ_0 is ᾱ_1", "ᾱ_0 is 0", "ᾱ_{t-1} is ᾱ_t", "ᾱ_{t-1} is ᾱ_t, and 1"])
def test_of_a_long_schedule_both_ends_are_looked_at(words: str) -> None:
    """Some mistakes differ from each other, or from the truth, in the first or in the last step alone."""
    check = CHECKS["q_posterior"]
    case = _case(check, LONG)
    result = _said(check, case, _read_as(check, case, words).reshape(-1, *case.shape))
    assert result.outcome == "failed"
    assert result.diagnosis.startswith(words)
    assert result.diagnosis == next(m.name for m in MISREADINGS if m.name.startswith(words))


@pytest.mark.parametrize(
    "where", [slice(30, 170), slice(0, 1), slice(1, 2), slice(198, 199), slice(199, 200)]
)
def test_a_mistake_explains_every_number_or_none(where: slice) -> None:
    check = CHECKS["alpha_bar"]
    case = _case(check, LONG)
    answer = _right(check, case)
    answer[where] *= 1.001
    assert _said(check, case, answer).diagnosis == NONE_KNOWN
    [wrong] = [m for m in check.mutants if m.name == "mean of the α instead of their product"]
    answer = real(check.evaluate(case, wrong=wrong.parts["value"]))
    assert _said(check, case, answer).diagnosis == wrong.described
    answer[where] *= 1.001
    assert _said(check, case, answer).diagnosis == NONE_KNOWN


def test_of_a_short_schedule_every_step_is_looked_at() -> None:
    check = CHECKS["alpha_bar"]
    case = _case(check, schedule("linear", 60))
    for i in (22, 29, 38):
        answer = _right(check, case)
        answer[i] *= 1.001
        assert _said(check, case, answer).diagnosis == NONE_KNOWN


def test_a_mutant_to_the_last_digit_is_none_of_rounding() -> None:
    """In half precision, where rounding could explain it as well."""
    check = CHECKS["alpha_bar_of[linear]"]
    case = _case(check, LINEAR, "bfloat16", check.schedules[0])
    [wrong] = [m for m in check.mutants if m.name == "one factor too few"]
    answer = case.steps.tables["alpha_bar"][case.t - 1]
    result = _said(check, case, cast(real(answer), "bfloat16"))
    assert (result.outcome, result.diagnosis) == ("failed", wrong.described)


def _tables(case: Case, dtype: str) -> dict[str, Any]:
    """Return the schedule's symbols from an ᾱ that was accumulated in a dtype."""
    alpha = (1 - case.steps.betas).astype(dtype)
    bar = np.append(np.ones(1, dtype), np.cumprod(alpha, dtype=dtype))
    names = {"alpha_bar_t": case.t, "alpha_bar_prev": case.t - 1}
    return {name: column(exact(bar[t])) for name, t in names.items()}


def test_what_is_computed_in_float32_though_float64_is_asked_for_is_told() -> None:
    check = CHECKS["q_sample"]
    case = _case(check, LONG)
    answer = real(check.evaluate(case, {**case.symbols, **_tables(case, "float32")}))
    result = _said(check, case, answer.reshape(-1, *case.shape))
    assert result.outcome == "inexact"
    words = "right but for rounding: computed in float32, where 1 - ᾱ loses digits at small t"
    assert result.diagnosis == words


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_a_product_that_is_accumulated_is_told_by_its_dtype(dtype: str) -> None:
    check = CHECKS["alpha_bar"]
    case = _case(check, LONG)
    bar = _tables(case, dtype)["alpha_bar_t"]
    result = _said(check, case, real(bar))
    assert (result.outcome, result.diagnosis) == ("inexact", f"right but for rounding: computed in {dtype}")


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_a_beta_that_is_recomputed_from_its_products_is_told(dtype: str) -> None:
    """1 − ᾱ_t/ᾱ_{t−1} loses the digits of a small β."""
    check = CHECKS["reverse_variance[large]"]
    case = _case(check, LONG, dtype)
    bar = np.append(1, np.cumprod(1 - case.steps.betas)).astype(dtype)
    answer = 1 - bar[case.t] / bar[case.t - 1]
    result = _said(check, case, answer)
    assert result.diagnosis == (
        f"right but for rounding: computed in {dtype}, with β_t recomputed as 1 - ᾱ_t/ᾱ_{{t-1}}"
    )


@pytest.mark.parametrize(("units", "named"), [(0, True), (3, True), (2**11, True), (2**14, False)])
def test_a_confusion_is_named_though_it_is_rounded(units: float, named: bool) -> None:
    check = CHECKS["clipped_mean"]
    case = _case(check, LINEAR)
    value = dict(check.confused)["not clipped"](case, check.values(case, case.symbols))
    answer = value + units * exact(check.allowed(case))
    result = _said(check, case, real(answer).reshape(-1, *case.shape))
    assert (result.diagnosis == "not clipped") == named, result


def test_a_mutant_is_named_by_its_name_and_by_where_it_was_seen() -> None:
    assert Mutant("roots exchanged", "some/project#1", {}).described == "roots exchanged (some/project#1)"


def test_a_misread_schedule_may_come_with_a_mutant() -> None:
    check = CHECKS["q_posterior"]
    case = _case(check, LINEAR).some(np.arange(1, 24))
    misreading = MISREADINGS[9]
    symbols = misreading.symbols(case.steps, case.t, case.before, case.N)
    said = {}
    for wrong in list(check.mutants)[:4]:
        answer = real(check.evaluate(case, symbols, wrong.parts["value"])).reshape(-1, *case.shape)
        said[wrong.described] = _said(check, case, answer).diagnosis
    assert sum(words == f"{wrong}; and {misreading.name}" for wrong, words in said.items()) >= 2, said
    assert mp.dps == 50
