"""The nodes of EKS's managed node groups, where the clusters are real: names, labels, and how a group replaces them.

docs.aws.amazon.com/eks/latest/userguide/managed-node-update-behavior.html; …/managed-node-groups.html.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Collection, Mapping, Sequence
from ipaddress import IPv4Address
from typing import Final

from model_factory.local.clouds.aws import moto_state
from model_factory.local.clouds.aws.eks import catalogue
from model_factory.local.clouds.aws.eks.state import Capacity, Cluster, Document, Resource
from model_factory.local.clouds.aws.moto_state import InstanceType, LaunchTemplate, Subnet
from model_factory.local.clouds.node_shapes import amounts
from model_factory.local.lab.nodes.pools import ZONE_LABEL, Pool, Rolling, spread
from model_factory.local.lab.nodes.simulated import Shape, SimulatedNode, Taint

DRAIN_SECONDS: Final = 900.0
"""How long EKS waits for the Pods of a node that it replaces."""
REPAIR_SECONDS: Final = 1800.0
"""…/node-health.html: a node that is not Ready so long is replaced, where repair is on."""
DEFAULT_DISK_GIB: Final = 20
_EFFECTS: Final = {
    "NO_SCHEDULE": "NoSchedule", "NO_EXECUTE": "NoExecute", "PREFER_NO_SCHEDULE": "PreferNoSchedule",
}  # fmt: skip
_ARCHITECTURES: Final = {"x86_64": "amd64", "arm64": "arm64"}


def cluster_key(region: str, cluster: str) -> str:
    """What the fleets know a cluster by."""
    return f"{region}/{cluster}"


def pools_of(region: str, cluster: Cluster, capacities: Sequence[Capacity]) -> list[Pool]:
    """The node groups of a cluster as they are wanted now."""
    return [pool_of(region, nodegroup, capacities) for nodegroup in cluster.nodegroups.values()]


def pool_of(region: str, nodegroup: Resource, capacities: Sequence[Capacity]) -> Pool:
    """A node group as it is wanted now: as the update under way will have it."""
    document = nodegroup.document | nodegroup.target
    subnets = [each for each in (moto_state.subnet(region, id_) for id_ in document["subnets"]) if each is not None]
    zones = sorted({subnet.zone for subnet in subnets})
    template = _template(region, document)
    machine = _machine(region, document, template, capacities)
    revision = _revision(document, template, machine)
    ends = nodegroup.status == "DELETING"
    wanted = {} if ends or not zones else spread(document["scalingConfig"]["desiredSize"], zones)
    shape = _shape(region, document, machine, template)

    def make(zone: str, taken: Collection[str]) -> SimulatedNode:
        here = [subnet for subnet in subnets if subnet.zone == zone]
        return _node(region, zone, here, taken, document["nodegroupName"], revision, shape)

    capacity_type: str = document["capacityType"]
    return Pool(
        name=document["nodegroupName"],
        revision=revision,
        wanted={zone: count for zone, count in wanted.items() if count},
        shape=shape,
        make=make,
        rolling=_rolling(document, len(zones)),
        drain_seconds=DRAIN_SECONDS,
        forced=nodegroup.forced,
        repair_seconds=REPAIR_SECONDS if document["nodeRepairConfig"]["enabled"] else None,
        room_in_all=available(capacities, region, machine.name, capacity_type),
    )


def available(capacities: Sequence[Capacity], region: str, machine_type: str, capacity_type: str) -> int | None:
    """How many of these can start; None where nothing limits it."""

    def matches(capacity: Capacity) -> bool:
        here = capacity.region == region and capacity.instance_type == machine_type
        return here and capacity.capacity_type in {"", capacity_type}

    found = [capacity.available for capacity in capacities if matches(capacity)]
    return min(found) if found else None


def launch_failure(document: Document, machine_types: Sequence[str]) -> Document:
    """The health issue of a group that lacks machines."""
    kind = "Spot" if document["capacityType"] == "SPOT" else "On-Demand"
    group = document["resources"]["autoScalingGroups"][0]["name"]
    message = (
        f"Could not launch {kind} Instances. InsufficientInstanceCapacity - We currently do not have sufficient "
        f"{', '.join(machine_types)} capacity in the Availability Zones you requested. Launching EC2 instance failed."
    )
    return {"code": "AsgInstanceLaunchFailures", "message": message, "resourceIds": [group]}


def _template(region: str, document: Document) -> LaunchTemplate | None:
    given = document.get("launchTemplate")
    if given is None:
        return None
    return moto_state.launch_template(region, id_=given["id"], name=None, version=given["version"])


def _machine(
    region: str, document: Document, template: LaunchTemplate | None, capacities: Sequence[Capacity]
) -> InstanceType:
    """The first of its machines that there are; the first of all where there are none."""
    names: list[str] = document.get("instanceTypes") or [template.data["InstanceType"] if template else ""]
    there = [name for name in names if available(capacities, region, name, document["capacityType"]) != 0]
    found = moto_state.instance_type((there or names)[0])
    if found is None:
        raise LookupError(f"node group {document['nodegroupName']} names no known machine: {names}")
    return found


def _revision(document: Document, template: LaunchTemplate | None, machine: InstanceType) -> str:
    """Nodes are made anew for another version, image or launch template; not for labels, taints or sizes."""
    parts = [document["version"], document["releaseVersion"], document["amiType"], machine.name]
    parts += [template.id, template.version] if template else [str(document.get("diskSize"))]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:12]


def _rolling(document: Document, zones: int) -> Rolling:
    config = document["updateConfig"]
    size = document["scalingConfig"]["desiredSize"]
    share = config.get("maxUnavailablePercentage")
    at_once = max(1, size * share // 100) if share is not None else config["maxUnavailable"]
    if config.get("updateStrategy") == "MINIMAL":
        return Rolling(surge=0, unavailable=at_once, at_once=at_once)
    return Rolling(surge=max(2 * zones, at_once), unavailable=0, at_once=at_once)


def _shape(region: str, document: Document, machine: InstanceType, template: LaunchTemplate | None) -> Shape:
    version = catalogue.version(document["version"])
    patch = version.patch if version else document["version"]
    capacity, allocatable = amounts(
        "aws",
        vcpus=machine.vcpus,
        memory_mib=machine.memory_mib,
        disk_gib=document.get("diskSize") or _template_disk_gib(template),
        pods=machine.most_pods,
        gpus=machine.gpus,
    )
    architecture = _ARCHITECTURES[machine.architectures[-1]]
    labels = {
        "beta.kubernetes.io/arch": architecture,
        "beta.kubernetes.io/os": "linux",
        "beta.kubernetes.io/instance-type": machine.name,
        "kubernetes.io/arch": architecture,
        "kubernetes.io/os": "linux",
        "node.kubernetes.io/instance-type": machine.name,
        "topology.kubernetes.io/region": region,
        "failure-domain.beta.kubernetes.io/region": region,
        "eks.amazonaws.com/nodegroup": document["nodegroupName"],
        "eks.amazonaws.com/capacityType": document["capacityType"],
        "k8s.io/cloud-provider-aws": hashlib.sha256(document["clusterName"].encode()).hexdigest()[:32],
    }
    if template:
        labels["eks.amazonaws.com/sourceLaunchTemplateId"] = template.id
        labels["eks.amazonaws.com/sourceLaunchTemplateVersion"] = template.version
    taints = [Taint(each["key"], each.get("value", ""), _EFFECTS[each["effect"]]) for each in document["taints"]]
    image = "Bottlerocket OS" if document["amiType"].startswith("BOTTLEROCKET") else "Amazon Linux 2023"
    return Shape(
        capacity=capacity,
        allocatable=allocatable,
        architecture=architecture,
        kubelet_version=f"v{patch}-eks-simulated",
        os_image=image,
        labels=labels | document["labels"],
        taints=tuple(taints),
    )


def _template_disk_gib(template: LaunchTemplate | None) -> int:
    mappings: Sequence[Mapping[str, Document]] = (
        [] if template is None else template.data.get("BlockDeviceMappings", [])
    )
    sizes = [int(each.get("Ebs", {}).get("VolumeSize") or 0) for each in mappings]
    return max(sizes, default=0) or DEFAULT_DISK_GIB


def _node(
    region: str,
    zone: str,
    subnets: Sequence[Subnet],
    taken: Collection[str],
    nodegroup: str,
    revision: str,
    shape: Shape,
) -> SimulatedNode:
    """A node under an address of the zone's subnets that no other has, as EC2 names it."""
    domain = "ec2.internal" if region == "us-east-1" else f"{region}.compute.internal"
    while True:
        network = secrets.choice(subnets).network
        # AWS keeps the first four addresses of a subnet, and the last.
        address = IPv4Address(int(network.network_address) + 4 + secrets.randbelow(network.num_addresses - 5))
        name = f"ip-{str(address).replace('.', '-')}.{domain}"
        if name not in taken:
            break
    labels = {
        "kubernetes.io/hostname": name,
        ZONE_LABEL: zone,
        "failure-domain.beta.kubernetes.io/zone": zone,
    }
    provider_id = f"aws:///{zone}/i-0{secrets.token_hex(8)}"
    return SimulatedNode(name, provider_id, str(address), nodegroup, revision, shape, labels)
