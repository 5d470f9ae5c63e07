"""Node pools of a graph: what their nodes are, how many there are at rest and at peak, and which models hold their GPUs.

At rest every model runs its least replicas and at peak its most; a pool has the nodes that hold them, packed as `nodes_of` packs a
plan, between the pool's own least and most. A pool without GPUs is not followed pod by pod: it has its least and its most nodes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_DOWN, Decimal
from typing import Any, Final, Literal

from model_factory.cost.packing import packed
from model_factory.cost.values import IDLE, SHARED, Place, Share, Span
from model_factory.facts.offer import CapacityType
from model_factory.facts.prices import MACHINE, PriceTable
from model_factory.graph.graph import NODE_POOLS, Graph, labels_of
from model_factory.graph.quantity import amount
from model_factory.graph.resource import Resource
from model_factory.graph.values import at, listed, mapping, number, text
from model_factory.planning.placing.fit import allocatable

WORKLOADS: Final = ("kubernetes:apps/v1:Deployment", "kubernetes:apps/v1:StatefulSet")
AUTOSCALERS: Final = (
    "kubernetes:autoscaling/v2:HorizontalPodAutoscaler",
    "kubernetes:autoscaling/v1:HorizontalPodAutoscaler",
)
GPU: Final = "nvidia.com/gpu"
_GIB: Final = Decimal(2) ** 30
_STEP: Final = Decimal("0.00000001")


@dataclass(frozen=True, slots=True)
class Disk:
    """A volume that every node of a pool has."""

    type: str
    gib: Decimal


@dataclass(frozen=True, slots=True)
class Workload:
    """Replicas of one model in one cluster, and what one of them asks for."""

    resource: Resource
    model: str
    selector: Mapping[str, str]
    gpus: Decimal
    cpu: Decimal
    memory_gib: Decimal
    replicas: Span


@dataclass(frozen=True, slots=True)
class NodePool:
    """One pool with the models placed on it. `problems` are worth showing: something the figures cannot follow."""

    resource: Resource
    cloud: Place
    region: str
    machine_type: str
    capacity_type: CapacityType
    nodes: Span
    gpus_per_node: int
    disks: tuple[Disk, ...]
    held: Mapping[str, Span]
    """GPUs that each model holds; empty in a pool without GPUs."""
    problems: tuple[str, ...] = ()

    @property
    def item(self) -> str:
        """Its machine in the price table."""
        return MACHINE + self.machine_type

    @property
    def gpus(self) -> Span:
        """All its GPUs, held or idle."""
        return self.nodes * self.gpus_per_node

    def split(self, usd_per_hour: Span) -> tuple[Share, ...]:
        """What each model pays of an amount that the pool's nodes cost, by the GPUs it holds, and what idle GPUs cost.

        Without GPUs all is shared. The parts add up exactly.
        """
        if not self.gpus_per_node:
            return (Share(SHARED, usd_per_hour),)
        parts = {
            model: Share(model, _part(usd_per_hour, gpus, self.gpus), gpus)
            for model, gpus in sorted(self.held.items())
            if gpus
        }
        rest, idle = usd_per_hour, self.gpus
        for share in parts.values():
            rest -= share.usd_per_hour
            idle -= share.gpus
        if idle or not parts:
            parts[IDLE] = Share(IDLE, rest, idle)
        else:
            # What rounding down left over, so that the parts add up.
            largest = max(parts.values(), key=lambda share: (share.gpus.peak, share.owner))
            parts[largest.owner] = Share(largest.owner, largest.usd_per_hour + rest, largest.gpus)
        return tuple(parts.values())


def pools_of(graph: Graph, prices: PriceTable) -> tuple[list[NodePool], list[tuple[Resource, str]]]:
    """The pools of the graph, and the workloads with GPUs that no pool of it takes, with the reason."""
    resources = graph.of_type(*NODE_POOLS)
    placed, lost = _placed(graph, resources)
    return [_pool(graph, resource, placed.get(resource.urn, []), prices) for resource in resources], lost


def workloads_of(graph: Graph) -> list[Workload]:
    """The Deployments and StatefulSets whose pods ask for GPUs."""
    found: list[Workload] = []
    for resource in graph.of_type(*WORKLOADS):
        pod = mapping(resource.at("spec", "template", "spec"))
        requests = [mapping(at(each, "resources", "requests")) for each in listed(pod.get("containers"))]
        limits = [mapping(at(each, "resources", "limits")) for each in listed(pod.get("containers"))]
        gpus = sum((amount(each.get(GPU, 0)) for each in limits), Decimal(0)) or _sum(requests, GPU)
        if gpus <= 0:
            continue
        labels = mapping(resource.at("spec", "template", "metadata", "labels"))
        model = text(labels.get("model")) or text(labels.get("app.kubernetes.io/instance")) or resource.name
        found.append(
            Workload(
                resource,
                model,
                {
                    key: value
                    for key, value in mapping(pod.get("nodeSelector")).items()
                    if isinstance(value, str)
                },
                gpus,
                _sum(requests, "cpu"),
                _sum(requests, "memory") / _GIB,
                _replicas(graph, resource),
            )
        )
    return found


def _sum(requests: Sequence[Mapping[str, Any]], resource: str) -> Decimal:
    return sum((amount(each.get(resource, 0)) for each in requests), Decimal(0))


def _replicas(graph: Graph, workload: Resource) -> Span:
    """The autoscaler's bounds, or the fixed count; 1 where neither is written, as Kubernetes takes it."""
    name, namespace = workload.at("metadata", "name"), workload.at("metadata", "namespace")
    scalers = [
        each
        for each in graph.of_type(*AUTOSCALERS)
        if each.provider == workload.provider and each.at("metadata", "namespace") == namespace
    ]
    named = [each for each in scalers if name and text(each.at("spec", "scaleTargetRef", "name")) == name]
    # Names that the provider makes up are not known before the first `up`; the place in the tree is.
    chosen = named or [
        each for each in scalers if workload.parent and workload.parent in graph.ancestors(each)
    ]
    if len(chosen) == 1:
        least, most = number(chosen[0].at("spec", "minReplicas")), number(chosen[0].at("spec", "maxReplicas"))
        return Span(Decimal(1) if least is None else least, most or Decimal(1))
    fixed = number(workload.at("spec", "replicas"))
    return Span(Decimal(1), Decimal(1)) if fixed is None else Span(fixed, fixed)


