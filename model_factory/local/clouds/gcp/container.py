"""GKE clusters: defaults, checks against the network, in-place updates, versions."""

# ruff: noqa: ARG001 - a handler may need nothing of its call
from __future__ import annotations

import base64
import ipaddress
import re
from collections.abc import Mapping
from typing import Final

from model_factory.facts.gcp.kubernetes import DEFAULT_FULL_VERSIONS, FULL_VERSIONS
from model_factory.local.clouds.control_planes import Wanted
from model_factory.local.clouds.gcp import catalogue, errors
from model_factory.local.clouds.gcp.authority import cluster_authority
from model_factory.local.clouds.gcp.bodies import Body, digest, merge_patch, numeric_id, timestamp, visible
from model_factory.local.clouds.gcp.core import Call, Cloud, Effect, handles
from model_factory.local.clouds.gcp.node_pools import complete_pool, incompatible, shortage
from model_factory.local.clouds.gcp.nodes import NODE_POOL, sizes
from model_factory.local.clouds.gcp.operations import CONTAINER_ROOT, start_container
from model_factory.local.discovery import Json

CLUSTER: Final = "container.clusters"
DEFAULT_CHANNEL: Final = "REGULAR"
_NAME: Final = re.compile(r"[a-z]([-a-z0-9]{0,38}[a-z0-9])?")
_UPDATE_TARGETS: Final[Mapping[str, tuple[str, ...]]] = {
    "desiredMasterVersion": ("currentMasterVersion",),
    "desiredClusterAutoscaling": ("autoscaling",),
    "desiredEnablePrivateEndpoint": ("privateClusterConfig", "enablePrivateEndpoint"),
    "desiredIntraNodeVisibilityConfig": ("networkConfig", "enableIntraNodeVisibility"),
    "desiredL4ilbSubsettingConfig": ("networkConfig", "enableL4ilbSubsetting"),
    "desiredNodePoolAutoConfigNetworkTags": ("nodePoolAutoConfig", "networkTags"),
    "desiredNodePoolAutoConfigKubeletConfig": ("nodePoolAutoConfig", "nodeKubeletConfig"),
    "desiredNodePoolLoggingConfig": ("nodePoolDefaults", "nodeConfigDefaults", "loggingConfig"),
    "desiredGcfsConfig": ("nodePoolDefaults", "nodeConfigDefaults", "gcfsConfig"),
}
"""Where a `desired…` field goes when its name does not say it. The others go to the field of that name in Cluster or NetworkConfig."""
_REPLACED_WHOLE: Final = frozenset({"locations", "masterAuthorizedNetworksConfig", "loggingConfig", "monitoringConfig"})


def cluster_key(call: Call) -> str:
    return f"container/{call.parameter('name')}"


@handles("container.projects.locations.clusters.create", "container.projects.zones.clusters.create")
def create(call: Call) -> Body:
    parent = (
        call.match.parameters.get("parent")
        or f"projects/{call.parameter('projectId')}/locations/{call.parameter('zone')}"
    )
    project, location = parent.split("/")[1], parent.split("/")[3]
    given = call.body.get("cluster")
    if not given:
        raise errors.invalid("Cluster must be specified.")
    if catalogue.region_of(location) is None:
        raise errors.invalid(f'Location "{location}" does not exist.')
    name = given.get("name", "")
    if not _NAME.fullmatch(name):
        raise errors.invalid(
            f'Invalid value for field "cluster.name": "{name}". Must be a match of regex \'{_NAME.pattern}\'.'
        )
    key = f"container/{parent}/clusters/{name}"
    if call.cloud.store.get(key) is not None:
        raise errors.exists(f"Already exists: {key.removeprefix('container/')}.")
    cluster = _complete(call, key, project, location, dict(given))
    pools = _initial_pools(call, key, cluster)
    cluster["etag"] = digest(cluster)
    wanted = wanted_plane(key, cluster)
    _refuse_version(call, wanted)
    call.cloud.put(key, CLUSTER, cluster, ready=False)
    for pool in pools:
        call.cloud.put(f"{key}/nodePools/{pool['name']}", NODE_POOL, pool, ready=False)
    error = next((short for pool in pools if (short := shortage(call, pool, pool["initialNodeCount"]))), None)
    keys = [key, *(f"{key}/nodePools/{pool['name']}" for pool in pools)]
    call.cloud.planes.want(plane_name(key), wanted)
    return start_container(
        call,
        "CREATE_CLUSTER",
        key,
        Effect(merge={each: {"status": "RUNNING"} for each in keys}),
        Effect(merge={each: {"status": "ERROR"} for each in keys}),
        error=error,
        plane=plane_name(key),
    )


