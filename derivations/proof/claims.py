"""Claims: what a chapter states, and how a claim is decided.

A claim has a permanent id, a statement, hypotheses, a proof that turns *any* version of its statement into
obligations, and mutants: plausible wrong versions. The same proof is run on the claim and on each mutant.
The claim must come through both kernels; every mutant must fall, at an exact point. A proof that some wrong
version survives says nothing, and fails.

Verdicts are computed here and nowhere typed.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from importlib import import_module
from time import perf_counter
from typing import Literal, Protocol

from sympy import Basic, Eq, Expr, Ge, Gt, Le, Lt, PolynomialError, sympify
from sympy.core.relational import Relational

from derivations import CHAPTERS
from derivations.proof import cards, normal_form, witness, z3_kernel
from derivations.proof.obligations import Obligation, check_readable, holds, well_posed
from derivations.proof.symbols import tex
from derivations.proof.witness import POINTS_TRIED, Witness

Verdict = Literal["proved", "definition", "failed"]
Parts = Mapping[str, Basic]
KERNELS = (normal_form.NAME, z3_kernel.NAME)
SPOT_CHECKS = 6
MUTANTS_NEEDED = 2


class Statement(Protocol):
    """What is claimed: named expressions, and how they read."""

    @property
    def parts(self) -> Parts:
        """The expressions that the statement is made of; mutants replace them, tests evaluate them."""

    def latex(self, parts: Parts) -> str:
        """Print the statement with these parts."""


@dataclass(frozen=True)
class Equation:
    """`left = value`; the part is `value`."""

    left: Expr | str
    value: Expr

    @property
    def parts(self) -> Parts:
        """The right-hand side."""
        return {"value": sympify(self.value)}

    def latex(self, parts: Parts) -> str:
        """Print left = value."""
        left = self.left if isinstance(self.left, str) else tex(self.left)
        return f"{left} = {tex(parts['value'])}"


@dataclass(frozen=True)
class Law:
    """`left = N(variable; mean, variance · I)`; the parts are `mean` and `variance`."""

    left: str
    variable: Expr
    mean: Expr
    variance: Expr

    @property
    def parts(self) -> Parts:
        """The mean and the variance of each coordinate."""
        return {"mean": sympify(self.mean), "variance": sympify(self.variance)}

    def latex(self, parts: Parts) -> str:
        """Print left = N(variable; mean, variance I)."""
        variance = tex(parts["variance"])
        if parts["variance"].is_Add:
            variance = rf"\left({variance}\right)"
        law = rf"\mathcal{{N}}\left({tex(self.variable)};\; {tex(parts['mean'])},\; {variance}\, I\right)"
        return f"{self.left} = {law}"


@dataclass(frozen=True)
class Holds:
    """An inequality or an equation between expressions; the part is `relation`."""

    relation: Relational

    @property
    def parts(self) -> Parts:
        """The relation itself."""
        return {"relation": self.relation}

    def latex(self, parts: Parts) -> str:
        """Print the relation."""
        return tex(parts["relation"])


@dataclass(frozen=True)
class Eventually:
    """`relation` at every t from `threshold` on; the part is `threshold`."""

    relation: Relational
    threshold: Expr

    @property
    def parts(self) -> Parts:
        """The step from which on the relation holds."""
        return {"threshold": sympify(self.threshold)}

    def latex(self, parts: Parts) -> str:
        """Print the relation and from where on it holds."""
        return rf"{tex(self.relation)} \quad \text{{for every }} t \geq {tex(parts['threshold'])}"


@dataclass(frozen=True)
class Mutant:
    """A plausible wrong version of a claim.

    Attributes:
        name: what was confused, in a few words.
        parts: the parts of the statement that differ, by name.
        seen: where it was met, if it was: a document's line, or a public thread.
    """

    name: str
    parts: Parts
    seen: str = ""


def mutant(name: str, *, seen: str = "", **parts: Basic | int) -> Mutant:
    """Make a mutant from the parts that differ."""
    return Mutant(name, {part: sympify(value) for part, value in parts.items()}, seen)


@dataclass(frozen=True)
class Decided:
    """One obligation and what each kernel said of it."""

    obligation: Obligation
    outcomes: Mapping[str, str]

    @property
    def proved(self) -> bool:
        """Whether both kernels prove it."""
        return all(self.outcomes.get(kernel) == "proved" for kernel in KERNELS)


@dataclass(frozen=True)
class Result:
    """A claim, decided."""

    verdict: Verdict
    obligations: tuple[Decided, ...]
    refuted: Mapping[str, Witness]
    problems: tuple[str, ...]
    seconds: float


@dataclass(frozen=True, eq=False)
class Claim:
    """A statement with what is needed to decide it; made by `claim`."""

    id: str
    title: str
    statement: Statement
    given: tuple[Relational, ...]
    proof: Callable[..., Iterable[Obligation]]
    mutants: tuple[Mutant, ...]
    kind: Literal["theorem", "definition"] = "theorem"
    uses_declared: tuple[Claim, ...] = ()
    sources: tuple[str, ...] = ()
    implemented_by: tuple[str, ...] = ()
    assumes: tuple[str, ...] = ()
    remark: str = ""
    _met: set[str] = field(default_factory=set)

    @property
    def parts(self) -> Parts:
        """The statement's expressions; reading them inside another claim's proof records the use."""
        if _proving:
            _proving[-1].add(self.id)
        return self.statement.parts

    @property
    def value(self) -> Expr:
        """The right-hand side of an equation."""
        return self.parts["value"]

    @property
    def mean(self) -> Expr:
        """The mean of a law."""
        return self.parts["mean"]

    @property
    def variance(self) -> Expr:
        """The variance of each coordinate of a law."""
        return self.parts["variance"]

    @property
    def latex(self) -> str:
        """The statement in TeX."""
        return self.statement.latex(self.statement.parts)

    def mutant_latex(self, wrong: Mutant) -> str:
        """A mutant's statement in TeX."""
        return self.statement.latex({**self.statement.parts, **wrong.parts})

    @property
    def uses(self) -> tuple[str, ...]:
        """The claims that this proof rests on: those declared and those whose expressions it read."""
        self.result
        declared = [used.id for used in self.uses_declared]
        return tuple(dict.fromkeys([*declared, *sorted(self._met - {self.id})]))

    @cached_property
    def result(self) -> Result:
        """Decide the claim, once."""
        began = perf_counter()
        try:
            return _decide(self)
        except (ValueError, TypeError, PolynomialError) as error:
            return Result("failed", (), {}, (f"cannot be decided: {error}",), perf_counter() - began)

    @property
    def verdict(self) -> Verdict:
        """The computed verdict."""
        return self.result.verdict

    def obligations(self, **changed: Basic) -> list[Obligation]:
        """What must be decided, for the statement as claimed or with some parts changed."""
        _proving.append(self._met)
        try:
            made = list(self.proof(**{**self.statement.parts, **changed}))
        finally:
            _proving.pop()
        return [replace(o, given=(*self.given, *o.given)) for o in made]

    def _repr_markdown_(self) -> str:
        return cards.card(cards.as_json(self))

    def _repr_mimebundle_(self, **_: object) -> dict[str, object]:
        return {cards.MIME: cards.as_json(self)}


