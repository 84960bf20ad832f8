"""The page of fuzzing says what was measured, and what was measured has no failure."""

import importlib
import json
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def fuzz(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(ROOT / "checks")
    return importlib.import_module("fuzz")


def test_the_page_says_what_was_measured(fuzz: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["fuzz.py", "--check"])
    assert fuzz.main() == 0


def test_every_file_of_fuzzing_is_on_the_page_without_a_failure(fuzz: ModuleType) -> None:
    boundaries = json.loads(fuzz.RECORD.read_text(encoding="utf-8"))["boundaries"]
    files = {path.stem.removeprefix("test_fuzz_") for path in (ROOT / "tests" / "fuzz").glob("test_*.py")}
    assert boundaries.keys() == fuzz.FILES.keys() == files
    for name, entry in boundaries.items():
        assert (entry["exit"], entry["failed"]) == (0, 0), name
        assert all(row["examples"] and not row["failed"] for row in entry["properties"].values()), name


def test_what_hypothesis_observes_is_counted(fuzz: ModuleType) -> None:
    def line(status: str, exit: str, name: str = "tests/fuzz/test_a.py::test_b[9-c]") -> dict[str, object]:
        return {
            "type": "test_case",
            "status": status,
            "property": name,
            "features": {"exit": exit},
            "timing": {"execute:test": 0.25, "overall:gc": 0.25},
        }

    lines = [line("passed", "accepted"), line("passed", "data must be"), line("gave_up", "accepted")]
    lines += [line("failed", "accepted"), line("passed", "x", "tests/fuzz/test_a.py::test_d[9]")]
    found = fuzz.properties(lines)
    assert found.keys() == {"test_b[c]", "test_d"}
    assert found["test_b[c]"] == {
        "examples": 3, "failed": 1, "seconds": 1.5, "accepted": 1, "kinds": 1, "refused": {"data must be": 1},
    }  # fmt: skip
    assert fuzz.sentence("test_b[c]") == "b: `c`"
