"""GKE node pools: what Google fills in, what it refuses, and how a pool changes in place."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final

from model_factory.facts.gcp import GCP
from model_factory.facts.gcp.accelerators import ATTACHABLE, ATTACHABLE_COUNTS
from model_factory.facts.gcp.disks import boots_from
from model_factory.graph.accelerators import NVIDIA
from model_factory.local.clouds.gcp import catalogue, errors
from model_factory.local.clouds.gcp.bodies import Body, digest, visible
from model_factory.local.clouds.gcp.core import Call, Effect, handles
from model_factory.local.clouds.gcp.nodes import GOING, NODE_POOL, SIZES, TARGET, sizes
from model_factory.local.clouds.gcp.operations import CONTAINER_ROOT, start_container

DEFAULT_SCOPES: Final = (
    "https://www.googleapis.com/auth/devstorage.read_only",
    "https://www.googleapis.com/auth/logging.write",
    "https://www.googleapis.com/auth/monitoring",
    "https://www.googleapis.com/auth/service.management.readonly",
    "https://www.googleapis.com/auth/servicecontrol",
    "https://www.googleapis.com/auth/trace.append",
)
GPU_TAINT: Final[Body] = {"key": NVIDIA.resource, "value": "present", "effect": "NO_SCHEDULE"}
_NAME: Final = re.compile(r"[a-z]([-a-z0-9]{0,38}[a-z0-9])?")
_CONFIG_FIELDS: Final = frozenset({
    "accelerators", "confidentialNodes", "containerdConfig", "diskSizeGb", "diskType", "fastSocket", "gcfsConfig", "gvnic", "imageType",
    "kubeletConfig", "linuxNodeConfig", "loggingConfig", "machineType", "maxRunDuration", "resourceManagerTags", "windowsNodeConfig",
    "workloadMetadataConfig", "flexStart", "bootDisk", "storagePools", "taintConfig", "consolidationDelay",
})  # fmt: skip
_WRAPPED_FIELDS: Final[Mapping[str, str]] = {
    "labels": "labels",
    "resourceLabels": "labels",
    "tags": "tags",
    "taints": "taints",
}
"""nodePools.update wraps these in a message; the field inside, which the node configuration holds bare."""
_POOL_FIELDS: Final[Mapping[str, str]] = {
    "locations": "locations",
    "upgradeSettings": "upgradeSettings",
    "nodeNetworkConfig": "networkConfig",
    "queuedProvisioning": "queuedProvisioning",
    "nodeDrainConfig": "nodeDrainConfig",
    "maintenancePolicy": "maintenancePolicy",
}


def complete_pool(call: Call, cluster_key: str, cluster: Body, given: Body) -> Body:
    """The pool as GKE would store it. Raises ApiError for what GKE refuses."""
    pool = dict(given)
    name = pool.get("name", "")
    if not _NAME.fullmatch(name):
        raise errors.invalid(
            f'Invalid value for field "node_pool.name": "{name}". Must be a match of regex \'{_NAME.pattern}\'.'
        )
    config = dict(pool.get("config", {}))
    pool["locations"] = list(pool.get("locations") or cluster["locations"])
    config = complete_config(call, config, cluster, pool["locations"])
    pool["config"] = config
    pool.setdefault("initialNodeCount", 0)
    if pool["initialNodeCount"] < 0:
        raise errors.invalid('Invalid value for field "node_pool.initial_node_count": it must not be negative.')
    if "autoscaling" in pool:
        pool["autoscaling"] = complete_autoscaling(pool["autoscaling"])
    pool["management"] = {"autoRepair": True, "autoUpgrade": True, **pool.get("management", {})}
    if (
        cluster.get("releaseChannel", {}).get("channel", "UNSPECIFIED") != "UNSPECIFIED"
        and not pool["management"]["autoUpgrade"]
    ):
        raise errors.invalid("Auto_upgrade must be true when release_channel is set.")
    pool["upgradeSettings"] = {"maxSurge": 1, "strategy": "SURGE", **pool.get("upgradeSettings", {})}
    pool.setdefault("version", cluster["currentMasterVersion"])
    pool.setdefault("maxPodsConstraint", dict(cluster.get("defaultMaxPodsConstraint", {"maxPodsPerNode": "110"})))
    pool["podIpv4CidrSize"] = 24
    policy = cluster.get("ipAllocationPolicy", {})
    network = dict(pool.get("networkConfig", {}))
    network.setdefault("enablePrivateNodes", bool(cluster.get("privateClusterConfig", {}).get("enablePrivateNodes")))
    if policy.get("clusterSecondaryRangeName"):
        network.setdefault("podRange", policy["clusterSecondaryRangeName"])
        network.setdefault("podIpv4CidrBlock", policy.get("clusterIpv4CidrBlock", ""))
    pool["networkConfig"] = network
    key = f"{cluster_key}/nodePools/{name}"
    pool["selfLink"] = CONTAINER_ROOT + key.removeprefix("container/")
    pool["instanceGroupUrls"] = instance_groups(cluster_key, name, pool["locations"])
    pool |= {"status": "PROVISIONING", "_size": pool["initialNodeCount"]}
    return pool


def instance_groups(cluster_key: str, pool: str, zones: list[str]) -> list[str]:
    project, cluster = cluster_key.split("/")[2], cluster_key.rpartition("/")[2]
    base = f"https://www.googleapis.com/compute/v1/projects/{project}/zones"
    suffix = digest([cluster_key, pool])[:8].lower().translate(str.maketrans("+/", "ab"))
    return [f"{base}/{zone}/instanceGroupManagers/gke-{cluster}-{pool}-{suffix}-grp" for zone in zones]


def complete_config(call: Call, config: Body, cluster: Body, zones: list[str]) -> Body:
    config.setdefault("machineType", GCP.default_machine)
    config["diskSizeGb"] = config.get("diskSizeGb") or 100
    if config["diskSizeGb"] < 10:
        raise errors.invalid(
            'Invalid value for field "node_pool.config.disk_size_gb": Boot disk must be at least 10 GB.'
        )
    config.setdefault("diskType", "pd-balanced")
    config["imageType"] = str(config.get("imageType") or "COS_CONTAINERD").upper()
    config.setdefault("oauthScopes", list(DEFAULT_SCOPES))
    config.setdefault("serviceAccount", "default")
    config["metadata"] = {"disable-legacy-endpoints": "true", **config.get("metadata", {})}
    config["shieldedInstanceConfig"] = {
        "enableIntegrityMonitoring": True,
        **config.get("shieldedInstanceConfig", {}),
    }
    config.setdefault("windowsNodeConfig", {})
    config.setdefault("effectiveCgroupMode", "EFFECTIVE_CGROUP_MODE_V2")
    if cluster.get("workloadIdentityConfig", {}).get("workloadPool"):
        config.setdefault("workloadMetadataConfig", {"mode": "GKE_METADATA"})
    if config.get("spot") and config.get("preemptible"):
        raise errors.invalid("spot and preemptible cannot be set together.")
    account = config["serviceAccount"]
    project = cluster["selfLink"].split("/projects/")[1].split("/")[0]
    ours = account.endswith(f"@{project}.iam.gserviceaccount.com")
    if ours and call.cloud.store.get(f"iam/projects/{project}/serviceAccounts/{account}") is None:
        raise errors.invalid(f'The user does not have access to service account "{account}": it does not exist.')
    region = catalogue.region_of(cluster["location"])
    strangers = [zone for zone in zones if catalogue.ZONES.get(zone) != region]
    if strangers:
        raise errors.invalid(f'Location "{strangers[0]}" is not a zone of region {region}.')
    check_machine(config, zones)
    taints = [taint for taint in config.get("taints", []) if taint.get("key") != GPU_TAINT["key"]]
    if config.get("accelerators"):
        taints.append(dict(GPU_TAINT))
    if taints:
        config["taints"] = taints
    return config


def check_machine(config: Body, zones: list[str]) -> None:
    """Machine type, accelerators and zones must go together. Fills in a built-in accelerator's count."""
    machine = catalogue.machine_type(config["machineType"])
    if machine is None:
        raise errors.invalid(
            f'Machine type with name "{config["machineType"]}" does not exist in zones {", ".join(zones)}.'
        )
    # Google takes such a pool and fails to add every node of it; here it is refused at once.
    if not boots_from(machine.name, config["diskType"]):
        raise errors.invalid(f"{config['diskType']} disk type cannot be used by {machine.name} machine type.")
    accelerators: list[Body] = config.get("accelerators", [])
    for accelerator in accelerators:
        type_, count = accelerator.get("acceleratorType", ""), int(accelerator.get("acceleratorCount", 0))
        if type_ not in catalogue.ACCELERATOR_ZONES:
            raise errors.invalid(f'Accelerator type "{type_}" does not exist in zones {", ".join(zones)}.')
        if machine.accelerator:
            if (type_, count) != (machine.accelerator, machine.accelerator_count):
                raise errors.invalid(
                    f"Machine type {machine.name} has {machine.accelerator_count} {machine.accelerator}, not {count} {type_}."
                )
        elif type_ not in ATTACHABLE.get(machine.family, frozenset()):
            raise errors.invalid(f"Accelerator type {type_} cannot be attached to machine type {machine.name}.")
        elif count not in ATTACHABLE_COUNTS[type_]:
            raise errors.invalid(f"{count} is not a valid count of {type_} for machine type {machine.name}.")
    if machine.accelerator and not accelerators:
        built_in: Body = {
            "acceleratorType": machine.accelerator,
            "acceleratorCount": str(machine.accelerator_count),
        }
        config["accelerators"] = [built_in]
    wanted = (config.get("accelerators") or [{}])[0].get("acceleratorType", "")
    missing = [zone for zone in zones if not catalogue.sells(zone, machine, wanted)]
    if missing:
        what = f'Accelerator type "{wanted}"' if wanted else f'Machine type with name "{machine.name}"'
        raise errors.invalid(f"{what} does not exist in zone {', '.join(missing)}.")


