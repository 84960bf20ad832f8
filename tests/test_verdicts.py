"""What makes a claim fail, and what notices if a kernel could not be trusted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from sympy import (
    Eq,
    Expr,
    Ge,
    Gt,
    Integer,
    exp,
    log,
    pi,
    sqrt,
)
from sympy.core.relational import Relational

from derivations.gaussians import log_normal
from derivations.posterior import variance as posterior_variance
from derivations.proof import claims, normal_form, z3_kernel
from derivations.proof.claims import Holds, Law, claim, mutant
from derivations.proof.dimension import by_coordinates
from derivations.proof.obligations import Obligation, at_most, equal
from derivations.proof.symbols import (
    E,
    T,
    alpha_t,
    beta_t,
    mu,
    sigma,
    sqnorm,
    x,
    z,
)
from tests.made_claims import a, b, problems, state, u, v


@pytest.fixture(autouse=True)
def _a_book_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claims, "_registry", {})


def test_a_sound_claim_is_proved() -> None:
    assert state().verdict == "proved"


@pytest.mark.parametrize(
    "hypotheses",
    [
        (Gt(a, 1), a < 0),
        (Eq(a, 1), Eq(a, 2)),
        (alpha_t < beta_t, beta_t < alpha_t),
        (Eq(T, u / 2), Eq(u, 1)),
    ],
    ids=str,
)
def test_hypotheses_that_cannot_hold_together_are_vacuous(hypotheses: tuple[Relational, ...]) -> None:
    assert "vacuous" in problems(
        state(a + alpha_t + T, lambda value: [equal(value, a + alpha_t + T, "itself")], hypotheses)
    )


def test_hypotheses_that_define_symbols_in_a_circle_fail() -> None:
    in_a_circle = (Eq(a, b + 1), Eq(b, a - 1))
    assert "circle" in problems(state(a, lambda value: [equal(value, b + 1, "itself")], in_a_circle))


def test_unknown_is_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(z3_kernel._Problem, "refute", lambda *_: "unknown")
    assert "z3 says unknown" in problems(state())
    assert z3_kernel.decide(equal(log(u * v), log(u) + log(v), "logarithms")) == "unknown"


def test_running_out_of_time_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    hard = sum((c**7 for c in (a, b, u, v)), Integer(0)) * (a**5 - b**3 + u * v) - 1
    monkeypatch.setattr(z3_kernel, "TIMEOUT_MS", 1)
    assert z3_kernel.decide(at_most(hard**2, hard**3, "hard")) == "unknown"


def test_a_proof_of_nothing_fails() -> None:
    assert "the proof is empty" in problems(state(proof=lambda value: []))


def test_an_expectation_of_what_is_no_polynomial_fails() -> None:
    assert "cannot be decided" in problems(
        state(proof=lambda value: [equal(E(exp(z)), value, "not a polynomial")])
    )


def test_one_mutant_is_too_few() -> None:
    assert "2 are needed" in problems(state(mutants=(mutant("one", value=3),)))


@pytest.mark.parametrize(
    ("equal_to_two", "why"),
    [(Integer(2), "the truth itself"), (2 * (1 + a**2) / (1 + a**2) * 1, "cancelled"), (sqrt(4), "a root")],
    ids=str,
)
def test_a_mutant_that_is_the_truth_is_not_refuted(equal_to_two: Expr, why: str) -> None:
    wrong = (mutant("wrong", value=3), mutant(why, value=equal_to_two))
    assert f"mutant {why!r}: not refuted" in problems(state(mutants=wrong))


def test_a_true_mutant_written_otherwise_is_not_refuted() -> None:
    stated = state(
        (a + b) ** 2,
        lambda value: [equal(value, (a + b) ** 2, "square")],
        mutants=(mutant("sign", value=(a - b) ** 2), mutant("written out", value=a**2 + 2 * a * b + b**2)),
    )
    assert "mutant 'written out': not refuted" in problems(stated)


def test_a_mutant_that_no_point_refutes_fails() -> None:
    # it differs from the truth only where no witness is sought
    far = 2 + a * (a - 1) * (a + 2) * (a - 3) * (2 * a - 1)
    assert "mutant 'far': not refuted" in problems(
        state(mutants=(mutant("far", value=far), mutant("wrong", value=3)))
    )


def test_a_mutant_names_parts_of_the_statement() -> None:
    with pytest.raises(ValueError, match="parts are"):
        state(mutants=(mutant("misnamed", variance=3), mutant("wrong", value=3)))


def test_mutants_have_names_of_their_own() -> None:
    with pytest.raises(ValueError, match="share a name"):
        state(mutants=(mutant("wrong", value=3), mutant("wrong", value=4)))


def test_a_part_of_the_statement_that_the_proof_does_not_read_fails() -> None:
    law = claim(
        "test.law",
        "A law whose variance nobody checked",
        Law("p", x, mu, sigma),
        proof=lambda mean, variance: [equal(mean, mu, "mean")],
        mutants=[mutant("twice", mean=2 * mu), mutant("noisy", mean=mu + sigma)],
    )
    assert "does not depend on the variance" in problems(law)


def test_a_side_or_a_sign_of_a_relation_that_the_proof_does_not_read_fails() -> None:
    relation = claim(
        "test.relation",
        "A relation of which only one side is read",
        Holds(Ge(a, u, evaluate=False)),
        proof=lambda relation: [equal(relation.rhs, u, "right side")],
        mutants=[mutant("twice", relation=Ge(a, 2 * u)), mutant("other", relation=Ge(a, v))],
    )
    assert "does not depend on the left side of relation" in problems(relation)
    assert "does not depend on the sign of relation" in problems(relation)
    assert "right side of relation" not in problems(relation)


def test_ids_are_never_reused() -> None:
    state()
    state()  # a notebook's cell, run again
    with pytest.raises(ValueError, match="is taken"):
        state(value=Integer(3))
    with pytest.raises(ValueError, match="is taken"):
        state(hypotheses=(Gt(a, 0),))


# -- kernels that cannot be trusted: what notices ------------------------------------------------------------

Decide = Callable[[Obligation], str]
KERNELS = {"normal form": normal_form, "z3": z3_kernel}


def accepts_everything(decide: Decide) -> Decide:
    return lambda obligation: "proved"


def ignores_hypotheses(decide: Decide) -> Decide:
    return lambda obligation: decide(replace(obligation, given=()))


def takes_failure_for_proof(decide: Decide) -> Decide:
    return lambda obligation: (
        "proved" if decide(obligation) in ("unknown", "not proved") else decide(obligation)
    )


def knows_one_dimension(decide: Decide) -> Decide:
    return lambda obligation: decide(
        replace(
            obligation, left=by_coordinates(obligation.left, 1), right=by_coordinates(obligation.right, 1)
        )
    )


def forgets_the_right_side(decide: Decide) -> Decide:
    return lambda obligation: decide(replace(obligation, right=obligation.left))


@pytest.mark.parametrize("name", KERNELS)
@pytest.mark.parametrize("corrupted", [accepts_everything, ignores_hypotheses, forgets_the_right_side])
def test_one_corrupted_kernel_is_caught_by_a_claim_of_the_book(
    name: str, corrupted: Callable[[Decide], Decide], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(KERNELS[name], "decide", corrupted(KERNELS[name].decide))
    assert replace(posterior_variance).verdict == "failed"


@pytest.mark.parametrize("name", KERNELS)
def test_one_kernels_proof_is_not_enough(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(KERNELS[name], "decide", lambda obligation: "not proved")
    assert f"{name} says not proved" in problems(state())


def test_two_kernels_that_accept_everything_are_caught_by_a_mutants_witness(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for kernel in KERNELS.values():
        monkeypatch.setattr(kernel, "decide", accepts_everything(kernel.decide))
    assert "prove 'inverse of the precision', which fails" in problems(replace(posterior_variance))


def test_two_kernels_that_accept_a_false_claim_are_caught_by_spot_checks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for kernel in KERNELS.values():
        monkeypatch.setattr(kernel, "decide", accepts_everything(kernel.decide))
    assert "both kernels prove it, yet it fails" in problems(state(Integer(3)))


@pytest.mark.parametrize("name", KERNELS)
def test_a_kernel_that_takes_failure_for_proof_is_caught(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    undecided = log(u) * log(v)  # z3's reading is linear in logarithms
    assert z3_kernel.decide(equal(undecided, 2, "undecided")) == "unknown"
    wrong = (mutant("undecided", value=undecided), mutant("wrong", value=3))
    assert state(mutants=wrong).verdict == "proved"
    monkeypatch.setattr(KERNELS[name], "decide", takes_failure_for_proof(KERNELS[name].decide))
    assert f"{name} prove 'as stated', which fails" in problems(state(mutants=wrong))


@pytest.mark.parametrize("name", KERNELS)
def test_a_kernel_that_knows_one_dimension_is_caught(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    stated = state(
        log_normal(x, mu, sigma**2),
        lambda value: [equal(value, log_normal(x, mu, sigma**2), "density")],
        mutants=(
            mutant("one dimension", value=-log(2 * pi * sigma**2) / 2 - sqnorm(x - mu) / (2 * sigma**2)),
            mutant("deviation", value=log_normal(x, mu, sigma)),
        ),
    )
    assert stated.verdict == "proved"
    monkeypatch.setattr(KERNELS[name], "decide", knows_one_dimension(KERNELS[name].decide))
    assert f"{name} prove 'density', which fails" in problems(replace(stated))


def test_if_vacuous_hypotheses_passed_z3_no_point_would_satisfy_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(z3_kernel, "is_satisfiable", lambda given: "yes")
    assert "no rational point" in problems(
        state(a, lambda value: [equal(value, a, "itself")], (Gt(a, 1), a < 0))
    )


def test_the_check_of_denominators_is_what_keeps_them_nonzero(monkeypatch: pytest.MonkeyPatch) -> None:
    stated = state(1 / a, lambda value: [equal(value * a, 1, "inverse")])
    assert stated.verdict == "failed"
    monkeypatch.setattr(z3_kernel, "is_always", lambda *_: "proved")
    assert replace(stated).verdict == "proved"
