"""What fuzzing found, each held by itself: input that once ended in a traceback, a loss, or no end at all."""

from __future__ import annotations

import json
import pickle
import sys
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ddpm_ref import launch
from ddpm_ref.arguments import MOST, Parser, fail, integer, new_file, one_line, path
from ddpm_ref.checkpoint import read_config
from ddpm_ref.conformance import __main__ as conformance
from ddpm_ref.conformance import matrix, protocol, vectors
from ddpm_ref.data import cifar, folder
from ddpm_ref.interop import diffusers
from ddpm_ref.presets import PRESETS, Config
from ddpm_ref.unet import UNetConfig
from derivations import __main__ as derivations
from derivations.proof import mentions, site

ROOT = Path(__file__).resolve().parents[1]


# -- arguments -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0", "must be an integer, at least 1; got 0"),
        ("", "must be an integer, at least 1; got "),
        (f"{MOST + 1}", f"must be an integer, at most {MOST}; got {MOST + 1}"),
        ("9" * 5000, "must be an integer, at least 1; got 9"),  # more digits than Python reads
    ],
)
def test_an_integer_is_refused_by_the_end_that_it_passes(text: str, message: str) -> None:
    with pytest.raises(Exception, match=message):
        integer(1)(text)


def test_a_message_is_one_line_that_no_terminal_obeys(capsys: pytest.CaptureFixture[str]) -> None:
    assert fail("train", ValueError("a\nb \x1b[31m\udcff\u2028c\x85")) == 2
    assert capsys.readouterr().err == "ddpm_ref.train: a b \\x1b[31m\\udcff c\n"
    assert one_line("ä\t…") == "ä …"


def test_two_dashes_are_no_value() -> None:
    """argparse drops them, and makes an empty list of none."""
    parser = Parser()
    parser.add_argument("--out", type=path)
    with pytest.raises(ValueError, match="argument --out: expected one argument"):
        parser.parse_args(["--out=--"])
    assert parser.parse_args(["--out=a=--"]).out == Path("a=--")


@pytest.mark.parametrize("text", ["", "a\0b", "\udcff", "nowhere/file", ".", "/dev"])
def test_a_file_that_cannot_be_written_is_refused_at_once(text: str) -> None:
    with pytest.raises(Exception, match="must be a"):
        new_file(text)


def test_a_link_that_leads_in_a_circle_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(Exception, match=r"must be a file that can be written; .*symbolic links"):
        new_file(str(tmp_path / "loop"))


