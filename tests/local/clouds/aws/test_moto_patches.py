"""What the local AWS patches in moto, seen with boto3."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from botocore.exceptions import ClientError


def code(error: pytest.ExceptionInfo[ClientError]) -> str:
    return error.value.response["Error"]["Code"]


def nat_gateway(aws: Any, subnet: str) -> tuple[str, str]:
    address = aws.ec2.allocate_address(Domain="vpc")["AllocationId"]
    made = aws.ec2.create_nat_gateway(SubnetId=subnet, AllocationId=address)["NatGateway"]
    assert made["State"] == "pending"
    return made["NatGatewayId"], address


def wait_nat_gateway(aws: Any, id_: str, state: str) -> None:
    deadline = time.monotonic() + 10
    while aws.ec2.describe_nat_gateways(NatGatewayIds=[id_])["NatGateways"][0]["State"] != state:
        assert time.monotonic() < deadline
        time.sleep(0.02)


class TestNatGateways:
    def test_they_take_time_and_give_their_address_back(self, aws: Any) -> None:
        vpc, subnets = aws.network()
        gateway = aws.ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
        aws.ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc)
        id_, address = nat_gateway(aws, subnets[0])
        wait_nat_gateway(aws, id_, "available")
        with pytest.raises(ClientError) as error:
            aws.ec2.release_address(AllocationId=address)
        assert code(error) == "InvalidIPAddress.InUse"
        with pytest.raises(ClientError) as error:
            aws.ec2.detach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc)
        assert code(error) == "DependencyViolation"
        with pytest.raises(ClientError) as error:
            aws.ec2.create_nat_gateway(SubnetId=subnets[1], AllocationId=address)
        assert code(error) == "Resource.AlreadyAssociated"
        aws.ec2.delete_nat_gateway(NatGatewayId=id_)
        wait_nat_gateway(aws, id_, "deleted")
        aws.ec2.release_address(AllocationId=address)
        aws.ec2.detach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc)
        aws.ec2.delete_subnet(SubnetId=subnets[0])

    def test_they_are_found_by_tag(self, aws: Any) -> None:
        _, subnets = aws.network()
        made: dict[str, str] = {}
        for name in ("one", "two"):
            address = aws.ec2.allocate_address(Domain="vpc")["AllocationId"]
            tags = [{"ResourceType": "natgateway", "Tags": [{"Key": "name", "Value": name}]}]
            gateway = aws.ec2.create_nat_gateway(SubnetId=subnets[0], AllocationId=address, TagSpecifications=tags)
            made[name] = gateway["NatGateway"]["NatGatewayId"]
        found = aws.ec2.describe_nat_gateways(Filter=[{"Name": "tag:name", "Values": ["two"]}])["NatGateways"]
        assert [gateway["NatGatewayId"] for gateway in found] == [made["two"]]

    def test_one_that_is_not_there_is_not_deleted(self, aws: Any) -> None:
        with pytest.raises(ClientError) as error:
            aws.ec2.delete_nat_gateway(NatGatewayId="nat-0123456789abcdef0")
        assert code(error) == "NatGatewayNotFound"


class TestNetworksInUse:
    def test_a_network_is_taken_down_from_the_leaves(self, aws: Any) -> None:
        vpc, subnets = aws.network()
        group = aws.ec2.create_security_group(GroupName="a", Description="d", VpcId=vpc)["GroupId"]
        other = aws.ec2.create_security_group(GroupName="b", Description="d", VpcId=vpc)["GroupId"]
        rule = {"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, "UserIdGroupPairs": [{"GroupId": group}]}
        aws.ec2.authorize_security_group_ingress(GroupId=other, IpPermissions=[rule])
        with pytest.raises(ClientError, match=other) as error:
            aws.ec2.delete_security_group(GroupId=group)
        assert code(error) == "DependencyViolation"
        for subnet in subnets:
            aws.ec2.delete_subnet(SubnetId=subnet)
        with pytest.raises(ClientError, match=group):
            aws.ec2.delete_vpc(VpcId=vpc)
        aws.ec2.delete_security_group(GroupId=other)
        aws.ec2.delete_security_group(GroupId=group)
        aws.ec2.delete_vpc(VpcId=vpc)
        assert aws.control("GET", "status")["resources"] == {}

    def test_a_zone_of_another_region_is_refused(self, aws: Any) -> None:
        vpc, _ = aws.network()
        with pytest.raises(ClientError, match="eu-west-1a"):
            aws.ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.9.0/24", AvailabilityZone="eu-west-1a")


class TestIam:
    @pytest.mark.parametrize(
        "document",
        [
            "{",
            "{}",
            {"Statement": [{"Effect": "Maybe", "Principal": {"Service": "a"}, "Action": "sts:AssumeRole"}]},
            {"Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole"}]},
            {"Statement": [{"Effect": "Allow", "Principal": {"Service": "a"}}]},
            {"Statement": [{"Effect": "Allow", "Principal": "*", "Action": "sts:AssumeRole", "Resource": "*"}]},
        ],
    )
    def test_a_malformed_trust_policy_is_refused(self, aws: Any, document: Any) -> None:
        text = document if isinstance(document, str) else json.dumps(document)
        with pytest.raises(ClientError) as error:
            aws.iam.create_role(RoleName="r", AssumeRolePolicyDocument=text)
        assert code(error) == "MalformedPolicyDocument"

    def test_an_attached_policy_is_not_deleted(self, aws: Any) -> None:
        aws.role("ec2.amazonaws.com", "r")
        document = {
            "Version": "2012-10-17",
            "Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}],
        }
        policy = aws.iam.create_policy(PolicyName="p", PolicyDocument=json.dumps(document))["Policy"]["Arn"]
        aws.iam.attach_role_policy(RoleName="r", PolicyArn=policy)
        with pytest.raises(ClientError) as error:
            aws.iam.delete_policy(PolicyArn=policy)
        assert code(error) == "DeleteConflict"
        aws.iam.detach_role_policy(RoleName="r", PolicyArn=policy)
        aws.iam.delete_policy(PolicyArn=policy)

    def test_the_policies_of_aws_can_be_attached(self, aws: Any) -> None:
        aws.role("eks.amazonaws.com", "r")
        for name in (
            "AmazonEKSClusterPolicy",
            "AmazonEKSWorkerNodePolicy",
            "AmazonEC2ContainerRegistryPullOnly",
        ):
            aws.iam.attach_role_policy(RoleName="r", PolicyArn=f"arn:aws:iam::aws:policy/{name}")
        attached = aws.iam.list_attached_role_policies(RoleName="r")["AttachedPolicies"]
        assert len(attached) == 3


class TestAdditions:
    def test_a_log_group_takes_and_leaves_a_key(self, aws: Any) -> None:
        aws.logs.create_log_group(logGroupName="g")
        key = aws.kms.create_key()["KeyMetadata"]["Arn"]
        aws.logs.associate_kms_key(logGroupName="g", kmsKeyId=key)
        assert aws.logs.describe_log_groups()["logGroups"][0]["kmsKeyId"] == key
        aws.logs.disassociate_kms_key(logGroupName="g")
        assert "kmsKeyId" not in aws.logs.describe_log_groups()["logGroups"][0]
        with pytest.raises(ClientError) as error:
            aws.logs.associate_kms_key(logGroupName="g", kmsKeyId="arn:aws:kms:us-east-1:123456789012:key/none")
        assert code(error) == "InvalidParameterException"

    def test_an_identity_provider_takes_and_leaves_a_client(self, aws: Any) -> None:
        arn = aws.iam.create_open_id_connect_provider(
            Url="https://issuer.example", ClientIDList=["a"], ThumbprintList=["0" * 40]
        )["OpenIDConnectProviderArn"]
        aws.iam.add_client_id_to_open_id_connect_provider(OpenIDConnectProviderArn=arn, ClientID="b")
        aws.iam.remove_client_id_from_open_id_connect_provider(OpenIDConnectProviderArn=arn, ClientID="a")
        assert aws.iam.get_open_id_connect_provider(OpenIDConnectProviderArn=arn)["ClientIDList"] == ["b"]


class TestBuckets:
    def test_a_bucket_begins_encrypted_and_private(self, aws: Any) -> None:
        aws.s3.create_bucket(Bucket="weights")
        rules = aws.s3.get_bucket_encryption(Bucket="weights")["ServerSideEncryptionConfiguration"]["Rules"]
        assert rules[0]["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"] == "AES256"
        block = aws.s3.get_public_access_block(Bucket="weights")["PublicAccessBlockConfiguration"]
        assert all(block.values())
        assert len(block) == 4

    def test_encryption_taken_away_falls_back_to_the_default(self, aws: Any) -> None:
        aws.s3.create_bucket(Bucket="weights")
        rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms"}}
        aws.s3.put_bucket_encryption(Bucket="weights", ServerSideEncryptionConfiguration={"Rules": [rule]})
        aws.s3.delete_bucket_encryption(Bucket="weights")
        rules = aws.s3.get_bucket_encryption(Bucket="weights")["ServerSideEncryptionConfiguration"]["Rules"]
        assert rules[0]["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"] == "AES256"

    def test_a_public_policy_is_blocked_until_it_is_allowed(self, aws: Any) -> None:
        aws.s3.create_bucket(Bucket="weights")
        statement = {
            "Effect": "Allow",
            "Principal": "*",
            "Action": "s3:GetObject",
            "Resource": "arn:aws:s3:::weights/*",
        }
        policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        with pytest.raises(ClientError) as error:
            aws.s3.put_bucket_policy(Bucket="weights", Policy=policy)
        assert code(error) == "AccessDenied"
        aws.s3.delete_public_access_block(Bucket="weights")
        aws.s3.put_bucket_policy(Bucket="weights", Policy=policy)

    def test_objects_keep_their_bytes_and_their_length(self, aws: Any) -> None:
        aws.s3.create_bucket(Bucket="weights")
        body = bytes(range(256)) * 64
        aws.s3.put_object(Bucket="weights", Key="a/b c.bin", Body=body, Metadata={"k_1": "v"})
        head = aws.s3.head_object(Bucket="weights", Key="a/b c.bin")
        assert (head["ContentLength"], head["Metadata"]) == (len(body), {"k_1": "v"})
        assert aws.s3.get_object(Bucket="weights", Key="a/b c.bin")["Body"].read() == body
