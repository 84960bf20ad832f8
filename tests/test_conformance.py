"""The kit judges rightly: its truth is the vectors', mutants are caught and named, misbehaviour is told."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar
from xml.etree import ElementTree

import numpy as np
import pytest

from ddpm_ref.conformance import given, matrix, vectors
from ddpm_ref.conformance.__main__ import main
from ddpm_ref.conformance.adapters.reference import Reference
from ddpm_ref.conformance.cases import Case, cast, schedule
from ddpm_ref.conformance.check import Check
from ddpm_ref.conformance.checks import checks
from ddpm_ref.conformance.diagnosis import NONE_KNOWN
from ddpm_ref.conformance.formulas import Formula, book, elementwise, mp
from ddpm_ref.conformance.measure import Result, guarded, measure
from ddpm_ref.conformance.protocol import Adapter, Array, NotOffered, VarianceKind, load, make
from ddpm_ref.conformance.report import junit, table, worst
from ddpm_ref.conformance.runner import run
from ddpm_ref.conformance.steps import MISREADINGS, Steps, column
from derivations.proof import export

TINY = mp.mpf("1e-35")


class Everything(Adapter):
    """What the checks are listed for."""

    variances = {"large": "fixed_large", "small": "fixed_small", "learned": "learned"}  # noqa: RUF012


# -- the truth -----------------------------------------------------------------------------------------------


def test_the_formulas_are_those_of_the_claims() -> None:
    assert export.main(["--check"]) == 0, "run python -m derivations.proof.export"


def test_stale_formulas_are_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "FILE", tmp_path / "formulas.json")
    monkeypatch.setattr(export, "book", lambda: "{}\n")
    assert export.main(["--check"]) == 1
    assert export.main([]) == 0
    assert export.main(["--check"]) == 0


@pytest.mark.parametrize(
    "text", ["__import__('os')", "x.real", "x[0]", "1.5*x", "sqrt(x, y=1)", "tan(x)", "[x]", "x if y else z"]
)
def test_a_formula_is_arithmetic_and_nothing_else(text: str) -> None:
    with pytest.raises(ValueError, match="a formula may hold"):
        Formula(text).symbols  # noqa: B018


def _fractions(values: Any) -> Any:
    flat = [mp.mpf(v.numerator) / v.denominator if v == v else mp.nan for v in np.ravel(values)]
    return np.array(flat, dtype=object).reshape(np.shape(values))


def _evaluated(vector: vectors.Vector, formula: Formula) -> Any:
    """Evaluate a formula at a vector's inputs, or return None where the vector gives other symbols."""
    rows = len(vector.truth)
    known: dict[str, Any] = {}
    if vector.schedule is not None and vector.t is not None:
        known |= Steps(vector.schedule.betas).at(vector.t)
    for name, values in vector.inputs.items():
        known[name] = np.array([mp.mpf(float(v)) for v in values.ravel()], dtype=object).reshape(rows, -1)
    if formula.symbols - known.keys():
        return None
    shaped = {name: np.reshape(v, (rows, -1)) if np.ndim(v) else v for name, v in known.items()}
    return np.broadcast_to(formula(shaped), (rows, int(np.prod(vector.truth.shape[1:], dtype=int))))


# Schedules short enough for a test that is always run; the long ones are in the slow one.
SHORT = 60


def _agree(found: Any, wanted: Any, scale: Any) -> bool:
    wanted, scale = (np.reshape(_fractions(v), found.shape) for v in (wanted, scale))
    return all(
        mp.isnan(w) or abs(f - w) <= TINY * max(s, abs(w), mp.mpf("1e-300"))
        for f, w, s in zip(found.ravel(), wanted.ravel(), scale.ravel(), strict=True)
    )


