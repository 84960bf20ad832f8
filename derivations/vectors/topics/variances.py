"""variances: those that a reverse step may have, and one whole step."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from derivations.vectors.definitions import ONE, ZERO, Chain, Law, condition
from derivations.vectors.named import CONFIGS, chain, steps
from derivations.vectors.rows import over_steps
from derivations.vectors.vector import Topic, Value, Vector

ABOUT = (
    "The variance of a reverse step. From t = 2 on, `fixed_large` is right for standard normal data and "
    "is beta_t, `fixed_small` is right for a single image and is the posterior's. At t = 1, where only "
    "the likelihood sees it, both are the posterior's variance at t = 2. `learned_log_variance` is what a "
    "network chooses between beta_t, with `variance_value` 1, and the posterior's variance, with -1: in "
    "proportion, on the scale of logarithms. `p_sample` is a whole step, unclipped; at t = 1 it adds no "
    "noise."
)
CLAIMS = {
    "fixed_large": "sampling.variance-for-normal-data",
    "fixed_small": "sampling.variance-for-one-image",
}

LEARNED = "parameterization.learned-variance"


def topic() -> Topic:
    """Return the file."""
    return Topic("variances", ABOUT, [vector for name in CONFIGS for vector in of(name)])


def fixed(process: Chain, t: int, variance: str) -> Value:
    """Return the variance of the true reverse step for the data that the choice is right for; t ≥ 2."""
    data = Law(ZERO, ONE) if variance == "fixed_large" else Law(ZERO, ZERO)
    return condition(process.from_image[t - 1].after(data), process.step(t), ZERO).variance


def of(name: str) -> Iterator[Vector]:
    """The variances and steps of one schedule."""
    process = chain(name)
    if process.T > 1:
        for variance, claim in CLAIMS.items():
            yield from of_variance(name, variance, claim)
        yield from learned(name)
    yield over_steps(
        "variances/p_sample.last",
        "p_sample",
        name,
        ["sampling.last-step"],
        lambda t, x_t, eps_theta: process.image_of({"eps": eps_theta}, x_t, t),
        lambda read, at: read("sampling.last-step", at),
        inputs=["x_t", "eps_theta"],
        steps=[1],
        settings={"clip": False},
    )


def of_variance(name: str, variance: str, claim: str) -> Iterator[Vector]:
    """One of the two fixed variances, and the step with it."""
    process, ts = chain(name), steps(name, first=2)
    yield over_steps(
        f"variances/{variance}",
        f"variance_{variance}",
        name,
        [claim],
        lambda t: fixed(process, t, variance),
        lambda read, at: read(claim, at),
        steps=ts,
    )
    yield over_steps(
        f"variances/{variance}.first",
        f"variance_{variance}",
        name,
        ["posterior.log-variance-clipped"],
        lambda t: process.posterior(ZERO, ZERO, 2).variance,
        lambda read, at: read("posterior.log-variance-clipped", at),
        steps=[1],
    )
    yield over_steps(
        f"variances/p_sample.{variance}",
        "p_sample",
        name,
        ["sampling.ancestral-step", claim],
        reverse_step(process, variance),
        lambda read, at: read("sampling.ancestral-step", {**at, "sigma_t": read(claim, at).sqrt()}),
        inputs=["x_t", "eps_theta", "z"],
        steps=ts,
        settings={"variance": variance, "clip": False},
    )


def learned(name: str) -> Iterator[Vector]:
    """The variance that a network chooses, each coordinate its own; its logarithm, as code has it."""
    process, ts = chain(name), steps(name, first=2)

    def between(large: Value, small: Value, output: Value) -> Value:
        share = (output + 1) / 2
        return share * large.log() + (1 - share) * small.log()

    def made(id: str, ts: list[int], claim: str, small: Callable[[int], Value]) -> Vector:
        # Both logarithms have one sign, and so do both shares: nothing cancels.
        return over_steps(
            id,
            "learned_log_variance",
            name,
            [LEARNED, claim],
            lambda t, output: between(process.step(t).noise.variance, small(t), output),
            lambda read, at: read(
                LEARNED, {**at, "variance_output": at["variance_value"], "beta_tilde_t": read(claim, at)}
            ),
            inputs=["variance_value"],
            steps=ts,
        )

    yield made(
        "variances/learned", ts, "posterior.variance", lambda t: process.posterior(ZERO, ZERO, t).variance
    )
    yield made(
        "variances/learned.first",
        [1],
        "posterior.log-variance-clipped",
        lambda t: process.posterior(ZERO, ZERO, 2).variance,
    )


def reverse_step(process: Chain, variance: str) -> Callable[..., Value]:
    """Return the step: the posterior's mean for the image that the noise tells of, and fresh noise."""

    def step(t: int, x_t: Value, eps_theta: Value, z: Value) -> Value:
        x_0 = process.image_of({"eps": eps_theta}, x_t, t)
        return process.mean_of(x_0, x_t, t) + fixed(process, t, variance).sqrt() * z

    return step
