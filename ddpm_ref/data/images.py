"""What a data set is: images in [-1, 1] with their classes, split for honest evaluation."""

import os
import tempfile
from typing import NamedTuple

import torch
from torch import Tensor

LARGEST_SHARE = 0.25  # of the machine's memory that one data set may take; a larger one lies on disk
HELD_OUT_SHARE = 10  # one in so many images is held out where a data set does not say which
SPLIT_SEED = 0


class Labelled(NamedTuple):
    """Images with their classes: float32 (N, C, H, W) in [-1, 1], and int64 (N,), 0 where there are none."""

    images: Tensor
    labels: Tensor


class Split(NamedTuple):
    """What a model is trained on, and what it is judged by and never sees."""

    train: Labelled
    held_out: Labelled


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


def from_bytes(pixels: Tensor) -> Tensor:
    r"""Turn values $v \in \{0, \dots, 255\}$ into $v/127.5 - 1$, float32: the paper's scale, without noise.

    Each result is the float32 nearest to that quotient, less one, so that
    [`decoder_log_likelihood`][ddpm_ref.decoder.decoder_log_likelihood] finds it on its grid.
    """
    return pixels.float() / 127.5 - 1


def room_for(n: int, channels: int, size: int) -> Tensor:
    """Make an uninitialised float32 tensor (n, channels, size, size), in memory if it fits there.

    A set that would take more than a quarter of the machine's memory is mapped to an unnamed temporary file:
    it is streamed from disk as its images are used, and vanishes with the process.

    Raises:
        ValueError: if the disk has no room for it.
    """
    shape, nbytes = (n, channels, size, size), 4 * n * channels * size**2
    if nbytes <= LARGEST_SHARE * _memory():
        return torch.empty(shape)
    file, name = tempfile.mkstemp(prefix="ddpm-ref-images-")
    try:
        try:
            if hasattr(os, "posix_fallocate"):  # a disk that fills up under a mapping kills the process
                os.posix_fallocate(file, 0, nbytes)
        except OSError as error:
            raise ValueError(
                f"images must fit on the disk of temporary files; {nbytes} bytes at {name}: {error.strerror}"
            ) from error
        finally:
            os.close(file)
        return torch.from_file(name, shared=True, size=n * channels * size**2).view(shape)
    finally:
        os.unlink(name)  # the mapping holds on to it


def _memory() -> int:
    """Give the machine's memory in bytes; where the system does not tell, 8 GB."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):  # Windows
        return 8 * 10**9


def held_out_of(n: int) -> tuple[list[int], list[int]]:
    """Divide the indices 0..n−1 into nine tenths to train on and one tenth held out, always the same way.

    Raises:
        ValueError: if n is below 2.
    """
    if n < 2:
        raise ValueError(f"data must hold at least 2 images, one of them held out; got {n}")
    order = torch.randperm(n, generator=torch.Generator().manual_seed(SPLIT_SEED)).tolist()
    cut = max(1, n // HELD_OUT_SHARE)
    return sorted(order[cut:]), sorted(order[:cut])
