"""Write the page of reference runs: `python docs/runs/write.py`; with `--check` only compare it.

`--add runs/digits-0` first keeps the small files of a run: its JSON, its loss in a hundred points, its
pictures, and those of `evaluation-0` and `samples-1` in it, where they are. Then draw its curves, by
`python docs/pictures/draw.py`.
"""

import json
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from PIL import Image, ImageSequence

from ddpm_ref.arguments import Parser, one_line, path
from ddpm_ref.gap import Truth
from ddpm_ref.measuring import Options
from ddpm_ref.presets import PRESETS
from ddpm_ref.report import truth_table

RUNS = Path(__file__).parent
JSON = ("config.json", "environment.json", "report.json")
PICTURES = ("evaluation-0/samples.png", "samples.png", "evaluation-0/reverse.png")  # of one name: the last
ANIMATION = "samples-1/reverse.gif"
POINTS = 100
PIXELS = " By pixels the fitted Gaussian does well by construction: it has their mean and their covariance."
NAMED = {"source": "data", "beta_schedule": "schedule"}  # arguments whose setting has another name
NAMED_OF_SAMPLING = {"steps": "sampling-steps"}
# What reading JSON of another kind than is expected may raise.
MALFORMED = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)

INTRODUCTION = """\
---
title: Reference runs
---

# Reference runs

<!-- Made from the folders beside it by docs/runs/write.py; edit that. -->

Runs to compare yours with: what was run, on what, and what came out. Tables and curves are made of their
own files, which lie beside this page.
"""


def add(run: Path, to: Path) -> None:
    """Keep the small files of a finished run under its folder's name.

    Raises:
        ValueError: if it is not a finished run.
    """
    missing = [name for name in (*JSON, "metrics.jsonl") if not (run / name).is_file()]
    if missing:
        raise ValueError(f"--add must name a finished run; {run} lacks {', '.join(missing)}")
    with tempfile.TemporaryDirectory() as scratch:
        made = Path(scratch) / run.name
        made.mkdir()
        try:
            _keep(run, made)
            list(section(made))  # what the page cannot show is not kept
        except MALFORMED as error:
            raise ValueError(
                f"--add must name a finished run; {run} is not as it was written: {error}"
            ) from error
        shutil.copytree(made, to / run.name, dirs_exist_ok=True)


