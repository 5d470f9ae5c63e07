"""A stack that somebody wrote in a hurry, over all themes: what it breaks, check by check."""

from __future__ import annotations

from functools import cache

import pytest
from pulumi.runtime.proto import analyzer_pb2
from pulumi_policy import ResourceValidationPolicy

from policies.pack import POLICIES, THEMES
from policies.table import read_config
from tests.policies.careless import STACK as MODELS
from tests.policies.clouds import document, trust
from tests.policies.harness import Given, Pack

CLOUDS = (
    Given("pulumi:pulumi:Stack", {"usd_per_month": "125000"}, "careless"),
    Given(
        "aws:eks/cluster:Cluster",
        {"region": "me-south-1", "version": "1.29", "vpcConfig": {"subnetIds": ["subnet-1"]}},
        "eks",
    ),
    Given(
        "aws:ec2/launchTemplate:LaunchTemplate",
        {"keyName": "ops", "networkInterfaces": [{"associatePublicIpAddress": "true"}]},
        "nodes",
    ),
    Given("aws:ec2/vpc:Vpc", {"cidrBlock": "10.0.0.0/16"}, "vpc"),
    Given("aws:ec2/subnet:Subnet", {"mapPublicIpOnLaunch": True}, "subnet"),
    Given(
        "aws:ec2/securityGroup:SecurityGroup",
        {"ingress": [{"protocol": "-1", "fromPort": 0, "toPort": 0, "cidrBlocks": ["0.0.0.0/0"]}]},
        "open",
    ),
    Given("aws:ecr/repository:Repository", {"forceDelete": True}, "images"),
    Given(
        "aws:ecr/repositoryPolicy:RepositoryPolicy",
        {"policy": document(Principal="*", Action="ecr:*")},
        "all",
    ),
    Given(
        "aws:iam/role:Role",
        {
            "assumeRolePolicy": trust("*"),
            "managedPolicyArns": ["arn:aws:iam::aws:policy/AdministratorAccess"],
        },
        "admin",
    ),
    Given("aws:kms/key:Key", {}, "key"),
    Given("aws:s3/bucket:Bucket", {"forceDestroy": True}, "weights"),
    Given(
        "gcp:container/cluster:Cluster",
        {"location": "asia-east1", "minMasterVersion": "1.35", "enableLegacyAbac": True},
        "gke",
    ),
    Given("gcp:container/nodePool:NodePool", {"nodeConfig": {"machineType": "e2-standard-4"}}, "pool"),
    Given(
        "gcp:artifactregistry/repositoryIamMember:RepositoryIamMember",
        {"role": "roles/artifactregistry.writer", "member": "allUsers"},
        "everybody",
    ),
)
STACK = (*MODELS, *CLOUDS)

BROKEN = {
    "workloads": "image-digest liveness memory-limit no-latest readiness registry-allowlist requests",
    "kubernetes objects": """
        cluster-admin labels no-default-namespace no-public-load-balancer pod-security-label rbac-wildcard
    """,
    "pod security": """
        drop-capabilities no-default-service-account no-host-namespaces no-hostpath no-privilege-escalation no-privileged
        no-secret-in-env no-service-account-token non-root read-only-root seccomp
    """,
    "kubernetes stack": """
        autoscaler-target-exists dangling-service default-deny one-autoscaler-a-target pdb-below-min-replicas pdb-exists
        replicas-not-set-under-autoscaler topology-spread
    """,
    "GPUs": """
        gpu-limit-equals-request gpu-toleration-and-selector max-replicas-fit-quota pool-gpu-limit pool-tainted
        scale-to-zero-outside-production sku-allowlist spot-has-fallback
    """,
    "model servers": """
        archived-runtime drain-before-termination model-revision-pinned monitor-and-slo scale-down-stabilisation shm-sized
        startup-probe-covers-load
    """,
    "AWS": """
        ecr-immutable ecr-not-public ecr-scan eks-endpoint eks-logs eks-secrets-kms eks-version imdsv2-hop-1
    """,
    "AWS account": "flow-logs iam-no-star kms-rotation no-ssh private-subnets",
    "Google Cloud": """
        authorized-networks auto-upgrade-repair binary-authorization metadata-server no-legacy-abac node-account private-nodes
        registry-not-public release-channel shielded
    """,
    "budget": "monthly-budget",
    "labels": "cost-labels",
    "protection": "allowed-regions protect-stateful",
    "versions": "cross-cloud-version-skew",
}
ADVISED_IN_PROD = ["cross-cloud-version-skew", "monitor-and-slo", "shm-sized"]


@cache
def broken(environment: str = "") -> dict[str, frozenset[int]]:
    """The checks that the stack breaks, with the levels they then have."""
    pack = Pack(POLICIES, read_config(environment) if environment else {})
    found: dict[str, set[int]] = {}
    for verdicts in [*map(pack.analyze, STACK), pack.analyze_stack(STACK)]:
        for name, verdict in verdicts.items():
            if verdict.violations:
                found.setdefault(name, set()).update(verdict.levels)
    return {name: frozenset(levels) for name, levels in found.items()}


class TestCarelessStack:
    @pytest.mark.parametrize("theme", THEMES)
    def test_breaks_these_checks_of_each_theme(self, theme: str) -> None:
        ours = {each.name for each in THEMES[theme]}
        assert sorted(ours & broken().keys()) == BROKEN[theme].split()

    def test_breaks_many_more_than_forty(self) -> None:
        assert len(broken()) == sum(len(each.split()) for each in BROKEN.values()) >= 40

    def test_could_not_get_into_production(self) -> None:
        stopping = {name for name, levels in broken("prod").items() if levels - {analyzer_pb2.ADVISORY}}
        assert sorted(broken("prod").keys() - stopping) == ADVISED_IN_PROD
        assert "monthly-budget" in stopping


class TestRemedies:
    def test_mend_what_they_can_and_each_only_its_own(self) -> None:
        mending = {
            each.name for each in POLICIES if isinstance(each, ResourceValidationPolicy) and each.has_remediation()
        }
        changed = {name for given in STACK for name in Pack(POLICIES).remediate(given)[1]}
        assert changed <= mending
        assert {"cost-labels", "ecr-immutable", "ecr-scan", "shielded"} <= changed

    def test_what_was_mended_needs_no_mending_again(self) -> None:
        for given in STACK:
            pack = Pack(POLICIES)
            mended = Given(given.type, pack.remediate(given)[0], given.name)
            assert pack.remediate(mended)[1] == (), given.name
