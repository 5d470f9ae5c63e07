"""What belongs to an EKS cluster: add-ons, access entries, pod identities. Clusters and node groups have their own files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from model_factory.local.providers.aws import checks
from model_factory.local.providers.aws.declare import TAGS, Tagger, declare, same_json, tag_map
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
_IDENTITY_API: Final = Api("eks", "CreatePodIdentityAssociation")


def tagger(key: str) -> Tagger:
    """Tags of any EKS object, by the ARN in output `key`."""

    def tag(aws: Aws, outputs: Properties, added: Mapping[str, str], removed: list[str]) -> None:
        if added:
            aws.call("eks", "TagResource", resourceArn=outputs[key], tags=dict(added))
        if removed:
            aws.call("eks", "UntagResource", resourceArn=outputs[key], tagKeys=removed)

    return tag


def tags_of(inputs: Properties) -> dict[str, Any]:
    """The tags parameter, left out where there is none: EKS takes no empty map."""
    return {"tags": tag_map(inputs)} if tag_map(inputs) else {}


def _cluster(inputs: Properties) -> str:
    return text(inputs, "clusterName")


def _create_addon(call: Call[Aws], inputs: Properties) -> str:
    request = {**_ADDON_API.request(call.cloud, inputs), **tags_of(inputs)}
    call.cloud.call("eks", "CreateAddon", **request, clientRequestToken=call.urn_digest)
    return f"{_cluster(inputs)}:{text(inputs, 'addonName')}"


def _addon(aws: Aws, addon_id: str) -> dict[str, Any]:
    cluster, _, name = addon_id.partition(":")
    return dict(aws.call("eks", "DescribeAddon", clusterName=cluster, addonName=name)["addon"])


def _addon_ready(call: Call[Aws], addon_id: str, _inputs: Properties) -> None:
    def state() -> str:
        addon = _addon(call.cloud, addon_id)
        if addon["status"] in ("CREATE_FAILED", "UPDATE_FAILED", "DEGRADED"):
            issues = "; ".join(
                f"{i.get('code')}: {i.get('message')}" for i in addon.get("health", {}).get("issues", [])
            )
            raise WaitError(f"EKS add-on {addon_id}: became {addon['status']}: {issues or 'no reason given'}")
        return str(addon["status"])

    call.wait_for_state(
        state, what=f"EKS add-on {addon_id}", ready=["ACTIVE"], failed=["DELETING", "DELETE_FAILED"]
    )


def _read_addon(call: Call[Aws], addon_id: str, _inputs: Properties) -> Properties | None:
    addon = _addon(call.cloud, addon_id)
    found = _ADDON_API.properties(
        call.cloud, {key: value for key, value in addon.items() if key != "podIdentityAssociations"}, "Addon"
    )
    return {
        **found,
        "arn": addon.get("addonArn"),
        "configurationValues": addon.get("configurationValues") or None,
        "podIdentityAssociations": [
            _pod_identity(call.cloud, arn) for arn in addon.get("podIdentityAssociations", [])
        ],
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
        call.cloud.call(
            "eks", "DeleteAddon", clusterName=cluster, addonName=name, preserve=flag(state, "preserve")
        )


def _find_addon(call: Call[Aws], inputs: Properties) -> str | None:
    addon_id = f"{_cluster(inputs)}:{text(inputs, 'addonName')}"
    return addon_id if _addon(call.cloud, addon_id) else None


def _create_entry(call: Call[Aws], inputs: Properties) -> str:
    request = {**_ENTRY_API.request(call.cloud, inputs), **tags_of(inputs)}
    call.cloud.call("eks", "CreateAccessEntry", **request, clientRequestToken=call.urn_digest)
    return f"{_cluster(inputs)}:{text(inputs, 'principalArn')}"


def _read_entry(call: Call[Aws], entry_id: str, _inputs: Properties) -> Properties | None:
    cluster, _, principal = entry_id.partition(":")
    entry = call.cloud.call("eks", "DescribeAccessEntry", clusterName=cluster, principalArn=principal)[
        "accessEntry"
    ]
    return {**_ENTRY_API.properties(call.cloud, entry, "AccessEntry"), TAGS: entry.get("tags") or {}}


def _update_entry(call: Call[Aws], change: Update) -> None:
    keys = ("clusterName", "principalArn", "kubernetesGroups", "userName")
    if change.changed("kubernetesGroups", "userName"):
        wanted = {key: value for key, value in change.new.items() if key in keys}
        wanted.setdefault("kubernetesGroups", [])
        call.cloud.call("eks", "UpdateAccessEntry", **_ENTRY_API.request(call.cloud, wanted))


def _delete_entry(call: Call[Aws], entry_id: str, _state: Properties) -> None:
    cluster, _, principal = entry_id.partition(":")
    call.cloud.call("eks", "DeleteAccessEntry", clusterName=cluster, principalArn=principal)


def _find_entry(call: Call[Aws], inputs: Properties) -> str | None:
    entry_id = f"{_cluster(inputs)}:{text(inputs, 'principalArn')}"
    return entry_id if _read_entry(call, entry_id, inputs) else None


def _association_id(inputs: Properties) -> str:
    return "#".join(text(inputs, key) for key in ("clusterName", "principalArn", "policyArn"))


def _associate(call: Call[Aws], inputs: Properties) -> str:
    call.cloud.call("eks", "AssociateAccessPolicy", **_POLICY_API.request(call.cloud, inputs))
    return _association_id(inputs)


def _read_policy(call: Call[Aws], association_id: str, _inputs: Properties) -> Properties | None:
    cluster, principal, policy = association_id.split("#")
    subject = {"clusterName": cluster, "principalArn": principal}
    for found in call.cloud.all("eks", "ListAssociatedAccessPolicies", "associatedAccessPolicies", **subject):
        if found["policyArn"] == policy:
            return {**_POLICY_API.properties(call.cloud, found, "AssociatedAccessPolicy"), **subject}
    return None


def _disassociate(call: Call[Aws], association_id: str, _state: Properties) -> None:
    cluster, principal, policy = association_id.split("#")
    call.cloud.call(
        "eks", "DisassociateAccessPolicy", clusterName=cluster, principalArn=principal, policyArn=policy
    )


def _find_policy(call: Call[Aws], inputs: Properties) -> str | None:
    return _association_id(inputs) if _read_policy(call, _association_id(inputs), inputs) else None


def _create_identity(call: Call[Aws], inputs: Properties) -> str:
    request = {**_IDENTITY_API.request(call.cloud, inputs), **tags_of(inputs)}
    made = call.cloud.call(
        "eks", "CreatePodIdentityAssociation", **request, clientRequestToken=call.urn_digest
    )
    return str(made["association"]["associationId"])


def _association(aws: Aws, cluster: str, association_id: str) -> dict[str, Any]:
    subject = {"clusterName": cluster, "associationId": association_id}
    return dict(aws.call("eks", "DescribePodIdentityAssociation", **subject)["association"])


def _read_identity(call: Call[Aws], association_id: str, inputs: Properties) -> Properties | None:
    found = _association(call.cloud, _cluster(inputs), association_id)
    properties = _IDENTITY_API.properties(call.cloud, found, "PodIdentityAssociation")
    return {"disableSessionTags": False, **properties, TAGS: found.get("tags") or {}}


def _update_identity(call: Call[Aws], change: Update) -> None:
    keys = ("roleArn", "targetRoleArn", "disableSessionTags", "policy")
    if change.changed(*keys):
        wanted = {key: value for key, value in change.new.items() if key in ("clusterName", *keys)}
        request = _IDENTITY_API.request(call.cloud, wanted)
        call.cloud.call("eks", "UpdatePodIdentityAssociation", associationId=change.id, **request)


def _delete_identity(call: Call[Aws], association_id: str, state: Properties) -> None:
    subject = {"clusterName": _cluster(state), "associationId": association_id}
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
        find=_find_addon,
        tagger=tagger("arn"),
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
        delete=_delete_entry,
        find=_find_entry,
        tagger=tagger("accessEntryArn"),
        check=(
            checks.arn("principalArn"),
            checks.one_of(
                "type", "STANDARD", "EC2_LINUX", "EC2_WINDOWS", "FARGATE_LINUX", "EC2", "HYBRID_LINUX"
            ),
        ),
    ),
    declare(
        "aws:eks/accessPolicyAssociation:AccessPolicyAssociation",
        api=_POLICY_API,
        create=_associate,
        read=_read_policy,
        delete=_disassociate,
        find=_find_policy,
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
        tagger=tagger("associationArn"),
        check=(checks.arn("roleArn", "targetRoleArn"),),
    ),
)
