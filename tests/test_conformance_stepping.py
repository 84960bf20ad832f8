"""The kit asks a sampler that skips steps which of them it takes, and holds each to the claims."""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np
import pytest

from ddpm_ref.conformance import stepping
from ddpm_ref.conformance.adapters.reference import Reference
from ddpm_ref.conformance.cases import Case
from ddpm_ref.conformance.formulas import book
from ddpm_ref.conformance.measure import Result
from ddpm_ref.conformance.protocol import Adapter, Array, NotOffered
from ddpm_ref.conformance.stepping import Stepping, step_checks, stepping_checks
from ddpm_ref.conformance.steps import Steps, spreads

LABEL = "linear, T = 1000, every N in 1..1000"
T = 60  # short, so that every N is soon asked for


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    if "long" not in request.fixturenames:
        monkeypatch.setattr(stepping, "T", T)
        monkeypatch.setattr(stepping, "SOME", (1, 7, 9))


@pytest.fixture
def long() -> None:
    """Keep all thousand steps."""


class Takes(Adapter):
    """It takes the steps that a test says it takes, and can do nothing else."""

    spacings = ("some",)
    chosen: ClassVar[Callable[[int], Any]]
    asked: ClassVar[list[int]]

    def __init__(self, betas: Array, dtype: str, device: str) -> None:
        self.made = (betas, dtype, device)

    def timesteps(self, N: int, spacing: str) -> list[int]:
        assert spacing == "some"
        assert self.made[1] in self.dtypes
        self.asked.append(N)
        taken: list[int] = type(self).chosen(N)
        return taken


def _taking(chosen: Callable[[int], Any]) -> type[Adapter]:
    return type("Taking", (Takes,), {"chosen": staticmethod(chosen), "asked": []})


def _right(N: int) -> list[int]:
    return list(range(T, T - N, -1))


def _run(kind: type[Adapter], name: str) -> list[Result]:
    """Run the checks of that name."""
    return [work() for check, _, _, work in stepping_checks(Stepping(kind)) if check == name]


# -- which steps ---------------------------------------------------------------------------------------------


def _only(N: int, wrong: Any) -> Callable[[int], Any]:
    return lambda asked: wrong if asked == N else _right(asked)


TWICE = "a step is taken twice, or out of order"
OF = "of 60 step counts"


@pytest.mark.parametrize(
    ("chosen", "at", "problem", "where"),
    [
        (
            lambda N: [*_right(N - 1), 0],
            "N = 1: [0]",
            "t = 0 is outside 1..60: an index of -1, which wraps round to T",
            f"60 {OF} (N = 1, 2, 3, 4, 5, 6, 7, 8 …)",
        ),
        (_only(3, [9, 8, 7, 5]), "N = 3: [9, 8, 7, 5]", "one step too many", f"1 {OF} (N = 3)"),
        (_only(5, [9, 8, 7]), "N = 5: [9, 8, 7]", "3 steps for 5", f"1 {OF} (N = 5)"),
        (_only(3, []), "N = 3: []", "0 steps for 3", f"1 {OF} (N = 3)"),
        (_only(3, [9, 5, 5]), "N = 3: [9, 5, 5]", TWICE, f"1 {OF} (N = 3)"),
        (_only(3, [9, 5, 6]), "N = 3: [9, 5, 6]", TWICE, f"1 {OF} (N = 3)"),
        (
            lambda N: _right(N) if N > 9 else [5] * N,
            "N = 2: [5, 5]",
            TWICE,
            f"8 {OF} (N = 2, 3, 4, 5, 6, 7, 8, 9)",
        ),
        (
            lambda N: _right(N) if N > 10 else [5] * N,
            "N = 2: [5, 5]",
            TWICE,
            f"9 {OF} (N = 2, 3, 4, 5, 6, 7, 8, 9 …)",
        ),
        (_only(2, [61, 1]), "N = 2: [61, 1]", "t = 61 is outside 1..60", f"1 {OF} (N = 2)"),
        (_only(2, [5, -1]), "N = 2: [5, -1]", "t = -1 is outside 1..60", f"1 {OF} (N = 2)"),
        (
            _only(1, [5, 0]),
            "N = 1: [5, 0]",
            "one step too many, and t = 0 is outside 1..60: an index of -1, which wraps round to T",
            f"1 {OF} (N = 1)",
        ),
        (
            lambda N: _right(N) if N % 25 else [][0],
            "N = 25: raised IndexError: list index out of range",
            "raised IndexError: list index out of range",
            f"2 {OF} (N = 25, 50)",
        ),
        (
            lambda N: {2: [9, 8, 7], 4: [3]}.get(N, _right(N)),
            "N = 2: [9, 8, 7]",
            f"one step too many, for 1 {OF} (N = 2); 1 steps for 4",
            f"1 {OF} (N = 4)",
        ),
    ],
)
def test_steps_that_are_no_steps_are_told(
    chosen: Callable[[int], Any], at: str, problem: str, where: str
) -> None:
    [result] = _run(_taking(chosen), "timesteps[some]")
    assert (result.check, result.claim, result.case) == ("timesteps[some]", "", LABEL)
    assert (result.outcome, result.diagnosis) == ("failed", f"{problem}, for {where}")
    assert result.at == at


