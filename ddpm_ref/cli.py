"""What the commands share: errors in one line, devices, run folders and progress."""

import argparse
import math
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn, Self

import torch
from tqdm import tqdm  # type: ignore[import-untyped]

from ddpm_ref import distributed

DEVICES = ("auto", "cpu", "cuda", "mps")
MOST = 2**32 - 1  # largest integer argument: what every generator takes as a seed


class Parser(argparse.ArgumentParser):
    """A parser of arguments that raises `ValueError` where argparse would print its usage and exit."""

    def error(self, message: str) -> NoReturn:
        """Raise."""
        raise ValueError(message)


def fail(command: str, error: Exception, code: int = 2) -> int:
    """Print an error in one line on stderr and return the exit code; of several processes, say which."""
    process = f" (process {distributed.rank()})" if distributed.world() > 1 else ""
    print(f"ddpm_ref.{command}{process}: {' '.join(str(error).split())}", file=sys.stderr)
    return code


def integer(least: int) -> Callable[[str], int]:
    """Make a converter of arguments to integers of at least `least`."""

    def convert(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = least - 1
        if value < least or value > MOST:
            raise argparse.ArgumentTypeError(f"must be an integer in {least}..{MOST}; got {text}")
        return value

    return convert


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


def choose_device(name: str) -> torch.device:
    """Turn a name into a device that is there; `auto` takes the first of cuda, mps and cpu that is.

    Raises:
        ValueError: if the name is unknown or this machine has no such device.
    """
    here = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name not in DEVICES:
        raise ValueError(f"device must be one of {', '.join(DEVICES)}; got {name}")
    available = [device for device, there in here.items() if there]
    if name != "auto" and name not in available:
        raise ValueError(f"device must be one that is here ({', '.join(available)}); got {name}")
    return torch.device(available[0] if name == "auto" else name)


def check_folder(folder: Path) -> None:
    """Refuse a folder whose contents might be overwritten.

    Raises:
        ValueError: if `folder` is something else than a folder, or not empty.
    """
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"out must be a new or empty folder; {folder} is a file: name another with --out")
    if folder.is_dir() and any(folder.iterdir()):
        raise ValueError(f"out must be a new or empty folder; {folder} is not empty: name another with --out")


def new_folder(first: Path) -> Path:
    """Choose a folder that is new or empty: `first`, or `first` with -2, -3 … appended."""
    folder, k = first, 1
    while folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        k += 1
        folder = first.with_name(f"{first.name}-{k}")
    return folder


def make_folder(folder: Path) -> None:
    """Make a new folder, or accept an empty one.

    Raises:
        ValueError: if it is not empty, is a file, or cannot be made or written to.
    """
    check_folder(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / ".probe"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise ValueError(f"out must be a folder to write to; {folder}: {error.strerror}") from error


class Progress:
    """A bar on a terminal; elsewhere, a plain line after every tenth of the work.

    Of several processes only the first shows it. `done` steps count as done before.
    """

    def __init__(self, title: str, total: int, done: int = 0) -> None:
        self._title, self._total, self._done, self._before = title, total, done, done
        self._start = time.monotonic()
        self._bar: Any = None
        self._shown = distributed.rank() == 0
        if self._shown and sys.stderr.isatty():
            layout = "{desc} {percentage:3.0f}% |{bar}| {n_fmt}/{total_fmt}{postfix}, {remaining} left"
            self._bar = tqdm(
                total=total, initial=done, desc=title, bar_format=layout, ncols=80, file=sys.stderr
            )

    def advance(self, note: str = "") -> None:
        """Count one step as done; `note` says how it goes."""
        self._done += 1
        if self._bar is not None:
            self._bar.set_postfix_str(note, refresh=False)
            self._bar.update()
        elif self._shown and self._done * 10 // self._total > (self._done - 1) * 10 // self._total:
            each = (time.monotonic() - self._start) / (self._done - self._before)
            left = each * (self._total - self._done)
            parts = [f"{self._title} {self._done}/{self._total}", note, f"{left:.0f} s left"]
            print(", ".join(part for part in parts if part), file=sys.stderr, flush=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.close()
