"""What changes and what depends on it, as nodes and edges, and as a Mermaid flowchart.

Edges are those of the graph: what the engine says that a resource depends on, its parent, what its provider depends on, and for Pods
the node pools that they choose. Pulumi's own events leave dependencies out; of them the picture knows the rest.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

from model_factory.graph.clusters import clusters_of
from model_factory.graph.graph import Graph
from model_factory.graph.pods import SERVERS, pod_spec
from model_factory.graph.pools import NodePool
from model_factory.graph.resource import Resource, before_and_after
from model_factory.graph.urn import PROVIDER_TYPE_PREFIX, STACK_TYPE, provider_urn, upwards
from model_factory.preview.events import REPLACE_PARTS, Report, Step
from model_factory.preview.mermaid import Box, Chart, Edge
from model_factory.preview.mermaid import Node as ChartNode
from model_factory.preview.wording import Tone, op_of, short_type

MAX_NODES: Final = 40
_MAX_EDGES: Final = 80
# Readable on white and on near-black: the fill is pale, the text dark, whatever the page's colours are.
_STYLES: Final = {
    "create": "fill:#dafbe1,stroke:#1a7f37,color:#0a3417",
    "update": "fill:#fff8c5,stroke:#9a6700,color:#3b2300",
    "replace": "fill:#fbefff,stroke:#8250df,color:#2e1461",
    "delete": "fill:#ffebe9,stroke:#cf222e,color:#4c0c0f",
    "same": "fill:#f6f8fa,stroke:#818b98,color:#25292e,stroke-dasharray:4 3",
    "box": "fill:none,stroke:#818b98",
}


@dataclass(frozen=True, slots=True)
class Node:
    """A resource, or with `members` several of one component. `tone` is what happens to it; `same` is a dependent."""

    key: str
    tone: Tone
    type: str
    name: str
    box: str = ""
    """The component it stands in, if any."""
    members: int = 1

    @property
    def head(self) -> str:
        return f"{op_of(self.tone).symbol} {self.name}".strip()

    @property
    def tail(self) -> str:
        return f"{self.members} resources" if self.members > 1 else self.type


@dataclass(frozen=True, slots=True)
class Dependents:
    """`edges` go from what is depended on to the dependent."""

    nodes: tuple[Node, ...]
    edges: tuple[tuple[str, str], ...]

    def chart(self) -> Chart:
        """A Mermaid flowchart."""
        names = {node.key: f"n{at}" for at, node in enumerate(self.nodes)}
        boxes: dict[str, list[ChartNode]] = {}
        for node in self.nodes:
            shown = ChartNode(names[node.key], [node.head, node.tail], style=node.tone)
            boxes.setdefault(node.box, []).append(shown)
        alone = boxes.pop("", [])
        framed = [Box(f"b{at}", title, nodes, style="box") for at, (title, nodes) in enumerate(boxes.items())]
        edges = [Edge(names[before], names[after]) for before, after in self.edges]
        return Chart([*alone, *framed], edges, styles=_STYLES)


def dependents_of(report: Report) -> Dependents | None:
    """The picture, drawn by component where resources would be too many; None where there is nothing to see in one."""
    steps: dict[str, Step] = {}
    for step in report.steps.values():
        # A replacement is one step with both its states; its parts have one each.
        if step.op != "refresh" and (step.urn not in steps or step.op not in REPLACE_PARTS):
            steps[step.urn] = step
    changed = {step.urn: step for step in report.changed if _is_real(step) and op_of(step.op).tone != "same"}
    pairs = {
        (source, urn)
        for source, urn in _references(report, steps)
        if source in changed and _is_real(steps[urn]) and source != urn
    }
    shown = dict.fromkeys([*changed, *(urn for _, urn in sorted(pairs))])
    nodes = sorted(
        (_node(steps[urn], changed, steps) for urn in shown),
        key=lambda node: (node.box, node.type, node.name),
    )
    found = Dependents(tuple(nodes), tuple(sorted(pairs)))
    if not _fits(found):
        chains = {node.key: _components(steps[node.key], steps) for node in found.nodes}
        deepest = max((len(chain) for chain in chains.values()), default=0)
        drawn = (_by_component(found, chains, depth) for depth in range(deepest, 0, -1))
        found = next((each for each in drawn if _fits(each)), Dependents((), ()))
    return found if found.edges else None


def _fits(found: Dependents) -> bool:
    return len(found.nodes) <= MAX_NODES and len(found.edges) <= _MAX_EDGES


def _node(step: Step, changed: Mapping[str, Step], steps: Mapping[str, Step]) -> Node:
    tone = op_of(changed[step.urn].op).tone if step.urn in changed else "same"
    components = _components(step, steps)
    box = components[-1].component_name if components else ""
    return Node(step.urn, tone, short_type(step.type), step.name, box)


def _is_real(step: Step) -> bool:
    """Held by a cloud: neither a component nor a provider."""
    return step.is_custom and not step.type.startswith("pulumi:")


def _components(step: Step, steps: Mapping[str, Step]) -> list[Step]:
    """The components above, the outermost first; none under the stack itself."""
    above = upwards(step.parent, lambda urn: steps[urn].parent if urn in steps else "")
    chain = [steps[urn] for urn in above if urn in steps and not steps[urn].is_custom]
    return [each for each in chain if each.type != STACK_TYPE][::-1]


def _by_component(found: Dependents, chains: Mapping[str, list[Step]], depth: int) -> Dependents:
    """One node a component, at most `depth` deep, and kind of change; what stands under no component is told by type."""
    place: dict[str, str] = {}
    members: dict[str, list[Node]] = {}
    drawn: dict[str, Node] = {}
    for node in found.nodes:
        chain = chains[node.key][:depth]
        key = f"{chain[-1].urn if chain else node.type} {node.tone}"
        place[node.key] = key
        members.setdefault(key, []).append(node)
        drawn[key] = replace(node, key=key)
        if chain:
            box = chain[-2].component_name if len(chain) > 1 else ""
            drawn[key] = Node(key, node.tone, short_type(chain[-1].type), chain[-1].component_name, box)
    nodes = tuple(
        replace(
            node,
            members=len(members[key]),
            name=node.name if key.startswith("urn:") or len(members[key]) == 1 else node.type,
        )
        for key, node in drawn.items()
    )
    edges = {(place[a], place[b]) for a, b in found.edges if place[a] != place[b]}
    return Dependents(nodes, tuple(sorted(edges)))


def _references(report: Report, steps: Mapping[str, Step]) -> Iterator[tuple[str, str]]:
    """(what is depended on, dependent), of every resource as it was and as it will be."""
    told = ((step.op, step.old, step.new) for step in report.steps.values())
    for resources in before_and_after(told):
        providers = {each.urn: each for each in resources if each.type.startswith(PROVIDER_TYPE_PREFIX)}
        for each in resources:
            provider = providers.get(provider_urn(each.provider))
            sources = {each.parent, *each.needs, *(provider.needs if provider else ())}
            yield from ((source, each.urn) for source in sources if each.urn in steps)
        graph = Graph(resources)
        for cluster in clusters_of(resources):
            for workload in cluster.of(*SERVERS):
                chosen = [pool for pool in cluster.pools if pool.is_chosen_by(pod_spec(workload))]
                yield from ((urn, workload.urn) for urn in _closest(graph, workload, chosen))


def _closest(graph: Graph, workload: Resource, pools: Iterable[NodePool]) -> list[str]:
    """Of pools in several clusters with the same labels, where no dependency tells them apart, those in the workload's own region."""
    above = {urn: depth for depth, urn in enumerate(graph.ancestors(workload))}
    depths = {
        pool.resource.urn: min(
            (above.get(urn, len(above)) for urn in graph.ancestors(pool.resource)), default=len(above)
        )
        for pool in pools
    }
    return [urn for urn, depth in depths.items() if depth == min(depths.values())]
