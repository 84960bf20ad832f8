"""The folder of a run: what is written there while training lasts, and what is read back to go on."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, Self

import torch

from ddpm_ref import distributed, pictures
from ddpm_ref.checkpoint import Checkpoints, check_fit, write_json, write_weights
from ddpm_ref.cli import new_folder
from ddpm_ref.data import Split
from ddpm_ref.distributed import Sharded
from ddpm_ref.environment import environment
from ddpm_ref.presets import Config
from ddpm_ref.sample import reverse
from ddpm_ref.trainer import Trainer, Update
from ddpm_ref.watch import Board, Log

RECENT = 100  # updates whose mean loss is reported at the end
WATCHED = 36  # samples in a grid while training
ENDS = ("model.safetensors", "ema.safetensors", "loss.png", "samples.png", "report.json")


class Run(NamedTuple):
    """What is to be done, once all of it has been checked."""

    config: Config
    split: Split
    out: Path
    device: torch.device
    command: Sequence[str]
    start: Path | None = None  # the checkpoint to go on from
    resumed: bool = False  # whether the folder holds a run already, with or without a checkpoint
    tensorboard: bool = False


class Keeper:
    """Writes what a run leaves; of several processes only the first writes.

    Attributes:
        trainer: whose state it keeps.
        checkpoints: of the run.

    Raises:
        ValueError: if the checkpoint to go on from, or the log, is not whole or not this run's.
    """

    def __init__(self, run: Run) -> None:
        self.run = run
        self.trainer = Trainer(run.config, run.split.train.images, run.device)
        self.checkpoints = Checkpoints(run.out, run.config.keep)
        self._log: Log | None = None
        self._board: Board | None = None
        length = self._restore()
        if distributed.rank():
            return
        log = run.out / "metrics.jsonl"
        self._check_log(log, length)
        if run.tensorboard:
            self._board = Board(run.out / "tensorboard", self.trainer.step)
        if run.resumed:
            self.checkpoints.set_aside(self.trainer.step)
            for name in ENDS:
                (run.out / name).unlink(missing_ok=True)
        write_json(run.out / "config.json", self.trainer.config.to_dict())
        write_json(run.out / "environment.json", environment(run.device, run.command))
        self._log = Log(log, length)

    def _restore(self) -> int:
        """Load the checkpoint, if there is one, and return the length that the log had."""
        if self.run.start is None:
            return 0
        tensors, facts = self.checkpoints.read(self.run.start)
        weights = {name: t for name, t in tensors.items() if name.startswith("model.")}
        model = self.trainer.model.state_dict()
        check_fit(self.run.start, weights, {f"model.{name}": t for name, t in model.items()})
        self.trainer.load(tensors, facts)
        return int(facts["log_bytes"])

    def _check_log(self, path: Path, length: int) -> None:
        had = path.stat().st_size if path.exists() else 0
        if had < length:
            raise ValueError(f"run must be whole; {path} has {had} bytes, and had {length} at the checkpoint")

    def update(self, update: Update) -> None:
        """Log an update; write the checkpoint and the samples that are due. Every process must call it."""
        config, step = self.run.config, update.step
        if self._log is not None:
            self._log.write(update)
        if self._board is not None:
            self._board.scalars(**update._asdict())
        if config.sample_every and step % config.sample_every == 0:
            self.grid()
        if step % config.checkpoint_every == 0 or step == config.steps:
            self.checkpoint()

    def checkpoint(self) -> None:
        """Write a checkpoint. Every process must call it."""
        loss = self.trainer.held_out_loss(self.run.split.held_out.images)
        tensors, facts = self.trainer.state()
        if self._log is not None:
            facts |= {"held_out_loss": loss, "log_bytes": self._log.length()}
            self.checkpoints.write(self.trainer.step, tensors, facts)
        if self._board is not None:
            self._board.scalars(self.trainer.step, held_out_loss=loss)

    def grid(self) -> None:
        """Draw a few samples, from the same noise every time. Every process must call it."""
        config, step = self.trainer.config, self.trainer.step
        generator = torch.Generator(self.run.device).manual_seed(config.seed)
        *_, last = reverse(Sharded(self.trainer.ema.eval()), config, WATCHED, generator)
        if distributed.rank():
            return
        picture = pictures.grid(last.x, columns=round(WATCHED**0.5))
        (self.run.out / "grids").mkdir(exist_ok=True)
        picture.save(self.run.out / "grids" / f"step-{step:08}.png")
        if self._board is not None:
            self._board.picture(step, "samples", picture)

    def weights(self) -> None:
        """Write both sets of weights and the loss curve."""
        if self._log is None:
            return
        out, step = self.run.out, self.trainer.step
        write_weights(out / "model.safetensors", self.trainer.model, step)
        write_weights(out / "ema.safetensors", self.trainer.ema, step)
        if losses := self._log.losses():
            pictures.loss_curve(out / "loss.png", losses, *loss_name(self.run.config))

    def recent_loss(self) -> float:
        """Average the loss of the last updates, of the first process's log."""
        recent = self._log.losses()[-RECENT:] if self._log is not None else []
        return sum(recent) / max(1, len(recent))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._log is not None:
            self._log.close()
        if self._board is not None:
            self._board.close()

    def kept(self) -> str:
        """Say what there is to go on from."""
        if (latest := self.checkpoints.latest) is None:
            return f"{self.run.out} keeps no checkpoint yet."
        return (
            f"{self.run.out} keeps the state of step {latest.step} of {self.run.config.steps}; go on with: "
            f"python -m ddpm_ref.train --resume {self.run.out}"
        )


def loss_name(config: Config) -> tuple[str, float | None]:
    """Name what training minimises, and give the loss of a network that always answers 0, if it is known."""
    predicted = {"eps": "ε", "x0": "$x_0$", "mu": r"$\tilde\mu$", "v": "$v$"}[config.prediction]
    simple = f"$L_{{simple}}$: mean squared error of {predicted} (per pixel)"
    match config.loss:
        case "vlb":
            return "the bound without $L_T$, bits per dimension", None
        case "hybrid":
            return f"{simple}\nand 0.001 times the bound", None
    return simple, 1.0 if config.prediction == "eps" else None


def default_folder(config: Config) -> Path:
    """Choose `runs/PRESET-SEED`, with -2, -3 … appended where that holds a run already."""
    return new_folder(Path("runs") / f"{config.preset}-{config.seed}")


def files(run: Run) -> str:
    """List what a run leaves."""
    out, scored = run.out, run.config.samples > 0
    return "\n".join(
        [
            f"In {out}:",
            *(["  samples.png          some of the samples"] if scored else []),
            "  loss.png             the loss of every update; numbers in metrics.jsonl",
            "  ema.safetensors      averaged weights, the ones to sample from",
            "  model.safetensors    weights after the last update",
            "  checkpoints/         whole states, for --resume",
            f"  report.json          {'scores, ' if scored else ''}loss and times",
            "  config.json, environment.json: what was run, and where",
            f"More samples, and an animation: python -m ddpm_ref.sample --run {out}",
            f"Its bound and the rest: python -m ddpm_ref.evaluate --run {out}",
        ]
    )
