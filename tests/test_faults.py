"""What is promised where the world around a run fails: another run, the disk, the clock, the data."""

import errno
import itertools
import json
import math
import multiprocessing
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from filelock import FileLock
from PIL import Image

from ddpm_ref import evaluate, sample, train, trainer
from ddpm_ref.checkpoint import Checkpoints
from ddpm_ref.cli import check_folder, hold
from ddpm_ref.data import digits, load
from ddpm_ref.data import images as data_images
from ddpm_ref.presets import Config
from ddpm_ref.trainer import Trainer
from ddpm_ref.watch import Log
from tests.test_distributed import launched
from tests.tiny import (
    CPU,
    TINY,
    Killed,
    assert_same,
    at_call,
    die,
    latest,
    quick,
    refused,
    resume,
    start,
)

pytestmark = pytest.mark.usefixtures("quickly")

SMALL = ("--n", "70", "--images", "4", "--steps", "3", "--sampling-steps", "2", "--features", "pixels")


@pytest.fixture
def half(whole: Path, tmp_path: Path) -> Path:
    """A run of which the last checkpoint is that of step 4."""
    run = shutil.copytree(whole, tmp_path / "half")
    (run / "report.json").unlink()
    (run / "checkpoints" / "step-00000006.safetensors").unlink()
    return run


