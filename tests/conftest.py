"""The same examples every time, unless `--hypothesis-profile=explore` asks for new ones; what tests share."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from hypothesis import settings

settings.register_profile("steady", deadline=None, derandomize=True, max_examples=60)
settings.register_profile("explore", deadline=None, max_examples=1000)
settings.load_profile("steady")
torch.set_num_threads(1)  # the tensors are small; two threads mostly wait for each other


@pytest.hookimpl(tryfirst=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int | None:
    """Use every core for the whole suite, and one process where somebody names the tests to run."""
    return None if config.args_source is pytest.Config.ArgsSource.TESTPATHS else 0


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built once for all the tests that read it."""
    pytest.importorskip("mkdocs")
    from derivations.proof.site import build

    folder = tmp_path_factory.mktemp("site")
    assert build(folder) == 0
    return folder


@pytest.fixture
def quickly() -> Iterator[None]:
    """Train on few images, without what takes long and has no part in the state."""
    from tests.tiny import quick

    with quick():
        yield


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny run that nothing interrupted."""
    from tests.tiny import quick, start

    out = tmp_path_factory.mktemp("whole")
    with quick():
        assert start(out) == 0
    return out
