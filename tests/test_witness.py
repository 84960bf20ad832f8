"""Points that refute: they satisfy the hypotheses, and what they show is exact."""

from __future__ import annotations

import operator
from dataclasses import replace
from fractions import Fraction
from itertools import islice

import flint
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sympy import (
    Eq,
    Expr,
    Integer,
    Rational,
    Symbol,
    log,
    sqrt,
)

from derivations.proof import witness
from derivations.proof.obligations import equal
from derivations.proof.symbols import (
    T,
    alpha_bar_prev,
    alpha_bar_t,
    alpha_next,
    alpha_t,
    beta_t,
    excess,
    tex,
)
from tests.made_claims import a, b, u, v
from tests.test_kernels import expressions


def test_a_witness_satisfies_every_hypothesis() -> None:
    given = (
        Eq(beta_t, 1 - alpha_t),
        alpha_t < 1,
        Eq(alpha_bar_t, alpha_bar_prev * alpha_t),
        alpha_bar_prev <= 1,
    )
    obligation = equal(alpha_bar_t, beta_t, "wrong", given=given)
    found = witness.refute(obligation)
    assert found is not None
    point = found.point
    assert point[beta_t] == 1 - point[alpha_t] > 0
    assert point[alpha_bar_t] == point[alpha_bar_prev] * point[alpha_t]
    assert 0 < point[alpha_bar_prev] <= 1


def test_every_definition_of_a_symbol_counts_at_a_point() -> None:
    assert not list(witness.points(equal(a, 2, "two", given=(Eq(a, 1), Eq(a, 3))), 1))


def test_a_whole_number_is_whole_at_every_point() -> None:
    assert not list(witness.points(equal(T, 1, "one", given=(Eq(T, b / 3), Eq(b, 1))), 1))


def test_only_an_enclosure_that_excludes_zero_refutes() -> None:
    assert witness.refute(equal(sqrt(2) * sqrt(3), sqrt(6), "roots")) is None
    assert witness.refute(equal(log(Integer(6)), log(2) + log(3), "logarithms")) is None
    found = witness.refute(equal(log(Integer(6)), log(2) + log(4), "logarithms"))
    assert found is not None
    assert not found.exact


@given(expressions, st.tuples(*[st.fractions(1, 5, max_denominator=9)] * 5))
def test_exact_evaluation_agrees_with_sympys_own(expression: Expr, values: tuple[Fraction, ...]) -> None:
    point = dict(zip([a, b, u, v, excess], values, strict=True))
    ours = witness.evaluate(expression, point)
    theirs = expression.subs({s: Rational(q.numerator, q.denominator) for s, q in point.items()})
    assert abs(float(theirs) - (float(ours) if isinstance(ours, Fraction) else float(ours.mid()))) < 1e-9 * (
        1 + abs(float(theirs))
    )


@pytest.mark.parametrize(
    ("relation", "holds"), [("==", operator.eq), ("<=", operator.le), ("<", operator.lt)]
)
def test_a_relation_between_fractions_fails_where_it_does_not_hold(relation: str, holds: object) -> None:
    numbers = [Fraction(-1, 2), Fraction(0), Fraction(1, 3), Fraction(1)]
    for left in numbers:
        for right in numbers:
            assert callable(holds)
            assert witness.fails(left, relation, right) is not holds(left, right)


def test_a_relation_with_an_enclosure_fails_where_no_number_in_it_obeys() -> None:
    third, about = Fraction(1, 3), flint.arb(1) / 3  # an enclosure that holds the third
    for relation in ("==", "<=", "<"):
        assert not witness.fails(about, relation, third)
        assert not witness.fails(third, relation, about)
        assert witness.fails(about + 1, relation, third)
        assert witness.fails(about + 1, relation, about)
    assert not witness.fails(about - 1, "<", third)
    assert not witness.fails(about - 1, "<=", third)
    assert witness.fails(about - 1, "==", third)


def test_a_point_where_a_definition_means_nothing_is_passed_over() -> None:
    found = list(witness.points(equal(a, 7, "some number", given=(Eq(b, 1 / (a - 1)),)), 1))
    assert found
    assert all(point[a] != 1 and point[b] == 1 / (point[a] - 1) for point in found)


@pytest.mark.parametrize("symbol", [alpha_bar_prev, alpha_bar_t, alpha_t, alpha_next, u, T])
def test_points_are_tried_that_lie_in_a_symbols_domain(symbol: Symbol) -> None:
    tried = [point[symbol] for point in islice(witness.points(equal(symbol, 7, "seven"), 1), 3)]
    assert tried
    assert all(value > 0 for value in tried)
    assert symbol in (u, T) or all(value < 1 for value in tried)


def test_a_witness_shows_its_point_its_space_and_both_sides() -> None:
    found = witness.refute(equal(u, -u / 3, "halves"))
    assert found is not None
    value = Fraction(found.point[u])
    assert found.where() == rf"{tex(u)} = {witness.show(value)}"
    assert replace(found, dimension=2).where().startswith(r"d = 2,\; ")
    assert " in R^2:" in replace(found, dimension=2).describe()
    assert found.describe() == f"halves: at {u.name} = {value}: {value} against {-value / 3}"
    signs = [replace(found, relation=relation).sides() for relation in ("==", "<=", "<")]
    both = (witness.show(value), witness.show(-value / 3))
    assert signs == [sign.join(both) for sign in (r" \neq ", r" \not\leq ", r" \not< ")]
    nowhere = replace(found, mentioned=frozenset())
    assert nowhere.describe().startswith("halves: at every point: ")
    assert found.as_json() == {
        "obligation": "halves",
        "dimension": 1,
        "point": {u.name: str(value)},
        "left": str(value),
        "right": str(-value / 3),
        "exact": True,
    }


def test_numbers_are_shown_as_they_are() -> None:
    assert [witness.show(Fraction(n, 2)) for n in (-1, 0, 1, 2)] == [
        r"-\tfrac{1}{2}",
        "0",
        r"\tfrac{1}{2}",
        "1",
    ]
    assert witness.plain(flint.arb(2).sqrt()) == "1.4142136"
    assert witness.plain(flint.arb(2).sqrt() ** 2 - 2) == "0"
