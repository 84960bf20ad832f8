"""How good samples are: Fréchet distance and class balance, each beside a floor and a baseline."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.neural_network import MLPClassifier
from threadpoolctl import threadpool_limits
from torch import Tensor

from ddpm_ref.data import Labelled, Split, check_images

Array = npt.NDArray[np.float64]


def sqrt_psd(matrix: Array) -> Array:
    """Compute the symmetric root of a positive semi-definite matrix; eigenvalues below 0 count as 0."""
    eigenvalues, vectors = np.linalg.eigh(matrix)
    root: Array = (vectors * np.sqrt(eigenvalues.clip(min=0))) @ vectors.T
    return root


def frechet_distance(a: Array, b: Array) -> float:
    r"""Compute the squared Fréchet distance between Gaussians fitted to two sets of features.

    $$d^2 = \lVert \mu_a - \mu_b \rVert^2 + \operatorname{tr} \Sigma_a + \operatorname{tr} \Sigma_b
    - 2 \operatorname{tr} \bigl(\Sigma_a^{1/2} \Sigma_b \Sigma_a^{1/2}\bigr)^{1/2}$$

    Every root is of a symmetric positive semi-definite matrix, so nothing complex arises, and singular
    covariances are allowed. The estimate is biased upwards by an amount that shrinks with the number of rows:
    compare only sets of equal size.

    Args:
        a: features, (N, d).
        b: features, (M, d).

    Raises:
        ValueError: if a set is not a finite matrix of at least two rows, or the numbers of columns differ.

    Source: Dowson and Landau 1982; Heusel et al. 2017 (as "FID", with Inception features).
    """
    for name, x in (("a", a), ("b", b)):
        if x.ndim != 2 or len(x) < 2 or not x.shape[1]:
            raise ValueError(
                f"{name} must be features (N, d) with N at least 2 and d at least 1; got {x.shape}"
            )
        if not np.isfinite(x).all():
            raise ValueError(
                f"{name} must be finite; got NaN or infinity in {(~np.isfinite(x)).sum()} values"
            )
    if a.shape[1] != b.shape[1]:
        raise ValueError(f"a and b must have equally many columns; got {a.shape[1]} and {b.shape[1]}")
    a, b = a.astype(np.float64), b.astype(np.float64)
    cov_a, cov_b = np.atleast_2d(np.cov(a, rowvar=False)), np.atleast_2d(np.cov(b, rowvar=False))
    root_a = sqrt_psd(cov_a)
    cross = np.trace(sqrt_psd(root_a @ cov_b @ root_a))
    means = np.sum((a.mean(axis=0) - b.mean(axis=0)) ** 2)
    return max(0.0, float(means + np.trace(cov_a) + np.trace(cov_b) - 2 * cross))


def class_frequencies(labels: npt.NDArray[np.int64], classes: int) -> Array:
    """Count each of the classes 0..classes−1 and divide by the number of labels."""
    return np.bincount(labels, minlength=classes) / len(labels)


def total_variation(p: Array, q: Array) -> float:
    r"""Compute $\frac12 \sum_k |p_k - q_k|$: the share that would have to change class to turn p into q.

    Raises:
        ValueError: if the shapes differ.
    """
    if p.shape != q.shape:
        raise ValueError(f"p and q must have the same shape; got {p.shape} and {q.shape}")
    return float(np.abs(p - q).sum() / 2)


class DigitsClassifier:
    """A small network that was trained on the training digits only, always the same one.

    Two hidden layers; the second, of 32 units, gives the features of the Fréchet distance.
    """

    def __init__(self, train: Labelled) -> None:
        self._network = MLPClassifier(
            (128, 32), alpha=1.0, learning_rate_init=3e-3, tol=1e-3, max_iter=1000, random_state=0
        )
        with threadpool_limits(1, user_api="blas"):  # threads would cost more than such small matrices gain
            self._network.fit(_pixels(train.images), train.labels.numpy())
        self.classes = len(self._network.classes_)

    def features(self, images: Tensor) -> Array:
        """Activations of the last hidden layer, (N, 32), for images (N, C, H, W) in [-1, 1]."""
        h = _pixels(images)
        hidden = zip(self._network.coefs_[:-1], self._network.intercepts_[:-1], strict=True)
        for weight, bias in hidden:
            h = np.maximum(h @ weight + bias, 0)
        return h

    def predict(self, images: Tensor) -> npt.NDArray[np.int64]:
        """Give the class of each image, (N,), for images (N, C, H, W) in [-1, 1]."""
        labels: npt.NDArray[np.int64] = self._network.predict(_pixels(images)).astype(np.int64)
        return labels

    def accuracy(self, data: Labelled) -> float:
        """Give the share of `data` that is classified rightly."""
        return float(np.mean(self.predict(data.images) == data.labels.numpy()))


def fitted_gaussian(images: Tensor, n: int, rng: np.random.Generator) -> Tensor:
    """Draw n images from the Gaussian with the mean and covariance of the pixels, clipped to [-1, 1]."""
    x = _pixels(images)
    root = sqrt_psd(np.cov(x, rowvar=False))
    drawn = x.mean(axis=0) + rng.standard_normal((n, x.shape[1])) @ root
    return images.new_tensor(drawn.clip(-1, 1)).reshape(n, *images.shape[1:])


@dataclass(frozen=True)
class Score:
    """One row of the comparison: means over resamples, and their standard deviation (0 for a single set).

    Attributes:
        frechet: Fréchet distance to the held-out images.
        frechet_sd: its standard deviation.
        imbalance: total variation between the class frequencies and those of the held-out images.
        imbalance_sd: its standard deviation.
        per_class: share of each class.
    """

    frechet: float
    frechet_sd: float
    imbalance: float
    imbalance_sd: float
    per_class: tuple[float, ...]


@dataclass(frozen=True)
class Evaluation:
    """How good a set of samples is.

    Attributes:
        n: images in every set that is compared with the held-out ones.
        held_out_images: how many those are.
        resamples: sets drawn for the floor and for the baseline.
        accuracy: share of the held-out images that the classifier gets right.
        held_out: class frequencies of the held-out images, by their true labels.
        floor: real training images against the held-out ones: as good as it gets with n images.
        model: the samples.
        baseline: a Gaussian fitted to the training pixels.
    """

    n: int
    held_out_images: int
    resamples: int
    accuracy: float
    held_out: tuple[float, ...]
    floor: Score
    model: Score
    baseline: Score

    def to_dict(self) -> dict[str, Any]:
        """Give everything as plain numbers, for JSON."""
        return asdict(self)


def evaluate(samples: Tensor, split: Split, *, resamples: int = 10, seed: int = 0) -> Evaluation:
    """Compare samples with the held-out images, beside a floor and a baseline of the same size.

    Args:
        samples: (n, C, H, W) in [-1, 1], with n between 2 and the number of training images.
        split: the data; the classifier is trained on its training part.
        resamples: sets drawn for the floor and the baseline.
        seed: of these draws.

    Raises:
        ValueError: if the samples have the wrong shape or number, or hold NaN or values outside [-1, 1].
    """
    train, held_out = split
    n = len(samples)
    if samples.shape[1:] != train.images.shape[1:]:
        raise ValueError(f"samples must be (n, {tuple(train.images.shape[1:])}); got {tuple(samples.shape)}")
    if not 2 <= n <= len(train.images):
        raise ValueError(f"samples must be 2..{len(train.images)} images; got {n}")
    check_images(samples)
    classifier = DigitsClassifier(train)
    reference = classifier.features(held_out.images)
    expected = class_frequencies(held_out.labels.numpy(), classifier.classes)
    rng = np.random.default_rng(seed)

    def score(sets: Iterator[Tensor]) -> Score:
        frechet, imbalance, shares = [], [], []
        for images in sets:
            shares.append(class_frequencies(classifier.predict(images), classifier.classes))
            frechet.append(frechet_distance(classifier.features(images), reference))
            imbalance.append(total_variation(shares[-1], expected))
        return Score(
            float(np.mean(frechet)),
            float(np.std(frechet)),
            float(np.mean(imbalance)),
            float(np.std(imbalance)),
            tuple(np.mean(shares, axis=0).tolist()),
        )

    return Evaluation(
        n=n,
        held_out_images=len(held_out.images),
        resamples=resamples,
        accuracy=classifier.accuracy(held_out),
        held_out=tuple(expected.tolist()),
        floor=score(train.images[rng.permutation(len(train.images))[:n]] for _ in range(resamples)),
        model=score(iter([samples])),
        baseline=score(fitted_gaussian(train.images, n, rng) for _ in range(resamples)),
    )


def _pixels(images: Tensor) -> Array:
    return images.flatten(1).double().cpu().numpy()
