"""What a running object does not let happen is replaced, or refused before anything changes; what it does happens in place.

One table for all clouds, by what their pages and Pulumi's own providers say of each; nothing is asked of a cloud.
"""

from __future__ import annotations

import copy
import re
from dataclasses import dataclass
from typing import Any, Final, get_args

import pytest

from model_factory.facts.aws.kubernetes import EksVersion
from model_factory.graph.paths import parse
from model_factory.local.wire import UNKNOWN
from tests.local.providers.test_limits import BASES, ROLE
from tests.local.providers.test_offline import made

PROVIDERS: Final = {package: made(package) for package in ("aws", "gcp", "kubernetes")}
KEY: Final = "arn:aws:kms:eu-west-1:123456789012:key/"
POD: Final = {"containers": [{"name": "server", "image": "a"}]}
WORKLOAD: Final = {
    "metadata": {"name": "a"},
    "spec": {
        "selector": {"matchLabels": {"app": "a"}},
        "template": {"metadata": {"labels": {"app": "a", "tier": "b"}}, "spec": POD},
    },
}
NAMED: Final = {"metadata": {"name": "a"}}
OBJECTS: Final[dict[str, dict[str, Any]]] = {
    "apps/v1:Deployment": WORKLOAD,
    "apps/v1:StatefulSet": {**WORKLOAD, "spec": {**WORKLOAD["spec"], "serviceName": "a"}},  # type: ignore[dict-item]
    "batch/v1:Job": {
        **NAMED,
        "spec": {"completions": 1, "template": {"spec": {**POD, "restartPolicy": "Never"}}},
    },
    "core/v1:PersistentVolume": {
        **NAMED,
        "spec": {
            "accessModes": ["ReadOnlyMany"],
            "capacity": {"storage": "1Gi"},
            "csi": {"driver": "s3.csi.aws.com", "volumeHandle": "a"},
        },
    },
    "core/v1:PersistentVolumeClaim": {
        **NAMED,
        "spec": {
            "accessModes": ["ReadOnlyMany"],
            "volumeName": "a",
            "volumeMode": "Filesystem",
            "resources": {"requests": {"storage": "10Gi"}},
        },
    },
    "core/v1:Service": {**NAMED, "spec": {"clusterIP": "10.0.0.1", "ports": [{"port": 80}]}},
    "core/v1:ConfigMap": {**NAMED, "immutable": True, "data": {"a": "b"}},
    "core/v1:Namespace": NAMED,
    "autoscaling/v2:HorizontalPodAutoscaler": {
        **NAMED,
        "spec": {"scaleTargetRef": {"kind": "Deployment", "name": "a"}, "maxReplicas": 2},
    },
    "policy/v1:PodDisruptionBudget": {**NAMED, "spec": {"maxUnavailable": 1}},
    "networking.k8s.io/v1:NetworkPolicy": {**NAMED, "spec": {"podSelector": {}}},
}


@dataclass(frozen=True)
class Turn:
    """A value of a type that becomes another: in place, by a replacement, or not at all."""

    type: str
    path: str
    before: Any
    after: Any
    fate: str

    def __str__(self) -> str:
        return f"{self.type.rpartition(':')[2]} {self.path}: {self.before} to {self.after}"


def replaced(type_: str, path: str, before: Any, after: Any) -> Turn:
    return Turn(type_, path, before, after, "replaced")


def refused(type_: str, path: str, before: Any, after: Any) -> Turn:
    return Turn(type_, path, before, after, "refused")


def in_place(type_: str, path: str, before: Any, after: Any) -> Turn:
    return Turn(type_, path, before, after, "in place")


