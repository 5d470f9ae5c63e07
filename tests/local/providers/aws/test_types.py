"""Each AWS type through its whole life, by one table."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import pytest
from pulumi.runtime.proto import provider_pb2 as pb

from model_factory.local import wire
from model_factory.local.providers.aws.declare import FACTS
from model_factory.local.providers.aws.provider import TYPES
from model_factory.local.wire import UNKNOWN, Properties, Value


def document(*actions: str, resource: str = "*") -> str:
    statement = {"Effect": "Allow", "Action": list(actions), "Resource": resource}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def trust(service: str) -> str:
    statement = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": service}}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def expire_untagged(keep: int) -> str:
    selection = {"tagStatus": "untagged", "countType": "imageCountMoreThan", "countNumber": keep}
    return json.dumps({"rules": [{"rulePriority": 1, "selection": selection, "action": {"type": "expire"}}]})


def bucket_policy(action: str) -> Value:
    statement = {"Effect": "Deny", "Principal": "*", "Action": action, "Resource": "arn:aws:s3:::x/*"}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


TAGS: Properties = {"tags": {"team": "ml", "a.b/c": "d"}}
RETAGGED: Properties = {"tags": {"team": "web", "new": "1"}}


@dataclass(frozen=True)
class Case:
    """`$x` stands for the id of world object x, `$x.p` for its output p. `change` happens in place, `replace` does not."""

    token: str
    inputs: Properties
    change: Properties = field(default_factory=dict)
    replace: Properties = field(default_factory=dict)
    delete_first: bool = False
    lingers: bool = False
    """AWS keeps a trace after the deletion."""


NETWORK: Properties = {"subnetIds": ["$subnet_a", "$subnet_b"]}
CASES = (
    Case(
        "aws:ec2/vpc:Vpc",
        {"cidrBlock": "10.9.0.0/16", "enableDnsHostnames": True, **TAGS},
        {"enableDnsHostnames": False, "enableDnsSupport": False, **RETAGGED},
        {"cidrBlock": "10.8.0.0/16"},
    ),
    Case(
        "aws:ec2/subnet:Subnet",
        {"vpcId": "$vpc", "cidrBlock": "10.0.9.0/24", "availabilityZone": "us-east-1c", **TAGS},
        {"mapPublicIpOnLaunch": True, **RETAGGED},
        {"availabilityZone": "us-east-1d"},
    ),
    Case(
        "aws:ec2/flowLog:FlowLog",
        {
            "vpcId": "$vpc",
            "trafficType": "REJECT",
            "logDestination": "$log_group.arn",
            "iamRoleArn": "$role.arn",
            **TAGS,
        },
        RETAGGED,
        {"trafficType": "ALL"},
    ),
    Case("aws:ec2/internetGateway:InternetGateway", {**TAGS}, RETAGGED, {"region": "us-west-2"}),
    Case("aws:ec2/eip:Eip", {"domain": "vpc", **TAGS}, RETAGGED, {"networkBorderGroup": "us-west-2"}),
    Case(
        "aws:ec2/natGateway:NatGateway",
        {"allocationId": "$address", "subnetId": "$subnet_a", **TAGS},
        RETAGGED,
        {"subnetId": "$subnet_b"},
    ),
    Case(
        "aws:ec2/routeTable:RouteTable",
        {"vpcId": "$vpc", "routes": [{"cidrBlock": "0.0.0.0/0", "gatewayId": "$gateway"}], **TAGS},
        {"routes": [{"cidrBlock": "10.99.0.0/16", "gatewayId": "$gateway"}], **RETAGGED},
        {"vpcId": "vpc-0123456789abcdef0"},
    ),
    Case(
        "aws:ec2/route:Route",
        {"routeTableId": "$table", "destinationCidrBlock": "0.0.0.0/0", "gatewayId": "$gateway"},
        {},
        {"destinationCidrBlock": "10.77.0.0/16"},
    ),
    Case(
        "aws:ec2/vpcEndpoint:VpcEndpoint",
        {"vpcId": "$vpc", "serviceName": "com.amazonaws.us-east-1.s3", "routeTableIds": ["$table"], **TAGS},
        {"routeTableIds": ["$table_2"], **RETAGGED},
        {"serviceName": "com.amazonaws.us-east-1.dynamodb"},
    ),
    Case(
        "aws:ec2/routeTableAssociation:RouteTableAssociation",
        {"routeTableId": "$table", "subnetId": "$subnet_a"},
        {"routeTableId": "$table_2"},
        {"subnetId": "$subnet_b"},
    ),
    Case(
        "aws:ec2/securityGroup:SecurityGroup",
        {
            "vpcId": "$vpc",
            "description": "nodes",
            "ingress": [{"protocol": "tcp", "fromPort": 443, "toPort": 443, "cidrBlocks": ["10.0.0.0/16"]}],
            "egress": [{"protocol": "-1", "fromPort": 0, "toPort": 0, "cidrBlocks": ["0.0.0.0/0"]}],
            **TAGS,
        },
        {
            "ingress": [{"protocol": "tcp", "fromPort": 443, "toPort": 444, "cidrBlocks": ["10.0.0.0/16"]}],
            **RETAGGED,
        },
        {"description": "others"},
    ),
    Case(
        "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule",
        {
            "securityGroupId": "$group",
            "ipProtocol": "tcp",
            "fromPort": 80,
            "toPort": 81,
            "cidrIpv4": "10.0.0.0/8",
            "description": "web",
            **TAGS,
        },
        {"cidrIpv4": "10.1.0.0/16", "toPort": 82, **RETAGGED},
        {"cidrIpv4": None, "referencedSecurityGroupId": "$group"},
    ),
    Case(
        "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule",
        {"securityGroupId": "$group", "ipProtocol": "-1", "cidrIpv4": "0.0.0.0/0", **TAGS},
        RETAGGED,
        {"securityGroupId": "sg-0123456789abcdef0"},
    ),
    Case(
        "aws:ec2/launchTemplate:LaunchTemplate",
        {
            "metadataOptions": {
                "httpTokens": "required",
                "httpPutResponseHopLimit": 1,
                "httpEndpoint": "enabled",
            },
            "blockDeviceMappings": [
                {
                    "deviceName": "/dev/xvda",
                    "ebs": {"volumeSize": 100, "encrypted": "true", "volumeType": "gp3"},
                }
            ],
            "tagSpecifications": [{"resourceType": "instance", "tags": {"team": "ml"}}],
            "capacityReservationSpecification": {
                "capacityReservationPreference": "capacity-reservations-only",
                "capacityReservationTarget": {"capacityReservationId": "cr-0123456789abcdef0"},
            },
            "updateDefaultVersion": True,
            **TAGS,
        },
        {
            "metadataOptions": {
                "httpTokens": "required",
                "httpPutResponseHopLimit": 2,
                "httpEndpoint": "enabled",
            },
            **RETAGGED,
        },
        {"name": "mine"},
        delete_first=True,
    ),
    Case(
        "aws:iam/role:Role",
        {"assumeRolePolicy": trust("eks.amazonaws.com"), "description": "nodes", **TAGS},
        {"assumeRolePolicy": trust("ec2.amazonaws.com"), "maxSessionDuration": 7200, **RETAGGED},
        {"path": "/team/"},
    ),
    Case(
        "aws:iam/policy:Policy",
        {"policy": document("s3:GetObject"), "description": "weights", **TAGS},
        {"policy": document("s3:GetObject", "s3:ListBucket"), **RETAGGED},
        {"description": "others"},
    ),
    Case(
        "aws:iam/rolePolicy:RolePolicy",
        {"role": "$role", "policy": document("s3:GetObject")},
        {"policy": document("s3:ListBucket")},
        {"role": "$role_2"},
    ),
    Case(
        "aws:iam/rolePolicyAttachment:RolePolicyAttachment",
        {"role": "$role", "policyArn": "arn:aws:iam::aws:policy/AmazonEKSClusterPolicy"},
        {},
        {"policyArn": "arn:aws:iam::aws:policy/AmazonEKSWorkerNodePolicy"},
        delete_first=True,
    ),
    Case(
        "aws:iam/openIdConnectProvider:OpenIdConnectProvider",
        {
            "url": "https://oidc.eks.us-east-1.amazonaws.com/id/ABC",
            "clientIdLists": ["sts.amazonaws.com"],
            "thumbprintLists": ["9e99a48a9960b14926bb7f3b02e22da2b0ab7280"],
            **TAGS,
        },
        {"thumbprintLists": ["0e99a48a9960b14926bb7f3b02e22da2b0ab7280"], **RETAGGED},
        {"url": "https://oidc.eks.us-east-1.amazonaws.com/id/XYZ"},
    ),
    Case(
        "aws:eks/cluster:Cluster",
        {
            "roleArn": "$role.arn",
            "vpcConfig": {**NETWORK, "endpointPrivateAccess": True, "publicAccessCidrs": ["203.0.113.0/24"]},
            "version": "1.32",
            "accessConfig": {"authenticationMode": "API", "bootstrapClusterCreatorAdminPermissions": True},
            "enabledClusterLogTypes": ["audit", "api"],
            "encryptionConfig": {"provider": {"keyArn": "$key.arn"}, "resources": ["secrets"]},
            **TAGS,
        },
        {
            "version": "1.33",
            "vpcConfig": {**NETWORK, "endpointPrivateAccess": True, "publicAccessCidrs": ["198.51.100.0/24"]},
            "enabledClusterLogTypes": ["audit"],
            **RETAGGED,
        },
        {"roleArn": "$role_2.arn"},
    ),
    Case(
        "aws:eks/nodeGroup:NodeGroup",
        {
            "clusterName": "$cluster",
            "nodeRoleArn": "$role.arn",
            "subnetIds": ["$subnet_a", "$subnet_b"],
            "scalingConfig": {"minSize": 0, "maxSize": 3, "desiredSize": 1},
            "instanceTypes": ["g5.xlarge"],
            "amiType": "AL2023_x86_64_NVIDIA",
            "capacityType": "SPOT",
            "labels": {"accelerator": "a10g"},
            "taints": [{"key": "nvidia.com/gpu", "value": "present", "effect": "NO_SCHEDULE"}],
            **TAGS,
        },
        {
            "scalingConfig": {"minSize": 0, "maxSize": 5, "desiredSize": 1},
            "updateConfig": {"maxUnavailable": 1, "updateStrategy": "MINIMAL"},
            "labels": {"accelerator": "a10g", "pool": "x"},
            "taints": [{"key": "nvidia.com/gpu", "value": "absent", "effect": "NO_SCHEDULE"}],
            **RETAGGED,
        },
        {"instanceTypes": ["g6.xlarge"]},
    ),
    Case(
        "aws:eks/addon:Addon",
        {
            "clusterName": "$cluster",
            "addonName": "vpc-cni",
            "configurationValues": '{"env": {"A": "1"}}',
            "resolveConflictsOnCreate": "OVERWRITE",
            **TAGS,
        },
        {"configurationValues": '{"env": {"A": "2"}}', "resolveConflictsOnUpdate": "PRESERVE", **RETAGGED},
        {"addonName": "coredns"},
    ),
    Case(
        "aws:eks/accessEntry:AccessEntry",
        {"clusterName": "$cluster", "principalArn": "$role.arn", "kubernetesGroups": ["viewers"], **TAGS},
        {"kubernetesGroups": ["viewers", "editors"], **RETAGGED},
        {"principalArn": "arn:aws:iam::123456789012:role/other"},
        delete_first=True,
    ),
    Case(
        "aws:eks/accessPolicyAssociation:AccessPolicyAssociation",
        {
            "clusterName": "$cluster",
            "principalArn": "$role_2.arn",
            "policyArn": "arn:aws:eks::aws:cluster-access-policy/AmazonEKSViewPolicy",
            "accessScope": {"type": "namespace", "namespaces": ["models"]},
        },
        {},
        {"accessScope": {"type": "cluster"}},
        delete_first=True,
    ),
    Case(
        "aws:eks/podIdentityAssociation:PodIdentityAssociation",
        {
            "clusterName": "$cluster",
            "namespace": "models",
            "serviceAccount": "reader",
            "roleArn": "$role.arn",
            **TAGS,
        },
        {"roleArn": "$role_2.arn", **RETAGGED},
        {"serviceAccount": "writer"},
    ),
    Case(
        "aws:ecr/repository:Repository",
        {
            "imageTagMutability": "IMMUTABLE",
            "imageScanningConfiguration": {"scanOnPush": True},
            "encryptionConfigurations": [{"encryptionType": "KMS", "kmsKey": "$key.arn"}],
            "forceDelete": True,
            **TAGS,
        },
        {"imageTagMutability": "MUTABLE", "imageScanningConfiguration": {"scanOnPush": False}, **RETAGGED},
        {"encryptionConfigurations": [{"encryptionType": "AES256"}]},
    ),
    Case(
        "aws:ecr/lifecyclePolicy:LifecyclePolicy",
        {
            "repository": "$repository",
            "policy": expire_untagged(5),
        },
        {},
        {"policy": expire_untagged(6)},
        delete_first=True,
    ),
    Case(
        "aws:kms/key:Key",
        {"description": "weights", "enableKeyRotation": True, "deletionWindowInDays": 7, **TAGS},
        {"description": "others", "enableKeyRotation": False, "isEnabled": False, **RETAGGED},
        {"keyUsage": "SIGN_VERIFY"},
    ),
    Case(
        "aws:kms/alias:Alias",
        {"name": "alias/weights", "targetKeyId": "$key.keyId"},
        {"targetKeyId": "$key_2.keyId"},
        {"name": "alias/others"},
        delete_first=True,
    ),
    Case(
        "aws:cloudwatch/logGroup:LogGroup",
        {"name": "/aws/eks/it/cluster", "retentionInDays": 30, **TAGS},
        {"retentionInDays": 7, **RETAGGED},
        {"name": "/aws/eks/other/cluster"},
        delete_first=True,
    ),
    Case(
        "aws:sqs/queue:Queue",
        {"policy": bucket_policy("sqs:SendMessage"), "messageRetentionSeconds": 300, **TAGS},
        {"messageRetentionSeconds": 600, "policy": bucket_policy("sqs:*"), **RETAGGED},
        {"name": "interruptions"},
        delete_first=True,
    ),
    Case(
        "aws:s3/bucket:Bucket",
        {"forceDestroy": True, **TAGS},
        RETAGGED,
        {"bucket": "mine"},
        delete_first=True,
    ),
    Case(
        "aws:s3/bucketVersioning:BucketVersioning",
        {"bucket": "$bucket", "versioningConfiguration": {"status": "Enabled"}},
        {"versioningConfiguration": {"status": "Suspended"}},
        {"bucket": "other"},
        lingers=True,
    ),
    Case(
        "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration",
        {
            "bucket": "$bucket",
            "rules": [
                {
                    "applyServerSideEncryptionByDefault": {
                        "sseAlgorithm": "aws:kms",
                        "kmsMasterKeyId": "$key.arn",
                    },
                    "bucketKeyEnabled": True,
                }
            ],
        },
        {"rules": [{"applyServerSideEncryptionByDefault": {"sseAlgorithm": "AES256"}}]},
        {"bucket": "other"},
        lingers=True,
    ),
    Case(
        "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock",
        {
            "bucket": "$bucket",
            "blockPublicAcls": True,
            "blockPublicPolicy": True,
            "ignorePublicAcls": True,
            "restrictPublicBuckets": True,
        },
        {"restrictPublicBuckets": False},
        {"bucket": "other"},
    ),
    Case(
        "aws:s3/bucketPolicy:BucketPolicy",
        {"bucket": "$bucket", "policy": bucket_policy("s3:PutObject")},
        {"policy": bucket_policy("s3:DeleteObject")},
        {"bucket": "other"},
    ),
)


def resolve(value: Value, world: dict[str, Any]) -> Value:
    if isinstance(value, dict):
        return {key: resolve(item, world) for key, item in value.items()}
    if isinstance(value, list):
        return [resolve(item, world) for item in value]
    if isinstance(value, str) and value.startswith("$"):
        key, _, output = value[1:].partition(".")
        return world[key].outputs[output] if output else world[key].id
    return value


def resolved(properties: Properties, world: dict[str, Any]) -> Properties:
    found = resolve(properties, world)
    assert isinstance(found, dict)
    return found


def paths(response: pb.DiffResponse) -> set[str]:
    return {path for path in response.detailedDiff if not path.startswith("tagsAll")}


def test_every_declared_type_is_in_the_table() -> None:
    assert {case.token for case in CASES} == set(TYPES)


def test_every_type_with_tags_changes_them_in_the_table() -> None:
    """Some cloud's answers bring the tags that an object was made with: only a changed one shows it."""
    known = json.loads(FACTS.read_text())
    changing = {
        case.token
        for case in CASES
        if case.inputs.get("tags") == TAGS["tags"] and {**case.change, **RETAGGED} == case.change
    }
    assert changing == {case.token for case in CASES if "tags" in known[case.token]["inputs"]}


