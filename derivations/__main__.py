"""`python -m derivations`: decide every claim, print a table, write it as JSON."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from platform import python_version
from time import perf_counter
from typing import Any

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from derivations.ledger.command import run as ledger
from derivations.proof import canaries
from derivations.proof.arguments import Parser, new_file, one_line
from derivations.proof.claims import KERNELS
from derivations.proof.deciding import decide, select

HOLDS = ("proved", "definition")
PACKAGES = ("ddpm-ref", "sympy", "z3-solver", "python-flint", "mpmath")


def main(arguments: Sequence[str] | None = None) -> int:
    """Decide the book, or the chapters and claims named; return 0 if nothing is short, else 1.

    What decides them is put to the test as well, by questions whose answers are known.
    """
    parser = Parser(
        prog="python -m derivations",
        description="Prove every claim with two kernels and refute its mutants at exact points.",
    )
    parser.add_argument(
        "only",
        nargs="*",
        metavar="NAME",
        help="a chapter or a claim id (default: the whole book); or `ledger`: the documents, line by line",
    )
    parser.add_argument(
        "--json", metavar="FILE", type=new_file, help="write every claim with its verdict and witnesses"
    )
    options = parser.parse_args(arguments)
    began = perf_counter()
    console = Console(highlight=False)
    try:
        if options.only == ["ledger"]:
            return ledger(options.json)
        if "ledger" in options.only:
            raise ValueError(f"`ledger` stands alone; got {' '.join(options.only)}")
        claims = select(options.only)
    except ValueError as error:
        print(f"python -m derivations: {one_line(error)}", file=sys.stderr)
        return 2
    rows = decide([claim.id for claim in claims], console)
    console.print(table(rows))
    short = [
        row
        for row in rows
        if row["verdict"] not in HOLDS or not all(mutant["refuted"] for mutant in row["mutants"])
    ]
    for row in short:
        for problem in row["problems"]:
            console.print(f"[red]{row['id']}[/red]: {escape(problem)}", soft_wrap=True)
    alive = list(canaries.problems())
    for problem in alive:
        console.print(f"[red]canary[/red]: {escape(problem)}", soft_wrap=True)
    if alive:
        console.print("What decided the claims is wrong where the answer is known: trust none of the above.")
    mutants = [mutant["refuted"] for row in rows for mutant in row["mutants"]]
    console.print(
        f"{len(rows) - len(short)} of {len(rows)} claims hold, {sum(mutants)} of {len(mutants)} mutants "
        f"refuted, {perf_counter() - began:.1f} s."
    )
    if options.json:
        text = json.dumps(book(rows), indent=1, ensure_ascii=False)
        try:
            options.json.write_text(text + "\n", encoding="utf-8")
        except OSError as error:
            print(f"python -m derivations: --json {options.json}: {error.strerror}", file=sys.stderr)
            return 1
        console.print(f"Written to {escape(str(options.json))}.")
    return 1 if short or alive else 0


def table(rows: Sequence[dict[str, Any]]) -> Table:
    """Lay the verdicts out, 80 columns wide."""
    made = Table(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    for heading in ("claim", "verdict", "kernels"):
        made.add_column(heading, no_wrap=True)
    for heading in ("mutants", "s"):
        made.add_column(heading, justify="right", no_wrap=True)
    for row in rows:
        colour = "green" if row["verdict"] in HOLDS else "red"
        kernels = "both" if len(row["kernels"]) == len(KERNELS) else " ".join(row["kernels"]) or "none"
        mutants = f"{sum(mutant['refuted'] for mutant in row['mutants'])}/{len(row['mutants'])}"
        verdict = f"[{colour}]{row['verdict']}[/{colour}]"
        made.add_row(row["id"], verdict, kernels, mutants, f"{row['seconds']:.2f}")
    return made


def book(rows: Sequence[dict[str, Any]]) -> dict[str, object]:
    """Everything decided, with the versions and the commit that decided it."""
    versions = {"python": python_version(), **{name: _version(name) for name in PACKAGES}}
    return {"versions": versions, "commit": _commit(), "claims": list(rows)}


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _commit() -> str | None:
    """The checkout's commit, "+changes" if it is not clean; None outside a checkout."""
    here = Path(__file__).parent
    try:
        commit = subprocess.run(
            ["git", "rev-parse", "HEAD"], cwd=here, capture_output=True, text=True, check=True
        )
        changes = subprocess.run(
            ["git", "status", "--porcelain"], cwd=here, capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return commit.stdout.strip() + ("+changes" if changes.stdout.strip() else "")


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        print("python -m derivations: interrupted; nothing was written", file=sys.stderr)
        sys.exit(130)
