"""Points that refute: they satisfy the hypotheses, and what they show is exact."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from itertools import islice, product

import flint
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sympy import (
    Eq,
    Expr,
    Ge,
    Gt,
    Integer,
    Le,
    Lt,
    Rational,
    Symbol,
    cos,
    exp,
    log,
    pi,
    sin,
    sqrt,
)
from sympy.core.relational import Relational

from derivations.proof import witness
from derivations.proof.dimension import coordinate
from derivations.proof.obligations import at_most, equal
from derivations.proof.symbols import (
    TEX,
    E,
    T,
    alpha_bar_prev,
    alpha_bar_t,
    alpha_next,
    alpha_t,
    beta_t,
    d,
    eps,
    excess,
    inner,
    mu,
    sqnorm,
    tex,
    x,
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
    for relation in ("==", "<=", "<"):  # equal, and no error: this is not known to fail
        assert not witness.fails(flint.arb(1), relation, Fraction(1))
    assert not witness.fails(about - 1, "<", third)
    assert not witness.fails(about - 1, "<=", third)
    assert witness.fails(about - 1, "==", third)


@pytest.mark.parametrize(
    ("sign", "holds"),
    [(Eq, operator.eq), (Le, operator.le), (Lt, operator.lt), (Ge, operator.ge), (Gt, operator.gt)],
)
def test_a_hypothesis_holds_where_its_numbers_obey_it(
    sign: type[Relational], holds: Callable[[Fraction, Fraction], bool]
) -> None:
    numbers = [Fraction(-1, 2), Fraction(0), Fraction(1, 4), Fraction(1)]
    for left, right in product(numbers, numbers):
        assert witness._holds(sign(a, b, evaluate=False), {a: left, b: right}) is holds(left, right)
    irrational = sign(sqrt(u), v, evaluate=False)  # an enclosure is above, below, or not known to be equal
    for value in (Fraction(1), Fraction(2)):
        above = value**2 > 2
        assert witness._holds(irrational, {u: Fraction(2), v: value}) is (
            sign in ((Le, Lt) if above else (Ge, Gt))
        )


@pytest.mark.parametrize(
    ("expression", "at", "value"),
    [
        (exp(a), Fraction(-1, 3), math.exp(-1 / 3)),
        (cos(a), Fraction(-1, 3), math.cos(-1 / 3)),
        (cos(a), Fraction(2), math.cos(2)),
        (sin(a), Fraction(-1, 3), math.sin(-1 / 3)),
        (log(a), Fraction(1, 3), math.log(1 / 3)),
        (log(a), Fraction(3), math.log(3)),
        (1 / log(a), Fraction(3), 1 / math.log(3)),
        (1 / exp(a), Fraction(0), 1.0),
        (pi * a, Fraction(1, 2), math.pi / 2),
    ],
)
def test_functions_are_evaluated_as_elsewhere(expression: Expr, at: Fraction, value: float) -> None:
    found = witness.evaluate(expression, {a: at})
    assert not isinstance(found, Fraction)
    assert float(found.mid()) == pytest.approx(value, rel=1e-12)
    assert float(found.rad()) < 1e-40


@pytest.mark.parametrize("root", [Fraction(0), Fraction(1, 2), Fraction(1, 3), Fraction(3, 2), Fraction(2)])
def test_the_root_of_a_square_is_a_fraction(root: Fraction) -> None:
    assert witness.evaluate(sqrt(a), {a: root**2}) == root


@pytest.mark.parametrize("number", [Fraction(2), Fraction(1, 2), Fraction(4, 3), Fraction(3, 4)])
def test_the_root_of_another_number_is_enclosed(number: Fraction) -> None:
    root = witness.evaluate(sqrt(a), {a: number})
    assert not isinstance(root, Fraction)
    assert float(root.mid()) == pytest.approx(math.sqrt(number), rel=1e-12)


def test_the_root_of_an_enclosure_is_enclosed() -> None:
    small, zero = (witness.evaluate(sqrt(log(a)), {a: number}) for number in (Fraction(3, 2), Fraction(1)))
    assert not isinstance(small, Fraction)
    assert not isinstance(zero, Fraction)
    assert float(small.mid()) == pytest.approx(math.sqrt(math.log(1.5)), rel=1e-12)
    assert zero.contains(0)


@pytest.mark.parametrize(
    ("expression", "point"),
    [
        (log(a), {a: Fraction(0)}),
        (log(a), {a: Fraction(-1)}),
        (sqrt(a), {a: Fraction(-1)}),
        (1 / a, {a: Fraction(0)}),
        (1 / sqrt(a), {a: Fraction(0)}),
        (1 / (log(u) - 2 * log(v)), {u: Fraction(4), v: Fraction(2)}),  # nothing but an enclosure of zero
        (sqrt(log(u)), {u: Fraction(1, 2)}),
    ],
)
def test_a_point_outside_the_domain_has_no_value(expression: Expr, point: dict[Symbol, Fraction]) -> None:
    with pytest.raises(witness.UndefinedError):
        witness.evaluate(expression, point)


@pytest.mark.parametrize("symbol", [d, x, a])
def test_neither_a_dimension_nor_a_vector_has_a_value(symbol: Symbol) -> None:
    point = {} if symbol == a else {symbol: Fraction(1)}
    with pytest.raises(ValueError, match="has no value"):
        witness.evaluate(symbol + 1, point)


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


@pytest.mark.parametrize(
    ("symbol", "given", "least", "below", "above"),
    [
        (u, (), Fraction(0), True, True),
        (u, (u < 1,), Fraction(0), True, False),
        (u, (v < 1,), Fraction(0), True, True),
        (u, (u < 4,), Fraction(0), True, True),
        (excess, (), Fraction(0), True, True),
        (a, (), Fraction(-100), True, True),
        (T, (), Fraction(0), False, True),
    ],
    ids=str,
)
def test_points_are_tried_on_every_side_of_what_matters(
    symbol: Symbol, given: tuple[Relational, ...], least: Fraction, below: bool, above: bool
) -> None:
    tried = {point[symbol] for point in witness.points(equal(symbol, 7, "seven", given=given), 1)}
    assert len(tried) >= 3
    assert min(tried) >= least
    assert any(value < 1 for value in tried) is below
    assert any(value > 1 for value in tried) is above
    assert (0 in tried) is (symbol in (a, excess))
    assert any(value < 0 for value in tried) is (symbol == a)


@pytest.mark.parametrize("name", witness.PREFERRED)
def test_the_preferred_values_of_a_symbol_are_tried_first(name: str) -> None:
    [symbol] = [symbol for symbol in TEX if symbol.name == name]
    tried = [point[symbol] for point in witness.points(equal(symbol, 7, "seven"), 1)]
    assert tried == [Fraction(value) for value in witness.PREFERRED[name]]
    assert all(value > 0 for value in tried)


def test_a_point_where_a_side_means_nothing_is_passed_over() -> None:
    found = witness.refute(equal(1 / (a - 1), 7, "a quotient"))
    assert found is not None
    assert found.point[a] != 1


@pytest.mark.parametrize(
    ("left", "right", "dimension"),
    [
        (d, Integer(1), 2),
        (E(sqnorm(eps)), Integer(1), 2),
        (sqnorm(x) * mu, inner(x, mu) * x, 2),
        (sqnorm(x), inner(x, mu), 1),
        (2 * x, mu, 1),
    ],
    ids=str,
)
def test_what_is_true_in_one_dimension_is_refuted_in_two(left: Expr, right: Expr, dimension: int) -> None:
    found = witness.refute(equal(left, right, "vectors"))
    assert found is not None
    assert found.dimension == dimension
    mentioned = (left - right).free_symbols & {x, mu}
    norms = {coordinate(symbol, index) for symbol in mentioned for index in range(1, dimension + 1)}
    assert set(found.point) == norms


def test_a_positive_number_is_zero_at_no_point() -> None:
    defined = {point[u] for point in witness.points(equal(u, 7, "seven", given=(Eq(u, excess),)), 1)}
    assert defined
    assert 0 not in defined


@pytest.mark.parametrize("sizes", [[], [1], [3], [2, 3], [3, 1, 2]])
def test_every_combination_comes_once_and_the_nearest_first(sizes: list[int]) -> None:
    found = list(witness._by_distance(sizes))
    assert sorted(found) == sorted(product(*map(range, sizes)))
    assert [sum(indices) for indices in found] == sorted(sum(indices) for indices in found)


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


def test_a_witness_with_two_symbols_shows_both_or_those_asked_for() -> None:
    found = witness.refute(at_most(u + v, a, "a sum"))
    assert found is not None
    assert found.relation == "<="
    at = {symbol: found.point[symbol] for symbol in (a, u, v)}
    both = ", ".join(f"{symbol.name} = {value}" for symbol, value in at.items())
    assert found.describe() == f"a sum: at {both}: {at[u] + at[v]} against {at[a]}"
    assert found.where([v]) == f"{tex(v)} = {witness.show(at[v])}"
    assert found.where([]) == ""


def test_a_witness_is_exact_where_both_sides_are() -> None:
    found = witness.refute(equal(u, -u, "signs"))
    assert found is not None
    assert found.exact
    assert not replace(found, left=flint.arb(1)).exact
    assert not replace(found, right=flint.arb(1)).exact


def test_no_more_points_are_tried_than_are_asked_for() -> None:
    one = equal(a, 1, "one")  # true at the first point
    assert next(iter(witness.points(one, 1))) == {a: 1}
    assert witness.refute(one, tries=1) is None
    assert witness.refute(one, tries=2) is not None


def test_numbers_are_shown_as_they_are() -> None:
    assert [witness.show(Fraction(n, 2)) for n in (-1, 0, 1, 2)] == [
        r"-\tfrac{1}{2}",
        "0",
        r"\tfrac{1}{2}",
        "1",
    ]
    assert witness.plain(flint.arb(2).sqrt()) == "1.4142136"
    assert witness.plain(flint.arb(2).sqrt() ** 2 - 2) == "0"
