"""The settings of diffusers' `UNet2DModel` and `DDPMScheduler` as settings here, and the other way.

A setting that would make it another network or another process than is written here is refused by name, and
so is one that is not known, unless it is off.
"""

import json
from collections.abc import Mapping, Set
from pathlib import Path
from typing import Any

from torch import nn

from ddpm_ref.presets import Config, typed
from ddpm_ref.process import Prediction, Variance
from ddpm_ref.unet import EPS, UNet, UNetConfig

# What the network here is, where UNet2DModel leaves a choice, and what it takes where a file is silent.
NETWORK: Mapping[str, tuple[Any, Any]] = {
    "act_fn": ("silu", "silu"),
    "add_attention": (True, True),
    "attention_head_dim": (None, 8),  # None: a single head
    "attn_norm_num_groups": (None, None),
    "center_input_sample": (False, False),
    "class_embed_type": (None, None),
    "downsample_padding": (0, 1),  # 0: below and right only
    "downsample_type": ("conv", "conv"),
    "flip_sin_to_cos": (False, True),
    "freq_shift": (1, 0),  # 1: the divisor of the frequencies is half − 1
    "mid_block_scale_factor": (1, 1),
    "mid_block_type": ("UNetMidBlock2D", "UNetMidBlock2D"),
    "norm_eps": (EPS, 1e-5),
    "num_class_embeds": (None, None),
    "num_train_timesteps": (None, None),
    "resnet_time_scale_shift": ("default", "default"),
    "time_embedding_dim": (None, None),
    "time_embedding_type": ("positional", "positional"),
    "upsample_type": ("conv", "conv"),
}
SIZES = {
    "block_out_channels", "down_block_types", "dropout", "in_channels", "layers_per_block", "norm_num_groups",
    "out_channels", "sample_size", "up_block_types",
}  # fmt: skip
# The same for DDPMScheduler. Where steps are skipped, which ones is chosen when sampling.
PROCESS: Mapping[str, tuple[Any, Any]] = {
    "_class_name": ("DDPMScheduler", "DDPMScheduler"),
    "clip_sample_range": (1.0, 1.0),
    "rescale_betas_zero_snr": (False, False),
    "thresholding": (False, False),
    "trained_betas": (None, None),
}
CHOICES = {
    "beta_end", "beta_schedule", "beta_start", "clip_sample", "dynamic_thresholding_ratio",
    "num_train_timesteps", "prediction_type", "sample_max_value", "steps_offset", "timestep_spacing",
    "variance_type",
}  # fmt: skip
PREDICTIONS: Mapping[str, Prediction] = {"epsilon": "eps", "sample": "x0", "v_prediction": "v"}
VARIANCES: Mapping[str, Variance] = {
    "fixed_small": "fixed_small",
    "fixed_small_log": "fixed_small",
    "fixed_large": "fixed_large",
    "learned_range": "learned",
}
THERE = {  # what a setting here is called in a file
    "T": "num_train_timesteps",
    "beta": "beta_start and beta_end",
    "clip": "clip_sample",
    "channels": "in_channels",
    "groups": "norm_num_groups",
    "image_size": "sample_size",
    "multipliers": "block_out_channels",
    "res_blocks": "layers_per_block",
    "width": "block_out_channels[0]",
}
BETAS = {"linear": "linear", "squaredcos_cap_v2": "cosine"}


def config_here(network: Path, process: Path) -> Config:
    """Read `config.json` of a network and `scheduler_config.json` as one configuration.

    Raises:
        ValueError: if a file is missing, or a setting is not what is written here; it names both.
    """
    try:
        unet = _unet_config(network)
    except (TypeError, ZeroDivisionError) as error:
        raise ValueError(f"{network} must have values of the right types; {error}") from error
    values = _read_json(process)
    _check(process, values, PROCESS, CHOICES)
    variance = _choose(process, "variance_type", values.get("variance_type", "fixed_small"), VARIANCES)
    if unet.learned_variance != (variance == "learned"):
        raise ValueError(
            f"out_channels must be twice in_channels where variance_type is learned_range, and only there; "
            f"{process} has {values.get('variance_type')}"
        )
    given = {
        "preset": "imported",
        "source": "unknown",
        "T": values.get("num_train_timesteps", 1000),
        "beta_schedule": _choose(process, "beta_schedule", values.get("beta_schedule", "linear"), BETAS),
        "beta": (values.get("beta_start", 1e-4), values.get("beta_end", 0.02)),
        "prediction": _choose(
            process, "prediction_type", values.get("prediction_type", "epsilon"), PREDICTIONS
        ),
        "loss": "hybrid" if variance == "learned" else "simple",
        "variance": variance,
        "clip": values.get("clip_sample", True),
        "unet": unet,
    }
    try:
        return Config(**typed(Config, given))
    except ValueError as error:
        raise ValueError(f"{process}: {_in_their_words(error)}") from error


