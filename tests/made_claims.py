"""Claims made for a test: stated in a book of their own, so that the real one stays as it is."""

from __future__ import annotations

from collections.abc import Callable

from sympy import Expr, Integer
from sympy.core.relational import Relational

from derivations.proof.claims import Claim, Equation, Mutant, claim, mutant
from derivations.proof.obligations import Obligation, equal
from derivations.proof.symbols import argument, scale, sigma_1, sigma_2

a, b = argument, scale  # two real numbers of which nothing is known
u, v = sigma_1, sigma_2  # two positive ones

TWO = Integer(2)


def state(
    value: Expr = TWO,
    proof: Callable[[Expr], list[Obligation]] = lambda value: [equal(value, 2, "as stated")],
    hypotheses: tuple[Relational, ...] = (),
    mutants: tuple[Mutant, ...] | None = None,
) -> Claim:
    """A claim about `value`, with mutants that fall unless others are given."""
    wrong = (mutant("another", value=value + 1), mutant("twice and one", value=2 * value + 1))
    return claim(
        "test.claim",
        "A claim",
        Equation("y", value),
        given=hypotheses,
        proof=proof,
        mutants=wrong if mutants is None else mutants,
    )


def problems(stated: Claim) -> str:
    assert stated.verdict == "failed"
    return "\n".join(stated.result.problems)
