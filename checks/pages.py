"""Generated pages: written anew, or compared with what is there."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def settle(name: str, text: str, root: Path = ROOT) -> int:
    """Write `docs/checks/NAME.md`, or with `--check` say whether it is right; return the exit code."""
    page = root / "docs" / "checks" / f"{name}.md"
    if "--check" not in sys.argv[1:]:
        page.parent.mkdir(parents=True, exist_ok=True)
        page.write_text(text, encoding="utf-8")
    elif not page.is_file() or page.read_text(encoding="utf-8") != text:
        print(f"docs/checks/{name}.md is not up to date: python checks/{name}.py", file=sys.stderr)
        return 1
    return 0
