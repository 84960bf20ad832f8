"""The ledger's pages: one for each document, the errata, worst first, and the coverage."""

from __future__ import annotations

import re
from collections.abc import Sequence

from derivations.ledger import anchors, book
from derivations.ledger.row import Document, Row
from derivations.proof.cards import comparison

# How much harm a slip does to a reader who trusts the line.
SEVERITY = ("wrong formula", "missing hypothesis", "wrong index", "wrong words", "notation")

WORDS = {
    "proved": "holds",
    "definition": "definition",
    "refuted": "**refuted**",
    "numeric": "checked numerically",
    "assumed": "rests on a theorem not proved here",
    "not a statement": "nothing stated",
    "unknown": "**UNDECIDED**",
}
CLAIMING = ("proved", "definition", "refuted", "numeric", "assumed")


def document_page(document: Document) -> str:
    """Make a document's page: its lines, in order, with their verdicts."""
    count = book.counts(document.rows)
    lines = [
        "---",
        "hide: [toc]",
        "---",
        "",
        f"# {document.name}: {document.title}",
        "",
        f"{sum(count[v] for v in CLAIMING)} statements: {count['proved']} hold, {count['definition']} "
        f"define, {count['refuted']} refuted. Formulas that state nothing: {count['not a statement']}.",
        "",
        "| line | printed | verdict | claim |",
        "|--:|---|---|---|",
    ]
    first = {row.line: row for row in reversed(document.rows)}
    lines += [_table_row(row, document.rows, anchored=first[row.line] is row) for row in document.rows]
    return "\n".join([*lines, ""])


def _table_row(row: Row, rows: Sequence[Row], *, anchored: bool) -> str:
    verdict = WORDS[row.verdict] + (f", {row.kind}" if row.kind else "")
    if row.verdict == "refuted":
        verdict = f"[{verdict}](../errata.md#{anchors.erratum(row, rows)})"
    line = f'<span id="{anchors.anchor(row)}">{row.line}</span>' if anchored else row.line
    printed = row.printed if row.in_words else f"${_inline(row.printed)}$"
    note = f"<br><small>{row.note}</small>" if row.note else ""
    claim = f"[{row.claim.id}][{row.claim.id}]" if row.claim else ""
    return f"| {line} | {_cell(printed + note)} | {verdict} | {claim} |"


def _inline(formula: str) -> str:
    """Put a fragment on one line, free of what a table or a formula by itself cannot hold."""
    one_line = formula.replace("\n", " ").replace("&", "").replace(r"\|", r"\Vert ").replace("|", r"\vert ")
    return re.sub(r"^(\s|\\\\)+|(\s|\\\\|\\(?=\s*$))+$", "", one_line)


def _cell(text: str) -> str:
    return " ".join(text.replace("|", r"\|").split()) if "|" in text else " ".join(text.split())


def errata_page(documents: Sequence[Document]) -> str:
    """Make the errata: every refuted row with its witness and correction, worst first."""
    rows = [row for document in documents for row in document.rows if row.verdict == "refuted"]
    rows.sort(key=lambda row: SEVERITY.index(row.kind or "notation"))
    lines = [
        "# Errata",
        "",
        f"{len(rows)} statements that do not hold as printed, worst first, each with an exact point against "
        "it. Where that is a small chain of states, one of those that open "
        "[the chapter on the bound](derivations/bound.md), both sides are sums of rational multiples of "
        "logarithms of primes, and it is enough that one coefficient differs.",
        "",
    ]
    kind = None
    for row in rows:
        if row.kind != kind:
            kind = row.kind
            lines += [f"## {(kind or '').capitalize()}", ""]
        lines += _erratum(row, rows)
    return "\n".join(lines)


def _erratum(row: Row, rows: Sequence[Row]) -> list[str]:
    claim, right, found = row.claim, row.correction, row.decided[1]
    assert claim is not None
    assert right is not None
    assert found is not None
    printed = row.printed if row.in_words else f"$$\n{_inline(row.printed)}\n$$"
    note = [row.note, ""] if row.note else []
    return [
        f"### [{row.document}, {'line ' if row.line.isdigit() else ''}{row.line}]"
        f"(documents/{row.document}.md#{anchors.anchor(row)}) {{ #{anchors.erratum(row, rows)} }}",
        "",
        "Printed:" if not row.in_words else "Said:",
        "",
        printed,
        "",
        *note,
        f"Against it: {comparison(claim, row.parts, found)}",
        "",
        f"It should say, by [{right.id}][{right.id}]:",
        "",
        f"$$\n{right.latex}\n$$",
        "",
    ]


def coverage_page(documents: Sequence[Document]) -> str:
    """Make the coverage page: how many rows of each document hold, fail, define, or state nothing."""
    lines = [
        "# Coverage",
        "",
        "Every formula between dollar signs in D1 to D5 is quoted by a row, or listed as a name or as no "
        "statement, with the reason; a program checks it, and the build fails on a formula without one.",
        "",
        "| document | hold | define | refuted | numeric | assumed | nothing stated | names |",
        "|---|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for document in documents:
        count = book.counts(document.rows)
        cells = [
            count[v] for v in ("proved", "definition", "refuted", "numeric", "assumed", "not a statement")
        ]
        lines.append(
            f"| [{document.name}](documents/{document.name}.md), {document.title} | "
            + " | ".join(map(str, [*cells, len(document.symbols)]))
            + " |"
        )
    return "\n".join([*lines, ""])


def pages() -> dict[str, str]:
    """Return every page of the ledger by its path under docs/.

    Raises:
        ValueError: if anything is short of the ledger; the message names each.
    """
    documents = book.documents()
    if problems := book.problems(documents):
        raise ValueError("\n".join(problems))
    return {
        **{f"documents/{document.name}.md": document_page(document) for document in documents},
        "errata.md": errata_page(documents),
        "coverage.md": coverage_page(documents),
    }
