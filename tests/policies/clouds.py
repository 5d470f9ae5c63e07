"""Resources of both clouds that pass every check of theirs, and ways to spoil them."""

from __future__ import annotations

import json
from typing import Any

from tests.policies.harness import Given

LABELS = {
    "environment": "prod",
    "managed-by": "model-factory",
    "stack": "prod",
    "team": "a",
    "cost-center": "b",
}
KEY = "arn:aws:kms:us-east-1:123456789012:key/1"


def document(**statement: Any) -> str:
    """An IAM policy of one statement; what is not given allows reading one bucket."""
    allowed = {"Effect": "Allow", "Action": ["s3:GetObject"], "Resource": "arn:aws:s3:::weights/*"}
    return json.dumps({"Version": "2012-10-17", "Statement": [{**allowed, **statement}]})


def trust(principal: Any, **more: Any) -> str:
    statement = {"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole", **more}
    return json.dumps({"Version": "2012-10-17", "Statement": statement})


EKS = Given(
    "aws:eks/cluster:Cluster",
    {
        "region": "us-east-1",
        "version": "1.35",
        "enabledClusterLogTypes": ["api", "audit", "authenticator", "controllerManager", "scheduler"],
        "encryptionConfig": {"provider": {"keyArn": KEY}, "resources": ["secrets"]},
        "vpcConfig": {
            "subnetIds": ["subnet-1"],
            "endpointPrivateAccess": True,
            "endpointPublicAccess": True,
            "publicAccessCidrs": ["203.0.113.0/24"],
        },
        "tags": LABELS,
    },
    "eks",
    protect=True,
)
NODES = Given(
    "aws:eks/nodeGroup:NodeGroup",
    {
        "region": "us-east-1",
        "amiType": "BOTTLEROCKET_x86_64_NVIDIA",
        "instanceTypes": ["g6.xlarge"],
        "launchTemplate": {"id": "lt-1", "version": "1"},
        "scalingConfig": {"minSize": 0, "maxSize": 4},
        "tags": LABELS,
    },
    "nodes",
)
TEMPLATE = Given(
    "aws:ec2/launchTemplate:LaunchTemplate",
    {
        "region": "us-east-1",
        "metadataOptions": {"httpTokens": "required", "httpPutResponseHopLimit": 1},
        "networkInterfaces": [{"associatePublicIpAddress": "false"}],
        "tagSpecifications": [
            {"resourceType": "instance", "tags": LABELS},
            {"resourceType": "volume", "tags": LABELS},
        ],
        "tags": LABELS,
    },
    "nodes",
)
INSTANCE = Given(
    "aws:ec2/instance:Instance",
    {
        "region": "us-east-1",
        "metadataOptions": {"httpTokens": "required", "httpPutResponseHopLimit": 1},
        "associatePublicIpAddress": False,
        "tags": LABELS,
    },
    "machine",
)
ECR = Given(
    "aws:ecr/repository:Repository",
    {
        "region": "us-east-1",
        "imageTagMutability": "IMMUTABLE",
        "imageScanningConfiguration": {"scanOnPush": True},
        "tags": LABELS,
    },
    "images",
    protect=True,
)
ECR_POLICY = Given(
    "aws:ecr/repositoryPolicy:RepositoryPolicy",
    {
        "region": "us-east-1",
        "repository": "images",
        "policy": document(Principal={"AWS": "arn:aws:iam::123456789012:root"}, Action="ecr:BatchGetImage"),
    },
    "images",
)
GROUP = Given(
    "aws:ec2/securityGroup:SecurityGroup",
    {
        "region": "us-east-1",
        "ingress": [{"protocol": "tcp", "fromPort": 0, "toPort": 65535, "cidrBlocks": ["10.0.0.0/16"]}],
        "tags": LABELS,
    },
    "group",
)
RULE = Given(
    "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule",
    {
        "region": "us-east-1",
        "ipProtocol": "tcp",
        "fromPort": 443,
        "toPort": 443,
        "cidrIpv4": "0.0.0.0/0",
    },
    "https",
)
OLD_RULE = Given(
    "aws:ec2/securityGroupRule:SecurityGroupRule",
    {
        "region": "us-east-1",
        "type": "ingress",
        "protocol": "tcp",
        "fromPort": 443,
        "toPort": 443,
        "cidrBlocks": ["0.0.0.0/0"],
    },
    "https",
)
ROLE = Given(
    "aws:iam/role:Role",
    {
        "assumeRolePolicy": trust({"Service": "eks.amazonaws.com"}),
        "inlinePolicies": [{"name": "read", "policy": document()}],
        "managedPolicyArns": ["arn:aws:iam::aws:policy/AmazonEKSClusterPolicy"],
        "tags": LABELS,
    },
    "role",
)
POLICY = Given("aws:iam/policy:Policy", {"policy": document(), "tags": LABELS}, "policy")
ATTACHMENT = Given(
    "aws:iam/rolePolicyAttachment:RolePolicyAttachment",
    {"role": "role", "policyArn": "arn:aws:iam::aws:policy/AmazonEKSClusterPolicy"},
    "attachment",
)
KMS = Given("aws:kms/key:Key", {"region": "us-east-1", "enableKeyRotation": True, "tags": LABELS}, "key", protect=True)
SUBNET = Given("aws:ec2/subnet:Subnet", {"region": "us-east-1", "mapPublicIpOnLaunch": False, "tags": LABELS}, "subnet")
BUCKET = Given(
    "aws:s3/bucket:Bucket",
    {"region": "us-east-1", "forceDestroy": False, "tags": LABELS},
    "bucket",
    protect=True,
)
VPC = Given("aws:ec2/vpc:Vpc", {"region": "us-east-1", "cidrBlock": "10.0.0.0/16", "tags": LABELS}, "vpc")
FLOW_LOG = Given(
    "aws:ec2/flowLog:FlowLog",
    {"region": "us-east-1", "trafficType": "REJECT", "vpcId": "vpc-1", "tags": LABELS},
    "refused",
    property_dependencies={"vpcId": [VPC.urn]},
)
GKE = Given(
    "gcp:container/cluster:Cluster",
    {
        "location": "us-central1",
        "minMasterVersion": "1.35",
        "privateClusterConfig": {"enablePrivateNodes": True, "enablePrivateEndpoint": False},
        "masterAuthorizedNetworksConfig": {
            "gcpPublicCidrsAccessEnabled": False,
            "cidrBlocks": [{"cidrBlock": "203.0.113.0/24"}],
        },
        "workloadIdentityConfig": {"workloadPool": "project.svc.id.goog"},
        "releaseChannel": {"channel": "STABLE"},
        "binaryAuthorization": {"evaluationMode": "PROJECT_SINGLETON_POLICY_ENFORCE"},
        "enableShieldedNodes": True,
        "enableLegacyAbac": False,
        "removeDefaultNodePool": True,
        "nodeConfig": {
            "serviceAccount": "nodes@project.iam.gserviceaccount.com",
            "workloadMetadataConfig": {"mode": "GKE_METADATA"},
            "shieldedInstanceConfig": {"enableSecureBoot": True, "enableIntegrityMonitoring": True},
        },
        "resourceLabels": LABELS,
    },
    "gke",
    protect=True,
)
POOL = Given(
    "gcp:container/nodePool:NodePool",
    {
        "location": "us-central1",
        "management": {"autoRepair": True, "autoUpgrade": True},
        "networkConfig": {"enablePrivateNodes": True},
        "nodeConfig": {
            "machineType": "g2-standard-4",
            "serviceAccount": "nodes@project.iam.gserviceaccount.com",
            "workloadMetadataConfig": {"mode": "GKE_METADATA"},
            "shieldedInstanceConfig": {"enableSecureBoot": True, "enableIntegrityMonitoring": True},
            "resourceLabels": LABELS,
        },
    },
    "pool",
)
READER = Given(
    "gcp:artifactregistry/repositoryIamMember:RepositoryIamMember",
    {
        "location": "us-central1",
        "role": "roles/artifactregistry.reader",
        "member": "serviceAccount:nodes@project.iam.gserviceaccount.com",
    },
    "reader",
)
READERS = Given(
    "gcp:artifactregistry/repositoryIamBinding:RepositoryIamBinding",
    {"location": "us-central1", "role": "roles/artifactregistry.reader", "members": ["group:a@example.test"]},
    "readers",
)
READ_POLICY = Given(
    "gcp:artifactregistry/repositoryIamPolicy:RepositoryIamPolicy",
    {
        "location": "us-central1",
        "policyData": json.dumps(
            {"bindings": [{"role": "roles/artifactregistry.reader", "members": ["group:a@example.test"]}]}
        ),
    },
    "read",
)
GCS = Given(
    "gcp:storage/bucket:Bucket",
    {"location": "US-CENTRAL1", "forceDestroy": False, "labels": LABELS},
    "bucket",
    protect=True,
)
STACK = Given("pulumi:pulumi:Stack", {"usd_per_month": {"least": "4000.00", "most": "25000.00"}}, "model-factory-prod")
GOOD = (
    EKS, NODES, TEMPLATE, INSTANCE, ECR, ECR_POLICY, GROUP, RULE, OLD_RULE, ROLE, POLICY, ATTACHMENT, KMS, SUBNET, BUCKET, VPC,
    FLOW_LOG, GKE, POOL, READER, READERS, READ_POLICY, GCS,
)  # fmt: skip
