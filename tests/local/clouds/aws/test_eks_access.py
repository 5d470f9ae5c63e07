"""EKS add-ons, access entries and pod identity, seen with boto3."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

VIEW = "arn:aws:eks::aws:cluster-access-policy/AmazonEKSViewPolicy"


def code(error: pytest.ExceptionInfo[ClientError]) -> str:
    return error.value.response["Error"]["Code"]


@pytest.fixture
def aws(aws: Any) -> Any:
    aws.cluster(version="1.35", accessConfig={"authenticationMode": "API"})
    return aws


class TestAddons:
    def test_an_addon_comes_changes_and_goes(self, aws: Any) -> None:
        addon = aws.eks.create_addon(clusterName="models", addonName="vpc-cni", tags={"a": "1"})["addon"]
        assert addon["status"] == "CREATING"

        def describe() -> Any:
            return aws.eks.describe_addon(clusterName="models", addonName="vpc-cni")["addon"]

        addon = aws.wait(describe, "ACTIVE")
        values = '{"env": {"ENABLE_PREFIX_DELEGATION": "true"}}'
        update = aws.eks.update_addon(clusterName="models", addonName="vpc-cni", configurationValues=values)["update"]
        assert update["type"] == "AddonUpdate"
        assert aws.wait(describe, "ACTIVE")["configurationValues"] == values
        found = aws.eks.describe_update(name="models", addonName="vpc-cni", updateId=update["id"])["update"]
        assert found["status"] == "Successful"
        aws.eks.delete_addon(clusterName="models", addonName="vpc-cni")
        with pytest.raises(ClientError) as error:
            aws.wait(describe, "GONE")
        assert code(error) == "ResourceNotFoundException"

    def test_without_a_version_the_default_on_offer_is_taken(self, aws: Any) -> None:
        (offer,) = aws.eks.describe_addon_versions(addonName="coredns", kubernetesVersion="1.35")["addons"]
        default = [item for item in offer["addonVersions"] if item["compatibilities"][0]["defaultVersion"]]
        addon = aws.eks.create_addon(clusterName="models", addonName="coredns")["addon"]
        assert addon["addonVersion"] == default[0]["addonVersion"]

    def test_kube_proxy_goes_with_the_version_of_the_cluster(self, aws: Any) -> None:
        (offer,) = aws.eks.describe_addon_versions(addonName="kube-proxy", kubernetesVersion="1.35")["addons"]
        assert all(item["addonVersion"].startswith("v1.35.") for item in offer["addonVersions"])

    @pytest.mark.parametrize(
        ("wrong", "said"),
        [
            ({"addonName": "no-such"}, "not supported"),
            ({"addonVersion": "v0.0.1-eksbuild.1"}, "not supported"),
            ({"serviceAccountRoleArn": "arn:aws:iam::123456789012:role/nobody"}, "does not exist"),
            ({"configurationValues": "{"}, "not JSON"),
            ({"resolveConflicts": "MAYBE"}, "MAYBE"),
        ],
    )
    def test_what_does_not_exist_or_fit_is_refused(self, aws: Any, wrong: dict[str, Any], said: str) -> None:
        with pytest.raises(ClientError) as error:
            aws.eks.create_addon(**{"clusterName": "models", "addonName": "vpc-cni", **wrong})
        assert code(error) == "InvalidParameterException"
        assert said in str(error.value)
        assert aws.eks.list_addons(clusterName="models")["addons"] == []

    def test_an_addon_keeps_the_identities_it_was_given(self, aws: Any) -> None:
        role = aws.role("pods.eks.amazonaws.com")
        identity = [{"serviceAccount": "ebs-csi-controller-sa", "roleArn": role}]
        addon = aws.eks.create_addon(
            clusterName="models", addonName="aws-ebs-csi-driver", podIdentityAssociations=identity
        )["addon"]
        (association,) = aws.eks.list_pod_identity_associations(clusterName="models")["associations"]
        assert addon["podIdentityAssociations"] == [association["associationArn"]]
        assert association["ownerArn"] == addon["addonArn"]
        with pytest.raises(ClientError, match="belongs to the add-on"):
            aws.eks.delete_pod_identity_association(clusterName="models", associationId=association["associationId"])


class TestAccessEntries:
    def test_an_entry_takes_policies_and_gives_them_back(self, aws: Any) -> None:
        role = aws.role("ec2.amazonaws.com", "team")
        entry = aws.eks.create_access_entry(clusterName="models", principalArn=role, kubernetesGroups=["serving"])
        assert entry["accessEntry"]["username"].endswith("assumed-role/team/{{SessionName}}")
        scope = {"type": "namespace", "namespaces": ["models"]}
        arguments = {"clusterName": "models", "principalArn": role}
        aws.eks.associate_access_policy(**arguments, policyArn=VIEW, accessScope=scope)
        (found,) = aws.eks.list_associated_access_policies(**arguments)["associatedAccessPolicies"]
        assert (found["policyArn"], found["accessScope"]) == (VIEW, scope)
        listed = aws.eks.list_access_entries(clusterName="models", associatedPolicyArn=VIEW)
        assert listed["accessEntries"] == [role]
        aws.eks.disassociate_access_policy(**arguments, policyArn=VIEW)
        assert aws.eks.list_associated_access_policies(**arguments)["associatedAccessPolicies"] == []
        aws.eks.update_access_entry(**arguments, kubernetesGroups=["other"])
        assert aws.eks.describe_access_entry(**arguments)["accessEntry"]["kubernetesGroups"] == ["other"]
        aws.eks.delete_access_entry(**arguments)
        with pytest.raises(ClientError) as error:
            aws.eks.describe_access_entry(**arguments)
        assert code(error) == "ResourceNotFoundException"

    def test_the_maker_of_the_cluster_is_its_administrator(self, aws: Any) -> None:
        (entry,) = aws.eks.list_access_entries(clusterName="models")["accessEntries"]
        answer = aws.eks.list_associated_access_policies(clusterName="models", principalArn=entry)
        assert answer["associatedAccessPolicies"][0]["policyArn"].endswith("AmazonEKSClusterAdminPolicy")

    @pytest.mark.parametrize(
        ("wrong", "said"),
        [
            ({"principalArn": "arn:aws:iam::123456789012:role/nobody"}, "invalid principal"),
            ({"type": "ROBOT"}, "ROBOT"),
            ({"kubernetesGroups": ["system:masters"]}, "system:"),
            ({"type": "EC2_LINUX", "kubernetesGroups": ["a"]}, "neither"),
        ],
    )
    def test_a_wrong_entry_is_refused(self, aws: Any, wrong: dict[str, Any], said: str) -> None:
        role = aws.role("ec2.amazonaws.com", "team")
        with pytest.raises(ClientError, match=said):
            aws.eks.create_access_entry(**{"clusterName": "models", "principalArn": role, **wrong})

    @pytest.mark.parametrize(
        ("policy", "scope"),
        [
            (VIEW, {"type": "namespace"}),
            (VIEW, {"type": "cluster", "namespaces": ["a"]}),
            ("arn:aws:eks::aws:cluster-access-policy/AmazonEKSEverything", {"type": "cluster"}),
        ],
    )
    def test_a_wrong_association_is_refused(self, aws: Any, policy: str, scope: Any) -> None:
        role = aws.role("ec2.amazonaws.com", "team")
        aws.eks.create_access_entry(clusterName="models", principalArn=role)
        with pytest.raises(ClientError) as error:
            aws.eks.associate_access_policy(
                clusterName="models", principalArn=role, policyArn=policy, accessScope=scope
            )
        assert code(error) == "InvalidParameterException"

    def test_a_cluster_without_the_api_mode_has_no_entries(self, aws: Any) -> None:
        network = aws.eks.describe_cluster(name="models")["cluster"]["resourcesVpcConfig"]
        role = "arn:aws:iam::123456789012:role/eks"
        aws.eks.create_cluster(name="old", roleArn=role, resourcesVpcConfig={"subnetIds": network["subnetIds"]})
        aws.wait_cluster("old")
        with pytest.raises(ClientError, match="authentication mode"):
            aws.eks.create_access_entry(clusterName="old", principalArn=role)


class TestPodIdentity:
    def test_an_association_comes_changes_and_goes(self, aws: Any) -> None:
        role, other = aws.role("pods.eks.amazonaws.com"), aws.role("pods.eks.amazonaws.com", "other")
        pod = {"namespace": "models", "serviceAccount": "llm"}
        made = aws.eks.create_pod_identity_association(clusterName="models", roleArn=role, **pod)["association"]
        key = {"clusterName": "models", "associationId": made["associationId"]}
        assert aws.eks.describe_pod_identity_association(**key)["association"]["roleArn"] == role
        aws.eks.update_pod_identity_association(**key, roleArn=other)
        assert aws.eks.describe_pod_identity_association(**key)["association"]["roleArn"] == other
        listed = aws.eks.list_pod_identity_associations(clusterName="models", namespace="elsewhere")
        assert listed["associations"] == []
        aws.eks.delete_pod_identity_association(**key)
        with pytest.raises(ClientError) as error:
            aws.eks.describe_pod_identity_association(**key)
        assert code(error) == "ResourceNotFoundException"

    def test_a_service_account_has_one(self, aws: Any) -> None:
        role = aws.role("pods.eks.amazonaws.com")
        pod = {"clusterName": "models", "namespace": "models", "serviceAccount": "llm", "roleArn": role}
        aws.eks.create_pod_identity_association(**pod)
        with pytest.raises(ClientError, match="already exists") as error:
            aws.eks.create_pod_identity_association(**pod)
        assert code(error) == "ResourceInUseException"

    def test_a_role_that_pods_may_not_take_is_refused(self, aws: Any) -> None:
        with pytest.raises(ClientError, match=r"pods\.eks\.amazonaws\.com"):
            aws.eks.create_pod_identity_association(
                clusterName="models", namespace="a", serviceAccount="b", roleArn=aws.role("ec2.amazonaws.com")
            )

    def test_a_name_kubernetes_would_not_take_is_refused(self, aws: Any) -> None:
        role = aws.role("pods.eks.amazonaws.com")
        with pytest.raises(ClientError, match="RFC 1123"):
            aws.eks.create_pod_identity_association(
                clusterName="models", namespace="Models", serviceAccount="b", roleArn=role
            )


def test_lists_come_in_pages(aws: Any) -> None:
    for addon in ("vpc-cni", "coredns", "kube-proxy"):
        aws.eks.create_addon(clusterName="models", addonName=addon)
    first = aws.eks.list_addons(clusterName="models", maxResults=2)
    assert len(first["addons"]) == 2
    rest = aws.eks.list_addons(clusterName="models", maxResults=2, nextToken=first["nextToken"])
    assert sorted(first["addons"] + rest["addons"]) == ["coredns", "kube-proxy", "vpc-cni"]
    assert "nextToken" not in rest
    paginator = aws.eks.get_paginator("list_addons").paginate(clusterName="models", PaginationConfig={"PageSize": 1})
    assert len(list(paginator)) == 3
