"""The bound's exact oracle: what it computes can be checked against Bayes' rule and against a wrong line."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from derivations.bound import L_SO_FAR, ON_CHAINS, TWO_STEPS, terms
from derivations.proof import normal_form, witness
from derivations.proof.finite_chain import FiniteChain, Logs, log_of
from derivations.proof.symbols import kl_rest_t, kl_rest_without_x0

HALVES = (Fraction(1, 2), Fraction(1, 2))
positive = st.fractions(min_value=Fraction(1, 1000), max_value=1000, max_denominator=1000).filter(bool)
chains = st.builds(FiniteChain.random, st.integers(0, 10_000), T=st.integers(1, 3), states=st.integers(2, 3))


@given(positive, positive)
def test_the_logarithm_of_a_product_is_the_sum(a: Fraction, b: Fraction) -> None:
    assert log_of(a * b) == log_of(a) + log_of(b)


def test_a_logarithm_is_its_prime_exponents() -> None:
    assert log_of(Fraction(12, 35)) == Logs(
        {2: Fraction(2), 3: Fraction(1), 5: Fraction(-1), 7: Fraction(-1)}
    )


@pytest.mark.parametrize("value", [Fraction(0), Fraction(-1, 2)])
def test_only_positive_fractions_have_logarithms(value: Fraction) -> None:
    with pytest.raises(ValueError, match="only a positive fraction has a logarithm"):
        log_of(value)


@settings(deadline=None, max_examples=20)
@given(chains)
def test_paths_sum_to_one_and_conditionals_obey_bayes(chain: FiniteChain) -> None:
    for process in (chain.q, chain.p):
        assert process.probability({}) == 1
        for path in process.weights:
            forwards = process.conditional(path, [1], [0]) * process.probability({0: path[0]})
            backwards = process.conditional(path, [0], [1]) * process.probability({1: path[1]})
            assert forwards == backwards == process.probability({0: path[0], 1: path[1]})


@settings(deadline=None, max_examples=20)
@given(chains)
def test_the_bound_lies_above_the_negative_log_likelihood(chain: FiniteChain) -> None:
    steps = range(1, chain.T + 1)
    gap = chain.mean(lambda path: chain.log_q(path, steps, [0]) - chain.log_p(path, steps, [0]))
    assert float(gap.expression.evalf(50)) >= 0


def test_a_row_that_is_no_law_is_refused() -> None:
    broken = ((HALVES, (Fraction(1, 2), Fraction(1, 3))),)
    with pytest.raises(ValueError, match="positive and sums to 1"):
        FiniteChain(HALVES, broken, HALVES, ((HALVES, HALVES),))


def test_steps_must_come_in_pairs() -> None:
    with pytest.raises(ValueError, match="2 forward steps against 1 reverse steps"):
        FiniteChain(HALVES, ((HALVES, HALVES),) * 2, HALVES, ((HALVES, HALVES),))


def test_a_wrong_line_is_told_from_a_right_one() -> None:
    right = ON_CHAINS.same_mean(L_SO_FAR, terms.value, "the bound")
    assert all(normal_form.decide(obligation) == "proved" for obligation in right)
    wrong = ON_CHAINS.same_mean(
        L_SO_FAR, terms.value.xreplace({kl_rest_t: kl_rest_without_x0}), "x_0 forgotten", at_least=2
    )
    assert all(witness.refute(obligation) for obligation in wrong)


def test_a_line_of_degree_two_is_refused() -> None:
    with pytest.raises(ValueError, match="not linear"):
        ON_CHAINS.mean(kl_rest_t**2, TWO_STEPS)
