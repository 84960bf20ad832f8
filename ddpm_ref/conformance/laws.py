"""The law of what a sampler draws, held to the vectors: one run, no statistics.

For Gaussian data the exact denoiser is affine, and so is every step in the state and in its noise. Each pixel
of one image is a run of its own: the first has no noise at all and ends in the mean; every other has one unit
noise, in x_T or in one step, and the squares of what these add sum up to the variance.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import pairwise
from typing import Any

import numpy as np

from ddpm_ref.conformance import vectors
from ddpm_ref.conformance.cases import Case, cast
from ddpm_ref.conformance.check import Check, formula
from ddpm_ref.conformance.diagnosis import NONE_KNOWN
from ddpm_ref.conformance.formulas import elementwise, mp
from ddpm_ref.conformance.given import variance_of
from ddpm_ref.conformance.measure import Result, read
from ddpm_ref.conformance.protocol import Adapter, Array, NotOffered, make
from ddpm_ref.conformance.rows import numbers
from ddpm_ref.conformance.steps import EPS, Steps, spreads

__all__ = ["Law", "LawCheck", "Odd", "compared", "law_checks", "walk"]

Step = Callable[[Array, int, Array, Array], Array]
"""The adapter's step: x_t, t, the predicted noise and fresh noise to the next state."""

DTYPES = ("float64", "float32")
DENOISER = "sampling.gaussian-denoiser"  # the kit's own part; an adapter cannot get it wrong
PARTS = ("mean", "variance")

_float = partial(np.asarray, dtype=np.float64)
_sqrt = elementwise(mp.sqrt)


@dataclass(frozen=True)
class Law:
    """Mean and variance of each state, in the order of the steps, and how far rounding may take them."""

    values: Mapping[str, Array]
    bounds: Mapping[str, Array]


@dataclass(frozen=True)
class LawCheck:
    """A sampler's law, for one schedule and one law of the data.

    Attributes:
        name: of the check.
        step: the check of one step, whose formula says how far it may round.
        sigma: the values of σ_t, and of η if there is one.
        law: the vectors of the mean and of the variance.
        dtype: of the states.
    """

    name: str
    step: Check
    sigma: Callable[[Any], Mapping[str, Any]]
    law: Mapping[str, vectors.Vector]
    dtype: str

    @property
    def vector(self) -> vectors.Vector:
        """Either of the vectors, for what they share."""
        return self.law["variance"]

    @property
    def chain(self) -> list[int]:
        """The steps, from T to 1."""
        assert self.vector.schedule is not None
        return list(reversed(self.vector.settings.get("steps", range(1, self.vector.schedule.T + 1))))

    @property
    def label(self) -> str:
        """The case, in words."""
        return f"{self.vector.id.replace('.variance/', '/')}, {self.dtype}"


class Odd(Exception):  # noqa: N818 - the adapter's error, not the kit's
    """An answer that is no state."""


def walk(check: LawCheck, take: Step) -> Law:
    """Run the sampler once, and bound what rounding adds up to.

    Raises:
        Odd: if a step returns what is no array of floats of the shape of x_t, or changes its arguments.
    """
    chain, dtype = check.chain, check.dtype
    assert check.vector.schedule is not None
    t = np.array(chain)
    symbols = Steps(check.vector.schedule.betas).at(t, np.array([*chain[1:], 0]))
    data = {name: mp.mpf(check.vector.settings[name]) for name in ("data_mean", "data_deviation")}
    at_0, at_1 = (formula(DENOISER)({**symbols, **data, "x_t": mp.mpf(x)}) for x in (0, 1))
    known = {**symbols, **check.sigma(symbols)}
    # How an error that is there already is carried on: a state's share in the next.
    share = check.step.formula({**known, "x_t": mp.mpf(1), "eps_theta": at_1 - at_0, "z": mp.mpf(0)})
    slope, intercept, carried = (_float(v).reshape(-1) for v in (at_1 - at_0, at_0, share))
    kept = spreads(symbols, t, dtype)

    width = len(chain) + 2
    x: Array = cast(np.eye(1, width, 1).reshape(1, 1, 1, width), dtype)
    states, errors = [x.ravel()], [np.zeros(width)]
    for i, step in enumerate(chain):
        noise = cast(np.eye(1, width, i + 2).reshape(x.shape), dtype)
        predicted = cast(slope[i] * _float(x) + intercept[i], dtype)
        given = [x.copy(), predicted.copy(), noise.copy()]
        found = read(take(given[0], step, given[1], given[2]), x.shape)
        if isinstance(found, str):
            raise Odd(f"{found} at t = {step}")
        if not all(
            np.array_equal(a, b, equal_nan=True) for a, b in zip(given, (x, predicted, noise), strict=True)
        ):
            raise Odd(f"changed an argument at t = {step}")
        here = {name: v[i : i + 1] if np.ndim(v) else v for name, v in known.items()}
        moved = {name: v[i : i + 1] if np.ndim(v) else v for name, v in kept.items()}
        values = {name: _float(v) for name, v in here.items()}
        values |= {"x_t": _float(x), "eps_theta": _float(predicted), "z": _float(noise)}
        moved["eps_theta"] = EPS[dtype] * np.abs(values["eps_theta"])
        case = Case("", Steps(np.zeros(1)), t[i : i + 1], dtype)
        local = check.step.rounding(case, values, moved, EPS[dtype], None)
        errors.append(np.abs(carried[i]) * errors[-1] + np.broadcast_to(_float(local), x.shape).ravel())
        x = cast(found, dtype)
        states.append(_float(x).ravel())
    return _law(np.array(states), np.array(errors))


