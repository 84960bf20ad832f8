"""How far rounding can take a formula that is computed as it is printed: a running error analysis.

It tells a number that is merely rounded from one that is wrong. Where a small difference is formed of rounded
numbers, like 1 − ᾱ_t near t = 1, the bound grows as the error does.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from typing import Any

import numpy as np

from ddpm_ref.conformance.formulas import Formula, book

__all__ = ["deviation_bound", "rounding_bound", "through_the_image"]

Bounded = tuple[Any, Any]  # a value in float64, and how far rounding may take it


def rounding_bound(
    formula: Formula, values: Mapping[str, Any], spreads: Mapping[str, Any], eps: float
) -> Any:
    """Bound the error of evaluating a formula in a dtype.

    Args:
        formula: computed operation by operation, each of which rounds by at most `eps`, relatively.
        values: of its symbols.
        spreads: how far each symbol is off before the computation begins; exact if not listed.
        eps: the gap after one.

    Returns:
        The bound, float64, shaped like the value.
    """
    return _evaluated(formula, values, spreads, eps)[1]


def _evaluated(
    formula: Formula, values: Mapping[str, Any], spreads: Mapping[str, Any], eps: float
) -> Bounded:
    known = {
        name: (np.asarray(values[name], dtype=np.float64), spreads.get(name, 0.0)) for name in formula.symbols
    }
    with np.errstate(all="ignore"):
        return _bounded(formula.tree.body, known, eps)


def deviation_bound(variance: Any, variance_bound: Any, eps: float) -> Any:
    """Bound the error of a root that is taken of a variance, as `rounding_bound` bounds a formula's."""
    return _function("sqrt", np.asarray(variance, dtype=np.float64), variance_bound, eps)[1]


def through_the_image(values: Mapping[str, Any], spreads: Mapping[str, Any], eps: float) -> Any:
    """Bound the error of the mean where the image is predicted first, and put into the posterior's mean.

    That is what allows clipping. Two terms that nearly cancel are then rounded apart.
    """
    claims = book().claims
    image, mean = (
        claims["parameterization.x0-from-eps"].parts["value"],
        claims["posterior.mean"].parts["value"],
    )
    predicted, moved = _evaluated(image, values, spreads, eps)
    return rounding_bound(mean, {**values, "x_0": predicted}, {**spreads, "x_0": moved}, eps)


def _bounded(node: ast.expr, known: Mapping[str, Bounded], eps: float) -> Bounded:
    match node:
        case ast.Constant(value=int(number)):
            return float(number), 0.0
        case ast.Name(id="pi"):
            return np.pi, eps * np.pi
        case ast.Name(id=name):
            return known[name]
        case ast.UnaryOp(operand=operand):
            value, error = _bounded(operand, known, eps)
            return -value, error
        case ast.Call(func=ast.Name(id=name), args=[argument]):
            return _function(name, *_bounded(argument, known, eps), eps)
        case ast.BinOp(left=left, op=operation, right=right):
            return _operation(operation, _bounded(left, known, eps), _bounded(right, known, eps), eps)
    raise ValueError(f"no bound is known for {ast.dump(node)}")


def _function(name: str, x: Any, error: Any, eps: float) -> Bounded:
    if name == "sqnorm":
        axes = tuple(range(1, np.ndim(x)))
        value = np.sum(x**2, axis=axes, keepdims=True)
        moved = np.sum((2 * np.abs(x) + error) * error, axis=axes, keepdims=True)
        return value, moved + eps * np.size(x[0]) * value
    if name == "sqrt":
        value = np.sqrt(np.maximum(x, 0))
        # |√x − √y| is at most |x − y|/√x, and at most √|x − y|.
        size = np.maximum(np.maximum(x, error), np.finfo(np.float64).tiny)
        moved = error / np.sqrt(size)
    elif name == "log":
        value, moved = np.log(x), -np.log1p(-np.minimum(error / x, 1))
    elif name == "exp":
        value = np.exp(x)
        moved = value * np.expm1(error)
    else:
        value, moved = np.cos(x), error
    return value, moved + eps * np.abs(value)


def _operation(operation: ast.operator, left: Bounded, right: Bounded, eps: float) -> Bounded:
    (a, da), (b, db) = left, right
    match operation:
        case ast.Add():
            value, error = a + b, da + db
        case ast.Sub():
            value, error = a - b, da + db
        case ast.Mult():
            value, error = a * b, np.abs(a) * db + np.abs(b) * da + da * db
        case ast.Div():
            value = a / b
            # A denominator that may be zero once it is rounded bounds nothing.
            least = np.abs(b) - db
            error = np.where(least > 0, (da + np.abs(value) * db) / least, np.inf)
        case _:
            value = a**b
            # A power above one is steepest where the number is largest, any other where it is least.
            steepest = np.abs(a) + da if b > 1 else np.maximum(np.abs(a) - da, 0)
            error = np.abs(b) * steepest ** (b - 1) * da
    return value, error + eps * np.abs(value)
