"""The checks once more, on the rows of the vectors: what the definitions say, with no formula in between.

Elsewhere the truth of a check is its claim's formula, evaluated. Here it is a number from a file that was
computed by another road, so that neither a formula nor its evaluator is trusted alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from ddpm_ref.conformance import vectors
from ddpm_ref.conformance.cases import Case, cast
from ddpm_ref.conformance.check import LEAST, Check
from ddpm_ref.conformance.formulas import Formula, mp
from ddpm_ref.conformance.protocol import Adapter
from ddpm_ref.conformance.steps import EPS, Steps
from ddpm_ref.conformance.vectors import Vector

__all__ = ["RowCheck", "numbers", "row_checks"]

ASKED = {
    "alpha_bar": "alpha_bar",
    "one_minus_alpha_bar": "one_minus_alpha_bar",
    "snr": "snr",
    "posterior_variance": "posterior_variance",
    "q_posterior.variance": "posterior_variance",
    "q_sample": "q_sample",
    "q_posterior.mean": "q_posterior",
    "x0_from_eps": "x0_from_eps",
    "eps_from_x0": "eps_from_x0",
    "mu_from_eps": "mu_from_eps",
    "v": "velocity",
    "x0_from_v": "x0_from_v",
    "eps_from_v": "eps_from_v",
    "L_simple": "L_simple",
    "L_T": "prior_term",
}
"""The check that asks for a vector's quantity, where no variance is chosen."""

_mpf = np.frompyfunc(lambda value: mp.mpf(value.numerator) / value.denominator, 1, 1)


def numbers(fractions: vectors.Exact) -> Any:
    """Turn the fractions of a vector into numbers of 50 digits."""
    return np.asarray(_mpf(fractions), dtype=object)


@dataclass(frozen=True)
class RowCheck(Check):
    """A check whose truth is a vector's, and whose errors are relative to the vector's scale."""

    vector: Any = None

    def rows_case(self, dtype: str, device: str) -> Case | None:
        """Make the case of the vector's rows, or None where the dtype does not hold its betas exactly."""
        vector: Vector = self.vector
        assert vector.schedule is not None
        betas, t = vector.schedule.betas, vector.t
        if dtype != "float64" and not np.array_equal(betas.astype(np.float32), betas):
            return None
        rows = len(vector.truth)
        t = np.full(rows, len(betas)) if t is None else t
        kept = t >= self.first
        if not kept.any():
            return None
        pixels = max((values[0].size for values in vector.inputs.values()), default=1)
        case = Case(vector.id, Steps(betas), t, dtype, device, shape=(1, 1, pixels))
        for name, values in {**vector.inputs, "row": np.arange(rows)}.items():
            case._drawn[name] = cast(values.reshape(rows, 1, 1, -1), dtype if name != "row" else "float64")
        return case.some(kept)

    def evaluate(self, case: Case, symbols: Any = None, wrong: Formula | None = None) -> Any:
        """Return the vector's value; that of a formula only where a mistake is looked for."""
        if symbols is None and wrong is None:
            return self._rows(case, numbers(self.vector.truth))
        return super().evaluate(case, symbols, wrong)

    def allowed(self, case: Case, ulps: float | None = None) -> Any:
        """Return the error that rounding excuses."""
        size = self._rows(case, self.vector.scale).astype(np.float64)
        if self.terms is not None:
            size = size + self._shaped(case, self.terms(case, self.values(case, case.symbols))).astype(
                np.float64
            )
        return (self.ulps if ulps is None else ulps) * EPS[case.dtype] * size + 2 * LEAST[case.dtype]

    def _rows(self, case: Case, values: Any) -> Any:
        row = case.drawn("row").astype(int).ravel()
        return self._shaped(case, values[row].reshape(len(row), 1, 1, -1))


def _name(vector: Vector, kinds: dict[str, list[str]]) -> Iterator[str]:
    """Name the checks that ask for a vector's quantity."""
    if vector.quantity in ASKED:
        if vector.claims[0] != "posterior.first-step":  # a floor under zero is excused by its check
            yield ASKED[vector.quantity]
    elif vector.quantity.startswith("variance_fixed"):
        yield from (f"reverse_variance[{own}]" for own in kinds[vector.quantity.removeprefix("variance_")])
    elif vector.quantity == "p_sample" and not vector.settings["clip"]:
        variance = vector.settings.get("variance")
        name = "step" if variance else "last_step"
        of = [variance] if variance else ["fixed_large", "fixed_small"]
        yield from (f"{name}[{own}]" for kind in of for own in kinds[kind])


def row_checks(checks: list[Check], adapter: type[Adapter]) -> list[RowCheck]:
    """List the checks that a vector has rows for.

    Args:
        checks: of the adapter, as `checks` lists them.
        adapter: the class.
    """
    kinds: dict[str, list[str]] = {"fixed_large": [], "fixed_small": []}
    for own, kind in adapter.variances.items():
        kinds.setdefault(kind, []).append(own)
    by_name = {check.name: check for check in checks}
    return [
        RowCheck(**{field.name: getattr(by_name[name], field.name) for field in fields(Check)}, vector=vector)
        for topic in vectors.topics()
        for vector in vectors.load(topic)
        if vector.schedule is not None
        for name in _name(vector, kinds)
    ]