def plane_name(key: str) -> str:
    """The name of a cluster's control plane; none of its parts has a dot."""
    _, _, project, _, location, _, name = key.split("/")
    return f"{project}.{location}.{name}"


def wanted_plane(key: str, cluster: Body) -> Wanted:
    """The control plane that a cluster's document asks for; GKE's versions have a minor such as 1.35 and go on."""
    minor = ".".join(cluster["currentMasterVersion"].split(".")[:2])
    return Wanted(minor, cluster["servicesIpv4Cidr"], CONTAINER_ROOT + key.removeprefix("container/"))


def begin_planes(cloud: Cloud) -> None:
    """Find the clusters' control planes again once the cloud has its state."""
    for stored in cloud.store.children("*", CLUSTER):
        body = stored.body
        for pending in cloud.store.pending(stored.key):
            body = {**body, **pending.effect.merge.get(stored.key, {})}
        if body["status"] != "STOPPING":
            cloud.planes.want(plane_name(stored.key), wanted_plane(stored.key, body))
    cloud.planes.begin(cloud)


def _refuse_version(call: Call, wanted: Wanted) -> None:
    if refusal := call.cloud.planes.refusal(wanted.version):
        raise errors.precondition(refusal)


def _complete(call: Call, key: str, project: str, location: str, cluster: Body) -> Body:
    now = call.cloud.clock()
    channel = cluster.setdefault("releaseChannel", {}).setdefault("channel", DEFAULT_CHANNEL)
    version = pick_version(channel, cluster.get("initialClusterVersion", ""))
    number = numeric_id(key, timestamp(now))
    address = f"34.{int(number) % 60 + 118}.{int(number) // 60 % 250}.{int(number) // 15000 % 250 + 1}"
    cluster |= {
        "id": digest(number).lower(),
        "location": location,
        "zone": location,
        "locations": list(cluster.get("locations") or catalogue.zones_of(location)),
        "initialClusterVersion": version,
        "currentMasterVersion": version,
        "currentNodeVersion": version,
        "createTime": timestamp(now),
        "selfLink": CONTAINER_ROOT + key.removeprefix("container/"),
        "status": "PROVISIONING",
        "endpoint": address,
        "masterAuth": {
            **cluster.get("masterAuth", {}),
            "clusterCaCertificate": cluster_authority(number, now),
        },
        "resourceLabels": cluster.get("resourceLabels", {}),
        "labelFingerprint": digest(cluster.get("resourceLabels", {})),
    }
    region = catalogue.region_of(location)
    strangers = [zone for zone in cluster["locations"] if catalogue.ZONES.get(zone) != region]
    if strangers:
        raise errors.invalid(f'Location "{strangers[0]}" is not a zone of region {region}.')
    cluster.setdefault("loggingService", "logging.googleapis.com/kubernetes")
    cluster.setdefault("monitoringService", "monitoring.googleapis.com/kubernetes")
    cluster.setdefault("loggingConfig", {"componentConfig": {"enableComponents": ["SYSTEM_COMPONENTS", "WORKLOADS"]}})
    cluster.setdefault("monitoringConfig", {"componentConfig": {"enableComponents": ["SYSTEM_COMPONENTS"]}})
    cluster.setdefault("databaseEncryption", {"state": "DECRYPTED"})
    cluster.setdefault("shieldedNodes", {"enabled": True})
    cluster.setdefault("defaultMaxPodsConstraint", {"maxPodsPerNode": "110"})
    cluster.setdefault("addonsConfig", {}).setdefault("gcePersistentDiskCsiDriverConfig", {"enabled": True})
    _check_identity_pool(call, cluster, project)
    _check_authorized_networks(cluster)
    _attach_network(call, cluster, project, region or "")
    private = cluster.get("privateClusterConfig")
    if private is not None:
        _complete_private(call, key, cluster, private, address)
    return cluster


