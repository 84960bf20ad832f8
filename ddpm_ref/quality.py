"""How good samples are: each metric beside a floor, real images, and a baseline, a fitted Gaussian."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from threadpoolctl import threadpool_limits
from torch import Tensor

from ddpm_ref.data import Split, check_images
from ddpm_ref.features import Described, Extractor, Pixels, TrainedClassifier, flat
from ddpm_ref.metrics import (
    bootstrap,
    class_frequencies,
    fit,
    frechet,
    inception_score,
    sqrt_psd,
    total_variation,
)

__all__ = [
    "Quality",
    "Score",
    "check_number",
    "fitted_gaussian",
    "judge",
    "usual_extractor",
    "usual_width",
]

SMALL = 256  # values of an image up to which a classifier of raw pixels learns well, in seconds
FEW = 512  # columns


@dataclass(frozen=True)
class Score:
    """One row of the comparison; what needs classes is None where the extractor knows none.

    Attributes:
        frechet: Fréchet distance to the held-out images.
        frechet_sd: its standard deviation, over draws of the set, for the model over bootstrap draws; the
            held-out images stay as they are.
        inception: inception score.
        inception_sd: its standard deviation.
        imbalance: total variation between the class frequencies and those of the held-out images.
        imbalance_sd: its standard deviation.
        per_class: share of each class.
    """

    frechet: float
    frechet_sd: float
    inception: float | None = None
    inception_sd: float | None = None
    imbalance: float | None = None
    imbalance_sd: float | None = None
    per_class: tuple[float, ...] | None = None


@dataclass(frozen=True)
class Quality:
    """How good a set of samples is.

    Attributes:
        features: what the images are compared by.
        n: images in every set that is compared with the held-out ones.
        held_out_images: how many those are.
        draws: sets drawn for the floor and for the baseline.
        resamples: of the bootstrap.
        accuracy: share of the held-out images that the classifier gets right; None without one.
        held_out: class frequencies of the held-out images, by their true labels; None without a classifier.
        floor: real training images against the held-out ones: as good as it gets with n images.
        model: the samples.
        baseline: a Gaussian fitted to the training pixels.
        intervals: of the model's metrics by name, 95 %, by bootstrap.
        outside: share of the samples' values that lay outside [-1, 1] and were moved to the nearest end.
    """

    features: str
    n: int
    held_out_images: int
    draws: int
    resamples: int
    accuracy: float | None
    held_out: tuple[float, ...] | None
    floor: Score
    model: Score
    baseline: Score
    intervals: dict[str, tuple[float, float]]
    outside: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        """Give everything as plain numbers, for JSON."""
        return asdict(self)


def usual_extractor(split: Split) -> tuple[str, Extractor]:
    """Choose what to compare images by: a classifier, for small images with labels; else pooled pixels."""
    if _classes(split):
        return "classifier", TrainedClassifier(split.train)
    return "pixels", Pixels()


def usual_width(split: Split) -> tuple[str, int]:
    """Name what images are usually compared by, and give its number of features, without training it."""
    if _classes(split):
        return "classifier", TrainedClassifier.WIDTH
    return "pixels", Pixels()(split.train.images[:1]).features.shape[1]


def _classes(split: Split) -> bool:
    return split.train.images[0].numel() <= SMALL and len(torch.unique(split.train.labels)) >= 2


def check_number(name: str, n: int, features: str, width: int, split: Split) -> None:
    """Refuse a number of samples that cannot be judged.

    Args:
        name: of the number, for the error.
        n: the samples.
        features: what they are to be compared by.
        width: how many features that has.
        split: the images that they are to be compared with.

    Raises:
        ValueError: if n is not above the number of features or exceeds the training images, or the held-out
            images are too few for these features.
    """
    real, held_out = (len(part.images) for part in split)
    if held_out <= width:
        raise ValueError(
            f"held-out images must be at least {width + 1} to judge by {width} features ({features}); "
            f"got {held_out}: take more images, or {name} 0 for none"
        )
    if not width < n <= real:
        raise ValueError(
            f"{name} must be in {width + 1}..{real}: above the number of features ({features}), and no more "
            f"than there are real images to compare with; or 0 for none; got {n}"
        )


def fitted_gaussian(images: Tensor, n: int, rng: np.random.Generator, bounded: bool = True) -> Tensor:
    """Draw n images from the Gaussian with the pixels' mean and covariance, clipped to [-1, 1] if bounded."""
    x = flat(images)
    root = sqrt_psd(np.cov(x, rowvar=False))
    drawn = x.mean(axis=0) + rng.standard_normal((n, x.shape[1])) @ root
    return images.new_tensor(drawn.clip(-1, 1) if bounded else drawn).reshape(n, *images.shape[1:])


