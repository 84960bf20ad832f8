"""The second kernel: what it takes a number to be that it cannot see into, and which hypotheses can hold."""

from __future__ import annotations

import pytest
from sympy import Expr, Rational, cos, log, pi, sqrt
from sympy.core.relational import Relational

from derivations.proof import z3_kernel
from derivations.proof.obligations import Obligation, at_most, equal, less
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
    ],
)
def test_what_a_formula_needs_of_its_parts(
    part: Expr, need: str, given: tuple[Relational, ...], outcome: str
) -> None:
    assert is_always(part, need, given) == outcome


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
        (equal(b, 0, "a number"), "refuted"),
    ],
)
def test_small_obligations_are_decided(obligation: Obligation, outcome: str) -> None:
    assert decide(obligation) == outcome


def test_a_question_that_takes_too_long_stays_open(monkeypatch: pytest.MonkeyPatch) -> None:
    means = at_most(4 * a * b * u * v, a**4 + b**4 + u**4 + v**4, "of four numbers")
    assert decide(means) == "proved"
    monkeypatch.setattr(z3_kernel, "TIMEOUT_MS", 1)
    assert decide(means) == "unknown"
