"""What changes a workload's number of replicas: Kubernetes' own autoscaler and KEDA's."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Final

from model_factory.graph.declared import Declared, is_a
from model_factory.graph.objects import Identity, namespace_of
from model_factory.graph.values import at, mapping, number


class Autoscaler(ABC):
    """An autoscaler, read on demand, so that what is unknown of it hides nothing else."""

    type: ClassVar[str]
    behavior: ClassVar[tuple[str, ...]]
    """Where it says how fast it scales, as an HPA does."""

    def __init__(self, resource: Declared) -> None:
        self.resource = resource

    @property
    def target(self) -> Identity:
        """What it scales. KEDA, and nobody else, takes a Deployment where no kind is named."""
        reference = at(self.resource.props, "spec", "scaleTargetRef")
        return Identity(
            namespace_of(self.resource),
            str(at(reference, "kind") or "Deployment"),
            str(at(reference, "name") or ""),
        )

    @property
    def scale_down(self) -> Mapping[str, Any]:
        """How it gives replicas back."""
        return mapping(at(self.resource.props, *self.behavior, "scaleDown"))

    @property
    @abstractmethod
    def least(self) -> int:
        """The fewest replicas it leaves while anybody asks."""

    @property
    @abstractmethod
    def most(self) -> int:
        """The most replicas it makes."""

    @property
    def idle(self) -> int:
        """The replicas it leaves when nobody asks."""
        return self.least

    def _count(self, key: str, default: int) -> int:
        found = number(at(self.resource.props, "spec", key))
        return default if found is None else int(found)


class HorizontalPodAutoscaler(Autoscaler):
    """kubernetes.io/docs/reference/kubernetes-api/workload-resources/horizontal-pod-autoscaler-v2"""

    type = "kubernetes:autoscaling/*:HorizontalPodAutoscaler"
    behavior = ("spec", "behavior")

    @property
    def least(self) -> int:
        return self._count("minReplicas", 1)

    @property
    def most(self) -> int:
        return self._count("maxReplicas", 1)


class ScaledObject(Autoscaler):
    """keda.sh/docs/latest/reference/scaledobject-spec, with its defaults"""

    type = "kubernetes:keda.sh/*:ScaledObject"
    behavior = ("spec", "advanced", "horizontalPodAutoscalerConfig", "behavior")

    @property
    def least(self) -> int:
        return self._count("minReplicaCount", 0)

    @property
    def most(self) -> int:
        return self._count("maxReplicaCount", 100)

    @property
    def idle(self) -> int:
        return self._count("idleReplicaCount", self.least) if self.least else 0


KINDS: Final = (HorizontalPodAutoscaler, ScaledObject)
AUTOSCALERS: Final = tuple(each.type for each in KINDS)


def autoscaler(resource: Declared) -> Autoscaler | None:
    """A resource as an autoscaler; None where it is none."""
    return next((each(resource) for each in KINDS if is_a(resource, each.type)), None)
