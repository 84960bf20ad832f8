"""The DDPM and DDIM schedulers of Hugging Face diffusers, called as its pipelines call them."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from importlib import metadata
from typing import Any, ClassVar
from unittest import mock

import numpy as np
import torch
from diffusers import DDIMScheduler, DDPMScheduler

from ddpm_ref.conformance.adapters.tensors import to_array as _out
from ddpm_ref.conformance.adapters.tensors import to_tensor
from ddpm_ref.conformance.protocol import Adapter, Array, NotOffered, VarianceKind

__all__ = ["Diffusers"]

logging.getLogger("diffusers").setLevel(logging.ERROR)  # advice on versions is no business of a check
_DDPM: Any = DDPMScheduler  # ships no types
_SCHEDULES = {"linear": "linear", "cosine": "squaredcos_cap_v2"}


class Diffusers(Adapter):
    """`DDPMScheduler` and `DDIMScheduler`. Timestep 0 there is t = 1 here. Tables are float32, always."""

    name = "diffusers"
    version = metadata.version("diffusers")
    dtypes = ("float32", "bfloat16", "float16")
    variances: ClassVar[dict[str, VarianceKind]] = {
        "fixed_small": "fixed_small",
        "fixed_small_log": "fixed_small",
        "fixed_large": "fixed_large",
        "fixed_large_log": "fixed_large",
        "learned": "log",
        "learned_range": "learned",
    }
    spacings = ("leading", "leading, steps_offset = 1", "linspace", "trailing")

    def __init__(self, betas: Array, dtype: str, device: str) -> None:
        self.betas_given = betas.tolist()
        self.dtype, self.device = dtype, device
        self.made: dict[tuple[Any, ...], Any] = {}
        self.plain = self._scheduler(DDPMScheduler)

    def _scheduler(self, kind: Any, **settings: Any) -> Any:
        key = (kind, *sorted(settings.items()))
        if key not in self.made:
            settings.setdefault("clip_sample", False)
            self.made[key] = kind(
                num_train_timesteps=len(self.betas_given), trained_betas=self.betas_given, **settings
            )
        return self.made[key]

    def _spaced(self, kind: Any, spacing: str, N: int) -> Any:
        spacing, _, offset = spacing.partition(", steps_offset = ")
        scheduler = self._scheduler(kind, timestep_spacing=spacing, steps_offset=int(offset or 0))
        if scheduler.num_inference_steps != N:
            scheduler.set_timesteps(N)
        return scheduler

    def _in(self, values: Array) -> torch.Tensor:
        return to_tensor(values, self.dtype, self.device)

    @staticmethod
    def betas(schedule: str, T: int) -> Array:
        made: Any = _DDPM(num_train_timesteps=T, beta_schedule=_SCHEDULES[schedule])
        return _out(made.betas)

    @staticmethod
    def alpha_bar_of(schedule: str, T: int) -> Array:
        made: Any = _DDPM(num_train_timesteps=T, beta_schedule=_SCHEDULES[schedule])
        return _out(made.alphas_cumprod)

    def alpha_bar(self, t: Array) -> Array:
        return _out(self.plain.alphas_cumprod[t - 1])

    def one_minus_alpha_bar(self, t: Array) -> Array:
        return _out(1 - self.plain.alphas_cumprod[t - 1])  # as add_noise, get_velocity and step compute it

    def posterior_variance(self, t: Array) -> Array:
        return self.reverse_variance(t, "fixed_small")

    def reverse_variance(self, t: Array, variance: str) -> Array:
        if not variance.startswith("fixed") or variance.endswith("log"):
            raise NotOffered("what _get_variance returns for this type is not a variance; see step")
        scheduler = self._scheduler(DDPMScheduler, variance_type=variance)
        return _out(torch.stack([scheduler._get_variance(int(step) - 1) for step in t]))

    def q_sample(self, x_0: Array, t: Array, noise: Array) -> Array:
        return _out(self.plain.add_noise(self._in(x_0), self._in(noise), torch.from_numpy(t - 1)))

    def velocity(self, x_0: Array, t: Array, noise: Array) -> Array:
        return _out(self.plain.get_velocity(self._in(x_0), self._in(noise), torch.from_numpy(t - 1)))

    def _steps(self, scheduler: Any, x_t: Array, t: Array, output: Array, noise: Array) -> list[Any]:
        """Take one step for each example, with the noise that is given."""
        x, predicted, z = self._in(x_t), self._in(output), self._in(noise)
        found = []
        for i, step in enumerate(t):
            with _noise(z[i : i + 1]):
                found.append(scheduler.step(predicted[i : i + 1], int(step) - 1, x[i : i + 1]))
        return found

    def _images(self, prediction_type: str, x_t: Array, t: Array, output: Array) -> Array:
        scheduler = self._scheduler(DDPMScheduler, prediction_type=prediction_type)
        steps = self._steps(scheduler, x_t, t, output, np.zeros_like(x_t))
        return _out(torch.cat([step.pred_original_sample for step in steps]))

    def _means(self, x_t: Array, t: Array, output: Array, **settings: Any) -> Array:
        scheduler = self._scheduler(DDPMScheduler, **settings)
        return _out(
            torch.cat([s.prev_sample for s in self._steps(scheduler, x_t, t, output, np.zeros_like(x_t))])
        )

    def x0_from_eps(self, x_t: Array, t: Array, eps: Array) -> Array:
        return self._images("epsilon", x_t, t, eps)

    def x0_from_v(self, x_t: Array, t: Array, v: Array) -> Array:
        return self._images("v_prediction", x_t, t, v)

    def q_posterior(self, x_0: Array, x_t: Array, t: Array) -> Array:
        return self._means(x_t, t, x_0, prediction_type="sample")

    def mu_from_eps(self, x_t: Array, t: Array, eps: Array) -> Array:
        return self._means(x_t, t, eps)

    def clipped_mean(self, x_t: Array, t: Array, eps: Array) -> Array:
        return self._means(x_t, t, eps, clip_sample=True)

    def step(
        self, x_t: Array, t: Array, eps: Array, noise: Array, variance: str, value: Array | None
    ) -> Array:
        scheduler = self._scheduler(DDPMScheduler, variance_type=variance)
        output = eps if value is None else np.concatenate([eps, value], axis=1)
        return _out(torch.cat([s.prev_sample for s in self._steps(scheduler, x_t, t, output, noise)]))

    def timesteps(self, N: int, spacing: str) -> list[int]:
        ddpm, ddim = (self._spaced(kind, spacing, N).timesteps for kind in (DDPMScheduler, DDIMScheduler))
        if ddpm.tolist() != ddim.tolist():
            raise ValueError(f"DDPMScheduler and DDIMScheduler take different steps for N = {N}")
        return [int(t) + 1 for t in ddpm]

    def stretch_mean(self, x_t: Array, t: int, eps: Array, N: int, spacing: str) -> Array:
        scheduler = self._spaced(DDPMScheduler, spacing, N)
        [step] = self._steps(scheduler, x_t, np.array([t]), eps, np.zeros_like(x_t))
        return _out(step.prev_sample)

    def ddim_step(
        self, x_t: Array, t: int, eps: Array, noise: Array, N: int, spacing: str, eta: float
    ) -> Array:
        scheduler = self._spaced(DDIMScheduler, spacing, N)
        z = {"variance_noise": self._in(noise)} if eta > 0 else {}
        return _out(scheduler.step(self._in(eps), t - 1, self._in(x_t), eta=eta, **z).prev_sample)


@contextlib.contextmanager
def _noise(z: torch.Tensor) -> Iterator[None]:
    """Let DDPMScheduler.step draw the noise that is given; it takes a generator only."""
    with mock.patch("diffusers.schedulers.scheduling_ddpm.randn_tensor", return_value=z):
        yield
