"""A node that no machine stands behind: what its kubelet would report, as a Node object that kwok keeps alive."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from model_factory.graph.pods import SIMULATED

POOL: Final = "simulated-node/pool"
REVISION: Final = "simulated-node/revision"
GIVEN: Final = "simulated-node/given"
"""What its pool gave it, in JSON: labels and taints that are not among those any more are taken from it."""
LEAVING: Final = "simulated-node/leaves-at"
"""Seconds since 1970 when its machine is taken back, after a notice."""
DRAINING: Final = "simulated-node/drains-since"
"""Seconds since 1970 when its drain began, in whole seconds."""

Object = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Taint:
    """A taint, its effect as Kubernetes spells it."""

    key: str
    value: str
    effect: str

    def body(self) -> dict[str, str]:
        return {"key": self.key, **({"value": self.value} if self.value else {}), "effect": self.effect}


@dataclass(frozen=True, slots=True)
class Shape:
    """What the nodes of a pool have alike. `capacity` and `allocatable` are amounts as Kubernetes writes them, by resource."""

    capacity: Mapping[str, str]
    allocatable: Mapping[str, str]
    architecture: str
    """As Kubernetes names it: amd64, arm64."""
    kubelet_version: str
    os_image: str
    labels: Mapping[str, str] = field(default_factory=dict[str, str])
    taints: tuple[Taint, ...] = ()


@dataclass(frozen=True, slots=True)
class SimulatedNode:
    """One node. `labels` are its own beside those of its shape: its zone, its name."""

    name: str
    provider_id: str
    address: str
    pool: str
    revision: str
    shape: Shape
    labels: Mapping[str, str]

    def body(self) -> Object:
        """The object that a kubelet would register. Ready it becomes by kwok."""
        shape = self.shape
        return {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {
                "name": self.name,
                "labels": {**shape.labels, **self.labels},
                "annotations": {
                    SIMULATED: "fake",
                    POOL: self.pool,
                    REVISION: self.revision,
                    GIVEN: given(shape),
                },
            },
            "spec": {"providerID": self.provider_id, "taints": [taint.body() for taint in shape.taints]},
            "status": {
                "capacity": dict(shape.capacity),
                "allocatable": dict(shape.allocatable),
                "addresses": [
                    {"type": "InternalIP", "address": self.address},
                    {"type": "Hostname", "address": self.name},
                ],
                "nodeInfo": {
                    "architecture": shape.architecture,
                    "operatingSystem": "linux",
                    "osImage": shape.os_image,
                    "kubeletVersion": shape.kubelet_version,
                    "kubeProxyVersion": shape.kubelet_version,
                    "containerRuntimeVersion": "kwok://simulated",
                    "kernelVersion": "simulated",
                    "machineID": "",
                    "systemUUID": "",
                    "bootID": "",
                },
            },
        }


def given(shape: Shape) -> str:
    """What a node's annotation says that its pool gave it."""
    return json.dumps(
        {"labels": dict(shape.labels), "taints": [taint.body() for taint in shape.taints]}, sort_keys=True
    )


def regiven(node: Object, shape: Shape) -> Object | None:
    """The merge patch that gives a node what its pool gives now and takes what it gave before; None where that is so already."""
    metadata, annotations = node["metadata"], node["metadata"].get("annotations", {})
    if annotations.get(GIVEN) == given(shape):
        return None
    before = json.loads(annotations.get(GIVEN) or '{"labels": {}, "taints": []}')
    labels: dict[str, str | None] = {key: None for key in before["labels"] if key not in shape.labels}
    mine = {(taint["key"], taint["effect"]) for taint in before["taints"]}
    mine |= {(taint.key, taint.effect) for taint in shape.taints}
    others = [each for each in node["spec"].get("taints", []) if (each["key"], each["effect"]) not in mine]
    return {
        # Taints are one list: a patch of what another changed meanwhile must fail.
        "metadata": {
            "resourceVersion": metadata["resourceVersion"],
            "labels": {**labels, **shape.labels},
            "annotations": {GIVEN: given(shape)},
        },
        "spec": {"taints": [*others, *(taint.body() for taint in shape.taints)]},
    }
