"""Every function of the core takes t as one number or one for each example, and refuses what is no t."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

import ddpm_ref as ref
from ddpm_ref.schedule import linear

SCHEDULE = linear(10, 0.01, 0.2)
X = torch.zeros(2, 1, 4, 4)
T2 = torch.tensor([1, 10])
UNKNOWN: Any = "unknown"


def zero(x_t: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
    return torch.zeros_like(x_t)


STEP: dict[str, Callable[[Any, torch.Tensor, torch.Tensor], object]] = {
    "q_sample": lambda t, a, b: ref.q_sample(SCHEDULE, a, t, b),
    "q_posterior": lambda t, a, b: ref.q_posterior(SCHEDULE, a, b, t),
    "x0_from_eps": lambda t, a, b: ref.x0_from_eps(SCHEDULE, a, t, b),
    "eps_from_x0": lambda t, a, b: ref.eps_from_x0(SCHEDULE, a, t, b),
    "mu_from_x0": lambda t, a, b: ref.mu_from_x0(SCHEDULE, a, t, b),
    "x0_from_mu": lambda t, a, b: ref.x0_from_mu(SCHEDULE, a, t, b),
    "mu_from_eps": lambda t, a, b: ref.mu_from_eps(SCHEDULE, a, t, b),
    "eps_from_mu": lambda t, a, b: ref.eps_from_mu(SCHEDULE, a, t, b),
    "v_from_x0": lambda t, a, b: ref.v_from_x0(SCHEDULE, a, t, b),
    "v_from_eps": lambda t, a, b: ref.v_from_eps(SCHEDULE, a, t, b),
    "x0_from_v": lambda t, a, b: ref.x0_from_v(SCHEDULE, a, t, b),
    "eps_from_v": lambda t, a, b: ref.eps_from_v(SCHEDULE, a, t, b),
    "to_x0": lambda t, a, b: ref.to_x0(SCHEDULE, b, a, t),
    "target": lambda t, a, b: ref.target(SCHEDULE, a, b, t, b),
    "p_mean_variance": lambda t, a, b: ref.p_mean_variance(SCHEDULE, b, a, t),
    "p_sample": lambda t, a, b: ref.p_sample(SCHEDULE, b, a, t, b),
    "L_simple": lambda t, a, b: ref.L_simple(zero, SCHEDULE, a, t, b),
}


@pytest.mark.parametrize("t", [1, 2, 10])
@pytest.mark.parametrize("name", STEP)
def test_one_t_is_that_t_for_every_example(name: str, t: int) -> None:
    generator = torch.Generator().manual_seed(0)
    a, b = torch.randn(2, *X.shape, generator=generator).double()
    one, each = (STEP[name](steps, a, b) for steps in (t, torch.full((2,), t)))
    for x, y in zip(*(r if isinstance(r, tuple) else (r,) for r in (one, each)), strict=True):
        assert torch.equal(x.expand_as(y), y)


@pytest.mark.parametrize("t", [0, -1, 11, torch.tensor([0, 1]), torch.tensor([1, 11])], ids=str)
@pytest.mark.parametrize("name", STEP)
def test_t_outside_1_to_T_is_refused(name: str, t: int | torch.Tensor) -> None:
    with pytest.raises(ValueError, match=r"t must be in 1\.\.T = 1\.\.10; got (0|-1|11)"):
        STEP[name](t, X, X)


@pytest.mark.parametrize("t", [1.0, torch.tensor([1.0, 2.0]), True, "1", None], ids=str)
@pytest.mark.parametrize("name", STEP)
def test_t_that_is_no_integer_is_refused(name: str, t: object) -> None:
    with pytest.raises(TypeError, match="t must"):
        STEP[name](t, X, X)


@pytest.mark.parametrize("name", STEP)
def test_t_for_another_batch_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=r"shape \(B,\) = \(2,\); got shape \(3,\)"):
        STEP[name](torch.tensor([1, 2, 3]), X, X)


@pytest.mark.parametrize("name", STEP)
def test_shapes_that_do_not_match_are_refused_not_broadcast(name: str) -> None:
    with pytest.raises(ValueError, match=r"must have the shape of .*; got \(2, 1, 4, [14]\)"):
        STEP[name](T2, X, X[..., :1])


@pytest.mark.parametrize("name", STEP)
def test_integer_images_are_refused(name: str) -> None:
    with pytest.raises(TypeError, match="floating point"):
        STEP[name](T2, X.long(), X.long())


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: ref.to_x0(SCHEDULE, X, X, T2, prediction=UNKNOWN),
            "prediction must be one of eps, x0, mu, v; got 'unknown'",
        ),
        (lambda: ref.target(SCHEDULE, X, X, T2, X, prediction=UNKNOWN), "prediction must be one of"),
        (
            lambda: ref.p_mean_variance(SCHEDULE, X, X, T2, variance=UNKNOWN),
            "variance must be one of fixed_large, fixed_small, learned; got 'unknown'",
        ),
        (lambda: ref.weight(SCHEDULE, T2, X, variance=UNKNOWN), "variance must be one of"),
        (lambda: ref.weight(SCHEDULE, 0, X), r"1\.\.10; got 0"),
        (lambda: ref.L_t_minus_1(zero, SCHEDULE, X, 1, X), r"t must be in 2\.\.T = 2\.\.10; got 1"),
        (lambda: ref.p_sample(SCHEDULE, X, X, 2, None), "noise must be given unless t = 1"),
        (lambda: ref.p_sample(SCHEDULE, X, X, 2, X[:1]), "noise must have shape"),
        (
            lambda: ref.L_simple(lambda x, t: x[:1], SCHEDULE, X, T2, X),
            "the model must return the shape of x_t",
        ),
        (
            lambda: ref.ancestral(zero, SCHEDULE, X, noise=lambda t: X, generator=torch.Generator()),
            "noise and generator",
        ),
        (lambda: ref.ancestral(zero, SCHEDULE, X * float("nan")), "x_T must be finite"),
        (lambda: ref.ancestral(zero, SCHEDULE, X, prediction=UNKNOWN), "prediction must be one of"),
        (lambda: list(ref.ancestral(lambda x, t: x[:1], SCHEDULE, X)), "the model must return the shape"),
        (lambda: list(ref.ancestral(zero, SCHEDULE, X, noise=lambda t: X[:1])), "noise must have shape"),
        (lambda: ref.log_density(ref.Gaussian(X, X + 1), X[:1]), "x must have shape"),
        (
            lambda: ref.kl(ref.Gaussian(X, X + 1), ref.Gaussian(X[:1], X[:1] + 1)),
            "the mean of q must have shape",
        ),
        (lambda: ref.kl(ref.Gaussian(X, torch.ones(3)), ref.Gaussian(X, X + 1)), "variance must broadcast"),
        (lambda: SCHEDULE.at("gamma", 1, X), "table must be one of .*; got 'gamma'"),
    ],
)
def test_what_is_outside_the_domain_is_named(call: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()


def test_half_precision_that_cannot_hold_a_coefficient_says_so() -> None:
    tiny = ref.Schedule.from_betas([1e-60])
    with pytest.raises(ValueError, match=r"does not fit torch.float32; use float64"):
        ref.q_mean_variance(tiny, torch.zeros(1, 2), 1)
