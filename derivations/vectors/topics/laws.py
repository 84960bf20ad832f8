"""laws: where a sampler takes its starting noise, when the denoiser is exact."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from derivations.vectors.balls import exact
from derivations.vectors.definitions import ONE, ZERO, Affine, Chain, Law, condition, slope
from derivations.vectors.named import chain, symbols
from derivations.vectors.topics.steps import ddim_step
from derivations.vectors.topics.variances import CLAIMS, fixed
from derivations.vectors.vector import Read, Topic, Value, Vector

ABOUT = (
    "The law of every state of a sampler, for data whose coordinates are Gaussian with mean `data_mean` "
    "and deviation `data_deviation`, and the exact denoiser for them, `eps(x_t) = √(1 − ᾱ_t) (x_t − √ᾱ_t "
    "m) / (ᾱ_t s² + 1 − ᾱ_t)`, unclipped. It starts from the standard normal at the last of `steps`, each "
    "state is Gaussian, and the rows give its mean and variance at t; t = 0 is what is sampled. "
    "`ancestral` adds no noise at the last step. To measure a sampler's law without drawing a sample: run "
    "it with x_T = 0 and no noise for the mean, then with one unit noise at a time for the variance, a "
    "sum of squares."
)
DATA = ((0.25, 0.5), (0.0, 1.0), (-0.75, 0.0625))
STATES = {
    "linear-1000": (1000, 999, 900, 750, 500, 250, 100, 10, 2, 1, 0),
    "cosine-50": (50, 49, 40, 25, 10, 2, 1, 0),
    "linear-50": (50, 49, 40, 25, 10, 2, 1, 0),
    "uneven": (6, 5, 4, 3, 2, 1, 0),
    "linear-1": (1, 0),
}
TAKEN = {
    "linear-1000": (
        [*range(20, 1001, 20)],
        [100 * i for i in range(1, 11)],
        [1, 2, 10, 500, 999, 1000],
        [1000],
    ),
    "cosine-50": ([*range(1, 51)], [1, 11, 21, 31, 41, 50]),
    "uneven": ([1, 2, 4, 6],),
}
ETAS = (0.0, 0.5, 1.0)
Laws = dict[int, Law]


def topic() -> Topic:
    """Return the file."""
    return Topic("laws", ABOUT, [*ancestral(), *ddim()])


def denoiser(process: Chain, data: Law, t: int) -> Callable[[Value], Value]:
    """Return the best guess of the noise: its law given the state, where both are jointly Gaussian."""
    whole = process.from_image[t]
    root = whole.noise.variance.sqrt()
    image = whole.after(Law(data.mean, data.variance))
    rest = Law(whole.factor * data.mean, whole.factor * whole.factor * data.variance)
    assert image.variance.overlaps(root * root + rest.variance)
    return lambda x_t: condition(Law(ZERO, ONE), Affine(root, rest), x_t).mean


def walk(law: Law, step: Callable[[Value, Value], Value]) -> Law:
    """Return the law after a step that is affine in the state and in one noise."""
    # Read off first, applied then: a step that uses the state twice would widen its ball at each use.
    factor = slope(lambda x: step(x, ZERO), ONE)
    noise = slope(lambda z: step(ZERO, z), ONE)
    return Affine(factor, Law(step(ZERO, ZERO), noise * noise)).after(law)


def laws(steps: Sequence[int], step: Callable[[int, int], Callable[[Value, Value], Value]]) -> Laws:
    """Walk down from the standard normal, as far as the steps are defined."""
    found = {steps[-1]: Law(ZERO, ONE)}
    for s, t in reversed(list(zip([0, *steps], steps, strict=False))):
        try:
            found[s] = walk(found[t], step(s, t))
        except KeyError:
            break
    return found


def remembered(claimed: Callable[[Read], Laws]) -> Callable[[Read], Laws]:
    """Walk once for each version of the claims: mean and variance are read off the same walk."""
    walked: dict[Read, Laws] = {}

    def once(read: Read) -> Laws:
        if read not in walked:
            walked[read] = claimed(read)
        return walked[read]

    return once


def pair(
    id: str,
    quantity: str,
    schedule: str,
    claims: Sequence[str],
    rows: Sequence[int],
    truth: Laws,
    claimed: Callable[[Read], Laws],
    settings: dict[str, object],
) -> Iterator[Vector]:
    """Make two vectors of laws: means and variances."""
    for part in ("mean", "variance"):

        def of(read: Read, part: str = part) -> Iterable[Value | None]:
            found = claimed(read)
            return [getattr(found[t], part) if t in found else None for t in rows]

        yield Vector(
            f"laws/{id}.{part}/{schedule}",
            f"{quantity}.{part}",
            claims,
            [getattr(truth[t], part) for t in rows],
            of,
            schedule=schedule,
            t=rows,
            settings=settings,
            # A mean passes zero on its way; its errors are relative to a state's deviation.
            scale=[truth[t].variance.sqrt() + abs(truth[t].mean) for t in rows] if part == "mean" else None,
        )


def ancestral() -> Iterator[Vector]:
    """The laws of ancestral sampling, all steps taken."""
    for schedule, rows in STATES.items():
        process = chain(schedule)
        for mean, deviation in DATA if process.T < 1000 else DATA[:1]:
            data = Law(exact(mean), exact(deviation) ** 2)
            for variance in CLAIMS:
                yield from pair(
                    f"ancestral.{variance}/m={mean},s={deviation}",
                    "ancestral",
                    schedule,
                    [
                        "sampling.ancestral-step",
                        "sampling.last-step",
                        "sampling.gaussian-denoiser",
                        CLAIMS[variance],
                    ],
                    rows,
                    laws([*range(1, process.T + 1)], ancestral_step(process, data, variance)),
                    claimed_ancestral(process, mean, deviation, variance),
                    {"data_mean": mean, "data_deviation": deviation, "variance": variance, "clip": False},
                )


def ancestral_step(
    process: Chain, data: Law, variance: str
) -> Callable[[int, int], Callable[[Value, Value], Value]]:
    """The posterior's mean for the image that the denoiser tells of, and fresh noise except at the last."""

    def at(s: int, t: int) -> Callable[[Value, Value], Value]:
        guess = denoiser(process, data, t)
        fresh = fixed(process, t, variance).sqrt() if t > 1 else ZERO
        return lambda x, z: process.mean_of(process.image_of({"eps": guess(x)}, x, t), x, t) + fresh * z

    return at


