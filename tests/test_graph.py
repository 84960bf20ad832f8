"""The graph of what the proofs use: its layout, and that it draws what the cards say."""

import re
from itertools import pairwise

from derivations import CHAPTERS
from derivations.proof import graph, render
from derivations.proof.layers import layout


def test_a_layout_points_every_arrow_down_and_lets_no_two_nodes_touch() -> None:
    parents = {"a": [], "b": ["a"], "c": ["a"], "d": ["b", "a"], "e": ["c", "d"], "f": ["a"]}
    made = layout(parents, wide=10, narrow=2)
    for (parent, node), path in made.paths.items():
        assert path[0] == made.places[parent]
        assert path[-1] == made.places[node]
        layers = [layer for _, layer in path]
        assert layers == list(range(layers[0], layers[0] + len(path)))
        assert len(path) > 1
    at = sorted((layer, x) for x, layer in made.places.values())
    for (layer, x), (next_layer, next_x) in pairwise(at):
        assert layer != next_layer or next_x - x >= 10 - 1e-9
    assert "".join(f"{node}{layer}" for node, (_, layer) in made.places.items()) == "a0b1c1d2e3f1"


def test_the_graph_draws_what_the_proofs_use() -> None:
    """The page has an arc for every use that its cards name, and only those."""
    drawing = (render.DOCS / "graph.md").read_text(encoding="utf-8")
    arcs = drawing.partition('<div class="arcs">')[2]
    drawn = set(re.findall(r'data-from="([^"]+)" data-to="([^"]+)"', arcs))
    named = set()
    for chapter in CHAPTERS:
        page = (render.DOCS / "derivations" / f"{chapter}.md").read_text(encoding="utf-8")
        for card in re.finditer(r"^- `([^`]+)` · \*\*.*?^</div>", page, re.MULTILINE | re.DOTALL):
            line = re.search(r"^- Uses: (.*)$", card[0], re.MULTILINE)
            named |= {(used, card[1]) for used in re.findall(r"\]\[([^\]]+)\]", line[1] if line else "")}
    assert drawn == named
    assert drawn


def test_an_arrow_is_left_out_where_a_longer_way_leads_to_the_same_claim() -> None:
    uses: dict[str, list[str]] = {"a": [], "b": ["a"], "c": ["a", "b"]}
    assert graph._direct(uses, "c") == ["b"]
    assert graph.ancestors(uses, ["c"]) == {"a", "b", "c"}
