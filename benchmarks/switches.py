"""Measure what each switch for speed is worth: `python benchmarks/switches.py [--batch-size 16]`.

Each is measured with and without, by turns, in the paper's CIFAR-10 network: over a whole training step where
it concerns all of it, else over the part that it concerns.
"""

import os
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from contenders import awake, configuration, our_step
from record import keep
from speed import processor
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_avg_fn, get_ema_multi_avg_fn
from turns import Apart, Step, arguments, by_turns, ratio, spread

from ddpm_ref import unet
from ddpm_ref.arguments import Parser, new_file
from ddpm_ref.dropout import Dropout, draw_keys
from ddpm_ref.environment import environment
from ddpm_ref.network import for_sampling
from ddpm_ref.presets import PRESETS
from ddpm_ref.unet import UNet, Upsample, each_pixel

Pair = tuple[Step, Step]  # with the switch, and without


def network(device: torch.device) -> UNet:
    """Make the paper's network on a device."""
    return awake(UNet(PRESETS["cifar10"].unet)).to(device)


def there_and_back(function: Callable[[Tensor], Tensor], x: Tensor) -> Step:
    """Compute a part of the network forward and backward, on features of its own."""
    x = x.requires_grad_()

    def step(_: Tensor) -> None:
        y = function(x)
        torch.autograd.grad(y, x, torch.ones_like(y))

    return step


def features(batch_size: int, channels: int, size: int, device: torch.device) -> Tensor:
    """Draw features of the network, with channels together in memory."""
    x = torch.randn(batch_size, channels, size, size, device=device)
    return x.to(memory_format=torch.channels_last)


def whole_steps(batch_size: int, device: torch.device, compile: bool) -> dict[str, Pair]:
    """Take training steps with and without what concerns all of a step."""
    images = torch.rand(8 * batch_size, 3, 32, 32) * 2 - 1
    config = configuration(batch_size, False).on(device)
    plain = our_step(config, device, images)

    def other(**changes: Any) -> Step:
        return our_step(replace(config, **changes), device, images)

    pairs = {
        "channels_last": (plain, other(channels_last=False)),
        "bfloat16 autocast": (other(amp=True, channels_last=None), plain),
    }
    if config.compile:
        pairs["torch.compile"] = (plain, other(compile=False))
    elif compile:
        pairs["torch.compile"] = (other(compile=True), plain)
    if device.type == "cpu":
        threads = str(torch.get_num_threads())
        command = ["training", "ddpm_ref, float32", "--give-back"]
        command += ["--batch-size", str(batch_size), "--threads", threads]
        pairs["memory kept"] = (plain, Apart(command))
    return pairs


def updates(device: torch.device) -> dict[str, Pair]:
    """Update the weights and their average in one call, and one tensor after another."""
    model = network(device)
    for parameter in model.parameters():
        parameter.grad = torch.randn_like(parameter)

    def adam(fused: bool) -> Step:
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-6, fused=fused)
        return lambda _: optimizer.step()

    def average(**how: Any) -> Step:
        averaged = AveragedModel(model, **how)
        return lambda _: averaged.update_parameters(model)

    return {
        "fused Adam": (adam(True), adam(False)),
        "the average of all weights at once": (
            average(multi_avg_fn=get_ema_multi_avg_fn(0.9999)),  # type: ignore[no-untyped-call]
            average(avg_fn=get_ema_avg_fn(0.9999)),  # type: ignore[no-untyped-call]
        ),
    }


def parts(batch_size: int, device: torch.device) -> dict[str, Pair]:
    """Compute parts of the network as it does here, and as one would write them first."""
    wide, high = features(batch_size, 256, 16, device), features(batch_size, 128, 32, device)
    keys = draw_keys(batch_size, None, device)
    up, dense = Upsample(256).to(device), nn.Linear(256, 256).to(device)
    native = nn.Dropout(0.1)
    pairs = {
        "dropout by keys, not PyTorch's": (
            there_and_back(lambda x: Dropout(0.1)(x, keys), high), there_and_back(native, high)
        ),
        "dense layers as convolutions": (
            there_and_back(lambda x: each_pixel(x, dense), wide),
            there_and_back(lambda x: dense(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2), wide),
        ),
    }  # fmt: skip
    for dtype in (torch.float32, torch.bfloat16):
        tokens = wide.detach().flatten(2).mT.to(dtype)

        def fused(x: Tensor) -> Tensor:
            with mock.patch.object(unet, "EXPLICIT_PIXELS", 0):
                return unet.attend(x, x, x)

        def explicit(x: Tensor) -> Tensor:
            return torch.softmax(x @ x.mT * x.shape[2] ** -0.5, dim=-1) @ x

        ours, first = (explicit, fused) if device.type == "cpu" else (fused, explicit)
        kind = "written out" if device.type == "cpu" else "scaled_dot_product_attention"
        name = f"attention {kind}, {str(dtype).removeprefix('torch.')}"
        pairs[name] = (there_and_back(ours, tokens), there_and_back(first, tokens.clone()))
    if device.type == "cpu":
        conv = up.conv
        pairs["upsampling in one transposed convolution"] = (
            there_and_back(up, wide),
            there_and_back(lambda x: conv(nn.functional.interpolate(x, scale_factor=2.0)), wide),
        )
    return pairs


def sampling(batch_size: int, device: torch.device) -> dict[str, Pair]:
    """Call the network as samplers do."""
    config, t = PRESETS["cifar10"], torch.ones(batch_size, dtype=torch.long, device=device)

    def call(**how: Any) -> Step:
        model = for_sampling(network(device).eval(), config, device, **how)

        def step(x: Tensor) -> None:
            with torch.no_grad():
                model(x, t)

        return step

    plain = call()
    pairs = {"bfloat16, sampling": (call(amp=True), plain)}
    if device.type == "cuda":
        pairs["compiled, and its graph replayed, sampling"] = (plain, call(compile=False))
    return pairs


def main() -> int:
    """Measure every switch and write the numbers as JSON."""
    parser = Parser(description=__doc__)
    parser.add_argument("--compile", action="store_true", help="measure it on the CPU too, for minutes")
    parser.add_argument("--out", type=new_file, default=Path(__file__).with_suffix(".json"))
    given, device = arguments(parser)
    load, size = os.getloadavg()[0], given.batch_size
    x = torch.rand(size, 3, 32, 32, device=device) * 2 - 1
    pairs = (
        sampling(size, device)
        | parts(size, device)
        | updates(device)
        | whole_steps(size, device, given.compile)
    )
    rows: dict[str, Any] = {}
    for name, (on, off) in reversed(pairs.items()):
        times = by_turns({"with": on, "without": off}, x, given.rounds)
        rows[name] = {
            "with": spread(times["with"]),
            "without": spread(times["without"]),
            "times as fast": ratio(times["without"], times["with"]),
        }
        fast = rows[name]["times as fast"]
        print(
            f"{name:45} {fast['median']:.2f} ({fast['lower quartile']:.2f} to {fast['upper quartile']:.2f})"
        )
    results = {
        "switches": rows, "batch size": size, "rounds": given.rounds, "clock": "wall",
        "date": datetime.now(UTC).date().isoformat(), "load average before": round(load, 2),
        "processor": processor(),
        "environment": environment(device, ["benchmarks/switches.py", *sys.argv[1:]]),
    }  # fmt: skip
    keep(given.out, results)
    return 0


if __name__ == "__main__":
    sys.exit(main())
