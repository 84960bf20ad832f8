"""Schedules: tables rounded once, the inequalities that the claims prove, and what is refused."""

from __future__ import annotations

import copy
import pickle

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ddpm_ref.schedule import SCHEDULES, TABLES, Schedule, cosine, linear
from tests.oracle import BETAS, CLAIMS, evaluate, mp, steps

schedules = st.lists(BETAS, min_size=1, max_size=12).map(Schedule.from_betas)


@pytest.mark.holds(
    "forward.alpha-bar-falls",
    "posterior.variance-not-negative",
    "posterior.variance-below-step",
    "forward.decay",
)
@pytest.mark.parametrize(
    "claim",
    [
        "forward.alpha-bar-falls",
        "posterior.variance-not-negative",
        "posterior.variance-below-step",
        "forward.decay",
    ],
)
@given(schedule=schedules)
def test_the_tables_obey_the_inequality(claim: str, schedule: Schedule) -> None:
    """The claim's relation with the code's own table entries put in for its symbols."""
    relation = CLAIMS[claim].parts["relation"]
    for t in range(1, schedule.T + 1):
        entries = {
            "alpha_t": schedule.alpha[t],
            "alpha_bar_t": schedule.alpha_bar[t],
            "alpha_bar_prev": schedule.alpha_bar[t - 1],
            "beta_t": schedule.beta[t],
            "beta_sum_t": schedule.beta[: t + 1].sum(),
        }
        values = {name: mp.mpf(float(entry)) for name, entry in entries.items()}
        left, right = (evaluate(side, values) for side in (relation.lts, relation.gts))
        assert left <= right * (1 + 1e-14)


@given(schedule=schedules)
def test_index_zero_is_the_clean_image(schedule: Schedule) -> None:
    assert schedule.beta[0] == 0
    assert schedule.alpha_bar[0] == 1
    assert schedule.one_minus_alpha_bar[0] == 0
    for name in TABLES:
        table = getattr(schedule, name)
        assert table.shape == (schedule.T + 1,)
        assert table.dtype == torch.float64
        assert table[1:].isfinite().all()


@pytest.mark.parametrize(
    "name", ["posterior_variance", "posterior_mean_coef_x0", "posterior_mean_coef_xt", "mean_coef_eps", "snr"]
)
def test_a_table_without_meaning_at_zero_is_poisoned_there(name: str) -> None:
    assert getattr(linear(3, 0.1, 0.2), name)[0].isnan()


@given(betas=st.lists(st.floats(1e-12, 1e-6), min_size=1, max_size=20))
def test_one_minus_alpha_bar_keeps_its_digits_however_small_the_betas(betas: list[float]) -> None:
    schedule = Schedule.from_betas(betas)
    for t in range(1, schedule.T + 1):
        truth = 1 - steps(schedule, t)["alpha_bar_t"]
        assert abs(mp.mpf(float(schedule.one_minus_alpha_bar[t])) - truth) <= 2.0**-53 * truth


@pytest.mark.parametrize(
    ("name", "of"),
    [
        ("sqrt_alpha", "alpha"),
        ("sqrt_alpha_bar", "alpha_bar"),
        ("sqrt_one_minus_alpha_bar", "one_minus_alpha_bar"),
        ("log_variance_fixed_large", "variance_fixed_large"),
        ("log_variance_fixed_small", "variance_fixed_small"),
    ],
)
@given(schedule=schedules)
def test_roots_and_logarithms_belong_to_their_tables(name: str, of: str, schedule: Schedule) -> None:
    inverse = torch.exp if name.startswith("log") else torch.square
    torch.testing.assert_close(
        inverse(getattr(schedule, name)[1:]), getattr(schedule, of)[1:], rtol=1e-13, atol=0
    )


def test_the_papers_schedule_has_the_papers_figures() -> None:
    schedule = linear()
    assert schedule.T == 1000
    assert schedule.betas[0] == 1e-4
    assert schedule.betas[-1] == 0.02
    assert float(schedule.alpha_bar[1000]) == pytest.approx(4.0358e-5, rel=1e-4)
    assert float(schedule.posterior_variance[2]) == pytest.approx(5.453e-5, rel=1e-3)
    assert schedule.variance_fixed_large[1] == schedule.posterior_variance[2]


