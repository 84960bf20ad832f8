"""Write `docs/checks/dependencies.md` from what `make lock` found: `python checks/dependencies.py`.

With `--check` write nothing and exit 1 where the page differs.
"""

import json
import re
import sys
import tomllib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from lock import FOUND, Package
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from pages import ROOT, settle

# Each licence that a dependency may have, and what it asks of somebody who uses or passes on this project.
ALLOWED = {
    "0BSD": "nothing",
    "Apache-2.0": "its notices, and its grant of patents",
    "Apache-2.0 WITH LLVM-exception": "as Apache-2.0, and nothing for compiled parts",
    "BSD": "its notice; the package says BSD, and not which",
    "BSD-2-Clause": "its notice",
    "BSD-3-Clause": "its notice",
    "BSL-1.0": "its notice, with its source",
    "CC0-1.0": "nothing",
    "CNRI-Python": "its notice",
    "ISC": "its notice",
    "LGPL-3.0-or-later": "its own source, changed or not; allowed, since only proofs need it",
    "MIT": "its notice",
    "MIT-0": "nothing",
    "MIT-CMU": "its notice",
    "MPL-2.0": "the source of its own files, changed or not",
    "PSF-2.0": "its notice",
    "Unlicense": "nothing",
    "Zlib": "its notice, with its source",
}

# Why we ask for each package ourselves.
WHY = {
    "datasets": "images of the Hugging Face hub, `hf:NAME`",
    "diffusers": "the implementation that interop and the conformance kit are tested against",
    "editables": "lets hatchling install the checkout in place",
    "filelock": "the lock on a run's folder, so that one command at a time writes there",
    "grimp": "reads who imports whom, for `checks/source.py`",
    "hatchling": "builds the package; here so that a checkout is installed with what is locked",
    "hypothesis": "draws the cases of the property tests",
    "ipykernel": "what the notebooks run in",
    "jsonschema": "holds the conformance vectors to their schema",
    "jupytext": "reads chapters in percent format",
    "lazy-loader": "imports public names when first used, so that the conformance kit needs no PyTorch",
    "coverage": "which tests reach a line, for the mutants",
    "libcst": "reads and changes source, for `checks/mutation.py`",
    "matplotlib": "draws loss curves and the plots of an evaluation",
    "mkdocs": "builds the site",
    "mkdocs-material": "the site's theme and its search",
    "mkdocstrings": "makes the pages of the API from docstrings",
    "mpmath": "60 digits for the tables of a schedule, 50 for the tests' oracle",
    "mutmut": "the changes that `checks/mutation.py` makes",
    "mypy": "checks types",
    "nbclient": "runs the chapters, as notebooks",
    "nbconvert": "writes a chapter that has run as Markdown",
    "numpy": "arrays without PyTorch: the conformance kit, metrics, data",
    "packaging": "reads versions and licences in tests and checks",
    "pillow": "reads and writes images",
    "pre-commit": "lints before every commit, for those who switch it on",
    "pytest": "runs the tests",
    "pytest-xdist": "runs them on several processors",
    "python-flint": "Arb's enclosures: refutes where roots are irrational, and computes the vectors",
    "rich": "prints the book of claims",
    "ruff": "lints and formats",
    "safetensors": "keeps weights in a file that cannot run code",
    "scikit-learn": "ships the digits and the photographs; the classifier that judges samples",
    "sympy": "the claims' expressions, and the first kernel's normal form",
    "tensorboard": "shows a run's log, for those who ask for it",
    "threadpoolctl": "keeps scikit-learn to one thread, so that its results repeat",
    "torch": "tensors, networks, gradients",
    "torch-fidelity": "Inception features for the published Fréchet distance",
    "tqdm": "the bar of progress",
    "traitlets": "nbconvert's settings",
    "uv": "resolves and hashes the lock",
    "z3-solver": "the second kernel",
}

INTRODUCTION = """\
---
title: Dependencies
---

# Dependencies

<!-- Made from checks/dependencies.json by checks/dependencies.py; edit that. -->

What is promised: `make setup` installs exactly the versions in `requirements-dev.lock`, each checked against
hashes kept there, so that neither the package index nor the way to it can change what runs. The one exception
is PyTorch, and the file says why. No dependency, of those below, has a licence outside
[the list of allowed ones](#licences). Nothing is fetched when a module is imported or a program runs, unless
its user asks for it: `hf:NAME` as the source of data, or Inception's weights.

`make lock` chooses the versions anew, within `constraints.txt`, and reads the licences in the metadata of the
packages; `tests/test_dependencies.py` and `tests/test_offline.py` hold this page to it. `make peers`, which
checks other people's implementations, installs them at the versions in `constraints-peers.txt`, in an
environment of its own.

"""

