"""Lets this machine be one node of a local cloud's clusters: the first that a pool for models without GPUs asks for.

The lab has one such machine. Whoever comes first has it, of all clusters of all local clouds; to other pools of the kind, and to the second node of
that pool, the cloud says that it has no capacity: what a real node could run is never simulated beside it.

As with simulated nodes all follows from what the cluster holds: a Node object with the mark is a machine that should run, and is started, also
after a kill; once there is none, the machine is switched off and its files are removed.
"""

from __future__ import annotations

import fcntl
import json
import logging
import threading
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from ipaddress import IPv4Network
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

from model_factory.access.errors import AccessError
from model_factory.graph.pods import SIMULATED
from model_factory.local.errors import LabError
from model_factory.local.folders import private, take_private
from model_factory.local.lab.nodes.simulated import Object, SimulatedNode

if TYPE_CHECKING:
    from model_factory.local.lab.nodes.pools import Pool
    from model_factory.local.lab.programs import Programs

REAL: Final = "real-node/machine"
"""The annotation of the Node object whose machine is this one."""
NODE: Final = "node"
REGISTRY: Final = "registry"
PODS: Final = IPv4Network("100.64.0.0/24")
"""Addresses of its Pods, which only the node sees: those of carriers' networks, which clouds' networks seldom use."""
_CLAIM: Final = "claim.json"
_GPUS: Final = "nvidia.com/gpu"
_RETRY_SECONDS: Final = 20.0
_LOG: Final = logging.getLogger(__name__)


class Machine(Protocol):
    """What a fleet knows of machines that are not simulated."""

    def limited(self, pool: Pool) -> Pool:
        """The pool, with as many machines as there are for it."""
        ...

    def body(self, pool: Pool, node: SimulatedNode) -> Object:
        """The Node object of a new node."""
        ...

    def look(self, nodes: Sequence[Object]) -> None:
        """Make machines be as the cluster's Node objects say; returns at once."""
        ...

    def go(self) -> None:
        """The cluster goes for good."""
        ...


@dataclass(frozen=True, slots=True)
class AllSimulated:
    """No machine but simulated ones."""

    def limited(self, pool: Pool) -> Pool:
        return pool

    def body(self, pool: Pool, node: SimulatedNode) -> Object:  # noqa: ARG002  all pools are alike
        return node.body()

    def look(self, nodes: Sequence[Object]) -> None: ...

    def go(self) -> None: ...


ALL_SIMULATED: Final = AllSimulated()


@dataclass(frozen=True, slots=True)
class Place:
    """The lab's folder, which holds its one machine and its registry, and how pools that it may be of are known.

    `taint` is the key of a taint that pools for models carry; `clouds` are the ports of the local clouds, by name.
    """

    folder: Path
    taint: str
    clouds: Mapping[str, int]

    def claimant(self) -> str:
        """The cluster and pool that have the machine; "" for none."""
        try:
            return str(json.loads((self.folder / _CLAIM).read_text())["by"])
        except (OSError, ValueError, KeyError):
            return ""

    def claim(self, by: str) -> bool:
        """Take the machine, unless another has it; whether `by` has it now."""
        with self._alone():
            if not self.claimant():
                with open(self.folder / _CLAIM, "w", encoding="utf-8", opener=private) as file:
                    json.dump({"by": by}, file)
            return self.claimant() == by

    def release(self, by: str) -> None:
        """Let others take it."""
        with self._alone():
            if self.claimant() == by:
                (self.folder / _CLAIM).unlink()

    @contextmanager
    def _alone(self) -> Generator[None]:
        take_private(self.folder)
        with open(self.folder / "claim.lock", "w", encoding="utf-8", opener=private) as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def place_of(folder: Path | None, taint: str, cloud: str, port: int) -> Place | None:
    """What a cloud's program was told; Pods reach it at its port. None where all nodes are simulated."""
    return None if folder is None else Place(folder.resolve(), taint, {cloud: port})