@pytest.mark.parametrize("longest", [SHORT, pytest.param(4000, marks=pytest.mark.slow)])
def test_the_kit_and_the_vectors_have_one_truth(longest: int) -> None:
    """Two evaluators: one reads the claims' text, the other composes definitions in ball arithmetic."""
    compared, wrong = set(), []
    for topic in vectors.topics():
        for vector in vectors.load(topic):
            claim = book().claims.get(vector.claims[0])
            part = vector.quantity.rpartition(".")[2]
            if claim is None or len(vector.claims) > 1:
                continue
            if vector.schedule is not None and longest < vector.schedule.T:
                continue
            formula = claim.parts.get(part, claim.parts.get("value"))
            if formula is not None and "alpha_bar_s" in formula.symbols:
                continue  # where steps are skipped, the vector's rows say which
            found = None if formula is None else _evaluated(vector, formula)
            if found is None:
                continue
            compared.add(claim.id)
            if not _agree(found, vector.truth, vector.scale):
                wrong.append(vector.id)
    assert sorted(wrong) == []
    assert len(compared) >= 12, sorted(compared)


# -- negative controls ---------------------------------------------------------------------------------------


def _case(check: Check, dtype: str = "float64") -> Case:
    name = check.schedules[0] if check.schedules else "linear"
    betas = schedule(name.partition(",")[0], 24)
    case = check.case(name, betas, dtype, "cpu")
    assert case is not None
    return case


class Control:
    """An adapter whose every function returns what a wrong version of the check's formula gives."""

    def __init__(self, check: Check, case: Case, value: Callable[[], Any]) -> None:
        self.check, self.case, self.value = check, case, value

    def __getattr__(self, name: str) -> Callable[..., Array]:
        shape = (len(self.case.t),) if self.check.number else (len(self.case.t), *self.case.shape)
        return lambda *_: cast(np.asarray(self.value(), dtype=np.float64), self.case.dtype).reshape(shape)


def _held(check: Check, case: Case, value: Callable[[], Any]) -> Result:
    adapter: Any = Control(check, case, value)
    return measure(check, adapter, case)


ALL = checks(Everything)


@pytest.mark.parametrize("check", ALL, ids=lambda check: check.name)
def test_the_formula_itself_passes(check: Check) -> None:
    case = _case(check)
    result = _held(check, case, lambda: check.evaluate(case))
    assert result.outcome == "passed", result
    assert result.ulps == result.best
    assert result.best is not None
    assert result.best <= 0.51


def real(values: Any) -> Array:
    """Return what floating point would: nan for the logarithm or root of a negative number."""
    return np.array([float("nan") if v.imag else float(v.real) for v in map(mp.mpmathify, np.ravel(values))])


def _differs(check: Check, case: Case, formula: Formula) -> bool:
    off = np.abs(check.evaluate(case, wrong=formula) - check.evaluate(case)).astype(float)
    return bool(np.any(off > check.allowed(case)))


# Where p's variance is the posterior's, the terms that these get wrong are zero. The other variance tells.
NO_DIFFERENCE = {
    ("L_t_minus_1[small]", "constant forgotten"),
    ("L_t_minus_1[small]", "posterior's variance below"),
}


AGAIN = ("[small]", "[learned]", "far off")  # the same mutants once more, with another variance or mean
WRONG = [
    pytest.param(
        check,
        wrong,
        id=f"{check.name}: {wrong.name}",
        marks=[pytest.mark.slow] * check.name.endswith(AGAIN),
    )
    for check in ALL
    for wrong in check.mutants
]


@pytest.mark.parametrize(("check", "wrong"), WRONG)
def test_every_mutant_is_caught_and_named(check: Check, wrong: Any) -> None:
    case = _case(check)
    formula = wrong.parts[check.part]

    result = _held(check, case, lambda: real(check.evaluate(case, wrong=formula)))
    if not _differs(check, case, formula):
        assert (check.name, wrong.name) in NO_DIFFERENCE
        return
    assert result.outcome == "failed", result
    words = result.diagnosis.partition("; the others: ")[2] or result.diagnosis
    if words.startswith("not a finite number"):
        words = words.partition("; it has none if ")[2]
    assert words == wrong.described or _same(check, case, formula, words), words


