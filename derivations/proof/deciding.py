"""Choosing claims by name, and deciding many of them on every processor."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from multiprocessing import get_context
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from derivations import CHAPTERS
from derivations.proof.cards import as_json
from derivations.proof.claims import Claim, every_claim

# A process of its own takes as long to start as this many claims take to decide.
FEW = 40


def select(names: Sequence[str]) -> list[Claim]:
    """Import the chapters and return the claims asked for, or all of them, in reading order."""
    claims = every_claim()
    known = claims.keys() | set(CHAPTERS)
    for name in names:
        if name not in known:
            raise ValueError(f"no chapter or claim is called {name!r}; chapters are {', '.join(CHAPTERS)}")
    return [
        claim for id, claim in claims.items() if not names or id in names or id.partition(".")[0] in names
    ]


def decide(ids: Sequence[str], console: Console) -> list[dict[str, Any]]:
    """Decide claims, many of them on every processor, and return their rows of the book's JSON in order."""
    columns = (TextColumn("Proving"), BarColumn(20), MofNCompleteColumn(), TextColumn("{task.description}"))
    workers = min(os.cpu_count() or 1, len(ids) // FEW)
    with Progress(*columns, console=console, transient=True) as progress, ExitStack() as stack:
        task = progress.add_task("", total=len(ids))
        apply: Callable[..., Iterator[dict[str, Any]]] = map
        if workers > 1:
            pool = ProcessPoolExecutor(
                workers, mp_context=get_context("spawn"), initializer=select, initargs=([],)
            )
            apply = stack.enter_context(pool).map
        rows = []
        for row in apply(decided, ids):
            rows.append(row)
            progress.update(task, advance=1, description=row["id"])
    return rows


def decided(id: str) -> dict[str, Any]:
    """Decide one claim and return its row."""
    return as_json(every_claim()[id])
