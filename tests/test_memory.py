"""Tensors on the CPU are made of memory that others gave back."""

from __future__ import annotations

import subprocess
import sys

import pytest

PAGES = """
import resource, sys, torch
from ddpm_ref.memory import keep_freed_memory
kept = sys.argv[1] == "keep" and keep_freed_memory()
def make():
    torch.ones(2**24).sum()  # 64 MB
for _ in range(20):
    make()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    make()
print(int(kept), resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def pages(how: str) -> tuple[bool, int]:
    """Run the program above: is the memory kept, and how many pages did ten more tensors take anew?"""
    printed = subprocess.run([sys.executable, "-c", PAGES, how], check=True, capture_output=True, text=True)
    kept, taken = printed.stdout.split()
    return kept == "1", int(taken)


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc alone is spoken to")
def test_a_tensor_of_kept_memory_takes_no_new_pages() -> None:
    kept, taken = pages("keep")
    if not kept:
        pytest.skip("the C library is not glibc")
    assert taken < 100
    assert pages("return")[1] > 1000