def _same(check: Check, case: Case, formula: Formula, words: str) -> bool:
    """Say whether the mistake that was named gives the very values of the mutant."""
    others = [m.parts[check.part] for m in check.mutants if m.described == words]
    versions = [check.evaluate(case, wrong=other) for other in others]
    versions += [
        check.evaluate(case, misreading.symbols(case.steps, case.t, case.before, case.N))
        for misreading in MISREADINGS
        if misreading.name == words
    ]
    versions += [
        value(case, check.values(case, case.symbols)) for name, value in check.confused if name == words
    ]
    mutant = check.evaluate(case, wrong=formula)
    return any(
        bool(np.all(np.isnan(off := np.abs(v - mutant).astype(float)) | (off <= check.allowed(case))))
        for v in versions
    )


CONFUSED = [(check, words, value) for check in ALL for words, value in check.confused]


@pytest.mark.parametrize(
    ("check", "words", "value"), CONFUSED, ids=[f"{check.name}-{words}" for check, words, _ in CONFUSED]
)
def test_every_confusion_is_caught_and_named(
    check: Check, words: str, value: Callable[[Case, Any], Any]
) -> None:
    case = _case(check)

    def wrong() -> Any:
        found = value(case, check.values(case, case.symbols))
        return real(found)

    if words.startswith("noise is added") and check.name == "last_step[small]":
        return  # at t = 1 this variance is zero
    result = _held(check, case, wrong)
    assert result.outcome == "failed", result
    found = result.diagnosis.partition("; the others: ")[2] or result.diagnosis
    assert found == words or _equal(check, case, words, found), found


def _equal(check: Check, case: Case, one: str, other: str) -> bool:
    values = check.values(case, case.symbols)
    if other not in dict(check.confused):
        return False
    a, b = (dict(check.confused)[words](case, values) for words in (one, other))
    return bool(np.all(np.abs(a - b).astype(float) <= check.allowed(case)))


PADDED = tuple(m for m in MISREADINGS if "at the wrong end" in m.name)
MISREAD = {
    "posterior_variance": MISREADINGS[1:2] + MISREADINGS[5:11],
    "q_posterior": MISREADINGS[1:11],
    "q_sample": MISREADINGS[9:11],
}


@pytest.mark.parametrize(
    ("name", "misreading"),
    [(n, m) for n, ms in MISREAD.items() for m in ms],
    ids=lambda v: getattr(v, "name", v),
)
@pytest.mark.parametrize("dtype", ["float64", pytest.param("float32", marks=pytest.mark.slow)])
def test_a_schedule_that_is_misread_is_named(name: str, misreading: Any, dtype: str) -> None:
    [check] = [check for check in ALL if check.name == name]
    case = _case(check, dtype)
    if misreading not in PADDED:
        case.t = case.t[:-2]  # beyond T there is nothing to read
    case.__dict__.pop("before", None)

    def value() -> Any:
        symbols = misreading.symbols(case.steps, case.t, case.before, case.N)
        return real(check.evaluate(case, symbols))

    result = _held(check, case, value)
    assert result.outcome == "failed", result
    found = result.diagnosis.partition("; the others: ")[2] or result.diagnosis
    mutants = [m.described for m in check.mutants if _same(check, case, m.parts[check.part], misreading.name)]
    assert found in (misreading.name, *mutants)


@pytest.mark.parametrize(
    "name",
    [
        "q_sample",
        *(pytest.param(x, marks=pytest.mark.slow) for x in ("q_posterior", "velocity", "x0_from_eps")),
    ],
)
def test_tables_in_float32_are_called_inexact_and_not_wrong(name: str) -> None:
    [check] = [check for check in ALL if check.name == name]
    case = check.case("linear", schedule("linear", 1000), "float32", "cpu")
    assert case is not None

    def value() -> Any:
        beta = case.steps.betas.astype(np.float32)
        bar = np.concatenate([[np.float32(1)], np.cumprod(1 - beta)])
        rounded = {
            **case.symbols,
            "alpha_bar_t": column([mp.mpf(float(v)) for v in bar[case.t]]),
            "alpha_bar_prev": column([mp.mpf(float(v)) for v in bar[case.t - 1]]),
        }
        return check.evaluate(case, rounded)

    result = _held(check, case, value)
    assert result.outcome == "inexact", result
    assert "right but for rounding: computed in float32" in result.diagnosis


