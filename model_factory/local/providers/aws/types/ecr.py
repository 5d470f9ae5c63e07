"""ECR repositories and their lifecycle policies."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from model_factory.local.providers.aws import checks
from model_factory.local.providers.aws.declare import (
    TAGS,
    as_json,
    as_tag_list,
    declare,
    from_tag_list,
    same_json,
    tag_list,
)
from model_factory.local.providers.aws.session import Aws
from model_factory.local.providers.aws.shapes import Api
from model_factory.local.providers.base import Call, Update
from model_factory.local.providers.errors import Failure
from model_factory.local.providers.values import flag, mapping, objects, text
from model_factory.local.wire import Properties

_API: Final = Api(
    "ecr",
    "CreateRepository",
    names={
        "name": "repositoryName",
        "encryptionConfigurations": "encryptionConfiguration",
        "repositoryUrl": "repositoryUri",
        "arn": "repositoryArn",
    },
    wrapped=frozenset({"encryptionConfigurations"}),
    ours=frozenset({"forceDelete"}),
)
_POLICY_API: Final = Api(
    "ecr", "PutLifecyclePolicy", names={"repository": "repositoryName", "policy": "lifecyclePolicyText"}
)


def _create(call: Call[Aws], inputs: Properties) -> str:
    made = call.cloud.call(
        "ecr", "CreateRepository", **_API.request(call.cloud, inputs), tags=tag_list(inputs)
    )
    return str(made["repository"]["repositoryName"])


def _read(call: Call[Aws], name: str, _inputs: Properties) -> Properties | None:
    found = call.cloud.call("ecr", "DescribeRepositories", repositoryNames=[name])["repositories"][0]
    tags = call.cloud.call("ecr", "ListTagsForResource", resourceArn=found["repositoryArn"]).get("tags")
    return {**_API.properties(call.cloud, found, "Repository"), TAGS: from_tag_list(tags)}


def _update(call: Call[Aws], change: Update) -> None:
    aws, subject = call.cloud, {"repositoryName": change.id}
    request = _API.request(aws, change.new)
    if change.changed("imageTagMutability", "imageTagMutabilityExclusionFilters"):
        filters = request.get("imageTagMutabilityExclusionFilters")
        more = {"imageTagMutabilityExclusionFilters": filters} if filters else {}
        mutability = change.new.get("imageTagMutability", "MUTABLE")
        aws.call("ecr", "PutImageTagMutability", **subject, imageTagMutability=mutability, **more)
    if change.changed("imageScanningConfiguration"):
        scan = flag(mapping(change.new, "imageScanningConfiguration"), "scanOnPush")
        aws.call(
            "ecr", "PutImageScanningConfiguration", **subject, imageScanningConfiguration={"scanOnPush": scan}
        )


def _delete(call: Call[Aws], name: str, state: Properties) -> None:
    call.cloud.call("ecr", "DeleteRepository", repositoryName=name, force=flag(state, "forceDelete"))


def _find(call: Call[Aws], inputs: Properties) -> str | None:
    found = call.cloud.call("ecr", "DescribeRepositories", repositoryNames=[text(inputs, "name")])[
        "repositories"
    ]
    return str(found[0]["repositoryName"])


def _tag(aws: Aws, outputs: Properties, added: Mapping[str, str], removed: list[str]) -> None:
    if added:
        aws.call("ecr", "TagResource", resourceArn=outputs["arn"], tags=as_tag_list(added))
    if removed:
        aws.call("ecr", "UntagResource", resourceArn=outputs["arn"], tagKeys=removed)


def _check(_aws: Aws, inputs: Properties) -> list[Failure]:
    return [
        Failure(f"encryptionConfigurations[{index}].kmsKey", "given, but encryptionType is not KMS")
        for index, block in enumerate(objects(inputs, "encryptionConfigurations"))
        if block.get("kmsKey") is not None and block.get("encryptionType") == "AES256"
    ]


def _create_policy(call: Call[Aws], inputs: Properties) -> str:
    request = _POLICY_API.request(call.cloud, {**inputs, "policy": as_json(inputs["policy"])})
    call.cloud.call("ecr", "PutLifecyclePolicy", **request)
    return text(inputs, "repository")


def _policy(aws: Aws, repository: str) -> dict[str, Any]:
    return aws.call("ecr", "GetLifecyclePolicy", repositoryName=repository)


def _read_policy(call: Call[Aws], repository: str, _inputs: Properties) -> Properties | None:
    found = _policy(call.cloud, repository)
    return {
        "repository": repository,
        "policy": found["lifecyclePolicyText"],
        "registryId": found.get("registryId"),
    }


def _delete_policy(call: Call[Aws], repository: str, _state: Properties) -> None:
    call.cloud.call("ecr", "DeleteLifecyclePolicy", repositoryName=repository)


def _find_policy(call: Call[Aws], inputs: Properties) -> str | None:
    return text(inputs, "repository") if _policy(call.cloud, text(inputs, "repository")) else None


TYPES: Final = (
    declare(
        "aws:ecr/repository:Repository",
        api=_API,
        create=_create,
        read=_read,
        update=_update,
        delete=_delete,
        find=_find,
        tagger=_tag,
        check=(_check,),
    ),
    declare(
        "aws:ecr/lifecyclePolicy:LifecyclePolicy",
        api=_POLICY_API,
        create=_create_policy,
        read=_read_policy,
        delete=_delete_policy,
        find=_find_policy,
        check=(checks.json_text("policy"),),
        equivalent={"policy": same_json},
    ),
)
