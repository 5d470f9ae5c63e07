"""GPUs: asked for exactly, kept for those that need them, bounded in number and kind."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from model_factory.facts.machines import families
from model_factory.graph.accelerators import TAINTS
from model_factory.graph.autoscalers import AUTOSCALERS, autoscaler
from model_factory.graph.clusters import GKE_CLUSTER, Cluster, clusters_of
from model_factory.graph.declared import matches
from model_factory.graph.machines import machine_types
from model_factory.graph.pods import (
    PODS,
    SERVERS,
    accelerators_of,
    asks_for_gpus,
    count_of,
    gpus_per_pod,
    pod_spec,
    serves_model,
)
from model_factory.graph.pools import POOLS, KarpenterPool, NodePool, keeps_others_away, names_nodes, node_pool
from model_factory.graph.values import at, listed, mapping
from policies.authoring.checks import HIGH, MEDIUM, Setting, number, texts
from policies.authoring.clouds import INSTANCE, LAUNCH_TEMPLATE
from policies.authoring.containers import Container
from policies.authoring.references import documented
from policies.authoring.resources import Report, Resource, Stack, shown
from policies.authoring.theme import Theme

theme = Theme("gpu")

GPU_PAGE = "https://kubernetes.io/docs/tasks/manage-gpus/scheduling-gpus/"
TAINTS_PAGE = "https://kubernetes.io/docs/concepts/scheduling-eviction/taint-and-toleration/"
SPOT_PAGE = "https://aws.github.io/aws-eks-best-practices/cost_optimization/cost_opt_compute/"
AUTOSCALING_PAGE = "https://cloud.google.com/kubernetes-engine/docs/concepts/cluster-autoscaler"
MACHINES = (
    *POOLS,
    INSTANCE,
    LAUNCH_TEMPLATE,
    "gcp:compute/instance:Instance",
    "gcp:compute/instanceTemplate:InstanceTemplate",
    GKE_CLUSTER,
)


@theme.container(
    types=PODS,
    severity=HIGH,
    steps="Set resources.limits for the GPU to a whole number, and the request to the same or leave it out.",
    reference=documented("Kubernetes documentation", "Schedule GPUs", "Using device plugins", GPU_PAGE),
)
def gpu_limit_equals_request(container: Container) -> Iterable[str]:
    """GPUs are asked for whole, and limits equal requests."""
    requests = mapping(at(container.props, "resources", "requests"))
    limits = mapping(at(container.props, "resources", "limits"))
    for name in accelerators_of(container.props):
        limit, request = limits.get(name), requests.get(name)
        if limit is None:
            yield f"asks for {shown(request)} {name} without a limit, which Kubernetes refuses"
        elif request is not None and count_of(request) != count_of(limit):
            yield f"asks for {shown(request)} {name} and may have {shown(limit)}: GPUs cannot be shared so"
        elif count_of(limit) % 1:
            yield f"asks for {shown(limit)} {name}: GPUs come whole"


@theme.resource(
    types=PODS,
    severity=HIGH,
    steps="Select the pool by a label of its nodes. Tolerate the taint nvidia.com/gpu where the Pod asks for GPUs, and nowhere else.",
    reference=documented(
        "Kubernetes documentation", "Taints and tolerations", "Nodes with special hardware", TAINTS_PAGE
    ),
)
def gpu_toleration_and_selector(resource: Resource, report: Report) -> None:
    """Models find their nodes, and no others; what needs no GPUs leaves theirs alone."""
    spec = pod_spec(resource)
    if not asks_for_gpus(resource):
        _stays_off_gpus(resource, report)
        return
    with report.guard():
        if not any(_tolerates(each) for each in listed(at(spec, "tolerations"))):
            report(f"the Pod asks for GPUs and tolerates no taint {' or '.join(TAINTS)}: no GPU node takes it")
    with report.guard():
        affinity = at(spec, "affinity", "nodeAffinity", "requiredDuringSchedulingIgnoredDuringExecution")
        if not mapping(at(spec, "nodeSelector")) and affinity is None:
            report("the Pod asks for GPUs and selects no nodes: it may land on any kind of GPU")


def _stays_off_gpus(resource: Resource, report: Report) -> None:
    spec = pod_spec(resource)
    if not resource.is_(*SERVERS):
        return
    with report.guard():
        tolerated = [str(key) for each in listed(at(spec, "tolerations")) if (key := at(each, "key")) in TAINTS]
        if tolerated:
            report(f"the Pod asks for no GPUs and tolerates {tolerated[0]}: it may take the room of one that does")
    with report.guard():
        if serves_model(resource) and not names_nodes(spec):
            report("the Pod serves a model and selects no nodes: it may land among the cluster's own parts")


def _tolerates(toleration: Any) -> bool:
    key, effect = at(toleration, "key"), at(toleration, "effect")
    if effect not in (None, "", "NoSchedule"):
        return False
    return key in TAINTS or (key in (None, "") and at(toleration, "operator") == "Exists")


@theme.resource(
    types=(*POOLS, KarpenterPool.type),
    severity=HIGH,
    steps="Taint the pool nvidia.com/gpu=present:NoSchedule (NO_SCHEDULE in the clouds' own spelling).",
    reference=documented(
        "Kubernetes documentation", "Taints and tolerations", "Nodes with special hardware", TAINTS_PAGE
    ),
)
def pool_tainted(resource: Resource, report: Report) -> None:
    """Nodes with GPUs are kept for Pods that need them."""
    pool = node_pool(resource)
    if pool is None:
        karpenter = KarpenterPool(resource)
        has_gpus, taints = karpenter.may_have_gpus, karpenter.taints
    else:
        has_gpus, taints = pool.gpus_per_node > 0, pool.taints
    if has_gpus and not keeps_others_away(taints):
        report(f"nodes with GPUs take Pods that need none: no taint {TAINTS[0]} with NoSchedule")


@theme.resource(
    types=(*POOLS, KarpenterPool.type),
    severity=HIGH,
    steps="Lower the pool's maximum, or agree on a higher maxGpus in the configuration of this policy.",
    reference=documented(
        "GKE documentation", "Cluster autoscaler", "Minimum and maximum node pool size", AUTOSCALING_PAGE
    ),
    config={"maxGpus": number(32, "The most GPUs of one pool, over all its nodes.")},
    tags=("cost",),
)
def pool_gpu_limit(resource: Resource, report: Report) -> None:
    """A pool cannot grow to more GPUs than was agreed."""
    limit, pool = int(resource.config["maxGpus"]), node_pool(resource)
    if pool is None:
        karpenter = KarpenterPool(resource)
        if not karpenter.may_have_gpus:
            return
        most = karpenter.most_gpus
        if most is None:
            report("nothing bounds its GPUs: spec.limits names none")
        elif most > limit:
            report(f"it may grow to {shown(karpenter.gpu_limit)} GPUs; the limit is {limit}")
        return
    each = pool.gpus_per_node
    nodes = pool.most_nodes if each else 0
    if nodes is None:
        report("nothing bounds its nodes")
    elif each * nodes > limit:
        report(f"it may grow to {each * nodes} GPUs ({nodes} nodes of {each}); the limit is {limit}")


@theme.resource(
    types=MACHINES,
    severity=HIGH,
    steps="Choose a machine type of the list, or add one to machineTypes in the configuration of this policy.",
    reference=documented(
        "AWS Well-Architected Framework",
        "COST02-BP01",
        "Develop policies based on your organization requirements",
        "https://docs.aws.amazon.com/wellarchitected/latest/cost-optimization-pillar/cost_govern_usage_policies.html",
    ),
    config={"machineTypes": texts(families(), "Machine types; * for anything.")},
    tags=("cost",),
)
def sku_allowlist(resource: Resource, report: Report) -> None:
    """Machines are of types that were agreed."""
    allowed = tuple(resource.config["machineTypes"])
    for each in machine_types(resource):
        if not matches(each, allowed):
            report(f"{each} is not one of the machine types allowed: {', '.join(allowed)}")


@theme.stack(
    severity=HIGH,
    steps="Raise the pool's maximum (and the cloud's quota), or lower the models' most replicas.",
    reference=documented(
        "AWS Well-Architected Framework",
        "REL01-BP01",
        "Aware of service quotas and constraints",
        "https://docs.aws.amazon.com/wellarchitected/latest/reliability-pillar/rel_manage_service_limits_aware_quotas_and_constraints.html",
    ),
    config={
        "gpuQuota": Setting(
            {},
            {"type": "object", "additionalProperties": {"type": "number", "minimum": 0}},
            "GPUs that the clouds grant, by cloud and region: {aws/us-east-1: 16}. Places that are not named are not judged.",
        )
    },
)
def max_replicas_fit_quota(stack: Stack, report: Report) -> None:
    """Models can grow to their most replicas on the GPUs there may be. Pools that stand in for each other are not counted twice."""
    clusters = clusters_of(stack.resources)
    for cluster in clusters:
        with report.guard():
            _replicas_fit(cluster, report)
    pools = [pool for each in stack.resources if (pool := node_pool(each)) is not None]
    for place, quota in dict(stack.config["gpuQuota"]).items():
        with report.guard():
            here = [
                each for each in pools if f"{each.cloud}/{each.region or 'default'}" == place and each.gpus_per_node
            ]
            wanted = _gpus_at_once(here, clusters)
            if wanted > quota:
                report(f"the pools in {place} may grow to {shown(wanted)} GPUs; the quota there is {shown(quota)}")


def _homes(cluster: Cluster[Resource]) -> Iterable[tuple[Resource, Decimal, frozenset[str]]]:
    """Each workload with GPUs, how many one of its Pods holds, and the pools that take it."""
    pools = {each.resource.urn: each for each in cluster.pools if each.gpus_per_node}
    for workload in cluster.workloads if pools else ():
        if each := gpus_per_pod(workload):
            spec = pod_spec(workload)
            fits = (urn for urn, pool in pools.items() if pool.gpus_per_node >= each and pool.admits(spec))
            yield workload, each, frozenset(fits)


def _gpus_at_once(pools: Iterable[NodePool], clusters: Iterable[Cluster[Resource]]) -> Decimal:
    """The GPUs that pools may have at the same time. Pools that a workload may choose among have together what may run there, or what
    the largest of them has, which counts whole nodes; never more than all of them."""
    room = {each.resource.urn: Decimal(each.gpus_per_node * (each.most_nodes or 0)) for each in pools}
    groups = [(frozenset((urn,)), Decimal(0)) for urn in room]
    for cluster in clusters:
        for workload, each, homes in _homes(cluster):
            linked = [group for group in groups if group[0] & homes]
            if linked:
                urns = frozenset[str]().union(*(urns for urns, _ in linked))
                wanted = sum((wanted for _, wanted in linked), each * cluster.most_replicas(workload))
                groups = [group for group in groups if group not in linked] + [(urns, wanted)]
    return sum((_room(wanted, [room[urn] for urn in urns]) for urns, wanted in groups), Decimal(0))


def _room(wanted: Decimal, pools: list[Decimal]) -> Decimal:
    return min(sum(pools, Decimal(0)), max(wanted, *pools))


def _replicas_fit(cluster: Cluster[Resource], report: Report) -> None:
    """For each set of pools that some workload may use: what can only go there must fit there."""
    wanted: dict[frozenset[str], Decimal] = {}
    pools = {each.resource.urn: each for each in cluster.pools if each.gpus_per_node}
    last: dict[frozenset[str], Resource] = {}
    for workload, each, homes in _homes(cluster):
        if not homes:
            report(
                f"{workload.name} asks for {shown(each)} GPUs a Pod, and no pool of its cluster takes it",
                workload.urn,
            )
            continue
        wanted[homes] = wanted.get(homes, Decimal(0)) + each * cluster.most_replicas(workload)
        last[homes] = workload
    for homes in wanted:
        room = [(pools[urn].gpus_per_node, pools[urn].most_nodes) for urn in homes]
        if any(nodes is None for _, nodes in room):
            continue
        have = sum(each * (nodes or 0) for each, nodes in room)
        want = sum(amount for others, amount in wanted.items() if others <= homes)
        if want > have:
            names = ", ".join(sorted(pools[urn].resource.name for urn in homes))
            report(f"models on {names} may grow to {shown(want)} GPUs, and there can be {have}", last[homes].urn)


@theme.cluster(
    severity=MEDIUM,
    steps="Let the Pods' node affinity prefer spot and allow an on-demand pool as well, or place the model on demand.",
    reference=documented("Amazon EKS best practices", "Cost optimization", "Spot capacity", SPOT_PAGE),
    tags=("reliability",),
)
def spot_has_fallback(cluster: Cluster[Resource], _config: Mapping[str, Any], report: Report) -> None:
    """Models on spot nodes have somewhere to go."""
    for workload in cluster.workloads:
        spec = pod_spec(workload)
        with_gpus = asks_for_gpus(workload)
        if not with_gpus and not (serves_model(workload) and names_nodes(spec)):
            continue
        homes = [each for each in cluster.pools if (each.gpus_per_node > 0) == with_gpus and each.admits(spec)]
        pinned = at(spec, "nodeSelector", "karpenter.sh/capacity-type") == "spot"
        if pinned or (homes and all(each.is_spot for each in homes)):
            names = ", ".join(sorted(each.resource.name for each in homes)) or "spot nodes"
            report(f"{workload.name} runs on {names} only: when spot is gone it has nowhere to go", workload.urn)


@theme.resource(
    types=(*POOLS, *AUTOSCALERS),
    severity=MEDIUM,
    steps="Models of a stack file keep a replica, as the stack brings nothing yet that wakes one: exempt by name in policies/config "
    "what is to stay up, and destroy the stack when nobody needs it. In a program of your own let the pool's least size be 0, and scale "
    "the model with a ScaledObject whose minReplicaCount is 0. In production switch this policy off.",
    reference=documented(
        "KEDA documentation",
        "ScaledObject specification",
        "minReplicaCount",
        "https://keda.sh/docs/latest/reference/scaledobject-spec/",
    ),
    config={
        "label": Setting("model", {"type": "string"}, "The label by which an autoscaler is known to be a model's.")
    },
    tags=("cost",),
)
def scale_to_zero_outside_production(resource: Resource, report: Report) -> None:
    """Outside production GPUs are given back when nobody asks."""
    pool, scaler = node_pool(resource), autoscaler(resource)
    if pool is not None and pool.gpus_per_node and pool.least_nodes:
        report(f"GPU nodes it keeps when nobody asks: {pool.least_nodes}")
    is_models = resource.config["label"] in mapping(at(resource.props, "metadata", "labels"))
    if scaler is not None and is_models and scaler.idle:
        report(f"replicas it keeps when nobody asks: {scaler.idle}")
