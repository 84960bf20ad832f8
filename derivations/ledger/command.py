"""`python -m derivations ledger`: decide every row, print a table, write the rows as JSON."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from time import perf_counter

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from derivations.ledger import book, canaries, sources
from derivations.ledger.row import Document
from derivations.proof import canaries as proof_canaries

COLUMNS = ("proved", "definition", "refuted", "numeric", "assumed", "not a statement", "unknown")


def run(json_file: Path | None) -> int:
    """Decide the ledger; return 0 if nothing is short, else 1."""
    began = perf_counter()
    console = Console(highlight=False)
    documents = book.documents()
    problems = [*proof_canaries.problems(), *canaries.problems(), *book.problems(documents)]
    console.print(table(documents))
    for problem in problems:
        print(problem, file=sys.stderr)
    rows = [row for document in documents for row in document.rows]
    formulas = (
        "every formula has a row"
        if sources.available()
        else "the documents are not here, so coverage was not checked"
    )
    console.print(
        f"{len(rows)} rows, {len(problems)} short, "
        f"{formulas if not problems else 'see above'}, {perf_counter() - began:.1f} s."
    )
    if json_file is not None:
        text = json.dumps([book.as_json(row) for row in rows], indent=1, ensure_ascii=False)
        try:
            json_file.write_text(text + "\n", encoding="utf-8")
        except OSError as error:
            print(f"python -m derivations: --json {json_file}: {error.strerror}", file=sys.stderr)
            return 1
        console.print(f"Written to {escape(str(json_file))}.")
    return 1 if problems else 0


def table(documents: list[Document]) -> Table:
    """Count the rows of each document by verdict."""
    made = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    made.add_column("document")
    shown = [verdict for verdict in COLUMNS if any(book.counts(d.rows)[verdict] for d in documents)]
    for verdict in shown:
        made.add_column(verdict, justify="right")
    for document in documents:
        count = book.counts(document.rows)
        made.add_row(document.name, *(str(count[verdict]) for verdict in shown))
    total = book.counts(row for document in documents for row in document.rows)
    made.add_section()
    made.add_row("all", *(str(total[verdict]) for verdict in shown))
    return made
