"""Certificates for inequalities: each proves a true one; a false one falls, at a point if one is found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from sympy import Expr, Ge, Gt, Integer, Le, Lt, Rational, log
from sympy.core.relational import Relational

from derivations.divergences import pointwise, surprise
from derivations.proof import normal_form, witness, z3_kernel
from derivations.proof.inequalities import applied, combination, numbers, squares, tangent
from derivations.proof.obligations import Obligation
from derivations.proof.symbols import m_1, m_2, p, p_i, q, q_i, share, sigma

WITHIN = (p < 1, q < 1)
KL = p * log(p / q) + (1 - p) * log((1 - p) / (1 - q))


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


def test_a_tangent_whose_least_value_is_not_shown_proves_nothing() -> None:
    below = Ge(KL, -1, evaluate=False)
    assert not proved(tangent(below, q, at=p, upper=1, name="", given=WITHIN), WITHIN)


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


def test_a_strict_inequality_does_not_follow_from_weak_ones() -> None:
    relation = Gt(p_i * log(p_i / q_i) + Rational(1, 1000), p_i - q_i, evaluate=False)
    with pytest.raises(ValueError, match="strict"):
        combination(relation, [(Integer(1), applied(pointwise, {p_i: p_i}))], name="sum")


def test_squares_need_weights_that_are_not_negative() -> None:
    true, false = Ge((m_1 - m_2) ** 2, 0, evaluate=False), Ge(-((m_1 - m_2) ** 2) / sigma, 0, evaluate=False)
    assert proved(squares(true, [(Integer(1), m_1 - m_2)], name=""))
    assert refuted(squares(false, [(-1 / sigma, m_1 - m_2)], name=""))


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
    made = numbers(relation, name="")
    assert proved(made) is true
    assert refuted(made) is not true


def test_numbers_beside_logarithms_are_not_decided() -> None:
    assert not proved(numbers(Lt(log(2), 1, evaluate=False), name=""))
