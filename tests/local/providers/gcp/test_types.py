"""Each type of the provider: made, read back unchanged, changed, found again, deleted; looked at through Google's client."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from model_factory.local import wire
from model_factory.local.providers.gcp.provider import TYPES
from model_factory.local.wire import Properties

PROJECT = "model-factory-dev"
NETWORK = "gcp:compute/network:Network"
SUBNETWORK = "gcp:compute/subnetwork:Subnetwork"
ROUTER = "gcp:compute/router:Router"
NAT = "gcp:compute/routerNat:RouterNat"
FIREWALL = "gcp:compute/firewall:Firewall"
ACCOUNT = "gcp:serviceaccount/account:Account"
CLUSTER = "gcp:container/cluster:Cluster"
POOL = "gcp:container/nodePool:NodePool"
REPOSITORY = "gcp:artifactregistry/repository:Repository"
BUCKET = "gcp:storage/bucket:Bucket"
RING = "gcp:kms/keyRing:KeyRing"
KEY = "gcp:kms/cryptoKey:CryptoKey"

NODES: Properties = {
    "machineType": "g2-standard-4",
    "spot": True,
    "imageType": "COS_CONTAINERD",
    "diskSizeGb": 100,
    "diskType": "pd-balanced",
    "oauthScopes": ["https://www.googleapis.com/auth/cloud-platform"],
    "metadata": {"disable-legacy-endpoints": "true"},
    "workloadMetadataConfig": {"mode": "GKE_METADATA"},
    "shieldedInstanceConfig": {"enableSecureBoot": True, "enableIntegrityMonitoring": True},
    "gcfsConfig": {"enabled": True},
    "labels": {"accelerator": "l4"},
    "resourceLabels": {"team": "serving"},
    "taints": [{"key": "spot", "value": "true", "effect": "NO_SCHEDULE"}],
    "guestAccelerators": [
        {"type": "nvidia-l4", "count": 1, "gpuDriverInstallationConfig": {"gpuDriverVersion": "LATEST"}}
    ],
}
RESERVED: Properties = {
    **NODES,
    "spot": False,
    "reservationAffinity": {
        "consumeReservationType": "SPECIFIC_RESERVATION",
        "key": "compute.googleapis.com/reservation-name",
        "values": ["serving-l4"],
    },
}
CLUSTER_INPUTS: Properties = {
    "location": "us-central1",
    "networkingMode": "VPC_NATIVE",
    "ipAllocationPolicy": {"clusterSecondaryRangeName": "pods", "servicesSecondaryRangeName": "services"},
    "datapathProvider": "ADVANCED_DATAPATH",
    "privateClusterConfig": {
        "enablePrivateNodes": True,
        "enablePrivateEndpoint": False,
        "masterIpv4CidrBlock": "172.16.0.0/28",
    },
    "masterAuthorizedNetworksConfig": {
        "gcpPublicCidrsAccessEnabled": False,
        "cidrBlocks": [{"cidrBlock": "203.0.113.0/24", "displayName": "office"}],
    },
    "masterAuth": {"clientCertificateConfig": {"issueClientCertificate": False}},
    "workloadIdentityConfig": {"workloadPool": f"{PROJECT}.svc.id.goog"},
    "releaseChannel": {"channel": "REGULAR"},
    "minMasterVersion": "1.34",
    "enableShieldedNodes": True,
    "enableLegacyAbac": False,
    "enableIntranodeVisibility": True,
    "addonsConfig": {"gcsFuseCsiDriverConfig": {"enabled": True}},
    "loggingConfig": {"enableComponents": ["SYSTEM_COMPONENTS", "WORKLOADS"]},
    "monitoringConfig": {"enableComponents": ["SYSTEM_COMPONENTS"], "managedPrometheus": {"enabled": True}},
    "securityPostureConfig": {"mode": "BASIC", "vulnerabilityMode": "VULNERABILITY_DISABLED"},
    "removeDefaultNodePool": True,
    "initialNodeCount": 1,
    "nodeConfig": {"workloadMetadataConfig": {"mode": "GKE_METADATA"}},
    "deletionProtection": False,
    "resourceLabels": {"team": "serving"},
}

Setup = Callable[[Any], Properties]


def nothing(_engine: Any) -> Properties:
    return {}


def in_network(engine: Any) -> Properties:
    return {"network": engine.create(NETWORK, {"autoCreateSubnetworks": False}, name="net").id}


def on_router(engine: Any) -> Properties:
    router = engine.create(ROUTER, {**in_network(engine), "region": "us-central1"}, name="router")
    return {"router": router.outputs["name"]}


def in_subnetwork(engine: Any) -> Properties:
    network = in_network(engine)
    ranges = [
        {"rangeName": "pods", "ipCidrRange": "10.4.0.0/14"},
        {"rangeName": "services", "ipCidrRange": "10.8.0.0/20"},
    ]
    inputs = {**network, "ipCidrRange": "10.0.0.0/20", "region": "us-central1", "secondaryIpRanges": ranges}
    return {**network, "subnetwork": engine.create(SUBNETWORK, inputs, name="sub").id}


def in_cluster(engine: Any) -> Properties:
    cluster = engine.create(CLUSTER, {**CLUSTER_INPUTS, **in_subnetwork(engine)}, name="c")
    return {"cluster": cluster.outputs["name"]}


def account(engine: Any) -> Any:
    return engine.create(ACCOUNT, {"accountId": "serving-nodes"}, name="sa")


def member_of_project(engine: Any) -> Properties:
    return {"project": PROJECT, "member": account(engine).outputs["member"]}


def member_of_account(engine: Any) -> Properties:
    made = account(engine)
    return {"serviceAccountId": made.outputs["name"], "member": made.outputs["member"]}


def member_of_repository(engine: Any) -> Properties:
    repository = engine.create(REPOSITORY, {"repositoryId": "models", "format": "DOCKER", "location": "us-central1"})
    return {
        "repository": repository.outputs["repositoryId"],
        "location": "us-central1",
        "member": account(engine).outputs["member"],
    }


def member_of_bucket(engine: Any) -> Properties:
    bucket = engine.create(BUCKET, {"location": "us-central1"}, name="weights")
    return {"bucket": bucket.id, "member": account(engine).outputs["member"]}


def in_ring(engine: Any) -> Properties:
    return {"keyRing": engine.create(RING, {"location": "us-central1"}, name="ring").id}


def member_of_key(engine: Any) -> Properties:
    key = engine.create(KEY, in_ring(engine), name="key")
    return {"cryptoKeyId": key.id, "member": account(engine).outputs["member"]}


@dataclass(frozen=True)
class Case:
    """A type's inputs, what must be there first, and changes: (inputs, whether they replace)."""

    token: str
    inputs: Properties
    before: Setup = nothing
    updates: tuple[Properties, ...] = ()
    replacements: tuple[Properties, ...] = ()
    outputs: tuple[str, ...] = ()
    id_ends: str = ""
    stays: bool = False
    """Whether the cloud never deletes it."""
    extra: Properties = field(default_factory=dict)


