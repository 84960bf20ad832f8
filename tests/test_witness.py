"""Points that refute: they satisfy the hypotheses, and what they show is exact."""

from __future__ import annotations

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st
from sympy import (
    Eq,
    Expr,
    Integer,
    Rational,
    log,
    sqrt,
)

from derivations.proof import witness
from derivations.proof.obligations import equal
from derivations.proof.symbols import (
    T,
    alpha_bar_prev,
    alpha_bar_t,
    alpha_t,
    beta_t,
    excess,
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
