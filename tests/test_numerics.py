"""How exact the numbers are: the bounds of `docs/checks/numerics.md` hold, and nan is never taken for one."""

from __future__ import annotations

import importlib
import json
import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from ddpm_ref import langevin
from ddpm_ref.bound import bound
from ddpm_ref.decoder import decoder_log_likelihood
from ddpm_ref.denoisers import DatasetDenoiser, GaussianDenoiser
from ddpm_ref.gap import gaps
from ddpm_ref.gaussian import Gaussian, kl, log_density
from ddpm_ref.latents import encode, slerp
from ddpm_ref.laws import GaussianLaw
from ddpm_ref.sampler import ancestral
from ddpm_ref.schedule import Schedule, linear
from tests.numerics.cases import DTYPES, few, name_of
from tests.numerics.exceptions import NOT_MEASURED
from tests.numerics.measure import Errors, Measurement, Number, everything, measures, public, run, ulps
from tests.oracle import HELD, Case, Held, mp

ROOT = Path(__file__).resolve().parents[1]
FOUND = json.loads((ROOT / "checks" / "numerics.json").read_text(encoding="utf-8"))


@pytest.fixture
def program(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(ROOT / "checks")
    return importlib.import_module("numerics")


# -- what is measured ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def one_case_each() -> Errors:
    """Each measurement on one case: all kinds of schedules and data, and all dtypes, by turns."""
    grid = few()
    errors: Errors = {}
    for i, measurement in enumerate(everything()):
        one, dtypes = replace(grid, only=i % len(grid.pairs)), (DTYPES[i % len(DTYPES)],)
        for key, worst in run(one, dtypes, chosen=measurement.name.__eq__).items():
            if key not in errors or worst.ulps > errors[key].ulps:
                errors[key] = worst
    return errors


def test_every_public_function_is_measured_or_has_a_reason(one_case_each: Errors) -> None:
    measured = {function for function, dtype, group in one_case_each}
    assert set(public()) - measured == set(NOT_MEASURED), "add a call to tests/numerics/calls"
    assert measured <= set(public())
    assert set(FOUND["bounds"]) == measured, "run checks/numerics.py"


def test_no_bound_is_more_than_four_times_what_was_measured(program: ModuleType) -> None:
    for name, row in FOUND["worst"].items():
        for dtype, promised in FOUND["bounds"][name].items():
            worst = program.largest(row, (dtype,))
            assert worst <= promised <= max(4 * worst, 0.5), (name, dtype)


def test_the_page_says_what_was_measured(program: ModuleType) -> None:
    there = (ROOT / "docs" / "checks" / "numerics.md").read_text(encoding="utf-8")
    assert there == program.page(FOUND), "run checks/numerics.py --page"


# -- the bounds ----------------------------------------------------------------------------------------------


def too_far(errors: Errors) -> list[str]:
    return [
        f"{function}, {dtype}: {worst.ulps:.3g} in {worst.case}; the bound is {promised}"
        for (function, dtype, group), worst in errors.items()
        if (promised := FOUND["bounds"].get(function, {}).get(dtype)) is not None
        and (worst.ulps > promised if group != "subnormal" else math.isinf(worst.ulps))
    ]


@pytest.mark.slow
@pytest.mark.parametrize("dtype", DTYPES, ids=name_of)
def test_no_error_is_larger_than_its_bound(dtype: torch.dtype) -> None:
    assert too_far(run(few(), (dtype,))) == []


def test_no_error_is_larger_than_its_bound_on_one_case_of_each_measurement(one_case_each: Errors) -> None:
    assert too_far(one_case_each) == []


@pytest.mark.parametrize(
    "name", ["kl_of_far_apart_variances", "bound.prior-term-prior_term", "terms_with_the_posteriors_variance"]
)
def test_no_error_is_larger_than_its_bound_where_it_once_was(name: str) -> None:
    found = run(few(), chosen=name.__eq__)
    assert found
    assert too_far(found) == []


# -- defects that were ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_divergence_does_not_overflow_on_the_way(dtype: torch.dtype) -> None:
    """The quotient of the variances underflows, or the square of the distance does, or overflows."""

    def of(mean: float, variance: float) -> Gaussian:
        return Gaussian(*(torch.full((1, 1), value, dtype=dtype) for value in (mean, variance)))

    tiny, large = float(torch.finfo(dtype).tiny), float(torch.finfo(dtype).max) / 8
    assert float(kl(of(0, tiny), of(0, large))) == pytest.approx((math.log(large) - math.log(tiny) - 1) / 2)
    assert float(kl(of(large**0.75, large), of(0, large))) == pytest.approx(large**0.5 / 2, rel=1e-5)
    assert float(kl(of(tiny**0.75, tiny), of(0, tiny))) == pytest.approx(tiny**0.5 / 2, rel=1e-5)
    assert float(kl(of(0, large), of(0, tiny))) == math.inf
    off = log_density(of(large**0.75, large), torch.zeros(1, 1, dtype=dtype))
    none = log_density(of(0, large), torch.zeros(1, 1, dtype=dtype))
    assert float(none - off) == pytest.approx(large**0.5 / 2, rel=1e-5)


def test_the_gradient_of_a_divergence_is_finite_where_its_quotient_underflows() -> None:
    variances = torch.tensor([[1e-30, 1e30]], requires_grad=True)
    first, second = variances[:, :1], variances[:, 1:]
    zero = torch.zeros(1, 1)
    kl(Gaussian(zero, first), Gaussian(zero, second)).backward()  # type: ignore[no-untyped-call]
    assert variances.grad is not None
    assert variances.grad.tolist()[0] == pytest.approx([-0.5e30, 0.5e-30])


# -- the measure itself --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("found", "truth", "error"),
    [
        (1.0, 1, 0.0),
        (1.0 + 2.0**-23, 1, 1.0),
        (math.nan, 1, math.inf),
        (math.inf, 1, math.inf),
        (math.inf, 10**39, 0.0),
        (-math.inf, 10**39, math.inf),
        (math.nan, 10**39, math.inf),
        (0.0, 0, 0.0),
        (2.0**-149, 0, 1.0),  # the smallest number there is
    ],
)
def test_an_error_is_counted_in_units_in_the_last_place(found: float, truth: int, error: float) -> None:
    assert ulps(Number(torch.tensor(found), mp.mpf(truth), mp.mpf(truth))) == pytest.approx(error)


