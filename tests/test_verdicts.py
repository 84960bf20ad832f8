"""What makes a claim fail, and what notices if a kernel could not be trusted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from time import perf_counter
from typing import Any

import pytest
from sympy import (
    Abs,
    Basic,
    Eq,
    Expr,
    Ge,
    Gt,
    Integer,
    Le,
    Lt,
    PolynomialError,
    cos,
    exp,
    log,
    pi,
    sin,
    sqrt,
)
from sympy.core.relational import Relational

from derivations.gaussians import log_normal
from derivations.posterior import variance as posterior_variance
from derivations.proof import cards, claims, normal_form, witness, z3_kernel
from derivations.proof.claims import (
    Claim,
    Decided,
    Equation,
    Eventually,
    Holds,
    Law,
    Mutant,
    Statement,
    claim,
    mutant,
)
from derivations.proof.dimension import by_coordinates
from derivations.proof.obligations import Obligation, at_most, equal, holds
from derivations.proof.symbols import (
    E,
    T,
    alpha_t,
    beta_t,
    mu,
    sigma,
    sqnorm,
    t,
    tex,
    x,
    z,
)
from tests.made_claims import a, b, problems, state, u, v


@pytest.fixture(autouse=True)
def _a_book_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claims, "_registry", {})


def test_a_sound_claim_is_proved() -> None:
    assert state().verdict == "proved"


def test_of_a_claim_nothing_is_said_beside_what_it_states() -> None:
    assert state().remark == ""


def test_claims_come_in_reading_order_whoever_imported_them_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claims, "CHAPTERS", ("posterior", "gaussians"))
    ids = ["gaussians.b", "nowhere.a", "posterior.z", "posterior.a", "gaussians.a"]
    monkeypatch.setattr(claims, "_registry", dict.fromkeys(ids))
    assert list(claims.every_claim()) == [ids[2], ids[3], ids[0], ids[4], ids[1]]


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


def test_a_false_claim_fails_with_what_the_kernels_say_and_the_point_that_refutes_it() -> None:
    stated = state(Integer(3))
    [decided] = stated.result.obligations
    [asked] = stated.obligations()
    found = witness.refute(asked)
    assert found is not None
    assert decided == Decided(asked, {"normal form": "not proved", "z3": "refuted"})
    said = "as stated: normal form says not proved, z3 says refuted"
    assert stated.result.problems == (f"{said}; refuted: {found.describe()}",)
    assert set(stated.result.refuted) == {"another", "twice and one"}
    for name, fall in stated.result.refuted.items():
        assert fall.note == "as stated"
        assert fall.left != fall.right, name


def test_a_true_claim_that_no_kernel_proves_fails() -> None:
    beyond = state(1 + cos(a) ** 2 + sin(a) ** 2)
    assert beyond.result.problems == ("as stated: normal form says not proved, z3 says refuted",)


def test_a_proof_of_nothing_fails() -> None:
    assert "the proof is empty" in state(proof=lambda value: []).result.problems


def test_an_expectation_of_what_is_no_polynomial_fails() -> None:
    assert "cannot be decided" in problems(
        state(proof=lambda value: [equal(E(exp(z)), value, "not a polynomial")])
    )


def test_one_mutant_is_too_few() -> None:
    assert "1 mutants; 2 are needed" in state(mutants=(mutant("one", value=3),)).result.problems


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


def test_a_mutant_may_fall_far_from_the_first_points() -> None:
    distant = 2 + (a - 1) * (a + 2) * (b - 1) * (b + 2)
    assert not any(
        witness.refute(equal(distant, 2, "distant"), tries=tries) for tries in range(claims.SPOT_CHECKS + 1)
    )
    wrong = (mutant("distant", value=distant), mutant("wrong", value=3))
    assert set(state(mutants=wrong).result.refuted) == {"distant", "wrong"}


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


# -- what a claim is -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("statement", "parts", "printed"),
    [
        (Equation("y", a + u), {"value": a + u}, "y = VALUE"),
        (Equation(v, a), {"value": a}, f"{tex(v)} = VALUE"),
        (Equation("y", 2), {"value": Integer(2)}, "y = VALUE"),
        (Holds(Le(a, u)), {"relation": Le(a, u)}, "RELATION"),
        (
            Eventually(Le(a, u), t + 1),
            {"threshold": t + 1},
            rf"{tex(Le(a, u))} \quad \text{{for every }} t \geq THRESHOLD",
        ),
        (
            Law("p", x, 2 * mu, sigma**2),
            {"mean": 2 * mu, "variance": sigma**2},
            rf"p = \mathcal{{N}}\left({tex(x)};\; MEAN,\; VARIANCE\, I\right)",
        ),
        (
            Law("p", x, mu, sigma + 1),
            {"mean": mu, "variance": sigma + 1},
            rf"p = \mathcal{{N}}\left({tex(x)};\; MEAN,\; \left(VARIANCE\right)\, I\right)",
        ),
    ],
    ids=str,
)
def test_a_statement_has_parts_and_prints_those_it_is_given(
    statement: Statement, parts: dict[str, Basic], printed: str
) -> None:
    assert statement.parts == parts
    assert all(isinstance(part, Basic) for part in statement.parts.values())
    for name, part in parts.items():
        printed = printed.replace(name.upper(), tex(part))
    assert statement.latex(parts) == printed


def test_a_claim_shows_its_statement_and_its_mutants() -> None:
    stated = claim(
        "test.law",
        "A law",
        Law("p", x, mu, sigma),
        proof=lambda mean, variance: [equal(mean, mu, "mean"), equal(variance, sigma, "variance")],
        mutants=[mutant("twice", mean=2 * mu, seen="a thread"), mutant("noisy", variance=2)],
        sources=["D2:107"],
        implemented_by=["ddpm_ref.nothing"],
        assumes=["a theorem"],
        remark="A remark.",
    )
    twice, noisy = stated.mutants
    assert (stated.mean, stated.variance) == (mu, sigma)
    assert stated.latex == stated.statement.latex({"mean": mu, "variance": sigma})
    assert stated.mutant_latex(twice) == stated.statement.latex({"mean": 2 * mu, "variance": sigma})
    assert stated.mutant_latex(noisy) == stated.statement.latex({"mean": mu, "variance": Integer(2)})
    assert (twice.seen, noisy.seen) == ("a thread", "")
    assert (stated.id, stated.title, stated.kind) == ("test.law", "A law", "theorem")
    assert (stated.sources, stated.implemented_by) == (("D2:107",), ("ddpm_ref.nothing",))
    assert (stated.assumes, stated.remark) == (("a theorem",), "A remark.")
    assert stated.verdict == "proved"
    assert set(stated.result.refuted) == {"twice", "noisy"}
    assert stated.result.problems == ()


def test_a_notebook_shows_a_claim_by_its_card(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cards, "as_json", lambda claim: {"id": claim.id})
    monkeypatch.setattr(cards, "card", lambda row: f"the card of {row['id']}")
    assert state()._repr_markdown_() == "the card of test.claim"
    assert state()._repr_mimebundle_(include=None) == {cards.MIME: {"id": "test.claim"}}


def test_a_claim_is_a_theorem_and_a_mutant_was_met_nowhere_unless_they_say_otherwise() -> None:
    bare = Claim("test.bare", "Bare", Equation("y", a), (), lambda value: [], ())
    assert bare.kind == "theorem"
    assert bare.uses_declared == ()
    assert bare.sources == bare.implemented_by == bare.assumes == ()
    assert bare.remark == ""
    assert Mutant("wrong", {}).seen == ""


def test_a_definition_is_called_one_and_must_do_what_it_is_for() -> None:
    wrong = (mutant("three", value=3), mutant("four", value=4))
    for value, verdict in ((Integer(2), "definition"), (Integer(1), "failed")):
        stated = claim(
            "test.definition",
            str(value),
            Equation("y", value),
            proof=lambda value: [equal(value, 2, "as stated")],
            mutants=wrong,
            definition=True,
        )
        assert (stated.kind, stated.verdict) == ("definition", verdict)
        claims._registry.clear()


def test_a_relation_proves_itself_and_nothing_else_does() -> None:
    wrong = [mutant("more", relation=Le(2 * u, v)), mutant("turned", relation=Ge(u, v))]
    stated = claim("test.relation", "Itself", Holds(Le(u, v)), given=[Eq(v, 1 + u)], mutants=wrong)
    assert stated.verdict == "proved"
    [itself] = stated.obligations()
    assert itself == at_most(u, v, "as stated", given=(Eq(v, 1 + u),))
    with pytest.raises(ValueError, match=r"test.equation: only a relation proves itself"):
        claim("test.equation", "No proof", Equation("y", a), mutants=[])


def test_hypotheses_of_a_claim_and_of_its_obligations_count_together() -> None:
    stated = state(
        a,
        lambda value: [equal(value, u + 1, "in two steps", given=(Eq(b, u + 1),))],
        (Eq(a, b),),
    )
    assert [o.given for o in stated.obligations()] == [(Eq(a, b), Eq(b, u + 1))]
    assert [o.left for o in stated.obligations(value=v)] == [v]
    assert stated.verdict == "proved"


def test_a_claim_uses_those_that_it_declares_and_those_that_its_proof_reads() -> None:
    def of(name: str, **options: Any) -> Claim:
        wrong = [mutant("three", value=3), mutant("four", value=4)]
        return claim(f"test.{name}", name, Equation("y", Integer(2)), mutants=wrong, **options)

    read, declared, unread = (of(name, proof=lambda value: [equal(value, 2, "it")]) for name in "abc")
    using = of("d", proof=lambda value: [equal(value, read.value, "it")], uses=[declared, declared])
    assert unread.value == 2  # outside every proof
    assert using.uses == ("test.b", "test.a")
    assert (read.uses, using.verdict) == ((), "proved")
    again: Claim = of("e", proof=lambda value: [equal(value, again.value, "it"), equal(value, 2, "it")])
    assert again.uses == ()


def test_a_proof_that_fails_does_not_leave_its_uses_to_others() -> None:
    def broken(value: Expr) -> list[Obligation]:
        raise ValueError("no proof")

    assert "cannot be decided: no proof" in problems(state(proof=broken))
    assert claims._proving == []


@pytest.mark.parametrize("error", [ValueError, TypeError, PolynomialError])
def test_a_proof_that_raises_an_error_fails(error: type[Exception]) -> None:
    def broken(value: Expr) -> list[Obligation]:
        raise error("no proof")

    stated = state(proof=broken)
    before = perf_counter()
    result = stated.result
    assert 0 <= result.seconds <= perf_counter() - before
    assert (result.verdict, result.obligations, result.refuted) == ("failed", (), {})
    assert result.problems == ("cannot be decided: no proof",)


def test_the_time_that_a_claim_took_is_counted() -> None:
    stated = state()
    before = perf_counter()
    assert 0 < stated.result.seconds <= perf_counter() - before


@pytest.mark.parametrize(
    ("outcomes", "proved"),
    [
        ({"normal form": "proved", "z3": "proved"}, True),
        ({"normal form": "proved", "z3": "unknown"}, False),
        ({"normal form": "proved", "z3": "refuted"}, False),
        ({"normal form": "not proved", "z3": "proved"}, False),
        ({"normal form": "proved"}, False),
        ({"z3": "proved"}, False),
        ({}, False),
    ],
    ids=str,
)
def test_what_both_kernels_prove_is_proved(outcomes: dict[str, str], proved: bool) -> None:
    assert Decided(equal(a, a, "itself"), outcomes).proved is proved


RIGHT = (Eq(v, 1 + u),)
ABOVE_ZERO = Lt(0, u, evaluate=False)  # SymPy would decide it, and its other versions


@pytest.mark.parametrize(
    "relation", [Le(2 * u, u + v), Lt(u, v), Ge(v, u), Gt(2 * v, 2 * u + 1), Eq(v, u + 1), ABOVE_ZERO]
)
def test_every_side_and_sign_of_a_relation_is_read_where_the_relation_is_what_is_proved(
    relation: Relational,
) -> None:
    wrong = [mutant("one", relation=Eq(u, v)), mutant("other", relation=Lt(v, u))]
    stated = claim("test.relation", "A relation", Holds(relation), given=RIGHT, mutants=wrong)
    assert stated.verdict == "proved", stated.result.problems


@pytest.mark.parametrize(
    ("proof", "unread"),
    [
        (lambda relation: [equal(relation.lhs, u, "left")], {"right side", "sign"}),
        (lambda relation: [equal(relation.rhs, v, "right")], {"left side", "sign"}),
        (lambda relation: [equal(relation.lhs, u, "left"), equal(relation.rhs, v, "right")], {"sign"}),
        (lambda relation: [holds(relation, "as stated")], set()),
    ],
)
@pytest.mark.parametrize("sign", [Le, Lt, Eq])
def test_what_a_proof_does_not_read_of_a_relation_is_named(
    sign: type[Relational], proof: Callable[[Relational], list[Obligation]], unread: set[str]
) -> None:
    relation = sign(u, v)
    given = (Eq(v, u),) if sign is Eq else RIGHT
    wrong = [mutant("one", relation=sign(u + 1, v - 1)), mutant("other", relation=sign(u + 2, v - 2))]
    stated = claim("test.relation", "A relation", Holds(relation), given=given, proof=proof, mutants=wrong)
    for what in ("left side", "right side", "sign"):
        named = f"the proof does not depend on the {what} of relation" in stated.result.problems
        assert named is (what in unread)


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
    assert "normal form and z3 prove 'inverse of the precision', which fails" in problems(
        replace(posterior_variance)
    )


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


@pytest.mark.parametrize("turned", [False, True])
def test_both_sides_of_every_obligation_must_mean_something(turned: bool) -> None:
    def sides(value: Expr) -> tuple[Expr, Expr]:
        return value * (a**2 - 1) / (a - 1), value * (a + 1)

    stated = state(
        proof=lambda value: [
            equal(value, 2, "as stated"),
            equal(*(sides(value)[::-1] if turned else sides(value)), "it"),
        ]
    )
    assert all(decided.proved for decided in stated.result.obligations)
    assert stated.result.problems == (f"it: {a - 1} is not shown to be nonzero",)


def test_a_statement_that_no_kernel_reads_cannot_be_decided() -> None:
    stated = state(Abs(a), lambda value: [equal(2, 2, "something else")])
    assert stated.result.problems == (f"cannot be decided: statement: no kernel reads {Abs(a)} in {Abs(a)}",)


def test_if_vacuous_hypotheses_passed_z3_no_point_would_satisfy_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(z3_kernel, "is_satisfiable", lambda given: "yes")
    assert "no rational point" in problems(
        state(a, lambda value: [equal(value, a, "itself")], (Gt(a, 1), a < 0))
    )


def test_the_check_of_denominators_is_what_keeps_them_nonzero(monkeypatch: pytest.MonkeyPatch) -> None:
    stated = state(1 / a, lambda value: [equal(value * a, 1, "inverse")])
    assert stated.verdict == "failed"
    assert stated.result.problems == (f"statement: {a} is not shown to be nonzero",)
    monkeypatch.setattr(z3_kernel, "is_always", lambda *_: "proved")
    assert replace(stated).verdict == "proved"
