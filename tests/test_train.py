"""`python -m ddpm_ref.train`: what it leaves, what it says, and what it refuses before work starts."""

import json
import re
import subprocess
import sys
import types
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch import Tensor

from ddpm_ref import objective, presets, train, trainer
from ddpm_ref.checkpoint import read_run, read_weights
from ddpm_ref.data import Labelled, Split, digits
from ddpm_ref.network import as_model
from ddpm_ref.pictures import grid, loss_curve
from ddpm_ref.presets import Config, Loss, resolve
from ddpm_ref.process import Prediction, Variance
from ddpm_ref.run import default_folder, loss_name
from ddpm_ref.sample import draw
from ddpm_ref.trainer import Trainer, Update
from ddpm_ref.unet import UNet, UNetConfig

CPU = torch.device("cpu")
TINY = resolve("smoke", steps=4)


def images() -> Tensor:
    return digits().train.images


def weights(folder: Path, name: str) -> tuple[dict[str, Tensor], int]:
    config = Config.from_dict(json.loads((folder / "config.json").read_text()))
    model = UNet(config.unet)
    step = read_weights(folder / f"{name}.safetensors", model)
    return model.state_dict(), step


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "new" / "run"
    assert train.main(["--preset", "smoke", "--steps", "5", "--seed", "3", "--out", str(folder)]) == 0
    return folder


# -- a whole run ------------------------------------------------------------------------------------------


def test_a_run_leaves_its_folder(run: Path) -> None:
    assert {path.name for path in run.iterdir()} == {
        "config.json",
        "environment.json",
        "metrics.jsonl",
        "model.safetensors",
        "ema.safetensors",
        "samples.png",
        "loss.png",
        "report.json",
        "checkpoints",
    }


def test_the_configuration_is_the_resolved_one(run: Path) -> None:
    values = json.loads((run / "config.json").read_text())
    assert Config.from_dict(values) == resolve("smoke", steps=5, seed=3).on(CPU)


def test_the_environment_names_the_command_the_versions_and_the_device(run: Path) -> None:
    values = json.loads((run / "environment.json").read_text())
    assert values["command"][1:] == ["--preset", "smoke", "--steps", "5", "--seed", "3", "--out", str(run)]
    assert values["versions"]["torch"] == torch.__version__
    assert values["cpus"] >= 1
    assert set(values) >= {"commit", "platform", "threads", "device"}


def test_the_metrics_have_a_line_for_every_update(run: Path) -> None:
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [1, 2, 3, 4, 5]
    assert all(set(line) == set(Update._fields) for line in lines)
    assert [line["lr"] for line in lines] == pytest.approx([2e-3 * k / 5 for k in range(5)])
    assert [line["seconds"] for line in lines] == sorted(line["seconds"] for line in lines)


def test_the_weights_are_of_the_last_update_and_differ_from_their_average(run: Path) -> None:
    (model, step), (ema, ema_step) = weights(run, "model"), weights(run, "ema")
    assert (step, ema_step) == (5, 5)
    assert any(not torch.equal(model[name], ema[name]) for name in model)
    _, sampler, read_step = read_run(run)
    assert read_step == 5
    assert not sampler.training
    assert all(torch.equal(tensor, ema[name]) for name, tensor in sampler.state_dict().items())


def test_the_pictures_can_be_opened(run: Path) -> None:
    for name in ("samples.png", "loss.png"):
        with Image.open(run / name) as picture:
            assert min(picture.size) > 400
            assert len(picture.convert("L").getcolors(256) or []) > 10


