"""Images: CIFAR-10 in both formats, folders of pictures in every format, data sets of the hub."""

from __future__ import annotations

import io
import os
import pickle
import random
import shutil
import struct
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from ddpm_ref import train
from ddpm_ref.data import Split, check_images, cifar, load
from tests.fuzz.boundary import Fuzz, asked, kept, raises_only, refused
from tests.fuzz.strategies import TEXTS, bad, damaged, values

FORMATS = {".png": "PNG", ".jpg": "JPEG", ".gif": "GIF", ".bmp": "BMP", ".ppm": "PPM", ".tif": "TIFF"}
FORMATS |= {".webp": "WEBP"}
MODES = {
    "PNG": ["RGB", "RGBA", "L", "1", "P", "I;16"],
    "JPEG": ["RGB", "L", "CMYK"],
    "TIFF": ["RGB", "F", "I"],
}


def picture(suffix: str, mode: str | None = None) -> bytes:
    """Make a small picture, with a camera's note on how it was held where the format has room for it."""
    kind = FORMATS[suffix]
    mode = mode or MODES.get(kind, ["RGB"])[0]
    noise = Image.frombytes("L", (12, 9), random.Random(0).randbytes(108))
    buffer = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6
    more = {"exif": exif} if kind in ("JPEG", "PNG", "WEBP", "TIFF") else {}
    noise.convert("RGB").convert(mode if mode not in ("I;16", "F", "I") else "L").save(buffer, kind, **more)
    return buffer.getvalue()


PICTURES = [picture(suffix, mode) for suffix, kind in FORMATS.items() for mode in MODES.get(kind, ["RGB"])]


def bomb(width: int, height: int) -> bytes:
    """Make a picture of a few bytes that says it is so large."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(b"\0" * 100)) + chunk(b"IEND", b"")


EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n(touch hacked) pop\nshowpage\n"
BOMBS = [
    bomb(*size) for size in ((0, 5), (2**31 - 1, 2**31 - 1), (100_000, 1500), (10**6, 10**3), (20_000, 9000))
]
HOSTILE = [*BOMBS, EPS, b"", b"\0", b"PK\x03\x04", picture(".png")[:60]]


def whole(split: Split | None) -> None:
    """Check what was read: images that a trainer takes."""
    if split is not None:
        for part in split:
            check_images(part.images)
            assert len(part.images) == len(part.labels)


def test_a_damaged_picture_is_named_or_read(fuzz: Fuzz, tmp_path: Path) -> None:
    suffixes = st.sampled_from([*FORMATS, ".PNG", ".jpeg"])
    contents = st.sampled_from(PICTURES).flatmap(damaged) | st.sampled_from(HOSTILE)

    @given(suffixes, contents, st.sampled_from([1, 3]))
    def holds(suffix: str, data: bytes, channels: int) -> None:
        for i in range(2):
            (tmp_path / f"{i}.png").write_bytes(PICTURES[0])
        file = tmp_path / f"x{suffix}"
        file.write_bytes(data)
        whole(raises_only(ValueError, lambda: load(f"folder:{tmp_path}", 4, channels), [file.name]))
        file.unlink()
        assert not Path("hacked").exists()

    fuzz(holds, cost=0.2)


NAMES = st.text(max_size=8).filter(lambda text: "/" not in text and "\0" not in text and "\ud800" not in text)


@pytest.mark.slow
def test_a_command_on_a_folder_of_anything_is_one_line(fuzz: Fuzz, place: Path) -> None:
    """Names with ends of lines and of no encoding, links that lead in circles, folders called .png."""

    @st.composite
    def entries(draw: st.DrawFn) -> list[tuple[bytes, str, bytes]]:
        names = draw(st.lists(st.sampled_from(TEXTS) | NAMES, max_size=4))
        kinds = st.sampled_from(["file", "file", "file", "folder", "loop", "up", "broken"])
        suffix = st.sampled_from([*FORMATS, ""])
        content = st.sampled_from(PICTURES).flatmap(damaged) | st.sampled_from([*PICTURES, *HOSTILE])
        return [
            ((name + draw(suffix)).encode("utf-8", "surrogateescape")[:200], draw(kinds), draw(content))
            for name in names
            if not set(name) & {"/", "\0"} and name not in ("", ".", "..")
        ]

    @given(entries())
    def holds(given: list[tuple[bytes, str, bytes]]) -> None:
        (place / "images").mkdir()
        root = bytes(place / "images") + b"/"
        for name, kind, data in given:
            try:
                match kind:
                    case "file":
                        Path(os.fsdecode(root + name)).write_bytes(data)
                    case "folder":
                        os.mkdir(root + name)
                    case "loop":
                        os.symlink(name, root + name)
                    case "up":
                        os.symlink("..", root + name)
                    case _:
                        os.symlink("nowhere", root + name)
            except OSError:
                continue
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(train, "train", lambda run: 0)
            patch.setattr(train, "check_number", lambda *_: None)
            with kept(place / "thesis") as told:
                line = ["--preset", "smoke", "--data", "folder:images", "--out", "new", "--device", "cpu"]
                told(refused(asked(train.main, line), ["folder", "data must"]))
        shutil.rmtree(place / "images")
        shutil.rmtree(place / "new", ignore_errors=True)

    fuzz(holds)


# -- CIFAR-10 ------------------------------------------------------------------------------------------------

PER_FILE = 3  # instead of 10,000


def batch() -> dict[bytes, Any]:
    pixels = np.arange(PER_FILE * 3072).reshape(PER_FILE, 3072).astype(np.uint8)
    return {b"data": pixels, b"labels": [1, 2, 9], b"batch_label": b"a batch"}


class Loud:
    """What runs when it is unpickled."""

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return print, ("hacked",)


def write(folder: Path, python: bool) -> None:
    names = cifar.PYTHON if python else cifar.BINARY
    binary = np.concatenate([np.array([[1], [2], [9]], np.uint8), batch()[b"data"]], 1).tobytes()
    for name in names[0] + names[1]:
        (folder / name).write_bytes(pickle.dumps(batch(), protocol=2) if python else binary)


@pytest.mark.parametrize("python", [False, True], ids=["binary", "pickle"])
def test_a_damaged_batch_is_named_or_read(
    fuzz: Fuzz,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    python: bool,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A flipped pixel cannot be seen; nothing that is pickled runs."""
    monkeypatch.setattr(cifar, "PER_FILE", PER_FILE)
    write(tmp_path, python)
    name = "data_batch_3" + ("" if python else ".bin")
    content = (tmp_path / name).read_bytes()
    wrong = st.sampled_from(
        [
            pickle.dumps(Loud()),
            pickle.dumps({b"data": Loud(), b"labels": []}),
            pickle.dumps({b"data": batch()[b"data"].tolist(), b"labels": list(range(3))}, protocol=2),
            b"\x80\x02" + b"(" * 100_000 + b".",
            b"\x80\x04\x8e" + (2**60).to_bytes(8, "little") + b"a.",  # a string of 2^60 bytes
            b"cnumpy\nndarray\n((I1000000\nI1000000\nltR.",  # an array of 8 terabytes
            b"c_codecs\nencode\n(X\x01\0\0\0aX\x04\0\0\0zlibtR.",
        ]
    )
    labels = st.sampled_from([b"data", b"labels", b"batch_label"])
    others = st.builds(lambda key, value: pickle.dumps(batch() | {key: value}, protocol=2), labels, values)

    @given(damaged(content) | (wrong | others if python else st.just(b"")))
    def holds(data: bytes) -> None:
        (tmp_path / name).write_bytes(data)
        whole(raises_only(ValueError, lambda: load(f"cifar10:{tmp_path}", 32, 3), [name]))

    fuzz(holds, cost=0.2)
    assert "hacked" not in capsys.readouterr().out


