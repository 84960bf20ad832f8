"""How many examples: a few by default, more with `-m slow`, any number with `--examples N`."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.fuzz.boundary import Fuzz
from tests.tiny import TINY, quick, start

ROOT = Path(__file__).resolve().parents[2]
FEW, MORE = 4, 30
# With as many groups in every normalisation, so that diffusers has such a network too.
EVEN = replace(TINY, unet=replace(TINY.unet, groups=2))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--examples", type=int, metavar="N", help="of each property of cost 1, in tests/fuzz")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "examples" in metafunc.fixturenames:
        asked = metafunc.config.getoption("--examples", None)
        budgets = [pytest.param(FEW, id="few"), pytest.param(MORE, id="more", marks=pytest.mark.slow)]
        metafunc.parametrize("examples", [asked] if asked else budgets)


@pytest.fixture
def fuzz(examples: int, request: pytest.FixtureRequest) -> Fuzz:
    return Fuzz(examples, request.node.name)


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of six updates."""
    out = tmp_path_factory.mktemp("fuzz") / "run"
    with quick():
        assert start(out, EVEN) == 0
    return out


@pytest.fixture(autouse=True)
def _project(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nothing write into the project: some programs do where nobody says where."""

    def guarded(method: Callable[..., Any]) -> Callable[..., Any]:
        def call(path: Path, *arguments: Any, **options: Any) -> Any:
            mode = options.get("mode", arguments[0] if arguments else "r")
            read = method.__name__ == "open" and not set(mode) & set("wax+")
            inside = ROOT in path.absolute().parents and ".hypothesis" not in path.parts
            assert read or not inside, f"{path} is the project's own"
            return method(path, *arguments, **options)

        return call

    for name in ("open", "write_text", "write_bytes", "unlink", "mkdir", "rename"):
        monkeypatch.setattr(Path, name, guarded(getattr(Path, name)))


@pytest.fixture
def place(tmp_path: Path, trained: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that a command is started in: a run, a file, an empty folder, somebody's thesis."""
    folder = tmp_path / "here"
    shutil.copytree(trained, folder / "run")
    (folder / "empty").mkdir()
    (folder / "thesis").mkdir()
    (folder / "thesis" / "thesis.txt").write_text("dear")
    (folder / "file.txt").write_text("a file")
    (folder / "loop").symlink_to("loop")
    monkeypatch.chdir(folder)
    return folder
