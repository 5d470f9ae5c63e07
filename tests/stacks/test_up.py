"""One `up` from nothing, seen from outside: through the clouds' own clients and the rendered files, not through our state."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.stacks.harness import LocalStack

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    """The dev stack after its first `up`. Tests of this module look and change nothing."""
    made = LocalStack(tmp_path_factory.mktemp("up"))
    made.factory("up", "--yes")
    yield made
    made.close()


@pytest.fixture(scope="module")
def outputs(up: LocalStack) -> dict[str, Any]:
    return up.factory("stack", "output", "--json").json


def rows_of(outputs: dict[str, Any], cloud: str) -> list[dict[str, Any]]:
    return [row for row in outputs["models"] if row["cloud"] == cloud]


class TestPlan:
    def test_both_clouds_and_both_kinds_of_capacity_are_in_use(self, outputs: dict[str, Any]) -> None:
        assert {row["cloud"] for row in outputs["models"]} == {"aws", "gcp"}
        assert {row["capacity_type"] for row in outputs["models"]} == {"spot", "on-demand"}


class TestAws:
    def test_the_cluster_is_active(self, up: LocalStack, outputs: dict[str, Any]) -> None:
        eks = up.aws("eks")
        (name,) = eks.list_clusters()["clusters"]
        cluster = eks.describe_cluster(name=name)["cluster"]
        assert cluster["status"] == "ACTIVE"
        assert cluster["endpoint"] == outputs["clusters"]["dev-aws-us-east-1"]
        assert cluster["encryptionConfig"][0]["resources"] == ["secrets"]

    def test_each_leg_has_an_active_node_group_of_its_machine_type(
        self, up: LocalStack, outputs: dict[str, Any]
    ) -> None:
        eks = up.aws("eks")
        (cluster,) = eks.list_clusters()["clusters"]
        groups = [
            eks.describe_nodegroup(clusterName=cluster, nodegroupName=name)["nodegroup"]
            for name in eks.list_nodegroups(clusterName=cluster)["nodegroups"]
        ]
        assert {group["status"] for group in groups} == {"ACTIVE"}
        planned = {
            (leg["machine_type"], "SPOT" if leg["capacity_type"] == "spot" else "ON_DEMAND")
            for row in rows_of(outputs, "aws")
            for leg in row["legs"]
        }
        gpu = {(group["instanceTypes"][0], group["capacityType"]) for group in groups if group.get("taints")}
        assert gpu == planned

    def test_the_network_spans_three_zones_with_a_public_and_a_private_subnet_each(self, up: LocalStack) -> None:
        ec2 = up.aws("ec2")
        (vpc,) = ec2.describe_vpcs(Filters=[{"Name": "is-default", "Values": ["false"]}])["Vpcs"]
        subnets = ec2.describe_subnets(Filters=[{"Name": "vpc-id", "Values": [vpc["VpcId"]]}])["Subnets"]
        by_zone: dict[str, set[bool]] = {}
        for subnet in subnets:
            by_zone.setdefault(subnet["AvailabilityZone"], set()).add(subnet["MapPublicIpOnLaunch"])
        assert len(by_zone) == 3
        assert all(kinds == {True, False} for kinds in by_zone.values()) or len(subnets) == 6

    def test_each_model_has_a_scanned_and_immutable_repository(self, up: LocalStack, outputs: dict[str, Any]) -> None:
        repositories = up.aws("ecr").describe_repositories()["repositories"]
        listed = {url for name, url in outputs["registries"].items() if name.startswith("dev-aws")}
        assert {repository["repositoryUri"] for repository in repositories} == listed
        assert len(repositories) >= 4
        assert all(repository["imageTagMutability"].startswith("IMMUTABLE") for repository in repositories)
        assert all(repository["imageScanningConfiguration"]["scanOnPush"] for repository in repositories)

    def test_the_bucket_is_private_encrypted_and_versioned(self, up: LocalStack, outputs: dict[str, Any]) -> None:
        s3 = up.aws("s3")
        bucket = outputs["buckets"]["dev-aws-us-east-1"]
        assert [each["Name"] for each in s3.list_buckets()["Buckets"]] == [bucket]
        assert s3.get_bucket_versioning(Bucket=bucket)["Status"] == "Enabled"
        assert all(s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"].values())
        (rule,) = s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"]
        assert rule["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"] in {"AES256", "aws:kms"}


class TestGcp:
    def test_the_cluster_runs(self, up: LocalStack, outputs: dict[str, Any]) -> None:
        listed = (
            up.gcp("container", "v1")
            .projects()
            .locations()
            .clusters()
            .list(parent="projects/model-factory-dev/locations/-")
            .execute()
        )
        (cluster,) = listed["clusters"]
        assert cluster["status"] == "RUNNING"
        assert cluster["endpoint"] in outputs["clusters"]["dev-gcp-us-central1"]
        assert cluster["privateClusterConfig"]["enablePrivateNodes"]

    def test_each_leg_has_a_running_pool_of_its_machine_type(self, up: LocalStack, outputs: dict[str, Any]) -> None:
        container = up.gcp("container", "v1")
        listed = (
            container.projects().locations().clusters().list(parent="projects/model-factory-dev/locations/-").execute()
        )
        pools = listed["clusters"][0]["nodePools"]
        assert {pool["status"] for pool in pools} == {"RUNNING"}
        planned = {
            (leg["machine_type"], leg["capacity_type"] == "spot")
            for row in rows_of(outputs, "gcp")
            for leg in row["legs"]
        }
        gpu = {
            (pool["config"]["machineType"], bool(pool["config"].get("spot")))
            for pool in pools
            if pool["config"].get("taints")
        }
        assert gpu == planned

    def test_a_docker_repository_stands(self, up: LocalStack) -> None:
        client = up.gcp("artifactregistry", "v1")
        parent = "projects/model-factory-dev/locations/us-central1"
        (repository,) = client.projects().locations().repositories().list(parent=parent).execute()["repositories"]
        assert repository["format"] == "DOCKER"

    def test_the_bucket_is_private_and_versioned(self, up: LocalStack, outputs: dict[str, Any]) -> None:
        (bucket,) = up.gcp("storage", "v1").buckets().list(project="model-factory-dev").execute()["items"]
        assert bucket["name"] == outputs["buckets"]["dev-gcp-us-central1"]
        assert bucket["versioning"]["enabled"]
        assert bucket["iamConfiguration"]["uniformBucketLevelAccess"]["enabled"]
        assert bucket["iamConfiguration"]["publicAccessPrevention"] == "enforced"


class TestClusters:
    def test_each_model_has_its_objects_in_the_cluster_it_was_placed_in(
        self, up: LocalStack, outputs: dict[str, Any]
    ) -> None:
        clusters = up.rendered()
        for row in outputs["models"]:
            objects = clusters[f"dev-{row['cloud']}-{row['region']}"]
            kinds = {
                kind
                for (kind, _), item in objects.items()
                if item["metadata"].get("namespace") == f"model-{row['model']}"
            }
            assert kinds >= {
                "ServiceAccount", "Deployment", "Service", "HorizontalPodAutoscaler", "PodDisruptionBudget", "NetworkPolicy",
            }  # fmt: skip

    def test_every_model_asks_for_gpus_and_meets_the_restricted_standard(self, up: LocalStack) -> None:
        deployments = [
            item for objects in up.rendered().values() for (kind, _), item in objects.items() if kind == "Deployment"
        ]
        assert len(deployments) >= 4
        for deployment in deployments:
            pod = deployment["spec"]["template"]["spec"]
            assert pod["securityContext"]["runAsNonRoot"]
            assert "nodeSelector" in pod or "nodeAffinity" in pod["affinity"]
            assert any(toleration["key"] == "nvidia.com/gpu" for toleration in pod["tolerations"])
            server = pod["containers"][0]
            assert int(server["resources"]["limits"]["nvidia.com/gpu"]) >= 1
            assert "@sha256:" in server["image"]
            assert server["securityContext"]["capabilities"]["drop"] == ["ALL"]
            assert server["readinessProbe"]
            assert "replicas" not in deployment["spec"]


class TestAgain:
    def test_a_second_up_changes_nothing(self, up: LocalStack) -> None:
        before = up.held()
        ended = up.factory("up", "--yes", "--json").json
        assert set(ended["changeSummary"]) == {"same"}
        assert up.held() == before

    def test_a_preview_lists_no_step_but_the_unchanged_stack(self, up: LocalStack) -> None:
        digest = up.factory("preview", "--json").json
        assert [step["op"] for step in digest["steps"]] == ["same"]

    def test_a_refresh_finds_no_drift(self, up: LocalStack) -> None:
        ended = up.factory("refresh", "--yes", "--json").json
        assert set(ended["changeSummary"]) == {"same"}


class TestDown:
    def test_leaves_nothing_in_any_cloud(self, stack: LocalStack) -> None:
        stack.factory("clouds", "start")
        empty = stack.held()
        stack.factory("up", "--yes")
        full = stack.held()
        assert full != empty
        file = stack.root / "destroy.md"
        told = stack.factory("destroy", "--preview-only", "--json", "--markdown", str(file)).json
        assert stack.held() == full
        assert set(told["changeSummary"]) == {"delete"}
        assert {each["restarts"] for each in told["modelChanges"]} == {"stops"}
        comment = file.read_text(encoding="utf-8")
        assert "Data is lost: all its objects" in comment
        assert "then $0/hour" in comment
        stack.factory("destroy", "--yes")
        assert stack.held() == empty
