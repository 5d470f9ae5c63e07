from __future__ import annotations

import json
from typing import Any

import pytest

from components.aws.bucket import S3WeightsBucket
from components.gcp.bucket import GcsWeightsBucket


@pytest.fixture(scope="module")
def s3(run: Any) -> Any:
    return run(lambda: S3WeightsBucket("b", {"region": "us-east-1", "disposable": False, "protect": True, "tags": {}}))


class TestS3WeightsBucket:
    def test_is_private_to_the_last_switch(self, s3: Any) -> None:
        block = s3.one(":BucketPublicAccessBlock").inputs
        switches = ("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets")
        assert all(block[switch] for switch in switches)

    def test_is_versioned(self, s3: Any) -> None:
        assert s3.one(":BucketVersioning").inputs["versioningConfiguration"] == {"status": "Enabled"}

    def test_is_encrypted_with_its_own_rotating_key(self, s3: Any) -> None:
        (rule,) = s3.one(":BucketServerSideEncryptionConfiguration").inputs["rules"]
        assert rule["applyServerSideEncryptionByDefault"] == {
            "sseAlgorithm": "aws:kms",
            "kmsMasterKeyId": "arn:aws:test:::b",
        }
        assert s3.one(":Key").inputs["enableKeyRotation"]

    def test_refuses_requests_without_tls(self, s3: Any) -> None:
        (statement,) = json.loads(s3.one(":BucketPolicy").inputs["policy"])["Statement"]
        assert statement["Effect"] == "Deny"
        assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}

    def test_bucket_and_key_are_protected_together(self, s3: Any) -> None:
        assert {each.type.split(":")[-1] for each in s3.resources if each.protect} == {"Bucket", "Key"}


class TestGcsWeightsBucket:
    def test_can_never_be_made_public_and_keeps_versions(self, run: Any) -> None:
        args = {"project": "p", "region": "us-central1", "disposable": False, "protect": False, "labels": {}}
        inputs = run(lambda: GcsWeightsBucket("b", args)).one(":Bucket").inputs
        assert inputs["publicAccessPrevention"] == "enforced"
        assert inputs["uniformBucketLevelAccess"]
        assert inputs["versioning"] == {"enabled": True}
        assert inputs["location"] == "US-CENTRAL1"
