"""Certificates for inequalities: each proves a true one; a false one falls, at a point if one is found."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
from sympy import Eq, Expr, Ge, Gt, Integer, Le, Lt, Rational, log, sqrt
from sympy.core.relational import Relational

from derivations.divergences import pointwise, surprise
from derivations.proof import normal_form, witness, z3_kernel
from derivations.proof.claims import Claim, Holds
from derivations.proof.inequalities import (
    EXTREMES,
    EXTREMES_IN_UNIT,
    _ends,
    applied,
    combination,
    gap,
    numbers,
    squares,
    tangent,
)
from derivations.proof.obligations import Obligation, holds
from derivations.proof.symbols import (
    excess,
    letters,
    m_1,
    m_2,
    p,
    p_i,
    positive_step,
    q,
    q_i,
    share,
    sigma,
    sigma_1,
)

WITHIN = (p < 1, q < 1)
KL = p * log(p / q) + (1 - p) * log((1 - p) / (1 - q))
BEYOND_ONE = Eq(sigma, 1 + sigma_1)


def proved(obligations: Sequence[Obligation], given: Sequence[Relational] = ()) -> bool:
    """Whether both kernels prove every obligation."""
    posed = [replace(o, given=(*given, *o.given)) for o in obligations]
    return all(normal_form.decide(o) == z3_kernel.decide(o) == "proved" for o in posed)


def refuted(obligations: Sequence[Obligation], given: Sequence[Relational] = ()) -> bool:
    """Whether some obligation fails at a point."""
    return any(witness.refute(replace(o, given=(*given, *o.given))) is not None for o in obligations)


def test_a_tangent_proves_that_the_divergence_is_not_negative() -> None:
    assert proved(tangent(Ge(KL, 0, evaluate=False), q, at=p, upper=1, name="", given=WITHIN), WITHIN)


@pytest.mark.parametrize(
    "relation",
    [
        Gt(KL, 0, evaluate=False),
        Le(KL, 0, evaluate=False),
        Ge(KL, Rational(1, 1000), evaluate=False),
        Ge(KL, p - q, evaluate=False),
        Le(KL, log(2), evaluate=False),
    ],
)
def test_a_tangent_lets_no_false_inequality_through(relation: Relational) -> None:
    made = tangent(relation, q, at=p, upper=1, name="", given=WITHIN)
    assert not proved(made, WITHIN)
    assert refuted(made, WITHIN)


def test_a_tangent_refuses_what_is_false_only_where_no_point_was_tried() -> None:
    """Pinsker's constant is 2; a little more fails, but only close to p = q = 1/2."""
    too_much = Ge(KL, Rational(2001, 1000) * (p - q) ** 2, evaluate=False)
    assert not proved(tangent(too_much, q, at=p, upper=1, name="", given=WITHIN), WITHIN)


def test_a_tangent_asks_for_one_and_no_larger_bound() -> None:
    made = tangent(Ge(KL, 0, evaluate=False), q, at=p, upper=1, name="KL", given=WITHIN)
    assert all(obligation.note.startswith("KL: ") for obligation in made)
    assert proved(made, (p < 1, Eq(q, sigma / (1 + sigma))))
    assert not proved(made, (p < 1, Eq(q, 2 * sigma / (1 + sigma))))


@pytest.mark.parametrize("at", [p / 2, Rational(1, 2), p**2])
def test_a_tangent_elsewhere_proves_nothing(at: Expr) -> None:
    assert not proved(tangent(Ge(KL, 0, evaluate=False), q, at=at, upper=1, name="", given=WITHIN), WITHIN)


def test_a_tangent_asks_for_the_hypothesis_that_its_variable_stays_below_one() -> None:
    made = tangent(Ge(KL, 0, evaluate=False), q, at=p, upper=1, name="", given=WITHIN)
    assert not proved(made, (p < 1,))


def test_a_tangent_on_one_side_asks_for_the_hypothesis_that_its_variable_stays_there() -> None:
    made = tangent(
        Gt(-log(share), 0, evaluate=False), share, at=Integer(1), sides="below", name="", given=(share < 1,)
    )
    assert proved(made, (share < 1,))
    assert not proved(made)


@pytest.mark.parametrize(("side", "within"), [("above", BEYOND_ONE), ("below", sigma < 1)])
def test_a_tangent_shows_nothing_beyond_its_side(side: str, within: Relational) -> None:
    strict = Gt(sigma - 1 - log(sigma), 0, evaluate=False)
    made = tangent(strict, sigma, at=Integer(1), sides=side, name="gap", given=(within,))
    assert proved(made, (within,))
    assert not proved(made)


