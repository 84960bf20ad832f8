"""Noise schedules: every table of coefficients that the diffusion process needs.

A schedule is its betas. Everything else follows from `beta_1 … beta_T`, is computed at 60 digits from the
exact float64 betas, and is rounded once, so every entry is the float64 nearest to the truth.

`t` is the paper's t. Tables have T+1 entries and index 0 is the clean image: `beta[0] = 0`,
`alpha_bar[0] = 1`, and "previous" is always `t - 1`. Where a table has no meaning at t = 0 its entry
there is nan on purpose: an index that is off by one cannot pass silently.

Source: Ho, Jain, Abbeel 2020, sections 2 and 3.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import mpmath
import torch
from torch import Tensor

__all__ = ["SCHEDULES", "TABLES", "Schedule", "cosine", "linear", "working_dtype"]

# A context of our own: the caller's mpmath precision neither matters here nor changes.
_mp = mpmath.MPContext()
_mp.dps = 60

# alpha_bar below this has lost digits (subnormal) or is zero; above it 1/alpha_bar is finite too.
_SMALLEST_ALPHA_BAR = 2.0**-1022


def working_dtype(dtype: torch.dtype) -> torch.dtype:
    """Return the dtype to compute in: float32 for half precision, otherwise `dtype` itself."""
    return torch.promote_types(dtype, torch.float32)


@dataclass(frozen=True, repr=False)
class Schedule:
    """An immutable noise schedule.

    Build one with [linear][ddpm_ref.schedule.linear], [cosine][ddpm_ref.schedule.cosine] or `from_betas`.
    Each table below is a float64 CPU tensor of shape (T+1,), computed when first asked for. Two schedules are
    equal when their betas are.

    Attributes:
        betas: beta_1 … beta_T, so that `betas[t - 1]` is beta_t; `beta[t]` is the table to index by t.
        config: how to build this schedule again; see `to_config`.

    Raises:
        ValueError: if there is no beta, a beta is outside (0, 1), or alpha_bar_T would underflow float64.
    """

    betas: tuple[float, ...]
    config: Mapping[str, Any] = field(compare=False)
    _copies: dict[tuple[str, torch.device, torch.dtype], Tensor] = field(
        default_factory=dict, init=False, compare=False
    )

    def __post_init__(self) -> None:
        if not self.betas:
            raise ValueError("betas must hold at least one value; got none")
        for t, beta in enumerate(self.betas, start=1):
            if not 0 < beta < 1:  # also false for nan
                raise ValueError(f"beta_t must be in (0, 1) for every t; got beta_{t} = {beta}")
        if self._alpha_bars[-1] < _SMALLEST_ALPHA_BAR:
            t = next(t for t, a in enumerate(self._alpha_bars) if a < _SMALLEST_ALPHA_BAR)
            raise ValueError(
                f"alpha_bar_t must be at least 2^-1022, the smallest normal float64; got "
                f"alpha_bar_{t} = {_mp.nstr(self._alpha_bars[t], 3)} with T = {self.T}: "
                "use fewer or smaller betas"
            )

    # -- building --------------------------------------------------------------------------------------------

    @classmethod
    def from_betas(cls, betas: Sequence[float] | Tensor) -> Schedule:
        """Build a schedule from its betas.

        Args:
            betas: beta_1 … beta_T, one-dimensional, each in (0, 1); taken as the float64 values they are.

        Raises:
            ValueError: if `betas` is empty, not one-dimensional, has a value outside (0, 1), or drives
                alpha_bar_T below the smallest normal float64.
        """
        if isinstance(betas, Tensor):
            if betas.dim() != 1:
                raise ValueError(f"betas must be one-dimensional; got shape {tuple(betas.shape)}")
            betas = betas.tolist()
        values = tuple(float(beta) for beta in betas)
        return cls(values, {"name": "betas", "betas": list(values)})

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Schedule:
        """Build the schedule that `to_config` described.

        Raises:
            ValueError: if `config["name"]` is not a key of `SCHEDULES`.
        """
        arguments = dict(config)
        name = arguments.pop("name", None)
        if name not in SCHEDULES:
            raise ValueError(f"schedule name must be one of {', '.join(SCHEDULES)}; got {name!r}")
        return SCHEDULES[name](**arguments)

    def to_config(self) -> dict[str, Any]:
        """Return the schedule's name and arguments, ready for JSON.

        For those of `SCHEDULES`, `from_config` is the inverse.
        """
        return dict(self.config)

    def __repr__(self) -> str:
        name, *arguments = self.config.items()
        if name[1] == "betas":
            return f"<Schedule of {self.T} betas, {self.betas[0]:g} … {self.betas[-1]:g}>"
        return f"{name[1]}({', '.join(f'{key}={value!r}' for key, value in arguments)})"

    def __reduce__(self) -> tuple[Any, ...]:
        # Copies and worker processes get the betas; numbers of a private mpmath context do not pickle.
        return (Schedule, (self.betas, self.config))

    # -- reading ---------------------------------------------------------------------------------------------

    @property
    def T(self) -> int:
        """The number of steps."""
        return len(self.betas)

    def at(self, name: str, t: int | Tensor, like: Tensor) -> Tensor:
        """Gather a table at t, shaped to multiply the batch `like`.

        The result lives on `like`'s device, in `like`'s dtype, except that half precision gets float32
        coefficients. They have as many dimensions as `like`, so PyTorch's own promotion then carries the
        arithmetic out in float32, and the caller rounds once, at its end.

        Args:
            name: one of `TABLES`.
            t: in 0..T; an int, or an integer tensor of shape (B,).
            like: floating point, of shape (B, ...).

        Returns:
            Shape (B, 1, ..., 1), or (1, 1, ..., 1) where t is an int.

        Raises:
            ValueError: if `name` is unknown, t is out of range, its shape is not (B,), or an entry of the
                table overflows or vanishes in the dtype of `like`.
            TypeError: if t is not an integer or `like` is not floating point.
        """
        self.check_t(t, like, first=0)
        table = self._copy(name, like.device, working_dtype(like.dtype))
        if isinstance(t, int):
            return table[t].reshape((1,) * like.dim())
        # index_select, unlike table[t], never takes a negative index for one from the end.
        return table.index_select(0, t.to(like.device, torch.long)).reshape(-1, *(1,) * (like.dim() - 1))

    def check_t(self, t: int | Tensor, like: Tensor, *, first: int = 1) -> None:
        """Raise unless t is in first..T and fits the batch `like`.

        A tensor that is not on the CPU is not read, because that would wait for the device: there the nan at
        t = 0 and PyTorch's own bounds check stand guard.

        Raises:
            ValueError: if t is out of range, or a tensor whose shape is not (B,), or `like` has no batch
                dimension.
            TypeError: if t is not an integer or `like` is not floating point.
        """
        if not like.is_floating_point():
            raise TypeError(f"images must be floating point; got {like.dtype}")
        if like.dim() == 0:
            raise ValueError("images must have a batch dimension; got a scalar")
        if isinstance(t, Tensor):
            if t.is_floating_point() or t.is_complex() or t.dtype == torch.bool:
                raise TypeError(f"t must have an integer dtype; got {t.dtype}")
            if t.shape != like.shape[:1]:
                raise ValueError(
                    f"t must be an int or have shape (B,) = ({like.shape[0]},); got shape {tuple(t.shape)}"
                )
            if t.device.type != "cpu" or t.numel() == 0:
                return
            lowest, highest = int(t.min()), int(t.max())
        elif isinstance(t, bool) or not isinstance(t, int):
            raise TypeError(f"t must be an int or an integer tensor; got {type(t).__name__}")
        else:
            lowest = highest = t
        if lowest < first or highest > self.T:
            wrong = lowest if lowest < first else highest
            raise ValueError(f"t must be in {first}..T = {first}..{self.T}; got {wrong}")

    def _copy(self, name: str, device: torch.device, dtype: torch.dtype) -> Tensor:
        key = (name, device, dtype)
        if key not in self._copies:
            if name not in TABLES:
                raise ValueError(f"table must be one of {', '.join(TABLES)}; got {name!r}")
            table: Tensor = getattr(self, name)
            with torch.inference_mode(False):  # a table first used while sampling must still serve training
                cast = table.to(dtype)  # on the CPU first: MPS has no float64
                lost = (table.isfinite() & cast.isinf()) | ((table != 0) & (cast == 0))
                if lost.any():
                    t = int(lost.nonzero()[0])
                    raise ValueError(f"{name}[{t}] = {float(table[t]):.3g} does not fit {dtype}; use float64")
                self._copies[key] = cast.to(device)
        return self._copies[key]

    # -- exact values, entries 0..T --------------------------------------------------------------------------

    @cached_property
    def _betas(self) -> list[Any]:
        return [_mp.mpf(0), *map(_mp.mpf, self.betas)]

    @cached_property
    def _alphas(self) -> list[Any]:
        return [1 - beta for beta in self._betas]

    @cached_property
    def _alpha_bars(self) -> list[Any]:
        products = [_mp.mpf(1)]
        for alpha in self._alphas[1:]:
            products.append(products[-1] * alpha)
        return products

    @cached_property
    def _one_minus_alpha_bars(self) -> list[Any]:
        # A sum of positive terms: no digit is lost however small the betas are.
        sums = [_mp.mpf(0)]
        for t in range(1, self.T + 1):
            sums.append(sums[-1] + self._alpha_bars[t - 1] * self._betas[t])
        return sums

    def _posterior_variance(self, t: int) -> Any:
        return self._betas[t] * self._one_minus_alpha_bars[t - 1] / self._one_minus_alpha_bars[t]

    def _variance_at_1(self) -> Any:
        return self._posterior_variance(2) if self.T > 1 else self._betas[1]

    def _fixed_large(self, t: int) -> Any:
        return self._betas[t] if t > 1 else self._variance_at_1()

    def _fixed_small(self, t: int) -> Any:
        return self._posterior_variance(t) if t > 1 else self._variance_at_1()

    def _weight(self, t: int, variance: Any) -> Any:
        return self._betas[t] ** 2 / (2 * variance * self._alphas[t] * self._one_minus_alpha_bars[t])

    def _table(self, formula: Callable[[int], Any], *, first: int = 1) -> Tensor:
        """Round `formula(t)` once for t = first..T; before that comes the nan."""
        entries = [math.nan] * first + [float(formula(t)) for t in range(first, self.T + 1)]
        with torch.inference_mode(False):
            return torch.tensor(entries, dtype=torch.float64, device="cpu")

    # -- tables: the forward process -------------------------------------------------------------------------

    @cached_property
    def beta(self) -> Tensor:
        """The variance that step t adds: `β_t`, and `β_0 = 0`. Claim: [forward.kernel][]."""
        return self._table(lambda t: self._betas[t], first=0)

    @cached_property
    def alpha(self) -> Tensor:
        """`α_t = 1 − β_t`. Claim: [forward.kernel][]."""
        return self._table(lambda t: self._alphas[t], first=0)

    @cached_property
    def sqrt_alpha(self) -> Tensor:
        """`√α_t`. Claim: [forward.kernel][]."""
        return self._table(lambda t: _mp.sqrt(self._alphas[t]), first=0)

    @cached_property
    def alpha_bar(self) -> Tensor:
        """`ᾱ_t = α_1 ⋯ α_t`, and `ᾱ_0 = 1`. Claim: [forward.alpha-bar][]."""
        return self._table(lambda t: self._alpha_bars[t], first=0)

    @cached_property
    def one_minus_alpha_bar(self) -> Tensor:
        """`1 − ᾱ_t`, the variance of `x_t` given `x_0`. Claim: [forward.marginal][]."""
        return self._table(lambda t: self._one_minus_alpha_bars[t], first=0)

    @cached_property
    def sqrt_alpha_bar(self) -> Tensor:
        """`√ᾱ_t`. Claim: [forward.marginal][]."""
        return self._table(lambda t: _mp.sqrt(self._alpha_bars[t]), first=0)

    @cached_property
    def sqrt_one_minus_alpha_bar(self) -> Tensor:
        """`√(1 − ᾱ_t)`. Claim: [forward.marginal][]."""
        return self._table(lambda t: _mp.sqrt(self._one_minus_alpha_bars[t]), first=0)

    @cached_property
    def snr(self) -> Tensor:
        """The signal-to-noise ratio `ᾱ_t / (1 − ᾱ_t)`; nan at t = 0. Claim: [forward.snr][]."""
        return self._table(lambda t: self._alpha_bars[t] / self._one_minus_alpha_bars[t])

    # -- tables: the posterior q(x_{t-1} | x_t, x_0), nan at t = 0 -------------------------------------------

    @cached_property
    def posterior_variance(self) -> Tensor:
        """`β̃_t = β_t (1 − ᾱ_{t−1}) / (1 − ᾱ_t)`, which is 0 at t = 1. Claim: [posterior.variance][]."""
        return self._table(self._posterior_variance)

    @cached_property
    def posterior_mean_coef_x0(self) -> Tensor:
        """The factor of `x_0` in `μ̃_t`: `√ᾱ_{t−1} β_t / (1 − ᾱ_t)`. Claim: [posterior.mean][]."""
        return self._table(
            lambda t: _mp.sqrt(self._alpha_bars[t - 1]) * self._betas[t] / self._one_minus_alpha_bars[t]
        )

    @cached_property
    def posterior_mean_coef_xt(self) -> Tensor:
        """The factor of `x_t` in `μ̃_t`: `√α_t (1 − ᾱ_{t−1}) / (1 − ᾱ_t)`. Claim: [posterior.mean][]."""
        return self._table(
            lambda t: (
                _mp.sqrt(self._alphas[t]) * self._one_minus_alpha_bars[t - 1] / self._one_minus_alpha_bars[t]
            )
        )

    @cached_property
    def mean_coef_eps(self) -> Tensor:
        """The factor of `ε` in `√α_t μ̃_t`: `β_t / √(1 − ᾱ_t)`. Claim: [parameterization.mean-from-eps][]."""
        return self._table(lambda t: self._betas[t] / _mp.sqrt(self._one_minus_alpha_bars[t]))

    # -- tables: the fixed variances of p(x_{t-1} | x_t), nan at t = 0 ---------------------------------------
    # Sampling adds no noise at t = 1, so only the decoder of x_0 sees the entry there. Both choices hold β̃_2
    # in it, as the original code does (β_1 where T = 1): β̃_1 is 0 and has no logarithm.

    @cached_property
    def variance_fixed_large(self) -> Tensor:
        """`σ_t² = β_t`, but `β̃_2` at t = 1; exact for standard normal data.

        Claims: [posterior.log-variance-clipped][], [sampling.variance-for-normal-data][].
        """
        return self._table(self._fixed_large)

    @cached_property
    def variance_fixed_small(self) -> Tensor:
        """`σ_t² = β̃_t`, but `β̃_2` at t = 1; exact for a single image.

        Claims: [posterior.log-variance-clipped][], [sampling.variance-for-one-image][].
        """
        return self._table(self._fixed_small)

    @cached_property
    def log_variance_fixed_large(self) -> Tensor:
        """The natural logarithm of `variance_fixed_large`. Claim: [posterior.log-variance-clipped][]."""
        return self._table(lambda t: _mp.log(self._fixed_large(t)))

    @cached_property
    def log_variance_fixed_small(self) -> Tensor:
        """The natural logarithm of `variance_fixed_small`. Claim: [posterior.log-variance-clipped][]."""
        return self._table(lambda t: _mp.log(self._fixed_small(t)))

    @cached_property
    def log_beta(self) -> Tensor:
        """The natural logarithm of `beta`. Claim: [parameterization.learned-variance][]."""
        return self._table(lambda t: _mp.log(self._betas[t]))

    @cached_property
    def weight_fixed_large(self) -> Tensor:
        """`λ_t` for `variance_fixed_large`: `β_t² / (2 σ_t² α_t (1 − ᾱ_t))`.

        Claim: [parameterization.weight][].
        """
        return self._table(lambda t: self._weight(t, self._fixed_large(t)))

    @cached_property
    def weight_fixed_small(self) -> Tensor:
        """`λ_t` for `variance_fixed_small`: `β_t² / (2 σ_t² α_t (1 − ᾱ_t))`.

        Claim: [parameterization.weight][].
        """
        return self._table(lambda t: self._weight(t, self._fixed_small(t)))


TABLES: tuple[str, ...] = tuple(
    name
    for name, value in vars(Schedule).items()
    if isinstance(value, cached_property) and not name.startswith("_")
)
"""The names that `Schedule.at` takes."""


def linear(T: int = 1000, beta_1: float = 1e-4, beta_T: float = 0.02) -> Schedule:
    """Space the betas evenly, the schedule of the paper.

    `β_t = β_1 + (t − 1)/(T − 1) · (β_T − β_1)`, rounded once to float64. T = 1 has the single beta `beta_1`.

    Claim: [forward.linear-schedule][]. Source: Ho, Jain, Abbeel 2020, section 4.

    Args:
        T: the number of steps, at least 1.
        beta_1: the first beta, in (0, 1).
        beta_T: the last beta, in (0, 1).

    Raises:
        ValueError: if an argument is out of range, or alpha_bar_T would underflow float64.
    """
    _check_T(T)
    _check_open("beta_1", beta_1)
    _check_open("beta_T", beta_T)
    low, high = _mp.mpf(beta_1), _mp.mpf(beta_T)
    betas = [low + (high - low) * (t - 1) / max(T - 1, 1) for t in range(1, T + 1)]
    config = {"name": "linear", "T": T, "beta_1": float(beta_1), "beta_T": float(beta_T)}
    return Schedule(tuple(map(float, betas)), config)


def cosine(T: int = 1000, s: float = 0.008, max_beta: float = 0.999) -> Schedule:
    """Let alpha_bar fall like a squared cosine.

    `ᾱ(t) = f(t)/f(0)` with `f(t) = cos²((t/T + s)/(1 + s) · π/2)`, and
    `β_t = min(1 − ᾱ(t)/ᾱ(t−1), max_beta)`, rounded once to float64. The cut changes `alpha_bar` from the step
    on where it first applies: at least at t = T, where the cosine is 0.

    Claim: [forward.cosine-schedule][]. Source: Nichol, Dhariwal 2021, equation 17.

    Args:
        T: the number of steps, at least 1.
        s: the offset that keeps the first betas from being too small, at least 0.
        max_beta: the largest beta allowed, in (0, 1).

    Raises:
        ValueError: if an argument is out of range, or alpha_bar_T would underflow float64.
    """
    _check_T(T)
    _check_open("max_beta", max_beta)
    if not 0 <= s < math.inf:
        raise ValueError(f"s must be finite and at least 0; got {s}")
    # cos(π/2 · (t/T + s)/(1 + s)) is the sine of π/2 · (1 − t/T)/(1 + s), which loses no digit near t = T.
    f = [_mp.sinpi(_mp.mpf(T - t) / T / (1 + _mp.mpf(s)) / 2) ** 2 for t in range(T + 1)]
    betas = [min(float(1 - f[t] / f[t - 1]), float(max_beta)) for t in range(1, T + 1)]
    return Schedule(tuple(betas), {"name": "cosine", "T": T, "s": float(s), "max_beta": float(max_beta)})


SCHEDULES: dict[str, Callable[..., Schedule]] = {
    "linear": linear,
    "cosine": cosine,
    "betas": Schedule.from_betas,
}
"""The schedules that a configuration can name."""


def _check_T(T: int) -> None:
    if type(T) is not int or T < 1:
        raise ValueError(f"T must be an integer, at least 1; got {T!r}")


def _check_open(name: str, value: float) -> None:
    if not 0 < value < 1:
        raise ValueError(f"{name} must be in (0, 1); got {value}")
