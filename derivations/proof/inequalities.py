"""Certificates for inequalities with logarithms, which neither kernel decides by itself.

An inequality is read through its gap, right side minus left side for "<=" and "<". A certificate brings the
gap down to equations and to inequalities between rational functions:

- *tangent*: the gap vanishes at a point, falls before it and rises after it (mean value theorem);
- *combination*: the gap is a sum of nonnegative multiples of gaps that other claims have shown nonnegative;
- *squares*: the gap is a sum of squares with nonnegative weights;
- *numbers*: both sides are sums of logarithms of rationals; the gap is log R, and R is compared with one.

A false inequality must fall as such, and not because a certificate does not fit it. So each certificate first
looks for a point at which the inequality fails; if there is one, the inequality itself is the obligation, and
the kernels and the witness meet it there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from math import lcm, prod

from sympy import Add, Eq, Expr, Ge, Gt, Integer, Lt, Rational, Symbol, diff, log
from sympy.core.relational import Relational

from derivations.proof import witness
from derivations.proof.claims import Claim
from derivations.proof.obligations import Obligation, at_most, equal, holds, less
from derivations.proof.symbols import positive_step

TRIES = 60
EXTREMES_IN_UNIT = (Rational(1, 100), Rational(99, 100))
EXTREMES = (Rational(1, 100), Integer(100))


def gap(relation: Relational) -> Expr:
    """What an inequality says is nonnegative, or positive."""
    larger, smaller = (relation.lhs, relation.rhs) if _points_down(relation) else (relation.rhs, relation.lhs)
    return larger - smaller


def _points_down(relation: Relational) -> bool:
    return isinstance(relation, Ge | Gt)


def is_strict(relation: Relational) -> bool:
    """Whether equality is excluded."""
    return isinstance(relation, Lt | Gt)


def tangent(
    relation: Relational,
    variable: Symbol,
    *,
    at: Expr,
    name: str,
    upper: int | None = None,
    sides: str = "both",
    attained: bool = True,
    given: Sequence[Relational] = (),
) -> list[Obligation]:
    """The gap, as a function of `variable` > 0, falls up to the point `at` and rises from there on.

    Every point below is at / (1 + h) with h > 0; every point above is at + h, or (at + h) / (1 + h) if the
    variable stays below `upper` = 1.

    Args:
        relation: the inequality.
        variable: the variable that moves.
        at: where the gap is smallest.
        name: what is shown, for the notes.
        upper: 1 if the variable stays below one.
        sides: "both", "above" or "below": where the variable may be. For one side `at` itself is excluded,
            so that a strict inequality may be shown.
        attained: whether the gap vanishes at `at`, or is only not negative there.
        given: hypotheses of the claim, under which a counterexample is looked for.
    """
    if relation.has(positive_step) or at.has(positive_step):
        raise ValueError(f"{name}: the symbol of the distance from `at` is taken: {positive_step}")
    if (false := _false(relation, given, name)) is not None:
        return [false]
    least = gap(relation).subs(variable, at)
    slope = diff(gap(relation), variable)
    above = (at + positive_step) / (1 + positive_step) if upper == 1 else at + positive_step
    below = at / (1 + positive_step)
    made = [equal(least, 0, f"{name}: equality") if attained else at_most(0, least, f"{name}: least value")]
    if is_strict(relation) and sides == "both":
        made = [less(0, least, f"{name}: least value")]
    if upper == 1:
        made.append(less(variable, 1, f"{name}: the variable stays below one"))
    if sides in ("both", "above"):
        made.append(less(0, slope.subs(variable, above), f"{name}: rises after it"))
    if sides in ("both", "below"):
        made.append(less(slope.subs(variable, below), 0, f"{name}: falls before it"))
    if sides == "above":
        made.append(less(at, variable, f"{name}: the variable stays above"))
    if sides == "below":
        made.append(less(variable, at, f"{name}: the variable stays below"))
    return made


def applied(lemma: Claim, values: Mapping[Symbol, Expr]) -> tuple[Relational, list[Obligation]]:
    """A proved inequality at other values of its symbols, and that these lie in the symbols' domains."""
    relation = lemma.parts["relation"]
    assert isinstance(relation, Relational)
    made: list[Obligation] = []
    for symbol, value in values.items():
        if symbol.is_integer and not value.is_integer:
            raise ValueError(f"{lemma.id} is for whole numbers {symbol}; got {value}")
        if symbol.is_positive:
            made.append(less(0, value, f"{lemma.id} at {symbol} = {value}: positive"))
        elif symbol.is_nonnegative:
            made.append(at_most(0, value, f"{lemma.id} at {symbol} = {value}: not negative"))
    made += [holds(_at(hypothesis, values), f"{lemma.id}: its hypothesis") for hypothesis in lemma.given]
    return _at(relation, values), made


