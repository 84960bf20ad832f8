"""Metrics of samples, on features of the user's choice: Fréchet distance, inception score, class balance.

All take plain arrays, a row for each image; where rows come from is the business of `features`. Each is an
estimate, so `bootstrap` says how far it would move if other images had been drawn.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

__all__ = [
    "Array",
    "Estimate",
    "Fit",
    "bootstrap",
    "class_frequencies",
    "class_information",
    "cross_term",
    "fit",
    "fit_moments",
    "frechet",
    "frechet_distance",
    "inception_score",
    "mean_bias",
    "sqrt_psd",
    "total_variation",
]

Array = npt.NDArray[np.float64]


# -- the Fréchet distance ------------------------------------------------------------------------------------


class Fit(NamedTuple):
    r"""A Gaussian, by its mean and a root of its covariance: $\Sigma = R^\top R$."""

    mean: Array  # (d,)
    root: Array  # (r, d)
    n: float  # rows that it was fitted to; infinite where the moments are exact


def fit(features: Array, name: str = "features") -> Fit:
    """Fit a Gaussian to features; the root is the triangle of a QR decomposition, so nothing is squared.

    Args:
        features: (n, d), with more rows than columns.
        name: what errors call them.

    Raises:
        ValueError: if the features are not a finite matrix, or too few for a covariance of full rank.
    """
    if features.ndim != 2 or not features.shape[1]:
        raise ValueError(f"{name} must be (n, d) with d at least 1; got {features.shape}")
    n, d = features.shape
    if n <= d:
        raise ValueError(
            f"{name} must have more rows than columns, else their covariance is singular whatever the data; "
            f"got {n} rows of {d}: take at least {d + 1} images, or fewer features"
        )
    if bad := int((~np.isfinite(features)).sum()):
        raise ValueError(f"{name} must be finite; got NaN or infinity in {bad} of {features.size} values")
    x = features.astype(np.float64)
    mean = x.mean(axis=0)
    triangle: Array = np.asarray(np.linalg.qr(x - mean, mode="r"))
    return Fit(mean, triangle / math.sqrt(n - 1), n)


def fit_moments(mean: Array, covariance: Array, n: float = math.inf) -> Fit:
    """Take a Gaussian by its moments, as files of reference statistics hold them.

    Args:
        mean: (d,).
        covariance: (d, d), symmetric, positive semi-definite up to round-off.
        n: rows that the moments were estimated from, if they were.

    Raises:
        ValueError: if the shapes do not fit, a value is not finite, or the covariance is not one.
    """
    if mean.ndim != 1 or not len(mean) or covariance.shape != (len(mean), len(mean)):
        raise ValueError(
            f"mean and covariance must be (d,) and (d, d); got {mean.shape} and {covariance.shape}"
        )
    if not (np.isfinite(mean).all() and np.isfinite(covariance).all()):
        raise ValueError("mean and covariance must be finite; got NaN or infinity")
    return Fit(mean.astype(np.float64), sqrt_psd(covariance.astype(np.float64)), n)


def sqrt_psd(matrix: Array) -> Array:
    """Compute the symmetric root of a positive semi-definite matrix; eigenvalues that round-off made negative
    count as 0.

    Claim: [metrics.trace-of-root][].

    Raises:
        ValueError: if the matrix is not symmetric, or has an eigenvalue too negative to be round-off.
    """  # noqa: D205 (the sentence is longer than a line)
    scale = float(np.abs(matrix).max())
    if not np.allclose(matrix, matrix.T, rtol=0, atol=1e-6 * scale):
        raise ValueError(
            f"a covariance must be symmetric; got a difference of {np.abs(matrix - matrix.T).max():g}"
        )
    eigenvalues, vectors = np.linalg.eigh(matrix)
    if eigenvalues[0] < -1e-6 * scale * len(matrix):  # float32 statistics are this far off
        raise ValueError(
            f"a covariance must be positive semi-definite; got the eigenvalue {eigenvalues[0]:g}"
        )
    root: Array = (vectors * np.sqrt(eigenvalues.clip(min=0))) @ vectors.T
    return root


def cross_term(a: Fit, b: Fit) -> float:
    r"""Compute the cross term of the distance, without the root of a matrix.

    $$\operatorname{tr} \bigl(\Sigma_a^{1/2} \Sigma_b \Sigma_a^{1/2}\bigr)^{1/2}
    = \lVert R_a R_b^\top \rVert_*$$

    The right-hand side is the sum of the singular values, and does not depend on which roots are taken.

    Claims: [metrics.cross-term][], [metrics.trace-of-root][] where one covariance is the identity.
    """
    return float(np.linalg.svd(a.root @ b.root.T, compute_uv=False).sum())


def frechet(a: Fit, b: Fit) -> float:
    r"""Compute the squared Fréchet distance between two Gaussians, as a sum of squares.

    $$d^2 = \lVert \mu_a - \mu_b \rVert^2 + \operatorname{tr} \bigl(\Sigma_a + \Sigma_b
    - 2 (\Sigma_a^{1/2} \Sigma_b \Sigma_a^{1/2})^{1/2}\bigr)
    = \lVert \mu_a - \mu_b \rVert^2 + \lVert R_a - Q R_b \rVert^2$$

    with $Q = U V^\top$ from the singular value decomposition of $R_a R_b^\top$: the orthogonal matrix that
    brings the roots closest. Nothing cancels, nothing complex arises, the result is never negative, and
    covariances may be singular.

    Claims: [metrics.frechet-isotropic][], [metrics.frechet-2x2][], [metrics.frechet-zero][].
    Source: Dowson and Landau 1982.

    Raises:
        ValueError: if the Gaussians differ in dimension.
    """
    if len(a.mean) != len(b.mean):
        raise ValueError(f"a and b must have equally many columns; got {len(a.mean)} and {len(b.mean)}")
    rows = max(len(a.root), len(b.root))
    root_a, root_b = (np.pad(x.root, ((0, rows - len(x.root)), (0, 0))) for x in (a, b))
    u, _, v = np.linalg.svd(root_a @ root_b.T)
    return float(np.square(a.mean - b.mean).sum() + np.square(root_a - u @ v @ root_b).sum())


def frechet_distance(a: Array, b: Array) -> float:
    r"""Compute the squared Fréchet distance between the Gaussians fitted to two sets of features.

    The formula is that of `frechet`. The estimate is biased upwards, the less the more rows
    ([metrics.fid-bias][] gives the part of the means): compare only sets of equal size. It sees means and
    covariances and nothing else ([metrics.fid-blind][]).

    Args:
        a: features, (n, d), with n above d.
        b: features, (m, d), with m above d.

    Raises:
        ValueError: if a set is not a finite matrix, is too small for a covariance, or the numbers of columns
            differ.

    Source: Heusel et al. 2017 (as "FID", with Inception features).
    """
    if a.ndim == b.ndim == 2 and a.shape[1] != b.shape[1]:
        raise ValueError(f"a and b must have equally many columns; got {a.shape[1]} and {b.shape[1]}")
    return frechet(fit(a, "a"), fit(b, "b"))


def mean_bias(a: Fit, b: Fit) -> float:
    r"""Compute how much too large the squared distance of two estimated means is on average.

    $\operatorname{tr} \Sigma_a / n_a + \operatorname{tr} \Sigma_b / n_b$, in the units of the distance. The
    covariances add a bias of their own, of the same order, which has no such formula.

    Claim: [metrics.fid-bias][].
    """
    return float(sum(np.square(x.root).sum() / x.n for x in (a, b)))


# -- classes -------------------------------------------------------------------------------------------------


def class_information(probabilities: Array) -> Array:
    r"""Compute what each class adds to the logarithm of the inception score.

    $$a_k = \frac1n \sum_x p(k \mid x) \log \frac{p(k \mid x)}{p(k)}, \qquad
    p(k) = \frac1n \sum_x p(k \mid x)$$

    in nats, with 0 log 0 = 0. They sum to the mutual information of image and class.

    Claims: [metrics.inception-score][]; each is at least 0, [metrics.inception-score-at-least-one][].

    Args:
        probabilities: the classifier's law for each image, (n, K), rows summing to 1.

    Returns:
        Shape (K,).

    Raises:
        ValueError: if the rows are not laws.
    """
    p = np.asarray(probabilities, dtype=np.float64)
    if p.ndim != 2 or not p.size:
        raise ValueError(f"probabilities must be (n, K), not empty; got {p.shape}")
    if not np.isfinite(p).all() or p.min() < 0 or not np.allclose(p.sum(axis=1), 1, rtol=0, atol=1e-5):
        raise ValueError("probabilities must be at least 0 and sum to 1 in every row; take a softmax")
    ratio = np.divide(p, p.mean(axis=0), out=np.ones_like(p), where=p > 0)
    information: Array = (p * np.log(ratio)).mean(axis=0)
    return information


def inception_score(probabilities: Array) -> float:
    r"""Compute the inception score, $\exp \sum_k a_k$, between 1 and the number of classes.

    It looks at the samples alone, and cannot see variety within a class ([metrics.inception-score-best][]).

    Claims: [metrics.inception-score][], [metrics.inception-score-at-most-classes][].
    Source: Salimans et al. 2016.

    Args:
        probabilities: the classifier's law for each image, (n, K), rows summing to 1.

    Raises:
        ValueError: if the rows are not laws.
    """
    return float(np.exp(class_information(probabilities).sum()))


def class_frequencies(labels: npt.NDArray[np.int64], classes: int) -> Array:
    """Count each of the classes 0..classes−1 and divide by the number of labels.

    Raises:
        ValueError: if there are no labels, or one is not among the classes.
    """
    if not len(labels) or labels.min() < 0 or labels.max() >= classes:
        raise ValueError(f"labels must be one or more of 0..{classes - 1}; got {labels}")
    return np.bincount(labels, minlength=classes) / len(labels)


def total_variation(p: Array, q: Array) -> float:
    r"""Compute $\frac12 \sum_k |p_k - q_k|$: the share that would have to change class to turn p into q.

    Raises:
        ValueError: if the shapes differ, or a share is not finite.
    """
    if p.shape != q.shape:
        raise ValueError(f"p and q must have the same shape; got {p.shape} and {q.shape}")
    if not (np.isfinite(p).all() and np.isfinite(q).all()):
        raise ValueError("p and q must be finite; got NaN or infinity")
    return float(np.abs(p - q).sum() / 2)


# -- how sure ------------------------------------------------------------------------------------------------


class Estimate(NamedTuple):
    """A metric with its standard error and its interval."""

    value: float
    error: float  # standard error
    low: float  # the interval's ends
    high: float


def bootstrap(
    metric: Callable[..., float],
    *sets: npt.NDArray[Any],
    rng: np.random.Generator,
    resamples: int = 200,
    level: float = 0.95,
    least: float = -math.inf,
) -> Estimate:
    r"""Estimate a metric's spread by drawing the rows of each set anew, with replacement.

    With $\theta$ the metric and $\theta^*$ its values on the resampled sets, the standard error is the
    deviation of $\theta^*$, and the interval holds $\theta - (\theta^* - \overline{\theta^*})$ with
    probability `level`. It is an interval for the *mean of the metric over sets of this size*: the Fréchet
    distance is biased, and more so on resampled rows; the difference is taken out, while the bias at this
    size stays, as it does in anything of the same size that the value is compared with.

    Near zero the distance is quadratic in what is estimated, and resampling overstates its spread: intervals
    are then too wide, by a factor of up to about two.

    Args:
        metric: from the sets to a number.
        sets: a row for each independent draw.
        rng: source of the draws.
        resamples: how many, at least 2; the error's own relative error is about $1/\sqrt{2 \cdot}$ that.
        level: of the interval, in (0, 1).
        least: the smallest value that the metric can have; the interval ends there.

    Raises:
        ValueError: if `resamples` or `level` is out of range, or a set is empty.
        FloatingPointError: if the metric is not finite.

    Source: Efron and Tibshirani 1993, chapters 6 and 13.
    """
    if resamples < 2 or not 0 < level < 1:
        raise ValueError(f"resamples must be at least 2 and level in (0, 1); got {resamples} and {level}")
    if not sets or not all(len(rows) for rows in sets):
        raise ValueError("sets must be one or more, none of them empty")
    value = metric(*sets)
    drawn = np.array(
        [metric(*(rows[rng.integers(len(rows), size=len(rows))] for rows in sets)) for _ in range(resamples)]
    )
    if bad := int((~np.isfinite([value, *drawn])).sum()):
        raise FloatingPointError(
            f"metric must be finite; got nan or infinity on {bad} of {resamples + 1} sets"
        )
    tail = (1 - level) / 2
    low, high = value - np.quantile(drawn - drawn.mean(), [1 - tail, tail])
    return Estimate(value, float(drawn.std(ddof=1)), max(least, float(low)), max(least, float(high)))
