"""Any folder of images, cropped and resized to one size."""

import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from ddpm_ref.data.images import Labelled, Split, from_bytes, held_out_of, room_for

FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")  # Pillow starts programs for others
SUFFIXES = frozenset({".bmp", ".gif", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp"})


def folder(path: Path, image_size: int, channels: int = 3) -> Split:
    """Read every image below a folder, as [`fit`][ddpm_ref.data.folders.fit] crops and resizes it.

    If the folder holds exactly the folders `train` and `test`, these are the parts; otherwise one image in
    ten is held out, always the same ones. In either part the class of an image is the first folder on its way
    (0, 1, … by name), or 0 where there is none. Values v in 0..255 become `v / 127.5 − 1`.

    Args:
        path: the folder; images are found at any depth, by their suffix.
        image_size: height and width to make.
        channels: 3, or 1 for grey.

    Raises:
        ValueError: if there is no such folder, it holds no images, or one of them cannot be read (it is
            named).
    """
    if not path.is_dir():
        raise ValueError(f"folder must be a folder of images; {path} is not a folder")
    if sorted(inner.name for inner in path.iterdir() if inner.is_dir()) == ["test", "train"]:
        parts = [(path / part, _images_below(path / part)) for part in ("train", "test")]
        return Split(*(_read(files, _classes(root, files), image_size, channels) for root, files in parts))
    files = _images_below(path)
    classes = _classes(path, files)
    return Split(
        *(
            _read([files[i] for i in part], [classes[i] for i in part], image_size, channels)
            for part in held_out_of(len(files))
        )
    )


def fit(image: Image.Image, size: int, channels: int = 3) -> Tensor:
    """Crop the largest square from the middle and resize it to `size` pixels, by Pillow's box filter.

    The box filter averages the pixels that fall into each new one, so that nothing aliases where the image
    shrinks; where it grows, the nearest pixel is repeated. A photograph is first turned as its camera says.

    Returns:
        float32 (channels, size, size) in [-1, 1].
    """
    image = ImageOps.exif_transpose(image)
    short = min(image.size)
    left, top = (image.width - short) // 2, (image.height - short) // 2
    square = image.convert("RGB" if channels == 3 else "L").crop((left, top, left + short, top + short))
    pixels = np.array(square.resize((size, size), Image.Resampling.BOX), dtype=np.uint8)
    return from_bytes(torch.from_numpy(pixels).reshape(size, size, channels).permute(2, 0, 1))


def _images_below(root: Path) -> list[Path]:
    files = sorted(p for p in root.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file())
    if not files:
        known = ", ".join(sorted(SUFFIXES))
        raise ValueError(f"folder must hold images ({known}); {root} has none")
    return files


def _classes(root: Path, files: Sequence[Path]) -> list[int]:
    first = [file.relative_to(root).parts[0] if file.parent != root else "" for file in files]
    number = {name: i for i, name in enumerate(sorted(set(first) - {""}))}
    return [number.get(name, 0) for name in first]


def _read(files: Sequence[Path], classes: Sequence[int], image_size: int, channels: int) -> Labelled:
    images = room_for(len(files), channels, image_size)
    for row, file in zip(images, files, strict=True):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of metadata that Pillow passes over
                warnings.simplefilter("error", Image.DecompressionBombWarning)
                with Image.open(file, formats=FORMATS) as image:
                    row.copy_(fit(image, image_size, channels))
        except Exception as error:  # a damaged image may raise anything
            raise ValueError(f"folder must hold whole images; {file} cannot be read: {error}") from error
    return Labelled(images, torch.tensor(classes))
