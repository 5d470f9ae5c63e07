"""Nodes that come and go with EKS's node groups, seen with boto3 and in the cluster's own API server."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from model_factory.access.client import ClusterClient
from model_factory.access.errors import UnreachableError
from model_factory.local.clouds import control_planes
from model_factory.local.clouds.manager import CloudSpec
from model_factory.local.lab.nodes.simulated import POOL
from model_factory.local.lab.programs import Programs
from tests.local.clouds.aws.conftest import REGION, Aws
from tests.local.lab.workload import budget, deployment, namespace, ready

pytestmark = [pytest.mark.lab, pytest.mark.slow]
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


class LabAws(Aws):
    """A local AWS whose clusters are real: what takes time takes longer."""

    def wait(self, describe: Any, status: str) -> dict[str, Any]:
        def there() -> Any:
            found = describe()
            return found if found["status"] == status else None

        return until(there, f"no {status}: {describe()}")

    def in_cluster(self) -> ClusterClient:
        folder = self.spec.data(self.root) / control_planes.CLUSTERS / f"{REGION}.models"
        return ClusterClient.of(str(folder / "admin.kubeconfig"))


class Site:
    """A cluster `models`, and its nodes."""

    def __init__(self, aws: LabAws, client: ClusterClient) -> None:
        self.aws = aws
        self.client = client

    def nodes(self, group: str = "gpu") -> list[dict[str, Any]]:
        found = self.client.list("v1", "Node")
        return [each for each in found if each["metadata"].get("annotations", {}).get(POOL) == group]

    def names(self, group: str = "gpu") -> set[str]:
        return {each["metadata"]["name"] for each in self.nodes(group) if is_ready(each)}

    def group(self, name: str = "gpu", *, count: int = 1, **more: Any) -> dict[str, Any]:
        scaling = {"minSize": 0, "maxSize": 6, "desiredSize": count}
        return self.aws.nodegroup(name=name, scalingConfig=scaling, nodeRole=self.role, **more)

    role = ""

    def scale(self, count: int, *, wait: bool = True) -> None:
        scaling = {"minSize": 0, "maxSize": 6, "desiredSize": count}
        self.aws.eks.update_nodegroup_config(clusterName="models", nodegroupName="gpu", scalingConfig=scaling)
        if wait:
            self.aws.wait_nodegroup()

    def health(self) -> list[str]:
        group = self.aws.eks.describe_nodegroup(clusterName="models", nodegroupName="gpu")["nodegroup"]
        return [issue["code"] for issue in group["health"]["issues"]]

    def capacity(self, available: int) -> None:
        self.aws.control("PUT", "capacity", {"place": REGION, "machine": "g6.xlarge", "available": available})

    def finished(self, update: dict[str, Any]) -> dict[str, Any]:
        def over() -> Any:
            found = self.aws.eks.describe_update(name="models", nodegroupName="gpu", updateId=update["id"])["update"]
            return found if found["status"] != "InProgress" else None

        return until(over, "the update does not end")

    def template(self, name: str) -> str:
        data = {"MetadataOptions": {"HttpTokens": "required"}}
        answer = self.aws.ec2.create_launch_template(LaunchTemplateName=name, LaunchTemplateData=data)
        return answer["LaunchTemplate"]["LaunchTemplateId"]

    def new_version(self, template: str) -> dict[str, Any]:
        self.aws.ec2.create_launch_template_version(
            LaunchTemplateId=template, LaunchTemplateData={"EbsOptimized": True}
        )
        return self.aws.eks.update_nodegroup_version(
            clusterName="models", nodegroupName="gpu", launchTemplate={"id": template, "version": "2"}
        )["update"]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def real(programs: Programs, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    root: Path = tmp_path_factory.mktemp("aws")
    aws = LabAws(CloudSpec("aws", _free_port(), 0.05, ("--kubernetes", "lab")), root)
    aws.start()
    try:
        aws.cluster(version="1.35", accessConfig={"authenticationMode": "API"})
        client = aws.in_cluster()
        site = Site(aws, client)
        site.role = aws.role("ec2.amazonaws.com")
        yield site
        client.close()
    finally:
        aws.stop()


@pytest.fixture
def site(real: Site) -> Iterator[Site]:
    """The cluster without node groups; what the test leaves is taken away."""
    yield real
    real.capacity(100)
    for name in real.aws.eks.list_nodegroups(clusterName="models")["nodegroups"]:
        real.aws.wait(
            lambda name=name: {
                "status": "SETTLED"
                if real.aws.eks.describe_nodegroup(clusterName="models", nodegroupName=name)["nodegroup"]["status"]
                in ("ACTIVE", "CREATE_FAILED", "DEGRADED")
                else ""
            },
            "SETTLED",
        )
        real.aws.eks.delete_nodegroup(clusterName="models", nodegroupName=name)
    until(lambda: not real.aws.eks.list_nodegroups(clusterName="models")["nodegroups"], "a node group stays")
    assert real.nodes() == []


class TestGroupsAreNodes:
    def test_a_group_is_active_when_its_nodes_are_ready_in_each_of_its_zones(self, site: Site) -> None:
        site.group(
            count=3,
            labels={"team": "x"},
            taints=[{"key": "nvidia.com/gpu", "value": "present", "effect": "NO_SCHEDULE"}],
        )
        nodes = site.nodes()
        assert len(site.names()) == 3
        zones = {node["metadata"]["labels"]["topology.kubernetes.io/zone"] for node in nodes}
        assert zones == {f"{REGION}{letter}" for letter in "abc"}
        node = nodes[0]
        labels = node["metadata"]["labels"]
        zone, address = labels["topology.kubernetes.io/zone"], node["status"]["addresses"][0]["address"]
        assert node["metadata"]["name"] == f"ip-{address.replace('.', '-')}.ec2.internal"
        assert node["spec"]["providerID"].startswith(f"aws:///{zone}/i-0")
        assert labels["eks.amazonaws.com/capacityType"] == "ON_DEMAND"
        assert (labels["team"], labels["eks.amazonaws.com/nodegroup"]) == ("x", "gpu")
        assert labels["node.kubernetes.io/instance-type"] == "g6.xlarge"
        assert (node["status"]["allocatable"]["nvidia.com/gpu"], node["status"]["allocatable"]["pods"]) == ("1", "58")
        assert node["status"]["nodeInfo"]["kubeletVersion"].startswith("v1.35.")
        assert "nvidia.com/gpu" in {taint["key"] for taint in node["spec"]["taints"]}

    def test_sizes_and_labels_change_under_running_nodes(self, site: Site) -> None:
        site.group(labels={"team": "x"})
        before = site.names()
        site.scale(3)
        assert before < site.names()
        labels = {"addOrUpdateLabels": {"team": "y"}}
        site.aws.eks.update_nodegroup_config(clusterName="models", nodegroupName="gpu", labels=labels)
        until(lambda: {each["metadata"]["labels"]["team"] for each in site.nodes()} == {"y"}, "labels are not given")
        site.aws.wait_nodegroup()
        site.scale(1)
        assert len(site.nodes()) == 1

    def test_a_killed_cloud_finds_its_nodes_again_and_goes_on(self, site: Site) -> None:
        site.group(count=2)
        before = site.names()
        site.scale(3, wait=False)
        site.aws.kill()
        site.aws.start()
        until(lambda: before < site.names() and len(site.names()) == 3, "the group does not grow")


class TestReplacement:
    def test_another_launch_template_replaces_every_node(self, site: Site) -> None:
        template = site.template("rolled")
        site.group(count=2, launchTemplate={"id": template, "version": "1"})
        before = site.names()
        update = site.finished(site.new_version(template))
        assert update["status"] == "Successful"
        assert len(site.names()) == 2
        assert not before & site.names()

    def test_without_a_machine_for_the_next_node_the_update_fails_and_no_node_goes(self, site: Site) -> None:
        template = site.template("stuck")
        site.group(count=2, launchTemplate={"id": template, "version": "1"})
        before = site.names()
        site.capacity(2)
        update = site.finished(site.new_version(template))
        assert (update["status"], update["errors"][0]["errorCode"]) == ("Failed", "NodeCreationFailure")
        assert site.names() == before
        assert site.aws.wait_nodegroup()["launchTemplate"]["version"] == "1"

    def test_a_spot_notice_brings_another_node_before_the_machine_goes(self, site: Site) -> None:
        site.group(count=1, capacityType="SPOT")
        (node,) = site.names()
        site.aws.control("POST", "nodes", {"node": node, "fault": "notice", "seconds": 60})
        until(lambda: len(site.names()) == 1 and node not in site.names(), "the node is not replaced")


class TestWithoutMachines:
    def test_a_group_that_cannot_start_fails_with_what_there_is(self, site: Site) -> None:
        site.capacity(1)
        site.aws.nodegroup(wait=False, nodeRole=site.role, scalingConfig={"minSize": 0, "maxSize": 3, "desiredSize": 2})
        site.aws.wait_nodegroup(status="CREATE_FAILED")
        assert site.health() == ["AsgInstanceLaunchFailures"]
        assert len(site.names()) == 1

    def test_a_lost_machine_that_is_not_replaced_shows_until_there_are_machines(self, site: Site) -> None:
        site.group(count=2)
        site.capacity(1)
        site.aws.control("POST", "nodes", {"node": min(site.names()), "fault": "loss"})
        site.aws.wait_nodegroup(status="DEGRADED")
        assert site.health() == ["AsgInstanceLaunchFailures"]
        site.capacity(2)
        site.aws.wait_nodegroup(status="ACTIVE")
        assert site.health() == []
        assert len(site.names()) == 2


class TestUpgrade:
    def test_of_the_control_plane_and_then_of_its_nodes_keeps_to_the_budget(self, site: Site, next_minor: str) -> None:
        site.group(count=3, labels={"team": "x"})
        before = site.names()
        space = namespace(site.client, "upgrade")
        site.client.apply(deployment("model", space, 3), manager="test")
        site.client.apply(budget("model", space), manager="test")
        until(lambda: ready(site.client, "model", space) == 3, "replicas do not run")
        seen: list[int] = []
        over = threading.Event()

        def watch() -> None:
            while not over.wait(0.1):
                # Of a control plane that starts anew nothing can be asked; what runs on nodes runs on.
                with suppress(UnreachableError):
                    seen.append(ready(site.client, "model", space))

        watcher = threading.Thread(target=watch)
        watcher.start()
        try:
            site.aws.eks.update_cluster_version(name="models", version=next_minor)
            site.aws.wait(lambda: site.aws.eks.describe_cluster(name="models")["cluster"], "ACTIVE")
            assert site.names() == before
            versions = {"clusterName": "models", "nodegroupName": "gpu", "version": next_minor}
            update = site.finished(site.aws.eks.update_nodegroup_version(**versions)["update"])
        finally:
            over.set()
            watcher.join()
        assert update["status"] == "Successful"
        version = site.client.version()
        assert f"{version['major']}.{version['minor']}" == next_minor
        nodes = site.nodes()
        assert all(node["status"]["nodeInfo"]["kubeletVersion"].startswith(f"v{next_minor}.") for node in nodes)
        assert not before & site.names()
        assert min(seen) >= 2
        until(lambda: ready(site.client, "model", space) == 3, "a replica does not come back")
        # Its budget would keep the drain of the group's nodes open.
        site.client.delete("v1", "Namespace", space)
