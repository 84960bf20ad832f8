"""Weights and configurations in the layout of Hugging Face diffusers' `DDPMPipeline`, both ways.

`python -m ddpm_ref.interop.diffusers import FOLDER --out RUN` makes a run of, for example, a download of
`google/ddpm-cifar10-32`; `… export RUN --out FOLDER` makes of a run what `DDPMPipeline.from_pretrained`
reads. Neither needs diffusers. A setting there that would make it another network or another process than is
written here is refused by name.

Time there is 0..T−1. The network here takes the paper's t in 1..T and embeds t − 1 itself
([`time_embedding`][ddpm_ref.unet.time_embedding]), so weights need no change;
[`wrap`][ddpm_ref.interop.diffusers.wrap] does the same for a network that is diffusers' own.
"""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from ddpm_ref.arguments import Parser, fail, path
from ddpm_ref.checkpoint import (
    check_fit,
    read_run,
    refuse_pickle,
    write_bytes,
    write_json,
    write_weights,
)
from ddpm_ref.cli import make_folder
from ddpm_ref.interop.settings import config_here, network_there, process_there
from ddpm_ref.objective import Model
from ddpm_ref.presets import Config
from ddpm_ref.unet import UNet

WEIGHTS = "diffusion_pytorch_model.safetensors"
CONVERT = (
    'Where you trust it: python -c "from diffusers import UNet2DModel; '
    "UNet2DModel.from_pretrained('{folder}').save_pretrained('{folder}')\""
)

RENAMED = (  # parts of names: here, there, and there in files of 2022
    (".resample.conv.", ".downsamplers.0.conv.", None),
    (".resample.conv.", ".upsamplers.0.conv.", None),
    (".to_q.", ".to_q.", ".query."),
    (".to_k.", ".to_k.", ".key."),
    (".to_v.", ".to_v.", ".value."),
    (".to_out.", ".to_out.0.", ".proj_attn."),
)


def wrap(network: Callable[..., Any]) -> Model:
    """Make a model, which takes the paper's t in 1..T, of a live diffusers network, which takes t − 1."""

    def model(x_t: Tensor, t: Tensor) -> Tensor:
        prediction: Tensor = network(x_t, t - 1).sample
        return prediction

    return model


def read(folder: Path) -> tuple[Config, UNet]:
    """Read a pipeline's folder: `unet/` and `scheduler/` in it, or the files of both side by side.

    Args:
        folder: with `config.json` and `diffusion_pytorch_model.safetensors` of the network, and
            `scheduler_config.json`. Attention may have its names of today (`to_q`) or of 2022 (`query`).

    Returns:
        The configuration, whose `source` is `unknown`, and the network in evaluation mode, float32.

    Raises:
        ValueError: if a file is missing, the weights are a pickle or do not fit, or a setting is not what is
            written here; it names the file and the setting.
    """
    inner = folder / "unet" if (folder / "unet").is_dir() else folder
    beside = folder / "scheduler" if (folder / "scheduler").is_dir() else folder
    config = config_here(inner / "config.json", beside / "scheduler_config.json")
    path = inner / WEIGHTS
    if not path.is_file():
        if (inner / "diffusion_pytorch_model.bin").is_file():
            raise ValueError(
                f"weights must be safetensors; {inner} has only diffusion_pytorch_model.bin, a pickle, which "
                f"can run code when it is loaded. {CONVERT.format(folder=inner)}"
            )
        raise ValueError(f"weights must be in {WEIGHTS}; {inner} has no such file")
    refuse_pickle(path)
    try:
        tensors = {_name_here(name): tensor for name, tensor in load_file(path).items()}
    except SafetensorError as error:
        raise ValueError(f"weights must be a safetensors file; {path} is damaged or none: {error}") from error
    with torch.device("meta"):  # no memory for a network before there are weights of its size
        check_fit(path, tensors, UNet(config.unet).state_dict())
    model = UNet(config.unet)
    model.load_state_dict(tensors)
    return config, model.eval()


def write(folder: Path, config: Config, model: UNet) -> None:
    """Write what `DDPMPipeline.from_pretrained` reads, into a folder that exists.

    Raises:
        ValueError: if diffusers has no such network or process: a prediction of μ̃, or normalisations with
            different numbers of groups.
    """
    network, process = network_there(model), process_there(config)
    for name in ("unet", "scheduler"):
        (folder / name).mkdir(exist_ok=True)
    tensors = {_name_there(k): v.detach().cpu().contiguous() for k, v in model.state_dict().items()}
    write_bytes(folder / "unet" / WEIGHTS, save(tensors, metadata={"format": "pt"}))
    write_json(folder / "unet" / "config.json", network)
    write_json(folder / "scheduler" / "scheduler_config.json", process)
    parts = {"scheduler": ["diffusers", "DDPMScheduler"], "unet": ["diffusers", "UNet2DModel"]}
    write_json(folder / "model_index.json", {"_class_name": "DDPMPipeline", **parts})


def _name_here(name: str) -> str:
    for here, there, then in RENAMED:
        name = name.replace(there, here)
        if then is not None and ".attentions." in name:
            name = name.replace(then, here)
    return name


def _name_there(name: str) -> str:
    for here, there, _ in RENAMED:
        if there.startswith(".downsamplers") and not name.startswith("down_blocks"):
            continue
        name = name.replace(here, there)
    return name


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    parser = Parser(prog="python -m ddpm_ref.interop.diffusers", description=__doc__.partition("\n")[0])
    ways = parser.add_subparsers(dest="way", required=True)
    one = ways.add_parser("import", help="make a run of a pipeline's folder")
    one.add_argument(
        "folder", type=path, help="that diffusers wrote, or a download of google/ddpm-cifar10-32"
    )
    one.add_argument("--out", type=path, required=True, help="new or empty folder for the run")
    one.add_argument(
        "--source", help="the data that it was trained on, for ddpm_ref.evaluate: cifar10:FOLDER …"
    )
    other = ways.add_parser("export", help="make a folder for DDPMPipeline.from_pretrained of a run")
    other.add_argument("run", type=path, help="folder that ddpm_ref.train wrote")
    other.add_argument("--out", type=path, required=True, help="new or empty folder")
    try:
        given = parser.parse_args(arguments)
        if given.way == "import":
            config, model = read(given.folder)
            make_folder(given.out)
            values = config.to_dict() | ({"source": given.source} if given.source else {})
            write_json(given.out / "config.json", values)
            write_weights(given.out / "ema.safetensors", model, 0)
            print(f"{given.out} is a run. Sample from it:\n  python -m ddpm_ref.sample --run {given.out}")
        else:
            config, model, _ = read_run(given.run)
            network_there(model), process_there(config)  # before the folder is made
            make_folder(given.out)
            write(given.out, config, model)
            print(f"DDPMPipeline.from_pretrained({str(given.out)!r}) reads it.")
    except (ValueError, OSError) as error:
        return fail("interop.diffusers", error)
    return 0


if __name__ == "__main__":
    sys.exit(main())
