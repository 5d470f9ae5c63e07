"""The objects of a stack by cluster, and what belongs to what among them.

A cluster is what one Kubernetes provider talks to. Within a cluster every conclusion rests on all of its objects ("no budget
covers it"), so one unknown name makes that cluster, and no other, one that could not be evaluated.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from policies.checks import Props, Report, Resource, Stack, StackCheck, at
from policies.pods import PODS, WORKLOADS, listed, mapping, pod_labels

OBJECTS = "kubernetes:*"
# Kinds that are no objects of a cluster themselves.
CONTAINERS = ("kubernetes:helm.sh/*", "kubernetes:kustomize*", "kubernetes:yaml*", "kubernetes:*List")
SYSTEM_NAMESPACES = frozenset(("kube-system", "kube-public", "kube-node-lease"))
AUTOSCALERS = ("kubernetes:autoscaling/*:HorizontalPodAutoscaler", "kubernetes:keda.sh/*:ScaledObject")


@dataclass(frozen=True, slots=True)
class Cluster:
    """The objects that one provider makes."""

    objects: tuple[Resource, ...]

    def of(self, *patterns: str) -> tuple[Resource, ...]:
        return tuple(each for each in self.objects if each.is_(*patterns))

    @property
    def workloads(self) -> tuple[Resource, ...]:
        return self.of(*WORKLOADS)

    def autoscalers_of(self, workload: Resource) -> tuple[Resource, ...]:
        """What changes a workload's count."""
        return tuple(each for each in self.of(*AUTOSCALERS) if target(each) == identity(workload))

    def pods_in(self, namespace: str) -> tuple[Resource, ...]:
        """All that makes Pods in a namespace."""
        return tuple(each for each in self.of(*PODS) if namespace_of(each) == namespace)


@dataclass(frozen=True, slots=True)
class Identity:
    """What an object is called inside its cluster."""

    namespace: str
    kind: str
    name: str


def clusters(stack: Stack) -> tuple[Cluster, ...]:
    """The stack's objects, one `Cluster` a provider."""
    found: dict[str, list[Resource]] = {}
    for each in stack.of(OBJECTS):
        if not each.is_(*CONTAINERS):
            found.setdefault(each.provider, []).append(each)
    return tuple(Cluster(tuple(objects)) for objects in found.values())


def each_cluster(judge: Callable[[Cluster, Mapping[str, Any], Report], None]) -> StackCheck:
    """A check of each cluster by itself."""

    def check(stack: Stack, report: Report) -> None:
        for cluster in clusters(stack):
            with report.guard():
                judge(cluster, stack.config, report)

    return check


def namespace_of(resource: Resource) -> str:
    """The namespace an object is in, `default` where none is named."""
    named = at(resource.props, "metadata", "namespace") or at(resource.provider_props, "namespace")
    return str(named or "default")


def name_of(resource: Resource) -> str:
    """An object's own name."""
    return str(at(resource.props, "metadata", "name") or "")


def kind_of(resource: Resource) -> str:
    """An object's kind."""
    return resource.type.rpartition(":")[2]


def identity(resource: Resource) -> Identity:
    """What others call an object by."""
    return Identity(namespace_of(resource), kind_of(resource), name_of(resource))


def target(autoscaler: Resource) -> Identity:
    """What an autoscaler scales."""
    reference = at(autoscaler.props, "spec", "scaleTargetRef")
    # KEDA takes a Deployment where no kind is named.
    return Identity(
        namespace_of(autoscaler), str(at(reference, "kind") or "Deployment"), str(at(reference, "name"))
    )


def selects(selector: object, labels: Props) -> bool:
    """Whether a label selector (matchLabels, matchExpressions) takes an object with these labels. An empty one takes all."""
    wanted = mapping(at(selector, "matchLabels"))
    if any(labels.get(key) != wanted[key] for key in wanted):
        return False
    return all(_expression(each, labels) for each in listed(selector, "matchExpressions"))


def covered(resource: Resource, workload: Resource) -> bool:
    """Whether an object with `spec.selector` takes the Pods of a workload in its own namespace."""
    selector = at(resource.props, "spec", "selector")
    if selector is None or namespace_of(resource) != namespace_of(workload):
        return False
    return selects(selector, pod_labels(workload))


def least_replicas(workload: Resource, cluster: Cluster) -> int:
    """How many replicas a workload may come down to: by its autoscaler, else by itself, else 1."""
    least = [_least(each) for each in cluster.autoscalers_of(workload)]
    return min(least) if least else whole(at(workload.props, "spec", "replicas"), 1)


def most_replicas(workload: Resource, cluster: Cluster) -> int:
    """How many replicas a workload may grow to."""
    most = [_most(each) for each in cluster.autoscalers_of(workload)]
    return max(most) if most else whole(at(workload.props, "spec", "replicas"), 1)


def whole(value: object, default: int) -> int:
    """A number as the wire has it, as an int; `default` where there is none."""
    return int(value) if isinstance(value, int | float) and not isinstance(value, bool) else default


def _least(autoscaler: Resource) -> int:
    if autoscaler.is_("kubernetes:keda.sh/*"):
        return whole(at(autoscaler.props, "spec", "minReplicaCount"), 0)
    return whole(at(autoscaler.props, "spec", "minReplicas"), 1)


def _most(autoscaler: Resource) -> int:
    if autoscaler.is_("kubernetes:keda.sh/*"):
        # KEDA's own default (keda.sh/docs/latest/reference/scaledobject-spec).
        return whole(at(autoscaler.props, "spec", "maxReplicaCount"), 100)
    return whole(at(autoscaler.props, "spec", "maxReplicas"), 1)


def _expression(expression: Props, labels: Props) -> bool:
    key, operator = at(expression, "key"), at(expression, "operator")
    values, found = listed(expression, "values"), labels.get(str(key))
    answers = {
        "In": found in values,
        "NotIn": found not in values,
        "Exists": found is not None,
        "DoesNotExist": found is None,
    }
    return answers.get(str(operator), False)
