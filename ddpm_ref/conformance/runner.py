"""Running the checks: each by itself, in a process that may raise, hang or die without harm to the others."""

from __future__ import annotations

import multiprocessing
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

from ddpm_ref.conformance.cases import SCHEDULES, Case
from ddpm_ref.conformance.check import Check
from ddpm_ref.conformance.checks import checks
from ddpm_ref.conformance.laws import law_checks
from ddpm_ref.conformance.measure import Result, guarded, measure
from ddpm_ref.conformance.protocol import Adapter, Array, described, load, make, place, printable, words
from ddpm_ref.conformance.rows import row_checks
from ddpm_ref.conformance.stepping import Stepping, step_checks, stepping_checks

__all__ = ["TIMEOUT", "Task", "Worker", "plan", "run"]

TIMEOUT = 120.0
"""Seconds that a check may take."""

START = 120.0
"""Seconds that importing an adapter and listing its checks may take."""


@dataclass(frozen=True)
class Task:
    """One check on one case, not yet run."""

    check: str
    claim: str
    case: str
    work: Callable[[], Result]

    def run(self) -> Result:
        """Run it; whatever the adapter raises becomes the result."""
        return guarded(self.check, self.claim, self.case, self.work)


def _subclass(kind: Any) -> type[Adapter]:
    made: type[Adapter] = type(kind.__name__, (kind, Adapter), {})
    return made


def plan(adapter: type[Adapter], only: str = "") -> list[Task]:
    """List what there is to check of an adapter.

    Args:
        adapter: the class.
        only: checks whose name holds this text.
    """
    every: Any = getattr(adapter, "__mro__", ())  # an adapter need not subclass Adapter
    kind: type[Adapter] = adapter if Adapter in every else _subclass(adapter)
    known = checks(kind)
    found = [*_drawn(kind, known), *_on_rows(kind, known)]
    found += [Task(*each) for each in stepping_checks(Stepping(kind))]
    known += [check for spacing in kind.spacings for check in step_checks(kind, spacing)]
    found += [Task(*each) for each in law_checks(known, kind)]
    return [task for task in found if only in task.check]


def _drawn(kind: type[Adapter], known: Sequence[Check]) -> Iterator[Task]:
    for name, schedule in SCHEDULES.items():
        betas: Array = schedule()
        for check in known:
            for dtype, device in _where(kind, check):
                if check.schedules and dtype != kind.dtypes[0]:
                    continue
                if case := check.case(name, betas, dtype, device):
                    yield _task(kind, check, case)


def _on_rows(kind: type[Adapter], known: list[Check]) -> Iterator[Task]:
    for check in row_checks(known, kind):
        for dtype, device in _where(kind, check):
            if case := check.rows_case(dtype, device):
                yield _task(kind, check, case)


def _where(kind: type[Adapter], check: Check) -> Iterator[tuple[str, str]]:
    return ((dtype, device) for dtype in kind.dtypes if dtype in check.dtypes for device in kind.devices)


def _task(kind: type[Adapter], check: Check, case: Case) -> Task:
    def work() -> Result:
        return measure(check, make(kind, case.steps.betas, case.dtype, case.device), case)

    return Task(check.name, check.claim, f"{case.name}, {case.dtype}, {case.device}", work)


def run(
    adapter: str | type[Adapter], *, only: str = "", timeout: float = TIMEOUT, isolated: bool = True
) -> Iterator[Result]:
    """Check an implementation and yield the results.

    Args:
        adapter: the name of one that comes with the kit, `package.module:Class`, or the class itself.
        only: checks whose name holds this text.
        timeout: seconds that a check may take, where it is isolated.
        isolated: whether to run in a process apart; a class, rather than a name, is run in this one.

    Raises:
        ValueError: if there is no such adapter.
    """
    if not isinstance(adapter, str) or not isolated:
        kind = load(adapter) if isinstance(adapter, str) else adapter
        for task in plan(kind, only):
            yield task.run()
        return
    worker = Worker(adapter, only)
    try:
        yield from worker.results(timeout)
    finally:
        worker.stop()


class Worker:
    """A process that holds the adapter and runs the tasks that it is asked for.

    Nothing of the adapter is imported anywhere else, so that whatever it does then, it does there.

    Attributes:
        about: name and version of the implementation, and its note.
        tasks: check, claim and case of each.
        lost: why the last question had no answer.

    Raises:
        ValueError: if there is no such adapter, or it does not let itself be imported and listed.
    """

    about: tuple[str, str, str]
    tasks: list[tuple[str, str, str]]

    def __init__(self, adapter: str, only: str) -> None:
        place(adapter)  # a process takes a second to say so
        self.adapter, self.only, self.lost = adapter, only, ""
        self._start()

    def _start(self) -> None:
        here, there = multiprocessing.Pipe()
        self.pipe: Connection = here
        context = multiprocessing.get_context("spawn")
        self.process = context.Process(
            target=_work, args=(self.adapter, self.only, there, sys.path), daemon=True
        )
        self.process.start()
        there.close()
        answer: Any = f"adapter {self.adapter} must be imported within {START:g} s; it hung"
        try:
            if self.pipe.poll(START):
                answer = self.pipe.recv()
        except EOFError:
            answer = f"adapter {self.adapter} ended the process that imported it"
        if isinstance(answer, str):
            self.stop()
            raise ValueError(answer)
        self.about, self.tasks = answer

    def results(self, timeout: float) -> Iterator[Result]:
        """Run every task, and yield what each found."""
        for i, (check, claim, case) in enumerate(self.tasks):
            yield self.ask(i, timeout) or Result(check, claim, case, "broken", diagnosis=self.lost)

    def ask(self, i: int, timeout: float) -> Result | None:
        """Return the result, or None and the reason in `lost`."""
        try:
            self.pipe.send(i)
            if self.pipe.poll(timeout):
                found: Result = self.pipe.recv()
                return found
            self.lost = f"hung: no answer within {timeout:g} s"
        except (EOFError, OSError):
            self.process.join(5)
            self.lost = f"the process died, with exit code {self.process.exitcode}"
        self.stop()
        self._start()
        return None

    def stop(self) -> None:
        """End the process."""
        self.process.kill()
        self.process.join()
        self.pipe.close()


def _work(adapter: str, only: str, pipe: Any, path: list[str]) -> None:
    sys.path[:] = path
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that asks
    kind = None
    try:
        kind = load(adapter)
        tasks = plan(kind, only)
        fields = (
            getattr(kind, "name", kind.__name__),
            getattr(kind, "version", ""),
            getattr(kind, "note", ""),
        )
        about = tuple(printable(str(field)) for field in fields)
    except BaseException as error:
        done = "imported" if kind is None else "listed"
        known = kind is None and isinstance(error, ValueError)
        pipe.send(words(error) if known else f"adapter {adapter} cannot be {done}: {described(error)}")
        return
    pipe.send((about, [(task.check, task.claim, task.case) for task in tasks]))
    while True:
        try:
            i = pipe.recv()
        except EOFError:
            return
        task = tasks[i]
        try:
            found = task.run()
        except BaseException as error:  # such as KeyboardInterrupt, which nobody pressed
            raised = f"raised {described(error)}"
            found = Result(task.check, task.claim, task.case, "broken", diagnosis=raised)
        pipe.send(found)
