"""Every line of the tables of limits: what is at the limit passes, what is beyond is refused with value, rule and remedy, before any call."""

from __future__ import annotations

import base64
import copy
import csv
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from model_factory.graph.paths import parse, to_text
from model_factory.local.clouds.kubernetes import validate
from model_factory.local.clouds.kubernetes.schema import catalogue
from model_factory.local.limits import COLUMNS, RANGES, Limit, load_limits
from model_factory.local.providers.aws import checks as aws_checks
from model_factory.local.providers.errors import Failure
from model_factory.local.providers.gcp import checks as gcp_checks
from model_factory.local.wire import UNKNOWN
from tests.local.providers.test_offline import made

AWS, GCP, KUBERNETES = (load_limits(table) for table in (aws_checks.LIMITS, gcp_checks.LIMITS, validate.LIMITS))
ROLE: Final = "arn:aws:iam::123456789012:role/nodes"
NETWORK: Final = "projects/example/global/networks/main"


def policy(letters: int) -> str:
    """An IAM policy of so many characters, white space not among them."""
    shape = '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:GetObject","Resource":"%s","Principal":"*"}]}'
    return shape % ("a" * (letters - len(shape) + 2))


BASES: Final[dict[str, dict[str, Any]]] = {
    "aws:ec2/vpc:Vpc": {"cidrBlock": "10.0.0.0/16"},
    "aws:ec2/subnet:Subnet": {"vpcId": "vpc-1", "cidrBlock": "10.0.0.0/24"},
    "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule": {
        "securityGroupId": "sg-1", "ipProtocol": "tcp", "fromPort": 1, "toPort": 2, "cidrIpv4": "10.0.0.0/8",
    },
    "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule": {
        "securityGroupId": "sg-1", "ipProtocol": "tcp", "fromPort": 1, "toPort": 2, "cidrIpv4": "10.0.0.0/8",
    },
    "aws:ec2/routeTable:RouteTable": {"vpcId": "vpc-1"},
    "aws:iam/role:Role": {"assumeRolePolicy": policy(200)},
    "aws:iam/policy:Policy": {"policy": policy(200)},
    "aws:iam/rolePolicy:RolePolicy": {"policy": policy(200), "role": "r"},
    "aws:iam/openIdConnectProvider:OpenIdConnectProvider": {"url": "https://x.example", "clientIdLists": ["sts.amazonaws.com"]},
    "aws:eks/cluster:Cluster": {"roleArn": ROLE, "vpcConfig": {"subnetIds": ["subnet-1", "subnet-2"]}},
    "aws:eks/nodeGroup:NodeGroup": {
        "clusterName": "c", "nodeRoleArn": ROLE, "subnetIds": ["subnet-1"],
        "scalingConfig": {"minSize": 0, "maxSize": 1, "desiredSize": 0},
    },
    "aws:eks/addon:Addon": {"clusterName": "c", "addonName": "coredns"},
    "aws:eks/accessEntry:AccessEntry": {"clusterName": "c", "principalArn": ROLE},
    "aws:eks/podIdentityAssociation:PodIdentityAssociation": {
        "clusterName": "c", "namespace": "n", "serviceAccount": "s", "roleArn": ROLE,
    },
    "aws:s3/bucketPolicy:BucketPolicy": {"bucket": "weights", "policy": policy(200)},
    "gcp:compute/subnetwork:Subnetwork": {"network": NETWORK, "ipCidrRange": "172.16.0.0/20", "region": "us-central1"},
    "gcp:compute/firewall:Firewall": {"network": NETWORK, "allows": [{"protocol": "tcp"}]},
    "gcp:serviceaccount/account:Account": {"accountId": "serving-nodes"},
    "gcp:container/cluster:Cluster": {"location": "us-central1"},
    "gcp:container/nodePool:NodePool": {"cluster": "c", "location": "us-central1"},
    "gcp:artifactregistry/repository:Repository": {"repositoryId": "models", "format": "DOCKER", "location": "us-central1"},
    "gcp:storage/bucket:Bucket": {"location": "us-central1"},
    "gcp:kms/keyRing:KeyRing": {"location": "us-central1"},
    "gcp:kms/cryptoKey:CryptoKey": {"keyRing": "projects/example/locations/us-central1/keyRings/main"},
    "gcp:projects/iAMMember:IAMMember": {"project": "example", "role": "roles/viewer", "member": "user:a@b.example"},
    "gcp:projects/service:Service": {"service": "container.googleapis.com"},
}  # fmt: skip
"""Inputs without which a type's check does not begin."""

