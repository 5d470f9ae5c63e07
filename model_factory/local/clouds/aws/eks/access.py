"""Who may do what in a cluster: access entries with their policies, and pod identity associations."""

from __future__ import annotations

from typing import Final

from model_factory.local.clouds.aws import moto_state
from model_factory.local.clouds.aws.clock import ACCOUNT, PARTITION, hexadecimal
from model_factory.local.clouds.aws.eks import catalogue, references
from model_factory.local.clouds.aws.eks.state import (
    AccessEntry,
    Cluster,
    Context,
    Document,
    check_tags,
    invalid_parameter,
    invalid_request,
    not_found,
    paged,
    repeated,
    short_id,
)

ENTRY_TYPES: Final = ("STANDARD", "EC2_LINUX", "EC2_WINDOWS", "EC2", "FARGATE_LINUX", "HYBRID_LINUX")
_CREATOR: Final = f"arn:{PARTITION}:iam::{ACCOUNT}:root"


def add_creator(context: Context, cluster: Cluster) -> None:
    """The cluster's maker becomes its administrator, unless the request says otherwise."""
    config = cluster.document["accessConfig"]
    if config["bootstrapClusterCreatorAdminPermissions"] and config["authenticationMode"] != "CONFIG_MAP":
        policy = f"{catalogue.ACCESS_POLICY_PREFIX}AmazonEKSClusterAdminPolicy"
        entry = _new_entry(context, cluster, _CREATOR, {"type": "STANDARD"})
        entry.policies[policy] = _association(context, policy, {"type": "cluster", "namespaces": []})


def add_nodes(context: Context, cluster: Cluster, role_arn: str) -> None:
    """The entry that EKS makes for a managed node group's role."""
    api = cluster.document["accessConfig"]["authenticationMode"] != "CONFIG_MAP"
    if api and role_arn not in cluster.access_entries:
        _new_entry(context, cluster, role_arn, {"type": "EC2_LINUX"}).made_for_nodes = True


def remove_nodes(cluster: Cluster, role_arn: str) -> None:
    entry = cluster.access_entries.get(role_arn)
    used = any(nodegroup.document["nodeRole"] == role_arn for nodegroup in cluster.nodegroups.values())
    if entry is not None and entry.made_for_nodes and not used:
        del cluster.access_entries[role_arn]


def create_access_entry(context: Context, parameters: Document) -> Document:
    cluster = _with_api(context, parameters)
    principal = parameters["principalArn"]
    existing = cluster.access_entries.get(principal)
    taken = "The specified access entry resource is already in use on this cluster."
    if existing and repeated(existing.document, parameters, taken):
        return {"accessEntry": existing.document}
    if not moto_state.principal_exists(principal):
        raise invalid_parameter(f"The specified principalArn is invalid: invalid principal {principal}.")
    kind = parameters.get("type", "STANDARD")
    if kind not in ENTRY_TYPES:
        raise invalid_parameter(f"The specified type {kind} is invalid; it is one of {', '.join(ENTRY_TYPES)}.")
    if kind != "STANDARD" and (parameters.get("kubernetesGroups") or parameters.get("username")):
        raise invalid_parameter(f"An access entry of type {kind} takes neither kubernetesGroups nor a username.")
    _check_groups(parameters.get("kubernetesGroups", []))
    check_tags(parameters.get("tags", {}))
    return {"accessEntry": _new_entry(context, cluster, principal, parameters).document}


def describe_access_entry(context: Context, parameters: Document) -> Document:
    return {"accessEntry": _entry(context, parameters).document}


def list_access_entries(context: Context, parameters: Document) -> Document:
    policy = parameters.get("associatedPolicyArn")
    entries = context.cluster(parameters["clusterName"]).access_entries
    found = [arn for arn, entry in sorted(entries.items()) if not policy or policy in entry.policies]
    return paged("accessEntries", found, parameters)


def update_access_entry(context: Context, parameters: Document) -> Document:
    entry = _entry(context, parameters)
    if entry.document["type"] != "STANDARD":
        raise invalid_request(f"An access entry of type {entry.document['type']} cannot be updated.")
    _check_groups(parameters.get("kubernetesGroups", []))
    if "kubernetesGroups" in parameters:
        entry.document["kubernetesGroups"] = parameters["kubernetesGroups"]
    if parameters.get("username"):
        entry.document["username"] = parameters["username"]
    entry.document["modifiedAt"] = context.now()
    return {"accessEntry": entry.document}


