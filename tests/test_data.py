"""Every source gives real images, exact and split fairly; what is missing or damaged is named."""

import itertools
import pickle
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from sklearn.datasets import load_digits, load_sample_images

from ddpm_ref.data import Split, batches, check_images, digits, fit, from_bytes, load, patches
from ddpm_ref.data.images import held_out_of, room_for
from ddpm_ref.decoder import check_levels

# -- digits --------------------------------------------------------------------------------------------------


def test_the_digits_are_all_of_scikit_learns_exactly() -> None:
    split = digits()
    images = torch.cat([split.train.images, split.held_out.images])
    assert images.shape == (1797, 1, 8, 8)
    assert images.dtype == torch.float32
    grey = ((images + 1) * 8).flatten(1)
    expected, _ = load_digits(return_X_y=True)
    assert sorted(grey.tolist()) == sorted(expected.tolist())
    assert [images.min().item(), images.max().item()] == [-1, 1]


def test_the_split_is_stratified_and_always_the_same() -> None:
    one, two = digits(), digits()
    assert (len(one.train.images), len(one.held_out.images)) == (1297, 500)
    for part, same in zip(one, two, strict=True):
        assert torch.equal(part.images, same.images)
        assert len(part.images) == len(part.labels)
    of_all = torch.bincount(torch.cat([one.train.labels, one.held_out.labels])) / 1797
    of_held_out = torch.bincount(one.held_out.labels) / 500
    assert (of_all - of_held_out).abs().max() < 1 / 500


# -- patches -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def crops() -> Split:
    return patches()


def test_every_crop_is_cut_from_a_photograph(crops: Split) -> None:
    photographs = load_sample_images().images
    across = (512 - 32) // 4 + 1  # crops in a row of the part to train on
    for index in (0, 1, across, 11_978, 11_979, 23_957):
        label, place = divmod(index, 11_979)
        row, column = divmod(place, across)
        expected = photographs[label][4 * row : 4 * row + 32, 4 * column : 4 * column + 32]
        got = (crops.train.images[index].permute(1, 2, 0).double() + 1) * 127.5
        assert torch.equal(got.round().byte(), torch.from_numpy(expected.copy()))
        assert crops.train.labels[index] == label


def test_no_pixel_is_in_both_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Photographs of which every pixel says in which column it is."""
    column = np.broadcast_to((np.arange(640) * 255 // 639).astype(np.uint8)[None, :, None], (427, 640, 3))
    monkeypatch.setattr("sklearn.datasets.load_sample_images", lambda: type("", (), {"images": [column]}))
    part = patches()
    assert part.train.images.max() < part.held_out.images.min()
    assert part.held_out.images.max() > 0.95, "the right edge is used"


def test_patches_are_many_and_on_the_grid_of_256_values(crops: Split) -> None:
    assert [len(part.images) for part in crops] == [23_958, 1_300]
    for part in crops:
        check_images(part.images)
        check_levels(part.images[::50], 256)


def test_every_byte_becomes_the_papers_value() -> None:
    values = from_bytes(torch.arange(256, dtype=torch.uint8))
    assert values.dtype == torch.float32
    assert (values[0].item(), values[255].item()) == (-1, 1)
    check_levels(values, 256)
    exact = torch.arange(256).double() / 127.5 - 1
    assert (values - exact).abs().max() <= 2**-24 + 2**-24, (
        "one rounding of v/127.5 < 2, one of the difference"
    )


# -- CIFAR-10 ------------------------------------------------------------------------------------------------


PER_FILE = 300  # instead of 10,000


@pytest.fixture(autouse=True)
def _small_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ddpm_ref.data.cifar.PER_FILE", PER_FILE)


def pixels_of(file: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Make images that say which file they are in and where, at one known place each."""
    pixels = np.zeros((PER_FILE, 3, 32, 32), np.uint8)
    pixels[:, 0, 0, 0] = file
    pixels[:, 1, 0, 1], pixels[:, 2, 1, 0] = np.divmod(np.arange(PER_FILE), 256)
    return pixels.reshape(PER_FILE, 3072)


LABELS = (np.arange(PER_FILE) % 10).astype(np.uint8)


def write_binary(path: Path) -> None:
    for i, name in enumerate([*(f"data_batch_{k}.bin" for k in range(1, 6)), "test_batch.bin"], 1):
        (path / name).write_bytes(np.concatenate([LABELS[:, None], pixels_of(i)], axis=1).tobytes())