def test_a_long_list_of_steps_is_cut() -> None:
    [result] = _run(_taking(_only(40, _right(41))), "timesteps[some]")
    assert result.at.startswith("N = 40: [60, 59,")
    assert len(result.at) == len("N = 40: ") + 60


@pytest.mark.parametrize(
    "chosen", [_right, lambda N: [T, *range(N - 1, 0, -1)], lambda N: np.arange(T, T - N, -1)]
)
def test_any_falling_steps_will_do(chosen: Callable[[int], Any]) -> None:
    [result] = _run(_taking(chosen), "timesteps[some]")
    assert result == Result("timesteps[some]", "", LABEL, "passed")
    [result] = _run(_taking(chosen), "first_step[some]")
    assert result == Result("first_step[some]", "sampling.ancestral-step", LABEL, "passed")


def _some_late(N: int) -> Any:
    return {3: [50, 7], 4: [], 5: [40, 39], 6: "no"}.get(N, _right(N))


@pytest.mark.parametrize(
    ("chosen", "where", "lowest", "at"),
    [
        (lambda N: list(range(N, 0, -1)), "59 of 60 step counts (N = 1, 2, 3, 4, 5, 6, 7, 8 …)", 1, 1),
        (_some_late, "2 of 60 step counts (N = 3, 5)", 40, 5),
    ],
)
def test_a_first_step_that_is_not_the_schedules_last_is_told(
    chosen: Callable[[int], Any], where: str, lowest: int, at: int
) -> None:
    [result] = _run(_taking(chosen), "first_step[some]")
    assert (result.check, result.claim, result.case) == ("first_step[some]", "sampling.ancestral-step", LABEL)
    assert (result.outcome, result.at) == ("failed", f"N = {at}")
    assert result.diagnosis == (
        f"does not start at T for {where}: pure noise is then taken for an x_t with a signal in it, "
        f"at worst for x_{lowest} (N = {at})"
    )


def test_a_spacing_is_asked_once_for_every_number_of_steps() -> None:
    kind: Any = _taking(_right)
    asked = Stepping(kind)
    for _, _, _, work in stepping_checks(asked)[:2]:
        work()
    assert kind.asked == list(range(1, T + 1))
    assert asked.chains("some") is asked.chains("some")


def test_an_adapter_is_made_with_betas_that_float32_holds() -> None:
    adapter: Any = Stepping(_taking(_right)).made("float16")
    betas, dtype, device = adapter.made
    assert (betas.shape, dtype, device) == ((T,), "float16", "cpu")
    assert np.array_equal(betas, np.linspace(1e-4, 0.02, T, dtype=np.float32))
    assert betas.dtype == np.float64


