"""The hypotheses of a claim as a reader needs them: what is given, and the domain of every symbol."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields
from typing import TYPE_CHECKING

from sympy import Basic, Ge, Gt, Le, Lt, Symbol
from sympy.core.relational import Relational

from derivations.proof.symbols import STANDARD_NORMALS, VECTORS, tex

if TYPE_CHECKING:  # a claim shows itself by its card, which has its hypotheses
    from derivations.proof.claims import Claim


def symbols(claim: Claim) -> list[Symbol]:
    """List the symbols that a claim's statement and hypotheses mention, by name.

    Those that only its proof mentions are left out: as the statement is free of them, their domains do not
    restrict it.
    """
    stated = [getattr(claim.statement, field.name) for field in fields(claim.statement)]  # type: ignore[arg-type]
    expressions: Iterable[object] = [*stated, *claim.statement.parts.values(), *claim.given]
    mentioned = {
        symbol
        for expression in expressions
        if isinstance(expression, Basic)
        for symbol in expression.free_symbols
    }
    return sorted(mentioned, key=lambda symbol: symbol.name)


def given(claim: Claim) -> list[str]:
    """Print every hypothesis of a claim in TeX: the relations, then the domains that they leave open."""
    bounded: set[Symbol] = set()
    lines = []
    for relation in claim.given:
        if _follows(relation, claim.given):
            continue
        symbol, upper = _upper_bound(relation)
        if symbol is not None and (lower := _lower_bound(symbol)):
            bounded.add(symbol)
            lines.append(f"0 {lower} {upper}")
        else:
            lines.append(tex(relation))
    domains: dict[str, list[str]] = {}
    for symbol in symbols(claim):
        if symbol not in bounded:
            domains.setdefault(domain(symbol), []).append(tex(symbol))
    return lines + [f"{', '.join(names)} {place}" for place, names in sorted(domains.items())]


def domain(symbol: Symbol) -> str:
    """Print where a symbol's values lie, as it follows the symbol's name."""
    if symbol in STANDARD_NORMALS:
        return r"\sim \mathcal{N}(0, I)"
    if symbol in VECTORS:
        return r"\in \mathbb{R}^{d}"
    if symbol.is_integer:
        return r"\in \{1, 2, \dots\}" if symbol.is_positive else r"\in \{0, 1, \dots\}"
    if symbol.is_positive:
        return "> 0"
    return r"\geq 0" if symbol.is_nonnegative else r"\in \mathbb{R}"


def _upper_bound(relation: Relational) -> tuple[Symbol | None, str]:
    """Return the number that a relation bounds from above, and how the bound reads; or None."""
    small, large = (relation.lhs, relation.rhs)
    if isinstance(relation, Gt | Ge):
        small, large = large, small
    elif not isinstance(relation, Lt | Le):
        return None, ""
    if not isinstance(small, Symbol) or small in VECTORS or small.is_integer:
        return None, ""
    sign = "<" if isinstance(relation, Lt | Gt) else r"\leq"
    return small, f"{tex(small)} {sign} {tex(large)}"


def _lower_bound(symbol: Symbol) -> str:
    return "<" if symbol.is_positive else r"\leq" if symbol.is_nonnegative else ""


def _follows(relation: Relational, given: Iterable[Relational]) -> bool:
    """Tell whether a ≤ b stands beside a < b."""
    return isinstance(relation, Le) and Lt(relation.lhs, relation.rhs, evaluate=False) in given
