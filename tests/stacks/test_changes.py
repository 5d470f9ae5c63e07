"""A change of the stack file is exactly the change that preview names and `up` makes."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any, ClassVar

import pytest

from model_factory.cli.errors import EXIT_DRIFT
from tests.stacks.harness import LocalStack

pytestmark = pytest.mark.slow


def planned(stack: LocalStack) -> Counter[tuple[str, str]]:
    """(op, type) of each step that a preview lists, the unchanged stack left out."""
    steps = stack.factory("preview", "--json").json["steps"]
    return Counter(
        (step["op"], step["urn"].split("::")[2].rsplit("$", 1)[-1]) for step in steps if step["op"] != "same"
    )


def done(stack: LocalStack) -> dict[str, int]:
    summary = stack.factory("up", "--yes", "--json").json["changeSummary"]
    return {op: count for op, count in summary.items() if op != "same"}


class TestReplicas:
    def test_a_replica_more_at_rest_is_its_autoscaler_and_its_node(self, stack: LocalStack) -> None:
        stack.factory("up", "--yes")

        def more(config: dict[str, Any]) -> None:
            config["model-factory:models"]["image-classifier"]["replicas"]["min"] = 3

        stack.edit(more)
        assert planned(stack) == {
            ("update", "aws:eks/nodeGroup:NodeGroup"): 1,
            ("update", "kubernetes:autoscaling/v2:HorizontalPodAutoscaler"): 1,
        }
        assert done(stack) == {"update": 2}
        scalers = [
            item
            for objects in stack.rendered().values()
            for (kind, _), item in objects.items()
            if kind == "HorizontalPodAutoscaler" and item["metadata"]["namespace"] == "model-image-classifier"
        ]
        assert [scaler["spec"]["minReplicas"] for scaler in scalers] == [3]


class TestWeights:
    """New weights are one rollout, and whoever serves the old ones can read them until it ends."""

    def test_are_rolled_out_once_and_nothing_that_runs_loses_its_own(self, stack: LocalStack) -> None:
        stack.factory("up", "--yes")

        def move(config: dict[str, Any]) -> None:
            models = config["model-factory:models"]
            models["image-classifier"]["weights"]["revision"] = "2"
            models["object-detector"]["weights"]["uri"] = "bucket://elsewhere"
            models["embeddings"]["weights"]["revision"] = "2.0.0"

        stack.edit(move)
        preview = stack.factory("preview", "--json").json
        volume = ["create PersistentVolume", "create PersistentVolumeClaim"]
        gone = ["delete PersistentVolumeClaim", "delete PersistentVolume"]
        assert told(preview, "image-classifier") == [*volume, "update Deployment", *gone]
        assert told(preview, "embeddings") == ["update Deployment"]
        steps = told(preview, "object-detector")
        assert sorted(steps) == sorted(["create RolePolicy", "delete RolePolicy", *volume, "update Deployment", *gone])
        assert steps.index("create RolePolicy") < steps.index("update Deployment") < steps.index("delete RolePolicy")
        restarts = {each["model"]: each["restarts"] for each in preview["modelChanges"]}
        assert restarts == {
            "embeddings": "yes: a new revision",
            "image-classifier": "yes: a new revision",
            "object-detector": "yes: other volumes",
        }

        assert done(stack) == {"replace": 5, "update": 3}
        objects = dict(self.objects(stack, "image-classifier"))
        pod = objects["Deployment"]["spec"]["template"]
        (claim,) = [each["persistentVolumeClaim"] for each in pod["spec"]["volumes"] if each["name"] == "weights"]
        assert claim["claimName"] == objects["PersistentVolumeClaim"]["metadata"]["name"]
        assert objects["PersistentVolumeClaim"]["spec"]["volumeName"] == objects["PersistentVolume"]["metadata"]["name"]
        assert "prefix image-classifier/2/" in objects["PersistentVolume"]["spec"]["mountOptions"]
        assert done(stack) == {}

    def objects(self, stack: LocalStack, model: str) -> list[tuple[str, Any]]:
        return [
            (kind, item)
            for cluster in stack.rendered().values()
            for (kind, _), item in cluster.items()
            if item["metadata"].get("labels", {}).get("model") == model
        ]


def told(preview: Any, model: str) -> list[str]:
    """What a preview does to a model's resources, in its order: `create Deployment`."""
    return [
        f"{step['op'].partition('-')[0]} {step['urn'].split('::')[2].rpartition(':')[2]}"
        for step in preview["steps"]
        if step["op"] not in ("same", "replace") and step["urn"].endswith(f"-{model}")
    ]


