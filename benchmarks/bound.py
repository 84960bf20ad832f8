"""Measure what the bound costs beside its calls of the network, and how its cost grows.

`python benchmarks/bound.py [--quick] [--threads N] [--out FILE]`. The ratio is taken in turns, a few terms of
the bound and then as many bare calls, so that other load on the machine falls on both alike. Everything is
timed in seconds of the processor, on one thread unless asked: other programs then hardly enter.
"""

import json
import math
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from record import keep
from torch import Tensor

from ddpm_ref.arguments import Parser, integer, new_file
from ddpm_ref.bound import bound, bound_terms, collect
from ddpm_ref.data import digits
from ddpm_ref.environment import environment
from ddpm_ref.objective import Model
from ddpm_ref.presets import PRESETS
from ddpm_ref.schedule import linear
from ddpm_ref.unet import UNet

MEMORY = """
import sys, torch
sys.path.insert(0, sys.argv[2])
from peak import peak_memory
from ddpm_ref.bound import bound
from ddpm_ref.schedule import linear
schedule = linear(int(sys.argv[1]), 1e-5, 1e-3)
schedule.weight_fixed_large, schedule.posterior_variance  # the tables, which do grow
bound(lambda x, t: 0.1 * x, schedule, torch.zeros(64, 1, 8, 8), levels=None)
print(peak_memory())
"""


def network() -> UNet:
    """The network of the digits, untrained."""
    torch.manual_seed(0)
    return UNet(PRESETS["digits"].unet).eval()


def seconds(work: Callable[[], object]) -> float:
    """Time one call, in seconds of the processor."""
    began = time.process_time()
    work()
    return time.process_time() - began


def ratio(model: Model, x_0: Tensor, T: int, block: int) -> dict[str, Any]:
    """Time the whole bound and T calls of the model by turns."""
    schedule = linear(T)
    t = torch.full((len(x_0),), 1)

    @torch.no_grad()
    def calls() -> None:
        for _ in range(block):
            model(x_0, t)

    calls()
    bare: list[float] = []
    taken: list[float] = []

    def by_turns(terms: Any) -> Any:
        while True:
            began = time.process_time()
            several = list(islice(terms, block))
            if not several:
                return
            yield from several  # what is done with the terms counts as well
            taken.append((time.process_time() - began) / len(several))
            bare.append(seconds(calls) / block)

    collect(by_turns(bound_terms(model, schedule, x_0, levels=17)), schedule, x_0, levels=17)
    ratios = [a / b for a, b in zip(taken, bare, strict=True)]
    low, middle, high = statistics.quantiles(ratios, n=4)
    return {
        "T": T,
        "batch": len(x_0),
        "milliseconds_per_call": round(1e3 * statistics.median(bare), 3),
        "milliseconds_per_term": round(1e3 * statistics.median(taken), 3),
        "bound_over_calls": round(sum(taken) / sum(bare), 4),
        "median_of_turns": round(middle, 4),
        "quartiles_of_turns": [round(low, 4), round(high, 4)],
    }


def growth(sizes: Sequence[int], cost: Callable[[int], float]) -> dict[str, Any]:
    """Time several sizes, twice each and by turns, and fit the exponent of cost against size."""
    best = [min(pair) for pair in zip(*([cost(n) for n in sizes] for _ in range(2)), strict=True)]
    x, y = [math.log(n) for n in sizes], [math.log(c) for c in best]
    slope, _ = statistics.linear_regression(x, y)
    return {"sizes": list(sizes), "seconds": [round(c, 4) for c in best], "exponent": round(slope, 3)}


def against_T(T: int) -> float:
    """Time the bound of 16 digits with T steps."""
    model, x_0 = network(), digits().held_out.images[:16]
    return seconds(lambda: bound(model, linear(T), x_0, levels=17))


def against_batch(batch: int) -> float:
    """Time the bound of so many digits with 20 steps."""
    model, x_0 = network(), digits().held_out.images[:batch]
    return seconds(lambda: bound(model, linear(20, 0.005, 0.9), x_0, levels=17))


def against_dimension(side: int) -> float:
    """Time the bound of 16 images of so many pixels a side with 10 steps, by a network without attention."""
    unet = replace(PRESETS["digits"].unet, image_size=side, attention_at=())
    model, x_0 = UNet(unet).eval(), torch.zeros(16, 1, side, side)
    return seconds(lambda: bound(model, linear(10, 0.01, 0.9), x_0, levels=17))


def peak_memory(T: int) -> float:
    """Say how many megabytes a process takes at most that computes a bound with T steps and no network."""
    command = [sys.executable, "-c", MEMORY, str(T), str(Path(__file__).parent)]
    return round(float(subprocess.check_output(command)) / 1e6, 1)


def main() -> int:
    """Measure, print and write the numbers as JSON."""
    parser = Parser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of the steps")
    parser.add_argument("--threads", type=integer(1), default=1, help="of PyTorch (default: 1)")
    parser.add_argument("--out", type=new_file, default=Path(__file__).with_suffix(".json"))
    given = parser.parse_or_exit()
    torch.set_num_threads(given.threads)
    torch.manual_seed(0)
    load = os.getloadavg()[0]
    sides = [8, 16, 32]
    dimension = growth(sides, against_dimension)
    where = environment(torch.device("cpu"), sys.argv)
    results = {
        "load_average_before": round(load, 2),
        "ratio": ratio(network(), digits().held_out.images[:64], 100 if given.quick else 1000, block=10),
        "growth_with_T": growth([20, 40, 80, 160], against_T),
        "growth_with_batch": growth([8, 16, 32, 64], against_batch),
        # Cost grows with the side squared, the dimension: half the slope.
        "growth_with_dimension": {
            **dimension,
            "sizes": [side**2 for side in sides],
            "exponent": round(dimension["exponent"] / 2, 3),
        },
        "peak_memory_mb_at_T": {str(T): peak_memory(T) for T in (100, 1000)},
        "environment": {
            key: where[key] for key in ("commit", "versions", "platform", "cpus", "threads", "device")
        },
    }
    keep(given.out, results)
    print(json.dumps(results, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