def test_a_tangent_whose_least_value_is_not_shown_proves_nothing() -> None:
    below = Ge(KL, -1, evaluate=False)
    assert not proved(tangent(below, q, at=p, upper=1, name="", given=WITHIN), WITHIN)


def test_a_tangent_may_not_meet_the_symbol_that_it_moves_by() -> None:
    """Between 1 and 1 + η/1000 this gap is negative; its slope is positive at 1 + η, for the same η."""
    narrow = (sigma - 1) * (sigma - 1 - positive_step / 1000)
    with pytest.raises(ValueError, match="is taken"):
        tangent(Ge(narrow, 0, evaluate=False), sigma, at=Integer(1), name="narrow")
    with pytest.raises(ValueError, match="is taken"):
        tangent(Ge(sigma, 0, evaluate=False), sigma, at=positive_step, name="moving")


ABOVE_TANGENT = sigma - 1 - log(sigma)
# These are negative in a small interval, where no point is tried; and so small that their slope is below one.
DIP_BELOW = (sigma - 1) ** 2 * ((sigma - Rational(3, 4)) ** 2 - Rational(1, 100)) / 1000
DIP_ABOVE = (sigma - 1) ** 2 * ((sigma - 5) ** 2 - Rational(1, 100)) / 1000


@pytest.mark.parametrize(
    ("relation", "options", "given", "true"),
    [
        (Ge(ABOVE_TANGENT, 0, evaluate=False), {}, (), True),
        (Le(0, ABOVE_TANGENT, evaluate=False), {}, (), True),
        (Ge(ABOVE_TANGENT, -1, evaluate=False), {"attained": False}, (), True),
        (Gt(ABOVE_TANGENT, -1, evaluate=False), {"attained": False}, (), True),
        (Gt(ABOVE_TANGENT, -1, evaluate=False), {}, (), True),
        (Ge(ABOVE_TANGENT, -Rational(1, 2), evaluate=False), {"attained": False}, (), True),
        (Gt(ABOVE_TANGENT, -Rational(1, 2), evaluate=False), {}, (), True),
        (Ge(DIP_BELOW, 0, evaluate=False), {}, (), False),
        (Ge(DIP_ABOVE, 0, evaluate=False), {}, (), False),
        (Ge(DIP_BELOW, 0, evaluate=False), {"sides": "above"}, (BEYOND_ONE,), True),
        (Ge(DIP_ABOVE, 0, evaluate=False), {"sides": "above"}, (BEYOND_ONE,), False),
        (Ge(DIP_BELOW, 0, evaluate=False), {"sides": "below"}, (sigma < 1,), False),
        (Ge(DIP_ABOVE, 0, evaluate=False), {"sides": "below"}, (sigma < 1,), True),
        (Gt(ABOVE_TANGENT, 0, evaluate=False), {}, (), False),
        (Gt(ABOVE_TANGENT, 0, evaluate=False), {"attained": False}, (), False),
        (Gt(ABOVE_TANGENT, 0, evaluate=False), {"sides": "above"}, (BEYOND_ONE,), True),
        (Gt(ABOVE_TANGENT, 0, evaluate=False), {"sides": "above"}, (), False),
        (Gt(ABOVE_TANGENT, 0, evaluate=False), {"sides": "above"}, (sigma < 1,), False),
        (Gt(ABOVE_TANGENT, 0, evaluate=False), {"sides": "below"}, (sigma < 1,), True),
        (Gt(ABOVE_TANGENT, 0, evaluate=False), {"sides": "below"}, (), False),
        (Gt(ABOVE_TANGENT, 0, evaluate=False), {"sides": "below"}, (sigma > 1,), False),
        (Gt(log(sigma), 0, evaluate=False), {"sides": "above"}, (BEYOND_ONE,), True),
        (Ge(log(sigma), 0, evaluate=False), {}, (), False),  # rises before the point too
        (Ge(-log(sigma), 0, evaluate=False), {}, (), False),  # falls after it too
        (Ge(-log(sigma), 0, evaluate=False), {"sides": "below"}, (sigma < 1,), True),
        (Ge(-log(sigma), 0, evaluate=False), {"sides": "above"}, (sigma < 1,), False),
        (Ge(log(sigma), -1, evaluate=False), {"sides": "above"}, (BEYOND_ONE,), False),  # not attained
    ],
)
def test_a_tangent_shows_what_its_sides_and_its_least_value_show(
    relation: Relational, options: dict[str, Any], given: tuple[Relational, ...], true: bool
) -> None:
    made = tangent(relation, sigma, at=Integer(1), name="gap", given=given, **options)
    assert proved(made, given) is true
    assert all(obligation.note.startswith("gap: ") for obligation in made)


