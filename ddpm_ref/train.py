"""Train, sample and score a model: `python -m ddpm_ref.train`."""

import argparse
import json
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import get_args

import torch

from ddpm_ref import distributed, pictures
from ddpm_ref.arguments import Parser, fail, integer, path, positive, probability
from ddpm_ref.checkpoint import find_checkpoint, read_config, write_json
from ddpm_ref.cli import DEVICES, Progress, check_folder, choose_device, hold
from ddpm_ref.data import SOURCES, check_images
from ddpm_ref.distributed import Sharded
from ddpm_ref.measuring import Measuring, Options
from ddpm_ref.network import for_sampling
from ddpm_ref.presets import LAWS, PRESETS, BetaSchedule, Loss, resolve
from ddpm_ref.process import Prediction, Variance
from ddpm_ref.quality import check_number, judge, usual_width
from ddpm_ref.report import truth_table, words
from ddpm_ref.run import Keeper, Run, default_folder, files
from ddpm_ref.sample import draw
from ddpm_ref.watch import Signals, summary_writer

GRID = 100  # samples in samples.png
TRUTH_IMAGES = 250  # held-out images that the gap to a known truth is measured on


def train(run: Run) -> int:
    """Train, sample and score, writing everything into the run's folder.

    Returns:
        The exit code: 0; 1 where the loss was not finite, the disk full or another process gone; 130 or 143
        where it was interrupted or terminated; 2 where the folder's checkpoint does not fit. Once training
        has begun the folder holds a state to go on from, or says that there is none yet.
    """
    try:
        distributed.join(run.device)
        keeper = Keeper(run)
    except ValueError as error:
        return fail("train", error)
    except OSError as error:
        return fail("train", error, 1)
    config, out, first = run.config, run.out, distributed.rank() == 0
    parameters = sum(p.numel() for p in keeper.trainer.model.parameters())
    if first:
        print(_opening(run, parameters, keeper.trainer.step), flush=True)
    stage = "training"
    try:
        with keeper:
            code = _updates(keeper)
            keeper.weights()
        if code:
            keeper.trainer.part()
            distributed.leave()
            if first:
                print(f"Stopped. {keeper.kept()}", file=sys.stderr)
            return code

        stage, began = "sampling", time.monotonic()
        generator = torch.Generator(run.device).manual_seed(config.seed)
        samples = None
        if config.samples:
            model = for_sampling(keeper.trainer.ema.eval(), config, run.device, compile=config.compile)
            samples, _ = draw(Sharded(model), config, config.samples, generator)
        keeper.trainer.part()
        distributed.leave()
        if not first:
            return 0
        if samples is not None:
            columns = round(min(GRID, len(samples)) ** 0.5)
            pictures.save(pictures.grid(samples[:GRID], columns), out / "samples.png")

        stage, sampled = "scoring", time.monotonic()
        # Where the law of the data is known, the model is held to that, and not to its samples.
        quality = truth = None
        if config.law() is not None:
            options = Options(n=0, images=TRUTH_IMAGES, seed=config.seed)
            measuring = Measuring(config, keeper.trainer.ema.eval(), options, run.device)
            truth = measuring.truth(measuring.bound("held out"))
        elif samples is not None:
            quality = judge(samples, run.split, clip=True)
        seconds = {
            "training": keeper.trainer.seconds,
            "sampling": sampled - began,
            "scoring": time.monotonic() - sampled,
        }
        report = {
            "steps": config.steps,
            "parameters": parameters,
            "seconds": seconds,
            "loss": keeper.recent_loss(),
        }
        scores = {
            "quality": None if quality is None else quality.to_dict(),
            "truth": None if truth is None else truth._asdict(),
        }
        write_json(out / "report.json", report | scores)
    except KeyboardInterrupt:
        if first:
            print(f"\nInterrupted while {stage}. {keeper.kept()}", file=sys.stderr)
        return 130
    except FloatingPointError as error:
        return fail("train", FloatingPointError(f"{error}. {keeper.kept()}"), 1)
    except OSError as error:
        why = error.strerror or error
        return fail("train", OSError(f"{out} cannot be written to: {why}. {keeper.kept()}"), 1)
    except RuntimeError as error:
        return distributed.gone("train", error, f". {keeper.kept()}")

    if quality is not None:
        print(f"\n{words(quality)}")
    if truth is not None:
        print(f"\n{truth_table(truth)}")
    print(f"\n{files(run)}")
    if samples is not None and (untrained := config.ema_decay ** (config.steps - 1)) > 0.05:
        print(
            f"The samples come from averaged weights, and {untrained:.0%} of that average is still\n"
            "the weights after the first update: with so few steps they say little."
        )
    return 0


def _opening(run: Run, parameters: int, step: int) -> str:
    config = run.config
    size = f"{config.unet.image_size}×{config.unet.image_size}"
    compiled = config.on(run.device).compile
    begins, ends = "Training", f"{config.steps} steps"
    if step:
        begins, ends = f"From step {step}: training", f"to step {config.steps}"
    return (
        f"{begins} on {len(run.split.train.images)} images of {size}; {parameters:,} parameters,\n"
        f"{ends} of {config.batch_size} images, T = {config.T}, on {run.device.type}, into {run.out}.\n"
        f"Ctrl-C stops and keeps what there is.{' First the network is compiled.' if compiled else ''}"
    )


