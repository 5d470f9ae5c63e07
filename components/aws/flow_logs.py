"""A flow log of an AWS network: what was refused, and where it came from."""

from collections.abc import Mapping
from typing import TypedDict

import pulumi
import pulumi_aws as aws

from components.aws.iam import ROLE_NAME_LIMIT, policy_json
from components.names import fit_auto_named

DELIVERY = "vpc-flow-logs.amazonaws.com"


class AwsFlowLogsArgs(TypedDict):
    region: str
    vpc_id: pulumi.Input[str]
    log_retention_days: int
    tags: Mapping[str, str]


class AwsFlowLogs(pulumi.ComponentResource):
    """Refused connections of one VPC, in a CloudWatch log group that expires.

    What was let through is not kept: it is most of the volume, and most of the bill.
    """

    def __init__(self, name: str, args: AwsFlowLogsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("model-factory:network:AwsFlowLogs", name, {}, opts)
        region, tags = args["region"], args["tags"]
        child = pulumi.ResourceOptions(parent=self)
        account_id = aws.get_caller_identity_output(opts=pulumi.InvokeOutputOptions(parent=self)).account_id
        group = aws.cloudwatch.LogGroup(
            name, region=region, retention_in_days=args["log_retention_days"], tags=tags, opts=child
        )
        role = aws.iam.Role(
            fit_auto_named(name, ROLE_NAME_LIMIT),
            description=f"Flow logs reach {name}",
            assume_role_policy=account_id.apply(lambda account: policy_json([trust(account)])),
            tags=tags,
            opts=child,
        )
        policy = aws.iam.RolePolicy(
            fit_auto_named(name, ROLE_NAME_LIMIT),
            role=role.name,
            policy=group.arn.apply(lambda arn: policy_json([write(arn)])),
            opts=child,
        )
        aws.ec2.FlowLog(
            name,
            region=region,
            vpc_id=args["vpc_id"],
            traffic_type="REJECT",
            log_destination_type="cloud-watch-logs",
            log_destination=group.arn,
            iam_role_arn=role.arn,
            tags={**tags, "Name": name},
            # A flow log that cannot write when it starts stays failed.
            opts=pulumi.ResourceOptions(parent=self, depends_on=[policy]),
        )
        self.register_outputs({})


def trust(account_id: str) -> dict[str, object]:
    """Flow logs of this account, and not of another that names our role, may take it."""
    return {
        "Effect": "Allow",
        "Principal": {"Service": DELIVERY},
        "Action": "sts:AssumeRole",
        "Condition": {"StringEquals": {"aws:SourceAccount": account_id}},
    }


def write(group_arn: str) -> dict[str, object]:
    """Writing to one log group.

    docs.aws.amazon.com/vpc/latest/userguide/flow-logs-iam-role.html
    """
    return {
        "Effect": "Allow",
        "Action": [
            "logs:CreateLogStream",
            "logs:PutLogEvents",
            "logs:DescribeLogGroups",
            "logs:DescribeLogStreams",
        ],
        "Resource": [group_arn, f"{group_arn}:*"],
    }
