"""The reference with a mistake in it, beside the one that is loaded.

A test is called as pytest would call it, but on modules that are imported anew: `ddpm_ref` and `tests`, with
one module's source edited. What was loaded before comes back as it was.
"""

from __future__ import annotations

import itertools
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from importlib.machinery import PathFinder
from importlib.util import module_from_spec
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import Phase, settings

from tests.mistakes.mistake import Mistake

OURS = ("ddpm_ref", "tests")
NOT_BY_DEFAULT = {"slow", "browser", "peers", "gpu"}
# The same examples as always; a failure is not made smaller, which would take longer than finding it.
settings.register_profile(
    "mistakes", deadline=None, derandomize=True, max_examples=10, phases=[Phase.explicit, Phase.generate]
)


def _loaded() -> dict[str, ModuleType]:
    return {
        name: module
        for name, module in sys.modules.items()
        if name.partition(".")[0] in OURS and not name.startswith("tests.mistakes")
    }


@contextmanager
def world(mistake: Mistake | None) -> Iterator[None]:
    """Import the reference and its tests anew, with a mistake in them or without one."""
    before, profile = _loaded(), settings.get_current_profile_name()
    for name in before:
        del sys.modules[name]
    settings.load_profile("mistakes")
    try:
        if mistake is not None:
            _make(mistake)
        yield
    finally:
        settings.load_profile(profile)
        for name in _loaded():
            del sys.modules[name]
        sys.modules.update(before)


def _make(mistake: Mistake) -> None:
    """Import the module with the mistake in it, before anything else asks for it."""
    package, _, name = mistake.module.rpartition(".")
    spec = PathFinder.find_spec(mistake.module, import_module(package).__path__)
    assert spec is not None
    module = sys.modules[mistake.module] = module_from_spec(spec)
    setattr(sys.modules[package], name, module)
    exec(compile(mistake.source(), str(mistake.path), "exec", dont_inherit=True), vars(module))


def call(test: str) -> BaseException | None:
    """Run a test by its id and return what it raised, if it did.

    Raises:
        LookupError: if there is no such test in the default run.
    """
    file, _, name = test.partition("::")
    function, _, id = name.partition("[")
    found = getattr(import_module(file.removesuffix(".py").replace("/", ".")), function, None)
    if found is None:
        raise LookupError(f"there is no test {test}")
    every = cases(found)
    if id.removesuffix("]") not in every:
        raise LookupError(f"there is no test {test}; there are {', '.join(every)}")
    arguments, marks = every[id.removesuffix("]")]
    if marks & NOT_BY_DEFAULT:
        raise LookupError(f"{test} is not of the default run")
    try:
        with tempfile.TemporaryDirectory() as folder:
            asks = "tmp_path" in found.__code__.co_varnames[: found.__code__.co_argcount]
            found(**arguments, **({"tmp_path": Path(folder)} if asks else {}))
    except (Exception, pytest.fail.Exception) as error:
        return error
    return None


def cases(test: Any) -> dict[str, tuple[Mapping[str, Any], frozenset[str]]]:
    """List the cases of a test by their ids, as pytest names them: its arguments and its marks."""
    marks = getattr(test, "pytestmark", [])
    own = frozenset(mark.name for mark in marks)
    axes = [_axis(*mark.args, **mark.kwargs) for mark in marks if mark.name == "parametrize"]
    found: dict[str, tuple[Mapping[str, Any], frozenset[str]]] = {}
    for chosen in itertools.product(*axes):
        id = "-".join(name for name, _, _ in chosen)
        arguments = {name: value for _, values, _ in chosen for name, value in values.items()}
        found[id] = arguments, own.union(*(more for _, _, more in chosen))
    return found


def _axis(
    argnames: str | Sequence[str], argvalues: Any, ids: Any = None, **_: Any
) -> list[tuple[str, dict[str, Any], frozenset[str]]]:
    """List one parametrisation: the id, the arguments and the marks of each of its values."""
    names = [name.strip() for name in argnames.split(",")] if isinstance(argnames, str) else list(argnames)
    axis = []
    for i, given in enumerate(argvalues):
        parameters = hasattr(given, "marks") and hasattr(given, "values")
        values = given.values if parameters else given if len(names) > 1 else (given,)
        id = given.id if parameters else None
        if id is None:
            named = ids[i] if isinstance(ids, Sequence) else None
            id = named or "-".join(
                _id(name, value, i, ids) for name, value in zip(names, values, strict=True)
            )
        marks = frozenset(mark.name for mark in given.marks) if parameters else frozenset()
        axis.append((id, dict(zip(names, values, strict=True)), marks))
    return axis


def _id(name: str, value: Any, i: int, ids: Any) -> str:
    made = ids(value) if callable(ids) else None
    if made is None and (value is None or isinstance(value, str | int | float | bool)):
        made = value
    if made is None and isinstance(getattr(value, "__name__", None), str):
        made = value.__name__
    return f"{name}{i}" if made is None else str(made)
