"""Which mistake is it? A failing answer is compared with every known one.

An explanation must explain every value of the answer, right ones included. Tried in this order: a mutant of
the claim, a misread schedule, or both, to the last digits; the right formula, but for rounding (a running
error bound of the formula as printed); a mutant or a misread schedule, rounded as badly; none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from ddpm_ref.conformance.cases import Case
from ddpm_ref.conformance.check import Check
from ddpm_ref.conformance.formulas import Formula
from ddpm_ref.conformance.steps import EPS, MISREADINGS, Misreading, spreads

__all__ = ["Diagnosis", "diagnose"]

LOOKED_AT = 60  # examples; all t would only take longer
NONE_KNOWN = "no known mistake gives these values"


@dataclass(frozen=True)
class Diagnosis:
    """What an answer is, in words, and whether it is the right formula but for rounding."""

    text: str
    rounding: bool = False


def diagnose(check: Check, case: Case, found: Any) -> Diagnosis:
    """Explain an answer that did not pass.

    Args:
        check: that it failed.
        case: that it was given.
        found: the answer, exactly, shaped like the truth.
    """
    answer = _Answer(check, *_few(case, found))
    candidates = list(_candidates(check))
    dtypes = [dtype for dtype in dict.fromkeys([case.dtype, "float32"]) if EPS[dtype] >= EPS[case.dtype]]
    for words, value in check.confused:
        if answer.is_confusion(value, 4):
            return Diagnosis(words)
    for wrong, misreading, words in candidates:
        if answer.is_explained(misreading, wrong):
            return Diagnosis(words)
    for dtype in dtypes:
        for recomputed, words in ((False, ""), (True, ", with β_t recomputed as 1 - ᾱ_t/ᾱ_{t-1}")):
            if answer.is_explained(MISREADINGS[0], None, dtype, recomputed):
                cancels = "1 - alpha_bar" in check.formula.text
                where = ", where 1 - ᾱ loses digits at small t" if cancels else ""
                return Diagnosis(f"right but for rounding: computed in {dtype}{where}{words}", rounding=True)
        for words, value in check.confused:
            if answer.is_confusion(value, 2**12):
                return Diagnosis(words)
        for wrong, misreading, words in candidates:
            if answer.is_explained(misreading, wrong, dtype):
                return Diagnosis(words)
    return Diagnosis(NONE_KNOWN)


def _few(case: Case, found: Any) -> tuple[Case, Any]:
    """Keep the ends of the schedule, where mistakes differ most, and some of the middle."""
    count = len(case.t)
    if count <= LOOKED_AT:
        return case, found
    end = LOOKED_AT // 3
    middle = np.linspace(0, count - 1, end).astype(int)
    kept = np.unique(np.concatenate([np.arange(end), middle, np.arange(count - end, count)]))
    return case.some(kept), found[kept]


def _candidates(check: Check) -> Iterator[tuple[Formula | None, Misreading, str]]:
    mutants = [(mutant.parts[check.part], mutant.described) for mutant in check.mutants]
    right, *misread = MISREADINGS
    for wrong, words in mutants:
        yield wrong, right, words
    for misreading in misread:
        yield None, misreading, misreading.name
    for misreading in misread:
        for wrong, words in mutants:
            yield wrong, misreading, f"{words}; and {misreading.name}"


class _Answer:
    """An answer, and what it might be."""

    def __init__(self, check: Check, case: Case, found: Any) -> None:
        self.check, self.case, self.found = check, case, found
        self.truth, self.allowed = check.evaluate(case), check.allowed(case)
        self._read: dict[str, tuple[Any, Any] | None] = {}

    def is_confusion(self, value: Callable[[Case, Any], Any], ulps: int) -> bool:
        """Say whether the answer is something else altogether."""
        try:
            return self._is(
                value(self.case, self.check.values(self.case, self.case.symbols)), ulps * self.allowed
            )
        except (TypeError, ZeroDivisionError):
            return False  # the root of a negative variance

    def is_explained(
        self,
        misreading: Misreading,
        wrong: Formula | None,
        dtype: str | None = None,
        recomputed: bool = False,
    ) -> bool:
        """Say whether a version of the formula gives the answer, to the last digits or as a dtype rounds."""
        try:
            read = self._reading(misreading)
            if read is None:
                return False
            symbols, values = read
            wanted = self.check.finish(self.case, (wrong or self.check.formula)(values))
            if (wrong is not None or misreading.name) and self._is_truth(wanted):
                return False  # a mistake that makes no difference explains nothing
            if dtype is None:
                return self._is(wanted, self.allowed)
            moved = spreads(symbols, self.case.t, dtype)
            if recomputed:
                apart = np.full(np.shape(self.case.t), 4 * EPS[dtype]).reshape(-1, 1, 1, 1)
                moved |= {"beta_t": apart, "alpha_t": apart}
            bound = self.check.rounding(self.case, values, moved, EPS[dtype], wrong)
            return self._is(wanted, bound + self.allowed)
        except (ZeroDivisionError, ValueError, KeyError, TypeError):
            return False  # this mistake means nothing here

    def _reading(self, misreading: Misreading) -> tuple[Any, Any] | None:
        if misreading.name not in self._read:
            case = self.case
            try:
                symbols = misreading.symbols(case.steps, case.t, case.before, case.N)
                self._read[misreading.name] = (symbols, self.check.values(case, symbols))
            except (ZeroDivisionError, ValueError, KeyError, TypeError):
                self._read[misreading.name] = None
        return self._read[misreading.name]

    def _is(self, wanted: Any, allowed: Any) -> bool:
        off = np.abs(self.found - wanted).astype(np.float64)
        unknown = np.isnan(off) | ~np.isfinite(allowed)  # what allows any number explains none
        return bool(np.all((off <= allowed) | unknown)) and not bool(np.all(unknown))

    def _is_truth(self, wanted: Any) -> bool:
        return not np.any(np.abs(wanted - self.truth).astype(np.float64) > self.allowed)
