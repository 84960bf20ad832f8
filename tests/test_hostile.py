"""What is made to do harm is refused in one line, and does none."""

import json
import os
import resource
import shutil
import signal
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from torch import Tensor

from ddpm_ref import checkpoint
from ddpm_ref.checkpoint import read_run, read_tensors, write_bytes
from tests.tiny import assert_same, latest, refused, resume, rewrite

pytestmark = pytest.mark.usefixtures("quickly")


@pytest.fixture
def run(whole: Path, tmp_path: Path) -> Path:
    """A run that may go on from step 6, or from step 4."""
    folder = shutil.copytree(whole, tmp_path / "run")
    (folder / "report.json").unlink()
    return folder


def raw(entries: dict[str, Any] | bytes, content: bytes = b"", length: int | None = None) -> bytes:
    """Make a safetensors file of any header, with the length that it says it has."""
    header = entries if isinstance(entries, bytes) else json.dumps(entries).encode()
    return struct.pack("<Q", len(header) if length is None else length) + header + content


def tensor(shape: list[int], begin: int, end: int) -> dict[str, Any]:
    return {"dtype": "F32", "shape": shape, "data_offsets": [begin, end]}


HEADERS = {
    "a header longer than the file": raw(b"{}", length=99_000_000),
    "a header of 8 EiB": raw(b"{}", length=2**63),
    "10 GB claimed": raw({"w": tensor([50_000, 50_000], 0, 10**10)}, bytes(16)),
    "a shape larger than its bytes": raw({"w": tensor([50_000, 50_000], 0, 16)}, bytes(16)),
    "a shape that overflows": raw({"w": tensor([2**32, 2**32, 4], 0, 0)}),
    "a negative shape": raw({"w": tensor([-2], 0, 8)}, bytes(8)),
    "a negative offset": raw({"w": tensor([2], -8, 0)}, bytes(8)),
    "tensors that overlap": raw({"a": tensor([2], 0, 8), "b": tensor([2], 4, 12)}, bytes(12)),
    "two tensors in one place": raw({"a": tensor([2], 0, 8), "b": tensor([2], 0, 8)}, bytes(8)),
    "a gap": raw({"w": tensor([2], 8, 16)}, bytes(16)),
    "bytes after the end": raw({"w": tensor([2], 0, 8)}, bytes(16)),
    "a name twice": raw(
        b'{"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"w":{"dtype":"F32","shape":[2],"data_offsets":[8,16]}}',
        bytes(16),
    ),
    "metadata twice": raw(b'{"__metadata__":{"ddpm_ref":"1"},"__metadata__":{"ddpm_ref":"2"}}'),
    "100,000 brackets": raw(b"[" * 100_000),
    "100,000 brackets of facts": raw({"__metadata__": {"ddpm_ref": "[" * 100_000}}),
    "facts that are a list": raw({"__metadata__": {"ddpm_ref": "[1]"}}),
    "a checksum that is a number": raw({"__metadata__": {"ddpm_ref": '{"facts": 5, "sha256": 6}'}}),
    "no text": raw(b'{"\xff\xfe": 1}'),
    "an unknown type of number": raw({"w": tensor([2], 0, 8) | {"dtype": "F99"}}, bytes(8)),
}


