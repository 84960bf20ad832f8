"""`python -m ddpm_ref.sample`: more samples from a run, and an animation."""

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from ddpm_ref import pictures, sample
from ddpm_ref.checkpoint import read_run, read_weights, write_json, write_weights
from ddpm_ref.presets import Config, resolve
from ddpm_ref.sample import Sampling, reverse
from ddpm_ref.sampler import State
from ddpm_ref.unet import UNet

CONFIG = resolve("smoke", T=30)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run folder as training leaves it, from a network that was never trained."""
    torch.manual_seed(0)
    folder = tmp_path / "run"
    folder.mkdir()
    write_json(folder / "config.json", CONFIG.to_dict())
    write_weights(folder / "ema.safetensors", UNet(CONFIG.unet), 7)
    return folder


def test_sampling_writes_a_grid_a_strip_and_an_animation(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert sample.main(["--run", str(run), "--n", "9", "--seed", "5"]) == 0
    out = run / "samples-5"
    left = {"samples.png", "reverse.gif", "reverse.png", "sampling.json"}
    assert {path.name for path in out.iterdir()} == left
    assert "9 samples" in capsys.readouterr().out
    with Image.open(out / "samples.png") as grid:
        assert grid.size == (3 * 140 + 4, 3 * 140 + 4)  # few images are shown large
    with Image.open(out / "reverse.gif") as animation:
        assert getattr(animation, "n_frames", 1) == 31
    with Image.open(out / "reverse.png") as strip:
        assert strip.width == 11 * 60 + 4


def test_the_seed_decides_the_samples(run: Path, tmp_path: Path) -> None:
    def pixels(seed: int, name: str) -> bytes:
        out = tmp_path / name
        assert sample.main(["--run", str(run), "--n", "4", "--seed", str(seed), "--out", str(out)]) == 0
        return (out / "samples.png").read_bytes()

    first = pixels(1, "a")
    assert first == pixels(1, "b")
    assert first != pixels(2, "c")


def test_the_reverse_process_goes_through_every_t_of_every_batch(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sample, "BATCH", 4)
    config, model, step = read_run(run)
    assert (config, step) == (CONFIG, 7)
    states = list(reverse(model, config, 6, torch.Generator().manual_seed(0)))
    assert [state.t for state in states] == 2 * list(range(30, -1, -1))
    assert [len(state.x) for state in states if state.t == 0] == [4, 2]
    samples, history = sample.draw(model, config, 6, torch.Generator().manual_seed(0))
    assert torch.equal(samples, torch.cat([state.x for state in states if state.t == 0]))
    assert all(torch.equal(kept.x, state.x) for kept, state in zip(history, states, strict=False))
    assert samples.abs().max() <= 1


def test_the_variance_is_the_configurations(run: Path) -> None:
    config, model, _ = read_run(run)

    def last(config: Config) -> torch.Tensor:
        *_, state = reverse(model, config, 2, torch.Generator().manual_seed(0))
        return state.x

    assert not torch.equal(last(config), last(replace(config, variance="fixed_small")))


def test_a_run_is_sampled_from_its_averaged_weights(tmp_path: Path) -> None:
    write_json(tmp_path / "config.json", CONFIG.to_dict())
    raw, averaged = UNet(CONFIG.unet), UNet(CONFIG.unet)
    write_weights(tmp_path / "model.safetensors", raw, 7)
    write_weights(tmp_path / "ema.safetensors", averaged, 7)
    _, model, _ = read_run(tmp_path)
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), averaged.parameters(), strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(model.parameters(), raw.parameters(), strict=True))


def break_config(run: Path) -> None:
    (run / "config.json").write_text("{")


def break_setting(run: Path) -> None:
    write_json(run / "config.json", CONFIG.to_dict() | {"T": 1})


def other_setting(run: Path) -> None:
    write_json(run / "config.json", CONFIG.to_dict() | {"wings": True})


def no_config(run: Path) -> None:
    (run / "config.json").unlink()


def no_weights(run: Path) -> None:
    (run / "ema.safetensors").unlink()


def break_weights(run: Path) -> None:
    (run / "ema.safetensors").write_bytes(b"not safetensors")


def stepless_weights(run: Path) -> None:
    save_file({"a": torch.zeros(1)}, run / "ema.safetensors")


def other_weights(run: Path) -> None:
    write_weights(run / "ema.safetensors", torch.nn.Linear(1, 1), 7)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (no_config, "has no config.json"),
        (break_config, "config.json: Expecting property name"),
        (break_setting, "T must be at least 2; got 1"),
        (other_setting, "['wings'] differ"),
        (no_weights, "ema.safetensors does not exist"),
        (break_weights, "weights must be a safetensors file"),
        (stepless_weights, "weights must"),
        (other_weights, "weights must fit the model"),
    ],
)
def test_a_bad_run_is_refused_in_one_line(
    run: Path, damage: Callable[[Path], None], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    damage(run)
    assert sample.main(["--run", str(run)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert message in err
    assert not (run / "samples-1").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "the following arguments are required: --run"),
        (["--run", "nowhere"], "run must be a folder written by ddpm_ref.train; nowhere has no config.json"),
        (["--run", ".", "--n", "0"], "argument --n: must be an integer, at least 1; got 0"),
        (["--run", ".", "--device", "x"], "device must be one of auto, cpu, cuda, mps; got x"),
    ],
)
def test_a_bad_argument_is_refused_in_one_line(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert sample.main(arguments) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert message in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--sampling-steps", "31"], "sampling_steps must be in 1..T = 1..30; got 31"),
        (["--sampler", "euler"], "sampler must be one of ancestral, ddim; got euler"),
        (["--spacing", "even"], "spacing must be one of trailing, linspace, stride, quadratic; got even"),
        (["--eta", "0"], "eta must go with the sampler ddim"),
        (["--sampler", "ddim", "--eta", "7"], "eta must be in [0, "),
        (["--variance", "learned"], "variance must be what the network was trained with, fixed_large"),
        (["--interpolate", "31"], "interpolate must be in 1..T = 1..30; got 31"),
    ],
)
def test_a_way_of_sampling_that_does_not_go_with_the_run_is_refused(
    run: Path, arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert sample.main(["--run", str(run), *arguments]) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert message in err
    assert not (run / "samples-1").exists()


def test_fewer_steps_and_ddim_go_through_the_steps_they_say(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config, model, _ = read_run(run)
    how = Sampling(eta=0.0, steps=5, spacing="stride")

    def states(seed: int) -> list[State]:
        torch.manual_seed(seed)  # what DDIM must not depend on
        return list(reverse(model, config, 3, torch.Generator().manual_seed(0), how))

    assert [state.t for state in states(0)] == [30, 24, 18, 12, 6, 0]
    assert torch.equal(states(0)[-1].x, states(1)[-1].x)
    arguments = ["--n", "3", "--sampler", "ddim", "--sampling-steps", "5", "--spacing", "stride"]
    assert sample.main(["--run", str(run), *arguments]) == 0
    out, err = capsys.readouterr()
    assert "DDIM with η = 0, 5 steps" in out
    assert "sampling 5/5" in err


def test_a_folder_of_samples_says_how_they_were_drawn(run: Path) -> None:
    arguments = ["--run", str(run), "--n", "3", "--sampler", "ddim", "--sampling-steps", "5", "--seed", "8"]
    assert sample.main(arguments) == 0
    said = json.loads((run / "samples-8" / "sampling.json").read_text())
    assert said.items() >= {"n": 3, "seed": 8, "amp": False, "interpolate": None}.items()
    assert said["options"].items() >= {"eta": 0.0, "steps": 5, "spacing": "trailing"}.items()
    assert said["sampling"] == "DDIM with η = 0, 5 steps"
    assert said["environment"]["command"] == ["python -m ddpm_ref.sample", *arguments]


def test_interpolations_run_from_one_image_to_the_other(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert sample.main(["--run", str(run), "--n", "2", "--interpolate", "3"]) == 0
    assert {path.name for path in (run / "samples-1").iterdir()} == {"interpolation.png", "sampling.json"}
    assert "2 pairs of held-out images, each interpolated where t = 3" in capsys.readouterr().out
    held_out = CONFIG.data().held_out.images
    with Image.open(run / "samples-1" / "interpolation.png") as picture:
        assert picture.size == (13 * 60 + 4, 2 * 60 + 4)  # eleven weights, and the images at the ends
        ends = pictures.grid(held_out[[1, 3]], 2, 56)
        row = picture.crop((0, 60, picture.width, 124))
        assert row.crop((0, 0, 60, 64)).tobytes() == ends.crop((0, 0, 60, 64)).tobytes()
        assert row.crop((720, 0, 784, 64)).tobytes() == ends.crop((60, 0, 124, 64)).tobytes()


def test_an_interruption_is_130_and_leaves_no_samples(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(sample, "draw", interrupted)
    assert sample.main(["--run", str(run)]) == 130
    assert list((run / "samples-1").iterdir()) == []
    assert "Interrupted" in capsys.readouterr().err


def test_samples_are_not_overwritten(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert sample.main(["--run", str(run), "--out", str(run)]) == 2
    assert "is not empty" in capsys.readouterr().err


def test_the_module_exits_with_the_code_and_without_a_traceback(tmp_path: Path) -> None:
    result = subprocess.run(
        [sys.executable, "-m", "ddpm_ref.sample", "--run", str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 2
    assert result.stderr.startswith("ddpm_ref.sample: run must be a folder")
    assert result.stderr.count("\n") == 1


# -- checkpoints and pictures -----------------------------------------------------------------------------


def test_weights_come_back_bit_by_bit(tmp_path: Path) -> None:
    torch.manual_seed(1)
    one, two = UNet(CONFIG.unet), UNet(CONFIG.unet)
    write_weights(tmp_path / "w.safetensors", one, 123)
    assert read_weights(tmp_path / "w.safetensors", two) == 123
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), two.parameters(), strict=True))
    assert [path.name for path in tmp_path.iterdir()] == ["w.safetensors"]


def test_a_configuration_survives_json() -> None:
    for name in ("digits", "smoke"):
        config = resolve(name)
        assert Config.from_dict(json.loads(json.dumps(config.to_dict()))) == config


def test_a_grid_shows_each_image_in_its_place_without_smoothing() -> None:
    images = torch.full((3, 1, 8, 8), -1.0)
    images[1] = 1
    images[2, 0, 0, 7] = 0
    picture = pictures.grid(images, columns=2, height=16)
    assert picture.size == (2 * 20 + 4, 2 * 20 + 4)

    def at(x: int, y: int) -> object:
        return picture.getpixel((x, y))

    assert [at(4, 4), at(19, 19)] == [0, 0]
    assert [at(24, 4), at(39, 19)] == [255, 255]
    assert [at(18, 24), at(19, 25), at(17, 24)] == [128, 128, 0]
    assert {at(0, 0), at(20, 10), at(30, 30)} == {pictures.BACKGROUND}


def test_a_grid_of_colours_keeps_them() -> None:
    images = torch.tensor([1.0, -1.0, 2.0]).reshape(1, 3, 1, 1).expand(1, 3, 8, 8)
    assert pictures.grid(images, columns=1).getpixel((10, 10)) == (255, 0, 255)
