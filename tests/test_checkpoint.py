"""A run that dies at any moment goes on as if it had not; what is damaged, foreign or unsafe is refused."""

import fcntl
import json
import os
import re
import resource
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from ddpm_ref import checkpoint, objective, train, trainer
from ddpm_ref.checkpoint import Checkpoints, read_run, read_tensors, read_weights, write_tensors
from ddpm_ref.unet import UNet
from ddpm_ref.watch import Log
from tests.tiny import TINY, Killed, assert_same, at_call, die, outcome, resume, start

pytestmark = pytest.mark.usefixtures("quickly")


# -- the state --------------------------------------------------------------------------------------------


def test_a_checkpoint_holds_the_whole_state(whole: Path) -> None:
    tensors, log = outcome(whole)
    model = UNet(TINY.unet)
    for name in model.state_dict():
        assert {f"model.{name}", f"ema.{name}", f"optimizer.exp_avg.{name}"} <= tensors.keys()
    assert {"generator", "order"} <= tensors.keys()
    assert len(log) == 6


@pytest.mark.parametrize("left_out", ["ema.", "optimizer.exp_avg.", "optimizer.step.", "generator", "order"])
def test_every_part_of_the_state_is_needed(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, left_out: str
) -> None:
    """Where a part is not restored, the run comes out different: so the comparison below would see it."""
    out = tmp_path / "run"
    assert start(out, replace(TINY, steps=4)) == 0
    load = trainer.Trainer.load

    def forgetful(self: trainer.Trainer, tensors: dict[str, Tensor], facts: dict[str, Any]) -> None:
        own, _ = self.state()
        fresh = {name: own.get(name, torch.zeros_like(t)) for name, t in tensors.items()}
        load(self, {k: fresh[k] if k.startswith(left_out) else t for k, t in tensors.items()}, facts)

    monkeypatch.setattr(trainer.Trainer, "load", forgetful)
    assert resume(out, "--steps", "6") == 0
    with pytest.raises(AssertionError):
        assert_same(whole, out)


# -- interrupted and resumed ------------------------------------------------------------------------------


