"""Sub-sequences: which steps are taken for every N, their tables, and what is refused."""

from __future__ import annotations

import copy
import json
import pickle
from fractions import Fraction
from itertools import pairwise
from typing import get_args

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ddpm_ref.schedule import TABLES, Schedule, cosine, linear
from ddpm_ref.subsequence import Spacing, Subsequence, steps
from derivations.proof.symbols import linear_coefficients, x_0, x_t
from tests.oracle import BETAS, CLAIMS, evaluate, mp
from tests.oracle import steps as symbols_at

SPACINGS: tuple[Spacing, ...] = get_args(Spacing)


# -- which steps ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("spacing", SPACINGS)
@pytest.mark.parametrize("T", [1, 2, 3, 10, 100, 1000])
def test_every_count_gives_that_many_increasing_steps_up_to_T(T: int, spacing: Spacing) -> None:
    for N in range(1, T + 1):
        taken = steps(T, N, spacing)
        assert len(taken) == N
        assert taken[0] >= 1
        assert taken[-1] == T
        assert all(before < after for before, after in pairwise(taken))


@pytest.mark.parametrize("spacing", SPACINGS)
def test_all_steps_are_all_steps(spacing: Spacing) -> None:
    assert steps(1000, 1000, spacing) == tuple(range(1, 1001))


