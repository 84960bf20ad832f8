"""Measure the default run: seconds, memory, quality. `python benchmarks/default_run.py [--out FILE]`."""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def main() -> int:
    """Run `python -m ddpm_ref.train` in a new process, print the numbers and write them as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".json"))
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        run = Path(scratch) / "run"
        began = time.monotonic()
        command = [sys.executable, "-m", "ddpm_ref.train", "--out", str(run)]
        code = subprocess.run(command, check=False).returncode
        seconds = time.monotonic() - began
        if code:
            return code
        report = json.loads((run / "report.json").read_text(encoding="utf-8"))
        environment = json.loads((run / "environment.json").read_text(encoding="utf-8"))
        config = json.loads((run / "config.json").read_text(encoding="utf-8"))
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    unit = 1 if sys.platform == "darwin" else 1024  # of ru_maxrss, in bytes
    evaluation = report["evaluation"]
    result = {
        "seconds": round(seconds, 1),
        "cpu_seconds": round(used.ru_utime + used.ru_stime, 1),
        "peak_memory_gb": round(used.ru_maxrss * unit / 1e9, 3),
        "load_average_after": round(os.getloadavg()[0], 2),
        "frechet": {row: round(evaluation[row]["frechet"], 3) for row in ("floor", "model", "baseline")},
        "imbalance": {row: round(evaluation[row]["imbalance"], 3) for row in ("floor", "model", "baseline")},
        "stages": {stage: round(value, 1) for stage, value in report["seconds"].items()},
        "config": {name: config[name] for name in ("preset", "seed", "T", "steps", "batch_size")},
        "environment": {
            name: environment[name]
            for name in ("commit", "versions", "platform", "cpus", "threads", "device")
        },
    }
    text = json.dumps(result, indent=2)
    print(text)
    given.out.write_text(text + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
