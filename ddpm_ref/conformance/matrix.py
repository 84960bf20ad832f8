"""The page of peers, made from the tracked results and the findings: `docs/conformance/{results,findings}/`.

`python -m ddpm_ref.conformance.matrix docs/conformance` writes `matrix.md` there; with `--check` it only
compares. A finding is a script that shows one: its docstring says what differs, by how much and when it
matters, comments name the peer and the checks, and the comments at its end are what it prints.
"""

from __future__ import annotations

import ast
import json
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ddpm_ref.arguments import Parser, fail, path
from ddpm_ref.conformance.report import ORDER

__all__ = ["Finding", "findings", "main", "page"]

WORDS = {
    "passed": "passed",
    "inexact": "rounding",
    "failed": "**differs**",
    "broken": "**no answer**",
    "not offered": "–",
}
INTRODUCTION = """\
# Other implementations

<!-- Made from results/*.json and findings/*.py by `make peers`; edit those. -->

What [the kit](index.md) found in public code, each package as its registry has it. *Passed* means that every
case, over schedules, dtypes, all t, and all N where steps are chosen, is off by no more than one unit in the
last place for each operation of the formula. *Rounding* means the right formula with more rounding than it
needs: its error is in the lists below, and under a hundredth. *Differs* means that other numbers come out. A
dash means that the package does not compute this, or not by itself.

A row joins the variants of a function, and shows the worst. What differs is not always wrong: a package may
mean something else by a name, and says so or not. Each finding says when it matters.
"""


@dataclass(frozen=True)
class Finding:
    """Something that differs, and a script that shows it."""

    title: str
    text: str
    peer: str
    checks: tuple[str, ...]
    code: str
    prints: str


def findings(folder: Path) -> Iterator[Finding]:
    """Read the findings of a folder.

    Raises:
        ValueError: if a script lacks its docstring, its peer, its checks or what it prints.
    """
    for file in sorted(folder.glob("*.py")):
        source = file.read_text(encoding="utf-8")
        try:
            text = ast.get_docstring(ast.parse(source)) or ""
        except (MemoryError, RecursionError, SyntaxError) as error:  # MemoryError: nested too deep
            raise ValueError(f"{file} must be a Python script; {error}") from error
        fields = dict(re.findall(r"^# (peer|checks): (.+)$", source, re.MULTILINE))
        code = source.partition("# checks: ")[2].partition("\n")[2].rstrip("\n")
        lines = code.split("\n")
        end = len(lines)
        while end and lines[end - 1].startswith("# "):
            end -= 1
        prints = "\n".join(line[2:] for line in lines[end:])
        title, _, rest = text.partition("\n")
        if not (title and rest and prints and {"peer", "checks"} <= set(fields)):
            raise ValueError(f"{file} must have a docstring, a peer, checks, and what it prints")
        checks = tuple(re.split(r", (?=[a-z_0-9A-Z]+(?:\[|,|$))", fields["checks"]))
        yield Finding(title, rest.strip(), fields["peer"], checks, "\n".join(lines[:end]), prints)


def page(folder: Path) -> str:
    """Return the page's text."""
    peers = [_read(file) for file in sorted((folder / "results").glob("*.json"))]
    if not peers:
        raise ValueError(f"folder must hold results/*.json; {folder} has none")
    peers.sort(key=lambda peer: (peer["implementation"] != "ddpm-ref", peer["implementation"]))
    found = list(findings(folder / "findings"))
    parts = [INTRODUCTION, _table(peers)]
    for peer in peers:
        parts.append(_section(peer, [f for f in found if f.peer == peer["implementation"]]))
    return "\n".join(parts).rstrip("\n") + "\n"


