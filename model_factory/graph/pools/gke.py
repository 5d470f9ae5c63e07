"""Node pools of GKE."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from model_factory.graph.pools.pool import NodePool, taints_in
from model_factory.graph.values import at, listed, mapping, number

ZONES_OF_A_REGION: Final = 3
"""A regional pool that names no zones has nodes in three, as Google Cloud chooses them."""
_SPOT_LABEL: Final = "cloud.google.com/gke-spot"
_ACCELERATOR_LABEL: Final = "cloud.google.com/gke-accelerator"


class GkePool(NodePool):
    """cloud.google.com/kubernetes-engine/docs/reference/rest/v1/projects.locations.clusters.nodePools"""

    type = "gcp:container/nodePool:NodePool"
    cloud = "gcp"
    worked_out = frozenset((_SPOT_LABEL, _ACCELERATOR_LABEL))
    # cloud.google.com/kubernetes-engine/docs/concepts/managing-clusters, changes that recreate nodes by the pool's upgrade strategy; labels,
    # taints and sizes change under running nodes.
    rolled_by = (
        "version", "nodeConfig.machineType", "nodeConfig.imageType", "nodeConfig.diskType", "nodeConfig.diskSizeGb",
        "nodeConfig.guestAccelerators", "nodeConfig.kubeletConfig", "nodeConfig.linuxNodeConfig",
        "nodeConfig.workloadMetadataConfig", "nodeConfig.gvnic", "nodeConfig.gcfsConfig",
    )  # fmt: skip

    @property
    def gpus_per_node(self) -> int:
        """GPUs that the pool attaches, or that its machine comes with."""
        attached = (number(at(each, "count")) for each in self._attached)
        return max([super().gpus_per_node, *(1 if count is None else int(count) for count in attached)])

    @property
    def region(self) -> str:
        return "-".join(str(at(self.resource.props, "location") or "").split("-")[:2])

    @property
    def zones(self) -> int:
        """How many zones it has nodes in."""
        named = listed(at(self.resource.props, "nodeLocations"))
        is_zone = str(at(self.resource.props, "location")).count("-") > 1
        return len(named) or (1 if is_zone else ZONES_OF_A_REGION)

    @property
    def is_spot(self) -> bool:
        return any(at(self.resource.props, "nodeConfig", key) is True for key in ("spot", "preemptible"))

    @property
    def follows_its_cluster(self) -> bool:
        """cloud.google.com/kubernetes-engine/docs/how-to/node-auto-upgrades"""
        return at(self.resource.props, "management", "autoUpgrade") is True

    @property
    def taints(self) -> list[tuple[str, str]]:
        return taints_in(at(self.resource.props, "nodeConfig", "taints"))

    @property
    def declared_labels(self) -> Mapping[str, Any]:
        return mapping(at(self.resource.props, "nodeConfig", "labels"))

    @property
    def given_labels(self) -> dict[str, str]:
        given = {_SPOT_LABEL: "true"} if self.is_spot else {}
        for each in self._attached:
            given[_ACCELERATOR_LABEL] = str(at(each, "type"))
        return given

    @property
    def least_nodes(self) -> int:
        if at(self.resource.props, "autoscaling") is None:
            return self._fixed or 0
        total = self._count("autoscaling", "totalMinNodeCount")
        return total or (self._count("autoscaling", "minNodeCount") or 0) * self.zones

    @property
    def most_nodes(self) -> int | None:
        if at(self.resource.props, "autoscaling") is None:
            return self._fixed
        total = self._count("autoscaling", "totalMaxNodeCount")
        if total:
            return total
        a_zone = self._count("autoscaling", "maxNodeCount")
        return None if a_zone is None else a_zone * self.zones

    @property
    def _fixed(self) -> int | None:
        """The nodes of a pool that does not scale: its count is one zone's."""
        counts = (self._count(key) for key in ("nodeCount", "initialNodeCount"))
        a_zone = next((count for count in counts if count is not None), None)
        return None if a_zone is None else a_zone * self.zones

    @property
    def _attached(self) -> list[Any]:
        return list(listed(at(self.resource.props, "nodeConfig", "guestAccelerators")))
