"""What a change does to clusters and to their nodes: which are made anew though their pool stays, which come or go, and why.

Read from the graphs before and after, as models are. What makes a cloud replace nodes stands with the kind of pool.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from model_factory.cost.values import site_name
from model_factory.graph.clusters import VERSION_KEYS
from model_factory.graph.graph import Graph
from model_factory.graph.masking import UNKNOWN_TEXT
from model_factory.graph.pools import NodePool, node_pool
from model_factory.graph.resource import Resource, before_and_after
from model_factory.graph.values import at, text
from model_factory.preview.changes import NOTED, Change, PropertyChange, leaves
from model_factory.preview.events import LOGICAL_REPLACE, Report
from model_factory.preview.wording import count, join_first

_REASONS_TOLD: Final = 3


@dataclass(frozen=True, slots=True)
class NodesChange:
    """One pool of nodes, or one cluster."""

    urn: str
    name: str
    site: str
    kind: str
    """As an operation: create, delete, discard, replace or update."""
    nodes: str
    """How many there may be: `0–4`, or before and after with an arrow; empty for a cluster."""
    told: str
    """What becomes of those that run."""
    why: str = ""
    recycles: bool = False
    """Whether nodes that run go, and with them the Pods that are on them."""

    @property
    def size(self) -> str:
        """`0–4 nodes`."""
        return f"{self.nodes} node{'' if self.nodes == '1' else 's'}" if self.nodes else ""


def nodes_changes(report: Report, changes: Iterable[Change]) -> tuple[NodesChange, ...]:
    """The clusters and pools of which something comes, goes, or is another after a change; by site, a cluster before its pools."""
    before, after = before_and_after((step.op, step.old, step.new) for step in report.steps.values())
    found = _Nodes(Graph(before), Graph(after), {each.urn: each for each in changes})
    return tuple(sorted(found.changes(), key=lambda each: (each.site, bool(each.nodes), each.name)))


def together(changes: Sequence[NodesChange]) -> list[tuple[NodesChange, ...]]:
    """Those of one site of which the same is said, in one piece."""
    found: dict[tuple[object, ...], list[NodesChange]] = {}
    for each in changes:
        found.setdefault((each.site, each.kind, each.told, each.why, bool(each.nodes)), []).append(each)
    return [tuple(group) for group in found.values()]


class _Said(NamedTuple):
    told: str
    why: str = ""
    recycles: bool = False


class _Nodes:
    def __init__(self, before: Graph, after: Graph, steps: Mapping[str, Change]) -> None:
        self._before, self._after, self._steps = before, after, steps
        self._was, self._will = ({each.urn: each for each in graph.resources} for graph in (before, after))

    def changes(self) -> Iterator[NodesChange]:
        for urn, step in self._steps.items():
            was, will = self._was.get(urn), self._will.get(urn)
            pools = [pool for each in (was, will) if each is not None and (pool := node_pool(each)) is not None]
            if not pools and step.type not in VERSION_KEYS:
                continue
            said = self._said(step, was, will)
            if said is not None:
                nodes = " → ".join(dict.fromkeys(map(_size, pools)))
                yield NodesChange(urn, step.name, self._site(was, will), step.op, nodes, *said)

    def _said(self, step: Change, was: Resource | None, will: Resource | None) -> _Said | None:
        if was is None:
            return _Said("new")
        if will is None:
            if step.op == "discard":
                return _Said("forgotten, and stay")
            return _Said(
                "deleted", f"gone with {step.component}" if step.component else "no longer in the program", True
            )
        if step.op == LOGICAL_REPLACE:
            order = "the old goes first" if step.old_goes_first else "the new is made first"
            return _Said(f"replaced, {order}", self._forced(step, was), recycles=True)
        old, new = node_pool(was), node_pool(will)
        if old is None or new is None:
            return self._updated_cluster(was, will)
        if rolled := list(self._rolled(was, will, new)):
            return _Said("replaced one after another", _texts(rolled), recycles=True)
        taints = leaves(("taints",), dict(old.taints), dict(new.taints))
        kept = [*leaves(("labels",), dict(old.declared_labels), dict(new.declared_labels)), *taints]
        was_set, is_set = old.set_nodes, new.set_nodes
        if is_set is not None and was_set != is_set:
            stay = "stay; " if was_set is None or was_set < is_set else ""
            before = f"it was set to {was_set}" if was_set is not None else "no size was set"
            return _Said(f"{stay}the pool is set to {count(is_set, 'node')}", _texts(kept) or before)
        if kept or _size(old) != _size(new):
            return _Said("stay", _texts(kept) or "the least or the most of its nodes changes")
        return None

    def _forced(self, step: Change, was: Resource) -> str:
        cluster = self._before.cluster_of(was)
        above = self._steps.get(cluster.urn) if cluster is not None and cluster.urn != step.urn else None
        if above is not None and above.op == LOGICAL_REPLACE:
            return f"its cluster {above.name} is replaced"
        if step.goes_with:
            return f"it goes with {step.goes_with}"
        return _texts(step.because) or "the provider asks for it"

    def _updated_cluster(self, was: Resource, will: Resource) -> _Said | None:
        version = list(_differing(was, will, VERSION_KEYS[was.type]))
        if not version:
            return None
        pools = [
            (each, pool)
            for urn, each in self._will.items()
            if urn in self._was and (pool := node_pool(each)) is not None and self._is_in(each, will)
        ]
        if any(list(self._rolled(self._was[each.urn], each, pool)) for each, pool in pools):
            nodes = "its nodes follow"
        elif any(pool.follows_its_cluster for _, pool in pools):
            nodes = "the cloud replaces its nodes by itself, later"
        else:
            nodes = "its nodes keep their version"
        return _Said(f"the control plane is updated in place, and {nodes}", _texts(version))

    def _is_in(self, pool: Resource, cluster: Resource) -> bool:
        found = self._after.cluster_of(pool)
        return found is not None and found.urn == cluster.urn

    def _rolled(self, was: Resource, will: Resource, pool: NodePool) -> Iterator[PropertyChange]:
        """What makes the cloud replace the pool's nodes, by what the program gives: what a provider adds may be unknown before `up`. What
        differs in the object that nodes are made from stands for a version of it that is not known yet."""
        found = [item for key in pool.rolled_by for item in _differing(was, will, key)]
        template = self._made_from(was, pool) if pool.made_from else None
        unknown = [item for item in found if item.path.startswith(f"{pool.made_from}.") and item.after == UNKNOWN_TEXT]
        if template is None or not unknown:
            yield from found
            return
        yield from (item for item in found if item not in unknown)
        yield from _differences(*template, pool.made_from)

    def _made_from(self, was: Resource, pool: NodePool) -> tuple[Resource, Resource] | None:
        id_ = text(at(was.inputs, pool.made_from, "id")) or text(at(was.outputs, pool.made_from, "id"))
        found = next((each for each in self._was.values() if id_ and each.id == id_), None)
        return (found, self._will[found.urn]) if found is not None and found.urn in self._will else None

    def _site(self, *sides: Resource | None) -> str:
        places = (
            graph.place_of(each)
            for graph, each in zip((self._before, self._after), sides, strict=True)
            if each is not None
        )
        return next((site_name(*place) for place in places if place is not None), "")


def _differing(was: Resource, will: Resource, key: str) -> Iterator[PropertyChange]:
    path = tuple(key.split("."))
    before, after = at(was.inputs, *path), at(will.inputs, *path)
    if before is None and after is not None:
        # An input that is given for the first time may be what the cloud had chosen.
        before = at(was.outputs, *path)
    yield from leaves(path, before, after)


def _differences(was: Resource, will: Resource, name: str) -> Iterator[PropertyChange]:
    """Of an object that nodes are made from. Its own tags are no part of a version: docs.aws.amazon.com/AWSEC2/latest/APIReference/API_RequestLaunchTemplateData"""
    old, new = (
        {key: value for key, value in each.inputs.items() if key not in {"tags", *NOTED}} for each in (was, will)
    )
    yield from leaves((name,), old, new)


def _size(pool: NodePool) -> str:
    least, most = pool.least_nodes, pool.most_nodes
    return f"{least} or more" if most is None else f"{least}–{most}" if most != least else str(least)


def _texts(changes: Iterable[PropertyChange]) -> str:
    """`version: "1.34" → "1.35"`, the first few."""
    told = [
        f"{item.path}: {item.before or 'nothing'} → {item.after or 'nothing'}"
        if item.before != item.after
        else item.path
        for item in changes
    ]
    return join_first(told, _REASONS_TOLD)
