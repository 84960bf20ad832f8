"""Measure the source: `python checks/source.py` writes `checks/source.json` and `docs/checks/source.md`.

With `--check` write nothing and exit 1 where the page is not what the measures make.
"""

import ast
import io
import json
import re
import subprocess
import sys
import tokenize
from collections.abc import Mapping
from datetime import date
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any, NamedTuple

import grimp
from pages import ROOT, settle

RESULTS = Path(__file__).with_suffix(".json")

FOLDERS = ("ddpm_ref", "derivations", "checks", "benchmarks", "docs", "tests")
PACKAGES = ("ddpm_ref", "derivations")

LONG = 300  # lines of code that can be read in one sitting

# Files with more, and why that is how they should be.
LONGER = {
    r"derivations/\w+\.py": "A chapter is read as its page, section by section.",
    r"derivations/ledger/\w+\.py": "A document's rows are looked up, by line.",
    r"derivations/proof/symbols\.py": "The list of all symbols, looked up by name.",
    r"tests/test_\w+\.py": "The tests of a module, each read by itself.",
}

# Public names whose words stand elsewhere, and where.
ELSEWHERE = {
    r"derivations\.\w+(\.\w+)?": "a chapter's functions, since the prose above each is its docstring",
    r"ddpm_ref\.conformance\.adapters\.\w+\.\w+\.\w+": "an adapter's methods, which `Adapter` documents",
}

SIMILAR = 6  # lines in a row that are not written twice

# Modules that may have more in common, and why.
TWICE = {
    "`ddpm_ref/arguments.py` and `derivations/proof/arguments.py`": "neither package may import the other",
}

DOCUMENTED = ast.Module | ast.ClassDef | ast.FunctionDef


class Lines(NamedTuple):
    """A module's lines by what they are."""

    code: int
    docstring: int
    comment: int
    blank: int


def lines(source: str) -> Lines:
    """Count the lines of a module; one with code and a comment is code."""
    docstrings: set[int] = set()
    for node in ast.walk(ast.parse(source)):
        if (
            isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
            and ast.get_docstring(node) is not None
        ):
            docstrings |= set(range(node.body[0].lineno, (node.body[0].end_lineno or 0) + 1))
    code: set[int] = set()
    comments: set[int] = set()
    layout = tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            comments.add(token.start[0])
        elif token.type not in layout:
            code |= set(range(token.start[0], token.end[0] + 1))
    code -= docstrings
    comments -= code | docstrings
    count = len(source.splitlines())
    return Lines(
        len(code), len(docstrings), len(comments), count - len(code) - len(docstrings) - len(comments)
    )