def pick_version(channel: str, wanted: str) -> str:
    """A full version for "", "latest", "-", a prefix such as 1.35, or itself. Raises ApiError for one the channel lacks."""
    offered = FULL_VERSIONS.get(channel) or tuple(
        dict.fromkeys(v for versions in FULL_VERSIONS.values() for v in versions)
    )
    if wanted in ("", "-", "latest"):
        return offered[0] if wanted == "latest" else DEFAULT_FULL_VERSIONS.get(channel, offered[0])
    for version in offered:
        if version == wanted or version.startswith((f"{wanted}.", f"{wanted}-")):
            return version
    raise errors.invalid(
        f'Master version "{wanted}" is unsupported in release channel {channel}: available are {", ".join(offered)}.'
    )


def _next_version(cluster: Body, wanted: str) -> str:
    """The full version that a control plane goes to: https://cloud.google.com/kubernetes-engine/docs/how-to/upgrading-a-cluster"""
    version = pick_version(cluster["releaseChannel"]["channel"], wanted)
    has, goes = (int(each.split(".")[1]) for each in (cluster["currentMasterVersion"], version))
    if goes < has:
        raise errors.invalid(
            f'Master cannot be upgraded to "{version}": specified version is not newer than the current version.'
        )
    if goes > has + 1:
        raise errors.invalid(
            f'Master cannot be upgraded to "{version}": cannot upgrade the master more than a minor version at a time.'
        )
    return version


def _check_identity_pool(call: Call, cluster: Body, project: str) -> None:
    pool = cluster.get("workloadIdentityConfig", {}).get("workloadPool")
    if pool is None:
        return
    if pool != f"{project}.svc.id.goog":
        raise errors.invalid(f'Workload pool "{pool}" is not valid; use "{project}.svc.id.goog".')
    pools = set(call.cloud.store.setting("identity_pools") or ())
    call.cloud.store.put_setting("identity_pools", sorted(pools | {pool}))


def _check_authorized_networks(cluster: Body) -> None:
    for block in cluster.get("masterAuthorizedNetworksConfig", {}).get("cidrBlocks", []):
        text = block.get("cidrBlock", "")
        try:
            ipaddress.ip_network(text)
        except ValueError as error:
            raise errors.invalid(f'Invalid master authorized network: "{text}": {error}.') from error


