"""One check on one case: ask the adapter, look at what comes back, compare, explain."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from dataclasses import asdict, dataclass
from time import perf_counter
from typing import Any, Literal

import numpy as np

from ddpm_ref.conformance.cases import Case
from ddpm_ref.conformance.check import Check
from ddpm_ref.conformance.diagnosis import NONE_KNOWN, diagnose
from ddpm_ref.conformance.formulas import exact, mp
from ddpm_ref.conformance.protocol import Adapter, Array, NotOffered, described, printable, words
from ddpm_ref.conformance.steps import EPS

__all__ = ["Outcome", "Result", "guarded", "measure", "read"]

Outcome = Literal["passed", "inexact", "failed", "broken", "not offered"]
"""Inexact: the right formula, with more rounding than it needs. Broken: no number came back."""


@dataclass(frozen=True)
class Result:
    """What one check found in one case.

    Attributes:
        check: its name.
        claim: the claim's id, or empty where a property is checked rather than a formula.
        case: schedule, dtype and device.
        outcome: as `Outcome` says.
        ulps: the worst error, in units in the last place of the dtype.
        best: the error of rounding the true value once, in the same units.
        allowed: how many are.
        relative: the worst error, relative to the size of the terms that are added up.
        at: where that was.
        found: the value there.
        wanted: the true value there.
        diagnosis: which mistake it is, or what went wrong.
        detail: a traceback.
        seconds: how long it took.
    """

    check: str
    claim: str
    case: str
    outcome: Outcome
    ulps: float | None = None
    best: float | None = None
    allowed: float | None = None
    relative: float | None = None
    at: str = ""
    found: str = ""
    wanted: str = ""
    diagnosis: str = ""
    detail: str = ""
    seconds: float = 0.0

    def to_json(self) -> dict[str, Any]:
        """Return the fields, ready for JSON."""
        return asdict(self)


def guarded(check: str, claim: str, case: str, run: Callable[[], Result]) -> Result:
    """Turn whatever an adapter raises into a result."""
    began = perf_counter()
    try:
        found = run()
    except (NotOffered, NotImplementedError) as reason:
        found = Result(check, claim, case, "not offered", diagnosis=words(reason))
    except (Exception, SystemExit) as error:
        raised = f"raised {described(error)[:200]}"
        found = Result(
            check, claim, case, "broken", diagnosis=raised, detail=printable(traceback.format_exc())
        )
    return Result(**{**asdict(found), "seconds": perf_counter() - began})


def measure(check: Check, adapter: Adapter, case: Case) -> Result:
    """Run a check on a case.

    Raises:
        NotOffered: as the adapter does.
    """
    label = f"{case.name}, {case.dtype}, {case.device}"

    def result(outcome: Outcome, **fields: Any) -> Result:
        return Result(check.name, check.claim, label, outcome, allowed=check.ulps, **fields)

    answer = check.call(adapter, case)
    if changed := case.changed_arguments():
        return result("broken", diagnosis=f"changed its argument {', '.join(changed)}")
    truth = check.evaluate(case)
    shape = (len(case.t),) if check.number else (len(case.t), *case.shape)
    if isinstance(problem := read(answer, shape), str):
        return result("broken", diagnosis=problem)
    found = problem.reshape(np.shape(truth))
    fit = check.fits(case, truth)
    lost = ~np.isfinite(found) & fit
    if lost.any():
        i = tuple(np.argwhere(lost)[0])
        words = f"not a finite number, {int(lost.sum())} of {lost.size} values"
        if not lost.all():
            known = diagnose(check, case, exact(np.where(fit, found, np.nan)))
            if known.text != NONE_KNOWN:
                words += f"; the others: {known.text}"
        elif undefined := _without_value(check, case):
            words += f"; it has none if {undefined}"
        return result(
            "failed", at=_at(case, i[0]), found=str(found[i]), wanted=_show(truth[i]), diagnosis=words
        )
    exactly = np.where(fit, exact(np.where(fit, found, 0)), truth)
    error = np.abs(exactly - truth).astype(np.float64)
    ulps = error / check.allowed(case, 1)
    worst = np.unravel_index(np.argmax(ulps), ulps.shape)
    fields: dict[str, Any] = {
        "ulps": float(ulps[worst]),
        "best": check.best(case, truth),
        "relative": float(ulps[worst]) * EPS[case.dtype],
        "at": _at(case, int(worst[0])),
        "found": f"{found[worst]:.9g}",
        "wanted": _show(truth[worst]),
    }
    if ulps[worst] <= check.ulps:
        return result("passed", **fields)
    why = diagnose(check, case, exactly)
    # Rounding that eats a hundredth of the number is no mere rounding, whatever the dtype.
    mere = why.rounding and fields["relative"] < 0.01
    return result("inexact" if mere else "failed", diagnosis=why.text, **fields)


def _without_value(check: Check, case: Case) -> str | None:
    """Name a mutant without a real value at any example, such as the logarithm of a negative mass."""
    for mutant in check.mutants:
        try:
            value = check.evaluate(case, wrong=mutant.parts[check.part])
        except (KeyError, ZeroDivisionError):
            continue  # this mistake means nothing here
        if not any(mp.isfinite(each) and not mp.im(each) for each in np.ravel(value)):
            return mutant.described
    return None


def read(answer: object, shape: tuple[int, ...]) -> Array | str:
    """Return the answer as float64, or say what is wrong with it."""
    if answer is None:
        return "returned None"
    try:
        values = np.asarray(answer)
    except Exception as error:
        return f"returned what is no array: {error}"
    if values.dtype.kind != "f":
        return f"returned dtype {values.dtype}; a float dtype is needed"
    if values.shape != shape:
        return f"returned shape {values.shape}; {shape} is needed"
    return values.astype(np.float64)


def _at(case: Case, i: int) -> str:
    skipped = f", to {int(case.before[i])}, N = {int(case.N[i])}" if np.ndim(case.N) else ""
    return f"t = {int(case.t[i])}{skipped}"


def _show(value: Any) -> str:
    return str(mp.nstr(value, 9))
