"""Pin and hash what `make setup` installs, and read every dependency's licence: `make lock`.

Needs a network and uv. Writes `requirements-dev.lock` from `pyproject.toml` and `constraints.txt`, and
`checks/dependencies.json`, from which `checks/dependencies.py` makes a page.
"""

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path
from typing import TypedDict

from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression
from packaging.utils import canonicalize_name
from pages import ROOT

LOCK = ROOT / "requirements-dev.lock"
FOUND = Path(__file__).with_name("dependencies.json")
OLDEST = "3.11.5"  # the first Python that all the pinned versions accept
LICENCES_FOR = "3.13"  # one that every package exists for; what is only read need not run here

HEADER = """\
# What `make setup` installs, with the hashes of every file that the index has of it, for any system.
# `make lock` wrote this from pyproject.toml and constraints.txt.
#
# torch is the one package without hashes. It comes in builds (CPU, CUDA, ROCm), each with its own, and the
# machine decides which is right. constraints.txt pins its version; its wheel pins what only a CUDA build
# brings, NVIDIA's libraries and triton. All else that torch needs is below.
"""
UNHASHED = re.compile(r"torch|triton|cuda-.*|nvidia-.*")

# What packages that state no SPDX expression say instead.
SAID = {
    "3-Clause BSD License": "BSD-3-Clause",
    "Apache 2.0": "Apache-2.0",
    "Apache 2.0 License": "Apache-2.0",
    "Apache License 2.0": "Apache-2.0",
    "Apache Software License": "Apache-2.0",
    "BSD": "BSD",
    "BSD 3-Clause License": "BSD-3-Clause",
    "BSD License": "BSD",
    "ISC License (ISCL)": "ISC",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
}


class Package(TypedDict):
    """A dependency as it was resolved: its versions, each with its marker, and who asks for it."""

    versions: dict[str, str]
    licence: str
    via: list[str]


def resolve(*options: str) -> str:
    """Let uv choose versions for every platform, within the constraints."""
    command = [sys.executable, "-m", "uv", "pip", "compile", "pyproject.toml", "--no-config", "--universal"]
    command += ["--python-version", OLDEST, "--no-header", "--no-emit-index-url", "--quiet"]
    for name in ("constraints.txt", "constraints-peers.txt"):
        command += ["--constraint", name]
    return subprocess.run(
        [*command, *options], cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True
    ).stdout


def lock(names: Iterable[str]) -> str:
    """Write out the hashes of everything that development needs, except those among `names` left unhashed."""
    left_out = [f"--no-emit-package={name}" for name in names if UNHASHED.fullmatch(name)]
    extras = ("--extra", "dev", "--extra", "docs")
    return HEADER + resolve(*extras, "--generate-hashes", "--no-annotate", *left_out)


def read(resolved: str) -> dict[str, Package]:
    """Read what uv prints: a line `name==version ; marker` for each, and below it those who ask for it."""
    packages: dict[str, Package] = {}
    for line in resolved.splitlines():
        if found := re.match(r"([\w.-]+)==([^\s;]+)(?: ; (.*))?", line):
            name, version, marker = found.groups(default="")
            package = packages.setdefault(name, {"versions": {}, "licence": "", "via": []})
            package["versions"][version] = marker
        elif (found := re.match(r"    #(?: via|  ) (\w[\w.-]*)", line)) and found[1] not in package["via"]:
            package["via"].append(found[1])
    return packages


def licences(packages: dict[str, Package]) -> dict[str, str]:
    """Read the licence of each package in the metadata that it installs.

    Those without hashes are taken from this environment, if they are in it.
    """
    newest = {name: list(package["versions"])[-1] for name, package in packages.items()}
    wanted = [f"{name}=={version}" for name, version in newest.items() if not UNHASHED.fullmatch(name)]
    with tempfile.TemporaryDirectory() as folder:
        install = [sys.executable, "-m", "uv", "pip", "install", "--no-config", "--quiet", "--no-deps"]
        install += ["--python-version", LICENCES_FOR, "--target", folder]
        subprocess.run([*install, *wanted], check=True)
        found = [*metadata.distributions(path=[folder]), *metadata.distributions()]
        return {canonicalize_name(each.name): licence(each.metadata) for each in reversed(found)}


def licence(stated: metadata.PackageMetadata) -> str:
    """Give a package's licence as an SPDX expression, or as near to one as its metadata come."""
    fields = ("License-Expression", "License", "Classifier")
    for text in (text for field in fields for text in stated.get_all(field, [])):
        text = text.removeprefix("License :: OSI Approved :: ")
        try:
            return str(canonicalize_license_expression(SAID.get(text, text)))
        except InvalidLicenseExpression:
            if text in SAID:
                return SAID[text]
    return ""


def main() -> int:
    """Write both files."""
    packages = read(resolve("--all-extras"))
    LOCK.write_text(lock(packages), encoding="utf-8")
    known = licences(packages)
    rows = {
        name: package | {"licence": known.get(name, "")}
        for name, package in packages.items()
        if name == "torch" or not UNHASHED.fullmatch(name)
    }
    FOUND.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
