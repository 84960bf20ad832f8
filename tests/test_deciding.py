"""Which claims are decided, in which order, and when several processes share them."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator
from io import StringIO
from typing import Any

import pytest
from rich.console import Console

from derivations import CHAPTERS
from derivations.proof import deciding
from derivations.proof.claims import every_claim
from derivations.proof.deciding import decide, select

IDS = list(every_claim())
SOME = [id for id in IDS if id.startswith("forward.")][:5]


def ids(*names: str) -> list[str]:
    return [claim.id for claim in select(names)]


def test_all_claims_are_chosen_where_none_is_named() -> None:
    assert ids() == IDS


def test_claims_and_chapters_are_chosen_by_name_in_reading_order() -> None:
    assert ids(SOME[1], SOME[0]) == SOME[:2]
    chapter = [id for id in IDS if id.startswith("posterior.")]
    assert ids("posterior") == chapter
    assert ids("posterior", SOME[0], chapter[0]) == [SOME[0], *chapter]
    assert all(ids(chapter) for chapter in CHAPTERS)


@pytest.mark.parametrize("name", ["nowhere", "forward.nothing", ""])
def test_a_name_that_nothing_has_is_refused_with_the_names_of_the_chapters(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name!r}; chapters are {', '.join(CHAPTERS)}$"):
        select([SOME[0], name])


@pytest.fixture
def _light(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deciding, "as_json", lambda claim: {"id": claim.id})


class Pool:
    """Stands for a pool of processes: does the work in this one, and remembers what it was asked for."""

    made: list[dict[str, Any]]

    def __init__(
        self, workers: int, *, mp_context: Any, initializer: Callable[..., object], initargs: tuple[Any, ...]
    ) -> None:
        self.made.append({"workers": workers, "start": mp_context.get_start_method(), "open": True})
        initializer(*initargs)

    def __enter__(self) -> Pool:
        return self

    def __exit__(self, *_: object) -> None:
        self.made[-1]["open"] = False

    def map(self, function: Callable[[str], Any], given: Iterable[str]) -> Iterator[Any]:
        assert self.made[-1]["open"]
        return map(function, given)


@pytest.mark.usefixtures("_light")
@pytest.mark.parametrize(
    ("processors", "number", "workers"),
    [(8, 5, 2), (8, 4, 2), (8, 3, 1), (8, 0, 1), (1, 5, 1), (None, 5, 1), (2, 5, 2)],
)
def test_many_claims_are_shared_among_processes_and_few_are_not(
    processors: int | None, number: int, workers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deciding, "FEW", 2)
    monkeypatch.setattr(os, "cpu_count", lambda: processors)
    monkeypatch.setattr(deciding, "ProcessPoolExecutor", Pool)
    monkeypatch.setattr(Pool, "made", [], raising=False)
    asked = SOME[:number][::-1]
    assert decide(asked, Console(file=StringIO())) == [{"id": id} for id in asked]
    if workers == 1:
        assert Pool.made == []
    else:
        assert Pool.made == [{"workers": workers, "start": "spawn", "open": False}]


@pytest.mark.usefixtures("_light")
@pytest.mark.parametrize("number", [0, 3])
def test_progress_is_shown_and_taken_away(number: int) -> None:
    out = StringIO()
    decide(SOME[:number], Console(file=out, force_terminal=True, width=120))
    lines = re.sub(r"\x1b\[[0-9;?]*[mhlA]", "", out.getvalue()).split("\x1b[2K")
    assert lines[-1] == ""  # the last line was cleared
    first, *_, last = (re.findall(r"[\w./-]+", line) for line in lines[1:-1])
    assert first == ["Proving", f"0/{number}"]
    assert last[:2] == ["Proving", f"{number}/{number}"]
    assert last[2:3] == SOME[:number][-1:]
