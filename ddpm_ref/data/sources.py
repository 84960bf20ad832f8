"""Which data a run trains on, in one word: `digits`, `patches`, `cifar10:PATH`, `folder:PATH`, `hf:NAME`."""

from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor

from ddpm_ref.data.cifar import cifar10
from ddpm_ref.data.folders import folder
from ddpm_ref.data.huggingface import hugging_face
from ddpm_ref.data.images import Split
from ddpm_ref.data.scikit_learn import digits, patches
from ddpm_ref.order import Order

SOURCES = ("digits", "patches", "cifar10:FOLDER", "folder:FOLDER", "hf:NAME[:COLUMN]")


def load(spec: str, image_size: int, channels: int = 3) -> Split:
    """Load the data that a specification names.

    | specification | what it is |
    |---|---|
    | `digits` | scikit-learn's handwritten digits, 8×8, grey |
    | `patches` | crops of scikit-learn's two photographs, of any size up to 128×128 |
    | `cifar10:FOLDER` | CIFAR-10 as its authors publish it, 32×32 |
    | `folder:FOLDER` | every image below a folder, cropped and resized |
    | `hf:NAME`, `hf:NAME:COLUMN` | a data set of the Hugging Face `datasets` library, cropped and resized |

    Args:
        spec: one of these.
        image_size: height and width that the network wants.
        channels: colour channels that the network wants.

    Returns:
        Images of that size, float32 in [-1, 1], those to train on and those held out.

    Raises:
        ValueError: if the specification is unknown, the data cannot be read, or has another size.
    """
    try:
        split = _load(spec, image_size, channels)
    except OSError as error:
        raise ValueError(f"data must be readable; {spec}: {error.strerror or error}") from error
    wanted, given = (channels, image_size, image_size), tuple(split.train.images.shape[1:])
    if given != wanted:
        raise ValueError(f"data must have images of {wanted}, as the network; {spec} has {given}")
    return split


def _load(spec: str, image_size: int, channels: int) -> Split:
    kind, colon, rest = spec.partition(":")
    if kind in ("cifar10", "folder", "hf") and not rest:
        form = next(source for source in SOURCES if source.startswith(kind))
        raise ValueError(f"data must be {form}; got {spec}")
    match kind:
        case "folder":
            return folder(Path(rest), image_size, _colour(channels))
        case "hf":
            name, _, column = rest.partition(":")
            return hugging_face(name, image_size, _colour(channels), column or None)
        case "digits" if not colon:
            return digits()
        case "patches" if not colon:
            return patches(image_size)
        case "cifar10":
            return cifar10(Path(rest))
    raise ValueError(f"data must be one of {', '.join(SOURCES)}; got {spec}")


def _colour(channels: int) -> int:
    if channels not in (1, 3):
        raise ValueError(f"channels must be 1 or 3 for images from files; got {channels}")
    return channels


def batches(images: Tensor, batch_size: int, generator: torch.Generator) -> Iterator[Tensor]:
    """Deal out the images without end, each epoch in a new random order.

    Args:
        images: (N, ...), on any device.
        batch_size: images per batch, at least 1; it may exceed N.
        generator: source of the permutations, on any device.

    Raises:
        ValueError: if `batch_size` is below 1 or there are no images.
    """
    order = Order(len(images), batch_size, generator)
    return (images[index.to(images.device)] for index in order)
