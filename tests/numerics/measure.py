"""Errors in units in the last place, and which public function each of them belongs to.

A measurement asks the code for numbers and knows them at 50 digits or more, from the claims. The calls of
`tests/bindings` are measurements; `calls` holds those that they lack. Which function a measurement measures
is not said but seen: the public ones that it calls itself.
"""

from __future__ import annotations

import inspect
import math
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from importlib import import_module
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

import tests.bindings
from ddpm_ref.schedule import Schedule
from tests.numerics.cases import DTYPES, Extreme, Grid, name_of
from tests.numerics.exceptions import NOT_MEASURED
from tests.oracle import CLAIMS, HELD, Case, Held, Values, evaluate, exact, magnitude, mp

MODULES = (
    "schedule", "gaussian", "process", "decoder", "objective", "bound", "coding", "subset", "subsequence",
    "score", "sampler", "langevin", "latents", "denoisers", "laws", "exact", "reverse_law", "gap", "metrics",
)  # fmt: skip
"""The modules with mathematics in them."""


class Number(NamedTuple):
    """What the code returned, what is true, and what rounding is relative to: of one shape."""

    found: Tensor
    truth: Any
    size: Any
    through: Any = 0  # the largest number on the way that the caller gets as well, or has given
    of: str = ""  # the function, where the measurement calls several


@dataclass(frozen=True)
class Measurement:
    """A call whose numbers are known.

    Attributes:
        call: yields numbers for a case.
        name: for messages.
        first: the smallest t that it takes.
        last: the largest; T if None.
        left_out: how many of the last t it does not take.
        longest: the largest T that it is tried on.
    """

    call: Callable[[Case], Iterator[Number]]
    name: str
    first: int = 1
    last: int | None = None
    left_out: int = 0
    longest: int = 10_000


MEASUREMENTS: list[Measurement] = []


def number(found: float) -> Tensor:
    """What the code returned as a Python number."""
    return torch.tensor(found, dtype=torch.float64)


def measured(
    *, first: int = 1, last: int | None = None, left_out: int = 0, longest: int = 10_000
) -> Callable[[Callable[[Any], Iterator[Number]]], Callable[[Any], Iterator[Number]]]:
    """Enter a measurement."""

    def enter(call: Callable[[Any], Iterator[Number]]) -> Callable[[Any], Iterator[Number]]:
        MEASUREMENTS.append(Measurement(call, call.__name__, first, last, left_out, longest))
        return call

    return enter


def predicted_image(values: Values) -> Any:
    """The largest entry of the image that a prediction of the noise means, or 0 if there is none."""
    if not {"x_t", "eps_theta"} <= set(values):
        return 0
    image = CLAIMS["parameterization.x0-from-eps"].value
    return np.abs(evaluate(image, {**values, "eps": values["eps_theta"]})).max()


def of_held(held: Held) -> Measurement:
    """Take a call that is held to a claim as a measurement."""
    expression = CLAIMS[held.claim].parts[held.part]

    def numbers(case: Case) -> Iterator[Number]:
        computed = held.call(case)
        for i in range(len(case.t)):
            values = {**case.values(i), **held.extra(case, i)}
            size, found = magnitude(expression, values), computed[i if len(computed) > 1 else 0]
            yield Number(found, evaluate(expression, values), size, predicted_image(values))

    # A sub-sequence for each example takes long to make of very many steps.
    longest = 1000 if held.call.__module__ == "tests.bindings.sampler" else 10_000
    return Measurement(numbers, held.name, held.first, held.last, held.left_out, longest)


# -- errors --------------------------------------------------------------------------------------------------


def ulps(number: Number) -> float:
    """Return the worst error, in units in the last place of the dtype; infinite if a number is lost.

    The unit is the dtype's eps times the size of what was added up, at least the smallest subnormal number.
    A number above a quarter of the dtype's largest may come out as infinity, of its own sign; none as nan.
    """
    info = torch.finfo(number.found.dtype)
    found, truth, size, through = np.broadcast_arrays(
        number.found.detach().double().numpy(),
        *(np.asarray(part, object) for part in (number.truth, number.size, number.through)),
    )
    worst = 0.0
    for f, true, terms, passed in zip(found.flat, truth.flat, size.flat, through.flat, strict=True):
        if np.isinf(f) and passed > info.max / 4:
            continue
        if np.isinf(f) and abs(true) > info.max / 4 and (true > 0) == (f > 0):
            continue
        if not np.isfinite(f):
            return math.inf
        unit = info.eps * max(terms, info.smallest_normal)
        worst = max(worst, float(abs(mp.mpf(float(f)) - true) / unit))
    return worst


@dataclass
class Worst:
    """The largest error so far, and where it was."""

    ulps: float = 0.0
    case: str = ""
    cases: int = 0
    refused: int = 0

    def see(self, error: float | None, case: str) -> None:
        """Count one more, or one that the code refused."""
        if error is None:
            self.refused += 1
            return
        self.cases += 1
        if error > self.ulps or not self.case:
            self.ulps, self.case = error, case


Errors = dict[tuple[str, str, str], Worst]
"""By function, dtype and kind of schedule."""

