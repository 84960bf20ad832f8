"""Who may know whom: read from the imports of every module."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

FORBIDDEN = {
    "ddpm_ref": {"derivations", "sympy", "z3", "flint", "tests"},  # a trainer needs no solver
    "derivations": {"ddpm_ref", "torch", "tests"},  # a proof owes nothing to the code it judges
    "benchmarks": {"tests"},
}


def imported(source: str) -> set[str]:
    """List the top-level packages that a module imports, anywhere in it and by whichever way."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Import(names=names):
                found |= {alias.name for alias in names}
            case ast.ImportFrom(module=str(module), level=0):
                found.add(module)
            case ast.Call(
                func=ast.Name(id="__import__" | "import_module") | ast.Attribute(attr="import_module"),
                args=[ast.Constant(value=str(module)), *_],
            ):
                found.add(module)
    return {name.partition(".")[0] for name in found}


def modules(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


@pytest.mark.parametrize("package", FORBIDDEN)
def test_no_module_reaches_over_a_wall(package: str) -> None:
    over = {
        str(path.relative_to(ROOT)): sorted(reached)
        for path in modules(package)
        if (reached := imported(path.read_text(encoding="utf-8")) & FORBIDDEN[package])
    }
    assert over == {}


@pytest.mark.parametrize("package", ["ddpm_ref", "derivations"])
def test_the_walls_have_something_to_hold(package: str) -> None:
    assert len(modules(package)) > 1


@pytest.mark.parametrize(
    "source",
    [
        "import sympy",
        "import numpy, sympy.core as core",
        "from sympy.core import Symbol",
        "def late():\n    from sympy import Symbol",
        "import importlib\nimportlib.import_module('sympy.core')",
        "from importlib import import_module\nimport_module('sympy')",
        "__import__('sympy')",
    ],
)
def test_every_way_of_importing_is_seen(source: str) -> None:
    assert "sympy" in imported(source)


def test_a_relative_import_stays_within_its_own_package() -> None:
    assert imported("from . import sympy\nfrom .tests import x") == set()


def test_no_module_is_named_for_being_useful() -> None:
    packages = [*FORBIDDEN, "tests"]
    assert [path for package in packages for path in modules(package) if "util" in path.stem] == []
