"""One GKE node pool."""

from collections.abc import Mapping, Sequence
from typing import TypedDict

import pulumi
import pulumi_gcp as gcp
from pulumi_gcp.container import NodePoolNodeConfigArgsDict

from components.kubernetes.nodes import NodePoolShape
from components.names import fit_auto_named
from model_factory.facts.gcp.accelerators import gke_accelerator_type
from model_factory.facts.gcp.disks import boot_disk
from model_factory.graph.pools.gke import ZONES_OF_A_REGION
from model_factory.planning.settings.cloud import Reservation

POOL_NAME_LIMIT = 40


class GkeNodePoolArgs(TypedDict):
    project: str
    region: str
    zones: Sequence[str]
    cluster_name: pulumi.Input[str]
    service_account: pulumi.Input[str]
    shape: NodePoolShape
    labels: Mapping[str, str]


class GkeNodePool(pulumi.ComponentResource):
    """A pool whose size belongs to GKE's autoscaler. GKE installs the GPU driver and the device plugin.

    Its zones must be those that sell its machine: without zones given it spans the cluster's, and GKE refuses a pool when
    one of them lacks the accelerator. They need not be the cluster's own, only of its region. Spot pools look for capacity in any zone. A changed machine type updates the
    pool in place, node by node. A pool of reserved machines starts none that are not.

    It names no Kubernetes version: in a release channel GKE upgrades nodes to that of the control plane by itself, after it and in the
    maintenance window, and a version declared here would be undone or would undo that at every refresh
    (cloud.google.com/kubernetes-engine/docs/how-to/node-auto-upgrades).
    """

    node_pool_name: pulumi.Output[str]

    def __init__(self, name: str, args: GkeNodePoolArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("model-factory:cluster:GkeNodePool", name, {}, opts)
        shape, zones = args["shape"], args["zones"]
        pool = gcp.container.NodePool(
            fit_auto_named(name, POOL_NAME_LIMIT),
            cluster=args["cluster_name"],
            project=args["project"],
            location=args["region"],
            node_locations=list(zones) if zones else None,
            initial_node_count=-(-shape.initial_nodes // (len(zones) or ZONES_OF_A_REGION)),
            autoscaling={
                "total_min_node_count": shape.min_nodes,
                "total_max_node_count": shape.max_nodes,
                "location_policy": "ANY" if shape.capacity_type == "spot" else "BALANCED",
            },
            management={"auto_repair": True, "auto_upgrade": True},
            # A spare GPU node to surge onto may not exist, nor one beyond a reservation, so such pools give one up instead.
            upgrade_settings={"max_surge": 0, "max_unavailable": 1}
            if shape.accelerator or shape.reservation
            else {"max_surge": 1, "max_unavailable": 0},
            node_config={
                "machine_type": shape.machine_type,
                "spot": shape.capacity_type == "spot",
                **_from_reservation(shape.reservation),
                "image_type": "COS_CONTAINERD",
                "disk_size_gb": shape.disk_gib,
                "disk_type": boot_disk(shape.machine_type),
                "service_account": args["service_account"],
                "oauth_scopes": ["https://www.googleapis.com/auth/cloud-platform"],
                "metadata": {"disable-legacy-endpoints": "true"},
                "workload_metadata_config": {"mode": "GKE_METADATA"},
                "shielded_instance_config": {"enable_secure_boot": True, "enable_integrity_monitoring": True},
                # Images stream while they start, which takes minutes off a cold start.
                "gcfs_config": {"enabled": True},
                "labels": shape.labels,
                "resource_labels": args["labels"],
                "taints": [{"key": t.key, "value": t.value, "effect": t.cloud_effect} for t in shape.taints],
                "guest_accelerators": [
                    {
                        "type": gke_accelerator_type(shape.accelerator),
                        "count": shape.accelerator_count,
                        "gpu_driver_installation_config": {"gpu_driver_version": "LATEST"},
                    }
                ]
                if shape.accelerator
                else None,
            },
            # It counts only at creation, and a changed count would replace the pool.
            opts=pulumi.ResourceOptions(parent=self, ignore_changes=["initialNodeCount"]),
        )
        self.node_pool_name = pool.name
        self.register_outputs({"node_pool_name": self.node_pool_name})


def _from_reservation(reservation: Reservation | None) -> NodePoolNodeConfigArgsDict:
    """Nothing where there is none: a key without a value would be a change of pools that run."""
    if reservation is None:
        return {}
    return {
        "reservation_affinity": {
            "consume_reservation_type": "SPECIFIC_RESERVATION",
            "key": "compute.googleapis.com/reservation-name",
            "values": [reservation.name],
        }
    }
