"""The one real node among a fleet's simulated ones."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path

import pytest

from model_factory.access.client import ClusterClient
from model_factory.local.lab.control_plane import ControlPlane
from model_factory.local.lab.node.join import NODE, REAL, Place, RealMachine
from model_factory.local.lab.node.real_node import RealNode
from model_factory.local.lab.nodes.fleet import Fleet
from model_factory.local.lab.nodes.pools import ZONE_LABEL, Pool, Rolling
from model_factory.local.lab.nodes.simulated import Shape, SimulatedNode, Taint
from model_factory.local.lab.programs import Programs
from model_factory.local.lab.registry import Registry
from tests.local.lab.node.pods import condition, until

MODELS = "example.org/models"


def pool(name: str, nodes: int, *, gpus: str = "", taint: str = MODELS) -> Pool:
    amounts = {"cpu": "2", "memory": "4Gi", **({"nvidia.com/gpu": gpus} if gpus else {})}
    shape = Shape(
        capacity=amounts,
        allocatable=amounts,
        architecture="amd64",
        kubelet_version="v1.35.0-simulated",
        os_image="simulated",
        labels={"pool": name},
        taints=(Taint(taint, "present", "PreferNoSchedule"),),
    )

    def make(zone: str, taken: Collection[str]) -> SimulatedNode:
        made = f"{name}-{len(taken)}"
        labels = {ZONE_LABEL: zone, "kubernetes.io/hostname": made}
        return SimulatedNode(made, f"lab:///{zone}/{made}", "10.0.0.1", name, "1", shape, labels)

    return Pool(
        name=name, revision="1", wanted={"a": nodes} if nodes else {}, shape=shape, make=make,
        rolling=Rolling(surge=1, unavailable=0, at_once=1), drain_seconds=5,
    )  # fmt: skip


class TestWhichPools:
    @pytest.fixture
    def place(self, tmp_path: Path) -> Place:
        return Place(tmp_path / "lab", MODELS, {})

    def machine(self, place: Place, cluster: str) -> RealMachine:
        return RealMachine(place, Path(cluster), _no_programs)

    @pytest.mark.parametrize("other", [pool("gpus", 2, gpus="1"), pool("system", 2, taint="example.org/other")])
    def test_gpu_and_system_pools_stay_simulated(self, place: Place, other: Pool) -> None:
        machine = self.machine(place, "one")
        assert machine.limited(other) is other
        node = other.make("a", ())
        assert machine.body(other, node) == node.body()

    def test_a_pool_for_models_without_gpus_has_one_machine(self, place: Place) -> None:
        machine = self.machine(place, "one")
        cpu = pool("cpu", 3)
        assert machine.limited(cpu).room_in_all == 1
        body = machine.body(cpu, cpu.make("a", ()))
        assert REAL in body["metadata"]["annotations"]
        assert "status" not in body
        assert machine.limited(cpu).room_in_all == 1

    def test_another_cluster_and_another_pool_have_none_then(self, place: Place) -> None:
        machine = self.machine(place, "one")
        cpu = pool("cpu", 1)
        machine.body(cpu, cpu.make("a", ()))
        assert self.machine(place, "two").limited(cpu).room_in_all == 0
        assert machine.limited(pool("more", 1)).room_in_all == 0

    def test_a_machine_that_is_not_there_is_not_started(self, place: Place) -> None:
        machine = self.machine(place, "one")
        machine.look([])
        machine.go()
        assert not (place.folder / NODE).exists()


@pytest.mark.lab
@pytest.mark.realnode
class TestAFleet:
    @pytest.fixture
    def place(self, tmp_path: Path, programs: Programs) -> Iterator[Place]:
        made = Place(tmp_path / "lab", MODELS, {"aws": 4566})
        yield made
        RealNode(made.folder / NODE).remove()
        Registry(made.folder / "registry", programs.registry).remove()

    def test_its_machine_comes_and_goes_with_the_pool(
        self, place: Place, own_plane: ControlPlane, programs: Programs
    ) -> None:
        own_plane.ensure("1.35")
        client = ClusterClient.of(str(own_plane.admin_kubeconfig))
        machine = RealMachine(place, own_plane.folder, lambda _: programs)
        wanted = [pool("cpu", 2)]
        fleet = Fleet(client, lambda: wanted, lambda: 0.0, machine=machine)
        fleet.start()
        try:
            (node,) = until(lambda: [each for each in client.list("v1", "Node") if condition(each, "Ready")], 120)
            assert node["status"]["nodeInfo"]["containerRuntimeVersion"].startswith("containerd://")
            assert node["metadata"]["labels"]["pool"] == "cpu"
            state = until(lambda: (found := fleet.state(wanted[0])) and found.ended and found)
            assert (state.ready, state.short) == (1, 1)
            assert client.get("v1", "Service", "local-clouds", namespace="kube-system")
            wanted[:] = [pool("cpu", 0)]
            fleet.poke()
            until(lambda: not client.list("v1", "Node"))
            until(lambda: not (place.folder / NODE).exists())
            assert place.claimant() == ""
        finally:
            fleet.close()
            machine.go()


def _no_programs(version: str) -> Programs:
    raise AssertionError(f"programs of {version} are not asked for")
