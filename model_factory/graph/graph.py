"""A graph of resources by type, name and place in the tree of components, and where in which cloud they are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import Final

from model_factory.facts.clouds import CLOUDS, Cloud
from model_factory.graph.clusters import CLUSTERS
from model_factory.graph.declared import Declared
from model_factory.graph.resource import Resource, with_providers
from model_factory.graph.urn import PROVIDER_TYPE_PREFIX, upwards
from model_factory.graph.values import text

_PLACES: Final = ("location", "region", "zone", "availabilityZone")


class Graph:
    """All resources of one stack. Not changed after it is made."""

    def __init__(self, resources: Iterable[Resource]) -> None:
        self.resources = tuple(with_providers(resources))
        self._by_urn = {resource.urn: resource for resource in self.resources}

    @cached_property
    def by_id(self) -> dict[tuple[str, str], Resource]:
        """Resources that exist in their cloud, by (type, id)."""
        return {(resource.type, resource.id): resource for resource in self.resources if resource.id}

    @cached_property
    def _by_type(self) -> Mapping[str, Sequence[Resource]]:
        found: dict[str, list[Resource]] = {}
        for each in self.resources:
            found.setdefault(each.type, []).append(each)
        return found

    @cached_property
    def clusters(self) -> Sequence[Resource]:
        """The clusters that the clouds run."""
        return self.of_type(*CLUSTERS)

    def of_type(self, *types: str) -> list[Resource]:
        """The resources of these types, type by type."""
        return [resource for type_ in types for resource in self._by_type.get(type_, ())]

    def ancestors(self, resource: Declared) -> tuple[str, ...]:
        """URNs from the resource's parent up to the stack."""
        known = self._by_urn
        return tuple(upwards(resource.parent, lambda urn: known[urn].parent if urn in known else ""))

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
        """Resources of a type with the same parent."""
        return [each for each in self.of_type(type_) if resource.parent and each.parent == resource.parent]

    def cluster_of(self, resource: Resource) -> Resource | None:
        """The cluster that a Kubernetes object belongs to."""
        return self.nearest(resource, self.clusters)

    def place_of(self, resource: Resource) -> tuple[Cloud, str] | None:
        """The cloud and the region that a resource is billed in, the region empty where it cannot be told; None for what is of no cloud.
        A Kubernetes object is where its cluster is."""
        package = resource.type.partition(":")[0]
        for cloud in CLOUDS:
            if package == cloud:
                return cloud, self.region_of(cloud, resource)
        cluster = self.cluster_of(resource) if package == "kubernetes" else None
        return self.place_of(cluster) if cluster is not None else None

    def region_of(self, cloud: Cloud, resource: Resource) -> str:
        """The region of a cloud's own resource, by itself or by its provider; empty where it cannot be told."""
        named = (text(resource.at(key)).rsplit("/", 1)[-1].lower() for key in _PLACES)
        place = next(filter(None, named), "") or self._region_of_provider(cloud, resource)
        return CLOUDS[cloud].region_of(place) or place

    def _region_of_provider(self, cloud: Cloud, resource: Resource) -> str:
        providers = self.of_type(f"{PROVIDER_TYPE_PREFIX}{cloud}")
        alone = providers[0].props if len(providers) == 1 else {}
        return text((resource.provider_props or alone).get("region"))
