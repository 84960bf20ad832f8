"""`python -m derivations`: decide every claim, print a table, write it as JSON."""

from __future__ import annotations

import argparse
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
from derivations.proof.claims import KERNELS
from derivations.proof.deciding import decide, select

PACKAGES = ("ddpm-ref", "sympy", "z3-solver", "python-flint", "mpmath")


def main(arguments: Sequence[str] | None = None) -> int:
    """Decide the book, or the chapters and claims named; return 0 if nothing is short, else 1."""
    parser = argparse.ArgumentParser(
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
        "--json", metavar="FILE", type=Path, help="write every claim with its verdict and witnesses"
    )
    options = parser.parse_args(arguments)
    began = perf_counter()
    console = Console(highlight=False)
    try:
        if options.json:
            check_writable(options.json)
        if options.only == ["ledger"]:
            return ledger(options.json)
        if "ledger" in options.only:
            raise ValueError(f"`ledger` stands alone; got {' '.join(options.only)}")
        claims = select(options.only)
    except ValueError as error:
        print(f"python -m derivations: {error}", file=sys.stderr)
        return 2
    rows = decide([claim.id for claim in claims], console)
    console.print(table(rows))
    short = [row for row in rows if row["verdict"] == "failed"]
    for row in short:
        for problem in row["problems"]:
            console.print(f"[red]{row['id']}[/red]: {escape(problem)}", soft_wrap=True)
    mutants = [mutant["refuted"] for row in rows for mutant in row["mutants"]]
    console.print(
        f"{len(rows) - len(short)} of {len(rows)} claims hold, {sum(mutants)} of {len(mutants)} mutants "
        f"refuted, {perf_counter() - began:.1f} s."
    )
    if options.json:
        text = json.dumps(book(rows), indent=1, ensure_ascii=False)
        options.json.write_text(text + "\n", encoding="utf-8")
        console.print(f"Written to {options.json}.")
    return 1 if short else 0


def check_writable(file: Path) -> None:
    """Raise ValueError unless a file can be written there, before any work is done for it."""
    if not file.parent.is_dir():
        raise ValueError(f"--json {file}: {file.parent} is not a folder")
    try:
        file.open("a", encoding="utf-8").close()
    except OSError as error:
        raise ValueError(f"--json {file}: it must be a file that can be written; {error.strerror}") from error


def table(rows: Sequence[dict[str, Any]]) -> Table:
    """Lay the verdicts out, 80 columns wide."""
    made = Table(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    for heading in ("claim", "verdict", "kernels"):
        made.add_column(heading, no_wrap=True)
    for heading in ("mutants", "s"):
        made.add_column(heading, justify="right", no_wrap=True)
    for row in rows:
        colour = "red" if row["verdict"] == "failed" else "green"
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
