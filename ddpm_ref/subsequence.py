"""Fewer steps: which ones to take, and the schedule that the steps taken make.

A sampler that visits only `s_1 < … < s_N` walks a chain of N steps. Step i of it stands for the whole stretch
from `s_i` down to `s_{i−1}`, where `s_0 = 0` is the clean image. Such a chain is a schedule like any other,
with `ᾱ'_i = ᾱ_{s_i}` and `β'_i = 1 − ᾱ_{s_i} / ᾱ_{s_{i−1}}`, so all that works for a schedule works for it.

Source: Nichol, Dhariwal 2021, section 4; Song, Meng, Ermon 2021, section 4.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import pairwise
from operator import index
from typing import Any, Literal, get_args

from torch import Tensor

from ddpm_ref.finite import check_finite
from ddpm_ref.schedule import Schedule, _mp

__all__ = ["Spacing", "Subsequence", "check_steps", "steps"]

Spacing = Literal["trailing", "linspace", "stride", "quadratic"]
"""How N steps are spread over 1..T; `steps` says what each means."""


def steps(T: int, N: int | Sequence[int], spacing: Spacing = "trailing") -> tuple[int, ...]:
    """Choose N of the steps 1..T: strictly increasing, and ending in T, for every N from 1 to T.

    With i = 1 … N, and `round` exact and half to even,

    - `"trailing"`: `round(i T/N)`, as diffusers' option of that name is meant;
    - `"linspace"`: `1 + round((i − 1)(T − 1)/(N − 1))`, from 1 to T, as in improved-diffusion and diffusers;
    - `"stride"`: `T − (N − i) ⌊T/N⌋`, all strides alike: diffusers' "leading", moved so that it ends in T;
    - `"quadratic"`: `max(i, round(T (i/N)²))`, denser near the image, after DDIM's quadratic steps.

    For N = 1 each is `(T,)`. Several counts divide 1..T into as many sections, nearly equal and the longer
    ones first, and space the steps of each section on their own, as guided-diffusion's "10,15,20" does.

    Args:
        T: the number of steps of the schedule, at least 1.
        N: how many to take, in 1..T; or how many of each section, in 1..its length.
        spacing: how to spread them.

    Raises:
        ValueError: if N is out of range, or `spacing` is unknown.
    """
    if type(T) is not int or T < 1:
        raise ValueError(f"T must be an integer, at least 1; got {T!r}")
    if spacing not in get_args(Spacing):
        raise ValueError(f"spacing must be one of {', '.join(get_args(Spacing))}; got {spacing!r}")
    if isinstance(N, list | tuple):
        return _sections(T, N, spacing)
    if type(N) is not int or not 1 <= N <= T:
        raise ValueError(f"N must be an integer in 1..T = 1..{T}; got {N!r}")
    formulas: dict[str, Callable[[int], int]] = {
        "trailing": lambda i: _nearest(i * T, N),
        "linspace": lambda i: 1 + _nearest((i - 1) * (T - 1), N - 1) if N > 1 else T,
        "stride": lambda i: T - (N - i) * (T // N),
        "quadratic": lambda i: max(i, _nearest(T * i * i, N * N)),
    }
    return tuple(map(formulas[spacing], range(1, N + 1)))


def _nearest(numerator: int, denominator: int) -> int:
    """Round a quotient of integers to the nearest one, halves to the even one."""
    below, rest = divmod(numerator, denominator)
    return below + (2 * rest > denominator or (2 * rest == denominator and below % 2 == 1))


def _sections(T: int, counts: Sequence[int], spacing: Spacing) -> tuple[int, ...]:
    if not 1 <= len(counts) <= T:
        raise ValueError(f"N must hold between 1 and T = {T} counts; got {len(counts)}")
    taken: list[int] = []
    start = 0
    for k, count in enumerate(counts):
        length = T // len(counts) + (k < T % len(counts))
        if type(count) is not int or not 1 <= count <= length:
            raise ValueError(
                f"N must take an integer in 1..{length} from section {k + 1}, "
                f"the steps {start + 1}..{start + length}; got {count!r}"
            )
        taken += [start + step for step in steps(length, count, spacing)]
        start += length
    return tuple(taken)


@dataclass(frozen=True, repr=False)
class Subsequence(Schedule):
    """Some steps of a schedule, as a schedule of its own, and the family of processes on them.

    Its index i = 1 … N is its own: the model's t is `steps[i − 1]`, and `at_step` gives it. Its tables are
    computed at 60 digits from the whole schedule's exact betas, and rounded once: of all the steps they are
    the whole schedule's own.

    `eta` chooses the posterior among those that leave every marginal as it is,

        q(x_s | x_t, x_0) = N(√ᾱ_s x_0 + √(1 − ᾱ_s − σ²) eps, σ²),   σ² = η² (1 − ᾱ_s)/(1 − ᾱ_t) (1 − ᾱ_t/ᾱ_s)

    with t and s two neighbours of the sub-sequence and eps the noise between `x_0` and `x_t`. `eta = 1` is
    the Markov chain's, DDPM; `eta = 0` is a point, DDIM. Of the tables only `posterior_variance`,
    `posterior_mean_coef_x0` and `posterior_mean_coef_xt` depend on it, so
    [q_posterior][ddpm_ref.process.q_posterior] is the one function that it changes.

    Claims: [sampling.stretch-posterior][], [sampling.ddim-family][], [sampling.ddim-eta][]. Source: Song,
    Meng, Ermon 2021, equations 7 and 16.

    Args:
        whole: the schedule that the steps are taken from.
        steps: which, in 1..T, strictly increasing, at least one.
        eta: at least 0, and at most `eta_max`, which is at least 1.

    Raises:
        ValueError: if `steps` is empty, not increasing or out of range, or `eta` is out of range.
        TypeError: if `steps` is not a sequence of integers.
    """

    whole: Schedule
    steps: tuple[int, ...]
    eta: float

    def __init__(self, whole: Schedule, steps: Sequence[int], *, eta: float = 1.0) -> None:
        taken = check_steps(whole.T, steps)
        fields = {"whole": whole, "steps": taken, "eta": float(eta), "_copies": {}}
        for name, value in fields.items():
            object.__setattr__(self, name, value)  # frozen
        object.__setattr__(self, "betas", tuple(map(float, self._betas[1:])))
        described = {"name": "subsequence", "whole": whole.to_config(), "steps": list(taken), "eta": self.eta}
        object.__setattr__(self, "config", described)
        if not (self.eta >= 0 and _mp.mpf(self.eta) ** 2 <= self._eta_max_squared):
            raise ValueError(
                f"eta must be in [0, {self.eta_max:.6g}] for these steps (0 is DDIM, 1 is DDPM), or a step "
                f"would draw more noise than there is; got {eta}"
            )

    def __repr__(self) -> str:
        return f"<{len(self.steps)} steps of {self.whole!r}, {self.steps[0]} … {self.steps[-1]}>"

    def __reduce__(self) -> tuple[Any, ...]:
        return (_rebuilt, (self.whole, self.steps, self.eta))

    def at_step(self, i: int) -> int:
        """Return the whole schedule's t for index i of this one, and 0 for 0.

        Raises:
            ValueError: if i is not in 0..N.
        """
        if not 0 <= i <= self.T:
            raise ValueError(f"i must be in 0..N = 0..{self.T}; got {i}")
        return (0, *self.steps)[i]

    @property
    def eta_max(self) -> float:
        """The largest `eta` that these steps allow, rounded down; at least 1, and infinite for one step.

        `η² ≤ (1 − ᾱ_t)/(1 − ᾱ_t/ᾱ_s)` for every step but the last, which draws no noise.

        Claim: [sampling.ddim-eta][].
        """
        largest = float(_mp.sqrt(self._eta_max_squared))
        return largest if _mp.mpf(largest) ** 2 <= self._eta_max_squared else math.nextafter(largest, 0)

    # -- exact values, entries 0..N --------------------------------------------------------------------------

    @cached_property
    def _stretches(self) -> list[tuple[Any, Any]]:
        # 1 − α' as a sum of positive terms: no digit is lost, and a stretch of one step keeps its own β.
        stretches = [(_mp.mpf(1), _mp.mpf(0))]
        for s, t in pairwise((0, *self.steps)):
            kept, added = _mp.mpf(1), _mp.mpf(0)
            for step in range(s + 1, t + 1):
                added += kept * self.whole._betas[step]
                kept *= self.whole._alphas[step]
            stretches.append((kept, added))
        return stretches

    @cached_property
    def _alphas(self) -> list[Any]:
        return [kept for kept, _ in self._stretches]

    @cached_property
    def _betas(self) -> list[Any]:
        return [added for _, added in self._stretches]

    @cached_property
    def _alpha_bars(self) -> list[Any]:
        return [self.whole._alpha_bars[t] for t in (0, *self.steps)]

    @cached_property
    def _one_minus_alpha_bars(self) -> list[Any]:
        return [self.whole._one_minus_alpha_bars[t] for t in (0, *self.steps)]

    @cached_property
    def _eta_max_squared(self) -> Any:
        room = [self._one_minus_alpha_bars[i] / self._betas[i] for i in range(2, self.T + 1)]
        return min(room, default=_mp.inf)

    def _split(self, i: int) -> tuple[Any, Any]:
        """What the stretch to i leaves of the earlier noise, and how much of that the family keeps: A, K.

        With A = α'(1 − ᾱ_s), so that 1 − ᾱ_t = A + β', the share of the noise at s that is not fresh is
        `(1 − ᾱ_s − σ²)/(1 − ᾱ_s) = K/(A + β')` with `K = A + (1 − η²) β'`.
        """
        earlier = self._alphas[i] * self._one_minus_alpha_bars[i - 1]
        kept = earlier + (1 - _mp.mpf(self.eta) ** 2) * self._betas[i]
        return earlier, max(kept, _mp.mpf(0))

    # -- tables: the posterior q(x_s | x_t, x_0), nan at 0 ---------------------------------------------------

    @cached_property
    def posterior_variance(self) -> Tensor:
        """`σ² = η² β'_i (1 − ᾱ'_{i−1}) / (1 − ᾱ'_i)`, which is 0 at i = 1. Claim: [sampling.ddim-eta][]."""
        return self._table(lambda i: _mp.mpf(self.eta) ** 2 * self._posterior_variance(i))

    @cached_property
    def posterior_mean_coef_xt(self) -> Tensor:
        """The factor of `x_t`: `√(1 − ᾱ_s − σ²) / √(1 − ᾱ_t)`. Claim: [sampling.ddim-family][]."""

        def factor(i: int) -> Any:
            _, kept = self._split(i)
            return _mp.sqrt(self._one_minus_alpha_bars[i - 1] * kept) / self._one_minus_alpha_bars[i]

        return self._table(factor)

    @cached_property
    def posterior_mean_coef_x0(self) -> Tensor:
        """The factor of `x_0`: `√ᾱ_s − √ᾱ_t √(1 − ᾱ_s − σ²)/√(1 − ᾱ_t)`. Claim: [sampling.ddim-family][]."""

        def factor(i: int) -> Any:
            # √ᾱ_s (1 − y) with y² = A K/(1 − ᾱ_t)²; (1 − y²)/(1 + y) is free of cancellation.
            earlier, kept = self._split(i)
            noise = self._one_minus_alpha_bars[i]
            rest = self._betas[i] * (noise + _mp.mpf(self.eta) ** 2 * earlier) / noise**2
            return _mp.sqrt(self._alpha_bars[i - 1]) * rest / (1 + _mp.sqrt(earlier * kept) / noise)

        return self._table(factor)


def _rebuilt(whole: Schedule, taken: tuple[int, ...], eta: float) -> Subsequence:
    return Subsequence(whole, taken, eta=eta)


def check_steps(T: int, given: Sequence[int]) -> tuple[int, ...]:
    """Return the steps as ints, or say what is wrong with them and how to put it right.

    Raises:
        ValueError: if there is none, one is not in 1..T, or they do not increase.
        TypeError: if `given` is not a sequence of integers.
    """
    try:
        taken = tuple(map(index, given))
    except TypeError:
        raise TypeError(
            f"steps must be a sequence of integers, such as steps({T}, N) returns; got {given!r}"
        ) from None
    if not taken:
        raise ValueError("steps must hold at least one step; got none")
    for step in taken:
        if not 1 <= step <= T:
            fix = ": add 1 to steps that are counted from 0" if step == 0 else ""
            raise ValueError(f"steps must be in 1..T = 1..{T}; got {step}{fix}")
    for before, after in pairwise(taken):
        if before >= after:
            fix = "leave repeated ones out" if before == after else "sort them"
            raise ValueError(f"steps must be strictly increasing; got {before} before {after}: {fix}")
    return taken


@lru_cache(maxsize=8)
def _kept(schedule: Schedule, steps: tuple[int, ...], eta: float) -> Subsequence:
    return Subsequence(schedule, steps, eta=eta)  # kept, since every batch of a run needs the same tables


def taken(
    schedule: Schedule,
    x: Tensor,
    start: int | None,
    steps: Sequence[int] | None,
    eta: float | None,
    name: str,
) -> Subsequence:
    """Return the steps that a walk from `start` takes, checked; the same object for the same steps.

    Args:
        schedule: the whole schedule.
        x: where the walk begins, shape (B, ...), finite.
        start: the t at which it begins, in 1..T; T if None.
        steps: strictly increasing, ending in `start`; all if None.
        eta: of DDIM; None for ancestral steps.
        name: of `x`, for errors.

    Raises:
        ValueError: if `x` is not finite, `start`, `steps` or `eta` is out of range, or `steps` is not
            increasing or does not end in `start`.
        TypeError: if `x` is not floating point, or `steps` not a sequence of integers.
    """
    schedule.check_t(schedule.T, x)
    check_finite(name, x)
    first = schedule.T if start is None else start
    if type(first) is not int or not 1 <= first <= schedule.T:
        raise ValueError(f"start must be an integer in 1..T = 1..{schedule.T}; got {start!r}")
    chosen = check_steps(schedule.T, range(1, first + 1) if steps is None else steps)
    walk = _kept(schedule, chosen, 1.0 if eta is None else float(eta))
    if walk.steps[-1] != first:
        raise ValueError(
            f"steps must end in {first}, where {name} stands; got {walk.steps[-1]} last: end them there, or "
            f"pass start={walk.steps[-1]} with images diffused to it"
        )
    return walk