def test_values_that_no_mistake_gives_are_called_unknown() -> None:
    [check] = [check for check in ALL if check.name == "q_sample"]
    case = _case(check)
    result = _held(check, case, lambda: check.evaluate(case) + mp.mpf(0.01))
    assert (result.outcome, result.diagnosis) == ("failed", NONE_KNOWN)


# -- real code -----------------------------------------------------------------------------------------------


class Logs(Reference):
    """The project's own code, and a step whose variance is the exponential of what the network says."""

    variances: ClassVar[dict[str, VarianceKind]] = {**Reference.variances, "log": "log"}

    def step(
        self, x_t: Array, t: Array, eps: Array, noise: Array, variance: str, value: Array | None
    ) -> Array:
        if variance != "log" or value is None:
            return super().step(x_t, t, eps, noise, variance, value)
        mean = super().step(x_t, t, eps, np.zeros_like(noise), "fixed_large", None)
        return np.asarray(mean + np.exp(value / 2) * noise)


REAL = [check.name for check in checks(Logs)]


def _real(name: str) -> Check:
    return {check.name: check for check in checks(Logs)}[name]


def _asked(kind: type[Adapter], name: str, dtype: str = "float64") -> Result:
    check = _real(name)
    case = _case(check, dtype)
    return measure(check, kind(case.steps.betas, dtype, "cpu"), case)


CLAIMED = {
    "alpha_bar": "forward.alpha-bar",
    "one_minus_alpha_bar": "forward.marginal",
    "snr": "forward.snr",
    "posterior_variance": "posterior.variance",
    "posterior_variance at t = 1": "posterior.first-step",
    "variance_at_1": "posterior.log-variance-clipped",
    "q_sample": "forward.sample",
    "q_posterior": "posterior.mean",
    "x0_from_eps": "parameterization.x0-from-eps",
    "eps_from_x0": "parameterization.eps-from-x0",
    "mu_from_eps": "parameterization.mean-from-eps",
    "velocity": "parameterization.v",
    "x0_from_v": "parameterization.x0-from-v",
    "eps_from_v": "parameterization.eps-from-v",
    "clipped_mean": "posterior.mean",
    "kl": "parameterization.kl",
    "prior_term": "bound.prior-term",
    "L_simple": "parameterization.L-simple",
    "decoder_log_likelihood": "decoder.bin",
    "decoder_log_likelihood, far off": "decoder.bin",
    "step": "sampling.ancestral-step",
    "last_step": "sampling.last-step",
    "L_t_minus_1": "parameterization.L-t-1",
}
SCHEDULED = {f"betas[{name}]": f"forward.{name}-schedule" for name in ("linear", "cosine")}
SCHEDULED |= {f"alpha_bar_of[{name}]": "forward.alpha-bar" for name in ("linear", "cosine")}
SCHEDULED |= {
    "reverse_variance[fixed_large]": "sampling.variance-for-normal-data",
    "reverse_variance[fixed_small]": "posterior.variance",
}


def test_every_function_has_its_claim() -> None:
    found = {check.name: check.claim for check in checks(Logs)}
    steps = {f"step[{own}]": CLAIMED["step"] for own in Logs.variances}
    steps |= {
        f"{name}[{own}]": CLAIMED[name]
        for own in ("fixed_large", "fixed_small")
        for name in ("last_step", "L_t_minus_1")
    }
    others = {name: claim for name, claim in CLAIMED.items() if f"{name}[fixed_large]" not in steps}
    assert found == {**others, **steps, **SCHEDULED}


