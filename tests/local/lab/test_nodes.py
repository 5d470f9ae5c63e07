"""Nodes that come and go with GKE's node pools, on a real API server."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httplib2
import pytest

from model_factory.access.client import ClusterClient
from model_factory.local.clouds.gcp.core import Cloud
from model_factory.local.lab.control_plane import ControlPlane
from model_factory.local.lab.nodes.simulated import POOL
from model_factory.local.lab.programs import Programs
from tests.local.clouds.gcp.conftest import PROJECT, World
from tests.local.gcp_server import gcp_server
from tests.local.lab.workload import budget, deployment, namespace, ready

pytestmark = pytest.mark.lab
PARENT = f"projects/{PROJECT}/locations/us-central1/clusters/c"
ZONE = "us-central1-a"
LONG_SECONDS = 120


def until(holds: Callable[[], Any], what: str) -> Any:
    """Wait until something holds, and give it back."""
    deadline = time.monotonic() + LONG_SECONDS
    while not (found := holds()):
        assert time.monotonic() < deadline, what
        time.sleep(0.1)
    return found


def is_ready(node: dict[str, Any]) -> bool:
    return any(each["type"] == "Ready" and each["status"] == "True" for each in node["status"].get("conditions", []))


class Site:
    """A GKE cluster whose nodes are on the shared API server."""

    def __init__(self, world: World, client: ClusterClient) -> None:
        self.world = world
        self.client = client
        self.pools = world.api("container").projects().locations().clusters().nodePools()

    def done(self, operation: dict[str, Any]) -> dict[str, Any]:
        """Wait for an operation on a node pool."""
        operations = self.world.api("container").projects().locations().operations()
        name = f"projects/{PROJECT}/locations/us-central1/operations/{operation['name']}"

        def over() -> Any:
            current = operations.get(name=name).execute()
            return current if current["status"] == "DONE" else None

        return until(over, f"{name} is not done")

    def pool(self, name: str = "gpu", *, count: int = 1, **fields: Any) -> dict[str, Any]:
        """A pool in one zone. Returns the operation that made it."""
        config = {"machineType": "g2-standard-4", "labels": {"team": "x"}, **fields.pop("config", {})}
        pool = {"name": name, "initialNodeCount": count, "locations": [ZONE], "config": config, **fields}
        return self.done(self.pools.create(parent=PARENT, body={"nodePool": pool}).execute())

    def remove(self, name: str = "gpu") -> None:
        self.done(self.pools.delete(name=f"{PARENT}/nodePools/{name}").execute())

    def nodes(self, pool: str = "gpu") -> list[dict[str, Any]]:
        return [
            node for node in self.client.list("v1", "Node") if node["metadata"].get("annotations", {}).get(POOL) == pool
        ]

    def names(self, pool: str = "gpu") -> set[str]:
        return {node["metadata"]["name"] for node in self.nodes(pool) if is_ready(node)}

    def befall(self, node: str, fault: str, **more: Any) -> None:
        self.world.control("POST", "nodes", {"node": node, "fault": fault, **more})


@pytest.fixture(scope="module")
def cloud(control_plane: ControlPlane, programs: Programs, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with gcp_server(PROJECT, transition_seconds=0.05) as (url, cloud):
        connection = httplib2.Http()
        world = World(url, cloud, connection)
        world.network()
        world.cluster()
        folder: Path = tmp_path_factory.mktemp("cluster")
        cloud.look_after_nodes(f"container/{PARENT}", folder, control_plane.admin_kubeconfig, programs)
        yield world
        cloud.fleets.close_all()
        connection.close()


@pytest.fixture
def site(cloud: World, cluster: ClusterClient) -> Iterator[Site]:
    """The cluster without a pool of the test's; what the test leaves is taken away."""
    site = Site(cloud, cluster)
    yield site
    cloud.cloud.store.put_setting("capacity", {})
    for pool in site.pools.list(parent=PARENT).execute().get("nodePools", []):
        if pool["name"] != "default-pool":
            site.remove(pool["name"])


def pods(client: ClusterClient, space: str) -> list[dict[str, Any]]:
    return [pod for pod in client.list("v1", "Pod", namespace=space) if "deletionTimestamp" not in pod["metadata"]]


