"""Write `docs/benchmarks.md` from what was measured: `python benchmarks/page.py`; `--check` only compares."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ddpm_ref.arguments import Parser, one_line

HERE = Path(__file__).parent
PAGE = HERE.parent / "docs" / "benchmarks.md"

INTRODUCTION = """\
---
title: Benchmarks
---

# Benchmarks

Each table is made from a file beside the program that measured it, in `benchmarks/`.
"""

SPEED = """
## Training and sampling beside others

`python benchmarks/speed.py`. The network is the paper's for CIFAR-10, 35.7 million parameters, and diffusers
has the same weights; {images} images at a time. All contenders run by turns; a ratio is taken within each
round, and stands here as the median of {rounds} rounds with the quartiles. A training step is all of it
(noise, loss, gradient, clipping, optimiser and average of the weights), here as `ddpm_ref.train` takes it and
there as diffusers' example for unconditional generation does, or the package's own trainer. *Network alone*
is the network forward and backward.

On the CPU our programs [keep the memory][ddpm_ref.memory] that tensors give back, a setting for the whole
process. So there the others run each in a process of its own, as they do by themselves; *memory kept* is
diffusers in our process, with that set.{lucidrains}

{where}
"""

LUCIDRAINS = """

denoising-diffusion-pytorch has a network of its own. With the same widths it has {millions:.1f} million
parameters and takes {flops:.1f} GFLOP for a step and an image where the paper's takes {ours:.1f}, so that its
images per second are those of less work; its attention is linear but at the lowest resolution."""


def where(results: Mapping[str, Any]) -> str:
    """Say on what, with what and when something was measured."""
    here = results["environment"]
    versions = ", ".join(
        f"{name} {version}"
        for name, version in here["versions"].items()
        if name in ("python", "torch", "diffusers", "denoising-diffusion-pytorch") and version
    )
    device = "" if here["device"] == "cpu" else f"{here['device']}, "
    busy = ", in seconds of the processor, since it was not idle" if results["clock"] == "processor" else ""
    return (
        f"Measured on {results['date']}: {device}{results['processor']}, {here['threads']} threads; "
        f"{versions}; load average {results['load average before']} before{busy}."
    )


def ratio(value: Mapping[str, float]) -> str:
    """Print a median and its quartiles."""
    return f"{value['median']:.2f} ({value['lower quartile']:.2f}–{value['upper quartile']:.2f})"


def speed(results: Mapping[str, Any]) -> str:
    """Print the tables of `speed.json`."""
    more, cost = "", "GFLOP of a step for an image"
    if other := results.get("network of denoising-diffusion-pytorch"):
        more = LUCIDRAINS.format(millions=other["parameters"] / 1e6, flops=other[cost], ours=results[cost])
    text = SPEED.format(
        images=results["batch size"], rounds=results["rounds"], where=where(results), lucidrains=more
    )
    for kind in ("training", "sampling"):
        if rows := results.get(kind):
            first = next(iter(rows))
            text += f"\n| {kind} | seconds | images per second | × {first} |\n|---|---|---|---|\n"
            for name, row in rows.items():
                against = ratio(row[f"times as fast as {first}"])
                rate = f"{row['images per second']:.1f}"
                text += f"| {name} | {row['seconds']['median']:.3f} | {rate} | {against} |\n"
    for name, row in results.get("training", {}).items():
        if hours := row.get("hours for the paper's run"):
            share = row.get("share of the bfloat16 peak")
            text += f"\n*{name}*: {row['TFLOP per second']:g} TFLOP per second"
            text += f", {share:.1%} of the peak in bfloat16" if share else ""
            text += f"; the paper's 800,000 updates of 128 images would take {hours:,.1f} hours.\n"
    for name, row in results.get("sampling", {}).items():
        if bare := row.get("times the bare calls"):
            text += f"\n*{name}*: sampling takes {bare['median']:.3f} times as long as its calls.\n"
    if peaks := results.get("memory"):
        text += "\n| peak memory of training | GB |\n|---|---|\n"
        text += "".join(f"| {name} | {peak:.2f} |\n" for name, peak in peaks.items())
    return text


SWITCHES = """
## What each switch for speed is worth

`python benchmarks/switches.py`. The same network and {images} images, each switch with and without by turns,
{rounds} rounds. The first rows are whole training steps; then the update of the weights; then parts of the
network, forward and backward; then calls of the network without gradients. What is slower here is off by
default here, and so is bfloat16 on every CPU: it is more than float32's round-off, and few processors compute
in it. A batch in parts is in the table above.

{where}

| | with, ms | without, ms | times as fast |
|---|---|---|---|
"""


def switches(results: Mapping[str, Any]) -> str:
    """Print the table of `switches.json`."""
    text = SWITCHES.format(images=results["batch size"], rounds=results["rounds"], where=where(results))
    for name, row in results["switches"].items():
        on, off = (1000 * row[side]["median"] for side in ("with", "without"))
        text += f"| {name} | {on:.1f} | {off:.1f} | {ratio(row['times as fast'])} |\n"
    return text


BOUND = """
## The bound beside its calls of the network

`python benchmarks/bound.py`. All terms of the bound for {batch} digits, T = {T}, and as many bare calls of
the network, by turns, in seconds of the processor, one thread, load average {load} before: a term takes
{term:.2f} ms and a call {call:.2f} ms, {ratio:.3f} times as long (quartiles of the turns {low:.3f} to
{high:.3f}).

| cost grows with | sizes | exponent fitted |
|---|---|---|
"""


def bound(results: Mapping[str, Any]) -> str:
    """Print what `bound.json` holds."""
    ratio = results["ratio"]
    low, high = ratio["quartiles_of_turns"]
    text = BOUND.format(
        batch=ratio["batch"], T=ratio["T"], load=results["load_average_before"], low=low, high=high,
        term=ratio["milliseconds_per_term"], call=ratio["milliseconds_per_call"],
        ratio=ratio["bound_over_calls"],
    )  # fmt: skip
    for what in ("T", "batch", "dimension"):
        growth = results[f"growth_with_{what}"]
        text += f"| {what} | {', '.join(map(str, growth['sizes']))} | {growth['exponent']:.2f} |\n"
    memory = results["peak_memory_mb_at_T"]
    said = " and ".join(f"{peak:.0f} MB at T = {T}" for T, peak in memory.items())
    return text + f"\nPeak memory does not depend on T: {said}.\n"


SECTIONS = {"speed.json": speed, "switches.json": switches, "bound.json": bound}


def make() -> str:
    """Make the page."""
    text = INTRODUCTION
    for name, section in SECTIONS.items():
        if (results := HERE / name).is_file():
            text += section(json.loads(results.read_text(encoding="utf-8")))
    return text


def main() -> int:
    """Write the page, or say whether it is what it should be."""
    parser = Parser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if the page is stale")
    given = parser.parse_or_exit()
    try:
        text = make()
    except (AttributeError, KeyError, RecursionError, TypeError, ValueError) as error:
        print(f"{HERE}/*.json must be what the programs beside it write; {one_line(error)}", file=sys.stderr)
        return 2
    if given.check:
        if not PAGE.is_file() or PAGE.read_bytes() != text.encode():
            print(f"{PAGE} is not up to date: python benchmarks/page.py", file=sys.stderr)
            return 1
        return 0
    PAGE.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