@pytest.mark.parametrize("name", ["timesteps[some]", "first_step[some]"])
@pytest.mark.parametrize("error", [NotOffered, NotImplementedError])
def test_a_spacing_may_not_be_offered(name: str, error: type[Exception]) -> None:
    def chosen(N: int) -> list[int]:
        raise error("no such steps")

    with pytest.raises(error, match="no such steps"):
        _run(_taking(chosen), name)


# -- where to look -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "chosen", [_right, lambda N: _right(N)[::-1], lambda N: [*_right(N - 1), 0], lambda N: [T + 1, T, 5, 5]]
)
def test_a_pair_of_steps_is_one_that_is_taken(chosen: Callable[[int], Any]) -> None:
    kind = _taking(chosen)
    t, s, N = Stepping(kind).pairs("some")
    for before, after, number in zip(t.tolist(), s.tolist(), N.tolist(), strict=True):
        chain = [*chosen(number), 0]
        assert (before, after) in pairwise(chain)
        assert 0 <= after < before <= T


def test_the_ends_and_the_middle_of_a_chain_are_looked_at() -> None:
    t, s, N = Stepping(_taking(_right)).pairs("some")
    wanted = [(60, 0, 1), (60, 59, 7), (57, 56, 7), (54, 0, 7), (60, 59, 9), (56, 55, 9), (52, 0, 9)]
    assert list(zip(t.tolist(), s.tolist(), N.tolist(), strict=True)) == wanted


@pytest.mark.usefixtures("long")
def test_all_small_numbers_of_steps_are_looked_at_and_some_large_ones() -> None:
    _, _, N = Stepping(_taking(lambda N: [1000] * (N > 1) + [1])).pairs("some")
    looked = set(N.tolist())
    assert {*range(1, 41), 999, 1000} <= looked <= set(range(1, 1001))
    assert all(looked & set(range(N, N + 25)) for N in range(1, 977))
    assert len(looked) < 100


@pytest.mark.parametrize("none", [[], [0], "no steps"])
def test_a_chain_that_is_none_is_passed_over(none: Any) -> None:
    _, _, N = Stepping(_taking(_only(1, none))).pairs("some")
    assert set(N.tolist()) == {7, 9}


