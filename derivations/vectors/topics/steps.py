"""steps: stretches of several steps, walked at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from derivations.vectors.balls import exact, point
from derivations.vectors.definitions import ZERO, Chain
from derivations.vectors.named import chain, drawn, sizes, symbols
from derivations.vectors.vector import Read, Topic, Value, Vector, by_row

ABOUT = (
    "From t to an earlier s at once, with s = 0 and s = t − 1 among them. `stretch.beta` is the variance "
    "that the steps between add, 1 − ᾱ_t/ᾱ_s: the beta of the respaced schedule. `stretch.mean` is the "
    "mean of q(x_t | x_s), `stretch_posterior` the law of x_s given x_t and x_0. `ddim.variance` is what "
    "DDIM's eta leaves of the posterior's variance; `ddim_step` a whole step of it, unclipped."
)
PAIRS = {
    "linear-1000": [(0, 1), (1, 2), (0, 1000), (1, 51), (100, 101), (100, 350), (500, 1000), (980, 1000)],
    "cosine-1000": [(0, 20), (1, 2), (20, 40), (499, 500), (250, 1000), (980, 1000), (999, 1000)],
    "linear-4000": [(0, 400), (400, 800), (3960, 4000), (3999, 4000)],
    "cosine-4000": [(0, 400), (400, 800), (3960, 4000)],
    "linear-50": [(0, 1), (0, 50), (1, 5), (10, 20), (25, 50)],
    "tiny": [(0, 2), (1, 2), (1, 3), (2, 5), (4, 5)],
    "huge": [(0, 2), (1, 2), (1, 3), (3, 5)],
    "uneven": [(0, 1), (1, 2), (1, 4), (2, 6)],
    "linear-1": [(0, 1)],
    "cosine-1": [(0, 1)],
}
ETAS = (0.0, 0.5, 1.0)
Pair = tuple[int, int]


def topic() -> Topic:
    """Return the file."""
    return Topic("steps", ABOUT, [vector for name in PAIRS for vector in of(name)])


def ddim_variance(process: Chain, s: int, t: int, eta: float) -> Value:
    """Return the posterior's variance, its root scaled by eta."""
    return exact(eta) * exact(eta) * process.posterior(ZERO, ZERO, t, s).variance


def ddim_step(process: Chain, s: int, t: int, eta: float, x_t: Value, eps_theta: Value, z: Value) -> Value:
    """Return the step: the predicted image taken to s, with as much old noise as is not fresh."""
    fresh = ddim_variance(process, s, t, eta)
    there = process.from_image[s]
    image = process.image_of({"eps": eps_theta}, x_t, t)
    kept = there.noise.variance - fresh
    old = kept.sqrt() if s else ZERO  # at the image there is no noise, old or fresh
    return there.factor * image + old * eps_theta + fresh.sqrt() * z


def of(name: str) -> Iterator[Vector]:
    """The stretches of one schedule."""
    process, pairs = chain(name), PAIRS[name]

    def made(
        id: str,
        quantity: str,
        claims: Sequence[str],
        define: Callable[..., Value],
        compose: Callable[[Read, dict[str, Value]], Value],
        inputs: Sequence[str] = (),
        eta: float | None = None,
    ) -> Vector:
        columns = {column: drawn(column, len(pairs)) for column in inputs}
        rows = [
            (pair, dict(zip(columns, row, strict=True)))
            for pair, *row in zip(pairs, *columns.values(), strict=True)
        ]
        return Vector(
            f"steps/{id}/{name}",
            quantity,
            claims,
            [define(s, t, *map(point, row.values())) for (s, t), row in rows],
            by_row(rows, lambda read, row: compose(read, symbols(process, row[0][1], row[0][0], **row[1]))),
            schedule=name,
            t=[t for _, t in pairs],
            inputs={"s": [s for s, _ in pairs], **columns},
            settings={} if eta is None else {"eta": eta},
            scale=[
                sizes(lambda *points, s=s, t=t: define(s, t, *points), *row.values()) for (s, t), row in rows
            ]
            if len(columns) > 1
            else None,
        )

    yield made(
        "beta",
        "stretch.beta",
        ["forward.composition"],
        lambda s, t: process.stretch(s, t).noise.variance,
        lambda read, at: read("forward.composition", at, "variance"),
    )
    yield made(
        "mean",
        "stretch.mean",
        ["forward.composition"],
        lambda s, t, x_s: process.stretch(s, t).factor * x_s,
        lambda read, at: read("forward.composition", at, "mean"),
        ["x_s"],
    )
    yield made(
        "posterior.mean",
        "stretch_posterior.mean",
        ["sampling.stretch-posterior"],
        lambda s, t, x_0, x_t: process.posterior(x_0, x_t, t, s).mean,
        lambda read, at: read("sampling.stretch-posterior", at, "mean"),
        ["x_0", "x_t"],
    )
    yield made(
        "posterior.variance",
        "stretch_posterior.variance",
        ["sampling.stretch-posterior"],
        lambda s, t: process.posterior(ZERO, ZERO, t, s).variance,
        lambda read, at: read("sampling.stretch-posterior", at, "variance"),
    )

    def with_eta(eta: float) -> Iterator[Vector]:
        def of_eta(read: Read, at: dict[str, Value]) -> Value:
            return read("sampling.ddim-eta", {**at, "eta": exact(eta)})

        yield made(
            f"ddim.variance/eta={eta}",
            "ddim.variance",
            ["sampling.ddim-eta"],
            lambda s, t: ddim_variance(process, s, t, eta),
            of_eta,
            eta=eta,
        )
        yield made(
            f"ddim_step/eta={eta}",
            "ddim_step",
            ["sampling.ddim-step", "sampling.ddim-eta"],
            lambda s, t, x_t, eps_theta, z: ddim_step(process, s, t, eta, x_t, eps_theta, z),
            lambda read, at: read("sampling.ddim-step", {**at, "sigma_t": of_eta(read, at).sqrt()}),
            ["x_t", "eps_theta", "z"],
            eta=eta,
        )

    for eta in ETAS:
        yield from with_eta(eta)