EKS, GROUP, ADDON = "aws:eks/cluster:Cluster", "aws:eks/nodeGroup:NodeGroup", "aws:eks/addon:Addon"
GKE, POOL = "gcp:container/cluster:Cluster", "gcp:container/nodePool:NodePool"
SUBNETWORK, BUCKET = "gcp:compute/subnetwork:Subnetwork", "gcp:storage/bucket:Bucket"
TURNS: Final = (
    replaced("aws:ec2/vpc:Vpc", "cidrBlock", "10.0.0.0/16", "10.0.0.0/17"),
    replaced("aws:ec2/subnet:Subnet", "cidrBlock", "10.0.0.0/24", "10.0.0.0/25"),
    replaced("aws:ec2/subnet:Subnet", "availabilityZone", "eu-west-1a", "eu-west-1b"),
    replaced("aws:ec2/securityGroup:SecurityGroup", "description", "a", "b"),
    replaced("aws:iam/role:Role", "name", "a", "b"),
    replaced("aws:s3/bucket:Bucket", "bucket", "aaa", "bbb"),
    replaced("aws:s3/bucket:Bucket", "region", "eu-west-1", "us-east-1"),
    replaced("aws:ecr/repository:Repository", "name", "aa", "bb"),
    replaced("aws:ecr/repository:Repository", "encryptionConfigurations[0].encryptionType", "KMS", "AES256"),
    in_place("aws:ecr/repository:Repository", "imageTagMutability", "MUTABLE", "IMMUTABLE"),
    replaced("aws:kms/key:Key", "customerMasterKeySpec", "SYMMETRIC_DEFAULT", "RSA_2048"),
    replaced("aws:cloudwatch/logGroup:LogGroup", "name", "a", "b"),
    in_place("aws:cloudwatch/logGroup:LogGroup", "retentionInDays", 7, 30),
    refused("aws:s3/bucketVersioning:BucketVersioning", "versioningConfiguration.status", "Enabled", "Disabled"),
    in_place("aws:s3/bucketVersioning:BucketVersioning", "versioningConfiguration.status", "Enabled", "Suspended"),
    replaced(EKS, "kubernetesNetworkConfig.serviceIpv4Cidr", "172.20.0.0/16", "10.100.0.0/16"),
    replaced(EKS, "name", "a1", "b1"),
    in_place(EKS, "version", "1.33", "1.34"),
    refused(EKS, "version", "1.34", "1.33"),
    refused(EKS, "version", "1.33", "1.35"),
    in_place(EKS, "version", "1.33", UNKNOWN),
    refused(EKS, "accessConfig.authenticationMode", "API", "API_AND_CONFIG_MAP"),
    in_place(EKS, "accessConfig.authenticationMode", "CONFIG_MAP", "API_AND_CONFIG_MAP"),
    refused(EKS, "encryptionConfig.provider.keyArn", f"{KEY}a", f"{KEY}b"),
    in_place(EKS, "vpcConfig.publicAccessCidrs", ["203.0.113.0/24"], ["198.51.100.0/24"]),
    replaced(GROUP, "amiType", "BOTTLEROCKET_x86_64", "AL2023_x86_64_STANDARD"),
    replaced(GROUP, "instanceTypes", ["m7i.large"], ["m7i.xlarge"]),
    replaced(GROUP, "capacityType", "SPOT", "ON_DEMAND"),
    replaced(GROUP, "diskSize", 20, 30),
    replaced(GROUP, "subnetIds", ["subnet-1"], ["subnet-2"]),
    in_place(GROUP, "version", "1.33", "1.35"),
    refused(GROUP, "version", "1.34", "1.33"),
    in_place(GROUP, "labels", {"a": "b"}, {"a": "c"}),
    # EKS takes an older version of an add-on back.
    in_place(ADDON, "addonVersion", "v1.13.2-eksbuild.4", "v1.12.1-eksbuild.2"),
    replaced(ADDON, "addonName", "coredns", "kube-proxy"),
    replaced("gcp:compute/network:Network", "autoCreateSubnetworks", False, True),
    replaced(SUBNETWORK, "ipCidrRange", "10.0.0.0/20", "10.0.0.0/21"),
    replaced(SUBNETWORK, "ipCidrRange", "10.0.0.0/20", "10.1.0.0/16"),
    in_place(SUBNETWORK, "ipCidrRange", "10.0.0.0/20", "10.0.0.0/19"),
    replaced(SUBNETWORK, "region", "us-central1", "us-east1"),
    replaced(GKE, "location", "us-central1", "us-east1"),
    replaced(GKE, "ipAllocationPolicy.clusterSecondaryRangeName", "pods", "others"),
    replaced(GKE, "privateClusterConfig.masterIpv4CidrBlock", "172.16.0.0/28", "172.16.0.16/28"),
    replaced(GKE, "datapathProvider", "LEGACY_DATAPATH", "ADVANCED_DATAPATH"),
    # Google keeps a newer control plane: the least version asks for no older one.
    in_place(GKE, "minMasterVersion", "1.34", "1.35"),
    refused(GKE, "enableLegacyAbac", False, True),
    in_place(POOL, "nodeConfig.machineType", "e2-standard-4", "e2-standard-8"),
    in_place(POOL, "nodeConfig.diskSizeGb", 100, 50),
    replaced(POOL, "nodeConfig.spot", True, False),
    replaced(POOL, "nodeConfig.guestAccelerators[0].count", 1, 2),
    replaced(POOL, "maxPodsPerNode", 110, 64),
    replaced(BUCKET, "location", "us-central1", "us-east1"),
    replaced(BUCKET, "name", "aaa", "bbb"),
    replaced("gcp:artifactregistry/repository:Repository", "format", "DOCKER", "NPM"),
    replaced("gcp:artifactregistry/repository:Repository", "repositoryId", "models", "others"),
    replaced("gcp:serviceaccount/account:Account", "accountId", "serving-a", "serving-b"),
    replaced("apps/v1:Deployment", "spec.selector.matchLabels", {"app": "a"}, {"tier": "b"}),
    in_place("apps/v1:Deployment", "spec.replicas", 1, 2),
    replaced("apps/v1:StatefulSet", "spec.serviceName", "a", "b"),
    replaced("apps/v1:StatefulSet", "spec.podManagementPolicy", "OrderedReady", "Parallel"),
    replaced("batch/v1:Job", "spec.template.spec.containers[0].image", "a", "b"),
    refused("batch/v1:Job", "spec.completionMode", "NonIndexed", "Indexed"),
    replaced("core/v1:PersistentVolume", "spec.csi.volumeHandle", "a", "b"),
    replaced("core/v1:PersistentVolumeClaim", "spec.volumeName", "a", "b"),
    refused("core/v1:PersistentVolumeClaim", "spec.volumeMode", "Filesystem", "Block"),
    refused("core/v1:PersistentVolumeClaim", "spec.resources.requests.storage", "10Gi", "10000Mi"),
    in_place("core/v1:PersistentVolumeClaim", "spec.resources.requests.storage", "10Gi", "11Gi"),
    replaced("core/v1:Service", "spec.clusterIP", "10.0.0.1", "10.0.0.2"),
    refused("core/v1:ConfigMap", "immutable", True, False),
    replaced("core/v1:Namespace", "metadata.name", "a", "b"),
    in_place("autoscaling/v2:HorizontalPodAutoscaler", "spec.maxReplicas", 2, 3),
    in_place("policy/v1:PodDisruptionBudget", "spec.maxUnavailable", 1, 2),
    in_place("networking.k8s.io/v1:NetworkPolicy", "spec.policyTypes", ["Ingress"], ["Egress"]),
)


