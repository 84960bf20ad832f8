"""Certificates: how statements about integrals, induction or limits come down to equations and inequalities.

A certificate proposes nothing to believe. It names what must be checked, and the kernels check it; what it
rests on besides (a theorem of calculus, say) is listed by the claim under `assumes`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from sympy import Expr, Integer, Poly, Symbol, diff, log, pi
from sympy.core.relational import Relational

from derivations.proof.dimension import by_inner_products, gram
from derivations.proof.obligations import Obligation, at_most, equal, holds, less
from derivations.proof.symbols import (
    d,
    depends_on_t,
    excess,
    inner,
    one_step_earlier,
    sqnorm,
    vectors_in,
)


def induction(
    closed: Expr,
    recurrence: Callable[[Expr], Expr],
    *,
    start: Mapping[Symbol, object],
    first: object,
    previous: Mapping[Symbol, Expr],
    name: str,
) -> list[Obligation]:
    """A sequence with given first value and recurrence equals `closed` at every t.

    Args:
        closed: the closed form at t.
        recurrence: maps the value at t - 1 to the value at t.
        start: the state at t = 0, put into `closed` for the base case.
        first: the sequence's value at t = 0.
        previous: the state at t in terms of which `closed` is read at t - 1, such as {ᾱ_t: ᾱ_{t-1}}.
            Anything else in `closed` that depends on t is unknown at t - 1.
        name: what the sequence is, for the notes.
    """
    return [
        equal(closed.subs(start), first, f"{name}: base case t = 0"),
        equal(closed, recurrence(_earlier(closed, previous)), f"{name}: step from t - 1 to t"),
    ]


def _earlier(closed: Expr, previous: Mapping[Symbol, Expr]) -> Expr:
    """Read a closed form one step earlier."""
    unknown = {symbol: one_step_earlier(symbol) for symbol in closed.free_symbols if depends_on_t(symbol)}
    return closed.xreplace({**unknown, **previous})


@dataclass(frozen=True)
class GaussianIntegral:
    """log ∫ exp(q(x)) dx over R^d for q(x) = -½ a‖x‖² + ⟨b, x⟩ + c with a > 0, and what it rests on."""

    precision: Expr
    shift: Expr
    constant: Expr
    log_value: Expr
    obligations: tuple[Obligation, ...]


def gaussian_integral(exponent: Expr, variable: Symbol, note: str) -> GaussianIntegral:
    """Complete the square in `variable` and return the logarithm of the integral of exp(exponent).

    The coefficients are read off as proposals; that they give the exponent back, and that a > 0, are
    obligations.
    """
    own = gram(variable, variable)
    others = [other for other in vectors_in(exponent) if other != variable]
    pairs = {other: gram(*sorted((other, variable), key=lambda s: s.name)) for other in others}
    polynomial = Poly(by_inner_products(exponent), own, *pairs.values())
    a = -2 * polynomial.coeff_monomial(own)
    b = sum((polynomial.coeff_monomial(pair) * other for other, pair in pairs.items()), Integer(0))
    square = -a / 2 * sqnorm(variable) + (inner(b, variable) if b != 0 else 0)
    shift_norm = sqnorm(b) if b != 0 else Integer(0)
    free_of_variable = _without(exponent, variable)
    if a == 0 or any(variable in part.free_symbols for part in (a, b, free_of_variable)):
        raise ValueError(f"{note}: {exponent} is not a quadratic in {variable}")
    log_value = d / 2 * log(2 * pi / a) + shift_norm / (2 * a) + free_of_variable
    return GaussianIntegral(
        a,
        b,
        free_of_variable,
        log_value,
        (
            equal(exponent, square + free_of_variable, f"{note}: completing the square"),
            less(0, a, f"{note}: the square's coefficient is positive"),
        ),
    )


def _without(expression: Expr, variable: Symbol) -> Expr:
    """The value of an expression at variable = 0, if the variable stands in norms and inner products only."""
    if isinstance(expression, sqnorm | inner):
        arguments = [argument.xreplace({variable: Integer(0)}) for argument in expression.args]
        return Integer(0) if 0 in arguments else expression.func(*arguments)
    if not expression.args:
        return expression
    return expression.func(*(_without(argument, variable) for argument in expression.args))


def same_density(log_product: Expr, log_constant: Expr, log_density: Expr, note: str) -> Obligation:
    """Product = constant × density, as an equation between logarithms that includes the normalisers."""
    return equal(log_product, log_constant + log_density, note)


def antiderivative(primitive: Expr, integrand: Expr, variable: Symbol, note: str) -> Obligation:
    """`primitive` has derivative `integrand`; how it was found does not matter."""
    return equal(diff(primitive, variable), integrand, f"{note}: the derivative of the antiderivative")


def stays_below(
    relation: Relational,
    recurrence: Callable[[Expr], Expr],
    *,
    sequence: Expr,
    start: Mapping[Symbol, object],
    first: object,
    previous: Mapping[Symbol, Expr],
    name: str,
) -> list[Obligation]:
    """`sequence <= bound` at every t, if the recurrence is increasing: induction with <= for =."""
    bound, before = relation.rhs, recurrence(_earlier(relation.rhs, previous))
    return [
        equal(relation.lhs, sequence, f"{name}: what is bounded"),
        holds(relation.func(first, bound.subs(start), evaluate=False), f"{name}: base case t = 0"),
        holds(relation.func(before, bound, evaluate=False), f"{name}: step from t - 1 to t"),
    ]


def tends_to_zero(
    bound: Expr, *, index: Symbol, tolerance: Symbol, threshold: Expr, name: str
) -> list[Obligation]:
    """0 <= bound, and bound < tolerance whenever index >= threshold(tolerance): the definition of a limit."""
    if bound.has(tolerance, excess) or threshold.has(index, excess):
        raise ValueError(f"{name}: the bound may not depend on the tolerance, nor the threshold on the index")
    late = bound.xreplace({index: threshold + excess})
    return [
        at_most(0, bound, f"{name}: not negative"),
        less(late, tolerance, f"{name}: below any tolerance from the threshold on"),
    ]


def induction_from_one(
    closed: Expr,
    recurrence: Callable[[Expr], Expr],
    *,
    start: Mapping[Symbol, object],
    first: object,
    previous: Mapping[Symbol, Expr],
    name: str,
) -> list[Obligation]:
    """`induction` for a chain that has at least one step: the state and the value at T = 1 come first."""
    base, step = induction(closed, recurrence, start=start, first=first, previous=previous, name=name)
    return [
        replace(base, note=f"{name}: base case T = 1"),
        replace(step, note=f"{name}: step from T - 1 to T"),
    ]
