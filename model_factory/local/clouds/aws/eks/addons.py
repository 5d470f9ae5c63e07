"""EKS add-ons: versions on offer, create, describe, update, delete."""

from __future__ import annotations

import json

from model_factory.local.clouds.aws.eks import access, catalogue, references
from model_factory.local.clouds.aws.eks.catalogue import Addon
from model_factory.local.clouds.aws.eks.state import (
    Cluster,
    Context,
    Document,
    Resource,
    check_tags,
    in_use,
    invalid_parameter,
    not_found,
    paged,
    repeated,
    short_id,
)


def create_addon(context: Context, parameters: Document) -> Document:
    cluster = context.active_cluster(parameters["clusterName"])
    name = parameters["addonName"]
    existing = cluster.addons.get(name)
    if existing and repeated(existing.document, parameters, "Addon already exists."):
        return {"addon": existing.document}
    offered = catalogue.ADDONS.get(name)
    if offered is None:
        raise invalid_parameter(f"Addon {name} is not supported; there are {', '.join(sorted(catalogue.ADDONS))}")
    check_tags(parameters.get("tags", {}))
    version = _version(cluster, offered, parameters.get("addonVersion"))
    _check(parameters)
    document: Document = {
        "addonName": name,
        "clusterName": cluster.name,
        "status": "CREATING",
        "addonVersion": version,
        "health": {"issues": []},
        "addonArn": context.arn("addon", cluster.name, name, short_id()),
        "createdAt": context.now(),
        "modifiedAt": context.now(),
        "tags": parameters.get("tags", {}),
        "publisher": "eks",
        "owner": "aws",
        "podIdentityAssociations": [],
        "namespaceConfig": {"namespace": offered.namespace, **parameters.get("namespaceConfig", {})},
        "clientRequestToken": parameters.get("clientRequestToken"),
    }
    for key in ("serviceAccountRoleArn", "configurationValues"):
        if parameters.get(key):
            document[key] = parameters[key]
    _associate(context, cluster, document, parameters.get("podIdentityAssociations", []))
    addon = Resource(document)
    cluster.addons[name] = addon

    def ready() -> None:
        if addon.status == "CREATING":
            addon.status = "ACTIVE"
            document["modifiedAt"] = context.now()

    context.later(ready)
    return {"addon": document}


def describe_addon(context: Context, parameters: Document) -> Document:
    return {"addon": _find(context, parameters)[1].document}


def list_addons(context: Context, parameters: Document) -> Document:
    return paged("addons", sorted(context.cluster(parameters["clusterName"]).addons), parameters)


def update_addon(context: Context, parameters: Document) -> Document:
    cluster, addon = _find(context, parameters)
    if addon.status not in {"ACTIVE", "DEGRADED", "CREATE_FAILED", "UPDATE_FAILED"}:
        raise in_use(f"Addon {addon.document['addonName']} cannot be updated as it is currently {addon.status}")
    offered = catalogue.ADDONS[addon.document["addonName"]]
    _check(parameters)
    wanted: Document = {}
    params: list[tuple[str, str]] = []
    if parameters.get("addonVersion"):
        wanted["addonVersion"] = _version(cluster, offered, parameters["addonVersion"])
        params.append(("AddonVersion", wanted["addonVersion"]))
    for key, param in (
        ("serviceAccountRoleArn", "ServiceAccountRoleArn"),
        ("configurationValues", "ConfigurationValues"),
    ):
        if key in parameters:
            wanted[key] = parameters[key]
            params.append((param, parameters[key]))
    if parameters.get("resolveConflicts"):
        params.append(("ResolveConflicts", parameters["resolveConflicts"]))
    if "podIdentityAssociations" in parameters:
        _disassociate(cluster, addon)
        _associate(context, cluster, addon.document, parameters["podIdentityAssociations"])
        params.append(("PodIdentityAssociations", json.dumps(parameters["podIdentityAssociations"])))
    return {
        "update": context.start_update(addon, "AddonUpdate", params, lambda: addon.document.update(wanted)),
    }


