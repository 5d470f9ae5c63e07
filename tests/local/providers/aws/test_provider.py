"""What holds for all AWS types: refusals without a call, drift, errors, regions, tags, loopback."""

from __future__ import annotations

import json
from typing import Any

import grpc
import pytest
from pulumi.runtime.proto import provider_pb2 as pb

from model_factory.facts.aws.services import SERVICES
from model_factory.local import wire
from model_factory.local.wire import UNKNOWN, Properties, Secret, Value
from tests.local.providers.protocol import Context, Made

VPC = "aws:ec2/vpc:Vpc"
SUBNET = "aws:ec2/subnet:Subnet"
ROLE = "aws:iam/role:Role"
CLUSTER = "aws:eks/cluster:Cluster"
GROUP = "aws:eks/nodeGroup:NodeGroup"
REPOSITORY = "aws:ecr/repository:Repository"
ARN = "arn:aws:iam::123456789012:role/nodes"
NODES: Properties = {
    "clusterName": "c",
    "nodeRoleArn": ARN,
    "subnetIds": ["subnet-1"],
    "scalingConfig": {"minSize": 0, "maxSize": 2, "desiredSize": 0},
}
NETWORK: Properties = {"roleArn": ARN, "vpcConfig": {"subnetIds": ["subnet-1", "subnet-2"]}}


def scaling(**sizes: Value) -> Properties:
    return {**NODES, "scalingConfig": {"minSize": 0, "maxSize": 2, "desiredSize": 0, **sizes}}


def endpoint(**more: Value) -> Properties:
    return {**NETWORK, "vpcConfig": {"subnetIds": ["subnet-1", "subnet-2"], **more}}


TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "eks.amazonaws.com"}}],
    }
)


def expiring(rules: list[Any]) -> Properties:
    """A life-cycle policy whose rules count one image where they do not say."""
    whole = [{"selection": {"countNumber": 1}, **rule} for rule in rules]
    return {"repository": "models", "policy": json.dumps({"rules": whole})}


