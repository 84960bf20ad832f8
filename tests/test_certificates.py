"""What a certificate asks to be checked is enough: a false statement always fails one of its obligations."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sympy import Eq, Expr, Ge, Integer, Le, cos, diff, exp, log, pi, sin, sqrt
from sympy.core.relational import Relational

from derivations.forward import decay
from derivations.proof import normal_form, witness, z3_kernel
from derivations.proof.certificates import (
    antiderivative,
    gaussian_integral,
    induction,
    induction_from_one,
    same_density,
    stays_below,
    tends_to_zero,
)
from derivations.proof.obligations import Obligation, equal
from derivations.proof.symbols import (
    alpha_bar_prev,
    alpha_bar_t,
    alpha_t,
    argument,
    beta_min,
    beta_sum_prev,
    beta_sum_t,
    beta_t,
    d,
    excess,
    inner,
    mu,
    sigma,
    sqnorm,
    t,
    tolerance,
    x,
    x_0,
)

SCHEDULE = (
    Eq(beta_t, 1 - alpha_t),
    alpha_t < 1,
    Eq(alpha_bar_t, alpha_bar_prev * alpha_t),
    alpha_bar_prev <= 1,
)


def verdicts(obligations: list[Obligation], given: tuple[Relational, ...] = ()) -> list[bool]:
    """Tell of each obligation whether both kernels prove it; a point must refute each of the others."""
    decided = []
    for obligation in obligations:
        posed = replace(obligation, given=(*given, *obligation.given))
        both = {normal_form.decide(posed), z3_kernel.decide(posed)} == {"proved"}
        assert both or witness.refute(posed) is not None
        decided.append(both)
    return decided


# -- induction -----------------------------------------------------------------------------------------------


def by_steps(closed: Expr, add: Expr, first: Expr | int = 0) -> list[bool]:
    """The sequence u_t = α_t u_{t-1} + `add`, against a closed form."""
    made = induction(
        closed,
        lambda previous: alpha_t * previous + add,
        start={alpha_bar_t: 1},
        first=first,
        previous={alpha_bar_t: alpha_bar_prev},
        name="u",
    )
    return verdicts(made, SCHEDULE)


def test_a_true_closed_form_passes_both_steps() -> None:
    assert by_steps(1 - alpha_bar_t, beta_t) == [True, True]
    assert by_steps(alpha_bar_t * sigma, Integer(0), first=sigma) == [True, True]


def test_a_wrong_start_and_a_wrong_step_each_fail_where_they_are_wrong() -> None:
    assert by_steps(1 - alpha_bar_t, beta_t, first=1) == [False, True]
    assert by_steps(1 - alpha_bar_t**2, beta_t) == [True, False]


def test_a_closed_form_may_not_take_one_steps_alpha_for_every_steps() -> None:
    # u_t = α_t u_{t-1} + (1 - α_t) α_t is not (1 - ᾱ_t) α_t: the earlier steps had other α
    assert by_steps((1 - alpha_bar_t) * alpha_t, (1 - alpha_t) * alpha_t) == [True, False]
    assert by_steps((1 - alpha_bar_t) * beta_t, (1 - alpha_t) * beta_t) == [True, False]


def test_a_closed_form_may_not_look_one_step_back_for_free() -> None:
    assert not all(by_steps(1 - alpha_bar_prev, beta_t))


def bounded(relation: Relational) -> list[bool]:
    return verdicts(list(decay.proof(relation)), (*SCHEDULE[:2], Eq(beta_sum_t, beta_sum_prev + beta_t)))


def test_a_bound_is_for_the_sequence_and_in_the_direction_that_the_relation_states() -> None:
    bound = 1 / (1 + beta_sum_t)
    assert bounded(Le(alpha_bar_t, bound)) == [True, True, True]
    assert bounded(Le(2 * alpha_bar_t, bound)) == [False, True, True]
    assert bounded(Ge(alpha_bar_t, bound)) == [True, True, False]
    assert bounded(Le(alpha_bar_t, bound / 2)) == [True, False, True]
    # what the bound says of this step's β_t it said of another one before
    assert bounded(Le(alpha_bar_t, 1 / (1 + beta_sum_t) - beta_t * beta_sum_t))[-1] is False


def test_an_induction_may_begin_at_the_first_step() -> None:
    def from_one(closed: Expr, first: Expr | int) -> list[Obligation]:
        return induction_from_one(
            closed,
            lambda previous: alpha_t * previous + beta_t,
            start={alpha_bar_t: alpha_t, alpha_bar_prev: 1},
            first=first,
            previous={alpha_bar_t: alpha_bar_prev},
            name="u",
        )

    made = from_one(1 - alpha_bar_t, 1 - alpha_t)
    assert [obligation.note for obligation in made] == ["u: base case T = 1", "u: step from T - 1 to T"]
    assert verdicts(made, SCHEDULE) == [True, True]
    assert verdicts(from_one(1 - alpha_bar_t, 0), SCHEDULE) == [False, True]
    assert verdicts(from_one(1 - alpha_bar_t**2, 1 - alpha_t**2), SCHEDULE) == [True, False]


def test_a_bound_that_sympy_would_call_true_is_left_to_the_kernels() -> None:
    made = stays_below(
        Ge(alpha_bar_t, 0, evaluate=False),
        lambda before: alpha_t * before,
        sequence=alpha_bar_t,
        start={alpha_bar_t: 1},
        first=1,
        previous={alpha_bar_t: alpha_bar_prev},
        name="u",
    )
    assert verdicts(made, SCHEDULE) == [True, True, True]


# -- limits --------------------------------------------------------------------------------------------------


def tends(bound: Expr, threshold: Expr) -> list[bool]:
    return verdicts(tends_to_zero(bound, index=t, tolerance=tolerance, threshold=threshold, name="bound"))


def test_a_limit_is_below_any_tolerance_from_the_threshold_on() -> None:
    assert tends(1 / (1 + t * beta_min), 1 / (beta_min * tolerance)) == [True, True]
    assert tends(1 / (1 + t * beta_min), 1 / tolerance) == [True, False]
    assert tends(1 / (1 + t * beta_min) - 1, 1 / (beta_min * tolerance)) == [False, True]
    assert tends(beta_min + 1 / t, 1 / tolerance) == [True, False]


@pytest.mark.parametrize(
    ("bound", "threshold"),
    [(tolerance / 2, Integer(1)), (1 / t, t), (1 / (t + excess), 1 / tolerance), (1 / t, excess)],
    ids=str,
)
def test_a_limit_may_not_borrow_its_own_tolerance_or_index(bound: Expr, threshold: Expr) -> None:
    with pytest.raises(ValueError, match="may not depend"):
        tends_to_zero(bound, index=t, tolerance=tolerance, threshold=threshold, name="bound")


# -- integrals -----------------------------------------------------------------------------------------------


@given(st.integers(1, 4), st.integers(-3, 3), st.integers(-3, 3))
def test_the_integral_of_the_exponential_of_a_quadratic(a: int, b: int, c: int) -> None:
    exponent = -Integer(a) / 2 * sqnorm(x) + b * inner(mu, x) + c * sqnorm(mu)
    integral = gaussian_integral(exponent, x, "q")
    assert verdicts([*integral.obligations]) == [True, True]
    assert (integral.precision, integral.shift) == (a, b * mu)
    assert verdicts([equal(integral.constant, c * sqnorm(mu), "constant")]) == [True]
    known = d / 2 * log(2 * pi / a) + (Integer(b) ** 2 / (2 * Integer(a)) + c) * sqnorm(mu)
    assert verdicts([equal(integral.log_value, known, "integral")]) == [True]
    assert verdicts([equal(integral.log_value, known + sqnorm(mu), "integral")]) == [False]


def test_the_linear_term_is_gathered_from_every_vector() -> None:
    exponent = -sigma * sqnorm(x) / 2 + 2 * inner(mu, x) - sigma * inner(x, x_0) + inner(mu, x_0)
    integral = gaussian_integral(exponent, x, "q")
    assert verdicts([*integral.obligations]) == [True, True]
    assert (integral.precision, integral.shift) == (sigma, 2 * mu - sigma * x_0)
    log_value = d / 2 * log(2 * pi / sigma) + sqnorm(2 * mu - sigma * x_0) / (2 * sigma) + inner(mu, x_0)
    assert verdicts([equal(integral.log_value, log_value, "integral")]) == [True]


def test_an_exponent_without_a_linear_term_is_its_own_square() -> None:
    integral = gaussian_integral(-sqnorm(x) / 2, x, "q")
    assert integral.log_value == d / 2 * log(2 * pi)
    assert (integral.shift, integral.constant) == (0, 0)
    assert integral.obligations[0].left == integral.obligations[0].right
    free = gaussian_integral(-sqnorm(x) / 2 + inner(mu, x_0), x, "q")
    assert free.log_value == d / 2 * log(2 * pi) + inner(mu, x_0)


def test_an_integral_that_diverges_is_not_given_a_value() -> None:
    integral = gaussian_integral(sqnorm(x) / 2 + inner(mu, x), x, "q")
    assert verdicts([*integral.obligations]) == [True, False]
    with pytest.raises(ValueError, match="not a quadratic"):
        gaussian_integral(inner(mu, x), x, "q")


@pytest.mark.parametrize(
    "exponent",
    [-x * sqnorm(x), -sqnorm(x) / 2 + x * inner(mu, x), -(sqnorm(x) ** 2) / 2 - sqnorm(x), -sqnorm(x) - x**2],
    ids=str,
)
def test_what_is_no_quadratic_is_not_integrated(exponent: Expr) -> None:
    try:
        integral = gaussian_integral(exponent, x, "q")
    except ValueError:
        return
    assert not all(verdicts([*integral.obligations]))


def test_a_density_is_known_by_its_normaliser_too() -> None:
    half = -sqnorm(x) / 2
    assert verdicts([same_density(2 * half, half, half, "square")]) == [True]
    assert verdicts([same_density(2 * half, half + d * log(Integer(2)), half, "square")]) == [False]


@given(
    st.sampled_from(
        [argument**3, exp(2 * argument), sin(argument), sqrt(1 + sigma), argument * cos(argument)]
    )
)
def test_an_antiderivative_is_checked_by_its_derivative(primitive: Expr) -> None:
    integrand = diff(primitive, argument)
    for wrong, expected in ((0, True), (1, False)):
        obligation = antiderivative(primitive, integrand + wrong, argument, "primitive")
        assert verdicts([obligation]) == [expected]


# -- what an obligation says of itself -----------------------------------------------------------------------


def test_every_obligation_says_what_it_is_asked_for() -> None:
    steps: dict[str, Any] = {"first": 0, "previous": {alpha_bar_t: alpha_bar_prev}, "name": "name"}
    start = {alpha_bar_t: Integer(1)}
    made = [
        *induction(alpha_bar_t, lambda before: before, start=start, **steps),
        *induction_from_one(alpha_bar_t, lambda before: before, start=start, **steps),
        *stays_below(Le(alpha_bar_t, 1), lambda before: before, sequence=alpha_bar_t, start=start, **steps),
        *tends_to_zero(1 / t, index=t, tolerance=tolerance, threshold=1 / tolerance, name="name"),
        *gaussian_integral(-sqnorm(x), x, "name").obligations,
        antiderivative(argument, Integer(1), argument, "name"),
        same_density(sigma, sigma, sigma, "name: the densities"),
    ]
    notes = [obligation.note for obligation in made]
    assert all(note.startswith("name: ") for note in notes)
