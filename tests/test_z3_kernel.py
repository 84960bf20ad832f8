"""The second kernel: what it takes a number to be that it cannot see into, and which hypotheses can hold."""

from __future__ import annotations

import operator
from fractions import Fraction
from itertools import product

import pytest
from sympy import Eq, Expr, Ge, Gt, Le, Lt, Rational, cos, log, pi, sqrt
from sympy.core.relational import Relational

from derivations.proof import z3_kernel
from derivations.proof.obligations import Obligation, at_most, equal, holds, less
from derivations.proof.symbols import T, excess
from derivations.proof.z3_kernel import decide, is_always, is_satisfiable
from tests.made_claims import a, b, u, v


def test_of_pi_it_knows_that_it_lies_between_three_and_four() -> None:
    assert decide(less(3, pi, "more than three")) == "proved"
    assert decide(less(pi, 4, "less than four")) == "proved"
    assert decide(less(Rational(22, 7), pi, "Archimedes")) == "refuted"  # nothing it knows contradicts that


@pytest.mark.parametrize("number", [cos(a), cos(a + u), log(u)])
def test_of_any_other_function_it_knows_nothing(number: Expr) -> None:
    for obligation in (
        at_most(number, 4, "bounded"),
        at_most(3, number, "bounded"),
        less(0, number, "positive"),
    ):
        assert decide(obligation) != "proved"
    assert decide(less(number - number**2, 1, "true of every number")) == "proved"


@pytest.mark.parametrize(
    ("given", "answer"),
    [
        ((), "yes"),
        ((u < 1, v < u), "yes"),
        ((u < 1, v < u, v > 1), "no"),
        ((u <= 1, u >= 1), "yes"),
        ((u < 1, u >= 1), "no"),
        ((a < -1,), "yes"),
        ((u + a < 0,), "yes"),
        ((u + a < 0, a > 0), "no"),  # u is positive
        ((sqrt(u + a) < a, a < 0), "no"),  # a root is not negative
        ((Eq(a, u), a < 0), "no"),
        ((Eq(a, b), a > b), "no"),
        ((Eq(a, b), a >= b), "yes"),
    ],
)
def test_hypotheses_that_can_hold_together_are_told_from_those_that_cannot(
    given: tuple[Relational, ...], answer: str
) -> None:
    assert is_satisfiable(given) == answer


@pytest.mark.parametrize(
    ("part", "need", "given", "outcome"),
    [
        (u, "positive", (), "proved"),
        (u, "nonzero", (), "proved"),
        (a, "nonzero", (), "refuted"),
        (a, "nonnegative", (), "refuted"),
        (a**2, "nonnegative", (), "proved"),
        (a**2, "positive", (), "refuted"),
        (1 - u, "positive", (u < 1,), "proved"),
        (1 - u, "positive", (u <= 1,), "refuted"),
        (1 - u, "nonnegative", (u <= 1,), "proved"),
        ((1 - u) / (1 + v), "positive", (u < 1,), "proved"),
        ((1 - u) / (-1 - v), "positive", (u < 1,), "refuted"),
        (u / excess, "positive", (), "refuted"),
        (u / excess, "nonnegative", (), "proved"),  # where it means something, and that is another need
    ],
)
def test_what_a_formula_needs_of_its_parts(
    part: Expr, need: str, given: tuple[Relational, ...], outcome: str
) -> None:
    assert is_always(part, need, given) == outcome


UV = log(u) + log(v)


@pytest.mark.parametrize(
    ("obligation", "outcome"),
    [
        (less(a, a + 1, "strict"), "proved"),
        (at_most(a, a + u, "by something positive"), "proved"),
        (less(a + u, a, "by something positive"), "refuted"),
        (at_most(u / v, v / u, "either way"), "refuted"),
        (at_most(2, u / v + v / u, "a mean"), "proved"),
        (less(2, u / v + v / u, "equal at u = v"), "refuted"),
        (less(2, u / v + v / u, "not equal", given=(u < v,)), "proved"),
        (equal(log(u / v), log(u) - log(v), "quotient"), "proved"),
        (equal(log(u / v) / 2, log(sqrt(u)) - log(v) / 2, "half"), "proved"),
        (equal(a * log(u * v), a * log(u) + a * log(v), "times a number"), "proved"),
        (equal(log(u * v), log(u) - log(v), "the wrong sign"), "unknown"),
        (equal(log(u) + b, log(v), "more than logarithms"), "unknown"),
        (equal(log(u / v) + b, log(u) - log(v), "right logarithms, and a number"), "unknown"),
        (equal(b, 0, "a number"), "refuted"),
        (equal(a * log(u), 0, "one logarithm"), "unknown"),
        (equal(a * (2 * log(u) + log(v)), a * log(u**2 * v), "a sum, times a number"), "proved"),
        (equal(a * (log(u) / 2 + log(v)), a * log(u * v) / 2, "a sum, times a number"), "unknown"),
        (equal(log(u), log(v) / 2, "one and a half"), "unknown"),
        (equal(2 * log(u), 3 * log(v), "two and three"), "unknown"),
        (equal(log(u) * log(v), 0, "a product of logarithms"), "unknown"),
        (at_most(1, T, "a whole number"), "proved"),
        (less(1, T, "which may be one"), "refuted"),
        (at_most(0, excess, "not negative"), "proved"),
        (less(0, excess, "which may be zero"), "refuted"),
        (equal(a * log(u * v) + b * log(u * v), a * UV + b * UV, "two groups"), "proved"),
        (equal(a * log(u * v) + b * log(u * v), a * UV + b * log(u), "the second is wrong"), "unknown"),
        (equal(a * log(u * v) + b * log(u * v), a * log(u) + b * UV, "the first is wrong"), "unknown"),
    ],
)
def test_small_obligations_are_decided(obligation: Obligation, outcome: str) -> None:
    assert decide(obligation) == outcome