@pytest.mark.parametrize("name", REAL)
def test_code_that_was_not_made_of_the_formula_passes(name: str) -> None:
    result = _asked(Logs, name)
    assert result.outcome == "passed", result
    assert (result.check, result.claim) == (name, _real(name).claim)


@pytest.mark.parametrize("name", ["reverse_variance[fixed_large]", "L_t_minus_1[fixed_small]", "kl"])
def test_code_in_float32_passes(name: str) -> None:
    assert _asked(Logs, name, "float32").outcome == "passed"


class KeepsLogs(Reference):
    """It keeps the logarithm of a variance, as the paper's code does."""

    def reverse_variance(self, t: Array, variance: str) -> Array:
        return np.exp(np.log(super().reverse_variance(t, variance)))


class ByImage(Reference):
    """Everything in float32, and every mean by way of the image that is predicted."""

    def __init__(self, betas: Array, dtype: str, device: str) -> None:
        self.beta = betas.astype(np.float32)
        self.bar = np.append(np.float32(1), np.cumprod(1 - self.beta))

    def _mean(self, x_t: Array, t: Array, eps: Array, clip: float) -> Array:
        tables = {"beta_t": self.beta[t - 1], "alpha_t": 1 - self.beta[t - 1]}
        tables |= {"alpha_bar_t": self.bar[t], "alpha_bar_prev": self.bar[t - 1]}
        known: dict[str, Any] = {name: table.reshape(-1, 1, 1, 1) for name, table in tables.items()}
        known |= {"sqrt": np.sqrt, "x_t": x_t.astype(np.float32), "eps": eps.astype(np.float32)}
        image, mean = (
            book().claims[claim].parts["value"].text
            for claim in ("parameterization.x0-from-eps", "posterior.mean")
        )
        found: Array = eval(mean, {**known, "x_0": eval(image, known).clip(-clip, clip)})
        return found.astype(x_t.dtype)

    def mu_from_eps(self, x_t: Array, t: Array, eps: Array) -> Array:
        return self._mean(x_t, t, eps, np.inf)

    def clipped_mean(self, x_t: Array, t: Array, eps: Array) -> Array:
        return self._mean(x_t, t, eps, 1)

    def step(
        self, x_t: Array, t: Array, eps: Array, noise: Array, variance: str, value: Array | None
    ) -> Array:
        sigma = np.sqrt(np.where(t > 1, self.beta[t - 1], 0)).reshape(-1, 1, 1, 1)
        return np.asarray(self._mean(x_t, t, eps, np.inf) + sigma * noise)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("own", ["fixed_large", "fixed_small"])
def test_a_variance_that_is_kept_as_its_logarithm_passes(own: str, dtype: str) -> None:
    assert _asked(KeepsLogs, f"reverse_variance[{own}]", dtype).outcome == "passed"


@pytest.mark.parametrize(
    "name", ["mu_from_eps", "clipped_mean", "step[fixed_large]", "last_step[fixed_large]"]
)
def test_a_mean_by_way_of_the_image_is_inexact_and_not_wrong(name: str) -> None:
    check = _real(name)
    case = check.case("linear", schedule("linear", 400), "float64", "cpu")
    assert case is not None
    result = measure(check, ByImage(case.steps.betas, "float64", "cpu"), case)
    assert result.outcome == "inexact", result
    assert result.diagnosis.startswith("right but for rounding: computed in float32")


FROM_2 = ("posterior_variance", "reverse_variance", "step", "L_t_minus_1")
AT_1 = ("posterior_variance at t = 1", "variance_at_1", "last_step")
AT_T = ("kl", "prior_term", "L_simple", "decoder_log_likelihood", "decoder_log_likelihood, far off")
TABLES = ("alpha_bar", "one_minus_alpha_bar", "snr", "variance_at_1", *FROM_2[:2], AT_1[0], FROM_2[3], *AT_T)


