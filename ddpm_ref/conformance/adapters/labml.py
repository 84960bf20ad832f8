"""The annotated DDPM of labml.ai (`labml_nn.diffusion.ddpm`)."""

from __future__ import annotations

from importlib import metadata
from typing import Any, ClassVar

import numpy as np
import torch
from labml_nn.diffusion.ddpm import DenoiseDiffusion

from ddpm_ref.conformance.adapters.tensors import drawn, to_array, to_tensor
from ddpm_ref.conformance.protocol import Adapter, Array, NotOffered, VarianceKind

__all__ = ["Labml"]


class Labml(Adapter):
    """`DenoiseDiffusion`, which has the linear schedule only. Its t counts from 0."""

    name = "labml-nn"
    version = metadata.version("labml-nn")
    dtypes = ("float32", "bfloat16", "float16")
    variances: ClassVar[dict[str, VarianceKind]] = {"sigma2": "fixed_large"}

    def __init__(self, betas: Array, dtype: str, device: str) -> None:
        self.dtype, self.device = dtype, device
        self.answer: Any = None
        self.made = DenoiseDiffusion(lambda x, t: self.answer, len(betas), torch.device(device))
        if not np.allclose(to_array(self.made.beta), betas, rtol=2.0**-22, atol=0):
            raise NotOffered("it has the linear schedule only")

    def _in(self, values: Array) -> torch.Tensor:
        return to_tensor(values, self.dtype, self.device)

    @staticmethod
    def betas(schedule: str, T: int) -> Array:
        if schedule != "linear":
            raise NotOffered("it has the linear schedule only")
        return to_array(DenoiseDiffusion(torch.nn.Identity(), T, torch.device("cpu")).beta)

    def alpha_bar(self, t: Array) -> Array:
        return to_array(self.made.alpha_bar[t - 1])

    def one_minus_alpha_bar(self, t: Array) -> Array:
        x = torch.zeros(len(t), 1, 1, 1)
        return to_array(self.made.q_xt_x0(x, torch.from_numpy(t - 1))[1].reshape(-1))

    def reverse_variance(self, t: Array, variance: str) -> Array:
        return to_array(self.made.sigma2[t - 1])

    def q_sample(self, x_0: Array, t: Array, noise: Array) -> Array:
        return to_array(self.made.q_sample(self._in(x_0), torch.from_numpy(t - 1), self._in(noise)))

    def mu_from_eps(self, x_t: Array, t: Array, eps: Array) -> Array:
        return self.step(x_t, t, eps, np.zeros_like(x_t), "sigma2", None)

    def step(
        self, x_t: Array, t: Array, eps: Array, noise: Array, variance: str, value: Array | None
    ) -> Array:
        self.answer = self._in(eps)
        with drawn(self._in(noise)):
            return to_array(self.made.p_sample(self._in(x_t), torch.from_numpy(t - 1)))
