"""GKE's cluster autoscaler over node pools that have one: Pods that wait for want of room get nodes, nodes that stay empty go.

What it is not: it moves no Pods to empty a node that is little used, knows no topology spread and no affinity between Pods, and
has no profile. cloud.google.com/kubernetes-engine/docs/concepts/cluster-autoscaler
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from model_factory.graph import quantity
from model_factory.graph.objects import meets
from model_factory.local.clouds.gcp.bodies import Body
from model_factory.local.clouds.gcp.nodes import GOING, NODE_POOL, SIZES, sizes
from model_factory.local.clouds.gcp.store import Store
from model_factory.local.lab.nodes.fleet import keeps_a_node
from model_factory.local.lab.nodes.pools import ZONE_LABEL, Pool
from model_factory.local.lab.nodes.simulated import POOL, Object, Shape

if TYPE_CHECKING:
    from model_factory.access.client import ClusterClient

_SPOT: Final = "cloud.google.com/gke-spot"
UNNEEDED_SECONDS: Final = 600.0
"""How long a node is empty before it goes."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How small and how large a pool may be: in every zone, or in all zones together."""

    least: int
    most: int
    in_all: bool

    def allows_more(self, wanted: Mapping[str, int], zone: str) -> bool:
        return (sum(wanted.values()) if self.in_all else wanted[zone]) < self.most

    def allows_fewer(self, wanted: Mapping[str, int], zone: str) -> bool:
        return (sum(wanted.values()) if self.in_all else wanted[zone]) > self.least

    def at_least(self, wanted: Mapping[str, int]) -> dict[str, int]:
        """The sizes, grown to the least."""
        grown = dict(wanted)
        if not self.in_all:
            return {zone: max(size, self.least) for zone, size in grown.items()}
        while sum(grown.values()) < self.least:
            grown[min(grown, key=lambda zone: (grown[zone], zone))] += 1
        return grown


@dataclass(slots=True)
class Growing:
    """A pool that may grow. `room` are the free amounts of nodes that are on their way, by zone."""

    name: str
    shape: Shape
    limits: Limits
    sizes: dict[str, int]
    room: list[tuple[str, dict[str, Decimal]]]
    machines: Mapping[str, int]
    """How many machines a zone has at most, where that is known."""


def limits_of(pool: Body) -> Limits | None:
    """The limits of a pool's autoscaler; None where it has none."""
    autoscaling = pool.get("autoscaling") or {}
    if not autoscaling.get("enabled"):
        return None
    if most := autoscaling.get("totalMaxNodeCount"):
        return Limits(autoscaling.get("totalMinNodeCount", 0), most, in_all=True)
    return Limits(autoscaling.get("minNodeCount", 0), autoscaling.get("maxNodeCount", 0), in_all=False)


def grow(pods: Sequence[Object], pools: Sequence[Growing]) -> None:
    """Grow the pools' sizes for Pods that found no room. The pool whose nodes such a Pod leaves least of is taken first; of equal ones
    that of spot machines, which are cheaper. Preferred affinity counts for nothing, as on GKE."""
    for pod in sorted(pods, key=_weight, reverse=True):
        asked = requests(pod)
        if any(_take(pod, asked, pool) for pool in pools):
            continue
        found = [
            (_left_over(pool.shape, asked), _SPOT not in pool.shape.labels, pool.sizes[zone], pool.name, zone, pool)
            for pool in pools
            for zone in pool.sizes
            if _may_grow(pool, zone) and admits(pool.shape, zone, pod) and _fits(asked, amounts(pool.shape))
        ]
        if found:
            *_, zone, pool = min(found, key=lambda each: each[:-1])
            pool.sizes[zone] += 1
            free = amounts(pool.shape)
            pool.room.append((zone, free))
            _subtract(free, asked)


