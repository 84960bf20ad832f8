"""schedules: the named schedules' betas, and the tables that follow from them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction

from derivations.vectors.balls import exact
from derivations.vectors.definitions import ONE, cosine_curve
from derivations.vectors.named import CONFIGS, betas, chain, steps, symbols
from derivations.vectors.vector import Read, Topic, Value, Vector, by_row

ABOUT = (
    "The named schedules. `beta` is what a schedule's formula gives, before it is rounded to the float64 "
    "that `schedules` lists; everything else takes those float64 as they are."
)


def topic() -> Topic:
    """Return the file."""
    vectors = [vector for name in CONFIGS for vector in (*formula(name), *tables(name))]
    return Topic("schedules", ABOUT, vectors)


def formula(name: str) -> Iterator[Vector]:
    """The betas of a linear or a cosine schedule, by the formula."""
    config = CONFIGS[name]
    T = config.get("T", 1)
    if T == 1:
        return
    claim = f"forward.{config['name']}-schedule"
    if config["name"] == "linear":
        ts = steps(name)
        low, high = Fraction(config["beta_1"]), Fraction(config["beta_T"])
        truth = [exact(low + (t - 1) * (high - low) / (T - 1)) for t in ts]
        given = {"T": exact(T), "beta_1": exact(low), "beta_T": exact(high)}
    else:
        ts = [t for t in steps(name) if betas(name)[t - 1] < config["max_beta"]]
        curve = {u: cosine_curve(T, config["s"], u) for t in ts for u in (t - 1, t)}
        truth = [1 - curve[t] / curve[t - 1] for t in ts]
        given = {"T": exact(T), "offset": exact(config["s"])}
    claimed = by_row(ts, lambda read, t: read(claim, {**given, "t": exact(t)}))
    yield Vector(f"schedules/beta/{name}", "beta", [claim], truth, claimed, schedule=name, t=ts)


def tables(name: str) -> Iterator[Vector]:
    """What is left of the image, and how much noise there is."""
    process, ts = chain(name), steps(name)
    whole = [process.from_image[t] for t in ts]

    def products(read: Read) -> Iterable[Value | None]:
        bars: list[Value | None] = [ONE]
        for t in range(1, process.T + 1):  # a wrong recursion is wrong by more at every step
            try:
                bars.append(read("forward.alpha-bar", symbols(process, t) | {"alpha_bar_prev": bars[-1]}))
            except KeyError:
                bars.append(None)
        return [bars[t] for t in ts]

    def made(
        quantity: str, claim: str, truth: list[Value], part: str = "value", root: bool = False
    ) -> Vector:
        def compose(read: Read, t: int) -> Value:
            value = read(claim, symbols(process, t, x_0=ONE), part)
            return value.sqrt() if root else value

        claimed = products if claim == "forward.alpha-bar" else by_row(ts, compose)
        return Vector(f"schedules/{quantity}/{name}", quantity, [claim], truth, claimed, schedule=name, t=ts)

    noises = [step.noise.variance for step in whole]
    yield made("alpha_bar", "forward.alpha-bar", [process.kept[t] for t in ts])
    yield made("sqrt_alpha_bar", "forward.marginal", [step.factor for step in whole], "mean")
    yield made("one_minus_alpha_bar", "forward.marginal", noises, "variance")
    roots = [noise.sqrt() for noise in noises]
    yield made("sqrt_one_minus_alpha_bar", "forward.marginal", roots, "variance", root=True)
    yield made("snr", "forward.snr", [step.factor**2 / step.noise.variance for step in whole])
