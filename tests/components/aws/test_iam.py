from __future__ import annotations

import json

from components.aws.iam import policy_json


class TestPolicyDocuments:
    def test_are_json_with_the_current_version(self) -> None:
        assert json.loads(policy_json([{"Effect": "Deny"}])) == {
            "Version": "2012-10-17",
            "Statement": [{"Effect": "Deny"}],
        }
