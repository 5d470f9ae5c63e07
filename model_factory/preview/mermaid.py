"""Mermaid flowcharts as values: boxes within boxes, nodes, edges, and the text that GitHub renders."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

Shape = Literal["box", "round", "store", "stack"]

# Mermaid has its own escapes: `#` and a name or number. What is not escaped is plain text inside a quoted label.
_ESCAPES: Final = (("#", "#35;"), ('"', "#quot;"), ("<", "#lt;"), (">", "#gt;"), ("`", "#96;"))
_SHAPES: Final[dict[Shape, tuple[str, str]]] = {
    "box": ("[", "]"),
    "round": ("([", "])"),
    "store": ("[(", ")]"),
    "stack": ("[[", "]]"),
}


@dataclass(frozen=True, slots=True)
class Node:
    """One thing. `key` is any text that names it in the chart; the first of `lines` is its name."""

    key: str
    lines: Sequence[str]
    shape: Shape = "box"
    style: str = ""


@dataclass(frozen=True, slots=True)
class Edge:
    """From one key to another. `dotted`: not on the way of a request."""

    source: str
    target: str
    label: str = ""
    dotted: bool = False


@dataclass(frozen=True, slots=True)
class Box:
    """Nodes and boxes within a frame."""

    key: str
    title: str
    parts: Sequence[Node | Box]
    style: str = ""


@dataclass(frozen=True, slots=True)
class Chart:
    """A flowchart. Edges that name an unknown key are an error of the caller: `text` raises KeyError."""

    parts: Sequence[Node | Box]
    edges: Sequence[Edge] = ()
    direction: Literal["TB", "LR"] = "LR"
    styles: dict[str, str] = field(default_factory=dict[str, str])

    def text(self) -> str:
        """Mermaid's source, with ids that depend on the order of the parts alone."""
        ids: dict[str, str] = {}
        for at, part in enumerate(_walk(self.parts)):
            # A word such as `end` may not be an id, and a digit may not be the first letter of one.
            ids[part.key] = f"{re.sub(r'[^a-z0-9]+', '_', part.key.lower()).strip('_')}_{at}"
        lines = [f"flowchart {self.direction}", *_parts(self.parts, ids, "  ")]
        lines += [f"  {_edge(edge, ids)}" for edge in dict.fromkeys(self.edges)]
        for style in self.styles:
            if boxes := [ids[part.key] for part in _walk(self.parts) if isinstance(part, Box) and part.style == style]:
                lines.append(f"  class {','.join(boxes)} {style}")
        used = {part.style for part in _walk(self.parts)}
        lines += [f"  classDef {name} {style}" for name, style in self.styles.items() if name in used]
        return "\n".join(lines) + "\n"

    def fenced(self) -> str:
        return f"```mermaid\n{self.text()}```\n"


def _walk(parts: Sequence[Node | Box]) -> Iterator[Node | Box]:
    for part in parts:
        yield part
        if isinstance(part, Box):
            yield from _walk(part.parts)


def _parts(parts: Sequence[Node | Box], ids: dict[str, str], indent: str) -> Iterator[str]:
    for part in parts:
        if isinstance(part, Node):
            before, after = _SHAPES[part.shape]
            style = f":::{part.style}" if part.style else ""
            yield f'{indent}{ids[part.key]}{before}"{_label(part.lines)}"{after}{style}'
        else:
            yield f'{indent}subgraph {ids[part.key]}["{_label([part.title])}"]'
            yield from _parts(part.parts, ids, f"{indent}  ")
            yield f"{indent}end"


def _edge(edge: Edge, ids: dict[str, str]) -> str:
    line = "-.->" if edge.dotted else "-->"
    label = f'|"{_label([edge.label])}"|' if edge.label else ""
    return f"{ids[edge.source]} {line}{label} {ids[edge.target]}"


def _label(lines: Sequence[str]) -> str:
    return "<br/>".join(_escaped(line) for line in lines if line)


def _escaped(text: str) -> str:
    for character, code in _ESCAPES:
        text = text.replace(character, code)
    return text.replace("\n", " ")
