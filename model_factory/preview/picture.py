"""A graph as an inline SVG: layers from what is depended on to what depends, no scripts, colours from the page's style sheet."""

from __future__ import annotations

import html
from typing import Final

from model_factory.preview.graph import Graph, Node

_WIDTH: Final = 260
_HEIGHT: Final = 46
_GAP_X: Final = 70
_GAP_Y: Final = 14
_MARGIN: Final = 8
_MAX_CHARACTERS: Final = 38
_SYMBOLS: Final = {"create": "+", "update": "~", "replace": "±", "delete": "−", "same": ""}


def svg(graph: Graph) -> str:
    """The picture. Nodes carry the class of their kind; edges are drawn under them."""
    layers = _layers(graph)
    at: dict[str, tuple[int, int]] = {}
    for column, layer in enumerate(layers):
        for row, node in enumerate(layer):
            at[node.key] = (_MARGIN + column * (_WIDTH + _GAP_X), _MARGIN + row * (_HEIGHT + _GAP_Y))
    width = 2 * _MARGIN + len(layers) * (_WIDTH + _GAP_X) - _GAP_X
    height = 2 * _MARGIN + max(len(layer) for layer in layers) * (_HEIGHT + _GAP_Y) - _GAP_Y
    label = "What changes and what depends on it"
    size = f'width="{width}" height="{height}" viewBox="0 0 {width} {height}"'
    tip = 'viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto"'
    parts = [
        f'<svg class="graph" role="img" aria-label="{label}" {size}>',
        f'<defs><marker id="tip" {tip}><path class="tip" d="M0 0 8 4 0 8z"/></marker></defs>',
    ]
    for before, after in graph.edges:
        (x1, y1), (x2, y2) = at[before], at[after]
        start, end, middle = x1 + _WIDTH, x2, _HEIGHT // 2
        bend = max((end - start) // 2, 30)
        parts.append(
            f'<path class="edge" marker-end="url(#tip)" d="M{start} {y1 + middle}C{start + bend} {y1 + middle} '
            f'{end - bend} {y2 + middle} {end} {y2 + middle}"/>'
        )
    parts.extend(_box(node, *at[node.key]) for node in graph.nodes)
    return "".join(parts) + "</svg>"


def _box(node: Node, x: int, y: int) -> str:
    tail = f"{node.members} resources" if node.members > 1 else node.type
    title = html.escape(f"{node.name} ({tail})")
    head = html.escape(_cut(f"{_SYMBOLS[node.kind]} {node.name}".strip()))
    return (
        f'<g class="node {node.kind}" transform="translate({x} {y})"><title>{title}</title><rect width="{_WIDTH}" height="{_HEIGHT}" rx="6"/>'
        f'<text x="10" y="19">{head}</text><text class="small" x="10" y="36">{html.escape(_cut(tail))}</text></g>'
    )


def _cut(text: str) -> str:
    """The end of a name tells more than its start, which is the stack and the region."""
    return text if len(text) <= _MAX_CHARACTERS else f"{text[:10]}…{text[-(_MAX_CHARACTERS - 11) :]}"


def _layers(graph: Graph) -> list[list[Node]]:
    """Each node right of all that it depends on; a cycle is cut where it is entered. Within a layer, near to what it depends on."""
    sources: dict[str, list[str]] = {node.key: [] for node in graph.nodes}
    for before, after in graph.edges:
        sources[after].append(before)
    depth: dict[str, int] = {}

    def place(key: str, above: frozenset[str]) -> int:
        if key not in depth:
            ranks = [
                place(source, above | {key})
                for source in sources[key]
                if source not in above and source != key
            ]
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