class RealMachine:
    """This machine, for the fleet of one cluster, whose control plane's files are in `cluster`. `programs` are asked when it starts."""

    def __init__(self, place: Place, cluster: Path, programs: Callable[[str], Programs]) -> None:
        self._place = place
        self._cluster = cluster
        self._programs = programs
        self._worker: threading.Thread | None = None
        self._wanted = ""
        self._ready: object = None
        self._failed_at = float("-inf")

    def limited(self, pool: Pool) -> Pool:
        if not self._suits(pool):
            return pool
        mine = self._place.claimant() in ("", self._by(pool))
        room = 1 if mine else 0
        return replace(pool, room_in_all=room if pool.room_in_all is None else min(room, pool.room_in_all))

    def body(self, pool: Pool, node: SimulatedNode) -> Object:
        made = node.body()
        if not self._suits(pool):
            return made
        if not self._place.claim(self._by(pool)):
            raise LabError(
                f"pool {pool.name} gets no machine: the lab has one real node, and {self._place.claimant()} has it"
            )
        annotations = {**made["metadata"]["annotations"], REAL: "true"}
        del annotations[SIMULATED]
        # What it has, its kubelet says.
        without = {key: value for key, value in made.items() if key != "status"}
        return {**without, "metadata": {**made["metadata"], "annotations": annotations}}

    def look(self, nodes: Sequence[Object]) -> None:
        real = [node for node in nodes if REAL in node["metadata"].get("annotations", {})]
        self._wanted = real[0]["metadata"]["uid"] if real else ""
        if self._worker is not None and self._worker.is_alive():
            return
        if real:
            self._keep(real[0])
        elif self._is_mine():
            self._work(self._remove)

    def go(self) -> None:
        """The cluster goes for good, and the machine with it. Waits until that is done; raises LabError where it cannot be."""
        self._wanted = ""
        if self._worker is not None:
            self._worker.join()
        if self._is_mine():
            self._remove()

    # Which pool

    def _suits(self, pool: Pool) -> bool:
        return _GPUS not in pool.shape.allocatable and any(each.key == self._place.taint for each in pool.shape.taints)

    def _by(self, pool: Pool) -> str:
        return f"{self._cluster}:{pool.name}"

    def _is_mine(self) -> bool:
        return self._place.claimant().startswith(f"{self._cluster}:")

    # The machine

    def _keep(self, node: Object) -> None:
        from model_factory.local.lab.node.real_node import RealNode

        metadata = node["metadata"]
        wanted = (metadata["uid"], json.dumps(metadata.get("labels"), sort_keys=True))
        runs = RealNode(self._place.folder / NODE).runs
        late = time.monotonic() < self._failed_at + _RETRY_SECONDS
        if (wanted != self._ready or not runs) and not late:
            self._work(lambda: self._start(node, wanted))

    def _start(self, node: Object, wanted: object) -> None:
        from model_factory.local.lab.control_plane import ControlPlane
        from model_factory.local.lab.node.real_node import NodeSpec, RealNode
        from model_factory.local.lab.registry import Registry

        plane = ControlPlane(self._cluster, self._programs)
        programs = self._programs(plane.version)
        metadata: Mapping[str, Any] = node["metadata"]
        spec = NodeSpec(
            name=metadata["name"],
            pods=PODS,
            provider_id=node["spec"].get("providerID", ""),
            clouds=self._place.clouds,
        )
        registry_url = Registry(self._place.folder / REGISTRY, programs.registry).ensure()
        RealNode(self._place.folder / NODE).ensure(
            spec, plane, registry_url, programs, wanted=lambda: self._wanted == metadata["uid"]
        )
        self._ready = wanted

    def _remove(self) -> None:
        from model_factory.local.lab.node.real_node import RealNode

        RealNode(self._place.folder / NODE).remove()
        self._ready = None
        by = self._place.claimant()
        if by.startswith(f"{self._cluster}:"):
            self._place.release(by)

    def _work(self, what: Callable[[], None]) -> None:
        def run() -> None:
            try:
                what()
            except (LabError, AccessError, OSError) as error:
                self._failed_at = time.monotonic()
                _LOG.warning("the real node: %s", error)

        self._worker = threading.Thread(target=run, name="real node", daemon=True)
        self._worker.start()
