"""Node pools of Karpenter: no nodes of their own, but what may be started, and how much of it."""

from __future__ import annotations

from decimal import Decimal
from typing import ClassVar

from model_factory.graph.accelerators import TAINTS
from model_factory.graph.declared import Declared
from model_factory.graph.machines import gpus_of_machine
from model_factory.graph.pods import count_of
from model_factory.graph.pools.pool import taints_in
from model_factory.graph.values import at, listed, mapping


class KarpenterPool:
    """karpenter.sh/docs/concepts/nodepools"""

    type: ClassVar[str] = "kubernetes:karpenter.sh/*:NodePool"

    def __init__(self, resource: Declared) -> None:
        self.resource = resource

    @property
    def may_have_gpus(self) -> bool:
        """Whether it may start machines with GPUs, as far as its requirements tell."""
        for each in listed(at(self.resource.props, "spec", "template", "spec", "requirements")):
            key, values = str(at(each, "key")), [str(value) for value in listed(at(each, "values"))]
            if "gpu" in key or (key.endswith("/instance-category") and {"g", "p"} & set(values)):
                return True
            if key.endswith("/instance-family"):
                values = [f"{family}." for family in values]
            if key.endswith(("/instance-family", "/instance-type")) and any(map(gpus_of_machine, values)):
                return True
        return False

    @property
    def taints(self) -> list[tuple[str, str]]:
        """Its nodes' taints as key and effect."""
        return taints_in(at(self.resource.props, "spec", "template", "spec", "taints"))

    @property
    def gpu_limit(self) -> object:
        """The most GPUs it may start, as it is written; None where nothing bounds them."""
        limits = mapping(at(self.resource.props, "spec", "limits"))
        return next((limits[each] for each in TAINTS if each in limits), None)

    @property
    def most_gpus(self) -> Decimal | None:
        """The most GPUs it may start; None where nothing bounds them."""
        limit = self.gpu_limit
        return None if limit is None else count_of(limit)
