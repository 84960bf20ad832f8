"""Arguments of the commands: turned into values, or refused in one line with the exit code 2.

`ddpm_ref.arguments` does the same beyond the wall.
"""

from __future__ import annotations

import argparse
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn


class Parser(argparse.ArgumentParser):
    """A parser of arguments that says in one line what it refuses."""

    def error(self, message: str) -> NoReturn:
        """Print the message, and exit with 2."""
        self.exit(2, f"{self.prog}: {one_line(message)}\n")

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parse as argparse does, and refuse `--option=--`, of which it makes an empty list."""
        given = sys.argv[1:] if args is None else list(args)
        for each in given:
            if each.startswith("-") and each.endswith("=--") and each.count("=") == 1:
                self.error(f"argument {each[:-3]}: expected one argument")
        return super().parse_known_args(given, namespace)


def one_line(text: object) -> str:
    """Put a text on one line: blanks for its line ends, and escapes for what a terminal would obey."""
    line = " ".join(str(text).split())
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in line)


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
            raise argparse.ArgumentTypeError(f"must be in a folder; {file.parent} is not a folder")
        with suppress(FileNotFoundError):
            file.stat()  # for a link that leads in a circle, or a name too long
        if file.is_dir() or not os.access(file if file.exists() else file.parent, os.W_OK):
            raise argparse.ArgumentTypeError(f"must be a file that can be written; got {file}")
    except OSError as error:
        raise argparse.ArgumentTypeError(f"must be a file that can be written; {error}") from error
    return file