def with_value(whole: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    changed = copy.deepcopy(whole)
    target: Any = changed
    *steps, last = parse(path)
    for step, following in zip(steps, parse(path)[1:], strict=True):
        if isinstance(step, int):
            while len(target) <= step:
                target.append({})
            target = target[step]
        else:
            target = target.setdefault(step, [] if isinstance(following, int) else {})
    target[last] = value
    return changed


MORE: Final[dict[str, dict[str, Any]]] = {
    "aws:s3/bucketVersioning:BucketVersioning": {"bucket": "weights"},
    "aws:iam/role:Role": {
        "assumeRolePolicy": '{"Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": "*"}}]}'
    },
    EKS: {**BASES[EKS], "encryptionConfig": {"provider": {"keyArn": f"{KEY}a"}, "resources": ["secrets"]}},
    GROUP: {**BASES[GROUP], "nodeRoleArn": ROLE},
    POOL: {**BASES[POOL], "nodeConfig": {"guestAccelerators": [{"type": "nvidia-l4", "count": 1}]}},
}


def base_of(turn: Turn) -> tuple[str, str, dict[str, Any]]:
    """The provider, the URN and the inputs around the value."""
    token = turn.type if turn.type.startswith(("aws:", "gcp:")) else f"kubernetes:{turn.type}"
    package = token.partition(":")[0]
    inputs = OBJECTS.get(turn.type) or MORE.get(turn.type) or BASES.get(turn.type, {})
    if turn.type == POOL and "guestAccelerators" not in turn.path:
        inputs = BASES[POOL]
    return package, f"urn:pulumi:s::p::{token}::main", inputs


@pytest.mark.parametrize("turn", TURNS, ids=str)
def test_what_becomes_of_an_object(turn: Turn) -> None:
    package, urn, inputs = base_of(turn)
    provider = PROVIDERS[package]
    olds, failures = provider.check(urn, None, with_value(inputs, turn.path, turn.before), b"seed")
    assert failures == []
    news, failures = provider.check(urn, olds, with_value(inputs, turn.path, turn.after), b"seed")
    if turn.fate == "refused":
        (failure,) = failures
        assert turn.path in (failure.property, failure.reason.partition(": ")[0])
        assert any(word in failure.reason for word in ("keep", "use", "nearest is"))
        return
    assert failures == []
    difference = provider.diff(urn, "id", olds, olds, news, ())
    assert difference.changed
    assert bool(difference.replace_keys) == (turn.fate == "replaced")


def test_a_value_that_another_object_has_may_go_back() -> None:
    """A cluster under another name is another cluster, whatever its version."""
    _, urn, inputs = base_of(TURNS[TURNS.index(refused(EKS, "version", "1.34", "1.33"))])
    olds, _ = PROVIDERS["aws"].check(urn, None, {**inputs, "name": "one", "version": "1.34"}, b"seed")
    _, failures = PROVIDERS["aws"].check(urn, olds, {**inputs, "name": "two", "version": "1.33"}, b"seed")
    assert failures == []


@pytest.mark.parametrize("before", range(30, 40))
@pytest.mark.parametrize("after", range(30, 40))
def test_a_version_that_a_remedy_names_is_one_that_the_stack_file_takes(before: int, after: int) -> None:
    """The cluster's own apart, which may be older or newer than all of them."""
    _, urn, inputs = base_of(TURNS[TURNS.index(refused(EKS, "version", "1.34", "1.33"))])
    olds, _ = PROVIDERS["aws"].check(urn, None, {**inputs, "version": f"1.{before}"}, b"seed")
    _, failures = PROVIDERS["aws"].check(urn, olds, {**inputs, "version": f"1.{after}"}, b"seed")
    assert bool(failures) == (after < before or after > before + 1)
    for failure in failures:
        remedy = failure.reason.rpartition("; use ")[2]
        named = set(re.findall(r"1\.[0-9]+", remedy))
        assert named
        if "of the stack file" in remedy:
            assert named <= {f"1.{before}", *get_args(EksVersion)}
        else:
            assert "aws eks update-cluster-version" in remedy