NUMBERS = (Fraction(-1), Fraction(2))
BELOW = (Fraction(-2), Fraction(1, 2), Fraction(3))
RELATIONS = {"==": operator.eq, "<=": operator.le, "<": operator.lt, ">=": operator.ge, ">": operator.gt}
IN_SYMPY = {"==": Eq, "<=": Le, "<": Lt, ">=": Ge, ">": Gt}


@pytest.mark.parametrize("relation", RELATIONS)
def test_quotients_are_compared_as_the_numbers_that_they_are(relation: str) -> None:
    """Whatever the signs of their denominators, which z3 is told by equations."""
    for p, q in product(NUMBERS, BELOW):
        for r, s in product(NUMBERS, BELOW):
            true = RELATIONS[relation](p / q, r / s)
            left, right = Rational(p.numerator) / a, Rational(r.numerator) / b
            given = (Eq(a, Rational(str(q))), Eq(b, Rational(str(s))))
            compared = IN_SYMPY[relation](left, right, evaluate=False)
            assert is_satisfiable((*given, compared)) == ("yes" if true else "no")
            assert decide(holds(compared, "compared", given=given)) == ("proved" if true else "refuted")


@pytest.mark.parametrize(
    ("root", "value"),
    [
        (sqrt(a), Rational(3, 2)),
        (1 / sqrt(a), Rational(2, 3)),
        (sqrt(a) ** 3, Rational(27, 8)),
        (1 / sqrt(a) ** 3, Rational(8, 27)),
        (sqrt(b), Rational(1, 2)),
        (sqrt(1 / b), 2),
        (sqrt(a / b), 3),
        (sqrt(a) + sqrt(b), 2),
        (sqrt(a) * sqrt(b), Rational(3, 4)),
        (sqrt(a - 9 * b), 0),
        (sqrt(b - Rational(3, 16) + a * 0), Rational(1, 4)),
    ],
    ids=str,
)
def test_a_root_is_the_number_that_it_is(root: Expr, value: Rational) -> None:
    given = (Eq(a, Rational(9, 4)), Eq(b, Rational(1, 4)))
    assert decide(equal(root, value, "a root", given=given)) == "proved"
    assert decide(equal(root, value + 1, "another number", given=given)) == "refuted"
    assert decide(at_most(0, root, "not negative", given=given)) == "proved"
    assert is_satisfiable((*given, Eq(root, value, evaluate=False))) == "yes"


def test_a_root_is_neither_its_radicand_nor_half_of_it() -> None:
    for other in (u + v, (u + v) / 2, (u + v) ** 2):
        assert decide(equal(sqrt(u + v), other, "a root")) == "refuted"


def test_coefficients_that_cannot_be_compared_leave_the_question_open(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    split = equal(a * log(u * v), a * log(u) + a * log(v), "times a number")
    assert decide(split) == "proved"
    answers = iter(["proved", *["unknown"] * 9])  # nothing is left but logarithms; and no more is known
    monkeypatch.setattr(z3_kernel._Problem, "refute", lambda *_: next(answers))
    assert decide(split) == "unknown"


def test_hypotheses_that_take_too_long_may_or_may_not_hold_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(z3_kernel, "TIMEOUT_MS", 1)
    assert is_satisfiable((4 * a * b * u * v > a**4 + b**4 + u**4 + v**4,)) == "unknown"


def test_a_question_that_takes_too_long_stays_open(monkeypatch: pytest.MonkeyPatch) -> None:
    means = at_most(4 * a * b * u * v, a**4 + b**4 + u**4 + v**4, "of four numbers")
    assert decide(means) == "proved"
    monkeypatch.setattr(z3_kernel, "TIMEOUT_MS", 1)
    assert decide(means) == "unknown"
