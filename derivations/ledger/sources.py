"""The documents as they lie beside the project: their lines and formulas. A user has no such folder."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from derivations.ledger.row import Document, Row, squeeze

FOLDER = Path(__file__).resolve().parents[3] / "shared" / "sources"
FORMULA = re.compile(r"\$\$(?P<display>.+?)\$\$|\$(?P<inline>[^$]+?)\$", re.DOTALL)

# What may stand between the fragments of a formula that rows quote: what joins a chain, and spacing.
JOINTS = re.compile(
    r"\\begin\{(aligned|cases)\}|\\end\{(aligned|cases)\}|\\(q?quad|therefore|rightarrow|dots|ldots|coloneqq|textcircled\{\d\})|\\\\"
    r"|\\[ ,;]|[=&*,.:\s]"
)


@dataclass(frozen=True)
class Formula:
    """A formula of a document: the lines that it spans and what stands between its dollar signs."""

    first: int
    last: int
    text: str


def available() -> bool:
    """Tell whether the documents are here."""
    return FOLDER.is_dir()


def holds(document: str) -> bool:
    """Tell whether a document is one of those that lie beside the project; the paper and others do not."""
    return (FOLDER / f"{document}.md").is_file()


@cache
def lines(document: str) -> list[str]:
    """Return a document's lines; line n is at index n - 1."""
    return (FOLDER / f"{document}.md").read_text(encoding="utf-8").splitlines()


@cache
def formulas(document: str) -> list[Formula]:
    """Return every formula between dollar signs, in order."""
    text = "\n".join(lines(document))
    found = []
    for match in FORMULA.finditer(text):
        body = match["display"] or match["inline"]
        first = text.count("\n", 0, match.start()) + 1
        found.append(Formula(first, first + match[0].count("\n"), body.strip()))
    return found


def uncovered(document: Document) -> list[str]:
    """Name every formula, or remainder of one, that no row quotes and no list of names holds."""
    problems = []
    for formula in formulas(document.name):
        text = squeeze(formula.text)
        if text in document.symbols:
            continue
        quoted = [row for row in document.rows if not row.in_words and _stands_in(row, formula)]
        for row in sorted(quoted, key=lambda row: -len(squeeze(row.printed))):
            text = text.replace(squeeze(row.printed), "", 1)
        if rest := JOINTS.sub("", text):
            problems.append(f"{document.name}:{formula.first}: no row for {rest!r} in {formula.text!r}")
    return problems


def misplaced(document: Document) -> list[str]:
    """Name every row whose line does not exist or does not hold the formula that the row quotes."""
    problems = []
    count = len(lines(document.name))
    for row in document.rows:
        if not row.line.isdigit() or not 1 <= int(row.line) <= count:
            problems.append(f"{row.where}: {document.name} has lines 1 to {count}")
        elif not row.in_words and not any(_stands_in(row, formula) for formula in formulas(document.name)):
            problems.append(f"{row.where}: the line has no formula {row.printed!r}")
        elif row.in_words and not lines(document.name)[int(row.line) - 1].strip():
            problems.append(f"{row.where}: the line is blank")
    return problems


def _stands_in(row: Row, formula: Formula) -> bool:
    return formula.first <= int(row.line) <= formula.last and squeeze(row.printed) in squeeze(formula.text)