TEXT: Final = "Kubernetes control plane, reached from inside"
LABEL: Final = ("a.b/serving", "a b")
LABEL_VALUE: Final = ("v1.2_3-x", "-v")
RFC_1035: Final = ("serving-1", "Serving")
ADDRESSES: Final = ("10.0.0.0/16", "127.0.0.0/16")
CIDR: Final = ("10.0.0.0/8", "10.0.0.0")
PROTOCOL: Final = ("tcp", "tcpip")
VERSION: Final = ("1.35.7-gke.1222000", "new")
SHARE: Final = ("25%", "-1")
COUNTS: Final = ("25%", "101%")
FORMS: Final[dict[str, tuple[Any, Any]]] = {
    "Repository name": ("team/a-b_c", "a--b"),
    "Vpc cidrBlock": ADDRESSES,
    "SecurityGroup name": ("serving_1", "sg-serving"),
    "SecurityGroup description": (TEXT, "what's in"),
    "SecurityGroup ingress[*].description": (TEXT, "what's in"),
    "SecurityGroup egress[*].description": (TEXT, "what's in"),
    "SecurityGroup ingress[*].protocol": PROTOCOL,
    "SecurityGroup egress[*].protocol": PROTOCOL,
    "SecurityGroupIngressRule ipProtocol": PROTOCOL,
    "LaunchTemplate name": ("serving/1(a)", "serving 1"),
    "LaunchTemplate tagSpecifications[*].tags[keys]": ("team", "AWS:team"),
    "OpenIdConnectProvider url": ("https://x.example", "http://x.example"),
    "Cluster vpcConfig.publicAccessCidrs[*]": ("0.0.0.0/0", "10.1.0.0/16"),
    "Cluster kubernetesNetworkConfig.serviceIpv4Cidr": ("172.20.0.0/16", "100.64.0.0/16"),
    "Cluster encryptionConfig.resources[*]": ("secrets", "pods"),
    "NodeGroup nodeGroupName": ("serving_1", "-serving"),
    "NodeGroup labels[keys]": LABEL,
    "NodeGroup labels[*]": LABEL_VALUE,
    "NodeGroup taints[*].value": LABEL_VALUE,
    "NodeGroup version": ("1.35", "1"),
    "Addon resolveConflictsOnCreate": ("OVERWRITE", "PRESERVE"),
    "AccessEntry kubernetesGroups[*]": ("viewers", "system:masters"),
    "AccessEntry userName": ("ci", "eks:ci"),
    "PodIdentityAssociation namespace": ("model-a", "Model"),
    "PodIdentityAssociation serviceAccount": ("model-a", "Model"),
    "LogGroup name": ("/aws/eks/a/cluster", "aws/eks"),
    "Bucket bucket": ("weights-1", "weights-s3alias"),
    "Cluster privateClusterConfig.masterIpv4CidrBlock": ("172.16.0.0/28", "172.17.0.0/28"),
    "Cluster ipAllocationPolicy.clusterIpv4CidrBlock": ("10.128.0.0/16", "172.16.0.0/15"),
    "Cluster ipAllocationPolicy.servicesIpv4CidrBlock": ("10.96.0.0/20", "172.17.16.0/20"),
    "Subnetwork ipCidrRange": ADDRESSES,
    "Subnetwork secondaryIpRanges[*].ipCidrRange": ADDRESSES,
    "Subnetwork secondaryIpRanges[*].rangeName": RFC_1035,
    "Firewall sourceTags[*]": RFC_1035,
    "Firewall targetTags[*]": RFC_1035,
    "Firewall allows[*].protocol": PROTOCOL,
    "Firewall denies[*].protocol": PROTOCOL,
    "Firewall allows[*].ports[*]": ("80-65535", "80-65536"),
    "Firewall denies[*].ports[*]": ("443", "x"),
    "Cluster minMasterVersion": VERSION,
    "Cluster workloadIdentityConfig.workloadPool": ("example.svc.id.goog", "example"),
    "NodePool version": VERSION,
    "NodePool nodeConfig.labels[keys]": LABEL,
    "NodePool nodeConfig.labels[*]": LABEL_VALUE,
    "NodePool nodeConfig.taints[*].key": LABEL,
    "NodePool nodeConfig.taints[*].value": LABEL_VALUE,
    "NodePool nodeConfig.tags[*]": RFC_1035,
    "NodePool nodeConfig.metadata[keys]": ("disable-legacy-endpoints", "a.b"),
    "NodePool nodeConfig.diskType": ("pd-ssd", "gp3"),
    "NodePool nodeConfig.imageType": ("cos_containerd", "BOTTLEROCKET"),
    "NodePool nodeConfig.serviceAccount": ("a@example.iam.gserviceaccount.com", "a"),
    "Repository location": ("europe", "mars"),
    "Bucket location": ("eur4", "mars"),
    "Bucket name": ("weights.example", "google-weights"),
    "Bucket storageClass": ("NEARLINE", "GLACIER"),
    "Bucket publicAccessPrevention": ("enforced", "on"),
    "KeyRing name": ("Main_1", "main.1"),
    "CryptoKey rotationPeriod": ("86400s", "86399s"),
    "IAMMember project": ("example", "Ex"),
    "PodSpec serviceAccountName": ("model-a", "Model"),
    "PodSpec hostname": ("model-a", "model.a"),
    "Volume name": ("weights", "a.b"),
    "Toleration key": LABEL,
    "RollingUpdateDeployment maxSurge": SHARE,
    "RollingUpdateDeployment maxUnavailable": COUNTS,
    "ServicePort name": ("http", "HTTP"),
    "ServiceSpec clusterIP": ("None", "10.0.0"),
    "ServiceSpec loadBalancerSourceRanges[*]": CIDR,
    "PersistentVolumeSpec accessModes[*]": ("ReadOnlyMany", "ReadOnly"),
    "PersistentVolumeSpec persistentVolumeReclaimPolicy": ("Retain", "Keep"),
    "NetworkPolicySpec policyTypes[*]": ("Ingress", "In"),
    "IPBlock cidr": CIDR,
    "PodDisruptionBudgetSpec maxUnavailable": COUNTS,
    "PodDisruptionBudgetSpec minAvailable": COUNTS,
}
"""Right and wrong, for each line that says what a text looks like. Kept apart from the table, which is what is tested."""


