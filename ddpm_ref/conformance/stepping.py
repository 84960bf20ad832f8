"""Checks of samplers that skip steps: which steps they take, for every N, and what a step does."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np

from ddpm_ref.conformance.cases import Case, schedule
from ddpm_ref.conformance.check import DATA, Check, formula
from ddpm_ref.conformance.formulas import elementwise, exact, mp
from ddpm_ref.conformance.measure import Result, measure
from ddpm_ref.conformance.protocol import Adapter, Array, NotOffered, make
from ddpm_ref.conformance.steps import Steps

__all__ = ["Stepping", "step_checks", "stepping_checks"]

T = 1000
LABEL = f"linear, T = {T}, every N in 1..{T}"

# For what a step does, all small N and some large ones are enough; which steps are taken is asked of every N.
SOME = (*range(1, 41), *range(45, T, 25), T - 1, T)

Chains = dict[int, list[int] | str]  # the steps for each N, or what was raised


class Stepping:
    """An adapter's ways to choose N of T steps, asked for once."""

    def __init__(self, adapter: type[Adapter]) -> None:
        self.kind = adapter
        self.betas = schedule("linear", T).astype(np.float32).astype(np.float64)
        self._chains: dict[str, Chains] = {}

    def made(self, dtype: str) -> Adapter:
        """Make the adapter, on the first of its devices."""
        return make(self.kind, self.betas, dtype, self.kind.devices[0])

    def chains(self, spacing: str) -> Chains:
        """Ask for the steps of every N in 1..T."""
        if spacing not in self._chains:
            adapter, found = self.made(self.kind.dtypes[0]), Chains()
            for N in range(1, T + 1):
                try:
                    found[N] = [int(t) for t in adapter.timesteps(N, spacing)]
                except (NotOffered, NotImplementedError):
                    raise
                except Exception as error:
                    found[N] = f"raised {type(error).__name__}: {error}"
            self._chains[spacing] = found
        return self._chains[spacing]

    def pairs(self, spacing: str) -> tuple[Array, Array, Array]:
        """Choose steps (t, s, N) to look at: of some N the first, the middle and the last."""
        found = []
        for N in SOME:
            steps = self.chains(spacing)[N]
            if isinstance(steps, str) or not steps:
                continue
            chain = [*steps, 0]
            for i in sorted({0, len(steps) // 2, len(steps) - 1}):
                if 0 <= chain[i + 1] < chain[i] <= T:
                    found.append((chain[i], chain[i + 1], N))
        if not found:
            raise NotOffered(f"{spacing} takes no steps")
        t, s, N = np.array(found).T
        return t, s, N


def _counts(N: list[int]) -> str:
    shown = ", ".join(map(str, N[:8]))
    return f"for {len(N)} of {T} step counts (N = {shown}{' …' if len(N) > 8 else ''})"


def _timesteps(stepping: Stepping, spacing: str) -> Result:
    name = f"timesteps[{spacing}]"
    wrong: dict[str, list[int]] = {}
    at = ""
    for N, steps in stepping.chains(spacing).items():
        if isinstance(steps, str):
            problem = steps
        elif len(steps) != N:
            problem = f"{'one step too many' if len(steps) == N + 1 else f'{len(steps)} steps for {N}'}"
        elif any(a <= b for a, b in pairwise(steps)):
            problem = "a step is taken twice, or out of order"
        else:
            problem = ""
        if not isinstance(steps, str) and steps and (min(steps) < 1 or max(steps) > T):
            outside = min(steps) if min(steps) < 1 else max(steps)
            problem += f"{', and ' if problem else ''}t = {outside} is outside 1..{T}"
            if outside == 0:
                problem += ": an index of -1, which wraps round to T"
        if problem:
            wrong.setdefault(problem, []).append(N)
            at = at or f"N = {N}: {str(steps)[:60]}"
    if not wrong:
        return Result(name, "", LABEL, "passed")
    words = "; ".join(f"{problem}, {_counts(N)}" for problem, N in wrong.items())
    return Result(name, "", LABEL, "failed", at=at, diagnosis=words)


def _starts_at_T(stepping: Stepping, spacing: str) -> Result:
    name = f"first_step[{spacing}]"
    chains = stepping.chains(spacing).items()
    firsts = {N: steps[0] for N, steps in chains if not isinstance(steps, str) and steps[:1] not in ([], [T])}
    if not firsts:
        return Result(name, "sampling.ancestral-step", LABEL, "passed")
    lowest = min(firsts, key=lambda N: firsts[N])
    words = (
        f"does not start at T {_counts(list(firsts))}: pure noise is then taken for an x_t with a signal "
        f"in it, at worst for x_{firsts[lowest]} (N = {lowest})"
    )
    return Result(name, "sampling.ancestral-step", LABEL, "failed", at=f"N = {lowest}", diagnosis=words)


def _stretched(case: Case, values: Any) -> Any:
    image = formula("parameterization.x0-from-eps")({**values, "eps": values["eps_theta"]})
    return {"x_0": image}


def _image_rounded(case: Case, values: Any) -> Any:
    # The image is predicted first: its own two terms may cancel, and the mean has a share of it.
    known = {**values, "eps": values["eps_theta"]}
    size = formula("parameterization.x0-from-eps").magnitude(known, DATA)
    return formula("sampling.stretch-posterior", "mean")({**values, "x_0": exact(size), "x_t": mp.mpf(0)})


def _ddim(eta: float) -> Callable[[Case, Any], Any]:
    def extra(case: Case, values: Any) -> Any:
        known = {**values, "eta": mp.mpf(eta)}
        return {"eta": known["eta"], "sigma_t": elementwise(mp.sqrt)(formula("sampling.ddim-eta")(known))}

    return extra


def _each(call: Callable[[Adapter, Array, int, Array, Array, int], Any]) -> Callable[[Adapter, Case], Any]:
    """Ask step by step: samplers take one t for the whole batch."""

    def ask(adapter: Adapter, case: Case) -> Any:
        x_t, eps, z = (case.give(name) for name in ("x_t", "eps_theta", "z"))
        answers = [
            call(adapter, x_t[i : i + 1], int(case.t[i]), eps[i : i + 1], z[i : i + 1], int(case.N[i]))
            for i in range(len(case.t))
        ]
        return np.concatenate([np.asarray(answer) for answer in answers])

    return ask


def _step_check(stepping: Stepping, check: Check, spacing: str, dtype: str) -> Result:
    adapter = stepping.made(dtype)
    t, s, N = stepping.pairs(spacing)
    steps = Steps(stepping.betas)
    case = Case(f"linear, T = {T}, {len(SOME)} of the N", steps, t, dtype, stepping.kind.devices[0], s, N)
    return measure(check, adapter, case)


Work = Callable[[], Result]


def stepping_checks(stepping: Stepping) -> list[tuple[str, str, str, Work]]:
    """List the checks of an adapter's spacings: name, claim, case, and how to run it."""
    found: list[tuple[str, str, str, Work]] = []
    for spacing in stepping.kind.spacings:
        found += [
            (f"timesteps[{spacing}]", "", LABEL, partial(_timesteps, stepping, spacing)),
            (
                f"first_step[{spacing}]",
                "sampling.ancestral-step",
                LABEL,
                partial(_starts_at_T, stepping, spacing),
            ),
        ]
        for check in step_checks(stepping.kind, spacing):
            for dtype in stepping.kind.dtypes:
                if dtype in ("float64", "float32"):
                    work = partial(_step_check, stepping, check, spacing, dtype)
                    found.append((check.name, check.claim, f"linear, T = {T}, {dtype}", work))
    return found


def _ddim_step(
    spacing: str, eta: float, a: Adapter, x_t: Array, t: int, eps: Array, z: Array, N: int
) -> Array:
    return a.ddim_step(x_t, t, eps, z, N, spacing, eta)


def step_checks(kind: type[Adapter], spacing: str) -> list[Check]:
    """List the checks of what one step of a spacing does."""
    stretch = Check(
        f"stretch[{spacing}]",
        "sampling.stretch-posterior",
        _each(lambda a, x, t, eps, z, N: a.stretch_mean(x, t, eps, N, spacing)),
        part="mean",
        extra=_stretched,
        image=True,
        terms=_image_rounded,
    )
    ddim = [
        Check(
            f"ddim_step[{spacing}, eta = {eta:g}]",
            "sampling.ddim-step",
            _each(partial(_ddim_step, spacing, eta)),
            extra=_ddim(eta),
        )
        for eta in kind.etas
    ]
    return [stretch, *ddim]
