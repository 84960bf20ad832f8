"""A check: a function of an adapter held to a claim, and the errors that rounding excuses."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ddpm_ref.conformance.cases import Case, cast
from ddpm_ref.conformance.formulas import Formula, Mutant, book, exact, mp
from ddpm_ref.conformance.protocol import Adapter, Array, VarianceKind
from ddpm_ref.conformance.rounding import deviation_bound, rounding_bound, through_the_image
from ddpm_ref.conformance.steps import EPS

__all__ = ["DATA", "Check", "Extra", "Values", "formula"]

DATA = book().vectors | {"sigma_1", "sigma_2", "nats"}
"""Symbols whose terms may cancel without fault; all others are coefficients."""

Values = Mapping[str, Any]
"""The value of every symbol, by its name."""

Extra = Callable[[Case, Values], Values]
"""Values of further symbols, from those that are known."""

LEAST = {"float64": 2.0**-1074, "float32": 2.0**-149, "float16": 2.0**-24, "bfloat16": 2.0**-133}
_MOST = {"float64": 1e307, "float32": 8e37, "float16": 16_000.0, "bfloat16": 8e37}


def formula(claim: str, part: str = "value") -> Formula:
    """Return a claim's formula."""
    return book().claims[claim].parts[part]


@dataclass(frozen=True)
class Check:
    """A function held to a claim.

    Attributes:
        name: of the function, with its variant in brackets.
        claim: the claim's id.
        call: asks the adapter.
        part: which of the claim's parts.
        extra: values of symbols that are neither the schedule's nor drawn, from those that are.
        first: the smallest t that the claim is made for.
        only: the only t, if there is one; -1 for T.
        examples: how many, where there is only one t.
        shortest: the smallest T that the claim is made for.
        schedules: the only ones that the check is about, if not all; it is then asked for once.
        dtypes: in which the function is asked for.
        number: whether the answer is one number for each example instead of an image.
        terms: sizes to which the error is relative as well, where an input's own rounding is amplified.
        after: what the answer is of the formula's value, if not that value.
        own_terms: whether errors are relative to `terms` alone.
        kind: of variance, where the formula has a σ_t.
        image: whether code may go through a prediction of the image.
        confused: what else the answer may be, in words, and how to compute that.
    """

    name: str
    claim: str
    call: Callable[[Adapter, Case], Any]
    part: str = "value"
    extra: Extra = lambda case, values: {}
    first: int = 1
    only: int | None = None
    examples: int = 24
    shortest: int = 1
    schedules: tuple[str, ...] = ()
    dtypes: tuple[str, ...] = ("float64", "float32", "bfloat16", "float16")
    number: bool = False
    terms: Callable[[Case, Values], Any] | None = None
    after: Callable[[Any], Any] | None = None
    own_terms: bool = False
    kind: VarianceKind | None = None
    image: bool = False
    confused: tuple[tuple[str, Callable[[Case, Values], Any]], ...] = ()

    def case(self, schedule: str, betas: Array, dtype: str, device: str) -> Case | None:
        """Make the check's case, or None where the schedule has no step that it is about."""
        if len(betas) < max(self.shortest, self.first) or (self.schedules and schedule not in self.schedules):
            return None
        case = Case.all_steps(schedule, betas, dtype, device, first=self.first)
        if self.only:
            case.t = np.full(self.examples, self.only % (len(betas) + 1))
        return case

    @property
    def formula(self) -> Formula:
        """The claim's formula."""
        return formula(self.claim, self.part)

    @property
    def mutants(self) -> Iterator[Mutant]:
        """The claim's mutants that change this part."""
        return (wrong for wrong in book().claims[self.claim].mutants if self.part in wrong.parts)

    def values(self, case: Case, symbols: Values) -> Values:
        """Return the value of every symbol."""
        known = {"d": mp.mpf(int(np.prod(case.shape))), **symbols, **case.data}
        return {**known, **self.extra(case, known)}

    def evaluate(self, case: Case, symbols: Values | None = None, wrong: Formula | None = None) -> Any:
        """Return the formula's value, shaped like the answer; `wrong` evaluates another one instead."""
        symbols = case.symbols if symbols is None else symbols
        return self.finish(case, (wrong or self.formula)(self.values(case, symbols)))

    def finish(self, case: Case, value: Any) -> Any:
        """Turn the formula's value into what the answer should be."""
        return self._shaped(case, value if self.after is None else self.after(value))

    def allowed(self, case: Case, ulps: float | None = None) -> Any:
        """Return the error that rounding excuses."""
        values = self.values(case, case.symbols)
        size = self.formula.magnitude(values, DATA) if not self.own_terms else 0
        if self.terms is not None:
            size = size + self.terms(case, values)
        ulps = self.ulps if ulps is None else ulps
        size = np.asarray(size, dtype=np.float64)
        return self._shaped(case, ulps * EPS[case.dtype] * size + 2 * LEAST[case.dtype]).astype(np.float64)

    @property
    def ulps(self) -> int:
        """How many units in the last place an error may have: one for every operation."""
        return max(self.formula.operations, 1)

    def fits(self, case: Case, truth: Any) -> Any:
        """Say where the value fits the dtype, by a wide margin."""
        return np.abs(np.asarray(truth, dtype=np.float64)) < _MOST[case.dtype]

    def rounding(self, case: Case, values: Values, spreads: Values, eps: float, wrong: Formula | None) -> Any:
        """Bound the error of a computation of the formula, or of another one, that rounds everywhere."""
        moved = dict(spreads)
        if self.own_terms:
            return np.asarray(self.allowed(case), dtype=np.float64) * (eps / EPS[case.dtype])
        deviation: Formula | None = None
        if "eta" in values:
            deviation = formula("sampling.ddim-eta")
        elif self.kind == "fixed_small":
            deviation = formula("posterior.variance")
        if deviation is not None:
            bound = rounding_bound(deviation, values, moved, eps)
            moved["sigma_t"] = deviation_bound(deviation(values), bound, eps)
        elif self.kind:
            moved["sigma_t"] = deviation_bound(values["sigma_t"] ** 2, moved["beta_t"], eps)
        known = {**values, "eps": values.get("eps_theta", values.get("eps"))}
        if self.image and "x_0" in self.formula.symbols:
            moved["x_0"] = rounding_bound(formula("parameterization.x0-from-eps"), known, moved, eps)
            return rounding_bound(wrong or self.formula, values, moved, eps)
        bound = rounding_bound(wrong or self.formula, values, moved, eps)
        return bound + (through_the_image(known, moved, eps) if self.image else 0)

    def best(self, case: Case, truth: Any) -> float:
        """Return the error, in the same units, of rounding the true value once."""
        rounded = exact(cast(np.asarray(truth, dtype=np.float64), case.dtype))
        error = np.abs(rounded - truth).astype(np.float64)
        fit = self.fits(case, truth)
        return float(np.max(error[fit] / self.allowed(case, 1)[fit], initial=0))

    def _shaped(self, case: Case, value: Any) -> Any:
        shape = (len(case.t), 1, 1, 1) if self.number else (len(case.t), *case.shape)
        return np.broadcast_to(np.asarray(value, dtype=object), shape)
