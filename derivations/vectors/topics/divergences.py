"""divergences: of Gaussians with independent coordinates of one variance each."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from derivations.vectors.balls import exact, point
from derivations.vectors.definitions import ZERO, Law, entropy, kl, log_density, total
from derivations.vectors.named import drawn
from derivations.vectors.vector import Read, Topic, Value, Vector, by_row

ABOUT = (
    "Gaussians with independent coordinates that share a variance: `kl` of p from q, `log_density` at x, "
    "`entropy`; in nats, summed over the coordinates. Where the variances nearly agree, a divergence "
    "keeps its digits only if nothing cancels."
)
VARIANCES = [1.0, 0.25, 2.0**-10, 1e-4, 5.45e-5, 4.0, 1.0, 0.5, 1.0]
OTHERS = [1.0, 1.0, 2.0**-9, 0.02, 1e-4, 1e-3, 1 + 2.0**-20, 0.5 - 2.0**-30, 1 - 2.0**-40]


def topic() -> Topic:
    """Return the file."""
    return Topic("divergences", ABOUT, [*of(1), *of(3)])


def of(d: int) -> Iterator[Vector]:
    """The vectors in d dimensions."""
    rows = range(len(VARIANCES))
    mean_p, mean_q, x = (drawn(f"{name} {d}", len(rows), d) for name in ("mean_p", "mean_q", "x"))
    mean_q[6], mean_q[8] = mean_p[6], mean_p[8]  # only the variances differ
    p = [Law(point(mean), exact(variance)) for mean, variance in zip(mean_p, VARIANCES, strict=True)]
    q = [Law(point(mean), exact(variance)) for mean, variance in zip(mean_q, OTHERS, strict=True)]

    def symbols(i: int) -> dict[str, Value]:
        roots = {"sigma": p[i], "sigma_1": p[i], "sigma_2": q[i]}
        return {
            **{name: law.variance.sqrt() for name, law in roots.items()},
            "mu": p[i].mean,
            "mu_1": p[i].mean,
            "mu_2": q[i].mean,
            "x": point(x[i]),
            "d": exact(d),
        }

    def made(
        quantity: str, claim: str, truth: Callable[[int], Value], inputs: dict[str, list[Value]], scale: bool
    ) -> Vector:
        def compose(read: Read, i: int) -> Value:
            return read(claim, symbols(i))

        terms = [abs(log_density(Law(ZERO, p[i].variance), ZERO)) * d + distance(i) for i in rows]
        return Vector(
            f"divergences/{quantity}/{d}",
            quantity,
            [claim],
            [truth(i) for i in rows],
            by_row(rows, compose),
            inputs=inputs,
            scale=terms if scale else None,
        )

    def distance(i: int) -> Value:
        return total((point(x[i]) - p[i].mean) ** 2) / (2 * p[i].variance)

    first: dict[str, list[Value]] = {"mean_p": mean_p, "variance_p": VARIANCES}
    second: dict[str, list[Value]] = {"mean_q": mean_q, "variance_q": OTHERS}
    yield made("kl", "parameterization.kl", lambda i: kl(p[i], q[i]), {**first, **second}, False)
    yield made(
        "log_density",
        "gaussians.density",
        lambda i: total(log_density(p[i], point(x[i]))),
        {**first, "x": x},
        True,
    )
    yield made("entropy", "parameterization.entropy", lambda i: entropy(p[i]), first, False)
