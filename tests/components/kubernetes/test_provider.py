from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from tests.components.conftest import run_config
from tests.planning.project import STACK


def _providers(local: dict[str, object], folder: Path) -> list[Any]:
    config = {**copy.deepcopy(STACK["config"]), "model-factory:local": local}
    return list(run_config(config, "dev", folder).of("pulumi:providers:kubernetes"))


class TestClusterProviders:
    def test_each_cluster_of_a_local_stack_has_a_folder_of_its_own(self, dev: Any) -> None:
        folders = {each.name: each.inputs["renderYamlToDirectory"] for each in dev.of("pulumi:providers:kubernetes")}
        assert folders == {
            name: f".factory/clouds/kubernetes/{name}" for name in ("dev-aws-us-east-1", "dev-gcp-us-central1")
        }

    @pytest.mark.slow
    def test_of_the_lab_dial_the_clouds_clusters_with_tokens_of_our_own(self, tmp_path: Path) -> None:
        for provider in _providers({"kubernetes": "lab"}, tmp_path):
            (user,) = json.loads(provider.inputs["kubeconfig"])["users"]
            assert user["user"]["exec"]["command"] == "factory"
            assert "renderYamlToDirectory" not in provider.inputs

    @pytest.mark.slow
    def test_of_clusters_of_ones_own_name_their_context(self, tmp_path: Path) -> None:
        contexts = {"aws/us-east-1": "kind-a", "gcp/us-central1": "kind-g"}
        found = {each.name: each.inputs for each in _providers({"kubernetes": contexts}, tmp_path)}
        assert {name: inputs["context"] for name, inputs in found.items()} == {
            "dev-aws-us-east-1": "kind-a",
            "dev-gcp-us-central1": "kind-g",
        }
        assert all("kubeconfig" not in inputs for inputs in found.values())

    def test_come_after_their_cluster(self, dev: Any) -> None:
        for provider in dev.of("pulumi:providers:kubernetes"):
            kinds = {urn.split("::")[2].split("$")[-1] for urn in dev.waits_for(provider)}
            assert kinds & {"aws:eks/cluster:Cluster", "gcp:container/cluster:Cluster"}

    def test_every_object_goes_to_its_models_cluster(self, dev: Any) -> None:
        regions = {row["model"]: row["region"] for row in dev.outputs["models"]}
        for each in dev.resources:
            if each.type.startswith("kubernetes:") and each.custom:
                assert regions[each.inputs["metadata"]["labels"]["model"]] in each.provider


def pools_of(pod: dict[str, Any]) -> list[str]:
    """The pools that a Pod may use."""
    if "nodeSelector" in pod:
        return [pod["nodeSelector"]["model-factory/pool"]]
    required = pod["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    return [
        name for term in required["nodeSelectorTerms"] for each in term["matchExpressions"] for name in each["values"]
    ]


class TestModels:
    def test_wait_for_their_pool_and_their_identity(self, dev: Any) -> None:
        for deployment in dev.of("apps/v1:Deployment"):
            kinds = {urn.split("::")[2].split("$")[-1] for urn in dev.waits_for(deployment)}
            assert kinds & {"aws:eks/nodeGroup:NodeGroup", "gcp:container/nodePool:NodePool"}
            assert kinds & {
                "aws:eks/podIdentityAssociation:PodIdentityAssociation",
                "gcp:storage/bucketIAMMember:BucketIAMMember",
            }

    def test_images_come_from_the_registry_beside_them(self, dev: Any) -> None:
        for deployment in dev.of("apps/v1:Deployment"):
            (container,) = deployment.inputs["spec"]["template"]["spec"]["containers"]
            host = ".dkr.ecr." if "-aws-" in deployment.name else "us-central1-docker.pkg.dev/"
            assert host in container["image"]
            assert "@sha256:" in container["image"]

    def test_pods_select_pools_that_exist(self, dev: Any) -> None:
        labels = [group.inputs["labels"]["model-factory/pool"] for group in dev.of(":NodeGroup")]
        labels += [pool.inputs["nodeConfig"]["labels"]["model-factory/pool"] for pool in dev.of(":NodePool")]
        for deployment in dev.of("apps/v1:Deployment"):
            assert set(pools_of(deployment.inputs["spec"]["template"]["spec"])) <= set(labels)
