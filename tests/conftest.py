"""The same examples every time, unless `--hypothesis-profile=explore` asks for new ones; the built site."""

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