@pytest.fixture
def _all_digits(quickly: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Enough images to judge by, in place of the few of `quickly`."""
    monkeypatch.setattr(Config, "data", lambda self: digits())


def one_line(capsys: pytest.CaptureFixture[str]) -> str:
    """Give the error that a command printed, which is one line of its own."""
    lines = capsys.readouterr().err.splitlines()
    (line,) = [line for line in lines if line.startswith("ddpm_ref.")]
    assert not any("Traceback" in line for line in lines)
    return line


# -- two runs into one folder -------------------------------------------------------------------------------

TWO = "two runs into one folder"


@contextmanager
def writing(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds a folder as a command does while it writes there."""
    program = (
        "import sys, filelock\n"
        "with filelock.FileLock(sys.argv[1], timeout=0): print('held', flush=True), sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, folder / ".lock"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        try:
            yield other
        finally:
            other.kill()


@pytest.mark.promise(TWO, "the second is refused in one line that names the folder and says what to do")
@pytest.mark.promise(TWO, "the lock is the kernel's: after SIGKILL the run can be resumed at once")
def test_a_folder_in_use_is_refused_until_its_process_is_gone(
    whole: Path,
    half: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    new = tmp_path / "new"
    new.mkdir()
    with writing(half) as other:
        line = refused(half, capsys)
        assert f"no other process writes into; {half} is in use: wait until that process has ended" in line
        other.send_signal(signal.SIGKILL)
        other.wait()
        assert (half / ".lock").exists()
        assert resume(half) == 0
    assert_same(whole, half)
    assert not (half / ".lock").exists()
    commands = {
        train: ["--preset", "smoke", "--out", str(new)],
        sample: ["--run", str(whole), "--n", "1", "--out", str(new)],
        evaluate: ["--run", str(whole), "--out", str(new), *SMALL],
    }
    monkeypatch.setattr(Config, "data", lambda self: digits())
    with writing(new):
        for command, arguments in commands.items():
            capsys.readouterr()
            assert command.main(arguments) == 2
            assert f"{new} is in use" in one_line(capsys)
        assert [path.name for path in new.iterdir()] == [".lock"]
    check_folder(new)  # what a killed process left does not make it anybody's


@pytest.mark.promise(TWO, "a folder that another run has filled in the meantime is refused")
def test_a_folder_is_looked_at_again_once_it_is_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    acquire = FileLock.acquire

    def late(self: Any, *args: Any, **kwargs: Any) -> Any:
        (tmp_path / "config.json").write_text("{}")  # another run came and went
        return acquire(self, *args, **kwargs)

    monkeypatch.setattr(FileLock, "acquire", late)
    with pytest.raises(ValueError, match="is not empty"), hold(tmp_path, new=True):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["config.json"]


@pytest.mark.promise(TWO, "of several processes under `torchrun` the first one locks, for all")
def test_only_the_first_process_locks(
    half: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with hold(half, new=False):
        launched(monkeypatch, 1, 2)
        with ExitStack() as held:
            run, _ = train.plan(["--resume", str(half), "--device", "cpu"], held)
        assert run.start == latest(half)
        launched(monkeypatch, 0, 2)
        with ExitStack() as held, pytest.raises(ValueError, match="is in use"):
            train.plan(["--resume", str(half), "--device", "cpu"], held)
    assert not (half / ".lock").exists()


# -- a full disk --------------------------------------------------------------------------------------------

FULL = "disk full"


def no_room(*_: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.promise(
    FULL,
    "whatever is being written: one line, exit code 1, nothing half-written; once there is room, `--resume` "
    "gives the uninterrupted end",
)
@pytest.mark.slow
@pytest.mark.parametrize("n", range(1, 11))
def test_a_disk_that_is_full_at_any_write(
    whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], n: int
) -> None:
    run = tmp_path / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", at_call(n, os.fsync, no_room))
        assert start(run) == 1
    line = one_line(capsys)
    assert "No space left on device" in line
    assert not list(run.rglob("*.part"))
    if n == 1:  # nothing was begun
        check_folder(run)
        return
    assert n == 2 or f"{run} cannot be written to" in line
    assert resume(run) == 0
    assert_same(whole, run)


@pytest.mark.promise(FULL, "a line of `metrics.jsonl` that was cut by it is written again")
def test_a_log_whose_line_was_cut_by_a_full_disk(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write = Log.write

    def half_a_line(self: Log, update: trainer.Update) -> None:
        if update.step == 4:
            self._file.write(b'{"step": 4, "lo')
            self._file.flush()
            no_room()
        write(self, update)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Log, "write", half_a_line)
        assert start(tmp_path) == 1
    assert "keeps the state of step 2 of 6; go on with" in one_line(capsys)
    assert (tmp_path / "metrics.jsonl").read_text().endswith('"lo')
    assert resume(tmp_path) == 0
    assert_same(whole, tmp_path)


@contextmanager
def mounted(folder: Path, *options: str) -> Iterator[None]:
    """Mount something; skip the test where this process may not."""
    folder.mkdir(exist_ok=True)
    done = subprocess.run(["mount", *options, folder], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"may not mount here: {done.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="mounts as Linux does")
@pytest.mark.promise(FULL, "the same on a `tmpfs` that is full, and not only as if it were")
def test_a_file_system_without_room(whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    each = latest(whole).stat().st_size
    with mounted(tmp_path / "disk", "-t", "tmpfs", "-o", f"size={6 * each}", "none"):
        run, ballast = tmp_path / "disk" / "run", tmp_path / "disk" / "ballast"
        assert start(run, replace(TINY, steps=2)) == 0
        capsys.readouterr()
        with suppress(OSError), ballast.open("wb", buffering=0) as file:
            while True:
                file.write(bytes(4096))
        os.truncate(ballast, ballast.stat().st_size - each // 4)  # with the old weights, room for half
        assert resume(run, "--steps", "6") == 1
        line = one_line(capsys)
        assert f"{run} cannot be written to: No space left on device. {run} keeps the state of step 2" in line
        assert not list(run.rglob("*.part"))
        ballast.unlink()
        assert resume(run) == 0
        assert_same(whole, run)


@pytest.mark.usefixtures("_all_digits")
@pytest.mark.promise(
    FULL, "`sample` and `evaluate` say so in one line, exit code 1, and leave no half picture"
)
@pytest.mark.parametrize("command", [sample, pytest.param(evaluate, marks=pytest.mark.slow)])
def test_samples_and_evaluations_on_a_full_disk(
    whole: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    command: Any,
) -> None:
    monkeypatch.setattr(os, "fsync", at_call(2, os.fsync, no_room))
    out = tmp_path / "out"
    more = ["--n", "2", "--sampling-steps", "2", "--sampler", "ddim"] if command is sample else SMALL
    assert command.main(["--run", str(whole), "--out", str(out), *more]) == 1
    line = one_line(capsys)
    assert "No space left on device" in line
    assert str(out) in line
    (left,) = out.iterdir()
    with Image.open(left) as picture:
        picture.load()


@pytest.mark.promise(
    FULL, "data that are mapped from disk have their room before they are written, or are refused"
)
def test_images_without_room_on_disk_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data_images, "LARGEST_SHARE", 0)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, before[1]))
    try:
        with pytest.raises(
            ValueError, match=r"must fit on the disk of temporary files; 19200 bytes at .*: File too"
        ):
            data_images.room_for(25, 3, 8)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


# -- a read-only folder -------------------------------------------------------------------------------------

READ_ONLY = "read-only folder"


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """Make a folder read-only, for root too."""
    if os.geteuid():
        paths = [folder, *folder.rglob("*")]
        for path in paths:
            path.chmod(path.stat().st_mode & ~0o222)
        try:
            yield
        finally:
            for path in paths:
                path.chmod(path.stat().st_mode | 0o200)
        return
    with mounted(folder, "--bind", str(folder)):
        subprocess.run(["mount", "-o", "remount,bind,ro", folder], check=True)
        yield


@pytest.mark.usefixtures("_all_digits")
@pytest.mark.promise(READ_ONLY, "nothing is begun: one line that names the folder, exit code 2")
@pytest.mark.promise(READ_ONLY, "a run in it can be sampled from and evaluated, with `--out` elsewhere")
def test_a_read_only_run_is_read_and_not_gone_on_with(
    half: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    few = ["--run", str(half), "--n", "1", "--sampling-steps", "2"]
    with read_only(half):
        assert f"out must be a folder to write to; {half}: " in refused(half, capsys)
        for command, arguments in (
            (sample, few),
            (evaluate, ["--run", str(half), *SMALL]),
            (train, ["--preset", "smoke", "--out", str(half / "new")]),
        ):
            capsys.readouterr()
            assert command.main(arguments) == 2
            (line,) = capsys.readouterr().err.splitlines()
            assert f"out must be a folder to write to; {half}/" in line
        assert sample.main([*few, "--out", str(tmp_path / "samples")]) == 0


# -- clocks -------------------------------------------------------------------------------------------------


@pytest.mark.promise(
    "clock jumps", "no result depends on a clock or on a file's date; times stay finite and positive"
)
def test_clocks_that_jump_change_nothing(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = random.Random(0)
    for name in ("time", "monotonic", "perf_counter"):
        jumps = itertools.chain(
            [0.0, 0.0], (drawn.choice([-1e9, -1.0, 0.0, 1e-9, 3e8]) for _ in itertools.count())
        )
        now = itertools.accumulate(jumps)
        monkeypatch.setattr(time, name, lambda now=now: 1e9 + next(now))
    run = tmp_path / "run"
    assert start(run, replace(TINY, steps=4)) == 0
    for saved in Checkpoints(run):  # the later the step, the older the file
        os.utime(saved.path, (1e9 - saved.step * 1e6,) * 2)
    assert latest(run).name == "step-00000004.safetensors"
    assert resume(run, "--steps", "6") == 0
    monkeypatch.undo()
    with quick():
        assert_same(whole, run)
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    seconds = [line["seconds"] for line in lines]
    assert seconds == sorted(seconds)
    assert all(0 < line[name] < math.inf for line in lines for name in ("seconds", "images_per_second"))


# -- data ---------------------------------------------------------------------------------------------------

LOADER = "dead data loader"


def pictures_in(folder: Path, n: int = 12) -> Path:
    folder.mkdir()
    for i in range(n):
        Image.new("L", (9, 8), 20 * i).save(folder / f"{i}.png")
    return folder


@pytest.mark.promise(
    LOADER, "there is none to die: images are read by the process itself, which starts no other"
)
@pytest.mark.parametrize("source", ["digits", "folder"])
def test_no_process_is_started_for_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str) -> None:
    def started(*_: object, **__: object) -> None:
        raise AssertionError("a process was started")

    for module, name in (
        (os, "fork"), (os, "posix_spawn"), (subprocess, "Popen"), (multiprocessing.Process, "start"),
        (multiprocessing.util, "spawnv_passfds"),
    ):  # fmt: skip
        monkeypatch.setattr(module, name, started)
    spec = source if source == "digits" else f"folder:{pictures_in(tmp_path / 'images')}"
    images = load(spec, 8, channels=1).train.images
    for _ in Trainer(replace(TINY, steps=2), images, CPU).updates():
        pass


@pytest.mark.promise(
    LOADER, "images are read before the first update: their files may then be cut short or vanish"
)
@pytest.mark.parametrize("share", [0.25, 0.0], ids=["in memory", "mapped"])
def test_images_that_vanish_after_they_were_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, share: float
) -> None:
    monkeypatch.setattr(data_images, "LARGEST_SHARE", share)
    folder = pictures_in(tmp_path / "images")

    def weights(disturb: bool) -> torch.Tensor:
        trained = Trainer(replace(TINY, steps=4), load(f"folder:{folder}", 8, channels=1).train.images, CPU)
        for update in trained.updates():
            if share == 0.0 and (maps := Path("/proc/self/maps")).exists():
                mapped = [line for line in maps.read_text().splitlines() if "ddpm-ref-images" in line]
                assert mapped
                assert all(line.endswith("(deleted)") for line in mapped)  # so nobody can shorten it
            if disturb and update.step == 1:
                os.truncate(folder / "0.png", 0)
                for path in sorted(folder.iterdir())[1:]:
                    path.unlink()
        return torch.cat([p.detach().flatten() for p in trained.model.parameters()])

    undisturbed = weights(disturb=False)
    assert torch.equal(weights(disturb=True), undisturbed)


# -- what a killed command leaves ---------------------------------------------------------------------------


@pytest.mark.usefixtures("_all_digits")
@pytest.mark.promise(
    "killed", "an evaluation or a set of samples is never overwritten; killed, it leaves whole files"
)
@pytest.mark.slow
def test_a_killed_evaluation_leaves_the_one_before(whole: Path, tmp_path: Path) -> None:
    run = shutil.copytree(whole, tmp_path / "run")
    assert evaluate.main(["--run", str(run), *SMALL]) == 0
    before = {path.name: path.read_bytes() for path in (run / "evaluation-0").iterdir()}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "replace", at_call(7, os.replace, die))
        with pytest.raises(Killed):
            evaluate.main(["--run", str(run), *SMALL])
    assert {path.name: path.read_bytes() for path in (run / "evaluation-0").iterdir()} == before
    left = {path.name for path in (run / "evaluation-0-2").iterdir()}
    assert left == before.keys() - {"evaluation.json"} | {"evaluation.json.part"}


@pytest.mark.promise(
    "killed", "an evaluation or a set of samples is never overwritten; killed, it leaves whole files"
)
def test_killed_sampling_leaves_the_samples_before(whole: Path, tmp_path: Path) -> None:
    run = shutil.copytree(whole, tmp_path / "run")
    arguments = ["--run", str(run), "--n", "1", "--sampling-steps", "2"]
    assert sample.main(arguments) == 0
    before = {path.name: path.read_bytes() for path in (run / "samples-1").iterdir()}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "replace", at_call(2, os.replace, die))
        with pytest.raises(Killed):
            sample.main(arguments)
    assert {path.name: path.read_bytes() for path in (run / "samples-1").iterdir()} == before
    assert {path.name for path in (run / "samples-1-2").iterdir()} == {"samples.png", "reverse.gif.part"}
