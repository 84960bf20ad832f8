"""What a run leaves on disk: weights as safetensors, the configuration as JSON."""

import json
import os
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import nn

from ddpm_ref.presets import Config
from ddpm_ref.unet import UNet


def write_json(path: Path, value: Any) -> None:
    """Write a value as indented JSON, whole or not at all."""
    part = path.with_name(path.name + ".part")
    part.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")
    os.replace(part, path)


def write_weights(path: Path, model: nn.Module, step: int) -> None:
    """Write the weights of a model and the number of updates they have had, whole or not at all."""
    part = path.with_name(path.name + ".part")
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    part.write_bytes(save(tensors, metadata={"step": str(step)}))  # save_file would make it private
    os.replace(part, path)


def read_weights(path: Path, model: nn.Module) -> int:
    """Load weights into a model of the same structure and return the number of updates they have had.

    Raises:
        ValueError: if the file is missing, is not safetensors, or its names and shapes are not the model's.
    """
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
            step = int((file.metadata() or {})["step"])
    except FileNotFoundError:
        raise ValueError(f"weights must be a safetensors file; {path} does not exist") from None
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise ValueError(f"weights must be a safetensors file with a step; {path} is not: {error}") from error
    expected = {name: tensor.shape for name, tensor in model.state_dict().items()}
    different = [
        name
        for name in sorted(expected.keys() | tensors.keys())
        if name not in expected or name not in tensors or tensors[name].shape != expected[name]
    ]
    if different:
        raise ValueError(
            f"weights must fit the model; {path} differs in {len(different)} tensors, first {different[0]}"
        )
    model.load_state_dict(tensors)
    return step


def read_run(folder: Path, device: torch.device | str = "cpu") -> tuple[Config, UNet, int]:
    """Load the configuration and the averaged weights of a run, ready to sample, and the number of updates.

    Raises:
        ValueError: if the folder is not one that `python -m ddpm_ref.train` wrote.
    """
    path = folder / "config.json"
    if not path.is_file():
        raise ValueError(f"run must be a folder written by ddpm_ref.train; {folder} has no config.json")
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        config = Config.from_dict(values)
    except (OSError, AttributeError, TypeError, ValueError) as error:
        raise ValueError(f"run must be a folder written by ddpm_ref.train; {path}: {error}") from error
    model = UNet(config.unet)
    step = read_weights(folder / "ema.safetensors", model)
    return config, model.to(device).eval(), step
