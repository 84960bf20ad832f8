"""Which default tests would fail if code computed a mutant of a claim: read from what tests are given.

A test that is given a mutant holds code against it: in `test_core` a call of the code and a part of a mutant,
in `test_conformance` a check and a wrong formula, elsewhere the mutant itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from derivations.proof.claims import Claim, Mutant
from tests.mistakes.world import NOT_BY_DEFAULT, cases

TESTS = Path(__file__).resolve().parents[1]


def caught(claims: Mapping[str, Claim]) -> dict[tuple[str, str], list[str]]:
    """Map claim and mutant, by their names, to the ids of the default tests that are given it."""
    owner = {id(wrong): claim.id for claim in claims.values() for wrong in claim.mutants}
    found: dict[tuple[str, str], list[str]] = {
        (claim.id, wrong.name): [] for claim in claims.values() for wrong in claim.mutants
    }
    for path in sorted(TESTS.glob("test_*.py")):
        if "mutants" not in path.read_text(encoding="utf-8"):
            continue
        module = import_module(f"tests.{path.stem}")
        for name, test in vars(module).items():
            if not name.startswith("test_") or getattr(test, "__module__", "") != module.__name__:
                continue
            for case, (arguments, marks) in cases(test).items():
                if marks & NOT_BY_DEFAULT:
                    continue
                for stated, wrong in _given(arguments, claims, owner):
                    if case.endswith(wrong):  # of two mutants with an equal part, the one that is meant
                        found[stated, wrong].append(f"tests/{path.name}::{name}[{case}]")
    return found


def code_of(claim: Claim) -> tuple[str, ...]:
    """Return the functions that compute a claim; a mutant of a claim without any cannot be made in code."""
    return claim.implemented_by


def _given(
    arguments: Mapping[str, Any], claims: Mapping[str, Claim], owner: Mapping[int, str]
) -> Iterator[tuple[str, str]]:
    wrong = arguments.get("wrong")
    if isinstance(wrong, Mutant):
        yield owner[id(wrong)], wrong.name
    elif (held := arguments.get("held")) is not None and wrong is not None:
        for mutant in claims[held.claim].mutants:
            if mutant.parts.get(held.part) is wrong:
                yield held.claim, mutant.name
    elif (check := arguments.get("check")) is not None and wrong is not None:
        yield check.claim, wrong.name
