"""The symbols of a schedule at every step, composed from its betas; and how real code misreads them.

`t` is the paper's t, in 1..T, and `s` an earlier step, `t - 1` unless steps are skipped. Values are exact to
50 digits, shaped (B, 1, 1, 1) to broadcast over a batch of images.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from ddpm_ref.conformance.formulas import exact, mp

__all__ = ["EPS", "MISREADINGS", "Misreading", "Steps", "column", "spreads"]

EPS = {"float64": 2.0**-52, "float32": 2.0**-23, "float16": 2.0**-10, "bfloat16": 2.0**-7}
"""The gap after one, of every dtype that a check may ask for."""

Symbols = dict[str, Any]


def column(values: Any) -> Any:
    """Shape one number for each example to broadcast over images."""
    return np.asarray(values).reshape(-1, 1, 1, 1)


@dataclass(frozen=True, eq=False)
class Steps:
    """A schedule as its betas, beta_1 … beta_T, taken as the float64 values they are."""

    betas: np.ndarray

    @property
    def T(self) -> int:
        """The number of steps."""
        return len(self.betas)

    @cached_property
    def tables(self) -> Symbols:
        """`beta`, `alpha` and `alpha_bar` for t = 0..T+1; nan stands where there is no step."""
        beta = np.concatenate([[mp.nan], exact(self.betas), [mp.nan]])
        alpha_bar = np.array([mp.mpf(1)] * (self.T + 2), dtype=object)
        for t in range(1, self.T + 2):
            alpha_bar[t] = alpha_bar[t - 1] * (1 - beta[t])
        return {"beta": beta, "alpha": 1 - beta, "alpha_bar": alpha_bar}

    def at(self, t: Any, s: Any | None = None) -> Symbols:
        """Return every symbol at the steps t, an int array in 0..T+1, with s the step after in sampling."""
        t = np.asarray(t)
        s = t - 1 if s is None else np.asarray(s)
        beta, alpha, alpha_bar = (self.tables[name] for name in ("beta", "alpha", "alpha_bar"))
        after = np.minimum(t + 1, self.T + 1)
        return {
            "t": column([mp.mpf(int(each)) for each in t]),
            "T": mp.mpf(self.T),
            "beta_t": column(beta[t]),
            "alpha_t": column(alpha[t]),
            "alpha_bar_t": column(np.where(t > 0, alpha_bar[t], mp.nan)),
            "alpha_bar_prev": column(alpha_bar[np.maximum(t - 1, 0)]),
            "alpha_bar_s": column(alpha_bar[np.maximum(s, 0)]),
            "alpha_next": column(alpha[after]),
            "alpha_bar_next": column(alpha_bar[after]),
        }


def spreads(symbols: Mapping[str, Any], t: Any, dtype: str) -> dict[str, Any]:
    """Say how far rounding takes each symbol of a schedule that is kept in a dtype.

    Products are taken to be accumulated over t factors, two roundings each; half precision is taken to have
    its products in float32 and to round them once more. What is exact, such as ᾱ_0 = 1, stays exact.
    """
    kept, product = EPS[dtype], EPS["float64" if dtype == "float64" else "float32"]
    steps = np.asarray(t).reshape(-1, 1, 1, 1)
    factors = {
        "alpha_bar_t": steps,
        "alpha_bar_prev": steps - 1,
        "alpha_bar_s": steps,
        "alpha_bar_next": steps + 1,
    }
    found = {}
    for name, value in symbols.items():
        if name in ("t", "T"):
            continue
        size = np.abs(np.asarray(value, dtype=np.float64))
        roundings = kept + product * factors.get(name, 1.0)
        found[name] = np.where(size == 1, 0.0, roundings * size)
    return found


@dataclass(frozen=True)
class Misreading:
    """A way to misread a schedule: in words, and the symbols that come of it at (t, s, N)."""

    name: str
    symbols: Callable[[Steps, Any, Any, Any], Symbols]


def _with(name: str, change: Callable[[Steps, Any, Any, Any, Symbols], Mapping[str, Any]]) -> Misreading:
    def symbols(steps: Steps, t: Any, s: Any, N: Any) -> Symbols:
        right = steps.at(t, s)
        return {**right, **change(steps, t, s, N, right)}

    return Misreading(name, symbols)


def _first(value: Callable[[Steps], Any]) -> Callable[[Steps, Any, Any, Any, Symbols], Symbols]:
    """ᾱ before the first step is something else than one."""

    def change(steps: Steps, t: Any, s: Any, N: Any, right: Symbols) -> Symbols:
        first = np.where(np.asarray(s).reshape(-1, 1, 1, 1) <= 0, value(steps), right["alpha_bar_s"])
        before = np.where(np.asarray(t).reshape(-1, 1, 1, 1) == 1, value(steps), right["alpha_bar_prev"])
        return {"alpha_bar_s": first, "alpha_bar_prev": before}

    return change


def _last(name: str, value: float) -> Callable[[Steps, Any, Any, Any, Symbols], Symbols]:
    """The table before t is another symbol's, and a pad at t = T."""

    def change(steps: Steps, t: Any, s: Any, N: Any, right: Symbols) -> Symbols:
        last = np.asarray(t).reshape(-1, 1, 1, 1) == steps.T
        before = np.where(last, mp.mpf(value), right[name])
        return {"alpha_bar_prev": before, "alpha_bar_s": before}

    return change


