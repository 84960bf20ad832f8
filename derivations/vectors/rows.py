"""Vectors of the usual shape: a schedule, one step per row, and points as inputs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from derivations.vectors.balls import point
from derivations.vectors.named import chain, drawn, few, sizes, symbols
from derivations.vectors.vector import Read, Value, Vector

__all__ = ["over_steps"]


def over_steps(
    id: str,
    quantity: str,
    schedule: str,
    claims: Sequence[str],
    define: Callable[..., Value],
    compose: Callable[[Read, dict[str, Value]], Value],
    *,
    inputs: Sequence[str] = (),
    steps: Sequence[int] | None = None,
    settings: Mapping[str, Any] | None = None,
    scaled: bool = True,
    tried: bool = True,
) -> Vector:
    """Make a vector whose rows are steps of a schedule.

    Args:
        id: what comes before the schedule's name in the vector's id.
        quantity: what is computed.
        schedule: its name.
        claims: the claims that it is composed of.
        define: maps t and the points to the truth, by the definitions.
        compose: maps the symbols' values at t to the same, by the claims.
        inputs: the names of the points, which are drawn.
        steps: the t of the rows; some of 1..T if not given.
        settings: inputs that all rows share.
        scaled: whether the truth is linear in its points, so that the sizes of its terms are the scale.
        tried: whether the claims' mutants are tried on the rows.
    """
    process, ts = chain(schedule), few(schedule) if steps is None else list(steps)
    columns = {name: drawn(name, len(ts)) for name in inputs}
    rows = [(t, dict(zip(columns, row, strict=True))) for t, *row in zip(ts, *columns.values(), strict=True)]

    def claimed(read: Read) -> Iterable[Value | None]:
        for t, row in rows:
            try:
                yield compose(read, symbols(process, t, **row))
            except KeyError:  # the mutant speaks of t + 1 where there is none
                yield None

    return Vector(
        f"{id}/{schedule}",
        quantity,
        claims,
        [define(t, *map(point, row.values())) for t, row in rows],
        claimed,
        schedule=schedule,
        t=ts,
        inputs=columns,
        settings=settings or {},
        scale=[sizes(lambda *points, t=t: define(t, *points), *row.values()) for t, row in rows]
        if scaled and len(columns) > 1
        else None,
        tried=tried,
    )