FOUND_BY_TAG = {
    "aws:ec2/eip:Eip",
    "aws:ec2/flowLog:FlowLog",
    "aws:ec2/internetGateway:InternetGateway",
    "aws:ec2/natGateway:NatGateway",
    "aws:ec2/routeTable:RouteTable",
    "aws:ec2/subnet:Subnet",
    "aws:ec2/vpc:Vpc",
    "aws:ec2/vpcEndpoint:VpcEndpoint",
}
"""Types without a name of their own: another resource's object must never be taken for theirs."""


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.token.rsplit(":", 1)[-1])
class TestLife:
    def test_a_type_lives_through_create_read_update_and_delete(
        self, engine: Any, world: dict[str, Any], calls: list[str], case: Case
    ) -> None:
        known = json.loads(FACTS.read_text())[case.token]
        properties = {*known["inputs"], *known["outputs"]}
        news = resolved(case.inputs, world)

        # A preview calls nothing, and knows nothing that the cloud makes up.
        calls.clear()
        planned = engine.preview(case.token, engine.checked(case.token, news))
        assert calls == []
        assert all(planned[key] is UNKNOWN for key in known["outputs"] if key != "tagsAll")

        made = engine.create(case.token, news)
        assert made.id
        assert set(made.outputs) <= properties
        assert {key for key in made.inputs if not key.startswith("__")} <= set(made.outputs)

        # Reading finds what was made, and no drift.
        answer = engine.read(made)
        assert answer.id == made.id
        assert wire.decode(answer.properties) == made.outputs
        assert wire.decode(answer.inputs) == made.inputs

        # Had the create been killed before its answer came, it would be found again, and not taken for its successor.
        assert engine.provider.adopt(case.token, made.urn, made.inputs) == made.id
        assert engine.provider.adopt(case.token, made.urn, made.inputs, [made.id]) is None
        if case.token in FOUND_BY_TAG:
            assert engine.provider.adopt(case.token, f"{made.urn}-sibling", made.inputs) is None

        # The same program again changes nothing.
        again = engine.checked(case.token, news, made.inputs)
        assert engine.diff(made, again).changes == pb.DiffResponse.DIFF_NONE

        replaced = engine.checked(case.token, {**news, **resolved(case.replace, world)}, made.inputs)
        replacement = engine.diff(made, replaced)
        assert replacement.replaces
        assert replacement.deleteBeforeReplace == case.delete_first

        if case.change:
            changed = engine.checked(case.token, {**news, **resolved(case.change, world)}, made.inputs)
            planned_change = engine.diff(made, changed)
            assert planned_change.changes == pb.DiffResponse.DIFF_SOME
            assert not planned_change.replaces
            updated = engine.update(made, changed)
            assert engine.diff(updated, changed).changes == pb.DiffResponse.DIFF_NONE
            found = engine.read(updated)
            assert wire.decode(found.inputs) == changed

            # Seen from the old inputs, the new state is drift: the same paths, the other way round.
            drift = wire.decode(engine.read(made).inputs)
            untold = {"resolveConflictsOnUpdate", "updateDefaultVersion"}
            assert paths(engine.diff(made, made.inputs, drift)) - untold <= paths(planned_change)
            assert engine.diff(made, made.inputs, drift).changes == pb.DiffResponse.DIFF_SOME
            made = updated

        engine.delete(made)
        engine.delete(made)
        if not case.lingers:
            assert engine.read(made).id == ""
            assert engine.provider.adopt(case.token, made.urn, made.inputs) is None
