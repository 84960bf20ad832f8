"""The source is of a size to be read, says what it is for, and does not go in circles."""

import importlib
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[1]

# What computes and neither reads a file, nor talks to anybody, nor knows a network or data.
MATHEMATICS = (
    "bound", "coding", "decoder", "denoisers", "exact", "finite", "gap", "gaussian", "langevin", "latents",
    "laws", "metrics", "noise", "objective", "process", "reverse_law", "sampler", "schedule", "score",
    "subsequence", "subset",
)  # fmt: skip


@pytest.fixture
def source(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    pytest.importorskip("grimp")
    monkeypatch.syspath_prepend(ROOT / "checks")
    return importlib.import_module("source")


def test_a_long_module_has_its_reason(source: ModuleType) -> None:
    counted = source.modules(more_than=source.LONG)
    long = [path for path, lines in counted.items() if lines.code > source.LONG]
    assert "derivations/bound.py" in long
    assert [path for path in long if source.reason(path) is None] == []


def test_lines_are_told_apart(source: ModuleType) -> None:
    text = (
        '"""What it is\n\nfor."""\n\n# why\nx = """a\nb"""  # not a docstring\n\n\ndef f():\n    """Do."""\n'
    )
    assert source.lines(text) == (3, 4, 1, 3)


@pytest.mark.parametrize("package", ["ddpm_ref", "derivations"])
def test_no_module_imports_itself_by_way_of_others(package: str, source: ModuleType) -> None:
    graph = source.imports(package)
    assert sum(map(len, graph.values())) > len(graph)
    assert source.cycle(graph) == []


def test_a_circle_is_found(source: ModuleType) -> None:
    circle = source.cycle({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}})
    assert sorted(circle[1:]) == ["a", "b", "c"]


def test_the_mathematics_imports_nothing_else(source: ModuleType) -> None:
    graph = source.imports("ddpm_ref")
    ours = {f"ddpm_ref.{name}" for name in MATHEMATICS}
    assert ours <= graph.keys()
    assert {module: sorted(graph[module] - ours) for module in ours if graph[module] - ours} == {}


def test_every_public_name_says_what_it_is(source: ModuleType) -> None:
    api = source.api()
    assert len(api) > 500
    assert [name for name, said in api.items() if not said] == []


@pytest.mark.slow
def test_nothing_is_written_twice(source: ModuleType) -> None:
    assert source.twice(source.sources()) == source.TWICE.keys()


def test_what_is_written_twice_is_found(source: ModuleType) -> None:
    body = "\n".join(f"    x_{k} = {k}" for k in range(source.SIMILAR))
    one, two = f"import os\n\ndef f(a):\n{body}\n", f'def g(\n    b,\n):\n    """Do."""\n{body}  \n\n# why\n'
    assert source.twice({"one": one, "two": two}) == {"`one` and `two`"}
    assert source.twice({"one": one, "two": two.replace("x_3", "y_3")}) == set()


def test_the_page_is_made_from_the_measures(source: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["source.py", "--check"])
    assert source.main() == 0
