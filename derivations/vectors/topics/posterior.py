"""posterior: the law of the state before, given the state and the image."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from derivations.vectors.definitions import ONE, ZERO, Law
from derivations.vectors.named import CONFIGS, chain, steps
from derivations.vectors.rows import over_steps
from derivations.vectors.vector import Topic, Value, Vector

ABOUT = (
    "The forward posterior q(x_{t-1} | x_t, x_0): its mean, its variance, and the factors of the image "
    "and of the state in the mean. At t = 1 it is the image itself, with variance 0."
)


def topic() -> Topic:
    """Return the file."""
    return Topic("posterior", ABOUT, [vector for name in CONFIGS for vector in of(name)])


def of(name: str) -> Iterator[Vector]:
    """The posterior of one schedule."""
    process = chain(name)
    yield over_steps(
        "posterior/mean",
        "q_posterior.mean",
        name,
        ["posterior.mean"],
        lambda t, x_0, x_t: process.posterior(x_0, x_t, t).mean,
        lambda read, at: read("posterior.mean", at),
        inputs=["x_0", "x_t"],
    )
    yield over_steps(
        "posterior/variance",
        "q_posterior.variance",
        name,
        ["posterior.variance"],
        lambda t: process.posterior(ZERO, ZERO, t).variance,
        lambda read, at: read("posterior.variance", at),
        steps=steps(name),
    )
    yield coefficient(name, "posterior_mean_coef_x0", ONE, ZERO)
    yield coefficient(name, "posterior_mean_coef_xt", ZERO, ONE)
    yield first_step(name, "mean", lambda law: law.mean)
    yield first_step(name, "variance", lambda law: law.variance)


def coefficient(name: str, quantity: str, image: Value, state: Value) -> Vector:
    """The mean where image and state are one and zero."""
    process = chain(name)
    return over_steps(
        f"posterior/{quantity}",
        quantity,
        name,
        ["posterior.mean"],
        lambda t: process.posterior(image, state, t).mean,
        lambda read, at: read("posterior.mean", {**at, "x_0": image, "x_t": state}),
        steps=steps(name),
    )


def first_step(name: str, part: str, of: Callable[[Law], Value]) -> Vector:
    """The law at t = 1."""
    process = chain(name)
    return over_steps(
        f"posterior/first-step.{part}",
        f"q_posterior.{part}",
        name,
        ["posterior.first-step"],
        lambda t, x_0, x_t: of(process.posterior(x_0, x_t, t)),
        lambda read, at: read("posterior.first-step", at, part),
        inputs=["x_0", "x_t"],
        steps=[1],
        scaled=part == "mean",
    )
