"""schedule, subsequence, subset: every table, at every t that a case has."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from sympy import Expr, Symbol

from ddpm_ref.schedule import TABLES, Schedule
from ddpm_ref.subsequence import Subsequence
from ddpm_ref.subset import stratified
from derivations.proof.symbols import eps, linear_coefficients, x_0, x_prev, x_t
from tests.numerics.measure import Number, measured, number
from tests.oracle import CLAIMS, Case, Values, evaluate, mp, steps


def coefficient(claim: str, vector: Symbol, values: Values) -> Any:
    """The factor of a vector in a claim's expression."""
    expression: Expr = CLAIMS[claim].parts.get("value", CLAIMS[claim].parts.get("mean"))
    return evaluate(linear_coefficients(expression)[vector], values)


def value(claim: str, values: Values, part: str = "value") -> Any:
    return evaluate(CLAIMS[claim].parts[part], values)


def large(values: Values) -> Any:
    return values["beta_t"] if values["t"] > 1 else _at_1(values)


def small(values: Values) -> Any:
    return value("posterior.variance", values) if values["t"] > 1 else _at_1(values)


def _at_1(values: Values) -> Any:
    return value("posterior.log-variance-clipped", values) if values["T"] > 1 else values["beta_t"]


def weight(values: Values, variance: Any) -> Any:
    return value("parameterization.weight", {**values, "sigma_t": mp.sqrt(variance)})


TRUTHS: dict[str, Callable[[Values], Any]] = {
    "beta": lambda v: v["beta_t"],
    "alpha": lambda v: v["alpha_t"],
    "sqrt_alpha": lambda v: coefficient("forward.step", x_prev, v),
    "alpha_bar": lambda v: value("forward.alpha-bar", v),
    "one_minus_alpha_bar": lambda v: value("forward.marginal", v, "variance"),
    "sqrt_alpha_bar": lambda v: coefficient("forward.sample", x_0, v),
    "sqrt_one_minus_alpha_bar": lambda v: coefficient("forward.sample", eps, v),
    "snr": lambda v: value("forward.snr", v),
    "posterior_variance": lambda v: value("posterior.variance", v),
    "posterior_mean_coef_x0": lambda v: coefficient("posterior.mean", x_0, v),
    "posterior_mean_coef_xt": lambda v: coefficient("posterior.mean", x_t, v),
    "mean_coef_eps": lambda v: (
        -coefficient("parameterization.mean-from-eps", eps, v)
        / coefficient("parameterization.mean-from-eps", x_t, v)
    ),
    "variance_fixed_large": large,
    "variance_fixed_small": small,
    "log_variance_fixed_large": lambda v: mp.log(large(v)),
    "log_variance_fixed_small": lambda v: mp.log(small(v)),
    "log_beta": lambda v: mp.log(v["beta_t"]),
    "weight_fixed_large": lambda v: weight(v, large(v)),
    "weight_fixed_small": lambda v: weight(v, small(v)),
}
"""What each table holds."""

assert set(TRUTHS) == set(TABLES)


@measured()
def tables(case: Case) -> Iterator[Number]:
    for name, truth in TRUTHS.items():
        table = getattr(case.schedule, name)
        for t in case.t.tolist():
            true = truth(steps(case.schedule, t))
            yield Number(table[t], true, abs(true), of=f"schedule.Schedule.{name}")


@measured()
def tables_in_the_dtype(case: Case) -> Iterator[Number]:
    for name, truth in TRUTHS.items():
        if name == "posterior_variance" and 1 in case.t:
            continue  # 0 there
        gathered = case.schedule.at(name, case.t, case.x_t)
        for i, t in enumerate(case.t.tolist()):
            true = truth(steps(case.schedule, t))
            yield Number(gathered[i].reshape(()), true, abs(true))


def chain(walk: Subsequence, whole: Schedule, i: int) -> dict[str, Any]:
    """The symbols at step i of a sub-sequence, composed from the whole schedule's."""

    def bar(k: int) -> Any:
        t = walk.at_step(k)
        return steps(whole, t)["alpha_bar_t"] if t else mp.mpf(1)

    def kept(k: int) -> Any:
        return bar(k) / bar(k - 1)

    values = {
        "t": mp.mpf(i), "T": mp.mpf(walk.T), "alpha_t": kept(i), "beta_t": 1 - kept(i),
        "alpha_bar_t": bar(i), "alpha_bar_prev": bar(i - 1),
    }  # fmt: skip
    if i < walk.T:
        values |= {"alpha_next": kept(i + 1), "alpha_bar_next": bar(i + 1)}
    return values


@measured()
def tables_of_a_subsequence(case: Case) -> Iterator[Number]:
    walk = Subsequence(case.schedule, sorted({*case.t.tolist(), case.schedule.T}))
    for i in range(1, walk.T + 1):
        values = chain(walk, case.schedule, i)
        for name, truth in TRUTHS.items():
            true = truth(values)
            # A stretch's β may be nearer to 1 than 60 digits tell; its logarithm is then 0.
            yield Number(
                getattr(walk, name)[i],
                true,
                max(abs(true), mp.mpf(10) ** -40),
                of=f"subsequence.Subsequence.{name}",
            )
    for name in ("beta", "sqrt_alpha"):
        true = TRUTHS[name](chain(walk, case.schedule, walk.T))
        gathered = walk.at(name, walk.T, case.x_t).reshape(())
        yield Number(gathered, true, abs(true), of="subsequence.Subsequence.at")


@measured(first=2)
def eta_max(case: Case) -> Iterator[Number]:
    for t in case.t.tolist():
        at = steps(case.schedule, t)
        room = value("forward.marginal", at, "variance") / value(
            "forward.composition",
            {**at, "alpha_bar_s": steps(case.schedule, t - 1)["alpha_bar_t"]},
            "variance",
        )
        true = mp.sqrt(room)
        found = Subsequence(case.schedule, (t - 1, t)).eta_max
        yield Number(number(found), true, true)


# -- sums over steps: the same sums of numbers at 50 digits --------------------------------------------------


@measured()
def sums(case: Case) -> Iterator[Number]:
    generator = torch.Generator().manual_seed(case.seed)
    subset = stratified(40, 11, generator)
    given = torch.randn(11, generator=generator, dtype=torch.float64).exp() * 1e-3
    exactly: Any = [mp.mpf(value) for value in given.tolist()]
    above = subset.sums_above(exactly)
    found = torch.tensor(subset.sums_above(given.tolist()), dtype=torch.float64)
    yield Number(found, above, above, of="subset.Subset.sums_above")
    variance: Any = subset.variance_of_sum(exactly)
    found = number(subset.variance_of_sum(given.tolist()))
    yield Number(found, variance, variance, of="subset.Subset.variance_of_sum")
    sizes = torch.tensor(subset.weights, dtype=torch.float64)
    pairs = zip(subset.strata, subset.drawn, strict=True)
    counts = [mp.mpf(last - first + 1) / len(drawn) for (first, last), drawn in pairs for _ in drawn]
    yield Number(sizes, counts, counts, of="subset.Subset.weights")
