"""What a launcher such as `torchrun` tells each of several processes, in variables of its environment."""

import os

LAUNCHED = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")
MOST = 2**16  # processes


def world() -> int:
    """Count the processes; 1 without a launcher.

    Raises:
        ValueError: if the variable is not what torchrun sets.
    """
    return variable("WORLD_SIZE", 1, MOST) if all(name in os.environ for name in LAUNCHED) else 1


def rank() -> int:
    """Give this process's number, 0..world − 1; only 0 writes files and progress.

    Raises:
        ValueError: if the variable is not what torchrun sets.
    """
    return variable("RANK", 0, world() - 1) if world() > 1 else 0


def variable(name: str, least: int, most: int) -> int:
    """Read a number that the launcher sets.

    Raises:
        ValueError: if it is not in least..most.
    """
    text = os.environ[name]
    if not text.isdecimal() or len(text) > 9 or not least <= int(text) <= most:
        raise ValueError(f"{name} must be an integer in {least}..{most}, as torchrun sets it; got {text!r}")
    return int(text)
