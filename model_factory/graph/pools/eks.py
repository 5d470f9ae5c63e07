"""Managed node groups of EKS."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from model_factory.facts.machines import MOST_GPUS
from model_factory.graph.pools.pool import NodePool, taints_in
from model_factory.graph.values import at, mapping

_CAPACITY_LABEL = "eks.amazonaws.com/capacityType"


class EksPool(NodePool):
    """docs.aws.amazon.com/eks/latest/APIReference/API_Nodegroup.html"""

    type = "aws:eks/nodeGroup:NodeGroup"
    cloud = "aws"
    worked_out = frozenset((_CAPACITY_LABEL,))
    # docs.aws.amazon.com/eks/latest/userguide/update-managed-node-group.html; labels, taints and sizes change under running nodes.
    rolled_by = ("version", "releaseVersion", "launchTemplate.id", "launchTemplate.version")
    made_from = "launchTemplate"

    @property
    def gpus_per_node(self) -> int:
        """An image with drivers tells of GPUs where no machine type does; how many, nobody knows."""
        found = super().gpus_per_node
        has_drivers = not found and re.search("NVIDIA|GPU", str(at(self.resource.props, "amiType")))
        return MOST_GPUS if has_drivers else found

    @property
    def region(self) -> str:
        return str(at(self.resource.props, "region") or "")

    @property
    def is_spot(self) -> bool:
        return at(self.resource.props, "capacityType") == "SPOT"

    @property
    def taints(self) -> list[tuple[str, str]]:
        return taints_in(at(self.resource.props, "taints"))

    @property
    def declared_labels(self) -> Mapping[str, Any]:
        return mapping(at(self.resource.props, "labels"))

    @property
    def given_labels(self) -> dict[str, str]:
        return {_CAPACITY_LABEL: "SPOT" if self.is_spot else "ON_DEMAND"}

    @property
    def least_nodes(self) -> int:
        return self._count("scalingConfig", "minSize") or 0

    @property
    def most_nodes(self) -> int | None:
        return self._count("scalingConfig", "maxSize")

    @property
    def set_nodes(self) -> int | None:
        return self._count("scalingConfig", "desiredSize")