@pytest.mark.parametrize("name", REAL)
def test_a_claim_is_asked_for_where_it_is_made(name: str) -> None:
    check, function = _real(name), name.partition("[")[0]
    steps = _case(check).t.tolist()
    if function in FROM_2:
        assert steps[:23] == list(range(2, 25))
    elif function in AT_1 or function in AT_T:
        assert set(steps) == {24 if function in AT_T else 1}
        assert len(steps) == (1 if name in AT_1[:2] else 24)
    else:
        assert steps == list(range(1, 25))
    one = check.case("one step", np.array([0.5]), "float64", "cpu")
    assert (one is None) == (function in (*FROM_2, "variance_at_1", "betas", "alpha_bar_of"))
    assert check.dtypes == (Reference.dtypes if function not in TABLES else ("float64", "float32"))


class NotClipped(Reference):
    def clipped_mean(self, x_t: Array, t: Array, eps: Array) -> Array:
        return self.mu_from_eps(x_t, t, eps)


class ClipsMean(Reference):
    def clipped_mean(self, x_t: Array, t: Array, eps: Array) -> Array:
        return self.mu_from_eps(x_t, t, eps).clip(-1, 1)


class Floor(Reference):
    """The posterior's variance is never zero."""

    least = 0.0

    def posterior_variance(self, t: Array) -> Array:
        return np.maximum(super().posterior_variance(t), self.least)


class Second(Reference):
    """At t = 1 there stands what stands at t = 2, as the paper's code has it for the logarithm."""

    def posterior_variance(self, t: Array) -> Array:
        return super().posterior_variance(np.maximum(t, 2))


class Wraps(Reference):
    """It reads ᾱ_{t+1} for ᾱ_{t−1}."""

    def posterior_variance(self, t: Array) -> Array:
        symbols = Steps(np.array(self.schedule.betas)).at(t)
        variance = book().claims["posterior.variance"].parts["value"]
        return real(variance({**symbols, "alpha_bar_prev": symbols["alpha_bar_next"]}))


class NoisyEnd(Reference):
    def step(
        self, x_t: Array, t: Array, eps: Array, noise: Array, variance: str, value: Array | None
    ) -> Array:
        beta = self.schedule.betas[0] if variance == "fixed_large" else 0.0
        return np.asarray(super().step(x_t, t, eps, noise, variance, value) + math.sqrt(beta) * noise)


class Raw(Logs):
    """What the network says of the variance's logarithm is taken for the variance."""

    def step(
        self, x_t: Array, t: Array, eps: Array, noise: Array, variance: str, value: Array | None
    ) -> Array:
        assert value is not None
        with np.errstate(invalid="ignore"):
            return super().step(x_t, t, eps, np.sqrt(value) * noise, variance, np.zeros_like(value))


@pytest.mark.parametrize(
    ("kind", "name", "words"),
    [
        (NotClipped, "clipped_mean", "not clipped"),
        (ClipsMean, "clipped_mean", "the mean is clipped, and not the image it is made of"),
        (
            Second,
            "posterior_variance at t = 1",
            "β̃_2 in the place of β̃_1, which is for the logarithm only",
        ),
        (
            Wraps,
            "posterior_variance at t = 1",
            "ᾱ padded on the wrong side: ᾱ_{t+1} for ᾱ_{t-1} (lucidrains/denoising-diffusion-pytorch#18)",
        ),
        (NoisyEnd, "last_step[fixed_large]", "noise is added in the last step too"),
        (Raw, "step[log]", "the network's value is taken for the variance, not for its logarithm"),
    ],
)
def test_a_confusion_that_real_code_has_is_named(kind: type[Adapter], name: str, words: str) -> None:
    result = _asked(kind, name)
    assert result.outcome == "failed"
    assert (result.diagnosis.partition("; the others: ")[2] or result.diagnosis) == words


@pytest.mark.parametrize(("least", "outcome"), [(1e-20, "passed"), (1e-13, "passed"), (1e-9, "failed")])
def test_a_floor_far_below_every_variance_is_no_fault(least: float, outcome: str) -> None:
    kind = type("Floored", (Floor,), {"least": least})
    assert _asked(kind, "posterior_variance at t = 1").outcome == outcome


