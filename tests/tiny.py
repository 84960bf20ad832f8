"""A run that takes a fraction of a second, and what it is compared by."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from ddpm_ref import pictures, run, sample, train
from ddpm_ref.checkpoint import Checkpoints, read_tensors, write_tensors
from ddpm_ref.data import Labelled, Split, digits
from ddpm_ref.presets import Config, resolve
from ddpm_ref.run import Run
from ddpm_ref.unet import UNetConfig

CPU = torch.device("cpu")
# Dropout and flips are on, so that their generators' states matter; five steps of 8 cross an epoch of 30.
TINY = replace(
    resolve("smoke", dropout=0.3, flips=True, steps=6, batch_size=8, samples=0, checkpoint_every=2),
    unet=UNetConfig(8, 1, width=8, multipliers=(1,), attention_at=(), res_blocks=1, dropout=0.3),
)


def small_split() -> Split:
    train, held_out = digits()
    return Split(
        Labelled(train.images[:30], train.labels[:30]), Labelled(held_out.images[:8], held_out.labels[:8])
    )


@contextmanager
def quick() -> Iterator[None]:
    """Few images, and none of what takes long and has no part in the state."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Config, "data", lambda self: small_split())
        patch.setattr(run, "environment", lambda device, command: {})
        patch.setattr(pictures, "loss_curve", lambda path, *_: path.touch())
        yield


def start(out: Path, config: Config = TINY) -> int:
    out.mkdir(parents=True, exist_ok=True)
    return train.train(Run(config, small_split(), out, CPU, ["test"]))


def resume(out: Path, *more: str) -> int:
    return train.main(["--resume", str(out), "--device", "cpu", *more])


def outcome(out: Path) -> tuple[dict[str, Tensor], list[dict[str, float]]]:
    """Give the whole last state, and the log without times."""
    latest = Checkpoints(out).latest
    assert latest is not None
    lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    times = ("seconds", "images_per_second")
    return read_tensors(latest.path)[0], [{k: v for k, v in line.items() if k not in times} for line in lines]


def assert_same(one: Path, two: Path) -> None:
    (tensors, log), (others, other_log) = outcome(one), outcome(two)
    assert log == other_log
    assert [line["step"] for line in log] == list(range(1, len(log) + 1))
    assert tensors.keys() == others.keys()
    assert [name for name in tensors if not torch.equal(tensors[name], others[name])] == []
    for name in ("model", "ema"):
        assert (one / f"{name}.safetensors").read_bytes() == (two / f"{name}.safetensors").read_bytes()


class Killed(BaseException):
    """What ends a process that no handler sees."""


def die(*_: object) -> None:
    raise Killed


def at_call(n: int, function: Callable[..., Any], then: Callable[..., object]) -> Callable[..., Any]:
    calls = 0

    def wrapped(*args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == n:
            then(*args)
        return function(*args, **kwargs)

    return wrapped


def refused(run: Path, capsys: pytest.CaptureFixture[str], *more: str) -> str:
    """Give the one line that `--resume` is refused with; nothing in the folder has changed."""
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    capsys.readouterr()
    assert resume(run, *more) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before
    return line


def sampled(run: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """Give the one line that sampling is refused with."""
    capsys.readouterr()
    assert sample.main(["--run", str(run), "--n", "1"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    return line


def latest(run: Path) -> Path:
    saved = Checkpoints(run).latest
    assert saved is not None
    return saved.path


def rewrite(path: Path, change: Callable[[dict[str, Tensor], dict[str, Any]], object]) -> None:
    """Change a file of tensors and give it a checksum that is right, as who knows the format can."""
    tensors, facts = read_tensors(path)
    change(tensors, facts)
    write_tensors(path, tensors, facts)
