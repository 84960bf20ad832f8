"""Rows whose verdicts are known, decided whenever the ledger is: none may hold that is not decided."""

from __future__ import annotations

from sympy import Expr, Integer

from derivations.ledger.row import Row
from derivations.proof.canaries import BEYOND, about_two
from derivations.proof.claims import Claim


def problems() -> list[str]:
    """Decide every row anew, and name each whose verdict is not the known one."""
    two = about_two()
    known = (
        (_row("as claimed", two), "proved"),
        (_row("the same", two, Integer(2)), "proved"),
        (_row("another number", two, Integer(3)), "refuted"),
        (_row("true, and beyond both kernels", two, BEYOND), "unknown"),
        (_row("of a claim that failed", about_two(3)), "unknown"),
    )
    found = [
        f"canary, {row.printed}: the ledger says {row.verdict}, and {verdict} is right"
        for row, verdict in known
        if row.verdict != verdict
    ]
    return found + [
        f"canary, {row.printed}: {verdict}, and {'no' if verdict == 'unknown' else 'a'} problem is named"
        for row, verdict in known
        if bool(row.problems) != (verdict == "unknown")
    ]


def _row(what: str, claim: Claim, value: Expr | None = None) -> Row:
    wrong = value == 3
    parts = {} if value is None else {"value": value}
    return Row("canary", "0", what, claim, parts, kind="wrong formula" if wrong else None)
