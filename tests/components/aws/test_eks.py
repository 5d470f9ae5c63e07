from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from components.aws.eks import EksCluster, EksClusterArgs, eks_kubeconfig, key_statements
from components.aws.node_pool import EksNodePool, EksNodePoolArgs, ami_type
from components.kubernetes.nodes import model_pool_shape, system_pool_shape
from model_factory.planning.placing.plan import Pool
from model_factory.planning.settings.aws import AwsSettings

ARGS: EksClusterArgs = {
    "region": "us-east-1",
    "settings": AwsSettings(regions=("us-east-1",), log_retention_days=30),
    "vpc_subnet_ids": ["subnet-1", "subnet-2", "subnet-3"],
    "control_plane_security_group_id": "sg-1",
    "protect": False,
    "tags": {"team": "a"},
    "machine_tags": {"stack": "dev"},
    "tokens_are_local": False,
}
POOL = Pool("l4x1-spot", "aws", "us-east-1", "g6.xlarge", "l4", 1, "spot", max_nodes=4)


@pytest.fixture(scope="module")
def cluster(run: Any) -> Any:
    return run(lambda: EksCluster("dev-aws-us-east-1", ARGS))


@pytest.fixture(scope="module")
def pool(run: Any) -> Any:
    return run(
        lambda: EksNodePool(
            "pool",
            {
                "region": "us-east-1",
                "cluster_name": "cluster",
                "kubernetes_version": "1.35",
                "node_role_arn": "arn:role",
                "subnet_ids": ["subnet-1"],
                "shape": model_pool_shape(POOL, 2),
                "running": lambda _: None,
                "tags": {"team": "a"},
                "machine_tags": {"stack": "dev"},
            },
        )
    )


class TestControlPlane:
    def test_secrets_are_encrypted_with_a_key_that_rotates(self, cluster: Any) -> None:
        encryption = cluster.one("eks/cluster:Cluster").inputs["encryptionConfig"]
        assert encryption == {
            "provider": {"keyArn": "arn:aws:test:::dev-aws-us-east-1"},
            "resources": ["secrets"],
        }
        assert cluster.one(":Key").inputs["enableKeyRotation"]

    def test_logs_everything_into_a_group_that_exists_before_it(self, cluster: Any) -> None:
        eks, logs = cluster.one("eks/cluster:Cluster"), cluster.one(":LogGroup")
        assert len(eks.inputs["enabledClusterLogTypes"]) == 5
        assert logs.inputs["name"] == f"/aws/eks/{eks.inputs['name']}/cluster"
        assert logs.inputs["retentionInDays"] == 30
        assert logs.urn in eks.dependencies

    def test_is_private_unless_blocks_are_named(self, cluster: Any, run: Any) -> None:
        closed = cluster.one("eks/cluster:Cluster").inputs["vpcConfig"]
        assert (closed["endpointPrivateAccess"], closed["endpointPublicAccess"]) == (True, False)
        settings = AwsSettings(endpoint_public_access_cidrs=("203.0.113.0/24",))
        args: EksClusterArgs = {**ARGS, "settings": settings}
        opened = run(lambda: EksCluster("c", args)).one("eks/cluster:Cluster").inputs["vpcConfig"]
        assert (opened["endpointPublicAccess"], opened["publicAccessCidrs"]) == (True, ["203.0.113.0/24"])

    def test_access_is_by_entries_and_not_by_a_config_map(self, cluster: Any) -> None:
        assert cluster.one("eks/cluster:Cluster").inputs["accessConfig"]["authenticationMode"] == "API"

    def test_comes_after_the_policies_of_its_role(self, cluster: Any) -> None:
        attached = cluster.one(":RolePolicyAttachment", "dev-aws-us-east-1-cluster-AmazonEKSClusterPolicy")
        assert attached.urn in cluster.one("eks/cluster:Cluster").dependencies

    def test_protection_covers_cluster_and_key_and_nothing_that_is_replaced(self, run: Any) -> None:
        seen = run(lambda: EksCluster("c", {**ARGS, "protect": True}))
        assert {each.type.split(":")[-1] for each in seen.resources if each.protect} == {"Cluster", "Key"}


class TestAddons:
    def test_network_policies_are_enforced(self, cluster: Any) -> None:
        cni = cluster.one(":Addon", "dev-aws-us-east-1-vpc-cni").inputs
        assert json.loads(cni["configurationValues"]) == {"enableNetworkPolicy": "true"}

    def test_nodes_come_after_what_makes_them_ready(self, cluster: Any) -> None:
        group = cluster.one(":NodeGroup")
        for name in ("vpc-cni", "kube-proxy", "eks-pod-identity-agent"):
            assert cluster.one(":Addon", f"dev-aws-us-east-1-{name}").urn in cluster.waits_for(group)

    def test_what_runs_as_pods_comes_after_the_nodes(self, cluster: Any) -> None:
        group = cluster.one(":NodeGroup")
        for name in ("coredns", "metrics-server", "aws-mountpoint-s3-csi-driver"):
            assert group.urn in cluster.waits_for(cluster.one(":Addon", f"dev-aws-us-east-1-{name}"))

    def test_node_repair_comes_with_the_agent_that_sees_what_is_broken(self, cluster: Any) -> None:
        assert cluster.one(":NodeGroup").inputs["nodeRepairConfig"] == {"enabled": True}
        assert cluster.one(":Addon", "dev-aws-us-east-1-eks-node-monitoring-agent")


