"""IAM policies of every resource that has one: read, written with an etag, members checked."""

from __future__ import annotations

import re
from typing import Final

from model_factory.local.clouds.gcp import errors
from model_factory.local.clouds.gcp.accounts import find_account
from model_factory.local.clouds.gcp.bodies import Body, digest
from model_factory.local.clouds.gcp.core import Call, Cloud, handles
from model_factory.local.discovery import Json

EMPTY_ETAG: Final = "ACAB"
_MEMBER: Final = re.compile(
    r"allUsers|allAuthenticatedUsers|(user|serviceAccount|group|domain|principal|principalSet|"
    r"deleted:\w+|projectOwner|projectEditor|projectViewer):\S+"
)
_ROLE: Final = re.compile(r"roles/[\w.]+|(projects|organizations)/[^/]+/roles/[\w.]+")
_IDENTITY: Final = re.compile(r"serviceAccount:([^\[\]]+\.svc\.id\.goog)\[[^/\[\]]+/[^/\[\]]+\]")
_ACCOUNT: Final = re.compile(r"serviceAccount:([^@\s]+@([^.]+)\.iam\.gserviceaccount\.com)")


def policy_of(cloud: Cloud, key: str) -> Body:
    policy = cloud.store.policy(key)
    return {"version": 1, "etag": EMPTY_ETAG} if policy is None else policy


def write(cloud: Cloud, key: str, given: Body) -> Body:
    """Check and store a policy. Raises ApiError 409 when the etag is another's."""
    current = policy_of(cloud, key)
    etag = given.get("etag")
    if etag and etag != current["etag"]:
        raise errors.aborted(
            "There were concurrent policy changes. Please retry the whole read-modify-write with exponential backoff."
        )
    bindings: list[Body] = []
    for binding in given.get("bindings", []):
        role = binding.get("role", "")
        if not _ROLE.fullmatch(role):
            raise errors.invalid(f"Role ({role}) does not exist in the resource's hierarchy.")
        members = sorted(dict.fromkeys(binding.get("members", [])))
        for member in members:
            _check_member(cloud, member)
        if members:
            bindings.append({**binding, "members": members})
    version = 3 if any("condition" in b for b in bindings) else 1
    if version == 3 and given.get("version") != 3:
        raise errors.invalid("A policy with conditions must have version 3.")
    bindings.sort(key=lambda b: (b["role"], str(b.get("condition", ""))))
    policy: Body = {"version": version, "bindings": bindings}
    policy["etag"] = digest([policy, cloud.serial()])
    cloud.store.put_policy(key, policy)
    return policy


def _check_member(cloud: Cloud, member: str) -> None:
    if not _MEMBER.fullmatch(member):
        raise errors.invalid(
            f"The member {member} is of an unknown type. Please set a valid type prefix for the member."
        )
    identity = _IDENTITY.fullmatch(member)
    if identity:
        if identity.group(1) not in (cloud.store.setting("identity_pools") or ()):
            raise errors.invalid(
                f"Identity Pool does not exist ({identity.group(1)}). Please check that you specified a valid resource name as "
                "returned in the `name` attribute in the configuration API."
            )
        return
    account = _ACCOUNT.fullmatch(member)
    projects = cloud.store.setting("projects") or {}
    if account and account.group(2) in projects:
        key = f"iam/projects/{account.group(2)}/serviceAccounts/{account.group(1)}"
        if cloud.store.get(key) is None:
            raise errors.invalid(f"Service account {account.group(1)} does not exist.")


def resource_key(call: Call) -> str:
    """The key whose policy a call means; ApiError 404 when that resource is not there."""
    if call.service == "storage":
        key = f"storage/b/{call.parameter('bucket')}"
        call.cloud.require(key, "The specified bucket does not exist.")
        return key
    name = call.parameter("resource")
    if call.service == "cloudresourcemanager":
        project = name.removeprefix("projects/")
        call.cloud.project_number(project)
        return f"cloudresourcemanager/projects/{project}"
    if call.service == "iam":
        return find_account(call, name).key
    key = f"{call.service}/{name}"
    call.cloud.require(key)
    return key


_RESOURCES: Final = (
    "cloudresourcemanager.projects",
    "iam.projects.serviceAccounts",
    "artifactregistry.projects.locations.repositories",
    "cloudkms.projects.locations.keyRings",
    "cloudkms.projects.locations.keyRings.cryptoKeys",
    "storage.buckets",
)


@handles(*(f"{resource}.getIamPolicy" for resource in _RESOURCES))
def get(call: Call) -> Body:
    return _shown(call, policy_of(call.cloud, resource_key(call)))


@handles(*(f"{resource}.setIamPolicy" for resource in _RESOURCES))
def set_(call: Call) -> Body:
    given: Json = call.body if call.service == "storage" else call.body.get("policy")
    if given is None:
        raise errors.invalid("Policy must be specified.")
    return _shown(call, write(call.cloud, resource_key(call), given))


@handles(*(f"{resource}.testIamPermissions" for resource in _RESOURCES))
def test(call: Call) -> Body:
    resource_key(call)
    return {"permissions": call.body.get("permissions", call.query.get("permissions", []))}


def _shown(call: Call, policy: Body) -> Body:
    if call.service == "storage":
        return {
            "kind": "storage#policy",
            "resourceId": f"projects/_/buckets/{call.parameter('bucket')}",
            **policy,
        }
    return policy