def die_half_written(file: int) -> None:
    if not fcntl.fcntl(file, fcntl.F_GETFL) & os.O_APPEND:  # all but the log, of which old lines are safe
        os.ftruncate(file, os.fstat(file).st_size // 2)
    raise Killed


# config.json and environment.json, then at each of three checkpoints the log and the file, then the weights
FLUSHES, MOVES = 2 + 3 * 2 + 2, 2 + 3 + 2


def killed_and_resumed(out: Path, where: str, n: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            os, where, at_call(n, getattr(os, where), die_half_written if where == "fsync" else die)
        )
        with pytest.raises(Killed):
            start(out)
    if not (out / "config.json").exists():  # nothing was begun
        assert (where, n) in {("fsync", 1), ("replace", 1)}
        return
    assert resume(out) == 0


@pytest.mark.promise(
    "killed",
    "killed at any flush or move of a file: the old one stands or the new one, and the end has the same bits",
)
@pytest.mark.parametrize(("where", "n"), [("fsync", 2), ("fsync", 6), ("replace", 4), ("replace", 6)])
def test_a_run_killed_while_it_writes_goes_on_bit_for_bit(
    whole: Path, tmp_path: Path, where: str, n: int
) -> None:
    killed_and_resumed(tmp_path, where, n)
    assert_same(whole, tmp_path)


@pytest.mark.promise(
    "killed",
    "killed at any flush or move of a file: the old one stands or the new one, and the end has the same bits",
)
@pytest.mark.slow
@pytest.mark.parametrize(
    ("where", "n"),
    [*(("fsync", n) for n in range(1, FLUSHES + 1)), *(("replace", n) for n in range(1, MOVES + 1))],
)
def test_a_run_killed_at_any_write_goes_on_bit_for_bit(
    whole: Path, tmp_path: Path, where: str, n: int
) -> None:
    killed_and_resumed(tmp_path, where, n)
    if (tmp_path / "config.json").exists():
        assert_same(whole, tmp_path)


def test_these_are_all_the_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    counts = {"fsync": 0, "replace": 0}

    def counted(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            counts[name] += 1
            return function(*args, **kwargs)

        return wrapped

    for name in counts:
        monkeypatch.setattr(os, name, counted(name, getattr(os, name)))
    start(tmp_path)
    assert counts == {"fsync": FLUSHES + 1, "replace": MOVES + 1}  # report.json is the last


@pytest.mark.promise("killed", "a line of `metrics.jsonl` cut in the middle is written again")
@pytest.mark.parametrize("step", [1, 4])
def test_a_run_killed_between_checkpoints_goes_on_bit_for_bit(whole: Path, tmp_path: Path, step: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trainer, "L_simple", at_call(step * 2, objective.L_simple, die))
        with pytest.raises(Killed):
            start(tmp_path)
    # The last line was being written.
    with (tmp_path / "metrics.jsonl").open("a") as log:
        log.write('{"step": 9')
    assert resume(tmp_path) == 0
    assert_same(whole, tmp_path)


@pytest.mark.promise(
    "signal",
    "Ctrl-C or SIGTERM: the update is finished and kept, exit code 130 or 143; the end has the same bits",
)
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_the_run_after_the_update_and_it_goes_on_bit_for_bit(
    whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], number: signal.Signals, code: int
) -> None:
    before = signal.getsignal(number)
    with pytest.MonkeyPatch.context() as patch:
        stop = at_call(4, objective.L_simple, lambda *_: signal.raise_signal(number))
        patch.setattr(trainer, "L_simple", stop)
        assert start(tmp_path) == code
    assert signal.getsignal(number) is before
    err = capsys.readouterr().err
    assert (
        f"keeps the state of step 3 of 6; go on with:\n  python -m ddpm_ref.train --resume {tmp_path}" in err
    )
    assert resume(tmp_path) == 0
    assert_same(whole, tmp_path)


@pytest.mark.promise("signal", "a second Ctrl-C ends at once; the last checkpoint stays")
def test_a_second_ctrl_c_does_not_wait(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def twice(*_: object) -> None:
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trainer, "L_simple", at_call(1, objective.L_simple, twice))
        assert start(tmp_path) == 130
    err = capsys.readouterr().err
    assert f"Interrupted while training. {tmp_path} keeps no checkpoint yet." in err


def test_a_finished_run_goes_on_with_more_steps_as_if_it_had_had_them(whole: Path, tmp_path: Path) -> None:
    assert start(tmp_path, replace(TINY, steps=4)) == 0
    assert resume(tmp_path, "--steps", "6") == 0
    assert_same(whole, tmp_path)


@pytest.mark.promise(
    "loss not finite", "NaN or infinity does not reach the weights; the state before it is kept, exit code 1"
)
def test_a_run_whose_loss_is_not_finite_keeps_the_last_good_state(whole: Path, tmp_path: Path) -> None:
    calls = 0
    with pytest.MonkeyPatch.context() as patch:

        def broken(*args: Any, **kwargs: Any) -> Tensor:
            nonlocal calls
            calls += 1
            loss = objective.L_simple(*args, **kwargs)
            return loss * torch.nan if calls == 5 else loss  # each checkpoint computes one on held-out images

        patch.setattr(trainer, "L_simple", broken)
        assert start(tmp_path) == 1
    assert Checkpoints(tmp_path).latest is not None
    tensors, log = outcome(tmp_path)
    assert len(log) == 3
    assert all(t.isfinite().all() for t in tensors.values() if t.is_floating_point())
    assert resume(tmp_path) == 0
    assert_same(whole, tmp_path)


# -- a full disk ------------------------------------------------------------------------------------------


@contextmanager
def room_for(size: int) -> Iterator[None]:
    """Let no file grow beyond a size: writing more fails, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.promise(
    "disk full", "a checkpoint that does not fit leaves the last one, which the one line names"
)
def test_a_full_disk_leaves_the_last_checkpoint(
    whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert start(tmp_path, replace(TINY, steps=2)) == 0
    capsys.readouterr()
    with room_for(20_000):
        assert resume(tmp_path, "--steps", "6") == 1
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("ddpm_ref")]
    assert (
        f"{tmp_path} cannot be written to: File too large. {tmp_path} keeps the state of step 2 of 6" in line
    )
    assert not list(tmp_path.rglob("*.part"))
    assert resume(tmp_path) == 0
    assert_same(whole, tmp_path)


# -- damaged, foreign, unsafe -----------------------------------------------------------------------------


def damage_end(content: bytes) -> bytes:
    return content[:-100]


def damage_half(content: bytes) -> bytes:
    return content[: len(content) // 2]


def damage_bit(content: bytes) -> bytes:
    return content[:-5000] + bytes([content[-5000] ^ 1]) + content[-4999:]


def damage_facts(content: bytes) -> bytes:
    return content.replace(b'step\\\\\\": 6', b'step\\\\\\": 5')


def damage_all(content: bytes) -> bytes:
    return b""


@pytest.mark.promise(
    "bit flipped",
    "a damaged checkpoint is named in one line with the one before, which goes on to the same bits",
)
@pytest.mark.promise(
    "truncated",
    "a damaged checkpoint is named in one line with the one before, which goes on to the same bits",
)
@pytest.mark.parametrize(
    "damage",
    [
        damage_half,
        damage_bit,
        *(pytest.param(d, marks=pytest.mark.slow) for d in (damage_end, damage_facts, damage_all)),
    ],
)
def test_a_damaged_checkpoint_is_named_and_the_one_before_offered(
    whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], damage: Callable[[bytes], bytes]
) -> None:
    assert start(tmp_path) == 0
    latest, before, *_ = Checkpoints(tmp_path)
    content = latest.path.read_bytes()
    latest.path.write_bytes(damage(content))
    assert latest.path.read_bytes() != content
    (tmp_path / "report.json").unlink()
    capsys.readouterr()
    assert resume(tmp_path) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert f"{latest.path} is damaged" in line
    assert f"The one before is intact: --resume {before.path}" in line
    offered = Path(line.rpartition("--resume ")[2])
    assert train.main(["--resume", str(offered)]) == 0
    assert_same(whole, tmp_path)
    assert latest.path.with_suffix(".set-aside").exists()


@pytest.mark.promise("truncated", "where no checkpoint is intact, that is said")
def test_where_no_checkpoint_is_intact_it_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert start(tmp_path, replace(TINY, steps=2)) == 0
    (only,) = Checkpoints(tmp_path)
    only.path.write_bytes(b"")
    assert resume(tmp_path, "--steps", "3") == 2
    assert "No checkpoint before it is intact" in capsys.readouterr().err


@pytest.mark.promise(
    "swapped", "a state of another network is refused by the first setting or tensor that differs"
)
def test_another_architecture_is_refused_with_the_setting_or_the_first_tensor_that_differs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert start(tmp_path, replace(TINY, steps=2)) == 0
    values = json.loads((tmp_path / "config.json").read_text())
    values["unet"]["multipliers"] = [2]
    (tmp_path / "config.json").write_text(json.dumps(values))
    assert resume(tmp_path, "--steps", "3") == 2
    err = capsys.readouterr().err.splitlines()[-1]
    assert "is of another, whose unet.multipliers is [1] and not [2]" in err
    wide = UNet(replace(TINY.unet, multipliers=(2,)))
    message = re.escape(
        "first down_blocks.0.resnets.0.conv1.weight: (8, 8, 3, 3) in the file, (16, 8, 3, 3) in the model"
    )
    with pytest.raises(ValueError, match=message):
        read_weights(tmp_path / "model.safetensors", wide)
    with pytest.raises(ValueError, match=r"first conv_in.bias: absent in the file, \(8,\) in the model"):
        checkpoint.check_fit(Path("w"), {}, {"conv_in.bias": torch.zeros(8)})
    with pytest.raises(ValueError, match=r"first extra: \(\) in the file, absent in the model"):
        checkpoint.check_fit(Path("w"), {"extra": torch.zeros(())}, {})


class Trap:
    """Runs code when it is unpickled."""

    def __init__(self, sprung: Path) -> None:
        self.sprung = sprung

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.sprung,)


@pytest.mark.promise("hostile", "a pickle is refused before it is opened, and runs nothing")
@pytest.mark.parametrize("name", ["weights.pt", "checkpoints/step-00000002.safetensors"])
@pytest.mark.parametrize("archive", [True, False])
def test_a_pickle_is_refused_and_not_opened(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, archive: bool
) -> None:
    path, sprung = tmp_path / name, tmp_path / "sprung"
    path.parent.mkdir(exist_ok=True)
    torch.save({"w": Trap(sprung)}, path, _use_new_zipfile_serialization=archive)
    message = re.escape(f"weights must be safetensors; {path} is a pickle, which can run code")
    with pytest.raises(ValueError, match=message):
        read_weights(path, UNet(TINY.unet))
    assert train.main(["--resume", str(path)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert f"{path} is a pickle" in line
    assert not sprung.exists()
    with path.open("rb") as file:
        torch.load(file, weights_only=False)
    assert sprung.exists()  # so the trap works


@pytest.mark.promise("hostile", "a file without a checksum is refused")
def test_a_file_without_a_checksum_is_refused(tmp_path: Path) -> None:
    save_file({"w": torch.zeros(2)}, tmp_path / "w.safetensors")
    with pytest.raises(ValueError, match="weights must have a checksum"):
        read_tensors(tmp_path / "w.safetensors")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--resume", "nothing"], "nothing has no config.json"),
        (["--resume", "file"], "a checkpoint must lie in the folder RUN/checkpoints; got file"),
        (["--resume", "run/checkpoints/step-00000009.safetensors"], "a checkpoint must be there; run/"),
        (["--resume", "run", "--lr", "1"], "--resume must stand with --steps and --device only"),
        (["--resume", "run", "--preset", "smoke"], "--resume must stand with --steps and --device only"),
        (["--resume", "run", "--out", "new"], "--resume must stand with --steps and --device only"),
        (["--resume", "run", "--steps", "1"], "--steps must be more than the 2 that run has done; got 1"),
        (["--resume", "run"], "--steps must be more than the 2 that run has done; got 2"),
    ],
)
def test_what_cannot_be_resumed_is_refused_in_one_line(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("x")
    (tmp_path / "run").mkdir()
    config = json.dumps(replace(TINY, steps=2).to_dict())
    (tmp_path / "run" / "config.json").write_text(config)
    (tmp_path / "run" / "report.json").write_text("{}")
    assert train.main(arguments) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line
    assert (tmp_path / "run" / "config.json").read_text() == config


def test_a_log_that_lost_lines_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert start(tmp_path, replace(TINY, steps=2)) == 0
    with (tmp_path / "metrics.jsonl").open("r+") as log:
        log.truncate(10)
    assert resume(tmp_path, "--steps", "3") == 2
    assert "run must be whole" in capsys.readouterr().err


# -- the files --------------------------------------------------------------------------------------------


def test_the_latest_are_kept_and_the_best(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path, keep=2)
    for step, loss in enumerate([5.0, 1.0, 2.0, 3.0, float("nan"), 0.5, 4.0, 1.5], 1):
        checkpoints.write(step, {"x": torch.zeros(1)}, {"held_out_loss": loss})
        best = checkpoints.best()
        assert best is not None
        expected = {
            1: {1},
            2: {1, 2},
            3: {2, 3},
            4: {2, 3, 4},
            5: {2, 4, 5},
            6: {5, 6},
            7: {6, 7},
            8: {6, 7, 8},
        }
        assert {saved.step for saved in checkpoints} == expected[step]
        assert best.step == {1: 1}.get(step, 2 if step < 6 else 6)


def test_later_checkpoints_are_set_aside_when_a_run_goes_back(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path, keep=5)
    for step in (1, 2, 3):
        checkpoints.write(step, {"x": torch.zeros(1)}, {})
    checkpoints.set_aside(after=1)
    assert [saved.step for saved in checkpoints] == [1]
    assert sorted(path.name for path in checkpoints.folder.iterdir()) == [
        "step-00000001.safetensors",
        "step-00000002.set-aside",
        "step-00000003.set-aside",
    ]


def test_a_run_is_sampled_from_while_it_lasts(whole: Path, tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trainer, "L_simple", at_call(5, objective.L_simple, die))
        with pytest.raises(Killed):
            start(tmp_path)
    _, model, step = read_run(tmp_path)
    tensors, _ = outcome(tmp_path)
    assert step == 2
    assert all(torch.equal(t, tensors[f"ema.{name}"]) for name, t in model.state_dict().items())
    assert read_run(whole)[2] == 6


def test_tensors_come_back_as_they_were(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    tensors = {
        "half": torch.randn(3, 2).bfloat16(),
        "lying": torch.randn(2, 3, 4, 4).to(memory_format=torch.channels_last),
        "none": torch.zeros(0, dtype=torch.long),
        "one": torch.tensor(2.5, dtype=torch.float64),
    }
    write_tensors(path, tensors, {"a": [1, "b"]})
    back, facts = read_tensors(path)
    assert facts == {"a": [1, "b"]}
    assert all(torch.equal(back[name], tensor) for name, tensor in tensors.items())
    with safe_open(path, framework="pt") as file:  # any reader of the format can read it
        assert set(file.keys()) == tensors.keys()


def test_the_log_is_cut_where_the_checkpoint_was(tmp_path: Path) -> None:
    log = Log(tmp_path / "log")
    log.write(trainer.Update(1, 1.0, 0.0, 1.0, 1.0, 1.0))
    length = log.mark()["log_bytes"]
    log.write(trainer.Update(2, 2.0, 0.0, 1.0, 1.0, 1.0))
    log.close()
    again = Log(tmp_path / "log", length)
    again.write(trainer.Update(2, 3.0, 0.0, 1.0, 1.0, 1.0))
    assert again.losses() == [1.0, 3.0]
    again.close()
