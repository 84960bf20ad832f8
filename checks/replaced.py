"""A module that is changed in this process only: the code of its functions, or its source before the import.

A function's code is replaced in whatever holds the function: a property, a cache, a module that imported it.
"""

from __future__ import annotations

import gc
import inspect
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from types import CodeType, FunctionType, ModuleType
from typing import Any

Key = tuple[str, int]


def replacements(before: str, after: str) -> dict[Key, CodeType] | None:
    """Return the new code of each function that a change alters, by name and line; None if it alters more."""
    found: dict[Key, CodeType] = {}

    def altered(old: CodeType, new: CodeType) -> bool:
        inside = [[c for c in code.co_consts if isinstance(c, CodeType)] for code in (old, new)]
        pairs = list(zip(*inside, strict=False))
        below = [altered(a, b) for a, b in pairs]
        alike = len(inside[0]) == len(inside[1]) and own(old) == own(new)
        if not old.co_flags & inspect.CO_OPTIMIZED:  # a module or the body of a class
            if not alike:
                raise _Outside
            return False
        if alike and not any(below):
            return False
        found[old.co_qualname, old.co_firstlineno] = new
        return True

    try:
        altered(*(compile(source, "", "exec", dont_inherit=True) for source in (before, after)))
    except _Outside:
        return None
    return found or None


class _Outside(Exception):  # noqa: N818
    """The change is outside of functions."""


def own(code: CodeType) -> tuple[Any, ...]:
    """Return what a code object does by itself, without the functions in it and the lines that it is on."""
    values = [(type(c), c) for c in code.co_consts if not isinstance(c, CodeType)]
    return (
        code.co_name, code.co_code, repr(values), code.co_names, code.co_varnames, code.co_freevars,
        code.co_cellvars, code.co_argcount, code.co_kwonlyargcount, code.co_exceptiontable,
    )  # fmt: skip


def functions(module: str) -> dict[Key, list[FunctionType]]:
    """Return every function that was made from a module's source and is still held by something."""
    file = sys.modules[module].__file__
    found: dict[Key, list[FunctionType]] = {}
    for thing in gc.get_objects():
        if type(thing) is FunctionType and thing.__code__.co_filename == file:
            found.setdefault((thing.__code__.co_qualname, thing.__code__.co_firstlineno), []).append(thing)
    return found


# -- replacing a module --------------------------------------------------------------------------------------


class Finder(MetaPathFinder):
    """Finds one module, with the source that it was given."""

    def __init__(self, module: str, code: str | None) -> None:
        self.module, self.code, self.loaded = module, code, False

    def find_spec(  # noqa: D102 (MetaPathFinder's)
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        spec = PathFinder.find_spec(fullname, path) if fullname == self.module else None
        if spec is not None and spec.origin is not None:
            spec.loader = _Loader(fullname, spec.origin, self)
        return spec


class _Loader(SourceFileLoader):
    def __init__(self, fullname: str, path: str, finder: Finder) -> None:
        super().__init__(fullname, path)
        self._finder = finder

    def get_code(self, fullname: str) -> CodeType | None:
        self._finder.loaded = True
        if self._finder.code is None:
            return super().get_code(fullname)
        return compile(self._finder.code, self.path, "exec", dont_inherit=True)
