"""A graph of records by type, name and place in the tree of components: what the rules of billing ask of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Final, Literal

from model_factory.graph.resource import Record, mapping, text

NODE_POOLS: Final = {"aws:eks/nodeGroup:NodeGroup": "aws", "gcp:container/nodePool:NodePool": "gcp"}
CLUSTERS: Final = {"aws:eks/cluster:Cluster": "aws", "gcp:container/cluster:Cluster": "gcp"}


class Graph:
    """All records of one stack. Not changed after it is made."""

    def __init__(self, records: Iterable[Record]) -> None:
        self.records = tuple(records)
        self._by_urn = {record.urn: record for record in self.records}

    @cached_property
    def by_id(self) -> dict[tuple[str, str], Record]:
        """Records that exist in their cloud, by (type, id)."""
        return {(record.type, record.id): record for record in self.records if record.id}

    def of_type(self, *types: str) -> list[Record]:
        """The records of these types, in the graph's order."""
        return [record for record in self.records if record.type in types]

    def ancestors(self, record: Record) -> tuple[str, ...]:
        """URNs from the record's parent up to the stack."""
        found: list[str] = []
        parent = record.parent
        while parent and parent not in found:
            found.append(parent)
            above = self._by_urn.get(parent)
            parent = above.parent if above is not None else ""
        return tuple(found)

    def nearest(self, record: Record, candidates: Sequence[Record]) -> Record | None:
        """The candidate that shares the closest component with the record; the only one; or None where several are as close."""
        if len(candidates) <= 1:
            return candidates[0] if candidates else None
        place = {urn: depth for depth, urn in enumerate(self.ancestors(record))}
        ranked = sorted(
            (min((place[urn] for urn in self.ancestors(each) if urn in place), default=len(place)), number)
            for number, each in enumerate(candidates)
        )
        return None if ranked[0][0] == ranked[1][0] else candidates[ranked[0][1]]

    def siblings(self, record: Record, type_: str) -> list[Record]:
        """Records of a type with the same parent."""
        return [each for each in self.of_type(type_) if record.parent and each.parent == record.parent]

    def cluster_of(self, record: Record) -> Record | None:
        """The cluster that a Kubernetes object belongs to."""
        return self.nearest(record, self.of_type(*CLUSTERS))

    def region_of(self, record: Record, cloud: Literal["aws", "gcp"]) -> str:
        """The region that a resource is billed in; empty where it cannot be told."""
        if cloud == "aws":
            return text(record.at("region")) or self._provider_region("pulumi:providers:aws", record)
        place = text(record.at("location")) or text(record.at("region")) or text(record.at("zone"))
        return _region_of_place(place.rsplit("/", 1)[-1].lower()) or self._provider_region(
            "pulumi:providers:gcp", record
        )

    def _provider_region(self, type_: str, record: Record) -> str:
        providers = self.of_type(type_)
        named = [each for each in providers if record.provider.startswith(f"{each.urn}::")]
        chosen = named or (providers if len(providers) == 1 else [])
        return text(chosen[0].at("region")) if chosen else ""


def labels_of(record: Record) -> dict[str, str]:
    """The labels that nodes of a pool carry, or that an object has."""
    found = record.at("labels") or record.at("nodeConfig", "labels") or record.at("metadata", "labels")
    return {key: value for key, value in mapping(found).items() if isinstance(value, str)}


def _region_of_place(place: str) -> str:
    """us-central1-a → us-central1; a region stays as it is."""
    parts = place.split("-")
    return "-".join(parts[:2]) if len(parts) == 3 and len(parts[2]) == 1 else place
