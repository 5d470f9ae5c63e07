"""Pods, wherever they stand: in a Deployment, a CronJob, by themselves. Reading them in checks, mending them in drafts."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, cast

from pulumi_policy.proxy import UnknownValueError

from policies.checks import Draft, Props, Report, Resource, ResourceCheck, at, is_list, matches

_KINDS = (
    "core/*:Pod",
    "core/*:PodTemplate",
    "core/*:ReplicationController",
    "apps/*:Deployment",
    "apps/*:StatefulSet",
    "apps/*:DaemonSet",
    "apps/*:ReplicaSet",
    "extensions/*:Deployment",
    "extensions/*:DaemonSet",
    "extensions/*:ReplicaSet",
    "batch/*:Job",
    "batch/*:CronJob",
)
PODS = tuple(f"kubernetes:{kind}" for kind in _KINDS)
# A patch changes what somebody else made: what it forbids it may be judged by, what it leaves out it may not.
PODS_AND_PATCHES = (*PODS, *(f"{kind}Patch" for kind in PODS))
SERVERS = (
    "kubernetes:apps/*:Deployment",
    "kubernetes:apps/*:StatefulSet",
    "kubernetes:apps/*:ReplicaSet",
    "kubernetes:extensions/*:Deployment",
    "kubernetes:extensions/*:ReplicaSet",
    "kubernetes:core/*:ReplicationController",
)
WORKLOADS = ("kubernetes:apps/*:Deployment", "kubernetes:apps/*:StatefulSet")

# kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity
_UNITS: Mapping[str, Decimal] = {
    **{
        unit: Decimal(1000) ** power
        for power, unit in enumerate(("n", "u", "m", "", "k", "M", "G", "T", "P", "E"), -3)
    },
    **{f"{unit}i": Decimal(1024) ** power for power, unit in enumerate("KMGTPE", 1)},
}
_QUANTITY = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)([numkMGTPE]|[KMGTPE]i|)")
_NONE: Props = {}


def is_patch(resource: Resource) -> bool:
    """Whether a resource changes an object that somebody else made."""
    return resource.type.endswith("Patch")


def pod_path(resource_type: str) -> tuple[str, ...]:
    """Where in a resource of that type the Pod's metadata and spec are."""
    kind = resource_type.rpartition(":")[2].removesuffix("Patch")
    if kind == "Pod":
        return ()
    if kind == "PodTemplate":
        return ("template",)
    if kind == "CronJob":
        return ("spec", "jobTemplate", "spec", "template")
    return ("spec", "template")


def pod_spec(resource: Resource) -> Props:
    """The Pod's spec; empty where there is none."""
    return mapping(at(resource.props, *pod_path(resource.type), "spec"))


def pod_labels(resource: Resource) -> Props:
    """The labels the Pods will carry."""
    return mapping(at(resource.props, *pod_path(resource.type), "metadata", "labels"))


@dataclass(frozen=True, slots=True)
class Container:
    """One container, and what is around it. `label` is what messages call it."""

    label: str
    props: Props
    pod: Props
    resource: Resource


def containers(resource: Resource, report: Report, *, first: bool = True) -> list[Container]:
    """Each known container. `first` adds those that run before the others."""
    spec = pod_spec(resource)
    return [
        Container(_label(each), mapping(each), spec, resource)
        for key in (("initContainers", "containers") if first else ("containers",))
        for each in report.items(spec, key)
    ]


def each_container(judge: Callable[[Container], Iterable[str]], *, first: bool = True) -> ResourceCheck:
    """A check of each container by itself, so that what is unknown of one does not hide the others."""

    def check(resource: Resource, report: Report) -> None:
        for container in containers(resource, report, first=first):
            with report.guard():
                for finding in judge(container):
                    report(f"{container.label} {finding}")

    return check


def setting_of(container: Container, key: str) -> Any:
    """A value of a container's security context; the Pod's where the container has none."""
    own = at(container.props, "securityContext", key)
    return at(container.pod, "securityContext", key) if own is None else own


def _label(container: object) -> str:
    try:
        return f"container {at(container, 'name') or 'without a name'}"
    except UnknownValueError:
        return "a container"


def gpus(container: Props, resources: Iterable[str]) -> dict[str, Any]:
    """What a container asks of the resources that are GPUs, limits before requests; patterns may hold `*`."""
    patterns = tuple(resources)
    asked: dict[str, Any] = {}
    for key in ("requests", "limits"):
        amounts = mapping(at(container, "resources", key))
        for name in amounts:
            if matches(name, patterns):
                asked[name] = amounts[name]
    return {name: amount for name, amount in asked.items() if number_of(amount) != 0}


def number_of(amount: object) -> float:
    """A quantity of Kubernetes (2, "2", "2000m", "1k") as a number; 1 for what is none, as that asks for something."""
    found = _QUANTITY.fullmatch(str(amount))
    return float(Decimal(found[1]) * _UNITS[found[2]]) if found else 1.0


def mapping(value: object) -> Props:
    """A value if it is an object, else an empty one."""
    return cast("Props", value) if isinstance(value, Mapping) else _NONE


def listed(props: object, *path: str) -> list[Any]:
    """The members of the list at a path; none where there is no list. Raises UnknownValueError where any is unknown."""
    value = at(props, *path)
    return list(value) if is_list(value) else []


def draft_pod(draft: Draft) -> dict[str, Any] | None:
    """The Pod's spec in a draft; None where there is none, or where it is not known."""
    place: dict[str, Any] | None = draft.props
    for key in (*pod_path(draft.type), "spec"):
        place = draft.child(place, key) if place is not None else None
    return place


def draft_containers(draft: Draft) -> list[dict[str, Any]]:
    """All known containers of the Pod in a draft."""
    pod = draft_pod(draft)
    if pod is None:
        return []
    return [*draft.children(pod, "initContainers"), *draft.children(pod, "containers")]
