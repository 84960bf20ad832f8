"""The DDPM and DDIM schedulers of MONAI (`monai.networks.schedulers`)."""

from __future__ import annotations

import warnings
from importlib import metadata
from typing import Any, ClassVar

import numpy as np
import torch

from ddpm_ref.conformance.adapters.tensors import drawn, to_array, to_tensor
from ddpm_ref.conformance.protocol import Adapter, Array, NotOffered, VarianceKind

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from monai.networks.schedulers import DDIMScheduler, DDPMScheduler
    from monai.networks.schedulers.scheduler import NoiseSchedules

__all__ = ["Monai"]


def _given(num_train_timesteps: int, betas: list[float]) -> torch.Tensor:
    return torch.tensor(betas, dtype=torch.float32)


NoiseSchedules.add("conformance", "betas that are given", _given)
_SCHEDULES = {"linear": "linear_beta", "cosine": "cosine"}


class Monai(Adapter):
    """`DDPMScheduler` and `DDIMScheduler`. Timestep 0 there is t = 1 here. Tables are float32."""

    name = "monai"
    version = metadata.version("monai")
    dtypes = ("float32", "bfloat16", "float16")
    variances: ClassVar[dict[str, VarianceKind]] = {
        "fixed_small": "fixed_small",
        "fixed_large": "fixed_large",
        "learned": "log",
        "learned_range": "learned",
    }
    spacings = ("linspace",)

    def __init__(self, betas: Array, dtype: str, device: str) -> None:
        self.betas_given = betas.tolist()
        self.dtype, self.device = dtype, device
        self.made: dict[tuple[Any, ...], Any] = {}

    def _scheduler(self, kind: Any = DDPMScheduler, **settings: Any) -> Any:
        key = (kind, *sorted(settings.items()))
        if key not in self.made:
            settings.setdefault("clip_sample", False)
            self.made[key] = kind(
                num_train_timesteps=len(self.betas_given),
                schedule="conformance",
                betas=self.betas_given,
                **settings,
            )
        return self.made[key]

    def _in(self, values: Array) -> torch.Tensor:
        return to_tensor(values, self.dtype, self.device)

    @staticmethod
    def betas(schedule: str, T: int) -> Array:
        return to_array(DDPMScheduler(num_train_timesteps=T, schedule=_SCHEDULES[schedule]).betas)

    @staticmethod
    def alpha_bar_of(schedule: str, T: int) -> Array:
        return to_array(DDPMScheduler(num_train_timesteps=T, schedule=_SCHEDULES[schedule]).alphas_cumprod)

    def alpha_bar(self, t: Array) -> Array:
        return to_array(self._scheduler().alphas_cumprod[t - 1])

    def one_minus_alpha_bar(self, t: Array) -> Array:
        return to_array(1 - self._scheduler().alphas_cumprod[t - 1])  # as add_noise and step compute it

    def posterior_variance(self, t: Array) -> Array:
        return self.reverse_variance(t, "fixed_small")

    def reverse_variance(self, t: Array, variance: str) -> Array:
        if not variance.startswith("fixed"):
            raise NotOffered("it depends on what the network says; see step")
        scheduler = self._scheduler(variance_type=variance)
        return to_array(torch.stack([scheduler._get_variance(int(step) - 1) for step in t]))

    def q_sample(self, x_0: Array, t: Array, noise: Array) -> Array:
        return to_array(self._scheduler().add_noise(self._in(x_0), self._in(noise), torch.from_numpy(t - 1)))

    def velocity(self, x_0: Array, t: Array, noise: Array) -> Array:
        return to_array(
            self._scheduler().get_velocity(self._in(x_0), self._in(noise), torch.from_numpy(t - 1))
        )

    def _steps(
        self, scheduler: Any, x_t: Array, t: Array, output: Array, noise: Array
    ) -> tuple[Array, Array]:
        x, predicted, z = self._in(x_t), self._in(output), self._in(noise)
        found = []
        for i, step in enumerate(t):
            with drawn(z[i : i + 1]):
                found.append(scheduler.step(predicted[i : i + 1], int(step) - 1, x[i : i + 1]))
        before, images = zip(*found, strict=True)
        return to_array(torch.cat(before)), to_array(torch.cat(images))

    def _quietly(self, x_t: Array, t: Array, output: Array, **settings: Any) -> tuple[Array, Array]:
        return self._steps(self._scheduler(**settings), x_t, t, output, np.zeros_like(x_t))

    def x0_from_eps(self, x_t: Array, t: Array, eps: Array) -> Array:
        return self._quietly(x_t, t, eps)[1]

    def x0_from_v(self, x_t: Array, t: Array, v: Array) -> Array:
        return self._quietly(x_t, t, v, prediction_type="v_prediction")[1]

    def q_posterior(self, x_0: Array, x_t: Array, t: Array) -> Array:
        return self._quietly(x_t, t, x_0, prediction_type="sample")[0]

    def mu_from_eps(self, x_t: Array, t: Array, eps: Array) -> Array:
        return self._quietly(x_t, t, eps)[0]

    def clipped_mean(self, x_t: Array, t: Array, eps: Array) -> Array:
        return self._quietly(x_t, t, eps, clip_sample=True)[0]

    def step(
        self, x_t: Array, t: Array, eps: Array, noise: Array, variance: str, value: Array | None
    ) -> Array:
        output = eps if value is None else np.concatenate([eps, value], axis=1)
        return self._steps(self._scheduler(variance_type=variance), x_t, t, output, noise)[0]

    def _spaced(self, kind: Any, N: int) -> Any:
        scheduler = self._scheduler(kind)
        if scheduler.num_inference_steps != N:
            scheduler.set_timesteps(N)
        return scheduler

    def timesteps(self, N: int, spacing: str) -> list[int]:
        ddpm, ddim = (self._spaced(kind, N).timesteps.tolist() for kind in (DDPMScheduler, DDIMScheduler))
        if ddpm != ddim:
            raise ValueError(f"DDPMScheduler and DDIMScheduler take different steps for N = {N}")
        return [t + 1 for t in ddpm]

    def stretch_mean(self, x_t: Array, t: int, eps: Array, N: int, spacing: str) -> Array:
        return self._steps(self._spaced(DDPMScheduler, N), x_t, np.array([t]), eps, np.zeros_like(x_t))[0]

    def ddim_step(
        self, x_t: Array, t: int, eps: Array, noise: Array, N: int, spacing: str, eta: float
    ) -> Array:
        scheduler = self._spaced(DDIMScheduler, N)
        with drawn(self._in(noise)):
            return to_array(scheduler.step(self._in(eps), t - 1, self._in(x_t), eta=eta)[0])