def _law(states: Array, errors: Array) -> Law:
    added, off = states[:, 1:] - states[:, :1], errors[:, 1:] + errors[:, :1]
    return Law(
        {"mean": states[:, 0], "variance": np.sum(added**2, axis=1)},
        {"mean": errors[:, 0], "variance": np.sum((2 * np.abs(added) + off) * off, axis=1)},
    )


def compared(check: LawCheck, law: Law) -> Result:
    """Compare a law with the vectors' rows."""
    seen = [_seen(check, part, law) for part in PARTS]
    result = partial(Result, check.name, check.vector.claims[0], check.label)
    for each in seen:
        if (lost := ~np.isfinite(each.found)).any():
            return result("failed", at=each.at(int(np.argmax(lost))), diagnosis="not a finite number")
    worst = max(seen, key=lambda each: float(np.max(each.off)))
    i = int(np.argmax(worst.off))
    unit = EPS[check.dtype] * worst.scale[i]
    rounded = cast(worst.truth[i : i + 1].astype(np.float64), check.dtype)
    fields: dict[str, Any] = {
        "ulps": worst.error[i] / unit,
        "best": float(abs(float(rounded[0]) - worst.truth[i])) / unit,
        "allowed": worst.bound[i] / unit,
        "relative": worst.error[i] / worst.scale[i],
        "at": worst.at(i),
        "found": f"{worst.found[i]:.9g}",
        "wanted": str(mp.nstr(worst.truth[i], 9)),
    }
    if worst.off[i] <= 1:
        return result("passed", **fields)
    return result("failed", diagnosis=_mistake(check, seen), **fields)


@dataclass(frozen=True)
class _Seen:
    """The rows of the mean, or of the variance: what was found, and what should be."""

    part: str
    t: Array
    found: Array
    truth: Any
    bound: Array
    scale: Array

    def at(self, row: int) -> str:
        """Say which row."""
        return f"the {self.part} at t = {int(self.t[row])}"

    @cached_property
    def error(self) -> Array:
        """How far off."""
        return _float(np.abs(self.found - self.truth))

    @cached_property
    def off(self) -> Array:
        """How far off, in what rounding excuses."""
        return self.error / self.bound


def _seen(check: LawCheck, part: str, law: Law) -> _Seen:
    vector = check.law[part]
    assert vector.t is not None
    rows = [[*check.chain, 0].index(t) for t in vector.t]
    scale = _float(vector.scale)
    bound = law.bounds[part][rows] + EPS["float64"] * scale  # and that of adding up the squares
    return _Seen(part, vector.t, law.values[part][rows], numbers(vector.truth), bound, scale)


def _mistake(check: LawCheck, seen: list[_Seen]) -> str:
    """Name the mistake that gives this mean and this variance."""
    known = {
        (wrong.claim, wrong.name): f"{wrong.name} ({wrong.seen})" if wrong.seen else wrong.name
        for vector in check.law.values()
        for wrong in vector.mutants
        if wrong.claim != DENOISER
    }
    for key, words in known.items():
        if all(_gives(check, key, each) for each in seen):
            return words
    return f"{NONE_KNOWN}; {check.step.name} looks at each step by itself"