CASES = (
    Case(
        NETWORK,
        {"autoCreateSubnetworks": False, "routingMode": "REGIONAL"},
        updates=({"routingMode": "GLOBAL"}, {"mtu": 1500}),
        replacements=({"autoCreateSubnetworks": True}, {"description": "other"}),
        outputs=("selfLink", "networkId", "numericId"),
    ),
    Case(
        SUBNETWORK,
        {
            "ipCidrRange": "10.0.0.0/20",
            "region": "us-central1",
            "secondaryIpRanges": [{"rangeName": "pods", "ipCidrRange": "10.4.0.0/14"}],
            "privateIpGoogleAccess": True,
            "logConfig": {
                "aggregationInterval": "INTERVAL_10_MIN",
                "flowSampling": 0.1,
                "metadata": "INCLUDE_ALL_METADATA",
            },
        },
        in_network,
        updates=(
            {"privateIpGoogleAccess": False},
            {"ipCidrRange": "10.0.0.0/19"},
            {"secondaryIpRanges": [{"rangeName": "pods", "ipCidrRange": "10.12.0.0/14"}]},
            {"logConfig": None},
        ),
        replacements=({"region": "us-east1"},),
        outputs=("gatewayAddress", "selfLink", "creationTimestamp", "subnetworkId"),
    ),
    Case(
        ROUTER,
        {"region": "us-central1"},
        in_network,
        updates=({"description": "out"}, {"bgp": {"asn": 64514}}),
        replacements=({"region": "us-east1"},),
        outputs=("selfLink", "creationTimestamp"),
    ),
    Case(
        NAT,
        {
            "region": "us-central1",
            "natIpAllocateOption": "AUTO_ONLY",
            "sourceSubnetworkIpRangesToNat": "ALL_SUBNETWORKS_ALL_IP_RANGES",
            "logConfig": {"enable": True, "filter": "ERRORS_ONLY"},
        },
        on_router,
        updates=({"minPortsPerVm": 128}, {"logConfig": {"enable": False, "filter": "ALL"}}),
        replacements=({"type": "PRIVATE"},),
    ),
    Case(
        FIREWALL,
        {
            "direction": "INGRESS",
            "priority": 65534,
            "denies": [{"protocol": "all"}],
            "sourceRanges": ["0.0.0.0/0"],
            "logConfig": {"metadata": "INCLUDE_ALL_METADATA"},
        },
        in_network,
        updates=(
            {"priority": 100},
            {"sourceRanges": ["10.0.0.0/8"]},
            {"logConfig": None},
            {"disabled": True},
        ),
        replacements=({"direction": "EGRESS", "sourceRanges": None},),
        outputs=("selfLink", "creationTimestamp"),
    ),
    Case(
        ACCOUNT,
        {"accountId": "serving-nodes", "displayName": "Nodes"},
        updates=({"displayName": "Other"}, {"disabled": True}, {"description": "what for"}),
        replacements=({"accountId": "other-nodes"},),
        outputs=("email", "member", "name", "uniqueId"),
        id_ends="@model-factory-dev.iam.gserviceaccount.com",
    ),
    Case(
        CLUSTER,
        CLUSTER_INPUTS,
        in_subnetwork,
        updates=(
            {"resourceLabels": {"team": "platform"}},
            {
                "masterAuthorizedNetworksConfig": {
                    "cidrBlocks": [{"cidrBlock": "198.51.100.0/24", "displayName": "vpn"}]
                }
            },
            {"loggingConfig": {"enableComponents": ["SYSTEM_COMPONENTS"]}},
            {"releaseChannel": {"channel": "RAPID"}},
            {"minMasterVersion": "1.35"},
            {"maintenancePolicy": {"dailyMaintenanceWindow": {"startTime": "03:00"}}},
            {"enableIntranodeVisibility": False},
        ),
        replacements=({"location": "us-east1"}, {"datapathProvider": "LEGACY_DATAPATH"}),
        outputs=("endpoint", "masterVersion", "selfLink", "labelFingerprint", "servicesIpv4Cidr"),
    ),
    Case(
        POOL,
        {
            "location": "us-central1",
            "nodeLocations": ["us-central1-a"],
            "initialNodeCount": 0,
            "autoscaling": {"totalMinNodeCount": 0, "totalMaxNodeCount": 4, "locationPolicy": "ANY"},
            "management": {"autoRepair": True, "autoUpgrade": True},
            "upgradeSettings": {"maxSurge": 0, "maxUnavailable": 1},
            "nodeConfig": NODES,
        },
        in_cluster,
        updates=(
            {"nodeConfig": {**NODES, "machineType": "g2-standard-8"}},
            {"autoscaling": {"totalMinNodeCount": 0, "totalMaxNodeCount": 8, "locationPolicy": "ANY"}},
            {"nodeConfig": {**NODES, "labels": {"accelerator": "other"}}},
            {"nodeConfig": {**NODES, "taints": []}},
            {"upgradeSettings": {"maxSurge": 1, "maxUnavailable": 0}},
            {"nodeLocations": ["us-central1-a", "us-central1-b"]},
        ),
        replacements=({"nodeConfig": {**NODES, "spot": False}}, {"nodeConfig": RESERVED}, {"initialNodeCount": 1}),
        outputs=("instanceGroupUrls", "managedInstanceGroupUrls", "version"),
    ),
    Case(
        POOL,
        {
            "location": "us-central1",
            "nodeLocations": ["us-central1-a"],
            "initialNodeCount": 0,
            "autoscaling": {"totalMinNodeCount": 0, "totalMaxNodeCount": 4},
            "nodeConfig": RESERVED,
        },
        in_cluster,
        updates=({"autoscaling": {"totalMinNodeCount": 0, "totalMaxNodeCount": 2}},),
        replacements=({"nodeConfig": NODES},),
        outputs=("instanceGroupUrls", "version"),
    ),
    Case(
        REPOSITORY,
        {
            "repositoryId": "models",
            "location": "us-central1",
            "format": "DOCKER",
            "description": "Images",
            "dockerConfig": {"immutableTags": True},
            "labels": {"team": "serving"},
        },
        updates=(
            {"labels": {"team": "platform"}},
            {"description": None},
            {"dockerConfig": {"immutableTags": False}},
            {"cleanupPolicies": [{"id": "old", "action": "DELETE", "condition": {"olderThan": "2592000s"}}]},
        ),
        replacements=({"repositoryId": "other"}, {"format": "PYTHON", "dockerConfig": None}),
        outputs=("name", "createTime", "registryUri", "updateTime"),
    ),
    Case(
        BUCKET,
        {
            "location": "US-CENTRAL1",
            "uniformBucketLevelAccess": True,
            "publicAccessPrevention": "enforced",
            "versioning": {"enabled": True},
            "forceDestroy": True,
            "labels": {"team": "serving"},
            "lifecycleRules": [
                {"action": {"type": "Delete"}, "condition": {"numNewerVersions": 3, "withState": "ARCHIVED"}}
            ],
        },
        updates=(
            {"labels": {"owner": "platform"}},
            {"versioning": {"enabled": False}},
            {"lifecycleRules": None},
            {"storageClass": "NEARLINE"},
        ),
        replacements=({"location": "EU"},),
        outputs=("url", "selfLink", "projectNumber", "timeCreated"),
    ),
    Case(
        "gcp:projects/iAMMember:IAMMember",
        {"role": "roles/logging.logWriter"},
        member_of_project,
        replacements=({"role": "roles/monitoring.viewer"},),
        outputs=("etag",),
    ),
    Case(
        "gcp:serviceaccount/iAMMember:IAMMember",
        {"role": "roles/iam.workloadIdentityUser"},
        member_of_account,
        replacements=({"role": "roles/iam.serviceAccountUser"},),
        outputs=("etag",),
    ),
    Case(
        "gcp:artifactregistry/repositoryIamMember:RepositoryIamMember",
        {"role": "roles/artifactregistry.reader"},
        member_of_repository,
        replacements=({"role": "roles/artifactregistry.writer"},),
        outputs=("etag",),
    ),
    Case(
        "gcp:storage/bucketIAMMember:BucketIAMMember",
        {"role": "roles/storage.objectViewer", "condition": {"title": "folder", "expression": "true"}},
        member_of_bucket,
        replacements=({"condition": {"title": "other", "expression": "true"}},),
        outputs=("etag",),
    ),
    Case(RING, {"location": "us-central1"}, replacements=({"location": "us-east1"},), stays=True),
    Case(
        KEY,
        {"rotationPeriod": "7776000s", "labels": {"team": "serving"}},
        in_ring,
        updates=({"rotationPeriod": "2592000s"}, {"labels": {"team": "other"}}),
        replacements=({"purpose": "MAC", "rotationPeriod": None},),
        outputs=("primaries",),
        stays=True,
    ),
    Case(
        "gcp:kms/cryptoKeyIAMMember:CryptoKeyIAMMember",
        {"role": "roles/cloudkms.cryptoKeyEncrypterDecrypter"},
        member_of_key,
        replacements=({"role": "roles/cloudkms.viewer"},),
        outputs=("etag",),
    ),
    Case(
        "gcp:projects/service:Service",
        {"service": "container.googleapis.com"},
        replacements=({"service": "compute.googleapis.com"},),
    ),
)
BY_TYPE = pytest.mark.parametrize("case", CASES, ids=[case.token for case in CASES])


