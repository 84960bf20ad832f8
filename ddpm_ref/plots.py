"""Plots of an evaluation: the bound over t, rate against distortion, and the loss beside its least."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ddpm_ref.bound import Bound
from ddpm_ref.coding import CodingRow
from ddpm_ref.gap import Gap
from ddpm_ref.pictures import save_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["bound_over_t", "loss_over_t", "rate_and_distortion"]

COLOURS = ("#08519c", "#d94801", "#238b45")


def bound_over_t(path: Path, bounds: Mapping[str, Bound]) -> None:
    """Plot the terms of some bounds against t, in bits per dimension, both axes logarithmic.

    A density's `L_0` may be negative and is left out.

    Args:
        path: of the picture, PNG.
        bounds: by the name of their images.
    """
    figure, (axes,) = _figure(1)
    first = any(bound.levels is None for bound in bounds.values())
    for colour, (name, bound) in zip(COLOURS, bounds.items(), strict=False):
        terms = [bound.in_bits(nats) for nats in bound.means[first:, 0].tolist()]
        label = f"{name}: {bound.bits_per_dim:.3f} bits/dim in all"
        marker = None if bound.subset.is_whole else "."
        axes.plot(bound.subset.steps[first:], terms, color=colour, lw=1.2, marker=marker, label=label)
    axes.set(xlabel="t", ylabel="$L_{t-1}$, bits per dimension", xscale="log", yscale="log")
    last = "without $L_0$, a density's" if first else "at t = 1 the decoder's"
    axes.set_title(f"The bound, term by term; {last}", fontsize="medium")
    axes.legend()
    save_figure(figure, path)


def rate_and_distortion(path: Path, rows: Sequence[CodingRow], unit: str) -> None:
    """Plot distortion and rate against the reverse steps done, and against each other, as the paper does.

    Args:
        path: of the picture, PNG.
        rows: of the rate–distortion curve.
        unit: of the distortion.
    """
    figure, (over_time, rate_over_time, against) = _figure(3)
    done, rate, rmse = zip(*rows, strict=True)
    for axes, x, y in ((over_time, done, rmse), (rate_over_time, done, rate), (against, rate, rmse)):
        axes.plot(x, y, color=COLOURS[0], lw=1.4, marker=None if len(rows) > 50 else ".")
        axes.set_ylim(bottom=0)
    over_time.set(xlabel="reverse steps", ylabel=f"distortion: RMSE, {unit}")
    rate_over_time.set(xlabel="reverse steps", ylabel="rate, bits per dimension")
    against.set(xlabel="rate, bits per dimension", ylabel=f"distortion: RMSE, {unit}")
    save_figure(figure, path)


def loss_over_t(path: Path, bounds: Mapping[str, Bound], gaps: Sequence[Gap]) -> None:
    """Plot the loss of a model beside the least that any model could have, against t.

    Args:
        path: of the picture, PNG.
        bounds: by the name of their images; the loss is that of the same pass.
        gaps: of the training images.
    """
    figure, (axes,) = _figure(1)
    for colour, (name, bound) in zip(COLOURS, bounds.items(), strict=False):
        losses = bound.means[:, 2].tolist()
        axes.plot(bound.subset.steps, losses, color=colour, lw=1.2, label=f"this model, {name}")
    # At small noise a finite set is known exactly, and the least loss vanishes: no point for that.
    bottom = 1e-3 * min(float(bound.means[:, 2].min()) for bound in bounds.values())
    shown = [(gap.t, gap.least) for gap in gaps if gap.least > bottom]
    axes.plot(*zip(*shown, strict=True), color="grey", marker=".", label="the least, train")
    axes.set(xlabel="t", ylabel="$L_{simple}$: mean squared error of ε", xscale="log", yscale="log")
    axes.set_ylim(bottom=bottom)
    axes.legend()
    save_figure(figure, path)


def _figure(panels: int) -> tuple[Figure, list[Axes]]:
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # a second of imports, once there is a plot
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4) if panels == 1 else (4 * panels, 3.4), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    every = [figure.add_subplot(1, panels, k + 1) for k in range(panels)]
    for axes in every:
        axes.grid(alpha=0.3)
    return figure, every
