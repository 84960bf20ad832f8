"""The mutants of a module: its source with one small change, as mutmut's operators make them.

mutmut itself reaches a mutant through a function that stands before the mutated one. So it leaves out what
such a function cannot stand for: decorated functions, which here are all tables of a schedule, and the
constants of modules and classes. Its operators know no such limit; here each mutant is a whole module.
"""

from __future__ import annotations

import difflib
import hashlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast

import libcst as cst
import libcst.matchers as m
from libcst.metadata import CodeRange, MetadataWrapper, PositionProvider
from mutmut.mutation.mutators import mutation_operators

# What no mutant changes: types, which mypy holds; what a decorator or an error says; names that are exported.
UNTOUCHED = (
    m.Annotation()
    | m.Decorator()
    | m.Raise()
    | m.Subscript(value=m.Name("Literal"))
    | m.Call(func=m.OneOf(*(m.Name(name) for name in ("cast", "TypeVar", "NewType", "len", "isinstance"))))
    | m.Assign(targets=[m.AssignTarget(target=m.Name("__all__"))])
    | m.If(test=m.Name("TYPE_CHECKING"))
    | m.SimpleStatementLine(body=[m.Expr(value=m.SimpleString() | m.ConcatenatedString())])
)

# A string given to one of our checks is the name that its error will say.
NAMED = m.Call(func=m.Name(m.MatchRegex(r"_?check.*")))


@dataclass(frozen=True)
class Mutant:
    """A module with one change.

    Attributes:
        module: the module's name.
        function: where the change is, as `Class.method`; empty for a statement of the module itself.
        change: the lines taken away and added, and how many equal changes the function has before this one.
        lines: first and last line of the statement that is changed.
        code: the module's source with the change.
    """

    module: str
    function: str
    change: str
    lines: tuple[int, int]
    code: str

    @property
    def id(self) -> str:
        """A name that stays as long as the changed lines do."""
        text = f"{self.module}\n{self.function}\n{self.change}"
        return hashlib.sha256(text.encode()).hexdigest()[:12]


class _Changes(cst.CSTVisitor):
    """Collect every change that an operator makes to a node, with the function and the statement it is in."""

    METADATA_DEPENDENCIES = (PositionProvider,)

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[cst.CSTNode, cst.CSTNode, str, tuple[int, int]]] = []
        self._names: list[str] = []
        self._texts: set[cst.CSTNode] = set()
        self._statements: list[tuple[int, int]] = []

    def on_visit(self, node: cst.CSTNode) -> bool:
        if m.matches(node, UNTOUCHED):
            return False
        if isinstance(node, cst.FunctionDef | cst.ClassDef):
            self._names.append(node.name.value)
        if isinstance(node, cst.SimpleStatementLine | cst.BaseCompoundStatement):
            self._statements.append(self._lines(node))
        if m.matches(node, NAMED):
            self._texts.update(arg.value for arg in cst.ensure_type(node, cst.Call).args)
        for kind, operator in mutation_operators:
            if isinstance(node, kind) and not (kind is cst.BaseString and node in self._texts):
                for changed in operator(node):
                    if not (m.matches(node, NAMED) and _text_lost(node, changed)):
                        self.found.append((node, changed, ".".join(self._names), self._statements[-1]))
        return True

    def on_leave(self, original_node: cst.CSTNode) -> None:
        if m.matches(original_node, UNTOUCHED):
            return
        if isinstance(original_node, cst.FunctionDef | cst.ClassDef):
            self._names.pop()
        if isinstance(original_node, cst.SimpleStatementLine | cst.BaseCompoundStatement):
            self._statements.pop()

    def _lines(self, node: cst.CSTNode) -> tuple[int, int]:
        """Return the lines of a statement, of a compound one those of its head."""
        where = self._range(node)
        if isinstance(node, cst.BaseCompoundStatement):
            body = node.cases[0] if isinstance(node, cst.Match) else node.body
            return where.start.line, max(where.start.line, self._range(body).start.line - 1)
        return where.start.line, where.end.line

    def _range(self, node: cst.CSTNode) -> CodeRange:
        return self.get_metadata(PositionProvider, node)


def _text_lost(call: cst.CSTNode, changed: cst.CSTNode) -> bool:
    """Say whether None stands for a string among the arguments of a changed call."""
    before, after = (cst.ensure_type(node, cst.Call).args for node in (call, changed))
    return any(
        isinstance(old.value, cst.BaseString) and m.matches(new.value, m.Name("None"))
        for old, new in zip(before, after, strict=False)
    )


def mutants(module: str, source: str) -> Iterator[Mutant]:
    """Make every mutant of a module that compiles, once, in the order of its lines."""
    wrapper = MetadataWrapper(cst.parse_module(source))
    changes = _Changes()
    wrapper.visit(changes)
    seen = {source}
    equal: Counter[tuple[str, str]] = Counter()
    for node, changed, function, lines in changes.found:
        code = cast(cst.Module, wrapper.module.deep_replace(node, changed)).code
        if code in seen or not _compiles(code):
            continue
        seen.add(code)
        change = difference(source, code)
        equal[function, change] += 1
        if equal[function, change] > 1:
            change += f"\n(change {equal[function, change]} of this kind)"
        yield Mutant(module, function, change, lines, code)


def difference(before: str, after: str) -> str:
    """Return the lines taken away and the lines added, without what is around them."""
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), n=0, lineterm="")
    return "\n".join(line[0] + " " + line[1:].strip() for line in list(lines)[2:] if line[0] in "-+")


def _compiles(code: str) -> bool:
    try:
        compile(code, "mutant", "exec", dont_inherit=True)
    except SyntaxError:
        return False
    return True
