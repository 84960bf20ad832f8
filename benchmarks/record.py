"""Keep what was measured, beside the program or where somebody says."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def keep(file: Path, results: Mapping[str, Any]) -> None:
    """Write results as JSON; where that fails, print them, say so in one line and exit with 1."""
    text = json.dumps(results, indent=1)
    try:
        file.write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        print(text)
        print(f"{Path(sys.argv[0]).name}: --out {file}: {error.strerror}", file=sys.stderr)
        sys.exit(1)
