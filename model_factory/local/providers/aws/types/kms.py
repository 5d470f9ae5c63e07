"""KMS keys and aliases."""

from __future__ import annotations

from typing import Any, Final, cast

from model_factory.local.providers.aws import checks
from model_factory.local.providers.aws.declare import (
    TAGS,
    as_json,
    declare,
    deletes,
    from_tag_list,
    joined,
    same_policy,
    tagger,
)
from model_factory.local.providers.aws.session import Aws
from model_factory.local.providers.aws.shapes import Api
from model_factory.local.providers.base import URN_TAG, Call, Update
from model_factory.local.providers.values import flag, mapping, number, text
from model_factory.local.wire import Properties, Value

_KEY_API: Final = Api(
    "kms",
    "CreateKey",
    names={"customerMasterKeySpec": "KeySpec"},
    ours=frozenset({"deletionWindowInDays", "enableKeyRotation", "isEnabled", "rotationPeriodInDays"}),
)
_ALIAS_API: Final = Api("kms", "CreateAlias", names={"name": "AliasName"})
_LONGEST_WINDOW_DAYS: Final = 30


def _create_key(call: Call[Aws], inputs: Properties) -> str:
    wanted: Properties = {**inputs, "tagsAll": {**mapping(inputs, "tagsAll"), URN_TAG: call.urn_digest}}
    if "policy" in inputs:
        wanted["policy"] = as_json(inputs["policy"])
    made = call.cloud.call("kms", "CreateKey", **_KEY_API.request(call.cloud, wanted))
    key_id = call.created(made["KeyMetadata"]["KeyId"])
    if flag(inputs, "enableKeyRotation"):
        _rotate(call, key_id, inputs)
    if not flag(inputs, "isEnabled", True):
        call.cloud.call("kms", "DisableKey", KeyId=key_id)
    return key_id


def _rotate(call: Call[Aws], key_id: str, inputs: Properties) -> None:
    period = (
        {"RotationPeriodInDays": number(inputs, "rotationPeriodInDays")} if "rotationPeriodInDays" in inputs else {}
    )
    if flag(inputs, "enableKeyRotation"):
        call.cloud.call("kms", "EnableKeyRotation", KeyId=key_id, **period)
    else:
        call.cloud.call("kms", "DisableKeyRotation", KeyId=key_id)


def _metadata(aws: Aws, key_id: str) -> dict[str, Any] | None:
    """A key's description; None where it is gone, or on its way: AWS keeps a deleted key for days."""
    found = cast("dict[str, Any]", aws.call("kms", "DescribeKey", KeyId=key_id)["KeyMetadata"])
    return None if found.get("KeyState") in ("PendingDeletion", "PendingReplicaDeletion") else found


def _read_key(call: Call[Aws], key_id: str, inputs: Properties) -> Properties | None:
    aws = call.cloud
    found = _metadata(aws, key_id)
    if found is None:
        return None
    rotation = aws.call("kms", "GetKeyRotationStatus", KeyId=key_id)
    policy = aws.call("kms", "GetKeyPolicy", KeyId=key_id, PolicyName="default")["Policy"]
    tags = aws.all("kms", "ListResourceTags", "Tags", KeyId=key_id)
    return {
        "arn": found["Arn"],
        "keyId": found["KeyId"],
        "description": found.get("Description", ""),
        "keyUsage": found.get("KeyUsage"),
        "customerMasterKeySpec": found.get("KeySpec") or found.get("CustomerMasterKeySpec"),
        "isEnabled": bool(found.get("Enabled")),
        "multiRegion": bool(found.get("MultiRegion")),
        "enableKeyRotation": bool(rotation.get("KeyRotationEnabled")),
        "rotationPeriodInDays": rotation.get("RotationPeriodInDays") if rotation.get("KeyRotationEnabled") else None,
        "policy": policy,
        "deletionWindowInDays": inputs.get("deletionWindowInDays"),
        "customKeyStoreId": found.get("CustomKeyStoreId"),
        TAGS: from_tag_list(tags),
    }