def complete_autoscaling(autoscaling: Body) -> Body:
    if not autoscaling.get("enabled"):
        return {}
    low, high = autoscaling.get("minNodeCount", 0), autoscaling.get("maxNodeCount", 0)
    total_low, total_high = autoscaling.get("totalMinNodeCount", 0), autoscaling.get("totalMaxNodeCount", 0)
    if (low or high) and (total_low or total_high):
        raise errors.invalid("Per-zone and total node counts of autoscaling cannot be set together.")
    if low > high or total_low > total_high or max(high, total_high) < 1:
        raise errors.invalid(
            f"Autoscaling limits are not valid: minimum {low or total_low}, maximum {high or total_high}; the maximum must be at least 1 "
            "and not below the minimum."
        )
    return {
        "locationPolicy": "ANY" if autoscaling.get("locationPolicy") == "ANY" else "BALANCED",
        **autoscaling,
    }


def shortage(call: Call, pool: Body, nodes: int) -> Body | None:
    """The error that starting `nodes` nodes a zone ends with: quota first, then what the zone has left."""
    config = pool["config"]
    accelerators = config.get("accelerators", [])
    type_ = accelerators[0]["acceleratorType"] if accelerators else ""
    each = int(accelerators[0]["acceleratorCount"]) if accelerators else 1
    zones: list[str] = pool["locations"]
    if type_:
        region = catalogue.ZONES[zones[0]]
        metric = catalogue.QUOTA_METRICS[type_]
        if config.get("spot") or config.get("preemptible"):
            metric = f"PREEMPTIBLE_{metric}"
        limit = (call.cloud.store.setting("quotas") or {}).get(region, {}).get(metric, catalogue.DEFAULT_GPU_QUOTA)
        wanted = nodes * each * len(zones)
        if wanted > limit:
            message = (
                f"Quota '{metric}' exceeded. Limit: {float(limit)} in region {region}. Requested: {float(wanted)}."
            )
            return {
                "code": 8,
                "reason": "QUOTA_EXCEEDED",
                "message": f"Google Compute Engine: {message}",
                "http": 403,
            }
    capacity: Mapping[str, Mapping[str, int]] = call.cloud.store.setting("capacity") or {}
    for zone in zones:
        for name, units in ((config["machineType"], nodes), (type_, nodes * each)):
            free = capacity.get(zone, {}).get(name)
            if name and free is not None and units > free:
                message = (
                    f"Google Compute Engine: [GCE_STOCKOUT] Instance creation failed: The zone 'projects/local/zones/{zone}' does not have "
                    f"enough resources available to fulfill the request ({name})."
                )
                return {"code": 8, "reason": "ZONE_RESOURCE_POOL_EXHAUSTED", "message": message, "http": 429}
    return None


