"""Refutation: an exact point at which an obligation fails.

Points are rational, small, and tried in a fixed order, those first at which the usual square roots come out
rational: (ᾱ_{t-1}, ᾱ_t) = (16/25, 9/25) gives √ᾱ = 4/5, 3/5 and √(1-ᾱ) = 3/5, 4/5. The two sides are
evaluated as fractions where every root is rational, else enclosed by Arb; only an enclosure that excludes
zero refutes. The evaluator walks the tree itself and knows nothing of SymPy's simplifications.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice
from math import isqrt

import flint
from sympy import Eq, Expr, Ge, Gt, Le, Lt, Rational, Symbol, cos, exp, log, pi, sin
from sympy.core.relational import Relational

from derivations.proof.dimension import by_coordinates
from derivations.proof.obligations import Obligation
from derivations.proof.symbols import VECTORS, d, tex

Point = Mapping[Symbol, Fraction]

POINTS_TRIED = 400
PRECISION_BITS = 200

PREFERRED: Mapping[str, Sequence[str]] = {
    "alpha_bar_prev": ("16/25", "9/25", "1/2"),
    "alpha_bar_t": ("9/25", "1/4"),
    "alpha_t": ("9/16", "16/25", "1/3"),
    "alpha_next": ("1/4", "9/25"),
    "alpha_bar_s": ("16/25", "1/2"),
    "half_left": ("1/3", "1/2"),
    "half_walked": ("1/2", "2"),
}
UNIT = ("9/25", "16/25", "1/3")
POSITIVE = ("2", "1/2", "3")
REAL = ("1", "-2", "3", "1/2", "0")


class UndefinedError(ArithmeticError):
    """The point lies outside the expression's domain."""


@dataclass(frozen=True)
class Witness:
    """A point that satisfies the hypotheses, both sides there, and the symbols that they mention."""

    dimension: int
    point: Mapping[Symbol, Fraction]
    left: Fraction | flint.arb
    right: Fraction | flint.arb
    relation: str
    note: str
    mentioned: frozenset[Symbol]

    @property
    def exact(self) -> bool:
        """Whether both sides are fractions, rather than enclosures."""
        return isinstance(self.left, Fraction) and isinstance(self.right, Fraction)

    def describe(self) -> str:
        """Say the witness in one line of plain text, with the symbols that the failing sides mention."""
        shown = {symbol.name: value for symbol, value in self.point.items() if symbol in self.mentioned}
        where = ", ".join(f"{name} = {value}" for name, value in shown.items())
        space = "" if self.dimension == 1 else f" in R^{self.dimension}"
        sides = f"{plain(self.left)} against {plain(self.right)}"
        return f"{self.note}: at {where or 'every point'}{space}: {sides}"

    def where(self, only: Collection[Symbol] | None = None) -> str:
        """Print the point as TeX: the symbols asked for, or those that the failing sides mention."""
        wanted = self.mentioned if only is None else only
        shown = [symbol for symbol in self.point if symbol in wanted]
        space = [] if self.dimension == 1 else [f"d = {self.dimension}"]
        return r",\; ".join([*space, *(f"{tex(symbol)} = {show(self.point[symbol])}" for symbol in shown)])

    def sides(self) -> str:
        """Print the failing comparison as TeX."""
        sign = {"==": r"\neq", "<=": r"\not\leq", "<": r"\not<"}[self.relation]
        return f"{show(self.left)} {sign} {show(self.right)}"

    def as_json(self) -> dict[str, object]:
        """The point and both sides, as strings."""
        return {
            "obligation": self.note,
            "dimension": self.dimension,
            "point": {symbol.name: str(value) for symbol, value in self.point.items()},
            "left": plain(self.left),
            "right": plain(self.right),
            "exact": self.exact,
        }