@pytest.mark.promise(
    "hostile",
    "a header that lies about sizes, offsets, shapes or types, or repeats itself, is refused, and what it "
    "claims is not allocated",
)
def test_a_header_that_lies_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for content in HEADERS.values():
        path.write_bytes(content)
        with pytest.raises(ValueError, match=f"weights must .*{path}"):
            read_tensors(path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000  # kB


@pytest.mark.promise("hostile", "a file larger than any checkpoint of the network is refused unread")
def test_a_file_of_10_gb_is_not_read(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path, size = latest(run), 10**10
    entries = {"w": tensor([size // 4], 0, size)}
    path.write_bytes(raw(entries))
    os.truncate(path, path.stat().st_size + size)  # sparse
    opened: list[Path] = []

    def watched(path: Path, framework: str) -> Any:
        opened.append(path)
        return safe_open(path, framework=framework)

    monkeypatch.setattr(checkpoint, "safe_open", watched)
    capsys.readouterr()
    assert resume(run) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "weights must fit the model, at most" in line
    assert f"{path} has {path.stat().st_size}" in line
    assert "The one before is intact" in line
    assert opened
    assert path not in opened
    path.unlink()


@pytest.mark.promise("hostile", "a configuration for a huge network is refused before it takes memory")
def test_a_configuration_for_a_huge_network_takes_no_memory(run: Path) -> None:
    values = json.loads((run / "config.json").read_text())
    values["unet"]["width"] = 4096  # 9 GB
    (run / "config.json").write_text(json.dumps(values))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(ValueError, match="weights must fit the model"):
        read_run(run)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000  # kB


FIRST = "conv_in.weight"
LIES: dict[str, tuple[Callable[[dict[str, Tensor], dict[str, Any]], object], str]] = {
    "NaN": (lambda t, f: t[f"model.{FIRST}"].fill_(torch.nan), f"has NaN or infinity in model.{FIRST}"),
    "infinite average": (lambda t, f: t[f"ema.{FIRST}"].fill_(torch.inf), f"in ema.{FIRST}"),
    "infinite moment": (
        lambda t, f: t[f"optimizer.exp_avg_sq.{FIRST}"].fill_(torch.inf),
        f"in optimizer.exp_avg_sq.{FIRST}",
    ),
    "no moment": (
        lambda t, f: t.pop(f"optimizer.exp_avg.{FIRST}"),
        f"first optimizer.exp_avg.{FIRST}: absent",
    ),
    "no average": (lambda t, f: t.pop(f"ema.{FIRST}"), f"first ema.{FIRST}: absent in the file"),
    "a path as a name": (
        lambda t, f: t.update({"../../evil": torch.zeros(1)}),
        "first ../../evil: (1,) in the file, absent in the model",
    ),
    "another shape": (
        lambda t, f: t.update({f"ema.{FIRST}": torch.zeros(10**6)}),
        f"first ema.{FIRST}: (1000000,)",
    ),
    "another type": (
        lambda t, f: t.update({f"model.{FIRST}": t[f"model.{FIRST}"].to(torch.complex64)}),
        f"must be floating point; {{path}} has torch.complex64 in model.{FIRST}",
    ),
    "an order beyond the data": (lambda t, f: t["order"].fill_(30), "must hold the order of the 30 images"),
    "an order below 0": (lambda t, f: t["order"].fill_(-1), "must hold the order of the 30 images"),
    "an order of fractions": (lambda t, f: t.update(order=t["order"].double()), "must hold the order"),
    "no order": (lambda t, f: t.pop("order"), "must hold the order of the 30 images"),
    "no generator": (lambda t, f: t.pop("generator"), "must hold a generator's state"),
    "a generator of noughts": (
        lambda t, f: t["generator"].zero_(),
        "must hold a generator's state",
    ),
    "a short generator": (
        lambda t, f: t.update(generator=t["generator"][:9].clone()),
        "must hold a generator's state",
    ),
    "a step before 0": (lambda t, f: f.update(step=-6), "a checkpoint must hold the step of its name, 6;"),
    "a step that is a word": (lambda t, f: f.update(step="six"), "holds 'six'"),
    "no step": (lambda t, f: f.pop("step"), "holds None"),
    "NaN seconds": (
        lambda t, f: f.update(seconds=float("nan")),
        "must hold its seconds, float; {path} has nan",
    ),
    "a log of less than nothing": (
        lambda t, f: f.update(log_bytes=-1),
        "must hold its log_bytes, int; {path} has -1",
    ),
    "a log of more than there is": (
        lambda t, f: f.update(log_bytes=10**18),
        "bytes, and had 1000000000000000000",
    ),
    "no configuration": (lambda t, f: f.pop("config"), "must hold its config, dict; {path} has None"),
    "an empty configuration": (
        lambda t, f: f.update(config={}),
        "of another, whose preset is None and not 'smoke'",
    ),
    "one setting more": (lambda t, f: f["config"].update(wings=2), "whose wings is 2 and not None"),
    "another device": (
        lambda t, f: f.update(device="cuda"),
        "device must be cuda, where the run began; got cpu",
    ),
}


@pytest.mark.promise(
    "hostile",
    "a checkpoint with a right checksum and a state that no run leaves (NaN, a part missing, an order beyond "
    "the data, a generator of noughts, a path as a name …) is refused by what is wrong with it",
)
@pytest.mark.parametrize(
    "lie", [*list(LIES)[:1], *(pytest.param(lie, marks=pytest.mark.slow) for lie in list(LIES)[1:])]
)
def test_a_state_that_no_run_leaves_is_refused(
    run: Path, capsys: pytest.CaptureFixture[str], lie: str
) -> None:
    change, message = LIES[lie]
    rewrite(latest(run), change)
    line = refused(run, capsys)
    assert message.format(path=latest(run)) in line
    assert f"The one before is intact: --resume {run / 'checkpoints' / 'step-00000004.safetensors'}" in line


@pytest.mark.promise("hostile", "a link in a run's folder is not written through")
@pytest.mark.parametrize("name", ["metrics.jsonl", "checkpoints", "grids", "tensorboard"])
def test_a_link_in_place_of_a_runs_file_is_refused(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    victim = tmp_path / "victim"
    if (run / name).exists():
        (run / name).rename(victim)
    else:
        victim.mkdir()
    (run / name).symlink_to(victim)
    assert f"must keep its files in its folder; {run / name} is a link" in refused(run, capsys)


@pytest.mark.promise("hostile", "a link in a run's folder is not written through")
def test_nothing_is_written_through_the_link_of_an_unfinished_file(
    whole: Path, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    victim = tmp_path / "victim"
    victim.write_text("dear")
    for name in ("config.json", "environment.json", "model.safetensors", "ema.safetensors", "report.json"):
        (run / f"{name}.part").symlink_to(victim)
    assert resume(run) == 0
    assert_same(whole, run)
    assert victim.read_text() == "dear"
    (run / "report.json").unlink()
    (run / ".lock").symlink_to(victim)
    assert "must be a folder to write to" in refused(run, capsys)
    assert victim.read_text() == "dear"
    write_bytes(run / "x", b"y")
    assert (run / "x").read_bytes() == b"y"


def waited(*_: object) -> None:
    raise TimeoutError("it waits for the pipe")


@pytest.mark.promise("hostile", "a pipe or a folder under the name of a checkpoint is passed over")
def test_a_pipe_is_not_waited_for(whole: Path, run: Path) -> None:
    os.mkfifo(run / "checkpoints" / "step-00000099.safetensors")
    (run / "checkpoints" / "step-00000098.safetensors").mkdir()
    before = signal.signal(signal.SIGALRM, waited)
    signal.alarm(20)
    try:
        assert resume(run) == 0
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
    assert_same(whole, run)
