"""Resources of AWS, one by one and together."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from policies.packs import aws, aws_account
from tests.policies import clouds
from tests.policies.clouds import (
    ATTACHMENT,
    ECR,
    ECR_POLICY,
    EKS,
    FLOW_LOG,
    GROUP,
    INSTANCE,
    KMS,
    NODES,
    OLD_RULE,
    POLICY,
    ROLE,
    RULE,
    SUBNET,
    TEMPLATE,
    VPC,
    document,
    trust,
)
from tests.policies.harness import (
    UNKNOWN,
    Given,
    judged,
    judged_stack,
    secret,
)
from tests.policies.objects import GONE, Case, changed
from tests.policies.table import AllRight, Remedies

POLICIES = (*aws.theme.policies, *aws_account.theme.policies)
ADMIN = "arn:aws:iam::aws:policy/AdministratorAccess"
ANYBODY = document(Principal="*", Action="ecr:BatchGetImage")
SSH = {"protocol": "tcp", "fromPort": 20, "toPort": 25, "cidrBlocks": ["0.0.0.0/0"]}
NETS = "vpcConfig.publicAccessCidrs"
META = "metadataOptions"

CASES = [
    Case("eks-endpoint", EKS, NETS, GONE, "no publicAccessCidrs"),
    Case("eks-endpoint", EKS, NETS, [], "no publicAccessCidrs"),
    Case("eks-endpoint", EKS, NETS, ["0.0.0.0/0"], "answers 0.0.0.0/0"),
    Case("eks-endpoint", EKS, f"{NETS}.1", "203.0.0.0/15", "wider than /16"),
    Case("eks-endpoint", EKS, f"{NETS}.1", "2001:db8::/31", "wider than /16"),
    Case("eks-endpoint", EKS, f"{NETS}.1", "office", "answers office"),
    Case("eks-endpoint", EKS, "vpcConfig.endpointPrivateAccess", False, "over the internet"),
    Case("eks-endpoint", EKS, "vpcConfig.endpointPrivateAccess", GONE, "over the internet"),
    Case("eks-endpoint", EKS, "vpcConfig", {}, "no publicAccessCidrs"),
    Case("eks-secrets-kms", EKS, "encryptionConfig", GONE, "key of yours"),
    Case("eks-secrets-kms", EKS, "encryptionConfig.resources", [], "key of yours"),
    Case("eks-secrets-kms", EKS, "encryptionConfig.provider.keyArn", "", "names no key"),
    Case("eks-logs", EKS, "enabledClusterLogTypes", GONE, "api, audit"),
    Case("eks-logs", EKS, "enabledClusterLogTypes.1", "api", "off: audit"),
    Case("eks-version", EKS, "version", "1.29", "older than 1.34"),
    Case("eks-version", EKS, "version", GONE, "no version"),
    Case("ecr-immutable", ECR, "imageTagMutability", "MUTABLE", "is MUTABLE"),
    Case("ecr-immutable", ECR, "imageTagMutability", GONE, "is MUTABLE"),
    Case("ecr-scan", ECR, "imageScanningConfiguration", GONE, "not scanned"),
    Case("ecr-scan", ECR, "imageScanningConfiguration.scanOnPush", False, "not scanned"),
    Case("ecr-not-public", ECR_POLICY, "policy", ANYBODY, "lets everybody ecr:BatchGetImage"),
    Case("ecr-not-public", ECR_POLICY, "policy", document(Principal={"AWS": ["*"]}), "lets everybody"),
    Case("ecr-not-public", ECR_POLICY, "policy", "{", "not JSON"),
    Case("imdsv2-hop-1", TEMPLATE, META, GONE, "without a token"),
    Case("imdsv2-hop-1", TEMPLATE, f"{META}.httpTokens", "optional", "without a token"),
    Case("imdsv2-hop-1", TEMPLATE, f"{META}.httpPutResponseHopLimit", 2, "is 2, not 1"),
    Case("imdsv2-hop-1", TEMPLATE, f"{META}.httpPutResponseHopLimit", GONE, "not given"),
    Case("imdsv2-hop-1", INSTANCE, f"{META}.httpTokens", "optional", "without a token"),
    Case("imdsv2-hop-1", NODES, "launchTemplate", GONE, "hop limit of 2"),
    Case("no-ssh", NODES, "remoteAccess", {"ec2SshKey": "ops"}, "opens SSH"),
    Case("no-ssh", TEMPLATE, "keyName", "ops", "SSH key"),
    Case("no-ssh", INSTANCE, "keyName", "ops", "SSH key"),
    Case("no-ssh", GROUP, "ingress.1", SSH, "port 22 is open to 0.0.0.0/0"),
    Case("no-ssh", GROUP, "ingress.0.cidrBlocks", ["198.51.100.0/24"], "open to 198.51.100.0/24"),
    Case("no-ssh", GROUP, "ingress.0.ipv6CidrBlocks", ["::/0"], "open to ::/0"),
    Case("no-ssh", OLD_RULE, "fromPort", 22, "port 22"),
    Case("no-ssh", OLD_RULE, "protocol", "-1", "port 22"),
    Case("no-ssh", RULE, "fromPort", 22, "port 22"),
    Case("no-ssh", RULE, "ipProtocol", "-1", "port 22"),
    Case("iam-no-star", POLICY, "policy", document(Action="*"), "every action"),
    Case("iam-no-star", POLICY, "policy", document(Action=["s3:Get*", "*"]), "every action"),
    Case("iam-no-star", POLICY, "policy", document(Action="s3:*", Resource="*"), "s3:* on every resource"),
    Case("iam-no-star", POLICY, "policy", document(Action=[], NotAction=["iam:*"]), "every action but some"),
    Case("iam-no-star", ROLE, "assumeRolePolicy", trust({"AWS": "*"}), "everybody may take"),
    Case("iam-no-star", ROLE, "inlinePolicies.0.policy", document(Action="*"), "every action"),
    Case("iam-no-star", ROLE, "managedPolicyArns.1", ADMIN, "AdministratorAccess is attached"),
    Case("iam-no-star", ATTACHMENT, "policyArn", ADMIN, "AdministratorAccess is attached"),
    Case("kms-rotation", KMS, "enableKeyRotation", False, "never rotated"),
    Case("kms-rotation", KMS, "enableKeyRotation", GONE, "never rotated"),
    Case("private-subnets", SUBNET, "mapPublicIpOnLaunch", True, "mapPublicIpOnLaunch is on"),
    Case("private-subnets", INSTANCE, "associatePublicIpAddress", True, "public address"),
    Case("private-subnets", TEMPLATE, "networkInterfaces.0.associatePublicIpAddress", "true", "public address"),
]


class TestChecks(Remedies, AllRight):
    POLICIES = POLICIES
    CASES = CASES
    ELSEWHERE = frozenset({"flow-logs"})
    REMEDIABLE = frozenset({"ecr-immutable", "ecr-scan"})
    GOOD = clouds.GOOD


class TestEndpoint:
    def test_no_public_endpoint_needs_no_ranges(self) -> None:
        closed = {"endpointPrivateAccess": True, "endpointPublicAccess": False}
        assert judged(POLICIES, "eks-endpoint", changed(EKS, "vpcConfig", closed)).passed

    def test_how_wide_is_too_wide_is_configured(self) -> None:
        verdict = judged(POLICIES, "eks-endpoint", EKS, leastPrefix=28)
        assert verdict.violations == ("the API answers 203.0.113.0/24, which is wider than /28",)

    def test_an_unknown_range_hides_no_wide_one(self) -> None:
        given = changed(EKS, NETS, [UNKNOWN, "0.0.0.0/0"])
        verdict = judged(POLICIES, "eks-endpoint", given)
        assert len(verdict.violations) == 1
        assert verdict.not_evaluated


class TestLogs:
    def test_an_unknown_type_may_be_the_missing_one(self) -> None:
        verdict = judged(POLICIES, "eks-logs", changed(EKS, "enabledClusterLogTypes.1", UNKNOWN))
        assert verdict.not_evaluated
        assert not verdict.violations

    def test_which_ones_must_be_on_is_configured(self) -> None:
        given = changed(EKS, "enabledClusterLogTypes", ["audit"])
        assert judged(POLICIES, "eks-logs", given, types=["audit"]).passed


class TestVersion:
    def test_the_oldest_one_is_configured(self) -> None:
        assert judged(POLICIES, "eks-version", EKS, minimum="1.36").violations

    def test_minor_versions_are_numbers(self) -> None:
        assert judged(POLICIES, "eks-version", changed(EKS, "version", "1.100")).passed
        assert judged(POLICIES, "eks-version", changed(EKS, "version", "1.4")).violations


class TestEverybody:
    def test_an_organisation_is_not_everybody(self) -> None:
        inside = {"StringEquals": {"aws:PrincipalOrgID": "o-1"}}
        given = changed(ECR_POLICY, "policy", document(Principal="*", Condition=inside))
        assert judged(POLICIES, "ecr-not-public", given).passed

    def test_another_condition_does_not_help(self) -> None:
        tls = {"Bool": {"aws:SecureTransport": "true"}}
        given = changed(ECR_POLICY, "policy", document(Principal="*", Condition=tls))
        assert judged(POLICIES, "ecr-not-public", given).violations

    def test_what_is_denied_to_everybody_is_fine(self) -> None:
        given = changed(ECR_POLICY, "policy", document(Effect="Deny", Principal="*"))
        assert judged(POLICIES, "ecr-not-public", given).passed

    def test_a_public_gallery_is_public(self) -> None:
        given = Given("aws:ecrpublic/repository:Repository", {"repositoryName": "x"})
        assert judged(POLICIES, "ecr-not-public", given).violations

    def test_a_policy_may_be_an_object_or_a_secret(self) -> None:
        for policy in (json.loads(ANYBODY), secret(ANYBODY)):
            assert judged(POLICIES, "ecr-not-public", changed(ECR_POLICY, "policy", policy)).violations


class TestStars:
    @pytest.mark.parametrize(
        "statement",
        [
            {"Effect": "Deny", "Action": "*", "Resource": "*"},
            {"Action": "s3:*"},
            {"Action": "s3:Get*", "Resource": "*"},
        ],
    )
    def test_what_is_denied_or_bounded_passes(self, statement: dict[str, Any]) -> None:
        assert judged(POLICIES, "iam-no-star", changed(POLICY, "policy", document(**statement))).passed

    def test_policies_on_users_and_groups_are_seen(self) -> None:
        for kind in ("user", "group", "role"):
            title = kind.capitalize()
            given = Given(f"aws:iam/{kind}Policy:{title}Policy", {"policy": document(Action="*")})
            attached = Given(f"aws:iam/{kind}PolicyAttachment:{title}PolicyAttachment", {"policyArn": ADMIN})
            assert judged(POLICIES, "iam-no-star", given).violations
            assert judged(POLICIES, "iam-no-star", attached).violations

    def test_documents_of_keys_are_left_alone(self) -> None:
        assert judged(POLICIES, "iam-no-star", changed(KMS, "policy", document(Action="kms:*"))).not_applicable


class TestKeys:
    @pytest.mark.parametrize(("key", "value"), [("customerMasterKeySpec", "RSA_2048"), ("keyUsage", "SIGN_VERIFY")])
    def test_what_aws_cannot_rotate_is_not_asked_to(self, key: str, value: str) -> None:
        given = changed(changed(KMS, "enableKeyRotation", False), key, value)
        assert judged(POLICIES, "kms-rotation", given).passed


class TestSsh:
    def test_private_ranges_may_reach_nodes(self) -> None:
        for cidr in ("10.0.0.0/8", "100.64.0.0/16", "172.20.0.0/16"):
            assert judged(POLICIES, "no-ssh", changed(GROUP, "ingress.0.cidrBlocks", [cidr])).passed

    def test_what_goes_out_is_not_meant(self) -> None:
        given = changed(changed(OLD_RULE, "type", "egress"), "protocol", "-1")
        assert judged(POLICIES, "no-ssh", given).passed

    def test_metadata_that_is_off_needs_no_token(self) -> None:
        assert judged(POLICIES, "imdsv2-hop-1", changed(TEMPLATE, META, {"httpEndpoint": "disabled"})).passed


class TestFlowLogs:
    def test_a_network_with_its_log_passes(self) -> None:
        assert judged_stack(POLICIES, "flow-logs", [VPC, FLOW_LOG]).passed

    def test_a_network_without_one_is_named(self) -> None:
        other = replace(VPC, name="other")
        verdict = judged_stack(POLICIES, "flow-logs", [VPC, FLOW_LOG, other])
        assert verdict.violations == ("no flow log covers this network",)
        assert verdict.urns == (other.urn,)

    def test_a_log_of_what_was_accepted_tells_little(self) -> None:
        log = changed(FLOW_LOG, "trafficType", "ACCEPT")
        assert "ACCEPT traffic only" in judged_stack(POLICIES, "flow-logs", [VPC, log]).violations[0]

    def test_a_log_that_names_the_network_covers_it(self) -> None:
        log = replace(FLOW_LOG, property_dependencies={})
        assert judged_stack(POLICIES, "flow-logs", [changed(VPC, "id", "vpc-1"), log]).passed
        assert judged_stack(POLICIES, "flow-logs", [changed(VPC, "id", "vpc-2"), log]).violations

    def test_unknown_traffic_is_not_evaluated(self) -> None:
        verdict = judged_stack(POLICIES, "flow-logs", [VPC, changed(FLOW_LOG, "trafficType", UNKNOWN)])
        assert verdict.not_evaluated
        assert not verdict.violations
