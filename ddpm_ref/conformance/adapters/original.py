"""The formulas of the paper's own code (hojonathanho/diffusion), written anew in NumPy.

Tables are computed in float64, with ᾱ by a running product, and cast to float32, as that code does.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from ddpm_ref.conformance.protocol import Adapter, Array, NotOffered, VarianceKind

__all__ = ["Original"]


class Original(Adapter):
    """The released configuration: fixed variances, clipping before the mean, a tanh for the normal law."""

    name = "hojonathanho/diffusion, formulas"
    version = "2020"
    dtypes = ("float32",)
    variances: ClassVar[dict[str, VarianceKind]] = {"fixedlarge": "fixed_large", "fixedsmall": "fixed_small"}

    def __init__(self, betas: Array, dtype: str, device: str) -> None:
        if device != "cpu":
            raise NotOffered("NumPy computes on the CPU")
        product = np.cumprod(1 - betas)
        before = np.append(1.0, product[:-1])
        posterior = betas * (1 - before) / (1 - product)
        clipped = np.append(posterior[1:2] if len(betas) > 1 else betas, posterior[1:])
        tables = {
            "alpha_bar": product,
            "root": np.sqrt(product),
            "noise": np.sqrt(1 - product),
            "posterior": posterior,
            "of_image": betas * np.sqrt(before) / (1 - product),
            "of_state": (1 - before) * np.sqrt(1 - betas) / (1 - product),
            "scale": np.sqrt(1 / product),
            "scaled_noise": np.sqrt(1 / product - 1),
            "fixedsmall": np.log(clipped),
            "fixedlarge": np.log(np.append(clipped[:1], betas[1:])),
        }
        self.tables = {name: values.astype(np.float32) for name, values in tables.items()}

    def _at(self, name: str, t: Array) -> Array:
        return np.asarray(self.tables[name][t - 1]).reshape(-1, 1, 1, 1)

    @staticmethod
    def betas(schedule: str, T: int) -> Array:
        if schedule != "linear":
            raise NotOffered("the released configuration is linear")
        return np.linspace(1e-4, 0.02, T)

    def alpha_bar(self, t: Array) -> Array:
        return np.asarray(self.tables["alpha_bar"][t - 1])

    def posterior_variance(self, t: Array) -> Array:
        return np.asarray(self.tables["posterior"][t - 1])

    def reverse_variance(self, t: Array, variance: str) -> Array:
        found: Array = np.exp(self.tables[variance][t - 1])
        return found

    def variance_at_1(self) -> Array:
        return self.reverse_variance(np.array([1]), "fixedlarge")

    def q_sample(self, x_0: Array, t: Array, noise: Array) -> Array:
        return np.asarray(self._at("root", t) * x_0 + self._at("noise", t) * noise)

    def q_posterior(self, x_0: Array, x_t: Array, t: Array) -> Array:
        return np.asarray(self._at("of_image", t) * x_0 + self._at("of_state", t) * x_t)

    def x0_from_eps(self, x_t: Array, t: Array, eps: Array) -> Array:
        return np.asarray(self._at("scale", t) * x_t - self._at("scaled_noise", t) * eps)

    def mu_from_eps(self, x_t: Array, t: Array, eps: Array) -> Array:
        return self.q_posterior(self.x0_from_eps(x_t, t, eps), x_t, t)

    def clipped_mean(self, x_t: Array, t: Array, eps: Array) -> Array:
        return self.q_posterior(np.clip(self.x0_from_eps(x_t, t, eps), -1, 1), x_t, t)

    def step(
        self, x_t: Array, t: Array, eps: Array, noise: Array, variance: str, value: Array | None
    ) -> Array:
        on = (t > 1).astype(np.float32).reshape(-1, 1, 1, 1)
        return self.mu_from_eps(x_t, t, eps) + on * np.exp(self._at(variance, t) / 2) * noise

    def kl(self, mean_1: Array, log_variance_1: Array, mean_2: Array, log_variance_2: Array) -> Array:
        ratio = np.exp(log_variance_1 - log_variance_2)
        distance = (mean_1 - mean_2) ** 2 * np.exp(-log_variance_2)
        return _total((-1 + log_variance_2 - log_variance_1 + ratio + distance) / 2)

    def decoder_log_likelihood(self, x_0: Array, mean: Array, log_variance: Array) -> Array:
        centred, inverse = x_0 - mean, np.exp(-log_variance / 2)
        above = _cdf(inverse * (centred + np.float32(1 / 255)))
        below = _cdf(inverse * (centred - np.float32(1 / 255)))
        floor = np.float32(1e-12)
        inside = np.log(np.maximum(above - below, floor))
        lowest, highest = np.log(np.maximum(above, floor)), np.log(np.maximum(1 - below, floor))
        return _total(np.where(x_0 < -0.999, lowest, np.where(x_0 > 0.999, highest, inside)))

    def L_simple(self, noise: Array, eps: Array) -> Array:
        found: Array = np.mean((noise - eps) ** 2, axis=(1, 2, 3))
        return found


def _cdf(x: Any) -> Any:
    return 0.5 * (1 + np.tanh(np.float32(np.sqrt(2 / np.pi)) * (x + np.float32(0.044715) * x**3)))


def _total(nats: Array) -> Array:
    found: Array = np.sum(nats, axis=(1, 2, 3))
    return found
