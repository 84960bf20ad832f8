"""Mistakes that public code has made, made in the reference one at a time: the default tests catch each.

And for each mutant of a claim: which default test would fail if code computed it.
"""

from __future__ import annotations

import json
import re
import sys
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from tests.mistakes import MISTAKES, Mistake
from tests.mistakes.mutants import caught, code_of
from tests.mistakes.world import call, world
from tests.oracle import CLAIMS

ROOT = Path(__file__).resolve().parents[1]
BY_NAME = {mistake.name: mistake for mistake in MISTAKES}


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.name)
def test_a_mistake_of_public_code_is_caught(mistake: Mistake) -> None:
    with world(mistake):
        raised = {test: call(test) for test in mistake.tests}
    expected = {"AssertionError", "Failed", *mistake.ends_in}  # the second is "DID NOT RAISE"
    assert {test: repr(error) for test, error in raised.items() if type(error).__name__ not in expected} == {}


def test_without_a_mistake_the_same_tests_pass() -> None:
    """As many examples of each as above, and as imported anew."""
    with world(None):
        raised = {test: call(test) for test in sorted({t for mistake in MISTAKES for t in mistake.tests})}
    assert {test: repr(error) for test, error in raised.items() if error is not None} == {}


def test_a_mistake_does_not_outlast_its_test() -> None:
    mistake = BY_NAME["posterior-variance-divided-by-alpha"]
    before = dict(sys.modules)
    with world(mistake):
        assert isinstance(call(mistake.tests[0]), AssertionError)
        assert sys.modules["ddpm_ref.schedule"] is not before["ddpm_ref.schedule"]
    assert {name: module for name, module in before.items() if sys.modules[name] is not module} == {}
    assert call(mistake.tests[0]) is None


def test_an_edit_that_changes_nothing_is_not_caught() -> None:
    mistake = BY_NAME["posterior-variance-divided-by-alpha"]
    [(old, _)] = mistake.edits
    with world(replace(mistake, edits=((old, f"{old}  # the same"),))):
        assert [call(test) for test in mistake.tests] == [None] * len(mistake.tests)


def test_an_edit_of_what_is_not_there_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"must stand in ddpm_ref\.schedule once; it does 0 times"):
        replace(MISTAKES[0], edits=(("no such line", ""),)).source()


@pytest.mark.parametrize(
    ("test", "why"),
    [
        ("tests/test_core.py::test_code_computes_the_claim[posterior.nothing]", "there is no test"),
        ("tests/test_core.py::test_nothing", "there is no test"),
        (
            "tests/test_claims.py::test_the_program_writes_every_claim_with_all_its_fields",
            "not of the default",
        ),
    ],
)
def test_a_test_that_is_not_run_by_default_catches_nothing(test: str, why: str) -> None:
    with pytest.raises(LookupError, match=why):
        call(test)


@pytest.fixture(scope="module")
def found() -> dict[tuple[str, str], list[str]]:
    return caught(CLAIMS)


# -- the page ------------------------------------------------------------------------------------------------


@pytest.fixture
def program(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(ROOT / "checks")
    return import_module("bugs")


def test_the_page_says_what_was_measured(program: Any, found: dict[tuple[str, str], list[str]]) -> None:
    results = json.loads((ROOT / "checks" / "bugs.json").read_text(encoding="utf-8"))
    made = program.page(results, CLAIMS, found)
    assert made == (ROOT / "docs" / "checks" / "bugs.md").read_text(encoding="utf-8"), "python checks/bugs.py"


def test_what_went_unnoticed_is_named(program: Any) -> None:
    results: dict[str, Any] = {
        "caught": {"one": {"status": "failed", "error": ""}, "other": {"status": "passed", "error": ""}},
        "attacks": {"this": {"problems": 1}, "that": {"problems": 0}},
        "clean": {"status": "failed", "said": "why"},
    }
    assert program.unnoticed(results) == [
        "other: passed: ",
        "attack, that: unnoticed",
        "without a mistake: failed: why",
    ]


# -- mutants of the claims -----------------------------------------------------------------------------------


def test_every_mutant_of_a_claim_with_code_is_caught_by_a_default_test(
    found: dict[tuple[str, str], list[str]],
) -> None:
    """The tests it is caught by are given it, and show that code which computed it would fail."""
    assert len(found) == sum(len(stated.mutants) for stated in CLAIMS.values())
    free = [f"{id}: {name}" for (id, name), tests in found.items() if code_of(CLAIMS[id]) and not tests]
    assert free == []


def test_the_tests_that_catch_a_mutant_name_it_and_say_what_they_do(
    found: dict[tuple[str, str], list[str]],
) -> None:
    for (_, name), tests in found.items():
        assert all(name in test for test in tests)
        assert all(re.search("would_fail|is_caught|other|wrong", test) for test in tests), tests
