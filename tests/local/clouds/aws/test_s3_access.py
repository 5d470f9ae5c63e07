from __future__ import annotations

import json
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from components.aws.bucket import tls_only
from components.aws.identity import read_statements
from model_factory.local.clouds.aws.errors import AwsError
from model_factory.local.clouds.aws.s3_access import decide
from tests.local.clouds.aws.conftest import REGION, Aws

ARN = "arn:aws:s3:::models"


def document(*statements: Any) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [*statements]})


READER = document(*read_statements(ARN, "llm/", None))


class TestDecisions:
    @pytest.mark.parametrize(
        ("action", "resource", "prefix", "said"),
        [
            ("s3:GetObject", f"{ARN}/llm/1/model.gguf", "", "allow"),
            ("s3:GetObject", f"{ARN}/other/1/model.gguf", "", None),
            ("s3:PutObject", f"{ARN}/llm/1/model.gguf", "", None),
            ("s3:ListBucket", ARN, "llm/1/", "allow"),
            ("s3:ListBucket", ARN, "other/", None),
            ("s3:ListBucket", ARN, "", None),
        ],
    )
    def test_a_model_reads_its_own_weights_alone(
        self, action: str, resource: str, prefix: str, said: str | None
    ) -> None:
        assert decide([READER], action, resource, {"s3:prefix": prefix}) == said

    def test_what_is_denied_is_not_allowed_elsewhere(self) -> None:
        both = [READER, document(tls_only(ARN))]
        asked = ("s3:GetObject", f"{ARN}/llm/x")
        assert decide(both, *asked, {"aws:SecureTransport": "false"}) == "deny"
        assert decide(both, *asked, {"aws:SecureTransport": "true"}) == "allow"

    def test_of_a_condition_that_is_not_known_nothing_is_made_up(self) -> None:
        strange = {"Effect": "Deny", "Action": "*", "Resource": "*", "Condition": {"Null": {"aws:x": "true"}}}
        with pytest.raises(AwsError, match="knows no condition Null on aws:x"):
            decide([document(strange)], "s3:GetObject", ARN, {})

    def test_principals_that_are_named_are_meant_alone(self) -> None:
        named = document({"Effect": "Deny", "Principal": {"AWS": "arn:r"}, "Action": "s3:*", "Resource": "*"})
        assert decide([named], "s3:GetObject", ARN, {}, "arn:r") == "deny"
        assert decide([named], "s3:GetObject", ARN, {}, "arn:other") is None


class TestCalls:
    def test_keep_to_the_role_whose_session_makes_them(self, aws: Aws) -> None:
        aws.s3.create_bucket(Bucket="models")
        for key in ("llm/1/x", "other/1/x"):
            aws.s3.put_object(Bucket="models", Key=key, Body=b"weights")
        role = aws.role("ec2.amazonaws.com", "reader")
        aws.iam.put_role_policy(RoleName="reader", PolicyName="read", PolicyDocument=READER)
        got = aws.sts.assume_role(RoleArn=role, RoleSessionName="pod")["Credentials"]
        pod = boto3.client(
            "s3",
            region_name=REGION,
            endpoint_url=aws.spec.url,
            aws_access_key_id=got["AccessKeyId"],
            aws_secret_access_key=got["SecretAccessKey"],
            aws_session_token=got["SessionToken"],
        )
        assert pod.get_object(Bucket="models", Key="llm/1/x")["Body"].read() == b"weights"
        assert pod.list_objects_v2(Bucket="models", Prefix="llm/1/")["KeyCount"] == 1
        for refused in (
            lambda: pod.get_object(Bucket="models", Key="other/1/x"),
            lambda: pod.list_objects_v2(Bucket="models", Prefix="other/"),
            lambda: pod.put_object(Bucket="models", Key="llm/1/x", Body=b"mine"),
        ):
            with pytest.raises(ClientError, match="AccessDenied"):
                refused()
        pod.close()

    def test_over_loopback_count_as_over_tls(self, aws: Aws) -> None:
        aws.s3.create_bucket(Bucket="models")
        aws.s3.put_bucket_policy(Bucket="models", Policy=document(tls_only(ARN)))
        aws.s3.put_object(Bucket="models", Key="x", Body=b"weights")
        assert aws.s3.get_object(Bucket="models", Key="x")["Body"].read() == b"weights"


class TestLargeObjects:
    def test_survive_a_kill_and_stay_out_of_the_log(self, aws: Aws) -> None:
        weights = bytes(range(256)) * 20_000
        aws.s3.create_bucket(Bucket="models")
        aws.s3.put_object(Bucket="models", Key="llm/model.gguf", Body=weights)
        assert (aws.spec.data(aws.root) / "calls.jsonl").stat().st_size < len(weights) / 10
        aws.kill()
        aws.start()
        assert aws.s3.get_object(Bucket="models", Key="llm/model.gguf")["Body"].read() == weights