def delete_addon(context: Context, parameters: Document) -> Document:
    """`preserve` leaves the software in the cluster, of which there is none here."""
    cluster, addon = _find(context, parameters)
    if addon.status != "DELETING":
        addon.status = "DELETING"

        def gone() -> None:
            cluster.addons.pop(addon.document["addonName"], None)
            _disassociate(cluster, addon)

        context.later(gone)
    return {"addon": addon.document}


def describe_addon_versions(context: Context, parameters: Document) -> Document:
    asked, kubernetes = parameters.get("addonName"), parameters.get("kubernetesVersion")
    kinds, owners = parameters.get("types"), parameters.get("owners")
    today = context.clock.datetime.date()
    supported = [item.name for item in catalogue.VERSIONS if item.status(today) != "UNSUPPORTED"]
    found: list[Document] = []
    for addon in catalogue.ADDONS.values():
        if (asked and addon.name != asked) or (kinds and addon.kind not in kinds) or (owners and "aws" not in owners):
            continue
        versions = _addon_versions(addon, [kubernetes] if kubernetes else supported)
        if versions:
            found.append(
                {
                    "addonName": addon.name,
                    "type": addon.kind,
                    "addonVersions": versions,
                    "publisher": "eks",
                    "owner": "aws",
                    "defaultNamespace": addon.namespace,
                }
            )
    return paged("addons", found, parameters)


def _addon_versions(addon: Addon, kubernetes_versions: list[str]) -> list[Document]:
    compatible: dict[str, list[Document]] = {}
    for kubernetes in kubernetes_versions:
        for index, version in enumerate(addon.compatible(kubernetes)):
            compatible.setdefault(version, []).append(
                {"clusterVersion": kubernetes, "platformVersions": ["*"], "defaultVersion": index == 0}
            )
    return [
        {
            "addonVersion": version,
            "architecture": ["amd64", "arm64"],
            "computeTypes": ["ec2", "auto", "hybrid"],
            "compatibilities": compatibilities,
            "requiresConfiguration": False,
            "requiresIamPermissions": addon.requires_iam,
        }
        for version, compatibilities in compatible.items()
    ]


def _find(context: Context, parameters: Document) -> tuple[Cluster, Resource]:
    cluster = context.cluster(parameters["clusterName"])
    found = cluster.addons.get(parameters["addonName"])
    if found is None:
        raise not_found(f"No addon: {parameters['addonName']} found in cluster: {cluster.name}")
    return cluster, found


def _version(cluster: Cluster, addon: Addon, asked: str | None) -> str:
    offered = addon.compatible(cluster.document["version"])
    if asked is None:
        return offered[0]
    if asked not in offered:
        raise invalid_parameter(
            f"Addon version specified is not supported: {addon.name} {asked} with Kubernetes "
            f"{cluster.document['version']}; there are {', '.join(offered)}"
        )
    return asked


def _check(parameters: Document) -> None:
    if parameters.get("serviceAccountRoleArn"):
        references.role_exists(parameters["serviceAccountRoleArn"])
    values = parameters.get("configurationValues")
    if values:
        try:
            json.loads(values)
        except ValueError as error:
            raise invalid_parameter(
                f"ConfigurationValue provided in request is not supported: not JSON: {error}"
            ) from error


def _associate(context: Context, cluster: Cluster, addon: Document, wanted: list[Document]) -> None:
    """The pod identity associations that the add-on owns."""
    addon["podIdentityAssociations"] = [
        access.create_association(
            context,
            cluster,
            addon["namespaceConfig"]["namespace"],
            item.get("serviceAccount", ""),
            {"roleArn": item.get("roleArn", "")},
            owner=addon["addonArn"],
        )["associationArn"]
        for item in wanted
    ]


def _disassociate(cluster: Cluster, addon: Resource) -> None:
    owner = addon.document["addonArn"]
    for id_ in [id_ for id_, item in cluster.associations.items() if item.get("ownerArn") == owner]:
        del cluster.associations[id_]