ENTROPY = p_i * log(p_i) + q_i * log(q_i)
SUM = p_i + q_i - 2


def test_a_combination_proves_the_sum_of_what_is_proved() -> None:
    relation = Ge(ENTROPY, SUM, evaluate=False)
    terms = [(Integer(1), applied(pointwise, {q_i: Integer(1)}))]
    terms.append((Integer(1), applied(pointwise, {p_i: q_i, q_i: Integer(1)})))
    assert proved(combination(relation, terms, name=""))


def test_a_combination_with_a_negative_coefficient_proves_nothing() -> None:
    relation = Ge(p_i - p_i * log(p_i), -1 - p_i, evaluate=False)
    assert not proved(combination(relation, [(Integer(-1), applied(pointwise, {q_i: Integer(1)}))], name=""))


def test_a_combination_leaves_the_domain_of_what_it_uses_to_be_proved() -> None:
    """-log s > 0 is known for s < 1 alone; at s = q it would say that -log q > 0 for every q > 0."""
    _, conditions = applied(surprise, {share: q_i})
    assert not proved(conditions)
    assert refuted(conditions)


def test_what_a_lemma_supposed_is_supposed_of_its_use_too() -> None:
    _, conditions = applied(surprise, {})
    assert not proved(conditions)
    assert proved(conditions, (share < 1,))
    shown, conditions = applied(surprise, {share: Rational(1, 2)})
    assert shown == Gt(-log(Rational(1, 2)), 0, evaluate=False)  # SymPy would say: true
    assert proved(conditions)
    assert not proved(applied(surprise, {share: -sigma})[1])  # less than one, and not positive
    assert all(condition.note.startswith(surprise.id) for condition in conditions)


def test_a_strict_inequality_does_not_follow_from_weak_ones() -> None:
    relation = Gt(p_i * log(p_i / q_i) + Rational(1, 1000), p_i - q_i, evaluate=False)
    with pytest.raises(ValueError, match="strict"):
        combination(relation, [(Integer(1), applied(pointwise, {p_i: p_i}))], name="sum")


EQUAL_SIDES = Gt(log(p_i) + log(q_i), log(p_i * q_i), evaluate=False)


def test_a_strict_inequality_does_not_follow_from_nothing() -> None:
    """No enclosure tells the two sides apart, so that no point refutes it."""
    with pytest.raises(ValueError, match="strict"):
        combination(EQUAL_SIDES, [], name="nothing")


def test_a_strict_inequality_follows_from_strict_ones_with_positive_coefficients() -> None:
    below = applied(surprise, {share: share})
    twice = Gt(-2 * log(share), 0, evaluate=False)
    made = combination(twice, [(Integer(2), below)], name="twice", given=(share < 1,))
    assert proved(made, (share < 1,))
    assert not proved(made)
    assert not proved(combination(EQUAL_SIDES, [(Integer(0), below)], name="nothing"), (share < 1,))


def test_a_combination_is_the_sum_of_what_it_names_and_asks_for_all_that_this_supposes() -> None:
    lemma, elsewhere = applied(pointwise, {q_i: Integer(1)}), applied(pointwise, {p_i: q_i, q_i: Integer(1)})
    weighted = Ge(excess * gap(lemma[0]) + gap(elsewhere[0]) / 2, 0, evaluate=False)
    terms = [(excess, lemma), (Rational(1, 2), elsewhere)]
    made = combination(weighted, terms, name="weighted")
    assert proved(made)
    assert {o for _, (_, conditions) in terms for o in conditions} <= set(made)
    assert all(o.note.startswith(("weighted: ", pointwise.id)) for o in made)
    assert not proved(combination(weighted, terms[:1], name="weighted"))
    assert not proved(combination(Ge(DIP_ABOVE, 0, evaluate=False), terms, name="another"))


def test_a_lemma_about_whole_numbers_is_not_used_of_others() -> None:
    about_whole = Holds(Ge(letters, 1, evaluate=False))
    lemma = Claim("test.lemma", "One is the least", about_whole, (), lambda relation: [], ())
    shown, conditions = applied(lemma, {letters: letters + 1})
    assert shown == Ge(letters + 1, 1, evaluate=False)
    assert proved(conditions)
    with pytest.raises(ValueError, match="whole numbers"):
        applied(lemma, {letters: Rational(1, 2)})


