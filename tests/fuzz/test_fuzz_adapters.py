"""Adapters: not there, not to be imported, wrong in what they say of themselves and in every answer."""

from __future__ import annotations

import json
import signal
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from ddpm_ref.conformance import __main__ as command
from ddpm_ref.conformance import protocol, pytest_plugin, runner
from ddpm_ref.conformance.adapters.original import Original
from ddpm_ref.conformance.protocol import NotOffered
from ddpm_ref.conformance.report import junit, table
from ddpm_ref.conformance.runner import run
from tests.fuzz.boundary import Fuzz, asked, kept, refused
from tests.fuzz.strategies import TEXTS


class Odd(Exception):  # noqa: N818
    """An error that cannot say what it is."""

    def __str__(self) -> str:
        raise RuntimeError("not even this")


def answers(x_0: Any) -> st.SearchStrategy[Any]:
    """Draw what a function might return instead of its answer, or raise."""
    right = np.asarray(x_0, dtype=np.float32)
    numbers = st.sampled_from([np.nan, np.inf, -np.inf, 0.0, 1e38, -1.0])
    shapes = st.sampled_from([(), (0,), right.shape[:1], (*right.shape, 1), right.shape[::-1]])
    dtypes = st.sampled_from(["int64", "bool", "float16", "complex64", "O", "U3", "M8[s]", "longdouble"])
    raised = st.sampled_from(
        [ValueError("a\nb"), Odd(), SystemExit(3), NotOffered("\udcff\x1b[31m\0"), KeyError()]
    )
    raised |= st.sampled_from(
        [RecursionError(), MemoryError(), AttributeError("x"), StopIteration(), EOFError()]
    )
    return st.one_of(
        st.just(right),
        numbers.map(lambda x: np.full(right.shape, x, np.float32)),
        shapes.map(lambda shape: np.zeros(shape, np.float32)),
        dtypes.map(lambda dtype: np.zeros(right.shape, dtype)),
        st.sampled_from([None, 0, 1.0, "text", b"bytes", {}, object, [[1.0], [1.0, 2.0]], range(3), ...]),
        st.just(np.ma.masked_array(right, right > 0)),
        st.just(np.broadcast_to(np.float32(0), right.shape)),
        raised,
    )


def test_any_answer_is_judged(fuzz: Fuzz) -> None:
    """No answer, and no error, gets past the kit; what it says can be printed and written."""

    drawing: list[st.DataObject] = []

    def answer(like: Any) -> Any:
        found = drawing[-1].draw(answers(like))
        if isinstance(found, BaseException):
            raise found
        return found

    class Wrong(Original):
        def q_sample(self, x_0: Any, t: Any, noise: Any) -> Any:
            return answer(x_0)

        def alpha_bar(self, t: Any) -> Any:
            return answer(t)

    tasks = {task.check: task for task in runner.plan(Wrong) if "one step" in task.case}

    @given(st.data(), st.sampled_from(["q_sample", "alpha_bar"]))
    def holds(data: st.DataObject, check: str) -> None:
        drawing.append(data)
        results = [tasks[check].run()]
        event("exit", results[0].outcome)
        assert {result.outcome for result in results} <= {"broken", "failed", "not offered", "inexact"}
        table("wrong", results).encode()
        json.dumps([asdict(result) for result in results]).encode()
        ElementTree.fromstring(junit("wrong", results))

    fuzz(holds, cost=0.5)


@pytest.mark.slow
def test_any_class_can_be_listed_or_is_refused(fuzz: Fuzz) -> None:
    """What it says of itself may be anything."""
    odd = st.sampled_from(
        [None, 0, (), [], {}, "float32", ("float32", 3), ("no",), {"a": "b"}, object(), *TEXTS]
    )
    names = st.sampled_from(
        ["dtypes", "devices", "variances", "spacings", "etas", "name", "version", "betas"]
    )

    @given(st.dictionaries(names, odd, min_size=1, max_size=2))
    def holds(fields: dict[str, Any]) -> None:
        kind = type("Mine", (Original,), fields)
        sent: list[Any] = []

        class Pipe:
            def send(self, value: Any) -> None:
                sent.append(value)

            def recv(self) -> int:
                raise EOFError

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(runner, "load", lambda name: kind)
            patch.setattr(signal, "signal", lambda *_: None)
            runner._work("mine:Mine", "alpha_bar", Pipe(), sys.path)
        (answer,) = sent
        if isinstance(answer, str):
            assert answer.startswith("adapter mine:Mine")
            assert answer.isprintable()
        else:
            about, _ = answer
            "".join(about).encode()
        event("exit", "refused" if isinstance(answer, str) else "accepted")

    fuzz(holds, cost=1)


