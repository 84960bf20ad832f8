"""Write `docs/benchmarks.md` from what was measured: `python benchmarks/page.py`; `--check` only compares."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

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
## Training and sampling beside diffusers

`python benchmarks/speed.py`. The network is the paper's for CIFAR-10, 35.7 million parameters, with the
same weights on both sides and {images} images at a time. All contenders run in one process by turns; a
ratio is taken within each round, and stands here as the median of {rounds} rounds with the quartiles. A
training step is all of it (noise, loss, gradient, clipping, optimiser and average of the weights), here
as `ddpm_ref.train` takes it and there as diffusers' example for unconditional generation does. *Network
alone* is the network forward and backward.

{where}
"""


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
    text = SPEED.format(images=results["batch size"], rounds=results["rounds"], where=where(results))
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


def make() -> str:
    """Make the page."""
    results = HERE / "speed.json"
    return INTRODUCTION + (
        speed(json.loads(results.read_text(encoding="utf-8"))) if results.is_file() else ""
    )


def main() -> int:
    """Write the page, or say whether it is what it should be."""
    if "--check" in sys.argv[1:]:
        if not PAGE.is_file() or PAGE.read_text(encoding="utf-8") != make():
            print(f"{PAGE} is not up to date: python benchmarks/page.py", file=sys.stderr)
            return 1
        return 0
    PAGE.write_text(make(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
