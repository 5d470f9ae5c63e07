"""The Kubernetes objects of a stack by cluster, and what belongs to what among them.

A cluster is what one Kubernetes provider talks to. Within a cluster every conclusion rests on all of its objects ("no budget
covers it").
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Final, Generic, TypeVar

from model_factory.graph.autoscalers import Autoscaler, autoscaler
from model_factory.graph.declared import Declared, is_a, needs
from model_factory.graph.objects import Identity, identity, namespace_of, object_name
from model_factory.graph.pods import PODS, WORKLOADS
from model_factory.graph.pools import NodePool, node_pool
from model_factory.graph.urn import upwards
from model_factory.graph.values import at, number

EKS_CLUSTER: Final = "aws:eks/cluster:Cluster"
GKE_CLUSTER: Final = "gcp:container/cluster:Cluster"
CLUSTERS: Final = (EKS_CLUSTER, GKE_CLUSTER)
VERSION_KEYS: Final = {EKS_CLUSTER: "version", GKE_CLUSTER: "minMasterVersion"}
"""By which property a cluster is asked for a version of Kubernetes."""
OBJECTS: Final = "kubernetes:*"
# Kinds that are no objects of a cluster themselves.
_CONTAINERS: Final = ("kubernetes:helm.sh/*", "kubernetes:kustomize*", "kubernetes:yaml*", "kubernetes:*List")

R = TypeVar("R", bound=Declared)


@dataclass(frozen=True)
class Cluster(Generic[R]):
    """The objects that one provider makes, and the node pools of the cluster that it talks to."""

    objects: tuple[R, ...]
    pools: tuple[NodePool, ...]
    """All of the stack's, where no dependency tells which are the cluster's."""
    parents: Mapping[str, str]
    """Of every resource of the stack, by URN."""

    def of(self, *patterns: str) -> tuple[R, ...]:
        """Its objects of these types."""
        return tuple(each for each in self.objects if is_a(each, *patterns))

    @cached_property
    def workloads(self) -> tuple[R, ...]:
        """Deployments and StatefulSets."""
        return self.of(*WORKLOADS)

    @cached_property
    def autoscalers(self) -> tuple[Autoscaler, ...]:
        """All that changes a workload's count."""
        return tuple(found for each in self.objects if (found := autoscaler(each)) is not None)

    def autoscalers_of(self, workload: R) -> tuple[Autoscaler, ...]:
        """What changes a workload's count: by its name or, where a provider has yet to make that up or nobody says it, by its place under
        the same component."""
        named = self._by_target.get(identity(workload), ()) if object_name(workload) else ()
        if named:
            return named
        others = frozenset[Identity]() if object_name(workload) else self._strangers
        beside = tuple(
            each
            for target, scalers in self._by_target.items()
            if not target.name or target in others
            for each in scalers
            if workload.parent in self._above(each.resource.parent)
        )
        return beside if len(beside) == 1 else ()

    @cached_property
    def _by_target(self) -> Mapping[Identity, tuple[Autoscaler, ...]]:
        found: dict[Identity, tuple[Autoscaler, ...]] = {}
        for each in self.autoscalers:
            found[each.target] = (*found.get(each.target, ()), each)
        return found

    @cached_property
    def _strangers(self) -> frozenset[Identity]:
        """Targets of autoscalers that are the name of no workload here."""
        return frozenset(self._by_target) - frozenset(identity(each) for each in self.workloads)

    def least_replicas(self, workload: R) -> int:
        """How many replicas a workload may come down to while anybody asks: by its autoscalers, else by itself, else 1."""
        least = [each.least for each in self.autoscalers_of(workload)]
        return min(least) if least else _replicas(workload)

    def most_replicas(self, workload: R) -> int:
        """How many replicas a workload may grow to."""
        most = [each.most for each in self.autoscalers_of(workload)]
        return max(most) if most else _replicas(workload)

    def pods_in(self, namespace: str) -> tuple[R, ...]:
        """All that makes Pods in a namespace."""
        return tuple(each for each in self.of(*PODS) if namespace_of(each) == namespace)

    def _above(self, urn: str) -> Iterable[str]:
        return upwards(urn, lambda each: self.parents.get(each, ""))


def clusters_of(resources: Iterable[R]) -> tuple[Cluster[R], ...]:
    """The stack's Kubernetes objects, one `Cluster` a provider."""
    everything = tuple(resources)
    found: dict[str, list[R]] = {}
    for each in everything:
        if is_a(each, OBJECTS) and not is_a(each, *_CONTAINERS):
            found.setdefault(each.provider, []).append(each)
    parents = {each.urn: each.parent for each in everything}
    return tuple(Cluster(tuple(objects), _pools(everything, provider), parents) for provider, objects in found.items())


def _pools(resources: tuple[R, ...], provider: str) -> tuple[NodePool, ...]:
    """The pools that depend on a cluster which the provider depends on."""
    pools = tuple(found for each in resources if (found := node_pool(each)) is not None)
    clusters = frozenset(each.urn for each in resources if each.type in CLUSTERS)
    talked_to = {
        urn
        for each in resources
        if provider == each.urn or provider.startswith(f"{each.urn}::")
        for urn in needs(each) & clusters
    }
    return tuple(each for each in pools if talked_to & needs(each.resource)) if talked_to else pools


def _replicas(workload: Declared) -> int:
    found = number(at(workload.props, "spec", "replicas"))
    return 1 if found is None else int(found)
