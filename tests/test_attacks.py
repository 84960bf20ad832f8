"""The machinery of proof, corrupted in one place at a time: the program notices, whatever claims there are.

Each attack replaces one part by what a careless or a lying one would be. `python -m derivations` is then run
on a claim that has been decided before, so that only the questions with known answers can tell, and must
exit with 1. What would have noticed without them, a few claims decided anew, stands with each attack.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import partial
from itertools import islice
from typing import Any

import pytest
import z3
from sympy import Expr

import derivations.__main__ as program
from derivations.ledger import book as ledger_book
from derivations.ledger import canaries as ledger_canaries
from derivations.ledger import row as ledger_row
from derivations.ledger.row import Row
from derivations.proof import canaries, claims, deciding, normal_form, witness, z3_kernel
from derivations.proof.claims import Claim, Decided, Result
from derivations.proof.dimension import by_coordinates
from derivations.proof.obligations import Obligation
from derivations.proof.witness import Witness
from tests.oracle import CLAIMS

Decide = Callable[[Obligation], str]
Patch = pytest.MonkeyPatch
KERNELS = {"normal form": normal_form, "z3": z3_kernel}


# -- kernels -------------------------------------------------------------------------------------------------


def accepts_everything(decide: Decide, other: Decide) -> Decide:
    return lambda obligation: "proved"


def ignores_hypotheses(decide: Decide, other: Decide) -> Decide:
    return lambda obligation: decide(replace(obligation, given=()))


def takes_unknown_for_proved(decide: Decide, other: Decide) -> Decide:
    return lambda obligation: "proved" if (said := decide(obligation)) in UNDECIDED else said


UNDECIDED = ("unknown", "not proved")


def swallows_errors(decide: Decide, other: Decide) -> Decide:
    def decided(obligation: Obligation) -> str:
        try:
            return decide(obligation)
        except Exception:
            return "proved"

    return decided


def evaluates_one_point_in_floating_point(decide: Decide, other: Decide) -> Decide:
    def decided(obligation: Obligation) -> str:
        left, right = (by_coordinates(side, 1) for side in (obligation.left, obligation.right))
        for point in islice(witness.points(obligation, 1), 1):
            a, b = (float(side.subs(point).evalf()) for side in (left, right))
            near = abs(a - b) <= 1e-9 * (1 + abs(a))
            return "proved" if {"==": near, "<=": a <= b, "<": a < b}[obligation.relation] else no
        return "proved"

    no = decide(FALSE)
    return decided


def takes_no_witness_for_a_proof(decide: Decide, other: Decide) -> Decide:
    no = decide(FALSE)
    return lambda obligation: no if witness.refute(obligation) else "proved"


def says_what_the_other_says(decide: Decide, other: Decide) -> Decide:
    no = decide(FALSE)
    return lambda obligation: "proved" if other(obligation) == "proved" else no


def forgets_the_right_side(decide: Decide, other: Decide) -> Decide:
    return lambda obligation: decide(replace(obligation, right=obligation.left))


def knows_one_dimension(decide: Decide, other: Decide) -> Decide:
    def in_one(side: Expr) -> Expr:
        return by_coordinates(side, 1)

    return lambda obligation: decide(
        replace(obligation, left=in_one(obligation.left), right=in_one(obligation.right))
    )


def takes_weak_for_strict(decide: Decide, other: Decide) -> Decide:
    return lambda obligation: decide(
        replace(obligation, relation="<=") if obligation.relation == "<" else obligation
    )


FALSE = canaries.questions()[0].obligation

OF_A_KERNEL = (
    accepts_everything,
    ignores_hypotheses,
    takes_unknown_for_proved,
    swallows_errors,
    evaluates_one_point_in_floating_point,
    takes_no_witness_for_a_proof,
    says_what_the_other_says,
    forgets_the_right_side,
    knows_one_dimension,
    takes_weak_for_strict,
)


def corrupt(name: str, how: Callable[[Decide, Decide], Decide], patch: Patch) -> None:
    kernel, other = KERNELS[name], next(k for n, k in KERNELS.items() if n != name)
    patch.setattr(kernel, "decide", how(kernel.decide, other.decide))


def corrupt_both(how: Callable[[Decide, Decide], Decide], patch: Patch) -> None:
    for name in KERNELS:
        corrupt(name, how, patch)


# -- what stands around them ---------------------------------------------------------------------------------


def made_up(obligation: Obligation) -> Witness:
    return Witness(1, {}, Fraction(0), Fraction(1), "==", obligation.note, frozenset())


def drops_the_zeros_of_denominators(patch: Patch) -> None:
    patch.setattr(z3_kernel, "is_always", lambda *_: "proved")


def divides_as_z3_does(patch: Patch) -> None:
    """Any number may stand for a quotient by zero."""
    quotient = z3_kernel._Problem.quotient

    def total(self: Any, node: Expr) -> Any:
        top, bottom = quotient(self, node)
        return top / bottom, z3.RealVal(1)

    patch.setattr(z3_kernel._Problem, "quotient", total)
    patch.setattr(z3_kernel, "is_always", lambda *_: "proved")


def calls_every_hypothesis_possible(patch: Patch) -> None:
    patch.setattr(z3_kernel, "is_satisfiable", lambda given: "yes")


def refutes_without_a_witness(patch: Patch) -> None:
    patch.setattr(witness, "refute", lambda obligation, **_: made_up(obligation))


def refutes_what_it_sought_in_vain(patch: Patch) -> None:
    """Only where it has searched for long, so that no spot check is disturbed."""
    refute = witness.refute

    def refuted(obligation: Obligation, *, tries: int = witness.POINTS_TRIED) -> Witness | None:
        found = refute(obligation, tries=tries)
        return made_up(obligation) if found is None and tries == witness.POINTS_TRIED else found

    patch.setattr(witness, "refute", refuted)


def never_finds_a_witness(patch: Patch) -> None:
    patch.setattr(witness, "refute", lambda obligation, **_: None)


def finds_witnesses_outside_the_hypotheses(patch: Patch) -> None:
    patch.setattr(witness, "_holds", lambda hypothesis, point: True)


def takes_overlap_for_difference(patch: Patch) -> None:
    """Enclosures that touch count as different."""

    def fails(left: Any, relation: str, right: Any) -> bool:
        return bool(str(left) != str(right)) if relation == "==" else bool(left > right)

    patch.setattr(witness, "fails", fails)


def counts_an_undecided_mutant_as_refuted(patch: Patch) -> None:
    refute = claims._refute

    def refuted(claim: Claim, wrong: Any, proved: Any) -> Witness | str:
        found = refute(claim, wrong, proved)
        return made_up(FALSE) if isinstance(found, str) else found

    patch.setattr(claims, "_refute", refuted)


def is_content_with_one_kernel(patch: Patch) -> None:
    patch.setattr(Decided, "proved", property(lambda self: "proved" in self.outcomes.values()))


def is_content_with_any_number_of_mutants(patch: Patch) -> None:
    patch.setattr(claims, "MUTANTS_NEEDED", 0)


def reads_no_part(patch: Patch) -> None:
    patch.setattr(claims, "_unread", lambda claim, proved: [])


def lets_formulas_mean_nothing(patch: Patch) -> None:
    patch.setattr(claims, "_undefined", lambda note, expressions, given: [])


def lets_claims_be_vacuous(patch: Patch) -> None:
    patch.setattr(claims, "_ill_posed", lambda obligation: [])


def has_a_verdict_in_spite_of_problems(patch: Patch) -> None:
    decide = claims._decide
    patch.setattr(claims, "_decide", lambda claim: replace(decide(claim), verdict="proved"))


def takes_an_error_for_a_proof(patch: Patch) -> None:
    decide = claims._decide

    def decided(claim: Claim) -> Result:
        try:
            return decide(claim)
        except Exception:
            return Result("proved", (), {}, (), 0.0)

    patch.setattr(claims, "_decide", decided)


@dataclass(frozen=True)
class Attack:
    """A corruption of one part, or of both kernels."""

    name: str
    make: Callable[[Patch], None]


def _attack(name: str, make: Callable[[Patch], None], *marks: pytest.MarkDecorator) -> Any:
    return pytest.param(Attack(name, make), id=name, marks=marks)


AROUND_THEM = (
    drops_the_zeros_of_denominators,
    divides_as_z3_does,
    calls_every_hypothesis_possible,
    refutes_without_a_witness,
    refutes_what_it_sought_in_vain,
    never_finds_a_witness,
    finds_witnesses_outside_the_hypotheses,
    takes_overlap_for_difference,
    counts_an_undecided_mutant_as_refuted,
    is_content_with_one_kernel,
    is_content_with_any_number_of_mutants,
    reads_no_part,
    lets_formulas_mean_nothing,
    lets_claims_be_vacuous,
    has_a_verdict_in_spite_of_problems,
    takes_an_error_for_a_proof,
)
ATTACKS = [
    *(
        _attack(f"{how.__name__}: {name}", partial(corrupt, name, how))
        for how in OF_A_KERNEL
        for name in KERNELS
    ),
    *(
        _attack(f"{how.__name__}: both kernels", partial(corrupt_both, how), pytest.mark.slow)
        for how in OF_A_KERNEL
        if how is not says_what_the_other_says
    ),
    *(_attack(how.__name__, how) for how in AROUND_THEM),
]


def test_every_question_with_a_known_answer_is_answered_so() -> None:
    assert list(canaries.problems()) == []
    assert ledger_canaries.problems() == []


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_question_with_a_known_answer_shows_the_attack(attack: Attack, monkeypatch: Patch) -> None:
    attack.make(monkeypatch)
    assert next(canaries.problems(), None) is not None


@pytest.mark.parametrize("attack", [accepts_everything, swallows_errors])
def test_the_program_does_not_trust_claims_decided_under_attack(
    attack: Callable[[Decide, Decide], Decide], monkeypatch: Patch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert CLAIMS["gaussians.affine"].verdict == "proved"  # and stays so, having been decided
    corrupt("z3", attack, monkeypatch)
    assert program.main(["gaussians.affine"]) == 1
    out = capsys.readouterr().out
    assert "canary: no polynomial: z3 says proved, and no answer is right" in out
    assert "1 of 1 claims hold" in out


# -- what counts the verdicts --------------------------------------------------------------------------------


def has_no_problem_with_what_is_unknown(patch: Patch) -> None:
    problems = Row.problems.fget  # type: ignore[attr-defined]
    patch.setattr(Row, "problems", property(lambda self: [] if self.verdict == "unknown" else problems(self)))


def counts_what_is_unknown_as_proved(patch: Patch) -> None:
    verdict = Row.verdict.fget  # type: ignore[attr-defined]
    patch.setattr(
        Row, "verdict", property(lambda self: {"unknown": "proved"}.get(said := verdict(self), said))
    )


def takes_what_is_printed_for_what_is_claimed(patch: Patch) -> None:
    patch.setattr(ledger_row, "_decide_printed", lambda claim, parts: (claim.verdict, None))


OF_THE_LEDGER = (
    has_no_problem_with_what_is_unknown,
    counts_what_is_unknown_as_proved,
    takes_what_is_printed_for_what_is_claimed,
)


@pytest.mark.parametrize("attack", [None, *OF_THE_LEDGER, drops_the_zeros_of_denominators])
def test_the_ledger_notices(attack: Callable[[Patch], None] | None, monkeypatch: Patch) -> None:
    monkeypatch.setattr(ledger_book, "documents", list)
    monkeypatch.setattr(ledger_book, "problems", lambda documents: [])
    if attack is not None:
        attack(monkeypatch)
    assert program.main(["ledger"]) == (0 if attack is None else 1)


@pytest.mark.parametrize(
    "change", [{"verdict": "unknown"}, {"verdict": ""}, {"mutants": [{"refuted": False}]}], ids=str
)
def test_what_is_not_known_to_hold_does_not_count_as_holding(
    change: dict[str, Any], monkeypatch: Patch, capsys: pytest.CaptureFixture[str]
) -> None:
    decide = deciding.decide
    monkeypatch.setattr(program, "decide", lambda ids, console: [decide(ids, console)[0] | change])
    assert program.main(["gaussians.affine"]) == 1
    assert "0 of 1 claims hold" in capsys.readouterr().out
