"""sampler, subsequence: stretches of steps, DDIM and its inverse, interpolation."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ddpm_ref import latents, process, sampler
from ddpm_ref.subsequence import Subsequence
from tests.oracle import CLAIMS, Case, Values, evaluate, exact, holds, mp
from tests.oracle import steps as symbols_at


def stretch(case: Case, i: int, eta: float = 1.0) -> Subsequence:
    """The steps s and t of example i, where s is any step from 1 to t − 1, alone."""
    t = int(case.t[i])
    return Subsequence(case.schedule, (1 + (case.seed + i) % (t - 1), t), eta=eta)


def some_eta(case: Case, i: int) -> float:
    """DDIM's, DDPM's, between them, and nearly the largest there is."""
    choices = (0.0, 0.3, 1.0, min(stretch(case, i).eta_max * 0.99, 50.0))
    return choices[(case.seed // 7 + i) % len(choices)]


def bar_s(case: Case, i: int) -> Values:
    return {"alpha_bar_s": symbols_at(case.schedule, stretch(case, i).steps[0])["alpha_bar_t"]}


def with_eta(case: Case, i: int) -> Values:
    return {**bar_s(case, i), "eta": mp.mpf(some_eta(case, i))}


def with_sigma(case: Case, i: int) -> Values:
    """σ_t as the claim has it for the case's η."""
    variance = evaluate(CLAIMS["sampling.ddim-eta"].value, {**case.values(i), **with_eta(case, i)})
    return {**bar_s(case, i), "sigma_t": mp.sqrt(variance)}


def for_each(case: Case, call: Callable[[int, slice], Tensor]) -> Tensor:
    """Examples one by one, since each has a sub-sequence of its own."""
    return torch.cat([call(i, slice(i, i + 1)) for i in range(len(case.t))])


# -- the posterior of a stretch ------------------------------------------------------------------------------


@holds("sampling.stretch-posterior", part="mean", first=2, extra=bar_s)
def stretch_mean(case: Case) -> Tensor:
    x_0, x_t = case.x_0, case.x_t
    return for_each(case, lambda i, at: process.q_posterior(stretch(case, i), x_0[at], x_t[at], 2).mean)


@holds("sampling.stretch-posterior", part="variance", first=2, ulps=0.5, extra=bar_s)
def stretch_variance(case: Case) -> Tensor:
    return for_each(case, lambda i, at: stretch(case, i).posterior_variance[2:])


@holds("forward.composition", part="variance", first=2, ulps=0.5, extra=bar_s)
def stretch_beta(case: Case) -> Tensor:
    return for_each(case, lambda i, at: stretch(case, i).variance_fixed_large[2:])


@holds("sampling.ddim-family", part="mean", first=2, extra=with_sigma)
def ddim_mean(case: Case) -> Tensor:
    x_0, x_t = case.x_0, case.x_t
    return for_each(
        case,
        lambda i, at: process.q_posterior(stretch(case, i, some_eta(case, i)), x_0[at], x_t[at], 2).mean,
    )


@holds("sampling.ddim-family", part="variance", first=2, ulps=0.5, extra=with_sigma)
def ddim_variance(case: Case) -> Tensor:
    return for_each(case, lambda i, at: stretch(case, i, some_eta(case, i)).posterior_variance[2:])


@holds("sampling.ddim-eta", first=2, ulps=0.5, extra=with_eta)
def ddim_eta(case: Case) -> Tensor:
    return for_each(case, lambda i, at: stretch(case, i, some_eta(case, i)).posterior_variance[2:])


# -- steps of the loop ---------------------------------------------------------------------------------------


@holds("sampling.ddim-step", first=2, ulps=8, extra=with_sigma)
def ddim_step(case: Case) -> Tensor:
    eps, z = case.eps_theta, case.z

    def second(i: int, at: slice) -> Tensor:
        taken = stretch(case, i).steps
        states = sampler.sample(
            lambda x_t, t: eps[at], case.schedule, case.x_t[at],
            start=taken[-1], steps=taken, eta=some_eta(case, i), noise=lambda t: z[at], clip=False,
        )  # fmt: skip
        next(states)
        return next(states).x

    return for_each(case, second)


def encoded(case: Case, i: int, at: slice) -> list[Tensor]:
    """x_s and x_t on the way from an image to its latent."""
    eps = case.eps_theta[at]
    states = latents.encode(
        lambda x_t, t: eps, case.schedule, case.x_0[at], steps=stretch(case, i).steps, rounds=2
    )
    return [state.x for state in states][1:]


def reached(case: Case, i: int) -> Values:
    x_s, _ = encoded(case, i, slice(i, i + 1))
    return {**bar_s(case, i), "x_s": exact(x_s)[0]}


@holds("sampling.ddim-inversion", first=2, ulps=4, extra=reached)
def encode(case: Case) -> Tensor:
    return for_each(case, lambda i, at: encoded(case, i, at)[1])


# -- between images ------------------------------------------------------------------------------------------


def share(case: Case) -> float:
    return (case.seed % 9) / 8


def mixed(case: Case, x_0: Tensor, x_0_other: Tensor, noise: Tensor) -> Tensor:
    def start(i: int, at: slice) -> Tensor:
        t, weights = int(case.t[i]), [share(case)]
        states = latents.interpolate(
            lambda x_t, t: x_t, case.schedule, x_0[at], x_0_other[at], t, noise[at], weights
        )
        return next(states).x[0]

    return for_each(case, start)


def mixing(case: Case, i: int) -> Values:
    return {"mixing": mp.mpf(share(case))}


@holds("sampling.interpolation", part="mean", ulps=4, roundings=2, extra=mixing)
def interpolated_mean(case: Case) -> Tensor:
    return mixed(case, case.x_0, case.x_0_other, torch.zeros_like(case.x_0))


@holds("sampling.interpolation", part="variance", ulps=8, roundings=5, extra=mixing)
def interpolated_variance(case: Case) -> Tensor:
    zero = torch.zeros_like(case.x_0)
    return mixed(case, zero, zero, torch.ones_like(zero)).square()
