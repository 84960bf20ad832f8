"""weights: what the bound multiplies the error of the predicted noise by, and the loss that forgets it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from derivations.vectors.balls import exact
from derivations.vectors.definitions import ONE, slope, total
from derivations.vectors.named import CONFIGS, DIMENSION, chain, steps
from derivations.vectors.rows import over_steps
from derivations.vectors.topics.variances import CLAIMS, fixed
from derivations.vectors.vector import Topic, Value, Vector

ABOUT = (
    "`weight_fixed_large` and `weight_fixed_small` are the factor of ‖eps − eps_theta‖², a sum over "
    "coordinates, in L_{t-1}, in nats, from t = 2 on. `L_simple` averages over the coordinates. "
    "`error_x0` and `error_v` are the squared errors, summed, of the image and the velocity that a wrong "
    "noise implies."
)


def topic() -> Topic:
    """Return the file."""
    return Topic("weights", ABOUT, [vector for name in CONFIGS for vector in of(name)])


def of(name: str) -> Iterator[Vector]:
    """The weights of one schedule, and squared errors."""
    process, ts = chain(name), steps(name, first=2)
    if ts:
        yield from (weight(name, ts, variance, claim) for variance, claim in CLAIMS.items())
    yield error(name, "x0", lambda t, eps: process.image_of({"eps": eps}, 0 * eps, t))
    yield error(
        name, "v", lambda t, eps: process.velocity_of(process.image_of({"eps": eps}, 0 * eps, t), 0 * eps, t)
    )
    if name == "linear-1000":
        yield over_steps(
            "weights/L_simple",
            "L_simple",
            name,
            ["parameterization.L-simple"],
            lambda t, eps, eps_theta: total((eps - eps_theta) ** 2) / exact(DIMENSION),
            # A mutant leaves the weight in, and speaks of the variance.
            lambda read, at: read("parameterization.L-simple", {**at, "sigma_t": at["beta_t"].sqrt()}),
            steps=ts,
            inputs=["eps", "eps_theta"],
            scaled=False,
        )


def weight(name: str, ts: list[int], variance: str, claim: str) -> Vector:
    """How far the mean moves with the noise, squared, over twice the variance."""
    process = chain(name)

    def per_noise(t: int) -> Value:
        moved = slope(lambda eps: process.mean_of(process.image_of({"eps": eps}, ONE, t), ONE, t), ONE)
        return moved * moved / (2 * fixed(process, t, variance))

    return over_steps(
        f"weights/{variance}",
        f"weight_{variance}",
        name,
        ["parameterization.weight", claim],
        per_noise,
        lambda read, at: read("parameterization.weight", {**at, "sigma_t": read(claim, at).sqrt()}),
        steps=ts,
    )


def error(name: str, what: str, implied: Callable[[int, Value], Value]) -> Vector:
    """The squared distance of what two noises imply."""
    return over_steps(
        f"weights/error_{what}",
        f"error_{what}",
        name,
        [f"parameterization.error-{what}"],
        lambda t, eps, eps_theta: total((implied(t, eps) - implied(t, eps_theta)) ** 2),
        lambda read, at: read(f"parameterization.error-{what}", at),
        inputs=["eps", "eps_theta"],
        scaled=False,
    )