def _jump(steps: Steps, t: Any, s: Any, N: Any, right: Symbols) -> Symbols:
    before = np.maximum(np.asarray(t) - steps.T // np.maximum(N, 1), 0)
    return {"alpha_bar_s": column(steps.tables["alpha_bar"][before])}


def _jump_then_first(steps: Steps, t: Any, s: Any, N: Any, right: Symbols) -> Symbols:
    before = np.asarray(t) - steps.T // np.maximum(N, 1)
    return {"alpha_bar_s": column(steps.tables["alpha_bar"][np.maximum(before, 1)])}


MISREADINGS = (
    Misreading("", lambda steps, t, s, N: steps.at(t, s)),
    _with(
        "ᾱ_{t-1} is ᾱ_{t+1}: padded on the wrong side, as in lucidrains/denoising-diffusion-pytorch#18",
        lambda steps, t, s, N, right: {"alpha_bar_prev": right["alpha_bar_next"]},
    ),
    _with(
        "ᾱ_0 is ᾱ_1: padded with the first entry instead of 1",
        _first(lambda steps: steps.tables["alpha_bar"][1]),
    ),
    _with("ᾱ_0 is ᾱ_T: the index -1 wraps round", _first(lambda steps: steps.tables["alpha_bar"][steps.T])),
    _with("ᾱ_0 is 0: padded with zero instead of 1", _first(lambda steps: mp.mpf(0))),
    _with(
        "ᾱ_{t-1} is ᾱ_t",
        lambda steps, t, s, N, right: {
            "alpha_bar_prev": right["alpha_bar_t"],
            "alpha_bar_s": right["alpha_bar_t"],
        },
    ),
    _with("ᾱ_{t-1} is ᾱ_t, and 1 at t = T: padded with 1 at the wrong end", _last("alpha_bar_t", 1)),
    _with("ᾱ_{t-1} is ᾱ_{t+1}, and 1 at t = T: padded with 1 at the wrong end", _last("alpha_bar_next", 1)),
    _with("ᾱ_{t-1} is ᾱ_{t+1}, and 0 at t = T: padded with 0 at the wrong end", _last("alpha_bar_next", 0)),
    Misreading(
        "t is read as t - 1: an index base is off by one", lambda steps, t, s, N: steps.at(t - 1, s - 1)
    ),
    Misreading(
        "t is read as t + 1: an index base is off by one", lambda steps, t, s, N: steps.at(t + 1, s + 1)
    ),
    _with(
        "the step before t is taken to be t - 1 where steps are skipped",
        lambda steps, t, s, N, right: {"alpha_bar_s": right["alpha_bar_prev"]},
    ),
    _with("the step before t is taken to be t - ⌊T/N⌋, whichever comes next", _jump),
    _with(
        "the step before t is taken to be t - ⌊T/N⌋, and ᾱ_0 to be ᾱ_1",
        _jump_then_first,
    ),
)
"""The right reading, which has no name, and the wrong ones."""