@pytest.mark.parametrize("N", [2, 3, 7, 61, 103, 999])
def test_even_spacings_are_never_further_than_half_a_step_from_even(N: int) -> None:
    evenly = [Fraction(1000 * i, N) for i in range(1, N + 1)]
    assert all(abs(t - even) <= Fraction(1, 2) for t, even in zip(steps(1000, N), evenly, strict=True))
    between = [1 + Fraction(999 * i, N - 1) for i in range(N)]
    taken = steps(1000, N, "linspace")
    assert taken[0] == 1
    assert all(abs(t - even) <= Fraction(1, 2) for t, even in zip(taken, between, strict=True))
    strides = {after - before for before, after in pairwise(steps(1000, N, "stride"))}
    assert strides == {1000 // N}


@pytest.mark.parametrize("T", [1, 2, 7, 12, 60])
def test_each_spacing_is_rounded_exactly_with_halves_to_the_even_step(T: int) -> None:
    """As Python rounds a fraction."""
    for N in range(1, T + 1):
        steps_of = {spacing: steps(T, N, spacing) for spacing in SPACINGS}
        assert steps_of["trailing"] == tuple(round(Fraction(i * T, N)) for i in range(1, N + 1))
        assert steps_of["quadratic"] == tuple(max(i, round(T * Fraction(i, N) ** 2)) for i in range(1, N + 1))
        between = [1 + round(Fraction(i * (T - 1), max(N - 1, 1))) for i in range(N)]
        assert steps_of["linspace"] == (tuple(between) if N > 1 else (T,))
        assert steps_of["stride"] == tuple(range(T, 0, -(T // N)))[:N][::-1]
        assert steps(T, N) == steps_of["trailing"]


def test_quadratic_steps_lie_closer_near_the_image() -> None:
    strides = [after - before for before, after in pairwise((0, *steps(1000, 20, "quadratic")))]
    assert strides[0] < 5
    assert strides[-1] > 90
    assert all(later >= earlier - 1 for earlier, later in pairwise(strides))


def test_sections_have_counts_of_their_own() -> None:
    taken = steps(1000, (10, 15, 20), "linspace")
    assert len(taken) == 45
    assert taken[-1] == 1000
    assert [sum(low < t <= high for t in taken) for low, high in ((0, 334), (334, 667), (667, 1000))] == [
        10,
        15,
        20,
    ]
    assert steps(1000, [40]) == steps(1000, 40)


@pytest.mark.parametrize("spacing", SPACINGS)
def test_each_section_is_spaced_on_its_own(spacing: Spacing) -> None:
    """Eleven steps in three sections: 1..4, 5..8 and 9..11."""
    expected = (
        *steps(4, 3, spacing),
        *(4 + t for t in steps(4, 1, spacing)),
        *(8 + t for t in steps(3, 2, spacing)),
    )
    assert steps(11, (3, 1, 2), spacing) == expected
    assert steps(3, (1, 1, 1), spacing) == (1, 2, 3)


@pytest.mark.parametrize(
    ("T", "N", "spacing", "message"),
    [
        (1000, 0, "trailing", r"N must be an integer in 1\.\.T = 1\.\.1000; got 0"),
        (1000, 1001, "linspace", "got 1001"),
        (1000, 10.0, "trailing", "N must be an integer"),
        (1000, True, "trailing", "N must be an integer"),
        (0, 1, "trailing", "T must be an integer, at least 1; got 0"),
        (1000, 10, "leading", "spacing must be one of trailing, linspace, stride, quadratic; got 'leading'"),
        (10, (6, 5), "trailing", r"1\.\.5 from section 1, the steps 1\.\.5; got 6"),
        (10, (5, 0), "trailing", r"from section 2, the steps 6\.\.10; got 0"),
        (10, (), "trailing", "got 0"),
        (10, (5, 5.0), "trailing", r"from section 2, the steps 6\.\.10; got 5\.0"),
        (2, (1, 1, 1), "trailing", "N must hold between 1 and T = 2 counts; got 3"),
    ],
)
def test_a_bad_count_or_spacing_is_refused(T: int, N: object, spacing: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        steps(T, N, spacing)  # type: ignore[arg-type]


@pytest.mark.peers
@pytest.mark.parametrize("spacing", ["trailing", "linspace"])
def test_the_steps_are_those_of_diffusers_wherever_those_are_right(spacing: Spacing) -> None:
    """Up to ties: where the exact value lies half-way, diffusers' float64 falls on either side of it."""
    diffusers = pytest.importorskip("diffusers")
    scheduler = diffusers.DDPMScheduler(timestep_spacing=spacing)
    wrong = []
    for N in range(1, 1001):
        scheduler.set_timesteps(N)
        theirs = tuple(int(t) + 1 for t in reversed(scheduler.timesteps))
        if len(theirs) != N or theirs[-1] != 1000 or theirs[0] < 1:
            wrong.append(N)
            continue
        for i, (found, ours) in enumerate(zip(theirs, steps(1000, N, spacing), strict=True)):
            even = Fraction((i + 1) * 1000, N) if spacing == "trailing" else 1 + Fraction(i * 999, N - 1)
            assert found == ours or abs(found - even) == abs(ours - even) == Fraction(1, 2), (N, i)
    assert len(wrong) == {"trailing": 62, "linspace": 1}[spacing]  # diffusers 0.42.1


# -- tables --------------------------------------------------------------------------------------------------


@given(betas=st.lists(BETAS, min_size=1, max_size=8))
def test_all_steps_have_the_whole_schedules_tables(betas: list[float]) -> None:
    schedule = Schedule.from_betas(betas)
    everything = Subsequence(schedule, range(1, schedule.T + 1))
    for name in TABLES:
        ours, theirs = getattr(everything, name), getattr(schedule, name)
        torch.testing.assert_close(ours, theirs, rtol=0, atol=0, equal_nan=True, msg=name)
    assert everything.betas == schedule.betas


@pytest.mark.parametrize("schedule", [linear(), cosine()], ids=repr)
@pytest.mark.parametrize("N", [1, 3, 20, 333])
def test_alpha_bar_is_the_whole_schedules(schedule: Schedule, N: int) -> None:
    taken = steps(schedule.T, N)
    walk = Subsequence(schedule, taken)
    for name in ("alpha_bar", "one_minus_alpha_bar", "sqrt_alpha_bar", "sqrt_one_minus_alpha_bar"):
        assert getattr(walk, name).equal(getattr(schedule, name)[[0, *taken]])
    assert [walk.at_step(i) for i in range(N + 1)] == [0, *taken]


@pytest.mark.holds("sampling.ddim-family", "sampling.ddim-eta")
@pytest.mark.parametrize("eta", [0.0, 1e-3, 0.5, 1.0, None])
@pytest.mark.parametrize("schedule", [linear(), cosine(), linear(50, 1e-12, 1e-12)], ids=repr)
def test_the_tables_are_rounded_once(schedule: Schedule, eta: float | None) -> None:
    """Also where the two terms of the image's factor cancel to one part in 1e12; None is the largest η."""
    taken = steps(schedule.T, 7, "quadratic")
    eta = Subsequence(schedule, taken).eta_max if eta is None else eta
    walk = Subsequence(schedule, taken, eta=eta)
    family, variance = CLAIMS["sampling.ddim-family"], CLAIMS["sampling.ddim-eta"]
    factors = linear_coefficients(family.mean)
    for i in range(2, 8):
        at = symbols_at(schedule, walk.at_step(i))
        at |= {"alpha_bar_s": symbols_at(schedule, walk.at_step(i - 1))["alpha_bar_t"], "eta": mp.mpf(eta)}
        at["sigma_t"] = mp.sqrt(evaluate(variance.value, at))
        for table, truth in [
            (walk.posterior_variance, evaluate(variance.value, at)),
            (walk.posterior_mean_coef_x0, evaluate(factors[x_0], at)),
            (walk.posterior_mean_coef_xt, evaluate(factors[x_t], at)),
        ]:
            assert abs(mp.mpf(float(table[i])) - truth) <= (0.5 + 1e-9) * 2**-52 * abs(truth)


def test_a_stretch_of_vanishing_steps_keeps_its_digits() -> None:
    """One minus a product would have ten digits left of its sixty."""
    assert float(Subsequence(Schedule.from_betas([1e-50] * 3), [2, 3]).beta[1]) == 2e-50


def test_a_sub_sequence_of_a_sub_sequence() -> None:
    once = Subsequence(Subsequence(linear(), steps(1000, 100)), steps(100, 10))
    direct = Subsequence(linear(), steps(1000, 10))
    assert all(getattr(once, name)[1:].equal(getattr(direct, name)[1:]) for name in TABLES)


def test_a_stretch_that_leaves_nothing_of_the_image() -> None:
    """β' rounds to one, which a schedule's own β may not; α' is what it is."""
    walk = Subsequence(Schedule.from_betas([0.999] * 60), [1, 60])
    assert walk.beta[2] == 1
    assert float(walk.alpha[2]) == pytest.approx(1e-3**59, rel=1e-12)
    assert all(getattr(walk, name)[1:].isfinite().all() for name in TABLES)


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda walk: pickle.loads(pickle.dumps(walk))])
def test_a_copy_is_equal_and_works(copied: object) -> None:
    walk = Subsequence(linear(10), [2, 5, 10], eta=0.5)
    other = copied(walk)  # type: ignore[operator]
    assert other == walk
    assert hash(other) == hash(walk)
    assert other.posterior_mean_coef_x0[1:].equal(walk.posterior_mean_coef_x0[1:])
    assert walk != Subsequence(linear(10), [2, 5, 10])
    assert walk != Subsequence(linear(10), [2, 6, 10], eta=0.5)


def test_what_it_says_of_itself_is_enough_to_build_it_again() -> None:
    walk = Subsequence(linear(10), [2, 5, 10], eta=0.5)
    described = json.loads(json.dumps(walk.to_config()))
    assert described.pop("name") == "subsequence"
    whole = Schedule.from_config(described.pop("whole"))
    assert Subsequence(whole, **described) == walk
    assert repr(walk) == f"<3 steps of {whole!r}, 2 … 10>"


@pytest.mark.parametrize(
    ("taken", "message"),
    [
        ([], "steps must hold at least one step; got none"),
        ([0, 5], r"1\.\.T = 1\.\.10; got 0: add 1 to steps that are counted from 0"),
        ([5, 11], r"steps must be in 1\.\.T = 1\.\.10; got 11$"),
        ([-1, 5], r"got -1$"),
        ([10, 5, 1], "got 10 before 5: sort them"),
        ([1, 5, 5], "got 5 before 5: leave repeated ones out"),
    ],
)
def test_steps_that_make_no_sub_sequence_are_refused(taken: list[int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Subsequence(linear(10), taken)


@pytest.mark.parametrize("taken", [5, [1.5], ["1"], None])
def test_steps_that_are_no_integers_are_refused(taken: object) -> None:
    with pytest.raises(TypeError, match=r"sequence of integers, such as steps\(10, N\) returns"):
        Subsequence(linear(10), taken)  # type: ignore[arg-type]


def test_integers_of_other_libraries_are_integers() -> None:
    assert Subsequence(linear(10), torch.tensor([2, 10])).steps == (2, 10)  # type: ignore[arg-type]


@given(betas=st.lists(BETAS, min_size=2, max_size=8))
def test_eta_is_allowed_up_to_its_largest_value_and_no_further(betas: list[float]) -> None:
    schedule = Schedule.from_betas(betas)
    everything = range(1, schedule.T + 1)
    largest = Subsequence(schedule, everything).eta_max
    assert largest > 1
    at_most = Subsequence(schedule, everything, eta=largest)
    assert at_most.posterior_mean_coef_xt[2:].min() >= 0
    assert (at_most.posterior_variance[2:] <= at_most.one_minus_alpha_bar[1:-1] * (1 + 1e-15)).all()
    with pytest.raises(ValueError, match="eta must be in"):
        Subsequence(schedule, everything, eta=largest * (1 + 1e-12))


@pytest.mark.parametrize("eta", [-0.1, float("nan"), float("inf"), 2.0])
def test_an_eta_out_of_range_is_refused(eta: float) -> None:
    with pytest.raises(ValueError, match=r"eta must be in \[0, 1\.08\d*\] for these steps"):
        Subsequence(linear(), steps(1000, 10), eta=eta)


def test_at_the_largest_eta_all_noise_is_drawn_anew() -> None:
    """Here it is 5/4 to the last digit, since 1 - ᾱ_2 = 25/32 and β_2 = 1/2."""
    schedule = Schedule.from_betas([0.5625, 0.5])
    assert Subsequence(schedule, [1, 2]).eta_max == 1.25
    fresh = Subsequence(schedule, [1, 2], eta=1.25)
    assert fresh.posterior_mean_coef_xt[2] == 0
    assert fresh.posterior_variance[2] == fresh.one_minus_alpha_bar[1]


def test_one_step_allows_every_eta() -> None:
    assert Subsequence(linear(), [1000]).eta_max == float("inf")
    Subsequence(linear(), [1000], eta=5.0)


@pytest.mark.parametrize("i", [-1, 3])
def test_an_index_out_of_range_is_refused(i: int) -> None:
    with pytest.raises(ValueError, match=r"i must be in 0\.\.N = 0\.\.2"):
        Subsequence(linear(10), [5, 10]).at_step(i)
