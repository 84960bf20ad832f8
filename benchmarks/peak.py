"""The most memory that this process has held."""

import resource
import sys
from pathlib import Path


def peak_memory() -> float:
    """Return it in bytes.

    On Linux `getrusage` will not do: a process begins with the peak of the one that started it.
    """
    status = Path("/proc/self/status")
    if status.is_file():
        lines = status.read_text(encoding="utf-8").splitlines()
        return 1024 * float(next(line for line in lines if line.startswith("VmHWM:")).split()[1])
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