def _keep(run: Path, folder: Path) -> None:
    for name in ("config.json", "report.json"):
        shutil.copyfile(run / name, folder / name)
    _write(folder / "environment.json", public(_read(run / "environment.json")))
    for name in PICTURES:
        if (run / name).is_file():
            shutil.copyfile(run / name, folder / Path(name).name)
    if (run / ANIMATION).is_file():
        compress(run / ANIMATION, folder / "reverse.webp")
    lines = (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    try:
        _write(folder / "loss.json", thinned([json.loads(line)["loss"] for line in lines]))
    except MALFORMED as error:
        raise ValueError(f"{run / 'metrics.jsonl'} is not as it was written: {error}") from error
    if (evaluation := run / "evaluation-0" / "evaluation.json").is_file():
        values = _read(evaluation)
        del values["run"]
        _write(folder / "evaluation.json", values | {"environment": public(values["environment"])})


def public(environment: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out what names somebody's folders and machine."""
    return {name: environment[name] for name in ("commit", "versions", "device", "cpus", "threads")}


def compress(gif: Path, webp: Path) -> None:
    """Write an animation in a fifth of the room, losing nothing; it plays once and rests on the images."""
    with Image.open(gif) as animation:
        frames = list(ImageSequence.all_frames(animation))
        durations = [frame.info["duration"] for frame in frames]
        frames[0].save(
            webp,
            save_all=True,
            append_images=frames[1:],
            duration=durations,
            loop=1,
            lossless=True,
            quality=100,
        )


def thinned(losses: list[float]) -> dict[str, list[float]]:
    """Average the losses of neighbouring updates: at most `POINTS` numbers, finer where training begins."""
    ends = sorted({round(len(losses) ** (k / POINTS)) for k in range(1, POINTS + 1)} | {len(losses)})
    starts = [0, *ends[:-1]]
    return {
        "update": [(a + 1 + b) / 2 for a, b in zip(starts, ends, strict=True)],
        "loss": [sum(losses[a:b]) / (b - a) for a, b in zip(starts, ends, strict=True)],
    }


def _write(path: Path, value: Any) -> None:
    """Write JSON without blanks, its numbers to six digits."""

    def short(value: Any) -> Any:
        if isinstance(value, float):
            return float(f"{value:.6g}")
        if isinstance(value, list):
            return [short(item) for item in value]
        return {k: short(v) for k, v in value.items()} if isinstance(value, dict) else value

    path.write_text(json.dumps(short(value), separators=(",", ":")) + "\n", encoding="utf-8")


# -- the page ------------------------------------------------------------------------------------------------


def page(runs: Path) -> str:
    """Make the page from the folders in `runs`."""
    folders = sorted(file.parent for file in runs.glob("*/config.json"))
    return INTRODUCTION + "".join("\n" + "\n".join(section(folder)) + "\n" for folder in folders)


def section(folder: Path) -> Iterator[str]:
    """Write about one run."""
    config, environment, report = (_read(folder / name) for name in JSON)
    evaluation = _read(folder / "evaluation.json") if (folder / "evaluation.json").is_file() else None
    yield f"## {folder.name}\n"
    if (folder / "samples.png").is_file():
        yield f"![Samples of the run, in a grid]({folder.name}/samples.png){{ loading=lazy }}\n"
    yield "| | |\n|---|---|"
    yield from (f"| {name} | {value} |" for name, value in what(config, report))
    yield from (f"| {name} | {value} |" for name, value in where(environment, report))
    yield ""
    if evaluation is not None:
        yield "**Bits per dimension**\n"
        yield from bound_table(evaluation)
    if evaluation is not None and evaluation["truth"]:
        yield f"**Beside the truth**\n\n```text\n{truth_table(Truth(**evaluation['truth']))}\n```\n"
    if quality := (evaluation and evaluation["quality"]) or report["quality"]:
        yield "**Samples**\n"
        yield from quality_table(quality)
    for name, alt in (
        ("loss", "The loss over the updates, both axes logarithmic"),
        ("bound", "The terms of the bound over t, on training and on held-out images"),
        ("rate-distortion", "The error of the best guess against the bits received"),
    ):
        if name == "loss" or evaluation is not None:
            yield from (
                f"![{alt}]({folder.name}/{name}.{s}.svg#only-{s}){{ loading=lazy }}"
                for s in ("light", "dark")
            )
            yield ""
    if (folder / "reverse.png").is_file():
        yield f"![Eight samples on their way from noise]({folder.name}/reverse.png){{ loading=lazy }}\n"
    yield "To repeat it:\n\n```sh"
    yield f"python -m ddpm_ref.train {options(config)}"
    if evaluation is not None:
        run = f"runs/{config['preset']}-{config['seed']}"
        yield f"python -m ddpm_ref.evaluate --run {run}{evaluation_options(evaluation)}"
    yield "```"


def options(config: Mapping[str, Any]) -> str:
    """Write the arguments that give a configuration again.

    Raises:
        ValueError: if a setting is neither the preset's nor one that an argument can give.
    """
    preset = PRESETS[config["preset"]]
    open_ = replace(preset, amp=config["amp"])  # which decides the layout, where the preset leaves both open
    usual = json.loads(json.dumps(open_.on(torch.device("cpu")).to_dict()))
    usual["amp"] = bool(preset.amp)
    given = {"preset": config["preset"], "seed": config["seed"], "steps": config["steps"]}
    for name in sorted(config.keys() - given.keys()):
        if name == "unet":
            given |= {key: value for key, value in config[name].items() if value != usual[name][key]}
        elif config[name] != usual[name]:
            given[name] = config[name]
    given.pop("learned_variance", None)  # goes with the variance
    if without := given.keys() & {"T", "beta", "clip_norm", *usual["unet"]} - {"dropout"}:
        raise ValueError(f"no argument of ddpm_ref.train gives {', '.join(sorted(without))}")
    return arguments(given)


def arguments(given: Mapping[str, Any]) -> str:
    """Write settings as a command takes them: a switch by its name, or its name with `no-`."""
    words = []
    for name, value in given.items():
        flag = NAMED.get(name, name).replace("_", "-")
        words += (
            [f"--{flag if value else f'no-{flag}'}"] if isinstance(value, bool) else [f"--{flag} {value}"]
        )
    return " ".join(words)


def evaluation_options(evaluation: Mapping[str, Any]) -> str:
    """Write the arguments that give an evaluation again, with a blank before them."""
    chosen, usual = evaluation["options"], asdict(Options())
    given = {name: value for name, value in chosen.items() if name != "sampling" and value != usual[name]}
    sampling = {k: v for k, v in chosen["sampling"].items() if v != usual["sampling"][k]}
    if sampling.get("eta") is not None:
        given["sampler"] = "ddim"
    given |= {NAMED_OF_SAMPLING.get(name, name): value for name, value in sampling.items()}
    return f" {arguments(given)}" if given else ""


def what(config: Mapping[str, Any], report: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """List what was run."""
    net = config["unet"]
    size = f"{net['image_size']}×{net['image_size']}×{net['channels']}"
    yield "data", f"`{config['source']}`, {size}{', mirrored at random' if config['flips'] else ''}"
    yield "process", f"T = {config['T']}, {config['beta_schedule']} schedule, variance `{config['variance']}`"
    yield "objective", f"`{config['loss']}`, predicting {config['prediction']}"
    yield "network", f"U-Net, {report['parameters']:,} parameters, dropout {net['dropout']:g}"
    yield (
        "training",
        f"{config['steps']:,} updates of {config['batch_size']} images; Adam, learning rate {config['lr']:g} "
        f"after {config['warmup']} updates; averaged with {config['ema_decay']:g}; seed {config['seed']}",
    )


def where(environment: Mapping[str, Any], report: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """List where it was run, and how long it took."""
    versions, commit = environment["versions"], environment["commit"]
    device = environment["device"]
    on = f"CPU, {environment['threads']} of {environment['cpus']} cores" if device == "cpu" else device
    yield "hardware", on
    yield "versions", ", ".join(f"{name} {versions[name]}" for name in ("python", "torch", "numpy"))
    if commit:
        yield "commit", f"`{commit['id'][:12]}`{' and uncommitted changes' if commit['dirty'] else ''}"
    seconds = report["seconds"]
    stages = [stage for stage in ("training", "sampling") if seconds[stage] >= 1]
    yield "time, beside other work", ", ".join(f"{stage} {duration(seconds[stage])}" for stage in stages)


def duration(seconds: float) -> str:
    """Give a time in its natural unit."""
    for unit, length in (("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.1f} {unit}"
    return f"{seconds:.0f} s"


def bound_table(evaluation: Mapping[str, Any]) -> Iterator[str]:
    """Set the parts of the bounds side by side, with their standard errors."""
    bounds = evaluation["bound"]
    yield "| | " + " | ".join(bounds) + " |\n|---|" + "--:|" * len(bounds)
    for name, key in (("$L_T$", "L_T"), (r"$L_1, \dots, L_{T-1}$", "L_1_to_L_T_minus_1"), ("$L_0$", "L_0")):
        yield f"| {name} | " + " | ".join(f"{bound[key]:.4f}" for bound in bounds.values()) + " |"
    totals = [f"{bound['bits_per_dim']:.3f} ± {error(bound):.3f}" for bound in bounds.values()]
    yield "| **the bound** | " + " | ".join(totals) + " |"
    images = {bound["examples"] for bound in bounds.values()}
    last = evaluation["rate_distortion"]["rows"][-1]
    unit = evaluation["rate_distortion"]["unit"]
    steps = evaluation["options"]["steps"]
    visited = "" if steps is None else f" {steps} of the steps, drawn in strata, stand for all."
    yield (
        f"\n{' and '.join(map(str, sorted(images)))} images of each; ± is the standard error.{visited} "
        f"Before the last bits, those of $L_0$, a receiver of held-out images has {last['rate']:.3f} bits "
        f"per dimension and an error of {last['rmse']:.3f} (RMSE, {unit}).\n"
    )


def error(bound: Mapping[str, float]) -> float:
    """Give the standard error of a bound, over images and steps."""
    return float((bound["examples_error"] ** 2 + bound["subset_error"] ** 2) ** 0.5)


def quality_table(quality: Mapping[str, Any]) -> Iterator[str]:
    """Set the samples beside real images and a fitted Gaussian."""
    yield "| | Fréchet distance |\n|---|--:|"
    floor, model, baseline = (quality[name] for name in ("floor", "model", "baseline"))
    low, high = quality["intervals"]["frechet"]
    yield f"| real images (the floor) | {floor['frechet']:.2f} ± {floor['frechet_sd']:.2f} |"
    yield f"| **this model** | {model['frechet']:.2f}, 95 % within {low:.2f} … {high:.2f} |"
    yield f"| a fitted Gaussian | {baseline['frechet']:.2f} ± {baseline['frechet_sd']:.2f} |"
    yield (
        f"\n{quality['n']} samples against {quality['held_out_images']} held-out images, by the features of: "
        f"{quality['features']}. Less is better; ± is the deviation over {quality['draws']} draws."
        + (PIXELS if quality["features"] == "pixels" else "")
        + "\n"
    )


def _read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def main(argv: list[str] | None = None, runs: Path = RUNS) -> int:
    """Write the page, or say whether it is what it should be."""
    parser = Parser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if the page is stale")
    parser.add_argument("--add", type=path, action="append", default=[], metavar="RUN", help="a run to keep")
    given = parser.parse_or_exit(argv)
    try:
        for run in given.add:
            add(run.resolve(), runs)
        there, made = runs / "index.md", page(runs)
    except (OSError, ValueError) as error:
        print(f"docs/runs/write.py: {one_line(error)}", file=sys.stderr)
        return 2
    stale = not there.is_file() or there.read_bytes() != made.encode()
    if given.check:
        if stale:
            print("Stale: docs/runs/index.md; run `python docs/runs/write.py`.", file=sys.stderr)
        return int(stale)
    there.write_text(made, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
