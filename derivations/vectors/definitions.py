"""The definitions, in ball arithmetic: a Markov chain of Gaussian steps, and what follows by conditioning.

Nothing here is a formula of the paper. A step keeps √(1 − β) of the state and adds noise of variance β. Laws
after several steps come from doing the steps one by one; laws that look back come from conditioning one
coordinate of a joint Gaussian on another; conversions between image, noise, mean and velocity come from
solving their definitions; divergences are expectations of differences of log-densities.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any

import flint
import numpy as np

from derivations.vectors.balls import exact, nearest_double

__all__ = [
    "Affine",
    "Chain",
    "Law",
    "bin_mass",
    "condition",
    "cosine_betas",
    "entropy",
    "kl",
    "linear_betas",
    "log_density",
    "normal_cdf",
    "slope",
    "solve",
    "tanh_cdf",
]

Value = Any
"""A ball, or an object array of balls."""

ZERO, ONE = flint.arb(0), flint.arb(1)


@dataclass(frozen=True)
class Law:
    """A Gaussian with independent coordinates: mean, and variance per coordinate."""

    mean: Value
    variance: Value


@dataclass(frozen=True)
class Affine:
    """x ↦ factor · x + what is drawn from `noise`: a Gaussian step."""

    factor: Value
    noise: Law

    def after(self, law: Law) -> Law:
        """Return the law of the image of a Gaussian."""
        return Law(
            self.factor * law.mean + self.noise.mean,
            self.factor * self.factor * law.variance + self.noise.variance,
        )


def condition(prior: Law, step: Affine, seen: Value) -> Law:
    """Return the law of x given step(x) = seen: a joint Gaussian, conditioned on one of its coordinates."""
    image = step.after(prior)
    covariance = step.factor * prior.variance
    return Law(
        prior.mean + covariance / image.variance * (seen - image.mean),
        prior.variance - covariance * covariance / image.variance,
    )


class Chain:
    """The forward process of a schedule; t is the paper's t, and t = 0 is the clean image."""

    def __init__(self, betas: Sequence[float]) -> None:
        """Take the betas as the float64 values that they are."""
        self.betas = tuple(betas)
        self.T = len(self.betas)

    def step(self, t: int) -> Affine:
        """From t − 1 to t: keep a part, add noise."""
        beta = exact(self.betas[t - 1])
        return Affine((1 - beta).sqrt(), Law(ZERO, beta))

    @cached_property
    def from_image(self) -> list[Affine]:
        """From 0 to t, for t = 0..T: the steps, composed one by one."""
        maps = [Affine(ONE, Law(ZERO, ZERO))]
        for t in range(1, self.T + 1):
            last, step = maps[-1], self.step(t)
            maps.append(Affine(step.factor * last.factor, step.after(last.noise)))
        return maps

    @cached_property
    def kept(self) -> list[flint.arb]:
        """The share of the image's variance that is left at t = 0..T: a product of 1 − β, one by one."""
        shares = [ONE]
        for beta in self.betas:
            shares.append(shares[-1] * (1 - exact(beta)))
        return shares

    def stretch(self, s: int, t: int) -> Affine:
        """From s to t, for s ≤ t: the steps between, composed one by one."""
        factor, law = ONE, Law(ZERO, ZERO)
        for u in range(s + 1, t + 1):
            step = self.step(u)
            factor, law = step.factor * factor, step.after(law)
        return Affine(factor, law)

    def marginal(self, x_0: Value, t: int) -> Law:
        """The law of x_t given the image."""
        return self.from_image[t].after(Law(x_0, ZERO))

    def state(self, x_0: Value, noise: Value, t: int) -> Value:
        """x_t, made of the image and of one standard normal noise."""
        whole = self.from_image[t]
        return whole.factor * x_0 + whole.noise.variance.sqrt() * noise

    def posterior(self, x_0: Value, x_t: Value, t: int, s: int | None = None) -> Law:
        """The law of x_s given x_t and the image; s is t − 1 if not given."""
        s = t - 1 if s is None else s
        return condition(self.marginal(x_0, s), self.stretch(s, t), x_t)

    # What a network may predict, each by its definition as a function of the image and the state.

    def noise_of(self, x_0: Value, x_t: Value, t: int) -> Value:
        """The noise that makes x_t of the image."""
        whole = self.from_image[t]
        return (x_t - whole.factor * x_0) / whole.noise.variance.sqrt()

    def velocity_of(self, x_0: Value, x_t: Value, t: int) -> Value:
        """The derivative of (image, noise) turned towards the noise: a · noise − b · image."""
        whole = self.from_image[t]
        return whole.factor * self.noise_of(x_0, x_t, t) - whole.noise.variance.sqrt() * x_0

    def mean_of(self, x_0: Value, x_t: Value, t: int) -> Value:
        """The mean of the posterior."""
        return self.posterior(x_0, x_t, t).mean

    def image_of(self, known: Mapping[str, Value], x_t: Value, t: int) -> Value:
        """The image, from one of eps, mu, v or x_0: its definition, solved."""
        ((name, value),) = known.items()
        if name == "x_0":
            return value
        definition = {"eps": self.noise_of, "mu": self.mean_of, "v": self.velocity_of}[name]
        return solve(lambda x_0: definition(x_0, x_t, t), value)


