"""EKS clusters: create, describe, update, delete."""

from __future__ import annotations

import base64
from ipaddress import IPv4Network
from typing import Final

from model_factory.local.clouds.aws import moto_state
from model_factory.local.clouds.aws.clock import hexadecimal, random_bits
from model_factory.local.clouds.aws.eks import access, catalogue, references
from model_factory.local.clouds.aws.eks.authority import certificate_data
from model_factory.local.clouds.aws.eks.state import (
    Cluster,
    Context,
    Document,
    check_tags,
    in_use,
    invalid_parameter,
    invalid_request,
    paged,
    repeated,
)
from model_factory.local.clouds.aws.errors import NotImplementedHereError
from model_factory.local.clouds.aws.moto_state import Subnet
from model_factory.local.clouds.control_planes import Wanted

LOG_TYPES: Final = ("api", "audit", "authenticator", "controllerManager", "scheduler")
_PRIVATE_NETWORKS: Final = tuple(IPv4Network(net) for net in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"))
_NOT_HERE: Final = (
    "outpostConfig",
    "remoteNetworkConfig",
    "controlPlaneScalingConfig",
    "kubeApiServerConfig",
    "kubeSchedulerConfig",
    "kubeControllerManagerConfig",
)


def create_cluster(context: Context, parameters: Document) -> Document:
    refuse_what_is_not_here(parameters)
    name = parameters["name"]
    existing = context.clusters.get(name)
    if existing and repeated(existing.document, parameters, f"Cluster already exists with name: {name}"):
        return {"cluster": existing.document}
    check_tags(parameters.get("tags", {}))
    version = parameters.get("version", catalogue.DEFAULT_VERSION.name)
    known = catalogue.version(version)
    if known is None or known.status(context.clock.datetime.date()) == "UNSUPPORTED":
        raise invalid_parameter(f"unsupported Kubernetes version {version}")
    if refusal := context.planes.refusal(version):
        raise invalid_parameter(refusal)
    references.role(parameters["roleArn"], "eks.amazonaws.com")
    subnets = zoned_subnets(context, parameters["resourcesVpcConfig"])
    encryption = parameters.get("encryptionConfig", [])
    check_encryption(context, encryption)
    network = _vpc_config(context, parameters["resourcesVpcConfig"], subnets)
    cluster_hash = hexadecimal(32).upper()
    cluster = Cluster(
        {
            "name": name,
            "arn": context.arn("cluster", name),
            "createdAt": context.now(),
            "version": version,
            "roleArn": parameters["roleArn"],
            "resourcesVpcConfig": network,
            "kubernetesNetworkConfig": _kubernetes_network(context, parameters, network["vpcId"]),
            "logging": logging_config(None, parameters.get("logging")),
            "status": "CREATING",
            "clientRequestToken": parameters.get("clientRequestToken"),
            "platformVersion": "eks.1",
            "tags": parameters.get("tags", {}),
            "encryptionConfig": encryption,
            "health": {"issues": []},
            "accessConfig": {
                "bootstrapClusterCreatorAdminPermissions": True,
                "authenticationMode": "CONFIG_MAP",
                **parameters.get("accessConfig", {}),
            },
            "upgradePolicy": {"supportType": "EXTENDED", **parameters.get("upgradePolicy", {})},
            "zonalShiftConfig": {"enabled": False, **parameters.get("zonalShiftConfig", {})},
            "computeConfig": {"enabled": False},
            "storageConfig": {"blockStorage": {"enabled": False}},
            "deletionProtection": parameters.get("deletionProtection", False),
        },
        hash=cluster_hash,
    )
    network["clusterSecurityGroupId"] = moto_state.create_cluster_security_group(
        context.region, name, network["vpcId"], str(random_bits(30))
    )
    certificate = certificate_data(random_bits(255), random_bits(159), context.clock.datetime)
    access.add_creator(context, cluster)
    context.clusters[name] = cluster
    plane, issuer = context.plane_name(name), f"https://oidc.eks.{context.region}.amazonaws.com/id/{cluster_hash}"
    context.planes.want(plane, Wanted(version, cluster.document["kubernetesNetworkConfig"]["serviceIpv4Cidr"], issuer))

    def ready() -> None:
        if cluster.status != "CREATING":
            return
        if problem := context.planes.problem(plane):
            issue: Document = {"code": "InternalFailure", "message": problem, "resourceIds": []}
            cluster.document |= {"status": "FAILED", "health": {"issues": [issue]}}
            return
        cluster.document |= {
            "status": "ACTIVE",
            "endpoint": f"https://{cluster_hash}.gr7.{context.region}.eks.amazonaws.com",
            "identity": {"oidc": {"issuer": issuer}},
            "certificateAuthority": {"data": certificate},
        }

    context.later(ready, once=lambda: context.planes.is_ready(plane) or bool(context.planes.problem(plane)))
    return {"cluster": cluster.document}


def describe_cluster(context: Context, parameters: Document) -> Document:
    cluster = context.cluster(parameters["name"])
    plane = context.planes.plane(context.plane_name(cluster.name))
    if plane is None or "endpoint" not in cluster.document:
        return {"cluster": cluster.document}
    authority = {"data": base64.b64encode(plane.authority_pem.encode()).decode()}
    return {"cluster": {**cluster.document, "endpoint": plane.endpoint, "certificateAuthority": authority}}


def list_clusters(context: Context, parameters: Document) -> Document:
    return paged("clusters", sorted(context.clusters), parameters)


def delete_cluster(context: Context, parameters: Document) -> Document:
    cluster = context.cluster(parameters["name"])
    if cluster.status == "DELETING":
        return {"cluster": cluster.document}
    if cluster.nodegroups:
        raise in_use("Cluster has nodegroups attached")
    if cluster.status in {"CREATING", "UPDATING"}:
        raise in_use(f"Cluster is {cluster.status}: wait until that is over")
    if cluster.document["deletionProtection"]:
        raise invalid_request("Cluster has deletion protection enabled; disable it before deleting the cluster")
    cluster.status = "DELETING"
    plane = context.plane_name(cluster.name)
    context.planes.drop(plane)

    def gone() -> None:
        if context.clusters.get(cluster.name) is cluster:
            del context.clusters[cluster.name]
            group_id = cluster.document["resourcesVpcConfig"]["clusterSecurityGroupId"]
            moto_state.delete_cluster_security_group(context.region, group_id)

    context.later(gone, once=lambda: context.planes.is_gone(plane))
    return {"cluster": cluster.document}


def describe_cluster_versions(context: Context, parameters: Document) -> Document:
    today = context.clock.datetime.date()
    asked = parameters.get("clusterVersions")
    wanted = parameters.get("versionStatus") or parameters.get("status", "").upper().replace("-", "_")
    found: list[Document] = []
    for item in reversed(catalogue.VERSIONS):
        status = item.status(today)
        default = item is catalogue.DEFAULT_VERSION
        hidden = status == "UNSUPPORTED" and not (parameters.get("includeAll") or asked or wanted)
        if hidden or (asked and item.name not in asked) or (wanted and wanted != status):
            continue
        if parameters.get("defaultOnly") and not default:
            continue
        information: Document = {
            "clusterVersion": item.name,
            "clusterType": "eks",
            "defaultPlatformVersion": "eks.1",
            "defaultVersion": default,
            "status": status.lower().replace("_", "-"),
            "versionStatus": status,
            "kubernetesPatchVersion": item.patch,
        }
        if item.standard_until and item.extended_until:
            information["endOfStandardSupportDate"] = _timestamp(item.standard_until.isoformat())
            information["endOfExtendedSupportDate"] = _timestamp(item.extended_until.isoformat())
        found.append(information)
    return paged("clusterVersions", found, parameters)


def _timestamp(day: str) -> str:
    return f"{day}T00:00:00Z"


def refuse_what_is_not_here(parameters: Document) -> None:
    for key in _NOT_HERE:
        if parameters.get(key):
            raise NotImplementedHereError(f"eks {key}")
    storage = parameters.get("storageConfig", {}).get("blockStorage", {}).get("enabled")
    balancing = parameters.get("kubernetesNetworkConfig", {}).get("elasticLoadBalancing", {}).get("enabled")
    if parameters.get("computeConfig", {}).get("enabled") or storage or balancing:
        raise NotImplementedHereError("EKS Auto Mode")
    if parameters.get("kubernetesNetworkConfig", {}).get("ipFamily") == "ipv6":
        raise NotImplementedHereError("eks clusters with ipFamily ipv6")


def zoned_subnets(context: Context, config: Document) -> list[Subnet]:
    ids = config.get("subnetIds", [])
    found = references.subnets(context, ids)
    if len({subnet.zone for subnet in found}) < 2:
        raise invalid_parameter("Subnets specified must be in at least two different AZs")
    return found


def _vpc_config(context: Context, config: Document, subnets: list[Subnet]) -> Document:
    vpc_id = subnets[0].vpc_id
    references.security_groups(context, config.get("securityGroupIds", []), vpc_id)
    network: Document = {
        "subnetIds": config["subnetIds"],
        "securityGroupIds": config.get("securityGroupIds", []),
        "vpcId": vpc_id,
        "endpointPublicAccess": config.get("endpointPublicAccess", True),
        "endpointPrivateAccess": config.get("endpointPrivateAccess", False),
        "publicAccessCidrs": config.get("publicAccessCidrs") or ["0.0.0.0/0"],
    }
    check_endpoint_access(network)
    return network


def check_endpoint_access(network: Document) -> None:
    if not network["endpointPublicAccess"] and not network["endpointPrivateAccess"]:
        raise invalid_parameter("Private and public endpoint access cannot be false")
    for cidr in network["publicAccessCidrs"]:
        try:
            IPv4Network(cidr)
        except ValueError as error:
            raise invalid_parameter(
                f"The following CIDRs are invalid in publicAccessCidrs: {cidr} ({error})"
            ) from error


def _kubernetes_network(context: Context, parameters: Document, vpc_id: str) -> Document:
    asked = parameters.get("kubernetesNetworkConfig", {}).get("serviceIpv4Cidr")
    vpc_networks = moto_state.vpc_networks(context.region, vpc_id)
    if asked is None:
        inside_ten = any(network.overlaps(IPv4Network("10.0.0.0/8")) for network in vpc_networks)
        asked = "172.20.0.0/16" if inside_ten else "10.100.0.0/16"
    try:
        network = IPv4Network(asked)
    except ValueError as error:
        raise invalid_parameter(f"serviceIpv4Cidr {asked} is not a network: {error}") from error
    if not any(network.subnet_of(private) for private in _PRIVATE_NETWORKS) or not 12 <= network.prefixlen <= 24:
        raise invalid_parameter(f"serviceIpv4Cidr {asked} must be a private network of /12 to /24")
    if any(network.overlaps(other) for other in vpc_networks):
        raise invalid_parameter(f"serviceIpv4Cidr {asked} overlaps with the VPC's networks")
    return {
        "serviceIpv4Cidr": asked,
        "ipFamily": "ipv4",
        "elasticLoadBalancing": {"enabled": False},
    }


def check_encryption(context: Context, config: list[Document]) -> None:
    for item in config:
        if item.get("resources") != ["secrets"]:
            raise invalid_parameter(f"encryptionConfig resources {item.get('resources')} must be ['secrets']")
        references.key(context, item.get("provider", {}).get("keyArn", ""))


def logging_config(current: Document | None, asked: Document | None) -> Document:
    """All five kinds, split into those enabled and those not, as EKS answers."""
    enabled = {kind for item in (current or {}).get("clusterLogging", []) if item["enabled"] for kind in item["types"]}
    for item in (asked or {}).get("clusterLogging", []):
        kinds = set(item.get("types", []))
        enabled = enabled | kinds if item.get("enabled") else enabled - kinds
    split = [{"types": [kind for kind in LOG_TYPES if (kind in enabled) is on], "enabled": on} for on in (True, False)]
    return {"clusterLogging": [item for item in split if item["types"]]}
