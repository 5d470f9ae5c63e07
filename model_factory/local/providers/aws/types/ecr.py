"""ECR repositories and their lifecycle policies."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, Final, cast

from model_factory.local.providers.aws import checks
from model_factory.local.providers.aws.declare import (
    TAGS,
    as_json,
    declare,
    deletes,
    from_tag_list,
    joined,
    same_json,
    tagger,
)
from model_factory.local.providers.aws.session import Aws
from model_factory.local.providers.aws.shapes import Api
from model_factory.local.providers.base import Call, Update
from model_factory.local.providers.errors import Failure
from model_factory.local.providers.values import flag, mapping, objects
from model_factory.local.wire import Properties

_MOST_RULES: Final = 50
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


def _create(call: Call[Aws], inputs: Properties) -> None:
    call.cloud.call("ecr", "CreateRepository", **_API.request(call.cloud, inputs))


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
        aws.call("ecr", "PutImageScanningConfiguration", **subject, imageScanningConfiguration={"scanOnPush": scan})


def _delete(call: Call[Aws], name: str, state: Properties) -> None:
    call.cloud.call("ecr", "DeleteRepository", repositoryName=name, force=flag(state, "forceDelete"))


def _check(_aws: Aws, inputs: Properties) -> list[Failure]:
    return [
        Failure(f"encryptionConfigurations[{index}].kmsKey", "given, but encryptionType is not KMS")
        for index, block in enumerate(objects(inputs, "encryptionConfigurations"))
        if block.get("kmsKey") is not None and block.get("encryptionType") == "AES256"
    ]


def _create_policy(call: Call[Aws], inputs: Properties) -> None:
    request = _POLICY_API.request(call.cloud, {**inputs, "policy": as_json(inputs["policy"])})
    call.cloud.call("ecr", "PutLifecyclePolicy", **request)


def _read_policy(call: Call[Aws], repository: str, _inputs: Properties) -> Properties | None:
    found = call.cloud.call("ecr", "GetLifecyclePolicy", repositoryName=repository)
    return {
        "repository": repository,
        "policy": found["lifecyclePolicyText"],
        "registryId": found.get("registryId"),
    }


def _check_policy(_aws: Aws, inputs: Properties) -> Iterable[Failure]:
    """https://docs.aws.amazon.com/AmazonECR/latest/userguide/lifecycle_policy_parameters.html"""
    try:
        document: Any = json.loads(as_json(inputs["policy"]))
    except (TypeError, ValueError):  # not known yet, or no JSON, which its own check tells
        return
    rules: Any = document.get("rules") if isinstance(document, dict) else None
    if not isinstance(rules, list) or not rules:
        yield Failure("policy", "has no rules; give one at least")
        return
    found = [rule for rule in cast("list[Any]", rules) if isinstance(rule, dict)]
    priorities = [rule.get("rulePriority") for rule in found]
    if len(rules) > _MOST_RULES:
        yield Failure("policy", f"has {len(rules)} rules; ECR takes {_MOST_RULES}, join some")
    if len(set(map(repr, priorities))) < len(priorities) or not all(
        isinstance(each, int) and each >= 1 for each in priorities
    ):
        yield Failure("policy", f"has the priorities {priorities}; number its rules from 1, each once")
    for rule in found:
        count = (rule.get("selection") or {}).get("countNumber")
        if not isinstance(count, int) or count < 1:
            yield Failure("policy", f"has a countNumber of {count!r}; use 1 or more")


TYPES: Final = (
    declare(
        "aws:ecr/repository:Repository",
        api=_API,
        create=_create,
        read=_read,
        update=_update,
        delete=_delete,
        id_of=joined("name"),
        tagger=tagger("ecr"),
        check=(_check,),
    ),
    declare(
        "aws:ecr/lifecyclePolicy:LifecyclePolicy",
        api=_POLICY_API,
        create=_create_policy,
        read=_read_policy,
        delete=deletes("ecr", "DeleteLifecyclePolicy", "repositoryName"),
        id_of=joined("repository"),
        check=(checks.json_text("policy"), _check_policy),
        equivalent={"policy": same_json},
    ),
)
