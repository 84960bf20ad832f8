"""What the front page counts: claims proved, mutants refuted, formulas decided, slips found."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from derivations.ledger import book
from derivations.ledger.pages import CLAIMING
from derivations.ledger.row import Document

PLACE = re.compile(r"(?<=<!-- counts: made by `make render` -->\n).*?(?=<!-- end of counts -->)", re.DOTALL)


def counts(claims: Iterable[Mapping[str, Any]], documents: Sequence[Document]) -> dict[str, int]:
    """Count what is decided: what it is called to how many.

    Args:
        claims: as the book's JSON has them.
        documents: of the ledger.
    """
    claims = list(claims)
    rows = book.counts(row for document in documents for row in document.rows)
    return {
        "claims proved": sum(claim["verdict"] == "proved" for claim in claims),
        "wrong versions refuted": sum(mutant["refuted"] for claim in claims for mutant in claim["mutants"]),
        "statements decided": sum(rows[verdict] for verdict in CLAIMING),
        "slips found": rows["refuted"],
    }


def filled(page: str, counted: Mapping[str, int]) -> str:
    """Put the counts in their place on a page.

    Raises:
        ValueError: if the page does not have the place once.
    """
    links = ("derivations/index.md", "guides/green.md", "coverage.md", "errata.md")
    items = zip(counted.items(), links, strict=True)
    made = "\n".join(f"- [**{count:,}** {what}]({link})" for (what, count), link in items)
    page, places = PLACE.subn(lambda _: f"\n{made}\n\n", page)
    if places != 1:
        raise ValueError(f"the page must have one place for the counts; got {places}")
    return page