def _placed(
    graph: Graph, pools: Sequence[Resource]
) -> tuple[dict[str, list[Workload]], list[tuple[Resource, str]]]:
    placed: dict[str, list[Workload]] = {}
    lost: list[tuple[Resource, str]] = []
    for workload in workloads_of(graph):
        fitting = [pool for pool in pools if _selected(workload.selector, labels_of(pool))]
        pool = graph.nearest(workload.resource, fitting)
        if pool is not None:
            placed.setdefault(pool.urn, []).append(workload)
        else:
            reason = (
                "several node pools of several clusters fit"
                if fitting
                else "no node pool has the labels it selects"
            )
            lost.append((workload.resource, reason))
    return placed, lost


def _selected(selector: Mapping[str, str], labels: Mapping[str, str]) -> bool:
    """Do the labels that a pool declares meet the selector? Labels that only the cloud sets are taken as met."""
    known = {key: value for key, value in selector.items() if key in labels}
    return bool(known) and all(labels[key] == value for key, value in known.items())


def _pool(graph: Graph, resource: Resource, members: Sequence[Workload], prices: PriceTable) -> NodePool:
    cloud: Place = "aws" if NODE_POOLS[resource.type] == "aws" else "gcp"
    region = graph.region_of(resource, cloud)
    machine = (
        text(resource.at("instanceTypes", 0))
        if cloud == "aws"
        else text(resource.at("nodeConfig", "machineType"))
    )
    offer = prices.machines.get((cloud, region, machine))
    bounds = _bounds(graph, resource, cloud)
    problems: list[str] = []
    if offer is None:
        gpus = int(number(resource.at("nodeConfig", "guestAccelerators", 0, "count")) or 0)
        nodes, held = bounds, dict[str, Span]()
        if members:
            problems.append(
                f"{len(members)} models run on {machine or 'machines'} of unknown size and price; nothing is charged to them"
            )
    else:
        gpus = offer.accelerator_count
        size = (Decimal(gpus), *allocatable(offer))
        wanted = Span(_packed(size, members, "idle"), _packed(size, members, "peak"))
        nodes = Span(
            min(max(wanted.idle, bounds.idle), bounds.peak), min(max(wanted.peak, bounds.idle), bounds.peak)
        )
        if wanted.peak > bounds.peak:
            problems.append(
                f"its models need {wanted.peak} nodes at peak, and it stops at {bounds.peak}; the figures stop there too"
            )
        held = _held(members, nodes * gpus)
    return NodePool(
        resource=resource,
        cloud=cloud,
        region=region,
        machine_type=machine,
        capacity_type=_capacity(resource, cloud),
        nodes=nodes,
        gpus_per_node=gpus,
        disks=_disks(graph, resource, cloud),
        held=held,
        problems=tuple(problems),
    )