@pytest.mark.parametrize("prediction", ["eps", "x0", "mu", "v"])
@pytest.mark.parametrize(
    ("loss", "variance", "says"),
    [
        ("simple", "fixed_large", "simple"),
        ("vlb", "fixed_small", "the bound"),
        ("hybrid", "learned", "0.001"),
    ],
)
def test_the_loss_curve_says_which_loss_it_is(
    prediction: str, loss: str, variance: str, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = resolve("smoke", prediction=prediction, loss=loss, variance=variance)
    name, of_nothing = loss_name(config)
    assert says in name
    assert of_nothing == (1 if prediction == "eps" and loss == "simple" else None)
    drawn: list[tuple[str, str]] = []
    monkeypatch.setattr(
        "matplotlib.figure.Figure.savefig",
        lambda figure, *_, **__: drawn.append((figure.axes[0].get_ylabel(), figure.axes[0].get_yscale())),
    )
    for losses in ([3.0, 1.0], [3e4, -2.0]):  # the bound of a density may be negative
        loss_curve(tmp_path / "loss.png", losses, name, of_nothing)
    assert drawn == [(name, "log"), (name, "symlog")]


def test_the_samples_are_drawn_from_the_averaged_weights_without_dropout(run: Path) -> None:
    config, model, _ = read_run(run)
    assert config.unet.dropout > 0
    samples, _ = draw(model, config, config.samples, torch.Generator().manual_seed(config.seed))
    with Image.open(run / "samples.png") as picture:
        assert picture.tobytes() == grid(samples, columns=10).tobytes()


def test_the_report_holds_the_comparison(run: Path) -> None:
    report = json.loads((run / "report.json").read_text())
    quality = report["quality"]
    assert quality["n"] == resolve("smoke").samples
    assert 0 < quality["floor"]["frechet"] < quality["baseline"]["frechet"]
    assert quality["baseline"]["frechet"] < quality["model"]["frechet"]  # after five updates
    assert report["steps"] == 5


def test_a_run_says_how_good_it_is_in_80_columns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert train.main(["--preset", "smoke", "--steps", "2"]) == 0
    out, err = capsys.readouterr()
    for words in ("real images (the floor)", "this model", "fitted Gaussian", "runs/smoke-0", "train longer"):
        assert words in out
    assert max(map(len, (out + err).splitlines())) <= 80
    assert "\r" not in err  # no bar where nobody watches


# -- the recipe -------------------------------------------------------------------------------------------


def test_the_same_seed_gives_the_same_bits_and_another_seed_others() -> None:
    def after(seed: int) -> tuple[list[float], list[Tensor]]:
        trainer = Trainer(replace(TINY, seed=seed), images(), CPU)
        losses = [update.loss for update in trainer.updates()]
        return losses, [p.detach().clone() for p in trainer.ema.parameters()]

    losses, parameters = after(0)
    again, same = after(0)
    assert losses == again
    assert all(torch.equal(a, b) for a, b in zip(parameters, same, strict=True))
    others, _ = after(1)
    # The network starts as nearly zero, so the first loss is that of the noise alone.
    assert abs(losses[0] - others[0]) > 1e-4


def test_training_lowers_the_loss() -> None:
    trainer = Trainer(replace(TINY, steps=60, warmup=0), images(), CPU)
    losses = [update.loss for update in trainer.updates()]
    assert sum(losses[-10:]) < 0.5 * sum(losses[:10])


def test_the_average_copies_the_first_update_and_then_follows() -> None:
    trainer = Trainer(replace(TINY, steps=2, warmup=0, ema_decay=0.75), images(), CPU)
    updates = trainer.updates()
    next(updates)
    first = [p.detach().clone() for p in trainer.model.parameters()]
    assert all(torch.equal(a, b) for a, b in zip(first, trainer.ema.parameters(), strict=True))
    next(updates)
    for a, p, average in zip(first, trainer.model.parameters(), trainer.ema.parameters(), strict=True):
        torch.testing.assert_close(average, 0.75 * a + 0.25 * p)


def test_the_learning_rate_rises_from_zero_and_stays() -> None:
    config = replace(TINY, steps=100, lr=2.0, warmup=10)
    assert [config.learning_rate(step) for step in (0, 5, 10, 99)] == [0, 1, 2, 2]
    assert replace(config, warmup=0).learning_rate(0) == 2


def test_gradients_are_clipped() -> None:
    """A gradient far below Adam's epsilon moves nothing, and the log has its norm before clipping."""
    trainer = Trainer(replace(TINY, clip_norm=1e-15), images(), CPU)
    start = [p.detach().clone() for p in trainer.model.parameters()]
    assert all(update.grad_norm > 1e-3 for update in trainer.updates())
    for before, after in zip(start, trainer.model.parameters(), strict=True):
        assert (before - after).abs().max() < 1e-6


def test_every_step_of_time_is_trained_on(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Tensor] = []
    L_simple = objective.L_simple

    def watched(model: UNet, schedule: Any, x_0: Tensor, t: Tensor, noise: Tensor, **more: Any) -> Tensor:
        seen.append(t)
        return L_simple(model, schedule, x_0, t, noise, **more)

    monkeypatch.setattr(trainer, "L_simple", watched)
    # 2000 draws of 50 values miss one with probability below 50 · exp(-40).
    for _ in Trainer(replace(TINY, steps=4, batch_size=500), images(), CPU).updates():
        pass
    assert sorted(set(torch.cat(seen).tolist())) == list(range(1, 51))


def test_presets_keep_the_papers_noise_at_the_last_step() -> None:
    paper = Config("paper").schedule().alpha_bar[-1]
    for name in presets.PRESETS:
        last = resolve(name).schedule().alpha_bar[-1]
        assert paper / 10 < last <= paper * 1.01, name


# -- what the settings ask for ----------------------------------------------------------------------------


@pytest.mark.parametrize("prediction", ["eps", "mu", "x0", "v"])
@pytest.mark.parametrize(
    ("loss", "variance"),
    [("simple", "fixed_large"), ("vlb", "fixed_small"), ("vlb", "learned"), ("hybrid", "learned")],
)
def test_the_loss_is_the_one_asked_for(prediction: Prediction, loss: Loss, variance: Variance) -> None:
    config = resolve("smoke", prediction=prediction, loss=loss, variance=variance, steps=3, batch_size=4)
    trainer = Trainer(config, images(), CPU)
    assert all(update.grad_norm > 0 for update in trainer.updates())
    # On the same images with the same noise as `held_out_loss` draws.
    generator = torch.Generator().manual_seed(0)
    t = torch.linspace(1, 50, 6).round().long()[torch.randperm(6, generator=generator)]
    x_0 = images()[:6]
    batch = (trainer.ema.eval(), config.schedule(), x_0, t, torch.randn(x_0.shape, generator=generator))
    with torch.no_grad():
        expected = {
            "simple": lambda: objective.L_simple(*batch, prediction=prediction),
            "vlb": lambda: objective.L_vlb(*batch, prediction=prediction, variance=variance, levels=17),
            "hybrid": lambda: objective.L_hybrid(*batch, prediction=prediction, levels=17),
        }[loss]()
    assert trainer.held_out_loss(x_0) == expected.mean().item()


def gradient(config: Config, **settings: Any) -> Tensor:
    """Give the gradient of the first batch, all parameters in a row, with no layer as good as zero."""
    trainer = Trainer(replace(config, **settings), images(), CPU)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in trainer.model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator), alpha=0.05)
    trainer._gradient()
    return torch.cat([p.grad.flatten() for p in trainer.model.parameters() if p.grad is not None])


