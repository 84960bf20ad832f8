"""Train, sample and score a model: `python -m ddpm_ref.train`."""

import json
import math
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from ddpm_ref import pictures
from ddpm_ref.checkpoint import write_json, write_weights
from ddpm_ref.cli import (
    DEVICES,
    Parser,
    Progress,
    check_folder,
    choose_device,
    fail,
    integer,
    make_folder,
    positive,
)
from ddpm_ref.data import Split, batches, check_images
from ddpm_ref.environment import environment
from ddpm_ref.metrics import evaluate
from ddpm_ref.objective import L_simple
from ddpm_ref.presets import PRESETS, Config, resolve
from ddpm_ref.report import words
from ddpm_ref.sample import draw
from ddpm_ref.unet import UNet

GRID = 100  # samples in samples.png


class Update(NamedTuple):
    """What one update tells: a line of `metrics.jsonl`."""

    step: int  # updates so far, this one included
    loss: float  # L_simple: mean squared error of ε per coordinate, before the update
    lr: float
    grad_norm: float  # global, before clipping
    images_per_second: float
    seconds: float  # since training began


class Trainer:
    """The network, the average of its weights, and the loop of Ho et al. 2020, algorithm 1.

    Attributes:
        model: the network.
        step: updates done.
    """

    def __init__(self, config: Config, images: Tensor, device: torch.device) -> None:
        self.config = config
        torch.manual_seed(config.seed)  # of the first weights and of dropout; all else has its own generator
        self.model = UNet(config.unet).to(device)
        average = get_ema_multi_avg_fn(config.ema_decay)  # type: ignore[no-untyped-call]
        self._average = AveragedModel(self.model, multi_avg_fn=average)
        self.step = 0
        self._images = images.to(device)

    @property
    def ema(self) -> UNet:
        """The network with the exponential average of the weights; the first update copies them."""
        network = self._average.module
        assert isinstance(network, UNet)
        return network

    def updates(self) -> Iterator[Update]:
        """Train, yielding after every update.

        Raises:
            FloatingPointError: if a loss or a gradient is not finite, before it reaches the weights.
        """
        config, device = self.config, self._images.device
        schedule = config.schedule()
        generator = torch.Generator(device).manual_seed(config.seed)
        stream = batches(self._images, config.batch_size, generator)
        optimizer = torch.optim.Adam(self.model.parameters(), lr=config.lr, fused=True)
        start = previous = time.monotonic()
        while self.step < config.steps:
            x_0 = next(stream)
            t = torch.randint(1, config.T + 1, (len(x_0),), generator=generator, device=device)
            noise = torch.randn(x_0.shape, generator=generator, device=device)
            loss = L_simple(self.model, schedule, x_0, t, noise).mean()
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            grad_norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), config.clip_norm)
            value, norm = loss.item(), grad_norm.item()
            if not math.isfinite(value) or not math.isfinite(norm):
                raise FloatingPointError(
                    f"loss and gradient must be finite; got {value} and {norm} at step {self.step + 1}"
                )
            lr = config.learning_rate(self.step)
            for group in optimizer.param_groups:
                group["lr"] = lr
            optimizer.step()
            self._average.update_parameters(self.model)
            self.step += 1
            now = time.monotonic()
            yield Update(self.step, value, lr, norm, len(x_0) / (now - previous), now - start)
            previous = now

    def write(self, out: Path, losses: Sequence[float]) -> None:
        """Write both sets of weights and the loss curve."""
        write_weights(out / "model.safetensors", self.model, self.step)
        write_weights(out / "ema.safetensors", self.ema, self.step)
        if losses:
            pictures.loss_curve(out / "loss.png", losses)