def refute(obligation: Obligation, *, tries: int = POINTS_TRIED) -> Witness | None:
    """Find a point at which the obligation fails, in R¹ or, where it speaks of vectors or of d, in R²."""
    for dimension in obligation.dimensions:
        left, right = (by_coordinates(side, dimension) for side in (obligation.left, obligation.right))
        for point in islice(points(obligation, dimension), tries):
            try:
                a, b = evaluate(left, point), evaluate(right, point)
            except UndefinedError:
                continue
            if fails(a, obligation.relation, b):
                return Witness(
                    dimension,
                    dict(point),
                    a,
                    b,
                    obligation.relation,
                    obligation.note,
                    frozenset(left.free_symbols | right.free_symbols),
                )
    return None


def fails(left: Fraction | flint.arb, relation: str, right: Fraction | flint.arb) -> bool:
    """Tell whether the relation certainly fails: exactly for fractions, else by enclosing the difference."""
    if isinstance(left, Fraction) and isinstance(right, Fraction):
        return {"==": left != right, "<=": left > right, "<": left >= right}[relation]
    difference = _arb(left) - _arb(right)
    if relation == "==":
        return not difference.contains(0)
    return bool(difference > 0)


def points(obligation: Obligation, dimension: int) -> Iterator[Point]:
    """Yield rational points in R^dimension that satisfy the hypotheses, the legible ones first."""
    left, right = (by_coordinates(side, dimension) for side in (obligation.left, obligation.right))
    given = obligation.given
    defined = {h.lhs: h.rhs for h in given if isinstance(h, Eq) and h.lhs.is_Symbol}
    mentioned = left.free_symbols | right.free_symbols
    for hypothesis in given:
        mentioned |= hypothesis.free_symbols
    free = sorted(mentioned - set(defined), key=lambda s: s.name)
    pools = [[Fraction(value) for value in _pool(symbol, given)] for symbol in free]
    for choice in _by_distance([len(pool) for pool in pools]):
        point = {symbol: pool[index] for symbol, pool, index in zip(free, pools, choice, strict=True)}
        try:
            pending = dict(defined)
            while pending:
                ready = [s for s, rhs in pending.items() if rhs.free_symbols <= set(point)]
                if not ready:
                    raise ValueError("hypotheses define symbols in a circle")
                for symbol in ready:
                    value = evaluate(pending.pop(symbol), point)
                    if not isinstance(value, Fraction):
                        raise UndefinedError(f"{symbol} is irrational here")
                    point[symbol] = value
            if all(_in_domain(symbol, point[symbol]) for symbol in point) and all(
                _holds(h, point) for h in given
            ):
                yield point
        except UndefinedError:
            continue


def _by_distance(sizes: Sequence[int]) -> Iterator[tuple[int, ...]]:
    """Yield one index into each pool, those with the smallest sum first."""
    for total in range(sum(sizes) - len(sizes) + 1):
        yield from _with_sum(sizes, total)


def _with_sum(sizes: Sequence[int], total: int) -> Iterator[tuple[int, ...]]:
    if not sizes:
        if total == 0:
            yield ()
        return
    for first in range(min(sizes[0] - 1, total) + 1):
        for rest in _with_sum(sizes[1:], total - first):
            yield (first, *rest)


def _pool(symbol: Symbol, given: Sequence[Relational]) -> Sequence[str]:
    if symbol.name in PREFERRED:
        return PREFERRED[symbol.name]
    if any(not isinstance(h, Eq) and h.lts == symbol and h.gts == 1 for h in given):
        return UNIT
    if symbol.is_integer:
        return ("2", "3", "5", "1")
    return POSITIVE if symbol.is_positive else ("1", "2", "0") if symbol.is_nonnegative else REAL


def _in_domain(symbol: Symbol, value: Fraction) -> bool:
    if (symbol.is_positive and value <= 0) or (symbol.is_integer and value.denominator != 1):
        return False
    return not (symbol.is_nonnegative and value < 0)


