"""Any image data set of the Hugging Face `datasets` library, which is an optional extra."""

from importlib import import_module
from typing import Any

import torch
from PIL import Image

from ddpm_ref.data.folders import fit
from ddpm_ref.data.images import Labelled, Split, held_out_of, room_for

COLUMNS = ("image", "img")  # where images are looked for
LABELS = ("label", "labels", "fine_label")
HELD_OUT = ("test", "validation")


def hugging_face(name: str, image_size: int, channels: int = 3, column: str | None = None) -> Split:
    """Load a data set by its name, its images cropped and resized as [`fit`][ddpm_ref.data.folders.fit] does.

    `train` is trained on, and `test` or else `validation` held out; where the set has neither, one image in
    ten of `train` is held out, always the same ones. Classes are those of a column of integers named `label`,
    `labels` or `fine_label`, and 0 without one.

    Args:
        name: what `datasets.load_dataset` takes; the library downloads and caches it.
        image_size: height and width to make.
        channels: 3, or 1 for grey.
        column: holds the images; by default `image` or `img`.

    Raises:
        ValueError: if the library is missing, it cannot load the set, or the set has no `train` or no such
            column of images.
    """
    try:
        library: Any = import_module("datasets")
    except ImportError as error:
        raise ValueError("hf needs the library datasets; run: pip install 'ddpm-ref[datasets]'") from error
    try:
        parts = dict(library.load_dataset(name))
    except Exception as error:  # the library's own errors are of many kinds
        raise ValueError(f"hf must be a data set that the library can load; {name}: {error}") from error
    if "train" not in parts:
        raise ValueError(f"hf must have a part named train; {name} has {', '.join(parts)}")
    train = _read(name, parts["train"], image_size, channels, column)
    for part in HELD_OUT:
        if part in parts:
            return Split(train, _read(name, parts[part], image_size, channels, column))
    kept, held_out = held_out_of(len(train.images))
    return Split(
        Labelled(train.images[kept], train.labels[kept]),
        Labelled(train.images[held_out], train.labels[held_out]),
    )


def _read(name: str, rows: Any, image_size: int, channels: int, column: str | None) -> Labelled:
    there = list(rows.column_names)
    found = [c for c in ([column] if column else COLUMNS) if c in there]
    if not found:
        wanted = column or " or ".join(COLUMNS)
        raise ValueError(f"hf must have a column of images, {wanted}; {name} has {', '.join(there)}")
    if not len(rows):
        raise ValueError(f"hf must have images in each part; one of {name} is empty")
    images = room_for(len(rows), channels, image_size)
    for i, place in enumerate(images):
        try:
            image = rows[i][found[0]]
            if not isinstance(image, Image.Image):
                raise ValueError(f"it is {type(image).__name__}, not an image")
            place.copy_(fit(image, image_size, channels))
        except Exception as error:  # of the library, or of Pillow for a damaged image
            raise ValueError(f"hf must hold whole images; row {i} of {name}: {error}") from error
    labels = next((c for c in LABELS if c in there), None)
    try:
        classes = [int(c) for c in rows[labels]] if labels else [0] * len(rows)
        return Labelled(images, torch.tensor(classes))
    except (OverflowError, RuntimeError, TypeError, ValueError) as error:
        raise ValueError(f"hf must have integers for classes, in {labels} of {name}; {error}") from error
