"""What is given: arguments by a parser's own list, values of JSON, and files with a few bytes changed."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest
from hypothesis import strategies as st

NUMBERS = ["nan", "-nan", "inf", "-inf", "-0", "0", "1", "2", "3", "5", "-1", "0.5", "1e400", "1e-400", "1e9"]
NUMBERS += ["4294967295", "4294967296", "9" * 5000, "1_0", " 7 ", "+7", "0x10", "٣", "１２", "²", "1,5"]
TEXTS = ["", " ", "-", "--", "=", "a\nb", "a\0b", "\udcff", "\x1b[31m", "\x85", "\u2028", "%s %d", "{0}", "~"]
TEXTS += ["[/red]", "[bold]x", "..", "/", ".", "a" * 300, "nothing/at/all", "é", "\u202e", "None", "true"]
PLACES = ["run", "empty", "thesis", "thesis/thesis.txt", "file.txt", "file.txt/run", "loop", "new", "new/one"]
PLACES += ["run/checkpoints", "run/ema.safetensors", "run/config.json", "/dev/null", "/dev/full"]

bad = st.sampled_from(NUMBERS) | st.sampled_from(TEXTS) | st.sampled_from(PLACES) | st.text(max_size=6)


def parser_of(main: Callable[[list[str]], object]) -> argparse.ArgumentParser:
    """Catch the parser that a command makes."""

    class Caught(BaseException):
        pass

    def catch(parser: argparse.ArgumentParser, *_: object) -> None:
        raise Caught(parser)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(argparse.ArgumentParser, "parse_args", catch)
        try:
            main([])
        except Caught as caught:
            found: argparse.ArgumentParser = caught.args[0]
            return found
    raise AssertionError("it parses nothing")


def names_of(parser: argparse.ArgumentParser) -> set[str]:
    """List what a refusal may name: the arguments, however they are written."""
    names = {"arguments", "folder"}
    for action in parser._actions:
        names |= {action.dest, str(action.metavar or action.dest), *action.option_strings}
        if isinstance(action, argparse._SubParsersAction):
            for inner in action.choices.values():
                names |= names_of(inner)
    return names - {"help"}


@st.composite
def arguments(
    draw: st.DrawFn, parser: argparse.ArgumentParser, good: Mapping[str, Sequence[str]]
) -> list[str]:
    """Draw a command line: mostly options that there are, in full or cut short, with good values or bad ones.

    Args:
        parser: of the command.
        good: values that the command takes, by the destination of the argument.
    """
    given: list[str] = []
    sloppy = draw(st.booleans())  # otherwise every value is one that the argument takes
    actions = [action for action in parser._actions if action.dest != "help"]
    chosen = {0, *draw(st.lists(st.integers(0, max(0, len(actions) - 1)), max_size=5))}
    for number, action in enumerate(actions):
        if isinstance(action, argparse._SubParsersAction):
            way = draw(st.sampled_from([*action.choices, "neither"]))
            inner = action.choices.get(way)
            return [way, *(draw(arguments(inner, good)) if inner else [])]
        needed = action.required and not (sloppy and draw(st.integers(0, 9)) == 0)
        if not needed and number not in chosen:
            continue
        for _ in range(1 + (not draw(st.integers(0, 7)))):  # once, or now and then twice
            right = good.get(action.dest) or [
                x for x in action.choices or NUMBERS[4:10] if isinstance(x, str)
            ]
            value = draw(bad if sloppy and draw(st.booleans()) else st.sampled_from(right))
            if not action.option_strings:
                given.append(value)
                continue
            option = draw(st.sampled_from(action.option_strings))
            if sloppy and not draw(st.integers(0, 5)):
                option = option[: draw(st.integers(3, len(option)))]
            if action.nargs == 0:
                given.append(option)
            elif draw(st.booleans()):
                given.append(f"{option}={value}")
            else:
                given += [option, value]
    if sloppy and not draw(st.integers(0, 7)):
        given.insert(draw(st.integers(0, len(given))), draw(bad))
    return given


# -- JSON ----------------------------------------------------------------------------------------------------

DEEP = "\1deep"  # stands for lists nested deeper than a parser goes
SCALARS: list[Any] = [
    None,
    True,
    False,
    0,
    1,
    -1,
    2,
    3,
    0.5,
    1.5,
    1e308,
    -0.0,
    2**31,
    2**63,
    2**64,
    10**40,
    10**400,
]
SCALARS += [float("nan"), float("inf"), "", "x", "digits", "eps", "\ud800", "a\0b", "a\nb", "9" * 400, DEEP]
scalars = st.sampled_from([*SCALARS, [], {}])
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)


def places(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """List the ways to every part of a value of JSON."""
    found = [at]
    if isinstance(value, dict):
        for key, inner in value.items():
            found += places(inner, (*at, key))
    if isinstance(value, list):
        for i, inner in enumerate(value[:4]):
            found += places(inner, (*at, i))
    return found


@st.composite
def changed(draw: st.DrawFn, value: Any) -> str:
    """Draw JSON that differs from a value in a part or two: another value, none, one more; or no JSON."""
    for _ in range(draw(st.integers(1, 2))):
        value = json.loads(json.dumps(value))  # its own copy, all the way down
        at = draw(st.sampled_from(places(value)))
        if not at:
            value = draw(values) if not draw(st.integers(0, 9)) else value
            continue
        inner = value
        for key in at[:-1]:
            inner = inner[key]
        match draw(st.sampled_from(["other", "other", "other", "none", "more", "swap"])):
            case "other":
                inner[at[-1]] = draw(values)
            case "none":
                del inner[at[-1]]
            case "more" if isinstance(inner, dict):
                inner[draw(st.text(max_size=3))] = draw(values)
            case _ if isinstance(inner, dict) and len(inner) > 1:
                other = draw(st.sampled_from(sorted(inner)))
                inner[at[-1]], inner[other] = inner[other], inner[at[-1]]
        if not isinstance(value, dict | list):
            break
    text = json.dumps(value).replace(json.dumps(DEEP), "[" * 100_000 + "]" * 100_000)
    if not draw(st.integers(0, 9)):
        text = text[: draw(st.integers(0, len(text)))]
    return text


# -- bytes ---------------------------------------------------------------------------------------------------


@st.composite
def damaged(draw: st.DrawFn, content: bytes, other: bytes = b"\x80\x04K\x00.") -> bytes:
    """Draw a file with a few changes: cut off, flipped, put in, left out, repeated; or another file."""
    for _ in range(draw(st.integers(1, 3))):
        n = len(content)
        # Half of the changes fall into the first kilobyte, where formats keep what matters.
        at = draw(st.integers(0, min(n, 1024) if draw(st.booleans()) else n))
        length = draw(st.integers(0, 64))
        match draw(
            st.sampled_from(["cut", "flip", "flip", "flip", "insert", "remove", "zero", "repeat", "other"])
        ):
            case "cut":
                content = content[:at]
            case "flip" if at < n:
                content = (
                    content[:at] + bytes([content[at] ^ 1 << draw(st.integers(0, 7))]) + content[at + 1 :]
                )
            case "insert":
                content = content[:at] + draw(st.binary(max_size=16)) + content[at:]
            case "remove":
                content = content[:at] + content[at + length :]
            case "zero":
                content = content[:at] + b"\xff" * min(length, n - at) + content[at + length :]
            case "repeat":
                content = content[:at] + content[at : at + length] * 3 + content[at + length :]
            case "other" if not draw(st.integers(0, 3)):
                content = other
    return content
