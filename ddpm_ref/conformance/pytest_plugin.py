"""`pytest --ddpm-implementation NAME`: every check of the kit as a test of its own.

The tests are added to whatever else is collected; `-k` and `--deselect` know them by
`conformance[check | case]`. Failures that are known go into a file, one to a line, as `check` or
`check | case`; text after # is a comment. They are strict: one that passes, or names no test, is an error.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ddpm_ref.arguments import positive

__all__: list[str] = []

_WORKERS = pytest.StashKey[list[Any]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options."""
    group = parser.getgroup("ddpm-ref", "conformance of a DDPM implementation")
    group.addoption(
        "--ddpm-implementation",
        metavar="NAME",
        help="hold this implementation to the proved formulas: a built-in adapter, or package.module:Class",
    )
    group.addoption("--ddpm-only", metavar="TEXT", default="", help="only checks whose name holds this")
    group.addoption("--ddpm-timeout", metavar="SECONDS", type=positive, default=120.0, help="for one check")
    group.addoption(
        "--ddpm-expected-failures", metavar="FILE", help="checks known to fail, one to a line; strict"
    )


class Conformance(pytest.Item):
    """One check on one case."""

    number: int
    worker: Any
    case: str

    def runtest(self) -> None:
        """Run the check in the worker's process."""
        result = self.worker.ask(self.number, self.config.getoption("--ddpm-timeout"))
        if result is None:
            raise _Failed(self.worker.lost)
        if result.outcome == "not offered":
            pytest.skip(f"not offered: {result.diagnosis}" if result.diagnosis else "not offered")
        if result.outcome != "passed":
            lines = [f"{result.outcome}: {result.diagnosis}"]
            if result.found:
                lines.append(f"{result.at}: {result.found} for {result.wanted}")
            if result.ulps is not None:
                lines.append(
                    f"off by {result.ulps:.4g} units in the last place; {result.allowed} are allowed"
                )
            raise _Failed("\n".join([*lines, result.detail]).strip())

    def repr_failure(self, excinfo: Any, style: Any = None) -> Any:
        """Show what the kit says, and no traceback of the kit's own."""
        return str(excinfo.value) if isinstance(excinfo.value, _Failed) else super().repr_failure(excinfo)

    def reportinfo(self) -> tuple[Path, None, str]:
        """Say where the test stands."""
        return self.path, None, self.name


class _Failed(Exception):  # noqa: N818
    """A check that did not pass."""


def pytest_collection_modifyitems(
    session: pytest.Session, config: pytest.Config, items: list[pytest.Item]
) -> None:
    """Add a test for every check and case."""
    name = config.getoption("--ddpm-implementation")
    if not name:
        return
    from ddpm_ref.conformance.runner import Worker  # not for a run that does not ask for it

    try:
        worker = Worker(name, config.getoption("--ddpm-only"))
    except ValueError as error:
        raise pytest.UsageError(f"--ddpm-implementation: {error}") from error
    config.stash[_WORKERS] = [worker]
    if not worker.tasks:
        raise pytest.UsageError(f"--ddpm-only: no check's name holds {config.getoption('--ddpm-only')!r}")
    known = _known(config.getoption("--ddpm-expected-failures"))
    used = set()
    for number, (check, _, case) in enumerate(worker.tasks):
        item = Conformance.from_parent(session, name=f"conformance[{check} | {case}]")
        item.number, item.worker, item.case = number, worker, case
        for line in known:
            if line in (check, f"{check} | {case}"):
                used.add(line)
                item.add_marker(pytest.mark.xfail(reason="known", strict=True, raises=_Failed))
        items.append(item)
    if unused := sorted(set(known) - used):
        raise pytest.UsageError(f"--ddpm-expected-failures: no test is called {unused[0]!r}")


def pytest_unconfigure(config: pytest.Config) -> None:
    """End the worker's process."""
    for worker in config.stash.get(_WORKERS, []):
        with contextlib.suppress(OSError):
            worker.stop()


def _known(file: str | None) -> list[str]:
    if file is None:
        return []
    try:
        lines: Iterator[str] = iter(Path(file).read_text(encoding="utf-8").splitlines())
    except (OSError, ValueError) as error:  # ValueError: no text in UTF-8
        raise pytest.UsageError(
            f"--ddpm-expected-failures: {file}: {getattr(error, 'strerror', error)}"
        ) from error
    return [text for line in lines if (text := line.partition("#")[0].strip())]
