"""The page of mutants, `docs/checks/mutants.md`, from what `checks/mutants.json` records."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from survivors import ALIVE, Key, reasons

RECORD = "checks/mutants.json"

INTRODUCTION = """\
---
title: Mutants
---

# Mutants

A test that cannot fail says nothing. So each module with mathematics in it is changed in one place at a
time (a sign, a bound, an argument, a constant), and its tests are run: they must fail.

    make mutants                                             everything, which takes hours
    python checks/mutants.py ddpm_ref.score                  one module
    python checks/mutants.py --sample 12 --draw 3 --seed 7   twelve mutants of each of three modules

The changes are those of [mutmut](https://github.com/boxed/mutmut). It reaches a mutated function through
one that it puts in its place, and therefore leaves out decorated functions and constants. The tables of a
schedule are all of that kind, so here only the changes are mutmut's. One inside a function is made in a
process that has collected the tests, in the code of the function itself; any other before the module is
imported. Left alone are types, decorators, `__all__`, and what an error says; the condition on which it is
raised is changed.

A mutant is run only after the module's tests have passed on the module as it is, in the same way. It is
run on those of them that run its changed line, with 15 examples of each property instead of 60. It is
*killed* by a test that fails or raises, or while it is imported; it has *timed out* where a test takes five
times as long as before, and five seconds more, of the processor's time; otherwise it has *survived*, as has
one in a line that no test runs. A survivor needs a reason in `checks/survivors/`. The command fails where
it finds one without, or a reason that is out of date.

*At first* is the score of the first run that was kept. Its survivors led to new tests and were run again,
which gives the *score*. Some tests had been written for survivors before that run, so neither number is an
unbiased estimate for the mutants of a sampled module that were not run.

A module's tests are those that `checks/mutants.toml` lists for it, less these:

"""

TABLE = """
| module | mutants | run | killed | on import | timed out | survived | at first | score | on |
|---|---:|---:|---:|---:|---:|---:|---:|---:|---|
"""

NOTE = """
*Run* is the number of mutants that were run, all of them or a sample; *score* the share of those that did
not survive, with a reason or without. *On* is the day and the commit that the working tree was based on,
with mutmut {mutmut} and Python {python}.
"""


def page(root: Path, plan: Mapping[str, Any]) -> str:
    """Make the page, from the records and from what `checks/mutants.toml` says."""
    file = root / RECORD
    modules = json.loads(file.read_text(encoding="utf-8"))["modules"] if file.is_file() else {}
    text = (
        INTRODUCTION
        + "".join(f"- `{part}`: {reason}\n" for part, reason in plan.get("left_out", {}).items())
        + "".join(f"\nNot run is `{name}`, which {why}.\n" for name, why in plan.get("not_run", {}).items())
        + TABLE
    )
    totals: Counter[str] = Counter()
    for name, row in modules.items():
        counts = Counter(row["counts"]) + Counter({name: row[name] for name in ("mutants", "run", "first")})
        totals += counts
        text += line(f"`{name}`", counts, f"{row['date']}, {row['commit']}")
    text += line("all", totals, "")
    for name in plan["modules"]:
        if name not in modules:
            text += f"| `{name}` | | not yet | | | | | | | |\n"
    last = max(modules.values(), key=lambda row: row["date"], default={"mutmut": "", "python": ""})
    return text + NOTE.format(**last) + survivors(modules, reasons(root))


def line(name: str, counts: Mapping[str, int], on: str) -> str:
    """Return a row of the table."""
    alive = sum(counts[status] for status in ALIVE)
    first, score = (f"{1 - n / counts['run']:.1%}" if counts["run"] else "" for n in (counts["first"], alive))
    dead = (counts[name] for name in ("mutants", "run", "killed", "killed on import", "timed out"))
    cells = [*dead, alive, first, score, on]
    return f"| {name} | {' | '.join(map(str, cells))} |\n"


def survivors(modules: Mapping[str, Any], known: Mapping[Key, str]) -> str:
    """List the survivors with their reasons."""
    text = "\n## Survivors\n"
    for name, row in modules.items():
        if row["survivors"]:
            text += f"\n### {name}\n"
        together: dict[tuple[str, str], list[str]] = {}
        for module, function, change in row["survivors"]:
            reason = known.get((module, function, change), "**No reason is given.**")
            together.setdefault((function, reason), []).append(change)
        for (function, reason), changes in together.items():
            text += f"\n`{function or 'module'}`: {reason}\n\n```diff\n" + "\n\n".join(changes) + "\n```\n"
    return text
