"""`python -m ddpm_ref.evaluate`: a run by all its measures, in one table and one file."""

import json
import math
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch

from ddpm_ref import evaluate, exact
from ddpm_ref.bound import bound
from ddpm_ref.checkpoint import read_run, write_json, write_weights
from ddpm_ref.denoisers import GaussianDenoiser
from ddpm_ref.gap import gaps
from ddpm_ref.laws import GaussianLaw
from ddpm_ref.measuring import Measuring, Options
from ddpm_ref.presets import Config, resolve
from ddpm_ref.report import bound_table, gap_table, score_words, truth_table, words
from ddpm_ref.sample import Sampling
from ddpm_ref.trainer import Trainer
from ddpm_ref.unet import UNet

SMALL = ("--images", "12", "--n", "40")
PICTURES = {"bound.png", "coding.png", "rate-distortion.png", "loss-over-t.png", "samples.png", "reverse.png"}


def untrained(folder: Path, config: Config) -> Path:
    """A run folder as training leaves it, from a network that was never trained."""
    torch.manual_seed(0)
    folder.mkdir()
    write_json(folder / "config.json", config.to_dict())
    network = UNet(config.unet)
    for parameter in network.parameters():  # the last layer starts at 0, and would hide all the others
        torch.nn.init.normal_(parameter, std=0.05)
    write_weights(folder / "ema.safetensors", network, 7)
    return folder


CONFIG = resolve("smoke", T=12)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return untrained(tmp_path / "run", CONFIG)


class Evaluated(NamedTuple):
    """A run, and what evaluating it with seed 3 printed and wrote."""

    run: Path
    folder: Path
    found: dict[str, Any]
    out: str
    err: str


def read(file: Path) -> dict[str, Any]:
    """Read an evaluation; a number that is not finite is an error."""

    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"), parse_constant=refuse)
    return found


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory: pytest.TempPathFactory) -> Evaluated:
    folder = tmp_path_factory.mktemp("evaluate")
    run = untrained(folder / "run", CONFIG)
    with redirect_stdout(StringIO()) as out, redirect_stderr(StringIO()) as err:
        assert evaluate.main(["--run", str(run), "--out", str(folder / "out"), "--seed", "3", *SMALL]) == 0
    found = read(folder / "out" / "evaluation.json")
    return Evaluated(run, folder / "out", found, out.getvalue(), err.getvalue())


def measuring(run: Path, **choices: Any) -> Measuring:
    config, model, _ = read_run(run)
    options = Options(images=6, n=70, features="pixels", **choices)
    return Measuring(config, model, options, torch.device("cpu"))


def test_an_evaluation_is_a_table_a_file_and_pictures(evaluated: Evaluated) -> None:
    _, folder, found, out, err = evaluated
    assert {path.name for path in folder.iterdir()} == PICTURES | {"evaluation.json"}
    assert max(map(len, out.split("\nIn /")[0].splitlines()[1:])) <= 80
    assert "bound, train 12/12" in err
    assert "sampling 12/12" in err
    for part in ("train", "held out"):
        values = found["bound"][part]
        total = values["L_T"] + values["L_1_to_L_T_minus_1"] + values["L_0"]
        assert total == pytest.approx(values["bits_per_dim"])
        assert values["per_t"]["t"] == list(range(1, 13))
        assert f"{values['bits_per_dim']:.3f} ± {values['examples_error']:.3f}" in out
    assert len(found["rate_distortion"]["rows"]) == 12
    assert f"{found['rate_distortion']['rows'][-1]['rmse']:.3f}" in out
    assert found["gap"][-1]["t"] == 12
    assert f"{found['gap'][-1]['least']:.4f}" in out
    assert found["quality"]["n"] == 40
    assert f"{found['quality']['model']['frechet']:.2f}" in out
    assert f"{found['quality']['model']['inception']:.2f}" in out
    assert found["truth"] is None
    stages = {"bound, train", "bound, held out", "gap to the ideal", "sampling", "scoring"}
    assert found["seconds"].keys() == stages
    assert found["environment"]["command"][0] == "python -m ddpm_ref.evaluate"