_proving: list[set[str]] = []
_registry: dict[str, Claim] = {}


def claim(
    id: str,
    title: str,
    statement: Statement,
    *,
    proof: Callable[..., Iterable[Obligation]] | None = None,
    given: Sequence[Relational] = (),
    mutants: Sequence[Mutant],
    definition: bool = False,
    uses: Sequence[Claim] = (),
    sources: Sequence[str] = (),
    implemented_by: Sequence[str] = (),
    assumes: Sequence[str] = (),
    remark: str = "",
) -> Claim:
    """State a claim and enter it into the book.

    Args:
        id: permanent, `chapter.name`; never reused.
        title: a few words.
        statement: an Equation, a Law or a relation that Holds.
        proof: maps the statement's parts to obligations; for a relation, by default, the relation itself.
        given: hypotheses besides the symbols' own domains. `symbol == expression` defines a symbol.
        mutants: wrong versions, at least two.
        definition: true if the statement is chosen rather than derived; its proof then shows that it does
            what it is for.
        uses: claims relied on besides those whose expressions the proof reads.
        sources: "D2:107" for a line of a source document, or "Ho2020 (7)" for the paper.
        implemented_by: dotted names in ddpm_ref.
        assumes: theorems that the proof rests on and that nothing here checks.
        remark: a sentence for the page: when it matters, what is often confused.
    """
    if id in _registry:  # the same claim again, if a notebook runs its cell again
        taken = _registry[id]
        if (taken.title, taken.statement, taken.given) != (title, statement, tuple(given)):
            raise ValueError(f"claim id {id!r} is taken by {taken.title!r}")
    if proof is None:
        if not isinstance(statement, Holds):
            raise ValueError(f"{id}: only a relation proves itself; give a proof")
        proof = _by_itself
    for wrong in mutants:
        unknown = set(wrong.parts) - set(statement.parts)
        if unknown:
            raise ValueError(
                f"{id}: mutant {wrong.name!r} changes {sorted(unknown)}; parts are {sorted(statement.parts)}"
            )
    names = [wrong.name for wrong in mutants]
    if len(set(names)) != len(names):
        raise ValueError(f"{id}: two mutants share a name")
    made = Claim(
        id,
        title,
        statement,
        tuple(given),
        proof,
        tuple(mutants),
        "definition" if definition else "theorem",
        tuple(uses),
        tuple(sources),
        tuple(implemented_by),
        tuple(assumes),
        remark,
    )
    _registry[id] = made
    return made


