"""bound: its terms for one image, with the noise and the predictions given."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from derivations.vectors.balls import exact, point
from derivations.vectors.definitions import ONE, ZERO, Chain, Law, bin_mass, kl, normal_cdf
from derivations.vectors.named import CONFIGS, chain, drawn, few, sizes, symbols
from derivations.vectors.topics.variances import CLAIMS, fixed
from derivations.vectors.vector import Read, Topic, Value, Vector, by_row

ABOUT = (
    "The terms of the variational bound in nats, summed over the coordinates, for one image, one state "
    "and one prediction of the noise at each t. `L_T` is the divergence of q(x_T | x_0) from the prior; "
    "`L_t_minus_1`, for t from 2 on, that of the posterior from the reverse step, unclipped; `L_0` the "
    "decoder's cost at t = 1, with the posterior's variance at t = 2."
)
DECODED = ("linear-1000", "linear-4000", "linear-50", "cosine-1000", "cosine-50")
LEVELS = 256
PIXELS = [[0, 128, 255], [3, 90, 254]]


def topic() -> Topic:
    """Return the file."""
    return Topic("bound", ABOUT, [vector for name in CONFIGS for vector in of(name)])


def of(name: str) -> Iterator[Vector]:
    """The terms of one schedule."""
    yield prior(name)
    if chain(name).T > 1:
        for variance in CLAIMS:
            yield between(name, variance)
    if name in DECODED:
        yield last(name)


def prior(name: str) -> Vector:
    """What the prior costs."""
    process, images = chain(name), drawn("x_0", 2)
    T = process.T
    return Vector(
        f"bound/L_T/{name}",
        "L_T",
        ["bound.prior-term"],
        [kl(process.marginal(point(x_0), T), Law(0 * point(x_0), ONE)) for x_0 in images],
        by_row(images, lambda read, x_0: read("bound.prior-term", symbols(process, T, x_0=x_0))),
        schedule=name,
        inputs={"x_0": images},
    )


def between(name: str, variance: str) -> Vector:
    """What the steps between cost."""
    process, ts = chain(name), few(name, first=2)
    columns = {column: drawn(column, len(ts)) for column in ("x_0", "x_t", "eps_theta")}
    rows = list(zip(ts, *columns.values(), strict=True))

    def means(t: int, x_0: Value, x_t: Value, eps: Value) -> tuple[Value, Value]:
        predicted = process.mean_of(process.image_of({"eps": eps}, x_t, t), x_t, t)
        return process.mean_of(x_0, x_t, t), predicted

    def term(t: int, *points: Value) -> Value:
        wanted, predicted = means(t, *points)
        narrow = process.posterior(ZERO, ZERO, t).variance
        return kl(Law(wanted, narrow), Law(predicted, fixed(process, t, variance)))

    def size(t: int, *row: list[float]) -> Value:
        """The term itself, and what a relative error of the two means costs it."""
        points = [point(x) for x in row]
        wanted, predicted = means(t, *points)
        terms = sum(sizes(lambda *p, which=which: means(t, *p)[which], *row) for which in (0, 1))
        slope = abs(wanted - predicted) / fixed(process, t, variance)
        return term(t, *points) + sum(slope * terms, ZERO)

    def compose(read: Read, row: tuple[Any, ...]) -> Value:
        t, x_0, x_t, eps_theta = row
        at = symbols(process, t, x_0=x_0, x_t=x_t, eps_theta=eps_theta)
        return read(
            "parameterization.L-t-1",
            {
                "mu_tilde": read("posterior.mean", at),
                "beta_tilde_t": read("posterior.variance", at),
                "mu_theta": read("parameterization.mean-from-eps", {**at, "eps": at["eps_theta"]}),
                "sigma_t": read(CLAIMS[variance], at).sqrt(),
                "d": at["d"],
            },
        )

    of_both = [
        "parameterization.L-t-1",
        "posterior.mean",
        "posterior.variance",
        "parameterization.mean-from-eps",
    ]
    return Vector(
        f"bound/L_t_minus_1.{variance}/{name}",
        "L_t_minus_1",
        [*of_both, CLAIMS[variance]],
        [term(t, *map(point, row)) for t, *row in rows],
        by_row(rows, compose),
        schedule=name,
        t=ts,
        inputs=columns,
        settings={"variance": variance, "clip": False},
        scale=[size(t, *row) for t, *row in rows],
    )


def last(name: str) -> Vector:
    """What the decoder costs, with the mean that the predicted noise gives."""
    process, brightest = chain(name), LEVELS - 1
    x_1, eps = near(process), drawn("eps_theta", len(PIXELS))
    rows = list(zip(PIXELS, x_1, eps, strict=True))
    deviation = process.posterior(ZERO, ZERO, 2).variance.sqrt()

    def cost(pixels: list[int], state: list[float], noise: list[float]) -> Value:
        mean = process.image_of({"eps": point(noise)}, point(state), 1)
        masses = (bin_mass(normal_cdf, k, brightest, m, deviation) for k, m in zip(pixels, mean, strict=True))
        return -sum((mass.log() for mass in masses), ZERO)

    def compose(read: Read, row: tuple[Any, ...]) -> Value:
        pixels, state, noise = row
        at = symbols(process, 1, x_t=state, eps_theta=noise)
        mean, variance = read("sampling.last-step", at), read("posterior.log-variance-clipped", at)
        nats = ZERO
        for k, m in zip(pixels, mean, strict=True):
            edge = {"level": exact(k), "brightest": exact(brightest)}
            upper = read("decoder.edges", edge)
            lower = 2 * read("decoder.scaling", edge) - upper
            cdf = [normal_cdf((x - m) / variance.sqrt()) for x in (lower, upper)]
            nats -= read(
                "decoder.bin",
                {"cdf_prev": ZERO if k == 0 else cdf[0], "cdf_t": ONE if k == brightest else cdf[1]},
            ).log()
        return nats

    return Vector(
        f"bound/L_0/{name}",
        "L_0",
        [
            "sampling.last-step",
            "posterior.log-variance-clipped",
            "decoder.bin",
            "decoder.edges",
            "decoder.scaling",
        ],
        [cost(*row) for row in rows],
        by_row(rows, compose),
        schedule=name,
        t=[1] * len(rows),
        inputs={"level": PIXELS, "x_t": x_1, "eps_theta": eps},
        settings={"levels": LEVELS, "cdf": "exact", "variance": "fixed_large", "clip": False},
    )


def near(process: Chain) -> list[list[float]]:
    """Return states near the pixel values, in 64ths: where a trained network's would be."""
    values = [[2 * k / (LEVELS - 1) - 1 for k in row] for row in PIXELS]
    noises = drawn("eps_theta", len(PIXELS))
    share = process.from_image[1]
    a, b = (float(x.mid().str(17, radius=False)) for x in (share.factor, share.noise.variance.sqrt()))
    return [
        [round((a * x + b * e) * 64) / 64 for x, e in zip(xs, es, strict=True)]
        for xs, es in zip(values, noises, strict=True)
    ]
