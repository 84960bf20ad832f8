"""The Fréchet distance is the distance it claims to be, scores stay in their ranges, intervals hold."""

import math
from statistics import fmean, stdev

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ddpm_ref.metrics import (
    Fit,
    bootstrap,
    class_frequencies,
    class_information,
    cross_term,
    fit,
    fit_moments,
    frechet,
    frechet_distance,
    inception_score,
    mean_bias,
    sqrt_psd,
    total_variation,
)

SEEDS = st.integers(0, 1000)


def features(seed: int, rows: int = 50, columns: int = 4) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.standard_normal((rows, columns)) @ rng.standard_normal((columns, columns))


# -- roots and fits ------------------------------------------------------------------------------------------


@given(seed=SEEDS, columns=st.integers(1, 6))
def test_a_root_squares_to_its_matrix(seed: int, columns: int) -> None:
    half = features(seed, 3, columns)  # singular where columns exceed the rows
    matrix = half.T @ half
    root = sqrt_psd(matrix)
    np.testing.assert_allclose(root @ root, matrix, atol=1e-10 * np.trace(matrix))
    np.testing.assert_allclose(root, root.T, atol=1e-12 * np.trace(root))


@given(seed=SEEDS, columns=st.integers(1, 6))
def test_a_fit_has_the_samples_mean_and_covariance(seed: int, columns: int) -> None:
    x = features(seed, 20, columns)
    fitted = fit(x)
    np.testing.assert_allclose(fitted.mean, x.mean(axis=0))
    covariance = np.atleast_2d(np.cov(x, rowvar=False))
    np.testing.assert_allclose(fitted.root.T @ fitted.root, covariance, atol=1e-13 * np.trace(covariance))
    assert fitted.n == 20


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_what_is_given_in_fewer_digits_is_computed_in_all(dtype: type) -> None:
    x: np.ndarray = features(0).astype(dtype)
    laws: np.ndarray = np.random.default_rng(0).dirichlet([1, 1, 1], 20).astype(np.float32)
    for found, truth in (
        (fit(x), fit(x.astype(np.float64))),
        (fit_moments(x[0], np.eye(4, dtype=dtype)), fit_moments(x[0].astype(np.float64), np.eye(4))),
        (class_information(laws), class_information(laws.astype(np.float64))),
    ):
        for one, other in zip(found, truth, strict=True):
            assert np.asarray(one).dtype == np.asarray(other).dtype
            np.testing.assert_array_equal(one, other)


def test_one_row_more_than_columns_is_enough_for_a_covariance() -> None:
    assert np.linalg.matrix_rank(fit(features(0, 5)).root) == 4
    for few in (4, 3):
        with pytest.raises(ValueError, match=f"^features must have more rows .*; got {few} rows of 4"):
            fit(features(0, few))


def test_moments_are_exact_unless_it_is_said_how_many_rows_gave_them() -> None:
    exact, estimated = fit_moments(np.zeros(2), np.eye(2)), fit_moments(np.zeros(2), np.eye(2), 10)
    assert mean_bias(exact, exact) == 0
    assert mean_bias(exact, estimated) == pytest.approx(2 / 10)


@pytest.mark.parametrize(
    ("mean", "covariance"),
    [
        (np.zeros(0), np.zeros((0, 0))),
        (np.zeros((2, 1)), np.eye(2)),
        (np.zeros(2), np.ones((2, 3))),
        (np.zeros(2), np.ones((3, 2))),
        (np.zeros(2), np.ones(2)),
    ],
)
def test_moments_of_other_shapes_are_refused(mean: np.ndarray, covariance: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"mean and covariance must be \(d,\) and \(d, d\)"):
        fit_moments(mean, covariance)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_moments_that_are_not_finite_are_refused(bad: float) -> None:
    for mean, covariance in ((np.array([0, bad]), np.eye(2)), (np.zeros(2), np.diag([1, bad]))):
        with pytest.raises(ValueError, match="mean and covariance must be finite"):
            fit_moments(mean, covariance)


