"""Pictures of a run: grids of images, the reverse process as a strip and as an animation, the loss curve."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor

from ddpm_ref.checkpoint import write_bytes

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BACKGROUND = 96  # grey, so that the edges of dark and of light images show
GAP = 4
ROOM = 400  # pixels that a row of few images may fill


def grid(images: Tensor, columns: int, height: int | None = None) -> Image.Image:
    """Lay out images in rows, enlarged without smoothing, values outside [-1, 1] clipped.

    Args:
        images: (N, C, H, W) with C of 1 or 3, nominally in [-1, 1].
        columns: images in a row.
        height: wanted height of each, in pixels; the enlargement is the nearest whole number, at least 1. If
            not given, 56, or more where few columns leave room.
    """
    n, channels, h, w = images.shape
    height = height or max(56, ROOM // columns)
    scale = max(1, round(height / h))
    rows = -(-n // columns)
    pixels = ((images.detach().cpu().float().clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)
    pixels = pixels.repeat_interleave(scale, dim=2).repeat_interleave(scale, dim=3)
    cell_h, cell_w = h * scale + GAP, w * scale + GAP
    canvas = torch.full(
        (channels, rows * cell_h + GAP, columns * cell_w + GAP), BACKGROUND, dtype=torch.uint8
    )
    for i, image in enumerate(pixels):
        y, x = i // columns * cell_h + GAP, i % columns * cell_w + GAP
        canvas[:, y : y + h * scale, x : x + w * scale] = image
    array = canvas.permute(1, 2, 0).numpy()
    return Image.fromarray(array[:, :, 0] if channels == 1 else array)


def strip(states: Sequence[Tensor], times: Sequence[int | str]) -> Image.Image:
    """Show the reverse process: one row for each image, one column for each state, t above.

    Args:
        states: x_t of shape (N, C, H, W), one for each column.
        times: their t, or what else to call them.
    """
    images = torch.stack(list(states), dim=1).flatten(0, 1)
    rows = grid(images, columns=len(times), height=56)
    header = 20
    picture = Image.new(rows.mode, (rows.width, rows.height + header), "white")
    picture.paste(rows, (0, header))
    draw = ImageDraw.Draw(picture)
    cell = (rows.width - GAP) / len(times)
    for column, t in enumerate(times):
        name = t if isinstance(t, str) else f"t = {t}"
        draw.text((GAP + (column + 0.5) * cell, header / 2), name, fill="black", anchor="mm")
    return picture


def animate(path: Path, frames: Sequence[Image.Image], milliseconds: int = 80, hold: int = 2000) -> None:
    """Write frames as an endless GIF that rests on the last one for `hold` milliseconds."""
    durations = [milliseconds] * (len(frames) - 1) + [hold]
    content = BytesIO()
    frames[0].save(content, format="gif", save_all=True, append_images=frames[1:], duration=durations, loop=0)
    write_bytes(path, content.getvalue())


def save(picture: Image.Image, path: Path) -> None:
    """Write a picture as PNG, whole or not at all."""
    content = BytesIO()
    picture.save(content, format="png")
    write_bytes(path, content.getvalue())


def save_figure(figure: Figure, path: Path) -> None:
    """Write a plot as PNG, whole or not at all."""
    content = BytesIO()
    figure.savefig(content, format="png")
    write_bytes(path, content.getvalue())


def loss_curve(path: Path, losses: Sequence[float], name: str, of_nothing: float | None = None) -> None:
    """Plot the loss of every update and its running mean; on a logarithmic axis, if none is below zero.

    Args:
        path: of the picture, PNG.
        losses: one for each update.
        name: of the loss.
        of_nothing: the loss of a network that always answers 0, where it is known.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # not for those who draw no curve
    from matplotlib.figure import Figure
    from matplotlib.ticker import LogLocator, NullFormatter

    loss = np.asarray(losses)
    updates = np.arange(1, len(loss) + 1)
    window = max(10, len(loss) // 30)
    total = np.concatenate([[0.0], np.cumsum(loss)])
    first = np.maximum(updates - window, 0)
    mean = (total[updates] - total[first]) / (updates - first)

    figure = Figure(figsize=(7, 4), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.plot(updates, loss, color="#9ecae1", linewidth=0.6, label="each update")
    axes.plot(updates, mean, color="#08519c", linewidth=1.6, label=f"mean of the last {window}")
    if of_nothing is not None:
        axes.axhline(
            of_nothing, color="grey", linewidth=0.8, linestyle="--", label="a network that always answers 0"
        )
    axes.set(xlabel="update", ylabel=name, xlim=(0, len(loss) + 1))
    if loss.min() > 0:
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter("{x:g}")
        axes.yaxis.set_minor_formatter(NullFormatter())
    else:  # the bound of a density may be negative, and its first values are huge
        axes.set_yscale("symlog")
    axes.grid(alpha=0.3, which="both")
    axes.legend(loc="upper right", bbox_to_anchor=(1, 0.93))
    save_figure(figure, path)
