"""The fleets of one local cloud: one a cluster that has a control plane, with the kwok that keeps its nodes alive."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from model_factory.local.errors import ControlError
from model_factory.local.lab.node.join import ALL_SIMULATED, Machine, Place, RealMachine
from model_factory.local.lab.nodes.fleet import Fleet
from model_factory.local.lab.nodes.kwok import Kwok
from model_factory.local.lab.nodes.pools import Pool, PoolState
from model_factory.local.lab.nodes.simulated import Object

if TYPE_CHECKING:
    from model_factory.access.client import ClusterClient


class NodePrograms(Protocol):
    """Where kwok lies."""

    @property
    def kwok(self) -> Path: ...
    @property
    def stages(self) -> Path: ...


@dataclass(frozen=True, slots=True)
class _Opened:
    fleet: Fleet
    kwok: Kwok
    machine: Machine


class Fleets:
    """Fleets by the key of their cluster, a word of its cloud's. May be called from several threads.

    A cluster without one, as where objects are only rendered, has no nodes, and nothing waits for them.
    """

    def __init__(self) -> None:
        self._opened: dict[str, _Opened] = {}
        self._place: Place | None = None
        self._lock = threading.Lock()

    def join(self, place: Place | None) -> None:
        """Let this machine be a node of clusters that are opened from now on; None: all nodes are simulated."""
        self._place = place

    def open(
        self,
        key: str,
        folder: Path,
        kubeconfig: Path,
        programs: NodePrograms,
        wanted: Callable[[], Sequence[Pool]],
        launch_seconds: Callable[[], float],
        *,
        after: Callable[[ClusterClient, Sequence[Pool], Sequence[Object]], None] = lambda _client, _pools, _nodes: None,
    ) -> None:
        """Look after a cluster's nodes from now on; see `Fleet`. `folder` is the cluster's. Raises LabError, AccessError.

        Once more is no change, but that kwok is started again where it does not run.
        """
        # The official client takes a second and 40 MB that a cloud without real clusters need not have.
        from model_factory.access.client import ClusterClient
        from model_factory.local.lab.programs import programs_for

        kwok = Kwok(folder / "kwok", programs.kwok, programs.stages, kubeconfig)
        kwok.ensure()
        with self._lock:
            if key in self._opened:
                return
            machine = ALL_SIMULATED if self._place is None else RealMachine(self._place, folder, programs_for)
            fleet = Fleet(ClusterClient.of(str(kubeconfig)), wanted, launch_seconds, after=after, machine=machine)
            self._opened[key] = _Opened(fleet, kwok, machine)
        fleet.start()

    def close(self, key: str) -> None:
        """The control plane is taken away: end kwok, and a real node. Raises LabError where that cannot be."""
        if (opened := self._close(key)) is not None:
            opened.machine.go()

    def close_all(self) -> None:
        """The cloud stops: end kwok everywhere, and leave the nodes as they are."""
        for key in list(self._opened):
            self._close(key)

    def _close(self, key: str) -> _Opened | None:
        with self._lock:
            opened = self._opened.pop(key, None)
        if opened is not None:
            opened.fleet.close()
            opened.kwok.stop()
        return opened

    def poke(self) -> None:
        """Look now, everywhere."""
        for opened in list(self._opened.values()):
            opened.fleet.poke()

    def state(self, key: str, pool: Pool) -> PoolState | None:
        """How far a pool is; None where none looked yet, or nobody looks."""
        opened = self._opened.get(key)
        return None if opened is None else opened.fleet.state(pool)

    def has(self, key: str) -> bool:
        return key in self._opened

    def has_ended(self, key: str, pool: Pool) -> bool:
        """Whether nothing is left to wait for. True without a fleet."""
        if key not in self._opened:
            return True
        found = self.state(key, pool)
        return found is not None and found.ended

    def nodes(self) -> dict[str, list[Object]]:
        """The simulated Node objects, by cluster. Raises AccessError."""
        return {key: opened.fleet.nodes() for key, opened in list(self._opened.items())}

    def fleet_of(self, node: str) -> Fleet:
        """The fleet that has a node of this name. Raises ControlError where none has."""
        names: list[str] = []
        for opened in list(self._opened.values()):
            here = [each["metadata"]["name"] for each in opened.fleet.nodes()]
            if node in here:
                return opened.fleet
            names += here
        raise ControlError(f"there is no simulated node {node!r}; there are {', '.join(names) or 'none'}")
