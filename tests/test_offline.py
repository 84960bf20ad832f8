"""Nothing is fetched unless it is asked for: no module, when imported, and no program opens a connection."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
CAUGHT = 97

# Python raises an audit event for every connection, message and question for an address, whoever asks; ending
# the process there, rather than raising an error, leaves nobody a chance to swallow it.
WATCH = f"""
import os, socket, sys

ASKING = ("getaddrinfo", "gethostbyname", "gethostbyaddr", "getnameinfo", "connect", "sendto", "sendmsg")

def watch(event, arguments):
    if event.startswith("socket.") and event[7:] in ASKING:
        within = isinstance(arguments[0], socket.socket) and arguments[0].family == socket.AF_UNIX
        if not within:
            print("the network was asked for:", event, arguments, file=sys.stderr, flush=True)
            os._exit({CAUGHT})

sys.addaudithook(watch)
"""

IMPORTS = """
import importlib, pkgutil
import ddpm_ref, derivations

OTHERS = ("diffusers", "monai", "labml_nn", "denoising_diffusion_pytorch")  # what the kit checks
for package in (ddpm_ref, derivations):
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        try:
            importlib.import_module(module.name)
        except ModuleNotFoundError as error:
            assert error.name in OTHERS, error
"""

PROGRAMS = """
import contextlib, io
from ddpm_ref import evaluate, sample, train
from ddpm_ref.conformance import __main__ as conformance
from derivations import __main__ as book

for main, arguments in (
    (train.main, ["--preset", "smoke", "--steps", "2", "--out", "run"]),
    (evaluate.main, ["--run", "run", "--n", "40", "--steps", "3"]),
    (sample.main, ["--run", "run", "--n", "2"]),
    (conformance.main, ["reference", "--only", "q_sample"]),
    (book.main, ["posterior"]),
):
    with contextlib.redirect_stdout(io.StringIO()):
        assert main(arguments) == 0, arguments
"""


def watched(script: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a script; where the system allows it, without any network, which compiled code would miss too."""
    without = ["unshare", "--map-root-user", "--net"]
    if not shutil.which("unshare") or subprocess.run([*without, "true"], capture_output=True).returncode:
        without = []
    command = [*without, sys.executable, "-c", WATCH + script]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True)


@pytest.mark.slow
def test_importing_any_module_asks_nothing_of_the_network(tmp_path: Path) -> None:
    done = watched(IMPORTS, tmp_path)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_the_programs_ask_nothing_of_the_network(tmp_path: Path) -> None:
    done = watched(PROGRAMS, tmp_path)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "asking",
    [
        "import socket; socket.socket().connect_ex(('127.0.0.1', 9))",
        "import socket; socket.create_connection(('localhost', 9))",
        "import urllib.request\ntry: urllib.request.urlopen('http://localhost:9')\nexcept OSError: pass",
    ],
)
def test_what_does_ask_is_caught(asking: str, tmp_path: Path) -> None:
    assert watched(asking, tmp_path).returncode == CAUGHT
