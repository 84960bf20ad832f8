"""What the project says of itself in several places agrees."""

import re
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def first(pattern: str, text: str) -> str:
    found = re.search(pattern, text, re.MULTILINE)
    assert found, f"nothing matches {pattern}"
    return found[1]


@pytest.fixture(scope="module")
def project() -> dict[str, Any]:
    table: dict[str, Any] = tomllib.loads(read("pyproject.toml"))["project"]
    return table


@pytest.fixture(scope="module")
def pins() -> dict[str, str]:
    """Each pinned distribution and its version."""
    lines = [line.strip() for line in read("constraints.txt").splitlines()]
    pairs = [line.split("==") for line in lines if line and not line.startswith("#")]
    assert all(len(pair) == 2 for pair in pairs), "constraints.txt pins with == only"
    return {canonicalize_name(name): version for name, version in pairs}


def test_the_versions_agree(project: dict[str, Any]) -> None:
    cited = first(r"^version: (\S+)$", read("CITATION.cff"))
    changed = first(r"^## \[(\d[^\]]*)\]", read("CHANGELOG.md"))
    assert cited == changed == project["version"]


def test_every_pin_is_within_the_range_that_we_accept(project: dict[str, Any], pins: dict[str, str]) -> None:
    extras = project["optional-dependencies"]
    installed = [
        Requirement(r) for r in project["dependencies"] + extras["proofs"] + extras["docs"] + extras["dev"]
    ]
    ours = {canonicalize_name(project["name"])}
    asked = {canonicalize_name(r.name): r for r in installed if canonicalize_name(r.name) not in ours}
    assert sorted(asked.keys() - pins.keys()) == [], "`make` installs these unpinned"
    outside = {name: pins[name] for name, r in asked.items() if not r.specifier.contains(pins[name])}
    assert outside == {}


def test_every_make_command_that_we_write_down_is_a_target() -> None:
    targets = set(re.findall(r"^([a-z]+):", read("Makefile"), re.MULTILINE))
    written = {
        name: set(re.findall(r"(?:^|`)make ([a-z]+)", read(name), re.MULTILINE))
        for name in ("README.md", "CONTRIBUTING.md", "docs/index.md")
    }
    assert {
        name: sorted(commands - targets) for name, commands in written.items() if commands - targets
    } == {}
    assert {"train", "test"} <= written["README.md"], "the two commands of the first screen"


def test_no_file_names_a_path_of_one_machine() -> None:
    if not (ROOT / ".git").exists() or shutil.which("git") is None:
        pytest.skip("not a git checkout")
    listing = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    machine = re.compile(rb"(?<![\w.~-])/(?:work|root|home)/\w")
    named = [
        name
        for name in listing.stdout.splitlines()
        if (ROOT / name).is_file() and machine.search((ROOT / name).read_bytes())
    ]
    assert named == []
