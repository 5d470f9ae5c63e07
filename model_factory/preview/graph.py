"""What changes and what depends on it, as nodes and edges, and as a Mermaid flowchart.

Engine events tell parents and providers. Other dependencies are taken from `dependencies` of a state where an engine gives them, and
else found by value: an id, an ARN or another output that only one resource made, standing in another's inputs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from model_factory.graph.masking import Masker
from model_factory.preview.events import REPLACE_PARTS, ROOT_STACK_TYPE, Report, Step
from model_factory.preview.tree import short_type

MAX_NODES: Final = 40
_MAX_EDGES: Final = 80
_SHORTEST_REFERENCE: Final = 6
_IDENTIFYING: Final = ("arn", "selfLink", "selfLinkUri", "name", "email", "url", "repositoryUrl", "bucket")
_CLASSES: Final[Mapping[str, str]] = {
    "create": "create", "import": "create", "update": "update", "replace": "replace", "create-replacement": "replace",
    "delete": "delete", "discard": "delete",
}  # fmt: skip
_SYMBOLS: Final[Mapping[str, str]] = {"create": "+", "update": "~", "replace": "±", "delete": "−", "same": ""}
# Readable on white and on near-black: the fill is pale, the text dark, whatever the page's colours are.
_STYLES: Final = (
    "classDef create fill:#dafbe1,stroke:#1a7f37,color:#0a3417",
    "classDef update fill:#fff8c5,stroke:#9a6700,color:#3b2300",
    "classDef replace fill:#fbefff,stroke:#8250df,color:#2e1461",
    "classDef delete fill:#ffebe9,stroke:#cf222e,color:#4c0c0f",
    "classDef same fill:#f6f8fa,stroke:#818b98,color:#25292e,stroke-dasharray:4 3",
)


@dataclass(frozen=True, slots=True)
class Node:
    """A resource, or with `members` several of one component. `kind` is create, update, replace, delete or same (a dependent)."""

    key: str
    kind: str
    type: str
    name: str
    box: str = ""
    """The component it stands in, if any."""
    members: int = 1


@dataclass(frozen=True, slots=True)
class Graph:
    """`edges` go from what is depended on to the dependent."""

    nodes: tuple[Node, ...]
    edges: tuple[tuple[str, str], ...]

    def dependents(self, key: str) -> list[Node]:
        """The nodes that depend on one, in order."""
        wanted = {after for before, after in self.edges if before == key}
        return [node for node in self.nodes if node.key in wanted]


def graph_of(report: Report, masker: Masker) -> Graph | None:
    """The graph, drawn by component where resources would be too many; None where there is nothing to see in a picture."""
    steps: dict[str, Step] = {}
    for step in report.steps.values():
        # A replacement is one step with both its states; its parts have one each.
        if step.op != "refresh" and (step.urn not in steps or step.op not in REPLACE_PARTS):
            steps[step.urn] = step
    changed = {
        step.urn: step
        for step in report.changed
        if step.type != ROOT_STACK_TYPE
        and not step.type.startswith("pulumi:providers:")
        and step.op in _CLASSES
    }
    real = {urn: step for urn, step in changed.items() if _is_real(step)}
    pairs = [
        (source, urn)
        for source, urn in _references(steps, real)
        if source in real and _is_real(steps[urn]) and source != urn
    ]
    shown = dict.fromkeys([*real, *(urn for _, urn in pairs)])
    nodes = sorted(
        (_node(steps[urn], real, steps) for urn in shown), key=lambda node: (node.box, node.type, node.name)
    )
    graph = Graph(tuple(nodes), tuple(sorted(set(pairs))))
    if not _fits(graph):
        chains = {node.key: _components(steps[node.key], steps) for node in graph.nodes}
        deepest = max((len(chain) for chain in chains.values()), default=0)
        drawn = (_by_component(graph, chains, depth) for depth in range(deepest, 0, -1))
        graph = next((each for each in drawn if _fits(each)), Graph((), ()))
    if not graph.edges:
        return None
    nodes = tuple(
        replace(node, name=masker.text(node.name), box=masker.text(node.box)) for node in graph.nodes
    )
    return replace(graph, nodes=nodes)


def _fits(graph: Graph) -> bool:
    return len(graph.nodes) <= MAX_NODES and len(graph.edges) <= _MAX_EDGES


def mermaid(graph: Graph) -> str:
    """Mermaid's source of the graph, without a fence."""
    names = {node.key: f"n{at}" for at, node in enumerate(graph.nodes)}
    lines = ["flowchart LR"]
    boxes: dict[str, list[Node]] = {}
    for node in graph.nodes:
        boxes.setdefault(node.box, []).append(node)
    for at, (box, nodes) in enumerate(boxes.items()):
        indent = "    " if box else "  "
        if box:
            lines.append(f'  subgraph b{at}["{_label(box)}"]')
        lines.extend(f'{indent}{names[node.key]}["{_text(node)}"]:::{node.kind}' for node in nodes)
        if box:
            lines.append("  end")
    lines.extend(f"  {names[before]} --> {names[after]}" for before, after in graph.edges)
    if named := [f"b{at}" for at, box in enumerate(boxes) if box]:
        lines += ["  classDef box fill:none,stroke:#818b98", f"  class {','.join(named)} box"]
    used = {node.kind for node in graph.nodes}
    lines.extend(f"  {style}" for style in _STYLES if style.split()[1] in used)
    return "\n".join(lines)


