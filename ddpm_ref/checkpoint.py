"""What a run leaves on disk: tensors as safetensors with a checksum, everything else as JSON. No pickle.

A file is written beside its place, flushed to the disk and then moved there, so that whatever ends the
process leaves the old file or the new one. Every file of tensors carries a SHA-256 of its contents.
"""

import hashlib
import json
import math
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from ddpm_ref.presets import Config
from ddpm_ref.unet import UNet


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file, whole or not at all, and durably."""
    part = path.with_name(path.name + ".part")
    try:
        with part.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    except OSError:  # such as a full disk: give back what there is
        part.unlink(missing_ok=True)
        raise


def write_json(path: Path, value: Any) -> None:
    """Write a value as indented JSON, whole or not at all."""
    write_bytes(path, (json.dumps(value, indent=2) + "\n").encode())


def write_tensors(path: Path, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> None:
    """Write named tensors, and facts that JSON can hold, whole or not at all."""
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    text = json.dumps(facts, sort_keys=True)
    # One entry: safetensors writes several in any order. Its save_file would make the file private.
    head = {"ddpm_ref": json.dumps({"facts": text, "sha256": _digest(plain, text)})}
    write_bytes(path, save(plain, metadata=head))


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read what `write_tensors` wrote.

    Raises:
        ValueError: if the file is missing, a pickle, no safetensors file, truncated or altered.
    """
    try:
        refuse_pickle(path)
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
            head = _head(file)
    except FileNotFoundError:
        raise ValueError(f"weights must be a safetensors file; {path} does not exist") from None
    except (OSError, SafetensorError) as error:
        raise ValueError(f"weights must be a safetensors file; {path} is damaged or none: {error}") from error
    if head is None:
        raise ValueError(f"weights must have a checksum, as ddpm_ref writes them; {path} has none")
    if _digest(tensors, head["facts"]) != head["sha256"]:
        raise ValueError(f"weights must be as they were written; {path} is damaged: its checksum differs")
    facts: dict[str, Any] = json.loads(head["facts"])
    return tensors, facts


def _head(file: Any) -> dict[str, str] | None:
    """Read the facts, as text, and the checksum of an opened file; None where it is not one of ours."""
    try:
        head: dict[str, str] = json.loads(file.metadata()["ddpm_ref"])
        return {name: head[name] for name in ("facts", "sha256")}
    except (KeyError, TypeError, ValueError):
        return None


def refuse_pickle(path: Path) -> None:
    """Refuse a file in a format that runs code when it is loaded.

    Raises:
        ValueError: if it is a pickle, bare or in the archive that `torch.save` makes.
        OSError: if it cannot be read.
    """
    with path.open("rb") as file:
        head = file.read(9)
    if head[8:] != b"{" and (head.startswith((b"PK", b"\x80"))):
        raise ValueError(
            f"weights must be safetensors; {path} is a pickle, which can run code when it is loaded"
        )


