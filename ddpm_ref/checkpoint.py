"""What a run leaves on disk: tensors as safetensors with a checksum, everything else as JSON. No pickle.

A file is written beside its place, flushed to the disk and then moved there, so that whatever ends the
process leaves the old file or the new one. Every file of tensors carries a SHA-256 of its contents, and the
configuration of its run.
"""

import hashlib
import json
import math
import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from ddpm_ref.presets import Config
from ddpm_ref.unet import UNet

# A run may go on with others of these: the state after an update does not depend on them.
FREE = frozenset({"steps", "checkpoint_every", "keep", "sample_every", "samples"})
# A checkpoint is five times as large as its network, and holds states of generators and an order besides.
TIMES, BESIDES = 8, 2**28
FLOATS = frozenset({torch.float16, torch.bfloat16, torch.float32, torch.float64})

State = tuple[dict[str, Tensor], dict[str, Any]]  # tensors, and facts about them


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file, whole or not at all, and durably.

    Raises:
        OSError: if it cannot be written; nothing is left of it.
    """
    part = path.with_name(path.name + ".part")
    try:
        part.unlink(missing_ok=True)  # left by a process that was killed; a link is not followed
        with part.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    except OSError as error:  # such as a full disk: give back what there is
        with suppress(OSError):
            part.unlink(missing_ok=True)
        error.filename = str(path)
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


def read_tensors(path: Path, most: int | None = None) -> State:
    """Read what `write_tensors` wrote.

    Args:
        path: of the file.
        most: bytes that it may have, where that is known.

    Raises:
        ValueError: if the file is missing, too large, a pickle, no safetensors file, truncated or altered.
    """
    try:
        refuse_pickle(path)
        if most is not None and (size := path.stat().st_size) > most:
            raise ValueError(f"weights must fit the model, at most {most} bytes; {path} has {size}")
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
    try:
        facts = json.loads(head["facts"])
    except (ValueError, RecursionError):
        facts = None
    if not isinstance(facts, dict):
        raise ValueError(f"weights must come with facts, as ddpm_ref writes them; {path} has others")
    return tensors, facts


def _head(file: Any) -> dict[str, str] | None:
    """Read the facts, as text, and the checksum of an opened file; None where it is not one of ours."""
    try:
        head = json.loads(file.metadata()["ddpm_ref"])
        found = {name: head[name] for name in ("facts", "sha256")}
    except (KeyError, TypeError, ValueError, RecursionError):
        return None
    return found if all(isinstance(text, str) for text in found.values()) else None


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
    """Refuse tensors that are not those of a model, or that no training leaves.

    Raises:
        ValueError: if a name is missing or unknown, a shape differs, or values are not finite or not in
            floating point; it names the first, in the model's order.
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
    if odd := [name for name in expected if tensors[name].dtype not in FLOATS]:
        raise ValueError(f"weights must be floating point; {path} has {tensors[odd[0]].dtype} in {odd[0]}")
    if bad := [name for name in expected if not bool(tensors[name].isfinite().all())]:
        raise ValueError(f"weights must be finite; {path} has NaN or infinity in {bad[0]}")


def check_run(path: Path, facts: Mapping[str, Any], config: Config) -> None:
    """Refuse what another run left, which is one with another configuration.

    Raises:
        ValueError: if a setting differs that the state after an update depends on; it names the first.
    """
    if not isinstance(facts.get("config"), dict):
        raise ValueError(f"weights must say which run they are of; {path} does not")
    theirs, ours = _settings(facts["config"]), _settings(json.loads(json.dumps(config.to_dict())))
    for name in (*ours, *(name for name in theirs if name not in ours)):
        if name not in FREE and (got := theirs.get(name)) != (had := ours.get(name)):
            raise ValueError(
                f"weights must be of the run that config.json describes; {path} is of another, whose {name} "
                f"is {got!r} and not {had!r}"
            )


def _settings(config: Mapping[str, Any]) -> dict[str, Any]:
    """List all settings, those of the network as `unet.width`."""
    network = config.get("unet")
    inner = {f"unet.{name}": value for name, value in network.items()} if isinstance(network, dict) else {}
    return {**config, "unet": None, **inner}


def write_weights(path: Path, model: nn.Module, step: int, **facts: Any) -> None:
    """Write the weights of a model and the number of updates they have had, whole or not at all.

    Args:
        path: of the file.
        model: whose they are.
        step: updates.
        facts: what else to say of them. In a run: `config`, and `average`, whether they are averaged.
    """
    write_tensors(path, model.state_dict(), {**facts, "step": step})


