"""sampler, langevin, latents: whole walks, from the first state to the last.

The score and the noise are those of Gaussian data, so each state is a claim's of the one before. An error is
relative to the largest state of the walk: every state is rounded to the dtype.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ddpm_ref import langevin, latents, sampler
from ddpm_ref.denoisers import GaussianDenoiser
from ddpm_ref.laws import GaussianLaw
from tests.bindings.denoisers import deviations, gaussian
from tests.numerics.calls.schedules import value
from tests.numerics.measure import Number, exact, measured
from tests.oracle import CLAIMS, Case, magnitude, mp, steps
from tests.test_sampler import SLERP, slerp_of_the_claim

Step = Callable[[dict[str, Any]], tuple[Any, Any]]
"""From a state to the next one, and to the sizes of what that is the sum of."""


def noise_of(values: dict[str, Any]) -> dict[str, Any]:
    """The noise that the exact denoiser predicts at `x_t`."""
    return {**values, "eps_theta": value("sampling.gaussian-denoiser", values)}


def of_terms(claim: str, values: dict[str, Any], part: str = "value") -> tuple[Any, Any]:
    return value(claim, values, part), magnitude(CLAIMS[claim].parts[part], values)


def walk(case: Case, found: list[Tensor], levels: list[int], step: Step) -> Iterator[Number]:
    """Follow a claim from the first state over the levels, and compare the last state."""
    x = exact(found[0][:1])
    names = {**gaussian(case, 0), "data_mean": 0 * x, "z": 0 * x}
    largest = np.abs(x)
    for t in levels:
        x, size = step({**steps(case.schedule, t), **names, "x_t": x})
        largest = np.maximum(largest, size)
    yield Number(found[-1][:1], x, largest.max())


def of_data(case: Case) -> GaussianDenoiser:
    zero = torch.zeros(case.shape, dtype=torch.float64)
    variance = torch.tensor(deviations(case)[0], dtype=torch.float64).square()
    return GaussianDenoiser(case.schedule, GaussianLaw(zero, variance))


def bar(case: Case, t: int) -> Any:
    return steps(case.schedule, t)["alpha_bar_t"] if t else mp.mpf(1)


@measured(longest=1000)
def ancestral(case: Case) -> Iterator[Number]:
    zero = torch.zeros_like(case.x_t)
    states = list(sampler.ancestral(of_data(case), case.schedule, case.x_t, noise=lambda t: zero, clip=False))

    def step(values: dict[str, Any]) -> Any:
        law = {**values, "mu_1": values["x_t"], "sigma_1": mp.mpf(0), "sigma_t": mp.mpf(0)}
        moved = value("sampling.reverse-law", law, "mean")
        return moved, np.abs(values["x_t"]) / mp.sqrt(values["alpha_t"])

    yield from walk(case, [s.x for s in states], list(range(case.schedule.T, 0, -1)), step)


@measured(longest=1000)
def ddim(case: Case) -> Iterator[Number]:
    T = case.schedule.T
    taken = sorted({1, *range(T, 0, -max(T // 10, 1))})
    states = list(sampler.sample(of_data(case), case.schedule, case.x_t, steps=taken, eta=0.0, clip=False))
    before = dict(zip(taken, [0, *taken], strict=False))

    def step(values: dict[str, Any]) -> Any:
        s = before[int(values["t"])]
        given = {**noise_of(values), "alpha_bar_s": bar(case, s), "sigma_t": mp.mpf(0)}
        return of_terms("sampling.ddim-step", given)

    yield from walk(case, [s.x for s in states], taken[::-1], step)


@measured(longest=1000)
def encoding(case: Case) -> Iterator[Number]:
    T = case.schedule.T
    taken = sorted({1, *range(T, 0, -max(T // 10, 1))})
    denoiser = of_data(case)
    states = list(latents.encode(denoiser, case.schedule, case.x_0, steps=taken))
    before = dict(zip(taken, [0, *taken], strict=False))

    def step(values: dict[str, Any]) -> Any:
        s = before[int(values["t"])]
        given = {**noise_of(values), "alpha_bar_s": bar(case, s), "x_s": values["x_t"]}
        return of_terms("sampling.ddim-inversion", given)

    yield from walk(case, [s.x for s in states], taken, step)


@measured()
def langevin_walk(case: Case) -> Iterator[Number]:
    s2 = deviations(case)[0] ** 2
    gamma, zero = s2 / 8, torch.zeros_like(case.x)
    n = 20
    found = list(langevin.langevin(lambda x: -x / s2, case.x, step_size=gamma, n=n, noise=lambda k: zero))

    def step(values: dict[str, Any]) -> Any:
        given = {**values, "mu": mp.mpf(0), "x": values["x_t"], "sigma": values["data_deviation"]}
        score = value("score.gaussian", given)
        moved = {**values, "gamma": mp.mpf(gamma), "score_q": score, "x_prev": values["x_t"]}
        return of_terms("score.langevin-step", moved, "mean")

    yield from walk(case, found, [1] * n, step)


@measured(longest=1000)
def annealed(case: Case) -> Iterator[Number]:
    T = case.schedule.T
    taken = sorted({1, *range(T, 0, -max(T // 10, 1))})
    zero = torch.zeros_like(case.x_t)
    corrector = langevin.LangevinCorrector(0.5, noise=lambda t, k: zero)
    denoiser = of_data(case)
    states = list(
        langevin.annealed_langevin(denoiser.score, case.schedule, case.x_t, steps=taken, corrector=corrector)
    )
    before = dict(zip(taken, [0, *taken], strict=False))

    def step(values: dict[str, Any]) -> Any:
        score = value("score.gaussian-data", values)
        given = {**values, "score_q": score, "rho": mp.mpf(0.5)}
        moved, size = of_terms("score.annealed-step", given, "mean")
        # Down to the next level: the image stays what it is.
        factor = mp.sqrt(bar(case, before[int(values["t"])]) / values["alpha_bar_t"])
        return moved * factor, size * factor

    # The first state that comes has been moved already.
    yield from walk(case, [case.x_t, *(s.x for s in states)], taken[::-1], step)


@measured(longest=10)
def within_a_level(case: Case) -> Iterator[Number]:
    corrector = langevin.LangevinCorrector(0.5, noise=lambda t, k: case.z)
    for t in case.t.tolist():
        _, image = corrector.walk(lambda x, t: case.score_q, case.schedule, case.x_t, t)
        for i in range(len(case.t)):
            values = {**case.values(i), **steps(case.schedule, t)}
            true = value("score.tweedie", values)
            root = mp.sqrt(values["alpha_bar_t"])
            size = np.abs(values["x_t"]) + (1 - values["alpha_bar_t"]) * np.abs(values["score_q"])
            yield Number(image[i], true, size / root)


@measured()
def great_circles(case: Case) -> Iterator[Number]:
    u, v = case.x_0.reshape(len(case.t), -1), case.x_0_other.reshape(len(case.t), -1)
    found = latents.slerp(u, v, [0.25, 0.75])
    for k, w in enumerate((0.25, 0.75)):
        for i in range(len(u)):
            try:
                true = slerp_of_the_claim(u[i], v[i], w, SLERP.value)
            except ZeroDivisionError:
                continue  # parallel: the claim has no value there
            yield Number(found[k, i], true, max(np.abs(exact(u[i])).max(), np.abs(exact(v[i])).max()))
