"""The page of benchmarks is made from what was measured."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def test_the_page_says_what_was_measured() -> None:
    made = subprocess.run(
        [sys.executable, ROOT / "benchmarks" / "page.py", "--check"], capture_output=True, text=True
    )
    assert made.returncode == 0, made.stderr
