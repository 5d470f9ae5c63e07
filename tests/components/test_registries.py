from __future__ import annotations

import json
from typing import Any

from components.aws.registry import EcrRepository, expire_untagged
from components.gcp.registry import ArtifactRegistry


class TestEcrRepository:
    def test_tags_cannot_move_and_images_are_encrypted_and_scanned(self, run: Any) -> None:
        seen = run(
            lambda: EcrRepository("r", {"region": "us-east-1", "disposable": False, "protect": False, "tags": {}})
        )
        inputs = seen.one(":Repository").inputs
        assert inputs["imageTagMutability"] == "IMMUTABLE"
        assert inputs["imageScanningConfiguration"] == {"scanOnPush": True}
        assert inputs["encryptionConfigurations"] == [{"encryptionType": "KMS"}]
        assert not inputs["forceDelete"]

    def test_only_untagged_images_expire(self) -> None:
        (rule,) = json.loads(expire_untagged(14))["rules"]
        assert (rule["selection"]["tagStatus"], rule["selection"]["countNumber"]) == ("untagged", 14)


class TestArtifactRegistry:
    def test_tags_cannot_move_and_only_nodes_read(self, run: Any) -> None:
        seen = run(
            lambda: ArtifactRegistry(
                "r",
                {
                    "project": "p",
                    "region": "us-central1",
                    "reader_email": "nodes@p",
                    "protect": False,
                    "labels": {},
                },
            )
        )
        assert seen.one(":Repository").inputs["dockerConfig"] == {"immutableTags": True}
        (member,) = seen.of(":RepositoryIamMember")
        assert (member.inputs["role"], member.inputs["member"]) == (
            "roles/artifactregistry.reader",
            "serviceAccount:nodes@p",
        )
