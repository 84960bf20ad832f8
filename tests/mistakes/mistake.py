"""A mistake: an edit of the reference's source, and the tests that must fail for it."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

Edit = tuple[str, str]
"""What stands in the source, once, and what stands there instead."""


@dataclass(frozen=True)
class Mistake:
    """A mistake that public code has made, made in the reference.

    Attributes:
        name: of the mistake, in a few words with hyphens.
        says: what goes wrong, in a sentence.
        seen: where it was met: `owner/repository#number` for a thread, `owner/repository` for code.
        module: that is edited.
        edits: of its source.
        tests: ids of default tests, each of which fails because of it.
        stands_for: where the reference has no such part, what is edited in its place.
        ends_in: the errors that a failing test ends in, where no assertion is reached.
    """

    name: str
    says: str
    seen: tuple[str, ...]
    module: str
    edits: tuple[Edit, ...]
    tests: tuple[str, ...]
    stands_for: str = ""
    ends_in: tuple[str, ...] = ()

    @property
    def path(self) -> Path:
        """The file that is edited."""
        return ROOT / (self.module.replace(".", "/") + ".py")

    def source(self) -> str:
        """Return the module's source with the mistake in it.

        Raises:
            ValueError: if what is to be edited does not stand there, exactly once.
        """
        text = self.path.read_text(encoding="utf-8")
        for old, new in self.edits:
            if (times := text.count(old)) != 1:
                raise ValueError(
                    f"{self.name}: what it edits must stand in {self.module} once; it does {times} times: "
                    f"{old!r}"
                )
            text = text.replace(old, new)
        return text

    def difference(self) -> Sequence[str]:
        """Return the lines that it takes away and those that it adds."""
        before = self.path.read_text(encoding="utf-8").splitlines()
        lines = difflib.unified_diff(before, self.source().splitlines(), n=0, lineterm="")
        return [f"{line[0]} {line[1:].strip()}" for line in list(lines)[2:] if line[0] in "+-"]
