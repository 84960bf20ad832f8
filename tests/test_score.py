"""The score: there and back, of a model, and denoising score matching beside L_simple and the bound."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from ddpm_ref import process
from ddpm_ref.objective import L_simple, weight
from ddpm_ref.process import Prediction
from ddpm_ref.schedule import linear
from ddpm_ref.score import (
    Weighting,
    denoising_score_matching,
    eps_from_score,
    noise_level,
    score_from_eps,
    score_of,
    x0_from_score,
)
from tests.oracle import CLAIMS, evaluate, exact, mp, steps

SCHEDULE = linear(20, 0.01, 0.3)
T_BATCH = torch.tensor([1, 7, 20])


def drawn(seed: int, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(3, 2, 4, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def test_noise_to_score_and_back() -> None:
    eps = drawn(0)
    there = score_from_eps(SCHEDULE, eps, T_BATCH)
    torch.testing.assert_close(eps_from_score(SCHEDULE, there, T_BATCH), eps, rtol=1e-15, atol=0)


@pytest.mark.parametrize("prediction", ["eps", "x0", "mu", "v"])
def test_every_prediction_has_the_score_of_its_noise(prediction: Prediction) -> None:
    x_0, eps = drawn(0), drawn(1)
    x_t = process.q_sample(SCHEDULE, x_0, T_BATCH, eps)
    value = process.target(SCHEDULE, x_0, x_t, T_BATCH, eps, prediction=prediction)
    score = score_of(lambda x, t: value, SCHEDULE, prediction=prediction)(x_t, T_BATCH)
    torch.testing.assert_close(score, score_from_eps(SCHEDULE, eps, T_BATCH), rtol=1e-10, atol=1e-12)


@pytest.mark.holds("score.gaussian-data", "score.optimal-eps")
@pytest.mark.parametrize("t", [1, 7, 20])
def test_the_best_predictor_for_gaussian_data_has_the_score_of_gaussian_data(t: int) -> None:
    at = {**steps(SCHEDULE, t), "data_mean": mp.mpf("0.3"), "data_deviation": mp.mpf("0.6")}
    x_t = drawn(0)
    values = {**at, "x_t": exact(x_t)}
    best = torch.tensor(
        evaluate(CLAIMS["sampling.gaussian-denoiser"].value, values).astype(float), dtype=torch.float64
    )
    found = score_of(lambda x, t: best, SCHEDULE)(x_t, t)
    truth = evaluate(CLAIMS["score.gaussian-data"].value, values)
    assert float(abs(exact(found) - truth).max()) < 1e-14 * float(abs(truth).max())


def test_a_clipped_score_points_to_the_clipped_image() -> None:
    x_t = torch.tensor([[30.0, -30.0]] * 3, dtype=torch.float64)
    score = score_of(lambda x, t: torch.zeros_like(x), SCHEDULE, clip=True)(x_t, T_BATCH)
    image = x0_from_score(SCHEDULE, x_t, T_BATCH, score)
    torch.testing.assert_close(image, x_t.sign(), rtol=1e-10, atol=0)
    free = score_of(lambda x, t: torch.zeros_like(x), SCHEDULE)(x_t, T_BATCH)
    assert free.equal(torch.zeros_like(x_t))


@pytest.mark.parametrize("prediction", ["eps", "x0", "mu", "v"])
def test_every_clipped_prediction_points_to_its_clipped_image(prediction: Prediction) -> None:
    value, x_t = drawn(0), 2 * drawn(1)
    image = process.to_x0(SCHEDULE, value, x_t, T_BATCH, prediction=prediction)
    score = score_of(lambda x, t: value, SCHEDULE, prediction=prediction, clip=True)(x_t, T_BATCH)
    found = x0_from_score(SCHEDULE, x_t, T_BATCH, score)
    assert (image.abs() > 1).any()
    assert (image.abs() < 1).any()
    torch.testing.assert_close(found, image.clamp(-1, 1), rtol=1e-9, atol=1e-9)


def test_a_model_with_a_learned_variance_has_a_score_too() -> None:
    eps = drawn(0)
    score = score_of(lambda x, t: torch.cat([eps, eps + 1], 1), SCHEDULE, variance="learned")
    assert score(drawn(1), T_BATCH).equal(score_from_eps(SCHEDULE, eps, T_BATCH))


@pytest.mark.parametrize("clip", [False, True])
@pytest.mark.parametrize("prediction", ["x0", "mu", "v"])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_a_score_in_half_precision_is_computed_in_single(
    dtype: torch.dtype, prediction: Prediction, clip: bool
) -> None:
    value, x = drawn(0, dtype), drawn(1, dtype)
    found = score_of(lambda x, t: value, SCHEDULE, prediction=prediction, clip=clip)(x, T_BATCH)
    single = score_of(lambda x, t: value.float(), SCHEDULE, prediction=prediction, clip=clip)
    assert found.equal(single(x.float(), T_BATCH).to(dtype))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_dtypes_are_kept(dtype: torch.dtype) -> None:
    x = drawn(0, dtype)
    assert score_from_eps(SCHEDULE, x, T_BATCH).dtype == dtype
    assert eps_from_score(SCHEDULE, x, T_BATCH).dtype == dtype
    assert x0_from_score(SCHEDULE, x, T_BATCH, x).dtype == dtype
    assert score_of(lambda x, t: x, SCHEDULE)(x, T_BATCH).dtype == dtype
    loss = denoising_score_matching(lambda x, t: x, SCHEDULE, x, T_BATCH, x)
    assert loss.dtype == torch.float32
    assert loss.shape == (3,)


# -- denoising score matching --------------------------------------------------------------------------------


def noise_model(x_t: Tensor, t: Tensor) -> Tensor:
    return (x_t * 0.3).sin()


@pytest.mark.parametrize("t", [3, T_BATCH])
def test_the_simple_weighting_is_d_times_L_simple(t: int | Tensor) -> None:
    x_0, noise = drawn(0), drawn(1)
    ours = denoising_score_matching(score_of(noise_model, SCHEDULE), SCHEDULE, x_0, t, noise)
    torch.testing.assert_close(ours, 8 * L_simple(noise_model, SCHEDULE, x_0, t, noise), rtol=1e-13, atol=0)


def test_the_bounds_weighting_is_the_bounds() -> None:
    x_0, noise = drawn(0), drawn(1)
    score = score_of(noise_model, SCHEDULE)
    for variance in ("fixed_large", "fixed_small"):
        ours = denoising_score_matching(
            score, SCHEDULE, x_0, T_BATCH, noise, weighting="bound", variance=variance
        )
        theirs = 8 * L_simple(noise_model, SCHEDULE, x_0, T_BATCH, noise)
        factor = weight(SCHEDULE, T_BATCH, theirs, variance=variance)
        torch.testing.assert_close(ours, factor * theirs, rtol=1e-13, atol=0)


@pytest.mark.parametrize("weighting", ["simple", "objective", "bound"])
def test_the_kernels_own_score_has_no_loss_and_gradients_reach_a_model(weighting: Weighting) -> None:
    x_0, noise = drawn(0), drawn(1)
    own = score_from_eps(SCHEDULE, noise, T_BATCH)
    factor = torch.ones((), dtype=torch.float64, requires_grad=True)
    loss = denoising_score_matching(
        lambda x, t: factor * own, SCHEDULE, x_0, T_BATCH, noise, weighting=weighting
    )
    assert float(loss.detach().sum()) < 1e-25
    worse = denoising_score_matching(
        lambda x, t: 2 * factor * own, SCHEDULE, x_0, T_BATCH, noise, weighting=weighting
    )
    worse.sum().backward()  # type: ignore[no-untyped-call]
    assert factor.grad is not None
    assert factor.grad > 0


# -- what is refused -----------------------------------------------------------------------------------------


def test_bad_arguments_are_refused() -> None:
    x = drawn(0)
    with pytest.raises(ValueError, match="weighting must be one of simple, objective, bound; got 'snr'"):
        denoising_score_matching(noise_model, SCHEDULE, x, 3, x, weighting="snr")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="variance must be fixed"):
        denoising_score_matching(noise_model, SCHEDULE, x, 3, x, weighting="bound", variance="learned")
    with pytest.raises(ValueError, match=r"variance must be one of .*; got 'small'"):
        denoising_score_matching(noise_model, SCHEDULE, x, 3, x, variance="small")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="score must have shape"):
        x0_from_score(SCHEDULE, x, 3, x[:1])
    with pytest.raises(ValueError, match="prediction must be one of"):
        score_of(noise_model, SCHEDULE, prediction="noise")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="variance must be one of"):
        score_of(noise_model, SCHEDULE, variance="small")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="the model must return"):
        score_of(lambda x, t: x[:, :1], SCHEDULE)(x, 3)


OF_A_STEP: dict[str, Callable[[Tensor, int | Tensor], Tensor]] = {
    "score_from_eps": lambda x, t: score_from_eps(SCHEDULE, x, t),
    "eps_from_score": lambda x, t: eps_from_score(SCHEDULE, x, t),
    "x0_from_score": lambda x, t: x0_from_score(SCHEDULE, x, t, x),
    "noise_level": lambda x, t: noise_level(SCHEDULE, t, x),
    "score_of": lambda x, t: score_of(noise_model, SCHEDULE)(x, t),
    "denoising_score_matching": lambda x, t: denoising_score_matching(noise_model, SCHEDULE, x, t, x),
}


@pytest.mark.parametrize("ask", OF_A_STEP.values(), ids=OF_A_STEP)
def test_the_clean_image_has_no_score_and_whole_numbers_are_no_image(
    ask: Callable[[Tensor, int | Tensor], Tensor],
) -> None:
    for t in (0, 21, torch.tensor([0, 1, 2]), torch.tensor([19, 20, 21])):
        with pytest.raises(ValueError, match=r"t must be in 1\.\.T"):
            ask(drawn(0), t)
    with pytest.raises(TypeError, match="floating point"):
        ask(torch.ones(3, 2, dtype=torch.long), 3)
