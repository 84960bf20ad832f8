"""Where a row stands on the pages of the documents, and links from a claim's sources to there."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import cache

from derivations.ledger import book
from derivations.ledger.row import Row

FURTHER = "Further"


def anchor(row: Row) -> str:
    """Return the id of a row's line on its document's page: line-107, equation-7, section-3.2."""
    words = row.line.replace("§", "section ")
    words = re.sub(r"\((\w+)\)", r"equation \1", words)
    slug = re.sub(r"[^\w.]+", "-", words).strip("-").lower()
    return f"line-{slug}" if row.line.isdigit() else slug


def erratum(row: Row, rows: Iterable[Row]) -> str:
    """Return the id of a refuted row among the errata of these rows, which may hold several of one line."""
    same = [other for other in rows if other.where == row.where and other.verdict == "refuted"]
    number = next(number for number, other in enumerate(same, start=1) if other is row)
    return f"{row.document}-{anchor(row)}".lower() + (f"-{number}" if number > 1 else "")


def name(row: Row) -> str:
    """Name a row's line as claims name it: D2:107, Ho2020 (7)."""
    if row.document == FURTHER:
        return row.line
    return row.where if row.line.isdigit() else f"{row.document} {row.line}"


def links(claim: str, named: Sequence[str], folder: str = "../documents/") -> list[str]:
    """Link a claim's sources to the documents' pages: those that it names, then others that it decides."""
    decided = [row for row in _rows() if row.claim is not None and row.claim.id == claim]
    slips = {name(row) for row in decided if row.verdict == "refuted"}
    right = {name(row) for row in decided if row.verdict != "refuted"}
    made = {}
    for source in [*(part for text in named for part in _parts(text)), *map(name, decided)]:
        mark = " (a slip)" if source in slips - right else " (with a slip)" if source in slips else ""
        made[source] = _link(source, folder) + mark
    return list(made.values())


@cache
def _rows() -> tuple[Row, ...]:
    return tuple(row for document in book.documents() for row in document.rows)


def _parts(source: str) -> list[str]:
    """Split "Ho2020 (10), (11)" into "Ho2020 (10)" and "Ho2020 (11)"."""
    document, _, equations = source.partition(" ")
    if re.fullmatch(r"\(\d+\)(, \(\d+\))+", equations):
        return [f"{document} {equation}" for equation in equations.split(", ")]
    return [source]


def _link(source: str, folder: str) -> str:
    rows = {_plain(name(row)): row for row in reversed(_rows())}
    if row := rows.get(_plain(source)):
        return f"[{source}]({folder}{row.document}.md#{anchor(row)})"
    document = re.match(r"\w+", source)
    if document and document[0] in {row.document for row in _rows()} - {FURTHER}:
        return f"[{source}]({folder}{document[0]}.md)"
    return source


def _plain(source: str) -> str:
    return source.replace(", ", " ")
