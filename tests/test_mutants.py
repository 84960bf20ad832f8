"""The program that changes our mathematics: a made-up module whose mutants are known, and the page."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.test_claims import computing_names

ROOT = Path(__file__).resolve().parents[1]

PLAN = '[left_out]\n"left_out" = "made to fail"\n[modules]\nmade_up = ["tests/test_made_up.py"]\n'
MODULE = "def twice(x):\n    return x + x\n"
MINUS, TESTS = (
    "- return x + x\n+ return x - x",
    "from made_up import twice\n\n\ndef test_left_out():\n    assert 0\n",
)
WATCHED = TESTS + "\n\ndef test_twice():\n    assert twice(1) == 2\n"
ASLEEP = TESTS + "\n\ndef test_twice():\n    twice(1)\n"
REASON = "[[survivor]]\nfunction = 'twice'\nchanges = ['''\n{}\n''']\nreason = '{}'\n"


def attack(
    folder: Path, tests: str, reasons: str = "", *more: str, module: str = MODULE
) -> subprocess.CompletedProcess[str]:
    """Run the program on a module of two lines."""
    for name, text in {
        "made_up.py": module,
        "tests/test_made_up.py": tests,
        "checks/mutants.toml": PLAN,
        "checks/survivors/made_up.toml": reasons,
    }.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    return subprocess.run(
        [sys.executable, ROOT / "checks" / "mutants.py", "--root", folder, *more],
        cwd=folder, capture_output=True, text=True,
    )  # fmt: skip


def counts(folder: Path) -> dict[str, int]:
    found: dict[str, int] = json.loads((folder / "checks/mutants.json").read_text())["modules"]["made_up"][
        "counts"
    ]
    return found


@pytest.mark.slow
def test_a_mutant_is_killed_by_a_test_that_watches_it(tmp_path: Path) -> None:
    made = attack(tmp_path, WATCHED)
    assert made.returncode == 0, made.stderr + made.stdout
    assert counts(tmp_path) == {"killed": 1}


@pytest.mark.slow
def test_a_survivor_without_a_reason_is_refused(tmp_path: Path) -> None:
    made = attack(tmp_path, ASLEEP)
    assert made.returncode == 1
    assert MINUS in made.stdout
    assert counts(tmp_path) == {"survived": 1}
    assert "No reason is given" in (tmp_path / "docs/checks/mutants.md").read_text()


@pytest.mark.slow
def test_a_reason_is_taken_and_stands_on_the_page(tmp_path: Path) -> None:
    made = attack(tmp_path, ASLEEP, REASON.format(MINUS, "nobody looks"))
    assert made.returncode == 0, made.stderr + made.stdout
    assert "nobody looks" in (tmp_path / "docs/checks/mutants.md").read_text()


@pytest.mark.slow
def test_survivors_are_run_again_and_counted_with_the_others(tmp_path: Path) -> None:
    two = MODULE + "\n\ndef thrice(x):\n    return x + x + x\n"
    watched = WATCHED.replace("import twice", "import thrice, twice")
    attack(tmp_path, watched + "\n\ndef test_thrice():\n    thrice(1)\n", module=two)
    assert counts(tmp_path) == {"killed": 1, "survived": 2}
    more = watched + "\n\ndef test_thrice():\n    assert thrice(1) == 3\n"
    again = attack(tmp_path, more, "", "--survivors", module=two)
    assert again.returncode == 0, again.stderr + again.stdout
    assert "2 of 3 mutants" in again.stdout
    assert counts(tmp_path) == {"killed": 3}
    changed = attack(tmp_path, more, "", "--survivors", module=two + "\n")
    assert (changed.returncode, "has changed since" in changed.stderr) == (1, True)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "reason", "complaint"),
    [
        (MINUS, "nobody looks", "killed, so its reason must go"),
        ("- return x\n+ return y", "nobody looks", "no such mutant is made"),
        (MINUS, " ", "has no reason"),
    ],
)
def test_a_reason_that_holds_no_longer_is_refused(
    tmp_path: Path, change: str, reason: str, complaint: str
) -> None:
    made = attack(tmp_path, WATCHED, REASON.format(change, reason))
    assert made.returncode == 1
    assert complaint in made.stdout + made.stderr


@pytest.mark.parametrize(
    ("tests", "complaint"),
    [
        (
            TESTS + "\n\ndef test_broken():\n    assert twice(1) == 3\n",
            "failed tests/test_made_up.py::test_broken",
        ),
        pytest.param(TESTS + "import nowhere\n", "import tests/test_made_up.py", marks=pytest.mark.slow),
        pytest.param("def test_it():\n    pass\n", "never import it", marks=pytest.mark.slow),
    ],
)
def test_nothing_is_said_where_the_tests_fail_before_the_change(
    tmp_path: Path, tests: str, complaint: str
) -> None:
    made = attack(tmp_path, tests)
    assert made.returncode == 1
    assert complaint in made.stderr
    assert not (tmp_path / "checks/mutants.json").exists()


def test_the_page_says_what_was_found() -> None:
    made = subprocess.run(
        [sys.executable, ROOT / "checks" / "mutants.py", "--check"], capture_output=True, text=True
    )
    assert made.returncode == 0, made.stderr


def test_every_module_of_the_core_and_every_kernel_is_attacked() -> None:
    modules = tomllib.loads((ROOT / "checks" / "mutants.toml").read_text(encoding="utf-8"))["modules"]
    core = {f"ddpm_ref.{name.partition('.')[0]}" for name in computing_names()}
    kernels = {
        f"derivations.proof.{name}" for name in ("normal_form", "z3_kernel", "witness", "certificates")
    }
    assert core | kernels <= set(modules)
    for module, tests in modules.items():
        assert (ROOT / f"{module.replace('.', '/')}.py").is_file()
        assert all((ROOT / test).is_file() for test in tests)
