"""The proved expressions as oracles: a claim evaluated at 50 digits, on the numbers that the code was given.

Nothing here knows a formula. A schedule's symbols are composed from the exact betas, step by step;
everything else is a value that the test drew. `holds` enters a call of `tests/bindings` into `HELD`;
`tests/test_core.py` compares each with its claim, and with its claim's mutants.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache, lru_cache
from itertools import accumulate
from typing import Any
from zlib import crc32

import mpmath
import numpy as np
import torch
from hypothesis import strategies as st
from sympy import Add, Basic, Expr, lambdify
from sympy.printing.numpy import NumPyPrinter
from torch import Tensor

from ddpm_ref.schedule import Schedule
from derivations.proof.claims import every_claim
from derivations.proof.symbols import VECTORS, inner, linear_coefficients, sqnorm

mp = mpmath.MPContext()
mp.dps = 50

Values = Mapping[str, Any]

CLAIMS = every_claim()


# -- evaluating an expression --------------------------------------------------------------------------------


def _elementwise(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    elementwise: Callable[[Any], Any] = np.frompyfunc(function, 1, 1)
    return elementwise


FUNCTIONS = {
    "sqrt": _elementwise(mp.sqrt),
    "log": _elementwise(mp.log),
    "exp": _elementwise(mp.exp),
    "cos": _elementwise(mp.cos),
    "tanh": _elementwise(mp.tanh),
    "erf": _elementwise(mp.erf),
    "pi": mp.pi,
    "fraction": lambda p, q: mp.mpf(p) / q,
    "sqnorm": lambda u: np.sum(np.asarray(u, dtype=object) ** 2),
}


class _Printer(NumPyPrinter):  # type: ignore[misc]
    """Python code in which no fraction becomes a float."""

    def _print_Rational(self, expression: Any) -> str:
        return f"fraction({expression.p}, {expression.q})"


_PRINTER = _Printer({"fully_qualified_modules": False, "inline": True, "allow_unknown_functions": True})


@cache
def _compiled(expression: Basic) -> tuple[list[str], Callable[..., Any]]:
    symbols = sorted(expression.free_symbols, key=lambda s: s.name)
    return [s.name for s in symbols], lambdify(
        symbols, expression, modules=[FUNCTIONS, "numpy"], printer=_PRINTER, dummify=True
    )


def evaluate(expression: Basic, values: Values) -> Any:
    """Evaluate an expression at the values of its symbols: mpf, or an object array of them for vectors."""
    names, function = _compiled(expression)
    return function(*(values[name] for name in names))


def magnitude(expression: Expr, values: Values) -> Any:
    """Return what rounding errors are relative to: the sizes of the terms that are added up, or |value|."""
    if expression.free_symbols & VECTORS and not expression.has(sqnorm, inner):
        return sum(
            abs(evaluate(coefficient, values)) * np.abs(values[vector.name])
            for vector, coefficient in linear_coefficients(expression).items()
        )
    if expression.has(sqnorm, inner):  # its terms may cancel: a log-density crosses zero
        return sum(abs(evaluate(term, values)) for term in Add.make_args(expression))
    return np.abs(evaluate(expression, values))


def exact(tensor: Tensor) -> Any:
    """Return a tensor's entries as they are, without rounding."""
    with np.errstate(invalid="ignore"):  # nan is a number here, and agrees with none
        return _elementwise(mp.mpf)(tensor.double().numpy())


# -- cases ---------------------------------------------------------------------------------------------------


@dataclass
class Case:
    """A schedule, a batch of steps, and tensors for the symbols of the formulas.

    Attributes:
        schedule: with T steps.
        t: the paper's t of each example, in 1..T.
        dtype: of every tensor.
        shape: of one example.
        seed: of the tensors' values.
    """

    schedule: Schedule
    t: Tensor
    dtype: torch.dtype
    shape: tuple[int, ...]
    seed: int
    _tensors: dict[str, Tensor] = field(default_factory=dict)

    def __getattr__(self, name: str) -> Tensor:
        if name.startswith("_") or name not in VECTOR_NAMES:
            raise AttributeError(name)
        if name not in self._tensors:
            generator = torch.Generator().manual_seed(self.seed + crc32(name.encode()))
            drawn = torch.randn(len(self.t), *self.shape, generator=generator, dtype=torch.float64)
            self._tensors[name] = drawn.to(self.dtype)
        return self._tensors[name]

    def values(self, i: int) -> dict[str, Any]:
        """Return every symbol's value for example i."""
        t = int(self.t[i])
        return {
            **steps(self.schedule, t),
            "d": mp.mpf(int(np.prod(self.shape))),
            **{name: exact(tensor[i]) for name, tensor in self._tensors.items()},
        }


VECTOR_NAMES = sorted(vector.name for vector in VECTORS)


