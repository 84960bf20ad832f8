"""Schedules: tables rounded once, the inequalities that the claims prove, and what is refused."""

from __future__ import annotations

import copy
import pickle
from typing import Any

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


NO_NOISE = {
    "beta": 0, "alpha": 1, "sqrt_alpha": 1, "alpha_bar": 1, "sqrt_alpha_bar": 1,
    "one_minus_alpha_bar": 0, "sqrt_one_minus_alpha_bar": 0,
}  # fmt: skip


@given(schedule=schedules)
def test_index_zero_is_the_clean_image(schedule: Schedule) -> None:
    """And poisoned in the tables that have no meaning there."""
    for name in TABLES:
        table = getattr(schedule, name)
        assert table.shape == (schedule.T + 1,)
        assert table.dtype == torch.float64
        assert table[1:].isfinite().all()
        if name in NO_NOISE:
            assert table[0] == NO_NOISE[name]
        else:
            assert table[0].isnan()


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


def test_the_cosine_schedule_needs_no_offset() -> None:
    without, with_one = cosine(50, s=0).betas, cosine(50, s=1e-9).betas
    assert without == pytest.approx(with_one, rel=1e-6)
    assert without < with_one  # the offset is for the first betas


@pytest.mark.parametrize(
    "schedule", [linear(7, 0.01, 0.2), cosine(7), Schedule.from_betas([0.1, 0.2])], ids=repr
)
def test_a_schedule_survives_its_configuration_a_pickle_and_a_copy(schedule: Schedule) -> None:
    for again in (
        Schedule.from_config(schedule.to_config()),
        pickle.loads(pickle.dumps(schedule)),
        copy.deepcopy(schedule),
    ):
        assert again == schedule
        assert again.to_config() == schedule.to_config()
    schedule.to_config().clear()
    assert schedule.to_config() == again.to_config()


def test_a_named_schedule_prints_as_the_call_that_builds_it() -> None:
    for schedule in (linear(7, 0.01, 0.2), cosine(7, 0.01, 0.9)):
        again = eval(repr(schedule), {"linear": linear, "cosine": cosine})
        assert again == schedule
        assert again.to_config() == schedule.to_config()
    assert repr(Schedule.from_betas([0.125, 0.5, 0.25])) == "<Schedule of 3 betas, 0.125 … 0.25>"


def test_schedules_are_their_betas_however_built_and_used() -> None:
    named, listed = linear(3, 0.1, 0.3), Schedule.from_betas([*linear(3, 0.1, 0.3).betas])
    named.at("alpha_bar", 1, torch.zeros(1))
    assert named == listed == Schedule.from_betas(torch.tensor(listed.betas, dtype=torch.float64))
    assert hash(named) == hash(listed)
    assert named != linear(3, 0.1, 0.4)
    with pytest.raises(TypeError):
        Schedule(listed.betas, listed.config, {})  # type: ignore[call-arg]


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


@pytest.mark.parametrize("integer", [torch.uint8, torch.int16, torch.int32, torch.int64])
def test_a_step_may_have_any_integer_dtype_and_a_batch_be_empty(integer: torch.dtype) -> None:
    schedule = linear(10)
    t = torch.tensor([0, 3, 10])
    found = schedule.at("alpha_bar", t.to(integer), torch.zeros(3, 2))
    assert found.equal(schedule.at("alpha_bar", t, torch.zeros(3, 2)))
    none = torch.zeros(0, 2)
    schedule.check_t(t[:0].to(integer), none)
    assert schedule.at("alpha_bar", t[:0].to(integer), none).shape == (0, 1)


@pytest.mark.parametrize("where", [torch.device("meta"), torch.inference_mode()], ids=["device", "inference"])
def test_a_table_first_read_elsewhere_serves_training_on_the_cpu(where: Any) -> None:
    """On another default device, or while sampling in inference mode, whose tensors autograd refuses."""
    schedule = linear(10)
    x = torch.ones(2, 3)
    with where:
        schedule.at("alpha_bar", 3, x)
    assert schedule.alpha_bar.device.type == "cpu"
    (schedule.alpha_bar[3] * x.double().requires_grad_()).sum().backward()  # type: ignore[no-untyped-call]
    (schedule.at("alpha_bar", 3, x) * x.requires_grad_()).sum().backward()  # type: ignore[no-untyped-call]


