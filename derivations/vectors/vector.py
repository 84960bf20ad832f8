"""What one vector is, before it is printed: the truth from the definitions, and the claims that it tests."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

__all__ = ["Read", "Topic", "Vector", "by_row"]

Row = TypeVar("Row")
Value = Any
"""A ball, or an object array of balls."""


class Read(Protocol):
    """Evaluate a part of a claim at the values of its symbols; a mutant of it, while that one is tried."""

    def __call__(self, claim: str, symbols: Mapping[str, Value], part: str = "value") -> Value:
        """Return the value.

        Raises:
            KeyError: if the expression mentions a symbol that has no value: α_{t+1} at t = T.
        """


@dataclass(frozen=True, eq=False)
class Vector:
    """Rows of one quantity.

    Attributes:
        id: permanent; the topic's file says it.
        quantity: what is computed; a name that `ddpm_ref` uses where it computes it.
        claims: the claims that the rows are composed of, and whose mutants they are held against.
        truth: each row's value, from the definitions.
        claimed: the same rows, composed of the claims' expressions; a row that a mutant leaves undefined is
            None.
        schedule: the name of a schedule.
        t: each row's step.
        inputs: each row's inputs, by name, as numbers that JSON can hold exactly.
        settings: inputs that all rows share.
        scale: what each row's rounding errors are relative to; the value's own size if not given.
        tried: whether the claims' mutants are tried on the rows.
    """

    id: str
    quantity: str
    claims: Sequence[str]
    truth: Sequence[Value]
    claimed: Callable[[Read], Iterable[Value | None]]
    schedule: str | None = None
    t: Sequence[int] | None = None
    inputs: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    scale: Sequence[Value] | None = None
    tried: bool = True


@dataclass(frozen=True)
class Topic:
    """A file of vectors."""

    name: str
    about: str
    vectors: Sequence[Vector]


def by_row(
    rows: Sequence[Row], compose: Callable[[Read, Row], Value]
) -> Callable[[Read], Iterable[Value | None]]:
    """Compose each row by itself; one that mentions a symbol without a value is None."""

    def claimed(read: Read) -> Iterable[Value | None]:
        for row in rows:
            try:
                yield compose(read, row)
            except KeyError:
                yield None

    return claimed
