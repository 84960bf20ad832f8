"""Things measured side by side: by turns, with ratios taken within each round."""

import argparse
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from torch import Tensor

from ddpm_ref.arguments import Parser, integer, one_line
from ddpm_ref.cli import DEVICES, choose_device

Step = Callable[[Tensor], object]
Clock = Callable[[], float]
WARM_UP = 2  # rounds that are not counted


class Apart:
    """A contender in a process of its own, which has set nothing for the whole process as our programs do.

    Only the time between a word to it and its answer is its own; in between it waits.
    """

    def __init__(self, command: list[str]) -> None:
        program = [sys.executable, str(Path(__file__).with_name("contenders.py")), *command]
        self._process = subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._answer()

    def _answer(self) -> None:
        assert self._process.stdout is not None
        if self._process.stdout.readline() != "done\n":
            raise RuntimeError(f"{self._process.args!r} ended with {self._process.wait()}")

    def __call__(self, x_0: Tensor) -> None:
        """Take one step, on images of its own."""
        assert self._process.stdin is not None
        self._process.stdin.write("go\n")
        self._process.stdin.flush()
        self._answer()

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait()


def arguments(parser: Parser) -> tuple[argparse.Namespace, torch.device]:
    """Read the command line, with what every program that measures by turns can be told."""
    parser.add_argument("--batch-size", type=integer(1), default=16)
    parser.add_argument("--rounds", type=integer(2), default=7)
    parser.add_argument("--device", default="auto", help=", ".join(DEVICES))
    given = parser.parse_or_exit()
    try:
        return given, choose_device(given.device)
    except ValueError as error:
        parser.exit(2, f"{parser.prog}: {one_line(error)}\n")


def serve(step: Step, x_0: Tensor) -> None:
    """Be a contender apart: take a step for every line that comes."""
    print("done", flush=True)
    for _ in sys.stdin:
        step(x_0)
        print("done", flush=True)


def seconds(step: Step, x_0: Tensor, clock: Clock) -> float:
    """Time one call, to the end of what it set off on the device."""
    if x_0.device.type == "cuda":
        torch.cuda.synchronize()
    began = clock()
    step(x_0)
    if x_0.device.type == "cuda":
        torch.cuda.synchronize()
    return clock() - began


def by_turns(
    steps: Mapping[str, Step], x_0: Tensor, rounds: int, clock: Clock = time.perf_counter
) -> dict[str, list[float]]:
    """Time every contender once a round, each round beginning with another; two rounds to warm up."""
    times: dict[str, list[float]] = {name: [] for name in steps}
    names = list(steps)
    for turn in range(rounds + WARM_UP):
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            taken = seconds(steps[name], x_0, clock)
            if turn >= WARM_UP:
                times[name].append(taken)
        print(f"\r{turn + 1} of {rounds + WARM_UP} rounds", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    for step in steps.values():
        if isinstance(step, Apart):
            step.close()
    return times


def spread(values: list[float]) -> dict[str, float]:
    """Give the median, and the quartiles as the spread."""
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return {"median": round(middle, 4), "lower quartile": round(low, 4), "upper quartile": round(high, 4)}


def ratio(over: list[float], under: list[float]) -> dict[str, float]:
    """Divide one contender's times by another's, round by round."""
    return spread([a / b for a, b in zip(over, under, strict=True)])