def solve(affine: Callable[[Value], Value], value: Value) -> Value:
    """Return the argument at which an affine function, the same in each coordinate, has this value."""
    return (value - affine(0 * value)) / slope(affine, value)


def slope(affine: Callable[[Value], Value], like: Value) -> Value:
    """Return the slope of an affine function: its value at one, less that at zero."""
    return affine(0 * like + 1) - affine(0 * like)


# -- densities -----------------------------------------------------------------------------------------------


def log_density(law: Law, x: Value) -> Value:
    """Return the logarithm of the density, coordinate by coordinate."""
    density_at_mean = 1 / (2 * flint.arb.pi() * law.variance).sqrt()
    return density_at_mean.log() - (x - law.mean) * (x - law.mean) / (2 * law.variance)


def expectation(law: Law, quadratic: Callable[[Value], Value]) -> Value:
    """Return E f(x) of a quadratic f: the mean of f at one deviation below and above (Gauss and Hermite)."""
    deviation = law.variance.sqrt()
    return (quadratic(law.mean + deviation) + quadratic(law.mean - deviation)) / 2


def kl(p: Law, q: Law) -> flint.arb:
    """Return E_p[log p − log q], summed over the coordinates, in nats."""
    return total(expectation(p, lambda x: log_density(p, x) - log_density(q, x)))


def entropy(p: Law) -> flint.arb:
    """Return −E_p[log p], summed over the coordinates, in nats."""
    return total(-expectation(p, lambda x: log_density(p, x)))


def total(x: Value) -> flint.arb:
    """Sum over the coordinates."""
    return sum(np.atleast_1d(x).flat, ZERO)


# -- the decoder ---------------------------------------------------------------------------------------------


def normal_cdf(u: flint.arb) -> flint.arb:
    """Return Φ(u)."""
    return (-u / exact(2).sqrt()).erfc() / 2


def tanh_cdf(u: flint.arb) -> flint.arb:
    """Return the original code's stand-in for Φ(u): (1 + tanh g)/2, as a logistic function of 2g."""
    g = (2 / flint.arb.pi()).sqrt() * (u + exact(Fraction("0.044715")) * u * u * u)
    return 1 / (1 + (-2 * g).exp())


def bin_mass(
    cdf: Callable[[flint.arb], flint.arb], level: int, brightest: int, mean: flint.arb, deviation: flint.arb
) -> flint.arb:
    """Return the mass of the reals that round to a pixel value.

    The bins are what is nearest to each of `brightest + 1` equally spaced points on [−1, 1]. Whatever lies
    beyond the ends is nearest to the end.
    """

    def middle(k: int) -> flint.arb:
        return exact(Fraction(2 * k, brightest) - 1)

    upper = (((middle(level) + middle(level + 1)) / 2) - mean) / deviation
    lower = (((middle(level) + middle(level - 1)) / 2) - mean) / deviation
    if lower > 0:  # above the mean: by symmetry, so that the difference is of small numbers
        lower, upper = -upper, -lower
        at_bottom, at_top = level == brightest, level == 0
    else:
        at_bottom, at_top = level == 0, level == brightest
    return (ONE if at_top else cdf(upper)) - (ZERO if at_bottom else cdf(lower))


# -- named schedules -----------------------------------------------------------------------------------------


def linear_betas(T: int, beta_1: float, beta_T: float) -> list[float]:
    """Return betas that rise by the same amount at every step, each rounded once to float64."""
    low, high = Fraction(beta_1), Fraction(beta_T)
    rise = (high - low) / max(T - 1, 1)
    return [float(low + n * rise) for n in range(T)]


def cosine_curve(T: int, s: float, t: int) -> flint.arb:
    """Return the squared cosine that is to be left of the image at t, before it is scaled to 1 at t = 0."""
    share = exact((Fraction(t, T) + Fraction(s)) / (1 + Fraction(s)))
    return (share * flint.arb.pi() / 2).cos() ** 2 if t < T else ZERO


def cosine_betas(T: int, s: float, max_beta: float) -> list[float]:
    """Return the betas whose product follows a squared cosine, cut at `max_beta`, each rounded once."""
    curve = [cosine_curve(T, s, t) for t in range(T + 1)]
    return [min(nearest_double(1 - curve[t] / curve[t - 1]), max_beta) for t in range(1, T + 1)]
