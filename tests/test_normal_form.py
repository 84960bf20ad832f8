"""The normal form: a logarithm's every factor with its power, roots, and what a certificate may divide by."""

from __future__ import annotations

from itertools import combinations

import pytest
from sympy import Eq, Expr, Integer, Rational, Symbol, cos, log, sqrt
from sympy.core.relational import Relational

from derivations.proof.normal_form import decide, is_positive, vanishes
from derivations.proof.obligations import Obligation, at_most, equal, less
from derivations.proof.symbols import excess
from tests.made_claims import a, b, u, v

X, Y = u / (u + v), (u**2 + 3) / v  # positive; their factors are told apart
ABOVE, BELOW = log(u), log(u + v)
third = Rational(1, 3)

PARTS = [
    (log(X), ABOVE - BELOW),
    (log(1 / X), BELOW - ABOVE),
    (log(X * Y), log(X) + log(Y)),
    (log(X / Y), log(X) - log(Y)),
    (log(X**3), 3 * log(X)),
    (log(X**-2), -2 * log(X)),
    (log(sqrt(X)), log(X) / 2),
    (log(1 / sqrt(X)), -log(X) / 2),
    (log(sqrt(X) * sqrt(Y)), (log(X) + log(Y)) / 2),
    (log(12 * X / 5), 2 * log(2) + log(3) - log(5) + log(X)),
    (log(X / sqrt(12)), log(X) - log(2) - log(3) / 2),
    (log((u - v) ** 2), 2 * log(u - v)),  # one of these two differences is positive, and either may be
    (log((u - v) ** 2), 2 * log(v - u)),
]


@pytest.mark.parametrize(("whole", "sum_"), PARTS)
def test_a_logarithm_is_the_sum_of_its_factors_logarithms(whole: Expr, sum_: Expr) -> None:
    assert vanishes(whole - sum_)


FACTORS = [ABOVE, BELOW, log(u**2 + 3), log(v), log(Integer(2)), log(Integer(5))]


@pytest.mark.parametrize("extra", FACTORS)
def test_a_logarithm_too_many_or_too_few_is_seen(extra: Expr) -> None:
    for whole, sum_ in PARTS:
        for times in (1, Rational(-1, 2)):
            assert not vanishes(whole - sum_ - times * extra)


def test_logarithms_of_other_factors_are_other_numbers() -> None:
    for one, other in combinations(FACTORS, 2):
        assert not vanishes(one - other)


@pytest.mark.parametrize(
    "zero",
    [
        (sqrt(u) + v) * (sqrt(u) - v) - (u - v**2),
        1 / (sqrt(u) - v) - (sqrt(u) + v) / (u - v**2),
        sqrt(u) ** 3 - u * sqrt(u),
        sqrt(u + sqrt(v)) ** 2 - u - sqrt(v),
        1 / sqrt(u + sqrt(v)) ** 2 - (u - sqrt(v)) / (u**2 - v),
        sqrt((u**2 - v**2) / (u - v)) - sqrt(u + v),
        ((sqrt(u) + v) * (sqrt(u) - v) - (u - v**2)) * cos(sqrt(v)),
        (u**third + v) * a - (u**third * a + v * a),
    ],
)
def test_roots_obey_their_relations_and_no_others(zero: Expr) -> None:
    assert vanishes(zero)
    assert not vanishes(zero + 1)
    assert not vanishes(zero + sqrt(v))


def test_a_logarithm_keeps_the_denominators_of_all_its_roots() -> None:
    first, second = sqrt((1 - a) / (1 - b)), sqrt((2 - b) / (2 - a))
    squares = log((1 + first) ** 2 * (1 + second) ** 2)
    cleared = log((1 - a) + 2 * first * (1 - b) + (1 - b)) + log((2 - b) + 2 * second * (2 - a) + (2 - a))
    assert vanishes(squares - cleared + log(1 - b) + log(2 - a))
    assert not vanishes(squares - cleared + log(1 - b))
    assert not vanishes(squares - cleared + log(2 - a))
    turned = log(1 / ((1 + first) ** 2 * (1 + second) ** 2))
    assert vanishes(turned + squares)
    assert vanishes(turned + cleared - log(1 - b) - log(2 - a))


