"""The proved formulas and their mutants, evaluated at 50 digits without SymPy.

`formulas.json` is written from the claims (`python -m derivations.proof.export`), so nothing here knows a
formula. A formula's text is parsed by Python's own grammar and checked node by node before it is run: names,
integers, arithmetic and the functions below, nothing else.

Values are NumPy arrays of mpmath numbers, with the batch in front, and broadcast as NumPy does.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import mpmath
import numpy as np

__all__ = ["FILE", "Book", "Claim", "Formula", "Mutant", "book", "elementwise", "exact", "mp"]

FILE = Path(__file__).with_name("formulas.json")

# A context of our own: the caller's mpmath precision neither matters here nor changes.
mp = mpmath.MPContext()
mp.dps = 50

Values = Mapping[str, Any]


def elementwise(function: Callable[..., Any], arguments: int = 1) -> Callable[..., Any]:
    """Make a function of numbers one of arrays of numbers."""
    made: Callable[..., Any] = np.frompyfunc(function, arguments, 1)
    return made


def exact(values: Any) -> Any:
    """Return the entries of a float array as the numbers they are, without rounding."""
    floats = np.asarray(values, dtype=np.float64)
    entries = np.empty(floats.size, dtype=object)
    entries[:] = [mp.mpf(each) for each in floats.ravel().tolist()]
    return entries.reshape(floats.shape)


def _sqnorm(u: Any) -> Any:
    # One number for each example, with as many dimensions as before, so that it still broadcasts.
    return np.sum(u * u, axis=tuple(range(1, u.ndim)), keepdims=True)


Functions = Mapping[str, Callable[..., Any]]
FUNCTIONS: Functions = {
    "sqrt": elementwise(mp.sqrt),
    "log": elementwise(mp.log),
    "exp": elementwise(mp.exp),
    "cos": elementwise(mp.cos),
    "sqnorm": _sqnorm,
}
FLOATS: Functions = {"sqrt": np.sqrt, "log": np.log, "exp": np.exp, "cos": np.cos, "sqnorm": _sqnorm}
_ALLOWED = (
    ast.Expression,
    ast.Name,
    ast.Load,
    ast.Constant,
    ast.BinOp,
    ast.UnaryOp,
    ast.Call,
    ast.Add,
    ast.Sub,
    ast.Mult,
    ast.Div,
    ast.Pow,
    ast.USub,
)


@dataclass(frozen=True)
class Formula:
    """One expression: `text`, in the symbols that `symbols` lists.

    Raises:
        ValueError: if the text is not an arithmetic expression in names, integers and the known functions.
    """

    text: str

    @cached_property
    def tree(self) -> ast.Expression:
        """The parsed text, every node of it known."""
        tree = ast.parse(self.text, mode="eval")
        for node in ast.walk(tree):
            known = isinstance(node, _ALLOWED)
            if isinstance(node, ast.Constant):
                known = type(node.value) is int
            if isinstance(node, ast.Call):
                known = isinstance(node.func, ast.Name) and node.func.id in FUNCTIONS and not node.keywords
            if not known:
                raise ValueError(f"a formula may hold names, integers and arithmetic; got {self.text!r}")
        return tree

    @cached_property
    def symbols(self) -> frozenset[str]:
        """The names that need a value."""
        called = {node.func.id for node in ast.walk(self.tree) if isinstance(node, ast.Call)}  # type: ignore[attr-defined]
        names = {node.id for node in ast.walk(self.tree) if isinstance(node, ast.Name)}
        return frozenset(names - called - {"pi"})

    @cached_property
    def operations(self) -> int:
        """How many times a computation of this formula rounds: once for each operation and function."""
        return sum(isinstance(node, (ast.BinOp, ast.Call)) for node in ast.walk(self.tree))

    def __call__(self, values: Values) -> Any:
        """Evaluate at the values of its symbols."""
        return _evaluate(self.tree.body, values, FUNCTIONS)

    def magnitude(self, values: Values, data: frozenset[str]) -> Any:
        """Return what rounding errors are relative to, in float64.

        That is the value's own size, except that where terms with `data` in them are added, which may cancel,
        it is the sum of their sizes. A difference of coefficients alone, such as 1 − ᾱ_t, is no excuse.
        """
        sizes = {name: np.asarray(values[name], dtype=np.float64) for name in self.symbols}
        with np.errstate(all="ignore"):
            return _magnitude(self.tree.body, sizes, data)


def _evaluate(node: ast.expr, values: Values, functions: Functions) -> Any:
    match node:
        case ast.Constant(value=int(value)):
            return mp.mpf(value) if functions is FUNCTIONS else float(value)
        case ast.Name(id="pi"):
            return +mp.pi if functions is FUNCTIONS else np.pi
        case ast.Name(id=name):
            return values[name]
        case ast.UnaryOp(operand=operand):
            return -_evaluate(operand, values, functions)
        case ast.Call(func=ast.Name(id=name), args=arguments):
            return functions[name](*(_evaluate(argument, values, functions) for argument in arguments))
        case ast.BinOp(left=left, op=ast.Pow(), right=ast.Constant(value=2)):
            a = _evaluate(left, values, functions)
            return a * a
        case ast.BinOp(left=left, op=operation, right=right):
            a, b = _evaluate(left, values, functions), _evaluate(right, values, functions)
            match operation:
                case ast.Add():
                    return a + b
                case ast.Sub():
                    return a - b
                case ast.Mult():
                    return a * b
                case ast.Div():
                    return a / b
            return a**b
    raise ValueError(f"a formula may hold names, integers and arithmetic; got {ast.dump(node)}")


def _magnitude(node: ast.expr, values: Values, data: frozenset[str]) -> Any:
    inside = {inner.id for inner in ast.walk(node) if isinstance(inner, ast.Name)}
    if inside & data:
        match node:
            case ast.UnaryOp(operand=operand):
                return _magnitude(operand, values, data)
            case ast.BinOp(left=left, op=ast.Add() | ast.Sub(), right=right):
                return _magnitude(left, values, data) + _magnitude(right, values, data)
            case ast.BinOp(left=left, op=ast.Mult(), right=right):
                return _magnitude(left, values, data) * _magnitude(right, values, data)
            case ast.BinOp(left=left, op=ast.Div(), right=right):
                return _magnitude(left, values, data) / np.abs(_evaluate(right, values, FLOATS))
    return np.abs(_evaluate(node, values, FLOATS))


@dataclass(frozen=True)
class Mutant:
    """A plausible wrong version of a claim: its name, where it was seen, and the formulas that differ."""

    name: str
    seen: str
    parts: Mapping[str, Formula]

    @property
    def described(self) -> str:
        """The name, and where it was seen."""
        return f"{self.name} ({self.seen})" if self.seen else self.name


@dataclass(frozen=True)
class Claim:
    """A proved claim: its formulas by the name of the part, and its mutants."""

    id: str
    title: str
    parts: Mapping[str, Formula]
    mutants: tuple[Mutant, ...]


@dataclass(frozen=True)
class Book:
    """The claims, and which symbols are vectors."""

    claims: Mapping[str, Claim]
    vectors: frozenset[str]


@cache
def book() -> Book:
    """Read `formulas.json`.

    Raises:
        ValueError: if the file is not what `python -m derivations.proof.export` writes.
    """
    try:
        read = json.loads(FILE.read_text(encoding="utf-8"))
        claims = {
            id: Claim(
                id,
                entry["title"],
                _formulas(entry["parts"]),
                tuple(Mutant(m["name"], m["seen"], _formulas(m["parts"])) for m in entry["mutants"]),
            )
            for id, entry in read["claims"].items()
        }
        return Book(claims, frozenset(read["vectors"]))
    except (KeyError, TypeError, AttributeError, json.JSONDecodeError) as error:
        raise ValueError(f"{FILE.name} is not a book of formulas: {error!r}") from error


def _formulas(texts: Mapping[str, str]) -> dict[str, Formula]:
    return {part: Formula(text) for part, text in texts.items()}
