"""The claims against the definitions, and the values of their mutants: what is printed of a vector.

The one module here that knows SymPy. A claim's expression is evaluated in ball arithmetic; composed as a
topic says, it must give the truth, or nothing is written.
"""

# mypy: disallow-subclassing-any=False
# SymPy ships no types, and its printers are made by subclassing.

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

import flint
import numpy as np
from sympy import Basic, lambdify
from sympy.printing.pycode import PythonCodePrinter

from derivations.proof.claims import Mutant, every_claim
from derivations.vectors.balls import DIGITS, PRECISION_BITS, decimal, exact
from derivations.vectors.vector import Read, Value, Vector

__all__ = ["CAUGHT", "annotated"]

CAUGHT = 2.0**-44
"""A mutant's value counts where it differs from the truth by more than this, relative to the scale."""
MUTANT_DIGITS = 20
SCALE_DIGITS = 10


claims = cache(every_claim)

# -- evaluating an expression --------------------------------------------------------------------------------


class _Printer(PythonCodePrinter):
    """Python code in which no fraction becomes a float."""

    def _print_Rational(self, expression: Any) -> str:
        return f"fraction({expression.p}, {expression.q})"

    def _print_Integer(self, expression: Any) -> str:
        return f"whole({expression.p})"

    def _print_Pow(self, expression: Any, rational: bool = False) -> str:
        if expression.exp.is_Integer:  # an exponent stays an integer
            return f"power({self._print(expression.base)}, {int(expression.exp)})"
        return str(super()._print_Pow(expression, rational=rational))


def power(base: Value, exponent: int) -> Value:
    """Multiply it out; Arb's own power is undefined on a ball around zero."""
    product = base
    for _ in range(abs(exponent) - 1):
        product = product * base
    return product if exponent > 0 else 1 / product


def _elementwise(name: str) -> Callable[[Value], Value]:
    function: Callable[[Value], Value] = np.frompyfunc(lambda ball: getattr(ball, name)(), 1, 1)
    return function


FUNCTIONS: Mapping[str, Callable[..., Value]] = {
    "power": power,
    "fraction": lambda p, q: flint.arb(flint.fmpq(p, q)),
    "whole": flint.arb,
    "sqnorm": lambda u: sum(u * u, flint.arb(0)),
    **{name: _elementwise(name) for name in ("sqrt", "log", "exp", "cos", "tanh", "erf")},
}


@cache
def _compiled(expression: Basic) -> tuple[list[str], Callable[..., Any]]:
    symbols = sorted(expression.free_symbols, key=lambda s: s.name)
    settings = {"fully_qualified_modules": False, "inline": True, "allow_unknown_functions": True}
    function = lambdify(
        symbols, expression, modules=[{**FUNCTIONS, "pi": flint.arb.pi()}], printer=_Printer(settings)
    )
    return [s.name for s in symbols], function


def evaluate(expression: Basic, symbols: Mapping[str, Value]) -> Value:
    """Evaluate an expression at balls.

    Raises:
        KeyError: if a symbol has no value.
    """
    names, function = _compiled(expression)
    return function(*(symbols[name] for name in names))


@cache
def read(wrongly: str | None = None, wrong: str | None = None) -> Read:
    """Return what evaluates the claims; if one is named, and a mutant of it, then it wrongly."""
    instead = {m.name: m.parts for m in claims()[wrongly].mutants}[wrong] if wrongly and wrong else {}

    def evaluated(claim: str, symbols: Mapping[str, Value], part: str = "value") -> Value:
        parts = {**claims()[claim].statement.parts, **(instead if claim == wrongly else {})}
        return evaluate(parts[part], symbols)

    return evaluated


# -- printing a vector ---------------------------------------------------------------------------------------


def annotated(vector: Vector) -> dict[str, Any]:
    """Print a vector with the mutants that its rows catch, ready for JSON.

    Raises:
        ArithmeticError: if the claims, composed, do not give the truth, or a ball is too wide.
    """
    claimed = list(vector.claimed(read()))
    if len(claimed) != len(vector.truth):
        raise ArithmeticError(f"{vector.id}: {len(claimed)} rows claimed, {len(vector.truth)} defined")
    for row, (truth, said) in enumerate(zip(vector.truth, claimed, strict=True)):
        if said is None or not all(_agree(a, b) for a, b in _pairs(truth, said)):
            raise ArithmeticError(f"{vector.id}, row {row}: the definitions give {truth}, the claims {said}")
    scale = vector.scale or [abs(truth) for truth in vector.truth]
    printed: dict[str, Any] = {
        "id": vector.id,
        "quantity": vector.quantity,
        "claims": list(vector.claims),
        "schedule": vector.schedule,
        "settings": dict(vector.settings),
        "t": None if vector.t is None else list(vector.t),
        "inputs": {name: list(column) for name, column in vector.inputs.items()},
        "value": [_printed(truth) for truth in vector.truth],
        "scale": None if vector.scale is None else [_printed(row, SCALE_DIGITS) for row in scale],
        "mutants": [
            {"claim": claim, "name": wrong.name, "seen": wrong.seen, "value": rows}
            for claim in vector.claims
            for wrong in claims()[claim].mutants
            if vector.tried and any(rows := _mistaken(vector, claim, wrong, scale))
        ],
    }
    return {key: value for key, value in printed.items() if value not in (None, {})}


def _mistaken(vector: Vector, claim: str, wrong: Mutant, scale: Sequence[Value]) -> list[Any]:
    """Return the rows that a mutant changes, printed; None for the others."""
    rows: list[Any] = []
    for truth, size, found in zip(vector.truth, scale, vector.claimed(read(claim, wrong.name)), strict=True):
        if found is None or not all(part.is_finite() for _, part in _pairs(truth, found)):
            rows.append(None)
            continue
        differences = [abs(a - b) for a, b in _pairs(truth, found)]
        sizes = [size for _, size in _pairs(truth, size)]
        caught = any(d > CAUGHT * s for d, s in zip(differences, sizes, strict=True))
        rows.append(_printed_mistake(found, truth) if caught else None)
    return rows


def _pairs(a: Value, b: Value) -> list[tuple[flint.arb, flint.arb]]:
    """Pair the coordinates of two values; a number stands for each coordinate of a vector."""
    left, right = np.broadcast_arrays(np.asarray(a, dtype=object), np.asarray(b, dtype=object))
    return list(zip(left.flat, right.flat, strict=True))


def _agree(a: flint.arb, b: flint.arb) -> bool:
    """Tell whether two balls, both tight, have a number in common."""
    return bool(a.overlaps(b)) and bool(abs(a - b) <= abs(a) * exact(2) ** -300)


def _printed(value: Value, digits: int = DIGITS) -> Any:
    value = np.asarray(value, dtype=object)
    printed = np.frompyfunc(lambda ball: decimal(ball, digits), 1, 1)(value)
    return printed.tolist() if value.ndim else printed


def _printed_mistake(value: Value, truth: Value) -> Any:
    """Print a mutant's value. What is smaller than any number of interest is 0: no proof is asked of it."""
    value = np.broadcast_to(np.asarray(value, dtype=object), np.shape(truth))
    tiny = flint.arb(2) ** (-PRECISION_BITS // 2)
    return _printed(
        np.frompyfunc(lambda ball: flint.arb(0) if abs(ball) < tiny else ball, 1, 1)(value), MUTANT_DIGITS
    )
