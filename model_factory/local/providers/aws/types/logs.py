"""CloudWatch log groups."""

from __future__ import annotations

from typing import Any, Final

from model_factory.local.providers.aws import checks
from model_factory.local.providers.aws.declare import TAGS, declare, joined, tagger
from model_factory.local.providers.aws.session import Aws
from model_factory.local.providers.aws.shapes import Api
from model_factory.local.providers.base import Call, Update
from model_factory.local.providers.values import flag, number, text
from model_factory.local.wire import Properties

_API: Final = Api(
    "logs",
    "CreateLogGroup",
    names={"name": "logGroupName"},
    ours=frozenset({"retentionInDays", "skipDestroy"}),
)
# The numbers that PutRetentionPolicy documents; 0 is Pulumi's "for ever".
_RETENTION_DAYS: Final = (
    0, 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653,
)  # fmt: skip


def _create(call: Call[Aws], inputs: Properties) -> None:
    call.cloud.call("logs", "CreateLogGroup", **_API.request(call.cloud, inputs))
    name = call.created(text(inputs, "name"))
    if number(inputs, "retentionInDays"):
        days = number(inputs, "retentionInDays")
        call.cloud.call("logs", "PutRetentionPolicy", logGroupName=name, retentionInDays=days)


def _group(aws: Aws, name: str) -> dict[str, Any] | None:
    found = aws.all("logs", "DescribeLogGroups", "logGroups", logGroupNamePrefix=name)
    return next((item for item in found if item["logGroupName"] == name), None)


def _read(call: Call[Aws], name: str, inputs: Properties) -> Properties | None:
    group = _group(call.cloud, name)
    if group is None:
        return None
    arn = str(group["arn"]).removesuffix(":*")
    return {
        **_API.properties(call.cloud, group, "LogGroup"),
        "arn": arn,
        "retentionInDays": group.get("retentionInDays", 0),
        "logGroupClass": group.get("logGroupClass") or "STANDARD",
        "skipDestroy": flag(inputs, "skipDestroy"),
        TAGS: call.cloud.call("logs", "ListTagsForResource", resourceArn=arn).get("tags", {}),
    }


def _update(call: Call[Aws], change: Update) -> None:
    aws, group = call.cloud, {"logGroupName": change.id}
    if change.changed("retentionInDays"):
        days = number(change.new, "retentionInDays")
        if days:
            aws.call("logs", "PutRetentionPolicy", **group, retentionInDays=days)
        else:
            aws.call("logs", "DeleteRetentionPolicy", **group)
    if change.changed("kmsKeyId"):
        key = text(change.new, "kmsKeyId")
        if key:
            aws.call("logs", "AssociateKmsKey", **group, kmsKeyId=key)
        else:
            aws.call("logs", "DisassociateKmsKey", **group)
    if change.changed("deletionProtectionEnabled"):
        wanted = flag(change.new, "deletionProtectionEnabled")
        aws.call(
            "logs",
            "PutLogGroupDeletionProtection",
            logGroupIdentifier=change.id,
            deletionProtectionEnabled=wanted,
        )


def _delete(call: Call[Aws], name: str, state: Properties) -> bool:
    if flag(state, "skipDestroy"):
        return False
    call.cloud.call("logs", "DeleteLogGroup", logGroupName=name)
    return True


TYPES: Final = (
    declare(
        "aws:cloudwatch/logGroup:LogGroup",
        api=_API,
        create=_create,
        read=_read,
        update=_update,
        delete=_delete,
        id_of=joined("name"),
        tagger=tagger("logs"),
        check=(checks.one_of("retentionInDays", *_RETENTION_DAYS), checks.arn("kmsKeyId")),
    ),
)
