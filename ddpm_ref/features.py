"""What the metrics compare images by: a fixed classifier, pooled pixels, Inception features, or your own.

An extractor is any callable from images (n, C, H, W) in [-1, 1] to a `Described`: a row of features for each
image, and the law over classes where it is a classifier.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from threadpoolctl import threadpool_limits
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

from ddpm_ref.data import Labelled, check_images
from ddpm_ref.metrics import Array

__all__ = ["Described", "Extractor", "Inception", "Pixels", "TrainedClassifier", "flat"]


class Described(NamedTuple):
    """What an extractor gives for n images, a row for each."""

    features: Array  # (n, d): for the Fréchet distance
    probabilities: Array | None  # (n, K): for the inception score and the balance of classes; None without


Extractor = Callable[[Tensor], Described]
"""`images -> Described`."""


class Pixels:
    """The pixels themselves, averaged over tiles so that few enough are left for a covariance.

    Args:
        side: height and width after averaging, at most; smaller images stay as they are.

    Raises:
        ValueError: if `side` is below 1.
    """

    def __init__(self, side: int = 8) -> None:
        if side < 1:
            raise ValueError(f"side must be at least 1; got {side}")
        self.side = side

    def __call__(self, images: Tensor) -> Described:
        """Give the averaged pixels of each image, (n, C h w) with h and w at most `side`; no classes.

        Raises:
            ValueError: if the images are not (n, C, H, W).
        """
        if images.ndim != 4:
            raise ValueError(f"images must be (n, C, H, W); got {tuple(images.shape)}")
        h, w = (min(self.side, length) for length in images.shape[2:])
        return Described(flat(adaptive_avg_pool2d(images.double(), (h, w))), None)


class TrainedClassifier:
    """A small network that was trained on the given images only, always the same one.

    Two hidden layers; the second, of 32 units, gives the features of the Fréchet distance.

    Args:
        train: what it is trained on, at least two classes 0..K−1, each with an example.

    Raises:
        ValueError: if the images or their labels are not such.
    """

    WIDTH = 32

    def __init__(self, train: Labelled) -> None:
        check_images(train.images)
        found = torch.unique(train.labels).tolist()
        if len(train.labels) != len(train.images) or len(found) < 2 or found != list(range(len(found))):
            raise ValueError(
                "labels must name a class 0..K−1 for each image, K at least 2, none of them empty; got "
                f"{len(train.labels)} labels for {len(train.images)} images, of the classes {found[:12]}"
            )
        self._shape = train.images.shape[1:]
        from sklearn.neural_network import MLPClassifier  # a second of imports

        self._network = MLPClassifier(
            (128, self.WIDTH), alpha=1.0, learning_rate_init=3e-3, tol=1e-3, max_iter=1000, random_state=0
        )
        with threadpool_limits(1, user_api="blas"):  # threads would cost more than such small matrices gain
            self._network.fit(flat(train.images), train.labels.numpy())

    def __call__(self, images: Tensor) -> Described:
        """Give the activations of the last hidden layer, (n, 32), and the law over the classes, (n, K).

        Raises:
            ValueError: if the images have another shape than those it was trained on, or are not in [-1, 1].
        """
        check_images(images)
        if images.shape[1:] != self._shape:
            raise ValueError(
                f"images must be (n, {', '.join(map(str, self._shape))}), as the classifier was trained; "
                f"got {tuple(images.shape)}: train one on such images"
            )
        x = h = flat(images)
        for weight, bias in zip(self._network.coefs_[:-1], self._network.intercepts_[:-1], strict=True):
            h = np.maximum(h @ weight + bias, 0)
        return Described(h, self._network.predict_proba(x))


class Inception:
    """The Inception network of the published FID and inception score, by torch-fidelity.

    torch-fidelity carries TensorFlow's way of resizing and its patched blocks, so the numbers are comparable
    with published ones. Its weights are looked for where it would put them, in `weights`, or not at all:
    nothing is downloaded.

    Args:
        weights: the file of its weights; if not given, PyTorch's hub folder.
        device: where to compute.
        batch: images that go through the network together.

    Raises:
        ImportError: if torch-fidelity, or the torchvision that it needs, is missing or does not fit PyTorch.
        FileNotFoundError: if the weights are not there.
        ValueError: if the file is not one of these weights.

    Source: Heusel et al. 2017; Salimans et al. 2016.
    """

    def __init__(
        self, weights: Path | None = None, device: torch.device | str = "cpu", batch: int = 64
    ) -> None:
        try:
            library = import_module("torch_fidelity.feature_extractor_inceptionv3")
        except (ImportError, RuntimeError) as error:  # torchvision raises the second if it is not torch's own
            raise ImportError(
                f"Inception features need torch-fidelity and its torchvision, made for this torch; {error}: "
                "pip install -c constraints.txt 'ddpm-ref[inception]'"
            ) from error
        url: str = library.URL_INCEPTION_V3
        path = weights or Path(torch.hub.get_dir()) / "checkpoints" / url.rpartition("/")[2]
        if not path.is_file():
            raise FileNotFoundError(f"Inception's weights must be at {path}; download them from {url}")
        try:
            # The library unpickles whatever it is given. What passes here holds tensors only.
            torch.load(path, weights_only=True, map_location="cpu")
            network = library.FeatureExtractorInceptionV3(
                "inception-v3-compat", ["2048", "logits_unbiased"], feature_extractor_weights_path=str(path)
            )
        except Exception as error:  # unpickling can raise anything
            reason = str(error).partition("\n")[0]
            raise ValueError(f"{path} must hold the weights of {url}; {reason}") from error
        self._network, self._device, self._batch = network.to(device), torch.device(device), batch

    def __call__(self, images: Tensor) -> Described:
        """Give the 2048 pooled features and the law over 1,008 classes, for 1 or 3 channels of any size.

        Values are rounded to whole grey levels, 0 to 255, as if the images had been saved.

        Raises:
            ValueError: if the images are not (n, 1 or 3, H, W) in [-1, 1].
        """
        check_images(images)
        if images.shape[1] not in (1, 3):
            raise ValueError(f"images must have 1 or 3 channels for Inception; got {images.shape[1]}")
        features, logits = [], []
        with torch.no_grad():
            for part in torch.split(images, self._batch):
                grey = ((part.to(self._device).float() + 1) * 127.5).round().to(torch.uint8)
                pooled, unbiased = self._network(grey.expand(-1, 3, -1, -1))
                features.append(pooled)
                logits.append(unbiased)
        return Described(flat(torch.cat(features)), flat(torch.cat(logits).double().softmax(dim=1)))


def flat(images: Tensor) -> Array:
    """Lay each image out in a row, in float64, on the CPU."""
    rows: Array = images.flatten(1).double().cpu().numpy()
    return rows
