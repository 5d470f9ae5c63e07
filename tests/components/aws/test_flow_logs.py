from __future__ import annotations

import json
from typing import Any

import pytest

from components.aws.flow_logs import AwsFlowLogs


@pytest.fixture(scope="module")
def logs(run: Any) -> Any:
    return run(
        lambda: AwsFlowLogs(
            "net",
            {"region": "us-east-1", "vpc_id": "vpc-1", "log_retention_days": 30, "tags": {"team": "a"}},
        )
    )


class TestFlowLog:
    def test_keeps_what_the_network_refused(self, logs: Any) -> None:
        log = logs.one(":FlowLog").inputs
        assert (log["vpcId"], log["trafficType"]) == ("vpc-1", "REJECT")

    def test_goes_to_a_group_that_expires(self, logs: Any) -> None:
        group = logs.one(":LogGroup")
        assert group.inputs["retentionInDays"] == 30
        assert logs.one(":FlowLog").inputs["logDestination"] == f"arn:aws:test:::{group.name}"

    def test_waits_for_its_right_to_write(self, logs: Any) -> None:
        assert logs.one(":RolePolicy").urn in logs.waits_for(logs.one(":FlowLog"))


class TestRole:
    def test_only_flow_logs_of_this_account_may_take_it(self, logs: Any) -> None:
        (statement,) = json.loads(logs.one("iam/role:Role").inputs["assumeRolePolicy"])["Statement"]
        assert statement["Principal"] == {"Service": "vpc-flow-logs.amazonaws.com"}
        assert statement["Condition"] == {"StringEquals": {"aws:SourceAccount": "123456789012"}}

    def test_writes_to_its_own_group_only(self, logs: Any) -> None:
        (statement,) = json.loads(logs.one(":RolePolicy").inputs["policy"])["Statement"]
        assert statement["Resource"] == ["arn:aws:test:::net", "arn:aws:test:::net:*"]
        assert not any("*" in action for action in statement["Action"])