def _update_key(call: Call[Aws], change: Update) -> None:
    aws, key, new = call.cloud, {"KeyId": change.id}, change.new
    if change.changed("isEnabled") and flag(new, "isEnabled", True):
        aws.call("kms", "EnableKey", **key)  # Before the rest: a disabled key takes no changes.
    if change.changed("description"):
        aws.call("kms", "UpdateKeyDescription", **key, Description=text(new, "description"))
    if "policy" in new and change.changed("policy"):
        aws.call("kms", "PutKeyPolicy", **key, PolicyName="default", Policy=as_json(new["policy"]))
    if change.changed("enableKeyRotation") or (
        "rotationPeriodInDays" in new and change.changed("rotationPeriodInDays")
    ):
        _rotate(call, change.id, new)
    if change.changed("isEnabled") and not flag(new, "isEnabled", True):
        aws.call("kms", "DisableKey", **key)


def _delete_key(call: Call[Aws], key_id: str, state: Properties) -> None:
    if _metadata(call.cloud, key_id) is not None:
        days = number(state, "deletionWindowInDays", _LONGEST_WINDOW_DAYS)
        call.cloud.call("kms", "ScheduleKeyDeletion", KeyId=key_id, PendingWindowInDays=days)


def _find_key(call: Call[Aws], _inputs: Properties) -> str | None:
    for item in call.cloud.all("kms", "ListKeys", "Keys"):
        tags = from_tag_list(call.cloud.all("kms", "ListResourceTags", "Tags", KeyId=item["KeyId"]))
        if (
            tags.get(URN_TAG) == call.urn_digest
            and item["KeyId"] not in call.known
            and _metadata(call.cloud, item["KeyId"])
        ):
            return str(item["KeyId"])
    return None


def _create_alias(call: Call[Aws], inputs: Properties) -> None:
    call.cloud.call("kms", "CreateAlias", **_ALIAS_API.request(call.cloud, inputs))


def _read_alias(call: Call[Aws], name: str, _inputs: Properties) -> Properties | None:
    aliases = call.cloud.all("kms", "ListAliases", "Aliases")
    alias = next((item for item in aliases if item["AliasName"] == name), None)
    if alias is None or not alias.get("TargetKeyId"):
        return None
    account = alias["AliasArn"].split(":")[4]
    key_id = str(alias["TargetKeyId"])
    return {
        "name": name,
        "arn": alias["AliasArn"],
        "targetKeyId": key_id,
        "targetKeyArn": call.cloud.arn("kms", f"key/{key_id}", account),
    }


def _update_alias(call: Call[Aws], change: Update) -> None:
    if change.changed("targetKeyId"):
        call.cloud.call("kms", "UpdateAlias", AliasName=change.id, TargetKeyId=change.new["targetKeyId"])


def _same_key(old: Value, new: Value) -> bool:
    """A key's id and its ARN name the same key."""
    return str(old).rsplit("/", 1)[-1] == str(new).rsplit("/", 1)[-1]


TYPES: Final = (
    declare(
        "aws:kms/key:Key",
        api=_KEY_API,
        create=_create_key,
        read=_read_key,
        update=_update_key,
        delete=_delete_key,
        find=_find_key,
        tagger=tagger("kms", output="id"),
        check=(
            checks.policy("policy"),
            checks.between("deletionWindowInDays", 7, _LONGEST_WINDOW_DAYS),
            checks.between("rotationPeriodInDays", 90, 2560),
        ),
        equivalent={"policy": same_policy},
        write_only=("bypassPolicyLockoutSafetyCheck", "xksKeyId"),
    ),
    declare(
        "aws:kms/alias:Alias",
        api=_ALIAS_API,
        create=_create_alias,
        read=_read_alias,
        update=_update_alias,
        delete=deletes("kms", "DeleteAlias", "AliasName"),
        id_of=joined("name"),
        check=(
            checks.pattern(
                "name", r"alias/(?!aws/)[a-zA-Z0-9/_-]+", "alias/ and a name that is not AWS's (alias/aws/)"
            ),
        ),
        equivalent={"targetKeyId": _same_key},
    ),
)