MODULES: Mapping[str, str] = {
    "raises": "raise RuntimeError('a\\nb')",
    "exits": "import sys; sys.exit(0)",
    "ends": "import os; os._exit(0)",
    "interrupts": "raise KeyboardInterrupt",
    "is no Python": "class",
    "prints": "print('a' * 9); import sys; print('b', file=sys.stderr)\nMine = 3",
    "lacks a module": "import nothing_of_this_name",
    "hangs": "import time; time.sleep(600)",
    "has no such class": "",
    "recurses": "import sys; sys.setrecursionlimit(60)\ndef f(): f()\nf()",
    "has an error without words": "class E(Exception):\n def __str__(self): raise ValueError\nraise E",
    "is not listed": "class Mine:\n dtypes = None",
    "exits while it is listed": "class D(tuple):\n def __iter__(self): raise SystemExit(0)\n"
    "class Mine:\n dtypes = D()",
    "has nobody's bytes": "\xff\xfe",
}


@pytest.mark.slow
@pytest.mark.parametrize("what", MODULES)
def test_a_module_that_will_not_do_is_one_line(
    what: str, place: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """In the process apart that it is imported in, which leaves nothing either."""
    monkeypatch.setattr(runner, "START", 4.0)
    monkeypatch.syspath_prepend(place)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    (place / "mine.py").write_bytes(MODULES[what].encode("latin1"))
    began = time.monotonic()
    with kept(place) as told:
        told(refused(asked(command.main, ["mine:Mine", "--json", "new.json"]), ["adapter mine:Mine"]))
    assert time.monotonic() - began < 30
    out, err = capfd.readouterr()  # of the process apart: what the module printed, and nothing of ours
    assert "Traceback" not in out + err


@pytest.mark.slow
def test_an_adapter_may_do_anything_when_it_is_asked(place: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """It is broken, and the run goes on."""
    (place / "mine.py").write_text(
        "import os, sys\n"
        "class Mine:\n"
        "    dtypes = ('float32',)\n"
        "    name = 'a\\udcff\\x1b'\n"
        "    def __init__(self, betas, dtype, device): self._n = len(betas)\n"
        "    def alpha_bar(self, t): raise KeyboardInterrupt\n"
        "    def snr(self, t): raise SystemExit(0)\n"
        "    def one_minus_alpha_bar(self, t): os._exit(0)\n"
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(place)
        patch.setenv("PYTHONDONTWRITEBYTECODE", "1")
        for only in ("snr", "alpha_bar"):
            results = [result for result in run("mine:Mine", only=only) if result.case.startswith("one step")]
            assert {result.outcome for result in results if result.check == only} == {"broken"}
        assert asked(command.main, ["mine:Mine", "--only", "snr", "--junit", "new.xml"]).code == 1
    assert "Traceback" not in capfd.readouterr().err


@pytest.mark.slow
def test_the_plugins_options_are_understood_or_refused(fuzz: Fuzz, place: Path) -> None:
    """As pytest's own parser reads them, and as the plugin does after it."""
    (place / "known.txt").write_bytes(b"alpha_bar  # known\n")
    (place / "bytes.txt").write_bytes(b"\xff\xfe\0")

    class Worker:
        def __init__(self, adapter: str, only: str) -> None:
            protocol.place(adapter)
            self.tasks = [("alpha_bar", "", "linear")] if only in "alpha_bar" else []

    files = st.sampled_from(["known.txt", "bytes.txt", "nowhere", ".", "a\0b", "", "a" * 300])
    names = st.sampled_from(["original", "mine:Mine", "a.b", ":", "a b:c"]) | st.sampled_from(TEXTS)

    @given(names, st.sampled_from(["", "alpha", "none"]), files)
    def holds(name: str, only: str, file: str) -> None:
        options = {
            "--ddpm-implementation": name,
            "--ddpm-only": only,
            "--ddpm-expected-failures": file,
            "--ddpm-timeout": 1.0,
        }

        class Config:
            stash = pytest.Stash()

            def getoption(self, option: str) -> Any:
                return options[option]

        items: list[Any] = []
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(runner, "Worker", Worker)
            patch.setattr(
                pytest_plugin.Conformance, "from_parent", lambda *_, **__: pytest.Item.__new__(Plain)
            )
            try:
                pytest_plugin.pytest_collection_modifyitems(None, Config(), items)  # type: ignore[arg-type]
            except pytest.UsageError as error:
                said = str(error)
            else:
                said = "--ddpm- accepted"
        assert "--ddpm-" in said
        event("exit", " ".join(said.split()[:2]))

    fuzz(holds, cost=0.5)


class Plain(pytest.Item):
    """A test that takes marks and nothing else."""

    def add_marker(self, *_: Any, **__: Any) -> None: ...

    def runtest(self) -> None: ...


@pytest.mark.slow
@pytest.mark.parametrize("seconds", ["nan", "-1", "0", "inf", "x", ""])
def test_a_timeout_that_is_none_is_refused(seconds: str) -> None:
    from ddpm_ref.arguments import positive

    with pytest.raises(Exception, match="must be a positive finite number"):
        positive(seconds)