def write_python(path: Path) -> None:
    for i, name in enumerate([*(f"data_batch_{k}" for k in range(1, 6)), "test_batch"], 1):
        batch = {b"data": pixels_of(i), b"labels": LABELS.tolist(), b"batch_label": b"a batch"}
        (path / name).write_bytes(pickle.dumps(batch, protocol=2))


@pytest.fixture(scope="module")
def binary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("cifar")
    write_binary(path)
    return path


@pytest.mark.parametrize(("write", "inner"), [(write_binary, ""), (write_python, "cifar-10-batches-py")])
def test_both_published_formats_are_read(tmp_path: Path, write: Callable[[Path], None], inner: str) -> None:
    (tmp_path / inner).mkdir(exist_ok=True)
    write(tmp_path / inner)
    split = load(f"cifar10:{tmp_path}", 32)
    assert [tuple(part.images.shape) for part in split] == [(1500, 3, 32, 32), (300, 3, 32, 32)]
    for part, index, file in ((0, 0, 1), (0, 567, 2), (0, 1499, 5), (1, 277, 6)):
        image = ((split[part].images[index] + 1) * 127.5).round()
        high, low = divmod(index % PER_FILE, 256)
        assert [image[0, 0, 0], image[1, 0, 1], image[2, 1, 0]] == [file, high, low]
        assert image.sum() == file + high + low, "nothing elsewhere"
        assert split[part].labels[index] == index % PER_FILE % 10


def test_the_missing_file_of_cifar10_is_named_and_where_to_get_it(tmp_path: Path, binary: Path) -> None:
    for name in sorted(binary.iterdir())[1:]:
        (tmp_path / name.name).symlink_to(name)
    with pytest.raises(ValueError, match=r"data_batch_1\.bin is missing.*https://www\.cs\.toronto\.edu"):
        load(f"cifar10:{tmp_path}", 32)
    with pytest.raises(ValueError, match=r"has none of them\. Get cifar-10-binary\.tar\.gz from https://"):
        load(f"cifar10:{tmp_path / 'nowhere'}", 32)


def test_a_truncated_file_of_cifar10_is_named(tmp_path: Path, binary: Path) -> None:
    for name in binary.iterdir():
        (tmp_path / name.name).symlink_to(name)
    (tmp_path / "data_batch_3.bin").unlink()
    (tmp_path / "data_batch_3.bin").write_bytes((binary / "data_batch_3.bin").read_bytes()[:-1])
    with pytest.raises(ValueError, match=r"921900 bytes .*data_batch_3\.bin has 921899"):
        load(f"cifar10:{tmp_path}", 32)


class Malicious:
    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.target,)


@pytest.mark.parametrize(
    ("batch", "message"),
    [
        (lambda path: {b"data": Malicious(path)}, "only arrays are let in"),
        (lambda path: {b"data": np.array([Malicious(path)], dtype=object)}, "only arrays are let in"),
        (lambda path: {b"labels": [0]}, r"data_batch_1: b'data'"),
        (lambda path: [1, 2], "data_batch_1: "),
        (lambda path: {b"data": pixels_of(1)[:7], b"labels": [0] * 7}, "300 images of 3072 bytes"),
        (lambda path: {b"data": pixels_of(1), b"labels": [10] * PER_FILE}, r"classes 0\.\.9"),
    ],
)
def test_a_pickle_that_is_not_cifar10_is_refused_and_runs_nothing(
    tmp_path: Path, batch: Callable[[Path], object], message: str
) -> None:
    (tmp_path / "data_batch_1").write_bytes(pickle.dumps(batch(tmp_path / "ran"), protocol=2))
    with pytest.raises(ValueError, match=message):
        load(f"cifar10:{tmp_path}", 32)
    assert not (tmp_path / "ran").exists()


# -- folders -------------------------------------------------------------------------------------------------