class TestMachineType:
    """`text-classifier` is pinned to the other size of its cloud's L4 machines."""

    SIZES: ClassVar = {"aws": ("g6.xlarge", "g6.2xlarge"), "gcp": ("g2-standard-4", "g2-standard-8")}

    def prepare(self, stack: LocalStack, cloud: str, size: int) -> None:
        def pin(config: dict[str, Any]) -> None:
            # The only model on an L4, so that its pool is its own.
            models = config["model-factory:models"]
            for other in set(models) - {"text-classifier", "image-classifier"}:
                del models[other]
            model = models["text-classifier"]
            model["clouds"] = [cloud]
            model["machineTypes"] = [self.SIZES[cloud][size]]

        stack.edit(pin)

    def test_replaces_the_eks_node_group_the_new_one_before_the_old_one(self, stack: LocalStack) -> None:
        self.prepare(stack, "aws", 0)
        stack.factory("up", "--yes")
        eks = stack.aws("eks")
        (cluster,) = eks.list_clusters()["clusters"]
        before = set(eks.list_nodegroups(clusterName=cluster)["nodegroups"])
        self.prepare(stack, "aws", 1)
        assert planned(stack) == {
            ("create-replacement", "aws:eks/nodeGroup:NodeGroup"): 1,
            ("replace", "aws:eks/nodeGroup:NodeGroup"): 1,
            ("delete-replaced", "aws:eks/nodeGroup:NodeGroup"): 1,
        }
        ended = stack.factory("up", "--yes", "--json").json
        assert {op: n for op, n in ended["changeSummary"].items() if op != "same"} == {"replace": 1}
        after = set(eks.list_nodegroups(clusterName=cluster)["nodegroups"])
        (new,), (old,) = after - before, before - after
        assert eks.describe_nodegroup(clusterName=cluster, nodegroupName=new)["nodegroup"]["instanceTypes"] == [
            "g6.2xlarge"
        ]
        assert old != new

    def test_updates_the_gke_pool_in_place(self, stack: LocalStack) -> None:
        self.prepare(stack, "gcp", 0)
        stack.factory("up", "--yes")
        self.prepare(stack, "gcp", 1)
        assert planned(stack) == {("update", "gcp:container/nodePool:NodePool"): 1}
        assert done(stack) == {"update": 1}
        listed = (
            stack.gcp("container", "v1")
            .projects()
            .locations()
            .clusters()
            .list(parent="projects/model-factory-dev/locations/-")
            .execute()
        )
        types = {pool["config"]["machineType"] for pool in listed["clusters"][0]["nodePools"]}
        assert "g2-standard-8" in types
        assert "g2-standard-4" not in types


class TestDrift:
    def test_a_deleted_repository_and_a_changed_label_are_seen_and_repaired(self, stack: LocalStack) -> None:
        stack.factory("up", "--yes")
        held = stack.held()
        ecr = stack.aws("ecr")
        names = [each["repositoryName"] for each in ecr.describe_repositories()["repositories"]]
        repository = next(name for name in names if "image-classifier" in name)
        ecr.delete_repository(repositoryName=repository, force=True)
        storage = stack.gcp("storage", "v1")
        bucket = storage.buckets().list(project="model-factory-dev").execute()["items"][0]["name"]
        storage.buckets().patch(bucket=bucket, body={"labels": {"stack": "somebody-elses"}}).execute()

        refreshed = stack.factory("refresh", "--yes", "--json").json["changeSummary"]
        assert {op: count for op, count in refreshed.items() if op != "same"} == {"delete": 2, "update": 1}
        # The repository and its lifecycle policy come back under a new name, which the model's Deployment takes over.
        assert done(stack) == {"create": 2, "update": 2}
        assert storage.buckets().get(bucket=bucket).execute()["labels"]["stack"] == "dev"
        assert stack.held() == held

    def test_an_object_changed_in_a_cluster_is_seen_and_repaired(self, stack: LocalStack) -> None:
        stack.factory("up", "--yes")
        file = next((stack.root / ".factory" / "clouds" / "kubernetes").rglob("*deployment*image-classifier*"))
        text = file.read_text()
        file.write_text(text.replace("RuntimeDefault", "Unconfined"))
        looked = stack.factory("refresh", "--preview-only", check=False)
        assert looked.code == EXIT_DRIFT
        told = re.search(
            r"Drift in 1 resource; `\S*factory (up --refresh[^`]*)` repairs it", " ".join(looked.err.split())
        )
        assert told
        stack.factory(*told[1].split(), "--yes")
        assert file.read_text() == text

        file.write_text(text.replace("RuntimeDefault", "Unconfined"))
        refreshed = stack.factory("refresh", "--yes", "--json").json["changeSummary"]
        assert {op: count for op, count in refreshed.items() if op != "same"} == {"update": 1}
        assert done(stack) == {"update": 1}
        assert file.read_text() == text
