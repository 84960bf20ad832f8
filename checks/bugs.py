"""Make mistakes on purpose and see the default tests fail: `python checks/bugs.py`.

Makes each mistake of `tests/mistakes` in the reference, has pytest run the tests that must catch it, and
attacks what decides the claims. Writes `checks/bugs.json` and `docs/checks/bugs.md`; `--page` writes the page
alone, and `--check` only compares it. Exits 1 where a mistake or an attack goes unnoticed.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date
from importlib import import_module
from pathlib import Path
from typing import Any

from forked import Job, Outcome, imported_anew
from pages import ROOT, settle

from tests.mistakes import MISTAKES, Mistake

RESULTS = Path(__file__).with_suffix(".json")
# Imported before a process is forked for a mistake; nothing of the reference, which is imported with it.
PRELOAD = (
    "torch",
    "sympy",
    "z3",
    "flint",
    "hypothesis",
    "sklearn.datasets",
    "PIL.Image",
    "derivations.__main__",
)
# Claims that take little time to decide anew, to see what they would show of an attack by themselves.
QUICK = ("posterior.variance", "gaussians.density", "forward.snr", "posterior.variance-not-negative")

HEAD = """\
---
title: Bug bank
---

# Bug bank

<!-- Made by checks/bugs.py, from checks/bugs.json and tests/mistakes; edit those. -->

What is promised: each mistake of public code in the list below is caught by the default `pytest` where the
reference makes it; so is every mutant of a claim that code computes; and what decides the claims cannot be
corrupted in one of the ways below without `python -m derivations` saying so and exiting with 1. Every default
run holds all three, in `tests/test_mistakes.py` and `tests/test_attacks.py`.

`python checks/bugs.py` measured this on {date}, {where}. It edits a copy of the reference's source, and has
pytest run the tests that stand beside it, until one fails, in a process of its own. Without a mistake all
{clean} pass.

## Mistakes of public code

{mistakes} mistakes, each in the reference for a moment. What stands in the last column fails.

| what goes wrong, and where it was seen | tests that fail |
|---|---|
"""

MUTANTS = """
## Mutants of the claims

Each claim carries wrong versions of itself. A default test is given what a function computes, puts a mutant's
value in its place, and must fail: `tests/test_core.py`, on drawn cases, for every call of the code that is
held to a claim; others where what is computed is a law or a sum. The conformance kit must catch and name
{kit} of them too. A mutant of a claim that no function computes cannot be made in code; kernels refute it.

| chapter | mutants | caught by a default test | of claims that no code computes | neither |
|---|--:|--:|--:|--:|
"""

ATTACKS = """
## Attacks on what decides the claims

Each replaces a part of `derivations.proof` by one that is careless or lies. Beside the claims the program
asks questions whose answers are known, `derivations/proof/canaries.py`, every time it decides: false
statements, true ones that need a hypothesis or a dimension, some that one kernel alone can prove, claims
that must fail. The last column says which of {quick} would have failed without them, decided anew under
the attack.

| attack | answered otherwise | the first of these | claims that fail as well |
|---|--:|---|---|
"""


# -- measuring -----------------------------------------------------------------------------------------------


def jobs() -> Iterator[Job]:
    """Make a job of every mistake, and one of all their tests with nothing edited."""
    for mistake in MISTAKES:
        yield job(mistake.module, mistake.source(), mistake.tests)
    tests = sorted({test for mistake in MISTAKES for test in mistake.tests})
    yield job(MISTAKES[0].module, MISTAKES[0].path.read_text(encoding="utf-8"), tests)


def job(module: str, code: str, tests: Sequence[str]) -> Job:
    """Run tests, by their ids, with a module's source replaced."""
    return Job(module, code, sorted({test.partition("::")[0] for test in tests}), order=tests)


def measure() -> dict[str, Any]:
    """Make every mistake and every attack, and note what happens."""
    for name in PRELOAD:
        import_module(name)
    outcomes: dict[str | None, Outcome] = {}
    for done, outcome in imported_anew(jobs(), ROOT, at_once=max(1, (os.cpu_count() or 1) - 1)):
        outcomes[done.code] = outcome
        print(".", end="", flush=True)
    print()
    clean = outcomes[MISTAKES[0].path.read_text(encoding="utf-8")]
    import torch

    from ddpm_ref.environment import environment

    here = environment(torch.device("cpu"), [])
    return {
        "date": date.today().isoformat(),
        "commit": here["commit"],
        "versions": here["versions"],
        "clean": {"status": clean.status, "passed": len(clean.seconds), "said": clean.error},
        "caught": {mistake.name: said(outcomes[mistake.source()]) for mistake in MISTAKES},
        "attacks": dict(attacks()),
    }


def said(outcome: Outcome) -> dict[str, str]:
    """Keep how a run ended, without what changes from run to run."""
    error = re.sub(r"0x[0-9a-f]+", "…", outcome.error)
    return {"status": outcome.status, "test": outcome.test, "error": error[:160]}