def _attach_network(call: Call, cluster: Body, project: str, region: str) -> None:
    """Find the network, subnetwork and secondary ranges; fill in the ranges' CIDRs."""
    network = _resolve(call, cluster.get("network") or "default", project, "global/networks")
    subnet_name = cluster.get("subnetwork") or network["name"]
    subnet = _resolve(call, subnet_name, project, f"regions/{region}/subnetworks")
    if subnet["network"] != network["selfLink"]:
        raise errors.invalid(f'Subnetwork "{subnet["name"]}" is not in network "{network["name"]}".')
    relative = {"network": network["selfLink"], "subnetwork": subnet["selfLink"]}
    networking = cluster.setdefault("networkConfig", {})
    networking |= {field: link.partition("/compute/v1/")[2] for field, link in relative.items()}
    networking.setdefault("datapathProvider", "LEGACY_DATAPATH")
    cluster |= {"network": network["name"], "subnetwork": subnet["name"]}
    policy = cluster.get("ipAllocationPolicy")
    if policy is None:
        policy = cluster["ipAllocationPolicy"] = {}
    policy.setdefault("useIpAliases", True)
    ranges = {r["rangeName"]: r["ipCidrRange"] for r in subnet.get("secondaryIpRanges", [])}
    for name_field, block_field, legacy_field, top_field in (
        ("clusterSecondaryRangeName", "clusterIpv4CidrBlock", "clusterIpv4Cidr", "clusterIpv4Cidr"),
        ("servicesSecondaryRangeName", "servicesIpv4CidrBlock", "servicesIpv4Cidr", "servicesIpv4Cidr"),
    ):
        name = policy.get(name_field)
        if name and name not in ranges:
            raise errors.invalid(
                f'Secondary range "{name}" does not exist in network "{network["name"]}", subnetwork "{subnet["name"]}".'
            )
        if name:
            block = ranges[name]
        else:
            block = policy.get(block_field) or (
                "10.96.0.0/14" if name_field.startswith("cluster") else "34.118.224.0/20"
            )
        policy |= {block_field: block, legacy_field: block}
        cluster[top_field] = block


def _resolve(call: Call, name: str, project: str, collection: str) -> Body:
    relative = name.partition("/compute/v1/")[2] or name if "://" in name else name
    if "/" not in relative:
        relative = f"projects/{project}/{collection}/{relative}"
    stored = call.cloud.store.get(f"compute/{relative}")
    kind = collection.rpartition("/")[2].removesuffix("s")
    if stored is None:
        raise errors.invalid(f'Project "{project}" has no {kind} named "{name.rpartition("/")[2]}".')
    if not stored.ready:
        raise errors.invalid(f"The resource '{relative}' is not ready")
    return stored.body


def _complete_private(call: Call, key: str, cluster: Body, private: Body, address: str) -> None:
    block = private.get("masterIpv4CidrBlock")
    if private.get("enablePrivateEndpoint") and not private.get("enablePrivateNodes"):
        raise errors.invalid("A private endpoint needs private nodes.")
    if block:
        try:
            range_ = ipaddress.IPv4Network(block)
        except ValueError as error:
            raise errors.invalid(f'Invalid value for field "master_ipv4_cidr_block": "{block}": {error}.') from error
        if range_.prefixlen != 28:
            raise errors.invalid(f'Invalid value for field "master_ipv4_cidr_block": "{block}": it must be a /28.')
        _refuse_control_plane_overlap(call, key, cluster, range_)
        cluster["privateClusterConfig"]["privateEndpoint"] = str(range_.network_address + 2)
    private.setdefault("privateEndpoint", "10.128.255.2")
    private.setdefault("publicEndpoint", address)
    if private.get("enablePrivateEndpoint"):
        cluster["endpoint"] = private["privateEndpoint"]


def _refuse_control_plane_overlap(call: Call, key: str, cluster: Body, range_: ipaddress.IPv4Network) -> None:
    network = f"compute/{cluster['networkConfig']['network']}"
    for user in call.cloud.store.users(network):
        stored = call.cloud.store.get(user)
        if stored is None or user == key:
            continue
        if stored.kind == "compute.subnetworks":
            taken = [
                stored.body["ipCidrRange"],
                *(r["ipCidrRange"] for r in stored.body.get("secondaryIpRanges", [])),
            ]
        else:
            taken = [stored.body.get("privateClusterConfig", {}).get("masterIpv4CidrBlock", "")]
        for other in filter(None, taken):
            if range_.overlaps(ipaddress.IPv4Network(other)):
                raise errors.invalid(
                    f"The given master_ipv4_cidr {range_} overlaps with an existing range {other} of '{user}'."
                )


