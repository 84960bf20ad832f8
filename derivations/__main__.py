"""`python -m derivations`: decide every claim, print a table, write it as JSON."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from importlib import import_module, metadata
from pathlib import Path
from platform import python_version
from time import perf_counter

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table

from derivations import CHAPTERS
from derivations.ledger.command import run as ledger
from derivations.proof.cards import as_json
from derivations.proof.claims import KERNELS, Claim, registered

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
        claims = select(options.only)
    except ValueError as error:
        print(f"python -m derivations: {error}", file=sys.stderr)
        return 2
    decide(claims, console)
    console.print(table(claims))
    short = [claim for claim in claims if claim.verdict == "failed"]
    for claim in short:
        for problem in claim.result.problems:
            console.print(f"[red]{claim.id}[/red]: {escape(problem)}", soft_wrap=True)
    mutants = sum(len(claim.result.refuted) for claim in claims)
    console.print(
        f"{len(claims) - len(short)} of {len(claims)} claims hold, {mutants} of "
        f"{sum(len(claim.mutants) for claim in claims)} mutants refuted, {perf_counter() - began:.1f} s."
    )
    if options.json:
        text = json.dumps(book(claims), indent=1, ensure_ascii=False)
        options.json.write_text(text + "\n", encoding="utf-8")
        console.print(f"Written to {options.json}.")
    return 1 if short else 0


def check_writable(file: Path) -> None:
    """Raise ValueError unless a file can be written there, before any work is done for it."""
    if not file.parent.is_dir():
        raise ValueError(f"--json {file}: {file.parent} is not a folder")
    if file.is_dir() or not os.access(file if file.exists() else file.parent, os.W_OK):
        raise ValueError(f"--json {file}: it must be a file that can be written")


def select(names: Sequence[str]) -> list[Claim]:
    """Import the chapters and return the claims asked for, or all of them, in reading order."""
    for chapter in CHAPTERS:
        import_module(f"derivations.{chapter}")
    claims = list(registered())
    known = {claim.id for claim in claims} | set(CHAPTERS)
    for name in names:
        if name not in known:
            raise ValueError(f"no chapter or claim is called {name!r}; chapters are {', '.join(CHAPTERS)}")
    return [claim for claim in claims if not names or claim.id in names or claim.id.split(".")[0] in names]


def decide(claims: Sequence[Claim], console: Console) -> None:
    """Decide the claims, showing which one is at work."""
    columns = (TextColumn("Proving"), BarColumn(20), MofNCompleteColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("", total=len(claims))
        for claim in claims:
            progress.update(task, description=claim.id)
            claim.result
            progress.advance(task)


def table(claims: Sequence[Claim]) -> Table:
    """Lay the verdicts out, 80 columns wide."""
    made = Table(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    for heading, justify in (
        ("claim", "left"),
        ("verdict", "left"),
        ("kernels", "left"),
        ("mutants", "right"),
        ("s", "right"),
    ):
        made.add_column(heading, justify="right" if justify == "right" else "left", no_wrap=True)
    for claim in claims:
        result = claim.result
        colour = "red" if result.verdict == "failed" else "green"
        said = as_json(claim)["kernels"]
        kernels = "both" if len(said) == len(KERNELS) else " ".join(said) or "none"
        mutants = f"{len(result.refuted)}/{len(claim.mutants)}"
        made.add_row(
            claim.id, f"[{colour}]{result.verdict}[/{colour}]", kernels, mutants, f"{result.seconds:.2f}"
        )
    return made


def book(claims: Sequence[Claim]) -> dict[str, object]:
    """Everything decided, with the versions and the commit that decided it."""
    versions = {"python": python_version(), **{name: _version(name) for name in PACKAGES}}
    return {"versions": versions, "commit": _commit(), "claims": [as_json(claim) for claim in claims]}


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
    sys.exit(main())