REFUSED: tuple[tuple[str, Properties, str, str], ...] = (
    (VPC, {}, "cidrBlock", "missing"),
    (VPC, {"cidrBlock": "10.0.0.1/16"}, "cidrBlock", "nearest is 10.0.0.0/16"),
    (VPC, {"cidrBlock": "10.0.0.0/8"}, "cidrBlock", "/16 to /28"),
    (VPC, {"cidrBlock": "ten"}, "cidrBlock", "is no IPv4 network"),
    (
        VPC,
        {"cidrBlock": "10.0.0.0/16", "instanceTenancy": "dedicate"},
        "instanceTenancy",
        "nearest is dedicated",
    ),
    (VPC, {"cidrBlock": "10.0.0.0/16", "region": "us-east-9"}, "region", "is no AWS region"),
    (VPC, {"cidrBlock": "10.0.0.0/16", "tags": {"aws:x": "y"}}, 'tags["aws:x"]', "AWS's own"),
    (VPC, {"cidrBlock": "10.0.0.0/16", "tags": {"x": "y" * 257}}, 'tags["x"]', "at most 256"),
    (VPC, {"cidrBlock": "10.0.0.0/16", "colour": "red"}, "colour", "is no input of aws:ec2/vpc:Vpc"),
    (SUBNET, {"cidrBlock": "10.0.0.0/24"}, "vpcId", "missing"),
    (SUBNET, {"vpcId": "v", "availabilityZone": "eu-west-1a"}, "availabilityZone", "no zone of us-east-1"),
    ("aws:ec2/route:Route", {"routeTableId": "r", "gatewayId": "g"}, "destinationCidrBlock", "exactly one"),
    (
        "aws:ec2/route:Route",
        {"routeTableId": "r", "destinationCidrBlock": "0.0.0.0/0", "gatewayId": "g", "natGatewayId": "n"},
        "gatewayId",
        "exactly one",
    ),
    (
        "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule",
        {
            "securityGroupId": "sg",
            "ipProtocol": "tcp",
            "fromPort": 90,
            "toPort": 80,
            "cidrIpv4": "10.0.0.0/8",
        },
        "fromPort",
        "more than toPort",
    ),
    ("aws:ec2/launchTemplate:LaunchTemplate", {"instanceType": "g5.huge"}, "instanceType", "is no"),
    (
        "aws:ec2/launchTemplate:LaunchTemplate",
        {"metadataOptions": {"httpToken": "required"}},
        "metadataOptions.httpToken",
        "nearest is httpTokens",
    ),
    (ROLE, {"assumeRolePolicy": "{"}, "assumeRolePolicy", "is not JSON"),
    (ROLE, {"assumeRolePolicy": '{"Statement": [{"Effect": "Allow"}]}'}, "assumeRolePolicy", "no Principal"),
    (ROLE, {"assumeRolePolicy": "{}", "path": "no-slash"}, "path", "does not match"),
    (CLUSTER, endpoint(endpointPublicAccess=False), "vpcConfig.endpointPrivateAccess", "open at least one"),
    (CLUSTER, {**NETWORK, "vpcConfig": {"subnetIds": ["s"]}}, "vpcConfig.subnetIds", "needs two"),
    (
        CLUSTER,
        endpoint(publicAccessCidrs=["0.0.0.0"]),
        "vpcConfig.publicAccessCidrs[0]",
        "nearest is 0.0.0.0/32",
    ),
    (CLUSTER, {**NETWORK, "version": "latest"}, "version", "Kubernetes version"),
    (CLUSTER, {**NETWORK, "name": "under score!"}, "name", "does not match"),
    (
        CLUSTER,
        {**NETWORK, "accessConfig": {"authenticationMode": "NONE"}},
        "accessConfig.authenticationMode",
        "not known",
    ),
    (CLUSTER, {**NETWORK, "roleArn": "nodes"}, "roleArn", "is no ARN"),
    (GROUP, scaling(minSize=3), "scalingConfig.minSize", "more than desiredSize"),
    (GROUP, scaling(desiredSize=5), "scalingConfig.desiredSize", "more than maxSize"),
    (GROUP, scaling(minSize=-1), "scalingConfig.minSize", "negative"),
    (GROUP, scaling(maxSize="many"), "scalingConfig.maxSize", "no whole number"),
    (GROUP, {**NODES, "instanceTypes": ["g5.2xlargee"]}, "instanceTypes[0]", "nearest is g5.2xlarge"),
    (GROUP, {**NODES, "amiType": "AL2023_NVIDIA"}, "amiType", "nearest is"),
    (GROUP, {**NODES, "capacityType": "spot"}, "capacityType", "is not known"),
    (GROUP, {**NODES, "taints": [{"key": "a", "effect": "NoSchedule"}]}, "taints[0].effect", "is not known"),
    (
        GROUP,
        {**NODES, "instanceTypes": ["m7i.large", "m7g.large"], "amiType": "BOTTLEROCKET_x86_64"},
        "instanceTypes[1]",
        "m7g.large is arm64",
    ),
    (GROUP, {**NODES, "instanceTypes": ["m7i.large"], "amiType": "BOTTLEROCKET_ARM_64"}, "instanceTypes[0]", "x86_64"),
    (
        GROUP,
        {**NODES, "instanceTypes": ["m7i.large"], "amiType": "BOTTLEROCKET_x86_64_NVIDIA"},
        "instanceTypes[0]",
        "has no GPU",
    ),
    (ROLE, {"assumeRolePolicy": TRUST, "tags": {"Team": "a", "team": "b"}}, "tags", "differ by case alone"),
    (REPOSITORY, {"tags": {"team": "a|b"}}, 'tags["team"]', "has '|'"),
    ("aws:ecr/lifecyclePolicy:LifecyclePolicy", expiring([]), "policy", "no rules"),
    ("aws:ecr/lifecyclePolicy:LifecyclePolicy", expiring([{"rulePriority": 0}]), "policy", "number its rules from 1"),
    ("aws:ecr/lifecyclePolicy:LifecyclePolicy", expiring([{"rulePriority": 1}] * 2), "policy", "each once"),
    (
        "aws:ecr/lifecyclePolicy:LifecyclePolicy",
        expiring([{"rulePriority": 1, "selection": {"countNumber": 0}}]),
        "policy",
        "use 1 or more",
    ),
    (
        "aws:ecr/lifecyclePolicy:LifecyclePolicy",
        expiring([{"rulePriority": each + 1} for each in range(51)]),
        "policy",
        "ECR takes 50",
    ),
    (REPOSITORY, {"name": "Upper"}, "name", "lower-case name"),
    (REPOSITORY, {"imageTagMutability": "FROZEN"}, "imageTagMutability", "not known"),
    ("aws:kms/key:Key", {"deletionWindowInDays": 3}, "deletionWindowInDays", "outside 7 to 30"),
    ("aws:kms/alias:Alias", {"name": "alias/aws/x", "targetKeyId": "k"}, "name", "alias/"),
    ("aws:cloudwatch/logGroup:LogGroup", {"retentionInDays": 31}, "retentionInDays", "not allowed"),
    ("aws:sqs/queue:Queue", {"fifoQueue": True}, "name", r"and .fifo in a FIFO queue; set name"),
    ("aws:sqs/queue:Queue", {"name": "a b"}, "name", "is no queue name"),
    (
        "aws:sqs/queue:Queue",
        {"contentBasedDeduplication": True},
        "contentBasedDeduplication",
        "set both or neither",
    ),
    (
        "aws:sqs/queue:Queue",
        {"sqsManagedSseEnabled": True, "kmsMasterKeyId": "alias/aws/sqs"},
        "sqsManagedSseEnabled",
        "give one",
    ),
    ("aws:sqs/queue:Queue", {"visibilityTimeoutSeconds": 43201}, "visibilityTimeoutSeconds", "outside 0"),
    ("aws:s3/bucket:Bucket", {"bucket": "Upper_case"}, "bucket", "bucket name"),
    (
        "aws:s3/bucketVersioning:BucketVersioning",
        {"bucket": "b", "versioningConfiguration": {"status": "On"}},
        "versioningConfiguration.status",
        "not known",
    ),
)


