"""forward: one step, all steps at once, and the state that they make."""

from __future__ import annotations

from collections.abc import Iterator

from derivations.vectors.definitions import ZERO, Law
from derivations.vectors.named import CONFIGS, chain
from derivations.vectors.rows import over_steps
from derivations.vectors.vector import Topic, Vector

ABOUT = "The forward process: q(x_t | x_{t-1}), q(x_t | x_0), and x_t made of an image and of one noise."


def topic() -> Topic:
    """Return the file."""
    return Topic("forward", ABOUT, [vector for name in CONFIGS for vector in of(name)])


def of(name: str) -> Iterator[Vector]:
    """The forward process of one schedule."""
    process = chain(name)
    yield over_steps(
        "forward/step.mean",
        "q_step.mean",
        name,
        ["forward.kernel"],
        lambda t, x_prev: process.step(t).after(Law(x_prev, ZERO)).mean,
        lambda read, at: read("forward.kernel", at, "mean"),
        inputs=["x_prev"],
    )
    yield over_steps(
        "forward/step.variance",
        "q_step.variance",
        name,
        ["forward.kernel"],
        lambda t: process.step(t).noise.variance,
        lambda read, at: read("forward.kernel", at, "variance"),
    )
    yield over_steps(
        "forward/marginal.mean",
        "q_mean_variance.mean",
        name,
        ["forward.marginal"],
        lambda t, x_0: process.marginal(x_0, t).mean,
        lambda read, at: read("forward.marginal", at, "mean"),
        inputs=["x_0"],
    )
    yield over_steps(
        "forward/marginal.variance",
        "q_mean_variance.variance",
        name,
        ["forward.marginal"],
        lambda t: process.marginal(ZERO, t).variance,
        lambda read, at: read("forward.marginal", at, "variance"),
    )
    yield over_steps(
        "forward/sample",
        "q_sample",
        name,
        ["forward.sample"],
        lambda t, x_0, eps: process.state(x_0, eps, t),
        lambda read, at: read("forward.sample", at),
        inputs=["x_0", "eps"],
    )