def test_a_lemma_is_used_in_its_symbols_domains() -> None:
    roots = Holds(Le(sqrt(excess), 1 + excess, evaluate=False))
    lemma = Claim("test.lemma", "A root", roots, (), lambda relation: [], ())
    for value, allowed in ((excess + sigma, True), (Integer(0), True), (excess - sigma, False), (m_1, False)):
        shown, conditions = applied(lemma, {excess: value})
        assert shown == Le(sqrt(value), 1 + value, evaluate=False)
        assert proved(conditions) is allowed
        assert all(condition.note.startswith("test.lemma") for condition in conditions)
    assert not proved(applied(pointwise, {p_i: excess})[1])  # zero is not positive


def test_squares_need_weights_that_are_not_negative() -> None:
    true, false = Ge((m_1 - m_2) ** 2, 0, evaluate=False), Ge(-((m_1 - m_2) ** 2) / sigma, 0, evaluate=False)
    assert proved(squares(true, [(Integer(1), m_1 - m_2)], name=""))
    assert refuted(squares(false, [(-1 / sigma, m_1 - m_2)], name=""))


def test_squares_are_all_there() -> None:
    relation = Ge(sigma * m_1**2 + (m_1 - 2 * m_2) ** 2, 0, evaluate=False)
    terms = [(sigma, m_1), (Integer(1), m_1 - 2 * m_2)]
    made = squares(relation, terms, name="two")
    assert proved(made)
    assert all(obligation.note.startswith("two: ") for obligation in made)
    assert not proved(squares(relation, terms[:1], name="one"))
    assert not proved(squares(relation, [(m_2, m_1), *terms[1:]], name="a weight of unknown sign"))
    with pytest.raises(ValueError, match="may vanish"):
        squares(Gt(sigma * m_1**2, -1, evaluate=False), terms[:1], name="strict")


@pytest.mark.parametrize("certificate", [combination, squares])
def test_a_false_inequality_is_met_as_it_stands(certificate: Callable[..., list[Obligation]]) -> None:
    for relation, given in (
        (Ge(99 + p_i - p_i * q_i, 0, evaluate=False), ()),  # fails at 100 · 100
        (Ge(Rational(9, 10), p, evaluate=False), (p < 1,)),  # fails at 99/100
    ):
        [stated] = certificate(relation, [], name="false", given=given)
        assert stated == replace(holds(relation, "false: as stated"), given=stated.given)
        assert refuted([stated])
    true = Ge(p * (1 - p), 0, evaluate=False)  # it fails at 100, but there is a hypothesis
    assert all(o.note != "true: as stated" for o in certificate(true, [], name="true", given=(p < 1,)))


def test_counterexamples_are_sought_at_the_ends_of_the_domains_of_what_is_free() -> None:
    relation = Ge(p * sigma * letters * m_1 * q, 0, evaluate=False)
    nowhere, *ends = _ends(relation, (p < 1, q <= 2, Eq(q, 1 - p)))
    assert nowhere == ()
    assert {frozenset(end) for end in ends} == {
        frozenset({Eq(p, small), Eq(sigma, any_)}) for small in EXTREMES_IN_UNIT for any_ in EXTREMES
    }
    assert 0 < EXTREMES_IN_UNIT[0] < Rational(1, 10)
    assert Rational(9, 10) < EXTREMES_IN_UNIT[1] < 1
    assert 0 < EXTREMES[0] < Rational(1, 10)
    assert EXTREMES[1] > 10


@pytest.mark.parametrize(
    ("relation", "true"),
    [
        (Lt(log(2) / 2, log(3) / 3, evaluate=False), True),
        (Lt(log(3) / 3, log(2) / 2, evaluate=False), False),
        (Le(log(4), 2 * log(2), evaluate=False), True),
        (Lt(log(4), 2 * log(2), evaluate=False), False),
        (Gt(log(Rational(1, 3)), log(Rational(1, 4)), evaluate=False), True),
        (Ge(log(5) - log(7), log(2) - log(3), evaluate=False), True),
        (Ge(log(5) - log(7), log(4) - log(5), evaluate=False), False),
    ],
)
def test_logarithms_of_numbers_are_compared_exactly(relation: Relational, true: bool) -> None:
    made = numbers(relation, name="numbers")
    assert proved(made) is true
    assert refuted(made) is not true
    assert all(obligation.note.startswith("numbers: ") for obligation in made)


def test_the_difference_of_equal_numbers_is_the_logarithm_of_one() -> None:
    assert proved(numbers(Le(log(2), log(2), evaluate=False), name=""))
    assert not proved(numbers(Lt(log(2), log(2), evaluate=False), name=""))


def test_numbers_beside_logarithms_are_not_decided() -> None:
    made = numbers(Lt(log(2), 1, evaluate=False), name="beside")
    assert [obligation.note for obligation in made] == ["beside: as stated"]
    assert not proved(made)
