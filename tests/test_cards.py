"""A claim's card: its hypotheses in full, and links to what it rests on and what rests on it."""

from typing import Any

import pytest
from sympy import Eq, Symbol

from derivations.forward import sample
from derivations.ledger import anchors, book
from derivations.posterior import mean, variance
from derivations.proof import hypotheses
from derivations.proof.cards import MIME, as_json, card
from derivations.proof.claims import Claim
from derivations.proof.symbols import VECTORS, alpha_t, tex


def given(claim: Claim) -> str:
    return " ; ".join(hypotheses.given(claim))


def test_a_bound_from_above_is_shown_with_the_domain_below() -> None:
    assert (alpha_t < 1) in variance.given
    assert alpha_t.is_positive
    assert r"0 < \alpha_{t} < 1" in hypotheses.given(variance)


def test_of_two_bounds_the_weaker_is_left_out() -> None:
    bounds = [
        text for text in hypotheses.given(variance) if r"\bar{\alpha}_{t-1}" in text and "= " not in text
    ]
    assert bounds == [r"0 < \bar{\alpha}_{t-1} < 1"]


def test_vectors_and_noises_are_told_apart() -> None:
    assert r"\epsilon \sim \mathcal{N}(0, I)" in given(sample)
    assert r"x_{0}" in given(sample)
    assert r"\in \mathbb{R}^{d}" in given(sample)


@pytest.mark.parametrize("claim", [mean, variance, sample], ids=lambda claim: str(claim.id))
def test_no_hypothesis_is_lost(claim: Claim) -> None:
    """Every relation that was given, and every symbol of the statement, can be read in what is shown."""
    shown = given(claim)
    for relation in claim.given:
        if isinstance(relation, Eq):
            assert tex(relation) in shown
    for part in claim.statement.parts.values():
        for symbol in part.free_symbols:
            assert tex(symbol) in shown, symbol


@pytest.mark.parametrize(
    ("domain", "words"),
    [
        ({"positive": True}, "> 0"),
        ({"nonnegative": True}, r"\geq 0"),
        ({}, r"\in \mathbb{R}"),
        ({"positive": True, "integer": True}, r"\in \{1, 2, \dots\}"),
        ({"nonnegative": True, "integer": True}, r"\in \{0, 1, \dots\}"),
    ],
)
def test_a_domain_is_read_from_the_symbol(domain: dict[str, Any], words: str) -> None:
    assert hypotheses.domain(Symbol("u", real=True, **domain)) == words
    assert Symbol("u", real=True, **domain) not in VECTORS


def test_a_card_has_what_a_reader_asks_for() -> None:
    text = card(
        as_json(variance), used_by=["posterior.law"], sources=anchors.links(variance.id, variance.sources)
    )
    for piece in (
        "### Variance of the forward posterior { #posterior.variance }",
        '<div class="claim proved" markdown>',
        "**Proved** · by normal form and by z3",
        "`beta_tilde_t`",
        "Uses: [gaussians.density][gaussians.density]",
        "Used by: [posterior.law][posterior.law]",
        "[`ddpm_ref.process.q_posterior`][ddpm_ref.process.q_posterior]",
        "[Ho2020 (7)](../documents/Ho2020.md#equation-7)",
        "[D2:107](../documents/D2.md#line-107)",
        f'??? note "What was decided: {len(variance.result.obligations)} obligations"',
        f'??? note "{len(variance.mutants)} of {len(variance.mutants)} wrong versions refuted"',
    ):
        assert piece in text, piece
    assert all(wrong.name in text for wrong in variance.mutants)


def test_a_notebook_gets_the_card_and_the_page_gets_the_claim() -> None:
    assert variance._repr_markdown_() == card(as_json(variance))
    assert variance._repr_mimebundle_() == {MIME: as_json(variance)}


def test_every_row_has_a_place_that_only_its_line_has() -> None:
    for document in book.documents():
        places: dict[str, str] = {}
        for row in document.rows:
            assert places.setdefault(anchors.anchor(row), row.line) == row.line


def test_every_erratum_has_a_place_of_its_own() -> None:
    rows = [row for document in book.documents()[:1] for row in document.rows if row.verdict == "refuted"]
    places = [anchors.erratum(row, rows) for row in rows]
    assert places
    assert len(set(places)) == len(places)


def test_a_line_that_prints_a_claim_wrong_is_marked_on_its_card() -> None:
    slips = [row for row in book.documents()[0].rows if row.verdict == "refuted"]
    assert slips
    for row in slips:
        assert row.claim is not None
        links = anchors.links(row.claim.id, row.claim.sources)
        assert any(link.startswith(f"[{anchors.name(row)}](") and "slip)" in link for link in links)
