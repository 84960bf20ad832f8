"""How a claim shows itself in a notebook, on its page and in the book's JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sympy import Basic
from sympy.core.relational import Relational

from derivations.proof import hypotheses
from derivations.proof.dimension import by_coordinates
from derivations.proof.held import tests_holding
from derivations.proof.obligations import Obligation, holds
from derivations.proof.symbols import tex
from derivations.proof.witness import UndefinedError, Witness, evaluate, fails, show

if TYPE_CHECKING:  # a claim shows itself by its card
    from derivations.proof.claims import Claim, Parts

# A notebook's output of this kind is a claim as JSON; a page is made from it when the whole book is known.
MIME = "application/vnd.ddpm-ref.claim+json"

WORDS = {"proved": "Proved", "definition": "Definition", "failed": "NOT PROVED"}


def card(
    row: Mapping[str, Any],
    *,
    used_by: Sequence[str] = (),
    sources: Sequence[str] | None = None,
) -> str:
    """Write a claim as Markdown: heading with its id, statement, verdict, hypotheses, links, steps, mutants.

    Args:
        row: the claim as its JSON has it.
        used_by: the claims whose proofs use it; a notebook, which knows only what came before, has none.
        sources: where it stands in the literature, in Markdown; by default as the chapter names it.
    """
    lines = [f"### {row['title']} {{ #{row['id']} }}", "", "$$", row["statement"], "$$", ""]
    if row["remark"]:
        lines += [row["remark"], ""]
    facts = _facts(row, used_by, row["sources"] if sources is None else sources)
    verdict = "assumes" if row["assumes"] and row["verdict"] == "proved" else row["verdict"]
    lines += [f'<div class="claim {verdict}" markdown>', "", *(f"- {fact}" for fact in facts), "", "</div>"]
    lines += ["", *_steps(row), *_mutants(row)]
    if row["problems"]:
        lines += ["!!! failure", "", *(f"    - {problem}" for problem in row["problems"]), ""]
    return "\n".join(lines)


def _facts(row: Mapping[str, Any], used_by: Sequence[str], sources: Sequence[str]) -> list[str]:
    how = f"by {' and by '.join(row['kernels'])}" if row["kernels"] else "by no kernel"
    facts = [f"`{row['id']}` · **{WORDS[row['verdict']]}** · {how}"]
    if row["given"]:
        facts.append("Given: " + ", ".join(f"${hypothesis}$" for hypothesis in row["given"]))
    if row["symbols"]:
        facts.append("Symbols: " + ", ".join(f"${tex}$ `{name}`" for name, tex in row["symbols"].items()))
    if row["uses"]:
        facts.append("Uses: " + _links(row["uses"]))
    if used_by:
        facts.append("Used by: " + _links(used_by))
    if row["implemented_by"]:
        facts.append("Code: " + ", ".join(f"[`{name}`][{name}]" for name in row["implemented_by"]))
    if tests := row["tested_by"]:
        names = [f"`{test.rsplit('-', 1)[-1].split('::')[-1].rstrip(']')}`" for test in tests]
        files = dict.fromkeys(test.split("::")[0] for test in tests)
        facts.append(f"Held by: {', '.join(names)} in {', '.join(f'`{file}`' for file in files)}")
    if sources:
        facts.append("Sources: " + ", ".join(dict.fromkeys(sources)))
    if row["assumes"]:
        facts.append("Assumes: " + "; ".join(row["assumes"]))
    return facts


def _links(ids: Sequence[str]) -> str:
    return ", ".join(f"[{id}][{id}]" for id in ids)


def _steps(row: Mapping[str, Any]) -> list[str]:
    """What the kernels were asked, folded."""
    count = len(row["obligations"])
    lines = [f'??? note "What was decided: {count} obligation{"s" if count != 1 else ""}"', ""]
    for step in row["obligations"]:
        also = f", given {', '.join(f'${h}$' for h in step['given'])}" if step["given"] else ""
        lines += [f"    {step['note']}{also}:", "", "    $$", f"    {step['statement']}", "    $$", ""]
    return lines


def _mutants(row: Mapping[str, Any]) -> list[str]:
    """The wrong versions and the points that refute them, folded."""
    fallen = sum(wrong["refuted"] for wrong in row["mutants"])
    lines = [f'??? note "{fallen} of {len(row["mutants"])} wrong versions refuted"', ""]
    for wrong in row["mutants"]:
        seen = f" Seen: {wrong['seen']}." if wrong["seen"] else ""
        lines += [f"    **{wrong['name']}.**{seen}", "", "    $$", f"    {wrong['statement']}", "    $$", ""]
        lines += [f"    {wrong['says'] or 'Not refuted.'}", ""]
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
        "remark": claim.remark,
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
                "refuted": found is not None,
                "witness": found.as_json() if found else None,
                "says": comparison(claim, wrong.parts, found) if found else None,
            }
            for wrong, found in ((wrong, result.refuted.get(wrong.name)) for wrong in claim.mutants)
        ],
        "given": hypotheses.given(claim),
        "symbols": {symbol.name: tex(symbol) for symbol in hypotheses.symbols(claim)},
        "sources": list(claim.sources),
        "uses": list(claim.uses),
        "implemented_by": list(claim.implemented_by),
        "tested_by": tests_holding(claim.id),
        "assumes": list(claim.assumes),
        "problems": list(result.problems),
        "seconds": round(result.seconds, 4),
    }
