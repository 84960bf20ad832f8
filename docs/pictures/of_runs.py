"""The pictures of a reference run, from the small files that `docs/runs/write.py` keeps of it."""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure


def pictures_of(run: Path) -> dict[str, tuple[Callable[[Figure], None], float]]:
    """List the pictures of a run, as `figures.PICTURES` does."""
    found: dict[str, tuple[Callable[[Figure], None], float]] = {
        "loss": (partial(loss, _read(run / "loss.json")), 3.0)
    }
    if (run / "evaluation.json").is_file():
        evaluation = _read(run / "evaluation.json")
        found["bound"] = (partial(bound, evaluation), 3.3)
        found["rate-distortion"] = (partial(rate_distortion, evaluation), 3.0)
    return found


def loss(losses: dict[str, list[float]], figure: Figure) -> None:
    """Plot the loss over the updates, each point a mean over some of them."""
    axes = figure.subplots()
    axes.loglog(losses["update"], losses["loss"])
    axes.set(xlabel="update", ylabel="loss")


def bound(evaluation: dict[str, Any], figure: Figure) -> None:
    """Plot the terms of the bound over t, on training images and on others."""
    axes = figure.subplots()
    for name, values in evaluation["bound"].items():
        per_t = values["per_t"]
        label = f"{name}: {values['bits_per_dim']:.3f} bits/dim"
        axes.loglog(per_t["t"], per_t["bits_per_dim"], label=label)
    axes.set(xlabel="$t$", ylabel="$L_{t-1}$, bits per dimension")
    axes.legend()


def rate_distortion(evaluation: dict[str, Any], figure: Figure) -> None:
    """Plot distortion against rate, held-out images."""
    axes = figure.subplots()
    rows = evaluation["rate_distortion"]["rows"]
    axes.plot([row["rate"] for row in rows], [row["rmse"] for row in rows])
    unit = evaluation["rate_distortion"]["unit"]
    axes.set(xlabel="rate, bits per dimension", ylabel=f"error, RMSE, {unit}", ylim=0, xlim=0)


def _read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))
