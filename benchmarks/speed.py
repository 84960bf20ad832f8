"""Measure training and sampling against diffusers, and where it is installed denoising-diffusion-pytorch.

`python benchmarks/speed.py [training sampling memory] [--batch-size 16] [--rounds 7] [--out FILE]`

The network is the paper's for CIFAR-10, with the same weights on both sides. All contenders run by turns, and
a ratio is taken within each round, so that other load on the machine falls on all of them alike. Peak memory
is that of a process of its own. The machine should be idle all the same; the load average stands beside the
numbers.
"""

import argparse
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from contenders import KINDS, SAMPLING_STEPS, lucidrains_network
from record import keep
from torch import nn
from torch.utils.flop_counter import FlopCounterMode
from turns import Apart, Step, arguments, by_turns, ratio, spread

from ddpm_ref.arguments import Parser, integer, new_file
from ddpm_ref.environment import environment
from ddpm_ref.presets import PRESETS
from ddpm_ref.unet import UNet

PAPER = (800_000, 128)  # updates, and images in each
PEAK = {"H200": 989e12, "H100": 989e12, "A100": 312e12, "L4": 121e12}  # dense bfloat16, as NVIDIA states it


def compare(times: Mapping[str, list[float]], images: int) -> dict[str, Any]:
    """Set every contender beside the first, round by round, and our sampler beside its calls."""
    first = next(iter(times))
    rows: dict[str, Any] = {
        name: {
            "seconds": spread(taken),
            "images per second": round(images / statistics.median(taken), 2),
            f"times as fast as {first}": ratio(times[first], taken),
        }
        for name, taken in times.items()
    }
    for how in ("float32", "bfloat16"):
        if f"bare calls, {how}" in times:
            rows[f"ddpm_ref, {how}"]["times the bare calls"] = ratio(
                times[f"ddpm_ref, {how}"], times[f"bare calls, {how}"]
            )
    return rows


def flops(model: nn.Module, device: torch.device) -> float:
    """Count the floating-point operations of a training step, for one image."""
    x, t = torch.zeros(1, 3, 32, 32, device=device), torch.ones(1, dtype=torch.long, device=device)
    with FlopCounterMode(display=False) as counter:
        model(x, t).square().mean().backward()
    return float(counter.get_total_flops())


def memory(batch_size: int, device: torch.device) -> dict[str, float]:
    """Measure the peak of each training step, in a process of its own."""
    peaks = {}
    names = [f"{who}, {how}" for how in ("float32", "bfloat16") for who in ("diffusers", "ddpm_ref")]
    for name in [*names, "ddpm_ref, float32, in 4 parts"]:
        command = [sys.executable, str(Path(__file__).with_name("contenders.py")), "training", name, "--peak"]
        command += ["--batch-size", str(batch_size), "--device", device.type]
        printed = subprocess.run(command, check=True, capture_output=True, text=True)
        peaks[name] = round(float(printed.stdout.split()[-1]) / 1e9, 3)
    return peaks


def contenders(kind: str, batch_size: int, device: torch.device, apart: bool) -> dict[str, Step]:
    """Set up all contenders of a kind.

    On the CPU our programs set for their process that it keeps the memory that tensors give back. So there
    others run in processes of their own, as they do by themselves; diffusers also here, with that set.
    """
    steps: dict[str, Step] = {}
    for name, setup in KINDS[kind](batch_size, device).items():
        if not apart or name.startswith(("ddpm_ref", "bare")) or "alone" in name:
            steps[name] = setup()
            continue
        threads = str(torch.get_num_threads())
        steps[name] = Apart([kind, name, "--batch-size", str(batch_size), "--threads", threads])
        if name.startswith("diffusers"):
            steps[f"{name}, memory kept"] = setup()
    return steps


def processor() -> str:
    """Name the processor and count what of it we may use."""
    facts = Path("/proc/cpuinfo")
    lines = facts.read_text(encoding="utf-8").splitlines() if facts.is_file() else []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{named[0] if named else platform.processor()}, {os.cpu_count()} cores"


