"""IAM service accounts: known by e-mail, by number, and under `projects/-`."""

from __future__ import annotations

import re
from typing import Final

from model_factory.local.clouds.gcp import errors
from model_factory.local.clouds.gcp.bodies import Body, apply_mask, digest, numeric_id, timestamp, visible
from model_factory.local.clouds.gcp.core import Call, Cloud, Stored, handles, page

ACCOUNT: Final = "iam.serviceAccounts"
_FIELDS: Final = ("displayName", "description")


def find_account(call: Call, name: str) -> Stored:
    """`name` is projects/<project or ->/serviceAccounts/<e-mail or unique id>. Raises ApiError 404."""
    match = re.fullmatch(r"projects/([^/]+)/serviceAccounts/([^/]+)", name)
    if match is None:
        raise errors.invalid(f"The name {name} is not a service account's.")
    project, identity = match.groups()
    if "@" in identity:
        domain = identity.partition("@")[2].removesuffix(".iam.gserviceaccount.com")
        found = call.cloud.store.get(f"iam/projects/{domain if project == '-' else project}/serviceAccounts/{identity}")
    else:
        prefix = "iam/projects/*" if project == "-" else f"iam/projects/{project}"
        found = next((s for s in call.cloud.store.children(prefix, ACCOUNT) if s.body["uniqueId"] == identity), None)
    if found is None:
        raise errors.not_found(f"Unknown service account: {identity}")
    return found


def _project(call: Call) -> str:
    return call.parameter("name").split("/")[1]


@handles("iam.projects.serviceAccounts.create")
def create(call: Call) -> Body:
    project, account_id = _project(call), call.body.get("accountId", "")
    if not re.fullmatch(r"[a-z](?:[-a-z0-9]{4,28}[a-z0-9])", account_id):
        raise errors.invalid(
            f'The account ID "{account_id}" does not have a length between 6 and 30 or does not match [a-z]([-a-z0-9]*[a-z0-9]).'
        )
    email = f"{account_id}@{project}.iam.gserviceaccount.com"
    key = f"iam/projects/{project}/serviceAccounts/{email}"
    if call.cloud.store.get(key) is not None:
        raise errors.exists(f"Service account {account_id} already exists within project projects/{project}.")
    number = "1" + numeric_id(key, timestamp(call.cloud.clock()))[:20].rjust(20, "0")
    given: Body = call.body.get("serviceAccount", {})
    body: Body = {
        "name": f"projects/{project}/serviceAccounts/{email}",
        "projectId": project,
        "uniqueId": number,
        "email": email,
        "oauth2ClientId": number,
        **{field: given[field] for field in _FIELDS if given.get(field)},
    }
    body["etag"] = digest(body)
    call.cloud.put(key, ACCOUNT, body)
    return body


@handles("iam.projects.serviceAccounts.get")
def get(call: Call) -> Body:
    return visible(find_account(call, call.parameter("name")).body)


@handles("iam.projects.serviceAccounts.list")
def list_(call: Call) -> Body:
    found = call.cloud.store.children(f"iam/{call.parameter('name')}", ACCOUNT)
    return page(call, [stored.body for stored in found], "accounts")


@handles("iam.projects.serviceAccounts.patch", "iam.projects.serviceAccounts.update")
def patch(call: Call) -> Body:
    stored = find_account(call, call.parameter("name"))
    if call.method.endswith(".update"):
        given, mask = call.body, ",".join(_FIELDS)
    else:
        given, mask = call.body.get("serviceAccount", {}), call.body.get("updateMask")
        if not mask:
            raise errors.invalid("The update mask must be specified.")
    if given.get("etag") and given["etag"] != stored.body["etag"]:
        raise errors.aborted("The etag does not match the service account's.")
    body = apply_mask(stored.body, {k: v for k, v in given.items() if k in _FIELDS}, mask, _FIELDS)
    body["etag"] = digest({k: v for k, v in body.items() if k != "etag"})
    call.cloud.put(stored.key, ACCOUNT, body)
    return body


def _switch(call: Call, disabled: bool) -> Body:
    stored = find_account(call, call.parameter("name"))
    body = {k: v for k, v in stored.body.items() if k != "disabled"} | ({"disabled": True} if disabled else {})
    call.cloud.put(stored.key, ACCOUNT, body)
    return {}


@handles("iam.projects.serviceAccounts.disable")
def disable(call: Call) -> Body:
    return _switch(call, True)


@handles("iam.projects.serviceAccounts.enable")
def enable(call: Call) -> Body:
    return _switch(call, False)


@handles("iam.projects.serviceAccounts.delete")
def delete(call: Call) -> Body:
    stored = find_account(call, call.parameter("name"))
    call.cloud.store.remove(stored.key)
    forget_account(call.cloud, stored.body["email"], stored.body["uniqueId"])
    return {}


def forget_account(cloud: Cloud, email: str, unique_id: str) -> None:
    """Mark a deleted service account's bindings as Google does: `deleted:serviceAccount:e-mail?uid=…`."""
    old, new = f"serviceAccount:{email}", f"deleted:serviceAccount:{email}?uid={unique_id}"
    for key, policy in cloud.store.policies():
        changed = False
        for binding in policy.get("bindings", []):
            if old in binding["members"]:
                binding["members"] = sorted(new if m == old else m for m in binding["members"])
                changed = True
        if changed:
            policy["etag"] = digest([policy, cloud.serial()])
            cloud.store.put_policy(key, policy)