HELPERS = {
    "decoder.from_levels", "metrics.fit_moments", "process.p_mean_variance", "process.q_sample",
    "schedule.Schedule.at", "schedule.Schedule.beta", "subsequence.Subsequence.eta_max",
}  # fmt: skip
"""Functions that a measurement of others calls to prepare its question."""

REFUSALS = (
    "does not fit",
    "to tell",
    "opposite directions",
    "not zero",
    "must be finite",
    "must stay finite",
    "must be at least 2^-1022",
)
"""What the code may say to a case that a dtype cannot hold, rather than return a wrong number."""


def run(
    grid: Grid,
    dtypes: tuple[torch.dtype, ...] = DTYPES,
    progress: Callable[[str], None] = lambda name: None,
    chosen: Callable[[str], bool] = lambda name: True,
) -> Errors:
    """Measure everything on a grid of cases."""
    errors: Errors = {}
    for measurement in everything():
        if not chosen(measurement.name):
            continue
        progress(measurement.name)
        functions = measures(measurement) - set(NOT_MEASURED)
        for dtype in dtypes:
            for case in grid.cases(dtype, measurement.first, measurement.last, measurement.left_out):
                if measurement.longest >= case.schedule.T:
                    for function, error in errors_of(measurement, functions, case):
                        key = (function, name_of(dtype), case.group)
                        errors.setdefault(key, Worst()).see(error, f"{measurement.name}: {case}")
    return errors


def errors_of(
    measurement: Measurement, functions: set[str], case: Extreme
) -> Iterator[tuple[str, float | None]]:
    """The error of each number, with its function; None if the code says that the dtype cannot hold it."""
    own = functions - HELPERS or functions
    # 1 − ᾱ loses as many digits as β is small, and log(1 − ᾱ) + ᾱ twice as many as ᾱ is.
    lowest = float(case.schedule.alpha_bar[-1])
    with mp.workdps(120 + 2 * int(-np.log10(lowest))):
        try:
            for number in measurement.call(case):
                error = ulps(number)
                yield from ((function, error) for function in ({number.of} if number.of else own))
        except (ValueError, FloatingPointError) as refused:
            if not any(words in str(refused) for words in REFUSALS):
                raise
            yield from ((function, None) for function in own)


# -- the public functions ------------------------------------------------------------------------------------


def public() -> dict[str, CodeType]:
    """Every public function, and every method and property of a public class, by `module.name`."""
    found: dict[str, CodeType] = {}
    for module in MODULES:
        loaded = import_module(f"ddpm_ref.{module}")
        for name in loaded.__all__:
            value = getattr(loaded, name)
            if inspect.isfunction(value):
                found[f"{module}.{name}"] = value.__code__
            elif inspect.isclass(value) and not inspect.isabstract(value):
                found |= {f"{module}.{name}.{member}": code for member, code in members(value)}
    return found


def members(of: type) -> Iterator[tuple[str, CodeType]]:
    """The public methods and properties of a class, inherited ones as well."""
    seen: set[str] = set()
    for base in of.__mro__:
        if base.__module__.startswith("ddpm_ref"):
            for name, value in vars(base).items():
                if name in seen:
                    continue
                seen.add(name)
                if isinstance(value, property):
                    value = value.fget
                elif isinstance(value, cached_property):
                    value = value.func
                elif isinstance(value, classmethod | staticmethod):
                    value = value.__func__
                if inspect.isfunction(value) and (not name.startswith("_") or name == "__call__"):
                    yield name, value.__code__


OURS = (str(Path(tests.bindings.__file__).parent), str(Path(__file__).parent / "calls"))


def measures(measurement: Measurement) -> set[str]:
    """The public functions that a measurement calls itself, and not through another."""
    names = _names_by_code()
    seen: set[str] = set()

    def look(frame: FrameType, event: str, argument: object) -> None:
        if event == "call" and frame.f_code in names:
            caller = frame.f_back
            while caller is not None and caller.f_code.co_filename.endswith("functools.py"):
                caller = caller.f_back  # a cached property
            if caller is not None and caller.f_code.co_filename.startswith(OURS):
                seen.add(_named(frame, names))

    # A new schedule, so that its tables are computed before our eyes.
    case = Extreme(
        Schedule.from_betas([0.1, 0.2, 0.3, 0.4]), torch.tensor([min(measurement.last or 3, 3)]),
        torch.float64, (2,), 1,
    )  # fmt: skip
    sys.setprofile(look)
    try:
        for _ in measurement.call(case):
            pass
    finally:
        sys.setprofile(None)
    return seen


@cache
def _names_by_code() -> dict[CodeType, str]:
    return {code: name for name, code in reversed(public().items())}


def _named(frame: FrameType, names: dict[CodeType, str]) -> str:
    """Name a method by the class of its object: a schedule's table and a sub-sequence's are two rows."""
    name = names[frame.f_code]
    if (this := frame.f_locals.get("self")) is not None:
        module = type(this).__module__.removeprefix("ddpm_ref.")
        return f"{module}.{type(this).__name__}.{name.rpartition('.')[2]}"
    return name


def everything() -> list[Measurement]:
    """All measurements: the bindings' that measure what they call, and those made for this."""
    from tests.numerics import calls

    return [*(of_held(held) for held in HELD if held.name not in calls.LEFT_OUT), *MEASUREMENTS]


__all__ = ["MEASUREMENTS", "Number", "exact", "measured", "public", "run", "ulps"]