class TestPoolsAreNodes:
    def test_a_pool_is_made_when_its_nodes_are_ready_and_gone_with_them(self, site: Site) -> None:
        assert "error" not in site.pool(count=2)
        assert len(site.names()) == 2
        site.remove()
        assert site.nodes() == []

    def test_a_node_is_as_its_machine_and_its_pool_say(self, site: Site) -> None:
        site.pool(config={"spot": True})
        (node,) = site.nodes()
        labels = node["metadata"]["labels"]
        assert node["status"]["allocatable"]["nvidia.com/gpu"] == "1"
        assert node["status"]["capacity"]["cpu"] == "4"
        assert labels["node.kubernetes.io/instance-type"] == "g2-standard-4"
        assert labels["topology.kubernetes.io/zone"] == ZONE
        assert (labels["cloud.google.com/gke-nodepool"], labels["cloud.google.com/gke-spot"]) == ("gpu", "true")
        assert labels["team"] == "x"
        assert node["spec"]["providerID"].startswith(f"gce://{PROJECT}/{ZONE}/gke-c-gpu-")
        taints = [{key: taint[key] for key in ("key", "effect")} for taint in node["spec"]["taints"]]
        assert {"key": "nvidia.com/gpu", "effect": "NoSchedule"} in taints

    def test_sizes_labels_and_taints_change_under_running_nodes(self, site: Site) -> None:
        site.pool()
        before = site.names()
        name = f"{PARENT}/nodePools/gpu"
        site.done(site.pools.setSize(name=name, body={"nodeCount": 3}).execute())
        assert len(site.names()) == 3
        labels = {"labels": {"labels": {"team": "y"}}}
        site.done(site.pools.update(name=name, body=labels).execute())
        until(lambda: {node["metadata"]["labels"]["team"] for node in site.nodes()} == {"y"}, "labels are not given")
        assert before < site.names()
        site.done(site.pools.setSize(name=name, body={"nodeCount": 1}).execute())
        assert len(site.nodes()) == 1

    def test_a_zone_without_machines_ends_the_operation_and_keeps_what_there_is(self, site: Site) -> None:
        site.world.control("POST", "seed", {"capacity": {ZONE: {"g2-standard-4": 1}}})
        operation = site.pool(count=2)
        assert "GCE_STOCKOUT" in operation["error"]["message"]
        assert len(site.names()) == 1

    def test_a_restarted_keeper_finds_its_nodes_again(
        self, site: Site, control_plane: ControlPlane, programs: Programs, tmp_path: Path
    ) -> None:
        site.pool()
        before = site.names()
        cloud: Cloud = site.world.cloud
        key = f"container/{PARENT}"
        cloud.fleets.close(key)
        cloud.look_after_nodes(key, tmp_path, control_plane.admin_kubeconfig, programs)
        site.done(site.pools.setSize(name=f"{PARENT}/nodePools/gpu", body={"nodeCount": 2}).execute())
        assert before < site.names()


class TestReplacement:
    def test_an_upgrade_replaces_every_node_and_keeps_to_the_budget(self, site: Site) -> None:
        site.pool(count=3, config={}, version="1.34.9-gke.1655001")
        space = namespace(site.client, "upgrade")
        site.client.apply(deployment("model", space, 3), manager="test")
        site.client.apply(budget("model", space), manager="test")
        until(lambda: ready(site.client, "model", space) == 3, "replicas do not run")
        before = site.names()
        operation = site.pools.update(name=f"{PARENT}/nodePools/gpu", body={"nodeVersion": "-"}).execute()
        least = 3
        operations = site.world.api("container").projects().locations().operations()
        name = f"projects/{PROJECT}/locations/us-central1/operations/{operation['name']}"

        def over() -> bool:
            nonlocal least
            least = min(least, ready(site.client, "model", space))
            return operations.get(name=name).execute()["status"] == "DONE"

        until(over, "the upgrade does not end")
        assert not before & site.names()
        assert {node["status"]["nodeInfo"]["kubeletVersion"] for node in site.nodes()} == {"v1.35.7-gke.1222000"}
        assert least >= 2
        until(lambda: ready(site.client, "model", space) == 3, "a replica does not come back")
        site.client.delete("v1", "Namespace", space)

    def test_a_lost_machine_is_replaced_and_its_pods_start_elsewhere(self, site: Site) -> None:
        site.pool(count=2)
        (lost, kept) = sorted(site.names())
        site.befall(lost, "loss")
        until(lambda: len(site.names()) == 2 and lost not in site.names(), "the machine is not replaced")
        assert kept in site.names()


