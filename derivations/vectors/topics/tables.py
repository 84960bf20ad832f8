"""tables: the coefficients at every step of the two usual schedules."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from derivations.vectors.definitions import ONE, ZERO
from derivations.vectors.named import chain
from derivations.vectors.rows import over_steps
from derivations.vectors.vector import Read, Topic, Value, Vector

ABOUT = (
    "Coefficients at every t of linear-1000 and cosine-1000, for comparing a whole table. The mistakes "
    "are listed with the steps that `schedules`, `posterior` and `conversions` choose, under the same "
    "quantities."
)
WHOLE = ("linear-1000", "cosine-1000")


def topic() -> Topic:
    """Return the file."""
    return Topic("tables", ABOUT, [vector for name in WHOLE for vector in of(name)])


def of(name: str) -> Iterator[Vector]:
    """The tables of one schedule."""
    process = chain(name)

    def made(
        quantity: str,
        claim: str,
        define: Callable[[int], Value],
        compose: Callable[[Read, dict[str, Value]], Value],
    ) -> Vector:
        every = range(1, process.T + 1)
        return over_steps(
            f"tables/{quantity}", quantity, name, [claim], define, compose, steps=every, tried=False
        )

    def mean(read: Read, at: dict[str, Value], image: Value, state: Value) -> Value:
        return read("posterior.mean", {**at, "x_0": image, "x_t": state})

    yield made(
        "alpha_bar",
        "forward.alpha-bar",
        lambda t: process.kept[t],
        lambda read, at: read("forward.alpha-bar", at),
    )
    yield made(
        "one_minus_alpha_bar",
        "forward.marginal",
        lambda t: process.from_image[t].noise.variance,
        lambda read, at: read("forward.marginal", at, "variance"),
    )
    yield made(
        "posterior_variance",
        "posterior.variance",
        lambda t: process.posterior(ZERO, ZERO, t).variance,
        lambda read, at: read("posterior.variance", at),
    )
    yield made(
        "posterior_mean_coef_x0",
        "posterior.mean",
        lambda t: process.posterior(ONE, ZERO, t).mean,
        lambda read, at: mean(read, at, ONE, ZERO),
    )
    yield made(
        "posterior_mean_coef_xt",
        "posterior.mean",
        lambda t: process.posterior(ZERO, ONE, t).mean,
        lambda read, at: mean(read, at, ZERO, ONE),
    )
