"""IAM roles, policies and OIDC providers. IAM is global: no region."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, Final
from urllib.parse import unquote

from model_factory.local.providers.aws import checks
from model_factory.local.providers.aws.declare import (
    TAGS,
    as_json,
    declare,
    deletes,
    from_tag_list,
    joined,
    put_again,
    same_policy,
    tagger,
)
from model_factory.local.providers.aws.session import Aws
from model_factory.local.providers.aws.shapes import Api
from model_factory.local.providers.base import Call, Update
from model_factory.local.providers.values import objects, text, texts
from model_factory.local.wire import Properties, Value

_ROLE_API: Final = Api(
    "iam",
    "CreateRole",
    names={"assumeRolePolicy": "AssumeRolePolicyDocument", "name": "RoleName"},
    ours=frozenset({"forceDetachPolicies", "inlinePolicies", "managedPolicyArns"}),
)
_POLICY_API: Final = Api(
    "iam",
    "CreatePolicy",
    names={"policy": "PolicyDocument", "name": "PolicyName"},
    ours=frozenset({"delayAfterPolicyCreationInMs"}),
)
_ROLE_POLICY_API: Final = Api(
    "iam", "PutRolePolicy", names={"policy": "PolicyDocument", "name": "PolicyName", "role": "RoleName"}
)
_ATTACHMENT_API: Final = Api("iam", "AttachRolePolicy", names={"role": "RoleName"})
_OIDC_API: Final = Api(
    "iam",
    "CreateOpenIDConnectProvider",
    names={"clientIdLists": "ClientIDList", "thumbprintLists": "ThumbprintList"},
)
_VERSIONS_KEPT: Final = 5  # IAM keeps five versions of a policy and refuses a sixth.


def _document(inputs: Properties, key: str) -> Properties:
    """The inputs with a policy document as JSON text, as IAM takes it."""
    return {**inputs, key: as_json(inputs[key])}


def _decoded(document: Any) -> str:
    """A document as IAM answers it: botocore parses it, or it is URL-encoded text."""
    return unquote(document) if isinstance(document, str) else json.dumps(document)


def _create_role(call: Call[Aws], inputs: Properties) -> None:
    request = _ROLE_API.request(call.cloud, _document(inputs, "assumeRolePolicy"))
    call.cloud.call("iam", "CreateRole", **request)
    name = call.created(text(inputs, "name"))
    for arn in texts(inputs, "managedPolicyArns"):
        call.cloud.call("iam", "AttachRolePolicy", RoleName=name, PolicyArn=arn)
    _put_inline(call, name, objects(inputs, "inlinePolicies"))


def _put_inline(call: Call[Aws], role: str, policies: Iterable[Properties]) -> None:
    for policy in policies:
        document = as_json(policy.get("policy"))
        call.cloud.call("iam", "PutRolePolicy", RoleName=role, PolicyName=text(policy, "name"), PolicyDocument=document)


def _attached(aws: Aws, role: str) -> list[Value]:
    found = aws.all("iam", "ListAttachedRolePolicies", "AttachedPolicies", RoleName=role)
    return sorted(item["PolicyArn"] for item in found)


def _read_role(call: Call[Aws], name: str, inputs: Properties) -> Properties | None:
    aws = call.cloud
    role = aws.call("iam", "GetRole", RoleName=name)["Role"]
    outputs: Properties = {
        **_ROLE_API.properties(aws, {k: v for k, v in role.items() if k != "AssumeRolePolicyDocument"}, "Role"),
        "assumeRolePolicy": _decoded(role["AssumeRolePolicyDocument"]),
        "name": role["RoleName"],
        "uniqueId": role["RoleId"],
        "maxSessionDuration": role.get("MaxSessionDuration", 3600),
        "permissionsBoundary": role.get("PermissionsBoundary", {}).get("PermissionsBoundaryArn"),
        TAGS: from_tag_list(role.get("Tags")),
    }
    # A role without lists of its own leaves them to RolePolicy and RolePolicyAttachment: theirs are no drift.
    if "managedPolicyArns" in inputs:
        outputs["managedPolicyArns"] = _attached(aws, name)
    if "inlinePolicies" in inputs:
        names = aws.all("iam", "ListRolePolicies", "PolicyNames", RoleName=name)
        outputs["inlinePolicies"] = [{"name": item, "policy": _inline_document(aws, name, item)} for item in names]
    return outputs


def _inline_document(aws: Aws, role: str, policy: str) -> str:
    return _decoded(aws.call("iam", "GetRolePolicy", RoleName=role, PolicyName=policy)["PolicyDocument"])


def _update_role(call: Call[Aws], change: Update) -> None:
    aws, name, new = call.cloud, change.id, change.new
    if change.changed("assumeRolePolicy"):
        document = as_json(new["assumeRolePolicy"])
        aws.call("iam", "UpdateAssumeRolePolicy", RoleName=name, PolicyDocument=document)
    if change.changed("description", "maxSessionDuration"):
        session = {"MaxSessionDuration": new["maxSessionDuration"]} if "maxSessionDuration" in new else {}
        aws.call("iam", "UpdateRole", RoleName=name, Description=text(new, "description"), **session)
    if change.changed("permissionsBoundary"):
        boundary = text(new, "permissionsBoundary")
        if boundary:
            aws.call("iam", "PutRolePermissionsBoundary", RoleName=name, PermissionsBoundary=boundary)
        else:
            aws.call("iam", "DeleteRolePermissionsBoundary", RoleName=name)
    if "managedPolicyArns" in new and change.changed("managedPolicyArns"):
        have, want = set(texts(change.old, "managedPolicyArns")), set(texts(new, "managedPolicyArns"))
        for arn in sorted(want - have):
            aws.call("iam", "AttachRolePolicy", RoleName=name, PolicyArn=arn)
        for arn in sorted(have - want):
            aws.call("iam", "DetachRolePolicy", RoleName=name, PolicyArn=arn)
    if "inlinePolicies" in new and change.changed("inlinePolicies"):
        wanted = objects(new, "inlinePolicies")
        for old in objects(change.old, "inlinePolicies"):
            if text(old, "name") not in [text(policy, "name") for policy in wanted]:
                aws.call("iam", "DeleteRolePolicy", RoleName=name, PolicyName=text(old, "name"))
        _put_inline(call, name, wanted)


def _delete_role(call: Call[Aws], name: str, state: Properties) -> None:
    aws = call.cloud
    if state.get("forceDetachPolicies") or "managedPolicyArns" in state:
        for arn in _attached(aws, name):
            aws.call("iam", "DetachRolePolicy", RoleName=name, PolicyArn=arn)
    if state.get("forceDetachPolicies") or "inlinePolicies" in state:
        for policy in aws.all("iam", "ListRolePolicies", "PolicyNames", RoleName=name):
            aws.call("iam", "DeleteRolePolicy", RoleName=name, PolicyName=policy)
    aws.call("iam", "DeleteRole", RoleName=name)


def _create_policy(call: Call[Aws], inputs: Properties) -> str:
    request = _POLICY_API.request(call.cloud, _document(inputs, "policy"))
    return str(call.cloud.call("iam", "CreatePolicy", **request)["Policy"]["Arn"])


def _read_policy(call: Call[Aws], arn: str, _inputs: Properties) -> Properties | None:
    policy = call.cloud.call("iam", "GetPolicy", PolicyArn=arn)["Policy"]
    version = call.cloud.call("iam", "GetPolicyVersion", PolicyArn=arn, VersionId=policy["DefaultVersionId"])
    return {
        **_POLICY_API.properties(call.cloud, policy, "Policy"),
        "policy": _decoded(version["PolicyVersion"]["Document"]),
        "description": policy.get("Description") or None,
        TAGS: from_tag_list(policy.get("Tags")),
    }


def _update_policy(call: Call[Aws], change: Update) -> None:
    if not change.changed("policy"):
        return
    _drop_oldest_version(call.cloud, change.id, keep=_VERSIONS_KEPT - 1)
    document = as_json(change.new["policy"])
    call.cloud.call("iam", "CreatePolicyVersion", PolicyArn=change.id, PolicyDocument=document, SetAsDefault=True)


def _drop_oldest_version(aws: Aws, arn: str, *, keep: int) -> None:
    versions = aws.all("iam", "ListPolicyVersions", "Versions", PolicyArn=arn)
    others = sorted((v for v in versions if not v["IsDefaultVersion"]), key=lambda v: int(v["VersionId"][1:]))
    for version in others[: max(0, len(versions) - keep)]:
        aws.call("iam", "DeletePolicyVersion", PolicyArn=arn, VersionId=version["VersionId"])


def _delete_policy(call: Call[Aws], arn: str, _state: Properties) -> None:
    _drop_oldest_version(call.cloud, arn, keep=1)
    call.cloud.call("iam", "DeletePolicy", PolicyArn=arn)


def _find_policy(call: Call[Aws], inputs: Properties) -> str | None:
    found = call.cloud.all("iam", "ListPolicies", "Policies", Scope="Local")
    return next((str(item["Arn"]) for item in found if item["PolicyName"] == text(inputs, "name")), None)


def _put_role_policy(call: Call[Aws], inputs: Properties) -> None:
    request = _ROLE_POLICY_API.request(call.cloud, _document(inputs, "policy"))
    call.cloud.call("iam", "PutRolePolicy", **request)


def _read_role_policy(call: Call[Aws], policy_id: str, _inputs: Properties) -> Properties | None:
    role, _, name = policy_id.partition(":")
    return {"role": role, "name": name, "policy": _inline_document(call.cloud, role, name)}


def _attach(call: Call[Aws], inputs: Properties) -> None:
    call.cloud.call("iam", "AttachRolePolicy", **_ATTACHMENT_API.request(call.cloud, inputs))


def _read_attachment(call: Call[Aws], attachment_id: str, inputs: Properties) -> Properties | None:
    role, _, arn = attachment_id.partition("/")
    role, arn = text(inputs, "role", role), text(inputs, "policyArn", arn)
    return {"role": role, "policyArn": arn} if arn in _attached(call.cloud, role) else None


def _detach(call: Call[Aws], _attachment_id: str, state: Properties) -> None:
    call.cloud.call("iam", "DetachRolePolicy", RoleName=state["role"], PolicyArn=state["policyArn"])


def _create_oidc(call: Call[Aws], inputs: Properties) -> str:
    request = _OIDC_API.request(call.cloud, inputs)
    made = call.cloud.call("iam", "CreateOpenIDConnectProvider", **request)
    return str(made["OpenIDConnectProviderArn"])


def _read_oidc(call: Call[Aws], arn: str, _inputs: Properties) -> Properties | None:
    found = call.cloud.call("iam", "GetOpenIDConnectProvider", OpenIDConnectProviderArn=arn)
    return {
        "arn": arn,
        "url": found["Url"],
        "clientIdLists": found.get("ClientIDList", []),
        "thumbprintLists": found.get("ThumbprintList", []),
        TAGS: from_tag_list(found.get("Tags")),
    }


def _update_oidc(call: Call[Aws], change: Update) -> None:
    aws, subject = call.cloud, {"OpenIDConnectProviderArn": change.id}
    if "thumbprintLists" in change.new and change.changed("thumbprintLists"):
        thumbprints = texts(change.new, "thumbprintLists")
        aws.call("iam", "UpdateOpenIDConnectProviderThumbprint", **subject, ThumbprintList=thumbprints)
    have, want = set(texts(change.old, "clientIdLists")), set(texts(change.new, "clientIdLists"))
    for client in sorted(want - have):
        aws.call("iam", "AddClientIDToOpenIDConnectProvider", **subject, ClientID=client)
    for client in sorted(have - want):
        aws.call("iam", "RemoveClientIDFromOpenIDConnectProvider", **subject, ClientID=client)


def _find_oidc(call: Call[Aws], inputs: Properties) -> str | None:
    host = text(inputs, "url").removeprefix("https://")
    found = call.cloud.call("iam", "ListOpenIDConnectProviders")["OpenIDConnectProviderList"]
    return next((str(item["Arn"]) for item in found if item["Arn"].endswith(f":oidc-provider/{host}")), None)


def _same_url(old: Value, new: Value) -> bool:
    return str(old).removeprefix("https://") == str(new).removeprefix("https://")


TYPES: Final = (
    declare(
        "aws:iam/role:Role",
        api=_ROLE_API,
        create=_create_role,
        read=_read_role,
        update=_update_role,
        delete=_delete_role,
        id_of=joined("name"),
        tagger=tagger("iam", "Role", output="id"),
        check=(
            checks.policy("assumeRolePolicy", trust=True),
            checks.arn("managedPolicyArns", "permissionsBoundary"),
        ),
        equivalent={"assumeRolePolicy": same_policy, "inlinePolicies[*].policy": same_policy},
    ),
    declare(
        "aws:iam/policy:Policy",
        api=_POLICY_API,
        create=_create_policy,
        read=_read_policy,
        update=_update_policy,
        delete=_delete_policy,
        find=_find_policy,
        tagger=tagger("iam", "Policy", output="id"),
        check=(checks.policy("policy"),),
        equivalent={"policy": same_policy},
    ),
    declare(
        "aws:iam/rolePolicy:RolePolicy",
        api=_ROLE_POLICY_API,
        create=_put_role_policy,
        read=_read_role_policy,
        update=put_again(_put_role_policy),
        delete=deletes("iam", "DeleteRolePolicy", "RoleName", "PolicyName"),
        id_of=joined("role", "name"),
        check=(checks.policy("policy"),),
        equivalent={"policy": same_policy},
    ),
    declare(
        "aws:iam/rolePolicyAttachment:RolePolicyAttachment",
        api=_ATTACHMENT_API,
        create=_attach,
        read=_read_attachment,
        delete=_detach,
        id_of=joined("role", "policyArn", separator="/"),
        check=(checks.arn("policyArn"),),
    ),
    declare(
        "aws:iam/openIdConnectProvider:OpenIdConnectProvider",
        api=_OIDC_API,
        create=_create_oidc,
        read=_read_oidc,
        update=_update_oidc,
        delete=deletes("iam", "DeleteOpenIDConnectProvider", "OpenIDConnectProviderArn"),
        find=_find_oidc,
        tagger=tagger("iam", "OpenIDConnectProvider", output="id"),
        equivalent={"url": _same_url},
    ),
)
