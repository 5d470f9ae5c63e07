"""Node pools, as the clouds declare them: one file a cloud, and a line of `KINDS`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from model_factory.graph.declared import Declared
from model_factory.graph.pools.eks import EksPool
from model_factory.graph.pools.gke import GkePool
from model_factory.graph.pools.karpenter import KarpenterPool
from model_factory.graph.pools.pool import NodePool, keeps_others_away, names_nodes

__all__ = [
    "KINDS",
    "POOLS",
    "EksPool",
    "GkePool",
    "KarpenterPool",
    "NodePool",
    "by_preference",
    "keeps_others_away",
    "names_nodes",
    "node_pool",
]

KINDS: Final = (EksPool, GkePool)
POOLS: Final = tuple(each.type for each in KINDS)


def node_pool(resource: Declared) -> NodePool | None:
    """A resource as a pool of equal nodes; None where it is none."""
    return next((each(resource) for each in KINDS if each.type == resource.type), None)


def by_preference(pools: Iterable[NodePool], spec: Mapping[str, Any]) -> list[list[NodePool]]:
    """The pools that admit Pods with this spec, those that they like best first; those that they like equally, together."""
    ranks: dict[int, list[NodePool]] = {}
    for each in pools:
        if each.admits(spec):
            ranks.setdefault(each.preference(spec), []).append(each)
    return [ranks[weight] for weight in sorted(ranks, reverse=True)]