def _by_itself(relation: Relational) -> list[Obligation]:
    return [holds(relation, "as stated")]


def every_claim() -> dict[str, Claim]:
    """Import every chapter; return all claims by their ids, in reading order."""
    for chapter in CHAPTERS:
        import_module(f"derivations.{chapter}")
    place = {
        chapter: k for k, chapter in enumerate(CHAPTERS)
    }  # whoever imports one imports what it uses first
    return dict(sorted(_registry.items(), key=lambda item: place.get(item[0].partition(".")[0], len(place))))


def _decide(claim: Claim) -> Result:
    began = perf_counter()
    problems = _undefined("statement", _expressions(claim.statement.parts.values()), claim.given)
    obligations = claim.obligations()
    if not obligations:
        problems.append("the proof is empty")
    decided = []
    for obligation in obligations:
        problems += _ill_posed(obligation)
        outcomes: dict[str, str] = {
            normal_form.NAME: normal_form.decide(obligation),
            z3_kernel.NAME: z3_kernel.decide(obligation),
        }
        decided.append(Decided(obligation, outcomes))
        if not decided[-1].proved:
            found = witness.refute(obligation)
            problems.append(
                f"{obligation.note}: {', '.join(f'{k} says {o}' for k, o in outcomes.items())}"
                + (f"; refuted: {found.describe()}" if found else "")
            )
        elif (found := witness.refute(obligation, tries=SPOT_CHECKS)) is not None:
            problems.append(f"{obligation.note}: both kernels prove it, yet it fails: {found.describe()}")
    proved = {decision.obligation for decision in decided if decision.proved}
    problems += [f"the proof does not depend on the {part}" for part in _unread(claim, proved)]
    refuted: dict[str, Witness] = {}
    for wrong in claim.mutants:
        fall = _refute(claim, wrong, proved)
        if isinstance(fall, str):
            problems.append(f"mutant {wrong.name!r}: {fall}")
        else:
            refuted[wrong.name] = fall
    if len(claim.mutants) < MUTANTS_NEEDED:
        problems.append(f"{len(claim.mutants)} mutants; {MUTANTS_NEEDED} are needed")
    verdict: Verdict = "failed" if problems else "definition" if claim.kind == "definition" else "proved"
    return Result(verdict, tuple(decided), refuted, tuple(problems), perf_counter() - began)


