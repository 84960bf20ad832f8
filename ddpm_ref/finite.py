"""Refuse what is not finite before a loop over t, and name the step at which it went wrong."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["FirstBad", "check_finite"]


def check_finite(name: str, x: Tensor) -> None:
    """Raise unless every entry is finite. It makes a device wait, so it is for what a loop starts from.

    Raises:
        ValueError: naming what is not.
    """
    if not bool(x.isfinite().all()):
        raise ValueError(f"{name} must be finite; got nan or infinity")


class FirstBad:
    """The first t at which a value was not finite, kept on the device, which need not wait."""

    def __init__(self, device: torch.device) -> None:
        self._t = torch.zeros((), dtype=torch.long, device=device)  # 0: none so far

    def see(self, t: int, *values: Tensor | None) -> None:
        """Note t if a value is nan or infinite and nothing was before."""
        for value in values:
            if value is not None:
                self._t = torch.where(value.isfinite().all() | (self._t > 0), self._t, t)

    def stop(self, what: str, *, last: bool) -> None:
        """Raise if there was one; on a device other than the CPU only at the last step: reading it waits.

        Raises:
            FloatingPointError: naming what was not finite, and the t.
        """
        if (self._t.device.type == "cpu" or last) and (bad := int(self._t)):
            raise FloatingPointError(f"{what} must be finite; got nan or infinity at t = {bad}")