def _gives(check: LawCheck, key: tuple[str, str], seen: _Seen) -> bool:
    wanted = _float(seen.truth)
    for wrong in check.law[seen.part].mutants:
        if (wrong.claim, wrong.name) == key:
            values = wrong.truth.astype(np.float64)
            wanted = np.where(np.isnan(values), wanted, values)  # nan in rows that do not show it
    return bool(np.all(np.abs(seen.found - wanted) <= 4 * seen.bound))


def _ancestral(own: str, adapter: Adapter) -> Step:
    return lambda x, t, eps, z: adapter.step(x, np.array([t]), eps, z, own, None)


def _skipping(check: LawCheck, eta: float, adapter: Adapter) -> Step:
    """Take the vector's steps: as one of the adapter's spacings, or one by one where it takes any."""
    chain = check.chain
    N, after = len(chain), dict(pairwise([*chain, 0]))
    for spacing in type(adapter).spacings:
        try:
            steps = [int(t) for t in adapter.timesteps(N, spacing)]
        except (NotOffered, NotImplementedError):
            continue
        if steps == chain:
            return partial(_spaced, adapter, N, spacing, eta)
    return lambda x, t, eps, z: adapter.ddim_step_to(x, t, after[t], eps, z, eta)


def _spaced(
    adapter: Adapter, N: int, spacing: str, eta: float, x: Array, t: int, eps: Array, z: Array
) -> Array:
    return adapter.ddim_step(x, t, eps, z, N, spacing, eta)


def _work(check: LawCheck, kind: type[Adapter], taking: Callable[[Adapter], Step]) -> Result:
    assert check.vector.schedule is not None
    adapter = make(kind, check.vector.schedule.betas, check.dtype, kind.devices[0])
    try:
        law = walk(check, taking(adapter))
    except Odd as odd:
        return Result(check.name, check.vector.claims[0], check.label, "broken", diagnosis=str(odd))
    return compared(check, law)


def _pairs() -> Iterator[Mapping[str, vectors.Vector]]:
    laws = {vector.id: vector for vector in vectors.load("laws")}
    for id, vector in laws.items():
        if ".mean/" in id:
            yield {"mean": vector, "variance": laws[id.replace(".mean/", ".variance/")]}


def law_checks(
    checks: list[Check], kind: type[Adapter]
) -> Iterator[tuple[str, str, str, Callable[[], Result]]]:
    """List the checks of an adapter's samplers: name, claim, case, and how to run it.

    Args:
        checks: of the adapter's single steps.
        kind: the adapter.
    """
    steps = {check.name: check for check in checks}
    for law in _pairs():
        settings = law["mean"].settings
        for dtype in (dtype for dtype in kind.dtypes if dtype in DTYPES):
            if "variance" in settings:
                for own, variance in kind.variances.items():
                    if variance != settings["variance"]:
                        continue
                    sigma = partial(_sigma, variance)
                    check = LawCheck(f"law[{own}]", steps[f"step[{own}]"], sigma, law, dtype)
                    yield (
                        check.name,
                        check.vector.claims[0],
                        check.label,
                        partial(_work, check, kind, partial(_ancestral, own)),
                    )
            elif kind.spacings and (eta := settings["eta"]) in kind.etas:
                step = next(c for name, c in steps.items() if name.endswith(f", eta = {eta:g}]"))
                check = LawCheck(f"ddim_law[eta = {eta:g}]", step, partial(_ddim_sigma, eta), law, dtype)
                yield (
                    check.name,
                    check.vector.claims[0],
                    check.label,
                    partial(_work, check, kind, partial(_skipping, check, eta)),
                )


def _sigma(variance: Any, symbols: Any) -> Mapping[str, Any]:
    return {"sigma_t": np.where(symbols["t"] == 1, mp.mpf(0), _sqrt(variance_of(variance, symbols)))}


def _ddim_sigma(eta: float, symbols: Any) -> Mapping[str, Any]:
    known = {**symbols, "eta": mp.mpf(eta)}
    return {"eta": known["eta"], "sigma_t": _sqrt(formula("sampling.ddim-eta")(known))}