def attacks() -> Iterator[tuple[str, dict[str, Any]]]:
    """Make each attack: what is answered otherwise, and which claims would fail by themselves."""
    import pytest

    from derivations.proof import canaries
    from tests.oracle import CLAIMS
    from tests.test_attacks import ATTACKS as ALL

    for attack in (parameter.values[0] for parameter in ALL):
        with pytest.MonkeyPatch.context() as patch:
            attack.make(patch)
            problems = list(canaries.problems())
            failed = [id for id in QUICK if replace(CLAIMS[id]).verdict == "failed"]
        yield attack.name, {"problems": len(problems), "first": (problems or [""])[0], "claims": failed}


# -- the page ------------------------------------------------------------------------------------------------


def page(
    results: Mapping[str, Any], claims: Mapping[str, Any], caught: Mapping[tuple[str, str], Sequence[str]]
) -> str:
    """Print everything.

    Args:
        results: what was measured.
        claims: of the book, by their ids.
        caught: the default tests that catch each mutant.
    """
    versions = results["versions"]
    where = f"at commit `{results['commit']['id'][:12]}`, with " + ", ".join(
        f"{name} {versions[name]}" for name in ("python", "torch")
    )
    text = HEAD.format(
        date=results["date"], where=where, clean=results["clean"]["passed"], mistakes=len(MISTAKES)
    )
    text += "".join(row(mistake) for mistake in MISTAKES)
    text += "\n### The edits\n"
    text += "".join(edit(mistake, results["caught"][mistake.name]) for mistake in MISTAKES)
    text += mutants(claims, caught)
    text += ATTACKS.format(quick=", ".join(f"[{id}][]" for id in QUICK))
    for name, found in results["attacks"].items():
        shown = ", ".join(f"[{id}][]" for id in found["claims"]) or "none"
        text += f"| {name.replace('_', ' ')} | {found['problems']} | {found['first']} | {shown} |\n"
    return text


def link(seen: str) -> str:
    """Link a thread, or a repository."""
    repository, _, number = seen.partition("#")
    return f"[{seen}](https://github.com/{repository}{f'/issues/{number}' if number else ''})"


def row(mistake: Mistake) -> str:
    """Print a mistake as a row."""
    tests = "<br>".join(f"`{test.removeprefix('tests/')}`" for test in mistake.tests)
    return f"| {mistake.says}<br>{'<br>'.join(map(link, mistake.seen))} | {tests} |\n"


def edit(mistake: Mistake, caught: Mapping[str, str]) -> str:
    """Print what was edited, and how the first test failed."""
    lines = ["", f'??? note "{mistake.name.replace("-", " ")}: {mistake.module}"', "", "    ```diff"]
    lines += [f"    {line}" for line in mistake.difference()] + ["    ```", ""]
    lines += [f"    {mistake.stands_for}", ""] if mistake.stands_for else []
    test = caught["test"].partition("::")[2]
    return "\n".join([*lines, f"    First to fail: `{test}`, with `{caught['error']}`.", ""])


def mutants(claims: Mapping[str, Any], caught: Mapping[tuple[str, str], Sequence[str]]) -> str:
    """Print the mutants by chapter, and the claims without code."""
    kit = sum(any("test_conformance" in test for test in tests) for tests in caught.values())
    chapters: dict[str, list[int]] = {}
    without: dict[str, list[str]] = {}
    for (id, _), tests in caught.items():
        counts = chapters.setdefault(id.split(".")[0], [0, 0, 0, 0])
        kind = 1 if tests else 3 if claims[id].implemented_by else 2
        counts[0] += 1
        counts[kind] += 1
        if kind == 2 and id not in without.setdefault(id.split(".")[0], []):
            without[id.split(".")[0]].append(id)
    total = [sum(column) for column in zip(*chapters.values(), strict=True)]
    text = MUTANTS.format(kit=kit)
    for name, counts in (*chapters.items(), ("all", total)):
        text += f"| {name} | {' | '.join(map(str, counts))} |\n"
    text += '\n??? note "Claims that no code computes"\n\n'
    for name, ids in without.items():
        text += f"    **{name}**: {', '.join(f'[{id}][]' for id in ids)}\n\n"
    return text


def unnoticed(results: Mapping[str, Any]) -> list[str]:
    """Name what nobody noticed, and what fails without a mistake."""
    found = [
        f"{name}: {outcome['status']}: {outcome['error']}"
        for name, outcome in results["caught"].items()
        if outcome["status"] != "failed"
    ]
    found += [f"attack, {name}: unnoticed" for name, at in results["attacks"].items() if not at["problems"]]
    if results["clean"]["status"] != "passed":
        found.append(f"without a mistake: {results['clean']['status']}: {results['clean']['said']}")
    return found


def main() -> int:
    """Measure, and write the page of it or compare it."""
    if not {"--check", "--page"} & set(sys.argv[1:]):
        results = measure()
        RESULTS.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    # Only now: a process that is forked for a mistake imports the reference itself.
    from derivations.proof.deciding import select
    from tests.mistakes.mutants import caught

    results = json.loads(RESULTS.read_text(encoding="utf-8"))
    for problem in (problems := unnoticed(results)):
        print(problem, file=sys.stderr)
    claims = {claim.id: claim for claim in select([])}
    return settle("bugs", page(results, claims, caught(claims))) or int(bool(problems))


if __name__ == "__main__":
    sys.exit(main())
