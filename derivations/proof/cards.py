"""How a claim shows itself in a notebook, on its page and in the book's JSON."""

from __future__ import annotations

from typing import Any

from sympy import Basic
from sympy.core.relational import Relational

from derivations.proof.claims import Claim, Parts
from derivations.proof.dimension import by_coordinates
from derivations.proof.held import tests_holding
from derivations.proof.obligations import Obligation, holds
from derivations.proof.symbols import tex
from derivations.proof.witness import UndefinedError, Witness, evaluate, fails, show


def card(claim: Claim) -> str:
    """The claim as Markdown: heading with its id, statement, verdict, hypotheses, links, mutants."""
    lines = [f"### {claim.title} {{ #{claim.id} }}", "", "$$", claim.latex, "$$", ""]
    if claim.remark:
        lines += [claim.remark, ""]
    lines += ['<div class="claim" markdown>', "", *_facts(claim), "", "</div>", ""]
    lines += _mutants(claim)
    if claim.result.problems:
        lines += ["!!! failure", "", *(f"    - {problem}" for problem in claim.result.problems), ""]
    return "\n".join(lines)


def _facts(claim: Claim) -> list[str]:
    result = claim.result
    checked = len(result.obligations)
    how = f"{checked} obligation{'s' if checked != 1 else ''}, each by rational normal form and by z3"
    word = {"proved": "Proved", "definition": "Definition", "failed": "NOT PROVED"}[result.verdict]
    facts = [f"`{claim.id}` · **{word}** · {how}"]
    if claim.given:
        facts.append("Given: " + ", ".join(f"${tex(h)}$" for h in claim.given))
    if claim.uses:
        facts.append("Uses: " + ", ".join(f"[{used}][{used}]" for used in claim.uses))
    if claim.implemented_by:
        facts.append("Code: " + ", ".join(f"[`{name}`][{name}]" for name in claim.implemented_by))
    if tests := tests_holding(claim.id):
        names = [f"`{test.rsplit('-', 1)[-1].split('::')[-1].rstrip(']')}`" for test in tests]
        files = dict.fromkeys(test.split("::")[0] for test in tests)
        facts.append(f"Held by: {', '.join(names)} in {', '.join(f'`{file}`' for file in files)}")
    if claim.sources:
        facts.append("Sources: " + ", ".join(claim.sources))
    if claim.assumes:
        facts.append("Assumes: " + "; ".join(claim.assumes))
    return [f"- {fact}" for fact in facts]


def _mutants(claim: Claim) -> list[str]:
    count = len(claim.mutants)
    lines = [f'??? note "{len(claim.result.refuted)} of {count} wrong versions refuted"', ""]
    for wrong in claim.mutants:
        seen = f" Seen: {wrong.seen}." if wrong.seen else ""
        lines += [
            f"    **{wrong.name}.**{seen}",
            "",
            "    $$",
            f"    {claim.mutant_latex(wrong)}",
            "    $$",
            "",
        ]
        found = claim.result.refuted.get(wrong.name)
        lines += [f"    {comparison(claim, wrong.parts, found) if found else 'Not refuted.'}", ""]
    return lines


def comparison(claim: Claim, parts: Parts, found: Witness) -> str:
    """Say in one line, to be checked by hand, the point and what claim and wrong version give there."""
    values = []
    shown: set[Any] = set()
    for part, expression in parts.items():
        right = claim.statement.parts[part]
        if isinstance(expression, Relational):
            obligation = holds(expression, part)
            sides = obligation.left, obligation.right
            pair = [_value(side, found) for side in sides]
            word = {"==": "", "<=": "at most ", "<": "less than "}[obligation.relation]
            says = f"${pair[0]}$ is not {word}${pair[1]}$"
            wrong = None not in pair and _fails(obligation, found)
        else:
            sides = right, expression
            pair = [_value(side, found) for side in sides]
            says = f"{'' if part == 'value' else part + ' '}${pair[0]}$, not ${pair[1]}$"
            wrong = None not in pair and pair[0] != pair[1]
        if wrong:
            for side in sides:
                shown |= by_coordinates(side, found.dimension).free_symbols
            values.append(says)
    where = found.where(shown if values else None)
    says = "; ".join(values) if values else f"{found.note}: ${found.sides()}$"
    return f"At ${where}$: {says}." if where else f"{says[0].upper()}{says[1:]}."


def _fails(obligation: Obligation, at: Witness) -> bool:
    sides = (by_coordinates(side, at.dimension) for side in (obligation.left, obligation.right))
    left, right = (evaluate(side, at.point) for side in sides)
    return fails(left, obligation.relation, right)


def _value(expression: Basic, at: Witness) -> str | None:
    try:
        return show(evaluate(by_coordinates(expression, at.dimension), at.point))
    except (UndefinedError, ValueError):
        return None


def as_json(claim: Claim) -> dict[str, Any]:
    """The claim as the book's JSON has it."""
    result = claim.result
    return {
        "id": claim.id,
        "title": claim.title,
        "statement": claim.latex,
        "verdict": result.verdict,
        "kernels": sorted(
            {
                kernel
                for decided in result.obligations
                for kernel, said in decided.outcomes.items()
                if said == "proved"
            }
        ),
        "obligations": [
            {
                "note": decided.obligation.note,
                "statement": decided.obligation.latex,
                "given": [tex(h) for h in decided.obligation.given if h not in claim.given],
                "outcomes": dict(decided.outcomes),
            }
            for decided in result.obligations
        ],
        "mutants": [
            {
                "name": wrong.name,
                "statement": claim.mutant_latex(wrong),
                "seen": wrong.seen,
                "refuted": wrong.name in result.refuted,
                "witness": result.refuted[wrong.name].as_json() if wrong.name in result.refuted else None,
            }
            for wrong in claim.mutants
        ],
        "given": [tex(hypothesis) for hypothesis in claim.given],
        "sources": list(claim.sources),
        "uses": list(claim.uses),
        "implemented_by": list(claim.implemented_by),
        "tested_by": tests_holding(claim.id),
        "assumes": list(claim.assumes),
        "problems": list(result.problems),
        "seconds": round(result.seconds, 4),
    }
