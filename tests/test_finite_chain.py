"""The bound's exact oracle: what it computes can be checked against Bayes' rule and against a wrong line."""

from __future__ import annotations

from fractions import Fraction
from math import log, prod
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sympy import Ge, Gt, Integer, Le, Lt, Rational, sqrt
from sympy.core.relational import Relational

from derivations.bound import L_SO_FAR, ON_CHAINS, TWO_STEPS, terms
from derivations.proof import normal_form, witness, z3_kernel
from derivations.proof.finite_chain import (
    FiniteChain,
    Logs,
    Mean,
    MeanHolds,
    Oracle,
    Row,
    Table,
    log_of,
    number,
    total,
)
from derivations.proof.symbols import kl_prior, kl_rest_t, kl_rest_without_x0, tex
from tests.made_claims import a, b, u, v

HALVES = (Fraction(1, 2), Fraction(1, 2))
positive = st.fractions(min_value=Fraction(1, 1000), max_value=1000, max_denominator=1000).filter(bool)
chains = st.builds(FiniteChain.random, st.integers(0, 10_000), T=st.integers(1, 3), states=st.integers(2, 3))


@given(positive, positive)
def test_the_logarithm_of_a_product_is_the_sum(a: Fraction, b: Fraction) -> None:
    assert log_of(a * b) == log_of(a) + log_of(b)


@given(positive, positive, st.integers(-3, 3))
def test_logarithms_are_added_and_multiplied_as_numbers_are(a: Fraction, b: Fraction, n: int) -> None:
    assert log_of(a / b) == log_of(a) - log_of(b)
    assert log_of(a**n) == log_of(a).times(Fraction(n))
    assert total([log_of(a), log_of(b), log_of(a)]) == log_of(a * a * b)
    assert total([]) == log_of(Fraction(1)) == Logs({})
    assert Logs({}).expression is Integer(0)
    mixed = log_of(a).times(Fraction(n, 2)) + number(b)
    assert mixed.at(1) == b
    assert float(mixed.expression) == pytest.approx(n / 2 * log(a) + b)


def test_a_logarithm_is_its_prime_exponents() -> None:
    assert log_of(Fraction(12, 35)) == Logs(
        {2: Fraction(2), 3: Fraction(1), 5: Fraction(-1), 7: Fraction(-1)}
    )


@pytest.mark.parametrize("value", [Fraction(0), Fraction(-1, 2)])
def test_only_positive_fractions_have_logarithms(value: Fraction) -> None:
    with pytest.raises(ValueError, match="only a positive fraction has a logarithm"):
        log_of(value)


@given(st.sampled_from([2, 3, 4, 9, 25, 49, 77, 97, 121, 2 * 97, 97 * 101]))
def test_a_logarithm_is_factored_into_primes(n: int) -> None:
    primes = log_of(Fraction(n)).coefficients
    assert prod(prime ** int(power) for prime, power in primes.items()) == n
    assert all(prime % divisor for prime in primes for divisor in range(2, prime))


# -- chains --------------------------------------------------------------------------------------------------

rows = st.lists(st.integers(1, 5), min_size=2, max_size=2).map(
    lambda parts: tuple(Fraction(part, sum(parts)) for part in parts)
)
tables = st.tuples(rows, rows)


@settings(deadline=None, max_examples=20)
@given(rows, rows, st.lists(st.tuples(tables, tables), min_size=1, max_size=3))
def test_a_chain_has_the_laws_that_it_was_made_of(
    data: Row, prior: Row, steps: list[tuple[Table, Table]]
) -> None:
    forward, reverse = zip(*steps, strict=True)
    chain = FiniteChain(data, forward, prior, reverse)
    assert (chain.T, chain.states) == (len(steps), 2)
    assert len(chain.q.weights) == len(chain.p.weights) == 2 ** (chain.T + 1)
    for path in chain.q.weights:
        assert chain.log_q(path, [0]) == log_of(data[path[0]])
        assert chain.log_p(path, [chain.T]) == log_of(prior[path[-1]])
        for t in range(1, chain.T + 1):
            before, after = path[t - 1], path[t]
            # given all that went before, and given the state before alone
            assert chain.q.conditional(path, [t], range(t)) == forward[t - 1][before][after]
            assert chain.log_q(path, [t], [t - 1]) == log_of(forward[t - 1][before][after])
            assert chain.p.conditional(path, [t - 1], range(t, chain.T + 1)) == reverse[t - 1][after][before]
            assert chain.log_p(path, [t - 1], [t]) == log_of(reverse[t - 1][after][before])


@given(st.integers(0, 100), st.integers(1, 3), st.integers(2, 3))
def test_a_seed_settles_a_chain(seed: int, T: int, states: int) -> None:
    chain = FiniteChain.random(seed, T, states)
    assert (chain.T, chain.states) == (T, states)
    assert chain.q.weights == FiniteChain.random(seed, T, states).q.weights
    assert chain.q.weights != FiniteChain.random(seed + 1, T, states).q.weights
    assert len({chain.q.conditional((i, j, *[0] * T), [1], [0]) for i in (0, 1) for j in (0, 1)}) > 1


@settings(deadline=None, max_examples=20)
@given(chains, st.data())
def test_a_divergence_is_a_mean_difference_of_logarithms(chain: FiniteChain, data: st.DataObject) -> None:
    path = data.draw(st.sampled_from(sorted(chain.q.weights)))
    every = range(chain.T + 1)
    q, p = (lambda at: chain.q.conditional(at, every)), (lambda at: chain.p.conditional(at, every))
    assert chain.divergence(q, p, path, every) == chain.mean(
        lambda at: chain.log_q(at, every) - chain.log_p(at, every)
    )
    assert chain.divergence(q, q, path, every) == Logs({})
    step = (lambda at: chain.q.conditional(at, [1], [0])), (lambda at: chain.p.conditional(at, [1], [0]))
    assert float(chain.divergence(*step, path, [1]).expression) >= 0