class TestBadInputs:
    @pytest.mark.parametrize(("token", "inputs", "path", "reason"), REFUSED)
    def test_a_bad_input_is_refused_with_path_and_reason_and_no_call(
        self, engine: Any, calls: list[str], token: str, inputs: Properties, path: str, reason: str
    ) -> None:
        _, failures = engine.check(token, inputs)
        assert path in failures
        assert reason in failures[path]
        assert calls == []

    def test_all_faults_are_told_at_once(self, engine: Any) -> None:
        _, failures = engine.check(GROUP, {**scaling(minSize=9), "capacityType": "x", "amiType": "y"})
        assert {"scalingConfig.minSize", "capacityType", "amiType"} <= set(failures)

    def test_unknown_inputs_pass(self, engine: Any, calls: list[str]) -> None:
        unknown: Properties = {
            "clusterName": UNKNOWN,
            "nodeRoleArn": UNKNOWN,
            "subnetIds": [UNKNOWN, "subnet-1"],
            "scalingConfig": {"minSize": UNKNOWN, "maxSize": 2, "desiredSize": 0},
            "tags": {"a": UNKNOWN},
        }
        inputs, failures = engine.check(GROUP, unknown)
        assert failures == {}
        assert inputs["subnetIds"] == [UNKNOWN, "subnet-1"]
        _, failures = engine.check(ROLE, {"assumeRolePolicy": UNKNOWN, "tags": UNKNOWN})
        assert failures == {}
        _, failures = engine.check(CLUSTER, {"roleArn": UNKNOWN, "vpcConfig": UNKNOWN})
        assert failures == {}
        assert calls == []

    def test_an_undeclared_type_is_refused_by_name(self, engine: Any, aborted: Any) -> None:
        with pytest.raises(aborted, match="does not implement aws:sns/topic:Topic; use the Pulumi CLI"):
            engine.check("aws:sns/topic:Topic", {})


