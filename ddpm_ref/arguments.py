"""Arguments of the commands: turned into values, or refused in one line. Nothing heavy is imported for it."""

import argparse
import math
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

from ddpm_ref.launch import rank, world

MOST = 2**32 - 1  # largest integer argument: what every generator takes as a seed


class Parser(argparse.ArgumentParser):
    """A parser of arguments that raises `ValueError` where argparse would print its usage and exit."""

    def error(self, message: str) -> NoReturn:
        """Raise."""
        raise ValueError(message)

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parse as argparse does, and refuse `--option=--`, of which it makes an empty list."""
        given = sys.argv[1:] if args is None else list(args)
        for each in given:
            if each.startswith("-") and each.endswith("=--") and each.count("=") == 1:
                self.error(f"argument {each[:-3]}: expected one argument")
        return super().parse_known_args(given, namespace)

    def parse_or_exit(self, arguments: Sequence[str] | None = None) -> argparse.Namespace:
        """Parse; print what is refused in one line, and exit with 2."""
        try:
            return self.parse_args(arguments)
        except ValueError as error:
            self.exit(2, f"{self.prog}: {one_line(error)}\n")


def fail(command: str, error: Exception, code: int = 2) -> int:
    """Print an error in one line on stderr and return the exit code; of several processes, say which."""
    try:
        process = f" (process {rank()})" if world() > 1 else ""
    except ValueError:  # what is refused may be the launcher's own variables
        process = ""
    print(f"ddpm_ref.{command}{process}: {one_line(error)}", file=sys.stderr)
    return code


def one_line(text: object) -> str:
    """Put a text on one line: blanks for its line ends, and escapes for what a terminal would obey."""
    line = " ".join(str(text).split())
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in line)


def integer(least: int) -> Callable[[str], int]:
    """Make a converter of arguments to integers of at least `least`."""

    def convert(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = least - 1
        if value < least:
            raise argparse.ArgumentTypeError(f"must be an integer, at least {least}; got {text}")
        if value > MOST:
            raise argparse.ArgumentTypeError(f"must be an integer, at most {MOST}; got {text}")
        return value

    return convert


def path(text: str) -> Path:
    """Convert an argument to a path, and not the empty one, which an unset variable gives, to this folder."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise argparse.ArgumentTypeError(f"must be a path in UTF-8; got {text!r}") from None
    if not text or "\0" in text:
        raise argparse.ArgumentTypeError(f"must be a path; got {text!r}")
    return Path(text)


def new_file(text: str) -> Path:
    """Convert an argument to the path of a file that can be written, before there is anything to write."""
    file = path(text)
    try:
        if not file.parent.is_dir():
            raise argparse.ArgumentTypeError(f"must be a file in a folder; there is no folder {file.parent}")
        with suppress(FileNotFoundError):
            file.stat()  # for a link that leads in a circle, or a name too long
        if file.is_dir() or not os.access(file if file.exists() else file.parent, os.W_OK):
            raise argparse.ArgumentTypeError(f"must be a file that can be written; got {file}")
    except OSError as error:
        raise argparse.ArgumentTypeError(f"must be a file that can be written; {error}") from error
    return file


def positive(text: str) -> float:
    """Convert an argument to a positive finite number."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"must be a positive finite number; got {text}")
    return value


def probability(text: str) -> float:
    """Convert an argument to a number in [0, 1)."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value < 1:
        raise argparse.ArgumentTypeError(f"must be a number in [0, 1); got {text}")
    return value