def _text(node: Node) -> str:
    symbol = _SYMBOLS[node.kind]
    head = f"{symbol} {node.name}".strip()
    tail = f"{node.members} resources" if node.members > 1 else node.type
    return f"{_label(head)}<br/><small>{_label(tail)}</small>"


def _label(text: str) -> str:
    """Mermaid's own escapes; what is left is plain text in a quoted label."""
    for character, code in (("#", "#35;"), ('"', "#quot;"), ("<", "#lt;"), (">", "#gt;"), ("`", "#96;")):
        text = text.replace(character, code)
    return text.replace("\n", " ")


def _node(step: Step, changed: Mapping[str, Step], steps: Mapping[str, Step]) -> Node:
    kind = _CLASSES[changed[step.urn].op] if step.urn in changed else "same"
    components = _components(step, steps)
    box = _component_text(components[-1]) if components else ""
    return Node(step.urn, kind, short_type(step.type), step.name, box)


def _is_real(step: Step) -> bool:
    """Held by a cloud: neither a component nor a provider."""
    state = step.new or step.old or {}
    return bool(state.get("custom")) and not step.type.startswith("pulumi:")


def _components(step: Step, steps: Mapping[str, Step]) -> list[Step]:
    """The components above, the outermost first; none under the stack itself."""
    chain: list[Step] = []
    above = steps.get(step.parent)
    while above is not None and above.type != ROOT_STACK_TYPE:
        if not (above.new or above.old or {}).get("custom"):
            chain.append(above)
        above = steps.get(above.parent)
    return chain[::-1]


def _component_text(component: Step) -> str:
    return f"{short_type(component.type).rsplit(':', 1)[-1]} {component.name}"


def _by_component(graph: Graph, chains: Mapping[str, list[Step]], depth: int) -> Graph:
    """One node a component, at most `depth` deep, and kind of change; what stands under no component is told by type."""
    place: dict[str, str] = {}
    members: dict[str, list[Node]] = {}
    drawn: dict[str, Node] = {}
    for node in graph.nodes:
        chain = chains[node.key][:depth]
        key = f"{chain[-1].urn if chain else node.type} {node.kind}"
        place[node.key] = key
        members.setdefault(key, []).append(node)
        drawn[key] = (
            Node(
                key,
                node.kind,
                short_type(chain[-1].type),
                _component_text(chain[-1]),
                _component_text(chain[-2]) if len(chain) > 1 else "",
            )
            if chain
            else replace(node, key=key)
        )
    nodes = tuple(
        replace(
            node,
            members=len(members[key]),
            name=node.name if key.startswith("urn:") or len(members[key]) == 1 else node.type,
        )
        for key, node in drawn.items()
    )
    edges = {(place[a], place[b]) for a, b in graph.edges if place[a] != place[b]}
    return Graph(nodes, tuple(sorted(edges)))


def _references(steps: Mapping[str, Step], changed: Mapping[str, Step]) -> Iterator[tuple[str, str]]:
    """(what is depended on, dependent) for every dependency on something that changes."""
    owners = _owners(steps)
    for urn, step in steps.items():
        state = step.new or step.old or {}
        told = state.get("dependencies")
        if told:
            yield from ((str(source), urn) for source in told if source in changed)
            continue
        # Of what is replaced or deleted the old id counts, which the old inputs hold.
        for side in (step.old, step.new):
            for text in _texts((side or {}).get("inputs")):
                source = owners.get(text, "")
                if source in changed:
                    yield source, urn
        parent = step.parent
        if parent in changed:
            yield parent, urn


def _owners(steps: Mapping[str, Step]) -> dict[str, str]:
    """Texts that name one resource and no other: its id and what it is known by, else an output that nobody else has.

    What stands in a resource's own inputs too is not of its making, save its name.
    """
    strong: dict[str, set[str]] = {}
    weak: dict[str, set[str]] = {}
    for urn, step in steps.items():
        for state in (step.old, step.new):
            if not state or not _is_real(step):
                continue
            outputs = state.get("outputs") or {}
            own = set(_texts(state.get("inputs")))
            named = [state.get("id"), *(outputs.get(key) for key in _IDENTIFYING)]
            if step.type.startswith("kubernetes:"):
                named.append(((state.get("inputs") or {}).get("metadata") or {}).get("name"))
            for text in named:
                if _names(text):
                    strong.setdefault(str(text), set()).add(urn)
            for text in _texts(outputs):
                if _names(text) and text not in own:
                    weak.setdefault(text, set()).add(urn)
    found = {text: next(iter(urns)) for text, urns in weak.items() if len(urns) == 1}
    return found | {text: next(iter(urns)) for text, urns in strong.items() if len(urns) == 1}


def _names(text: Any) -> bool:
    """Whether a text may name a resource: long enough not to be a mode or a number, and known."""
    return (
        isinstance(text, str)
        and len(text) >= _SHORTEST_REFERENCE
        and "[secret]" not in text
        and text != "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
        and not text.isdigit()
    )


def _texts(value: Any) -> Iterable[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)
