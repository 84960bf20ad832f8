"""What the calls are measured on: schedules at both ends of what is allowed, data at both ends of a dtype.

A `Case` of the oracle holds ordinary schedules and standard normal numbers; these hold the extreme ones.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor

from ddpm_ref.schedule import Schedule, cosine, linear
from tests.oracle import DTYPES, VECTOR_NAMES, Case

__all__ = ["DATA", "DTYPES", "KINDS", "Extreme", "Grid", "every", "few", "name_of"]

LEAST, MOST = 1e-12, 1 - 1e-12


def spaced(T: int, first: float, last: float, scale: Callable[[float], float]) -> Schedule:
    """Betas that are evenly spaced once `scale` is taken of them: "log" or "logit"."""
    low, high = scale(first), scale(last)
    undo = math.exp if scale is math.log else lambda u: 1 / (1 + math.exp(-u))
    betas = [undo(low + (high - low) * k / (T - 1)) for k in range(T)]
    return Schedule.from_betas([min(max(beta, first), last) for beta in betas])


def logit(beta: float) -> float:
    return math.log(beta) - math.log1p(-beta)


KINDS: dict[str, dict[str, Callable[[], Schedule]]] = {
    "usual": {
        "linear, T = 10": lambda: linear(10, 1e-4, 0.5),
        "cosine, T = 10": lambda: cosine(10),
        "linear, T = 1000": linear,
        "cosine, T = 1000": cosine,
        "linear, T = 10000": lambda: linear(10_000),
        "cosine, T = 10000": lambda: cosine(10_000),
    },
    "short": {
        "linear, T = 2": lambda: linear(2),
        "linear, T = 1": lambda: linear(1),
        "cosine, T = 1": lambda: cosine(1),
        "cosine, T = 2": lambda: cosine(2),
    },
    "flat": {
        "1e-12, T = 2": lambda: Schedule.from_betas([LEAST] * 2),
        "1e-12, T = 10": lambda: Schedule.from_betas([LEAST] * 10),
        "1e-12, T = 10000": lambda: Schedule.from_betas([LEAST] * 10_000),
    },
    "steep": {
        "1 - 1e-12, T = 2": lambda: Schedule.from_betas([MOST] * 2),
        "1 - 1e-12, T = 1": lambda: Schedule.from_betas([MOST]),
        "1 - 1e-12, T = 25": lambda: Schedule.from_betas([MOST] * 25),
    },
    "wide": {
        "1e-12 to 1 - 1e-12, T = 10": lambda: spaced(10, LEAST, MOST, logit),
        "1e-12 to 0.02, T = 1000": lambda: spaced(1000, LEAST, 0.02, math.log),
        "1 - 1e-12, then 1e-12": lambda: Schedule.from_betas([MOST, LEAST, LEAST]),
        "1e-12, then 1 - 1e-12": lambda: Schedule.from_betas([LEAST, LEAST, MOST]),
    },
}
"""The schedules, by what is extreme about them."""

_built = cache(lambda kind, name: KINDS[kind][name]())

DATA: dict[str, Callable[[Tensor, str], Tensor]] = {
    "normal": lambda drawn, name: drawn,
    "zeros": lambda drawn, name: torch.zeros_like(drawn),
    "ones": lambda drawn, name: drawn.sign(),
    "alike": lambda drawn, name: _alike(drawn, name),
    "large": lambda drawn, name: (drawn.double() * _scale(drawn.dtype)).to(drawn.dtype),
    "small": lambda drawn, name: (drawn.double() / _scale(drawn.dtype)).to(drawn.dtype),
    "subnormal": lambda drawn, name: (drawn.double() * torch.finfo(drawn.dtype).smallest_normal).to(
        drawn.dtype
    ),
}
"""What becomes of standard normal numbers; `alike` makes all vectors equal but for a few last digits."""


def _scale(dtype: torch.dtype) -> float:
    return 1e3 if dtype == torch.float16 else 1e30


def _alike(drawn: Tensor, name: str) -> Tensor:
    one = torch.linspace(-1.25, 1.5, drawn.numel(), dtype=torch.float64).reshape(drawn.shape)
    return (one * (1 + VECTOR_NAMES.index(name) % 5 * torch.finfo(drawn.dtype).eps)).to(drawn.dtype)


@dataclass
class Extreme(Case):
    """A case whose numbers are not the usual ones.

    Attributes:
        kind: of the schedule, a key of `KINDS`.
        name: of the schedule.
        data: a key of `DATA`.
    """

    kind: str = ""
    name: str = ""
    data: str = "normal"

    def __getattr__(self, name: str) -> Tensor:
        fresh = name in VECTOR_NAMES and name not in self._tensors
        found = super().__getattr__(name)
        if fresh:
            found = self._tensors[name] = DATA[self.data](found, name)
        return found

    @property
    def group(self) -> str:
        """What is extreme about it: the kind of its schedule, or subnormal data."""
        return self.data if self.data == "subnormal" else self.kind

    def __str__(self) -> str:
        return f"{self.name}, {name_of(self.dtype)}, {self.data} data"


def name_of(dtype: torch.dtype) -> str:
    """The name without the package's."""
    return str(dtype).removeprefix("torch.")


@dataclass(frozen=True)
class Grid:
    """Which cases there are: pairs of a schedule (kind, name) and data, for each dtype; and shapes."""

    pairs: tuple[tuple[str, str, str], ...]
    shapes: tuple[tuple[int, ...], ...]
    only: int | None = None  # the number of a pair, if it is the only one

    def cases(self, dtype: torch.dtype, first: int, last: int | None, left_out: int) -> Iterator[Extreme]:
        """Cases with some t in first..last, where last is at most T - left_out."""
        for seed, (kind, name, data) in enumerate(self.pairs):
            if self.only not in (None, seed):
                continue
            schedule = _built(kind, name)
            end = min(last or schedule.T, schedule.T - left_out)
            if end < first:
                continue
            chosen = sorted({first, first + 1, (first + end) // 2, end - 1, end} & set(range(first, end + 1)))
            yield Extreme(
                schedule, torch.tensor(chosen), dtype, self.shapes[seed % len(self.shapes)], seed,
                kind=kind, name=name, data=data,
            )  # fmt: skip


def every() -> Grid:
    """Every schedule with normal data, and every kind of data on a schedule of each kind."""
    first = [(kind, next(iter(names))) for kind, names in KINDS.items()]
    pairs = [(kind, name, "normal") for kind, names in KINDS.items() for name in names]
    pairs += [(kind, name, data) for data in DATA if data != "normal" for kind, name in first]
    return Grid(tuple(pairs), ((3,), (2, 1, 2), (1,)))


def few() -> Grid:
    """A schedule of each kind, each with other data."""
    data = ("alike", "small", "normal", "ones", "large")
    return Grid(
        tuple((kind, next(iter(names)), of) for (kind, names), of in zip(KINDS.items(), data, strict=True)),
        ((2,),),
    )