@pytest.mark.filterwarnings("ignore:invalid value")
@pytest.mark.parametrize("bad", [math.nan, math.inf])
@pytest.mark.parametrize("where", [0, 2])
def test_the_oracle_sees_a_single_nan(bad: float, where: int) -> None:
    [held] = [held for held in HELD if held.name == "posterior.mean-posterior_mean"]

    def call(case: Case) -> Tensor:
        return held.call(case).index_fill(1, torch.tensor([where]), bad)

    case = Case(Schedule.from_betas([0.1, 0.2, 0.3]), torch.tensor([2, 3]), torch.float64, (3,), 1)
    assert held.disagreement(case) <= 1
    assert replace(held, call=call).disagreement(case) == math.inf


def test_a_function_without_a_measurement_would_be_missed() -> None:
    [measurement] = [each for each in everything() if each.name == "forward.sample-q_sample"]
    assert measures(measurement) == {"process.q_sample"}
    assert measures(Measurement(lambda case: iter(()), "nothing")) == set()


# -- nan -----------------------------------------------------------------------------------------------------


def changed(held: Held, case: Case, name: str, value: float) -> Tensor | None:
    """The answer where one number of the first example is another, or None if it is refused."""
    tensors = {key: tensor.clone() for key, tensor in case._tensors.items()}
    tensors[name].view(len(case.t), -1)[0, 0] = value
    other = replace(case, _tensors=tensors)
    try:
        return held.call(other)
    except (ValueError, FloatingPointError, np.linalg.LinAlgError):
        return None