def _at(relation: Relational, values: Mapping[Symbol, Expr]) -> Relational:
    return relation.func(*(side.xreplace(dict(values)) for side in relation.args), evaluate=False)


def combination(
    relation: Relational,
    terms: Sequence[tuple[Expr, tuple[Relational, list[Obligation]]]],
    *,
    name: str,
    given: Sequence[Relational] = (),
) -> list[Obligation]:
    """The gap is a sum of multiples, with coefficients that are not negative, of gaps shown elsewhere.

    A strict inequality needs strict ones, with positive coefficients.
    """
    if (false := _false(relation, given, name)) is not None:
        return [false]
    strict = is_strict(relation)
    if strict and not (terms and all(is_strict(shown) for _, (shown, _) in terms)):
        raise ValueError(f"{name}: a strict inequality does not follow from weak ones")
    total = Add(*(coefficient * gap(shown) for coefficient, (shown, _) in terms))
    made = [equal(gap(relation), total, f"{name}: the sum of what is shown elsewhere")]
    for coefficient, (_, conditions) in terms:
        compare = less if strict else at_most
        made += [compare(0, coefficient, f"{name}: coefficient"), *conditions]
    return list(dict.fromkeys(made))


def squares(
    relation: Relational,
    terms: Sequence[tuple[Expr, Expr]],
    *,
    name: str,
    given: Sequence[Relational] = (),
) -> list[Obligation]:
    """The gap is the sum of weight · root² over the given (weight, root)."""
    if (false := _false(relation, given, name)) is not None:
        return [false]
    if is_strict(relation):
        raise ValueError(f"{name}: squares may vanish")
    return [
        equal(gap(relation), Add(*(weight * root**2 for weight, root in terms)), f"{name}: sum of squares"),
        *(at_most(0, weight, f"{name}: weight of a square") for weight, _ in terms),
    ]


def numbers(relation: Relational, *, name: str) -> list[Obligation]:
    """An inequality between sums of rational multiples of logarithms of rationals.

    n times the gap is the logarithm of a rational R, found by collecting powers; R is then compared with one.
    """
    terms = [term.as_independent(log) for term in Add.make_args(gap(relation).expand()) if term != 0]
    if not all(factor.is_Rational and logarithm.func == log for factor, logarithm in terms):
        return [holds(relation, f"{name}: as stated")]
    whole = lcm(*(int(factor.q) for factor, _ in terms))
    ratio = prod(logarithm.args[0] ** int(factor * whole) for factor, logarithm in terms)
    compare = less if is_strict(relation) else at_most
    return [
        equal(whole * gap(relation), log(ratio), f"{name}: the difference is a logarithm"),
        compare(1, ratio, f"{name}: of a number above one"),
    ]


def _false(relation: Relational, given: Sequence[Relational], name: str) -> Obligation | None:
    """The inequality itself as an obligation, if a point refutes it."""
    for where in _ends(relation, given):
        stated = holds(relation, f"{name}: as stated", given=(*given, *where))
        if witness.refute(stated, tries=TRIES) is not None:
            return stated
    return None


def _ends(relation: Relational, given: Sequence[Relational]) -> Iterator[tuple[Relational, ...]]:
    """Yield no further hypothesis, then each choice of extreme values for the undefined symbols."""
    yield ()
    defined = {h.lhs for h in given if isinstance(h, Eq)}
    free = sorted(
        (s for s in relation.free_symbols if s.is_positive and not s.is_integer and s not in defined),
        key=lambda s: str(s.name),
    )
    bounded = {h.lts for h in given if not isinstance(h, Eq) and h.gts == 1}
    for values in product(*(EXTREMES_IN_UNIT if s in bounded else EXTREMES for s in free)):
        yield tuple(Eq(symbol, value) for symbol, value in zip(free, values, strict=True))