def test_a_logarithm_counts_a_root_in_a_denominator_as_often_as_it_stands_there() -> None:
    twice = sqrt((a**2 - b**2) / (a - b)) * sqrt(a + b)  # one root, written in two ways: a + b
    root = sqrt(u / twice)
    cleared = log((a + b) + 2 * root * (a + b) + u)
    assert vanishes(log((1 + root) ** 2) - cleared + log(a + b))
    assert not vanishes(log((1 + root) ** 2) - cleared + log(a + b) / 2)


def test_a_power_that_is_no_square_root_is_only_itself() -> None:
    assert not vanishes(u**third - v**third)
    assert not vanishes(u**third - u)
    assert not vanishes(u**third - sqrt(u))


w, z = Symbol("w", nonnegative=True), Symbol("z", nonnegative=True)


@pytest.mark.parametrize(
    ("expression", "given", "strict", "certified"),
    [
        (1 / w, (), False, False),  # w may be zero
        (1 / w, (), True, False),
        (1 / (1 + w), (), True, True),
        (-1 / (-1 - w), (), True, True),
        (-1 / w, (), False, False),
        (w, (), False, True),
        (w, (), True, False),
        (u, (), True, True),
        (w + z, (), True, False),
        (w + u, (), True, True),
        (w * u, (), True, False),
        (w - z, (), False, False),
        (a**2, (), False, True),
        (a**2, (), True, False),
        (a**2 + u, (), True, True),
        (a * b, (), False, False),
        (a**2 * b, (), False, False),
        (a, (), False, False),
        (1 - u, (), False, False),
        (1 - u, (u <= 1,), False, True),
        (1 - u, (u <= 1,), True, False),
        (1 - u, (u < 1,), True, True),
        (1 - w, (w < 1,), True, True),
        (u, (u < 1,), True, True),
        (u, (u <= 1,), True, True),
        (w, (w < 1,), True, False),
        (1 - u, (u < 2,), False, False),
        (1 - u, (v < 1,), False, False),
        (1 - u, (u > 1,), False, False),
        (u - 1, (u > 1,), False, False),  # true; only bounds from above are read
        (2 - w, (w <= 1,), True, False),  # no certificate of this kind: w may be zero and one
        (1 / (1 - u), (u < 1,), True, True),
        (1 / (1 - u), (u <= 1,), True, False),
        (sqrt(u), (), True, False),  # true, but not of this kind
        (log(1 + u), (), True, False),
        (log(u) ** 2, (), False, False),
        (sqrt((a**2 - u**2) / (a - u)) * sqrt(a + u), (), False, False),
    ],
)
def test_a_certificate_is_given_for_what_has_one_and_for_nothing_else(
    expression: Expr, given: tuple[Relational, ...], strict: bool, certified: bool
) -> None:
    assert is_positive(expression, given, strict=strict) is certified


@pytest.mark.parametrize(
    ("obligation", "outcome"),
    [
        (equal(a, b, "two numbers", given=(Eq(a, b),)), "proved"),
        (equal(a, u, "defined in two steps", given=(Eq(a, b), Eq(b, u))), "proved"),
        (equal(u * v, a, "a product is no symbol", given=(Eq(u * v, a, evaluate=False),)), "not proved"),
        (equal(a, b, "two numbers"), "not proved"),
        (at_most(0, u, "weak"), "proved"),
        (less(0, u, "strict"), "proved"),
        (at_most(u, 0, "the wrong way"), "not proved"),
        (less(0, excess, "may be zero"), "not proved"),
        (at_most(0, excess, "may be zero"), "proved"),
        (at_most(0, a, "through a definition", given=(Eq(a, u + v),)), "proved"),
    ],
)
def test_an_obligation_is_proved_or_left_open(obligation: Obligation, outcome: str) -> None:
    assert decide(obligation) == outcome
