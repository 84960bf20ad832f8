"""conversions: image, noise, mean and velocity, each from each other, given the state."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import permutations

from derivations.vectors.definitions import Chain
from derivations.vectors.named import chain
from derivations.vectors.rows import over_steps
from derivations.vectors.vector import Read, Topic, Value, Vector

ABOUT = (
    "What a network may predict: the noise eps, the image x_0, the posterior's mean mu, the velocity v; "
    "each from each other, given x_t. The quantity `eps_from_v` takes v and x_t."
)
SCHEDULES = ("linear-1000", "linear-4000", "linear-1", "cosine-1000", "tiny", "huge", "uneven")

# The symbols of the four, and the claim that makes one of another.
NAMES = {"eps": "eps", "x0": "x_0", "mu": "mu_tilde", "v": "v"}
CLAIMS = {
    ("eps", "x0"): "parameterization.x0-from-eps",
    ("mu", "x0"): "parameterization.x0-from-mean",
    ("v", "x0"): "parameterization.x0-from-v",
    ("x0", "eps"): "parameterization.eps-from-x0",
    ("mu", "eps"): "parameterization.eps-from-mean",
    ("v", "eps"): "parameterization.eps-from-v",
    ("x0", "mu"): "posterior.mean",
    ("eps", "mu"): "parameterization.mean-from-eps",
    ("x0", "v"): "parameterization.v-from-x0",
    ("eps", "v"): "parameterization.v-from-eps",
}


def topic() -> Topic:
    """Return the file."""
    return Topic("conversions", ABOUT, [vector for name in SCHEDULES for vector in of(name)])


def of(name: str) -> Iterator[Vector]:
    """All pairs, and the velocity by its definition."""
    process = chain(name)
    yield from (conversion(name, known, wanted) for known, wanted in permutations(NAMES, 2))
    yield over_steps(
        "conversions/v",
        "v",
        name,
        ["parameterization.v"],
        lambda t, x_0, eps: process.velocity_of(x_0, process.state(x_0, eps, t), t),
        lambda read, at: read("parameterization.v", at),
        inputs=["x_0", "eps"],
    )


def conversion(name: str, known: str, wanted: str) -> Vector:
    """One pair; by way of the image where no claim goes all the way."""
    process = chain(name)
    path = [(known, wanted)] if (known, wanted) in CLAIMS else [(known, "x0"), ("x0", wanted)]
    return over_steps(
        f"conversions/{wanted}_from_{known}",
        f"{wanted}_from_{known}",
        name,
        [CLAIMS[pair] for pair in path],
        lambda t, x_t, value: convert(process, known, wanted, value, x_t, t),
        lambda read, at: along(read, at, path),
        inputs=["x_t", NAMES[known]],
    )


def convert(process: Chain, known: str, wanted: str, value: Value, x_t: Value, t: int) -> Value:
    """Solve for the image, then use the definition of what is wanted."""
    x_0 = process.image_of({"x_0" if known == "x0" else known: value}, x_t, t)
    definitions = {"eps": process.noise_of, "mu": process.mean_of, "v": process.velocity_of}
    return x_0 if wanted == "x0" else definitions[wanted](x_0, x_t, t)


def along(read: Read, at: dict[str, Value], path: list[tuple[str, str]]) -> Value:
    """Evaluate one claim after the other."""
    for known, wanted in path:
        at = {**at, NAMES[wanted]: read(CLAIMS[known, wanted], at)}
    return at[NAMES[path[-1][1]]]
