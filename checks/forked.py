"""Tests run in processes of their own, on a module that is changed there and nowhere else.

A change inside a function is made in a fork of a process that has collected the tests; any other change is
made before the module is imported, in a fork of one that has imported the libraries and nothing of ours.
"""

from __future__ import annotations

import gc
import os
import resource
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, field, replace
from functools import partial
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any

from replaced import Finder, functions, replacements

# Processor seconds: for imports and collection; for a test, on top of a multiple of what it took before.
LIMIT, FLOOR, FACTOR = 120.0, 5.0, 5.0
ASLEEP = 900.0  # seconds on the clock after which a process that uses no processor is ended
MEMORY = 8 * 2**30
EXAMPLES = 15  # of hypothesis, for each property
FIRST = 5  # tests that killed the mutants before, tried before the others


@dataclass(frozen=True)
class Job:
    """What to run.

    Attributes:
        module: the module whose source is replaced, or the package that is measured.
        code: the source to put in its place; None leaves it as it is and measures which lines each test runs.
        tests: files, relative to the root.
        left_out: parts of the names of tests that are not run.
        order: the tests to run, in this order; all of them if None.
        seconds: how long each test took before.
    """

    module: str
    code: str | None
    tests: Sequence[str]
    left_out: Sequence[str] = ()
    order: Sequence[str] | None = None
    seconds: Mapping[str, float] = field(default_factory=dict)


@dataclass
class Outcome:
    """How a run ended.

    Attributes:
        status: passed, failed, import (of the module, or of a test because of it), timeout, no test, strange.
        test: the first test that failed, or what else there is to say.
        error: its error's first line.
        seconds: the time of each test that passed.
        reached: for each module and line, the tests that ran it; only if nothing was replaced.
    """

    status: str
    test: str = ""
    error: str = ""
    seconds: dict[str, float] = field(default_factory=dict)
    reached: dict[str, dict[int, list[str]]] = field(default_factory=dict)


# -- running tests -------------------------------------------------------------------------------------------


class _Watch:
    """A plugin of pytest: puts the tests in order, times them, stops one that never ends, notes a failure."""

    def __init__(self, job: Job, measure: Any = None, loop: Callable[[Any], None] | None = None) -> None:
        self.job, self.measure, self.loop = job, measure, loop
        self.seconds: dict[str, float] = {}
        self.failed = self.error = ""

    def pytest_collection_modifyitems(self, items: list[Any]) -> None:
        """Leave tests out and put the others in order."""
        items[:] = [item for item in items if not any(part in item.nodeid for part in self.job.left_out)]
        if self.job.order is not None:
            items[:] = in_order(items, self.job)

    def pytest_runtestloop(self, session: Any) -> bool | None:
        """Run something else than the tests, once, if there is something else."""
        if self.loop is None or session.testsfailed:
            return None
        self.loop(session.items)
        return True

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """Start the clock."""
        if self.measure is not None:
            self.measure.switch_context(nodeid)
        _stop_after(FLOOR + FACTOR * self.job.seconds.get(nodeid, LIMIT))

    def pytest_runtest_logreport(self, report: Any) -> None:
        """Note how long a test took, or that it failed."""
        self.seconds[report.nodeid] = self.seconds.get(report.nodeid, 0.0) + report.duration
        self._note(report)

    def pytest_collectreport(self, report: Any) -> None:
        """Note that a file could not be imported."""
        self._note(report)

    def _note(self, report: Any) -> None:
        if report.failed and not self.failed:
            lines = [line for line in report.longreprtext.splitlines() if line.startswith("E  ")]
            self.failed, self.error = report.nodeid, (lines or [""])[0][1:].strip()[:200]


def in_order(items: Sequence[Any], job: Job) -> list[Any]:
    """Return the items to run in their order, and then those that a change has given another name."""
    by_name = {item.nodeid: item for item in items}
    named = [by_name[name] for name in job.order or () if name in by_name]
    return named + [item for name, item in by_name.items() if name not in job.seconds]


