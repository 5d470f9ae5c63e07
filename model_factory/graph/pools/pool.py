"""What every node pool tells, whichever cloud declares it."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Final

from model_factory.facts.clouds import Cloud
from model_factory.graph.accelerators import TAINTS
from model_factory.graph.declared import Declared
from model_factory.graph.machines import built_in_gpus, machine_types
from model_factory.graph.objects import meets
from model_factory.graph.values import at, listed, mapping, number

# Labels that clouds, kubelets and autoscalers write: what they say of a pool is not in its declaration.
_GIVEN_LABELS: Final = re.compile(
    r"([a-z0-9.-]+\.)?(kubernetes\.io|k8s\.io|k8s\.aws|gke\.io|cloud\.google\.com|karpenter\.sh|amazonaws\.com|nvidia\.com)/.*"
)
_EFFECTS: Final = {
    "NO_SCHEDULE": "NoSchedule", "NO_EXECUTE": "NoExecute", "PREFER_NO_SCHEDULE": "PreferNoSchedule",
}  # fmt: skip


def keeps_others_away(taints: list[tuple[str, str]]) -> bool:
    """Whether taints (key, effect) keep Pods that need no GPUs off nodes that have them."""
    return any(key in TAINTS and effect in ("NoSchedule", "NoExecute") for key, effect in taints)


def names_nodes(spec: Mapping[str, Any]) -> bool:
    """Whether Pods with this spec run on nodes with certain labels alone."""
    required = at(spec, "affinity", "nodeAffinity", "requiredDuringSchedulingIgnoredDuringExecution")
    return bool(at(spec, "nodeSelector") or required)


def taints_in(declared: object) -> list[tuple[str, str]]:
    """A list of taints as key and effect, the effect as Kubernetes spells it."""
    return [
        (str(at(each, "key")), _EFFECTS.get(str(at(each, "effect")), str(at(each, "effect"))))
        for each in listed(declared)
    ]


class NodePool(ABC):
    """A pool of equal nodes, read on demand, so that what is unknown of it hides nothing else."""

    type: ClassVar[str]
    cloud: ClassVar[Cloud]
    worked_out: ClassVar[frozenset[str]]
    """Labels of the cloud's that `labels` works out."""
    rolled_by: ClassVar[tuple[str, ...]]
    """What of it, changed in place, makes the cloud replace its nodes one after another: keys of its properties, with a dot where they are
    inside another."""
    made_from: ClassVar[str] = ""
    """The property whose `id` names another object that its nodes are made from."""

    def __init__(self, resource: Declared) -> None:
        self.resource = resource

    @property
    def machine_types(self) -> list[str]:
        """The machine types it names; EKS takes several."""
        return machine_types(self.resource)

    @property
    def gpus_per_node(self) -> int:
        """The most GPUs that one node has."""
        return max((built_in_gpus(each) for each in self.machine_types), default=0)

    @property
    @abstractmethod
    def region(self) -> str:
        """Where it is, as it says itself; empty where its provider decides."""

    @property
    @abstractmethod
    def is_spot(self) -> bool:
        """Whether the cloud may take its nodes back."""

    @property
    def follows_its_cluster(self) -> bool:
        """Whether the cloud by itself replaces its nodes once the control plane has a newer version."""
        return False

    @property
    @abstractmethod
    def taints(self) -> list[tuple[str, str]]:
        """Its taints as key and effect, the effect as Kubernetes spells it."""

    @property
    @abstractmethod
    def declared_labels(self) -> Mapping[str, Any]:
        """The labels that the program gives its nodes."""

    @property
    @abstractmethod
    def given_labels(self) -> dict[str, str]:
        """The labels that the cloud adds and that follow from the declaration."""

    @property
    @abstractmethod
    def least_nodes(self) -> int:
        """How many nodes it always has, over all its zones."""

    @property
    @abstractmethod
    def most_nodes(self) -> int | None:
        """How many nodes it may grow to, over all its zones; None where nothing says."""

    @property
    def set_nodes(self) -> int | None:
        """How many there are to be now, where a declaration sets it in a pool that runs."""
        return None

    @property
    def labels(self) -> dict[str, str]:
        """The labels of its nodes, as far as its declaration tells."""
        declared = self.declared_labels
        return self.given_labels | {str(key): str(declared[key]) for key in declared}

    def admits(self, spec: Mapping[str, Any]) -> bool:
        """Whether Pods with this spec may run here, by node selector and required node affinity. Labels that the cloud writes and that
        do not follow from the declaration (zones, say) are taken to fit."""
        labels, selector = self.labels, mapping(at(spec, "nodeSelector"))
        wanted = [{"key": key, "operator": "In", "values": [str(selector[key])]} for key in selector]
        if not all(self._fits(each, labels) for each in wanted):
            return False
        required = ("affinity", "nodeAffinity", "requiredDuringSchedulingIgnoredDuringExecution")
        terms = listed(at(spec, *required, "nodeSelectorTerms"))
        return not terms or any(
            all(self._fits(each, labels) for each in listed(at(term, "matchExpressions"))) for term in terms
        )

    def is_chosen_by(self, spec: Mapping[str, Any]) -> bool:
        """Whether Pods with this spec name nodes by their labels, and these are such."""
        return names_nodes(spec) and self.admits(spec)

    def preference(self, spec: Mapping[str, Any]) -> int:
        """How much Pods with this spec like it: the weights of the preferred node affinity that its nodes meet."""
        terms = listed(at(spec, "affinity", "nodeAffinity", "preferredDuringSchedulingIgnoredDuringExecution"))
        labels = self.labels
        return sum(
            int(number(at(term, "weight")) or 0)
            for term in terms
            if all(self._fits(each, labels) for each in listed(at(term, "preference", "matchExpressions")))
        )

    def _fits(self, expression: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
        key = str(at(expression, "key"))
        if key not in labels and _GIVEN_LABELS.fullmatch(key) and key not in self.worked_out:
            return True
        return meets(expression, labels.get(key), otherwise=True)

    def _count(self, *path: str) -> int | None:
        found = number(at(self.resource.props, *path))
        return None if found is None else int(found)