def test_a_schedule_may_have_a_single_step() -> None:
    assert linear(1, 0.1, 0.2).betas == (0.1,)
    assert cosine(1).betas == (0.999,)
    assert repr(Schedule.from_betas([0.1])) == "<Schedule of 1 betas, 0.1 … 0.1>"


def test_the_cosine_schedule_is_capped() -> None:
    assert cosine() == cosine(1000, s=0.008, max_beta=0.999)
    assert max(cosine(50).betas) == 0.999
    assert cosine(50, max_beta=0.5).betas[-1] == 0.5


@pytest.mark.parametrize(
    "schedule", [linear(7, 0.01, 0.2), cosine(7), Schedule.from_betas([0.1, 0.2])], ids=repr
)
def test_a_schedule_survives_its_configuration_a_pickle_and_a_copy(schedule: Schedule) -> None:
    assert Schedule.from_config(schedule.to_config()) == schedule
    assert pickle.loads(pickle.dumps(schedule)) == schedule
    assert copy.deepcopy(schedule) == schedule


@given(
    schedule=schedules, dtype=st.sampled_from([torch.float64, torch.float32, torch.bfloat16, torch.float16])
)
def test_gathering_takes_one_entry_for_each_example(schedule: Schedule, dtype: torch.dtype) -> None:
    t = torch.randint(0, schedule.T + 1, (4,), generator=torch.Generator().manual_seed(0))
    like = torch.zeros(4, 2, 3, dtype=dtype)
    gathered = schedule.at("alpha_bar", t, like)
    assert gathered.shape == (4, 1, 1)
    assert gathered.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    assert torch.equal(gathered.flatten(), schedule.alpha_bar[t].to(gathered.dtype))
    for i, one in enumerate(t.tolist()):
        assert torch.equal(schedule.at("alpha_bar", one, like).flatten(), gathered[i].flatten())


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Schedule.from_betas([]), "at least one"),
        (lambda: Schedule.from_betas([0.1, 0.0]), r"\(0, 1\).*beta_2 = 0"),
        (lambda: Schedule.from_betas([0.1, 1.0]), r"\(0, 1\).*beta_2 = 1"),
        (lambda: Schedule.from_betas([-0.1]), r"\(0, 1\).*beta_1 = -0.1"),
        (lambda: Schedule.from_betas([float("nan")]), r"\(0, 1\).*nan"),
        (lambda: Schedule.from_betas(torch.zeros(2, 2)), "one-dimensional"),
        (lambda: Schedule.from_betas([0.999] * 200), "2\\^-1022"),
        (lambda: linear(0), "at least 1; got 0"),
        (lambda: linear(10, beta_1=0.0), "beta_1"),
        (lambda: linear(10, beta_T=1.0), "beta_T"),
        (lambda: cosine(10, max_beta=1.5), "max_beta"),
        (lambda: cosine(10, s=-1), "s must"),
        (lambda: cosine(10, s=float("inf")), "s must be finite"),
        (lambda: cosine(10, s=float("nan")), "s must be finite"),
        (lambda: Schedule.from_config({"T": 10}), "schedule name must be one of .*; got None"),
        (lambda: Schedule.from_config({"name": "quadratic"}), "linear, cosine, betas; got 'quadratic'"),
    ],
)
def test_a_schedule_outside_its_domain_is_refused(build: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build()  # type: ignore[operator]


@pytest.mark.parametrize(
    ("t", "got"),
    [(0, 0), (11, 11), (torch.tensor([1, 11]), 11), (torch.tensor([0, 10]), 0), (torch.tensor([-1, 0]), -1)],
)
def test_a_step_outside_the_schedule_is_named(t: int | torch.Tensor, got: int) -> None:
    with pytest.raises(ValueError, match=rf"t must be in 1\.\.T = 1\.\.10; got {got}$"):
        linear(10).check_t(t, torch.zeros(2, 3))


def test_alpha_bar_goes_down_to_the_smallest_normal_number() -> None:
    assert Schedule.from_betas([0.5] * 1022).alpha_bar[-1] == torch.finfo(torch.float64).tiny
    with pytest.raises(ValueError, match=r"alpha_bar_1023 = 1\.11e-308 with T = 1023"):
        Schedule.from_betas([0.5] * 1023)


def test_every_named_schedule_builds() -> None:
    assert set(SCHEDULES) == {"linear", "cosine", "betas"}