def _read(file: Path) -> Any:
    """Read one peer's results, as far as the page needs them."""
    try:
        peer = json.loads(file.read_text(encoding="utf-8"))
        text = [peer["implementation"], peer["version"], peer["date"], peer.get("note", "")]
        text += [*peer["versions"], *peer["versions"].values()]
        for result in peer["results"]:
            text += [
                result[key] for key in ("check", "outcome", "diagnosis", "case", "at", "found", "wanted")
            ]
            for key in ("relative", "ulps", "allowed"):
                if not isinstance(result[key], int | float | None):
                    raise ValueError(f"{key} must be a number or null; got {result[key]!r}")
            if result["outcome"] not in ORDER:
                raise ValueError(f"outcome must be one of {', '.join(ORDER)}; got {result['outcome']!r}")
        if wrong := [entry for entry in text if not isinstance(entry, str)]:
            raise ValueError(f"a string must stand where {wrong[0]!r} does")
    except (AttributeError, KeyError, RecursionError, TypeError, ValueError) as error:
        what = f"{error.args[0]!r} is missing" if isinstance(error, KeyError) else error
        raise ValueError(f"{file} must be what --summary of ddpm_ref.conformance writes; {what}") from error
    return peer


def _function(check: str) -> str:
    return re.split(r"\[|,| at ", check)[0]


def _worst(outcomes: Sequence[str]) -> str:
    return min(outcomes, key=lambda outcome: ORDER.index(outcome))


def _table(peers: Sequence[Any]) -> str:
    rows = list(dict.fromkeys(_function(r["check"]) for peer in peers for r in peer["results"]))
    lines = [
        "| | " + " | ".join(f"{peer['implementation']} {peer['version']}" for peer in peers) + " |",
        "|---|" + "---|" * len(peers),
    ]
    for row in rows:
        cells = []
        for peer in peers:
            outcomes = [r["outcome"] for r in peer["results"] if _function(r["check"]) == row]
            offered = [outcome for outcome in outcomes if outcome != "not offered"]
            cells.append(WORDS[_worst(offered)] if offered else WORDS["not offered"])
        lines.append(f"| `{row}` | " + " | ".join(cells) + " |")
    return "\n".join([*lines, ""])


def _section(peer: Any, found: Sequence[Finding]) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in peer["versions"].items())
    lines = [
        f"## {peer['implementation']} {peer['version']}",
        "",
        f"Checked on {peer['date']} with {versions}.",
    ]
    if peer.get("note"):
        lines[-1] += f" {peer['note']}"
    told = [r for r in peer["results"] if r["outcome"] in ("broken", "failed", "inexact")]
    if not told:
        lines += ["", "All that is offered passes.", ""]
        return "\n".join(lines)
    for finding in found:
        lines += [
            "",
            f"### {finding.title}",
            "",
            finding.text,
            "",
            "```python",
            finding.code,
            "```",
            "",
            "It prints",
            "",
            "```text",
            finding.prints,
            "```",
            "",
            f"Found by {', '.join(f'`{check}`' for check in finding.checks)}.",
        ]
    lines += [
        "",
        '<details markdown="1">',
        f"<summary>Everything that did not pass, {len(told)} entries</summary>",
        "",
        "| check | relative error | units in the last place, of those allowed | diagnosis | at worst |",
        "|---|---|---|---|---|",
    ]
    for r in told:
        size = "" if r["relative"] is None else f"{r['relative']:.1e}"
        units = "" if r["ulps"] is None else f"{r['ulps']:.3g} of {r['allowed']}"
        values = f": {r['found']} for {r['wanted']}" if r["found"] else ""
        cells = (f"`{r['check']}`", size, units, r["diagnosis"], f"{r['case']}, {r['at']}{values}")
        lines.append("| " + " | ".join(str(cell).replace("|", "\\|") for cell in cells) + " |")
    lines += ["", "</details>", ""]
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the page, or compare it; return 1 if it is stale, 2 if it cannot be made."""
    parser = Parser(prog="python -m ddpm_ref.conformance.matrix", description=__doc__)
    parser.add_argument("folder", type=path, help="docs/conformance")
    parser.add_argument("--check", action="store_true", help="compare the page, and write nothing")
    try:
        options = parser.parse_args(arguments)
        text = page(options.folder)
        file = options.folder / "matrix.md"
        if not options.check:
            file.write_text(text, encoding="utf-8")
            return 0
        if file.read_text(encoding="utf-8") == text:
            return 0
    except (OSError, ValueError) as error:
        return fail("conformance.matrix", error)
    print("matrix.md is stale: run python -m ddpm_ref.conformance.matrix docs/conformance", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
