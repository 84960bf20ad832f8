"""The same examples every time, unless `--hypothesis-profile=explore` asks for new ones; the built site."""

from pathlib import Path

import pytest
import torch
from hypothesis import settings

settings.register_profile("steady", deadline=None, derandomize=True, max_examples=60)
settings.register_profile("explore", deadline=None, max_examples=1000)
settings.load_profile("steady")
torch.set_num_threads(1)  # the tensors are small; two threads mostly wait for each other


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built once for all the tests that read it."""
    pytest.importorskip("mkdocs")
    from derivations.proof.site import build

    folder = tmp_path_factory.mktemp("site")
    assert build(folder) == 0
    return folder