@given(chains)
def test_the_paths_elsewhere_differ_where_they_may_and_nowhere_else(chain: FiniteChain) -> None:
    path = max(chain.q.weights)
    assert list(chain.elsewhere(path, [])) == [path]
    found = list(chain.elsewhere(path, [0, chain.T]))
    assert len(found) == len(set(found)) == chain.states**2
    assert {other[1 : chain.T] for other in found} == {path[1 : chain.T]}
    assert set(found) <= set(chain.q.weights)


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


STEPS = ((HALVES, HALVES),)
NO_LAWS = [
    (Fraction(1, 2), Fraction(1, 3)),
    (Fraction(1), Fraction(0)),
    (Fraction(3, 2), Fraction(-1, 2)),
    (Fraction(1, 3),) * 3,
]


@pytest.mark.parametrize("row", NO_LAWS, ids=str)
@pytest.mark.parametrize("place", ["data", "forward", "prior", "reverse"])
def test_a_row_that_is_no_law_is_refused(place: str, row: Row) -> None:
    laws: dict[str, Any] = {"data": HALVES, "forward": STEPS, "prior": HALVES, "reverse": STEPS}
    laws[place] = row if place in ("data", "prior") else ((HALVES, row),)
    with pytest.raises(ValueError, match="positive and sums to 1"):
        FiniteChain(**laws)


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
    for line in (kl_rest_t**2, kl_rest_t * kl_prior, kl_rest_t / kl_prior, sqrt(2) * kl_prior):
        with pytest.raises(ValueError, match="not linear"):
            ON_CHAINS.mean(line, TWO_STEPS)


def test_a_line_is_read_by_what_its_symbols_mean() -> None:
    oracle = Oracle(
        [TWO_STEPS], {a: lambda chain, path: log_of(Fraction(2 + path[0])), b: lambda *_: log_of(Fraction(3))}
    )
    q = TWO_STEPS.q.probability({0: 0})
    assert oracle.mean(a, TWO_STEPS) == log_of(Fraction(2)).times(q) + log_of(Fraction(3)).times(1 - q)
    line = 2 * a / 3 - b / 2 + Rational(5, 7)
    assert oracle.mean(line, TWO_STEPS) == (
        oracle.mean(a, TWO_STEPS).times(Fraction(2, 3))
        - log_of(Fraction(3)).times(Fraction(1, 2))
        + number(Fraction(5, 7))
    )
    with pytest.raises(ValueError, match="has no meaning"):
        oracle.mean(a + u, TWO_STEPS)


ONE_STEP = FiniteChain(HALVES, STEPS, HALVES, STEPS)


def test_two_lines_are_compared_on_every_chain_that_is_long_enough() -> None:
    meaning = {a: lambda *_: log_of(Fraction(6)), b: lambda *_: log_of(Fraction(10)) + number(Fraction(1, 2))}
    oracle = Oracle([ONE_STEP, TWO_STEPS], meaning)
    same = oracle.same_mean(a, a + 0, "a line")
    assert [o.note for o in same] == [f"a line, exactly, on 2 states with T = {T}" for T in (1, 2)]
    assert all(normal_form.decide(o) == z3_kernel.decide(o) == "proved" for o in same)
    assert float(same[0].left) == float(same[0].right) == pytest.approx(log(6))
    [longer] = oracle.same_mean(a, a, "a line", at_least=2)
    assert longer == same[1]
    assert oracle.same_mean(a, a, "a line", at_least=3) == []
    [other, _] = oracle.same_mean(a, b, "another")
    assert other.note.endswith("T = 1: the rational part")
    assert (other.left, other.right) == (0, Rational(1, 2))
    [other, _] = oracle.same_mean(a, b - Rational(1, 2), "another")
    assert other.note.endswith("T = 1: the coefficient of log 3")
    assert (other.left, other.right) == (1, 0)
    [other, _] = oracle.same_mean(a, 2 * a, "twice")
    assert other.note.endswith("T = 1: the coefficient of log 2")
    assert (other.left, other.right) == (1, 2)


# -- statements ----------------------------------------------------------------------------------------------


def test_a_mean_shows_what_it_is_taken_of() -> None:
    stated = Mean("L", a + u)
    assert stated.parts == {"value": a + u}
    for value in (a + u, b):
        assert stated.latex({"value": value}) == rf"L = \mathbb{{E}}_{{q}}\left[{tex(value)}\right]"
    assert Mean(v, a, under="p").latex({"value": a}) == rf"{tex(v)} = \mathbb{{E}}_{{p}}\left[{tex(a)}\right]"


@pytest.mark.parametrize(("relation", "sign"), [(Le, r"\leq"), (Lt, "<"), (Ge, r"\geq"), (Gt, ">")])
def test_a_relation_between_means_shows_both_sides(relation: type[Relational], sign: str) -> None:
    stated = MeanHolds(relation(a, b, evaluate=False))
    assert stated.parts == {"relation": stated.relation}
    left, right = (rf"\mathbb{{E}}_{{q}}\left[{tex(side)}\right]" for side in (a, b))
    assert stated.latex(stated.parts) == f"{left} {sign} {right}"
