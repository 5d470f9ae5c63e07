"""The nodes of GKE's node pools, where the clusters are real: names, labels, and how a pool replaces them.

cloud.google.com/kubernetes-engine/docs/concepts/node-pool-upgrade-strategies; …/concepts/cluster-autoscaler.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv4Network
from typing import Final

from model_factory.local.clouds.gcp import catalogue, errors
from model_factory.local.clouds.gcp.bodies import Body
from model_factory.local.clouds.gcp.store import Effect, Store, Stored, StoredOperation
from model_factory.local.clouds.node_shapes import amounts
from model_factory.local.lab.nodes.fleets import Fleets
from model_factory.local.lab.nodes.pools import ZONE_LABEL, Pool, Rolling
from model_factory.local.lab.nodes.simulated import Shape, SimulatedNode, Taint

NODE_POOL: Final = "container.nodePools"
TARGET: Final = "_target"
"""What the change under way makes of a pool, while it is under way: its nodes become it already."""
SIZES: Final = "_sizes"
"""Nodes by zone, where its autoscaler gave zones different numbers; else every zone has `_size`."""
GOING: Final = "_going"
"""Nodes that the autoscaler found empty: they go first."""
DRAIN_SECONDS: Final = 3600.0
"""How long GKE lets a budget hold up the end of a node; then it ends."""
REPAIR_SECONDS: Final = 600.0
"""cloud.google.com/kubernetes-engine/docs/how-to/node-auto-repair: about ten minutes of silence, then the node is made anew."""
_LONGEST_NAME: Final = 58
_EFFECTS: Final = {
    "NO_SCHEDULE": "NoSchedule", "NO_EXECUTE": "NoExecute", "PREFER_NO_SCHEDULE": "PreferNoSchedule",
}  # fmt: skip
_ROLLED_BY: Final = (
    "machineType", "imageType", "diskType", "diskSizeGb", "accelerators", "kubeletConfig", "linuxNodeConfig",
    "workloadMetadataConfig", "gvnic", "gcfsConfig", "bootDisk", "spot", "preemptible", "containerdConfig",
)  # fmt: skip


def sizes(pool: Body) -> dict[str, int]:
    """Nodes by zone."""
    given: Mapping[str, int] = pool.get(SIZES) or {}
    return {zone: given.get(zone, 0 if given else pool["_size"]) for zone in pool["locations"]}


@dataclass(frozen=True, slots=True)
class NodePools:
    """The node pools of one local Google Cloud as pools of nodes."""

    store: Store
    fleets: Fleets

    def of_cluster(self, cluster_key: str) -> list[Pool]:
        """All pools of a cluster as they are wanted now; none where there is no such cluster."""
        cluster = self.store.get(cluster_key)
        if cluster is None:
            return []
        return [self._pool(cluster, stored) for stored in self.store.children(cluster_key, NODE_POOL)]

    def finished(self, operation: StoredOperation) -> StoredOperation | None:
        """The operation, to be finished; None as long as nodes are not as it wants them. One that cannot be done comes with its error."""
        cluster_key, _, name = operation.subject.partition("/nodePools/")
        cluster, stored = self.store.get(cluster_key), self.store.get(operation.subject)
        if not name or cluster is None or stored is None or not self.fleets.has(cluster_key):
            return operation
        pool = self._pool(cluster, stored)
        if not self.fleets.has_ended(cluster_key, pool):
            return None
        state = self.fleets.state(cluster_key, pool)
        if state is None or not state.blocked or "_error" in operation.body:
            return operation
        undone = {operation.subject: {TARGET: None, "status": "RUNNING_WITH_ERROR"}}
        return replace(operation, body={**operation.body, "_error": stockout(pool)}, effect=Effect(merge=undone))

    def _pool(self, cluster: Stored, stored: Stored) -> Pool:
        body: Body = {**stored.body, **(stored.body.get(TARGET) or {})}
        ends = "STOPPING" in (stored.body["status"], cluster.body["status"])
        revision, shape = _revision(body), _shape(cluster.body, body)
        network = self._network(cluster.body)

        def make(zone: str, taken: Collection[str]) -> SimulatedNode:
            return _node(stored.key, zone, network, taken, body, revision, shape)

        return Pool(
            name=body["name"],
            revision=revision,
            wanted={} if ends else {zone: size for zone, size in sizes(body).items() if size},
            shape=shape,
            make=make,
            rolling=_rolling(body),
            drain_seconds=DRAIN_SECONDS,
            drains_on_notice=False,
            repair_seconds=REPAIR_SECONDS if body["management"]["autoRepair"] else None,
            room=self._room(body),
            first_to_go=frozenset(body.get(GOING) or ()),
        )

    def _room(self, body: Body) -> dict[str, int]:
        capacity: Mapping[str, Mapping[str, int]] = self.store.setting("capacity") or {}
        kind, each = accelerators(body["config"])
        found: dict[str, int] = {}
        for zone in body["locations"]:
            free = capacity.get(zone, {})
            machines = [free[name] for name in [body["config"]["machineType"]] if name in free]
            machines += [free[kind] // each] if kind in free else []
            if machines:
                found[zone] = min(machines)
        return found

    def _network(self, cluster: Body) -> IPv4Network:
        subnetwork = self.store.get(f"compute/{cluster['networkConfig']['subnetwork']}")
        return IPv4Network("10.128.0.0/20" if subnetwork is None else subnetwork.body["ipCidrRange"])


def accelerators(config: Body) -> tuple[str, int]:
    """The type of a node's accelerators and how many it has; "" and 1 where it has none."""
    given: Sequence[Body] = config.get("accelerators") or ()
    return (given[0]["acceleratorType"], int(given[0]["acceleratorCount"])) if given else ("", 1)