def distance(a: Tensor, b: Tensor) -> float:
    return float((a - b).norm() / b.norm())


@pytest.mark.parametrize(
    ("settings", "most"),
    [
        ({"accumulate": 4}, 1e-5),  # the same sums in another order: float32's 6e-8, grown by the depth
        ({"channels_last": True}, 1e-5),
        ({"amp": True}, 0.05),  # bfloat16's 4e-3, grown likewise
    ],
)
def test_a_switch_for_speed_changes_nothing_but_round_off(settings: dict[str, Any], most: float) -> None:
    config = resolve("smoke", dropout=0.3)
    plain = gradient(config)
    assert 0 < distance(gradient(config, **settings), plain) < most
    assert distance(gradient(config, seed=1), plain) > 10 * most  # what another batch would make of it


@pytest.mark.slow
@pytest.mark.parametrize("preset", ["gaussian", "mixture"])
def test_a_run_on_data_of_a_known_law_reports_its_gap_to_the_truth(
    preset: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    assert train.main(["--preset", preset, "--steps", "2", "--samples", "0", "--out", str(out)]) == 0
    truth = json.loads((out / "report.json").read_text())["truth"]
    assert truth["gap"] > 10 * truth["gap_error"] > 0  # two updates teach nothing
    said = capsys.readouterr().out
    assert "entropy of the data" in said
    assert f"{truth['entropy']:.4f}" in said


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning:torch")  # of what the compiler imports
def test_compiling_changes_nothing_but_round_off() -> None:
    unet = UNetConfig(8, 1, width=8, multipliers=(1,), attention_at=(), res_blocks=1, dropout=0.3)
    config = replace(TINY, unet=unet)
    assert 0 < distance(gradient(config, compile=True), gradient(config)) < 1e-5


def test_under_amp_the_network_computes_in_bfloat16_and_nothing_else_does() -> None:
    trainer = Trainer(replace(TINY, amp=True), images(), CPU)
    inside: list[torch.dtype] = []
    trainer.model.conv_out.register_forward_hook(lambda *call: inside.append(call[2].dtype))
    answer = as_model(trainer.model, trainer.config, CPU)(images()[:2], torch.tensor([1, 2]))
    assert inside == [torch.bfloat16]
    assert answer.dtype == torch.float32
    for _ in trainer.updates():
        pass
    assert {p.dtype for p in trainer.model.parameters()} == {torch.float32}


def test_half_of_the_images_are_mirrored(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Tensor] = []
    L_simple = objective.L_simple

    def watched(model: UNet, schedule: Any, x_0: Tensor, *more: Any, **named: Any) -> Tensor:
        seen.append(x_0)
        return L_simple(model, schedule, x_0, *more, **named)

    monkeypatch.setattr(trainer, "L_simple", watched)
    for _ in Trainer(replace(TINY, flips=True, batch_size=200), images()[:200], CPU).updates():
        pass
    known = {tuple(image.flatten().tolist()) for image in images()[:200]}
    mirrored = {tuple(image.flip(-1).flatten().tolist()) for image in images()[:200]}
    rows = [tuple(image.flatten().tolist()) for image in torch.cat(seen)]
    assert all(row in known | mirrored for row in rows)
    # 800 fair draws: outside 320..480 with probability below 2e-8.
    assert 320 < sum(row in mirrored for row in rows) < 480
    assert not any(row in known for row in mirrored)


def test_devices_decide_what_was_left_open() -> None:
    config = resolve("cifar10")
    assert config.on(CPU) == replace(config, amp=False, channels_last=True, compile=False)
    assert replace(config, amp=True, compile=True).on(CPU).amp
    assert resolve("digits").on(CPU).channels_last is False


def test_samples_are_shown_while_training_and_change_nothing(tmp_path: Path) -> None:
    settings = ["--preset", "smoke", "--steps", "4", "--samples", "0"]
    for name, more in (("one", []), ("two", ["--sample-every", "2"])):
        assert train.main([*settings, *more, "--out", str(tmp_path / name)]) == 0
    assert sorted(path.name for path in (tmp_path / "two" / "grids").iterdir()) == [
        "step-00000002.png",
        "step-00000004.png",
    ]
    one, two = (weights(tmp_path / name, "ema")[0] for name in ("one", "two"))
    assert all(torch.equal(one[name], two[name]) for name in one)


class FakeWriter:
    calls: list[tuple[Any, ...]]

    def __init__(self, folder: Path, purge_step: int) -> None:
        FakeWriter.calls = [(folder.name, purge_step)]

    def add_scalar(self, name: str, value: float, step: int) -> None:
        self.calls.append((name, value, step))

    def add_image(self, name: str, picture: Any, step: int, dataformats: str) -> None:
        self.calls.append((name, picture.shape[2], step, dataformats))

    def close(self) -> None:
        self.calls.append(("closed",))


def test_tensorboard_is_told_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = types.ModuleType("fake")
    fake.SummaryWriter = FakeWriter  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", fake)
    settings = ["--preset", "smoke", "--steps", "2", "--samples", "0", "--sample-every", "2", "--tensorboard"]
    assert train.main([*settings, "--out", str(tmp_path)]) == 0
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert FakeWriter.calls[0] == ("tensorboard", 1)
    assert [call[1:] for call in FakeWriter.calls if call[0] == "loss"] == [
        (line["loss"], line["step"]) for line in lines
    ]
    assert [call[2] for call in FakeWriter.calls if call[0] == "held_out_loss"] == [2]
    assert ("samples", 3, 2, "HWC") in FakeWriter.calls
    assert FakeWriter.calls[-1] == ("closed",)


def test_tensorboard_that_is_not_there_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    assert train.main(["--preset", "smoke", "--tensorboard", "--out", str(tmp_path / "run")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "--tensorboard needs TensorBoard: pip install 'ddpm-ref[tensorboard]'" in line
    assert not (tmp_path / "run").exists()


# -- interrupted ------------------------------------------------------------------------------------------


def at_call(n: int, function: Callable[..., Any], then: Callable[..., Any]) -> Callable[..., Any]:
    calls = 0

    def wrapped(*args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        calls += 1
        return then(*args, **kwargs) if calls == n else function(*args, **kwargs)

    return wrapped


def interrupt(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize(("function", "stage"), [("draw", "sampling"), ("judge", "scoring")])
def test_ctrl_c_after_training_leaves_all_that_was_trained(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    function: str,
    stage: str,
) -> None:
    monkeypatch.setattr(train, function, interrupt)
    settings = ["--preset", "smoke", "--steps", "1", "--samples", "60", "--out", str(tmp_path)]
    assert train.main(settings) == 130
    err = capsys.readouterr().err
    assert f"Interrupted while {stage}. {tmp_path} keeps the state of step 1 of 1; go on with:\n" in err
    assert weights(tmp_path, "ema")[1] == 1


def test_a_loss_that_is_not_finite_stops_before_it_reaches_the_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    L_simple = objective.L_simple

    def broken(*args: Any, **kwargs: Any) -> Tensor:
        loss: Tensor = L_simple(*args, **kwargs) * torch.nan
        return loss

    monkeypatch.setattr(trainer, "L_simple", at_call(3, L_simple, broken))
    assert train.main(["--preset", "smoke", "--out", str(tmp_path)]) == 1
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "finite" in line]
    assert "at step 3" in line
    assert "keeps the state of step 2 of 50" in line
    model, step = weights(tmp_path, "model")
    assert step == 2
    assert all(tensor.isfinite().all() for tensor in model.values())


# -- refused ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--preset", "mnist"], "preset must be one of digits, smoke, cifar10, patches, gaussian, mixture;"),
        (["--data", "mnist"], "data must be one of digits, patches, cifar10:FOLDER"),
        (["--data", "patches"], "data must have images of (1, 8, 8), as the network; patches has"),
        (["--preset", "patches", "--data", "gaussian"], "channels must be 1, as gaussian has; got 3"),
        (["--loss", "mse"], "argument --loss: invalid choice: 'mse'"),
        (["--variance", "learned"], "loss must be vlb or hybrid where the variance is learned; got 'simple'"),
        (["--loss", "hybrid"], "variance must be learned where the loss is hybrid; got 'fixed_large'"),
        (["--accumulate", "3"], "batch_size must be a multiple of accumulate = 3; got 64"),
        (["--dropout", "1"], "argument --dropout: must be a number in [0, 1); got 1"),
        (["--keep", "0"], "argument --keep: must be an integer, at least 1; got 0"),
        (["--steps", "0"], "argument --steps: must be an integer, at least 1; got 0"),
        (["--steps", "many"], "argument --steps: must be an integer, at least 1; got many"),
        (["--batch-size", "-1"], "argument --batch-size: must be an integer"),
        (["--lr", "nan"], "argument --lr: must be a positive finite number; got nan"),
        (["--seed", "-1"], "argument --seed: must be an integer, at least 0; got -1"),
        (["--device", "tpu"], "device must be one of auto, cpu, cuda, mps; got tpu"),
        (["--samples", "32"], "samples must be in 33..1297: above the number of features (classifier)"),
        (["--samples", "1298"], "samples must be in 33..1297"),
        (["--stpes", "5"], "unrecognized arguments: --stpes 5"),
        (["--out"], "argument --out: expected one argument"),
    ],
)
def test_a_bad_argument_is_refused_in_one_line(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert train.main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert message in err
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without CUDA")
def test_cuda_is_refused_where_there_is_none(capsys: pytest.CaptureFixture[str]) -> None:
    assert train.main(["--device", "cuda", "--dry-run"]) == 2
    assert "device must be one that is here (cpu); got cuda" in capsys.readouterr().err


@pytest.mark.parametrize("extra", [[], ["--dry-run"]])
def test_a_folder_that_holds_something_is_left_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], extra: list[str]
) -> None:
    (tmp_path / "thesis.txt").write_text("dear")
    for out, reason in ((tmp_path, "is not empty"), (tmp_path / "thesis.txt", "is a file")):
        assert train.main(["--preset", "smoke", "--out", str(out), *extra]) == 2
        err = capsys.readouterr().err
        assert err.count("\n") == 1
        assert f"out must be a new or empty folder; {out} {reason}" in err
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").touch()
    assert train.main(["--preset", "smoke", "--out", str(tmp_path / "file" / "run")]) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert "out must be a folder to write to" in err


def test_nan_in_the_data_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    split = digits()
    broken = split.train.images.clone()
    broken[7, 0, 3, 3] = torch.nan
    bad = Split(Labelled(broken, split.train.labels), split.held_out)
    monkeypatch.setattr(presets, "load", lambda *_: bad)
    assert train.main(["--preset", "smoke", "--out", str(tmp_path / "run")]) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert "images must be in [-1, 1]; got NaN in 1 of 83008 values" in err
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "wrong",
    [
        {"T": 1},
        {"beta": (0.0, 0.02)},
        {"beta": (1e-4, 1.0)},
        {"beta_schedule": "square"},
        {"loss": "mse"},
        {"prediction": "score"},
        {"variance": "unknown"},
        {"accumulate": 0},
        {"keep": 0},
        {"checkpoint_every": 0},
        {"sample_every": -1},
        {"steps": 0},
        {"lr": float("inf")},
        {"clip_norm": 0.0},
        {"ema_decay": 1.0},
        {"samples": -1},
    ],
)
def test_a_setting_outside_its_domain_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=f"{next(iter(wrong))} must be"):
        resolve("smoke", **wrong)


# -- the command line -------------------------------------------------------------------------------------


def test_a_dry_run_prints_the_configuration_and_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert train.main(["--dry-run", "--steps", "7", "--device", "cpu"]) == 0
    values = json.loads(capsys.readouterr().out)
    assert (values.pop("out"), values.pop("device")) == ("runs/digits-0", "cpu")
    assert Config.from_dict(values) == resolve("digits", steps=7).on(CPU)
    assert not list(tmp_path.iterdir())


def test_the_default_folder_is_always_a_new_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("smoke-0", "smoke-0-2", "smoke-0-3"):
        folder = default_folder(TINY)
        assert folder == Path("runs") / name
        folder.mkdir(parents=True)
        (folder / "config.json").touch()


def test_the_module_exits_with_the_code_and_without_a_traceback() -> None:
    result = subprocess.run(
        [sys.executable, "-m", "ddpm_ref.train", "--preset", "?"], capture_output=True, text=True, check=False
    )
    assert result.returncode == 2
    assert re.fullmatch("ddpm_ref.train: preset must be one of digits, .*; got [?]\n", result.stderr)
