"""What pages mention, held to what exists: claims, functions, and lines of the documents.

mkdocs resolves the links of a page; this reads what stands between backticks, where a slip would go unseen.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path

from derivations import CHAPTERS
from derivations.ledger import book, sources
from derivations.proof.claims import every_claim

ROOT = Path(__file__).resolve().parents[2]
CODE = re.compile(r"(?<![`\\])`([^`\n]+)`(?!`)")
CLAIM = re.compile(rf"(?:{'|'.join(CHAPTERS)})\.[a-zA-Z][a-zA-Z0-9-]*")
FUNCTION = re.compile(r"(?:ddpm_ref|derivations)(?:\.\w+)+")
LINE = re.compile(r"\b(D[1-9]):(\d+)\b")
FENCE = re.compile(r"^ *(```+|~~~+).*?^ *\1 *$", re.MULTILINE | re.DOTALL)
FILES = (".py", ".md", ".json", ".jsonl", ".ipynb")


def wrong(pages: Mapping[str, str]) -> list[str]:
    """Name every mention of something that does not exist, with its page and line.

    Args:
        pages: path under docs/ to text.
    """
    return [
        f"docs/{path}:{number}: {problem}"
        for path, text in pages.items()
        for number, line in enumerate(_without_code(text).splitlines(), start=1)
        for problem in _problems(line)
    ]


def _without_code(text: str) -> str:
    """Blank out blocks of code, which run or quote, and keep the numbers of the lines."""
    return FENCE.sub(lambda block: "\n" * block[0].count("\n"), text)


def _problems(line: str) -> Iterator[str]:
    for quoted in CODE.findall(line):
        if quoted.endswith(FILES):
            continue
        if CLAIM.fullmatch(quoted) and quoted not in every_claim():
            yield f"no claim is called `{quoted}`"
        elif FUNCTION.fullmatch(quoted) and not exists(quoted):
            yield f"nothing in the code is called `{quoted}`"
    for document, number in LINE.findall(line):
        if len(number) > 9 or not 1 <= int(number) <= _lengths().get(document, 0):
            yield f"there is no line {document}:{number}"


@cache
def _lengths() -> dict[str, int]:
    """Count the lines of each document; where it is not at hand, up to the last that a row or claim names."""
    known: dict[str, int] = {}
    named = [f"{row.document}:{row.line}" for document in book.documents() for row in document.rows]
    named += [source for claim in every_claim().values() for source in claim.sources]
    for document, line in (match.groups() for match in map(LINE.fullmatch, named) if match):
        known[document] = max(known.get(document, 0), int(line))
    return {name: len(sources.lines(name)) if sources.holds(name) else last for name, last in known.items()}


def exists(name: str, root: Path = ROOT) -> bool:
    """Tell whether a dotted name is a module, or something that a module defines, without importing it."""
    parts = name.split(".")
    for cut in range(len(parts), 0, -1):
        path = root.joinpath(*parts[:cut])
        module = path / "__init__.py" if _is(path.is_dir) else path.with_suffix(".py")
        if _is(module.is_file):
            return _defines(ast.parse(module.read_text(encoding="utf-8")), parts[cut:])
    return False


def _is(what: Callable[[], bool]) -> bool:
    try:
        return what()
    except OSError:  # a name too long for a file
        return False


def _defines(node: ast.Module | ast.ClassDef, names: list[str]) -> bool:
    if not names:
        return True
    for child in node.body:
        if isinstance(child, ast.ClassDef) and child.name == names[0]:
            return _defines(child, names[1:])
        if len(names) == 1 and names[0] in _bound(child):
            return True
    return False


def _bound(node: ast.stmt) -> set[str]:
    """The names that a statement gives a meaning to."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        return {node.name}
    if isinstance(node, ast.Import | ast.ImportFrom):
        return {(alias.asname or alias.name).split(".")[0] for alias in node.names}
    targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", node)]
    return {target.id for target in targets if isinstance(target, ast.Name)}