class TestKubernetesVersion:
    def test_is_that_of_the_stack_for_control_plane_addons_and_nodes(self, run: Any) -> None:
        seen = run(lambda: EksCluster("c", {**ARGS, "settings": AwsSettings(kubernetes_version="1.34")}))
        assert seen.one("eks/cluster:Cluster").inputs["version"] == "1.34"
        assert seen.one(":NodeGroup").inputs["version"] == "1.34"
        assert {addon.inputs["addonVersion"] for addon in seen.of(":Addon")} == {"of 1.34"}

    def test_reaches_no_node_or_addon_before_the_control_plane(self, cluster: Any) -> None:
        control_plane = cluster.one("eks/cluster:Cluster").urn
        for each in (cluster.one(":NodeGroup"), *cluster.of(":Addon")):
            assert control_plane in cluster.waits_for(each)


class TestNodes:
    def test_metadata_asks_for_a_token_and_stops_at_the_node(self, pool: Any) -> None:
        options = pool.one(":LaunchTemplate").inputs["metadataOptions"]
        assert (options["httpTokens"], options["httpPutResponseHopLimit"]) == ("required", 1)

    def test_disks_are_encrypted(self, pool: Any) -> None:
        (disk,) = pool.one(":LaunchTemplate").inputs["blockDeviceMappings"]
        assert disk["ebs"]["encrypted"] == "true"

    def test_a_changed_label_replaces_no_node(self, pool: Any, cluster: Any) -> None:
        for template in (*pool.of(":LaunchTemplate"), *cluster.of(":LaunchTemplate")):
            for made in template.inputs["tagSpecifications"]:
                assert made["tags"] == {"stack": "dev", "Name": template.name}
            assert template.inputs["tags"]["team"] == "a"

    def test_the_autoscaler_owns_the_size(self, pool: Any) -> None:
        group = pool.one(":NodeGroup")
        assert group.ignore_changes == ("scalingConfig.desiredSize",)
        assert group.inputs["scalingConfig"] == {"minSize": 0, "maxSize": 4, "desiredSize": 2}

    def test_the_new_group_can_stand_beside_the_old_one(self, pool: Any) -> None:
        inputs = pool.one(":NodeGroup").inputs
        assert "nodeGroupName" not in inputs
        assert "nodeGroupNamePrefix" not in inputs

    def test_a_long_name_leaves_room_for_that_of_the_group(self, run: Any) -> None:
        args: EksNodePoolArgs = {
            "region": "us-east-1",
            "cluster_name": "cluster",
            "kubernetes_version": "1.35",
            "node_role_arn": "arn:role",
            "subnet_ids": ["subnet-1"],
            "shape": model_pool_shape(POOL, 0),
            "running": None,
            "tags": {},
            "machine_tags": {},
        }
        name = "dev-aws-us-east-1-l4x1-reserved-g6-xlarge-cr-0123456789abcdef0"
        group = run(lambda: EksNodePool(name, args)).one(":NodeGroup")
        assert len(f"{group.name}-0123456") <= 63

    @pytest.mark.parametrize(
        ("machine_type", "image"), [("m7i.large", "BOTTLEROCKET_x86_64"), ("m7g.large", "BOTTLEROCKET_ARM_64")]
    )
    def test_the_image_is_for_the_processors_of_the_machine(self, machine_type: str, image: str) -> None:
        assert ami_type(system_pool_shape(machine_type, 2)) == image
        assert ami_type(model_pool_shape(replace(POOL, machine_type=machine_type), 0)) == f"{image}_NVIDIA"

    @pytest.mark.parametrize(
        ("machine_type", "image"), [("m7i.large", "BOTTLEROCKET_x86_64"), ("m7g.large", "BOTTLEROCKET_ARM_64")]
    )
    def test_a_pool_of_models_without_gpus_has_no_drivers(self, machine_type: str, image: str) -> None:
        pool = replace(POOL, machine_type=machine_type, accelerator="", accelerator_count=0)
        assert ami_type(model_pool_shape(pool, 0)) == image

    def test_gpu_pool_repels_cpu_pods(self, pool: Any) -> None:
        inputs = pool.one(":NodeGroup").inputs
        assert inputs["taints"] == [{"key": "nvidia.com/gpu", "value": "present", "effect": "NO_SCHEDULE"}]
        assert inputs["labels"]["model-factory/pool"] == "l4x1-spot"
        assert (inputs["capacityType"], inputs["instanceTypes"]) == ("SPOT", ["g6.xlarge"])
        assert inputs["amiType"] == "BOTTLEROCKET_x86_64_NVIDIA"


class TestKubeconfig:
    def test_holds_no_secret_and_asks_for_a_token(self) -> None:
        config = json.loads(eks_kubeconfig("c", "https://c", "Q0E=", region="us-east-1"))
        (user,) = config["users"]
        assert set(user["user"]) == {"exec"}
        assert user["user"]["exec"]["args"][-4:] == ["--cluster-name", "c", "--region", "us-east-1"]

    def test_of_a_local_cloud_asks_the_factory_itself(self) -> None:
        config = json.loads(eks_kubeconfig("c", "https://c", "Q0E=", region="us-east-1", tokens_are_local=True))
        command = config["users"][0]["user"]["exec"]
        assert [command["command"], *command["args"][:2]] == ["factory", "cluster-token", "aws"]


class TestKeyPolicy:
    def test_logs_may_use_the_key_for_eks_groups_only(self) -> None:
        logs = key_statements("aws", "123456789012", "us-east-1")[1]
        assert logs["Principal"] == {"Service": "logs.us-east-1.amazonaws.com"}
        assert "log-group:/aws/eks/*" in json.dumps(logs["Condition"])