@pytest.mark.parametrize("own", ["fixed_large", "fixed_small", "learned"])
def test_a_step_may_have_each_wrong_variance(own: Any) -> None:
    check = _real(f"step[{own}]")
    case = _case(check)
    _held(check, case, lambda: check.evaluate(case))  # which draws the arguments
    known = check.values(case, case.symbols)
    mutants = book().claims[given.VARIANCE[own]].mutants
    assert [words for words, _ in check.confused] == [f"the variance: {wrong.described}" for wrong in mutants]
    for wrong, (_, value) in zip(mutants, check.confused, strict=True):
        variance = given.variance_of(own, known, wrong.parts["value"])
        step = check.formula({**known, "sigma_t": elementwise(mp.sqrt)(variance)})
        found = value(case, known)
        assert np.all((found == step) | ((found != found) & (step != step)))  # a root of less than nothing


@pytest.mark.parametrize("name", ["decoder_log_likelihood", "decoder_log_likelihood, far off"])
def test_the_approximation_of_the_papers_code_is_named(name: str) -> None:
    check = _real(name)
    case = _case(check)
    result = _held(check, case, lambda: real(given.by_tanh(case, check.values(case, case.symbols))))
    assert result.outcome == "failed"
    assert result.diagnosis == "Φ by a tanh, and no mass below 1e-12, as in hojonathanho/diffusion"


# -- misbehaviour --------------------------------------------------------------------------------------------


def _answers(answer: Callable[..., Any]) -> Result:
    class Odd(Adapter):
        def __init__(self, betas: Array, dtype: str, device: str) -> None:
            pass

        def q_sample(self, x_0: Array, t: Array, noise: Array) -> Any:
            return answer(x_0, t, noise)

    [check] = [check for check in ALL if check.name == "q_sample"]
    case = _case(check)
    return guarded("q_sample", "", "", lambda: measure(check, Odd(case.steps.betas, "float64", "cpu"), case))


def _changes(x_0: Array, t: Array, noise: Array) -> Array:
    x_0 *= 2
    return x_0


def _not_offered(*_: Array) -> Array:
    raise NotOffered("not here")


def test_something_stored_under_a_functions_name_is_told_where_to_go() -> None:
    class Stores(Adapter):
        def __init__(self, betas: Array, dtype: str, device: str) -> None:
            self.betas = betas  # type: ignore[method-assign, assignment]

    with pytest.raises(TypeError, match=r"self\.betas must be the protocol's function.*self\._betas"):
        make(Stores, np.array([0.5]), "float64", "cpu")


@pytest.mark.parametrize(
    ("answer", "outcome", "words"),
    [
        (lambda x, t, z: 1 / 0, "broken", "raised ZeroDivisionError"),
        (lambda x, t, z: x[:1], "broken", r"returned shape \(1, 1, 1, 2\)"),
        (lambda x, t, z: x.astype(int), "broken", "returned dtype int64"),
        (lambda x, t, z: x + 0j, "broken", "returned dtype complex128"),
        (lambda x, t, z: "x", "broken", "returned dtype <U1"),
        (lambda x, t, z: None, "broken", "returned None"),
        (lambda x, t, z: [[1.0], [1.0, 2.0]], "broken", "returned what is no array"),
        (lambda x, t, z: x * np.nan, "failed", "not a finite number"),
        (_changes, "broken", "changed its argument x_0"),
        (_not_offered, "not offered", "not here"),
    ],
)
def test_what_an_adapter_does_wrong_is_its_result(
    answer: Callable[..., Any], outcome: str, words: str
) -> None:
    result = _answers(answer)
    assert result.outcome == outcome
    assert re.search(words, result.diagnosis), result.diagnosis
    assert ("Traceback" in result.detail) == (words.startswith("raised"))