class TestFaults:
    def test_a_notice_ends_the_pods_and_then_the_machine(self, site: Site) -> None:
        site.pool(count=1)
        space = namespace(site.client, "notice")
        site.client.apply(deployment("model", space, 1), manager="test")
        until(lambda: ready(site.client, "model", space) == 1, "the replica does not run")
        (node,) = site.names()
        site.befall(node, "notice", seconds=5)
        until(lambda: node not in {each["metadata"]["name"] for each in site.nodes()}, "the machine stays")
        until(lambda: ready(site.client, "model", space) == 1, "the replica does not come back")
        assert node not in {pod["spec"]["nodeName"] for pod in pods(site.client, space)}
        site.client.delete("v1", "Namespace", space)

    def test_pods_leave_a_silent_node_that_then_comes_back(self, site: Site) -> None:
        site.pool(count=2)
        space = namespace(site.client, "silence")
        site.client.apply(deployment("model", space, 1, seconds=1), manager="test")
        until(lambda: ready(site.client, "model", space) == 1, "the replica does not run")
        (node,) = {pod["spec"]["nodeName"] for pod in pods(site.client, space)}
        site.befall(node, "silence")
        until(lambda: node not in site.names(), "a silent node is taken for Ready")
        until(
            lambda: Counter(pod["spec"].get("nodeName") != node for pod in pods(site.client, space)) == {True: 1},
            "the replica does not move",
        )
        site.befall(node, "recovery")
        until(lambda: node in site.names(), "the node does not come back")
        site.client.delete("v1", "Namespace", space)

    def test_a_fault_of_no_node_is_refused_by_name(self, site: Site) -> None:
        site.pool()
        reply = site.world.cloud.controls.handle("POST", "/_cloud/nodes", b'{"node": "none", "fault": "loss"}')
        assert reply.status == 400
        assert b"there is no simulated node 'none'" in reply.body


LIMITS = {"enabled": True, "minNodeCount": 0, "maxNodeCount": 2}


class TestAutoscaling:
    def test_waiting_pods_get_nodes_up_to_the_most_and_empty_nodes_go(self, site: Site) -> None:
        site.pool(count=0, autoscaling=LIMITS)
        space = namespace(site.client, "autoscaling")
        site.client.apply(deployment("model", space, 3), manager="test")
        until(lambda: ready(site.client, "model", space) == 2, "no nodes come")
        assert len(site.names()) == 2
        (waiting,) = [pod for pod in pods(site.client, space) if "nodeName" not in pod["spec"]]
        assert "Insufficient nvidia.com/gpu" in waiting["status"]["conditions"][0]["message"]
        site.world.control("POST", "seed", {"autoscaler": {"unneeded_seconds": 1}})
        site.client.delete("v1", "Namespace", space)
        until(lambda: not site.nodes(), "empty nodes stay")

    def test_a_pool_never_shrinks_below_its_least(self, site: Site) -> None:
        site.pool(count=0, autoscaling={**LIMITS, "minNodeCount": 1})
        until(lambda: len(site.names()) == 1, "the least is not kept")

    def test_pods_that_ask_for_no_gpu_bring_no_gpu_node(self, site: Site) -> None:
        site.pool(count=0, autoscaling=LIMITS)
        space = namespace(site.client, "others")
        plain = deployment("plain", space, 1, gpus=0)
        plain["spec"]["template"]["spec"] |= {"tolerations": []}
        site.client.apply(plain, manager="test")
        until(
            lambda: any(
                each.get("reason") == "Unschedulable"
                for pod in pods(site.client, space)
                for each in pod["status"].get("conditions", [])
            ),
            "the Pod is not refused",
        )
        site.client.apply(deployment("model", space, 1), manager="test")
        until(lambda: ready(site.client, "model", space) == 1, "no node comes")
        assert len(site.nodes()) == 1
        assert ready(site.client, "plain", space) == 0
        site.client.delete("v1", "Namespace", space)
