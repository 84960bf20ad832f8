"""What scikit-learn ships, so that it needs no network: handwritten digits, and crops of two photographs."""

import numpy as np
import numpy.typing as npt
import torch

from ddpm_ref.data.images import SPLIT_SEED, Labelled, Split, check_images, from_bytes

HELD_OUT = 500  # digits
HELD_OUT_FROM = 512  # the first column, of 640, of the part of each photograph that is held out


def digits() -> Split:
    r"""Load scikit-learn's 1,797 handwritten digits of 8×8 pixels: 1,297 to train on and 500 held out.

    Grey values $v \in \{0, \dots, 16\}$ become $v/8 - 1$, exactly. The split is the same every time, and each
    of the ten classes has the same share of both parts, up to rounding.

    Source: E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits, UCI (1998), as shipped with
    scikit-learn.
    """
    from sklearn.datasets import load_digits  # a second of imports, for those only who need it
    from sklearn.model_selection import train_test_split

    grey, labels = load_digits(return_X_y=True)
    images = torch.from_numpy(grey / 8 - 1).float().reshape(-1, 1, 8, 8)
    check_images(images)
    train, held_out = train_test_split(
        range(len(labels)), test_size=HELD_OUT, stratify=labels, random_state=SPLIT_SEED
    )
    classes = torch.from_numpy(labels).long()
    return Split(Labelled(images[train], classes[train]), Labelled(images[held_out], classes[held_out]))


def patches(size: int = 32) -> Split:
    r"""Cut the two photographs that scikit-learn ships, 427×640 pixels, into square crops.

    Training crops lie wholly left of column 512 and begin every eighth of their size, both ways; crops held
    out lie wholly right of it, every quarter. So no pixel is in both parts. Values $v \in \{0, \dots, 255\}$
    become $v/127.5 - 1$. The class is the photograph: 0 the temple, 1 the flower.

    Args:
        size: height and width of a crop, 1..128.

    Returns:
        For 32×32: 23,958 crops to train on and 1,300 held out.

    Raises:
        ValueError: if no crop of that size fits.
    """
    if not 1 <= size <= 128:
        raise ValueError(f"image_size must be in 1..128 for patches; got {size}")
    from sklearn.datasets import load_sample_images

    photographs = load_sample_images().images
    return Split(
        _crops([photograph[:, :HELD_OUT_FROM] for photograph in photographs], size, max(1, size // 8)),
        _crops([photograph[:, HELD_OUT_FROM:] for photograph in photographs], size, max(1, size // 4)),
    )


def _crops(parts: list[npt.NDArray[np.uint8]], size: int, stride: int) -> Labelled:
    """Cut each part, of shape (H, W, 3), row by row."""
    cut = [
        torch.from_numpy(part.copy())
        .unfold(0, size, stride)
        .unfold(1, size, stride)  # (rows, columns, 3, size, size)
        .flatten(0, 1)
        for part in parts
    ]
    labels = torch.cat([torch.full((len(crops),), label) for label, crops in enumerate(cut)])
    return Labelled(from_bytes(torch.cat(cut)), labels)
