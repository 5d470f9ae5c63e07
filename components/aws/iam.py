"""Policy documents of IAM, and who may take a role. Pure."""

import json
from collections.abc import Mapping, Sequence
from typing import Final

ROLE_NAME_LIMIT: Final = 64


def policy_json(statements: Sequence[Mapping[str, object]]) -> str:
    """An IAM policy document. The same statements always give the same text, so that nothing differs at the next run."""
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)}, separators=(",", ":"))


def trust(service: str, *actions: str) -> dict[str, object]:
    """That one AWS service may take a role; `actions` are those it needs besides."""
    return {
        "Effect": "Allow",
        "Principal": {"Service": service},
        "Action": ["sts:AssumeRole", *actions],
    }