def delete_access_entry(context: Context, parameters: Document) -> Document:
    _entry(context, parameters)
    del context.cluster(parameters["clusterName"]).access_entries[parameters["principalArn"]]
    return {}


def associate_access_policy(context: Context, parameters: Document) -> Document:
    entry = _entry(context, parameters)
    policy, scope = parameters["policyArn"], parameters["accessScope"]
    names = [f"{catalogue.ACCESS_POLICY_PREFIX}{name}" for name in catalogue.ACCESS_POLICIES]
    if policy not in names:
        raise invalid_parameter(f"The policyArn parameter format is not valid or there is no such policy: {policy}.")
    if entry.document["type"] != "STANDARD":
        raise invalid_parameter(f"Policies cannot be associated with an access entry of type {entry.document['type']}.")
    if (scope.get("type") == "namespace") != bool(scope.get("namespaces")):
        raise invalid_parameter("An access scope has namespaces exactly where its type is namespace.")
    association = _association(context, policy, {"type": "cluster", "namespaces": [], **scope})
    before = entry.policies.get(policy)
    if before is not None:
        association["associatedAt"] = before["associatedAt"]
    entry.policies[policy] = association
    return {
        "clusterName": parameters["clusterName"],
        "principalArn": parameters["principalArn"],
        "associatedAccessPolicy": association,
    }


def disassociate_access_policy(context: Context, parameters: Document) -> Document:
    entry = _entry(context, parameters)
    if entry.policies.pop(parameters["policyArn"], None) is None:
        raise not_found(f"The policy {parameters['policyArn']} is not associated with {parameters['principalArn']}.")
    return {}


def list_associated_access_policies(context: Context, parameters: Document) -> Document:
    entry = _entry(context, parameters)
    answer = paged("associatedAccessPolicies", list(entry.policies.values()), parameters)
    return answer | {"clusterName": parameters["clusterName"], "principalArn": parameters["principalArn"]}


def list_access_policies(_context: Context, parameters: Document) -> Document:
    policies = [{"name": name, "arn": f"{catalogue.ACCESS_POLICY_PREFIX}{name}"} for name in catalogue.ACCESS_POLICIES]
    return paged("accessPolicies", policies, parameters)


def create_pod_identity_association(context: Context, parameters: Document) -> Document:
    cluster = context.active_cluster(parameters["clusterName"])
    namespace, account = parameters["namespace"], parameters["serviceAccount"]
    return {"association": create_association(context, cluster, namespace, account, parameters)}


def create_association(
    context: Context,
    cluster: Cluster,
    namespace: str,
    account: str,
    parameters: Document,
    *,
    owner: str | None = None,
) -> Document:
    """A pod identity association; `owner` is the ARN of the add-on that keeps it, if one does."""
    references.kubernetes_name("namespace", namespace)
    references.kubernetes_name("serviceAccount", account)
    for item in cluster.associations.values():
        same = (item["namespace"], item["serviceAccount"]) == (namespace, account)
        if same and repeated(item, parameters, f"Association already exists: {item['associationId']}"):
            return item
    references.role(parameters["roleArn"], "pods.eks.amazonaws.com")
    check_tags(parameters.get("tags", {}))
    id_ = f"a-{hexadecimal(17)}"
    document: Document = {
        "clusterName": cluster.name,
        "namespace": namespace,
        "serviceAccount": account,
        "roleArn": parameters["roleArn"],
        "associationArn": context.arn("podidentityassociation", cluster.name, id_),
        "associationId": id_,
        "tags": parameters.get("tags", {}),
        "createdAt": context.now(),
        "modifiedAt": context.now(),
        "disableSessionTags": parameters.get("disableSessionTags", False),
        "clientRequestToken": parameters.get("clientRequestToken"),
    }
    if owner is not None:
        document["ownerArn"] = owner
    _set_target(document, parameters)
    cluster.associations[id_] = document
    return document


def describe_pod_identity_association(context: Context, parameters: Document) -> Document:
    return {"association": _find_association(context, parameters)}


