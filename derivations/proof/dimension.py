"""Two readings of a formula about vectors, so that one proof covers every dimension d.

*Inner products*: ⟨u, v⟩ is bilinear and symmetric, so a formula becomes a polynomial in free symbols, one
for each pair of vectors; if it holds for free symbols it holds in every R^d. The rational kernel reads
formulas this way.

*Coordinates*: an equation of degree one in d, norms and inner products is f(u₁) + Σᵢ g(uᵢ) = 0: what each
coordinate uᵢ adds, and what stands there besides (bare vectors are read at the first coordinate). d = 1
says f(u₁) + g(u₁) = 0, and d = 2 then says g(u₂) = 0 for every u₂, so that a third coordinate adds nothing
and the equation holds for every d. Products of norms, d in a denominator or a logarithm, and inequalities
are not of that form, and an `Obligation` refuses them. z3 and the witnesses read formulas this way.

The two also take expectations by different rules: Isserlis' theorem here, Stein's identity there.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from sympy import Expr, Integer, Poly, Symbol, expand

from derivations.proof.symbols import (
    STANDARD_NORMALS,
    TEX,
    VECTORS,
    E,
    d,
    inner,
    linear_coefficients,
    sqnorm,
)


@cache
def gram(first: Symbol, second: Symbol) -> Symbol:
    """Return the free symbol that stands for ⟨first, second⟩."""
    return Symbol(f"<{first.name},{second.name}>")


def by_inner_products(expression: Expr) -> Expr:
    """Write norms and inner products through free symbols, one per pair of vectors; take expectations."""
    if isinstance(expression, E):
        return _isserlis(by_inner_products(expression.args[0]))
    if isinstance(expression, sqnorm | inner):
        left = linear_coefficients(expression.args[0])
        right = linear_coefficients(expression.args[-1])
        return sum(
            (
                a * b * gram(*sorted((u, w), key=lambda s: s.name))
                for u, a in left.items()
                for w, b in right.items()
            ),
            Integer(0),
        )
    if not expression.args:
        return expression
    return expression.func(*map(by_inner_products, expression.args))


def _isserlis(polynomial: Expr) -> Expr:
    """Take E over every standard normal: E‖z‖² = d, E⟨z, u⟩ = 0, and E z^{2k} = (2k-1)!! for a coordinate."""
    grams = {
        symbol
        for symbol in polynomial.free_symbols
        if symbol.name.startswith("<")
        and any(n.name in symbol.name[1:-1].split(",") for n in STANDARD_NORMALS)
    }
    coordinates = polynomial.free_symbols & STANDARD_NORMALS
    if not grams and not coordinates:
        return polynomial
    if grams and coordinates:
        raise ValueError(f"an expectation of norms and of coordinates at once: {polynomial}")
    total: Expr = Integer(0)
    if grams:
        ordered = sorted(grams, key=lambda s: s.name)
        for powers, coefficient in Poly(expand(polynomial), *ordered).terms():
            if sum(powers) == 0:
                total += coefficient
            elif sum(powers) == 1:
                first, second = ordered[powers.index(1)].name[1:-1].split(",")
                total += coefficient * (d if first == second else 0)
            else:
                raise ValueError(f"expectation of degree above two in a vector: {polynomial}")
        return total
    ordered = sorted(coordinates, key=lambda s: s.name)
    for powers, coefficient in Poly(expand(polynomial), *ordered).terms():
        moment = Integer(1)
        for power in powers:
            moment *= 0 if power % 2 else _double_factorial(power - 1)
        total += coefficient * moment
    return total


def _double_factorial(n: int) -> int:
    return 1 if n <= 0 else n * _double_factorial(n - 2)


@cache
def coordinate(vector: Symbol, index: int) -> Symbol:
    """Return the symbol of one coordinate of a vector."""
    symbol = Symbol(f"{vector.name}[{index}]")
    TEX[symbol] = rf"{{{TEX[vector]}}}_{{[{index}]}}"
    if vector in STANDARD_NORMALS:
        STANDARD_NORMALS.add(symbol)
    return symbol


def by_coordinates(expression: Expr, dimension: int) -> Expr:
    """Write a formula out in R^dimension; a bare vector stands for each coordinate and becomes the first."""
    if isinstance(expression, E):
        return _stein(by_coordinates(expression.args[0], dimension))
    if isinstance(expression, sqnorm | inner):
        total: Expr = Integer(0)
        for index in range(1, dimension + 1):
            here: Mapping[Symbol, Symbol] = {
                vector: coordinate(vector, index) for vector in expression.free_symbols & VECTORS
            }
            total += expression.args[0].xreplace(here) * expression.args[-1].xreplace(here)
        return total
    if expression == d:
        return Integer(dimension)
    if expression in VECTORS:
        return coordinate(expression, 1)
    if not expression.args:
        return expression
    return expression.func(*(by_coordinates(argument, dimension) for argument in expression.args))


def _stein(polynomial: Expr) -> Expr:
    """Take E over every standard normal coordinate by Stein's identity E[z f(z)] = E[f'(z)]."""
    for normal in sorted(polynomial.free_symbols & STANDARD_NORMALS, key=lambda s: s.name):
        polynomial = _stein_in(Poly(expand(polynomial), normal), normal)
    return polynomial


def _stein_in(polynomial: Poly, normal: Symbol) -> Expr:
    constant = polynomial.eval(0)
    quotient = polynomial.quo(Poly(normal))  # polynomial = constant + z · quotient
    if quotient.is_zero:
        return constant
    return constant + _stein_in(quotient.diff(normal), normal)
