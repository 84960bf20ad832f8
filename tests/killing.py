"""Kills trainers, and says where: `python -m tests.killing FOLDER` prints what came of it as JSON.

Each trainer is a process of its own that runs the real command, forked from this one, which has imported all
that it needs and done nothing. It tells through shared memory what it is at. Files are written slowly, so
that a kill can fall between their parts.
"""

import json
import mmap
import os
import random
import signal
import socket
import struct
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import matplotlib.backends.backend_agg
import sklearn.datasets
import sklearn.model_selection
import torch

from ddpm_ref import checkpoint, pictures, run, train
from ddpm_ref.checkpoint import Checkpoints
from ddpm_ref.distributed import LAUNCHED
from ddpm_ref.trainer import Trainer
from ddpm_ref.watch import Log

# Whole modules, so that no trainer has to import them.
IMPORTED = (matplotlib.backends.backend_agg, sklearn.datasets, sklearn.model_selection)
PHASES = (
    "start", "training", "checkpoint", "grid", "weights", "loss curve", "sampling", "scoring", "report",
)  # fmt: skip
WAYS = {"start": 10, "training": 16, "checkpoint": 18, "grid": 2}  # how often to aim at each, in some order
ENDS = ("weights", "loss curve", "sampling", "report")
SETTINGS = ["--preset", "smoke", "--batch-size", "8", "--flips", "--checkpoint-every", "2", "--keep", "1"]
SETTINGS += ["--sample-every", "20", "--samples", "40", "--device", "cpu"]
PATIENCE = 120  # seconds until a trainer that does not get where it should is a failure
PAUSE = 0.003  # seconds, between the parts of a file


def free_port() -> int:
    """Find a port below those that the kernel hands out, so that nobody is given it meanwhile."""
    while True:
        with socket.socket() as probe, suppress(OSError):
            port = random.SystemRandom().randrange(20_000, 32_768)
            probe.bind(("127.0.0.1", port))
            return port


class Trainers:
    """Trainers that run side by side, and what each is at."""

    def __init__(self, commands: Sequence[Sequence[str]], log: Path, together: bool = False) -> None:
        self.at = [mmap.mmap(-1, 12) for _ in commands]
        port = free_port()
        self.pids = []
        for rank, command in enumerate(commands):
            pid = os.fork()
            if pid == 0:
                values = (rank, len(commands), rank, "127.0.0.1", port)
                if together:
                    os.environ |= {name: str(value) for name, value in zip(LAUNCHED, values, strict=True)}
                self._be(rank, command, log)
            self.pids.append(pid)

    def _be(self, rank: int, command: Sequence[str], log: Path) -> None:
        """Be a trainer: never return."""
        code = 70
        try:
            file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            os.dup2(file, 1)
            os.dup2(file, 2)
            torch.set_num_threads(1)
            tell(self.at[rank])
            slow_down()
            code = train.main(command)
        finally:
            sys.stderr.flush()
            os._exit(code)

    def wait(self, rank: int) -> int:
        """Wait for the end of one, and give its exit code, or minus the signal that ended it."""
        began = time.monotonic()
        while time.monotonic() - began < PATIENCE:
            pid, status = os.waitpid(self.pids[rank], os.WNOHANG)
            if pid:
                return os.waitstatus_to_exitcode(status)
            time.sleep(0.002)
        os.kill(self.pids[rank], signal.SIGKILL)
        os.waitpid(self.pids[rank], 0)
        raise TimeoutError(f"trainer {rank} did not end")

    def kill(self, rank: int, phase: str, updates: int, after: float) -> dict[str, Any]:
        """Kill one a moment after it has come to a phase, and say what it was at."""
        began = time.monotonic()
        while True:
            now, done, _ = struct.unpack("3i", self.at[rank][:])
            if PHASES[now] == phase and done >= updates:
                break
            if os.waitid(os.P_PID, self.pids[rank], os.WEXITED | os.WNOHANG | os.WNOWAIT):
                raise RuntimeError(f"trainer {rank} ended before {phase}")
            if time.monotonic() - began > PATIENCE:
                raise TimeoutError(f"trainer {rank} did not come to {phase}")
            time.sleep(0.0005)
        time.sleep(after)
        os.kill(self.pids[rank], signal.SIGKILL)
        code = self.wait(rank)
        now, _, step = struct.unpack("3i", self.at[rank][:])
        return {"aim": phase, "phase": PHASES[now], "step": step, "code": code}


def tell(at: mmap.mmap) -> None:
    """Let a trainer say what it is at: the phase, its updates so far and the step of the last one."""
    updates = 0

    def say(phase: str) -> str:
        before = PHASES[struct.unpack("i", at[:4])[0]]
        at[:4] = struct.pack("i", PHASES.index(phase))
        return before

    def during(owner: Any, name: str, phase: str, when: Callable[..., bool] = lambda *_, **__: True) -> None:
        function: Callable[..., Any] = getattr(owner, name)

        def told(*args: Any, **kwargs: Any) -> Any:
            if not when(*args, **kwargs):
                return function(*args, **kwargs)
            before = say(phase)
            result = function(*args, **kwargs)
            say(before)
            return result

        setattr(owner, name, told)

    during(checkpoint, "write_bytes", "checkpoint", lambda path, _: path.parent.name == "checkpoints")
    during(run.Keeper, "grid", "grid")
    during(run, "write_weights", "weights")
    during(pictures, "loss_curve", "loss curve")
    during(train, "draw", "sampling")
    during(train, "judge", "scoring")
    during(train, "write_json", "report")
    train_on, write = Trainer.updates, Log.write

    def updating(self: Trainer) -> Any:
        say("training")
        return train_on(self)

    def counted(self: Log, update: Any) -> None:
        nonlocal updates
        write(self, update)
        updates += 1
        at[4:] = struct.pack("2i", updates, update.step)

    Trainer.updates = updating  # type: ignore[method-assign]
    Log.write = counted  # type: ignore[method-assign]


