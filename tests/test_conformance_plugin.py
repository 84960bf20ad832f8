"""`pytest --ddpm-implementation`: each check a test, failures that are known in a strict file."""

from __future__ import annotations

import re
from importlib import metadata
from pathlib import Path

import pytest

from ddpm_ref.conformance import pytest_plugin

pytest_plugins = ("pytester",)

# One process for pytest and one for the adapter, each with its imports.
pytestmark = pytest.mark.slow

ARGUMENTS = (
    "-p",
    "ddpm_ref.conformance.pytest_plugin",
    "-p",
    "no:cacheprovider",
    "--ddpm-implementation",
    "original",
    "--ddpm-only",
    "decoder",
)


# An installed package registers the plugin by itself; twice is an error.
INSTALLED = "ddpm_ref" in {entry.name for entry in metadata.entry_points(group="pytest11")}
PLUGIN = () if INSTALLED else ARGUMENTS[:2]


def _run(pytester: pytest.Pytester, *arguments: str) -> tuple[dict[str, int], str]:
    arguments = (*PLUGIN, *ARGUMENTS[2:], *arguments)
    done = pytester.runpytest_subprocess(*arguments)
    try:
        return done.parseoutcomes(), str(done.stdout) + str(done.stderr)
    except ValueError:
        return {}, str(done.stdout) + str(done.stderr)


def test_what_differs_fails_with_its_diagnosis(pytester: pytest.Pytester) -> None:
    outcomes, text = _run(pytester)
    assert outcomes == {"failed": 8}
    assert re.search(r"Φ by a tanh, and no mass below 1e-12", text)
    assert "Traceback" not in text


def test_what_is_known_is_expected(pytester: pytest.Pytester) -> None:
    known = pytester.makefile(".txt", "decoder_log_likelihood  # its tanh\ndecoder_log_likelihood, far off\n")
    assert _run(pytester, "--ddpm-expected-failures", str(known))[0] == {"xfailed": 8}


def test_what_is_expected_and_passes_fails_the_run(pytester: pytest.Pytester) -> None:
    known = pytester.makefile(".txt", "variance_at_1")
    arguments = ("--ddpm-only", "variance_at_1", "--ddpm-expected-failures", str(known))
    outcomes, text = _run(pytester, *arguments)
    assert outcomes.get("failed", 0) > 0
    assert "XPASS(strict)" in text


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--ddpm-expected-failures", "nowhere.txt"), "nowhere.txt: No such file"),
        (("--ddpm-implementation", "nothing"), "adapter must be one of"),
    ],
)
def test_bad_options_are_usage_errors(
    pytester: pytest.Pytester, arguments: tuple[str, ...], words: str
) -> None:
    assert words in _run(pytester, *arguments)[1]


def test_a_line_that_names_nothing_is_an_error(pytester: pytest.Pytester) -> None:
    known = pytester.makefile(".txt", "no such check")
    assert "no test is called 'no such check'" in _run(pytester, "--ddpm-expected-failures", str(known))[1]


def test_without_the_option_the_plugin_does_nothing(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_one():\n    assert True\n")
    done = pytester.runpytest_subprocess(*PLUGIN, *ARGUMENTS[2:4])
    assert done.parseoutcomes() == {"passed": 1}
    assert Path(pytest_plugin.__file__).exists()