def pool_key(call: Call) -> str:
    return f"container/{call.parameter('name')}"


def _cluster(call: Call, key: str) -> tuple[str, Body]:
    cluster_key = key.split("/nodePools/")[0]
    return cluster_key, call.cloud.require(cluster_key).body


def _refuse_busy(call: Call, cluster_key: str, key: str) -> None:
    """One operation a pool at a time, and none while the cluster itself changes."""
    for operation in call.cloud.store.pending(cluster_key):
        if operation.subject in (cluster_key, key):
            raise incompatible(operation.key)


def incompatible(operation_key: str) -> errors.ApiError:
    name = operation_key.rpartition("/")[2]
    return errors.precondition(f"Cluster is running incompatible operation {name}.")


@handles("container.projects.locations.clusters.nodePools.create")
def create(call: Call) -> Body:
    cluster_key = f"container/{call.parameter('parent')}"
    cluster = call.cloud.require(cluster_key).body
    given = call.body.get("nodePool")
    if not given:
        raise errors.invalid("NodePool must be specified.")
    key = f"{cluster_key}/nodePools/{given.get('name', '')}"
    _refuse_busy(call, cluster_key, key)
    if call.cloud.store.get(key) is not None:
        raise errors.exists(f"Already exists: {key.removeprefix('container/')}.")
    if cluster.get("autopilot", {}).get("enabled"):
        raise errors.invalid("Autopilot clusters do not support mutating node pools.")
    pool = complete_pool(call, cluster_key, cluster, given)
    pool["etag"] = digest(pool)
    call.cloud.put(key, NODE_POOL, pool, ready=False)
    short = shortage(call, pool, pool["initialNodeCount"])
    return start_container(
        call,
        "CREATE_NODE_POOL",
        key,
        Effect(merge={key: {"status": "RUNNING"}}),
        Effect(merge={key: {"status": "ERROR"}}),
        error=short,
    )


