"""Flow logs of networks, subnets and network interfaces."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from model_factory.local.providers.aws import checks
from model_factory.local.providers.aws.causes import CAUSES
from model_factory.local.providers.aws.declare import declare
from model_factory.local.providers.aws.session import Aws
from model_factory.local.providers.aws.shapes import Api
from model_factory.local.providers.aws.types import ec2
from model_factory.local.providers.base import Call
from model_factory.local.providers.errors import CloudError, Failure
from model_factory.local.providers.values import text
from model_factory.local.wire import Properties

FLOW_LOG: Final = ec2.Kind.named("vpc-flow-log", "FlowLog")
# What a log can cover: Pulumi's input, CreateFlowLogs' ResourceType, how the ids begin.
_COVERED: Final = (
    ("vpcId", "VPC", "vpc-"),
    ("subnetId", "Subnet", "subnet-"),
    ("eniId", "NetworkInterface", "eni-"),
    ("transitGatewayId", "TransitGateway", "tgw-"),
    ("transitGatewayAttachmentId", "TransitGatewayAttachment", "tgw-attach-"),
    ("regionalNatGatewayId", "RegionalNatGateway", "nat-"),
)
_WITH_TRAFFIC: Final = ("vpcId", "subnetId", "eniId")
_API: Final = Api(
    "ec2",
    "CreateFlowLogs",
    names={"iamRoleArn": "DeliverLogsPermissionArn"},
    ours=frozenset(name for name, _, _ in _COVERED),
)


def _create(call: Call[Aws], inputs: Properties) -> str:
    covered = next((text(inputs, name), kind) for name, kind, _ in _COVERED if text(inputs, name))
    answer = call.cloud.call(
        "ec2",
        "CreateFlowLogs",
        **_API.request(call.cloud, inputs),
        ResourceIds=[covered[0]],
        ResourceType=covered[1],
        TagSpecifications=FLOW_LOG.tag_specifications(call, inputs),
    )
    # Refusals come in an answer that is a success.
    for refused in answer.get("Unsuccessful", []):
        error: dict[str, Any] = refused.get("Error", {})
        raise CloudError(
            cloud="aws",
            operation=f"ec2:CreateFlowLogs of {covered[0]}",
            code=str(error.get("Code", "")),
            message=str(error.get("Message", "")),
            causes=CAUSES,
        )
    return call.created(answer["FlowLogIds"][0])


def _describe(call: Call[Aws], log: dict[str, Any], _inputs: Properties) -> Properties:
    covered = str(log["ResourceId"])
    # The longest beginning that fits: attachments begin as gateways do.
    name = max(((begin, name) for name, _, begin in _COVERED if covered.startswith(begin)), key=lambda it: len(it[0]))[
        1
    ]
    return {name: covered, "arn": ec2.arn(call, f"vpc-flow-log/{log['FlowLogId']}", log)}


def _delete(call: Call[Aws], log_id: str, _state: Properties) -> None:
    call.cloud.call("ec2", "DeleteFlowLogs", FlowLogIds=[log_id])


def _check(_aws: Aws, inputs: Properties) -> Iterable[Failure]:
    if any(inputs.get(name) for name in _WITH_TRAFFIC) and inputs.get("trafficType") is None:
        yield Failure("trafficType", "missing; give ACCEPT, REJECT or ALL")
    kind = inputs.get("logDestinationType", "cloud-watch-logs")
    if kind == "cloud-watch-logs" and inputs.get("iamRoleArn") is None:
        yield Failure("iamRoleArn", "missing; logs reach CloudWatch by a role of yours")
    if inputs.get("logDestination") is None:
        yield Failure("logDestination", "missing; give the ARN of a log group or bucket")


TYPES: Final = (
    declare(
        "aws:ec2/flowLog:FlowLog",
        api=_API,
        create=_create,
        read=FLOW_LOG.read(_API, _describe),
        delete=_delete,
        find=FLOW_LOG.find,
        tagger=ec2.tagger,
        check=(
            checks.exactly_one(*(name for name, _, _ in _COVERED)),
            checks.one_of("maxAggregationInterval", 60, 600),
            checks.arn("iamRoleArn", "logDestination", "deliverCrossAccountRole"),
            _check,
        ),
    ),
)
