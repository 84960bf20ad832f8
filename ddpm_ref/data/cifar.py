"""CIFAR-10 from a local folder, in either of the two formats that its authors publish."""

import io
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from ddpm_ref.data.images import Labelled, Split, from_bytes

Array = npt.NDArray[Any]

PAGE = "https://www.cs.toronto.edu/~kriz/cifar.html"
PIXELS = 3 * 32 * 32
PER_FILE = 10_000
BINARY = ([f"data_batch_{i}.bin" for i in range(1, 6)], ["test_batch.bin"])
PYTHON = ([f"data_batch_{i}" for i in range(1, 6)], ["test_batch"])
FOLDERS = ("", "cifar-10-batches-bin", "cifar-10-batches-py")  # as the archives unpack


def cifar10(folder: Path) -> Split:
    r"""Read CIFAR-10: 50,000 images of 32×32 to train on and 10,000 held out (its test set), in 10 classes.

    Values $v \in \{0, \dots, 255\}$ become $v/127.5 - 1$. Both published formats are read: the binary one
    (`data_batch_1.bin` …), and the one of Python pickles (`data_batch_1` …), of which nothing but arrays,
    lists and strings is let in.

    Args:
        folder: holds the files, or the folder that the published archive unpacks to.

    Raises:
        ValueError: if a file is missing (it says which, and where to get them), truncated, or not CIFAR-10's.

    Source: A. Krizhevsky, Learning Multiple Layers of Features from Tiny Images (2009).
    """
    for inner in FOLDERS:
        for names, read in ((BINARY, _read_binary), (PYTHON, _read_python)):
            if any((folder / inner / name).is_file() for name in names[0] + names[1]):
                return Split(*(_join([read(folder / inner / name) for name in part]) for part in names))
    raise ValueError(
        f"cifar10 must be a folder with {', '.join(BINARY[0] + BINARY[1])}; {folder} has none of them. "
        f"Get cifar-10-binary.tar.gz from {PAGE} and unpack it there"
    )


def _join(files: list[tuple[Array, Array]]) -> Labelled:
    pixels = torch.from_numpy(np.concatenate([pixels for pixels, _ in files]))
    labels = torch.from_numpy(np.concatenate([labels for _, labels in files])).long()
    return Labelled(from_bytes(pixels.reshape(-1, 3, 32, 32)), labels)


def _read_bytes(path: Path) -> bytes:
    if not path.is_file():
        raise ValueError(f"cifar10 must be complete; {path} is missing. Get it again from {PAGE}")
    if (size := path.stat().st_size) > 2 * PER_FILE * (1 + PIXELS):
        raise ValueError(f"cifar10 must be as published; {path} has {size} bytes. Get it again from {PAGE}")
    return path.read_bytes()


def _read_binary(path: Path) -> tuple[Array, Array]:
    """Read records of one byte for the class and 3072 for the pixels: red, green, blue, row by row."""
    content = _read_bytes(path)
    if len(content) != PER_FILE * (1 + PIXELS):
        raise ValueError(
            f"cifar10 must have {PER_FILE * (1 + PIXELS)} bytes in each file; {path} has {len(content)}. "
            f"Get it again from {PAGE}"
        )
    records = np.frombuffer(content, np.uint8).reshape(PER_FILE, 1 + PIXELS)
    return _checked(path, records[:, 1:], records[:, 0])


def _read_python(path: Path) -> tuple[Array, Array]:
    content = io.BytesIO(_read_bytes(path))
    try:
        batch = _ArraysOnly(content, encoding="bytes").load()
        pixels, labels = np.asarray(batch[b"data"]), np.asarray(batch[b"labels"])
    except Exception as error:  # a damaged pickle may raise anything
        raise ValueError(
            f"cifar10 must be as published; {path}: {error}. Get it again from {PAGE}"
        ) from error
    return _checked(path, pixels, labels)


def _checked(path: Path, pixels: Array, labels: Array) -> tuple[Array, Array]:
    right = pixels.shape == (PER_FILE, PIXELS) and pixels.dtype == np.uint8 and labels.shape == (PER_FILE,)
    if not right or labels.dtype.kind not in "iu" or labels.min() < 0 or labels.max() > 9:
        raise ValueError(
            f"cifar10 must have {PER_FILE} images of {PIXELS} bytes and classes 0..9 in each file; "
            f"{path} has not. Get it again from {PAGE}"
        )
    return pixels, labels


def _latin1(text: str, encoding: str) -> bytes:
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"it asks for the encoding {encoding!r}, and only latin1 is let in")
    return text.encode("latin1")


class _ArraysOnly(pickle.Unpickler):
    """Unpickles NumPy arrays and plain values, and calls nothing else."""

    def find_class(self, module: str, name: str) -> Any:
        """Look up one of the four names that the pickle of an array needs, and refuse any other."""
        match module, name:
            case "numpy.core.multiarray" | "numpy._core.multiarray", "_reconstruct":
                return np.empty(0).__reduce__()[0]  # where NumPy keeps it depends on its version
            case "numpy", "ndarray" | "dtype":
                return getattr(np, name)
            case "_codecs", "encode":  # how Python 3 writes bytes for Python 2
                return _latin1
        raise pickle.UnpicklingError(f"it asks for {module}.{name}, and only arrays are let in")
