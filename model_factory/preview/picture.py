"""Where the nodes of a picture stand: in layers, from what is depended on to what depends. The page's template draws it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from model_factory.preview.dependents import Dependents, Node

_WIDTH: Final = 260
_HEIGHT: Final = 46
_GAP_X: Final = 70
_GAP_Y: Final = 14
_MARGIN: Final = 8
_MAX_CHARACTERS: Final = 38


@dataclass(frozen=True, slots=True)
class Placed:
    """A node and its upper left corner, in pixels."""

    node: Node
    x: int
    y: int

    @property
    def head(self) -> str:
        return _cut(self.node.head)

    @property
    def tail(self) -> str:
        return _cut(self.node.tail)


@dataclass(frozen=True, slots=True)
class Picture:
    """All sizes in pixels; `edges` are paths of an SVG, drawn under the nodes."""

    width: int
    height: int
    nodes: tuple[Placed, ...]
    edges: tuple[str, ...]
    node_width: int = _WIDTH
    node_height: int = _HEIGHT


def layout(graph: Dependents) -> Picture:
    """The picture of a graph with at least one node."""
    layers = _layers(graph)
    placed = {
        node.key: Placed(node, _MARGIN + column * (_WIDTH + _GAP_X), _MARGIN + row * (_HEIGHT + _GAP_Y))
        for column, layer in enumerate(layers)
        for row, node in enumerate(layer)
    }
    return Picture(
        2 * _MARGIN + len(layers) * (_WIDTH + _GAP_X) - _GAP_X,
        2 * _MARGIN + max(len(layer) for layer in layers) * (_HEIGHT + _GAP_Y) - _GAP_Y,
        tuple(placed[node.key] for node in graph.nodes),
        tuple(_curves(graph, placed)),
    )


def _curves(graph: Dependents, placed: dict[str, Placed]) -> Iterator[str]:
    for before, after in graph.edges:
        start, end = placed[before].x + _WIDTH, placed[after].x
        y1, y2 = (placed[key].y + _HEIGHT // 2 for key in (before, after))
        bend = max((end - start) // 2, 30)
        yield f"M{start} {y1}C{start + bend} {y1} {end - bend} {y2} {end} {y2}"


def _cut(text: str) -> str:
    """The end of a name tells more than its start, which is the stack and the region."""
    return text if len(text) <= _MAX_CHARACTERS else f"{text[:10]}…{text[-(_MAX_CHARACTERS - 11) :]}"


def _layers(graph: Dependents) -> list[list[Node]]:
    """Each node right of all that it depends on; a cycle is cut where it is entered. Within a layer, near to what it depends on."""
    sources: dict[str, list[str]] = {node.key: [] for node in graph.nodes}
    for before, after in graph.edges:
        sources[after].append(before)
    depth: dict[str, int] = {}

    def place(key: str, above: frozenset[str]) -> int:
        if key not in depth:
            ranks = [place(source, above | {key}) for source in sources[key] if source not in above and source != key]
            depth[key] = max(ranks, default=-1) + 1
        return depth[key]

    for node in graph.nodes:
        place(node.key, frozenset())
    layers: list[list[Node]] = [[] for _ in range(max(depth.values()) + 1)]
    for node in graph.nodes:
        layers[depth[node.key]].append(node)
    row: dict[str, float] = {}
    for layer in layers:
        middle = {
            node.key: sum(row.get(source, 0.0) for source in sources[node.key]) / len(sources[node.key])
            if sources[node.key]
            else float(at)
            for at, node in enumerate(layer)
        }
        layer.sort(key=lambda node: middle[node.key])
        row |= {node.key: float(at) for at, node in enumerate(layer)}
    return layers
