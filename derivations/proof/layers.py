"""A graph without cycles in layers: every arrow points down, long ones keep clear of what they pass.

Layers by the longest way from a source, order by the mean of the neighbours (Sugiyama, Tagawa and Toda 1981),
places by pulling each towards its neighbours as far as those beside it let it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

SWEEPS = 24


class Layout(NamedTuple):
    """Where everything goes.

    Attributes:
        places: the middle of each node, and its layer, from 0.
        paths: for each arrow, the same of the points that it goes through, ends included.
        width: from the leftmost edge, which is 0, to the rightmost.
    """

    places: dict[str, tuple[float, int]]
    paths: dict[tuple[str, str], list[tuple[float, int]]]
    width: float


def layout(parents: Mapping[str, Sequence[str]], *, wide: float, narrow: float) -> Layout:
    """Lay a graph out.

    Args:
        parents: node to the nodes that point to it, each of which stands before it.
        wide: room for a node.
        narrow: room for an arrow that passes a layer.
    """
    layer: dict[str, int] = {}
    for node, above in parents.items():
        layer[node] = 1 + max((layer[parent] for parent in above), default=-1)

    chains: dict[tuple[str, str], list[str]] = {}
    layers: list[list[str]] = [[] for _ in range(1 + max(layer.values()))]
    for node in parents:
        layers[layer[node]].append(node)
    room = dict.fromkeys(parents, wide)
    for node, above in parents.items():
        for parent in above:
            passed = [f"{parent}→{node}@{level}" for level in range(layer[parent] + 1, layer[node])]
            for point in passed:
                layer[point] = layer[parent] + 1 + passed.index(point)
                layers[layer[point]].append(point)
                room[point] = narrow
            chains[parent, node] = [parent, *passed, node]

    beside: dict[str, list[str]] = {node: [] for node in room}
    for chain in chains.values():
        for upper, lower in pairwise(chain):
            beside[upper].append(lower)
            beside[lower].append(upper)

    x: dict[str, float] = {}
    for nodes in layers:
        _pack(nodes, dict.fromkeys(nodes, 0.0), room, x)
    for sweep in range(SWEEPS):
        down = sweep % 2 == 0
        for nodes in layers if down else layers[::-1]:
            step = -1 if down else 1
            wanted = {
                node: _mean(
                    [x[other] for other in beside[node] if layer[other] == layer[node] + step], x[node]
                )
                for node in nodes
            }
            nodes.sort(key=wanted.__getitem__)
            _pack(nodes, wanted, room, x)
    for _ in range(SWEEPS):
        for nodes in layers:
            _pack(
                nodes, {node: _mean([x[other] for other in beside[node]], x[node]) for node in nodes}, room, x
            )

    left = min(x[node] - room[node] / 2 for node in x)
    right = max(x[node] + room[node] / 2 for node in x)
    at = {node: (x[node] - left, layer[node]) for node in x}
    return Layout(
        {node: at[node] for node in parents},
        {arrow: [at[point] for point in chain] for arrow, chain in chains.items()},
        right - left,
    )


def _mean(values: Sequence[float], default: float) -> float:
    return sum(values) / len(values) if values else default


def _pack(
    nodes: Sequence[str], wanted: Mapping[str, float], room: Mapping[str, float], x: dict[str, float]
) -> None:
    """Place nodes in their order as near as may be (in squares) to where they want to be, without overlap."""
    offsets, end = [], 0.0
    for node in nodes:
        offsets.append(end + room[node] / 2)
        end += room[node]
    # Without its offset each place must be at least the one before: pool those that violate it.
    pools: list[tuple[float, int]] = []
    for node, offset in zip(nodes, offsets, strict=True):
        total, count = wanted[node] - offset, 1
        while pools and pools[-1][0] / pools[-1][1] > total / count:
            more, others = pools.pop()
            total, count = total + more, count + others
        pools.append((total, count))
    starts = [total / count for total, count in pools for _ in range(count)]
    for node, start, offset in zip(nodes, starts, offsets, strict=True):
        x[node] = start + offset