def requests(pod: Object) -> dict[str, Decimal]:
    """What the scheduler keeps for a Pod: of its containers the sum, or more where an init container asks more."""
    spec = pod["spec"]
    total: dict[str, Decimal] = {"pods": Decimal(1)}
    for container in spec.get("containers", []):
        for name, asked in _asked(container).items():
            total[name] = total.get(name, Decimal(0)) + asked
    for container in spec.get("initContainers", []):
        for name, asked in _asked(container).items():
            total[name] = max(total.get(name, Decimal(0)), asked)
    return total


def admits(shape: Shape, zone: str, pod: Object) -> bool:
    """Whether a node of this shape in the zone takes the Pod: its selector, its required affinity, the node's taints."""
    spec = pod["spec"]
    labels = {**shape.labels, ZONE_LABEL: zone}
    if any(labels.get(key) != value for key, value in (spec.get("nodeSelector") or {}).items()):
        return False
    required = (
        (spec.get("affinity") or {}).get("nodeAffinity", {}).get("requiredDuringSchedulingIgnoredDuringExecution")
    )
    terms: Sequence[Mapping[str, Any]] = (required or {}).get("nodeSelectorTerms", [])
    if terms and not any(
        all(meets(each, labels.get(each["key"]), otherwise=False) for each in term.get("matchExpressions", []))
        for term in terms
    ):
        return False
    tolerations: Sequence[Mapping[str, str]] = spec.get("tolerations", [])
    hard = [taint for taint in shape.taints if taint.effect in ("NoSchedule", "NoExecute")]
    return all(any(_tolerates(each, taint.key, taint.value, taint.effect) for each in tolerations) for taint in hard)


def _tolerates(toleration: Mapping[str, str], key: str, value: str, effect: str) -> bool:
    if toleration.get("effect") not in (None, "", effect):
        return False
    if toleration.get("operator", "Equal") == "Exists":
        return toleration.get("key") in (None, "", key)
    return toleration.get("key") == key and toleration.get("value", "") == value


def amounts(shape: Shape) -> dict[str, Decimal]:
    """What an empty node of this shape has."""
    return {name: quantity.amount(value) for name, value in shape.allocatable.items()}


def _asked(container: Mapping[str, Any]) -> dict[str, Decimal]:
    resources = container.get("resources") or {}
    asked = {**(resources.get("limits") or {}), **(resources.get("requests") or {})}
    return {name: quantity.amount(value) for name, value in asked.items()}


def _weight(pod: Object) -> tuple[Decimal, Decimal]:
    asked = requests(pod)
    gpus = sum((value for name, value in asked.items() if "/" in name), Decimal(0))
    return gpus, asked.get("cpu", Decimal(0))


def _left_over(shape: Shape, asked: Mapping[str, Decimal]) -> tuple[Decimal, Decimal]:
    has = amounts(shape)
    gpus = sum((has[name] - asked.get(name, Decimal(0)) for name in has if "/" in name), Decimal(0))
    return gpus, has["cpu"] - asked.get("cpu", Decimal(0))


def _may_grow(pool: Growing, zone: str) -> bool:
    return pool.limits.allows_more(pool.sizes, zone) and pool.sizes[zone] < pool.machines.get(zone, 1 << 30)


def _fits(asked: Mapping[str, Decimal], free: Mapping[str, Decimal]) -> bool:
    return all(free.get(name, Decimal(0)) >= value for name, value in asked.items())


def _subtract(free: dict[str, Decimal], asked: Mapping[str, Decimal]) -> None:
    for name, value in asked.items():
        free[name] -= value


def _take(pod: Object, asked: Mapping[str, Decimal], pool: Growing) -> bool:
    """Whether a node of the pool that is on its way has room for the Pod, which then has it."""
    for zone, free in pool.room:
        if admits(pool.shape, zone, pod) and _fits(asked, free):
            _subtract(free, asked)
            return True
    return False


