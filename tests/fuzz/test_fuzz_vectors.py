"""The conformance vectors, the page of peers, the kept runs, and the pages that mention claims."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ddpm_ref.conformance import matrix, vectors
from derivations.proof import mentions
from tests.fuzz.boundary import Fuzz, asked, kept, raises_only, refused
from tests.fuzz.strategies import TEXTS, changed, damaged
from tests.fuzz.test_fuzz_cli import load

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """The vectors of two topics, which take no time to read; what was read before is forgotten."""
    made = tmp_path / "vectors"
    made.mkdir()
    for name in ("schedules.json", "divergences.json", vectors.SCHEMA):
        shutil.copy(vectors.FOLDER / name, made)
    small = json.loads((made / "schedules.json").read_text())
    small["vectors"] = small["vectors"][:2]
    small["schedules"] = {name: x for name, x in small["schedules"].items() if len(x["betas"]) < 20}
    for vector in small["vectors"]:
        vector.pop("schedule", None)
    divergences = json.loads((made / "divergences.json").read_text())
    divergences["vectors"] = divergences["vectors"][:2]
    (made / "schedules.json").write_text(json.dumps(small))
    (made / "divergences.json").write_text(json.dumps(divergences))
    sign(made)
    yield made
    forget()


def forget() -> None:
    vectors.load.cache_clear()
    vectors._schedules.cache_clear()


def sign(folder: Path) -> None:
    """Write the checksums that the files have now."""
    lines = [
        f"{hashlib.sha256(p.read_bytes()).hexdigest()}  {p.name}\n" for p in sorted(folder.glob("*.json"))
    ]
    (folder / vectors.CHECKSUMS).write_text("".join(lines))


def look(topic: str, folder: Path) -> tuple[vectors.Vector, ...]:
    """Read a topic, and use what was read."""
    forget()
    found = vectors.load(topic, folder)
    for vector in found:
        assert np.shape(vector.value) == vector.truth.shape
        assert not np.nan_to_num(vector.error(vector.value)).any() or vector.error(vector.value).max() < 1
    return found


@pytest.mark.parametrize("name", ["divergences", pytest.param("schedules", marks=pytest.mark.slow)])
def test_a_signed_file_of_vectors_is_read_or_refused(fuzz: Fuzz, folder: Path, name: str) -> None:
    file = folder / f"{name}.json"
    content = json.loads(file.read_text())

    @given(changed(content))
    def holds(text: str) -> None:
        file.write_text(text)
        sign(folder)
        raises_only(vectors.VectorsError, lambda: look("divergences", folder), [file.name])

    fuzz(holds, cost=0.5)


@pytest.mark.parametrize("name", ["divergences.json", vectors.CHECKSUMS])
def test_an_altered_file_of_vectors_is_refused(fuzz: Fuzz, folder: Path, name: str) -> None:
    content = (folder / name).read_bytes()

    @given(damaged(content))
    def holds(data: bytes) -> None:
        (folder / name).write_bytes(data)
        found = raises_only(
            vectors.VectorsError, lambda: look("divergences", folder), [name, *vectors.topics(), "topic"]
        )
        assert found is None or data == content or name == vectors.CHECKSUMS

    fuzz(holds, cost=0.5)


@pytest.mark.slow
def test_the_page_of_peers_is_made_or_refused(fuzz: Fuzz, place: Path) -> None:
    there = ROOT / "docs" / "conformance"
    result = json.loads((there / "results" / "original.json").read_text())
    result["results"] = result["results"][:3]
    finding = sorted((there / "findings").glob("*.py"))[0].read_bytes()
    (place / "page" / "results").mkdir(parents=True)
    (place / "page" / "findings").mkdir()

    @given(changed(result), st.just(finding) | damaged(finding, b"(" * 100_000))
    def holds(text: str, script: bytes) -> None:
        (place / "page" / "results" / "a.json").write_text(text)
        (place / "page" / "findings" / "a.py").write_bytes(script)
        with kept(place) as told:
            told(refused(asked(matrix.main, ["page"]), ["a.json", "a.py", "utf-8"]))

    fuzz(holds, cost=0.5)


@pytest.mark.slow
def test_a_run_is_kept_for_the_site_or_refused(fuzz: Fuzz, place: Path) -> None:
    program = load("docs/runs/write.py")
    there = ROOT / "docs" / "runs" / "digits-0"
    run = place / "finished"
    run.mkdir()
    texts = {name: json.loads((there / name).read_text()) for name in program.JSON}
    texts["environment.json"] |= {"platform": "x"}
    lines = b"".join(json.dumps({"step": i, "loss": 1 / (1 + i)}).encode() + b"\n" for i in range(5))
    evaluation = json.loads((there / "evaluation.json").read_text())
    texts["evaluation-0/evaluation.json"] = {**evaluation, "run": "x"}
    (run / "evaluation-0").mkdir()
    (place / "site").mkdir()

    @given(st.data())
    def holds(data: st.DataObject) -> None:
        name = data.draw(st.sampled_from([*texts, "metrics.jsonl", "samples.png"]))
        for file, value in texts.items():
            (run / file).write_text(json.dumps(value))
        (run / "metrics.jsonl").write_bytes(lines)
        if name in texts:
            (run / name).write_text(data.draw(changed(texts[name])))
        elif name == "metrics.jsonl":
            (run / name).write_bytes(data.draw(damaged(lines)))
        with kept(place) as told:
            answer = asked(lambda given: program.main(given, place / "site"), ["--add", "finished"])
            told(refused(answer, ["finished"]))

    fuzz(holds, cost=0.5)


PIECES = ["`", "``", "```", "~~~", "\n", "posterior.mean", "posterior.none", "ddpm_ref.train", "ddpm_ref.x.y"]
PIECES += [
    "D1:3",
    "D1:99999",
    "D9:1",
    "D1:" + "9" * 5000,
    "ddpm_ref." + "a" * 300,
    "ddpm_ref.ä.ß",
    " ",
    ":",
    "D٣:٣",
]


def test_any_page_can_be_read_for_what_it_mentions(fuzz: Fuzz) -> None:
    mentions.wrong({"page.md": "`posterior.mean` D1:1"})  # the book, which takes seconds to read, is read
    pages = st.lists(st.sampled_from([*PIECES, *TEXTS]) | st.text(max_size=4), max_size=12).map("".join)

    @given(pages | st.just("```\n" * 3000) | st.just("~~~~" * 5000))
    def holds(text: str) -> None:
        found: list[Any] = raises_only(ZeroDivisionError, lambda: mentions.wrong({"page.md": text}), [])
        assert all(line.startswith("docs/page.md:") for line in found)

    fuzz(holds, cost=0.5)
