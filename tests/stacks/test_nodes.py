"""What changes under running nodes: what replaces them, in which order, and what does not touch them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from tests.stacks.harness import LocalStack

pytestmark = pytest.mark.slow


def only(cloud: str, model: str) -> Any:
    """An edit of the stack file that leaves one model on one cloud, to be quick."""

    def edit(config: dict[str, Any]) -> None:
        for other in set(config["model-factory:models"]) - {model}:
            del config["model-factory:models"][other]
        config["model-factory:models"][model]["clouds"] = [cloud]
        del config[f"model-factory:{'gcp' if cloud == 'aws' else 'aws'}"]

    return edit


def steps(stack: LocalStack) -> list[dict[str, Any]]:
    """What a preview would change."""
    listed = stack.factory("preview", "--json").json["steps"]
    return [step for step in listed if step["op"] != "same"]


def type_of(step: dict[str, Any]) -> str:
    return step["urn"].split("::")[2].rsplit("$", 1)[-1]


class TestLabels:
    def test_a_changed_label_replaces_no_machine_of_eks(self, stack: LocalStack) -> None:
        stack.edit(only("aws", "object-detector"))
        stack.factory("up", "--yes")
        eks = stack.aws("eks")
        (cluster,) = eks.list_clusters()["clusters"]
        names = eks.list_nodegroups(clusterName=cluster)["nodegroups"]

        def templates() -> dict[str, str]:
            groups = (eks.describe_nodegroup(clusterName=cluster, nodegroupName=name)["nodegroup"] for name in names)
            return {group["nodegroupName"]: group["launchTemplate"]["version"] for group in groups}

        before = templates()

        def relabel(config: dict[str, Any]) -> None:
            config["model-factory:labels"] |= {"team": "another-team", "cost-center": "ml-serving"}

        stack.edit(relabel)
        assert "are replaced one after another" not in stack.factory("preview").out
        stack.factory("up", "--yes")
        # Exits with another code where the clouds do not have what the state says.
        stack.factory("refresh", "--preview-only")
        assert templates() == before
        tagged = [
            eks.describe_nodegroup(clusterName=cluster, nodegroupName=name)["nodegroup"]["tags"] for name in names
        ]
        assert {tags["team"] for tags in tagged} == {"another-team"}


class TestKubernetesVersion:
    def test_reaches_the_control_plane_then_addons_then_nodes_of_eks(self, stack: LocalStack) -> None:
        def at(version: str) -> Any:
            def edit(config: dict[str, Any]) -> None:
                config["model-factory:aws"]["kubernetesVersion"] = version

            return edit

        stack.edit(only("aws", "object-detector"))
        stack.edit(at("1.34"))
        stack.factory("up", "--yes")
        stack.edit(at("1.35"))
        changed = {type_of(step) for step in steps(stack)}
        assert changed == {"aws:eks/cluster:Cluster", "aws:eks/addon:Addon", "aws:eks/nodeGroup:NodeGroup"}
        stack.factory("up", "--yes")
        eks = stack.aws("eks")
        (cluster,) = eks.list_clusters()["clusters"]
        began: list[tuple[datetime, str]] = []
        for kind, listed, named in (
            ("cluster", [cluster], {}),
            ("addon", eks.list_addons(clusterName=cluster)["addons"], "addonName"),
            ("nodes", eks.list_nodegroups(clusterName=cluster)["nodegroups"], "nodegroupName"),
        ):
            for name in listed:
                subject = {named: name} if named else {}
                for id_ in eks.list_updates(name=cluster, **subject)["updateIds"]:
                    update = eks.describe_update(name=cluster, updateId=id_, **subject)["update"]
                    began.append((update["createdAt"], kind))
        # Of the add-ons one alone has a version for each of Kubernetes: kube-proxy.
        assert [kind for _, kind in sorted(began)] == ["cluster", "addon", "nodes", "nodes"]


class TestSizes:
    def test_a_replica_more_at_rest_is_a_node_more_and_one_less_takes_none_away(self, stack: LocalStack) -> None:
        def resting(least: int) -> Any:
            def edit(config: dict[str, Any]) -> None:
                config["model-factory:models"]["object-detector"]["replicas"] = {"min": least, "max": 3}

            return edit

        def desired() -> int:
            eks = stack.aws("eks")
            (cluster,) = eks.list_clusters()["clusters"]
            (pool,) = [
                name for name in eks.list_nodegroups(clusterName=cluster)["nodegroups"] if "-system-" not in name
            ]
            group = eks.describe_nodegroup(clusterName=cluster, nodegroupName=pool)["nodegroup"]
            return group["scalingConfig"]["desiredSize"]

        stack.edit(only("aws", "object-detector"))
        for least, nodes in ((1, 1), (3, 3), (2, 3)):
            stack.edit(resting(least))
            stack.factory("up", "--yes")
            assert desired() == nodes
            assert steps(stack) == []

    def test_new_bounds_take_in_the_size_that_an_autoscaler_gave(self, stack: LocalStack) -> None:
        def bounds(*, most: int, system: int) -> Any:
            def edit(config: dict[str, Any]) -> None:
                config["model-factory:models"]["object-detector"]["replicas"] = {"min": 1, "max": most}
                config["model-factory:aws"]["systemNodes"] = system

            return edit

        stack.edit(only("aws", "object-detector"))
        stack.edit(bounds(most=3, system=2))
        stack.factory("up", "--yes")
        eks = stack.aws("eks")
        (cluster,) = eks.list_clusters()["clusters"]
        names = eks.list_nodegroups(clusterName=cluster)["nodegroups"]
        system = next(name for name in names if "-system-" in name)
        models = next(name for name in names if name != system)

        def size(name: str) -> tuple[int, int, int]:
            config = eks.describe_nodegroup(clusterName=cluster, nodegroupName=name)["nodegroup"]["scalingConfig"]
            return config["minSize"], config["desiredSize"], config["maxSize"]

        def autoscale(nodes: int) -> None:
            eks.update_nodegroup_config(clusterName=cluster, nodegroupName=models, scalingConfig={"desiredSize": nodes})
            eks.get_waiter("nodegroup_active").wait(
                clusterName=cluster, nodegroupName=models, WaiterConfig={"Delay": 1, "MaxAttempts": 60}
            )

        assert (size(models), size(system)) == ((0, 1, 4), (2, 2, 4))
        autoscale(3)
        stack.factory("refresh", "--yes")
        assert steps(stack) == []
        stack.edit(bounds(most=5, system=5))
        stack.factory("up", "--yes")
        assert (size(models), size(system)) == ((0, 3, 6), (5, 5, 10))
        autoscale(4)
        stack.edit(bounds(most=1, system=1))
        stack.factory("up", "--yes")
        assert (size(models), size(system)) == ((0, 2, 2), (1, 1, 2))
        assert steps(stack) == []


class TestRanges:
    def test_another_range_of_pods_replaces_subnet_and_cluster_the_old_ones_first(self, stack: LocalStack) -> None:
        stack.edit(only("gcp", "text-classifier"))
        stack.factory("up", "--yes")

        def pods(config: dict[str, Any]) -> None:
            config["model-factory:gcp"]["podsCidr"] = "10.160.0.0/16"

        stack.edit(pods)
        replaced = [type_of(step) for step in steps(stack) if step["op"] == "create-replacement"]
        assert {"gcp:compute/subnetwork:Subnetwork", "gcp:container/cluster:Cluster"} <= set(replaced)
        stack.factory("up", "--yes")
        clusters = stack.gcp("container", "v1").projects().locations().clusters()
        (cluster,) = clusters.list(parent="projects/model-factory-dev/locations/-").execute()["clusters"]
        assert cluster["clusterIpv4Cidr"] == "10.160.0.0/16"
