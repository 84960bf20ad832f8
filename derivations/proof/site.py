"""Build the site into a folder that opens from disk: `python -m derivations.proof.site`.

mkdocs builds it. What it does not do without a plugin is put the search index into a script: a page opened
from disk may load scripts, and nothing else. The theme looks for it there.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from derivations.proof.arguments import Parser, path

ROOT = Path(__file__).resolve().parents[2]


def build(folder: Path, config: Path = ROOT / "mkdocs.yml") -> int:
    """Build the site, strictly, and return 0, or the status of mkdocs if it complains."""
    command = [sys.executable, "-m", "mkdocs", "build", "--strict"]
    built = subprocess.run([*command, "--config-file", str(config), "--site-dir", str(folder)], check=False)
    if built.returncode == 0:
        search_from_disk(folder)
    return built.returncode


def search_from_disk(folder: Path) -> None:
    """Write the search index of a built site as a script beside it."""
    index = (folder / "search" / "search_index.json").read_text(encoding="utf-8")
    (folder / "search" / "search_index.js").write_text(f"var __index = {index};\n", encoding="utf-8")


def is_site_or_empty(folder: Path) -> bool:
    """Tell whether mkdocs may empty a folder: a site is in it, or nothing."""
    made = ("objects.inv", "sitemap.xml")  # by mkdocs, and by zensical
    return all((folder / name).is_file() for name in made) or not any(folder.iterdir())


def main(arguments: Sequence[str] | None = None) -> int:
    """Build the site; the exit status is that of mkdocs."""
    parser = Parser(prog="python -m derivations.proof.site", description=build.__doc__)
    parser.add_argument(
        "--site-dir", type=path, default=ROOT / "site", metavar="DIR", help="default: site/ beside mkdocs.yml"
    )
    folder: Path = parser.parse_args(arguments).site_dir.absolute()
    if folder.exists() and not (folder.is_dir() and is_site_or_empty(folder)):  # mkdocs would empty it
        parser.error(f"--site-dir must be a new or empty folder, or a built site; got {folder}")
    return build(folder)


if __name__ == "__main__":
    sys.exit(main())