@handles("container.projects.locations.clusters.nodePools.get")
def get(call: Call) -> Body:
    return visible(call.cloud.require(pool_key(call)).body)


@handles("compute.instanceGroupManagers.get")
def get_instance_group(call: Call) -> Body:
    """The instance group of one zone of a pool: only its size."""
    project, zone, name = (call.parameter(p) for p in ("project", "zone", "instanceGroupManager"))
    url = f"https://www.googleapis.com/compute/v1/projects/{project}/zones/{zone}/instanceGroupManagers/{name}"
    for stored in call.cloud.store.children(f"container/projects/{project}/*", NODE_POOL):
        if url in stored.body["instanceGroupUrls"]:
            return {
                "kind": "compute#instanceGroupManager",
                "name": name,
                "selfLink": url,
                "targetSize": sizes(stored.body).get(zone, 0),
            }
    raise errors.not_found(f"The resource 'projects/{project}/zones/{zone}/instanceGroupManagers/{name}' was not found")


@handles("container.projects.locations.clusters.nodePools.list")
def list_(call: Call) -> Body:
    cluster_key = f"container/{call.parameter('parent')}"
    call.cloud.require(cluster_key)
    return {"nodePools": [visible(stored.body) for stored in call.cloud.store.children(cluster_key, NODE_POOL)]}


@handles("container.projects.locations.clusters.nodePools.delete")
def delete(call: Call) -> Body:
    key = pool_key(call)
    call.cloud.require(key)
    _refuse_busy(call, _cluster(call, key)[0], key)
    call.cloud.merge(key, {"status": "STOPPING"})
    return start_container(
        call, "DELETE_NODE_POOL", key, Effect(remove=(key,)), Effect(merge={key: {"status": "ERROR"}})
    )