@pytest.mark.parametrize("scale", [1e-9, 1.0, 1e9])
@pytest.mark.parametrize("d", [2, 3])
def test_round_off_is_a_millionth_of_the_largest_entry(d: int, scale: float) -> None:
    """For the symmetry; d times that for an eigenvalue, which is then taken for 0."""
    crooked = (np.eye(d) + 1) / 2
    for off in (0.99e-6, -0.99e-6, 1.01e-6, -1.01e-6):
        crooked[0, 1] = 0.5 + off
        if abs(off) < 1e-6:
            assert np.isfinite(sqrt_psd(scale * crooked)).all()
        else:
            with pytest.raises(ValueError, match="must be symmetric"):
                sqrt_psd(scale * crooked)
    straight = np.eye(d)
    straight[1, 1] = -0.99e-6 * d
    root = sqrt_psd(scale * straight)
    straight[1, 1] = 0
    np.testing.assert_allclose(root @ root, scale * straight, atol=1e-12 * scale)
    straight[1, 1] = -1.01e-6 * d
    with pytest.raises(ValueError, match="must be positive semi-definite"):
        sqrt_psd(scale * straight)
    assert (sqrt_psd(np.zeros((d, d))) == 0).all()


def test_round_off_in_a_covariance_is_not_an_error_but_a_negative_variance_is() -> None:
    x = features(0, 30, 5)
    single = np.cov(x, rowvar=False).astype(np.float32).astype(np.float64)  # as files of statistics hold it
    assert frechet(fit(x), fit_moments(x.mean(axis=0), single)) < 1e-5 * np.trace(single)
    with pytest.raises(ValueError, match="positive semi-definite; got the eigenvalue -1"):
        fit_moments(np.zeros(2), np.diag([1.0, -1.0]))
    with pytest.raises(ValueError, match="must be symmetric; got a difference of 1"):
        fit_moments(np.zeros(2), np.array([[1.0, 1.0], [0.0, 1.0]]))
    with pytest.raises(ValueError, match=r"must be \(d,\) and \(d, d\); got \(2,\) and \(3, 3\)"):
        fit_moments(np.zeros(2), np.eye(3))
    with pytest.raises(ValueError, match="must be finite"):
        fit_moments(np.array([math.nan, 0]), np.eye(2))


# -- the distance --------------------------------------------------------------------------------------------


@given(seed=SEEDS, columns=st.integers(1, 6))
def test_the_distance_is_symmetric_and_zero_only_to_itself(seed: int, columns: int) -> None:
    a, b = features(seed, 20, columns), features(seed + 1, 30, columns)
    assert frechet_distance(a, b) == pytest.approx(frechet_distance(b, a), rel=1e-9)
    assert frechet_distance(a, a) < 1e-28 * np.trace(np.atleast_2d(np.cov(a, rowvar=False))) * columns**2
    assert frechet_distance(a, b) > 0


@pytest.mark.holds("metrics.cross-term")
@given(seed=SEEDS, columns=st.integers(1, 6))
def test_the_sum_of_squares_is_the_formula_with_its_cross_term(seed: int, columns: int) -> None:
    a, b = fit(features(seed, 20, columns)), fit(features(seed + 1, 30, columns))
    traces = np.square(a.root).sum() + np.square(b.root).sum()
    formula = np.square(a.mean - b.mean).sum() + traces - 2 * cross_term(a, b)
    assert frechet(a, b) == pytest.approx(formula, abs=1e-13 * traces)


@given(seed=SEEDS, rows=st.integers(1, 6), other=st.integers(1, 6))
def test_a_distance_does_not_depend_on_the_roots_taken(seed: int, rows: int, other: int) -> None:
    """Roots of any number of rows, so of any rank, beside the symmetric roots of the same covariances."""
    roots = [features(seed, rows), features(seed + 1, other)]
    as_given = [Fit(np.zeros(4), root, 9) for root in roots]
    symmetric = [fit_moments(np.zeros(4), root.T @ root) for root in roots]
    size = sum(np.square(root).sum() for root in roots)
    assert frechet(*as_given) == pytest.approx(frechet(*symmetric), abs=1e-6 * size)
    assert cross_term(*as_given) == pytest.approx(cross_term(*symmetric), abs=1e-6 * size)


