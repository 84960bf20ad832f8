"""The Fréchet distance is the distance it claims to be, and the comparison ranks what it must rank."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ddpm_ref.data import digits
from ddpm_ref.metrics import (
    DigitsClassifier,
    class_frequencies,
    evaluate,
    fitted_gaussian,
    frechet_distance,
    sqrt_psd,
    total_variation,
)
from ddpm_ref.report import verdict, words


def features(seed: int, rows: int = 50, columns: int = 4) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.standard_normal((rows, columns)) @ rng.standard_normal((columns, columns))


@given(seed=st.integers(0, 1000), columns=st.integers(1, 6))
def test_a_root_squares_to_its_matrix(seed: int, columns: int) -> None:
    half = features(seed, 3, columns)  # singular where columns exceed the rows
    matrix = half.T @ half
    root = sqrt_psd(matrix)
    np.testing.assert_allclose(root @ root, matrix, atol=1e-10 * np.trace(matrix))
    np.testing.assert_allclose(root, root.T, atol=1e-12 * np.trace(root))


@given(seed=st.integers(0, 1000), columns=st.integers(1, 6))
def test_the_distance_is_symmetric_and_zero_only_to_itself(seed: int, columns: int) -> None:
    a, b = features(seed, 20, columns), features(seed + 1, 30, columns)
    assert frechet_distance(a, b) == pytest.approx(frechet_distance(b, a), rel=1e-9)
    assert frechet_distance(a, a) < 1e-6 * np.trace(np.atleast_2d(np.cov(a, rowvar=False)))
    assert frechet_distance(a, b) > 0


@given(seed=st.integers(0, 1000))
def test_a_shift_adds_its_squared_length(seed: int) -> None:
    a = features(seed)
    assert frechet_distance(a, a + np.array([3, 0, 4, 0])) == pytest.approx(25, rel=1e-6)


@given(seed=st.integers(0, 1000), scale=st.floats(0.1, 5))
def test_a_scaling_costs_what_it_does_to_the_standard_deviations(seed: int, scale: float) -> None:
    a = features(seed) - features(seed).mean(axis=0)
    cost = (1 - scale) ** 2 * np.trace(np.cov(a, rowvar=False))
    assert frechet_distance(a, scale * a) == pytest.approx(cost, rel=1e-6, abs=1e-6)


def test_one_set_of_features_may_be_constant() -> None:
    a = features(0)
    shifted = frechet_distance(a, np.zeros((10, 4)))
    expected = float((a.mean(axis=0) ** 2).sum() + np.trace(np.cov(a, rowvar=False)))
    assert shifted == pytest.approx(expected)


@pytest.mark.parametrize(
    ("a", "b", "message"),
    [
        (np.zeros((1, 3)), np.zeros((5, 3)), "a must be features .* N at least 2"),
        (np.zeros((5, 3)), np.zeros(3), "b must be features"),
        (np.zeros((5, 3)), np.zeros((5, 4)), "equally many columns; got 3 and 4"),
        (np.zeros((5, 3)), np.full((5, 3), np.nan), "b must be finite; got NaN or infinity in 15 values"),
        (np.full((5, 3), np.inf), np.zeros((5, 3)), "a must be finite"),
    ],
)
def test_features_without_a_distance_are_refused(a: np.ndarray, b: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        frechet_distance(a, b)


def test_total_variation_counts_what_must_move() -> None:
    p = class_frequencies(np.array([0, 0, 1, 2]), 4)
    assert p.tolist() == [0.5, 0.25, 0.25, 0]
    assert total_variation(p, p) == 0
    assert total_variation(p, np.array([0.25, 0.25, 0.25, 0.25])) == 0.25
    assert total_variation(np.array([1.0, 0]), np.array([0, 1.0])) == 1
    with pytest.raises(ValueError, match="same shape"):
        total_variation(p, np.ones(1))


def test_the_classifier_is_always_the_same_and_knows_digits_it_never_saw() -> None:
    train, held_out = digits()
    one, two = DigitsClassifier(train), DigitsClassifier(train)
    np.testing.assert_array_equal(one.features(held_out.images), two.features(held_out.images))
    assert one.accuracy(held_out) > 0.97
    assert one.features(held_out.images).shape == (500, 32)


def test_a_fitted_gaussian_has_the_pixels_mean_and_covariance() -> None:
    images = digits().train.images / 8  # far from the clipping at ±1
    drawn = fitted_gaussian(images, 20_000, np.random.default_rng(0)).flatten(1).double()
    x = images.flatten(1).double()
    # Five standard errors of each mean; false alarm about 64 · 6e-7.
    assert ((drawn.mean(0) - x.mean(0)).abs() <= 5 * x.std(0) / 20_000**0.5 + 1e-9).all()
    scale = float(x.std(0).max()) ** 2
    assert (drawn.T.cov() - x.T.cov()).abs().max() < 5 * scale * (2 / 20_000) ** 0.5


def test_real_digits_beat_a_gaussian_which_beats_noise() -> None:
    split = digits()
    real = evaluate(split.train.images[:300], split, resamples=3)
    noise = torch.rand(300, 1, 8, 8, generator=torch.Generator().manual_seed(0)) * 2 - 1
    random = evaluate(noise, split, resamples=3)
    assert real.floor == random.floor
    assert real.baseline == random.baseline
    assert real.model.frechet < 2 * real.floor.frechet < real.baseline.frechet < random.model.frechet
    assert real.model.imbalance < random.model.imbalance
    assert sum(real.model.per_class) == pytest.approx(1)
    assert "close to real digits" in verdict(real)
    assert "no better than a Gaussian" in verdict(random)
    assert max(map(len, words(random).splitlines())) <= 80


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        (torch.zeros(5, 1, 4, 4), "samples must be"),
        (torch.zeros(1, 1, 8, 8), "samples must be 2..1297 images; got 1"),
        (torch.zeros(2000, 1, 8, 8), "got 2000"),
        (torch.full((5, 1, 8, 8), float("nan")), "got NaN"),
        (torch.full((5, 1, 8, 8), 2.0), r"must be in \[-1, 1\]"),
    ],
)
def test_samples_that_cannot_be_judged_are_refused(samples: torch.Tensor, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        evaluate(samples, digits())