def network_there(model: UNet) -> dict[str, Any]:
    """Describe a network as `UNet2DModel` does.

    Raises:
        ValueError: if its normalisations have different numbers of groups.
    """
    groups = {module.num_groups for module in model.modules() if isinstance(module, nn.GroupNorm)}
    if len(groups) != 1:
        raise ValueError(
            f"groups must be the same in every normalisation for diffusers; got {sorted(groups)}"
        )
    config = model.config
    attends = [resolution in config.attention_at for resolution in config.resolutions]
    return {
        "_class_name": "UNet2DModel",
        **{name: here for name, (here, _) in NETWORK.items()},
        "block_out_channels": [config.width * multiplier for multiplier in config.multipliers],
        "down_block_types": ["AttnDownBlock2D" if attend else "DownBlock2D" for attend in attends],
        "dropout": config.dropout,
        "in_channels": config.channels,
        "layers_per_block": config.res_blocks,
        "norm_num_groups": groups.pop(),
        "out_channels": config.out_channels,
        "sample_size": config.image_size,
        "up_block_types": ["AttnUpBlock2D" if attend else "UpBlock2D" for attend in reversed(attends)],
    }


def process_there(config: Config) -> dict[str, Any]:
    """Describe the schedule, the prediction and the variance as `DDPMScheduler` does.

    Raises:
        ValueError: if the network predicts μ̃.
    """
    predictions = {here: there for there, here in PREDICTIONS.items()}
    if config.prediction not in predictions:
        raise ValueError(
            f"prediction must be one of {', '.join(predictions)} for diffusers; got {config.prediction}"
        )
    return {
        **{name: here for name, (here, _) in PROCESS.items()},
        "beta_end": config.beta[1],
        "beta_schedule": {here: there for there, here in BETAS.items()}[config.beta_schedule],
        "beta_start": config.beta[0],
        "clip_sample": config.clip,
        "num_train_timesteps": config.T,
        "prediction_type": predictions[config.prediction],
        "variance_type": "learned_range" if config.variance == "learned" else config.variance,
    }


def _unet_config(path: Path) -> UNetConfig:
    values = _read_json(path)
    _check(path, values, NETWORK, SIZES)
    if missing := sorted(SIZES - {"dropout", "norm_num_groups"} - values.keys()):
        raise ValueError(f"{missing[0]} must be given; {path} does not")
    down, up = list(values["down_block_types"]), list(values["up_block_types"])
    kinds = {"DownBlock2D": False, "AttnDownBlock2D": True}
    attends = [_choose(path, "down_block_types", kind, kinds) for kind in down]
    mirrored = ["AttnUpBlock2D" if attend else "UpBlock2D" for attend in reversed(attends)]
    if up != mirrored:
        raise ValueError(f"up_block_types must mirror down_block_types, {mirrored}; {path} has {up}")
    widths, size, channels = values["block_out_channels"], values["sample_size"], values["in_channels"]
    if not isinstance(size, int):
        raise ValueError(f"sample_size must be one integer, since attention depends on it; {path} has {size}")
    if len(widths) != len(down) or any(width % widths[0] for width in widths):
        raise ValueError(
            f"block_out_channels must be multiples of the first, one for each block; {path} has {widths}"
        )
    if values["out_channels"] not in (channels, 2 * channels):
        given = values["out_channels"]
        raise ValueError(f"out_channels must be in_channels = {channels} or twice that; {path} has {given}")
    given = {
        "image_size": size,
        "channels": channels,
        "width": widths[0],
        "multipliers": tuple(width // widths[0] for width in widths),
        "attention_at": tuple(size // 2**level for level, attend in enumerate(attends) if attend),
        "res_blocks": values["layers_per_block"],
        "dropout": values.get("dropout", 0.0),
        "learned_variance": values["out_channels"] != channels,
        "groups": values.get("norm_num_groups", 32),
    }
    try:
        return UNetConfig(**typed(UNetConfig, given))
    except ValueError as error:
        raise ValueError(f"{path}: {_in_their_words(error)}") from error


def _read_json(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise ValueError(f"folder must be one that diffusers writes; {path} does not exist")
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (RecursionError, ValueError) as error:
        raise ValueError(f"{path} must be JSON; {error}") from error
    if not isinstance(values, dict):
        raise ValueError(f"{path} must hold an object; got {type(values).__name__}")
    return values


def _check(
    path: Path, values: Mapping[str, Any], fixed: Mapping[str, tuple[Any, Any]], free: Set[str]
) -> None:
    """Refuse a setting that is not what is written here, and one that is not known."""
    for name, (here, default) in fixed.items():
        if (given := values.get(name, default)) != here:
            silent = "" if name in values else ", which diffusers takes where the file is silent"
            raise ValueError(f"{name} must be {json.dumps(here)}; {path} has {json.dumps(given)}{silent}")
    unknown = [name for name in values if not name.startswith("_") and name not in fixed.keys() | free]
    if chosen := [name for name in unknown if values[name] not in (None, False)]:
        raise ValueError(f"{chosen[0]} is a setting that is not known here; {path} has {values[chosen[0]]!r}")


def _in_their_words(error: ValueError) -> str:
    """Name the setting as the file does."""
    name, must, rest = str(error).partition(" must ")
    name = name.removeprefix("each of ")
    return f"{THERE.get(name, name)}{must}{rest}"


def _choose(path: Path, name: str, given: Any, choices: Mapping[str, Any]) -> Any:
    if not isinstance(given, str) or given not in choices:
        raise ValueError(f"{name} must be one of {', '.join(choices)}; {path} has {json.dumps(given)}")
    return choices[given]