def judge(
    samples: Tensor,
    split: Split,
    *,
    extractor: tuple[str, Extractor] | None = None,
    draws: int = 10,
    resamples: int = 200,
    seed: int = 0,
    bounded: bool = True,
    clip: bool = False,
) -> Quality:
    """Compare samples with the held-out images, beside a floor and a baseline of the same size.

    Args:
        samples: (n, C, H, W), with n at most the number of training images, and above the number
            of features.
        split: the data.
        extractor: what to compare by and its name; `usual_extractor` if not given.
        draws: sets drawn for the floor and for the baseline, at least 1.
        resamples: of the bootstrap, at least 2.
        seed: of these draws.
        bounded: whether images must lie in [-1, 1], as all but those of continuous laws do.
        clip: if so, whether values of the samples outside are moved to the nearest end, as a picture of them
            has it, rather than refused; a sampler that does not clip leaves some.

    Raises:
        ValueError: if the samples have the wrong shape or number, or hold NaN or values outside [-1, 1].
    """
    train, held_out = split
    n = len(samples)
    if samples.shape[1:] != train.images.shape[1:]:
        raise ValueError(f"samples must be (n, {tuple(train.images.shape[1:])}); got {tuple(samples.shape)}")
    if not 2 <= n <= len(train.images):
        raise ValueError(f"samples must be 2..{len(train.images)} images; got {n}")
    if draws < 1:
        raise ValueError(f"draws must be at least 1; got {draws}")
    outside = 0.0
    if bounded and clip:
        outside = float((samples.abs() > 1).double().mean())
        samples = samples.clamp(-1, 1)
    if bounded:
        check_images(samples)
    name, describe = extractor or usual_extractor(split)
    real, drawn = describe(held_out.images), describe(samples)
    reference = fit(real.features, "the held-out images' features")
    fit(drawn.features, "the samples' features")
    expected = accuracy = None
    if real.probabilities is not None and real.probabilities.shape[1] == len(torch.unique(train.labels)):
        labels = held_out.labels.numpy()
        expected = class_frequencies(labels, real.probabilities.shape[1])
        accuracy = float(np.mean(real.probabilities.argmax(axis=1) == labels))

    def score(sets: Iterable[Described]) -> Score:
        columns: dict[str, list[float]] = {"frechet": [], "inception": [], "imbalance": []}
        shares = []
        for features, p in sets:
            columns["frechet"].append(frechet(fit(features), reference))
            if p is not None:
                columns["inception"].append(inception_score(p))
                if expected is not None:
                    shares.append(class_frequencies(p.argmax(axis=1), len(expected)))
                    columns["imbalance"].append(total_variation(shares[-1], expected))
        means = {metric: float(np.mean(values)) for metric, values in columns.items() if values}
        deviations = {f"{metric}_sd": float(np.std(columns[metric])) for metric in means}
        return Score(
            **means, **deviations, per_class=tuple(np.mean(shares, axis=0).tolist()) if shares else None
        )

    rng = np.random.default_rng(seed)
    # Threads would cost more than matrices with few columns gain.
    with threadpool_limits(1 if len(reference.mean) <= FEW else None, user_api="blas"):
        floor = score(describe(train.images[rng.permutation(len(train.images))[:n]]) for _ in range(draws))
        baseline = score(describe(fitted_gaussian(train.images, n, rng, bounded)) for _ in range(draws))

        model = score([drawn])
        again = partial(bootstrap, rng=rng, resamples=resamples)
        estimates = {"frechet": again(lambda x: frechet(fit(x), reference), drawn.features, least=0)}
        if (p := drawn.probabilities) is not None:
            estimates["inception"] = again(inception_score, p, least=1)
            if (frequencies := expected) is not None:
                estimates["imbalance"] = again(
                    lambda k: total_variation(class_frequencies(k, len(frequencies)), frequencies),
                    p.argmax(axis=1),
                    least=0,
                )
        deviations: dict[str, Any] = {
            f"{metric}_sd": estimate.error for metric, estimate in estimates.items()
        }
    return Quality(
        features=name,
        n=n,
        held_out_images=len(held_out.images),
        draws=draws,
        resamples=resamples,
        accuracy=accuracy,
        held_out=None if expected is None else tuple(expected.tolist()),
        floor=floor,
        model=replace(model, **deviations),
        baseline=baseline,
        intervals={metric: (estimate.low, estimate.high) for metric, estimate in estimates.items()},
        outside=outside,
    )
