"""Measure training and sampling against diffusers, and where it is installed denoising-diffusion-pytorch.

`python benchmarks/speed.py [training sampling memory] [--batch-size 16] [--rounds 7] [--out FILE]`

The network is the paper's for CIFAR-10, with the same weights on both sides. All contenders run in this one
process by turns, and a ratio is taken within each round, so that other load on the machine falls on all of
them alike. Peak memory is that of a process of its own. The machine should be idle all the same; the load
average stands beside the numbers.
"""

import argparse
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from contenders import Step, sampling, training
from peak import peak_memory
from record import keep
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from ddpm_ref.arguments import Parser, integer, new_file, one_line
from ddpm_ref.cli import DEVICES, choose_device
from ddpm_ref.environment import environment
from ddpm_ref.presets import PRESETS
from ddpm_ref.unet import UNet

PAPER = (800_000, 128)  # updates, and images in each
PEAK = {"H200": 989e12, "H100": 989e12, "A100": 312e12, "L4": 121e12}  # dense bfloat16, as NVIDIA states it


def seconds(step: Step, x_0: Tensor, clock: Callable[[], float]) -> float:
    """Time one call, to the end of what it set off on the device."""
    if x_0.device.type == "cuda":
        torch.cuda.synchronize()
    began = clock()
    step(x_0)
    if x_0.device.type == "cuda":
        torch.cuda.synchronize()
    return clock() - began


def by_turns(
    steps: Mapping[str, Step], x_0: Tensor, rounds: int, clock: Callable[[], float]
) -> dict[str, list[float]]:
    """Time every contender once a round, each round beginning with another; two rounds to warm up."""
    times: dict[str, list[float]] = {name: [] for name in steps}
    names = list(steps)
    for turn in range(rounds + 2):
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            taken = seconds(steps[name], x_0, clock)
            if turn >= 2:
                times[name].append(taken)
        print(f"\r{turn + 1} of {rounds + 2} rounds", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return times


def spread(values: list[float]) -> dict[str, float]:
    """Give the median, and the quartiles as the spread."""
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return {"median": round(middle, 4), "lower quartile": round(low, 4), "upper quartile": round(high, 4)}


def compare(times: Mapping[str, list[float]], images: int) -> dict[str, Any]:
    """Set every contender beside the first, round by round, and our sampler beside its calls."""

    def ratio(over: str, under: str) -> dict[str, float]:
        return spread([a / b for a, b in zip(times[over], times[under], strict=True)])

    first = next(iter(times))
    rows: dict[str, Any] = {
        name: {
            "seconds": spread(taken),
            "images per second": round(images / statistics.median(taken), 2),
            f"times as fast as {first}": ratio(first, name),
        }
        for name, taken in times.items()
    }
    for how in ("float32", "bfloat16"):
        if f"bare calls, {how}" in times:
            rows[f"ddpm_ref, {how}"]["times the bare calls"] = ratio(f"ddpm_ref, {how}", f"bare calls, {how}")
    return rows


def flops(device: torch.device) -> float:
    """Count the floating-point operations of a training step, for one image."""
    model = UNet(PRESETS["cifar10"].unet).to(device)
    x, t = torch.zeros(1, 3, 32, 32, device=device), torch.ones(1, dtype=torch.long, device=device)
    with FlopCounterMode(display=False) as counter:
        model(x, t).square().mean().backward()
    return float(counter.get_total_flops())


def peak_here(name: str, batch_size: int, device: torch.device) -> float:
    """Run three steps of one contender and return the most memory that they took, in bytes."""
    step = training(batch_size, device, only=name)[name]
    x_0 = torch.rand(batch_size, 3, 32, 32, device=device) * 2 - 1
    for _ in range(3):
        step(x_0)
    if device.type == "cuda":
        return float(torch.cuda.max_memory_allocated())
    return peak_memory()


def memory(batch_size: int, device: torch.device) -> dict[str, float]:
    """Measure the peak of each training step, in a process of its own."""
    names = [f"{who}, {how}" for how in ("float32", "bfloat16") for who in ("diffusers", "ddpm_ref")]
    peaks = {}
    for name in names:
        command = [sys.executable, __file__, "--peak-of", name]
        command += ["--batch-size", str(batch_size), "--device", device.type]
        printed = subprocess.run(
            command, check=True, capture_output=True, text=True, cwd=Path(__file__).parents[1]
        )
        peaks[name] = round(float(printed.stdout.split()[-1]) / 1e9, 3)
    return peaks


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
    parser.add_argument("--batch-size", type=integer(1), default=16)
    parser.add_argument("--rounds", type=integer(2), default=7)
    parser.add_argument("--steps", type=integer(2), default=5, help="of the reverse process")
    parser.add_argument("--device", default="auto", help=", ".join(DEVICES))
    parser.add_argument("--threads", type=integer(1), help="of the processor (default: PyTorch's choice)")
    parser.add_argument(
        "--busy", action="store_true", help="time in seconds of the processor, where other programs run"
    )
    parser.add_argument("--out", type=new_file, default=Path(__file__).with_suffix(".json"))
    parser.add_argument("--peak-of", help=argparse.SUPPRESS)
    given = parser.parse_or_exit()
    try:
        device = choose_device(given.device)
    except ValueError as error:
        parser.exit(2, f"{parser.prog}: {one_line(error)}\n")
    if given.threads:
        torch.set_num_threads(given.threads)
    if given.peak_of:
        print(peak_here(given.peak_of, given.batch_size, device))
        return 0

    load, chosen, size = os.getloadavg()[0], given.only or kinds, given.batch_size
    x = torch.rand(size, 3, 32, 32, device=device) * 2 - 1
    clock = time.process_time if given.busy else time.perf_counter
    results: dict[str, Any] = {}
    if "training" in chosen:
        rows = compare(by_turns(training(size, device), x, given.rounds, clock), size)
        cost = flops(device)
        peak = next(
            (p for name, p in PEAK.items() if device.type == "cuda" and name in torch.cuda.get_device_name()),
            None,
        )
        for name in [name for name in rows if name.startswith("ddpm_ref") and "alone" not in name]:
            rate = rows[name]["images per second"]
            rows[name]["TFLOP per second"] = round(rate * cost / 1e12, 4)
            if peak:
                rows[name]["share of the bfloat16 peak"] = round(rate * cost / peak, 4)
            rows[name]["hours for the paper's run"] = round(PAPER[0] * PAPER[1] / rate / 3600, 2)
        results |= {"training": rows, "GFLOP of a step for an image": round(cost / 1e9, 2)}
    if "sampling" in chosen:
        rows = compare(by_turns(sampling(size, given.steps, device), x, given.rounds, clock), size)
        results["sampling"] = rows
    if "memory" in chosen:
        results["memory"] = memory(size, device)
    results["batch size"], results["rounds"], results["steps of sampling"] = size, given.rounds, given.steps
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
