"""What belongs to an EKS cluster: add-ons, access entries, pod identities. Clusters and node groups have their own files."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from model_factory.local.providers.aws import checks
from model_factory.local.providers.aws.declare import TAGS, declare, deletes, joined, same_json, tagger
from model_factory.local.providers.aws.session import Aws
from model_factory.local.providers.aws.shapes import Api
from model_factory.local.providers.base import Call, Update
from model_factory.local.providers.errors import WaitError
from model_factory.local.providers.values import flag, text
from model_factory.local.wire import Properties

_ADDON_API: Final = Api(
    "eks",
    "CreateAddon",
    names={"resolveConflictsOnCreate": "resolveConflicts"},
    ours=frozenset({"preserve", "resolveConflictsOnUpdate"}),
)
_ENTRY_API: Final = Api("eks", "CreateAccessEntry", names={"userName": "username"})
_POLICY_API: Final = Api("eks", "AssociateAccessPolicy")
_ASSOCIATION_ID: Final = ("clusterName", "principalArn", "policyArn")
_IDENTITY_API: Final = Api("eks", "CreatePodIdentityAssociation")


def wait_until_healthy(call: Call[Aws], what: str, describe: Callable[[], dict[str, Any]]) -> None:
    """Wait until an add-on or a node group is active. Raises WaitError with the issues that EKS names."""

    def state() -> str:
        found = describe()
        if found["status"] in ("CREATE_FAILED", "UPDATE_FAILED", "DEGRADED"):
            issues = [
                f"{issue.get('code')}: {issue.get('message')}" for issue in found.get("health", {}).get("issues", [])
            ]
            raise WaitError(f"{what}: became {found['status']}: {'; '.join(issues) or 'no reason given'}")
        return str(found["status"])

    call.wait_for_state(state, what=what, ready=["ACTIVE"], failed=["DELETING", "DELETE_FAILED"])


def wait_until_updated(call: Call[Aws], what: str, answer: dict[str, Any], **subject: str) -> None:
    """Wait until the update that a call began has ended well. `subject` is what DescribeUpdate asks for besides its id."""
    begun = answer["update"]

    def state() -> str:
        update = call.cloud.call("eks", "DescribeUpdate", **subject, updateId=begun["id"])["update"]
        if update["status"] in ("Failed", "Cancelled"):
            errors = "; ".join(str(error.get("errorMessage")) for error in update.get("errors", []))
            raise WaitError(f"update {begun.get('type')} of {what} {update['status']}: {errors}")
        return str(update["status"])

    call.wait_for_state(state, what=f"update of {what}", ready=["Successful"])


def _create_addon(call: Call[Aws], inputs: Properties) -> None:
    request = _ADDON_API.request(call.cloud, inputs)
    call.cloud.call("eks", "CreateAddon", **request, clientRequestToken=call.urn_digest)


def _addon(aws: Aws, addon_id: str) -> dict[str, Any]:
    cluster, _, name = addon_id.partition(":")
    return dict(aws.call("eks", "DescribeAddon", clusterName=cluster, addonName=name)["addon"])


def _addon_ready(call: Call[Aws], addon_id: str, _inputs: Properties) -> None:
    wait_until_healthy(call, f"EKS add-on {addon_id}", lambda: _addon(call.cloud, addon_id))


def _read_addon(call: Call[Aws], addon_id: str, _inputs: Properties) -> Properties | None:
    addon = _addon(call.cloud, addon_id)
    found = _ADDON_API.properties(
        call.cloud, {key: value for key, value in addon.items() if key != "podIdentityAssociations"}, "Addon"
    )
    return {
        **found,
        "arn": addon.get("addonArn"),
        "configurationValues": addon.get("configurationValues") or None,
        "podIdentityAssociations": [_pod_identity(call.cloud, arn) for arn in addon.get("podIdentityAssociations", [])],
        TAGS: addon.get("tags") or {},
    }


def _pod_identity(aws: Aws, arn: str) -> Properties:
    cluster, association_id = arn.split("/")[-2:]
    found = _association(aws, cluster, association_id)
    return {"roleArn": found["roleArn"], "serviceAccount": found["serviceAccount"]}


def _update_addon(call: Call[Aws], change: Update) -> None:
    keys = ("addonVersion", "configurationValues", "serviceAccountRoleArn", "podIdentityAssociations")
    if not change.changed(*keys):
        return
    subject = ("clusterName", "addonName")
    wanted = {key: value for key, value in change.new.items() if key in (*subject, *keys)}
    request = _ADDON_API.request(call.cloud, wanted)
    conflicts = text(change.new, "resolveConflictsOnUpdate")
    if conflicts:
        request["resolveConflicts"] = conflicts
    call.cloud.call("eks", "UpdateAddon", **request)


def _delete_addon(call: Call[Aws], addon_id: str, state: Properties) -> None:
    cluster, _, name = addon_id.partition(":")
    if _addon(call.cloud, addon_id)["status"] != "DELETING":
        call.cloud.call("eks", "DeleteAddon", clusterName=cluster, addonName=name, preserve=flag(state, "preserve"))


def _create_entry(call: Call[Aws], inputs: Properties) -> None:
    request = _ENTRY_API.request(call.cloud, inputs)
    call.cloud.call("eks", "CreateAccessEntry", **request, clientRequestToken=call.urn_digest)


def _read_entry(call: Call[Aws], entry_id: str, _inputs: Properties) -> Properties | None:
    cluster, _, principal = entry_id.partition(":")
    entry = call.cloud.call("eks", "DescribeAccessEntry", clusterName=cluster, principalArn=principal)["accessEntry"]
    return {**_ENTRY_API.properties(call.cloud, entry, "AccessEntry"), TAGS: entry.get("tags") or {}}


def _update_entry(call: Call[Aws], change: Update) -> None:
    keys = ("clusterName", "principalArn", "kubernetesGroups", "userName")
    if change.changed("kubernetesGroups", "userName"):
        wanted = {key: value for key, value in change.new.items() if key in keys}
        wanted.setdefault("kubernetesGroups", [])
        call.cloud.call("eks", "UpdateAccessEntry", **_ENTRY_API.request(call.cloud, wanted))


def _associate(call: Call[Aws], inputs: Properties) -> None:
    call.cloud.call("eks", "AssociateAccessPolicy", **_POLICY_API.request(call.cloud, inputs))


def _read_policy(call: Call[Aws], association_id: str, _inputs: Properties) -> Properties | None:
    cluster, principal, policy = association_id.split("#")
    subject = {"clusterName": cluster, "principalArn": principal}
    for found in call.cloud.all("eks", "ListAssociatedAccessPolicies", "associatedAccessPolicies", **subject):
        if found["policyArn"] == policy:
            return {**_POLICY_API.properties(call.cloud, found, "AssociatedAccessPolicy"), **subject}
    return None


def _create_identity(call: Call[Aws], inputs: Properties) -> str:
    request = {**_IDENTITY_API.request(call.cloud, inputs), "clientRequestToken": call.urn_digest}
    made = call.cloud.call("eks", "CreatePodIdentityAssociation", **request)
    return str(made["association"]["associationId"])


def _association(aws: Aws, cluster: str, association_id: str) -> dict[str, Any]:
    subject = {"clusterName": cluster, "associationId": association_id}
    return dict(aws.call("eks", "DescribePodIdentityAssociation", **subject)["association"])


def _read_identity(call: Call[Aws], association_id: str, inputs: Properties) -> Properties | None:
    found = _association(call.cloud, text(inputs, "clusterName"), association_id)
    properties = _IDENTITY_API.properties(call.cloud, found, "PodIdentityAssociation")
    return {"disableSessionTags": False, **properties, TAGS: found.get("tags") or {}}


def _update_identity(call: Call[Aws], change: Update) -> None:
    keys = ("roleArn", "targetRoleArn", "disableSessionTags", "policy")
    if change.changed(*keys):
        wanted = {key: value for key, value in change.new.items() if key in ("clusterName", *keys)}
        request = _IDENTITY_API.request(call.cloud, wanted)
        call.cloud.call("eks", "UpdatePodIdentityAssociation", associationId=change.id, **request)


def _delete_identity(call: Call[Aws], association_id: str, state: Properties) -> None:
    subject = {"clusterName": text(state, "clusterName"), "associationId": association_id}
    call.cloud.call("eks", "DeletePodIdentityAssociation", **subject)


def _find_identity(call: Call[Aws], inputs: Properties) -> str | None:
    subject = {key: text(inputs, key) for key in ("clusterName", "namespace", "serviceAccount")}
    found = call.cloud.all("eks", "ListPodIdentityAssociations", "associations", **subject)
    return str(found[0]["associationId"]) if found else None


TYPES: Final = (
    declare(
        "aws:eks/addon:Addon",
        api=_ADDON_API,
        create=_create_addon,
        ready=_addon_ready,
        read=_read_addon,
        update=_update_addon,
        delete=_delete_addon,
        id_of=joined("clusterName", "addonName"),
        tagger=tagger("eks"),
        check=(checks.json_text("configurationValues"), checks.arn("serviceAccountRoleArn")),
        equivalent={"configurationValues": same_json},
        write_only=("resolveConflictsOnCreate",),
    ),
    declare(
        "aws:eks/accessEntry:AccessEntry",
        api=_ENTRY_API,
        create=_create_entry,
        read=_read_entry,
        update=_update_entry,
        delete=deletes("eks", "DeleteAccessEntry", "clusterName", "principalArn"),
        id_of=joined("clusterName", "principalArn"),
        tagger=tagger("eks", output="accessEntryArn"),
        check=(
            checks.arn("principalArn"),
            checks.one_of("type", "STANDARD", "EC2_LINUX", "EC2_WINDOWS", "FARGATE_LINUX", "EC2", "HYBRID_LINUX"),
        ),
    ),
    declare(
        "aws:eks/accessPolicyAssociation:AccessPolicyAssociation",
        api=_POLICY_API,
        create=_associate,
        read=_read_policy,
        delete=deletes("eks", "DisassociateAccessPolicy", *_ASSOCIATION_ID, separator="#"),
        id_of=joined(*_ASSOCIATION_ID, separator="#"),
        check=(checks.arn("principalArn", "policyArn"),),
    ),
    declare(
        "aws:eks/podIdentityAssociation:PodIdentityAssociation",
        api=_IDENTITY_API,
        create=_create_identity,
        read=_read_identity,
        update=_update_identity,
        delete=_delete_identity,
        find=_find_identity,
        tagger=tagger("eks", output="associationArn"),
        check=(checks.arn("roleArn", "targetRoleArn"),),
    ),
)