def _packed(size: Sequence[Decimal], members: Sequence[Workload], when: Literal["idle", "peak"]) -> Decimal:
    needs = [
        ((each.gpus, each.cpu, each.memory_gib), each.model, int(getattr(each.replicas, when)))
        for each in members
    ]
    return Decimal(packed(size, needs))


def _held(members: Sequence[Workload], there: Span) -> dict[str, Span]:
    """GPUs by model: what its replicas ask for, scaled down where the pool cannot hold all of them."""
    asked: dict[str, Span] = {}
    for each in members:
        asked[each.model] = asked.get(each.model, Span()) + each.replicas * each.gpus
    total = sum(asked.values(), Span())
    return {
        model: Span(_scaled(gpus.idle, total.idle, there.idle), _scaled(gpus.peak, total.peak, there.peak))
        for model, gpus in asked.items()
    }


def _scaled(asked: Decimal, total: Decimal, there: Decimal) -> Decimal:
    return asked if total <= there else (asked * there / total).quantize(_STEP, ROUND_DOWN)


def _bounds(graph: Graph, resource: Resource, cloud: Place) -> Span:
    """Least and most nodes over all zones."""
    if cloud == "aws":
        least, most = (
            number(resource.at("scalingConfig", "minSize")),
            number(resource.at("scalingConfig", "maxSize")),
        )
        return Span(least or Decimal(0), most or Decimal(0))
    scaling = mapping(resource.at("autoscaling"))
    zones = _zones(graph, resource)
    if (most := number(scaling.get("totalMaxNodeCount"))) is not None:
        return Span(number(scaling.get("totalMinNodeCount")) or Decimal(0), most)
    if (most := number(scaling.get("maxNodeCount"))) is not None:
        return Span((number(scaling.get("minNodeCount")) or Decimal(0)) * zones, most * zones)
    fixed = number(resource.at("nodeCount"))
    count = (number(resource.at("initialNodeCount")) or Decimal(0)) if fixed is None else fixed
    return Span(count * zones, count * zones)


def _zones(graph: Graph, resource: Resource) -> int:
    """Zones that a GKE pool has nodes in. A regional one that names none has three, as Google Cloud chooses them."""
    named = listed(resource.at("nodeLocations"))
    place = text(resource.at("location"))
    return len(named) or (3 if place and place == graph.region_of(resource, "gcp") else 1)


def _capacity(resource: Resource, cloud: Place) -> CapacityType:
    if cloud == "aws":
        return "spot" if text(resource.at("capacityType")).upper() == "SPOT" else "on-demand"
    spot = resource.at("nodeConfig", "spot") is True or resource.at("nodeConfig", "preemptible") is True
    return "spot" if spot else "on-demand"


def _disks(graph: Graph, resource: Resource, cloud: Place) -> tuple[Disk, ...]:
    """Volumes that the graph declares. What a machine image brings by itself is not in the graph, and small."""
    if cloud == "gcp":
        gib = number(resource.at("nodeConfig", "diskSizeGb"))
        return (Disk(text(resource.at("nodeConfig", "diskType")) or "pd-balanced", gib),) if gib else ()
    template_type = "aws:ec2/launchTemplate:LaunchTemplate"
    template = graph.by_id.get((template_type, text(resource.at("launchTemplate", "id"))))
    if template is None and resource.at("launchTemplate") is not None:
        beside = graph.siblings(resource, template_type)
        template = beside[0] if len(beside) == 1 else None
    if template is None:
        gib = number(resource.at("diskSize"))
        return (Disk("gp3", gib),) if gib else ()
    volumes = [mapping(mapping(each).get("ebs")) for each in listed(template.at("blockDeviceMappings"))]
    return tuple(
        Disk(text(volume.get("volumeType")) or "gp2", number(volume.get("volumeSize")) or Decimal(0))
        for volume in volumes
        if number(volume.get("volumeSize"))
    )


def _part(usd: Span, held: Span, there: Span) -> Span:
    return Span(_money(usd.idle, held.idle, there.idle), _money(usd.peak, held.peak, there.peak))


def _money(usd: Decimal, held: Decimal, there: Decimal) -> Decimal:
    return (usd * held / there).quantize(_STEP, ROUND_DOWN) if there else Decimal(0)
