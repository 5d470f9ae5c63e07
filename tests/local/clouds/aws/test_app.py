"""The pipeline of a call: faults, latency, refusals, and a state that survives what happens to the process."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from model_factory.local.clouds import manager
from model_factory.local.errors import LocalCloudError

OUTSIDE = [
    ("ec2", "describe_vpcs", "Vpcs"),
    ("ec2", "describe_subnets", "Subnets"),
    ("ec2", "describe_security_groups", "SecurityGroups"),
    ("ec2", "describe_security_group_rules", "SecurityGroupRules"),
    ("ec2", "describe_route_tables", "RouteTables"),
    ("ec2", "describe_internet_gateways", "InternetGateways"),
    ("ec2", "describe_nat_gateways", "NatGateways"),
    ("ec2", "describe_addresses", "Addresses"),
    ("ec2", "describe_network_interfaces", "NetworkInterfaces"),
    ("ec2", "describe_launch_template_versions", "LaunchTemplateVersions"),
    ("iam", "list_roles", "Roles"),
    ("iam", "list_open_id_connect_providers", "OpenIDConnectProviderList"),
    ("ecr", "describe_repositories", "repositories"),
    ("logs", "describe_log_groups", "logGroups"),
    ("kms", "list_keys", "Keys"),
    ("kms", "list_aliases", "Aliases"),
    ("s3", "list_buckets", "Buckets"),
]


def seen_from_outside(aws: Any) -> dict[str, Any]:
    """All that a client can see, with ids and times."""
    seen: dict[str, Any] = {}
    for service, operation, key in OUTSIDE:
        arguments = {"Versions": ["$Latest"]} if "launch_template" in operation else {}
        seen[operation] = getattr(aws.client(service), operation)(**arguments)[key]
    seen["keys"] = [aws.kms.describe_key(KeyId=key["KeyId"])["KeyMetadata"] for key in seen["list_keys"]]
    for cluster in aws.eks.list_clusters()["clusters"]:
        seen[cluster] = aws.eks.describe_cluster(name=cluster)["cluster"]
        for group in aws.eks.list_nodegroups(clusterName=cluster)["nodegroups"]:
            answer = aws.eks.describe_nodegroup(clusterName=cluster, nodegroupName=group)
            seen[f"{cluster}/{group}"] = answer["nodegroup"]
        for arn in aws.eks.list_access_entries(clusterName=cluster)["accessEntries"]:
            answer = aws.eks.describe_access_entry(clusterName=cluster, principalArn=arn)
            seen[f"{cluster}/{arn}"] = answer["accessEntry"]
    return seen


def populate(aws: Any) -> None:
    vpc, subnets = aws.network()
    gateway = aws.ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    aws.ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc)
    table = aws.ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]
    aws.ec2.create_route(RouteTableId=table, DestinationCidrBlock="0.0.0.0/0", GatewayId=gateway)
    aws.ec2.associate_route_table(RouteTableId=table, SubnetId=subnets[0])
    address = aws.ec2.allocate_address(Domain="vpc")["AllocationId"]
    aws.ec2.create_nat_gateway(SubnetId=subnets[0], AllocationId=address)
    aws.ec2.create_launch_template(LaunchTemplateName="gpu", LaunchTemplateData={"EbsOptimized": True})
    key = aws.kms.create_key()["KeyMetadata"]
    aws.kms.create_alias(AliasName="alias/factory", TargetKeyId=key["KeyId"])
    aws.kms.enable_key_rotation(KeyId=key["KeyId"])
    aws.s3.create_bucket(Bucket="weights")
    aws.s3.put_bucket_versioning(Bucket="weights", VersioningConfiguration={"Status": "Enabled"})
    aws.ecr.create_repository(repositoryName="llm", imageTagMutability="IMMUTABLE")
    aws.logs.create_log_group(logGroupName="/aws/eks/models/cluster")
    aws.logs.put_retention_policy(logGroupName="/aws/eks/models/cluster", retentionInDays=30)
    cluster = aws.cluster(
        accessConfig={"authenticationMode": "API"},
        encryptionConfig=[{"resources": ["secrets"], "provider": {"keyArn": key["Arn"]}}],
        resourcesVpcConfig={"subnetIds": subnets},
    )
    aws.iam.create_open_id_connect_provider(
        Url=cluster["identity"]["oidc"]["issuer"],
        ClientIDList=["sts.amazonaws.com"],
        ThumbprintList=["0" * 40],
    )
    aws.nodegroup()


class TestSurvival:
    @pytest.mark.parametrize("end", ["stop", "kill"])
    def test_the_same_state_comes_back_with_ids_and_times(self, aws: Any, end: str) -> None:
        populate(aws)
        time.sleep(0.4)
        before = seen_from_outside(aws)
        resources = aws.control("GET", "status")["resources"]
        getattr(aws, end)()
        aws.start()
        assert seen_from_outside(aws) == before
        assert aws.control("GET", "status")["resources"] == resources
        assert "another answer" not in (aws.spec.directory(aws.root) / "server.log").read_text()

    def test_what_was_under_way_goes_on(self, aws: Any) -> None:
        aws.control("PUT", "transition", {"seconds": 1.5})
        aws.cluster(wait=False)
        aws.kill()
        aws.start()
        assert aws.wait_cluster()["endpoint"]

    def test_every_answered_call_survives_a_kill_at_any_moment(self, aws: Any) -> None:
        for pause in (0.05, 0.13, 0.21, 0.34):
            answered: list[str] = []

            def work(names: Any, answered: list[str] = answered) -> None:
                client = aws.client("ecr")
                try:
                    for name in names:
                        client.create_repository(repositoryName=name)
                        answered.append(name)
                except Exception:  # noqa: BLE001  the server is killed under the calls, in any of their steps
                    return

            aws.client("ecr")
            workers = [
                threading.Thread(target=work, args=([f"r{pause}-{worker}-{index}" for index in range(500)],))
                for worker in range(3)
            ]
            for worker in workers:
                worker.start()
            time.sleep(pause)
            aws.kill()
            for worker in workers:
                worker.join()
            aws.start()
            pages = aws.ecr.get_paginator("describe_repositories").paginate()
            found = {item["repositoryName"] for page in pages for item in page["repositories"]}
            assert set(answered) <= found
            # A call in each worker may have been done and not answered.
            assert len(found - set(answered)) <= 3
            aws.control("POST", "reset")

    def test_seeds_survive_and_faults_do_not(self, aws: Any) -> None:
        aws.control(
            "POST",
            "seed",
            {"capacity": [{"region": "us-east-1", "instanceType": "g6.xlarge", "available": 0}]},
        )
        aws.control("PUT", "faults", [{"operation": "*", "error": "Boom", "count": -1}])
        aws.kill()
        aws.start()
        aws.control("PUT", "transition", {"seconds": 0.1})
        aws.cluster()
        aws.nodegroup(wait=False)
        assert aws.wait_nodegroup(status="CREATE_FAILED")

    def test_a_cloud_that_holds_nothing_forgets_how_it_got_there(self, aws: Any) -> None:
        calls = aws.spec.data(aws.root) / "calls.jsonl"
        for index in range(5):
            aws.ecr.create_repository(repositoryName=f"r{index}")
            aws.ecr.delete_repository(repositoryName=f"r{index}")
        assert len(calls.read_text().splitlines()) == 11
        aws.stop()
        aws.start()
        assert len(calls.read_text().splitlines()) == 1

    def test_a_resource_of_a_service_without_a_count_of_its_own_is_not_forgotten(self, aws: Any) -> None:
        url = aws.client("sqs").create_queue(QueueName="interruptions")["QueueUrl"]
        assert aws.control("GET", "status")["resources"] == {"sqs:queue": 1}
        aws.kill()
        aws.start()
        assert aws.client("sqs").list_queues()["QueueUrls"] == [url]

    def test_reading_and_failing_leave_no_record(self, aws: Any) -> None:
        aws.ec2.describe_vpcs()
        aws.s3.list_buckets()
        aws.sts.get_caller_identity()
        with pytest.raises(ClientError):
            aws.eks.delete_cluster(name="none")
        assert len((aws.spec.data(aws.root) / "calls.jsonl").read_text().splitlines()) == 1

    def test_the_record_keeps_no_signature(self, aws: Any) -> None:
        aws.ecr.create_repository(repositoryName="llm")
        (line,) = (aws.spec.data(aws.root) / "calls.jsonl").read_text().splitlines()[1:]
        assert json.loads(line.partition(" ")[2])["environ"]["HTTP_AUTHORIZATION"].endswith("Signature=0")


class TestFaults:
    @pytest.mark.parametrize(
        ("service", "operation", "arguments", "name"),
        [
            ("ec2", "create_vpc", {"CidrBlock": "10.0.0.0/16"}, "ec2:CreateVpc"),
            ("iam", "list_roles", {}, "iam:ListRoles"),
            ("sts", "get_caller_identity", {}, "sts:GetCallerIdentity"),
            ("eks", "list_clusters", {}, "eks:ListClusters"),
            (
                "eks",
                "describe_nodegroup",
                {"clusterName": "a", "nodegroupName": "b"},
                "eks:DescribeNodegroup",
            ),
            ("ecr", "describe_repositories", {}, "ecr:DescribeRepositories"),
            ("kms", "list_keys", {}, "kms:ListKeys"),
            ("logs", "describe_log_groups", {}, "logs:DescribeLogGroups"),
            ("s3", "list_buckets", {}, "s3:ListBuckets"),
            ("s3", "get_bucket_versioning", {"Bucket": "b"}, "s3:GetBucketVersioning"),
            ("s3", "put_object", {"Bucket": "b", "Key": "k/l"}, "s3:PutObject"),
        ],
    )
    def test_a_fault_reaches_the_client_as_that_service_words_it(
        self, aws: Any, service: str, operation: str, arguments: Any, name: str
    ) -> None:
        fault = {"operation": name, "error": "LimitExceeded", "status": 400, "message": "no <more> of these"}
        aws.control("PUT", "faults", [fault])
        with pytest.raises(ClientError) as error:
            getattr(aws.client(service), operation)(**arguments)
        assert error.value.response["Error"]["Code"] == "LimitExceeded"
        assert error.value.response["Error"]["Message"] == "no <more> of these"
        assert error.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
        assert aws.control("GET", "faults") == []

    def test_a_faulted_call_is_not_done(self, aws: Any) -> None:
        aws.control("PUT", "faults", [{"operation": "ecr:Create*", "error": "ServerException", "status": 500}])
        with pytest.raises(ClientError):
            aws.ecr.create_repository(repositoryName="llm")
        assert aws.ecr.describe_repositories()["repositories"] == []
        aws.ecr.create_repository(repositoryName="llm")

    def test_latency_is_felt_by_what_it_names_alone(self, aws: Any) -> None:
        aws.control("PUT", "latency", {"milliseconds": 400, "operation": "ecr:*"})
        started = time.monotonic()
        aws.ecr.describe_repositories()
        assert time.monotonic() - started >= 0.4
        # Longer than the client waits for an answer.
        aws.control("PUT", "latency", {"milliseconds": 3_600_000, "operation": "ecr:*"})
        aws.kms.list_keys()


class TestRefusals:
    @pytest.mark.parametrize(
        ("service", "operation", "arguments", "said"),
        [
            ("dynamodb", "list_tables", {}, "the service dynamodb"),
            ("eks", "list_insights", {"clusterName": "c"}, "eks:ListInsights"),
            (
                "ec2",
                "describe_capacity_block_offerings",
                {"CapacityDurationHours": 24},
                "ec2:DescribeCapacityBlock",
            ),
        ],
    )
    def test_what_is_not_here_is_named_with_501(
        self, aws: Any, service: str, operation: str, arguments: Any, said: str
    ) -> None:
        with pytest.raises(ClientError, match=said) as error:
            getattr(aws.client(service), operation)(**arguments)
        assert error.value.response["ResponseMetadata"]["HTTPStatusCode"] == 501

    def test_an_option_of_eks_that_is_not_here_is_named_with_501(self, aws: Any) -> None:
        with pytest.raises(ClientError, match="Auto Mode") as error:
            aws.cluster(computeConfig={"enabled": True})
        assert error.value.response["ResponseMetadata"]["HTTPStatusCode"] == 501


class TestStart:
    def test_a_second_process_on_the_same_data_is_refused(self, aws: Any) -> None:
        other = manager.CloudSpec("aws", aws.spec.port + 1)
        record = aws.spec.directory(aws.root) / "process.json"
        kept = record.read_text()
        record.unlink()
        try:
            with pytest.raises(LocalCloudError, match="another local AWS has"):
                manager.start([other], aws.root)
        finally:
            record.write_text(kept)

    def test_a_record_that_is_damaged_is_refused_with_its_line(self, aws: Any, tmp_path: Path) -> None:
        spec = manager.CloudSpec("aws", aws.spec.port + 1)
        spec.data(tmp_path).mkdir(parents=True)
        (spec.data(tmp_path) / "calls.jsonl").write_text('{"format":1}\nnonsense\n{"at":1}\n')
        with pytest.raises(LocalCloudError, match=r"calls\.jsonl:2"):
            manager.start([spec], tmp_path)
