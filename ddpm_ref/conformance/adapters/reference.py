"""The PyTorch code of this project."""

from __future__ import annotations

from importlib import metadata
from typing import Any, ClassVar, get_args

import numpy as np
import torch

from ddpm_ref import bound, decoder, gaussian, objective, process
from ddpm_ref.conformance.adapters.tensors import to_array as _out
from ddpm_ref.conformance.adapters.tensors import to_tensor
from ddpm_ref.conformance.protocol import Adapter, Array, VarianceKind
from ddpm_ref.gaussian import Gaussian
from ddpm_ref.sampler import sample
from ddpm_ref.schedule import Schedule, cosine, linear
from ddpm_ref.subsequence import Spacing, steps

__all__ = ["Reference"]


class Reference(Adapter):
    """`ddpm_ref` itself."""

    name = "ddpm-ref"
    version = metadata.version("ddpm-ref")
    dtypes = ("float64", "float32", "bfloat16", "float16")
    variances: ClassVar[dict[str, VarianceKind]] = {
        "fixed_large": "fixed_large",
        "fixed_small": "fixed_small",
        "learned": "learned",
    }
    spacings = get_args(Spacing)

    def __init__(self, betas: Array, dtype: str, device: str) -> None:
        self.schedule = Schedule.from_betas(betas.tolist())
        self.dtype, self.device = dtype, device

    def _in(self, values: Array) -> torch.Tensor:
        return to_tensor(values, self.dtype, self.device)

    def _table(self, name: str, t: Array) -> Array:
        like = self._in(np.zeros(len(t)))
        return _out(self.schedule.at(name, torch.from_numpy(t), like))

    @staticmethod
    def betas(schedule: str, T: int) -> Array:
        return np.array({"linear": linear, "cosine": cosine}[schedule](T=T).betas)

    @staticmethod
    def alpha_bar_of(schedule: str, T: int) -> Array:
        return _out({"linear": linear, "cosine": cosine}[schedule](T=T).alpha_bar[1:])

    def alpha_bar(self, t: Array) -> Array:
        return self._table("alpha_bar", t)

    def one_minus_alpha_bar(self, t: Array) -> Array:
        return self._table("one_minus_alpha_bar", t)

    def snr(self, t: Array) -> Array:
        return self._table("snr", t)

    def posterior_variance(self, t: Array) -> Array:
        return self._table("posterior_variance", t)

    def reverse_variance(self, t: Array, variance: str) -> Array:
        return self._table(f"variance_{variance}", t)

    def variance_at_1(self) -> Array:
        return self._table("variance_fixed_large", np.array([1]))

    def q_sample(self, x_0: Array, t: Array, noise: Array) -> Array:
        return _out(process.q_sample(self.schedule, self._in(x_0), torch.from_numpy(t), self._in(noise)))

    def q_posterior(self, x_0: Array, x_t: Array, t: Array) -> Array:
        return _out(
            process.q_posterior(self.schedule, self._in(x_0), self._in(x_t), torch.from_numpy(t)).mean
        )

    def _conversion(self, name: str, x_t: Array, t: Array, given: Array) -> Array:
        function: Any = getattr(process, name)
        return _out(function(self.schedule, self._in(x_t), torch.from_numpy(t), self._in(given)))

    def x0_from_eps(self, x_t: Array, t: Array, eps: Array) -> Array:
        return self._conversion("x0_from_eps", x_t, t, eps)

    def eps_from_x0(self, x_t: Array, t: Array, x_0: Array) -> Array:
        return self._conversion("eps_from_x0", x_t, t, x_0)

    def mu_from_eps(self, x_t: Array, t: Array, eps: Array) -> Array:
        return self._conversion("mu_from_eps", x_t, t, eps)

    def velocity(self, x_0: Array, t: Array, noise: Array) -> Array:
        x_t = torch.zeros_like(self._in(x_0))  # not used for this target
        steps = torch.from_numpy(t)
        return _out(process.target(self.schedule, self._in(x_0), x_t, steps, self._in(noise), prediction="v"))

    def x0_from_v(self, x_t: Array, t: Array, v: Array) -> Array:
        return self._conversion("x0_from_v", x_t, t, v)

    def eps_from_v(self, x_t: Array, t: Array, v: Array) -> Array:
        return self._conversion("eps_from_v", x_t, t, v)

    def _p(self, x_t: Array, t: Array, eps: Array, variance: Any, clip: bool) -> process.ReverseStep:
        return process.p_mean_variance(
            self.schedule, self._in(eps), self._in(x_t), torch.from_numpy(t), variance=variance, clip=clip
        )

    def clipped_mean(self, x_t: Array, t: Array, eps: Array) -> Array:
        return _out(self._p(x_t, t, eps, "fixed_large", True).mean)

    def step(
        self, x_t: Array, t: Array, eps: Array, noise: Array, variance: str, value: Array | None
    ) -> Array:
        kind: Any = variance
        return _out(
            process.p_sample(
                self.schedule,
                self._in(eps),
                self._in(x_t),
                torch.from_numpy(t),
                self._in(noise),
                variance=kind,
                clip=False,
                variance_value=None if value is None else self._in(value),
            )
        )

    def timesteps(self, N: int, spacing: str) -> list[int]:
        chosen: Any = spacing
        return list(reversed(steps(self.schedule.T, N, chosen)))

    def _after(self, t: int, N: int, spacing: str) -> int:
        chain = [*self.timesteps(N, spacing), 0]
        return chain[chain.index(t) + 1]

    def _one_step(self, x_t: Array, t: int, s: int, eps: Array, noise: Array, **how: Any) -> Array:
        predicted, z = self._in(eps), self._in(noise)
        states = sample(
            lambda x, t: predicted,
            self.schedule,
            self._in(x_t),
            start=t,
            steps=(s, t) if s else (t,),
            noise=lambda t: z,
            clip=False,
            **how,
        )
        next(states)
        return _out(next(states).x)

    def stretch_mean(self, x_t: Array, t: int, eps: Array, N: int, spacing: str) -> Array:
        return self._one_step(x_t, t, self._after(t, N, spacing), eps, np.zeros_like(x_t))

    def ddim_step(
        self, x_t: Array, t: int, eps: Array, noise: Array, N: int, spacing: str, eta: float
    ) -> Array:
        return self._one_step(x_t, t, self._after(t, N, spacing), eps, noise, eta=eta)

    def ddim_step_to(self, x_t: Array, t: int, s: int, eps: Array, noise: Array, eta: float) -> Array:
        return self._one_step(x_t, t, s, eps, noise, eta=eta)

    def kl(self, mean_1: Array, log_variance_1: Array, mean_2: Array, log_variance_2: Array) -> Array:
        laws = ((mean_1, log_variance_1), (mean_2, log_variance_2))
        p, q = (Gaussian(self._in(mean), self._in(log_variance).exp()) for mean, log_variance in laws)
        return _out(gaussian.kl(p, q))

    def decoder_log_likelihood(self, x_0: Array, mean: Array, log_variance: Array) -> Array:
        p = Gaussian(self._in(mean), self._in(log_variance).exp())
        return _out(decoder.decoder_log_likelihood(p, self._in(x_0)))

    def prior_term(self, x_0: Array) -> Array:
        return _out(bound.prior_term(self.schedule, self._in(x_0)))

    def L_t_minus_1(self, x_0: Array, t: Array, noise: Array, eps: Array, variance: str) -> Array:
        kind: Any = variance
        predicted = self._in(eps)
        return _out(
            objective.L_t_minus_1(
                lambda x_t, t: predicted,
                self.schedule,
                self._in(x_0),
                torch.from_numpy(t),
                self._in(noise),
                variance=kind,
                clip=False,
            )
        )

    def L_simple(self, noise: Array, eps: Array) -> Array:
        predicted, target = self._in(eps), self._in(noise)
        return _out(
            objective.L_simple(lambda x_t, t: predicted, self.schedule, torch.zeros_like(target), 1, target)
        )