def _initial_pools(call: Call, key: str, cluster: Body) -> list[Body]:
    given: list[Body] = cluster.pop("nodePools", [])
    count = cluster.get("initialNodeCount", 0)
    if given and (count or cluster.get("nodeConfig")):
        raise errors.invalid("cluster.initial_node_count and cluster.node_config do not go with cluster.node_pools.")
    if not given and not cluster.get("autopilot", {}).get("enabled"):
        if count < 1:
            raise errors.invalid("Cluster.initial_node_count must be greater than zero.")
        given = [{"name": "default-pool", "initialNodeCount": count, "config": cluster.get("nodeConfig", {})}]
    pools = [complete_pool(call, key, cluster, pool) for pool in given]
    for pool in pools:
        pool["etag"] = digest(pool)
    return pools


def shown(call: Call, key: str, body: Body) -> Body:
    """A cluster with its pools, as an answer has it."""
    found = call.cloud.store.children(key, NODE_POOL)
    pools = [visible(stored.body) for stored in found]
    result = visible(body)
    if pools:
        result["nodePools"] = pools
        result["instanceGroupUrls"] = [url for pool in pools for url in pool["instanceGroupUrls"]]
        result["nodeConfig"] = pools[0]["config"]
    plane = call.cloud.planes.plane(plane_name(key))
    if plane is not None:
        authority = base64.b64encode(plane.authority_pem.encode()).decode()
        result["endpoint"] = plane.endpoint.removeprefix("https://")
        result["masterAuth"] = {**result["masterAuth"], "clusterCaCertificate": authority}
    nodes = sum(sum(sizes(stored.body).values()) for stored in found)
    if nodes:
        result["currentNodeCount"] = nodes
    return result


@handles("container.projects.locations.clusters.get")
def get(call: Call) -> Body:
    key = cluster_key(call)
    return shown(call, key, call.cloud.require(key).body)


@handles("container.projects.locations.clusters.list")
def list_(call: Call) -> Body:
    parent = f"container/{call.parameter('parent')}"
    wild = parent.removesuffix("-") + "*" if parent.endswith("/locations/-") else parent
    found = call.cloud.store.children(wild, CLUSTER)
    return {"clusters": [shown(call, stored.key, stored.body) for stored in found]}


def _refuse_busy(call: Call, key: str) -> None:
    pending = call.cloud.store.pending(key)
    if pending:
        raise incompatible(pending[0].key)


@handles("container.projects.locations.clusters.delete")
def delete(call: Call) -> Body:
    key = cluster_key(call)
    call.cloud.require(key)
    _refuse_busy(call, key)
    call.cloud.merge(key, {"status": "STOPPING"})
    plane = plane_name(key)
    call.cloud.planes.drop(plane)
    failed = Effect(merge={key: {"status": "ERROR"}})
    return start_container(call, "DELETE_CLUSTER", key, Effect(remove=(key,)), failed, plane=plane)


def _start_change(call: Call, kind: str, changes: Mapping[str, Json]) -> Body:
    key = cluster_key(call)
    stored = call.cloud.require(key)
    _refuse_busy(call, key)
    wanted = wanted_plane(key, {**stored.body, **changes})
    _refuse_version(call, wanted)
    etag = digest({**stored.body, **changes})
    call.cloud.merge(key, {"status": "RECONCILING"})
    call.cloud.planes.want(plane_name(key), wanted)
    return start_container(
        call,
        kind,
        key,
        Effect(merge={key: {**changes, "etag": etag, "status": "RUNNING"}}),
        Effect(merge={key: {"status": "ERROR"}}),
        plane=plane_name(key),
    )