def save(path: Path, colour: tuple[int, int, int], size: tuple[int, int] = (8, 8)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(path)


def test_an_image_is_cropped_in_the_middle_and_averaged() -> None:
    pixels = np.zeros((4, 8, 3), np.uint8)
    pixels[:, 2:4] = 60  # the middle square's left half
    pixels[0, 2] = 120
    image = fit(Image.fromarray(pixels), 2)
    expected = from_bytes(torch.tensor([[75, 0], [60, 0]], dtype=torch.uint8))
    assert torch.equal(image, expected.expand(3, 2, 2))


def test_a_photograph_is_turned_as_its_camera_says() -> None:
    pixels = np.zeros((2, 2, 3), np.uint8)
    pixels[0, 0] = 255
    image = Image.fromarray(pixels)
    image.getexif()[0x0112] = 6  # hold the camera's left side up
    assert fit(image, 2)[0].tolist() == [[-1, 1], [-1, -1]]


def test_a_folder_is_read_at_any_depth_and_its_folders_are_classes(tmp_path: Path) -> None:
    for i in range(20):
        save(tmp_path / ("cats" if i % 2 else "dogs/small") / f"{i:02}.png", (i, 2 * i, 3 * i))
    (tmp_path / "notes.txt").write_text("not an image")
    split, again = load(f"folder:{tmp_path}", 4), load(f"folder:{tmp_path}", 4)
    assert [len(part.images) for part in split] == [18, 2]
    everything = torch.cat([part.images for part in split])
    red = ((everything[:, 0, 0, 0] + 1) * 127.5).round().int()
    assert sorted(red.tolist()) == list(range(20))
    labels = torch.cat([part.labels for part in split])
    assert labels.tolist() == [(i + 1) % 2 for i in red.tolist()]
    for part, same in zip(split, again, strict=True):
        assert torch.equal(part.images, same.images)


def test_folders_named_train_and_test_are_the_parts(tmp_path: Path) -> None:
    save(tmp_path / "train/b/x.png", (1, 1, 1))
    save(tmp_path / "test/a/x.png", (2, 2, 2))
    save(tmp_path / "test/b/y.png", (3, 3, 3))
    split = load(f"folder:{tmp_path}", 4, channels=1)
    assert [tuple(part.images.shape) for part in split] == [(1, 1, 4, 4), (2, 1, 4, 4)]
    assert split.held_out.labels.tolist() == [0, 1]


@pytest.mark.parametrize("content", [b"", b"no image", b"cut"])
def test_a_corrupt_image_is_named(tmp_path: Path, content: bytes) -> None:
    save(tmp_path / "a.png", (0, 0, 0), (64, 64))
    whole = (tmp_path / "a.png").read_bytes()
    (tmp_path / "b.png").write_bytes(whole[: len(whole) // 2] if content == b"cut" else content)
    with pytest.raises(ValueError, match=r"b\.png cannot be read"):
        load(f"folder:{tmp_path}", 8)


def test_a_folder_without_images_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"must hold images \(\.bmp, .* has none"):
        load(f"folder:{tmp_path}", 8)
    with pytest.raises(ValueError, match="is not a folder"):
        load(f"folder:{tmp_path / 'none'}", 8)
    save(tmp_path / "a.png", (0, 0, 0))
    with pytest.raises(ValueError, match="at least 2 images"):
        load(f"folder:{tmp_path}", 8)


def test_what_does_not_fit_in_memory_lies_on_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ddpm_ref.data.images._memory", lambda: 1000)
    for n in (1, 100):
        images = room_for(n, 3, 4)
        assert (images.shape, images.dtype) == ((n, 3, 4, 4), torch.float32)
        assert images.untyped_storage().is_shared() == (n == 100), "a mapped file is shared memory to PyTorch"
        images.fill_(0.5)
        assert torch.equal(images[-1:].clone(), torch.full((1, 3, 4, 4), 0.5))


@given(n=st.integers(2, 200))
def test_one_image_in_ten_is_held_out(n: int) -> None:
    train, held_out = held_out_of(n)
    assert sorted(train + held_out) == list(range(n))
    assert len(held_out) == max(1, n // 10)


# -- Hugging Face --------------------------------------------------------------------------------------------


class Rows:
    """As much of a part of a data set of that library as is used."""

    def __init__(self, **columns: list[Any]) -> None:
        self.column_names, self._columns = list(columns), columns

    def __len__(self) -> int:
        return len(self._columns[self.column_names[0]])

    def __getitem__(self, key: int | str) -> Any:
        if isinstance(key, str):
            return self._columns[key]
        return {name: column[key] for name, column in self._columns.items()}


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> dict[str, dict[str, Rows]]:
    """A library with a few sets, by name."""
    grey = [Image.new("L", (6, 4), 10 * i) for i in range(20)]
    sets = {
        "user/whole": {
            "train": Rows(img=grey[:3], label=[7, 8, 9]),
            "test": Rows(img=grey[3:5], label=[1, 2]),
        },
        "one-part": {"train": Rows(photo=grey, fine_label=list(range(20)))},
        "no-train": {"test": Rows(image=grey)},
        "no-images": {"train": Rows(image=["a.png"], text=["b"])},
    }

    def load_dataset(name: str) -> dict[str, Rows]:
        if name not in sets:
            raise RuntimeError(f"no data set is called {name}")
        return sets[name]

    module = ModuleType("datasets")
    module.load_dataset = load_dataset  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "datasets", module)
    return sets


@pytest.mark.usefixtures("library")
def test_a_hugging_face_data_set_is_read_with_its_parts_and_classes() -> None:
    split = load("hf:user/whole", 4, channels=1)
    assert ((split.train.images[:, 0, 0, 0] + 1) * 127.5).round().tolist() == [0, 10, 20]
    assert [part.labels.tolist() for part in split] == [[7, 8, 9], [1, 2]]
    split = load("hf:one-part:photo", 2)
    assert [tuple(part.images.shape) for part in split] == [(18, 3, 2, 2), (2, 3, 2, 2)]
    for part in split:
        assert torch.equal(((part.images[:, 0, 0, 0] + 1) * 127.5).round().long(), 10 * part.labels)


@pytest.mark.usefixtures("library")
@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("hf:unknown", "that the library can load; unknown: no data set is called unknown"),
        ("hf:one-part", "column of images, image or img; one-part has photo, fine_label"),
        ("hf:one-part:picture", "column of images, picture; one-part has photo"),
        ("hf:no-train", "part named train; no-train has test"),
        ("hf:no-images", "row 0 of no-images: it is str, not an image"),
    ],
)
def test_a_hugging_face_data_set_that_cannot_be_read_says_why(spec: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        load(spec, 4)


def test_without_the_library_the_command_that_installs_it_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(ValueError, match=r"pip install 'ddpm-ref\[datasets\]'"):
        load("hf:user/whole", 8)


# -- by name -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spec", "size", "channels", "message"),
    [
        ("faces", 8, 1, "data must be one of digits, patches, cifar10:FOLDER, .*; got faces"),
        ("digits:x", 8, 1, "data must be one of"),
        ("folder:", 8, 3, "data must be folder:FOLDER; got folder:"),
        ("cifar10", 32, 3, "data must be cifar10:FOLDER; got cifar10"),
        ("hf", 32, 3, r"data must be hf:NAME\[:COLUMN\]; got hf"),
        ("digits", 16, 1, r"images of \(1, 16, 16\), as the network; digits has \(1, 8, 8\)"),
        ("patches", 129, 3, r"image_size must be in 1\.\.128 for patches; got 129"),
        ("folder:.", 8, 2, "channels must be 1 or 3 .* got 2"),
    ],
)
def test_a_specification_that_is_none_is_refused(spec: str, size: int, channels: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        load(spec, size, channels)


def test_digits_and_patches_are_loaded_by_name(crops: Split) -> None:
    assert torch.equal(load("digits", 8, 1).train.images, digits().train.images)
    assert torch.equal(load("patches", 32).held_out.images, crops.held_out.images)


# -- what all of them are ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (torch.full((2, 1, 8, 8), float("nan")), "got NaN in 128 of 128 values"),
        (torch.full((2, 1, 8, 8), 1.5), "got values from 1.5 to 1.5"),
        (torch.full((2, 1, 8, 8), -float("inf")), "got values from -inf"),
        (torch.zeros(2, 8, 8), "must be floating-point"),
        (torch.zeros(2, 1, 8, 8, dtype=torch.uint8), "must be floating-point"),
        (torch.zeros(0, 1, 8, 8), "not empty"),
    ],
)
def test_images_that_are_not_images_are_refused(images: torch.Tensor, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check_images(images)


@given(n=st.integers(1, 20), batch_size=st.integers(1, 30), seed=st.integers(0, 100))
def test_every_epoch_is_a_permutation(n: int, batch_size: int, seed: int) -> None:
    stream = batches(torch.arange(n), batch_size, torch.Generator().manual_seed(seed))
    dealt = list(itertools.islice(stream, 3 * n))
    assert all(len(batch) == batch_size for batch in dealt)
    for epoch in torch.cat(dealt)[: 3 * n].reshape(3, n):
        assert sorted(epoch.tolist()) == list(range(n))


def test_the_order_is_the_generators() -> None:
    def first(seed: int) -> torch.Tensor:
        return next(batches(torch.arange(1000), 100, torch.Generator().manual_seed(seed)))

    assert torch.equal(first(0), first(0))
    assert not torch.equal(first(0), first(1))


@pytest.mark.parametrize(("n", "batch_size", "name"), [(5, 0, "batch_size"), (0, 5, "images")])
def test_an_impossible_stream_is_refused_at_once(n: int, batch_size: int, name: str) -> None:
    with pytest.raises(ValueError, match=f"{name} must"):
        batches(torch.zeros(n), batch_size, torch.Generator())