def describe(results: Mapping[str, Any]) -> str:
    """Print the ratios as a table."""
    lines = []
    for kind in ("training", "sampling"):
        if kind in results:
            rows = results[kind]
            lines.append(f"\n{kind:42} s      images/s   × {next(iter(rows))}")
            for name, row in rows.items():
                ratio = row[next(key for key in row if key.startswith("times"))]
                lines.append(
                    f"  {name:38} {row['seconds']['median']:7.3f} {row['images per second']:9.1f}   "
                    f"{ratio['median']:.2f} ({ratio['lower quartile']:.2f} to {ratio['upper quartile']:.2f})"
                )
                if bare := row.get("times the bare calls"):
                    lines[-1] += f"; {bare['median']:.3f} × its bare calls"
    if "memory" in results:
        lines.append("\npeak memory of training, GB")
        lines += [f"  {name:38} {peak:7.2f}" for name, peak in results["memory"].items()]
    return "\n".join(lines)


def main() -> int:
    """Measure what is named, or all, and write the numbers as JSON."""
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    kinds = ("training", "sampling", "memory")
    parser.add_argument("only", nargs="*", choices=[*kinds, []], help="default: all of them")
    parser.add_argument("--threads", type=integer(1), help="of the processor (default: PyTorch's choice)")
    parser.add_argument(
        "--busy", action="store_true",
        help="time in seconds of the processor, where other programs run; all contenders in this process",
    )  # fmt: skip
    parser.add_argument("--out", type=new_file, default=Path(__file__).with_suffix(".json"))
    given, device = arguments(parser)
    if given.threads:
        torch.set_num_threads(given.threads)

    load, chosen, size = os.getloadavg()[0], given.only or kinds, given.batch_size
    x = torch.rand(size, 3, 32, 32, device=device) * 2 - 1
    clock = time.process_time if given.busy else time.perf_counter
    apart = device.type == "cpu" and not given.busy
    results: dict[str, Any] = {}
    if "training" in chosen:
        steps = contenders("training", size, device, apart)
        rows = compare(by_turns(steps, x, given.rounds, clock), size)
        cost = flops(UNet(PRESETS["cifar10"].unet).to(device), device)
        if find_spec("denoising_diffusion_pytorch"):
            other = lucidrains_network(device)
            results["network of denoising-diffusion-pytorch"] = {
                "parameters": sum(p.numel() for p in other.parameters()),
                "GFLOP of a step for an image": round(flops(other, device) / 1e9, 2),
            }
        peak = next(
            (p for name, p in PEAK.items() if device.type == "cuda" and name in torch.cuda.get_device_name()),
            None,
        )
        for name in [name for name in rows if name in ("ddpm_ref, float32", "ddpm_ref, bfloat16")]:
            rate = rows[name]["images per second"]
            rows[name]["TFLOP per second"] = round(rate * cost / 1e12, 4)
            if peak:
                rows[name]["share of the bfloat16 peak"] = round(rate * cost / peak, 4)
            rows[name]["hours for the paper's run"] = round(PAPER[0] * PAPER[1] / rate / 3600, 2)
        results |= {"training": rows, "GFLOP of a step for an image": round(cost / 1e9, 2)}
    if "sampling" in chosen:
        steps = contenders("sampling", size, device, apart)
        results["sampling"] = compare(by_turns(steps, x, given.rounds, clock), size)
    if "memory" in chosen:
        results["memory"] = memory(size, device)
    results["batch size"], results["rounds"], results["steps of sampling"] = (
        size,
        given.rounds,
        SAMPLING_STEPS,
    )
    results["clock"] = "processor" if given.busy else "wall"
    results["date"] = datetime.now(UTC).date().isoformat()
    results["load average before"] = round(load, 2)
    results["processor"] = processor()
    results["environment"] = environment(device, ["benchmarks/speed.py", *sys.argv[1:]])
    for package in ("diffusers", "denoising-diffusion-pytorch"):
        if find_spec(package.replace("-", "_")):
            results["environment"]["versions"][package] = metadata.version(package)
    keep(given.out, results)
    print(describe(results))
    return 0


if __name__ == "__main__":
    sys.exit(main())