def test_an_adapter_need_not_subclass() -> None:
    class Duck:
        dtypes = ("float64",)

        def __init__(self, betas: Array, dtype: str, device: str) -> None:
            self.bar = np.cumprod(1 - betas)

        def alpha_bar(self, t: Array) -> Array:
            return np.asarray(self.bar[t - 1])

    kind: Any = Duck
    found = {result.check: result.outcome for result in run(kind, only="alpha_bar")}
    assert found["one_minus_alpha_bar"] == "not offered"
    assert found["alpha_bar"] in ("passed", "inexact")


@pytest.mark.slow
def test_an_adapter_that_hangs_or_dies_is_reported_and_the_others_go_on() -> None:
    every = run("tests.misbehaving:Misbehaving", only="_", timeout=10)
    results = {r.check: r for r in every if r.outcome != "not offered"}
    assert "hung: no answer within 10 s" in results["q_posterior"].diagnosis
    assert "the process died, with exit code 3" in results["x0_from_eps"].diagnosis
    assert results["alpha_bar"].outcome == "passed"
    assert results["q_sample"].outcome == "passed"


# -- ways in -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nothing"], "adapter must be one of reference, diffusers"),
        (["no.such.module:Adapter"], "cannot be imported"),
        (["json:Nothing"], "json has no Nothing"),
        (["json:dumps"], "must be a class; got function"),
        (["reference", "--timeout", "0"], "--timeout: must be a positive finite number"),
        (["reference", "--json", "/nowhere/at/all.json"], "there is no folder /nowhere/at"),
        (["reference", "--what"], "unrecognized arguments"),
    ],
)
def test_bad_arguments_are_one_line_and_2(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert words in line


RESULTS = [
    Result("alpha_bar", "forward.alpha-bar", "linear", "passed", 0.4, 0.4, 1, 1e-17),
    Result(
        "alpha_bar",
        "forward.alpha-bar",
        "cosine",
        "failed",
        9.0,
        0.4,
        1,
        1e-15,
        "t = 3",
        "1",
        "2",
        "one & two",
    ),
    Result("snr", "forward.snr", "linear", "not offered"),
    Result("q_sample", "forward.sample", "linear", "broken", diagnosis="raised", detail="Traceback"),
]


def test_the_table_is_80_columns_wide_and_says_why() -> None:
    text = table("name 1.0", RESULTS)
    assert max(map(len, text.splitlines())) <= 80
    assert "one & two" in text
    assert text.count("\nalpha_bar ") == 1
    assert worst(RESULTS[:2]).outcome == "failed"


def test_junit_has_a_case_for_each_result() -> None:
    suite = ElementTree.fromstring(junit("name", RESULTS))
    counts = {key: int(suite.attrib[key]) for key in ("tests", "failures", "errors", "skipped")}
    assert counts == {"tests": 4, "failures": 1, "errors": 1, "skipped": 1}
    assert [child.tag for case in suite for child in case] == ["failure", "skipped", "error"]


def test_the_kit_itself_needs_no_torch() -> None:
    folder = Path(matrix.__file__).parent
    modules = [path for path in folder.glob("*.py") if "import torch" in path.read_text(encoding="utf-8")]
    assert modules == []
    assert "import torch" in (folder / "adapters" / "reference.py").read_text(encoding="utf-8")


def test_every_adapter_that_needs_no_other_package_is_found() -> None:
    for name in ("reference", "original"):
        assert issubclass(load(name), Adapter)


@pytest.mark.slow
def test_the_reference_passes_everything_it_offers_and_offers_everything(tmp_path: Path) -> None:
    file = tmp_path / "reference.json"
    assert main(["reference", "--json", str(file), "--junit", str(tmp_path / "reference.xml")]) == 0
    results = json.loads(file.read_text(encoding="utf-8"))["results"]
    assert {result["outcome"] for result in results} == {"passed"}
    tables = {c.name for c in ALL if c.number and set(c.dtypes) == {"float64", "float32"} and not c.only}
    tables |= {"betas[linear]", "betas[cosine]"}
    errors = [r["ulps"] for r in results if r["check"] in tables]
    assert len(errors) > 20
    assert max(errors) <= 1
