"""The whole program against mocks, with the stack files of the repository."""

from __future__ import annotations

import hashlib
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import kubernetes_validate
import pulumi
import pytest

from model_factory.planning.settings.stackfile import read_stack_file
from tests.components.conftest import project_in, run_config, run_stack
from tests.planning.project import load

ROOT = Path(__file__).parents[2]


def manifest(registered: Any) -> dict[str, Any]:
    """The object that would be sent to the API server."""
    return dict(registered.inputs)


class TestDevStack:
    def test_every_model_runs_once_with_everything_around_it(self, dev: Any) -> None:
        for kind in (
            ":Deployment",
            ":HorizontalPodAutoscaler",
            ":PodDisruptionBudget",
            ":Namespace",
            ":ServiceAccount",
        ):
            assert len([each for each in dev.of(kind) if each.type.startswith("kubernetes:")]) == 5, kind
        assert len(dev.of(":Service")) == 5
        assert len(dev.of("/v1:NetworkPolicy")) == 10

    def test_uses_both_clouds_with_spot_and_on_demand(self, dev: Any) -> None:
        rows = dev.outputs["models"]
        assert {row["cloud"] for row in rows} == {"aws", "gcp"}
        assert {row["capacity_type"] for row in rows} == {"spot", "on-demand"}

    def test_outputs_name_every_cluster_registry_and_bucket(self, dev: Any) -> None:
        outputs = dev.outputs
        assert set(outputs["clusters"]) == set(outputs["buckets"]) == {"dev-aws-us-east-1", "dev-gcp-us-central1"}
        assert len(outputs["registries"]) == 6
        assert outputs["addresses"]["dev-aws-us-east-1/assistant"] == "assistant.model-assistant.svc"
        assert outputs["usd_per_hour"].keys() == {"least", "most"}

    def test_objects_pass_the_published_schemas(self, dev: Any) -> None:
        objects = [each for each in dev.resources if each.type.startswith("kubernetes:") and each.custom]
        assert len(objects) > 40
        for each in objects:
            kubernetes_validate.validate(manifest(each), "1.35", strict=True)

    def test_a_pool_a_leg_and_a_system_pool_a_cluster(self, dev: Any) -> None:
        legs = {(row["cloud"], row["region"], leg["pool"]) for row in dev.outputs["models"] for leg in row["legs"]}
        groups = {each.name for each in dev.of(":NodeGroup")}
        assert groups == {f"dev-{cloud}-{region}-{pool}" for cloud, region, pool in legs if cloud == "aws"} | {
            "dev-aws-us-east-1-system"
        }
        assert len(dev.of(":NodePool")) == len([each for each in legs if each[0] == "gcp"]) + 1

    def test_logical_names_are_unique(self, dev: Any) -> None:
        counted = Counter(each.urn for each in dev.resources)
        assert [urn for urn, count in counted.items() if count > 1] == []

    def test_the_same_input_gives_the_same_resources(self, dev: Any) -> None:
        again = run_stack("dev")
        assert {each.urn: each.inputs for each in dev.resources} == {each.urn: each.inputs for each in again.resources}

    def test_every_resource_is_below_a_component_but_the_regions_and_the_network(self, dev: Any) -> None:
        top = {each.type for each in dev.resources if each.parent.endswith("::model-factory-dev")}
        assert top == {
            "model-factory:network:GcpNetwork",
            "model-factory:region:AwsRegion",
            "model-factory:region:GcpRegion",
        }

    def test_nothing_is_protected_and_all_can_be_taken_down(self, dev: Any) -> None:
        assert not any(each.protect for each in dev.resources)
        assert all(each.inputs["forceDestroy"] for each in dev.of(":Bucket"))
        assert not dev.one("container/cluster:Cluster").inputs["deletionProtection"]


class TestDevDigests:
    def test_each_digest_is_of_the_text_before_it(self) -> None:
        for model in load(ROOT / "Pulumi.dev.yaml", ROOT / "Pulumi.yaml").models:
            text, _, digest = model.image.partition("@sha256:")
            assert digest == hashlib.sha256(text.encode()).hexdigest(), model.name


class TestProdStack:
    def test_the_budget_of_the_stack_s_rules_is_exported_for_the_policy(self, prod: Any, dev: Any) -> None:
        assert prod.outputs["budget"] == {"usd_per_month": "30000", "basis": "peak"}
        assert "budget" not in dev.outputs

    def test_what_holds_state_is_protected(self, prod: Any) -> None:
        held = (
            "s3/bucket:Bucket",
            "storage/bucket:Bucket",
            "eks/cluster:Cluster",
            "container/cluster:Cluster",
            ":Key",
            ":Repository",
        )
        stateful = [each for kind in held for each in prod.of(kind)]
        assert stateful
        assert all(each.protect for each in stateful)
        assert {each.protect for each in prod.resources if each not in stateful} == {False}

    def test_clusters_are_written_to_and_not_rendered(self, prod: Any) -> None:
        providers = prod.of("pulumi:providers:kubernetes")
        assert len(providers) == 2
        for each in providers:
            assert "renderYamlToDirectory" not in each.inputs
            assert "exec" in each.inputs["kubeconfig"]


class TestStagingStack:
    def test_runs(self) -> None:
        assert len(run_stack("staging").of(":Deployment")) == 3


CONFIG = read_stack_file(ROOT / "Pulumi.dev.yaml").config


class TestPlanLock:
    """What an `up` by hand, with Pulumi's own CLI, does."""

    @pytest.fixture
    def root(self, tmp_path: Path) -> Path:
        root = project_in(tmp_path)
        shutil.copy(ROOT / "Pulumi.dev.yaml", root)
        return root

    def test_is_written_where_there_is_none(self, root: Path) -> None:
        first = run_config(CONFIG, "dev", root.parent)
        lock = root / "Pulumi.dev.plan.yaml"
        text, made = lock.read_text(), lock.stat().st_mtime_ns
        again = run_config(CONFIG, "dev", root.parent)
        assert (lock.read_text(), lock.stat().st_mtime_ns) == (text, made), "the plan made from it is the same"
        assert {each.urn: each.inputs for each in first.resources} == {
            each.urn: each.inputs for each in again.resources
        }

    def test_without_room_for_it_nothing_is_declared(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def never(*_: object) -> None:
            raise AssertionError

        def full(_: int) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr("model_factory.planning.placing.lock.os.fsync", full)
        monkeypatch.setattr("components.factory.build", never)
        with pytest.raises(pulumi.RunError, match=r"Pulumi\.dev\.plan\.yaml: cannot be written"):
            run_config(CONFIG, "dev", root.parent)
