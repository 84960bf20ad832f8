"""Build the site into a folder that opens from disk: `python -m derivations.proof.site`.

mkdocs builds it. What it does not do without a plugin is put the search index into a script: a page opened
from disk may load scripts, and nothing else. The theme looks for it there.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

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


def main(arguments: Sequence[str] | None = None) -> int:
    """Build the site; the exit status is that of mkdocs."""
    parser = argparse.ArgumentParser(prog="python -m derivations.proof.site", description=build.__doc__)
    parser.add_argument(
        "--site-dir", type=Path, default=ROOT / "site", metavar="DIR", help="default: site/ beside mkdocs.yml"
    )
    return build(parser.parse_args(arguments).site_dir.absolute())


if __name__ == "__main__":
    sys.exit(main())
