"""How the C library hands out memory to tensors on the CPU."""

import ctypes
import sys

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4  # glibc's malloc.h


def keep_freed_memory() -> bool:
    """Let this process reuse the memory that tensors give back, where the C library is glibc.

    By itself glibc takes every large block from the system and returns it when it is freed. The system zeroes
    the pages each time: about 150,000 of them in one training step of the paper's network. The programs call
    this on the CPU; nothing else changes for them, and results do not.

    Returns:
        whether the C library took both settings.
    """
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # musl has none
    return mallopt is not None and bool(mallopt(M_MMAP_MAX, 0)) and bool(mallopt(M_TRIM_THRESHOLD, -1))