def test_coefficients_go_to_the_images_device() -> None:
    """And steps that are there are not read: on this device, which has no numbers, they could not be."""
    like = torch.zeros(3, 2, device="meta")
    for t in (1, torch.tensor([1, 2, 3]), torch.ones(3, dtype=torch.int64, device="meta")):
        assert linear(10).at("alpha_bar", t, like).device == like.device


@pytest.mark.parametrize(
    ("betas", "name", "message"),
    [
        ([0.5] * 200, "alpha_bar", r"alpha_bar\[150\] = 7\.01e-46 does not fit"),
        ([0.1, 1e-50], "beta", r"beta\[2\] = 1e-50 does not fit"),
        ([1e-50], "snr", r"snr\[1\] = 1e\+50 does not fit"),
    ],
)
def test_an_entry_beyond_the_dtype_is_named_and_never_zero_or_infinite(
    betas: list[float], name: str, message: str
) -> None:
    schedule = Schedule.from_betas(betas)
    for dtype in (torch.float32, torch.bfloat16, torch.float16):
        with pytest.raises(ValueError, match=message + r" torch\.float32; use float64"):
            schedule.at(name, 1, torch.zeros(1, dtype=dtype))
    assert schedule.at(name, 1, torch.zeros(1, dtype=torch.float64)).isfinite().all()


@pytest.mark.parametrize(
    ("t", "like", "message"),
    [
        (1, torch.zeros(2, dtype=torch.int64), r"images must be floating point; got torch\.int64"),
        (1.0, torch.zeros(2), "t must be an int or an integer tensor; got float"),
        (True, torch.zeros(2), "t must be an int or an integer tensor; got bool"),
        (torch.ones(2), torch.zeros(2), r"t must have an integer dtype; got torch\.float32"),
        (torch.ones(2) > 0, torch.zeros(2), r"t must have an integer dtype; got torch\.bool"),
        (torch.ones(2) * 1j, torch.zeros(2), r"t must have an integer dtype; got torch\.complex64"),
    ],
)
def test_what_is_no_step_or_no_image_is_refused(t: Any, like: torch.Tensor, message: str) -> None:
    for ask in (linear(10).check_t, lambda t, like: linear(10).at("beta", t, like)):
        with pytest.raises(TypeError, match=message):
            ask(t, like)


@pytest.mark.parametrize(
    ("name", "t", "like", "message"),
    [
        ("gamma", 1, torch.zeros(2), f"table must be one of {', '.join(TABLES)}; got 'gamma'"),
        ("beta", 1, torch.zeros(()), "images must have a batch dimension; got a scalar"),
        ("beta", torch.tensor([1]), torch.zeros(2), r"or have shape \(B,\) = \(2,\); got shape \(1,\)"),
        ("beta", torch.tensor(1), torch.zeros(2), r"got shape \(\)"),
        ("beta", torch.ones(2, 3, dtype=torch.int64), torch.zeros(2, 3), r"got shape \(2, 3\)"),
        ("beta", -1, torch.zeros(2), r"t must be in 0\.\.T = 0\.\.10; got -1"),
        ("beta", 11, torch.zeros(2), r"t must be in 0\.\.T = 0\.\.10; got 11"),
    ],
)
def test_what_does_not_go_together_is_refused(
    name: str, t: int | torch.Tensor, like: torch.Tensor, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        linear(10).at(name, t, like)


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
        (lambda: linear(2.0), r"T must be an integer, at least 1; got 2\.0"),  # type: ignore[arg-type]
        (lambda: cosine(0), "T must be an integer, at least 1; got 0"),
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
    with pytest.raises(ValueError, match=rf"got {got}$"):
        linear(10).check_t(torch.tensor([got]), torch.zeros(1, 3))


def test_alpha_bar_goes_down_to_the_smallest_normal_number() -> None:
    assert Schedule.from_betas([0.5] * 1022).alpha_bar[-1] == torch.finfo(torch.float64).tiny
    with pytest.raises(ValueError, match=r"alpha_bar_1023 = 1\.11e-308 with T = 1023"):
        Schedule.from_betas([0.5] * 1023)


def test_every_named_schedule_builds() -> None:
    assert set(SCHEDULES) == {"linear", "cosine", "betas"}
