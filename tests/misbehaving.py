"""An adapter that hangs, dies, and is right, for `tests/test_conformance.py`."""

from __future__ import annotations

import os
import time

import numpy as np

from ddpm_ref.conformance.protocol import Adapter, Array


class Misbehaving(Adapter):
    """One function hangs, one ends the process; two are right."""

    dtypes = ("float32",)

    def __init__(self, betas: Array, dtype: str, device: str) -> None:
        if len(betas) != 10:
            raise NotImplementedError("one schedule is enough here")
        self.bar = np.cumprod(1 - betas)

    def alpha_bar(self, t: Array) -> Array:
        return np.asarray(self.bar[t - 1], dtype=np.float32)

    def q_sample(self, x_0: Array, t: Array, noise: Array) -> Array:
        bar = self.bar[t - 1].reshape(-1, 1, 1, 1)
        return np.asarray(np.sqrt(bar) * x_0 + np.sqrt(1 - bar) * noise)

    def q_posterior(self, x_0: Array, x_t: Array, t: Array) -> Array:
        time.sleep(600)
        return x_0

    def x0_from_eps(self, x_t: Array, t: Array, eps: Array) -> Array:
        os._exit(3)