@pytest.mark.parametrize("chosen", [lambda N: [], lambda N: [-1] * N, lambda N: 1 // 0])
def test_where_no_step_is_taken_there_is_nothing_to_look_at(chosen: Callable[[int], Any]) -> None:
    with pytest.raises(NotOffered, match="some takes no steps"):
        Stepping(_taking(chosen)).pairs("some")


# -- what a step does ----------------------------------------------------------------------------------------

ETAS = "eta = 0", "eta = 0.5", "eta = 1"


class One(Reference):
    """The project's own sampler, with one spacing."""

    spacings = ("even",)

    def timesteps(self, N: int, spacing: str) -> list[int]:
        assert spacing in self.spacings
        return [T - i * T // N for i in range(N)]


def test_every_spacing_has_its_checks() -> None:
    Two = type("Two", (One,), {"spacings": ("even", "other"), "dtypes": ("float64", "float32", "bfloat16")})
    found = [(name, claim, case) for name, claim, case, _ in stepping_checks(Stepping(Two))]
    wanted = []
    for spacing in ("even", "other"):
        wanted += [
            (f"timesteps[{spacing}]", "", LABEL),
            (f"first_step[{spacing}]", "sampling.ancestral-step", LABEL),
        ]
        claims = {f"stretch[{spacing}]": "sampling.stretch-posterior"}
        claims |= {f"ddim_step[{spacing}, {eta}]": "sampling.ddim-step" for eta in ETAS}
        wanted += [
            (name, claim, f"linear, T = 60, {dtype}")
            for name, claim in claims.items()
            for dtype in ("float64", "float32")
        ]
    assert found == wanted
    assert [check.name for check in step_checks(Two, "other")] == list(claims)


@pytest.mark.parametrize("name", ["stretch[even]", *(f"ddim_step[even, {eta}]" for eta in ETAS)])
def test_a_sampler_of_the_claims_passes(name: str) -> None:
    results = _run(type("Two", (One,), {"dtypes": ("float64", "float32")}), name)
    assert [result.outcome for result in results] == ["passed", "passed"], results
    for result, dtype in zip(results, ("float64", "float32"), strict=True):
        assert result.check == name
        assert result.case == f"linear, T = 60, 3 of the N, {dtype}, cpu"
        assert result.ulps is not None
        assert result.ulps < 3


class StepByStep(One):
    """It takes the step before t for the next, though others are skipped."""

    def _after(self, t: int, N: int, spacing: str) -> int:
        return t - 1


class Jumps(One):
    """It subtracts ⌊T/N⌋, whatever comes next."""

    def _after(self, t: int, N: int, spacing: str) -> int:
        return max(t - T // N, 0)


class Naive(One):
    """It computes everything in float32, as it is printed."""

    def __init__(self, betas: Array, dtype: str, device: str) -> None:
        alpha = 1 - betas.astype(np.float32)
        self.bar = np.append(np.float32(1), np.cumprod(alpha))
        self.dtype = dtype

    def _said(self, claim: str, t: int, s: int, part: str = "value", **values: Any) -> Any:
        known = {"alpha_bar_t": self.bar[t], "alpha_bar_s": self.bar[s], "sqrt": np.sqrt}
        floats = {name: np.asarray(value, dtype=np.float32) for name, value in values.items()}
        return eval(book().claims[claim].parts[part].text, {**known, **floats})

    def stretch_mean(self, x_t: Array, t: int, eps: Array, N: int, spacing: str) -> Array:
        s = self._after(t, N, spacing)
        image = self._said("parameterization.x0-from-eps", t, s, x_t=x_t, eps=eps)
        mean = self._said("sampling.stretch-posterior", t, s, "mean", x_0=image, x_t=x_t)
        return np.asarray(mean, dtype=self.dtype)

    def ddim_step(
        self, x_t: Array, t: int, eps: Array, noise: Array, N: int, spacing: str, eta: float
    ) -> Array:
        s = self._after(t, N, spacing)
        sigma = np.sqrt(self._said("sampling.ddim-eta", t, s, eta=eta))
        step = self._said("sampling.ddim-step", t, s, x_t=x_t, eps_theta=eps, z=noise, sigma_t=sigma)
        return np.asarray(step, dtype=self.dtype)


@pytest.mark.parametrize("name", ["stretch[even]", "ddim_step[even, eta = 0]", "ddim_step[even, eta = 1]"])
def test_a_step_that_is_computed_in_float32_is_inexact_and_not_wrong(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stepping, "SOME", (9, 20, 60))
    [result] = _run(type("Once", (Naive,), {"dtypes": ("float64",)}), name)
    assert (result.outcome, result.diagnosis) == (
        "inexact",
        "right but for rounding: computed in float32, where 1 - ᾱ loses digits at small t",
    )


@pytest.mark.usefixtures("long")
def test_an_image_that_is_predicted_with_rounded_tables_is_inexact_and_not_wrong(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """From T to 0 at once the mean is the predicted image, and all that it is off by is the image's."""
    monkeypatch.setattr(stepping, "SOME", (1,))
    fields = {"dtypes": ("float64",), "timesteps": lambda self, N, spacing: [1000][: 2 - N]}
    [result] = _run(type("Once", (Naive,), fields), "stretch[even]")
    assert (result.outcome, result.diagnosis) == (
        "inexact",
        "right but for rounding: computed in float32, where 1 - ᾱ loses digits at small t",
    )


def test_a_stretch_is_off_by_what_its_image_is() -> None:
    """From T to 0 at once the mean is the image, which here is nearly zero, and its two terms are not."""
    check = step_checks(One, "even")[0]
    t = np.array([T])
    case = Case("", Steps(Stepping(One).betas), t, "float32", s=0 * t)
    noise = case.drawn("eps_theta")
    case._drawn["x_t"] = noise * np.sqrt((1 - case.symbols["alpha_bar_t"]).astype(np.float32))
    eps = 2.0**-23
    bound = check.rounding(
        case, check.values(case, case.symbols), spreads(case.symbols, t, "float32"), eps, None
    )
    assert np.all(bound > eps * np.abs(case.drawn("x_t")))


@pytest.mark.parametrize(("eta", "some"), [(0, False), (0.5, True), (1, True)])
def test_the_noise_of_a_ddim_step_is_off_by_what_its_deviation_is(eta: float, some: bool) -> None:
    """At small t the deviation is made of 1 − ᾱ_t/ᾱ_s, which loses digits; at η = 0 there is none."""
    check = next(check for check in step_checks(One, "even") if check.name.endswith(f"eta = {eta:g}]"))
    t = np.array([2])
    case = Case("", Steps(Stepping(One).betas), t, "float32", s=t - 1)
    case._drawn |= {name: np.zeros((1, *case.shape), np.float32) for name in ("x_t", "eps_theta")}
    noise = case.drawn("z")
    values = check.values(case, case.symbols)
    eps = 2.0**-23
    bound = check.rounding(case, values, spreads(case.symbols, t, "float32"), eps, None)
    assert np.all((bound > 100 * eps * values["sigma_t"] * np.abs(noise)) == some)


def test_the_rounding_of_a_predicted_image_is_relative_to_its_two_terms() -> None:
    check = step_checks(One, "even")[0]
    t, s = np.array([60, 30, 7]), np.array([40, 20, 0])
    case = Case("", Steps(Stepping(One).betas), t, "float64", s=s)
    x_t, eps = case.drawn("x_t"), case.drawn("eps_theta")

    def size(of_x_t: float, of_eps: float) -> Any:
        case = Case("", Steps(Stepping(One).betas), t, "float64", s=s)
        case._drawn |= {"x_t": of_x_t * x_t, "eps_theta": of_eps * eps}
        assert check.terms is not None
        return check.terms(case, check.values(case, case.symbols)).astype(float)

    assert np.all(size(1, 1) > 0)
    for of_x_t, of_eps in ((1, -1), (-1, 1), (-1, -1)):
        assert np.allclose(size(of_x_t, of_eps), size(1, 1), rtol=1e-12)
    assert np.allclose(size(2, 2), 2 * size(1, 1), rtol=1e-12)
    assert np.allclose(size(1, 0) + size(0, 1), size(1, 1), rtol=1e-12)


class Twice(One):
    """It takes η for η²."""

    def ddim_step(
        self, x_t: Array, t: int, eps: Array, noise: Array, N: int, spacing: str, eta: float
    ) -> Array:
        return super().ddim_step(x_t, t, eps, noise, N, spacing, eta**2)


class Exchanged(One):
    """It takes the noise that was predicted for the noise that is added."""

    def ddim_step(
        self, x_t: Array, t: int, eps: Array, noise: Array, N: int, spacing: str, eta: float
    ) -> Array:
        return super().ddim_step(x_t, t, noise, eps, N, spacing, eta)


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (StepByStep, "the step before t is taken to be t - 1 where steps are skipped"),
        (Jumps, "the step before t is taken to be t - ⌊T/N⌋, whichever comes next"),
    ],
)
@pytest.mark.parametrize("name", ["stretch[even]", "ddim_step[even, eta = 0.5]"])
def test_a_wrong_next_step_is_named(kind: type[Reference], words: str, name: str) -> None:
    [result] = _run(type("Once", (kind,), {"dtypes": ("float64",)}), name)
    assert (result.outcome, result.diagnosis) == ("failed", words)
    t, s, N = map(int, re.findall(r"t = (\d+), to (\d+), N = (\d+)", result.at)[0])
    assert (t, s) in pairwise([*kind.timesteps(kind(np.ones(T) / 2, "float64", "cpu"), N, "even"), 0])


@pytest.mark.parametrize("kind", [Twice, Exchanged])
def test_a_wrong_share_of_noise_fails(kind: type[Reference]) -> None:
    one = type("Once", (kind,), {"dtypes": ("float64",)})
    [result] = _run(one, "ddim_step[even, eta = 0.5]")
    assert result.outcome == "failed"
