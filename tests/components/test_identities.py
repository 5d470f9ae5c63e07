from __future__ import annotations

import json
from typing import Any

import pytest

from components.aws.identity import AwsModelIdentity, AwsModelIdentityArgs, read_statements
from components.gcp.identity import GcpModelIdentity

ARGS: AwsModelIdentityArgs = {
    "region": "us-east-1",
    "cluster_name": "c",
    "namespace": "model-m",
    "service_account": "m",
    "bucket_arn": "arn:aws:s3:::b",
    "prefix": "m/1/",
    "key_arn": "arn:key",
    "tags": {},
}


class TestAwsModelIdentity:
    def test_only_pods_of_the_cluster_can_take_the_role(self, run: Any) -> None:
        seen = run(lambda: AwsModelIdentity("m", ARGS))
        (trust,) = json.loads(seen.one(":Role").inputs["assumeRolePolicy"])["Statement"]
        assert trust["Principal"] == {"Service": "pods.eks.amazonaws.com"}
        association = seen.one(":PodIdentityAssociation").inputs
        assert (association["namespace"], association["serviceAccount"]) == ("model-m", "m")

    def test_another_place_is_another_policy_beside_the_one_that_runs(self, run: Any) -> None:
        seen = run(lambda: AwsModelIdentity("m", {**ARGS, "prefix": "other/"}))
        assert seen.one(":RolePolicy").replace_on_changes == ("policy",)
        assert "name" not in seen.one(":RolePolicy").inputs, "with a name of ours the old one would go first"

    @pytest.mark.parametrize("key", ["arn:key", None])
    def test_reads_one_folder_and_writes_nowhere(self, key: str | None) -> None:
        statements = read_statements("arn:aws:s3:::b", "m/1/", key)
        actions = json.dumps([statement["Action"] for statement in statements])
        assert "*" not in actions
        assert "Put" not in actions
        assert "Delete" not in actions
        assert statements[1]["Resource"] == "arn:aws:s3:::b/m/1/*"
        assert len(statements) == (3 if key else 2)

    def test_lists_nothing_beside_its_folder(self) -> None:
        listing = read_statements("arn:aws:s3:::b", "m/1/", None)[0]
        assert listing["Condition"] == {"StringLike": {"s3:prefix": ["m/1", "m/1/*"]}}


class TestGcpModelIdentity:
    def test_one_service_account_acts_as_it_and_it_only_reads(self, run: Any) -> None:
        seen = run(
            lambda: GcpModelIdentity(
                "m-identity", {"project": "p", "bucket": "b", "namespace": "model-m", "service_account": "m"}
            )
        )
        assert seen.one("/iAMMember:IAMMember").inputs["member"] == "serviceAccount:p.svc.id.goog[model-m/m]"
        assert seen.one(":BucketIAMMember").inputs["role"] == "roles/storage.objectViewer"
