"""Which tests hold which claims: read from `tests/`, where a test names its claims in `@holds("id")`."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

TESTS = Path(__file__).parents[2] / "tests"


def tests_holding(claim_id: str) -> list[str]:
    """Return the pytest node ids that compare code with a claim; none if the tests are not at hand."""
    return _table().get(claim_id, [])


@cache
def _table() -> dict[str, list[str]]:
    table: dict[str, list[str]] = {}
    for path in sorted([*TESTS.glob("test_*.py"), *TESTS.glob("bindings/*.py")]):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.FunctionDef):
                continue
            for decorator in node.decorator_list:
                if isinstance(decorator, ast.Call) and ast.unparse(decorator.func) in (
                    "holds",
                    "pytest.mark.holds",
                ):
                    for argument in decorator.args:
                        if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
                            held = f"test_code_computes_the_claim[{argument.value}-{node.name}]"
                            test = (
                                f"{path.name}::{node.name}"
                                if node.name.startswith("test_")
                                else f"test_core.py::{held}"
                            )
                            table.setdefault(argument.value, []).append(f"tests/{test}")
    return table
