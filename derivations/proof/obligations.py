"""What a proof comes down to: equations and inequalities between expressions, under hypotheses.

A chapter states a claim and hands over obligations; kernels decide them. An obligation is for every value of
its symbols that satisfies the hypotheses, and for every dimension d.
"""

from __future__ import annotations

from dataclasses import dataclass

from sympy import Eq, Expr, Float, Ge, Gt, Le, Lt, cos, exp, log, pi, sin, sympify
from sympy.core.relational import Relational

from derivations.proof.symbols import TEX, VECTORS, E, d, inner, sqnorm, tex

FUNCTIONS = (log, exp, cos, sin, sqnorm, inner, E)


@dataclass(frozen=True)
class Obligation:
    """`left relation right`, for all values of the symbols that satisfy `given`."""

    left: Expr
    relation: str  # one of "==", "<=", "<"
    right: Expr
    note: str
    given: tuple[Relational, ...]

    def __post_init__(self) -> None:
        if self.relation not in {"==", "<=", "<"}:
            raise ValueError(f"relation must be '==', '<=' or '<'; got {self.relation!r}")
        for side in (self.left, self.right):
            check_readable(side, self.note)
            allowed = 1 if self.relation == "==" else 0
            if (degree := _degree(side, self.note)) > allowed:
                raise ValueError(
                    f"{self.note}: {side} is of degree {degree} in d and norms; "
                    f"d = 1 and d = 2 decide {self.relation!r} up to degree {allowed}"
                )
        for hypothesis in self.given:
            if not isinstance(hypothesis, Eq | Le | Lt | Ge | Gt):
                raise TypeError(
                    f"{self.note}: a hypothesis is an equation or an inequality; got {hypothesis}"
                )
            for side in hypothesis.args:
                check_readable(side, self.note)
                if _speaks_of_vectors(side):
                    raise ValueError(
                        f"{self.note}: a hypothesis may not mention vectors or d; got {hypothesis}"
                    )

    @property
    def dimensions(self) -> tuple[int, ...]:
        """The dimensions that decide it for every d (see `dimension`): one for scalars, else one and two."""
        return (1, 2) if any(map(_speaks_of_vectors, (self.left, self.right))) else (1,)

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
    if not isinstance(relation, Relational):
        raise TypeError(f"{note}: expected an equation or an inequality; got {relation}")
    left, right = relation.args
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
            raise TypeError(f"{note}: expected an equation or an inequality; got {relation}")


def check_readable(expression: Expr, note: str) -> None:
    """Raise ValueError unless an expression is made of what both kernels and the witnesses read alike."""
    for node in _walk(expression):
        if isinstance(node, Float):
            raise ValueError(f"{note}: {expression} holds a floating-point number; write a Rational")
        if node.is_Symbol and node not in TEX:
            raise ValueError(f"{note}: {node} is not declared in derivations.proof.symbols")
        number = node.is_Rational or node.is_Symbol or node == pi
        power = node.is_Pow and node.exp.is_Rational and node.exp.q in (1, 2)
        if not (number or power or node.is_Add or node.is_Mul or node.func in FUNCTIONS):
            raise ValueError(f"{note}: no kernel reads {node} in {expression}")


def _speaks_of_vectors(expression: Expr) -> bool:
    return bool(expression.free_symbols & (VECTORS | {d}) or expression.has(sqnorm, inner, E))


def _degree(node: Expr, note: str) -> int:
    """The degree in d and in the numbers made of vectors, an upper bound; an error where it has none."""
    if node == d:
        return 1
    if isinstance(node, sqnorm | inner):
        if any(argument.has(d, sqnorm, inner, E) for argument in node.args):
            raise ValueError(f"{note}: {node} is not made of vectors with scalar coefficients")
        return 1
    degrees = [_degree(argument, note) for argument in node.args]
    if node.is_Add or isinstance(node, E):
        return max(degrees)
    if node.is_Mul:
        return sum(degrees)
    if any(degrees):
        if node.is_Pow and node.exp.is_Integer and node.exp > 0:
            return degrees[0] * int(node.exp)
        raise ValueError(
            f"{note}: {node} is not a multiple of d and of norms; d = 1 and d = 2 do not decide it"
        )
    return 0


def well_posed(expression: Expr) -> list[tuple[Expr, str]]:
    """List what an expression needs to mean something: (part, "nonzero" | "positive" | "nonnegative").

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
    return list(dict.fromkeys(needs))


def _walk(node: Expr) -> list[Expr]:
    return [node, *(inside for argument in node.args for inside in _walk(argument))]
