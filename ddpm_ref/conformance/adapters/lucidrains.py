"""The `GaussianDiffusion` of denoising-diffusion-pytorch (lucidrains)."""

from __future__ import annotations

import sys
from importlib import import_module, metadata
from types import ModuleType
from typing import Any, ClassVar
from unittest import mock

import torch

from ddpm_ref.conformance.adapters.tensors import drawn, to_array, to_tensor
from ddpm_ref.conformance.protocol import Adapter, Array, VarianceKind

__all__ = ["Lucidrains"]


def _imported() -> tuple[Any, str]:
    """Import the package, and say what stood in for a torchvision that does not fit the torch at hand."""
    where, note = "denoising_diffusion_pytorch.denoising_diffusion_pytorch", ""
    try:
        import_module("torchvision")
    except (ImportError, RuntimeError):
        for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
            del sys.modules[name]
        empty: Any = ModuleType("torchvision")
        empty.transforms, empty.utils = ModuleType("transforms"), ModuleType("utils")
        sys.modules["torchvision"] = empty
        note = (
            "Its import of torchvision was met by an empty module, because there was no build for this "
            "torch; the diffusion process does not use it."
        )
    return import_module(where), note


package, NOTE = _imported()


class _Predicts(torch.nn.Module):
    """A network that predicts what it is told to."""

    channels, out_dim, self_condition = 1, 1, False
    answer: torch.Tensor

    def forward(self, x: torch.Tensor, t: torch.Tensor, condition: object = None) -> torch.Tensor:
        """Return the answer."""
        return self.answer


def _made(betas: Any, name: str = "linear") -> Any:
    with mock.patch.object(package, "linear_beta_schedule", return_value=betas):
        return package.GaussianDiffusion(
            _Predicts(),
            image_size=(1, 2),
            timesteps=len(betas),
            objective="pred_noise",
            beta_schedule="linear",
            auto_normalize=False,
        )


class Lucidrains(Adapter):
    """`GaussianDiffusion`. Its t counts from 0; tables are computed in float64 and kept in float32."""

    name = "denoising-diffusion-pytorch"
    version = metadata.version("denoising-diffusion-pytorch")
    note = NOTE
    dtypes = ("float32", "bfloat16", "float16")
    variances: ClassVar[dict[str, VarianceKind]] = {"posterior": "fixed_small"}
    spacings = ("ddim_sample",)

    def __init__(self, betas: Array, dtype: str, device: str) -> None:
        self.dtype, self.device = dtype, device
        self.made = _made(torch.from_numpy(betas)).to(device)

    def _in(self, values: Array) -> torch.Tensor:
        return to_tensor(values, self.dtype, self.device)

    def _t(self, t: Array) -> torch.Tensor:
        return torch.from_numpy(t - 1).to(self.device)

    @staticmethod
    def betas(schedule: str, T: int) -> Array:
        found = {"linear": package.linear_beta_schedule, "cosine": package.cosine_beta_schedule}[schedule](T)
        return to_array(found)

    @staticmethod
    def alpha_bar_of(schedule: str, T: int) -> Array:
        made = package.GaussianDiffusion(_Predicts(), image_size=(1, 2), timesteps=T, beta_schedule=schedule)
        return to_array(made.alphas_cumprod)

    def alpha_bar(self, t: Array) -> Array:
        return to_array(self.made.alphas_cumprod[self._t(t)])

    def posterior_variance(self, t: Array) -> Array:
        return to_array(self.made.posterior_variance[self._t(t)])

    def reverse_variance(self, t: Array, variance: str) -> Array:
        x = torch.zeros(len(t), 1, 1, 2)
        self.made.model.answer = x
        return to_array(self.made.p_mean_variance(x, self._t(t))[1].reshape(-1))

    def q_sample(self, x_0: Array, t: Array, noise: Array) -> Array:
        return to_array(self.made.q_sample(self._in(x_0), self._t(t), self._in(noise)))

    def q_posterior(self, x_0: Array, x_t: Array, t: Array) -> Array:
        return to_array(self.made.q_posterior(self._in(x_0), self._in(x_t), self._t(t))[0])

    def x0_from_eps(self, x_t: Array, t: Array, eps: Array) -> Array:
        return to_array(self.made.predict_start_from_noise(self._in(x_t), self._t(t), self._in(eps)))

    def eps_from_x0(self, x_t: Array, t: Array, x_0: Array) -> Array:
        return to_array(self.made.predict_noise_from_start(self._in(x_t), self._t(t), self._in(x_0)))

    def velocity(self, x_0: Array, t: Array, noise: Array) -> Array:
        return to_array(self.made.predict_v(self._in(x_0), self._t(t), self._in(noise)))

    def x0_from_v(self, x_t: Array, t: Array, v: Array) -> Array:
        return to_array(self.made.predict_start_from_v(self._in(x_t), self._t(t), self._in(v)))

    def _mean(self, x_t: Array, t: Array, eps: Array, clip: bool) -> Array:
        self.made.model.answer = self._in(eps)
        return to_array(self.made.p_mean_variance(self._in(x_t), self._t(t), clip_denoised=clip)[0])

    def mu_from_eps(self, x_t: Array, t: Array, eps: Array) -> Array:
        return self._mean(x_t, t, eps, clip=False)

    def clipped_mean(self, x_t: Array, t: Array, eps: Array) -> Array:
        return self._mean(x_t, t, eps, clip=True)

    def L_simple(self, noise: Array, eps: Array) -> Array:
        self.made.model.answer = self._in(eps)
        z = self._in(noise)
        t = torch.zeros(len(z), dtype=torch.long)
        return to_array(self.made.p_losses(torch.zeros_like(z), t, noise=z, loss_reduction="none"))

    def timesteps(self, N: int, spacing: str) -> list[int]:
        pairs: list[tuple[int, int]] = []

        def look(steps: list[tuple[int, int]], **_: object) -> list[tuple[int, int]]:
            pairs.extend(steps)
            return []

        self.made.sampling_timesteps = N
        with mock.patch.object(package, "tqdm", look), drawn(torch.zeros(1, 1, 1, 2)):
            self.made.ddim_sample((1, 1, 1, 2))
        if [following for _, following in pairs[:-1]] != [t for t, _ in pairs[1:]]:
            raise ValueError("a step does not begin where the one before it ended")
        return [t + 1 for t, _ in pairs]

    def ddim_step(
        self, x_t: Array, t: int, eps: Array, noise: Array, N: int, spacing: str, eta: float
    ) -> Array:
        return super().ddim_step(x_t, t, eps, noise, N, spacing, eta)  # ddim_sample always clips