@given(seed=SEEDS, scale=st.floats(-12, 0))
def test_a_small_distance_keeps_its_digits(seed: int, scale: float) -> None:
    # Differences of traces would be lost below 1e-16; a scaling by 1 + h moves the deviations by h.
    h = 10.0 ** min(scale, -1)
    a = features(seed) - features(seed).mean(axis=0)
    stretched = fit(a)._replace(root=fit(a).root * (1 + h))
    step = (1 + h) - 1
    cost = step**2 * np.square(fit(a).root).sum()
    assert frechet(fit(a), stretched) == pytest.approx(cost, rel=1e-14 / h + 1e-12)


@given(seed=SEEDS)
def test_a_shift_adds_its_squared_length(seed: int) -> None:
    a = features(seed)
    assert frechet_distance(a, a + np.array([3, 0, 4, 0])) == pytest.approx(25, rel=1e-12)


def test_one_set_of_features_may_be_constant() -> None:
    a = features(0)
    shifted = frechet_distance(a, np.zeros((10, 4)))
    expected = float((a.mean(axis=0) ** 2).sum() + np.trace(np.cov(a, rowvar=False)))
    assert shifted == pytest.approx(expected)


@pytest.mark.parametrize(
    ("a", "b", "message"),
    [
        (np.zeros((3, 3)), np.zeros((5, 3)), "a must have more rows than columns.* at least 4 images"),
        (np.zeros((5, 3)), np.zeros((1, 3)), "b must have more rows than columns"),
        (np.zeros((5, 3)), np.zeros(3), r"b must be \(n, d\)"),
        (np.zeros((5, 0)), np.zeros((5, 0)), r"a must be \(n, d\) with d at least 1"),
        (np.zeros((5, 3)), np.zeros((5, 4)), "equally many columns; got 3 and 4"),
        (np.zeros((5, 3)), np.zeros((4, 4)), "equally many columns; got 3 and 4"),
        (np.zeros((5, 3)), np.full((5, 3), np.nan), "b must be finite; got NaN or infinity in 15 of 15"),
        (np.full((5, 3), np.inf), np.zeros((5, 3)), "a must be finite"),
    ],
)
def test_features_without_a_distance_are_refused(a: np.ndarray, b: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        frechet_distance(a, b)


@pytest.mark.holds("metrics.fid-bias")
def test_the_bias_of_the_means_is_what_enumeration_gives() -> None:
    # Every way of drawing 3 rows out of 3, twice: the mean over all is exact, no sample of them.
    a, b = features(0, 3, 2), features(1, 3, 2)
    rows = np.stack(np.meshgrid(*[range(3)] * 3), axis=-1).reshape(-1, 3)
    means_a, means_b = a[rows].mean(axis=1), b[rows].mean(axis=1)
    distances = np.square(means_a[:, None] - means_b[None]).sum(axis=-1)
    # The rows are the whole population, so its covariance divides by 3 and not by 2.
    population = [fit(x)._replace(root=fit(x).root * math.sqrt(2 / 3)) for x in (a, b)]
    truth = np.square(a.mean(axis=0) - b.mean(axis=0)).sum() + mean_bias(*population)
    assert distances.mean() == pytest.approx(truth, rel=1e-12)


# -- classes -------------------------------------------------------------------------------------------------


@pytest.mark.holds("metrics.inception-score-at-least-one", "metrics.inception-score-at-most-classes")
@given(seed=SEEDS, sharpness=st.floats(0.01, 5), classes=st.integers(2, 12))
def test_the_inception_score_lies_between_one_and_the_number_of_classes(
    seed: int, sharpness: float, classes: int
) -> None:
    laws = np.random.default_rng(seed).dirichlet([sharpness] * classes, 20)
    assert (class_information(laws) >= -1e-15).all()
    assert 1 <= inception_score(laws) <= classes


@pytest.mark.holds("metrics.inception-score-best")
def test_one_certain_image_of_each_class_reaches_the_maximum() -> None:
    assert inception_score(np.eye(7)) == pytest.approx(7, rel=1e-14)
    assert inception_score(np.tile([0.5, 0.5, 0], (9, 1))) == 1


@pytest.mark.parametrize(
    ("laws", "message"),
    [
        (np.ones(3), r"must be \(n, K\), not empty; got \(3,\)"),
        (np.ones((0, 3)), "not empty"),
        (np.array([[2.0, -1.0]]), "at least 0 and sum to 1"),
        (np.array([[3.0, 1.0]]), "take a softmax"),
        (np.array([[math.nan, 1.0]]), "at least 0 and sum to 1"),
    ],
)
def test_what_are_no_laws_is_refused(laws: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        inception_score(laws)


def test_laws_may_be_off_by_a_hundred_thousandth() -> None:
    for off in (-0.9e-5, 0.9e-5):
        assert np.isfinite(class_information(np.array([[0.5, 0.5 + off], [0.25, 0.75]]))).all()
    for off in (-1.1e-5, 1.1e-5):
        with pytest.raises(ValueError, match="sum to 1 in every row"):
            class_information(np.array([[0.5, 0.5 + off], [0.25, 0.75]]))


def test_total_variation_counts_what_must_move() -> None:
    p = class_frequencies(np.array([0, 0, 1, 2]), 4)
    assert p.tolist() == [0.5, 0.25, 0.25, 0]
    assert total_variation(p, p) == 0
    assert total_variation(p, np.array([0.25, 0.25, 0.25, 0.25])) == 0.25
    assert total_variation(np.array([1.0, 0]), np.array([0, 1.0])) == 1
    with pytest.raises(ValueError, match="same shape"):
        total_variation(p, np.ones(1))
    with pytest.raises(ValueError, match="must be finite"):
        total_variation(p, p * np.nan)


@pytest.mark.parametrize("labels", [[], [4], [-1, 0]])
def test_labels_outside_the_classes_are_refused(labels: list[int]) -> None:
    with pytest.raises(ValueError, match=r"labels must be one or more of 0\.\.3"):
        class_frequencies(np.array(labels, dtype=np.int64), 4)


# -- how sure ------------------------------------------------------------------------------------------------


def test_the_bootstrap_gives_the_mean_its_known_error() -> None:
    x = np.random.default_rng(0).standard_normal(400)
    found = bootstrap(lambda rows: float(rows.mean()), x, rng=np.random.default_rng(1), resamples=4000)
    known = x.std() / 20  # exactly what resampling does to a mean
    assert found.value == x.mean()
    # Five standard errors of a deviation from 4000 draws; 2.5 % points of a normal to as much.
    assert found.error == pytest.approx(known, rel=5 / math.sqrt(8000))
    assert found.value - found.low == pytest.approx(1.96 * known, rel=0.15)
    assert found.high - found.value == pytest.approx(1.96 * known, rel=0.15)


def test_an_interval_is_not_displaced_by_the_bias_of_resampling() -> None:
    # Of 200 rows drawn from 200 with replacement 63 % are different; the metric falls by that much.
    rows = np.arange(200)
    found = bootstrap(lambda x: len(np.unique(x)) / len(x), rows, rng=np.random.default_rng(2))
    assert found.value == 1
    assert 0.9 < found.low < 1 < found.high < 1.1
    a = features(0, 100)
    bounded = bootstrap(frechet_distance, a, a, rng=np.random.default_rng(2), least=0)
    assert bounded.low == 0  # where the value is; it would lie below


@pytest.mark.parametrize(("resamples", "level"), [(2, 0.5), (40, 0.9), (1000, 0.95), (1000, 0.5)])
def test_an_interval_leaves_out_as_much_on_either_side_as_it_says(resamples: int, level: float) -> None:
    x, y = np.random.default_rng(0).exponential(size=(2, 30))
    found: list[float] = []

    def metric(first: np.ndarray, second: np.ndarray) -> float:
        assert (len(first), len(second)) == (30, 20)
        assert set(first) <= set(x)
        assert set(second) <= set(y)
        found.append(float(first.mean() * second.mean()))
        return found[-1]

    estimate = bootstrap(metric, x, y[:20], rng=np.random.default_rng(1), resamples=resamples, level=level)
    value, *drawn = found
    assert len(drawn) == resamples
    assert estimate.value == value
    assert estimate.error == pytest.approx(stdev(drawn), rel=1e-12)
    displaced = [value - (each - fmean(drawn)) for each in drawn]
    below = sum(each < estimate.low for each in displaced)
    above = sum(each > estimate.high for each in displaced)
    assert below == pytest.approx(resamples * (1 - level) / 2, abs=1)
    assert above == pytest.approx(resamples * (1 - level) / 2, abs=1)


def test_a_bootstrap_resamples_200_times_for_95_percent() -> None:
    x = np.random.default_rng(0).standard_normal(30)
    usual, said, fewer, narrower = (
        bootstrap(np.mean, x, rng=np.random.default_rng(1), **options)
        for options in ({}, {"resamples": 200, "level": 0.95}, {"resamples": 199}, {"level": 0.9})
    )
    assert usual == said
    assert usual != fewer
    assert usual != narrower


def test_neither_end_of_an_interval_passes_the_least_value() -> None:
    # The share of three rows that a draw misses is 0, 1/3 or 2/3, and more often above its mean than below.
    def missed(rows: np.ndarray) -> float:
        return 1 - len(np.unique(rows)) / 3

    free, bounded = (
        bootstrap(missed, np.arange(3), rng=np.random.default_rng(0), level=0.01, **options)
        for options in ({}, {"least": 0})
    )
    assert free.low <= free.high < 0
    assert (bounded.low, bounded.high) == (0, 0)


@pytest.mark.slow
@pytest.mark.parametrize(("apart", "most"), [(0.0, 1.0), (3.0, 0.99)])
def test_intervals_cover_the_mean_of_the_metric_as_often_as_they_say(apart: float, most: float) -> None:
    # 95 % intervals, 200 times. Fewer than 178 covered has a chance of 2e-4 at 95 %; near zero they are wide.
    rng = np.random.default_rng(0)
    reference = fit(rng.standard_normal((10_000, 4)))

    def draw() -> np.ndarray:
        return rng.standard_normal((100, 4)) * [1, 1, 2, 0.5] + [apart, 0, 0, 0]

    def distance(x: np.ndarray) -> float:
        return frechet(fit(x), reference)

    truth = np.mean([distance(draw()) for _ in range(4000)])
    found = [bootstrap(distance, draw(), rng=rng) for _ in range(200)]
    assert 178 <= sum(each.low <= truth <= each.high for each in found) <= most * 200


@pytest.mark.parametrize(("resamples", "level"), [(1, 0.95), (10, 0.0), (10, 1.0)])
def test_a_bootstrap_without_meaning_is_refused(resamples: int, level: float) -> None:
    with pytest.raises(ValueError, match="resamples must be at least 2 and level in"):
        bootstrap(np.mean, np.ones(3), rng=np.random.default_rng(0), resamples=resamples, level=level)
    for sets in ((np.ones(0),), (np.ones(3), np.ones(0)), ()):
        with pytest.raises(ValueError, match="sets must be one or more"):
            bootstrap(np.mean, *sets, rng=np.random.default_rng(0))


def test_a_metric_that_is_not_finite_has_no_interval() -> None:
    with pytest.raises(FloatingPointError, match="got nan or infinity on 11 of 11 sets"):
        bootstrap(lambda x: math.nan, np.ones(3), rng=np.random.default_rng(0), resamples=10)
    values = iter([math.inf, *range(10)])
    with pytest.raises(FloatingPointError, match="got nan or infinity on 1 of 11 sets"):
        bootstrap(lambda x: next(values), np.ones(3), rng=np.random.default_rng(0), resamples=10)
    values = iter([*range(10), math.nan])
    with pytest.raises(FloatingPointError, match="got nan or infinity on 1 of 11 sets"):
        bootstrap(lambda x: next(values), np.ones(3), rng=np.random.default_rng(0), resamples=10)
