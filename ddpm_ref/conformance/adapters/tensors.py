"""What the adapters of PyTorch code share: arrays in, arrays out, and injected noise."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from unittest import mock

import torch

from ddpm_ref.conformance.protocol import Array

__all__ = ["drawn", "to_array", "to_tensor"]


def to_tensor(values: Array, dtype: str, device: str) -> torch.Tensor:
    """Copy an array to a device, in a dtype that holds it exactly."""
    made: torch.dtype = getattr(torch, dtype)
    return torch.from_numpy(values).to(device, made)


def to_array(values: torch.Tensor) -> Array:
    """Copy a tensor to NumPy; bfloat16, which it does not have, becomes float32."""
    values = values.detach().cpu()
    found: Array = (values.float() if values.dtype == torch.bfloat16 else values).numpy()
    return found


@contextlib.contextmanager
def drawn(noise: torch.Tensor) -> Iterator[None]:
    """Let code that draws its own noise draw this one."""
    with (
        mock.patch.object(torch, "randn", return_value=noise),
        mock.patch.object(torch, "randn_like", return_value=noise),
    ):
        yield