def slow_down() -> None:
    """Let the writing of a file last long enough to be killed in every part of it."""
    open_, fsync, replace = Path.open, os.fsync, os.replace

    class InParts:
        def __init__(self, file: Any) -> None:
            self._file = file

        def __enter__(self) -> "InParts":
            return self

        def __exit__(self, *_: object) -> None:
            self._file.close()

        def __getattr__(self, name: str) -> Any:
            return getattr(self._file, name)

        def write(self, content: bytes) -> None:
            size = max(1, len(content) // 8)
            for start in range(0, len(content), size):
                self._file.write(content[start : start + size])
                self._file.flush()
                time.sleep(PAUSE)

    def opened(self: Path, mode: str = "r", *args: Any, **kwargs: Any) -> Any:
        file = open_(self, mode, *args, **kwargs)
        return InParts(file) if mode == "xb" else file

    def slowly(function: Callable[..., Any]) -> Callable[..., Any]:
        def paused(*args: Any) -> None:
            time.sleep(PAUSE)
            function(*args)
            time.sleep(PAUSE)

        return paused

    Path.open, os.fsync, os.replace = opened, slowly(fsync), slowly(replace)  # type: ignore[method-assign]


def going_on(out: Path, *more: str) -> list[str]:
    """Give the command that a person would: the first one again, where that had begun nothing."""
    if (out / "config.json").exists():
        return ["--resume", str(out), "--device", "cpu", *more]
    return [*SETTINGS, "--out", str(out), *more]


def fifty(folder: Path) -> dict[str, Any]:
    """Kill a run at fifty moments, go on with it each time, and let another run undisturbed."""
    out, log = folder / "killed", folder / "killed.log"
    drawn = random.Random(0)
    aims = [phase for phase, times in WAYS.items() for _ in range(times)]
    drawn.shuffle(aims)
    kills = []
    for phase in aims:
        trainer = Trainers([going_on(out, "--steps", "100000")], log)
        after = drawn.uniform(0, {"start": 0.25, "grid": 0.2}.get(phase, 0.04))
        updates = {"start": 0, "grid": 0}.get(phase, drawn.randrange(1, 5))
        kills.append(trainer.kill(0, phase, updates, after) | {"unfinished": bool(list(out.rglob("*.part")))})
    latest = Checkpoints(out).latest
    steps = str((latest.step if latest else 0) + 5)
    for phase in ENDS:
        trainer = Trainers([going_on(out, "--steps", steps)], log)
        after = drawn.uniform(0, 0.02 if phase in ("weights", "report") else 0.1)
        kills.append(trainer.kill(0, phase, 0, after) | {"unfinished": bool(list(out.rglob("*.part")))})
    whole = [*SETTINGS, "--out", str(folder / "whole"), "--steps", steps]
    codes = [Trainers([command], log).wait(0) for command in (going_on(out, "--steps", steps), whole)]
    return {"kills": kills, "codes": codes}


def race(folder: Path) -> dict[str, Any]:
    """Start two runs into one folder at the same moment, and count how often each exit code came."""
    codes = []
    for i in range(3):
        command = ["--preset", "smoke", "--steps", "3", "--samples", "0", "--out", str(folder / f"race-{i}")]
        two = Trainers([command, command], folder / "race.log")
        codes.append(sorted(two.wait(rank) for rank in range(2)))
    return {"codes": codes}


def lost(folder: Path) -> dict[str, Any]:
    """Kill one of two processes of a run; time the other's end; go on with both; let two run undisturbed."""
    log, more = folder / "lost.log", ["--preset", "smoke", "--steps", "12", "--checkpoint-every", "3"]
    more += ["--samples", "0", "--device", "cpu", "--out"]
    two = Trainers([[*more, str(folder / "lost")]] * 2, log, together=True)
    # The second process writes no log; the first is at its fifth update.
    while struct.unpack("3i", two.at[0][:])[1] < 5:
        time.sleep(0.001)
    os.kill(two.pids[1], signal.SIGKILL)
    began = time.monotonic()
    code = two.wait(0)
    seconds = time.monotonic() - began
    two.wait(1)
    latest = Checkpoints(folder / "lost").latest
    said = log.read_text()
    again = ["--resume", str(folder / "lost"), "--device", "cpu"]
    codes = []
    for command in (again, [*more, str(folder / "together")]):
        two = Trainers([command] * 2, log, together=True)
        codes += [two.wait(rank) for rank in range(2)]
    return {
        "code": code, "seconds": seconds, "kept": latest.step if latest else 0, "said": said, "codes": codes,
    }  # fmt: skip


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    torch.optim.Adam([torch.nn.Parameter(torch.zeros(1))])  # imports more
    print(json.dumps({made.__name__: made(folder) for made in (fifty, race, lost)}))