CUDA = """
A build of PyTorch for CUDA also brings NVIDIA's libraries, under licences of NVIDIA's own, and triton (MIT);
a build for the CPU brings neither.
"""

EXTRAS = {
    "run": "`pip install ddpm-ref`: to train, sample, evaluate and check an implementation",
    "proofs": "to decide the claims",
    "docs": "to build the site",
    "dev": "to test and lint; holds *proofs*",
    "inception": "the published Fréchet distance",
    "tensorboard": "`--tensorboard`",
    "datasets": "`hf:NAME`",
    "peers": "to compare with diffusers",
}


def asked(project: Mapping[str, Any]) -> dict[str, set[str]]:
    """List what we ask for ourselves: to run, and for each extra, with those that it holds."""
    lines = {"run": project["dependencies"], **project["optional-dependencies"]}

    def names(extra: str) -> Iterator[str]:
        for requirement in map(Requirement, lines[extra]):
            if requirement.name == project["name"]:
                for inner in requirement.extras:
                    yield from names(inner)
            else:
                yield canonicalize_name(requirement.name)

    return {extra: set(names(extra)) for extra in lines}


def closure(roots: set[str], packages: Mapping[str, Package]) -> set[str]:
    """Add to some packages all that they bring."""
    reached: set[str] = set()
    while fresh := roots - reached:
        reached |= fresh
        roots = {name for name, package in packages.items() if fresh.intersection(package["via"])}
    return reached


def named(licence: str) -> list[str]:
    """List the licences in an expression; one that is offered beside another counts as well."""
    return [part for part in re.split(r" AND | OR |[()]", licence) if part]


def allowed(licence: str) -> bool:
    """Tell whether every licence in an expression is allowed, and there is one."""
    return bool(named(licence)) and ALLOWED.keys() >= set(named(licence))


def page(packages: Mapping[str, Package], project: Mapping[str, Any]) -> str:
    """Make the page."""
    direct = asked(project)
    everything = {extra: closure(roots, packages) for extra, roots in direct.items()}
    ours = set().union(*direct.values())
    text = INTRODUCTION
    text += table(
        "extra|what it is for|asked for|in all",
        (
            (extra, purpose, str(len(direct[extra])), str(len(everything[extra])))
            for extra, purpose in EXTRAS.items()
        ),
    )
    text += "\n## What we ask for, and why\n\n"
    text += table(
        "package|version|licence|extra|why",
        ((*stated(name, packages), in_(name, direct), WHY[name]) for name in sorted(ours)),
    )
    text += "\n## What those bring\n\n"
    text += table(
        "package|version|licence|extra|asked for by",
        (
            (*stated(name, packages), in_(name, everything), ", ".join(sorted(packages[name]["via"])))
            for name in sorted(packages.keys() - ours)
        ),
    )
    text += "\n## Licences\n\n"
    count = Counter(part for package in packages.values() for part in set(named(package["licence"])))
    text += table(
        "licence|packages|what it asks for",
        ((name, str(count[name]), ALLOWED.get(name, "not allowed")) for name in sorted(count)),
    )
    return text + CUDA


def table(header: str, rows: Iterable[Sequence[str]]) -> str:
    """Write a table in Markdown."""
    lines = [header.split("|"), ["---"] * (header.count("|") + 1), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def stated(name: str, packages: Mapping[str, Package]) -> tuple[str, str, str]:
    """Give a package's name, its version or versions, and its licence."""
    package = packages[name]
    return name, " or ".join(package["versions"]), package["licence"]


def in_(name: str, extras: Mapping[str, set[str]]) -> str:
    """List the extras that a package belongs to."""
    return ", ".join(extra for extra in EXTRAS if name in extras[extra])


def main() -> int:
    """Write the page, or say whether it is what it should be."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return settle("dependencies", page(json.loads(FOUND.read_text(encoding="utf-8")), project))


if __name__ == "__main__":
    sys.exit(main())
