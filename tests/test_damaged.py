"""What is damaged, or of another run, is refused in one line before any of it is used."""

import os
import random
import shutil
import struct
from dataclasses import replace
from pathlib import Path

import pytest

from ddpm_ref.checkpoint import FREE, check_run, read_config, read_tensors
from ddpm_ref.presets import Config
from ddpm_ref.watch import Log
from tests.tiny import TINY, assert_same, latest, quick, refused, resume, sampled, small_split, start

pytestmark = pytest.mark.usefixtures("quickly")


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Another run, of another seed."""
    out = tmp_path_factory.mktemp("other")
    with quick():
        assert start(out, replace(TINY, seed=1)) == 0
    return out


@pytest.fixture
def run(whole: Path, tmp_path: Path) -> Path:
    """A run that may go on from step 6, or from step 4."""
    folder = shutil.copytree(whole, tmp_path / "run")
    (folder / "report.json").unlink()
    return folder


# -- truncated, flipped -----------------------------------------------------------------------------------


@pytest.mark.promise("truncated", "a checkpoint that ends early, wherever, is refused by name")
def test_a_checkpoint_is_refused_at_every_kind_of_length(whole: Path, tmp_path: Path) -> None:
    content = latest(whole).read_bytes()
    header = 8 + struct.unpack("<Q", content[:8])[0]
    drawn = random.Random(0)
    lengths = {0, 1, 7, 8, 9, header // 2, header - 1, header, header + 1, len(content) - 1}
    lengths |= {drawn.randrange(header) for _ in range(20)} | {
        drawn.randrange(len(content)) for _ in range(20)
    }
    path = tmp_path / "step-00000006.safetensors"
    for length in sorted(lengths):
        path.write_bytes(content[:length])
        with pytest.raises(ValueError, match=f"{path} is damaged"):
            read_tensors(path)
    path.write_bytes(content)
    read_tensors(path)


@pytest.mark.promise("bit flipped", "no bit of a checkpoint's header, checksum or tensors flips and passes")
def test_no_flipped_bit_of_a_checkpoint_passes(whole: Path, tmp_path: Path) -> None:
    content = latest(whole).read_bytes()
    header = 8 + struct.unpack("<Q", content[:8])[0]
    checksum = content.index(b"sha256")
    drawn = random.Random(0)
    places = {drawn.randrange(header) for _ in range(25)} | set(range(8)) | {header, len(content) - 1}
    places |= set(range(checksum, checksum + 80, 8))
    places |= {drawn.randrange(header, len(content)) for _ in range(20)}
    path = tmp_path / "step-00000006.safetensors"
    for place in sorted(places):
        flipped = bytearray(content)
        flipped[place] ^= 1 << drawn.randrange(8)
        path.write_bytes(flipped)
        with pytest.raises(ValueError, match=f"weights must .*{path}"):
            read_tensors(path)


@pytest.mark.promise(
    "bit flipped",
    "a flipped bit of `config.json` is refused, unless it only changes when the run stops or what it writes",
)
def test_no_flipped_bit_of_the_configuration_makes_another_run(run: Path) -> None:
    path, (_, facts) = run / "config.json", read_tensors(latest(run))
    content, drawn, passed = path.read_bytes(), random.Random(0), 0
    mine = read_config(run).to_dict()
    for place in range(0, len(content), 7):
        flipped = bytearray(content)
        flipped[place] ^= 1 << drawn.randrange(7)
        path.write_bytes(flipped)
        try:
            config = read_config(run)
            check_run(latest(run), facts, config)
        except ValueError as error:
            assert str(error)  # noqa: PT017 (either is right)
            continue
        passed += 1
        assert {name for name, value in config.to_dict().items() if value != mine[name]} <= FREE
    assert passed < len(content) / 140


@pytest.mark.promise(
    "bit flipped",
    "`metrics.jsonl` is checked, up to the checkpoint, before a run goes on; damage is refused, and a "
    "checkpoint before it named",
)
def test_a_log_that_was_altered_is_refused(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = run / "metrics.jsonl"
    content = log.read_bytes()
    drawn = random.Random(0)
    for place in (0, len(content) - 1, *(drawn.randrange(len(content)) for _ in range(5))):
        log.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        with pytest.raises(ValueError, match="is not as it was at the checkpoint"):
            Log.check(log, len(content), read_tensors(latest(run))[1]["log_sha256"])
    last = content[:-1].rindex(b"\n") + 10  # in the line of step 6
    log.write_bytes(content[:last] + b"9" + content[last + 1 :])
    line = refused(run, capsys)
    assert f"{log} is not as it was at the checkpoint" in line
    assert f"--resume {run / 'checkpoints' / 'step-00000004.safetensors'}" in line


@pytest.mark.promise("truncated", "a log that lost lines which a checkpoint counts on is refused")
def test_a_log_cut_short_is_refused(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = run / "metrics.jsonl"
    os.truncate(log, log.stat().st_size - 1)
    line = refused(run, capsys)
    assert f"{log} has {log.stat().st_size} bytes, and had {log.stat().st_size + 1} at the checkpoint" in line
    assert "step-00000004.safetensors" in line
    log.unlink()
    assert "has 0 bytes" in refused(run, capsys)


# -- swapped ----------------------------------------------------------------------------------------------


@pytest.mark.promise(
    "swapped", "a checkpoint under another step's name is refused, and the one before it named"
)
def test_a_checkpoint_under_another_steps_name_is_refused(
    whole: Path, run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    four, six = (run / "checkpoints" / f"step-{step:08}.safetensors" for step in (4, 6))
    shutil.copy(four, six)
    line = refused(run, capsys)
    assert (
        f"must hold the step of its name, 6; {six} holds 4. The one before is intact: --resume {four}" in line
    )
    assert resume(four) == 0
    assert_same(whole, run)


@pytest.mark.promise("swapped", "a checkpoint of another run is refused by the first setting that differs")
def test_a_checkpoint_of_another_run_is_refused(
    other: Path, run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copy(latest(other), latest(run))
    line = refused(run, capsys)
    assert f"{latest(run)} is of another, whose seed is 1 and not 0" in line
    assert "The one before is intact" in line


@pytest.mark.promise(
    "swapped", "`config.json` of another run is refused, by `--resume` and by what reads weights"
)
def test_the_configuration_of_another_run_is_refused(
    other: Path, run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copy(other / "config.json", run / "config.json")
    line = refused(run, capsys)
    assert "whose seed is 0 and not 1" in line
    assert "No checkpoint before it is intact" in line
    assert "whose seed is 0 and not 1" in sampled(run, capsys)
    (run / "ema.safetensors").unlink()  # the average of the latest checkpoint is taken
    assert f"{latest(run)} is of another, whose seed is 0 and not 1" in sampled(run, capsys)


@pytest.mark.promise("swapped", "weights that are not averaged are refused where averaged ones should be")
def test_the_two_files_of_weights_cannot_be_exchanged(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model, ema = run / "model.safetensors", run / "ema.safetensors"
    model.rename(run / "x")
    ema.rename(model)
    (run / "x").rename(ema)
    assert f"must be the averaged ones; {ema} has those of the last update" in sampled(run, capsys)


@pytest.mark.promise("swapped", "weights of another run are refused by what reads them")
def test_the_weights_of_another_run_are_refused(
    other: Path, run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copy(other / "ema.safetensors", run / "ema.safetensors")
    assert "is of another, whose seed is 1 and not 0" in sampled(run, capsys)


@pytest.mark.promise("swapped", "a run whose data has more or fewer images than it began with is refused")
def test_a_run_does_not_go_on_with_other_data(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    split = small_split()
    fewer = split._replace(train=split.train._replace(images=split.train.images[:-1]))
    monkeypatch.setattr(Config, "data", lambda self: fewer)
    assert "data must be the 30 images that the run began with; there are 29" in refused(run, capsys)
