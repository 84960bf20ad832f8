"""The folder of a run: what is written there while training lasts, and what is read back to go on."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, Self

import torch

from ddpm_ref import distributed, pictures
from ddpm_ref.checkpoint import Checkpoints, State, check_run, room, write_json, write_weights
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
# These are written where they stand, so that a link would lead elsewhere; all else is moved to its place.
OWN = ("checkpoints", "grids", "metrics.jsonl", "tensorboard")
FACTS = {  # of a checkpoint
    "step": int,
    "seconds": float,
    "device": str,
    "images": int,
    "config": dict,
    "log_bytes": int,
    "log_sha256": str,
}


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
        self._path = run.out / "metrics.jsonl"
        length = self._restore()
        if distributed.rank():
            return
        for name in OWN:
            if (run.out / name).is_symlink():
                raise ValueError(
                    f"run must keep its files in its folder; {run.out / name} is a link to elsewhere"
                )
        if run.tensorboard:
            self._board = Board(run.out / "tensorboard", self.trainer.step)
        if run.resumed:
            self.checkpoints.set_aside(self.trainer.step)
            for name in ENDS:
                (run.out / name).unlink(missing_ok=True)
        write_json(run.out / "config.json", self.trainer.config.to_dict())
        write_json(run.out / "environment.json", environment(run.device, run.command))
        self._log = Log(self._path, length)

    def _restore(self) -> int:
        """Load the checkpoint, if there is one, and return the length that the log had."""
        if self.run.start is None:
            return 0
        tensors, facts = self.checkpoints.read(
            self.run.start, self._check, room(self.trainer.model.state_dict())
        )
        self.trainer.load(tensors, facts)
        return int(facts["log_bytes"])

    def _check(self, path: Path, state: State) -> None:
        """Refuse a checkpoint that is none of this run's, or whose part of the log is not there."""
        tensors, facts = state
        for name, kind in FACTS.items():
            got = facts.get(name)
            if type(got) is not kind or (isinstance(got, int | float) and not 0 <= got < math.inf):
                raise ValueError(f"a checkpoint must hold its {name}, {kind.__name__}; {path} has {got!r}")
        check_run(path, facts, self.trainer.config)
        self.trainer.check(path, tensors, facts)
        Log.check(self._path, facts["log_bytes"], facts["log_sha256"])

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
        if self._log is not None:
            tensors, facts = self.trainer.state()
            self.checkpoints.write(
                self.trainer.step, tensors, facts | {"held_out_loss": loss} | self._log.mark()
            )
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
        pictures.save(picture, self.run.out / "grids" / f"step-{step:08}.png")
        if self._board is not None:
            self._board.picture(step, "samples", picture)

    def weights(self) -> None:
        """Write both sets of weights and the loss curve."""
        if self._log is None:
            return
        out, step = self.run.out, self.trainer.step
        config = self.trainer.config.to_dict()
        write_weights(out / "model.safetensors", self.trainer.model, step, config=config, average=False)
        write_weights(out / "ema.safetensors", self.trainer.ema, step, config=config, average=True)
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
            f"{self.run.out} keeps the state of step {latest.step} of {self.run.config.steps}; go on with:\n"
            f"  python -m ddpm_ref.train --resume {self.run.out}"
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
