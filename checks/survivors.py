"""Why a mutant may survive: the reasons in `checks/survivors/`, and what is wrong with them.

A file for each module, `checks/survivors/MODULE.toml`: the mutants that no test kills, and why none of them
needs to be killed.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path

from mutation import Mutant

FOLDER = "checks/survivors"
ALIVE = ("survived", "not reached", "strange")


class Refused(Exception):  # noqa: N818 (it ends the program with its sentence)
    """Something without which no result would mean anything."""


Key = tuple[str, str, str]


def reasons(root: Path) -> dict[Key, str]:
    """Read why each known survivor may survive, by module, function and change."""
    found: dict[Key, str] = {}
    for file in sorted((root / FOLDER).glob("*.toml")):
        for row in tomllib.loads(file.read_text(encoding="utf-8")).get("survivor", []):
            if not str(row.get("reason", "")).strip():
                raise Refused(f"{FOLDER}/{file.name}: a survivor of {row['function']} has no reason")
            for change in row["changes"]:
                found[file.stem, row["function"], change.strip()] = row["reason"].strip()
    return found


def key(mutant: Mutant) -> Key:
    """Return what a survivor's reason is kept under."""
    return mutant.module, mutant.function, mutant.change.strip()


def objections(
    known: Mapping[Key, str], made: Iterable[Mutant], results: Mapping[Mutant, str], modules: Iterable[str]
) -> list[str]:
    """Return what is wrong with the reasons: missing, or of a mutant that is dead or not made any more."""
    found = []
    for mutant, status in results.items():
        alive, excused = status in ALIVE, key(mutant) in known
        if alive and not excused:
            found.append(f"{status}, and no reason is given:\n{stub(mutant)}")
        if excused and not alive:
            found.append(f"{status}, so its reason must go:\n{stub(mutant)}")
    exist = {key(mutant) for mutant in made}
    for known_key in known:
        if known_key[0] in modules and known_key not in exist:
            found.append("no such mutant is made, so its reason must go:\n" + "\n".join(known_key))
    return found


def stub(mutant: Mutant) -> str:
    """Return the lines that a survivor needs in its module's file of reasons."""
    return (
        f'# {FOLDER}/{mutant.module}.toml\n[[survivor]]\nfunction = "{mutant.function}"\n'
        f"changes = ['''\n{mutant.change}\n''']\nreason = \"\"\n"
    )
