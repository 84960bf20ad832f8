"""What a boundary promises: bad input is refused in one line, soon, and loses nothing; good is taken."""

from __future__ import annotations

import io
import re
import resource
import shutil
import sys
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any, NamedTuple

from hypothesis import currently_in_test_context, event, settings

SECONDS = 10.0  # of the processor, for one input of a few kilobytes
BYTES = 2**30  # by which one input may raise the memory that the process has taken at most


class Answer(NamedTuple):
    """What a command said, and its exit code."""

    code: int
    out: str
    err: str


class Fuzz:
    """Runs a property on as many examples as the budget is.

    Attributes:
        examples: how many for a property of cost 1.
        name: of the test.
    """

    def __init__(self, examples: int, name: str) -> None:
        self.examples, self.name = examples, name

    def __call__(self, holds: Callable[[], None], cost: float = 1) -> None:
        """Run a property, made by `given`; a costly one on fewer examples."""
        holds.__name__ = self.name  # by which hypothesis's observations know it
        settings(max_examples=max(2, round(self.examples / cost)))(holds)()


def asked(main: Callable[[list[str]], int | None], arguments: Sequence[str]) -> Answer:
    """Call a command as its module does, with streams that encode as a terminal's do."""
    out = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    err = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", errors="backslashreplace")
    began, before = time.process_time(), peak()
    with redirect_stdout(out), redirect_stderr(err), warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        try:
            code = main(list(arguments))
        except SystemExit as end:
            code = end.code if isinstance(end.code, int | None) else 1
    assert time.process_time() - began < SECONDS
    assert peak() - before < BYTES
    assert [str(each.message) for each in warned] == [], "a warning is not one line"
    texts = []
    for stream in (out, err):
        stream.flush()
        texts.append(stream.buffer.getvalue().decode())
    return Answer(code or 0, *texts)


def peak() -> int:
    """Give the most memory that this process has taken, in bytes."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def refused(answer: Answer, names: Iterable[str], codes: Sequence[int] = (2,)) -> bool:
    """Check an answer, and say whether it is a refusal, which must be one line that names what is wrong."""
    assert "Traceback" not in answer.out + answer.err
    if answer.code == 0:
        tell("accepted")
        return False
    lines = answer.err.splitlines()
    assert answer.code in codes, answer
    if answer.code == 1 and re.search("(?i)stale|up to date", lines[0]):
        tell("a page is not up to date")  # and which, in as many lines as there are
        return True
    assert len(lines) == 1, answer.err
    assert len(answer.err) == len(lines[0]) + 1, "a character that some take for a line's end"
    assert lines[0].isprintable()
    assert [name for name in names if name.lower() in lines[0].lower()], f"{lines[0]} names nothing"
    tell(kind(lines[0]))
    return True


def tell(what: str) -> None:
    """Record how an example ended, for the statistics."""
    if currently_in_test_context():
        event("exit", what)


def kind(line: str) -> str:
    """Reduce a message to its kind: what is quoted, numbers and paths left out, and what follows a colon."""
    words = line.partition(": ")[2] or line
    words = re.sub(r"'[^']*'|\"[^\"]*\"|\S*[/\\]\S*", "…", words)
    words = re.sub(r"\b[0-9a-f]{20,}\b", "…", re.split(r"; got |got ", words)[0])
    words = re.sub(r"[^ -~…]+", "?", words)
    return " ".join(re.sub(r"[-+\d.,]*\d", "0", words).split()[:9])


def contents(folder: Path) -> dict[str, bytes | str | None]:
    """Read everything below a folder: the bytes of a file, the target of a link, None for a folder."""
    found: dict[str, bytes | str | None] = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink():
            found[name] = str(path.readlink())
        else:
            found[name] = path.read_bytes() if path.is_file() else None
    return found


@contextmanager
def kept(folder: Path, but: Sequence[str] = ()) -> Iterator[Callable[[bool], None]]:
    """Check that what a folder held is there afterwards, and after a refusal nothing else; remove the rest.

    It yields a function that is to be told whether the input was refused. If it was not, the files named in
    `but` may have been written anew, as somebody asked.
    """
    before = contents(folder)
    told: list[bool] = []
    try:
        yield told.append
        after = contents(folder)
        altered = {name for name in before if after.get(name, "gone") != before[name]}
        assert altered <= (set() if told[-1] else set(but)), "something was lost"
        if told[-1]:
            assert after.keys() == before.keys(), "a refusal left something"
    finally:
        restore(folder, before)


def restore(folder: Path, before: Mapping[str, bytes | str | None]) -> None:
    """Make a folder hold what it held."""
    for name in sorted(contents(folder).keys() - before.keys(), reverse=True):
        path = folder / name
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    for name, content in before.items():
        path = folder / name
        if content is None:
            path.mkdir(exist_ok=True)
        elif isinstance(content, bytes) and not (path.is_file() and path.read_bytes() == content):
            path.write_bytes(content)


def raises_only(error: type[Exception], call: Callable[[], Any], names: Iterable[str]) -> Any:
    """Call a reader; return what it reads, or None where it refuses by this error in one named line."""
    began, before = time.process_time(), peak()
    try:
        found = call()
    except error as refusal:
        found = None
        words = " ".join(str(refusal).split())
        assert [name for name in names if name.lower() in words.lower()], f"{words} names nothing"
        tell(kind(f": {words}"))
    else:
        tell("accepted")
    assert time.process_time() - began < SECONDS
    assert peak() - before < BYTES
    return found
