"""The schedules, steps and inputs that the vectors use, and the values of the symbols there."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from hashlib import sha256
from typing import Any

import flint

from derivations.vectors.balls import exact, point
from derivations.vectors.definitions import ONE, ZERO, Chain, cosine_betas, linear_betas

__all__ = ["CONFIGS", "DIMENSION", "betas", "chain", "drawn", "few", "sizes", "steps", "symbols"]

Value = Any
Config = Mapping[str, Any]
DIMENSION = 3
WITHIN_ONE = ("x_0", "variance_value")


def _linear(T: int, beta_1: float, beta_T: float) -> Config:
    return {"name": "linear", "T": T, "beta_1": beta_1, "beta_T": beta_T}


def _cosine(T: int, s: float = 0.008, max_beta: float = 0.999) -> Config:
    return {"name": "cosine", "T": T, "s": s, "max_beta": max_beta}


def _written(*numbers: float) -> Config:
    return {"name": "betas", "betas": list(numbers)}


CONFIGS: Mapping[str, Config] = {
    "linear-1000": _linear(1000, 1e-4, 0.02),
    "linear-4000": _linear(4000, 2.5e-5, 0.005),  # as noisy at the end: betas times 1000/T
    "linear-50": _linear(50, 0.002, 0.4),
    "linear-8": _linear(8, 0.0625, 0.75),
    "linear-2": _linear(2, 1e-4, 0.02),
    "linear-1": _linear(1, 1e-4, 0.02),
    "cosine-1000": _cosine(1000),
    "cosine-4000": _cosine(4000),
    "cosine-50": _cosine(50),
    "cosine-2": _cosine(2),
    "cosine-1": _cosine(1),
    "tiny": _written(1e-12, 1e-9, 1e-12, 1e-6, 1e-7),  # 1 − ᾱ keeps its digits only if nothing cancels
    "huge": _written(0.999, 0.9, 0.9999, 0.5, 0.99),
    "uneven": _written(2**-1, 2**-13, 5 / 16, 2**-10, 255 / 256, 5 / 256),  # exact in every dtype
}
"""How each schedule is made; linear-1 has the one beta `beta_1`."""


@cache
def betas(schedule: str) -> tuple[float, ...]:
    """Return beta_1 … beta_T, float64."""
    arguments = dict(CONFIGS[schedule])
    makers: Mapping[str, Callable[..., Sequence[float]]] = {
        "linear": linear_betas,
        "cosine": cosine_betas,
        "betas": lambda betas: betas,
    }
    return tuple(makers[arguments.pop("name")](**arguments))


@cache
def chain(schedule: str) -> Chain:
    """Return the forward process."""
    return Chain(betas(schedule))


def steps(schedule: str, *, first: int = 1, left_out: int = 0) -> list[int]:
    """Return the t of the rows: both ends, some between, of first..T − left_out."""
    T = CONFIGS[schedule].get("T", len(CONFIGS[schedule].get("betas", ())))
    wanted = {1, 2, 3, T // 100, T // 20, T // 4, T // 2, 3 * T // 4, T - 1, T}
    return sorted(t for t in wanted if first <= t <= T - left_out)


def few(schedule: str, *, first: int = 1) -> list[int]:
    """Return fewer of them, for rows that are long."""
    all_of_them = steps(schedule, first=first)
    return all_of_them if len(all_of_them) <= 5 else [*all_of_them[:2], *all_of_them[-4::2], all_of_them[-1]]


def drawn(name: str, rows: int, d: int = DIMENSION) -> list[list[float]]:
    """Return rows of numbers in (−2, 2), or (−1, 1) for those in WITHIN_ONE, exact in every dtype.

    A number is k/64 or k/32 with 0 < |k| < 64; which one depends on the name only.
    """
    blocks = (sha256(f"{name} {block}".encode()).digest() for block in range(rows * d // 32 + 1))
    unit = 2.0**-6 if name in WITHIN_ONE else 2.0**-5
    numbers = [(byte % 127 - 63 or 1) * unit for block in blocks for byte in block]
    return [numbers[row * d : (row + 1) * d] for row in range(rows)]


def symbols(process: Chain, t: int, s: int | None = None, **values: Value) -> dict[str, Value]:
    """Return the values of the schedule's symbols at t, and others given; what has none there is left out.

    Lists of numbers become points, and a point's dimension is d.
    """
    beta, kept = exact(process.betas[t - 1]), process.kept
    found = {
        "t": exact(t),
        "T": exact(process.T),
        "beta_t": beta,
        "alpha_t": ONE - beta,
        "alpha_bar_t": kept[t],
        "alpha_bar_prev": kept[t - 1],
    }
    if t < process.T:
        found |= {"alpha_next": ONE - exact(process.betas[t]), "alpha_bar_next": kept[t + 1]}
    if s is not None:
        found["alpha_bar_s"] = kept[s]
    for name, value in values.items():
        found[name] = point(value) if isinstance(value, list) else value
        if isinstance(value, list):
            found["d"] = exact(len(value))
    return found


def sizes(linear: Callable[..., Value], *vectors: Sequence[float]) -> Value:
    """Return the sum of the sizes of a linear function's terms, one for each of its arguments."""
    points = [point(vector) for vector in vectors]
    nothing = [0 * x for x in points]
    terms = [linear(*nothing[:i], points[i], *nothing[i + 1 :]) for i in range(len(points))]
    return sum((abs(term) for term in terms), 0 * points[0])


def deviation(variance: flint.arb) -> flint.arb:
    """Return the root of a variance."""
    return variance.sqrt() if not variance.is_zero() else ZERO