def steps(schedule: Schedule, t: int) -> dict[str, Any]:
    """Compose the schedule's symbols at t from the exact betas: the definitions, not the closed forms."""
    beta, bar = _composed(schedule)
    values = {
        "t": mp.mpf(t),
        "T": mp.mpf(schedule.T),
        "beta_t": beta[t],
        "alpha_t": 1 - beta[t],
        "alpha_bar_t": bar[t],
    }
    values["alpha_bar_prev"] = bar[t - 1]
    if t < schedule.T:
        values["alpha_next"], values["alpha_bar_next"] = 1 - beta[t + 1], bar[t + 1]
    return values


@lru_cache(maxsize=32)
def _composed(schedule: Schedule) -> tuple[list[Any], list[Any]]:
    beta = [mp.mpf(0), *(mp.mpf(b) for b in schedule.betas)]
    return beta, list(accumulate(beta[1:], lambda bar, b: bar * (1 - b), initial=mp.mpf(1)))


BETAS = st.one_of(
    st.floats(1e-4, 0.999),
    st.floats(1e-4, 0.02),
    st.sampled_from([1e-4, 0.02, 0.5, 0.999]),
)
DTYPES = (torch.float64, torch.float32, torch.bfloat16, torch.float16)


@st.composite
def cases(draw: st.DrawFn, first: int = 1, last: int | None = None, left_out: int = 0) -> Case:
    """Draw a case with t in first..last, where last is at most T - left_out."""
    betas = draw(st.lists(BETAS, min_size=first + left_out, max_size=6))
    t = draw(
        st.lists(st.integers(first, min(last or len(betas), len(betas) - left_out)), min_size=1, max_size=3)
    )
    return Case(
        Schedule.from_betas(betas),
        torch.tensor(t),
        draw(st.sampled_from(DTYPES)),
        draw(st.sampled_from([(), (1,), (3,), (2, 1, 2), (1, 2, 2)])),
        draw(st.integers(0, 10_000)),
    )


# -- comparing -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Held:
    """A call of the code, the claim it computes, and how far rounding may take it."""

    call: Callable[[Case], Tensor]
    claim: str
    part: str
    first: int
    last: int | None
    left_out: int
    ulps: float
    roundings: int
    extra: Callable[[Case, int], Values]

    @property
    def cases(self) -> st.SearchStrategy[Case]:
        """The cases for which the claim is made."""
        return cases(self.first, self.last, self.left_out)

    @property
    def name(self) -> str:
        """The test's id."""
        return f"{self.claim}-{self.call.__name__}"

    def disagreement(self, case: Case, wrong: Basic | None = None) -> float:
        """Return the worst error over what rounding allows; with `wrong`, as if the code computed that."""
        computed = self.call(case)
        expression = CLAIMS[self.claim].parts[self.part]
        worst = 0.0
        for i in range(len(case.t)):
            values = {**case.values(i), **self.extra(case, i)}
            truth = evaluate(expression, values)
            if wrong is None:
                found = exact(computed[i if computed.shape[0] > 1 else 0])
            else:
                found = evaluate(wrong, values)
            wide = torch.promote_types(computed.dtype, torch.float32)
            info, work = torch.finfo(computed.dtype), torch.finfo(wide)
            terms = magnitude(expression, values)
            allowed = self.ulps * work.eps * terms + 2 * info.smallest_normal * info.eps
            if info.eps > work.eps:  # half precision is rounded from what float32 gives
                size = np.abs(truth) if self.roundings == 1 else terms
                allowed = allowed + self.roundings * info.eps / 2 * size
            size = max(np.max(np.abs(truth)), 0)
            if size > info.max / 4:
                continue  # overflows the dtype, as it must
            off = np.ravel(np.abs(found - truth) / allowed)  # one by one: a maximum passes over a nan
            worst = max(worst, *(math.inf if mp.isnan(each) else float(each) for each in off))
        return worst


HELD: list[Held] = []


def holds(
    claim: str,
    *,
    part: str = "value",
    first: int = 1,
    last: int | None = None,
    left_out: int = 0,
    ulps: float = 2,
    roundings: int = 1,
    extra: Callable[[Case, int], Values] = lambda case, i: {},
) -> Callable[[Callable[[Case], Tensor]], Callable[[Case], Tensor]]:
    """Say that a call computes (a part of) a claim's expression.

    Args:
        claim: the claim's id.
        part: which of the statement's parts.
        first: the smallest t for which it is claimed.
        last: the largest; T if not given.
        left_out: how many of the last t it is not claimed for.
        ulps: how many rounding errors of the dtype it computes in, float32 for half precision, the
        computation may add up, relative to the terms' sizes.
        roundings: how often a result of half precision has been rounded to it: more than once where the call
        is several, or squares what it got.
        extra: values of symbols that are neither the schedule's nor drawn vectors.
    """

    def enter(call: Callable[[Case], Tensor]) -> Callable[[Case], Tensor]:
        HELD.append(Held(call, claim, part, first, last, left_out, ulps, roundings, extra))
        return call

    return enter