class TestEveryType:
    def test_has_a_case(self) -> None:
        assert {case.token for case in CASES} == set(TYPES)

    @BY_TYPE
    def test_lives_and_dies(self, engine: Any, case: Case) -> None:
        first = case.before(engine)
        held = engine.control("GET", "status")["resources"]
        made = engine.create(case.token, {**case.inputs, **first})
        assert made.id.endswith(case.id_ends)
        missing = [name for name in case.outputs if made.outputs.get(name) in (None, "")]
        assert missing == []

        unchanged, _ = engine.change(made)
        assert list(unchanged.detailedDiff) == []

        read = engine.read(made)
        assert read.id == made.id
        drift = engine.diff(made, made.inputs, wire.decode(read.inputs))
        assert list(drift.detailedDiff) == []
        assert wire.decode(read.properties) == made.outputs

        assert engine.adopt(made) == made.id

        for changes in case.replacements:
            answer, _ = engine.change(made, **changes)
            assert answer.replaces, changes
        for changes in case.updates:
            answer, news = engine.change(made, **changes)
            assert answer.detailedDiff, changes
            assert not answer.replaces, changes
            made = engine.update(made, news)
            settled = engine.diff(made, news, wire.decode(engine.read(made).inputs))
            assert list(settled.detailedDiff) == [], changes

        engine.delete(made)
        assert engine.read(made).id == ""
        if not case.stays:
            assert engine.adopt(made) is None
            assert engine.control("GET", "status")["resources"] == held
            engine.delete(made)

    @BY_TYPE
    def test_preview_of_a_create_gives_inputs_and_unknowns(self, engine: Any, case: Case) -> None:
        first = case.before(engine)
        calls = engine.control("GET", "status")["resources"]
        outputs = engine.preview(case.token, engine.checked(case.token, {**case.inputs, **first}))
        assert all(wire.is_unknown(outputs[name]) for name in case.outputs), case.token
        assert engine.control("GET", "status")["resources"] == calls
