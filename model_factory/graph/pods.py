"""Pods, wherever they stand: in a Deployment, a CronJob, by themselves. What they are made of, and what one of them takes of its node."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from typing import Any, Final

from model_factory.facts.gcp import gcsfuse
from model_factory.graph import quantity
from model_factory.graph.accelerators import is_accelerator, whole
from model_factory.graph.declared import Declared
from model_factory.graph.values import at, listed, mapping, text

_APPS: Final = ("apps/*:Deployment", "apps/*:StatefulSet", "apps/*:ReplicaSet")
_EXTENSIONS: Final = ("extensions/*:Deployment", "extensions/*:ReplicaSet")
_SERVERS: Final = (*_APPS, *_EXTENSIONS, "core/*:ReplicationController")
_OTHERS: Final = (
    "core/*:Pod", "core/*:PodTemplate", "apps/*:DaemonSet", "extensions/*:DaemonSet", "batch/*:Job", "batch/*:CronJob",
)  # fmt: skip
WORKLOADS: Final = ("kubernetes:apps/*:Deployment", "kubernetes:apps/*:StatefulSet")
"""What holds a number of replicas that an autoscaler may own."""
SERVERS: Final = tuple(f"kubernetes:{kind}" for kind in _SERVERS)
"""What keeps Pods running."""
PODS: Final = (*SERVERS, *(f"kubernetes:{kind}" for kind in _OTHERS))
"""All that makes Pods."""
PODS_AND_PATCHES: Final = (*PODS, *(f"{kind}Patch" for kind in PODS))
"""A patch changes what somebody else made: what it forbids it may be judged by, what it leaves out it may not."""

REVISION: Final = "model-factory/revision"
"""The annotation of a workload that says which revision of its weights it serves."""
KIND: Final = "app.kubernetes.io/name"
MODEL_SERVER: Final = "model-server"
"""The value of `KIND` on all that belongs to a model's server."""
MODEL: Final = "app.kubernetes.io/instance"
"""The label of a model's Deployment and Pods that has its name."""
POOL: Final = "model-factory/pool"
"""The label of a node that has its pool's name."""
MODELS: Final = "model-factory/models"
"""The key of the taint on nodes for models that need no GPU."""
SIMULATED: Final = "kwok.x-k8s.io/node"
"""The annotation of a node that kwok keeps: its Pods become ready, and none of them runs. kwok.sigs.k8s.io/docs/user/configuration"""
SERVER_CONTAINER: Final = "server"
"""The container of a model's Pod that is its server."""

MODEL_LABEL: Final = "model"
"""The label of all that belongs to a model: its name."""

_GIB: Final = Decimal(2) ** 30


@dataclass(frozen=True, slots=True)
class Requests:
    """What the scheduler keeps for one Pod."""

    gpus: Decimal
    """Whole ones: two of seven parts of a GPU are 2/7."""
    cpu: Decimal
    memory_gib: Decimal


def is_patch(resource: Declared) -> bool:
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


def pod_spec(resource: Declared) -> Mapping[str, Any]:
    """The Pod's spec; empty where there is none."""
    return mapping(at(resource.props, *pod_path(resource.type), "spec"))


def pod_labels(resource: Declared) -> Mapping[str, Any]:
    """The labels the Pods will carry."""
    return mapping(at(resource.props, *pod_path(resource.type), "metadata", "labels"))


def accelerators_of(container: Mapping[str, Any]) -> dict[str, Any]:
    """What a container asks of the resources that are accelerators or parts of one, limits before requests; not what is 0."""
    asked: dict[str, Any] = {}
    for kind in ("requests", "limits"):
        amounts = mapping(at(container, "resources", kind))
        asked |= {name: amounts[name] for name in amounts if is_accelerator(name)}
    return {name: amount for name, amount in asked.items() if count_of(amount)}


def count_of(amount: Any) -> Decimal:
    """A quantity of accelerators as a number; 1 for what is no quantity, as that asks for something."""
    try:
        return quantity.parse(str(amount)).amount
    except ValueError:
        return Decimal(1)


def asks_for_gpus(resource: Declared) -> bool:
    """Whether any container of a Pod asks for a GPU or a part of one."""
    spec = pod_spec(resource)
    return any(accelerators_of(each) for key in ("containers", "initContainers") for each in listed(at(spec, key)))


def serves_model(resource: Declared) -> bool:
    """Whether its Pods are a model's: they ask for GPUs, or their label says so."""
    return asks_for_gpus(resource) or bool(text(pod_labels(resource).get(MODEL_LABEL)))


def gpus_per_pod(resource: Declared) -> Decimal:
    """The whole GPUs that one Pod holds while it runs: those of its containers together."""
    return _together(_gpus(each) for each in _containers(pod_spec(resource)))


def requests_of(resource: Declared) -> Requests:
    """What one Pod takes of its node: its containers together, or the one that needs most before they start. A limit stands for a
    request where there is none (kubernetes.io/docs/concepts/workloads/pods/init-containers, resource sharing). The side container that
    GKE adds to Pods that mount Cloud Storage counts, as it will be there."""
    spec = pod_spec(resource)
    annotations = mapping(at(resource.props, *pod_path(resource.type), "metadata", "annotations"))
    added = {"resources": {"requests": gcsfuse.requests({key: text(value) for key, value in annotations.items()})}}
    containers, before = [*_containers(spec), added], _before(spec)

    def most(amount: Callable[[Any], Decimal]) -> Decimal:
        return max([_together(map(amount, containers)), *map(amount, before)])

    return Requests(most(_gpus), most(partial(_asked, "cpu")), most(partial(_asked, "memory")) / _GIB)


def _containers(spec: Mapping[str, Any]) -> list[Any]:
    """Those that run as long as the Pod: the containers, and those before them that stay (sidecars)."""
    first = [each for each in listed(at(spec, "initContainers")) if at(each, "restartPolicy") == "Always"]
    return [*listed(at(spec, "containers")), *first]


def _before(spec: Mapping[str, Any]) -> list[Any]:
    return [each for each in listed(at(spec, "initContainers")) if at(each, "restartPolicy") != "Always"]


def _gpus(container: Any) -> Decimal:
    return _together(whole(name, count_of(amount)) for name, amount in accelerators_of(container).items())


def _asked(resource: str, container: Any) -> Decimal:
    asked = (at(container, "resources", kind, resource) for kind in ("requests", "limits"))
    return quantity.amount(next((each for each in asked if each is not None), 0))


def _together(amounts: Iterable[Decimal]) -> Decimal:
    return sum(amounts, Decimal(0))
