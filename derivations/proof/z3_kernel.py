"""Second kernel: z3 on real polynomial arithmetic.

An equation is read through coordinates in R¹ and R² (see `dimension`), hypotheses are asserted as they
stand, a root is a fresh s >= 0 with s² = r, and quotients are carried as pairs, so that z3's total division
never enters. z3 is asked for a counterexample; "unsat" proves, and a time-out is "unknown", which is a
failure.

Logarithms: a sum of c_j log f_j + rest vanishes if rest = 0 and, in each group of terms whose coefficients
are rational multiples n_j of one another, the product of f_j^{n_j} is 1. Other functions of equal arguments
are equal, and nothing else is known of them.

Shares no code with the first kernel beyond SymPy's own trees; in particular it does not substitute, expand
or cancel.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import count
from math import lcm
from typing import Any, Literal

import z3
from sympy import Eq, Expr, Ge, Gt, Le, Lt, Rational, Symbol, log, pi
from sympy.core.relational import Relational

from derivations.proof.dimension import by_coordinates
from derivations.proof.obligations import Obligation

Outcome = Literal["proved", "refuted", "unknown"]
Quotient = tuple[Any, Any]

NAME = "z3"
TIMEOUT_MS = 20_000


def decide(obligation: Obligation) -> Outcome:
    """Decide an obligation in R¹ and, where it speaks of vectors or of d, in R² as well."""
    outcome: Outcome = "proved"
    for dimension in obligation.dimensions:
        left, right = (by_coordinates(side, dimension) for side in (obligation.left, obligation.right))
        outcome = _decide(left, obligation.relation, right, obligation.given)
        if outcome != "proved":
            return outcome
    return outcome


def _decide(left: Expr, relation: str, right: Expr, given: Sequence[Relational]) -> Outcome:
    if relation != "==":
        return _Problem(given).refute(lambda p: p.compare(left, relation, right))
    try:
        rest, logs = _split_logs(left - right)
    except ValueError:
        return "unknown"
    outcome = _Problem(given).refute(lambda p: p.compare(rest, "==", Rational(0)))
    for product in _log_products(logs, given):
        if outcome == "proved" and product is not None:
            outcome = _Problem(given).refute(lambda p, q=product: p.compare(q, "==", Rational(1)))
        elif outcome == "proved":
            return "unknown"
    return "unknown" if logs and outcome == "refuted" else outcome  # logarithms may make up for it


def is_satisfiable(given: Sequence[Relational]) -> Literal["yes", "no", "unknown"]:
    """Tell whether hypotheses can hold together."""
    answer = _Problem(given).solver.check()
    return "yes" if answer == z3.sat else "no" if answer == z3.unsat else "unknown"


def is_always(part: Expr, need: str, given: Sequence[Relational]) -> Outcome:
    """Decide that a part of a formula is nonzero, positive or nonnegative under the hypotheses."""
    return _Problem(given).refute(lambda p: p.has(part, need))


class _Problem:
    """One question to z3: the symbols met so far and what is known of them."""

    def __init__(self, given: Sequence[Relational]) -> None:
        self.solver = z3.SolverFor("QF_NRA")
        self.solver.set("timeout", TIMEOUT_MS)
        self.symbols: dict[Expr, Any] = {}
        self.roots: dict[Expr, Any] = {}
        self.fresh = count()
        for hypothesis in given:
            relation = {Eq: "==", Le: "<=", Lt: "<", Ge: ">=", Gt: ">"}[hypothesis.func]
            self.solver.add(self.compare(hypothesis.lhs, relation, hypothesis.rhs))

    def refute(self, statement: Any) -> Outcome:
        self.solver.add(z3.Not(statement(self)))
        answer = self.solver.check()
        return "proved" if answer == z3.unsat else "refuted" if answer == z3.sat else "unknown"

    def compare(self, left: Expr, relation: str, right: Expr) -> Any:
        (a, b), (c, e) = self.quotient(left), self.quotient(right)
        if relation == "==":
            return a * e == c * b
        # multiplied by b²e² > 0
        smaller, larger = (
            (a * e * b * e, c * b * b * e) if relation in ("<=", "<") else (c * b * b * e, a * e * b * e)
        )
        return smaller <= larger if relation in ("<=", ">=") else smaller < larger

    def has(self, part: Expr, need: str) -> Any:
        a, b = self.quotient(part)
        return {"nonzero": a != 0, "positive": a * b > 0, "nonnegative": a * b >= 0}[need]

    def quotient(self, node: Expr) -> Quotient:
        one = z3.RealVal(1)
        if node.is_Rational:
            return z3.RealVal(f"{node.p}/{node.q}"), one
        if node.is_Symbol:
            return self.symbol(node), one
        if node.is_Add:
            numerator, denominator = self.quotient(node.args[0])
            for argument in node.args[1:]:
                a, b = self.quotient(argument)
                if z3.eq(b, denominator):
                    numerator = numerator + a
                else:
                    numerator, denominator = numerator * b + a * denominator, denominator * b
            return numerator, denominator
        if node.is_Mul:
            numerator, denominator = one, one
            for argument in node.args:
                a, b = self.quotient(argument)
                numerator, denominator = numerator * a, denominator * b
            return numerator, denominator
        if node.is_Pow and node.exp.is_Integer:
            a, b = self.quotient(node.base)
            power = abs(int(node.exp))
            a, b = _power(a, power), _power(b, power)
            return (b, a) if node.exp < 0 else (a, b)
        if node.is_Pow and node.exp.is_Rational and node.exp.q == 2:
            root, power = self._root(node.base), abs(node.exp.p)
            return (one, _power(root, power)) if node.exp < 0 else (_power(root, power), one)
        return self._opaque(node), one

    def symbol(self, symbol: Symbol) -> Any:
        if symbol not in self.symbols:
            real = self.symbols[symbol] = z3.Real(symbol.name)
            if symbol.is_integer and symbol.is_positive:
                self.solver.add(real >= 1)
            elif symbol.is_positive:
                self.solver.add(real > 0)
            elif symbol.is_nonnegative:
                self.solver.add(real >= 0)
        return self.symbols[symbol]

    def _root(self, radicand: Expr) -> Any:
        if radicand not in self.roots:
            root = self.roots[radicand] = z3.Real(f"!root{next(self.fresh)}")
            a, b = self.quotient(radicand)
            self.solver.add(root >= 0, root * root * b == a)
        return self.roots[radicand]

    def _opaque(self, node: Expr) -> Any:
        if node not in self.symbols:
            real = self.symbols[node] = z3.Real(f"!{node.func}{next(self.fresh)}")
            if node == pi:
                self.solver.add(real > 3, real < 4)
        return self.symbols[node]


def _power(base: Any, power: int) -> Any:
    result = z3.RealVal(1)
    for _ in range(power):
        result = result * base
    return result


def _split_logs(node: Expr) -> tuple[Expr, list[tuple[Expr, Expr]]]:
    """Write an expression as rest + Σ coefficient · log(argument)."""
    if node.func == log:
        return Rational(0), [(Rational(1), node.args[0])]
    if not node.has(log):
        return node, []
    if node.is_Add:
        parts = [_split_logs(argument) for argument in node.args]
        return sum(rest for rest, _ in parts), [term for _, logs in parts for term in logs]
    if node.is_Mul:
        with_logs = [argument for argument in node.args if argument.has(log)]
        if len(with_logs) == 1:
            factor = node.func(*(argument for argument in node.args if argument is not with_logs[0]))
            rest, logs = _split_logs(with_logs[0])
            return factor * rest, [(factor * coefficient, argument) for coefficient, argument in logs]
    raise ValueError(f"not linear in logarithms: {node}")


def _log_products(logs: list[tuple[Expr, Expr]], given: Sequence[Relational]) -> Iterable[Expr | None]:
    """Group terms whose coefficients are rational multiples of one another; each product must be 1."""
    remaining = list(logs)
    while remaining:
        base = remaining[0][0]
        group, others = [], []
        for coefficient, argument in remaining:
            multiple = coefficient / base  # SymPy proposes, z3 confirms
            scaled = multiple * base
            if (
                multiple.is_Rational
                and _Problem(given).refute(lambda p, c=coefficient, s=scaled: p.compare(c, "==", s))
                == "proved"
            ):
                group.append((multiple, argument))
            else:
                others.append((coefficient, argument))
        if not group:
            yield None
            return
        whole = lcm(*(multiple.q for multiple, _ in group))
        product: Expr = Rational(1)
        for multiple, argument in group:
            product *= argument ** int(multiple * whole)
        remaining = others
        yield product
