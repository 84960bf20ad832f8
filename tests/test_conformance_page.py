"""The page about other implementations is what the tracked results and findings say."""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ddpm_ref.conformance import matrix
from ddpm_ref.conformance.measure import Result
from ddpm_ref.conformance.protocol import BUILT_IN
from ddpm_ref.conformance.report import summary, to_json

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "conformance"
FOUND = list(matrix.findings(FOLDER / "findings"))
RESULTS = {
    path.stem: json.loads(path.read_text(encoding="utf-8")) for path in (FOLDER / "results").glob("*.json")
}
IMPORTED = {"diffusers": "diffusers", "monai": "monai", "labml-nn": "labml_nn"}


def test_the_page_is_up_to_date() -> None:
    assert matrix.main([str(FOLDER), "--check"]) == 0


def test_a_page_that_is_edited_or_missing_is_noticed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = tmp_path / "conformance"
    shutil.copytree(FOLDER, copy)
    page = copy / "matrix.md"
    page.write_text(page.read_text(encoding="utf-8").replace("differs", "agrees", 1), encoding="utf-8")
    assert matrix.main([str(copy), "--check"]) == 1
    page.unlink()
    assert matrix.main([str(copy), "--check"]) == 2
    assert matrix.main([str(copy)]) == 0
    (copy / "findings" / "empty.py").write_text("print(1)\n", encoding="utf-8")
    assert matrix.main([str(copy)]) == 2
    assert "empty.py must have a docstring" in capsys.readouterr().err


def test_there_are_results_for_every_adapter() -> None:
    assert set(RESULTS) == set(BUILT_IN)


@pytest.mark.parametrize("finding", FOUND, ids=lambda finding: finding.title[:40])
def test_a_finding_is_of_checks_that_do_not_pass(finding: matrix.Finding) -> None:
    [peer] = [result for result in RESULTS.values() if result["implementation"] == finding.peer]
    short = {r["check"] for r in peer["results"] if r["outcome"] in ("failed", "broken", "inexact")}
    assert set(finding.checks) <= short


def test_every_difference_has_a_finding() -> None:
    for peer in RESULTS.values():
        told = {c for f in FOUND if f.peer == peer["implementation"] for c in f.checks}
        differ = {r["check"] for r in peer["results"] if r["outcome"] in ("failed", "broken")}
        assert differ <= told, peer["implementation"]


def test_what_is_known_of_diffusers_was_found() -> None:
    results = RESULTS["diffusers"]["results"]

    def diagnosed(check: str) -> str:
        return " ".join(r["diagnosis"] for r in results if r["check"] == check and r["outcome"] == "failed")

    assert "62 of 1000" in diagnosed("timesteps[trailing]")
    assert "wraps round to T" in diagnosed("timesteps[trailing]")
    for variance in ("fixed_large_log", "learned"):
        assert "not a finite number" in diagnosed(f"step[{variance}]")
    for check, error in (("one_minus_alpha_bar", 1.6e-4), ("posterior_variance", 3.8e-4)):
        assert max(r["relative"] for r in results if r["check"] == check) >= error


def test_a_summary_keeps_the_worst_of_each_kind() -> None:
    results = [
        Result("q", "", "a", "passed", 0.1, allowed=1),
        Result("q", "", "b", "passed", 0.4, allowed=1),
        Result("q", "", "c", "failed", 9.0, allowed=1, diagnosis="one"),
        Result("q", "", "d", "failed", 7.0, allowed=1, diagnosis="two"),
    ]
    kept = summary(to_json("x", "1", results))["results"]
    assert [(r["case"], r["cases"]) for r in kept] == [("c", 1), ("d", 1), ("b", 2)]


@pytest.mark.peers
@pytest.mark.parametrize("finding", FOUND, ids=lambda finding: finding.title[:40])
def test_a_finding_prints_what_the_page_says(finding: matrix.Finding) -> None:
    package = IMPORTED.get(finding.peer)
    if package and importlib.util.find_spec(package) is None:
        pytest.skip(f"{package} is not installed; make peers has it")
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", finding.code], capture_output=True, text=True, check=False
    )
    assert done.stdout.strip() == finding.prints, done.stderr[-500:]


@pytest.mark.peers
@pytest.mark.parametrize("check", ["timesteps[trailing]", "step[learned]", "one_minus_alpha_bar"])
def test_diffusers_is_checked_here_and_now(check: str) -> None:
    from ddpm_ref.conformance.runner import run

    outcomes = {r.outcome for r in run("diffusers", only=check, isolated=False)}
    assert outcomes & {"failed", "inexact"}