@pytest.mark.filterwarnings("ignore:invalid value")
def test_nan_gives_nan_or_an_error_and_never_a_number() -> None:
    schedule = Schedule.from_betas([0.1, 0.2, 0.3, 0.4])
    reached = 0
    for held in HELD:
        last = min(held.last or 4, 4 - held.left_out)
        t = torch.tensor([min(max(held.first, 2), last), last])
        case = Case(schedule, t, torch.float32, (2,), 3)
        clean = held.call(case)
        for name in list(case._tensors):
            moved, lost = (changed(held, case, name, value) for value in (0.123, math.nan))
            if lost is None or moved is None or len(clean) < 2:
                continue
            assert torch.equal(clean[1], lost[1]) or clean[1].isnan().any(), (held.name, name)
            if not torch.equal(clean[0], moved[0]):
                assert lost[0].isnan().any(), (held.name, name)
                reached += 1
    assert reached > 100


NAN = torch.tensor([[0.0, math.nan], [0.0, 1.0]])
SCHEDULE = linear(4, 0.1, 0.4)


def nothing(x_t: Tensor, t: Any) -> Tensor:
    return torch.zeros_like(x_t)


def first(states: Iterator[Any]) -> Any:
    return next(states)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda x: first(ancestral(nothing, SCHEDULE, x)), "x_T"),
        (lambda x: first(encode(nothing, SCHEDULE, x)), "x_0"),
        (lambda x: bound(nothing, SCHEDULE, x, levels=None), "x_0"),
        (lambda x: first(gaps(nothing, DatasetDenoiser(SCHEDULE, x.nan_to_num()), SCHEDULE, x, [1])), "x_0"),
        (lambda x: first(langevin.langevin(lambda x: -x, x, step_size=0.1, n=0)), "x"),
        (lambda x: first(langevin.annealed_langevin(nothing, SCHEDULE, x)), "x_T"),
        (lambda x: langevin.langevin_step(x * 0, x * 0, x, x * 0), "step_size"),
        (lambda x: slerp(x, x.nan_to_num(), [0.5]), "first"),
        (lambda x: DatasetDenoiser(SCHEDULE, x), "images"),
        (lambda x: GaussianLaw(x, torch.tensor(1.0)), "mean"),
        (lambda x: decoder_log_likelihood(Gaussian(x * 0, x * 0 + 1), x), "x_0"),
    ],
)
def test_what_a_loop_starts_from_and_settings_must_be_finite(
    call: Callable[[Tensor], Any], name: str, bad: float
) -> None:
    with pytest.raises(ValueError, match=f"^{name}.* must "):
        call(NAN.nan_to_num(bad, posinf=bad))


def test_a_denoiser_answers_nan_with_nan_in_that_example_only() -> None:
    law = GaussianLaw(torch.zeros(2), torch.tensor(0.5))
    for denoiser in (GaussianDenoiser(SCHEDULE, law), DatasetDenoiser(SCHEDULE, torch.eye(2))):
        for answer in (denoiser, denoiser.x0_hat, denoiser.score, denoiser.log_density):
            found = answer(NAN, 2)
            assert found[0].isnan().any()
            assert found[1].isfinite().all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_what_half_precision_cannot_hold_is_infinite_and_the_loops_stop(dtype: torch.dtype) -> None:
    from ddpm_ref.process import x0_from_eps

    schedule = Schedule.from_betas([1 - 1e-12] * (2 if dtype == torch.float16 else 6))
    x = torch.full((1, 2), 1.0, dtype=dtype) * torch.tensor([[1.0, -1.0]], dtype=dtype)
    image = x0_from_eps(schedule, x * 100, schedule.T, -x)
    assert image.isinf().all() == (dtype == torch.float16)
    assert torch.equal(image.sign(), x.sign())
