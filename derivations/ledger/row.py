"""Rows: a line of a document, what is printed there, and the claim that decides it.

A row says which claim the line is about and, if the line says something else than the claim, what: a mutant
of the claim, or parts of its statement as printed. The verdict is then computed, by running the claim's own
proof on what is printed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

from sympy import Basic, sympify

from derivations.proof import normal_form, witness, z3_kernel
from derivations.proof.claims import Claim
from derivations.proof.witness import Witness

Kind = Literal["wrong formula", "wrong index", "missing hypothesis", "notation", "wrong words"]
Verdict = Literal["proved", "definition", "numeric", "assumed", "refuted", "unknown", "not a statement"]
KINDS = ("wrong formula", "wrong index", "missing hypothesis", "notation", "wrong words")


@dataclass(frozen=True)
class Row:
    """One statement of a document.

    Attributes:
        document: D1 … D5, or Ho2020.
        line: of the document as it lies in the sources; for the paper, the equation's number.
        printed: the formula as printed (TeX), or for a statement in words what it says, in English.
        claim: what decides it; None where nothing is stated.
        parts: how the printed version differs from the claim, by part; empty if it does not.
        kind: the kind of slip, if there is one.
        note: how the line is read, where that is not plain; for what is not a statement, why.
        in_words: whether `printed` paraphrases words instead of quoting a formula.
        corrected_by: a proved claim that says it right, where the deciding claim is a definition.
    """

    document: str
    line: str
    printed: str
    claim: Claim | None
    parts: Mapping[str, Basic] = field(default_factory=dict)
    kind: Kind | None = None
    note: str = ""
    in_words: bool = False
    corrected_by: Claim | None = None

    @property
    def correction(self) -> Claim | None:
        """The claim that says what the line should say: by default the one that decides it."""
        return self.corrected_by or self.claim

    @property
    def where(self) -> str:
        """The document and the line, as one names them."""
        return f"{self.document}:{self.line}"

    @cached_property
    def decided(self) -> tuple[Verdict, Witness | None]:
        """The verdict on what is printed, and the point that refutes it if it is refuted."""
        if self.claim is None:
            return "not a statement", None
        if self.claim.verdict == "failed":
            return "unknown", None
        if not self.parts:
            return self.claim.verdict, None
        return _decide_printed(self.claim, self.parts)

    @property
    def verdict(self) -> Verdict:
        """The computed verdict."""
        return self.decided[0]

    @property
    def problems(self) -> list[str]:
        """What is wrong with the row itself."""
        problems = []
        if self.verdict == "unknown":
            problems.append("the kernels neither prove nor refute what is printed")
        if self.verdict == "refuted" and self.kind is None:
            problems.append("refuted, but no kind of slip is given")
        if self.verdict not in ("refuted", "not a statement") and self.kind not in (None, "notation"):
            problems.append(f"called {self.kind!r}, but what is printed holds")
        if self.kind == "notation" and not self.note:
            problems.append("a slip of notation, but no note says how the line is read")
        if self.claim is None and not self.note:
            problems.append("not a statement, but no reason is given")
        return [f"{self.where} {self.printed!r}: {problem}" for problem in problems]


def _decide_printed(claim: Claim, parts: Mapping[str, Basic]) -> tuple[Verdict, Witness | None]:
    everything_proved = True
    for obligation in claim.obligations(**parts):
        proved = [kernel.decide(obligation) == "proved" for kernel in (normal_form, z3_kernel)]
        if all(proved):
            continue
        everything_proved = False
        found = witness.refute(obligation)
        if found is not None:
            return ("unknown" if any(proved) else "refuted"), found
    return (claim.verdict if everything_proved else "unknown"), None  # type: ignore[return-value]


class Document:
    """The rows of one document, entered in the order of its lines."""

    def __init__(self, name: str, title: str) -> None:
        self.name = name
        self.title = title
        self.rows: list[Row] = []
        self.symbols: dict[str, str] = {}

    def says(
        self,
        line: int | str,
        printed: str,
        claim: Claim,
        *,
        mutant: str = "",
        kind: Kind | None = None,
        note: str = "",
        in_words: bool = False,
        corrected_by: Claim | None = None,
        **parts: Basic | int,
    ) -> None:
        """Enter what a line states.

        Args:
            line: where it stands.
            printed: the formula, or a fragment of it, as printed; or English for a statement in words.
            claim: the claim that decides it.
            mutant: the name of the claim's mutant that is printed, if it is one of them.
            kind: the kind of slip, if what is printed is not right.
            note: how the line is read, where that is not plain.
            in_words: whether `printed` paraphrases words.
            corrected_by: a proved claim that says it right, where `claim` is a definition.
            parts: the parts of the claim's statement as printed, where they differ and no mutant has them.
        """
        changed: dict[str, Basic] = {name: sympify(value) for name, value in parts.items()}
        if mutant:
            chosen = [wrong for wrong in claim.mutants if wrong.name == mutant]
            if not chosen:
                known = ", ".join(repr(wrong.name) for wrong in claim.mutants)
                raise ValueError(f"{self.name}:{line}: {claim.id} has no mutant {mutant!r}; it has {known}")
            changed = {**chosen[0].parts, **changed}
        if kind is not None and kind not in KINDS:
            raise ValueError(f"{self.name}:{line}: kind must be one of {', '.join(KINDS)}; got {kind!r}")
        unknown = set(changed) - set(claim.statement.parts)
        if unknown:
            raise ValueError(f"{self.name}:{line}: {claim.id} has no part {sorted(unknown)}")
        self.rows.append(
            Row(self.name, str(line), printed, claim, changed, kind, note, in_words, corrected_by)
        )

    def words(self, line: int | str, said: str, claim: Claim, **how: object) -> None:
        """Enter a checkable statement that the document makes in words; `said` says it in English."""
        self.says(line, said, claim, in_words=True, **how)  # type: ignore[arg-type]

    def skip(self, line: int | str, printed: str, reason: str) -> None:
        """List a formula that states nothing, with the reason."""
        self.rows.append(Row(self.name, str(line), printed, None, note=reason))

    def names(self, reason: str, *printed: str) -> None:
        """List formulas that only name things, wherever the document has them."""
        self.symbols.update(dict.fromkeys(map(squeeze, printed), reason))


def squeeze(text: str) -> str:
    """Drop what only spaces a formula out."""
    return "".join(re.sub(r"(?<!\\)\\ ", "", text).split())
