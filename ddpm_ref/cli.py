"""What the commands share: devices, run folders and progress."""

import sys
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Self

import torch
from filelock import FileLock, Timeout
from tqdm import tqdm  # type: ignore[import-untyped]

from ddpm_ref import distributed
from ddpm_ref.memory import keep_freed_memory

DEVICES = ("auto", "cpu", "cuda", "mps")
LATEST = 100  # steps, from which the time that is left is judged
LOCK = ".lock"  # a file in a folder that a command writes into


def choose_device(name: str) -> torch.device:
    """Turn a name into a device that is there; `auto` takes the first of cuda, mps and cpu that is.

    On the CPU the process from then on [keeps the memory][ddpm_ref.memory] that tensors give back.

    Raises:
        ValueError: if the name is unknown or this machine has no such device.
    """
    here = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name not in DEVICES:
        raise ValueError(f"device must be one of {', '.join(DEVICES)}; got {name}")
    available = [device for device, there in here.items() if there]
    if name != "auto" and name not in available:
        raise ValueError(f"device must be one that is here ({', '.join(available)}); got {name}")
    device = torch.device(available[0] if name == "auto" else name)
    if device.type == "cpu":
        keep_freed_memory()
    return device


def check_folder(folder: Path) -> None:
    """Refuse a folder whose contents might be overwritten.

    Raises:
        ValueError: if `folder` is something else than a folder, or not empty.
    """
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"out must be a new or empty folder; {folder} is a file: name another with --out")
    if folder.is_dir() and not _is_empty(folder):
        raise ValueError(f"out must be a new or empty folder; {folder} is not empty: name another with --out")


def _is_empty(folder: Path) -> bool:
    """Say whether a folder holds nothing, or only what a command leaves that is killed at its start."""
    return all(path.name in (LOCK, "config.json.part") for path in folder.iterdir())


def new_folder(first: Path) -> Path:
    """Choose a folder that is new or empty: `first`, or `first` with -2, -3 … appended."""
    folder, k = first, 1
    while folder.exists() and not (folder.is_dir() and _is_empty(folder)):
        k += 1
        folder = first.with_name(f"{first.name}-{k}")
    return folder


def make_folder(folder: Path) -> None:
    """Make a new folder, or accept an empty one.

    Raises:
        ValueError: if it is not empty, is a file, or cannot be made.
    """
    check_folder(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ValueError(f"out must be a folder to write to; {folder}: {error.strerror}") from error


@contextmanager
def hold(folder: Path, *, new: bool) -> Iterator[None]:
    """Write into a folder alone: any other command that wants to is refused meanwhile.

    The lock is the kernel's, on a file in the folder, so that it ends with the process, however that ends.
    The file goes when all is over; where a process was killed it stays, and means nothing.

    Args:
        folder: to be written into.
        new: whether it is to be made, or to be empty.

    Raises:
        ValueError: if another process holds it, it cannot be written to, or is not new and should be.
    """
    if new:
        make_folder(folder)
    lock = FileLock(folder / LOCK, timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise ValueError(
            f"folder must be one that no other process writes into; {folder} is in use: wait until that "
            "process has ended, end it, or use another folder"
        ) from None
    except OSError as error:
        raise ValueError(f"out must be a folder to write to; {folder}: {error.strerror or error}") from error
    try:
        if new:
            check_folder(folder)  # another command may have come and gone since
        yield
    finally:
        with suppress(OSError):  # Windows does it itself
            (folder / LOCK).unlink()
        lock.release()


class Progress:
    """A bar on a terminal; elsewhere, a plain line after every tenth of the work.

    Of several processes only the first shows it. `done` steps count as done before.
    """

    def __init__(self, title: str, total: int, done: int = 0) -> None:
        self._title, self._total, self._done = title, total, done
        self._latest = deque([(time.monotonic(), done)], maxlen=LATEST)
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
        now = time.monotonic()
        if self._bar is not None:
            self._bar.set_postfix_str(note, refresh=False)
            self._bar.update()
        elif self._shown and self._done * 10 // self._total > (self._done - 1) * 10 // self._total:
            began, before = self._latest[0]
            each = max(0.0, now - began) / (self._done - before)  # where a clock went backwards: 0
            left = each * (self._total - self._done)
            parts = [f"{self._title} {self._done}/{self._total}", note, f"{left:.0f} s left"]
            print(", ".join(part for part in parts if part), file=sys.stderr, flush=True)
        self._latest.append((now, self._done))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.close()
