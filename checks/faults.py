"""Write `docs/checks/faults.md` from the tests that hold a promise: `python checks/faults.py`.

With `--check` write nothing and exit 1 where the page is not what the tests say.
"""

import io
import sys
from collections.abc import Iterator
from contextlib import redirect_stdout
from pathlib import Path
from typing import NamedTuple

import pytest
from pages import ROOT, settle

TESTS = ROOT / "tests"
MARK = "promise"

# In this order on the page. Each needs a promise, and each promise one of them.
FAULTS = (
    "killed",
    "signal",
    "loss not finite",
    "disk full",
    "read-only folder",
    "two runs into one folder",
    "truncated",
    "bit flipped",
    "swapped",
    "hostile",
    "clock jumps",
    "dead data loader",
    "lost process",
)

INTRODUCTION = """\
---
title: Faults
---

# What is promised when something goes wrong

<!-- Made from the tests marked promise by checks/faults.py; edit them. -->

Each promise stands in the mark of the tests that hold it; this page is collected from them. Where a test is
slow, `pytest -m slow` runs it; the others are in the default run. `python checks/faults.py` writes the page.

A run that was stopped goes on with `python -m ddpm_ref.train --resume RUN`. *The same bits* are those of a
run that nothing stopped, on the CPU, with as many processes.

| fault | promise | held by `tests/` |
|---|---|---|
"""

LIMITS = """
## What is not promised

- **A power cut.** A file is flushed to the disk before it gets its name, so it is whole if the disk and its
  file system keep their word; no test can pull the plug.
- **A process that hangs.** One that dies ends the others; one that falls silent and lives is waited for ten
  minutes.
- **Locks over a network.** The lock on a run's folder is the kernel's `flock`. Linux carries it over NFS to
  the server, so that it holds between machines; after the death of a whole machine it stays until the server
  gives it up, for NFSv4 after about 90 seconds. Where NFS is mounted with `nolock` or `local_lock=all`, a
  second machine is not refused. A file system that has no locks at all may refuse every run.
- **A file that is changed while it is read.** Weights, and the caches of the `datasets` library, are mapped
  and not copied while they are read; who shortens one in that moment kills the process by SIGBUS. What this
  project writes it replaces whole and never shortens.
- **A forged run.** A checksum shows damage and not who wrote a file. A stranger's run cannot run code or
  write elsewhere, but its weights are whatever he made them.
- **Other data of the same number.** A run that goes on checks how many images there are, not what is in them.
- **The same bits elsewhere.** On another processor, with another version of PyTorch, on a GPU or with another
  number of processes a run goes on, but its last digits are others.
"""


class Promise(NamedTuple):
    """One promise, and a test that holds it."""

    fault: str
    what: str
    test: str
    slow: bool


class Collector:
    """A plugin of pytest that keeps the promises of the tests it collects."""

    def __init__(self) -> None:
        self.found: list[Promise] = []

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Look at every test."""
        for item in items:
            slow = item.get_closest_marker("slow") is not None
            name = item.name.partition("[")[0]
            test = f"{item.path.relative_to(TESTS)}::{name}"
            for mark in item.iter_markers(MARK):
                fault, what = mark.args
                self.found.append(Promise(fault, what, test, slow))


def collect() -> list[Promise]:
    """Collect the promises of all tests, without running any.

    Raises:
        ValueError: if the tests cannot be collected.
    """
    files = [str(path) for path in sorted(TESTS.rglob("test_*.py")) if f"mark.{MARK}(" in _text(path)]
    collector, said = Collector(), io.StringIO()
    arguments = ["--collect-only", "-q", "-m", "", "-p", "no:cacheprovider", "--rootdir", str(ROOT), *files]
    with redirect_stdout(said):
        code = pytest.main(arguments, plugins=[collector])
    if code:
        raise ValueError(f"tests must be collected; pytest ended with {code}:\n{said.getvalue()}")
    return collector.found


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def rows(promises: list[Promise]) -> Iterator[str]:
    """Write one row for each promise, with all the tests that hold it.

    Raises:
        ValueError: if a fault is unknown or without a promise.
    """
    if different := sorted({promise.fault for promise in promises} ^ set(FAULTS)):
        raise ValueError(f"every fault must have a promise, and every promise a fault; not so {different}")
    for fault in FAULTS:
        for what in dict.fromkeys(p.what for p in promises if p.fault == fault):
            held = [p for p in promises if (p.fault, p.what) == (fault, what)]
            tests = []
            for test in dict.fromkeys(p.test for p in held):
                slow = {p.slow for p in held if p.test == test}
                note = {(True,): " (slow)", (False, True): " (some cases slow)"}.get(tuple(sorted(slow)), "")
                tests.append(f"`{test}`{note}")
            yield f"| {fault} | {what} | {'<br>'.join(tests)} |\n"


def main() -> int:
    """Write the page, or say whether it is what it should be."""
    return settle("faults", INTRODUCTION + "".join(rows(collect())) + LIMITS)


if __name__ == "__main__":
    sys.exit(main())
