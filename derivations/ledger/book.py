"""The whole ledger: its documents, what is short of it, and its rows as JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from importlib import import_module
from typing import Any

from derivations.ledger import sources
from derivations.ledger.row import Document, Row
from derivations.proof.cards import comparison
from derivations.proof.claims import Claim, every_claim

# The reading order, and the module of each: its DOCUMENT holds the rows.
DOCUMENTS = ("d1", "d2", "d3", "d4", "d5", "ho2020", "further")


def documents() -> list[Document]:
    """Import the documents, and return them in order."""
    return [import_module(f"derivations.ledger.{name}").DOCUMENT for name in DOCUMENTS]


def problems(documents: Sequence[Document], claims: Iterable[Claim] | None = None) -> list[str]:
    """Name what is short: undecided or misfiled rows, formulas without a row, claims without a use."""
    claims = list(every_claim().values() if claims is None else claims)
    rows = [row for document in documents for row in document.rows]
    found = [problem for row in rows for problem in row.problems]
    found += [
        f"{row.where} {row.printed!r}: refuted, and its correction {row.correction.id} is not proved"
        for row in rows
        if row.verdict == "refuted" and row.correction is not None and row.correction.verdict != "proved"
    ]
    # The same line twice under one claim is two readings of it, or two equal lines of a chain: the notes say.
    repeated = Counter(
        (row.document, row.line, row.printed, row.claim.id if row.claim else "", row.note) for row in rows
    )
    found += [
        f"{key[0]}:{key[1]} {key[2]!r}: entered {times} times" for key, times in repeated.items() if times > 1
    ]
    used = {row.claim.id for row in rows if row.claim is not None} | {
        used for claim in claims for used in claim.uses
    }
    found += [f"{claim.id}: neither a row nor a claim uses it" for claim in claims if claim.id not in used]
    if sources.available():
        for document in documents:
            if sources.holds(document.name):
                found += sources.misplaced(document) + sources.uncovered(document)
    return found


def as_json(row: Row) -> dict[str, Any]:
    """Return a row as the ledger's JSON has it."""
    verdict, found = row.decided
    return {
        "document": row.document,
        "line": row.line,
        "printed": row.printed,
        "in_words": row.in_words,
        "verdict": verdict,
        "kind": row.kind,
        "claim": row.claim.id if row.claim else None,
        "witness": comparison(row.claim, row.parts, found) if found and row.claim else None,
        "correction": row.correction.latex if row.correction and (verdict == "refuted" or row.kind) else None,
        "corrected_by": row.correction.id if row.correction and verdict == "refuted" else None,
        "note": row.note,
    }


def counts(rows: Iterable[Row]) -> Counter[str]:
    """Count rows by verdict."""
    return Counter(row.verdict for row in rows)
