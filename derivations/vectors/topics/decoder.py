"""decoder: the last reverse step as a distribution over pixel values."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction

from derivations.vectors.balls import exact
from derivations.vectors.definitions import ONE, ZERO, bin_mass, normal_cdf, tanh_cdf
from derivations.vectors.vector import Read, Topic, Value, Vector, by_row

ABOUT = (
    "`decoder_log_likelihood` is the logarithm of the masses of the bins around pixel values, added up "
    "over the coordinates, in nats. `level` is a whole number 0 … levels − 1 and stands for 2 "
    "level/(levels − 1) − 1 exactly; the lowest bin is open below, the highest above. There is no floor "
    "under the masses: some pixels lie hundreds of deviations away. `cdf` is `exact` or `tanh`, the "
    "original code's approximation. `from_levels` is the pixel value on [-1, 1]."
)

# One row: pixel values, means, and the variance that they share. The narrow variances are the paper
# schedule's; a mean beyond [-1, 1] is what an unclipped step may have.
PIXELS = [
    ([0, 1, 3, 7], [-1.0, -0.875, -0.75, 0.0], 0.25),
    ([0, 8, 15, 16], [-0.9375, 0.0625, 0.875, 0.96875], 2.0**-8),
    ([0, 5, 11, 16], [-1.25, -0.5, 0.25, 1.5], 2.0**-6),
    ([16, 16, 0, 0], [0.5, 1.0, 1.0, -0.5], 1.0),
    ([0, 1, 2, 12], [0.5, 0.0, 0.75, 0.5625], 2.0**-9),
]
BYTES = [
    ([0, 1, 254, 255], [-1.0, -1.0, 0.984375, 1.0], 5.453e-5),
    ([0, 100, 128, 255], [-0.9921875, -0.21875, 0.0, 0.9921875], 5.453e-5),
    ([0, 1, 2, 127], [0.5, 0.75, -0.9375, 0.03125], 2.0**-12),
    ([0, 128, 200, 255], [-1.5, 0.0078125, 0.5625, 1.25], 2.0**-14),
    ([255, 255, 0, 0], [0.5, 1.0, 1.0, -0.5], 0.5),
    ([17, 60, 130, 240], [-0.875, -0.5, 0.015625, 0.890625], 1e-4),
]
CDFS: dict[str, Callable[[Value], Value]] = {"exact": normal_cdf, "tanh": tanh_cdf}
Row = tuple[list[int], list[float], float]


def topic() -> Topic:
    """Return the file."""
    return Topic("decoder", ABOUT, [*masses(), *scales()])


def masses() -> Iterator[Vector]:
    """The likelihoods, on both grids and with both distribution functions."""
    for levels, rows in ((17, PIXELS), (256, BYTES)):
        for cdf in CDFS:
            yield likelihood(f"decoder/log_likelihood.{cdf}/{levels}", rows, levels, cdf)


def likelihood(id: str, rows: Sequence[Row], levels: int, cdf: str) -> Vector:
    """The likelihoods of some rows."""
    return Vector(
        id,
        "decoder_log_likelihood",
        ["decoder.bin", "decoder.edges", "decoder.scaling", *(["decoder.tanh"] if cdf == "tanh" else [])],
        [total_of(rows[i], levels, cdf) for i in range(len(rows))],
        by_row(range(len(rows)), lambda read, i: composed(read, rows[i], levels, cdf)),
        inputs={
            "level": [levels_ for levels_, _, _ in rows],
            "mean": [means for _, means, _ in rows],
            "variance": [variance for _, _, variance in rows],
        },
        settings={"levels": levels, "cdf": cdf},
        scale=[size_of(row, levels, cdf) for row in rows],
    )


def total_of(row: Row, levels: int, cdf: str) -> Value:
    """Add up the logarithms of a row's masses."""
    pixels, means, variance = row
    return sum(
        (log_mass(k, mean, variance, levels, cdf) for k, mean in zip(pixels, means, strict=True)), ZERO
    )


def log_mass(level: int, mean: float | Value, variance: float | Value, levels: int, cdf: str) -> Value:
    """Return the logarithm of one mass."""
    mean, variance = (exact(x) if isinstance(x, float) else x for x in (mean, variance))
    return bin_mass(CDFS[cdf], level, levels - 1, mean, variance.sqrt()).log()


def size_of(row: Row, levels: int, cdf: str) -> Value:
    """Return what rounding errors are relative to: the logarithms, and what relative errors before them cost.

    The mean is uncertain by a rounding error of the pixel value and of itself, the variance by one of itself;
    the cost is taken from differences over a millionth of each.
    """
    pixels, means, variance = row
    small, width = exact(Fraction(1, 10**6)), exact(variance)
    size = ZERO
    for k, mean_ in zip(pixels, means, strict=True):
        mean = exact(mean_)
        value = log_mass(k, mean, width, levels, cdf)
        moved = log_mass(k, mean + small * width.sqrt(), width, levels, cdf)
        widened = log_mass(k, mean, width * (1 + small), levels, cdf)
        room = (abs(mean) + abs(exact(Fraction(2 * k, levels - 1) - 1))) / width.sqrt()
        size += abs(value) + abs(moved - value) / small * room + abs(widened - value) / small
    return size


def composed(read: Read, row: Row, levels: int, cdf: str) -> Value:
    """Compose a row of the claims: edges about the pixel value, the function there, the mass between."""
    pixels, means, variance = row
    deviation = exact(variance).sqrt()

    def below(x: Value) -> Value:
        if cdf == "exact":
            return normal_cdf(x)
        return 1 / (1 + (-2 * read("decoder.tanh", {"standardised": x})).exp())  # (1 + tanh)/2

    nats = ZERO
    for k, mean in zip(pixels, means, strict=True):
        at = {"level": exact(k), "brightest": exact(levels - 1)}
        upper = read("decoder.edges", at)
        lower = 2 * read("decoder.scaling", at) - upper
        at["cdf_t"] = ONE if k == levels - 1 else below((upper - exact(mean)) / deviation)
        at["cdf_prev"] = ZERO if k == 0 else below((lower - exact(mean)) / deviation)
        nats += read("decoder.bin", at).log()
    return nats


def scales() -> Iterator[Vector]:
    """Pixel values on [-1, 1], and nats in bits."""
    yield from map(pixel_values, (2, 17, 256))
    nats, ds = [1.0, 7987.5, -3.25, 0.0009765625], [1, 3072, 64, 784]
    rows = list(zip(nats, ds, strict=True))
    yield Vector(
        "decoder/bits_per_dim",
        "bits_per_dim",
        ["decoder.bits-per-dim"],
        [exact(n) / d / exact(2).log() for n, d in rows],
        by_row(
            rows, lambda read, row: read("decoder.bits-per-dim", {"nats": exact(row[0]), "d": exact(row[1])})
        ),
        inputs={"nats": nats, "d": ds},
    )


def pixel_values(levels: int) -> Vector:
    """Some pixel values of one grid."""
    pixels = sorted({0, 1, levels // 3, levels // 2, levels - 2, levels - 1})
    return Vector(
        f"decoder/from_levels/{levels}",
        "from_levels",
        ["decoder.scaling"],
        [exact(Fraction(2 * k, levels - 1) - 1) for k in pixels],
        by_row(
            pixels,
            lambda read, k: read("decoder.scaling", {"level": exact(k), "brightest": exact(levels - 1)}),
        ),
        inputs={"level": pixels},
        settings={"levels": levels},
    )