@handles("container.projects.locations.clusters.update")
def update(call: Call) -> Body:
    key = cluster_key(call)
    cluster = call.cloud.require(key).body
    desired: Body = call.body.get("update", {})
    if not desired:
        raise errors.invalid("Must specify a field to update.")
    given_etag = desired.get("etag")
    if given_etag and given_etag != cluster.get("etag"):
        raise errors.aborted("The etag does not match the cluster's.")
    changed: Body = dict(cluster)
    for field, given in desired.items():
        value: Json = given
        if field == "etag":
            continue
        if field == "desiredNodeVersion":
            raise errors.not_implemented("clusters.update of desiredNodeVersion: use nodePools.update")
        if field == "desiredMasterVersion":
            value = _next_version(cluster, value)
        path = _target(call, field)
        if field in ("desiredIntraNodeVisibilityConfig", "desiredL4ilbSubsettingConfig"):
            value = value.get("enabled", value.get("enableL4ilbSubsetting", False))
        changed = _assign(changed, path, value)
    _check_authorized_networks(changed)
    _check_identity_pool(call, changed, call.parameter("name").split("/")[1])
    private = changed.get("privateClusterConfig", {})
    if private:
        changed["endpoint"] = (
            private["privateEndpoint"] if private.get("enablePrivateEndpoint") else private["publicEndpoint"]
        )
    changes = {field: value for field, value in changed.items() if cluster.get(field) != value}
    kind = "UPGRADE_MASTER" if "desiredMasterVersion" in desired else "UPDATE_CLUSTER"
    return _start_change(call, kind, changes)


def _target(call: Call, field: str) -> tuple[str, ...]:
    if field in _UPDATE_TARGETS:
        return _UPDATE_TARGETS[field]
    bare = field.removeprefix("desired")
    name = bare[:1].lower() + bare[1:]
    document = call.match.document
    if name in document.schema("Cluster")["properties"]:
        return (name,)
    if name in document.schema("NetworkConfig")["properties"]:
        return ("networkConfig", name)
    raise errors.not_implemented(f"clusters.update of {field}")


def _assign(body: Body, path: tuple[str, ...], value: Json) -> Body:
    head, rest = path[0], path[1:]
    if rest:
        return {**body, head: _assign(dict(body.get(head, {})), rest, value)}
    if head in _REPLACED_WHOLE:
        return {**body, head: value}
    return {**body, head: merge_patch(body.get(head), value)}


@handles("container.projects.locations.clusters.setResourceLabels")
def set_labels(call: Call) -> Body:
    cluster = call.cloud.require(cluster_key(call)).body
    if call.body.get("labelFingerprint") != cluster["labelFingerprint"]:
        raise errors.precondition("Labels could not be set due to fingerprint mismatch.")
    labels = call.body.get("resourceLabels", {})
    return _start_change(call, "UPDATE_CLUSTER", {"resourceLabels": labels, "labelFingerprint": digest(labels)})


@handles("container.projects.locations.clusters.setMaintenancePolicy")
def set_maintenance(call: Call) -> Body:
    return _start_change(call, "UPDATE_CLUSTER", {"maintenancePolicy": call.body.get("maintenancePolicy")})


@handles("container.projects.locations.clusters.updateMaster")
def update_master(call: Call) -> Body:
    cluster = call.cloud.require(cluster_key(call)).body
    version = _next_version(cluster, call.body.get("masterVersion", ""))
    return _start_change(call, "UPGRADE_MASTER", {"currentMasterVersion": version})


@handles("container.projects.locations.getServerConfig")
def server_config(call: Call) -> Body:
    every = list(dict.fromkeys(version for versions in FULL_VERSIONS.values() for version in versions))
    return {
        "defaultClusterVersion": pick_version(DEFAULT_CHANNEL, ""),
        "validMasterVersions": every,
        "validNodeVersions": every,
        "defaultImageType": "COS_CONTAINERD",
        "validImageTypes": ["COS_CONTAINERD", "UBUNTU_CONTAINERD"],
        "channels": [
            {"channel": channel, "defaultVersion": pick_version(channel, ""), "validVersions": list(versions)}
            for channel, versions in FULL_VERSIONS.items()
        ],
    }
