"""The code computes what the claims prove, on drawn schedules, steps, shapes and dtypes.

Each call in `tests/bindings` is compared with its claim's expression.

The same calls are then held against the claims' mutants: a reference that computed one of them would fail
here.
"""

from __future__ import annotations

import pytest
import torch
from hypothesis import Phase, assume, given, settings
from hypothesis import strategies as st
from sympy import Basic

import tests.bindings  # noqa: F401 (enters the calls)
from ddpm_ref import gaussian
from ddpm_ref.gaussian import Gaussian
from tests.oracle import CLAIMS, HELD, Case, Held, evaluate, exact, mp


@pytest.mark.parametrize("held", HELD, ids=lambda held: held.name)
def test_code_computes_the_claim(held: Held) -> None:
    @given(held.cases)
    def agrees(case: Case) -> None:
        assert held.disagreement(case) <= 1

    agrees()


WRONG = [
    pytest.param(held, wrong.parts[held.part], id=f"{held.name}: {wrong.name}")
    for held in HELD
    for wrong in CLAIMS[held.claim].mutants
    if held.part in wrong.parts
]


@pytest.mark.parametrize(("held", "wrong"), WRONG)
def test_code_that_computed_a_mutant_would_fail(held: Held, wrong: Basic) -> None:
    @settings(phases=[Phase.generate])
    @given(held.cases)
    def differs(case: Case) -> None:
        try:
            found = held.disagreement(case, wrong)
        except (KeyError, ZeroDivisionError):
            assume(False)  # the mutant speaks of t + 1 where there is none, or is undefined
        assert found <= 1

    with pytest.raises(AssertionError):
        differs()


@given(excess=st.floats(1e-12, 0.9), larger=st.booleans())
def test_a_divergence_keeps_its_digits_where_the_variances_nearly_agree(excess: float, larger: bool) -> None:
    variance = 1 + excess if larger else 1 - excess
    zero = torch.zeros(1, 1, dtype=torch.float64)
    found = gaussian.kl(Gaussian(zero, torch.full_like(zero, variance)), Gaussian(zero, zero + 1))
    values = {
        "sigma_1": mp.sqrt(mp.mpf(variance)),
        "sigma_2": mp.mpf(1),
        "d": mp.mpf(1),
        **{name: exact(zero[0]) for name in ("mu_1", "mu_2")},
    }
    truth = evaluate(CLAIMS["parameterization.kl"].value, values)
    assert abs(exact(found)[0] - truth) <= 8 * 2.0**-52 * truth
