"""Who may do what with S3's objects: bucket policies, and the policies of a role whose session calls.

Nobody else is checked: the local AWS takes any credentials. Of conditions those on `aws:SecureTransport` and `s3:prefix` are known; a call
that another one decides is refused by name, since a wrong answer either way would be believed.
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from fnmatch import fnmatchcase
from functools import cache
from typing import Any, Final, Literal

from model_factory.local.clouds.aws.errors import AwsError
from model_factory.local.clouds.aws.moto_state import backends
from model_factory.local.clouds.aws.routing import Call

Decision = Literal["allow", "deny"]
_KEY: Final = re.compile(r"Credential=(\w+)/")
_ACTIONS: Final[Mapping[str, str]] = {
    "DeleteObject": "DeleteObject",
    "GetObject": "GetObject",
    "HeadBucket": "ListBucket",
    "HeadObject": "GetObject",
    "ListObjects": "ListBucket",
    "ListObjectsV2": "ListBucket",
    "PutObject": "PutObject",
}
"""Operations on objects and the permission of each: https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-with-s3-policy-actions.html"""
_TESTS: Final[Mapping[str, Callable[[str, str], bool]]] = {
    "Bool": lambda value, wanted: value == wanted.lower(),
    "StringEquals": str.__eq__,
    "StringLike": fnmatchcase,
}


def check(call: Call) -> None:
    """Raises AwsError where S3 would refuse a call on objects for who makes it."""
    action = _ACTIONS.get(call.operation)
    bucket: Any = backends("s3", "global").buckets.get(call.path_parameters.get("Bucket", "")) if action else None
    if bucket is None:
        return
    _take_over()
    key = call.path_parameters.get("Key")
    resource = f"{bucket.arn}/{key}" if key else bucket.arn
    # Loopback stands for TLS.
    context = {"aws:SecureTransport": "true", "s3:prefix": call.request.args.get("prefix", "")}
    session = _session(call)
    caller = session.role_arn if session is not None else ""
    of_bucket = decide([bucket.policy] if bucket.policy else [], f"s3:{action}", resource, context, caller)
    of_role = decide(_policies(session), f"s3:{action}", resource, context) if session is not None else "allow"
    if "deny" in (of_bucket, of_role) or "allow" not in (of_bucket, of_role):
        who = caller or "the caller"
        raise AwsError("AccessDenied", f"{who} is not authorized to perform: s3:{action} on resource: {resource}", 403)


@cache
def _take_over() -> None:
    # moto knows no conditions, and so would refuse everything that a policy keeps to TLS.
    from moto.iam.access_control import PermissionResult
    from moto.s3.models import FakeBucket

    def neutral(_bucket: object, _action: str, _resource: str) -> PermissionResult:
        return PermissionResult.NEUTRAL

    setattr(FakeBucket, "get_permission", neutral)  # noqa: B010 (moto's own has other names of parameters)


def decide(
    documents: Iterable[str | bytes], action: str, resource: str, context: Mapping[str, str], caller: str = ""
) -> Decision | None:
    """What policies say together: a denial counts more than what allows, and None is that none speaks of it. `caller` is the role's ARN, for
    policies that name principals; empty for who has none."""
    effects = {
        statement["Effect"]
        for document in documents
        for statement in _list(json.loads(document)["Statement"])
        if _speaks_of(statement, action, resource, caller) and _holds(statement.get("Condition", {}), context)
    }
    return "deny" if "Deny" in effects else "allow" if "Allow" in effects else None


def _speaks_of(statement: Mapping[str, Any], action: str, resource: str, caller: str) -> bool:
    principal = statement.get("Principal", "*")
    named = _list(principal.get("AWS", [])) if isinstance(principal, dict) else [principal]
    if "*" not in named and caller not in named:
        return False
    # Actions are read without their case, resources with it.
    acts = any(fnmatchcase(action.lower(), each.lower()) for each in _list(statement.get("Action", [])))
    return acts and any(fnmatchcase(resource, each) for each in _list(statement.get("Resource", "*")))


def _holds(condition: Mapping[str, Mapping[str, Any]], context: Mapping[str, str]) -> bool:
    return all(
        any(test(context[name], str(each)) for each in _list(wanted)) if name in context else False
        for test, name, wanted in _tests(condition)
    )


def _tests(condition: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[Callable[[str, str], bool], str, Any]]:
    for operator, pairs in condition.items():
        for name, wanted in pairs.items():
            if operator not in _TESTS or name not in ("aws:SecureTransport", "s3:prefix"):
                raise AwsError(
                    "NotImplemented", f"the local S3 knows no condition {operator} on {name}; leave it out there", 501
                )
            yield _TESTS[operator], name, wanted


def _session(call: Call) -> Any:
    """The session of a role that calls, as moto has it; None for any other caller."""
    found = _KEY.search(call.request.headers.get("Authorization", ""))
    return backends("sts", "global").get_assumed_role_from_access_key(found[1]) if found else None


def _policies(session: Any) -> list[str]:
    iam: Any = backends("iam", "global")
    role = session.role_arn.rpartition("/")[2]
    inline = [iam.get_role_policy(role, name)[1] for name in iam.list_role_policies(role)]
    attached, _ = iam.list_attached_role_policies(role)
    return [*inline, *(each.document for each in attached)]


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
