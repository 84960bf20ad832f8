"""The page of the dependency graph: what every proof uses, from definitions to the objective."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from derivations.proof.layers import Layout, layout

# What the paper arrives at: its bound, its objective, its sampler.
GOALS = ("bound.terms", "parameterization.L-simple", "sampling.ancestral-step")

NODE_WIDTH, NODE_HEIGHT, ROW = 142, 44, 82
PASSING = 16
LETTERS = 22

KINDS = {"definition": "definition", "proved": "proved", "assumes": "proved from a theorem that is assumed"}

HEAD = """\
---
hide: [toc]
---

# Dependency graph

<!-- Made from the chapters by `make render`; edit those. -->

An arrow says that the proof below uses the claim above. The arrows are what the proofs were found to use
when they were run. Point at a claim, or move to it by the Tab key, to see all that it rests on; follow it to
its card.

{legend}
"""


def page(claims: Sequence[Mapping[str, Any]]) -> str:
    """Make the page.

    Args:
        claims: every claim as its JSON has it, in reading order.
    """
    rows = {claim["id"]: claim for claim in claims}
    uses = {id: [used for used in claim["uses"] if used in rows] for id, claim in rows.items()}
    wanted = [goal for goal in GOALS if goal in rows]
    legend = " ".join(
        f'<span class="key"><i class="mark {kind}"></i> {words}</span>'
        for kind, words in KINDS.items()
        if any(_kind(row) == kind for row in claims)
    )
    titles = ", ".join(f"[{rows[goal]['title']}][{goal}]" for goal in wanted)
    return "\n".join(
        [
            HEAD.format(legend=f'<p class="legend">{legend}</p>'),
            "## From definitions to the objective",
            "",
            f"What the proofs of these rest on: {titles}. Here an arrow is left out where a longer way "
            "leads to the same claim.",
            "",
            _drawing(rows, uses, wanted),
            "",
            "## Every claim",
            "",
            f"{len(rows)} claims in reading order, {sum(map(len, uses.values()))} uses; every arc leads "
            "down from a claim to one that uses it.",
            "",
            _arcs(rows, uses),
            "",
        ]
    )


def _kind(row: Mapping[str, Any]) -> str:
    return "assumes" if row["assumes"] and row["verdict"] == "proved" else str(row["verdict"])


def _address(id: str) -> str:
    return f"derivations/{id.partition('.')[0]}.html#{id}"


def ancestors(uses: Mapping[str, Sequence[str]], goals: Sequence[str]) -> set[str]:
    """Return everything that some claims rest on, themselves included."""
    found: set[str] = set()
    waiting = list(goals)
    while waiting:
        node = waiting.pop()
        if node not in found:
            found.add(node)
            waiting += uses[node]
    return found


def _direct(uses: Mapping[str, Sequence[str]], id: str) -> list[str]:
    """Return what a claim uses, without what the rest of that rests on."""
    return [
        used
        for used in uses[id]
        if used not in ancestors(uses, [other for other in uses[id] if other != used])
    ]


def _drawing(
    rows: Mapping[str, Mapping[str, Any]], uses: Mapping[str, Sequence[str]], goals: Sequence[str]
) -> str:
    below = ancestors(uses, goals)
    direct = {id: _direct(uses, id) for id in rows if id in below}
    made = layout(direct, wide=NODE_WIDTH + 14, narrow=PASSING)
    height = ROW * max(layer for _, layer in made.places.values()) + NODE_HEIGHT + 2
    lines = [
        '<div class="drawing" tabindex="0" role="group" aria-label="Graph of what the objective rests on">',
        f'<svg viewBox="0 0 {made.width:.0f} {height}" width="{made.width:.0f}" height="{height}" '
        'role="group" aria-label="Claims, each a link, in layers">',
    ]
    lines += [
        f'<path class="arrow" data-from="{parent}" data-to="{node}" d="{_curve(made, parent, node)}"/>'
        for parent, node in made.paths
    ]
    for id, (x, layer) in made.places.items():
        words = textwrap.wrap(rows[id]["title"], LETTERS, max_lines=2, placeholder=" …")
        middle = layer * ROW + 1 + NODE_HEIGHT / 2
        text = "".join(
            f'<tspan x="{x:.0f}" y="{middle + 4 + 14 * n - 7 * (len(words) - 1):.0f}">{escape(line)}</tspan>'
            for n, line in enumerate(words)
        )
        goal = " goal" if id in goals else ""
        lines.append(
            f'<a class="node {_kind(rows[id])}{goal}" href="{_address(id)}" data-id="{id}" '
            f'data-uses="{" ".join(uses[id])}" aria-label="{escape(rows[id]["title"])}, {id}">'
            f"<title>{escape(rows[id]['title'])} ({id})</title>"
            f'<rect x="{x - NODE_WIDTH / 2:.0f}" y="{layer * ROW + 1}" width="{NODE_WIDTH}" '
            f'height="{NODE_HEIGHT}" rx="{2 if rows[id]["verdict"] == "definition" else 10}"/>'
            f"<text>{text}</text></a>"
        )
    return "\n".join([*lines, "</svg>", "</div>"])


def _curve(made: Layout, parent: str, node: str) -> str:
    """The path of an arrow: down the middle between layers, straight through those that it passes."""
    points = made.paths[parent, node]
    (x, layer) = points[0]
    y = layer * ROW + NODE_HEIGHT + 1
    path = f"M{x:.0f} {y}"
    for n, (next_x, next_layer) in enumerate(points[1:], start=1):
        top = next_layer * ROW + 1
        middle = (y + top) / 2
        path += f"C{x:.0f} {middle:.0f} {next_x:.0f} {middle:.0f} {next_x:.0f} {top}"
        x, y = next_x, top
        if n < len(points) - 1:
            y = top + NODE_HEIGHT
            path += f"V{y}"
    return path


def _arcs(rows: Mapping[str, Mapping[str, Any]], uses: Mapping[str, Sequence[str]]) -> str:
    """Every claim on a line of its own, and arcs beside the lines; the page stretches them to its width."""
    lines: list[str] = []
    at: dict[str, int] = {}
    chapter = ""
    for id, row in rows.items():
        if (name := id.partition(".")[0]) != chapter:
            chapter = name
            lines.append(f'<li class="chapter"><a href="derivations/{chapter}.html">{chapter}</a></li>')
        at[id] = len(lines)
        lines.append(
            f'<li><a class="{_kind(row)}" href="{_address(id)}" data-id="{id}" '
            f'data-uses="{" ".join(uses[id])}"><i class="mark {_kind(row)}"></i>'
            f"<span>{escape(row['title'])}</span> <small>{id.partition('.')[2]}</small></a></li>"
        )
    longest = max((at[id] - at[used] for id in rows for used in uses[id]), default=1)
    arcs = []
    for id in rows:
        for used in uses[id]:
            reach = 100 - 96 * ((at[id] - at[used]) / longest) ** 0.5
            top, bottom = at[used] + 0.5, at[id] + 0.5
            arcs.append(
                f'<path data-from="{used}" data-to="{id}" '
                f'd="M100 {top}C{reach:.1f} {top} {reach:.1f} {bottom} 100 {bottom}"/>'
            )
    return "\n".join(
        [
            '<div class="arcs">',
            f'<svg viewBox="0 0 100 {len(lines)}" preserveAspectRatio="none" aria-hidden="true">',
            *arcs,
            "</svg>",
            "<ol>",
            *lines,
            "</ol>",
            "</div>",
        ]
    )