@dataclass(slots=True)
class Autoscaler:
    """The autoscaler of one cluster. `resize` writes the sizes of a pool, and which nodes go first."""

    store: Store
    cluster_key: str
    resize: Callable[[str, Mapping[str, Any]], None]
    clock: Callable[[], float] = time.time
    _empty_since: dict[str, float] = field(default_factory=dict[str, float])

    def look(self, client: ClusterClient, pools: Sequence[Pool], nodes: Sequence[Object]) -> None:
        """Compare Pods and nodes with the pools' limits, and resize. Raises AccessError."""
        found = {stored.body["name"]: stored for stored in self.store.children(self.cluster_key, NODE_POOL)}
        scaled: list[tuple[str, Growing, Body]] = []
        for pool in pools:
            stored = found.get(pool.name)
            limits = None if stored is None else limits_of(stored.body)
            if stored is None or limits is None or stored.body["status"] != "RUNNING":
                continue
            wanted = limits.at_least(sizes(stored.body))
            room = _on_their_way(pool, wanted, nodes)
            growing = Growing(pool.name, pool.shape, limits, wanted, room, pool.room)
            scaled.append((stored.key, growing, stored.body))
        if not scaled:
            return
        pods = client.list("v1", "Pod", fields="status.phase!=Succeeded,status.phase!=Failed")
        grow([pod for pod in pods if is_waiting(pod)], [growing for _, growing, _ in scaled])
        unneeded = self._unneeded(pods, nodes)
        for key, growing, body in scaled:
            going = self._shrink(growing, [node for node in unneeded if _pool_of(node) == growing.name], body)
            if growing.sizes != sizes(body):
                self.resize(key, {SIZES: growing.sizes, GOING: going})

    def _unneeded(self, pods: Sequence[Object], nodes: Sequence[Object]) -> list[Object]:
        """Nodes that have been empty long enough."""
        used = {pod["spec"].get("nodeName") for pod in pods if keeps_a_node(pod)}
        now = self.clock()
        empty = [
            node for node in nodes if node["metadata"]["name"] not in used and not node["spec"].get("unschedulable")
        ]
        names = [node["metadata"]["name"] for node in empty]
        self._empty_since = {name: self._empty_since.get(name, now) for name in names}
        least: Mapping[str, float] = self.store.setting("autoscaler") or {}
        limit = float(least.get("unneeded_seconds", UNNEEDED_SECONDS))
        return [node for node in empty if now - self._empty_since[node["metadata"]["name"]] >= limit]

    def _shrink(self, pool: Growing, unneeded: Sequence[Object], body: Body) -> list[str]:
        """Take the empty nodes out of a pool that does not grow. Returns their names."""
        if pool.sizes != sizes(body):
            return []
        going: list[str] = []
        for node in unneeded:
            zone = node["metadata"]["labels"][ZONE_LABEL]
            if zone in pool.sizes and pool.sizes[zone] > 0 and pool.limits.allows_fewer(pool.sizes, zone):
                pool.sizes[zone] -= 1
                going.append(node["metadata"]["name"])
        return going


def is_waiting(pod: Object) -> bool:
    """Whether the scheduler found no node for the Pod."""
    conditions = pod.get("status", {}).get("conditions", [])
    return "deletionTimestamp" not in pod["metadata"] and any(
        each["type"] == "PodScheduled" and each["status"] == "False" and each.get("reason") == "Unschedulable"
        for each in conditions
    )


def _pool_of(node: Object) -> str:
    return node["metadata"]["annotations"][POOL]


def _on_their_way(
    pool: Pool, wanted: Mapping[str, int], nodes: Sequence[Object]
) -> list[tuple[str, dict[str, Decimal]]]:
    """The empty room of nodes that are wanted and that the scheduler does not see yet."""
    there: dict[str, int] = {}
    for node in nodes:
        ready = any(
            each["type"] == "Ready" and each["status"] == "True"
            for each in node.get("status", {}).get("conditions", [])
        )
        if _pool_of(node) == pool.name and ready:
            zone = node["metadata"]["labels"][ZONE_LABEL]
            there[zone] = there.get(zone, 0) + 1
    coming = [(zone, size - there.get(zone, 0)) for zone, size in wanted.items()]
    return [(zone, amounts(pool.shape)) for zone, count in coming for _ in range(max(0, count))]
