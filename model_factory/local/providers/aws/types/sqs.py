"""SQS queues. A FIFO queue must be named: the suffix that its name needs is not added to an auto-name."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from model_factory.local.providers.aws import checks
from model_factory.local.providers.aws.declare import (
    TAGS,
    as_json,
    declare,
    deletes,
    same_json,
    same_policy,
    tagger,
)
from model_factory.local.providers.aws.session import Aws
from model_factory.local.providers.aws.shapes import Api
from model_factory.local.providers.base import Call, Update
from model_factory.local.providers.errors import Failure
from model_factory.local.providers.values import text
from model_factory.local.wire import Properties, Unknown, Value

# The inputs that are attributes of the queue, by the kind of their value; the API has all of them as text.
_NUMBERS: Final = (
    "delaySeconds", "kmsDataKeyReusePeriodSeconds", "maxMessageSize", "messageRetentionSeconds", "receiveWaitTimeSeconds",
    "visibilityTimeoutSeconds",
)  # fmt: skip
_FLAGS: Final = ("contentBasedDeduplication", "fifoQueue", "sqsManagedSseEnabled")
_DOCUMENTS: Final = ("policy", "redriveAllowPolicy", "redrivePolicy")
_TEXTS: Final = ("deduplicationScope", "fifoThroughputLimit", "kmsMasterKeyId", *_DOCUMENTS)
_ATTRIBUTES: Final = {key: key[:1].upper() + key[1:] for key in (*_NUMBERS, *_FLAGS, *_TEXTS)} | {
    "maxMessageSize": "MaximumMessageSize",
    "messageRetentionSeconds": "MessageRetentionPeriod",
    "receiveWaitTimeSeconds": "ReceiveMessageWaitTimeSeconds",
    "visibilityTimeoutSeconds": "VisibilityTimeout",
}
_OF_FIFO: Final = ("contentBasedDeduplication", "deduplicationScope", "fifoQueue", "fifoThroughputLimit")
_API: Final = Api("sqs", "CreateQueue", names={"name": "QueueName"}, ours=frozenset({*_ATTRIBUTES, "namePrefix"}))


def _written(key: str, value: Value) -> str:
    """The text of an attribute; empty where it is to be taken away."""
    if key in _DOCUMENTS:
        return as_json(value) if value else ""
    if key in _FLAGS:
        return "true" if value else "false"
    return "" if value is None else str(value)


def _create(call: Call[Aws], inputs: Properties) -> str:
    # A standard queue refuses FIFO attributes, false or not.
    given = [key for key in _ATTRIBUTES if key in inputs and (key not in _OF_FIFO or inputs[key])]
    attributes = {_ATTRIBUTES[key]: _written(key, inputs[key]) for key in given}
    made = call.cloud.call("sqs", "CreateQueue", **_API.request(call.cloud, inputs), Attributes=attributes)
    return str(made["QueueUrl"])


def _read(call: Call[Aws], url: str, _inputs: Properties) -> Properties | None:
    answer = call.cloud.call("sqs", "GetQueueAttributes", QueueUrl=url, AttributeNames=["All"])
    attributes: dict[str, str] = answer.get("Attributes", {})
    found = {key: attributes.get(name, "") for key, name in _ATTRIBUTES.items()}
    return {
        **{key: int(found[key]) for key in _NUMBERS if found[key]},
        **{key: found[key] == "true" for key in _FLAGS},
        **{key: found[key] or None for key in _TEXTS},
        "name": url.rpartition("/")[2],
        "url": url,
        "arn": attributes["QueueArn"],
        TAGS: call.cloud.call("sqs", "ListQueueTags", QueueUrl=url).get("Tags", {}),
    }


def _update(call: Call[Aws], change: Update) -> None:
    changed = {key: change.new.get(key) for key in _ATTRIBUTES if change.changed(key)}
    if changed:
        attributes = {_ATTRIBUTES[key]: _written(key, value) for key, value in changed.items()}
        call.cloud.call("sqs", "SetQueueAttributes", QueueUrl=change.id, Attributes=attributes)


def _find(call: Call[Aws], inputs: Properties) -> str | None:
    return str(call.cloud.call("sqs", "GetQueueUrl", QueueName=text(inputs, "name"))["QueueUrl"])


def _check(_aws: Aws, inputs: Properties) -> Iterable[Failure]:
    name, fifo = inputs.get("name"), bool(inputs.get("fifoQueue"))
    form = r"[0-9A-Za-z_-]{1,75}\.fifo" if fifo else r"[0-9A-Za-z_-]{1,80}"
    if isinstance(name, str) and not re.fullmatch(form, name):
        rule = "1 to 75 of them and .fifo in a FIFO queue" if fifo else "1 to 80 of them"
        yield Failure("name", f"{name!r} is no queue name: letters, digits, - and _, {rule}; set name")
    if not fifo and inputs.get("contentBasedDeduplication") is True:
        yield Failure("contentBasedDeduplication", "true, but fifoQueue is not; set both or neither")
    managed = inputs.get("sqsManagedSseEnabled")
    if inputs.get("kmsMasterKeyId") is not None and managed and not isinstance(managed, Unknown):
        yield Failure("sqsManagedSseEnabled", "given together with kmsMasterKeyId; give one")


TYPES: Final = (
    declare(
        "aws:sqs/queue:Queue",
        api=_API,
        create=_create,
        read=_read,
        update=_update,
        delete=deletes("sqs", "DeleteQueue", "QueueUrl"),
        find=_find,
        tagger=tagger("sqs", "Queue", output="id"),
        check=(
            _check,
            checks.between("delaySeconds", 0, 900),
            checks.between("kmsDataKeyReusePeriodSeconds", 60, 86_400),
            checks.between("maxMessageSize", 1024, 1_048_576),
            checks.between("messageRetentionSeconds", 60, 1_209_600),
            checks.between("receiveWaitTimeSeconds", 0, 20),
            checks.between("visibilityTimeoutSeconds", 0, 43_200),
            checks.one_of("deduplicationScope", "messageGroup", "queue"),
            checks.one_of("fifoThroughputLimit", "perQueue", "perMessageGroupId"),
            checks.policy("policy"),
            checks.json_text("redriveAllowPolicy"),
            checks.json_text("redrivePolicy"),
        ),
        equivalent={
            "policy": same_policy,
            "redriveAllowPolicy": same_json,
            "redrivePolicy": same_json,
        },
    ),
)