class TestDrift:
    def test_a_repository_deleted_from_outside_is_gone(self, engine: Any) -> None:
        made = engine.create(REPOSITORY, {}, name="doomed")
        engine.client("ecr").delete_repository(repositoryName=made.id)
        assert engine.read(made).id == ""

    def test_a_tag_set_from_outside_is_seen_and_taken_away(self, engine: Any) -> None:
        made = engine.create(VPC, {"cidrBlock": "10.3.0.0/16"}, name="tagged")
        engine.client("ec2").create_tags(Resources=[made.id], Tags=[{"Key": "x", "Value": "y"}])
        drift = wire.decode(engine.read(made).inputs)
        assert drift["tags"] == {"x": "y"}
        response = engine.diff(made, made.inputs, drift)
        assert set(response.detailedDiff) == {"tags"}
        made.inputs = drift
        assert engine.update(made, engine.checked(VPC, {"cidrBlock": "10.3.0.0/16"})).outputs["tagsAll"] == {}
        engine.delete(made)

    def test_a_setting_changed_from_outside_is_seen_and_repaired(self, engine: Any) -> None:
        news: Properties = {"imageTagMutability": "IMMUTABLE", "forceDelete": True}
        made = engine.create(REPOSITORY, news, name="mutable")
        ecr = engine.client("ecr")
        ecr.put_image_tag_mutability(repositoryName=made.id, imageTagMutability="MUTABLE")
        drift = wire.decode(engine.read(made).inputs)
        assert drift["imageTagMutability"] == "MUTABLE"
        engine.update(made, made.inputs)
        assert (
            ecr.describe_repositories(repositoryNames=[made.id])["repositories"][0]["imageTagMutability"] == "IMMUTABLE"
        )
        engine.delete(made)

    def test_what_was_asked_and_is_gone_is_drift(self, engine: Any) -> None:
        statement = {
            "Effect": "Allow",
            "Action": "sts:AssumeRole",
            "Principal": {"Service": "ec2.amazonaws.com"},
        }
        trust = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        boundary = "arn:aws:iam::aws:policy/ReadOnlyAccess"
        made = engine.create(ROLE, {"assumeRolePolicy": trust, "permissionsBoundary": boundary}, name="bounded")
        engine.client("iam").delete_role_permissions_boundary(RoleName=made.id)
        drift = wire.decode(engine.read(made).inputs)
        assert "permissionsBoundary" not in drift
        assert set(engine.diff(made, made.inputs, drift).detailedDiff) == {"permissionsBoundary"}
        engine.delete(made)

    def test_an_equivalent_policy_is_no_drift(self, engine: Any) -> None:
        statement = {
            "Effect": "Allow",
            "Action": "sts:AssumeRole",
            "Principal": {"Service": "ec2.amazonaws.com"},
        }
        made = engine.create(ROLE, {"assumeRolePolicy": json.dumps({"Version": "2012-10-17", "Statement": statement})})
        same = json.dumps({"Statement": [{**statement, "Action": ["sts:AssumeRole"]}], "Version": "2012-10-17"})
        engine.client("iam").update_assume_role_policy(RoleName=made.id, PolicyDocument=same)
        assert wire.decode(engine.read(made).inputs) == made.inputs
        engine.delete(made)


