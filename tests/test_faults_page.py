"""The page of faults is collected from the tests that hold its promises."""

import importlib
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def faults(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(ROOT / "checks")
    return importlib.import_module("faults")


def test_the_page_says_what_the_tests_promise(faults: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["faults.py", "--check"])
    assert faults.main() == 0


def test_a_promise_stands_with_all_its_tests(faults: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(faults, "FAULTS", ("killed",))
    one, two = faults.Promise("killed", "a", "x::y", True), faults.Promise("killed", "a", "x::z", False)
    both = faults.Promise("killed", "b", "x::y", False)
    assert list(faults.rows([one, two, one._replace(what="b"), both])) == [
        "| killed | a | `x::y` (slow)<br>`x::z` |\n",
        "| killed | b | `x::y` (some cases slow) |\n",
    ]
    with pytest.raises(ValueError, match=r"every promise a fault; not so \['killed', 'tired'\]"):
        list(faults.rows([one._replace(fault="tired")]))
