"""Measure the commands that people type: seconds, processor seconds, memory, and what the default run scores.

`python benchmarks/commands.py [train prove ledger test] [--out FILE]`. The machine should be idle: the load
average before each command stands beside its numbers.
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from record import keep

from ddpm_ref.arguments import Parser, new_file, one_line
from ddpm_ref.environment import environment

COMMANDS = {
    "train": ["-m", "ddpm_ref.train"],
    "prove": ["-m", "derivations"],
    "ledger": ["-m", "derivations", "ledger"],
    "test": ["-m", "pytest"],
}


def measure(command: list[str]) -> dict[str, float]:
    """Run a command in a new process and say what it took; its output goes where this program's goes."""
    load = os.getloadavg()[0]
    began, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
    process = subprocess.Popen([sys.executable, *command])
    _, status, used = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{' '.join(command)} ended with status {os.waitstatus_to_exitcode(status)}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    unit = 1 if sys.platform == "darwin" else 1024  # of ru_maxrss, in bytes
    return {
        "seconds": round(time.monotonic() - began, 1),
        "cpu_seconds": round(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, 1),
        "peak_memory_gb": round(used.ru_maxrss * unit / 1e9, 3),
        "load_average_before": round(load, 2),
    }


def quality(run: Path) -> dict[str, Any]:
    """Read what a run scored, beside its floor and its baseline."""
    report = json.loads((run / "report.json").read_text(encoding="utf-8"))
    rows = ("floor", "model", "baseline")
    return {
        "stages": {stage: round(value, 1) for stage, value in report["seconds"].items()},
        **{
            score: {row: round(report["quality"][row][score], 3) for row in rows}
            for score in ("frechet", "frechet_sd", "imbalance", "imbalance_sd")
        },
    }


def main() -> int:
    """Measure the commands named, or all, and write the numbers as JSON beside those measured before."""
    parser = Parser(description=__doc__)
    parser.add_argument("only", nargs="*", choices=[*COMMANDS, []], help="default: all of them")
    parser.add_argument("--out", type=new_file, default=Path(__file__).with_suffix(".json"))
    given = parser.parse_or_exit()
    try:
        results = json.loads(given.out.read_text(encoding="utf-8")) if given.out.is_file() else {}
        if not isinstance(results, dict):
            raise ValueError(f"it holds {type(results).__name__}, not an object")
    except (RecursionError, ValueError) as error:
        parser.exit(2, f"{parser.prog}: --out must be new, or what this wrote; {one_line(error)}\n")
    for name in given.only or COMMANDS:
        with tempfile.TemporaryDirectory() as scratch:
            run = Path(scratch) / "run"
            extra = ["--out", str(run)] if name == "train" else []
            results[name] = measure([*COMMANDS[name], *extra])
            if name == "train":
                results[name] |= quality(run)
        where = environment(torch.device("cpu"), COMMANDS[name])
        results[name]["environment"] = {
            key: where[key] for key in ("commit", "versions", "platform", "cpus", "threads", "device")
        }
        keep(given.out, results)
        print(json.dumps({name: results[name]}, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