def _digest(tensors: Mapping[str, Tensor], text: str) -> str:
    digest = hashlib.sha256(text.encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()


def check_fit(path: Path, tensors: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> None:
    """Refuse tensors that are not those of a model.

    Raises:
        ValueError: if a name is missing or unknown or a shape differs; it names the first, in the model's
            order.
    """
    names = [*expected, *(name for name in tensors if name not in expected)]
    shapes = [
        (name, *(tuple(side[name].shape) if name in side else None for side in (tensors, expected)))
        for name in names
    ]
    different = [row for row in shapes if row[1] != row[2]]
    if different:
        name, *shapes_of_it = different[0]
        there, here = ("absent" if shape is None else shape for shape in shapes_of_it)
        raise ValueError(
            f"weights must fit the model; {path} differs in {len(different)} tensors, first {name}: "
            f"{there} in the file, {here} in the model"
        )


def write_weights(path: Path, model: nn.Module, step: int) -> None:
    """Write the weights of a model and the number of updates they have had, whole or not at all."""
    write_tensors(path, model.state_dict(), {"step": step})


def read_weights(path: Path, model: nn.Module, prefix: str = "") -> int:
    """Load weights into a model of the same structure and return the number of updates they have had.

    Args:
        path: what `write_weights` wrote, or a checkpoint.
        model: where they go.
        prefix: of the tensors' names in the file; in a checkpoint, `model.` or `ema.`.

    Raises:
        ValueError: if `read_tensors` would, or if names and shapes are not the model's.
    """
    tensors, facts = read_tensors(path)
    if "step" not in facts:
        raise ValueError(f"weights must say how many updates they have had; {path} does not")
    weights = {name.removeprefix(prefix): t for name, t in tensors.items() if name.startswith(prefix)}
    check_fit(path, weights, model.state_dict())
    model.load_state_dict(weights)
    return int(facts["step"])


class Saved(NamedTuple):
    """A checkpoint on disk, unread."""

    path: Path
    step: int


class Checkpoints:
    """The checkpoints of a run: files `checkpoints/step-00000500.safetensors`.

    Attributes:
        folder: of the checkpoints.
        keep: how many of the latest to keep, beside the one with the least `held_out_loss`.
    """

    def __init__(self, run: Path, keep: int = 2) -> None:
        self.folder = run / "checkpoints"
        self.keep = keep

    def __iter__(self) -> Iterator[Saved]:
        """Go through the checkpoints, the latest first."""
        found = []
        for path in self.folder.glob("step-*.safetensors"):
            if match := re.fullmatch(r"step-(\d+)", path.stem):
                found.append(Saved(path, int(match[1])))
        return iter(sorted(found, key=lambda saved: -saved.step))

    @property
    def latest(self) -> Saved | None:
        """The last checkpoint, if there is any."""
        return next(iter(self), None)

    def best(self) -> Saved | None:
        """Find the checkpoint with the least `held_out_loss`, the later of two equal ones."""
        losses = {saved: _held_out_loss(saved.path) for saved in self}
        return min(losses, key=losses.__getitem__, default=None)

    def write(self, step: int, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> Path:
        """Write one, then remove those that are neither the best nor among the latest."""
        self.folder.mkdir(exist_ok=True)
        path = self.folder / f"step-{step:08}.safetensors"
        write_tensors(path, tensors, {**facts, "step": step})
        kept = [*list(self)[: self.keep], self.best()]
        for saved in self:
            if saved not in kept:
                saved.path.unlink()
        return path

    def read(self, path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Read one; where it is damaged, say which one before it is not.

        Raises:
            ValueError: if it cannot be read.
        """
        try:
            return read_tensors(path)
        except ValueError as error:
            for saved in self:
                if saved.path.name < path.name and _reads(saved.path):
                    raise ValueError(f"{error}. The one before is intact: --resume {saved.path}") from error
            raise ValueError(f"{error}. No checkpoint before it is intact") from error

    def set_aside(self, after: int) -> None:
        """Rename the checkpoints of later steps, which a run that goes on from `after` will write anew."""
        for saved in self:
            if saved.step > after:
                saved.path.rename(saved.path.with_suffix(".set-aside"))


def _held_out_loss(path: Path) -> float:
    """Read the loss from the head of a checkpoint; infinite where there is none or it is damaged."""
    try:
        with safe_open(path, framework="pt") as file:
            head = _head(file)
        loss = float(json.loads(head["facts"])["held_out_loss"]) if head else math.inf
        return loss if math.isfinite(loss) else math.inf
    except (OSError, SafetensorError, KeyError, ValueError):
        return math.inf


def _reads(path: Path) -> bool:
    try:
        read_tensors(path)
    except ValueError:
        return False
    return True


def find_checkpoint(given: Path) -> tuple[Path, Path | None]:
    """Find the run and the checkpoint that are meant by a run's folder or by one of its checkpoints.

    Returns:
        The run's folder, and its latest checkpoint or None if there is none yet; or the one that was given.

    Raises:
        ValueError: if it is neither.
    """
    if given.is_file():
        refuse_pickle(given)
        if given.parent.name != "checkpoints":
            raise ValueError(f"a checkpoint must lie in the folder RUN/checkpoints; got {given}")
        return given.parent.parent, given
    if given.suffix == ".safetensors":
        raise ValueError(f"a checkpoint must be there; {given} is not")
    latest = Checkpoints(given).latest
    return given, None if latest is None else latest.path


def read_config(folder: Path) -> Config:
    """Read the configuration of a run.

    Raises:
        ValueError: if the folder is not one that `python -m ddpm_ref.train` wrote.
    """
    path = folder / "config.json"
    if not path.is_file():
        raise ValueError(f"run must be a folder written by ddpm_ref.train; {folder} has no config.json")
    try:
        return Config.from_dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"run must be a folder written by ddpm_ref.train; {path}: {error}") from error


def read_run(folder: Path, device: torch.device | str = "cpu") -> tuple[Config, UNet, int]:
    """Load the configuration and the averaged weights of a run, ready to sample, and the number of updates.

    The weights are those of the end of the run; while it lasts, those of its latest checkpoint.

    Raises:
        ValueError: if the folder is not one that `python -m ddpm_ref.train` wrote, or has no weights yet.
    """
    config = read_config(folder)
    model = UNet(config.unet)
    path, prefix = folder / "ema.safetensors", ""
    if not path.exists() and (latest := Checkpoints(folder).latest):
        path, prefix = latest.path, "ema."
    step = read_weights(path, model, prefix)
    return config, model.to(device).eval(), step
