"""Models on processors beside those on GPUs: brought up on both clouds, seen through the clouds' own clients and the rendered files."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.stacks.harness import LocalStack

pytestmark = pytest.mark.slow

MODEL: dict[str, Any] = {
    "runtime": "triton-onnx",
    "image": f"sentences:1.0.0@sha256:{'2' * 64}",
    "weights": {"uri": "bucket://sentences", "revision": "1"},
    "gpusPerReplica": 0,
    "cpu": 2,
    "memoryGib": 3,
    "requestsPerSecond": 10,
    "replicas": {"min": 1, "max": 3},
}
MODELS: dict[str, dict[str, Any]] = {
    "sentences": {**MODEL, "clouds": ["aws"], "spot": True, "cpuFeatures": ["amx"]},
    "labels": {**MODEL, "clouds": ["gcp"], "architecture": "arm64"},
}


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    """The dev stack with two models without GPUs, after its first `up`."""
    made = LocalStack(tmp_path_factory.mktemp("up"))
    made.edit(lambda config: config["model-factory:models"].update(MODELS))
    made.factory("up", "--yes")
    yield made
    made.close()


class TestModelsWithoutGpus:
    def test_have_node_groups_without_drivers_on_aws(self, up: LocalStack) -> None:
        eks = up.aws("eks")
        (cluster,) = eks.list_clusters()["clusters"]
        groups = [
            eks.describe_nodegroup(clusterName=cluster, nodegroupName=name)["nodegroup"]
            for name in eks.list_nodegroups(clusterName=cluster)["nodegroups"]
        ]
        ours = {each["labels"]["model-factory/pool"]: each for each in groups}
        assert {"cpu-spot", "cpu-on-demand"} <= ours.keys()
        for each in (ours["cpu-spot"], ours["cpu-on-demand"]):
            assert (each["status"], each["amiType"]) == ("ACTIVE", "BOTTLEROCKET_x86_64")
            assert [taint["effect"] for taint in each["taints"]] == ["PREFER_NO_SCHEDULE"]

    def test_have_node_pools_without_accelerators_on_google(self, up: LocalStack) -> None:
        container = up.gcp("container", "v1")
        where = "projects/model-factory-dev/locations/-"
        (cluster,) = container.projects().locations().clusters().list(parent=where).execute()["clusters"]
        pools = {each["config"]["labels"].get("model-factory/pool"): each for each in cluster["nodePools"]}
        config = pools["cpu-arm64-on-demand"]["config"]
        assert config["machineType"].startswith("c4a-")
        assert not config.get("accelerators")
        assert [taint["effect"] for taint in config["taints"]] == ["PREFER_NO_SCHEDULE"]

    def test_ask_for_no_gpus_and_go_by_cpu(self, up: LocalStack) -> None:
        seen = 0
        for objects in up.rendered().values():
            for (kind, _), item in objects.items():
                if item["metadata"].get("labels", {}).get("model") not in MODELS:
                    continue
                if kind == "Deployment":
                    (server,) = item["spec"]["template"]["spec"]["containers"]
                    assert server["resources"]["limits"].keys() == {"memory"}
                    seen += 1
                if kind == "HorizontalPodAutoscaler":
                    assert "Resource" in [each["type"] for each in item["spec"]["metrics"]]
                    seen += 1
        assert seen == 2 * len(MODELS)

    def test_stand_in_the_table_of_models_without_an_accelerator(self, up: LocalStack) -> None:
        rows = {each["model"]: each for each in up.factory("stack", "output", "--json").json["models"]}
        assert {rows[name]["accelerator"] for name in MODELS} == {""}
        assert all(row["accelerator"] for name, row in rows.items() if name not in MODELS)

    def test_pay_for_their_nodes(self, up: LocalStack) -> None:
        bill = up.factory("cost", "--json").json
        for name in MODELS:
            (row,) = (each for each in bill["models"] if each["model"] == name)
            assert float(row["usdPerHour"]["idle"]) > 0.01
            assert float(row["gpuHoursPerMonth"]["peak"]) == 0

    def test_change_nothing_by_themselves(self, up: LocalStack) -> None:
        steps = up.factory("preview", "--json").json["steps"]
        assert not [each for each in steps if each["op"] != "same"]
