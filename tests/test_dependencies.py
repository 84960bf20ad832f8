"""What is installed is pinned, hashed, licensed and explained."""

import importlib
import json
import re
import tomllib
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
PINNED = re.compile(r"([\w.-]+)==([^\s;]+)(?: ; [^\\]*)? \\\n((?:    --hash=sha256:[0-9a-f]{64}(?: \\)?\n)+)")


@pytest.fixture
def dependencies(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(ROOT / "checks")
    return importlib.import_module("dependencies")


@pytest.fixture(scope="module")
def lock() -> str:
    text = (ROOT / "requirements-dev.lock").read_text(encoding="utf-8")
    return re.sub(r"^#.*\n", "", text, flags=re.MULTILINE)


@pytest.fixture(scope="module")
def locked(lock: str) -> dict[str, set[str]]:
    """The versions of each package: more than one where they differ from platform to platform."""
    found: dict[str, set[str]] = {}
    for name, version, _ in PINNED.findall(lock):
        found.setdefault(name, set()).add(version)
    return found


@pytest.fixture(scope="module")
def packages() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((ROOT / "checks" / "dependencies.json").read_text(encoding="utf-8"))
    return found


def project() -> dict[str, Any]:
    table: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return table


def test_every_line_of_the_lock_is_a_version_with_its_hashes(lock: str) -> None:
    assert PINNED.sub("", lock) == ""


def test_the_lock_holds_all_that_we_ask_for_at_the_versions_that_we_chose(
    locked: dict[str, set[str]], dependencies: ModuleType
) -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    chosen = dict(line.split("==") for line in lines if line and not line.startswith("#"))
    pins = {canonicalize_name(name): {version} for name, version in chosen.items()}
    asked = dependencies.asked(project())
    wanted = (asked["run"] | asked["docs"] | asked["dev"]) - {"torch"}
    assert {name: locked.get(name) for name in wanted} == {name: pins[name] for name in wanted}
    assert {name: locked[name] for name in pins.keys() & locked.keys()} == {
        name: pins[name] for name in pins.keys() & locked.keys()
    }


def test_the_lock_holds_all_that_those_bring_save_torch_and_its_builds_own(
    locked: dict[str, set[str]], packages: dict[str, Any], dependencies: ModuleType
) -> None:
    asked = dependencies.asked(project())
    brought = dependencies.closure(asked["run"] | asked["docs"] | asked["dev"], packages)
    assert locked == {name: set(packages[name]["versions"]) for name in brought - {"torch"}}


def test_every_licence_is_one_that_we_allow(packages: dict[str, Any], dependencies: ModuleType) -> None:
    other = {
        name: package["licence"]
        for name, package in packages.items()
        if not dependencies.allowed(package["licence"])
    }
    assert other == {}


def test_a_licence_is_what_the_package_here_says(packages: dict[str, Any], dependencies: ModuleType) -> None:
    lock = importlib.import_module("lock")
    here = {str(canonicalize_name(each.name)): each for each in metadata.distributions()}
    differs = {
        name: (package["licence"], said)
        for name, package in packages.items()
        if name in here
        and here[name].version.partition("+")[0] == [*package["versions"]][-1]  # the one that was read
        and (said := lock.licence(here[name].metadata)) != package["licence"]
    }
    assert differs == {}


def test_we_say_why_we_ask_for_each_package(dependencies: ModuleType) -> None:
    asked = dependencies.asked(project())
    assert asked.keys() == dependencies.EXTRAS.keys()
    assert sorted(set().union(*asked.values()) - dependencies.WHY.keys()) == []


@pytest.mark.parametrize(
    ("expression", "allowed"),
    [
        ("MIT", True),
        ("Apache-2.0 OR BSD-2-Clause", True),
        ("(MIT AND Zlib) OR ISC", True),
        ("GPL-3.0-only", False),
        ("MIT AND GPL-3.0-only", False),
        ("LicenseRef-Proprietary", False),
        ("", False),
    ],
)
def test_a_licence_that_is_not_allowed_is_seen(
    expression: str, allowed: bool, dependencies: ModuleType
) -> None:
    assert dependencies.allowed(expression) == allowed


def test_the_page_is_made_from_what_was_found(
    dependencies: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", ["dependencies.py", "--check"])
    assert dependencies.main() == 0
