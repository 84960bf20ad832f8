"""Watching a run: its log, TensorBoard, and the signals that end it in good order."""

import hashlib
import json
import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any, Self

import numpy as np
from PIL import Image

from ddpm_ref import distributed
from ddpm_ref.trainer import Update


class Log:
    """The file `metrics.jsonl`: a line for every update, none twice and none lost.

    A checkpoint stores how long the file was, and its checksum; a run that goes on from it cuts off what came
    later.
    """

    def __init__(self, path: Path, length: int = 0) -> None:
        self._file = path.open("ab")
        self._file.truncate(length)
        self._file.seek(length)
        self._digest = hashlib.sha256(path.read_bytes())
        self._path = path

    def write(self, update: Update) -> None:
        """Add a line."""
        line = (json.dumps(update._asdict()) + "\n").encode()
        self._file.write(line)
        self._file.flush()
        self._digest.update(line)

    def mark(self) -> dict[str, Any]:
        """Say what is in it so far, as facts for a checkpoint, once it is safe on the disk."""
        os.fsync(self._file.fileno())
        return {"log_bytes": self._file.tell(), "log_sha256": self._digest.hexdigest()}

    @staticmethod
    def check(path: Path, length: int, sha256: str) -> None:
        """Refuse a file that does not begin with what was in it at a checkpoint.

        Raises:
            ValueError: if it is too short or altered.
        """
        content = path.read_bytes()[:length] if path.is_file() else b""
        if len(content) < length:
            raise ValueError(
                f"run must be whole; {path} has {len(content)} bytes, and had {length} at the checkpoint"
            )
        if hashlib.sha256(content).hexdigest() != sha256:
            raise ValueError(f"run must be whole; {path} is not as it was at the checkpoint")

    def losses(self) -> list[float]:
        """Read back the loss of every update."""
        return [json.loads(line)["loss"] for line in self._path.read_text(encoding="utf-8").splitlines()]

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()


def summary_writer() -> Any:
    """Import what writes for TensorBoard.

    Raises:
        ValueError: if TensorBoard is not installed.
    """
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise ValueError("--tensorboard needs TensorBoard: pip install 'ddpm-ref[tensorboard]'") from error
    return SummaryWriter


class Board:
    """The same for TensorBoard, and the held-out loss and the grids of samples.

    A run that goes on from a step hides what was written of later ones.
    """

    def __init__(self, folder: Path, step: int) -> None:
        self._writer = summary_writer()(folder, purge_step=step + 1)

    def scalars(self, step: int, **values: float) -> None:
        """Show numbers of a step."""
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)

    def picture(self, step: int, name: str, picture: Image.Image) -> None:
        """Show a picture of a step."""
        self._writer.add_image(name, np.asarray(picture.convert("RGB")), step, dataformats="HWC")

    def close(self) -> None:
        """Write what is left."""
        self._writer.close()


class Signals:
    """Turns the first Ctrl-C or SIGTERM into a request to stop, so that work in hand is finished.

    The second one interrupts at once. Schedulers send SIGTERM to a job whose time is up. `torchrun` hands on
    what its processes may have had from the terminal already; under it only the first one counts.

    Attributes:
        code: the exit code of a run that was stopped so: 130 or 143; None where none was.
    """

    def __init__(self, request: Callable[[], None]) -> None:
        self.code: int | None = None
        self._request = request
        self._before: dict[signal.Signals, Any] = {}

    def _handle(self, number: int, _: FrameType | None) -> None:
        if self.code is not None:
            if distributed.world() > 1:
                return
            raise KeyboardInterrupt
        self.code = 128 + number
        self._request()
        if distributed.rank() == 0:
            more = "; once more stops at once" if distributed.world() == 1 else ""
            print(f"\nStopping after this update{more}.", file=sys.stderr)

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