def read_weights(path: Path, model: nn.Module, prefix: str = "") -> int:
    """Load weights into a model of the same structure and return the number of updates they have had.

    Args:
        path: what `write_weights` wrote, or a checkpoint.
        model: where they go.
        prefix: of the tensors' names in the file; in a checkpoint, `model.` or `ema.`.

    Raises:
        ValueError: if `read_tensors` would, names and shapes are not the model's, or a value is not finite.
    """
    weights, facts = _weights(path, model, prefix)
    model.load_state_dict(weights)
    return int(facts["step"])


def _weights(path: Path, model: nn.Module, prefix: str) -> State:
    """Read weights that fit a model, which may be on the device `meta`."""
    expected = model.state_dict()
    tensors, facts = read_tensors(path, room(expected))
    if type(step := facts.get("step")) is not int or step < 0:
        raise ValueError(f"weights must say how many updates they have had; {path} does not")
    weights = {name.removeprefix(prefix): t for name, t in tensors.items() if name.startswith(prefix)}
    check_fit(path, weights, expected)
    return weights, facts


def room(weights: Mapping[str, Tensor]) -> int:
    """Give the size in bytes that no checkpoint of a network exceeds."""
    return TIMES * sum(tensor.nbytes for tensor in weights.values()) + BESIDES


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
            if (step := _step_in_name(path)) is not None and path.is_file():
                found.append(Saved(path, step))
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

    def read(
        self, path: Path, check: Callable[[Path, State], None] = lambda *_: None, most: int | None = None
    ) -> State:
        """Read one; where it will not do, say which one before it does.

        Args:
            path: of the checkpoint.
            check: raises `ValueError` where one is not of the run.
            most: bytes that one may have.

        Raises:
            ValueError: if it cannot be read, or has the name of another step, or `check` does.
        """
        try:
            return self._read(path, check, most)
        except ValueError as error:
            for saved in self:
                if saved.path.name < path.name and self._will_do(saved.path, check, most):
                    raise ValueError(f"{error}. The one before is intact: --resume {saved.path}") from error
            raise ValueError(f"{error}. No checkpoint before it is intact") from error

    def _read(self, path: Path, check: Callable[[Path, State], None], most: int | None) -> State:
        state = read_tensors(path, most)
        if (named := _step_in_name(path)) not in (None, step := state[1].get("step")):
            raise ValueError(f"a checkpoint must hold the step of its name, {named}; {path} holds {step!r}")
        check(path, state)
        return state

    def _will_do(self, path: Path, check: Callable[[Path, State], None], most: int | None) -> bool:
        try:
            self._read(path, check, most)
        except ValueError:
            return False
        return True

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
    except (OSError, SafetensorError, KeyError, TypeError, ValueError, RecursionError):
        return math.inf


def _step_in_name(path: Path) -> int | None:
    match = re.fullmatch(r"step-(\d+)", path.stem)
    return int(match[1]) if match else None


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
    except (OSError, AttributeError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"run must be a folder written by ddpm_ref.train; {path}: {error}") from error


def read_run(folder: Path, device: torch.device | str = "cpu") -> tuple[Config, UNet, int]:
    """Load the configuration and the averaged weights of a run, ready to sample, and the number of updates.

    The weights are those of the end of the run; while it lasts, those of its latest checkpoint. What says of
    which run it is must be of this one.

    Raises:
        ValueError: if the folder is not one that `python -m ddpm_ref.train` wrote, or has no weights yet, or
            those of something else.
    """
    config = read_config(folder)
    path, prefix = folder / "ema.safetensors", ""
    if not path.exists() and (latest := Checkpoints(folder).latest):
        path, prefix = latest.path, "ema."
    with torch.device("meta"):  # takes no memory: the configuration may ask for more than there is
        shape = UNet(config.unet)
    weights, facts = _weights(path, shape, prefix)
    if "config" in facts or prefix:  # weights that were not trained here do not say
        check_run(path, facts, config)
    if not facts.get("average", True):
        raise ValueError(f"weights must be the averaged ones; {path} has those of the last update")
    model = UNet(config.unet)
    model.load_state_dict(weights)
    return config, model.to(device).eval(), int(facts["step"])