def lines(tables: Any) -> Iterator[tuple[str, Limit]]:
    yield from ((token, limit) for token, limits in tables.items() for limit in limits)


def key_of(token: str, limit: Limit) -> str:
    return f"{token.replace('/', '.').replace(':', '.').rpartition('.')[2]} {limit.path}"


KEYS: Final[dict[Limit, list[str]]] = defaultdict(list)
for one_token, one_limit in [*lines(AWS), *lines(GCP), *lines(KUBERNETES)]:
    KEYS[one_limit].append(key_of(one_token, one_limit))


def text_of(limit: Limit, size: int, form: str) -> Any:
    """A value of exactly this size, that begins as `form` does."""
    measure = limit.measure
    if measure == "items" and limit.path.lower().endswith(("labels", "specifications[*].tags")):
        return {f"key-{number}": "x" for number in range(size)}
    made_of = {
        "items": lambda: [f"item-{number}" for number in range(size)],
        "decoded bytes": lambda: base64.b64encode(b"a" * size).decode(),
        "quantity": lambda: str(size),
        "number": lambda: size,
        "letters": lambda: policy(size),
        "bytes": lambda: policy(size) if size > 1000 else "é" * (size // 2) + "e" * (size % 2),
        "characters": lambda: f"{form}{'a' * size}"[:size],
    }
    return made_of[measure]()


def sides(token: str, limit: Limit) -> Iterator[tuple[Any, Any]]:
    """Values that are just right, each beside one that is just not."""
    if limit.measure == "fields":
        names = limit.form.split()
        if limit.least:
            yield {names[0]: {}}, {"other": {}}
        if limit.most == 1:
            yield {names[0]: {}}, {names[0]: {}, names[1]: {}}
        return
    right = ""
    if limit.form:
        right, wrong = next(FORMS[key] for key in KEYS[limit] if key in FORMS)
        yield right, wrong
    if limit.measure and limit.measure not in RANGES:
        if limit.most < float("inf"):
            yield text_of(limit, int(limit.most), right), text_of(limit, int(limit.most) + 1, right)
        if limit.least or limit.measure == "number":
            yield text_of(limit, int(limit.least), right), text_of(limit, int(limit.least) - 1, right)


def inputs_with(base: dict[str, Any], path: str, value: Any, token: str) -> Any:
    """The base with a value at a path; lists and maps on the way hold that alone."""
    path, keys, _ = path.partition("[keys]")
    steps = parse(path)
    if keys:
        value = {value: "x"}
    for place in range(len(steps) - 1, -1, -1):
        step = steps[place]
        is_map = steps[place - 1] == "labels" or (token.startswith("aws") and steps[place - 1] == "tags")
        value = ({"key": value} if is_map else [value]) if step == "*" else {str(step): value}
    whole = copy.deepcopy(base)
    for name, given in (value if isinstance(value, dict) else {}).items():
        before = whole.get(name)
        whole[name] = {**before, **given} if isinstance(before, dict) and isinstance(given, dict) else given
    return whole


def failures_at(token: str, limit: Limit, value: Any) -> list[Failure]:
    """What a provider's check says of this value, and of what is in it."""
    package = token.partition(":")[0]
    inputs = inputs_with(BASES.get(token, {}), limit.path, value, token)
    _, failures = PROVIDERS[package].check(f"urn:pulumi:s::p::{token}::main", None, inputs, b"seed")
    where = limit.path.partition("[keys]")[0].replace("[*]", "")
    if limit.measure == "items":
        return [
            each for each in failures if plain(each.property) == where and isinstance(parse(each.property)[-1], str)
        ]
    return [each for each in failures if plain(each.property).startswith(where)]


def plain(path: str) -> str:
    return to_text(step for step in parse(path) if isinstance(step, str))


PROVIDERS: Final = {"aws": made("aws"), "gcp": made("gcp")}
CLOUD_LINES: Final = [*lines(AWS), *lines(GCP)]
KUBERNETES_LINES: Final = list(lines(KUBERNETES))


class TestEveryLine:
    @pytest.mark.parametrize(("token", "limit"), CLOUD_LINES, ids=[key_of(*line) for line in CLOUD_LINES])
    def test_takes_what_is_right_and_refuses_what_is_beyond_before_any_call(self, token: str, limit: Limit) -> None:
        checked = 0
        for right, wrong in sides(token, limit):
            assert failures_at(token, limit, right) == []
            (failure, *_) = failures_at(token, limit, wrong)
            assert failure.reason
            checked += 1
        assert checked

    @pytest.mark.parametrize(("token", "limit"), KUBERNETES_LINES, ids=[key_of(*line) for line in KUBERNETES_LINES])
    def test_of_kubernetes_tells_right_from_wrong(self, token: str, limit: Limit) -> None:
        checked = 0
        for right, wrong in sides(token, limit):
            assert (
                list(limit.faults("Kubernetes", inputs_with({}, limit.path, right, token) if limit.path else right))
                == []
            )
            assert list(limit.faults("Kubernetes", inputs_with({}, limit.path, wrong, token) if limit.path else wrong))
            checked += 1
        assert checked

    def test_says_the_value_the_rule_and_what_to_use(self) -> None:
        for token, limit in [*CLOUD_LINES, *KUBERNETES_LINES]:
            for _, wrong in sides(token, limit):
                ((_, reason), *_) = limit.faults(
                    "the cloud", inputs_with({}, limit.path, wrong, token) if limit.path else wrong
                )
                assert f"use {limit.rule}" in reason
                assert (wrong[:20] if isinstance(wrong, str) and limit.measure != "decoded bytes" else "") in reason

    def test_names_the_vendor_s_page(self) -> None:
        hosts = {"aws": "docs.aws.amazon.com", "gcp": "cloud.google.com"}
        for token, limit in [*CLOUD_LINES, *KUBERNETES_LINES]:
            assert limit.source.split("/")[2] in ("kubernetes.io", hosts.get(token.partition(":")[0]))

    def test_is_about_a_type_or_a_schema_that_is_there(self) -> None:
        for token in {*AWS, *GCP}:
            PROVIDERS[token.partition(":")[0]].check(f"urn:pulumi:s::p::{token}::main", None, {}, b"seed")
        assert set(KUBERNETES) <= {*catalogue().definitions}

    def test_is_tested_with_words_of_its_own(self) -> None:
        formed = {key_of(token, limit) for token, limit in [*CLOUD_LINES, *KUBERNETES_LINES]}
        assert set(FORMS) <= formed


class TestWhatIsNotKnownYet:
    def test_breaks_no_rule(self) -> None:
        assert failures_at("aws:eks/nodeGroup:NodeGroup", AWS["aws:eks/nodeGroup:NodeGroup"][0], UNKNOWN) == []


class TestTables:
    @pytest.mark.parametrize(
        "table", [aws_checks.LIMITS, gcp_checks.LIMITS, validate.LIMITS], ids=lambda each: each.parent.name
    )
    def test_have_no_line_twice(self, table: Path) -> None:
        rows = list(csv.DictReader(table.read_text(encoding="utf-8").splitlines()))
        assert tuple(rows[0]) == COLUMNS
        keys = [(row["type"], row["path"], row["form"]) for row in rows]
        assert len(keys) == len(set(keys))

    def test_refuse_columns_that_nobody_reads(self, tmp_path: Path) -> None:
        (tmp_path / "limits.csv").write_text("type,path\n", encoding="utf-8")
        with pytest.raises(ValueError, match="they must be type, path, measure"):
            load_limits(tmp_path / "limits.csv")
