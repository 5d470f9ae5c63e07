"""A graph of resources by type, name and place in the tree of components: what the rules of billing ask of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Final, Literal

from model_factory.graph.declared import Declared
from model_factory.graph.resource import Resource
from model_factory.graph.urn import PROVIDER_TYPE_PREFIX, provider_urn
from model_factory.graph.values import mapping, text

NODE_POOLS: Final = {"aws:eks/nodeGroup:NodeGroup": "aws", "gcp:container/nodePool:NodePool": "gcp"}
CLUSTERS: Final = {"aws:eks/cluster:Cluster": "aws", "gcp:container/cluster:Cluster": "gcp"}


class Graph:
    """All resources of one stack. Not changed after it is made."""

    def __init__(self, resources: Iterable[Resource]) -> None:
        self.resources = tuple(resources)
        self._by_urn = {resource.urn: resource for resource in self.resources}

    @cached_property
    def by_id(self) -> dict[tuple[str, str], Resource]:
        """Records that exist in their cloud, by (type, id)."""
        return {(resource.type, resource.id): resource for resource in self.resources if resource.id}

    def of_type(self, *types: str) -> list[Resource]:
        """The resources of these types, in the graph's order."""
        return [resource for resource in self.resources if resource.type in types]

    def ancestors(self, resource: Declared) -> tuple[str, ...]:
        """URNs from the resource's parent up to the stack."""
        found: list[str] = []
        parent = resource.parent
        while parent and parent not in found:
            found.append(parent)
            above = self._by_urn.get(parent)
            parent = above.parent if above is not None else ""
        return tuple(found)

    def nearest(self, resource: Resource, candidates: Sequence[Resource]) -> Resource | None:
        """The candidate that shares the closest component with the resource; the only one; or None where several are as close."""
        if len(candidates) <= 1:
            return candidates[0] if candidates else None
        place = {urn: depth for depth, urn in enumerate(self.ancestors(resource))}
        ranked = sorted(
            (min((place[urn] for urn in self.ancestors(each) if urn in place), default=len(place)), number)
            for number, each in enumerate(candidates)
        )
        return None if ranked[0][0] == ranked[1][0] else candidates[ranked[0][1]]

    def siblings(self, resource: Resource, type_: str) -> list[Resource]:
        """Records of a type with the same parent."""
        return [each for each in self.of_type(type_) if resource.parent and each.parent == resource.parent]

    def cluster_of(self, resource: Resource) -> Resource | None:
        """The cluster that a Kubernetes object belongs to."""
        return self.nearest(resource, self.of_type(*CLUSTERS))

    def region_of(self, resource: Resource, cloud: Literal["aws", "gcp"]) -> str:
        """The region that a resource is billed in; empty where it cannot be told."""
        if cloud == "aws":
            return text(resource.at("region")) or self._provider_region("aws", resource)
        place = text(resource.at("location")) or text(resource.at("region")) or text(resource.at("zone"))
        return _region_of_place(place.rsplit("/", 1)[-1].lower()) or self._provider_region("gcp", resource)

    def _provider_region(self, package: str, resource: Resource) -> str:
        providers = self.of_type(f"{PROVIDER_TYPE_PREFIX}{package}")
        named = [each for each in providers if provider_urn(resource.provider) == each.urn]
        chosen = named or (providers if len(providers) == 1 else [])
        return text(chosen[0].at("region")) if chosen else ""


def labels_of(resource: Resource) -> dict[str, str]:
    """The labels that nodes of a pool carry, or that an object has."""
    found = resource.at("labels") or resource.at("nodeConfig", "labels") or resource.at("metadata", "labels")
    return {key: value for key, value in mapping(found).items() if isinstance(value, str)}


def _region_of_place(place: str) -> str:
    """us-central1-a → us-central1; a region stays as it is."""
    parts = place.split("-")
    return "-".join(parts[:2]) if len(parts) == 3 and len(parts[2]) == 1 else place