def _ill_posed(obligation: Obligation) -> list[str]:
    """Hypotheses that cannot hold together, and parts of the formula that may mean nothing."""
    problems = []
    satisfiable = z3_kernel.is_satisfiable(obligation.given)
    if satisfiable != "yes":
        problems.append(f"{obligation.note}: vacuous: can the hypotheses hold together? {satisfiable}")
    if next(witness.points(obligation, 1), None) is None:
        problems.append(f"{obligation.note}: vacuous: no rational point found that satisfies the hypotheses")
    return problems + _undefined(obligation.note, (obligation.left, obligation.right), obligation.given)


def _undefined(note: str, expressions: Iterable[Expr], given: Sequence[Relational]) -> list[str]:
    """Denominators, roots and logarithms that the hypotheses do not show to mean something."""
    needs = []
    for expression in expressions:
        check_readable(expression, note)
        needs += well_posed(expression)
    return [
        f"{note}: {part} is not shown to be {need}"
        for part, need in dict.fromkeys(needs)
        if z3_kernel.is_always(part, need, given) != "proved"
    ]


def _expressions(parts: Iterable[Basic]) -> list[Expr]:
    return [side for part in parts for side in (part.args if isinstance(part, Relational) else (part,))]


def _unread(claim: Claim, proved: Collection[Obligation]) -> list[str]:
    """The parts of a statement that can be changed without any obligation failing at some point."""

    def falls(name: str, changed: Basic) -> bool:
        made = (obligation for obligation in claim.obligations(**{name: changed}) if obligation not in proved)
        return any(witness.refute(obligation) for obligation in made)

    return [
        what
        for name, part in claim.statement.parts.items()
        for what, versions in _changes(name, part).items()
        if not any(falls(name, changed) for changed in versions)
    ]


def _changes(name: str, part: Basic) -> dict[str, list[Basic]]:
    """What can be changed about a part, and other versions of it, of which one at least must be false."""
    if not isinstance(part, Relational):
        return {name: [2 * part, part / 2, part + 1, part - 1]}
    left, right = (_changes("", side)[""] for side in part.args)
    turned = {Le: Ge, Ge: Le, Lt: Gt, Gt: Lt, Eq: Lt}[part.func]
    return {
        f"left side of {name}": [part.func(side, part.rhs, evaluate=False) for side in left],
        f"right side of {name}": [part.func(part.lhs, side, evaluate=False) for side in right],
        f"sign of {name}": [turned(part.lhs, part.rhs, evaluate=False)],
    }


def _refute(claim: Claim, wrong: Mutant, proved: Collection[Obligation]) -> Witness | str:
    """Find a point at which one of a mutant's obligations fails; no kernel may prove what fails there."""
    for obligation in claim.obligations(**wrong.parts):
        if obligation in proved:
            continue  # shared with the claim itself
        outcomes = {kernel.NAME: kernel.decide(obligation) for kernel in (normal_form, z3_kernel)}
        accepted = [kernel for kernel, outcome in outcomes.items() if outcome == "proved"]
        tries = SPOT_CHECKS if len(accepted) == len(KERNELS) else POINTS_TRIED
        found = witness.refute(obligation, tries=tries)
        if found and accepted:
            return f"{' and '.join(accepted)} prove {obligation.note!r}, which fails: {found.describe()}"
        if found:
            return found
    return "not refuted: no point was found at which any of its obligations fails"
