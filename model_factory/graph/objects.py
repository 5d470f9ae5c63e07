"""What Kubernetes objects are called inside their cluster, and which of them select which."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from model_factory.graph.declared import Declared
from model_factory.graph.pods import pod_labels
from model_factory.graph.values import at, listed, mapping

SYSTEM_NAMESPACES: Final = frozenset(("kube-system", "kube-public", "kube-node-lease"))


@dataclass(frozen=True, slots=True)
class Identity:
    """What an object is called inside its cluster. `name` is empty where it is not known, and then nothing refers to it."""

    namespace: str
    kind: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}"


def namespace_of(resource: Declared) -> str:
    """The namespace an object is in, `default` where none is named."""
    named = at(resource.props, "metadata", "namespace") or at(resource.provider_props, "namespace")
    return str(named or "default")


def object_name(resource: Declared) -> str:
    """An object's own name; empty where it is not known."""
    return str(at(resource.props, "metadata", "name") or "")


def kind_of(resource: Declared) -> str:
    """An object's kind: `Deployment` of `kubernetes:apps/v1:Deployment`."""
    return resource.type.rpartition(":")[2]


def identity(resource: Declared) -> Identity:
    """What others call an object by."""
    return Identity(namespace_of(resource), kind_of(resource), object_name(resource))


def selects(selector: object, labels: Mapping[str, Any]) -> bool:
    """Whether a label selector (matchLabels, matchExpressions) takes an object with these labels. An empty one takes all."""
    wanted = mapping(at(selector, "matchLabels"))
    if any(labels.get(key) != wanted[key] for key in wanted):
        return False
    return all(
        meets(each, labels.get(str(at(each, "key"))), otherwise=False)
        for each in listed(at(selector, "matchExpressions"))
    )


def meets(expression: object, found: object, *, otherwise: bool) -> bool:
    """Whether a label's value meets an expression of a selector; `otherwise` for operators that are not the labels' own (Gt, Lt)."""
    values = listed(at(expression, "values"))
    return {
        "In": found in values,
        "NotIn": found not in values,
        "Exists": found is not None,
        "DoesNotExist": found is None,
    }.get(str(at(expression, "operator")), otherwise)


def covers(resource: Declared, workload: Declared) -> bool:
    """Whether an object with `spec.selector` takes the Pods of a workload in its own namespace."""
    selector = at(resource.props, "spec", "selector")
    if selector is None or namespace_of(resource) != namespace_of(workload):
        return False
    return selects(selector, pod_labels(workload))


def declares_replicas(workload: Declared) -> bool:
    """Whether the program sets the count. An object read back from a cluster always has one: there, who manages the field tells."""
    if at(workload.props, "spec", "replicas") is None:
        return False
    managers = listed(at(workload.props, "metadata", "managedFields"))
    if not managers:
        return True
    return any(
        at(each, "fieldsV1", "f:spec", "f:replicas") is not None
        for each in managers
        if str(at(each, "manager")).startswith("pulumi")
    )
