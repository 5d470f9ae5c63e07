"""The nodes of one cluster, kept as its node groups and pools want them: what `pools` decides is done here, on a thread of its own.

Nothing is remembered that the cluster does not hold, but for machines under way: after a kill the next fleet goes on from there.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from model_factory.access.errors import AccessError, ApiError
from model_factory.local.errors import ControlError
from model_factory.local.lab.node.join import ALL_SIMULATED, Machine
from model_factory.local.lab.nodes.pools import (
    Drain,
    Keep,
    Launch,
    Pool,
    PoolState,
    Seen,
    Step,
    is_beyond_repair,
    next_steps,
    of_pools,
    state,
)
from model_factory.local.lab.nodes.simulated import DRAINING, GIVEN, LEAVING, POOL, Object, regiven

if TYPE_CHECKING:
    from model_factory.access.client import ClusterClient

BUSY_SECONDS: Final = 0.3
"""Between two looks while something is under way."""
IDLE_SECONDS: Final = 3.0
"""Between two looks while all is as it should be: what others delete is then made anew."""
LEASES: Final = "kube-node-lease"
SILENCER: Final = "silenced"
"""Who holds the lease of a silent node: kwok leaves a node, and the Pods on it, to the holder of its lease."""
_SILENT_SECONDS: Final = 10**8
_CONFLICT: Final = 409
_BLOCKED: Final = 429
_NOT_FOUND: Final = 404
_LOG: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _UnderWay:
    pool: str
    zone: str
    due: float


class Fleet:
    """The nodes of the cluster that `client` reaches. `wanted` tells all pools, and is asked again and again, from another thread.

    `launch_seconds` is how long a machine takes until its kubelet registers.
    """

    def __init__(
        self,
        client: ClusterClient,
        wanted: Callable[[], Sequence[Pool]],
        launch_seconds: Callable[[], float],
        *,
        clock: Callable[[], float] = time.time,
        after: Callable[[ClusterClient, Sequence[Pool], Sequence[Object]], None] = lambda _client, _pools, _nodes: None,
        machine: Machine = ALL_SIMULATED,
    ) -> None:
        """`after` is called after each look, with the pools and the Node objects: a cloud's own autoscaler. `machine` stands behind some nodes."""
        self._client = client
        self._wanted = wanted
        self._launch_seconds = launch_seconds
        self._clock = clock
        self._after = after
        self._machine = machine
        self._under_way: list[_UnderWay] = []
        self._states: Mapping[str, tuple[Pool, PoolState]] = {}
        self._wake = threading.Event()
        self._closed = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to look after the nodes, on a thread that `close` ends."""
        self._thread = threading.Thread(target=self._run, name="fleet", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Leave the nodes as they are. Does not wait: whoever closes may hold what a look under way waits for."""
        self._closed.set()
        self._wake.set()
        self._client.close()

    def poke(self) -> None:
        """Look now: what is wanted may have changed."""
        self._wake.set()

    def state(self, pool: Pool) -> PoolState | None:
        """How far a pool is, as of the last look; None where none saw it yet as it is wanted now."""
        looked_at, found = self._states.get(pool.name, (None, None))
        return found if looked_at == pool else None

    def nodes(self) -> list[Object]:
        """The simulated Node objects. Raises AccessError."""
        return [node for node in self._client.list("v1", "Node") if POOL in node["metadata"].get("annotations", {})]

    # Faults

    def give_notice(self, node: str, seconds: float) -> None:
        """The machine is taken back after so many seconds. Raises ControlError for a node that is not there."""
        leaves = str(int(self._clock() + seconds))
        patch = {"metadata": {"annotations": {LEAVING: leaves}}, "spec": {"unschedulable": True}}
        self._patch(self._known(node), patch)
        self.poke()

    def lose(self, node: str) -> None:
        """The machine is gone at once, without notice, and the cloud takes its Node away."""
        self._client.delete("v1", "Node", self._known(node))
        self.poke()

    def silence(self, node: str) -> None:
        """Its kubelet says nothing any more, and does nothing: heartbeats stop, Pods on it neither start nor end."""
        self._hold_lease(self._known(node), SILENCER, _SILENT_SECONDS)

    def recover(self, node: str) -> None:
        """A silent node comes back: kwok takes its lease again within a heartbeat."""
        self._hold_lease(self._known(node), None, 1)

    def _known(self, node: str) -> str:
        names = [each["metadata"]["name"] for each in self.nodes()]
        if node not in names:
            raise ControlError(f"there is no simulated node {node!r}; there are {', '.join(names) or 'none'}")
        return node

    def _hold_lease(self, node: str, holder: str | None, seconds: int) -> None:
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        spec = {"holderIdentity": holder, "leaseDurationSeconds": seconds, "renewTime": now}
        self._client.patch("coordination.k8s.io/v1", "Lease", node, {"spec": spec}, namespace=LEASES)

    # The loop

    def _run(self) -> None:
        told = ""
        while not self._closed.is_set():
            try:
                busy = self.look()
                told = ""
            except AccessError as error:
                # The control plane may be starting again; it is asked until it answers, and the log is told once.
                if str(error) != told and not self._closed.is_set():
                    _LOG.warning("nodes: %s", error)
                told, busy = str(error), False
            except Exception:  # noqa: BLE001  a bug here must leave its trace, and the other nodes their keeper
                if not self._closed.is_set():  # what a look asks may be closed before this is
                    _LOG.exception("nodes: the look failed")
                busy = False
            self._wake.wait(BUSY_SECONDS if busy else IDLE_SECONDS)
            self._wake.clear()

    def look(self) -> bool:
        """Compare what is there with what is wanted, and do the next steps. Returns whether something is under way."""
        pools = {pool.name: pool for pool in self._wanted()}
        nodes = self.nodes()
        # Before new nodes are made: one that is not among these yet must not look like one that is gone.
        self._machine.look(nodes)
        by_name = {node["metadata"]["name"]: node for node in nodes}
        found = of_pools(nodes)
        for name in found.keys() - pools.keys():
            for node in found[name]:
                self._client.delete("v1", "Node", node.name)
        self._trim(pools, found)
        states: dict[str, tuple[Pool, PoolState]] = {}
        for name, whole in pools.items():
            here, pool = found.get(name, []), self._machine.limited(whole)
            for node in here:
                self._give(by_name[node.name], pool)
            steps = next_steps(pool, here, self._launching(name))
            for step in steps:
                self._take(step, name)
            kept = {step.node for step in steps if isinstance(step, Keep)}
            stuck = self._leave(pool, [node for node in here if node.name not in kept])
            self._register(pool, set(by_name))
            states[name] = whole, state(pool, here, self._launching(name), stuck)
        self._states = states
        self._after(self._client, list(pools.values()), nodes)
        return not all(each.ended for _, each in states.values())

    def _take(self, step: Step, pool: str) -> None:
        match step:
            case Launch(_, zone):
                self._under_way.append(_UnderWay(pool, zone, self._clock() + self._launch_seconds()))
            case Drain(node):
                since = str(int(self._clock()))
                patch = {"metadata": {"annotations": {DRAINING: since}}, "spec": {"unschedulable": True}}
                self._patch(node, patch)
            case Keep(node):
                self._patch(node, {"metadata": {"annotations": {DRAINING: None}}, "spec": {"unschedulable": None}})

    def _launching(self, pool: str) -> Counter[str]:
        return Counter(each.zone for each in self._under_way if each.pool == pool)

    def _trim(self, pools: Mapping[str, Pool], found: Mapping[str, Sequence[Seen]]) -> None:
        """Forget machines under way that are wanted no more."""
        kept: list[_UnderWay] = []
        for each in self._under_way:
            pool = pools.get(each.pool)
            if pool is None:
                continue
            there = [node for node in found.get(each.pool, []) if node.stays and node.revision == pool.revision]
            before = Counter(other.zone for other in kept if other.pool == each.pool)
            here = sum(node.zone == each.zone for node in there) + before[each.zone]
            if here < pool.wanted.get(each.zone, 0):
                kept.append(each)
        self._under_way = kept

    def _register(self, pool: Pool, taken: set[str]) -> None:
        now = self._clock()
        due = [each for each in self._under_way if each.pool == pool.name and each.due <= now]
        for each in due:
            node = pool.make(each.zone, taken)
            self._client.create(self._machine.body(pool, node))
            taken.add(node.name)
            self._under_way.remove(each)

    def _give(self, node: Object, pool: Pool) -> None:
        patch = regiven(node, pool.shape)
        if patch is None or GIVEN not in node["metadata"].get("annotations", {}):
            return
        try:
            self._client.patch("v1", "Node", node["metadata"]["name"], patch)
        except ApiError as error:
            if error.status not in (_CONFLICT, _NOT_FOUND):
                raise

    # Leaving

    def _patch(self, node: str, patch: Mapping[str, Any]) -> None:
        try:
            self._client.patch("v1", "Node", node, patch)
        except ApiError as error:
            if error.status != _NOT_FOUND:
                raise

    def _leave(self, pool: Pool, nodes: Sequence[Seen]) -> tuple[str, ...]:
        """Go on with the nodes that are to go. Returns those that Pods do not leave in time."""
        stuck: list[str] = []
        for node in nodes:
            now = self._clock()
            if (node.leaves_at is not None and now >= node.leaves_at) or is_beyond_repair(pool, node, now):
                self._client.delete("v1", "Node", node.name)
            elif node.draining_since is not None:
                late = now >= node.draining_since + pool.drain_seconds
                if self._is_empty(node.name) or (late and (pool.forced or node.revision == pool.revision)):
                    self._client.delete("v1", "Node", node.name)
                elif late:
                    stuck.append(node.name)
            elif node.leaves_at is not None:
                self._end_pods(node.name)
        return tuple(stuck)

    def _is_empty(self, node: str) -> bool:
        """Whether no Pod is left that keeps a node from going; those that may leave are told to."""
        left = [pod for pod in self._pods_on(node) if keeps_a_node(pod)]
        for pod in left:
            if "deletionTimestamp" not in pod["metadata"]:
                self._evict(pod)
        return not left

    def _pods_on(self, node: str) -> Sequence[Object]:
        return self._client.list("v1", "Pod", fields=f"spec.nodeName={node}")

    def _evict(self, pod: Object) -> None:
        name, namespace = pod["metadata"]["name"], pod["metadata"]["namespace"]
        path = self._client.path("v1", "Pod", namespace=namespace, name=name, subresource="eviction")
        body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name, "namespace": namespace}}
        try:
            self._client.call("POST", path, body=body)
        except ApiError as error:
            # A budget forbids it for now, or its namespace is about to take it away: seen again with the next look.
            ends = any(cause.reason == "NamespaceTerminating" for cause in error.causes)
            if error.status not in (_BLOCKED, _NOT_FOUND) and not ends:
                raise

    def _end_pods(self, node: str) -> None:
        """The kubelet shuts down: it ends its Pods, whatever budgets say."""
        for pod in self._pods_on(node):
            if keeps_a_node(pod) and "deletionTimestamp" not in pod["metadata"]:
                self._client.delete("v1", "Pod", pod["metadata"]["name"], namespace=pod["metadata"]["namespace"])


def keeps_a_node(pod: Object) -> bool:
    """Whether a drain waits for this Pod: not for those of DaemonSets and of the kubelet itself, nor for those that are over."""
    owners = pod["metadata"].get("ownerReferences", [])
    mirrored = "kubernetes.io/config.mirror" in pod["metadata"].get("annotations", {})
    over = pod.get("status", {}).get("phase") in ("Succeeded", "Failed")
    return not (mirrored or over or any(owner["kind"] == "DaemonSet" for owner in owners))
