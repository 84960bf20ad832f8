"""The checks: which function of an adapter is held to which claim, and on what values.

A check knows no formula. It names a claim, says how to call the adapter and which values the symbols
have; `formulas.json` has the rest. An error passes if it is no more than one unit in the last place for every
operation in the formula, relative to the size of the terms that are added up.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

from ddpm_ref.conformance import given
from ddpm_ref.conformance.cases import Case
from ddpm_ref.conformance.check import Check, Values, formula
from ddpm_ref.conformance.formulas import Formula, book, elementwise, mp
from ddpm_ref.conformance.protocol import Adapter, VarianceKind

__all__ = ["checks"]

_sqrt = elementwise(mp.sqrt)
_TABLE = ("float64", "float32")


def checks(adapter: type[Adapter]) -> list[Check]:
    """List the checks for an adapter: those that all share, and those for each of its variances."""
    table: Any = {"number": True, "dtypes": _TABLE}
    found = [
        Check("alpha_bar", "forward.alpha-bar", lambda a, c: a.alpha_bar(c.give_t()), **table),
        Check(
            "one_minus_alpha_bar",
            "forward.marginal",
            lambda a, c: a.one_minus_alpha_bar(c.give_t()),
            part="variance",
            **table,
        ),
        Check("snr", "forward.snr", lambda a, c: a.snr(c.give_t()), **table),
        Check(
            "posterior_variance",
            "posterior.variance",
            lambda a, c: a.posterior_variance(c.give_t()),
            first=2,
            **table,
        ),
        Check(
            "posterior_variance at t = 1",
            "posterior.first-step",
            lambda a, c: a.posterior_variance(c.give_t()),
            part="variance",
            only=1,
            examples=1,
            terms=given.floored,
            confused=tuple(_wrong_at_1()),
            **table,
        ),
        Check(
            "variance_at_1",
            "posterior.log-variance-clipped",
            lambda a, c: a.variance_at_1(),
            only=1,
            examples=1,
            shortest=2,
            **table,
        ),
        Check(
            "q_sample", "forward.sample", lambda a, c: a.q_sample(c.give("x_0"), c.give_t(), c.give("eps"))
        ),
        Check(
            "q_posterior",
            "posterior.mean",
            lambda a, c: a.q_posterior(c.give("x_0"), c.give("x_t"), c.give_t()),
        ),
        Check(
            "x0_from_eps",
            "parameterization.x0-from-eps",
            lambda a, c: a.x0_from_eps(c.give("x_t"), c.give_t(), c.give("eps")),
        ),
        Check(
            "eps_from_x0",
            "parameterization.eps-from-x0",
            lambda a, c: a.eps_from_x0(c.give("x_t"), c.give_t(), c.give("x_0")),
        ),
        Check(
            "mu_from_eps",
            "parameterization.mean-from-eps",
            lambda a, c: a.mu_from_eps(c.give("x_t"), c.give_t(), c.give("eps")),
            image=True,
        ),
        Check(
            "velocity",
            "parameterization.v",
            lambda a, c: a.velocity(c.give("x_0"), c.give_t(), c.give("eps")),
        ),
        Check(
            "x0_from_v",
            "parameterization.x0-from-v",
            lambda a, c: a.x0_from_v(c.give("x_t"), c.give_t(), c.give("v")),
        ),
        Check(
            "eps_from_v",
            "parameterization.eps-from-v",
            lambda a, c: a.eps_from_v(c.give("x_t"), c.give_t(), c.give("v")),
        ),
        Check(
            "clipped_mean",
            "posterior.mean",
            lambda a, c: a.clipped_mean(c.give("x_t"), c.give_t(), c.give("eps")),
            extra=given.clipped,
            image=True,
            confused=(
                ("not clipped", lambda case, values: formula("parameterization.mean-from-eps")(values)),
                (
                    "the mean is clipped, and not the image it is made of",
                    lambda case, values: given.clip(formula("parameterization.mean-from-eps")(values)),
                ),
            ),
        ),
        Check(
            "kl",
            "parameterization.kl",
            lambda a, c: a.kl(*(c.give(f"{name}_{i}") for i in (1, 2) for name in ("mu", "log_variance"))),
            extra=given.two_laws,
            only=-1,
            **table,
        ),
        Check(
            "prior_term",
            "bound.prior-term",
            lambda a, c: a.prior_term(c.give("x_0")),
            only=-1,
            **table,
        ),
        Check(
            "L_simple",
            "parameterization.L-simple",
            lambda a, c: a.L_simple(c.give("eps"), c.give("eps_theta")),
            extra=given.deviation("fixed_large"),  # for a mutant that leaves the bound's weight in
            only=-1,
            **table,
        ),
        Check(
            "decoder_log_likelihood",
            "decoder.bin",
            lambda a, c: a.decoder_log_likelihood(c.give("x_0"), c.give("nearby"), c.give("log_variance_1")),
            extra=given.pixel_bin,
            only=-1,
            after=given.log_likelihood,
            terms=given.edges_rounded,
            own_terms=True,
            confused=given.TANH,
            **table,
        ),
        Check(
            "decoder_log_likelihood, far off",
            "decoder.bin",
            lambda a, c: a.decoder_log_likelihood(c.give("x_0"), c.give("mu_1"), c.give("log_variance_1")),
            extra=given.pixel_bin,
            only=-1,
            after=given.log_likelihood,
            terms=given.edges_rounded,
            own_terms=True,
            confused=given.TANH,
            **table,
        ),
        *(check for name in ("linear", "cosine") for check in _of_schedule(name)),
    ]
    return found + [check for own, kind in adapter.variances.items() for check in _of_variance(own, kind)]


def _wrong_at_1() -> Iterator[tuple[str, Callable[[Case, Values], Any]]]:
    for mutant in book().claims["posterior.variance"].mutants:
        if (
            "alpha_bar_next" in (wrong := mutant.parts["value"]).symbols
        ):  # the others are zero there, as is right
            yield mutant.described, partial(_at, wrong)
    yield (
        "β̃_2 in the place of β̃_1, which is for the logarithm only",
        partial(_at, formula("posterior.log-variance-clipped")),
    )


def _at(wrong: Formula, case: Case, values: Values) -> Any:
    return wrong(values)


def _of_schedule(name: str) -> list[Check]:
    ends: Values = {"beta_1": mp.mpf(1e-4), "beta_T": mp.mpf(0.02), "offset": mp.mpf(0.008)}
    return [
        Check(
            f"betas[{name}]",
            f"forward.{name}-schedule",
            lambda a, c: a.betas(name, c.steps.T),
            extra=lambda case, values: ends,
            after=lambda betas: np.minimum(betas, mp.mpf(0.999)),
            number=True,
            schedules=(f"{name}, T = 1000",),
        ),
        Check(
            f"alpha_bar_of[{name}]",
            "forward.alpha-bar",
            lambda a, c: a.alpha_bar_of(name, c.steps.T),
            number=True,
            schedules=(f"{name}, T = 1000",),
        ),
    ]


def _noisy(kind: VarianceKind, values: Values) -> Any:
    sigma = _sqrt(given.variance_of(kind, values))
    return formula("sampling.ancestral-step")({**values, "sigma_t": sigma})


def _wrong_variances(kind: VarianceKind) -> Iterator[tuple[str, Callable[[Case, Values], Any]]]:
    def stepped(variance: Callable[[Values], Any]) -> Callable[[Case, Values], Any]:
        def step(case: Case, values: Values) -> Any:
            return formula("sampling.ancestral-step")({**values, "sigma_t": _sqrt(variance(values))})

        return step

    if kind == "log":
        yield (
            "the network's value is taken for the variance, not for its logarithm",
            stepped(lambda v: v["share"]),
        )
        return
    for mutant in book().claims[given.VARIANCE[kind]].mutants:
        yield (
            f"the variance: {mutant.described}",
            stepped(partial(given.variance_of, kind, wrong=mutant.parts["value"])),
        )


def _of_variance(own: str, kind: VarianceKind) -> list[Check]:
    def step(a: Adapter, c: Case) -> Any:
        value = c.give("share") if kind in ("learned", "log") else None
        return a.step(c.give("x_t"), c.give_t(), c.give("eps_theta"), c.give("z"), own, value)

    found = [
        Check(
            f"step[{own}]",
            "sampling.ancestral-step",
            step,
            extra=given.deviation(kind),
            first=2,
            kind=kind,
            image=True,
            confused=tuple(_wrong_variances(kind)),
        )
    ]
    if kind in ("fixed_large", "fixed_small"):
        found.append(
            Check(
                f"reverse_variance[{own}]",
                "sampling.variance-for-normal-data" if kind == "fixed_large" else "posterior.variance",
                lambda a, c: a.reverse_variance(c.give_t(), own),
                first=2,
                number=True,
                dtypes=_TABLE,
                terms=given.kept_as_logarithm,
            )
        )
        found.append(
            Check(
                f"last_step[{own}]",
                "sampling.last-step",
                step,
                only=1,
                image=True,
                confused=(("noise is added in the last step too", lambda c, v: _noisy(kind, v)),),
            )
        )
        found.append(
            Check(
                f"L_t_minus_1[{own}]",
                "parameterization.L-t-1",
                lambda a, c: a.L_t_minus_1(
                    c.give("x_0"), c.give_t(), c.give("eps"), c.give("eps_theta"), own
                ),
                extra=given.step_laws(kind),
                kind=kind,
                first=2,
                number=True,
                dtypes=_TABLE,
                terms=given.means_rounded,
            )
        )
    return found