def claimed_ancestral(process: Chain, mean: float, deviation: float, variance: str) -> Callable[[Read], Laws]:
    """Compose the same of the claims."""

    def claimed(read: Read) -> Laws:
        def at(s: int, t: int) -> Callable[[Value, Value], Value]:
            here = symbols(process, t, data_mean=exact(mean), data_deviation=exact(deviation))
            step = "sampling.ancestral-step" if t > 1 else "sampling.last-step"
            here["sigma_t"] = read(CLAIMS[variance], here).sqrt() if t > 1 else ZERO

            def there(x: Value, z: Value) -> Value:
                guess = read("sampling.gaussian-denoiser", {**here, "x_t": x})
                return read(step, {**here, "x_t": x, "eps_theta": guess, "z": z})

            return there

        return laws([*range(1, process.T + 1)], at)

    return remembered(claimed)


def ddim() -> Iterator[Vector]:
    """The laws of DDIM, on sub-sequences of the steps."""
    mean, deviation = DATA[0]
    data = Law(exact(mean), exact(deviation) ** 2)
    for schedule, sequences in TAKEN.items():
        process = chain(schedule)
        for taken in sequences:
            for eta in ETAS:
                rows = [0, *taken][::-1] if len(taken) <= 10 else [*taken[::-1][::7], taken[0], 0]
                yield from pair(
                    f"ddim/steps={len(taken)},eta={eta}",
                    "ddim",
                    schedule,
                    ["sampling.ddim-step", "sampling.ddim-eta", "sampling.gaussian-denoiser"],
                    list(dict.fromkeys(rows)),
                    laws(taken, ddim_of(process, data, eta)),
                    claimed_ddim(process, taken, mean, deviation, eta),
                    {
                        "data_mean": mean,
                        "data_deviation": deviation,
                        "steps": taken,
                        "eta": eta,
                        "clip": False,
                    },
                )


def ddim_of(process: Chain, data: Law, eta: float) -> Callable[[int, int], Callable[[Value, Value], Value]]:
    """The step of DDIM, with what the denoiser guesses."""

    def at(s: int, t: int) -> Callable[[Value, Value], Value]:
        guess = denoiser(process, data, t)
        return lambda x, z: ddim_step(process, s, t, eta, x, guess(x), z)

    return at


def claimed_ddim(
    process: Chain, taken: Sequence[int], mean: float, deviation: float, eta: float
) -> Callable[[Read], Laws]:
    """Compose the same of the claims."""

    def claimed(read: Read) -> Laws:
        def at(s: int, t: int) -> Callable[[Value, Value], Value]:
            here = symbols(
                process, t, s, data_mean=exact(mean), data_deviation=exact(deviation), eta=exact(eta)
            )
            here["sigma_t"] = read("sampling.ddim-eta", here).sqrt()

            def there(x: Value, z: Value) -> Value:
                guess = read("sampling.gaussian-denoiser", {**here, "x_t": x})
                return read("sampling.ddim-step", {**here, "x_t": x, "eps_theta": guess, "z": z})

            return there

        return laws(taken, at)

    return remembered(claimed)
