"""The real images that the presets train on, split for honest evaluation, and the stream of batches."""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import Tensor

HELD_OUT = 500
SPLIT_SEED = 0


class Labelled(NamedTuple):
    """Images with their classes: float32 (N, C, H, W) in [-1, 1], and int64 (N,)."""

    images: Tensor
    labels: Tensor


class Split(NamedTuple):
    """What a model is trained on, and what it is judged by and never sees."""

    train: Labelled
    held_out: Labelled


def digits() -> Split:
    r"""Load scikit-learn's 1,797 handwritten digits of 8×8 pixels: 1,297 to train on and 500 held out.

    Grey values $v \in \{0, \dots, 16\}$ become $v/8 - 1$, exactly. The split is the same every time, and each
    of the ten classes has the same share of both parts, up to rounding.

    Source: E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits, UCI (1998), as shipped with
    scikit-learn.
    """
    grey, labels = load_digits(return_X_y=True)
    images = torch.from_numpy(grey / 8 - 1).float().reshape(-1, 1, 8, 8)
    check_images(images)
    train, held_out = train_test_split(
        range(len(labels)), test_size=HELD_OUT, stratify=labels, random_state=SPLIT_SEED
    )
    classes = torch.from_numpy(labels).long()
    return Split(Labelled(images[train], classes[train]), Labelled(images[held_out], classes[held_out]))


def check_images(images: Tensor) -> None:
    """Refuse images that the forward process is not meant for.

    Raises:
        ValueError: if `images` is not a non-empty float tensor (N, C, H, W), or holds NaN or values outside
            [-1, 1].
    """
    if images.ndim != 4 or not images.is_floating_point() or not images.numel():
        raise ValueError(
            f"images must be floating-point (N, C, H, W), not empty; got {images.dtype} {tuple(images.shape)}"
        )
    if bad := int(images.isnan().sum()):
        raise ValueError(f"images must be in [-1, 1]; got NaN in {bad} of {images.numel()} values")
    low, high = float(images.min()), float(images.max())
    if low < -1 or high > 1:
        raise ValueError(f"images must be in [-1, 1]; got values from {low:g} to {high:g}")


def batches(images: Tensor, batch_size: int, generator: torch.Generator) -> Iterator[Tensor]:
    """Deal out the images without end, each epoch in a new random order.

    Batches are always full: one that meets the end of an epoch takes the rest from the next.

    Args:
        images: (N, ...), on any device.
        batch_size: images per batch, at least 1; it may exceed N.
        generator: source of the permutations, on any device.

    Raises:
        ValueError: if `batch_size` is below 1 or there are no images.
    """
    if batch_size < 1:
        raise ValueError(f"batch_size must be at least 1; got {batch_size}")
    if not len(images):
        raise ValueError("images must hold at least 1 image; got 0")

    def deal() -> Iterator[Tensor]:
        order = torch.empty(0, dtype=torch.long, device=images.device)
        while True:
            while len(order) < batch_size:
                epoch = torch.randperm(len(images), generator=generator, device=generator.device)
                order = torch.cat([order, epoch.to(images.device)])
            yield images[order[:batch_size]]
            order = order[batch_size:]

    return deal()
