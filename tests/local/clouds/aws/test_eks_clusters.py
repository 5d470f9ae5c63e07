"""EKS clusters, seen with boto3."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from botocore.exceptions import ClientError
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec


def code(error: pytest.ExceptionInfo[ClientError]) -> str:
    return error.value.response["Error"]["Code"]


class TestClusterLife:
    def test_states_take_time_and_end_where_they_should(self, aws: Any) -> None:
        assert aws.cluster(wait=False)["status"] == "CREATING"
        cluster = aws.wait_cluster()
        assert aws.eks.list_clusters()["clusters"] == ["models"]
        assert aws.eks.delete_cluster(name="models")["cluster"]["status"] == "DELETING"
        aws.control("PUT", "transition", {"seconds": 0})
        with pytest.raises(ClientError) as error:
            aws.wait(lambda: aws.eks.describe_cluster(name="models")["cluster"], "GONE")
        assert code(error) == "ResourceNotFoundException"
        groups = aws.ec2.describe_security_groups()["SecurityGroups"]
        assert cluster["resourcesVpcConfig"]["clusterSecurityGroupId"] not in {group["GroupId"] for group in groups}

    def test_the_waiter_of_boto3_is_satisfied(self, aws: Any) -> None:
        aws.cluster(wait=False)
        aws.eks.get_waiter("cluster_active").wait(name="models", WaiterConfig={"Delay": 1, "MaxAttempts": 5})

    def test_endpoint_issuer_and_authority_appear_when_active(self, aws: Any) -> None:
        assert "endpoint" not in aws.cluster(wait=False)
        cluster = aws.wait_cluster()
        assert cluster["endpoint"].startswith("https://")
        assert cluster["identity"]["oidc"]["issuer"].startswith("https://oidc.eks.us-east-1.amazonaws.com/id/")
        pem = base64.b64decode(cluster["certificateAuthority"]["data"])
        certificate = x509.load_pem_x509_certificate(pem)
        key = certificate.public_key()
        assert isinstance(key, ec.EllipticCurvePublicKey)
        certificate.verify_directly_issued_by(certificate)
        assert certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca

    def test_the_cluster_security_group_lets_its_members_reach_each_other(self, aws: Any) -> None:
        cluster = aws.cluster()
        id_ = cluster["resourcesVpcConfig"]["clusterSecurityGroupId"]
        (group,) = aws.ec2.describe_security_groups(GroupIds=[id_])["SecurityGroups"]
        assert group["VpcId"] == cluster["resourcesVpcConfig"]["vpcId"]
        assert group["IpPermissions"][0]["UserIdGroupPairs"][0]["GroupId"] == id_
        assert {"Key": "aws:eks:cluster-name", "Value": "models"} in group["Tags"]

    def test_the_same_token_twice_makes_one_cluster(self, aws: Any) -> None:
        _, subnets = aws.network()
        request = {
            "name": "models",
            "roleArn": aws.role("eks.amazonaws.com"),
            "resourcesVpcConfig": {"subnetIds": subnets},
            "clientRequestToken": "once",
        }
        first = aws.eks.create_cluster(**request)["cluster"]
        assert aws.eks.create_cluster(**request)["cluster"]["createdAt"] == first["createdAt"]
        with pytest.raises(ClientError) as error:
            aws.eks.create_cluster(**(request | {"clientRequestToken": "twice"}))
        assert code(error) == "ResourceInUseException"

    def test_regions_are_apart(self, aws: Any) -> None:
        aws.cluster()
        assert aws.client("eks", "eu-west-1").list_clusters()["clusters"] == []

    def test_what_is_asked_is_what_is_described(self, aws: Any) -> None:
        key = aws.kms.create_key()["KeyMetadata"]["Arn"]
        vpc, subnets = aws.network()
        group = aws.ec2.create_security_group(GroupName="g", Description="d", VpcId=vpc)["GroupId"]
        cluster = aws.cluster(
            version="1.35",
            resourcesVpcConfig={
                "subnetIds": subnets,
                "securityGroupIds": [group],
                "endpointPrivateAccess": True,
                "publicAccessCidrs": ["203.0.113.0/24"],
            },
            kubernetesNetworkConfig={"serviceIpv4Cidr": "172.30.0.0/16"},
            accessConfig={"authenticationMode": "API", "bootstrapClusterCreatorAdminPermissions": False},
            encryptionConfig=[{"resources": ["secrets"], "provider": {"keyArn": key}}],
            logging={"clusterLogging": [{"types": ["api", "audit"], "enabled": True}]},
            upgradePolicy={"supportType": "STANDARD"},
            tags={"team": "serving"},
        )
        assert cluster["version"] == "1.35"
        assert cluster["resourcesVpcConfig"]["securityGroupIds"] == [group]
        assert cluster["resourcesVpcConfig"]["vpcId"] == vpc
        assert cluster["resourcesVpcConfig"]["publicAccessCidrs"] == ["203.0.113.0/24"]
        assert cluster["kubernetesNetworkConfig"]["serviceIpv4Cidr"] == "172.30.0.0/16"
        assert cluster["accessConfig"] == {
            "authenticationMode": "API",
            "bootstrapClusterCreatorAdminPermissions": False,
        }
        assert cluster["encryptionConfig"][0]["provider"]["keyArn"] == key
        assert {"types": ["api", "audit"], "enabled": True} in cluster["logging"]["clusterLogging"]
        assert cluster["upgradePolicy"] == {"supportType": "STANDARD"}
        assert cluster["tags"] == {"team": "serving"}
        assert aws.eks.list_access_entries(clusterName="models")["accessEntries"] == []


class TestClusterReferences:
    @pytest.mark.parametrize(
        ("wrong", "said"),
        [
            ({"roleArn": "arn:aws:iam::123456789012:role/nobody"}, "could not be assumed"),
            ({"resourcesVpcConfig": {"subnetIds": ["subnet-1", "subnet-2"]}}, "subnet-1"),
            ({"version": "1.12"}, "unsupported Kubernetes version 1.12"),
            ({"version": "1.29"}, "unsupported Kubernetes version 1.29"),
            ({"name": "-models"}, "name"),
            ({"kubernetesNetworkConfig": {"serviceIpv4Cidr": "8.8.0.0/16"}}, "private network"),
            ({"kubernetesNetworkConfig": {"serviceIpv4Cidr": "10.0.0.0/16"}}, "overlaps"),
            (
                {
                    "encryptionConfig": [
                        {"resources": ["secrets"], "provider": {"keyArn": "arn:aws:kms:us-east-1:1:key/x"}}
                    ]
                },
                "not found",
            ),
            ({"logging": {"clusterLogging": [{"types": ["everything"], "enabled": True}]}}, "everything"),
            ({"tags": {"aws:x": "y"}}, "aws:"),
        ],
    )
    def test_what_does_not_exist_or_fit_is_refused(self, aws: Any, wrong: dict[str, Any], said: str) -> None:
        with pytest.raises(ClientError) as error:
            aws.cluster(**wrong)
        assert code(error) == "InvalidParameterException"
        assert said in str(error.value)
        assert aws.eks.list_clusters()["clusters"] == []

    def test_a_role_that_trusts_another_service_is_refused(self, aws: Any) -> None:
        with pytest.raises(ClientError, match=r"eks\.amazonaws\.com"):
            aws.cluster(roleArn=aws.role("ec2.amazonaws.com"))

    def test_subnets_of_one_zone_are_refused(self, aws: Any) -> None:
        _, subnets = aws.network()
        with pytest.raises(ClientError, match="two different AZs"):
            aws.cluster(resourcesVpcConfig={"subnetIds": subnets[:1]})

    def test_subnets_of_two_networks_are_refused(self, aws: Any) -> None:
        subnets = [*aws.network()[1][:1], *aws.network(cidr="10.1.0.0/16")[1][1:]]
        with pytest.raises(ClientError, match="same VPC"):
            aws.cluster(resourcesVpcConfig={"subnetIds": subnets})

    def test_a_security_group_of_another_network_is_refused(self, aws: Any) -> None:
        other, _ = aws.network(cidr="10.1.0.0/16")
        group = aws.ec2.create_security_group(GroupName="g", Description="d", VpcId=other)["GroupId"]
        _, subnets = aws.network()
        with pytest.raises(ClientError, match="not in the same VPC"):
            aws.cluster(resourcesVpcConfig={"subnetIds": subnets, "securityGroupIds": [group]})

    def test_an_endpoint_nobody_can_reach_is_refused(self, aws: Any) -> None:
        _, subnets = aws.network()
        config = {"subnetIds": subnets, "endpointPublicAccess": False, "endpointPrivateAccess": False}
        with pytest.raises(ClientError, match="cannot be false"):
            aws.cluster(resourcesVpcConfig=config)


class TestClusterUse:
    def test_a_cluster_with_node_groups_is_not_deleted(self, aws: Any) -> None:
        aws.cluster()
        aws.nodegroup()
        with pytest.raises(ClientError, match="nodegroups attached") as error:
            aws.eks.delete_cluster(name="models")
        assert code(error) == "ResourceInUseException"

    def test_a_cluster_that_is_being_made_is_not_deleted(self, aws: Any) -> None:
        aws.control("PUT", "transition", {"seconds": 30})
        aws.cluster(wait=False)
        with pytest.raises(ClientError) as error:
            aws.eks.delete_cluster(name="models")
        assert code(error) == "ResourceInUseException"

    def test_a_protected_cluster_is_not_deleted(self, aws: Any) -> None:
        aws.cluster(deletionProtection=True)
        with pytest.raises(ClientError, match="deletion protection"):
            aws.eks.delete_cluster(name="models")
        aws.eks.update_cluster_config(name="models", deletionProtection=False)
        aws.wait_cluster()
        assert aws.eks.delete_cluster(name="models")["cluster"]["status"] == "DELETING"

    def test_what_a_cluster_uses_is_not_deleted(self, aws: Any) -> None:
        network = aws.cluster()["resourcesVpcConfig"]
        with pytest.raises(ClientError, match="EKS cluster models") as error:
            aws.ec2.delete_subnet(SubnetId=network["subnetIds"][0])
        assert code(error) == "DependencyViolation"
        with pytest.raises(ClientError, match="EKS cluster models"):
            aws.ec2.delete_security_group(GroupId=network["clusterSecurityGroupId"])


class TestClusterUpdates:
    def test_a_version_goes_up_by_one_and_the_update_tells(self, aws: Any) -> None:
        aws.cluster(version="1.34")
        # Long enough that a busy machine still sees it under way.
        aws.control("PUT", "transition", {"seconds": 1})
        update = aws.eks.update_cluster_version(name="models", version="1.35")["update"]
        assert (update["status"], update["type"]) == ("InProgress", "VersionUpdate")
        assert aws.eks.describe_cluster(name="models")["cluster"]["status"] == "UPDATING"
        assert aws.wait_cluster()["version"] == "1.35"
        assert aws.eks.list_updates(name="models")["updateIds"] == [update["id"]]
        found = aws.eks.describe_update(name="models", updateId=update["id"])["update"]
        assert found["status"] == "Successful"
        assert {"type": "Version", "value": "1.35"} in found["params"]

    @pytest.mark.parametrize("version", ["1.36", "1.34", "1.33", "1.99"])
    def test_any_other_step_is_refused(self, aws: Any, version: str) -> None:
        aws.cluster(version="1.34")
        with pytest.raises(ClientError) as error:
            aws.eks.update_cluster_version(name="models", version=version)
        assert code(error) == "InvalidParameterException"

    def test_nodes_too_far_behind_hold_the_control_plane(self, aws: Any) -> None:
        aws.cluster(version="1.35")
        aws.nodegroup(version="1.32")
        with pytest.raises(ClientError, match="must be updated before"):
            aws.eks.update_cluster_version(name="models", version="1.36")

    def test_one_update_at_a_time(self, aws: Any) -> None:
        aws.cluster()
        aws.control("PUT", "transition", {"seconds": 30})
        logging = {"clusterLogging": [{"types": ["api"], "enabled": True}]}
        aws.eks.update_cluster_config(name="models", logging=logging)
        with pytest.raises(ClientError, match="update in progress") as error:
            aws.eks.update_cluster_config(name="models", resourcesVpcConfig={"endpointPrivateAccess": True})
        assert code(error) == "ResourceInUseException"

    def test_logging_access_and_encryption_change(self, aws: Any) -> None:
        aws.cluster()
        for change in (
            {"logging": {"clusterLogging": [{"types": ["api"], "enabled": True}]}},
            {"resourcesVpcConfig": {"endpointPrivateAccess": True, "publicAccessCidrs": ["198.51.100.0/24"]}},
            {"accessConfig": {"authenticationMode": "API_AND_CONFIG_MAP"}},
        ):
            aws.eks.update_cluster_config(name="models", **change)
            aws.wait_cluster()
        key = aws.kms.create_key()["KeyMetadata"]["Arn"]
        config = [{"resources": ["secrets"], "provider": {"keyArn": key}}]
        update = aws.eks.associate_encryption_config(clusterName="models", encryptionConfig=config)["update"]
        assert json.loads(update["params"][0]["value"]) == config
        cluster = aws.wait_cluster()
        assert cluster["logging"]["clusterLogging"][0] == {"types": ["api"], "enabled": True}
        assert cluster["resourcesVpcConfig"]["endpointPrivateAccess"] is True
        assert cluster["resourcesVpcConfig"]["publicAccessCidrs"] == ["198.51.100.0/24"]
        assert cluster["accessConfig"]["authenticationMode"] == "API_AND_CONFIG_MAP"
        assert cluster["encryptionConfig"] == config

    @pytest.mark.parametrize(
        ("change", "said"),
        [
            ({}, "one type of update"),
            ({"resourcesVpcConfig": {"endpointPublicAccess": True}}, "already at the desired configuration"),
            ({"logging": {"clusterLogging": [{"types": ["api"], "enabled": False}]}}, "No changes needed"),
            ({"accessConfig": {"authenticationMode": "CONFIG_MAP"}}, "from API to CONFIG_MAP"),
            ({"resourcesVpcConfig": {"endpointPublicAccess": False}}, "cannot be false"),
        ],
    )
    def test_a_change_that_changes_nothing_or_cannot_be_is_refused(self, aws: Any, change: Any, said: str) -> None:
        aws.cluster(accessConfig={"authenticationMode": "API"})
        with pytest.raises(ClientError, match=said):
            aws.eks.update_cluster_config(name="models", **change)


class TestClusterVersions:
    def test_the_default_is_what_a_cluster_without_a_version_gets(self, aws: Any) -> None:
        (default,) = aws.eks.describe_cluster_versions(defaultOnly=True)["clusterVersions"]
        assert aws.cluster()["version"] == default["clusterVersion"]

    def test_versions_out_of_support_are_left_out(self, aws: Any) -> None:
        versions = aws.eks.describe_cluster_versions()["clusterVersions"]
        assert "1.29" not in {version["clusterVersion"] for version in versions}
        assert {version["versionStatus"] for version in versions} <= {"STANDARD_SUPPORT", "EXTENDED_SUPPORT"}


class TestTags:
    def test_tags_are_added_and_taken_away(self, aws: Any) -> None:
        arn = aws.cluster(tags={"a": "1"})["arn"]
        aws.eks.tag_resource(resourceArn=arn, tags={"b": "2"})
        aws.eks.untag_resource(resourceArn=arn, tagKeys=["a"])
        assert aws.eks.list_tags_for_resource(resourceArn=arn)["tags"] == {"b": "2"}

    def test_an_unknown_arn_is_not_found(self, aws: Any) -> None:
        with pytest.raises(ClientError) as error:
            aws.eks.list_tags_for_resource(resourceArn="arn:aws:eks:us-east-1:123456789012:cluster/none")
        assert code(error) == "ResourceNotFoundException"