@pytest.mark.parametrize(
    ("name", "value"), [("WORLD_SIZE", "two"), ("WORLD_SIZE", "0"), ("RANK", "2"), ("RANK", "-1")]
)
def test_a_launchers_variable_that_is_no_number_is_named(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for variable in launch.LAUNCHED:
        monkeypatch.setenv(variable, "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv(name, value)
    with pytest.raises(ValueError, match=f"{name} must be an integer in .*; got '{value}'"):
        launch.rank()
    assert fail("train", ValueError("x")) == 2  # which asks for the rank too
    assert capsys.readouterr().err == "ddpm_ref.train: x\n"


# -- configurations ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"T": 1000.0}, "T must be an integer; got 1000.0"),
        ({"T": True}, "T must be an integer; got True"),
        ({"T": 10**12}, "T must be at most 100000"),
        ({"batch_size": 2**31}, "batch_size must be at most 1048576"),
        ({"seed": 2**64}, "seed must be at most 4294967295"),
        ({"lr": 10**400}, "lr must be a number"),
        ({"beta": [0.1]}, "beta must be a list of the right length"),
        ({"beta": [0.1, "x"]}, "each of beta must be a number; got 'x'"),
        ({"source": "\ud800"}, "source must be a string"),
        ({"clip": "no"}, "clip must be true or false; got 'no'"),
        ({"unet": []}, r"unet must be an object; got \[\]"),
        ({"unet": {"depth": 1}}, r"unet\.depth is not a setting"),
        ({"unet": {"width": 1.5}}, r"unet\.width must be an integer; got 1\.5"),
    ],
)
def test_a_setting_of_another_type_or_size_is_named(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Config.from_dict(PRESETS["smoke"].to_dict() | change)


def test_json_that_is_nested_too_deep_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("[" * 100_000)
    with pytest.raises(ValueError, match=r"config\.json"):
        read_config(tmp_path)
    with pytest.raises(ValueError, match=r"config\.json must be JSON"):
        diffusers.read(tmp_path)


@pytest.mark.parametrize("sizes", [{"image_size": 2**40}, {"width": 2**20}, {"res_blocks": 10**9}])
def test_a_network_that_fits_no_machine_is_refused(sizes: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="must be at most"):
        UNetConfig(**sizes)  # type: ignore[arg-type]


# -- images --------------------------------------------------------------------------------------------------


def test_a_picture_that_is_a_program_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pillow gives PostScript to Ghostscript, whatever the file is called."""
    program = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n"
    for name in ("a.png", "b.png"):
        (tmp_path / name).write_bytes(program)
    monkeypatch.setattr("subprocess.Popen", lambda *_, **__: pytest.fail("a program was started"))
    with pytest.raises(ValueError, match=r"[ab]\.png cannot be read: cannot identify image file"):
        folder(tmp_path, 4)


@pytest.mark.parametrize("codec", ["zlib", "idna", "rot13"])
def test_a_pickle_of_arrays_encodes_as_python_2_did_and_in_no_other_way(codec: str, tmp_path: Path) -> None:
    (tmp_path / "test_batch").write_bytes(
        b"c_codecs\nencode\n(X\x01\0\0\0aX" + len(codec).to_bytes(4, "little") + codec.encode() + b"tR."
    )
    with pytest.raises(ValueError, match="only latin1 is let in"):
        cifar._read_python(tmp_path / "test_batch")
    assert np.array_equal(np.frombuffer(cifar._latin1("ÿ", "latin1"), np.uint8), [255])


def test_a_file_of_another_size_is_not_read_whole(tmp_path: Path) -> None:
    with (tmp_path / "data_batch_1").open("wb") as file:
        file.truncate(2**40)
    with pytest.raises(ValueError, match=f"data_batch_1 has {2**40} bytes"):
        cifar.cifar10(tmp_path)


# -- vectors and pages ---------------------------------------------------------------------------------------


def test_a_number_that_would_take_all_memory_is_refused_at_once() -> None:
    began = time.process_time()
    for text in ("1e999999999", "1e-999999999", "9" * 10_000, "1/3", " 1", "1_0", "١"):
        with pytest.raises(ValueError, match="here must be decimal strings; got"):
            vectors._fractions([text], "here")
    assert vectors._fractions(["-1.5e-3"], "here").tolist() == [Fraction(-3, 2000)]
    assert time.process_time() - began < 1


@pytest.mark.parametrize(
    ("read", "wrong"),
    [
        (vectors._numbers, ["1"]),
        (vectors._numbers, [True]),
        (vectors._numbers, [10**400]),
        (vectors._numbers, [[1], [1, 2]]),
        (lambda given, where: vectors._steps(given, where, None), [1.5]),
        (lambda given, where: vectors._steps(given, where, None), [-1]),
    ],
)
def test_a_number_of_another_kind_is_refused(read: Callable[[Any, str], object], wrong: list[Any]) -> None:
    with pytest.raises(ValueError, match="here must be"):
        read(wrong, "here")


def test_a_page_may_mention_anything(tmp_path: Path) -> None:
    text = f"`ddpm_ref.{'a' * 300}` D1:{'9' * 5000}"
    assert len(mentions.wrong({"page.md": text})) == 2


def test_a_folder_without_results_gets_no_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "matrix.md").write_text("dear")
    assert matrix.main([str(tmp_path)]) == 2
    assert f"folder must hold results/*.json; {tmp_path} has none" in capsys.readouterr().err
    assert (tmp_path / "matrix.md").read_text() == "dear"


def test_the_site_is_not_built_over_somebodys_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """mkdocs empties the folder that it is given."""
    monkeypatch.setattr(site, "build", lambda folder: 0)
    (tmp_path / "thesis.txt").write_text("dear")
    with pytest.raises(SystemExit, match="2"):
        site.main(["--site-dir", str(tmp_path)])
    assert "--site-dir must be a new or empty folder, or a built site" in capsys.readouterr().err
    for name in ("objects.inv", "sitemap.xml"):
        (tmp_path / name).write_text("")
    assert site.main(["--site-dir", str(tmp_path)]) == 0


def test_a_file_with_a_name_like_markup_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("select", "decide"):
        monkeypatch.setattr(derivations, name, lambda *_: [])
    monkeypatch.chdir(tmp_path)
    assert derivations.main(["posterior", "--json", "[red].json"]) == 0
    assert "Written to [red].json." in capsys.readouterr().out
    assert json.loads((tmp_path / "[red].json").read_text())["claims"] == []


# -- the kit -------------------------------------------------------------------------------------------------


def test_a_package_that_is_not_here_is_named_with_the_command_that_installs_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "diffusers", None)
    monkeypatch.delitem(sys.modules, "ddpm_ref.conformance.adapters.diffusers", raising=False)
    with pytest.raises(ValueError, match=r"needs diffusers, .*: pip install 'ddpm-ref\[peers\]'"):
        protocol.load("diffusers")


def test_a_file_for_the_results_is_refused_before_the_adapter_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(conformance, "Worker", lambda *_: pytest.fail("it was asked"))
    assert conformance.main(["reference", "--json", str(tmp_path)]) == 2
    assert "argument --json: must be a file that can be written" in capsys.readouterr().err


def test_nothing_that_is_pickled_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    class Loud:
        def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
            return print, ("hacked",)

    (tmp_path / "test_batch").write_bytes(pickle.dumps({b"data": Loud()}))
    with pytest.raises(ValueError, match="only arrays are let in"):
        cifar._read_python(tmp_path / "test_batch")
    assert capsys.readouterr().out == ""
