"""The normal form: a logarithm's every factor with its power, roots, and what a certificate may divide by."""

from __future__ import annotations

import pytest
from sympy import Expr, Integer, Rational, Symbol, log, sqrt
from sympy.core.relational import Relational

from derivations.proof.normal_form import is_positive, vanishes
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
]


@pytest.mark.parametrize(("whole", "sum_"), PARTS)
def test_a_logarithm_is_the_sum_of_its_factors_logarithms(whole: Expr, sum_: Expr) -> None:
    assert vanishes(whole - sum_)


@pytest.mark.parametrize("extra", [ABOVE, BELOW, log(u**2 + 3), log(v), log(Integer(2)), log(Integer(5))])
def test_a_logarithm_too_many_or_too_few_is_seen(extra: Expr) -> None:
    for whole, sum_ in PARTS:
        for times in (1, Rational(-1, 2)):
            assert not vanishes(whole - sum_ - times * extra)


@pytest.mark.parametrize(
    "zero",
    [
        (sqrt(u) + v) * (sqrt(u) - v) - (u - v**2),
        1 / (sqrt(u) - v) - (sqrt(u) + v) / (u - v**2),
        sqrt(u) ** 3 - u * sqrt(u),
        sqrt(u + sqrt(v)) ** 2 - u - sqrt(v),
        1 / sqrt(u + sqrt(v)) ** 2 - (u - sqrt(v)) / (u**2 - v),
        sqrt((u**2 - v**2) / (u - v)) - sqrt(u + v),
        (u**third + v) * a - (u**third * a + v * a),
    ],
)
def test_roots_obey_their_relations_and_no_others(zero: Expr) -> None:
    assert vanishes(zero)
    assert not vanishes(zero + 1)
    assert not vanishes(zero + sqrt(v))


def test_a_power_that_is_no_square_root_is_only_itself() -> None:
    assert not vanishes(u**third - v**third)
    assert not vanishes(u**third - u)


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
        (2 - w, (w <= 1,), True, False),  # no certificate of this kind: w may be zero and one
        (1 / (1 - u), (u < 1,), True, True),
        (1 / (1 - u), (u <= 1,), True, False),
        (sqrt(u), (), True, False),  # true, but not of this kind
        (log(1 + u), (), True, False),
    ],
)
def test_a_certificate_is_given_for_what_has_one_and_for_nothing_else(
    expression: Expr, given: tuple[Relational, ...], strict: bool, certified: bool
) -> None:
    assert is_positive(expression, given, strict=strict) is certified
