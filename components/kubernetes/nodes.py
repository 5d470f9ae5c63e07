"""What node pools and pods agree on: labels, taints, sizes, order. Pure; the same on both clouds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from pulumi_kubernetes.core.v1 import NodeAffinityArgsDict, NodeSelectorTermArgsDict, PreferredSchedulingTermArgsDict

from components.names import fit
from model_factory.facts.offer import CapacityType, Offer
from model_factory.graph.accelerators import NVIDIA
from model_factory.graph.pods import MODELS, POOL
from model_factory.planning.placing.plan import Pool
from model_factory.planning.settings.cloud import SYSTEM_GROWTH, Reservation

POOL_LABEL = POOL
ACCELERATOR_LABEL = "model-factory/accelerator"
CAPACITY_LABEL = "model-factory/capacity-type"
SYSTEM_POOL = "system"
LABEL_VALUE_LIMIT = 63


@dataclass(frozen=True, slots=True)
class Taint:
    """A taint in Kubernetes' own spelling of the effect: NoSchedule, PreferNoSchedule, NoExecute."""

    key: str
    value: str
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"]

    @property
    def cloud_effect(self) -> str:
        """The effect as EKS and GKE spell it in their own APIs: NO_SCHEDULE."""
        return {
            "NoSchedule": "NO_SCHEDULE",
            "PreferNoSchedule": "PREFER_NO_SCHEDULE",
            "NoExecute": "NO_EXECUTE",
        }[self.effect]


# The key and value that GKE itself puts on nodes with GPUs, so that one toleration serves both clouds.
GPU_TAINT = Taint(NVIDIA.resource, "present", "NoSchedule")
# What needs no particular nodes goes to the system pool first, and models' Pods need not tolerate it.
MODELS_TAINT = Taint(MODELS, "present", "PreferNoSchedule")
# GKE puts it on nodes of that architecture: https://cloud.google.com/kubernetes-engine/docs/how-to/prepare-arm-workloads-for-deployment
ARM_TAINT = Taint("kubernetes.io/arch", "arm64", "NoSchedule")
# What Kubernetes takes: 1 to 100.
MOST_WEIGHT = 100


@dataclass(frozen=True, slots=True)
class NodePoolShape:
    """The machines of one node pool. `accelerator` is empty in a pool without GPUs.

    `initial_nodes` are those of a new pool; after that the autoscaler decides, between min and max, where a cloud brings one. With a
    `reservation` they come from there and from nowhere else.
    """

    name: str
    machine_type: str
    capacity_type: CapacityType
    min_nodes: int
    max_nodes: int
    initial_nodes: int
    disk_gib: int
    accelerator: str = ""
    accelerator_count: int = 0
    taints: tuple[Taint, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict[str, str])
    reservation: Reservation | None = None


def pool_labels(pool: str) -> dict[str, str]:
    """The label by which a model's pods find a pool. The name of a pool may hold that of a reservation, and be too long for one."""
    return {POOL_LABEL: fit(pool, LABEL_VALUE_LIMIT)}


def pools_by_rank(pools: Sequence[str]) -> NodeAffinityArgsDict:
    """Pods run in these pools and in no other, in the first that has room. Each counts twice as much as the next; the last needs no
    weight, and gets none.

    It orders the nodes that are there. Which pool gets a further node when none has room, the cluster's autoscaler decides: GKE's takes
    the cheapest.
    """
    preferred: list[PreferredSchedulingTermArgsDict] = [
        {"weight": max(MOST_WEIGHT >> rank, 1), "preference": _in_pools(pool)} for rank, pool in enumerate(pools[:-1])
    ]
    return {
        "required_during_scheduling_ignored_during_execution": {"node_selector_terms": [_in_pools(*pools)]},
        "preferred_during_scheduling_ignored_during_execution": preferred,
    }


def _in_pools(*pools: str) -> NodeSelectorTermArgsDict:
    values = [pool_labels(pool)[POOL_LABEL] for pool in pools]
    return {"match_expressions": [{"key": POOL_LABEL, "operator": "In", "values": values}]}


def tolerated(offer: Offer) -> tuple[Taint, ...]:
    """The taints of machines that keep Pods off them: those of its models need a toleration for each."""
    if offer.accelerator_count:
        return (GPU_TAINT,)
    return (ARM_TAINT,) if offer.architecture == "arm64" else ()


def model_pool_shape(pool: Pool, initial_nodes: int) -> NodePoolShape:
    """A pool for models. With GPUs, only Pods with the GPU toleration may use it; without, others go elsewhere while there is room."""
    return NodePoolShape(
        name=pool.name,
        machine_type=pool.machine_type,
        capacity_type=pool.capacity_type,
        min_nodes=pool.min_nodes,
        max_nodes=pool.max_nodes,
        initial_nodes=min(max(initial_nodes, pool.min_nodes), pool.max_nodes),
        disk_gib=pool.disk_gib,
        accelerator=pool.accelerator,
        accelerator_count=pool.share.count,
        taints=(GPU_TAINT if pool.accelerator else MODELS_TAINT,),
        labels={
            **pool_labels(pool.name),
            **({ACCELERATOR_LABEL: pool.accelerator} if pool.accelerator else {}),
            CAPACITY_LABEL: pool.capacity_type,
        },
        reservation=pool.reservation,
    )


def system_pool_shape(machine_type: str, nodes: int) -> NodePoolShape:
    """The pool for DNS, metrics and controllers: on-demand, so that a spot wave leaves the cluster's own parts running."""
    return NodePoolShape(
        name=SYSTEM_POOL,
        machine_type=machine_type,
        capacity_type="on-demand",
        min_nodes=nodes,
        max_nodes=SYSTEM_GROWTH * nodes,
        initial_nodes=nodes,
        disk_gib=50,
        labels={**pool_labels(SYSTEM_POOL), CAPACITY_LABEL: "on-demand"},
    )
