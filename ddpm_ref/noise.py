"""Noise as an argument: given for each t, or drawn from a generator."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

__all__ = ["Noise", "noise_source"]

Noise = Callable[[int], Tensor]
"""`t -> noise`, standard normal if it is to mean anything."""


def noise_source(noise: Noise | None, generator: torch.Generator | None, like: Tensor) -> Noise:
    """Return `noise`, or a function that draws noise shaped like a batch.

    Args:
        noise: what to use for each t, or None.
        generator: where drawn noise comes from; PyTorch's default if not given.
        like: the batch; drawn noise has its shape and dtype, and ends on its device.

    Raises:
        ValueError: if both `noise` and `generator` are given.
    """
    if noise is not None:
        if generator is not None:
            raise ValueError("noise and generator must not both be given")
        return noise
    source = like.device if generator is None else generator.device

    def draw(t: int) -> Tensor:
        return torch.randn(like.shape, generator=generator, dtype=like.dtype, device=source).to(like.device)

    return draw
