"""A cluster with the objects of a stack and nodes as the stack's pools declare them, for tests of what the scheduler and controllers do."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from model_factory.access.client import ClusterClient
from model_factory.facts.machines import machines
from model_factory.graph.pools import NodePool, by_preference, node_pool
from model_factory.graph.resource import Resource
from model_factory.local.clouds.gcp.autoscaler import Growing, Limits, grow, is_waiting
from model_factory.local.clouds.node_shapes import amounts
from model_factory.local.lab.control_plane import ControlPlane
from model_factory.local.lab.nodes.kwok import Kwok
from model_factory.local.lab.nodes.pools import ZONE_LABEL
from model_factory.local.lab.nodes.simulated import Shape, SimulatedNode, Taint
from model_factory.local.lab.programs import Programs
from tests.components.conftest import ran_stack

LONG_SECONDS = 120
ZONES = ("a", "b", "c")
GPU = "nvidia.com/gpu"


def until(holds: Callable[[], Any], what: Callable[[], str]) -> Any:
    deadline = time.monotonic() + LONG_SECONDS
    while not (found := holds()):
        assert time.monotonic() < deadline, what()
        time.sleep(0.2)
    return found


def whole(value: Any) -> Any:
    """Numbers as Pulumi's engine sends them on, whole ones as such."""
    if isinstance(value, dict):
        return {key: whole(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [whole(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def shape_of(pool: NodePool) -> Shape:
    machine = machines()[pool.machine_types[0]]
    assert machine.vcpus is not None
    assert machine.memory_gib is not None
    capacity, allocatable = amounts(
        pool.cloud,
        vcpus=machine.vcpus,
        memory_mib=int(machine.memory_gib * 1024),
        disk_gib=200,
        pods=58,
        gpus=pool.gpus_per_node,
    )
    taints = tuple(Taint(key, "present", effect) for key, effect in pool.taints)
    return Shape(capacity, allocatable, "amd64", "v1.35.0", "test", pool.labels, taints)


@dataclass
class Site:
    """A cluster of a stack with nodes, and the stack's objects in it."""

    client: ClusterClient
    pools: list[NodePool]
    objects: list[Any]
    counts: dict[str, int]

    def add_node(self, pool: NodePool, zone: str) -> None:
        label = self._label(pool)
        self.counts[label] = self.counts.get(label, 0) + 1
        name = f"{label}-{self.counts[label]}"
        labels = {ZONE_LABEL: zone, "kubernetes.io/hostname": name}
        self.client.create(
            SimulatedNode(name, f"test:///{name}", "10.0.0.1", label, "1", shape_of(pool), labels).body()
        )

    @staticmethod
    def _label(pool: NodePool) -> str:
        return pool.labels["model-factory/pool"]

    def apply(self) -> None:
        for each in sorted(self.objects, key=lambda each: not each.type.endswith(":Namespace")):
            body = {key: value for key, value in whole(each.inputs).items() if key != "status"}
            # As the recorder names what the program does not.
            body["metadata"] = {"name": f"{each.name}-0000000", **body.get("metadata", {})}
            self.client.apply(body, manager="test")

    def start_pools(self) -> None:
        """The nodes that a pool has before any Pod asks."""
        for pool in self.pools:
            least = pool.least_nodes if pool.set_nodes is None else pool.set_nodes
            for index in range(least):
                self.add_node(pool, ZONES[index % 3])

    def grow(self) -> bool:
        """What GKE's autoscaler does for Pods that wait; EKS has none. Returns whether nodes came."""
        if any(pool.set_nodes is not None for pool in self.pools):
            return False
        growing: list[tuple[NodePool, Growing]] = []
        for pool in self.pools:
            label = self._label(pool)
            sizes = dict.fromkeys(ZONES, 0)
            limits = Limits(0, (pool.most_nodes or 0) - self.counts.get(label, 0), in_all=True)
            growing.append((pool, Growing(label, shape_of(pool), limits, sizes, [], {})))
        grow([pod for pod in self.pods() if is_waiting(pod)], [each for _, each in growing])
        new = [(pool, zone) for pool, each in growing for zone, count in each.sizes.items() for _ in range(count)]
        for pool, zone in new:
            self.add_node(pool, zone)
        return bool(new)

    def pods(self) -> list[dict[str, Any]]:
        return [pod for pod in self.client.list("v1", "Pod") if "deletionTimestamp" not in pod["metadata"]]

    def settled(self) -> bool:
        """Whether every workload has all its replicas."""
        self.grow()
        workloads = self.client.list("apps/v1", "Deployment")
        least = {
            (each["metadata"]["namespace"], each["spec"]["scaleTargetRef"]["name"]): each["spec"]["minReplicas"]
            for each in self.client.list("autoscaling/v2", "HorizontalPodAutoscaler")
        }
        return all(
            each["status"].get("readyReplicas", 0) == each["spec"]["replicas"]
            and each["spec"]["replicas"] >= least.get((each["metadata"]["namespace"], each["metadata"]["name"]), 1)
            for each in workloads
        )

    def pool_of(self, pod: dict[str, Any]) -> str:
        return str(pod["spec"].get("nodeName", "")).rpartition("-")[0]

    def told(self) -> str:
        return "\n".join(
            [
                *(f"{pod['metadata']['name']}: {pod['status']['phase']}" for pod in self.pods()),
                *unschedulable(self.pods()),
            ]
        )

    def preferred(self, pod: dict[str, Any]) -> set[str]:
        return {self._label(pool) for pool in by_preference(self.pools, pod["spec"])[0]}


@contextmanager
def stack_site(stack: str, cloud: str, plane: ControlPlane, programs: Programs, folder: Path) -> Iterator[Site]:
    """The stack's cluster of that cloud, on a control plane that is not made yet."""
    resources = [
        Resource(each.urn, each.type, each.inputs, provider=each.provider)
        for each in ran_stack(stack).resources
        if each.custom
    ]
    objects = [each for each in resources if each.type.startswith("kubernetes:") and f"-{cloud}-" in each.provider]
    pools = [pool for each in resources if (pool := node_pool(each)) is not None and pool.cloud == cloud]
    plane.ensure("1.35")
    kwok = Kwok(folder / "kwok", programs.kwok, programs.stages, plane.admin_kubeconfig)
    client = ClusterClient.of(str(plane.admin_kubeconfig))
    try:
        kwok.ensure()
        site = Site(client, pools, objects, {})
        site.start_pools()
        site.apply()
        yield site
    finally:
        client.close()
        kwok.stop()


def unschedulable(pods: Sequence[dict[str, Any]]) -> list[str]:
    """Why Pods wait, as the scheduler words it."""
    return [
        each["message"]
        for pod in pods
        for each in pod["status"].get("conditions", [])
        if each["type"] == "PodScheduled" and each.get("reason") == "Unschedulable"
    ]
