"""The ledger: verdicts are computed from what is printed, and whatever is short of it is named."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from sympy import Integer

from derivations import forward, gaussians, posterior
from derivations.__main__ import main
from derivations.ledger import book, pages, sources
from derivations.ledger.row import Document, Row, squeeze
from derivations.proof.claims import every_claim
from derivations.proof.symbols import alpha_bar_prev, alpha_bar_t, alpha_t, beta_t

LINES = r"""A line of words.
The variance is $\beta_t$ and $x_0$ is a name.
$$
\begin{aligned} X_1 &= X_2 \\ &= X_3 \end{aligned}
$$
"""


@pytest.fixture
def document(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Document:
    """A toy document of five lines, with the formulas `\\beta_t`, `x_0` and a chain."""
    (tmp_path / "D9.md").write_text(LINES, encoding="utf-8")
    monkeypatch.setattr(sources, "FOLDER", tmp_path)
    sources.lines.cache_clear()
    sources.formulas.cache_clear()
    return Document("D9", "a toy")


def covered(document: Document) -> Document:
    document.says(2, r"\beta_t", forward.kernel)
    document.names("a symbol", "x_0")
    document.skip(4, "X_1", "a name")
    document.skip(4, "X_2", "a name")
    document.skip(4, "X_3", "a name")
    return document


# -- verdicts ------------------------------------------------------------------------------------------------


def test_what_is_printed_as_claimed_has_the_claims_verdict(document: Document) -> None:
    document.says(2, r"\beta_t", posterior.variance)
    document.says(2, r"\beta_t", forward.kernel)
    assert [row.verdict for row in document.rows] == ["proved", "definition"]


def test_what_is_printed_otherwise_is_decided_by_the_claims_own_proof(document: Document) -> None:
    same = beta_t * (1 - alpha_bar_prev) / (1 - alpha_bar_t)
    document.says(2, r"\beta_t", posterior.variance, value=same)
    document.says(2, r"\beta_t", posterior.variance, value=same * alpha_t / (1 - beta_t))
    document.says(2, r"\beta_t", posterior.variance, value=beta_t, kind="wrong formula")
    document.says(2, r"\beta_t", posterior.variance, mutant="divided by α_t", kind="wrong formula")
    assert [row.verdict for row in document.rows] == ["proved", "proved", "refuted", "refuted"]
    assert [row.decided[1] is not None for row in document.rows] == [False, False, True, True]
    assert [row.problems for row in document.rows] == [[], [], [], []]


def test_a_verdict_cannot_be_typed() -> None:
    assert "verdict" not in {field.name for field in fields(Row)}
    with pytest.raises(TypeError):
        Row("D9", "1", "x", None, verdict="proved")  # type: ignore[call-arg]


@pytest.mark.parametrize(
    ("how", "problem"),
    [
        ({"value": beta_t}, "no kind of slip is given"),
        ({"kind": "wrong formula"}, "called 'wrong formula', but what is printed holds"),
        ({"kind": "notation"}, "no note says how the line is read"),
    ],
)
def test_a_verdict_and_its_kind_must_agree(document: Document, how: dict[str, Any], problem: str) -> None:
    document.says(2, r"\beta_t", posterior.variance, **how)
    (found,) = document.rows[0].problems
    assert found.startswith("D9:2")
    assert problem in found


def test_what_the_kernels_cannot_decide_is_a_failure(
    document: Document, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("derivations.ledger.row.witness.refute", lambda obligation: None)
    document.says(2, r"\beta_t", posterior.variance, value=beta_t, kind="wrong formula")
    assert document.rows[0].verdict == "unknown"
    assert "neither prove nor refute" in document.rows[0].problems[0]


def test_a_slip_is_corrected_by_a_proved_claim(document: Document) -> None:
    covered(document)
    wrong: dict[str, Any] = {"mutant": "not shrunk", "kind": "wrong formula"}
    document.words(1, "said", forward.kernel, **wrong)
    problems = book.problems([document], [])
    assert "D9:1 'said': refuted, and its correction forward.kernel is not proved" in problems
    document.rows.pop()
    document.words(1, "said", forward.kernel, corrected_by=forward.step, **wrong)
    assert book.problems([document], []) == []
    assert book.as_json(document.rows[-1])["corrected_by"] == "forward.step"


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"mutant": "no such"}, "posterior.variance has no mutant 'no such'"),
        ({"kind": "typo"}, "kind must be one of wrong formula, .*; got 'typo'"),
        ({"mean": Integer(0)}, r"posterior.variance has no part \['mean'\]"),
    ],
)
def test_a_row_that_names_what_does_not_exist_is_refused(
    document: Document, how: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=f"D9:2: {message}"):
        document.says(2, r"\beta_t", posterior.variance, **how)


# -- coverage ------------------------------------------------------------------------------------------------


def test_a_document_with_a_row_for_every_formula_is_covered(document: Document) -> None:
    covered(document)
    assert sources.uncovered(document) == []
    assert sources.misplaced(document) == []


@pytest.mark.parametrize("lost", [r"\beta_t", "X_1", "X_2", "X_3"])
def test_a_formula_without_a_row_is_named(document: Document, lost: str) -> None:
    covered(document)
    document.rows = [row for row in document.rows if row.printed != lost]
    (problem,) = sources.uncovered(document)
    assert problem.startswith(f"D9:{2 if lost.startswith(chr(92)) else 3}: no row for")
    assert repr(squeeze(lost)) in problem


def test_a_name_that_nobody_listed_is_a_formula_without_a_row(document: Document) -> None:
    covered(document).symbols.clear()
    (problem,) = sources.uncovered(document)
    assert "D9:2: no row for 'x_0'" in problem


@pytest.mark.parametrize("line", [0, 6, 99])
def test_a_line_that_does_not_exist_is_named(document: Document, line: int) -> None:
    document.words(line, "said", forward.kernel)
    assert sources.misplaced(document) == [f"D9:{line}: D9 has lines 1 to 5"]


def test_a_formula_that_its_line_does_not_hold_is_named(document: Document) -> None:
    document.says(1, r"\beta_t", forward.kernel)
    assert sources.misplaced(document) == [r"D9:1: the line has no formula '\\beta_t'"]


def test_a_claim_without_a_use_and_a_repeated_row_are_named(document: Document) -> None:
    covered(document)
    document.says(2, r"\beta_t", forward.kernel)
    problems = book.problems([document], [gaussians.affine, forward.kernel])
    assert "gaussians.affine: neither a row nor a claim uses it" in problems
    assert any(problem.endswith("entered 2 times") for problem in problems)


# -- the documents themselves --------------------------------------------------------------------------------


def test_every_claim_of_a_row_stands_in_the_book() -> None:
    rows = [row for document in book.documents() for row in document.rows]
    claims = set(every_claim().values())
    assert len(rows) > 400
    assert all(row.claim is None or row.claim in claims for row in rows)


@pytest.mark.slow
@pytest.mark.skipif(not sources.available(), reason="the five documents are not beside this checkout")
def test_nothing_is_short_of_the_ledger(tmp_path: Path) -> None:
    out = tmp_path / "ledger.json"
    assert main(["ledger", "--json", str(out)]) == 0
    rows = json.loads(out.read_text(encoding="utf-8"))
    wanted = {"document", "line", "printed", "verdict", "kind", "claim", "witness", "correction"}
    assert all(wanted <= set(row) for row in rows)
    refuted = [row for row in rows if row["verdict"] == "refuted"]
    assert refuted
    assert all(row["witness"] and row["correction"] and row["kind"] for row in refuted)
    assert not [row for row in rows if row["verdict"] == "unknown"]


def test_pages_show_the_slip_the_witness_and_the_correction(document: Document) -> None:
    document.says(2, r"\beta_t", posterior.variance, value=beta_t, kind="wrong formula")
    page = pages.errata_page([document])
    assert "D9, line 2" in page
    assert r"\tfrac{63}{256}$, not $\tfrac{7}{16}" in page
    assert posterior.variance.latex in page
    assert '<span id="line-2">2</span>' in pages.document_page(document)
    assert "refuted" in pages.document_page(document)
