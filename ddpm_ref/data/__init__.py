"""Images to train on, split for honest evaluation, from wherever they are.

Each source is a file of its own; [`load`][ddpm_ref.data.sources.load] chooses among them by name.
"""

from ddpm_ref.data.cifar import cifar10
from ddpm_ref.data.folders import fit, folder
from ddpm_ref.data.huggingface import hugging_face
from ddpm_ref.data.images import Labelled, Split, check_images, from_bytes
from ddpm_ref.data.scikit_learn import digits, patches
from ddpm_ref.data.sources import SOURCES, batches, load

__all__ = [
    "SOURCES",
    "Labelled",
    "Split",
    "batches",
    "check_images",
    "cifar10",
    "digits",
    "fit",
    "folder",
    "from_bytes",
    "hugging_face",
    "load",
    "patches",
]