def _holds(hypothesis: Relational, point: Point) -> bool:
    """Tell whether a hypothesis certainly holds."""
    left, right = evaluate(hypothesis.lhs, point), evaluate(hypothesis.rhs, point)
    match hypothesis:
        case Eq():
            return isinstance(left, Fraction) and isinstance(right, Fraction) and left == right
        case Le():
            return bool(_arb(left) <= _arb(right))
        case Lt():
            return bool(_arb(left) < _arb(right))
        case Ge():
            return bool(_arb(left) >= _arb(right))
        case Gt():
            return bool(_arb(left) > _arb(right))
    raise TypeError(f"unexpected hypothesis {hypothesis!r}")


def evaluate(node: Expr, point: Point) -> Fraction | flint.arb:
    """Evaluate a tree at a point: a fraction where possible, else an Arb enclosure."""
    with flint.ctx.workprec(PRECISION_BITS):
        return _evaluate(node, point)


def _evaluate(node: Expr, point: Point) -> Fraction | flint.arb:
    if node.is_Rational:
        return Fraction(int(node.p), int(node.q))
    if node.is_Symbol:
        if node == d or node in VECTORS or node not in point:
            raise ValueError(f"{node} has no value")
        return point[node]
    if node == pi:
        return flint.arb.pi()
    values = [_evaluate(argument, point) for argument in node.args]
    if node.is_Add:
        total = values[0]
        for value in values[1:]:
            if isinstance(total, Fraction) and isinstance(value, Fraction):
                total += value
            else:
                total = _arb(total) + _arb(value)
        return total
    if node.is_Mul:
        result = values[0]
        for value in values[1:]:
            if isinstance(result, Fraction) and isinstance(value, Fraction):
                result *= value
            else:
                result = _arb(result) * _arb(value)
        return result
    if node.is_Pow and node.exp.is_Rational:
        return _power(values[0], node.exp)
    functions: Mapping[object, Callable[[flint.arb], flint.arb]] = {
        log: lambda a: a.log(),
        exp: lambda a: a.exp(),
        cos: lambda a: a.cos(),
        sin: lambda a: a.sin(),
    }
    if node.func in functions:
        argument = _arb(values[0])
        if node.func == log and not argument > 0:
            raise UndefinedError(f"log of {values[0]}")
        return functions[node.func](argument)
    raise ValueError(f"no rule to evaluate {node.func}")


def _power(base: Fraction | flint.arb, exponent: Rational) -> Fraction | flint.arb:
    numerator, denominator = int(exponent.p), int(exponent.q)
    if denominator not in (1, 2):
        raise ValueError(f"no rule to evaluate a power of {exponent}")
    if numerator < 0 and (base == 0 if isinstance(base, Fraction) else base.contains(0)):
        raise UndefinedError("division by zero")
    if denominator == 2:
        base = _sqrt(base)
    power: Fraction | flint.arb = base**numerator
    return power


def _sqrt(value: Fraction | flint.arb) -> Fraction | flint.arb:
    if isinstance(value, Fraction):
        if value < 0:
            raise UndefinedError(f"root of {value}")
        top, bottom = isqrt(value.numerator), isqrt(value.denominator)
        if top * top == value.numerator and bottom * bottom == value.denominator:
            return Fraction(top, bottom)
    enclosure = _arb(value)
    if not enclosure >= 0:
        raise UndefinedError(f"root of {value}")
    return enclosure.sqrt()


def _arb(value: Fraction | flint.arb) -> flint.arb:
    if isinstance(value, Fraction):
        return flint.arb(flint.fmpq(value.numerator, value.denominator))
    return value


def plain(value: Fraction | flint.arb) -> str:
    """Print a number as text; an enclosure by its first digits."""
    if isinstance(value, Fraction):
        return str(value)
    return "0" if value.contains(0) else str(value.str(8, radius=False))


def show(value: Fraction | flint.arb) -> str:
    """Print a number as TeX; an enclosure by its first digits."""
    if not isinstance(value, Fraction) or value.denominator == 1:
        return plain(value)
    sign = "-" if value < 0 else ""
    return rf"{sign}\tfrac{{{abs(value.numerator)}}}{{{value.denominator}}}"
