"""Draw the pictures of the site: `python docs/pictures/draw.py`; with `--check` only compare them.

Every curve is computed by `ddpm_ref`, in float64, or read from a reference run; nothing is trained. Each
picture is written twice, for light pages and for dark ones, as an SVG whose bytes are the same for the same
matplotlib and torch.
"""

import io
import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib as mpl
import torch
from cycler import cycler
from figures import PICTURES
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from of_runs import pictures_of

from ddpm_ref.arguments import Parser

DOCS = Path(__file__).parents[1]
WIDTH = 5.2  # inches: on a phone the letters are still readable


class Palette(NamedTuple):
    """The colours of a page, as `docs/assets/site.css` has them."""

    ink: str
    line: str
    curves: tuple[str, ...]


PALETTES = {
    "light": Palette("#1d2430", "#e3e6ea", ("#1a4f9c", "#c2410c", "#15803d", "#7c3aed")),
    "dark": Palette("#dfe3ea", "#2c3340", ("#8ab4f8", "#fb9a5f", "#6ee7a0", "#c4a7ff")),
}


def style(palette: Palette) -> dict[str, object]:
    """Give matplotlib's settings for a palette."""
    return {
        "font.family": "STIXGeneral",
        "mathtext.fontset": "stix",
        "font.size": 11,
        "text.color": palette.ink,
        "axes.labelcolor": palette.ink,
        "xtick.color": palette.ink,
        "ytick.color": palette.ink,
        "axes.edgecolor": palette.ink,
        "axes.linewidth": 0.6,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "grid.color": palette.line,
        "grid.linewidth": 0.6,
        "axes.facecolor": "none",
        "figure.facecolor": "none",
        "savefig.facecolor": "none",
        "axes.prop_cycle": cycler(color=palette.curves),
        "lines.linewidth": 1.6,
        "lines.markersize": 4,
        "legend.frameon": False,
        "legend.fontsize": 10,
        "svg.fonttype": "path",  # the same letters everywhere
        "svg.hashsalt": "ddpm-ref",
        "path.simplify": False,
    }


Picture = tuple[Callable[[Figure], None], float]
"""What draws it, and its height in inches."""


def pictures(docs: Path) -> dict[str, Picture]:
    """List the pictures by their place under docs/, without the ending."""
    runs = sorted(path.parent for path in docs.glob("runs/*/config.json"))
    return {
        **{f"pictures/{name}": picture for name, picture in PICTURES.items()},
        **{f"runs/{run.name}/{name}": picture for run in runs for name, picture in pictures_of(run).items()},
    }


def drawn(draw: Callable[[Figure], None], height: float) -> dict[str, str]:
    """Draw one picture on each palette: "light" and "dark" to the SVG's text."""
    made = {}
    for scheme, palette in PALETTES.items():
        settings: Any = style(palette)  # its keys are literals to matplotlib
        with mpl.rc_context(settings):
            figure = Figure(figsize=(WIDTH, height), layout="constrained")
            FigureCanvasSVG(figure)
            draw(figure)
            text = io.StringIO()
            nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
            figure.savefig(text, format="svg", metadata=nothing)
        made[scheme] = shortened(text.getvalue())
    return made


def shortened(svg: str) -> str:
    """Round coordinates to a hundredth of a point, and drop the blanks at the ends of lines."""
    places = re.compile(r' (?:d|x|y)="[^"]*"|translate\([^)]*\)')
    svg = places.sub(lambda place: re.sub(r"\d+\.\d+", lambda x: f"{float(x[0]):.2f}", place[0]), svg)
    return "\n".join(line.rstrip() for line in svg.splitlines()) + "\n"


def stale(docs: Path, wanted: Mapping[str, Picture]) -> dict[str, str]:
    """Draw; return what docs/ lacks, by the path there, and "" for a picture that nothing draws."""
    fresh = {
        f"{name}.{scheme}.svg": text
        for name, picture in wanted.items()
        for scheme, text in drawn(*picture).items()
    }
    paths = [*docs.glob("pictures/*.svg"), *docs.glob("runs/*/*.svg")]
    there = {path.relative_to(docs).as_posix(): path.read_text(encoding="utf-8") for path in paths}
    return {path: fresh.get(path, "") for path in sorted(fresh | there) if fresh.get(path) != there.get(path)}


def main(arguments: list[str] | None = None, docs: Path = DOCS) -> int:
    """Write the pictures, or say which are not what would be drawn; the exit code is then 1."""
    parser = Parser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if a picture is stale")
    check = parser.parse_or_exit(arguments).check
    different = stale(docs, pictures(docs))
    for name, text in different.items():
        if check:
            print(f"Stale: docs/{name}", file=sys.stderr)
        elif text:
            (docs / name).write_text(text, encoding="utf-8")
            print(f"docs/{name} written")
        else:
            (docs / name).unlink()
            print(f"docs/{name} removed")
    if check and different:
        here = f"matplotlib {mpl.__version__} and torch {torch.__version__}"
        print(f"Drawn with {here}; if constraints.txt has these,", file=sys.stderr)
        print("run `python docs/pictures/draw.py` and commit what it writes.", file=sys.stderr)
    return int(check and bool(different))


if __name__ == "__main__":
    sys.exit(main())