def list_pod_identity_associations(context: Context, parameters: Document) -> Document:
    cluster = context.cluster(parameters["clusterName"])
    shown = ("clusterName", "namespace", "serviceAccount", "associationArn", "associationId", "ownerArn")
    found = [
        {key: item[key] for key in shown if key in item}
        for item in cluster.associations.values()
        if all(parameters.get(key, item[key]) == item[key] for key in ("namespace", "serviceAccount"))
    ]
    return paged("associations", found, parameters)


def update_pod_identity_association(context: Context, parameters: Document) -> Document:
    document = _find_association(context, parameters)
    if document.get("ownerArn"):
        raise invalid_request(f"The association belongs to the add-on {document['ownerArn']}")
    if parameters.get("roleArn"):
        references.role(parameters["roleArn"], "pods.eks.amazonaws.com")
        document["roleArn"] = parameters["roleArn"]
    if "disableSessionTags" in parameters:
        document["disableSessionTags"] = parameters["disableSessionTags"]
    _set_target(document, parameters)
    document["modifiedAt"] = context.now()
    return {"association": document}


def delete_pod_identity_association(context: Context, parameters: Document) -> Document:
    document = _find_association(context, parameters)
    if document.get("ownerArn"):
        raise invalid_request(f"The association belongs to the add-on {document['ownerArn']}")
    del context.cluster(parameters["clusterName"]).associations[document["associationId"]]
    return {"association": document}


def _set_target(document: Document, parameters: Document) -> None:
    for key in ("targetRoleArn", "policy"):
        if parameters.get(key):
            document[key] = parameters[key]
    if document.get("targetRoleArn"):
        document["externalId"] = f"{document['clusterName']}/{document['associationId']}"


def _with_api(context: Context, parameters: Document) -> Cluster:
    cluster = context.active_cluster(parameters["clusterName"])
    if cluster.document["accessConfig"]["authenticationMode"] == "CONFIG_MAP":
        raise invalid_request(
            "The cluster's authentication mode must be set to one of [API, API_AND_CONFIG_MAP] to perform this operation."
        )
    return cluster


def _entry(context: Context, parameters: Document) -> AccessEntry:
    found = context.cluster(parameters["clusterName"]).access_entries.get(parameters["principalArn"])
    if found is None:
        raise not_found(
            f"The specified principalArn could not be found. You can view your available access entries with "
            f"'list-access-entries': {parameters['principalArn']}"
        )
    return found


def _find_association(context: Context, parameters: Document) -> Document:
    found = context.cluster(parameters["clusterName"]).associations.get(parameters["associationId"])
    if found is None:
        raise not_found(f"No association found for ID: {parameters['associationId']}")
    return found


def _check_groups(groups: list[str]) -> None:
    for group in groups:
        if group.startswith(("system:", "eks:", "aws:", "amazon:", "iam:")):
            raise invalid_parameter(
                f"The kubernetes group name {group} is invalid, it cannot start with {group.split(':')[0]}:"
            )


def _new_entry(context: Context, cluster: Cluster, principal: str, parameters: Document) -> AccessEntry:
    kind = parameters.get("type", "STANDARD")
    path = principal.split(":")[5]
    resource, name = path.split("/")[0], path.split("/")[-1]
    username, groups = principal, parameters.get("kubernetesGroups", [])
    if kind.startswith("EC2"):
        username, groups = "system:node:{{EC2PrivateDNSName}}", ["system:nodes"]
    elif resource == "role":
        username = f"arn:{PARTITION}:sts::{ACCOUNT}:assumed-role/{name}/{{{{SessionName}}}}"
    entry = AccessEntry(
        {
            "clusterName": cluster.name,
            "principalArn": principal,
            "kubernetesGroups": groups,
            "accessEntryArn": context.arn("access-entry", cluster.name, resource, ACCOUNT, name, short_id()),
            "createdAt": context.now(),
            "modifiedAt": context.now(),
            "tags": parameters.get("tags", {}),
            "username": parameters.get("username") or username,
            "type": kind,
            "clientRequestToken": parameters.get("clientRequestToken"),
        }
    )
    cluster.access_entries[principal] = entry
    return entry


def _association(context: Context, policy: str, scope: Document) -> Document:
    return {
        "policyArn": policy,
        "accessScope": scope,
        "associatedAt": context.now(),
        "modifiedAt": context.now(),
    }