def _updates(keeper: Keeper) -> int:
    """Train to the end, or until a signal; return 0 or the signal's exit code.

    Raises:
        FloatingPointError: if a loss is not finite, once the state before it is kept.
    """
    trainer, steps = keeper.trainer, keeper.run.config.steps
    loss = rate = 0.0
    begun = trainer.step

    def request() -> None:
        trainer.stop = True

    with Signals(request) as signals, Progress("training", steps, begun) as bar:
        try:
            for update in trainer.updates():
                keeper.update(update)
                keep = min(0.98, 1 - 1 / (update.step - begun))
                loss += (1 - keep) * (update.loss - loss)
                rate += (1 - keep) * (update.images_per_second - rate)
                bar.advance(f"loss {loss:.4f}, {rate:.0f} images/s")
        except FloatingPointError:
            keeper.checkpoint()
            keeper.weights()
            raise
        if trainer.step < steps:
            keeper.checkpoint()
            return signals.code or 143  # where it was another process that had the signal
    return 0


def arguments_parser() -> Parser:
    """Build the parser of the command line."""
    parser = Parser(
        prog="python -m ddpm_ref.train",
        description="Train a DDPM, sample from it and say how good the samples are. What is not given is the "
        "preset's.",
    )

    def switch(name: str, what: str) -> None:
        parser.add_argument(name, action=argparse.BooleanOptionalAction, default=None, help=what)

    add = parser.add_argument
    add("--preset", default=None, help=f"{', '.join(PRESETS)} (default: digits)")
    add("--data", dest="source", metavar="SOURCE", help=f"{', '.join([*SOURCES, *LAWS])}")
    switch("--flips", "mirror half of the training images")
    add("--steps", type=integer(1), help="updates")
    add("--batch-size", type=integer(1), help="images per update, over all processes")
    add("--lr", type=positive, help="learning rate")
    add("--warmup", type=integer(0), help="updates until the learning rate is reached")
    add("--ema-decay", type=probability, help="decay of the average of the weights")
    add("--seed", type=integer(0), help="of everything random")
    add("--schedule", dest="beta_schedule", choices=get_args(BetaSchedule), help="how β rises")
    add("--prediction", choices=get_args(Prediction), help="what the network predicts")
    add("--loss", choices=get_args(Loss), help="what training minimises")
    add("--variance", choices=get_args(Variance), help="of the reverse steps")
    switch("--clip", "clip the predicted clean image while sampling")
    add("--dropout", type=probability, help="probability in the residual blocks")
    add("--samples", type=integer(0), help="how many to draw and score at the end; 0 for none")
    switch("--amp", "compute the network in bfloat16 (default: on CUDA)")
    switch("--channels-last", "keep channels together in memory (default: where it is faster)")
    switch("--compile", "use torch.compile (default: on CUDA)")
    add("--accumulate", type=integer(1), help="parts that a batch is cut into, to fit in memory")
    add("--checkpoint-every", type=integer(1), help="updates between checkpoints")
    add("--keep", type=integer(1), help="latest checkpoints to keep, beside the best")
    add("--sample-every", type=integer(0), help="updates between grids of samples; 0 for none")
    add("--tensorboard", action="store_true", help="also write for TensorBoard, into the run's folder")
    add("--out", type=path, help="new or empty folder (default: runs/PRESET-SEED)")
    add("--resume", type=path, help="go on with the run in this folder, or from one of its checkpoints")
    add("--device", default="auto", help=f"{', '.join(DEVICES)} (default: auto)")
    add("--dry-run", action="store_true", help="print the configuration, write nothing")
    return parser


def plan(arguments: Sequence[str] | None, held: ExitStack) -> tuple[Run, bool]:
    """Turn the command line into what is to be done, and whether it is only to be shown.

    Args:
        arguments: of the command.
        held: keeps the run's folder from other processes until it is closed.

    Raises:
        ValueError: if an argument, the data, the folder or the checkpoint will not do.
    """
    parser = arguments_parser()
    settings = vars(parser.parse_args(arguments))
    resume, show, out, preset = (settings.pop(name) for name in ("resume", "dry_run", "out", "preset"))
    tensorboard, device = settings.pop("tensorboard"), choose_device(settings.pop("device"))
    if tensorboard:
        summary_writer()
    settings = {name: value for name, value in settings.items() if value is not None}
    start = None
    if resume is None:
        config = resolve(preset or "digits", **settings)
        out = out or default_folder(config)
        if distributed.rank() == 0:
            check_folder(out)
    else:
        if out or preset or settings.keys() - {"steps"}:
            raise ValueError("--resume must stand with --steps and --device only; the run has its settings")
        out, _ = find_checkpoint(resume)
        config = read_config(out)
        if distributed.rank() == 0 and not show:
            held.enter_context(hold(out, new=False))
        _, start = find_checkpoint(resume)  # now that no other process writes one
        steps = settings.get("steps", config.steps)
        if (out / "report.json").exists() and steps <= config.steps:
            raise ValueError(f"--steps must be more than the {config.steps} that {out} has done; got {steps}")
        config = replace(config, steps=steps)
    split = config.data()
    if config.law() is None:
        for part in split:
            check_images(part.images)
        if config.samples:  # known now rather than when the run is over
            check_number("samples", config.samples, *usual_width(split), split)
    command = [parser.prog, *(sys.argv[1:] if arguments is None else arguments)]
    device = distributed.local_device(device)
    if resume is None and distributed.rank() == 0 and not show:
        held.enter_context(hold(out, new=True))
    return Run(config, split, out, device, command, start, resume is not None, tensorboard), show


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    with ExitStack() as held:
        try:
            run, show = plan(arguments, held)
        except (ValueError, OSError) as error:
            return fail("train", error)
        if show:
            values = run.config.on(run.device).to_dict()
            print(json.dumps({"out": str(run.out), "device": run.device.type, **values}, indent=2))
            return 0
        return train(run)


if __name__ == "__main__":
    distributed.end(main())