def sources() -> dict[str, str]:
    """Read every module, by its path."""
    paths = (path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.py")))
    return {path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8") for path in paths}


def modules(more_than: int = 0) -> dict[str, Lines]:
    """Count the lines of every module, by its path; of those that have more in all than given."""
    return {path: lines(source) for path, source in sources().items() if source.count("\n") > more_than}


def reason(path: str) -> str | None:
    """Say why a module may be long, if it may."""
    return next((why for pattern, why in LONGER.items() if re.fullmatch(pattern, path)), None)


def documented(path: Path) -> dict[str, bool]:
    """Tell of every public name of a module, its own among them, whether it has a docstring."""
    found = {}

    def look(node: ast.Module | ast.ClassDef | ast.FunctionDef, name: str) -> None:
        found[name] = ast.get_docstring(node) is not None
        for child in [] if isinstance(node, ast.FunctionDef) else node.body:
            if isinstance(child, ast.ClassDef | ast.FunctionDef) and not child.name.startswith("_"):
                look(child, f"{name}.{child.name}")

    look(ast.parse(path.read_text(encoding="utf-8")), ".".join(path.relative_to(ROOT).with_suffix("").parts))
    return found


def api() -> dict[str, bool]:
    """Tell the same of all public names, save those that are documented in another way."""
    paths = (path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py")))
    names = {name: said for path in paths for name, said in documented(path).items()}
    return {
        name: said
        for name, said in names.items()
        if not any(re.fullmatch(known, name) for known in ELSEWHERE)
    }


def imports(package: str) -> dict[str, set[str]]:
    """List what each module of a package imports of it, for more than annotations, anywhere in its code."""
    graph = grimp.build_graph(package, cache_dir=None, exclude_type_checking_imports=True)
    return {module: set(graph.find_modules_directly_imported_by(module)) for module in graph.modules}


def cycle(graph: Mapping[str, set[str]]) -> list[str]:
    """Find modules that import each other in a circle, if there are any."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def logic(source: str) -> list[str]:
    """List a module's lines without docstrings, comments, imports and signatures, which may well be alike."""
    left_out: set[int] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            left_out |= set(range(node.lineno, (node.end_lineno or 0) + 1))
        elif isinstance(node, ast.FunctionDef):
            left_out |= set(range(node.lineno, node.body[0].lineno))
        if isinstance(node, DOCUMENTED) and ast.get_docstring(node) is not None:
            left_out |= set(range(node.body[0].lineno, (node.body[0].end_lineno or 0) + 1))
    kept = (line.strip() for number, line in enumerate(source.splitlines(), 1) if number not in left_out)
    return [line for line in kept if line and not line.startswith("#")]


def twice(sources: Mapping[str, str]) -> set[str]:
    """Name the pairs of modules that have `SIMILAR` lines of logic in a row in common."""
    first: dict[tuple[str, ...], str] = {}
    pairs = set()
    for path, source in sources.items():
        found = logic(source)
        for start in range(len(found) - SIMILAR + 1):
            there = first.setdefault(tuple(found[start : start + SIMILAR]), path)
            if there != path:
                pairs.add(f"`{there}` and `{path}`")
    return pairs


def measure() -> dict[str, Any]:
    """Measure everything."""
    return {
        "date": date.today().isoformat(),
        "commit": subprocess.run(
            ["git", "rev-parse", "HEAD"], cwd=ROOT, check=True, capture_output=True, text=True
        ).stdout.strip(),
        "modules": modules(),
        "imports": {package: sum(map(len, imports(package).values())) for package in PACKAGES},
        "cycles": {package: cycle(imports(package)) for package in PACKAGES},
        "twice": sorted(twice(sources()) - TWICE.keys()),
        "public names": len(api()),
        "undocumented": [name for name, said in api().items() if not said],
    }


INTRODUCTION = """\
---
title: Source
---

# The source, measured

<!-- Made from checks/source.json by checks/source.py; edit that. -->

What is promised: a module has at most {long} lines of code, which can be read in one sitting, unless it
stands below with its reason; no module imports, by however many steps, one that imports it; the mathematics
imports no program; every public name has a docstring; no {similar} lines in a row are written twice.
`tests/test_source.py` holds the code to that.

`python checks/source.py` measured this on {date}, at commit `{commit}`.
"""


def page(found: Mapping[str, Any]) -> str:
    """Make the page."""
    text = INTRODUCTION.format(long=LONG, similar=SIMILAR, date=found["date"], commit=found["commit"][:12])
    rows = {path: Lines(*counts) for path, counts in found["modules"].items()}
    text += (
        "\n| | modules | code | docstrings | comments | longest, lines of code |\n|---|--:|--:|--:|--:|---|\n"
    )
    for folder in FOLDERS:
        within = {path: row for path, row in rows.items() if path.startswith(f"{folder}/")}
        total = [sum(column) for column in zip(*within.values(), strict=True)]
        longest = max(within, key=lambda path: within[path].code)
        text += f"| `{folder}` | {len(within)} | {total[0]:,} | {total[1]:,} | {total[2]:,} "
        text += f"| `{longest}`, {within[longest].code} |\n"
    text += "\n| measure | |\n|---|--:|\n"
    for package in PACKAGES:
        text += f"| imports within `{package}` | {found['imports'][package]} |\n"
        text += f"| of these in a circle | {len(found['cycles'][package])} |\n"
    text += f"| public names of the two packages | {found['public names']} |\n"
    text += f"| of these without a docstring | {len(found['undocumented'])} |\n"
    text += f"| pairs of modules with {SIMILAR} lines in a row in common | {len(found['twice'])} |\n"
    text += "".join(f"\n- {pair}" for pair in found["twice"]) + ("\n" if found["twice"] else "")
    text += "\nNot counted:\n\n"
    text += "".join(f"- as undocumented: {why}\n" for why in ELSEWHERE.values())
    text += "".join(f"- as written twice: {pair}; {why}\n" for pair, why in TWICE.items())
    text += f"\n## Modules with more than {LONG} lines of code\n\n| module | code | why |\n|---|--:|---|\n"
    for path, row in sorted(rows.items(), key=lambda item: -item[1].code):
        if row.code > LONG:
            text += f"| `{path}` | {row.code} | {reason(path)} |\n"
    return text


def main() -> int:
    """Measure and write the page, or say whether it is what it should be."""
    if "--check" not in sys.argv[1:]:
        RESULTS.write_text(json.dumps(measure(), indent=1) + "\n", encoding="utf-8")
    return settle("source", page(json.loads(RESULTS.read_text(encoding="utf-8"))))


if __name__ == "__main__":
    sys.exit(main())
