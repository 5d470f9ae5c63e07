"""Changes to an EKS cluster: version, configuration, encryption. One at a time, and each takes the transition time."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from model_factory.local.clouds.aws.eks import catalogue, references
from model_factory.local.clouds.aws.eks.clusters import (
    check_encryption,
    check_endpoint_access,
    logging_config,
    refuse_what_is_not_here,
    zoned_subnets,
)
from model_factory.local.clouds.aws.eks.state import (
    Cluster,
    Context,
    Document,
    in_use,
    invalid_parameter,
    invalid_request,
)
from model_factory.local.clouds.control_planes import Wanted

_AUTHENTICATION_ORDER: Final = ("CONFIG_MAP", "API_AND_CONFIG_MAP", "API")


def update_cluster_version(context: Context, parameters: Document) -> Document:
    cluster = _updatable(context, parameters["name"])
    target = catalogue.version(parameters["version"])
    current = catalogue.version(cluster.document["version"])
    if target is None or target.status(context.clock.datetime.date()) == "UNSUPPORTED":
        raise invalid_parameter(f"unsupported Kubernetes version {parameters['version']}")
    if current is None or target.minor != current.minor + 1:
        raise invalid_parameter(
            f"Unsupported Kubernetes minor version update from {cluster.document['version']} to {target.name}"
        )
    for nodegroup in cluster.nodegroups.values():
        nodes = catalogue.version(nodegroup.document["version"])
        if nodes is not None and target.minor - nodes.minor > catalogue.KUBELET_SKEW:
            raise invalid_request(
                f"Nodegroup {nodegroup.document['nodegroupName']} at {nodes.name} must be updated before the cluster "
                f"can be updated to {target.name}"
            )
    if refusal := context.planes.refusal(target.name):
        raise invalid_parameter(refusal)
    plane, before = context.plane_name(cluster.name), _wanted(cluster)
    context.planes.want(plane, replace(before, version=target.name))

    def outcome() -> list[Document] | None:
        if problem := context.planes.problem(plane):
            # The control plane has gone back by itself.
            context.planes.want(plane, before)
            return [{"errorCode": "Unknown", "errorMessage": problem, "resourceIds": []}]
        return [] if context.planes.is_ready(plane) else None

    params = [("Version", target.name), ("PlatformVersion", "eks.1")]
    return {
        "update": context.start_update(
            cluster,
            "VersionUpdate",
            params,
            lambda: cluster.document.update(version=target.name),
            outcome=outcome,
        )
    }


def _wanted(cluster: Cluster) -> Wanted:
    document = cluster.document
    service_range = document["kubernetesNetworkConfig"]["serviceIpv4Cidr"]
    return Wanted(document["version"], service_range, document["identity"]["oidc"]["issuer"])


def update_cluster_config(context: Context, parameters: Document) -> Document:
    refuse_what_is_not_here(parameters)
    cluster = _updatable(context, parameters["name"])
    kinds = [kind for kind in _UPDATES if parameters.get(kind) is not None]
    if len(kinds) != 1:
        raise invalid_parameter(f"Only one type of update can be allowed at a time, not {', '.join(kinds) or 'none'}")
    return {"update": _UPDATES[kinds[0]](context, cluster, parameters[kinds[0]])}


def associate_encryption_config(context: Context, parameters: Document) -> Document:
    cluster = _updatable(context, parameters["clusterName"])
    if cluster.document["encryptionConfig"]:
        raise invalid_parameter("Cluster already has encryption configuration")
    config = parameters["encryptionConfig"]
    check_encryption(context, config)
    params = [("EncryptionConfig", json.dumps(config))]

    def apply() -> None:
        cluster.document["encryptionConfig"] = config

    return {"update": context.start_update(cluster, "AssociateEncryptionConfig", params, apply)}


def _updatable(context: Context, name: str) -> Cluster:
    cluster = context.cluster(name)
    if cluster.status == "UPDATING":
        raise in_use(f"Cannot update cluster {name} because it currently has an update in progress")
    if cluster.status != "ACTIVE":
        raise invalid_request(f"Cluster '{name}' is not in ACTIVE status, but {cluster.status}")
    return cluster


def _update_vpc(context: Context, cluster: Cluster, config: Document) -> Document:
    current = cluster.document["resourcesVpcConfig"]
    wanted = current | {key: value for key, value in config.items() if value is not None}
    if wanted == current:
        raise invalid_parameter("Cluster is already at the desired configuration with the given VPC settings")
    check_endpoint_access(wanted)
    if "subnetIds" in config:
        found = zoned_subnets(context, config)
        if found[0].vpc_id != current["vpcId"]:
            raise invalid_parameter("Subnets specified must belong to the VPC of the cluster.")
    references.security_groups(context, config.get("securityGroupIds", []), current["vpcId"])
    network_changes = "subnetIds" in config or "securityGroupIds" in config
    names = {
        "endpointPublicAccess": "EndpointPublicAccess",
        "endpointPrivateAccess": "EndpointPrivateAccess",
        "publicAccessCidrs": "PublicAccessCidrs",
        "subnetIds": "Subnets",
        "securityGroupIds": "SecurityGroups",
    }
    params = [(names[key], json.dumps(value)) for key, value in config.items() if key in names]
    kind = "VpcConfigUpdate" if network_changes else "EndpointAccessUpdate"
    return context.start_update(cluster, kind, params, lambda: current.update(wanted))


def _update_logging(context: Context, cluster: Cluster, asked: Document) -> Document:
    wanted = logging_config(cluster.document["logging"], asked)
    if wanted == cluster.document["logging"]:
        raise invalid_parameter("No changes needed for the logging config provided")
    params = [("ClusterLogging", json.dumps(asked))]
    return context.start_update(cluster, "LoggingUpdate", params, lambda: cluster.document.update(logging=wanted))


def _update_access(context: Context, cluster: Cluster, asked: Document) -> Document:
    current = cluster.document["accessConfig"]
    before, after = (
        current["authenticationMode"],
        asked.get("authenticationMode", current["authenticationMode"]),
    )
    if _AUTHENTICATION_ORDER.index(after) <= _AUTHENTICATION_ORDER.index(before):
        raise invalid_parameter(f"Unsupported authentication mode update from {before} to {after}")
    params = [("AuthenticationMode", after)]
    return context.start_update(cluster, "AccessConfigUpdate", params, lambda: current.update(authenticationMode=after))


def _update_member(member: str, kind: str, param: str) -> Callable[[Context, Cluster, object], Document]:
    def update(context: Context, cluster: Cluster, value: object) -> Document:
        if cluster.document[member] == value:
            raise invalid_parameter(f"No changes needed for the {member} provided")
        params = [(param, json.dumps(value))]
        return context.start_update(cluster, kind, params, lambda: cluster.document.update({member: value}))

    return update


_UPDATES: Final[dict[str, Callable[[Context, Cluster, Document], Document]]] = {
    "resourcesVpcConfig": _update_vpc,
    "logging": _update_logging,
    "accessConfig": _update_access,
    "upgradePolicy": _update_member("upgradePolicy", "UpgradePolicyUpdate", "UpgradePolicy"),
    "zonalShiftConfig": _update_member("zonalShiftConfig", "ZonalShiftConfigUpdate", "ZonalShiftConfig"),
    "deletionProtection": _update_member("deletionProtection", "DeletionProtectionUpdate", "DeletionProtection"),
}