def test_its_bound_is_the_librarys(evaluated: Evaluated) -> None:
    config, model, _ = read_run(evaluated.run)
    x_0 = config.data().held_out.images[:12]
    generator = torch.Generator().manual_seed(3)
    direct = bound(model, config.schedule(), x_0, generator=generator, levels=17).to_dict()
    found = evaluated.found["bound"]["held out"]
    assert found["bits_per_dim"] == direct["bits_per_dim"]
    for name, values in direct["per_t"].items():
        assert found["per_t"][name] == pytest.approx(values, rel=1e-9)  # deviations go through Bound.join


def test_without_samples_all_else_is_measured(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert evaluate.main(["--run", str(run), "--images", "12", "--n", "0"]) == 0
    said = capsys.readouterr().out
    assert "Fréchet" not in said
    assert "samples.png" not in said
    out = run / "evaluation-0"
    found = read(out / "evaluation.json")
    assert found["quality"] is None
    assert {"bound", "rate_distortion", "gap"} <= found.keys()
    assert not {path.name for path in out.iterdir()} & {"samples.png", "reverse.png"}


def test_the_seed_decides_the_numbers(run: Path) -> None:
    def numbers(seed: int) -> list[Any]:
        every = measuring(run, seed=seed)
        return [every.bounds()["train"].to_dict(), every.gaps(), every.samples()[0].tolist()]

    first = numbers(1)
    assert first == numbers(1)
    assert all(one != other for one, other in zip(first, numbers(2), strict=True))


@pytest.mark.parametrize("variance", ["fixed_large", "learned"])
def test_a_receiver_has_less_of_an_image_the_earlier_he_stops(variance: str, tmp_path: Path) -> None:
    loss = "hybrid" if variance == "learned" else "simple"
    every = measuring(untrained(tmp_path / "run", resolve("smoke", T=12, variance=variance, loss=loss)))
    estimates, names = every.reconstructions()
    assert names == [12, 11, 10, 8, 7, 6, 5, 3, 2, 1, "image"]
    *found, image = estimates
    errors = [float((image - x0_hat).square().mean()) for x0_hat in found]
    assert errors[0] > 2 * errors[-1] > 0


def test_samples_that_were_not_clipped_are_judged(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert evaluate.main(["--run", str(run), "--no-clip", *SMALL]) == 0
    outside = read(run / "evaluation-0" / "evaluation.json")["quality"]["outside"]
    assert 0 < outside < 1
    assert f"{outside:.2%} of the samples' values lay outside" in capsys.readouterr().out


def test_a_number_that_four_decimals_would_hide_is_printed(run: Path) -> None:
    found = measuring(run, steps=3).bounds()["train"]
    papers = replace(found, L_T=torch.full((6,), 1e-5 / found.in_bits(1.0)))
    assert "1.0e-05" in bound_table({"train": papers})


def test_a_subset_of_the_steps_is_visited(run: Path) -> None:
    every = measuring(run, steps=5)
    found = every.bounds()["held out"]
    assert len(found.subset.steps) == 5
    assert found.subset_error > 0
    assert {gap.t for gap in every.gaps()} <= set(found.subset.steps)


def test_each_choice_reaches_what_it_is_about(run: Path) -> None:
    def measured(**choices: Any) -> tuple[list[float], torch.Tensor]:
        every = measuring(run, **choices)
        return every.bounds()["held out"].means[:, 0].tolist(), every.samples()[0]

    usual_bound, usual = measured()
    ddim_bound, ddim = measured(sampling=Sampling(eta=0.0, steps=4))
    tanh_bound, _ = measured(cdf="tanh")
    small_bound, small = measured(sampling=Sampling(variance="fixed_small"))
    free_bound, free = measured(sampling=Sampling(clip=False))
    assert ddim_bound == usual_bound
    assert not torch.equal(ddim, usual)
    assert tanh_bound[0] != usual_bound[0]  # the decoder's term only
    assert tanh_bound[1:] == usual_bound[1:]
    assert small_bound != usual_bound
    assert not torch.equal(small, usual)
    assert free_bound != usual_bound
    assert free.abs().max() > usual.abs().max()


# -- data of a known law -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("preset", "prediction"), [("gaussian", "v"), ("mixture", "eps")])
def test_data_of_a_known_law_are_compared_with_their_entropy(
    preset: str, prediction: str, tmp_path: Path
) -> None:
    config = replace(resolve(preset, T=10, beta=(0.01, 0.9), prediction=prediction), unet=CONFIG.unet)
    every = measuring(untrained(tmp_path / "run", config))
    bounds = every.bounds()
    truth = every.truth(bounds["held out"])
    assert truth is not None
    assert truth.gap > truth.avoidable > 5 * truth.avoidable_error > 0
    assert truth.gap == pytest.approx(truth.bound - truth.entropy, abs=0.5)
    assert (truth.exact_gap is not None) == (preset == "gaussian")
    if truth.exact_gap is not None:  # six images only; a wrong exact denoiser is off by much more
        assert truth.gap - truth.avoidable == pytest.approx(truth.exact_gap, abs=0.2)
    samples, _ = every.samples()
    assert samples.abs().max() > 1
    quality = every.quality(samples)
    assert truth.least == pytest.approx(truth.gap - truth.avoidable)
    tables = [
        truth_table(truth),
        bound_table(bounds),
        gap_table(every.gaps(), bounds["held out"], finite=False),
    ]
    for table in [*tables, words(quality)]:
        assert max(map(len, table.splitlines())) <= 80
    assert f"{truth.gap:.4f} ± {truth.gap_error:.4f}" in tables[0]
    assert score_words(quality) == ""


def test_what_better_predictions_could_avoid_is_at_the_networks_own_variance(tmp_path: Path) -> None:
    """A network that predicts as the exact denoiser does has nothing to avoid, whatever its variance."""
    config = resolve("gaussian", T=10, beta=(0.01, 0.9), variance="learned", loss="hybrid")
    config = replace(config, unet=replace(CONFIG.unet, learned_variance=True))
    every = measuring(untrained(tmp_path / "run", config))
    truth = every.truth(every.bounds()["held out"])
    assert truth is not None
    assert truth.avoidable > 0
    x_t, t = torch.randn(2, 1, 8, 8), torch.tensor([3, 3])
    of_network, of_exact = (
        model(x_t, t).chunk(2, 1) for model in (every._model, every._ideal_with_variance())
    )
    assert torch.equal(of_network[1], of_exact[1])
    assert torch.equal(of_exact[0], every._ideal()(x_t, t))
    every._model = every._ideal_with_variance()
    own = every.truth(every.bounds()["held out"])
    assert own is not None
    assert own.avoidable == own.avoidable_error == 0
    assert own.gap == own.least == pytest.approx(truth.least)


@pytest.mark.slow
def test_the_gap_of_a_trained_run_contains_the_independently_computed_value(tmp_path: Path) -> None:
    config = resolve(
        "gaussian", T=40, beta=(0.0025, 0.5), steps=200, batch_size=32, warmup=10, ema_decay=0.95
    )
    config = replace(config, unet=CONFIG.unet)
    trainer = Trainer(config, config.data().train.images, torch.device("cpu"))
    for _ in trainer.updates():
        pass
    run = untrained(tmp_path / "run", config)
    write_weights(run / "ema.safetensors", trainer.ema, trainer.step)
    assert evaluate.main(["--run", str(run), "--n", "80", "--images", "200"]) == 0
    truth = read(run / "evaluation-0" / "evaluation.json")["truth"]

    # Another way there: the exact denoiser's gap in closed form, and for every t the model's distance from
    # that denoiser, at its weight in the bound, on other images with other noise.
    _, model, _ = read_run(run)
    schedule, law = config.schedule(), config.law()
    assert isinstance(law, GaussianLaw)
    generator = torch.Generator().manual_seed(99)
    x_0 = law.sample(200, generator=generator, dtype=torch.float32)
    nats, variance, d = exact.bound(schedule, law).gap, 0.0, x_0[0].numel()
    ideal = GaussianDenoiser(schedule, law)
    for gap in gaps(model, ideal, schedule, x_0, range(1, config.T + 1), generator=generator):
        weight = d * float(schedule.weight_fixed_large[gap.t])
        nats += weight * gap.excess
        variance += (weight * gap.excess_error) ** 2
    independent, error = nats / d / math.log(2), math.sqrt(variance) / d / math.log(2)
    # Three standard errors: false alarm 0.3 %.
    assert truth["gap"] == pytest.approx(independent, abs=3 * math.hypot(truth["gap_error"], error))
    assert truth["gap"] > 10 * truth["gap_error"]


# -- what goes wrong -----------------------------------------------------------------------------------------


def other_weights(run: Path) -> None:
    wider = replace(CONFIG.unet, width=16)
    write_weights(run / "ema.safetensors", UNet(wider), 7)


def no_weights(run: Path) -> None:
    (run / "ema.safetensors").unlink()


def no_config(run: Path) -> None:
    (run / "config.json").unlink()


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (no_config, "run must be a folder written by ddpm_ref.train"),
        (no_weights, "does not exist"),
        (other_weights, "weights must fit the model"),
    ],
)
def test_a_bad_run_is_refused_in_one_line(
    run: Path, damage: Callable[[Path], None], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    damage(run)
    assert evaluate.main(["--run", str(run), *SMALL]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert message in err
    assert not (run / "evaluation-0").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--steps", "13"], "steps must be in 3..T = 3..12; got 13"),
        (["--steps", "2"], "steps must be in 3..T"),
        (["--sampling-steps", "13"], "sampling_steps must be in 1..T = 1..12; got 13"),
        (["--sampler", "euler"], "sampler must be one of ancestral, ddim; got euler"),
        (["--spacing", "even"], "spacing must be one of trailing, linspace, stride, quadratic; got even"),
        (["--eta", "1"], "eta must go with the sampler ddim"),
        (["--sampler", "ddim", "--eta", "-1"], "eta must be in [0, "),
        (["--sampler", "ddim", "--eta", "nan"], "eta must be in [0, "),
        (["--variance", "learned"], "variance must be what the network was trained with, fixed_large"),
        (["--variance", "big"], "variance must be one of fixed_large, fixed_small, learned; got big"),
        (["--cdf", "logistic"], "cdf must be one of exact, tanh; got logistic"),
        (["--features", "mine"], "features must be one of usual, classifier, pixels, inception; got mine"),
        (["--features", "inception"], "Inception features need torch-fidelity"),
        (["--n", "32"], "n must be in 33..1297: above the number of features (classifier)"),
        (["--images", "1"], "--images: must be an integer, at least 2"),
        (["--device", "tpu"], "device must be one of auto, cpu, cuda, mps; got tpu"),
    ],
)
def test_a_bad_argument_is_refused_in_one_line_before_any_work(
    run: Path, arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert evaluate.main(["--run", str(run), *SMALL, *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert message in err
    assert not (run / "evaluation-0").exists()


def test_an_evaluation_is_not_overwritten(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert evaluate.main(["--run", str(run), "--out", str(run), *SMALL]) == 2
    assert "is not empty" in capsys.readouterr().err


def test_an_interruption_says_where_and_leaves_no_half_result(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("ddpm_ref.measuring.judge", lambda *_, **__: interrupted())
    assert evaluate.main(["--run", str(run), *SMALL]) == 130
    assert "Interrupted while at: scoring." in capsys.readouterr().err
    assert list((run / "evaluation-0").iterdir()) == []


def test_a_network_that_is_not_finite_is_named_with_its_t(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    network = UNet(CONFIG.unet)
    torch.nn.init.constant_(next(network.parameters()), 3e38)  # finite, but not for long
    write_weights(run / "ema.safetensors", network, 7)
    assert evaluate.main(["--run", str(run), *SMALL]) == 1
    assert "nan or infinity at t = 12" in capsys.readouterr().err
    assert list((run / "evaluation-0").iterdir()) == []
