"""The kit stands alone: it needs NumPy and mpmath, and no PyTorch, no SymPy and no solver."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs" / "conformance" / "index.md").read_text(encoding="utf-8")
BLOCK = """
import sys
for name in ("torch", "sympy", "z3", "flint", "sklearn", "matplotlib", "derivations"):
    sys.modules[name] = None  # an import of it raises ImportError
"""


def _blocks(kind: str) -> list[str]:
    return [textwrap.dedent(text) for text in re.findall(rf"```{kind}\n(.*?)```", PAGE, re.DOTALL)]


def _python(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        [sys.executable, *arguments], cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )


def test_the_kit_the_reader_and_an_adapter_in_numpy_need_no_torch(tmp_path: Path) -> None:
    [adapter] = [block for block in _blocks("python") if "class Mine" in block]
    (tmp_path / "mine.py").write_text(adapter, encoding="utf-8")
    script = f"""{BLOCK}
from ddpm_ref.conformance import __main__, report, vectors
from ddpm_ref.conformance.runner import run
from mine import Mine
assert len(vectors.load("laws")) > 50
found = list(run(Mine, only="q_sample"))
print(report.table("mine", found))
print(sorted({{result.outcome for result in found if result.check == "q_sample"}}))
"""
    done = _python("-W", "error", "-c", script, cwd=tmp_path)
    assert done.stderr == ""
    assert done.stdout.splitlines()[-1] == "['inexact', 'passed']"


def test_what_is_blocked_is_missed_by_what_needs_it(tmp_path: Path) -> None:
    done = _python("-c", f"{BLOCK}\nimport ddpm_ref.conformance.adapters.reference", cwd=tmp_path)
    assert "ModuleNotFoundError: import of torch halted" in done.stderr


@pytest.mark.parametrize("module", ["ddpm_ref.conformance.pytest_plugin", "ddpm_ref.conformance"])
def test_the_plugin_costs_a_run_that_does_not_ask_for_it_nothing(module: str, tmp_path: Path) -> None:
    script = f"""
import sys, pytest
import {module}
print(sorted({{"torch", "numpy", "mpmath", "sympy"}} & sys.modules.keys()))
"""
    assert _python("-c", script, cwd=tmp_path).stdout == "[]\n"


@pytest.mark.slow
def test_a_stranger_who_follows_the_page_sees_what_it_says(tmp_path: Path) -> None:
    [adapter] = [block for block in _blocks("python") if "class Mine" in block]
    [report] = [block for block in _blocks("text") if block.startswith("mine 1.0")]
    (tmp_path / "mine.py").write_text(adapter, encoding="utf-8")
    done = _python("-m", "ddpm_ref.conformance", "mine:Mine", cwd=tmp_path)
    assert done.returncode == 1, done.stderr
    wanted = iter(done.stdout.splitlines())
    for line in report.splitlines():
        if line.strip() not in ("", "…"):
            assert line in wanted, line  # in this order