def train(config: Config, split: Split, out: Path, device: torch.device, command: Sequence[str]) -> int:
    """Train, sample and score, writing everything into a folder that exists and is empty.

    Returns:
        The exit code: 0, 1 where the loss was not finite, or 130 where it was interrupted. The folder then
        holds the weights after the last good update.
    """
    began = time.monotonic()
    write_json(out / "config.json", config.to_dict())
    write_json(out / "environment.json", environment(device, command))
    trainer = Trainer(config, split.train.images, device)
    parameters = sum(p.numel() for p in trainer.model.parameters())
    print(
        f"Training on {len(split.train.images)} images of {config.unet.image_size}×{config.unet.image_size}; "
        f"{parameters:,} parameters, {config.steps} steps of {config.batch_size} images,\n"
        f"T = {config.T}, on {device.type}, into {out}. Ctrl-C stops and keeps what there is.",
        flush=True,
    )

    losses: list[float] = []
    smooth_loss = smooth_rate = 0.0
    stage = "training"
    try:
        with (out / "metrics.jsonl").open("w", buffering=1) as log, Progress(stage, config.steps) as bar:
            for update in trainer.updates():
                losses.append(update.loss)
                log.write(json.dumps(update._asdict()) + "\n")
                keep = min(0.98, 1 - 1 / update.step)
                smooth_loss += (1 - keep) * (update.loss - smooth_loss)
                smooth_rate += (1 - keep) * (update.images_per_second - smooth_rate)
                bar.advance(f"loss {smooth_loss:.4f}, {smooth_rate:.0f} images/s")
        trainer.write(out, losses)
        trained = time.monotonic()

        stage = "sampling"
        generator = torch.Generator(device).manual_seed(config.seed)
        samples, _ = draw(trainer.ema.eval(), config, config.samples, generator)
        pictures.grid(samples[:GRID], columns=round(min(GRID, len(samples)) ** 0.5)).save(out / "samples.png")
        sampled = time.monotonic()

        stage = "scoring"
        evaluation = evaluate(samples, split)
    except KeyboardInterrupt:
        trainer.write(out, losses)
        print(
            f"\nInterrupted while {stage}. {out} keeps the weights of step {trainer.step} of {config.steps}.",
            file=sys.stderr,
        )
        return 130
    except FloatingPointError as error:
        trainer.write(out, losses)
        return fail(
            "train", FloatingPointError(f"{error}; {out} keeps the weights of step {trainer.step}"), 1
        )

    write_json(
        out / "report.json",
        {
            "steps": trainer.step,
            "parameters": parameters,
            "seconds": {
                "training": trained - began,
                "sampling": sampled - trained,
                "scoring": time.monotonic() - sampled,
            },
            "loss": smooth_loss,
            "evaluation": evaluation.to_dict(),
        },
    )
    print(f"\n{words(evaluation)}\n\n{files(out)}")
    if (untrained := config.ema_decay ** (config.steps - 1)) > 0.05:
        print(
            f"The samples come from averaged weights, and {untrained:.0%} of that average is still\n"
            "the weights after the first update: with so few steps they say little."
        )
    return 0


def files(out: Path) -> str:
    """List what a run leaves."""
    return "\n".join(
        [
            f"In {out}:",
            "  samples.png          some of the samples",
            "  loss.png             the loss of every update; numbers in metrics.jsonl",
            "  ema.safetensors      averaged weights, the ones to sample from",
            "  model.safetensors    weights after the last update",
            "  report.json          the numbers above",
            "  config.json, environment.json: what was run, and where",
            f"More samples, and an animation: python -m ddpm_ref.sample --run {out}",
        ]
    )


def default_folder(config: Config) -> Path:
    """Choose `runs/PRESET-SEED`, with -2, -3 … appended where that holds a run already."""
    first = Path("runs") / f"{config.preset}-{config.seed}"
    folder, k = first, 1
    while folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        k += 1
        folder = first.with_name(f"{first.name}-{k}")
    return folder


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    parser = Parser(
        prog="python -m ddpm_ref.train",
        description="Train a DDPM, sample from it and say how good the samples are.",
    )
    parser.add_argument("--preset", default="digits", help=f"{', '.join(PRESETS)} (default: digits)")
    parser.add_argument("--steps", type=integer(1), help="updates (default: the preset's)")
    parser.add_argument("--batch-size", type=integer(1), help="images per update (default: the preset's)")
    parser.add_argument("--lr", type=positive, help="learning rate (default: the preset's)")
    parser.add_argument("--seed", type=integer(0), help="of everything random (default: 0)")
    parser.add_argument("--out", type=Path, help="new or empty folder (default: runs/PRESET-SEED)")
    parser.add_argument("--device", default="auto", help=f"{', '.join(DEVICES)} (default: auto)")
    parser.add_argument("--dry-run", action="store_true", help="print the configuration, write nothing")
    try:
        given = parser.parse_args(arguments)
        config = resolve(
            given.preset, steps=given.steps, batch_size=given.batch_size, lr=given.lr, seed=given.seed
        )
        device = choose_device(given.device)
        out: Path = given.out or default_folder(config)
        check_folder(out)
        split = config.data()
        for part in split:
            check_images(part.images)
        if given.dry_run:
            print(json.dumps({"out": str(out), "device": device.type, **config.to_dict()}, indent=2))
            return 0
        make_folder(out)
    except (ValueError, OSError) as error:
        return fail("train", error)
    command = [parser.prog, *(sys.argv[1:] if arguments is None else arguments)]
    return train(config, split, out, device, command)


if __name__ == "__main__":
    sys.exit(main())
