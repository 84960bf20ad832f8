"""What a proof comes down to: equations and inequalities between expressions, under hypotheses.

A chapter states a claim and hands over obligations; kernels decide them. An obligation is for every value of its symbols
that satisfies the hypotheses, and for every dimension d.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from sympy import Eq, Expr, Float, Ge, Gt, Le, Lt, S, log, sympify
from sympy.core.relational import Relational

from derivations.proof.symbols import VECTORS, E, d, inner, sqnorm, tex


@dataclass(frozen=True)
class Obligation:
    """`left relation right`, for all values of the symbols that satisfy `given`."""

    left: Expr
    relation: str  # one of "==", "<=", "<"
    right: Expr
    note: str
    given: tuple[Relational, ...] = field(default=())

    def __post_init__(self) -> None:
        if self.relation not in {"==", "<=", "<"}:
            raise ValueError(f"relation must be '==', '<=' or '<'; got {self.relation!r}")
        for side in (self.left, self.right):
            if side.has(S.NaN, S.ComplexInfinity, S.Infinity, S.NegativeInfinity):
                raise ValueError(f"{self.note}: {side} is not a finite expression")
            if side.atoms(Float):
                raise ValueError(f"{self.note}: {side} holds a floating-point number; write a Rational")

    @property
    def dimensions(self) -> tuple[int, ...]:
        """The dimensions that decide it for every d (see `dimension`): one for scalars, else one and two."""
        speaks_of_vectors = any(
            side.free_symbols & (VECTORS | {d}) or side.has(sqnorm, inner, E) for side in (self.left, self.right)
        )
        return (1, 2) if speaks_of_vectors else (1,)

    @property
    def latex(self) -> str:
        """The obligation in TeX, without its hypotheses."""
        sign = {"==": "=", "<=": r"\leq", "<": "<"}[self.relation]
        return f"{tex(self.left)} {sign} {tex(self.right)}"

    def _repr_latex_(self) -> str:
        return rf"$\displaystyle {self.latex}$"


def equal(left: object, right: object, note: str, *, given: tuple[Relational, ...] = ()) -> Obligation:
    """`left == right`."""
    return Obligation(sympify(left), "==", sympify(right), note, given)


def at_most(left: object, right: object, note: str, *, given: tuple[Relational, ...] = ()) -> Obligation:
    """`left <= right`."""
    return Obligation(sympify(left), "<=", sympify(right), note, given)


def less(left: object, right: object, note: str, *, given: tuple[Relational, ...] = ()) -> Obligation:
    """`left < right`."""
    return Obligation(sympify(left), "<", sympify(right), note, given)


def holds(relation: Relational, note: str, *, given: tuple[Relational, ...] = ()) -> Obligation:
    """Turn a SymPy relation into an obligation."""
    left, right = relation.lhs, relation.rhs
    match relation:
        case Eq():
            return equal(left, right, note, given=given)
        case Le():
            return at_most(left, right, note, given=given)
        case Lt():
            return less(left, right, note, given=given)
        case Ge():
            return at_most(right, left, note, given=given)
        case Gt():
            return less(right, left, note, given=given)
        case _:
            raise TypeError(f"{note}: expected an equation or an inequality; got {relation!r}")


def well_posed(expression: Expr) -> list[tuple[Expr, str]]:
    """List what must hold for an expression to mean something: (part, "nonzero" | "positive" | "nonnegative").

    Read from the tree as written, before any kernel rearranges it.
    """
    needs: list[tuple[Expr, str]] = []
    for node in dict.fromkeys(_walk(expression)):
        if node.is_Pow and node.exp.is_negative:
            needs.append((node.base, "nonzero"))
        if node.is_Pow and node.exp.is_Rational and not node.exp.is_Integer:
            needs.append((node.base, "nonnegative"))
        if node.func == log:
            needs.append((node.args[0], "positive"))
    return [(part, need) for part, need in dict.fromkeys(needs) if not part.is_number]


def _walk(node: Expr) -> list[Expr]:
    return [node, *(inside for argument in node.args for inside in _walk(argument))]
