"""First kernel: rational normal form.

An equation is read through inner products, equations among its hypotheses are substituted, and everything
that is not rational becomes a generator: √r with the relation s² = r, log f split over the irreducible
factors of f, any other function of a normalised argument. What is left is a quotient of polynomials; the
numerator, reduced by the relations, is zero or it is not. Nothing here simplifies, guesses or evaluates
numerically.

Sound because replacing a number by an indeterminate can lose equations but not invent them. A numerator that
is not zero refutes nothing by itself; `witness` does that.

An inequality is decided by a positivity certificate (Pólya's substitution): each symbol is written through
nonnegative ones (0 < u < 1 as w/(1 + w), u <= 1 as 1/(1 + w)); if the difference then is a quotient of
polynomials without negative coefficients it cannot be negative.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from sympy import (
    Dummy,
    Eq,
    Expr,
    Gt,
    Integer,
    Lt,
    Poly,
    Rational,
    Symbol,
    cancel,
    factor_list,
    fraction,
    log,
    pi,
    together,
)
from sympy.core.relational import Relational

from derivations.proof.dimension import by_inner_products
from derivations.proof.obligations import Obligation

Outcome = Literal["proved", "not proved"]

NAME = "normal form"


def decide(obligation: Obligation) -> Outcome:
    """Decide an obligation; "not proved" says nothing against it."""
    given = [*obligation.given]
    difference = substitute(by_inner_products(obligation.right - obligation.left), given)
    if obligation.relation == "==":
        return "proved" if vanishes(difference) else "not proved"
    return "proved" if is_positive(difference, given, strict=obligation.relation == "<") else "not proved"


def substitute(expression: Expr, given: Sequence[Relational]) -> Expr:
    """Eliminate the symbols that hypotheses of the form symbol = expression define."""
    definitions: Mapping[Symbol, Expr] = {
        h.lhs: h.rhs for h in given if isinstance(h, Eq) and h.lhs.is_Symbol
    }
    for _ in range(len(definitions) + 1):
        rewritten = expression.xreplace(definitions)
        if rewritten == expression:
            return expression
        expression = rewritten
    raise ValueError("hypotheses define symbols in a circle")


def vanishes(expression: Expr) -> bool:
    """Tell whether an expression is zero as a rational function of its generators."""
    generators = _Generators()
    numerator = fraction(together(generators.replace(expression)))[0]
    return bool(generators.reduce(numerator)[0] == 0)


class _Generators:
    """The symbols that stand for roots and functions, and the relations between them."""

    def __init__(self) -> None:
        self.functions: dict[Expr, Symbol] = {}
        self.roots: dict[Expr, Symbol] = {}

    def replace(self, node: Expr) -> Expr:
        if node.func == log:
            return self._log(self.replace(node.args[0]))
        if node == pi:
            return self._function(pi)
        if node.is_Pow and not node.exp.is_Integer:
            if node.exp.is_Rational and node.exp.q == 2:
                return self._root(self.replace(node.base)) ** node.exp.p
            return self._function(node.func(*map(self.replace, node.args)))
        if node.is_Function:
            return self._function(
                node.func(*(cancel(together(self.replace(argument))) for argument in node.args))
            )
        if not node.args:
            return node
        return node.func(*map(self.replace, node.args))

    def _function(self, node: Expr) -> Symbol:
        return self.functions.setdefault(node, Dummy())

    def _root(self, radicand: Expr) -> Symbol:
        radicand = cancel(together(radicand))
        return self.roots.setdefault(radicand, Dummy())

    def _log(self, argument: Expr) -> Expr:
        """Split log f into multiples of log|g| for irreducible g; right whenever f > 0.

        Factors that differ by a sign are given as one, so each |g| has one symbol.
        """
        total: Expr = Integer(0)
        above, below = (self.reduce(part) for part in fraction(together(argument)))
        for part, sign in ((above[0], 1), (above[1], -1), (below[0], -1), (below[1], 1)):
            content, factors = factor_list(part)
            for prime, power in Rational(content).factors().items():
                if prime not in (-1, 1):
                    total += sign * power * self._function(log(Integer(prime)))
            for factor, power in factors:
                roots = {symbol: radicand for radicand, symbol in self.roots.items()}
                if factor in roots:  # log √r = ½ log r
                    total += sign * power * self._log(roots[factor]) / 2
                else:
                    total += sign * power * self._function(log(factor))
        return total

    def reduce(self, polynomial: Expr) -> tuple[Expr, Expr]:
        """Lower every power of a root below two, innermost roots last; return numerator and denominator."""
        denominator: Expr = Integer(1)
        for radicand, root in reversed(self.roots.items()):
            if not polynomial.has(root):
                continue
            reduced: Expr = Integer(0)
            for (power,), coefficient in Poly(polynomial, root).terms():
                reduced += coefficient * radicand ** (power // 2) * root ** (power % 2)
            polynomial, cleared = fraction(together(reduced))
            denominator *= cleared
        return polynomial.expand(), denominator


def is_positive(expression: Expr, given: Sequence[Relational], *, strict: bool) -> bool:
    """Certify expression >= 0 (> 0 if strict) for all symbols in their domains and below the bounds given."""
    substitution: dict[Symbol, Expr] = {}
    positive: set[Symbol] = set()  # the nonnegative parameters that cannot be zero
    for symbol in sorted(expression.free_symbols, key=str):
        if not symbol.is_nonnegative:
            continue  # a symbol without a sign must cancel, or occur in even powers only
        parameter = Dummy(nonnegative=True)
        upper = _upper_bound(symbol, given)
        if upper is None:
            substitution[symbol] = 1 + parameter if symbol.is_integer and symbol.is_positive else parameter
            if symbol.is_positive and not symbol.is_integer:
                positive.add(parameter)
        elif upper == "< 1":
            substitution[symbol] = parameter / (1 + parameter)
            if symbol.is_positive:
                positive.add(parameter)
        elif symbol.is_positive:
            substitution[symbol] = 1 / (1 + parameter)
        else:
            return False
    generators = _Generators()
    numerator, denominator = fraction(cancel(together(generators.replace(expression.xreplace(substitution)))))
    if generators.roots or generators.functions:
        return False
    return _has_sign(numerator, positive, strict) and _has_sign(denominator, positive, True)


def _upper_bound(symbol: Symbol, given: Sequence[Relational]) -> str | None:
    bounds = [h for h in given if not isinstance(h, Eq) and h.lts == symbol and h.gts == 1]
    if any(isinstance(bound, Lt | Gt) for bound in bounds):
        return "< 1"
    return "<= 1" if bounds else None


def _has_sign(polynomial: Expr, positive: set[Symbol], strict: bool) -> bool:
    """Tell whether no coefficient is negative (symbols without a sign must occur in even powers)."""
    polynomial = polynomial.expand()
    if not polynomial.free_symbols:
        return bool(polynomial > 0 if strict else polynomial >= 0)
    somewhere_positive = False
    terms = Poly(polynomial)
    for powers, coefficient in terms.terms():
        power_of = dict(zip(terms.gens, powers, strict=True))
        odd = {symbol for symbol, power in power_of.items() if power % 2}
        if coefficient < 0 or any(not symbol.is_nonnegative for symbol in odd):
            return False
        somewhere_positive |= {symbol for symbol, power in power_of.items() if power} <= positive
    return somewhere_positive if strict else True
