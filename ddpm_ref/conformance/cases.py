"""What the checks are run on: schedules, steps, dtypes, and drawn arrays that the dtype holds exactly."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from zlib import crc32

import numpy as np

from ddpm_ref.conformance.formulas import book, exact, mp
from ddpm_ref.conformance.protocol import Array
from ddpm_ref.conformance.steps import Steps, column

__all__ = ["SCHEDULES", "Case", "cast", "schedule"]

SHAPE = (1, 1, 2)  # of one image: C, H, W
EXAMPLES = 24  # at least, so that a schedule of few steps sees several values at each


def _formula(name: str, T: int, **values: Any) -> list[Any]:
    t = column([mp.mpf(step) for step in range(1, T + 1)])
    found = book().claims[f"forward.{name}-schedule"].parts["value"]({"t": t, "T": mp.mpf(T), **values})
    return list(found.ravel())


def schedule(name: str, T: int) -> Array:
    """Return the betas of `linear` (1e-4 to 0.02) or `cosine` (s = 0.008, at most 0.999), rounded once."""
    if T == 1:
        return np.array([1e-4 if name == "linear" else 0.999])
    if name == "linear":
        betas = _formula("linear", T, beta_1=mp.mpf(1e-4), beta_T=mp.mpf(0.02))
    else:
        betas = _formula("cosine", T, offset=mp.mpf(0.008))
    return np.array([min(float(beta), 0.999) for beta in betas])


SCHEDULES: Mapping[str, Callable[[], Array]] = {
    "linear, T = 1000": lambda: schedule("linear", 1000),
    "cosine, T = 1000": lambda: schedule("cosine", 1000),
    "cosine, T = 10": lambda: schedule("cosine", 10),
    "one step": lambda: np.array([0.5]),
}


def cast(values: Array, dtype: str) -> Array:
    """Round to the nearest value of a dtype; bfloat16 comes back as float32, the others as themselves."""
    with np.errstate(over="ignore"):  # what is too large becomes infinite
        floats = values.astype("float32" if dtype == "bfloat16" else dtype)
    if dtype != "bfloat16":
        return floats
    bits = floats.view(np.uint32).astype(np.uint64)
    rounded = (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16 << 16  # to nearest, ties to even
    return rounded.astype(np.uint32).view(np.float32)


@dataclass(eq=False)
class Case:
    """A schedule, the steps t of a batch, and what is drawn for it.

    Attributes:
        name: of the schedule.
        steps: the schedule.
        t: the paper's t of each example.
        dtype: of every array.
        device: where the adapter is asked to compute.
        s: the step after t in sampling; t − 1 unless steps are skipped.
        N: how many steps are taken, for each example.
        shape: of one image.
    """

    name: str
    steps: Steps
    t: Array
    dtype: str
    device: str = "cpu"
    s: Array | None = None
    N: Any = 0
    shape: tuple[int, int, int] = SHAPE
    _drawn: dict[str, Array] = field(default_factory=dict)
    _given: dict[str, Array] = field(default_factory=dict)
    _exact: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def all_steps(cls, name: str, betas: Array, dtype: str, device: str = "cpu", *, first: int = 1) -> Case:
        """Make a case with every t in first..T, at least EXAMPLES examples in all."""
        betas = betas if dtype == "float64" else betas.astype(np.float32).astype(np.float64)
        T = len(betas)
        t = np.tile(np.arange(first, T + 1), -(-EXAMPLES // max(T + 1 - first, 1)))
        return cls(name, Steps(betas), t, dtype, device)

    @cached_property
    def before(self) -> Array:
        """s, for each example."""
        return self.t - 1 if self.s is None else self.s

    def drawn(self, name: str) -> Array:
        """Return the values of a symbol.

        Pixels for x_0, means near them for `nearby`, numbers in [−1, 1] for `share`, else normal ones.
        """
        if name not in self._drawn:
            random = np.random.default_rng([crc32(name.encode()), len(self.t)])
            shape = (len(self.t), *self.shape)
            if name == "x_0":
                values = random.integers(0, 256, shape) / 127.5 - 1
                values.flat[:3] = (-1.0, 1.0, 1.0)
            elif name == "nearby":
                values = self.drawn("x_0") + 0.02 * random.standard_normal(shape)
            elif name == "share":
                values = random.uniform(-1, 1, shape)
            elif name.startswith("log_variance"):
                values = np.broadcast_to(random.uniform(-9, 1, (len(self.t), 1, 1, 1)), shape)  # isotropic
            else:
                values = random.standard_normal(shape)
            self._drawn[name] = cast(values, self.dtype)
        return self._drawn[name]

    def some(self, kept: Array) -> Case:
        """Keep some of the examples."""
        s, N = (value[kept] if np.ndim(value) else value for value in (self.before, self.N))
        drawn = {name: values[kept] for name, values in self._drawn.items()}
        return Case(self.name, self.steps, self.t[kept], self.dtype, self.device, s, N, self.shape, drawn)

    def give(self, name: str) -> Array:
        """Return a copy of what was drawn, for an argument; `changed_arguments` looks at it again."""
        self._given[name] = self.drawn(name).copy()
        return self._given[name]

    def give_t(self) -> Array:
        """Return a copy of t for an adapter's argument."""
        self._drawn["t"] = self.t
        self._given["t"] = self.t.copy()
        return self._given["t"]

    def changed_arguments(self) -> list[str]:
        """Name the arguments that are no longer what was given."""
        return sorted(n for n, given in self._given.items() if not np.array_equal(given, self._drawn[n]))

    @property
    def data(self) -> Mapping[str, Any]:
        """Return what was drawn so far, exactly."""
        for name, values in self._drawn.items():
            if name not in self._exact and name != "t":
                self._exact[name] = exact(values)
        return self._exact

    @cached_property
    def symbols(self) -> Mapping[str, Any]:
        """The schedule's symbols, rightly read."""
        return self.steps.at(self.t, self.before)