def _stop_after(seconds: float) -> None:
    signal.setitimer(signal.ITIMER_PROF, seconds)


def _pytest(job: Job, watch: _Watch) -> int:
    """Run pytest in this process."""
    import pytest
    from hypothesis import HealthCheck, Phase, settings

    # A mutant is not helped by a smaller example of its failure, and a busy machine is no failure.
    settings.register_profile(
        "mutants", derandomize=True, database=None, deadline=None, max_examples=EXAMPLES,
        phases=[Phase.explicit, Phase.generate], suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    # Plain assertions, since pytest would load what it rewrites in its own way: our package, as of a plugin.
    arguments = ["-x", "-p", "no:cacheprovider", "--assert=plain", "--tb=short"]
    arguments += ["--hypothesis-profile=mutants"]
    return int(pytest.main([*arguments, *job.tests], plugins=[watch]))


def _imported_anew(job: Job, root: Path) -> Outcome:
    """Run the tests of a job, in this process, on a module that is imported for them."""
    top = job.module.partition(".")[0]
    for name in [name for name in sys.modules if name.partition(".")[0] == top]:
        del sys.modules[name]
    finder = Finder(job.module, job.code)
    sys.meta_path.insert(0, finder)
    measure = _coverage(root, top) if job.code is None else None
    watch = _Watch(job, measure)
    try:
        code = _pytest(job, watch)
    except Exception as error:  # a plugin of ours could not be imported
        return Outcome("import", "while pytest started", repr(error)[:200])
    if job.code is not None and not finder.loaded:
        return Outcome("strange", "the module was never imported")
    reached: dict[str, dict[int, list[str]]] = {}
    if measure is not None:
        measure.stop()
        data = measure.get_data()
        for file in data.measured_files():
            name = str(Path(file).relative_to(root).with_suffix("")).replace("/", ".")
            reached[name] = data.contexts_by_lineno(file)
    status = {0: "passed", 1: "failed", 2: "import", 3: "import", 5: "no test"}.get(code, "strange")
    return Outcome(status, watch.failed, watch.error, watch.seconds, reached)


def _coverage(root: Path, package: str) -> Any:
    from coverage import Coverage

    ours = [str(root / package / "*"), str(root / f"{package}.py")]
    measure = Coverage(data_file=None, config_file=False, include=ours)
    measure.start()
    return measure


def _in_place(
    job: Job, watch: _Watch, items: Sequence[Any], new: list[tuple[FunctionType, CodeType]]
) -> Outcome:
    """Replace the code of functions and run the tests of a job, all in this process."""
    for function, code in new:
        function.__code__ = code.replace(co_filename=function.__code__.co_filename)
    watch.job = job
    chosen = in_order(items, job)
    for item, following in zip(chosen, [*chosen[1:], None], strict=True):
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
        if watch.failed:
            return Outcome("failed", watch.failed, watch.error)
    return Outcome("passed" if chosen else "no test")


# -- processes -----------------------------------------------------------------------------------------------


def _child(work: Callable[[], Outcome], answer: Connection) -> None:
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _stop_after(LIMIT)
    with Path(os.devnull).open("w") as nowhere:
        for stream in (1, 2):
            os.dup2(nowhere.fileno(), stream)
        with redirect_stdout(nowhere), redirect_stderr(nowhere):
            outcome = work()
    _stop_after(0)
    answer.send(outcome)
    answer.close()
    os._exit(0)


def _forked(
    works: Iterable[tuple[Job, Callable[[], Outcome]]], at_once: int
) -> Iterator[tuple[Job, Outcome]]:
    """Do each piece of work in a fork of this process, so many at once; give the outcomes as they come."""
    context = get_context("fork")
    waiting = iter(works)
    running: dict[Any, tuple[Job, Any, float]] = {}
    while True:
        while len(running) < at_once and (next_one := next(waiting, None)) is not None:
            job, work = next_one
            here, there = context.Pipe(duplex=False)
            process = context.Process(target=_child, args=(work, there))
            process.start()
            there.close()
            running[here] = job, process, time.monotonic()
        if not running:
            return
        for ready in wait(list(running), timeout=1.0):
            job, process, _ = running.pop(ready)
            yield job, _answer(ready, process)
        for _, process, started in running.values():
            if time.monotonic() - started > ASLEEP:
                process.kill()


def _answer(ready: Any, process: Any) -> Outcome:
    try:
        outcome: Outcome = ready.recv()
    except EOFError:
        process.join()
        if process.exitcode in (-signal.SIGPROF, -signal.SIGKILL):
            return Outcome("timeout")
        return Outcome("strange", f"the process ended with {process.exitcode}")
    process.join()
    return outcome


def imported_anew(jobs: Iterable[Job], root: Path, at_once: int = 1) -> Iterator[tuple[Job, Outcome]]:
    """Run jobs, each on a module that is imported for it."""
    return _forked(((job, partial(_imported_anew, job, root)) for job in jobs), at_once)


def in_place(
    jobs: Sequence[Job], source: str, tests: Sequence[str], left_out: Sequence[str], at_once: int = 1
) -> Iterator[tuple[Job, Outcome | None]]:
    """Run jobs that change the functions of one module; None for one whose change is not of that kind.

    The tests are collected once, in a process that ends with the last job.
    """
    if not jobs:
        return
    context = get_context("fork")
    here, there = context.Pipe(duplex=False)
    process = context.Process(target=_collected, args=(jobs, source, tests, left_out, at_once, there))
    process.start()
    there.close()
    try:
        while True:
            number, outcome = here.recv()
            if number == len(jobs):
                return
            yield jobs[number], outcome
    except EOFError:
        raise RuntimeError(f"the process that had collected {', '.join(tests)} ended early") from None
    finally:
        process.terminate()
        process.join()


def _collected(
    jobs: Sequence[Job],
    source: str,
    tests: Sequence[str],
    left_out: Sequence[str],
    at_once: int,
    answer: Connection,
) -> None:
    """Collect the tests and run each job in a fork."""
    module = jobs[0].module
    top = module.partition(".")[0]
    for name in [name for name in sys.modules if name.partition(".")[0] == top]:
        del sys.modules[name]
    number = {id(job): i for i, job in enumerate(jobs)}

    def loop(items: Sequence[Any]) -> None:
        held = functions(module)
        watch.loop = None
        killers: list[str] = []  # the latest first: what notices one change notices its neighbours too

        def works() -> Iterator[tuple[Job, Callable[[], Outcome]]]:
            for job in jobs:
                wanted = {} if job.code == source else replacements(source, str(job.code))
                if wanted is None or (wanted and not any(key in held for key in wanted)):
                    answer.send((number[id(job)], None))
                    continue
                new = [(function, code) for key, code in wanted.items() for function in held.get(key, [])]
                if any(len(function.__code__.co_freevars) != len(code.co_freevars) for function, code in new):
                    answer.send((number[id(job)], None))
                    continue
                first = [test for test in killers if test in (job.order or ())][:FIRST]
                order = list(dict.fromkeys([*first, *(job.order or ())]))
                yield job, partial(_in_place, replace(job, order=order), watch, items, new)

        gc.freeze()
        for job, outcome in _forked(works(), at_once):
            if outcome.status == "failed":
                killers[:] = [outcome.test, *(test for test in killers if test != outcome.test)]
            answer.send((number[id(job)], outcome))
        answer.send((len(jobs), None))

    first = replace(jobs[0], tests=tests, left_out=left_out, order=None)
    watch = _Watch(first, loop=loop)
    with Path(os.devnull).open("w") as nowhere:
        for stream in (1, 2):
            os.dup2(nowhere.fileno(), stream)
        with redirect_stdout(nowhere), redirect_stderr(nowhere):
            _pytest(first, watch)
    os._exit(0)