class TestErrors:
    def test_a_cloud_error_names_cloud_call_code_and_cause(self, engine: Any, aborted: Any) -> None:
        fault = [
            {
                "operation": "ecr:CreateRepository",
                "error": "InvalidParameterException",
                "status": 400,
                "message": "full",
            }
        ]
        engine.control("PUT", "faults", json.dumps(fault))
        with pytest.raises(
            aborted, match="aws refused ecr:CreateRepository: InvalidParameterException: full"
        ) as caught:
            engine.create(REPOSITORY, {}, name="refused")
        assert caught.value.details is None

    def test_a_half_made_object_is_handed_over_and_finished_by_update(self, engine: Any, aborted: Any) -> None:
        fault = [{"operation": "ec2:ModifyVpcAttribute", "error": "InvalidState", "status": 400, "message": "busy"}]
        engine.control("PUT", "faults", json.dumps(fault))
        news: Properties = {"cidrBlock": "10.4.0.0/16", "enableDnsHostnames": True}
        with pytest.raises(aborted, match="InvalidState: busy") as caught:
            engine.create(VPC, news, name="half")
        partial = caught.value.details
        assert partial is not None
        outputs = wire.decode(partial.properties)
        assert outputs["enableDnsHostnames"] is False
        made = Made(VPC, engine.urn(VPC, "half"), partial.id, wire.decode(partial.inputs), outputs)
        finished = engine.update(made, engine.checked(VPC, news, made.inputs, name="half"))
        assert finished.outputs["enableDnsHostnames"] is True
        engine.delete(finished)

    def test_a_node_group_that_fails_on_the_way_is_a_partial_failure(
        self, engine: Any, aborted: Any, world: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from model_factory.local.providers.aws.types import eks_node_group

        real = eks_node_group._describe
        health = {"issues": [{"code": "InsufficientFreeAddresses", "message": "no address left"}]}
        monkeypatch.setattr(
            eks_node_group,
            "_describe",
            lambda *args: {**real(*args), "status": "CREATE_FAILED", "health": health},
        )
        news: Properties = {
            **NODES,
            "clusterName": world["cluster"].id,
            "nodeRoleArn": world["role"].outputs["arn"],
            "subnetIds": [world["subnet_a"].id],
        }
        with pytest.raises(aborted, match="CREATE_FAILED: InsufficientFreeAddresses: no address left") as caught:
            engine.create(GROUP, news, name="failing")
        assert caught.value.details.id.startswith(f"{world['cluster'].id}:")
        monkeypatch.undo()
        made = Made(GROUP, "urn:pulumi:t::p::" + GROUP + "::x", caught.value.details.id, news, {})
        engine.delete(made)

    def test_waiting_ends_at_the_time_out_of_the_program(self, engine: Any, aborted: Any, world: Any) -> None:
        inputs = engine.checked(
            GROUP,
            {
                **NODES,
                "clusterName": world["cluster"].id,
                "nodeRoleArn": world["role"].outputs["arn"],
                "subnetIds": [world["subnet_a"].id],
            },
            name="slow",
        )
        engine.control("PUT", "transition", json.dumps({"seconds": 2}))
        try:
            request = pb.CreateRequest(urn=engine.urn(GROUP, "slow"), properties=wire.encode(inputs), timeout=0.2)
            context = type(engine).context()
            with pytest.raises(aborted, match="not done within the time-out"):
                engine.provider.Create(request, context)
            assert context.details.id
        finally:
            engine.control("PUT", "transition", json.dumps({"seconds": 0.05}))
        made = Made(GROUP, engine.urn(GROUP, "slow"), context.details.id, inputs, {})
        engine.delete(made)


class TestKilledCreates:
    def test_the_old_object_of_a_replacement_is_no_leaving(self, engine: Any) -> None:
        made = engine.create(VPC, {"cidrBlock": "10.5.0.0/16"}, name="replaced")
        successor = engine.checked(VPC, {"cidrBlock": "10.6.0.0/16"}, name="replaced")
        assert engine.provider.adopt(VPC, made.urn, successor) is None
        engine.delete(made)

    def test_the_object_of_somebody_else_of_the_same_name_is_not_taken(self, engine: Any) -> None:
        inputs = engine.checked(REPOSITORY, {"name": "models"}, name="ours")
        engine.client("ecr").create_repository(repositoryName="models")
        assert engine.provider.adopt(REPOSITORY, engine.urn(REPOSITORY, "ours"), inputs) is None
        engine.client("ecr").delete_repository(repositoryName="models")
        made = engine.create(REPOSITORY, {"name": "models"}, name="ours")
        assert engine.provider.adopt(REPOSITORY, made.urn, made.inputs) == "models"
        assert "tagsAll" not in made.outputs or not made.outputs["tagsAll"]
        engine.delete(made)

    def test_a_half_made_object_is_found_by_its_tag(self, engine: Any) -> None:
        inputs = engine.checked(VPC, {"cidrBlock": "10.7.0.0/16", "enableDnsHostnames": True}, name="killed")
        fault = [{"operation": "ec2:ModifyVpcAttribute", "error": "Gone", "status": 400, "message": "killed here"}]
        engine.control("PUT", "faults", json.dumps(fault))
        urn = engine.urn(VPC, "killed")
        with pytest.raises(Exception, match="killed here"):
            engine.provider.Create(pb.CreateRequest(urn=urn, properties=wire.encode(inputs)), type(engine).context())
        found = engine.provider.adopt(VPC, urn, inputs)
        vpcs = engine.client("ec2").describe_vpcs(Filters=[{"Name": "cidr", "Values": ["10.7.0.0/16"]}])["Vpcs"]
        assert [vpc["VpcId"] for vpc in vpcs] == [found]
        made = Made(VPC, urn, found, inputs, {})
        engine.delete(made)


class TestRegionsAndTags:
    def test_a_resource_goes_to_its_own_region(self, engine: Any) -> None:
        made = engine.create(REPOSITORY, {"region": "us-west-2"}, name="west")
        assert ":us-west-2:" in str(made.outputs["arn"])
        assert made.outputs["region"] == "us-west-2"
        names = engine.client("ecr", "us-west-2").describe_repositories()["repositories"]
        assert made.id in [item["repositoryName"] for item in names]
        engine.delete(made)

    def test_default_tags_join_and_stay_apart(self, engine: Any, configure: Any) -> None:
        provider = configure(engine.url, defaultTags=json.dumps({"tags": {"owner": "platform", "team": "x"}}))
        other = type(engine)(provider, engine.url)
        made = other.create(REPOSITORY, {"tags": {"team": "ml"}}, name="defaults")
        assert made.inputs["tagsAll"] == {"owner": "platform", "team": "ml"}
        assert made.outputs["tags"] == {"team": "ml"}
        assert made.outputs["tagsAll"] == {"owner": "platform", "team": "ml"}
        assert wire.decode(other.read(made).inputs) == made.inputs
        other.delete(made)

    def test_secret_inputs_come_back_secret(self, engine: Any) -> None:
        made = engine.create("aws:kms/key:Key", {"description": Secret("hush")}, name="secret")
        assert made.outputs["description"] == Secret("hush")
        engine.delete(made)


class TestLoopback:
    @pytest.mark.parametrize(
        ("endpoints", "said"),
        [
            ([], "names no ec2 endpoint"),
            ([{"ec2": "https://ec2.us-east-1.amazonaws.com"}], "only talks to loopback"),
            ([{"ec2": "http://127.0.0.1.example.com:4610"}], "only talks to loopback"),
            ([{"ec2": "http://evil.example\\@127.0.0.1:4770"}], "only talks to loopback"),
        ],
    )
    def test_a_way_out_of_loopback_is_refused(self, configure: Any, aborted: Any, endpoints: Value, said: str) -> None:
        with pytest.raises(aborted, match=said) as caught:
            configure("http://127.0.0.1:1", endpoints=endpoints)
        assert "use the Pulumi CLI for real accounts" in str(caught.value)
        assert caught.value.code is grpc.StatusCode.FAILED_PRECONDITION

    def test_an_optional_service_is_refused_at_its_first_use_where_it_has_no_endpoint(
        self, configure: Any, aborted: Any
    ) -> None:
        endpoints: Value = [{keys[0]: "http://127.0.0.1:1" for name, keys in SERVICES.items() if name != "sqs"}]
        provider = configure("http://127.0.0.1:1", endpoints=endpoints)
        request = pb.CreateRequest(
            urn="urn:pulumi:test::factory::aws:sqs/queue:Queue::it", properties=wire.encode({"name": "it"})
        )
        with pytest.raises(aborted, match="names no sqs endpoint, and this resource needs it"):
            provider.Create(request, Context())

    def test_configuration_may_come_as_json_text(self, configure: Any) -> None:
        endpoints = [{keys[-1]: "http://127.0.0.1:1" for keys in SERVICES.values()}]
        assert configure("http://127.0.0.1:1", endpoints=json.dumps(endpoints))

    def test_an_unknown_region_is_refused(self, configure: Any, aborted: Any) -> None:
        with pytest.raises(aborted, match="is no AWS region"):
            configure("http://127.0.0.1:1", region="moon-1")


class TestFunctions:
    def test_zones_account_partition_and_region(self, engine: Any) -> None:
        zones = engine.invoke("aws:index/getAvailabilityZones:getAvailabilityZones", {"state": "available"})
        assert zones["names"][:3] == ["us-east-1a", "us-east-1b", "us-east-1c"]
        assert len(zones["names"]) == len(zones["zoneIds"])
        assert engine.invoke("aws:index/getCallerIdentity:getCallerIdentity", {})["accountId"] == "123456789012"
        assert engine.invoke("aws:index/getPartition:getPartition", {})["dnsSuffix"] == "amazonaws.com"
        assert engine.invoke("aws:index/getRegion:getRegion", {})["region"] == "us-east-1"

    def test_zones_of_another_region(self, engine: Any) -> None:
        zones = engine.invoke("aws:index/getAvailabilityZones:getAvailabilityZones", {"region": "eu-west-1"})
        assert all(name.startswith("eu-west-1") for name in zones["names"])

    def test_a_policy_document_is_written_as_iam_takes_it(self, engine: Any) -> None:
        statement: Properties = {
            "sid": "Assume",
            "actions": ["sts:AssumeRole", "sts:TagSession"],
            "principals": [{"type": "Service", "identifiers": ["ec2.amazonaws.com"]}],
            "conditions": [{"test": "StringEquals", "variable": "aws:x", "values": ["y"]}],
        }
        answer = engine.invoke("aws:iam/getPolicyDocument:getPolicyDocument", {"statements": [statement]})
        assert json.loads(answer["json"]) == {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Sid": "Assume",
                    "Effect": "Allow",
                    "Action": ["sts:TagSession", "sts:AssumeRole"],
                    "Principal": {"Service": "ec2.amazonaws.com"},
                    "Condition": {"StringEquals": {"aws:x": "y"}},
                }
            ],
        }
        assert engine.check(ROLE, {"assumeRolePolicy": answer["json"]})[1] == {}