# -- the hub -------------------------------------------------------------------------------------------------


class Rows:
    """What the library's tables are to those who read them."""

    def __init__(self, columns: dict[str, list[Any]]) -> None:
        self.columns = columns
        self.column_names = list(columns)

    def __len__(self) -> int:
        return max(map(len, self.columns.values()), default=0)

    def __getitem__(self, key: int | str) -> Any:
        return self.columns[key] if isinstance(key, str) else {k: v[key] for k, v in self.columns.items()}


def test_a_set_of_the_hub_is_read_or_refused(fuzz: Fuzz, monkeypatch: pytest.MonkeyPatch) -> None:
    """The library is not here: what stands for it gives anything that it might."""
    images = st.just(Image.new("RGB", (5, 4))) | st.just(Image.new("L", (0, 3))) | values
    columns = st.dictionaries(
        st.sampled_from(["image", "img", "label", "labels", "x"]), st.lists(images, max_size=4), max_size=3
    )
    parts = st.dictionaries(st.sampled_from(["train", "test", "validation", "y"]), columns, max_size=3)
    right = st.just({"train": {"image": [Image.new("L", (9, 9))] * 3, "label": [0, 1, 1]}})

    @given(parts | right, st.sampled_from(["hf:name", "hf:name:x", "hf::", "hf:a:b:c"]), st.booleans())
    def holds(given: dict[str, dict[str, list[Any]]], spec: str, there: bool) -> None:
        library = ModuleType("datasets")

        def load_dataset(name: str) -> dict[str, Rows]:
            if not name:
                raise RuntimeError("no such set")
            return {part: Rows(columns) for part, columns in given.items()}

        library.load_dataset = load_dataset  # type: ignore[attr-defined]
        with pytest.MonkeyPatch.context() as patch:
            patch.setitem(sys.modules, "datasets", library if there else None)
            whole(raises_only(ValueError, lambda: load(spec, 4, 3), ["hf", "data must"]))

    fuzz(holds, cost=0.2)


def test_a_source_is_understood_or_refused(fuzz: Fuzz, place: Path) -> None:
    kinds = ["digits", "patches:", "cifar10", "folder", "hf", "gaussian", ""]

    @given(
        st.builds(lambda kind, rest: kind + rest, st.sampled_from(kinds), st.just("") | bad.map(":{}".format))
    )
    def holds(spec: str) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setitem(sys.modules, "datasets", None)
            whole(raises_only(ValueError, lambda: load(spec, 8, 1), ["data", "cifar10", "folder", "hf"]))

    fuzz(holds)