def stockout(pool: Pool) -> Body:
    """The error of an operation that lacks machines."""
    zone = next(iter(pool.room), "")
    message = (
        f"Google Compute Engine: [GCE_STOCKOUT] Instance creation failed: The zone 'projects/local/zones/{zone}' does not have "
        f"enough resources available to fulfill the request ({pool.shape.labels['node.kubernetes.io/instance-type']})."
    )
    return {"code": 8, "reason": "ZONE_RESOURCE_POOL_EXHAUSTED", "message": message, "http": 429}


def _revision(body: Body) -> str:
    config = body["config"]
    parts = [body["version"], {field: config[field] for field in _ROLLED_BY if field in config}]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:12]


def _rolling(body: Body) -> Rolling:
    settings = body["upgradeSettings"]
    if settings["strategy"] == "BLUE_GREEN":
        size = max(1, sum(sizes(body).values()))
        return Rolling(surge=size, unavailable=0, at_once=size)
    surge, unavailable = int(settings.get("maxSurge", 0)), int(settings.get("maxUnavailable", 0))
    return Rolling(surge, unavailable, max(1, surge + unavailable))


def _shape(cluster: Body, body: Body) -> Shape:
    config = body["config"]
    machine = catalogue.machine_type(config["machineType"])
    if machine is None:
        raise errors.invalid(f"Machine type {config['machineType']} is not known.")
    kind, count = accelerators(config)
    pods = int(body["maxPodsConstraint"]["maxPodsPerNode"])
    capacity, allocatable = amounts(
        "gcp",
        vcpus=machine.vcpus,
        memory_mib=machine.memory_mib,
        disk_gib=config["diskSizeGb"],
        pods=pods,
        gpus=count if kind else 0,
    )
    architecture = "arm64" if machine.family in ("t2a", "c4a", "n4a") else "amd64"
    region = catalogue.region_of(cluster["location"]) or ""
    spot = bool(config.get("spot") or config.get("preemptible"))
    labels = {
        "beta.kubernetes.io/arch": architecture,
        "beta.kubernetes.io/os": "linux",
        "beta.kubernetes.io/instance-type": machine.name,
        "kubernetes.io/arch": architecture,
        "kubernetes.io/os": "linux",
        "node.kubernetes.io/instance-type": machine.name,
        "topology.kubernetes.io/region": region,
        "failure-domain.beta.kubernetes.io/region": region,
        "cloud.google.com/gke-nodepool": body["name"],
        "cloud.google.com/gke-boot-disk": config["diskType"],
        "cloud.google.com/gke-container-runtime": "containerd",
        "cloud.google.com/gke-os-distribution": "ubuntu" if "UBUNTU" in config["imageType"] else "cos",
        "cloud.google.com/gke-provisioning": "spot" if spot else "standard",
        "cloud.google.com/gke-max-pods-per-node": str(pods),
        "cloud.google.com/gke-cpu-scaling-level": str(machine.vcpus),
        "cloud.google.com/gke-memory-gb-scaling-level": str(machine.memory_mib // 1024),
        "cloud.google.com/machine-family": machine.family,
    }
    if config.get("spot"):
        labels["cloud.google.com/gke-spot"] = "true"
    if config.get("preemptible"):
        labels["cloud.google.com/gke-preemptible"] = "true"
    if kind:
        labels["cloud.google.com/gke-accelerator"] = kind
        labels["cloud.google.com/gke-accelerator-count"] = str(count)
    if config.get("workloadMetadataConfig", {}).get("mode") == "GKE_METADATA":
        labels["iam.gke.io/gke-metadata-server-enabled"] = "true"
    taints = [Taint(each["key"], each.get("value", ""), _EFFECTS[each["effect"]]) for each in config.get("taints", [])]
    return Shape(
        capacity=capacity,
        allocatable=allocatable,
        architecture=architecture,
        kubelet_version=f"v{body['version']}",
        os_image="Container-Optimized OS from Google",
        labels=labels | config.get("labels", {}),
        taints=tuple(taints),
    )


def _node(
    key: str, zone: str, network: IPv4Network, taken: Collection[str], body: Body, revision: str, shape: Shape
) -> SimulatedNode:
    """A node of the zone's instance group, under a name that no other has."""
    project = key.split("/")[2]
    group = body["instanceGroupUrls"][0].rpartition("/")[2].removesuffix("-grp")
    base = group if len(group) <= _LONGEST_NAME else f"{group[: _LONGEST_NAME - 9].rstrip('-')}-{group[-8:]}"
    while (name := f"{base}-{secrets.token_hex(2)}") in taken:
        pass
    # Google keeps the first two addresses of a subnetwork's range, and the last two.
    address = IPv4Address(int(network.network_address) + 2 + secrets.randbelow(network.num_addresses - 4))
    labels = {
        "kubernetes.io/hostname": name,
        ZONE_LABEL: zone,
        "failure-domain.beta.kubernetes.io/zone": zone,
        "topology.gke.io/zone": zone,
    }
    return SimulatedNode(name, f"gce://{project}/{zone}/{name}", str(address), body["name"], revision, shape, labels)
