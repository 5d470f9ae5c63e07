"""What a keeper of nodes does where Pods do not leave, and where machines stay silent."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from model_factory.access.client import ClusterClient
from model_factory.local.lab.control_plane import ControlPlane
from model_factory.local.lab.nodes.fleet import Fleet
from model_factory.local.lab.nodes.kwok import Kwok
from model_factory.local.lab.nodes.pools import ZONE_LABEL, Pool, PoolState, Rolling
from model_factory.local.lab.nodes.simulated import Shape, SimulatedNode, Taint
from model_factory.local.lab.programs import Programs

pytestmark = pytest.mark.lab
LONG_SECONDS = 120
AMOUNTS = {"cpu": "4", "memory": "16Gi", "pods": "10"}
ALONE = Taint("fleet", "test", "NoSchedule")
SHAPE = Shape(AMOUNTS, AMOUNTS, "amd64", "v1.35.0", "test", {"fleet": "test"}, (ALONE,))


def until(holds: Callable[[], Any], what: str) -> Any:
    """Wait until something holds, and give it back."""
    deadline = time.monotonic() + LONG_SECONDS
    while not (found := holds()):
        assert time.monotonic() < deadline, what
        time.sleep(0.2)
    return found


class Kept:
    """One pool of nodes, and its keeper, which looks when it is told to."""

    def __init__(self, client: ClusterClient) -> None:
        self.client = client
        self.serial = itertools.count()
        self.pool = Pool("kept", "1", {"a": 1}, SHAPE, self.make, Rolling(1, 0, 1), drain_seconds=1, forced=False)
        self.fleet = Fleet(client, lambda: [self.pool], lambda: 0.0)

    def make(self, zone: str, _taken: Collection[str]) -> SimulatedNode:
        name = f"kept-{next(self.serial)}"
        labels = {ZONE_LABEL: zone, "kubernetes.io/hostname": name}
        return SimulatedNode(name, f"test:///{name}", "10.0.0.1", "kept", self.pool.revision, SHAPE, labels)

    def looked(self, holds: Callable[[PoolState], bool], what: str) -> PoolState:
        """Look until the pool's state is so."""

        def state() -> PoolState | None:
            self.fleet.look()
            found = self.fleet.state(self.pool)
            return found if found is not None and holds(found) else None

        return until(state, what)

    def names(self) -> set[str]:
        return {node["metadata"]["name"] for node in self.fleet.nodes()}


@pytest.fixture
def kept(cluster: ClusterClient, control_plane: ControlPlane, programs: Programs, tmp_path: Path) -> Iterator[Kept]:
    kwok = Kwok(tmp_path / "kwok", programs.kwok, programs.stages, control_plane.admin_kubeconfig)
    kwok.ensure()
    kept = Kept(cluster)
    try:
        kept.looked(lambda state: state.settled, "the node does not come")
        yield kept
    finally:
        for name in kept.names():
            cluster.delete("v1", "Node", name)
        kwok.stop()


@pytest.fixture
def kept_pod(kept: Kept, request: pytest.FixtureRequest) -> Iterator[str]:
    """The namespace of a Pod on the node that a budget lets nobody evict."""
    client, space = kept.client, f"kept-{abs(hash(request.node.name)) % 10**6}"
    client.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": space}}, manager="test")
    labels = {"app": "kept"}
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default", "namespace": space}}
    client.apply(account, manager="test")
    budget = {
        "apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": "kept", "namespace": space},
        "spec": {"minAvailable": 1, "selector": {"matchLabels": labels}},
    }  # fmt: skip
    client.apply(budget, manager="test")
    spec = {
        "containers": [{"name": "c", "image": "test"}],
        "nodeSelector": {"fleet": "test"},
        "tolerations": [{"key": "fleet", "operator": "Exists"}],
    }
    client.create(
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "kept", "namespace": space, "labels": labels},
            "spec": spec,
        }
    )

    def is_guarded() -> bool:
        found = client.get("policy/v1", "PodDisruptionBudget", "kept", namespace=space)
        return found is not None and found.get("status", {}).get("currentHealthy") == 1

    until(is_guarded, "the Pod does not run")
    yield space
    client.delete("v1", "Namespace", space)


def has_pod(kept: Kept, space: str) -> bool:
    pod = kept.client.get("v1", "Pod", "kept", namespace=space)
    return pod is not None and "deletionTimestamp" not in pod["metadata"]


class TestDrains:
    def test_a_pod_that_a_budget_keeps_holds_up_the_replacement_which_may_be_given_up(
        self, kept: Kept, kept_pod: str
    ) -> None:
        (old,) = kept.names()
        kept.pool = replace(kept.pool, revision="2")
        state = kept.looked(lambda state: bool(state.stuck), "the drain does not end")
        assert state.stuck == (old,)
        assert has_pod(kept, kept_pod)
        kept.pool = replace(kept.pool, revision="1")
        kept.looked(lambda state: state.settled, "the old node does not stay")
        assert kept.names() == {old}
        node = kept.client.get("v1", "Node", old)
        assert node is not None
        assert not node["spec"].get("unschedulable")
        assert has_pod(kept, kept_pod)

    def test_where_the_cloud_forces_it_the_node_goes_after_its_time(self, kept: Kept, kept_pod: str) -> None:
        (old,) = kept.names()
        kept.pool = replace(kept.pool, revision="2", forced=True)
        kept.looked(lambda state: state.settled, "the node is not replaced")
        assert old not in kept.names()


class TestRepair:
    def test_a_silent_machine_is_made_anew(self, kept: Kept) -> None:
        (old,) = kept.names()
        kept.pool = replace(kept.pool, repair_seconds=1)
        kept.fleet.silence(old)
        kept.looked(lambda state: state.settled and old not in kept.names(), "the machine stays")
