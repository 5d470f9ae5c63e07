"""EKS managed node groups, seen with boto3."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError


def code(error: pytest.ExceptionInfo[ClientError]) -> str:
    return error.value.response["Error"]["Code"]


@pytest.fixture
def aws(aws: Any) -> Any:
    aws.cluster(version="1.35", accessConfig={"authenticationMode": "API"})
    return aws


def template(aws: Any, name: str = "gpu", **data: Any) -> str:
    data = data or {"MetadataOptions": {"HttpTokens": "required", "HttpPutResponseHopLimit": 1}}
    answer = aws.ec2.create_launch_template(LaunchTemplateName=name, LaunchTemplateData=data)
    return answer["LaunchTemplate"]["LaunchTemplateId"]


class TestNodegroupLife:
    def test_states_take_time_and_end_where_they_should(self, aws: Any) -> None:
        assert aws.nodegroup(wait=False)["status"] == "CREATING"
        group = aws.wait_nodegroup()
        assert group["version"] == "1.35"
        assert group["instanceTypes"] == ["g6.xlarge"]
        assert group["resources"]["autoScalingGroups"][0]["name"].startswith("eks-gpu-")
        assert group["updateConfig"] == {"maxUnavailable": 1}
        deleted = aws.eks.delete_nodegroup(clusterName="models", nodegroupName="gpu")["nodegroup"]
        assert deleted["status"] == "DELETING"
        with pytest.raises(ClientError) as error:
            aws.wait_nodegroup(status="GONE")
        assert code(error) == "ResourceNotFoundException"
        assert aws.eks.list_nodegroups(clusterName="models")["nodegroups"] == []

    def test_a_group_with_a_launch_template_follows_its_version(self, aws: Any) -> None:
        id_ = template(aws)
        group = aws.nodegroup(launchTemplate={"id": id_, "version": "1"}, capacityType="SPOT")
        assert group["launchTemplate"] == {"id": id_, "name": "gpu", "version": "1"}
        assert group["capacityType"] == "SPOT"
        assert "diskSize" not in group
        aws.ec2.create_launch_template_version(LaunchTemplateId=id_, LaunchTemplateData={"EbsOptimized": True})
        update = aws.eks.update_nodegroup_version(
            clusterName="models", nodegroupName="gpu", launchTemplate={"id": id_, "version": "2"}
        )["update"]
        assert update["type"] == "VersionUpdate"
        assert aws.wait_nodegroup()["launchTemplate"]["version"] == "2"

    def test_a_nodes_role_is_let_in_and_out_again(self, aws: Any) -> None:
        role = aws.nodegroup()["nodeRole"]
        entry = aws.eks.describe_access_entry(clusterName="models", principalArn=role)["accessEntry"]
        assert entry["type"] == "EC2_LINUX"
        assert entry["kubernetesGroups"] == ["system:nodes"]
        aws.eks.delete_nodegroup(clusterName="models", nodegroupName="gpu")
        with pytest.raises(ClientError):
            aws.wait_nodegroup(status="GONE")
        assert role not in aws.eks.list_access_entries(clusterName="models")["accessEntries"]


class TestNodegroupReferences:
    @pytest.mark.parametrize(
        ("wrong", "said"),
        [
            ({"instanceTypes": ["g99.xlarge"]}, "do not exist: [g99.xlarge]"),
            ({"nodeRole": "arn:aws:iam::123456789012:role/nobody"}, "could not be assumed"),
            ({"subnets": ["subnet-1"]}, "subnet-1"),
            ({"version": "1.36"}, "at most that of the cluster"),
            ({"version": "1.31"}, "minor versions behind"),
            ({"scalingConfig": {"minSize": 2, "maxSize": 3, "desiredSize": 1}}, "Minimum capacity 2"),
            ({"scalingConfig": {"minSize": 0, "maxSize": 3, "desiredSize": 4}}, "desired capacity 4"),
            ({"launchTemplate": {"id": "lt-1", "version": "1"}}, "lt-1"),
            ({"amiType": "AL2_x86_64_GPU"}, "not supported"),
            ({"amiType": "AL2023_ARM_64_STANDARD"}, "not a valid instance type"),
            (
                {"instanceTypes": ["m7i.large"], "amiType": "AL2023_x86_64_NVIDIA"},
                "not a valid instance type",
            ),
            ({"capacityType": "LEFTOVER"}, "LEFTOVER"),
            ({"taints": [{"key": "a", "value": "b", "effect": "REPEL"}]}, "REPEL"),
            ({"updateConfig": {"maxUnavailable": 1, "maxUnavailablePercentage": 10}}, "exactly one"),
        ],
    )
    def test_what_does_not_exist_or_fit_is_refused(self, aws: Any, wrong: dict[str, Any], said: str) -> None:
        with pytest.raises(ClientError) as error:
            aws.nodegroup(**wrong)
        assert code(error) == "InvalidParameterException"
        assert said in str(error.value)
        assert aws.eks.list_nodegroups(clusterName="models")["nodegroups"] == []

    def test_an_instance_type_of_another_region_is_refused(self, aws: Any) -> None:
        _, subnets = aws.network("eu-west-1")
        eks = aws.client("eks", "eu-west-1")
        role = aws.role("eks.amazonaws.com", "other")
        eks.create_cluster(name="m", roleArn=role, resourcesVpcConfig={"subnetIds": subnets})
        aws.wait(lambda: eks.describe_cluster(name="m")["cluster"], "ACTIVE")
        node_role = aws.role("ec2.amazonaws.com")
        with pytest.raises(ClientError, match=r"do not exist: \[p6-b200\.48xlarge\]"):
            eks.create_nodegroup(
                clusterName="m",
                nodegroupName="n",
                subnets=subnets,
                nodeRole=node_role,
                instanceTypes=["p6-b200.48xlarge"],
            )

    def test_a_launch_template_version_that_is_not_there_is_refused(self, aws: Any) -> None:
        with pytest.raises(ClientError, match="version 7 not found"):
            aws.nodegroup(launchTemplate={"id": template(aws), "version": "7"})

    def test_what_the_launch_template_says_is_not_said_twice(self, aws: Any) -> None:
        id_ = template(aws, InstanceType="g6.xlarge")
        with pytest.raises(ClientError, match="both on the node group"):
            aws.nodegroup(launchTemplate={"id": id_, "version": "1"})
        with pytest.raises(ClientError, match="diskSize must be set in the launch template"):
            aws.nodegroup(
                launchTemplate={"id": template(aws, "other"), "version": "1"},
                diskSize=100,
                nodeRole="arn:aws:iam::123456789012:role/ec2",
            )

    def test_a_cluster_that_is_not_ready_takes_no_node_group(self, aws: Any) -> None:
        aws.control("PUT", "transition", {"seconds": 30})
        role = aws.role("eks.amazonaws.com", "second")
        network = aws.eks.describe_cluster(name="models")["cluster"]["resourcesVpcConfig"]
        aws.eks.create_cluster(name="second", roleArn=role, resourcesVpcConfig={"subnetIds": network["subnetIds"]})
        with pytest.raises(ClientError, match="not in ACTIVE status") as error:
            aws.nodegroup("second", wait=False)
        assert code(error) == "InvalidRequestException"

    def test_a_name_is_taken_once(self, aws: Any) -> None:
        role = aws.nodegroup()["nodeRole"]
        with pytest.raises(ClientError) as error:
            aws.nodegroup(nodeRole=role)
        assert code(error) == "ResourceInUseException"


class TestNodegroupUpdates:
    def test_labels_taints_and_sizes_change_in_place(self, aws: Any) -> None:
        taint = {"key": "nvidia.com/gpu", "value": "true", "effect": "NO_SCHEDULE"}
        aws.nodegroup(labels={"a": "1", "b": "2"}, taints=[taint])
        update = aws.eks.update_nodegroup_config(
            clusterName="models",
            nodegroupName="gpu",
            labels={"addOrUpdateLabels": {"a": "3"}, "removeLabels": ["b"]},
            taints={"removeTaints": [taint]},
            scalingConfig={"minSize": 1, "maxSize": 5, "desiredSize": 2},
            updateConfig={"maxUnavailablePercentage": 50},
        )["update"]
        assert update["type"] == "ConfigUpdate"
        group = aws.wait_nodegroup()
        assert group["labels"] == {"a": "3"}
        assert group["taints"] == []
        assert group["scalingConfig"] == {"minSize": 1, "maxSize": 5, "desiredSize": 2}
        assert group["updateConfig"] == {"maxUnavailablePercentage": 50}
        found = aws.eks.describe_update(name="models", nodegroupName="gpu", updateId=update["id"])["update"]
        assert found["status"] == "Successful"

    def test_a_size_that_contradicts_the_others_is_refused(self, aws: Any) -> None:
        aws.nodegroup()
        with pytest.raises(ClientError, match="Minimum capacity 2"):
            aws.eks.update_nodegroup_config(clusterName="models", nodegroupName="gpu", scalingConfig={"minSize": 2})

    def test_one_update_at_a_time(self, aws: Any) -> None:
        aws.nodegroup()
        aws.control("PUT", "transition", {"seconds": 30})
        change = {"clusterName": "models", "nodegroupName": "gpu", "scalingConfig": {"maxSize": 9}}
        aws.eks.update_nodegroup_config(**change)
        with pytest.raises(ClientError) as error:
            aws.eks.update_nodegroup_config(**change)
        assert code(error) == "ResourceInUseException"

    def test_nodes_follow_the_control_plane(self, aws: Any) -> None:
        aws.nodegroup(version="1.34")
        aws.eks.update_nodegroup_version(clusterName="models", nodegroupName="gpu", version="1.35")
        assert aws.wait_nodegroup()["version"] == "1.35"
        with pytest.raises(ClientError, match=r"cannot go from 1\.35 down to 1\.34"):
            aws.eks.update_nodegroup_version(clusterName="models", nodegroupName="gpu", version="1.34")


class TestCapacity:
    def test_no_capacity_fails_the_group_with_the_reason(self, aws: Any) -> None:
        seed = {"region": "us-east-1", "instanceType": "g6.xlarge", "capacityType": "SPOT", "available": 0}
        aws.control("POST", "seed", {"capacity": [seed]})
        aws.nodegroup(capacityType="SPOT", wait=False)
        group = aws.wait_nodegroup(status="CREATE_FAILED")
        (issue,) = group["health"]["issues"]
        assert issue["code"] == "AsgInstanceLaunchFailures"
        assert "InsufficientInstanceCapacity" in issue["message"]
        assert "g6.xlarge" in issue["message"]

    def test_the_other_capacity_type_a_second_type_or_no_node_at_all_is_not_hindered(self, aws: Any) -> None:
        seed = {"region": "us-east-1", "instanceType": "g6.xlarge", "capacityType": "SPOT", "available": 0}
        aws.control("POST", "seed", {"capacity": [seed]})
        role = aws.nodegroup(name="on-demand")["nodeRole"]
        aws.nodegroup(name="two", nodeRole=role, capacityType="SPOT", instanceTypes=["g6.xlarge", "g5.xlarge"])
        none = {"minSize": 0, "maxSize": 3, "desiredSize": 0}
        aws.nodegroup(name="none", nodeRole=role, capacityType="SPOT", scalingConfig=none)

    @pytest.mark.parametrize(
        ("seed", "said"),
        [
            ({"capacity": [{"region": "us-east-1"}]}, "available"),
            ({"capacity": [{"region": "r", "instanceType": "t", "available": -1}]}, "-1"),
            ({"capacities": []}, "capacities"),
            (
                {"lostNodes": [{"region": "us-east-1", "cluster": "models", "nodegroup": "none"}]},
                "models/none",
            ),
        ],
    )
    def test_a_wrong_seed_is_refused_by_name(self, aws: Any, seed: Any, said: str) -> None:
        with pytest.raises(Exception, match=said):
            aws.control("POST", "seed", seed)

    def test_a_lost_node_degrades_its_group(self, aws: Any) -> None:
        aws.nodegroup()
        lost = {"region": "us-east-1", "cluster": "models", "nodegroup": "gpu"}
        aws.control("POST", "seed", {"lostNodes": [lost]})
        group = aws.eks.describe_nodegroup(clusterName="models", nodegroupName="gpu")["nodegroup"]
        assert group["status"] == "DEGRADED"
        assert group["health"]["issues"][0]["code"] == "NodeCreationFailure"