def _start_change(call: Call, kind: str, change: Callable[[Body, Body], Body], *, nodes: int | None = None) -> Body:
    """Refuse or start a change: `change(pool, cluster)` gives the fields that hold once it is done."""
    key = pool_key(call)
    stored = call.cloud.require(key)
    cluster_key, cluster = _cluster(call, key)
    _refuse_busy(call, cluster_key, key)
    given_etag = call.body.get("etag")
    if given_etag and given_etag != stored.body.get("etag"):
        raise errors.aborted("The etag does not match the node pool's.")
    changes = change(stored.body, cluster)
    etag = digest({**stored.body, **changes})
    call.cloud.merge(key, {"status": "RECONCILING", TARGET: changes})
    short = None if nodes is None else shortage(call, {**stored.body, **changes}, nodes)
    return start_container(
        call,
        kind,
        key,
        Effect(merge={key: {**changes, TARGET: None, "etag": etag, "status": "RUNNING"}}),
        Effect(merge={key: {TARGET: None, "status": "RUNNING_WITH_ERROR"}}),
        error=short,
    )


@handles("container.projects.locations.clusters.nodePools.update")
def update(call: Call) -> Body:
    given = {
        k: v for k, v in call.body.items() if k not in ("name", "projectId", "zone", "clusterId", "nodePoolId", "etag")
    }
    if not given:
        raise errors.invalid("At least one field of the node pool must be updated.")

    def change(pool: Body, cluster: Body) -> Body:
        config = dict(pool["config"])
        changes: Body = {}
        for name, value in given.items():
            if name in _WRAPPED_FIELDS:
                config[name] = value.get(_WRAPPED_FIELDS[name], [] if name in ("tags", "taints") else {})
            elif name in _CONFIG_FIELDS:
                config[name] = int(value) if name == "diskSizeGb" else value
            elif name in _POOL_FIELDS:
                old = pool.get(_POOL_FIELDS[name])
                changes[_POOL_FIELDS[name]] = {**old, **value} if isinstance(old, dict) else value
            elif name == "nodeVersion":
                changes["version"] = cluster["currentMasterVersion"] if value in ("-", "latest") else value
            elif name not in ("image", "imageProject", "nodeConfigUpdateMode"):
                raise errors.not_implemented(f"nodePools.update of {name}")
        if "machineType" in given and "accelerators" not in given:
            _fit_accelerators(config)
        locations = changes.get("locations", pool["locations"])
        changes["config"] = complete_config(call, config, cluster, locations)
        changes["instanceGroupUrls"] = instance_groups(pool_key(call).split("/nodePools/")[0], pool["name"], locations)
        return changes

    return _start_change(call, "UPGRADE_NODES" if "nodeVersion" in given else "UPDATE_CLUSTER", change)


def _fit_accelerators(config: Body) -> None:
    """Drop the accelerators of the old machine type where the new one has others built in, or takes none."""
    new = catalogue.machine_type(config["machineType"])
    if new is None or not config.get("accelerators"):
        return
    first = config["accelerators"][0]
    same = (first["acceleratorType"], int(first["acceleratorCount"])) == (
        new.accelerator,
        new.accelerator_count,
    )
    if not same and (new.accelerator or new.family not in ATTACHABLE):
        del config["accelerators"]
        config["taints"] = [taint for taint in config.get("taints", []) if taint["key"] != GPU_TAINT["key"]]


@handles("container.projects.locations.clusters.nodePools.setAutoscaling")
def set_autoscaling(call: Call) -> Body:
    autoscaling = complete_autoscaling(call.body.get("autoscaling", {}))
    return _start_change(call, "UPDATE_CLUSTER", lambda _pool, _cluster: {"autoscaling": autoscaling or None})


@handles("container.projects.locations.clusters.nodePools.setManagement")
def set_management(call: Call) -> Body:
    management = call.body.get("management", {})
    return _start_change(
        call,
        "SET_NODE_POOL_MANAGEMENT",
        lambda _pool, _cluster: {"management": {"autoRepair": False, "autoUpgrade": False, **management}},
    )


@handles("container.projects.locations.clusters.nodePools.setSize")
def set_size(call: Call) -> Body:
    count = call.body.get("nodeCount", 0)
    if count < 0:
        raise errors.invalid("Node count must not be negative.")

    def change(_pool: Body, _cluster: Body) -> Body:
        return {"_size": count, SIZES: None, GOING: None}

    return _start_change(call, "SET_NODE_POOL_SIZE", change, nodes=count)
