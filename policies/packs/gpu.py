"""GPUs: asked for exactly, kept for those that need them, bounded in number and kind."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from policies.checks import (
    HIGH,
    MEDIUM,
    Policy,
    Report,
    Resource,
    Setting,
    Stack,
    at,
    matches,
    number,
    resource_check,
    shown,
    stack_check,
    texts,
)
from policies.clusters import AUTOSCALERS, Cluster, clusters, most_replicas, whole
from policies.pods import (
    PODS,
    Container,
    each_container,
    gpus,
    listed,
    mapping,
    number_of,
    pod_spec,
)
from policies.pools import (
    GPU_RESOURCES,
    GPU_TAINTS,
    KARPENTER_POOL,
    POOLS,
    admits,
    gpus_per_node,
    is_gpu_karpenter_pool,
    is_spot,
    least_nodes,
    machine_types,
    most_nodes,
    pool_taints,
    pools_of,
    region_of,
)
from policies.references import documented

GPU_PAGE = "https://kubernetes.io/docs/tasks/manage-gpus/scheduling-gpus/"
TAINTS_PAGE = "https://kubernetes.io/docs/concepts/scheduling-eviction/taint-and-toleration/"
SPOT_PAGE = "https://aws.github.io/aws-eks-best-practices/cost_optimization/cost_opt_compute/"
AUTOSCALING_PAGE = "https://cloud.google.com/kubernetes-engine/docs/concepts/cluster-autoscaler"
TAGS = ("gpu",)
MACHINES = (
    *POOLS,
    "aws:ec2/instance:Instance",
    "aws:ec2/launchTemplate:LaunchTemplate",
    "gcp:compute/instance:Instance",
    "gcp:compute/instanceTemplate:InstanceTemplate",
    "gcp:container/cluster:Cluster",
)


def _exact(container: Container) -> Iterable[str]:
    requests = mapping(at(container.props, "resources", "requests"))
    limits = mapping(at(container.props, "resources", "limits"))
    for name in gpus(container.props, GPU_RESOURCES):
        limit, request = limits.get(name), requests.get(name)
        if limit is None:
            yield f"asks for {shown(request)} {name} without a limit, which Kubernetes refuses"
        elif request is not None and number_of(request) != number_of(limit):
            yield f"asks for {shown(request)} {name} and may have {shown(limit)}: GPUs cannot be shared so"
        elif not number_of(limit).is_integer():
            yield f"asks for {shown(limit)} {name}: GPUs come whole"


def _at_home(resource: Resource, report: Report) -> None:
    spec = pod_spec(resource)
    if not asks_for_gpus(resource):
        return
    with report.guard():
        if not any(_tolerates(each) for each in listed(spec, "tolerations")):
            report(
                f"the Pod asks for GPUs and tolerates no taint {' or '.join(GPU_TAINTS)}: no GPU node takes it"
            )
    with report.guard():
        affinity = at(spec, "affinity", "nodeAffinity", "requiredDuringSchedulingIgnoredDuringExecution")
        if not mapping(at(spec, "nodeSelector")) and affinity is None:
            report("the Pod asks for GPUs and selects no nodes: it may land on any kind of GPU")


def _tolerates(toleration: Any) -> bool:
    key, effect = at(toleration, "key"), at(toleration, "effect")
    if effect not in (None, "", "NoSchedule"):
        return False
    return key in GPU_TAINTS or (key in (None, "") and at(toleration, "operator") == "Exists")


def asks_for_gpus(resource: Resource) -> bool:
    """Whether any container of a Pod asks for a GPU."""
    spec = pod_spec(resource)
    return any(
        gpus(each, GPU_RESOURCES) for key in ("containers", "initContainers") for each in listed(spec, key)
    )


def gpus_per_pod(resource: Resource) -> int:
    """The GPUs that one Pod holds: those of its containers together."""
    return sum(
        int(number_of(amount))
        for each in listed(pod_spec(resource), "containers")
        for amount in gpus(each, GPU_RESOURCES).values()
    )


def _tainted(pool: Resource, report: Report) -> None:
    with_gpus = is_gpu_karpenter_pool(pool) if pool.is_(KARPENTER_POOL) else gpus_per_node(pool) > 0
    if with_gpus and not any(
        key in GPU_TAINTS and effect in ("NoSchedule", "NoExecute") for key, effect in pool_taints(pool)
    ):
        report(f"nodes with GPUs take Pods that need none: no taint {GPU_TAINTS[0]} with NoSchedule")


def _bounded(pool: Resource, report: Report) -> None:
    most = int(pool.config["maxGpus"])
    if pool.is_(KARPENTER_POOL):
        limits = mapping(at(pool.props, "spec", "limits"))
        limit = next((limits[each] for each in GPU_TAINTS if each in limits), None)
        if not is_gpu_karpenter_pool(pool):
            return
        if limit is None:
            report("nothing bounds its GPUs: spec.limits names none")
        elif number_of(limit) > most:
            report(f"it may grow to {shown(limit)} GPUs; the limit is {most}")
        return
    each = gpus_per_node(pool)
    nodes = most_nodes(pool) if each else 0
    if nodes is None:
        report("nothing bounds its nodes")
    elif each * nodes > most:
        report(f"it may grow to {each * nodes} GPUs ({nodes} nodes of {each}); the limit is {most}")


def _allowed_machine(resource: Resource, report: Report) -> None:
    allowed = tuple(resource.config["machineTypes"])
    for each in machine_types(resource):
        if not matches(each, allowed):
            report(f"{each} is not one of the machine types allowed: {', '.join(allowed)}")


def _fits_quota(stack: Stack, report: Report) -> None:
    for cluster in clusters(stack):
        with report.guard():
            _replicas_fit(stack, cluster, report)
    for place, quota in dict(stack.config["gpuQuota"]).items():
        with report.guard():
            pools = [each for each in stack.of(*POOLS) if region_of(each) == place and gpus_per_node(each)]
            wanted = sum(gpus_per_node(each) * (most_nodes(each) or 0) for each in pools)
            if wanted > quota:
                report(f"the pools in {place} may grow to {wanted} GPUs; the quota there is {shown(quota)}")


def _replicas_fit(stack: Stack, cluster: Cluster, report: Report) -> None:
    """For each set of pools that some workload may use: what can only go there must fit there."""
    wanted: dict[frozenset[str], int] = {}
    pools = {each.urn: each for each in pools_of(stack, cluster.objects[0].provider) if gpus_per_node(each)}
    last: dict[frozenset[str], Resource] = {}
    for workload in cluster.workloads:
        each = gpus_per_pod(workload)
        if not each or not pools:
            continue
        homes = frozenset(
            urn
            for urn, pool in pools.items()
            if gpus_per_node(pool) >= each and admits(pool, pod_spec(workload))
        )
        if not homes:
            report(
                f"{workload.name} asks for {each} GPUs a Pod, and no pool of its cluster takes it",
                workload.urn,
            )
            continue
        wanted[homes] = wanted.get(homes, 0) + each * most_replicas(workload, cluster)
        last[homes] = workload
    for homes in wanted:
        room = [(gpus_per_node(pools[urn]), most_nodes(pools[urn])) for urn in homes]
        if any(nodes is None for _, nodes in room):
            continue
        have = sum(each * (nodes or 0) for each, nodes in room)
        want = sum(amount for others, amount in wanted.items() if others <= homes)
        if want > have:
            names = ", ".join(sorted(pools[urn].name for urn in homes))
            report(f"models on {names} may grow to {want} GPUs, and there can be {have}", last[homes].urn)


def _fallback(stack: Stack, report: Report) -> None:
    for cluster in clusters(stack):
        with report.guard():
            pools = [each for each in pools_of(stack, cluster.objects[0].provider) if gpus_per_node(each)]
            for workload in cluster.workloads:
                if not asks_for_gpus(workload):
                    continue
                spec = pod_spec(workload)
                homes = [each for each in pools if admits(each, spec)]
                pinned = at(spec, "nodeSelector", "karpenter.sh/capacity-type") == "spot"
                if pinned or (homes and all(is_spot(each) for each in homes)):
                    names = ", ".join(sorted(each.name for each in homes)) or "spot nodes"
                    report(
                        f"{workload.name} runs on {names} only: when spot is gone it has nowhere to go",
                        workload.urn,
                    )


def _sleeps(resource: Resource, report: Report) -> None:
    if resource.is_(*POOLS):
        if gpus_per_node(resource) and least_nodes(resource):
            report(f"GPU nodes it keeps when nobody asks: {least_nodes(resource)}")
        return
    if resource.config["label"] not in mapping(at(resource.props, "metadata", "labels")):
        return
    if resource.is_("kubernetes:keda.sh/*"):
        least = whole(at(resource.props, "spec", "minReplicaCount"), 0)
        asleep = at(resource.props, "spec", "idleReplicaCount")
        if least > 0 and asleep != 0:
            report(f"replicas it keeps when nobody asks: {least}")
        return
    least = whole(at(resource.props, "spec", "minReplicas"), 1)
    if least > 0:
        report(f"replicas it keeps when nobody asks: {least}")


ALLOWED_MACHINES = [
    *("c7i.*", "m6i.*", "m7a.*", "m7g.*", "m7i.*", "r7i.*"),
    *("g4dn.*", "g5.*", "g6.*", "g6e.*", "gr6.*", "p4d.*", "p4de.*", "p5.*", "p5e.*", "p5en.*", "p6-b200.*"),
    *("c3-*", "e2-*", "n1-*", "n2-*", "n2d-*"),
    *("g2-standard-*", "a2-*", "a3-*", "a4-*"),
]

POLICIES: tuple[Policy, ...] = (
    resource_check(
        "gpu-limit-equals-request",
        "GPUs are asked for whole, and limits equal requests.",
        types=PODS,
        severity=HIGH,
        check=each_container(_exact),
        steps="Set resources.limits for the GPU to a whole number, and the request to the same or leave it out.",
        reference=documented("Kubernetes documentation", "Schedule GPUs", "Using device plugins", GPU_PAGE),
        tags=TAGS,
    ),
    resource_check(
        "gpu-toleration-and-selector",
        "Pods with GPUs find their nodes, and no others.",
        types=PODS,
        severity=HIGH,
        check=_at_home,
        steps="Tolerate the taint nvidia.com/gpu, and select the pool by a label of its nodes.",
        reference=documented(
            "Kubernetes documentation", "Taints and tolerations", "Nodes with special hardware", TAINTS_PAGE
        ),
        tags=TAGS,
    ),
    resource_check(
        "pool-tainted",
        "Nodes with GPUs are kept for Pods that need them.",
        types=(*POOLS, KARPENTER_POOL),
        severity=HIGH,
        check=_tainted,
        steps="Taint the pool nvidia.com/gpu=present:NoSchedule (NO_SCHEDULE in the clouds' own spelling).",
        reference=documented(
            "Kubernetes documentation", "Taints and tolerations", "Nodes with special hardware", TAINTS_PAGE
        ),
        tags=TAGS,
    ),
    resource_check(
        "pool-gpu-limit",
        "A pool cannot grow to more GPUs than was agreed.",
        types=(*POOLS, KARPENTER_POOL),
        severity=HIGH,
        check=_bounded,
        steps="Lower the pool's maximum, or agree on a higher maxGpus in the configuration of this policy.",
        reference=documented(
            "GKE documentation", "Cluster autoscaler", "Minimum and maximum node pool size", AUTOSCALING_PAGE
        ),
        config={"maxGpus": number(32, "The most GPUs of one pool, over all its nodes.")},
        tags=(*TAGS, "cost"),
    ),
    resource_check(
        "sku-allowlist",
        "Machines are of types that were agreed.",
        types=MACHINES,
        severity=HIGH,
        check=_allowed_machine,
        steps="Choose a machine type of the list, or add one to machineTypes in the configuration of this policy.",
        reference=documented(
            "AWS Well-Architected Framework",
            "COST02-BP01",
            "Develop policies based on your organization requirements",
            "https://docs.aws.amazon.com/wellarchitected/latest/cost-optimization-pillar/cost_govern_usage_policies.html",
        ),
        config={"machineTypes": texts(ALLOWED_MACHINES, "Machine types; * for anything.")},
        tags=(*TAGS, "cost"),
    ),
    stack_check(
        "max-replicas-fit-quota",
        "Models can grow to their most replicas on the GPUs there may be.",
        severity=HIGH,
        check=_fits_quota,
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
        tags=TAGS,
    ),
    stack_check(
        "spot-has-fallback",
        "Models on spot nodes have somewhere to go.",
        severity=MEDIUM,
        check=_fallback,
        steps="Let the Pods' node affinity prefer spot and allow an on-demand pool as well, or place the model on demand.",
        reference=documented("Amazon EKS best practices", "Cost optimization", "Spot capacity", SPOT_PAGE),
        tags=(*TAGS, "reliability"),
    ),
    resource_check(
        "scale-to-zero-outside-production",
        "Outside production GPUs are given back when nobody asks.",
        types=(*POOLS, *AUTOSCALERS),
        severity=MEDIUM,
        check=_sleeps,
        steps="Let the pool's least size be 0, and scale the model with a ScaledObject whose minReplicaCount is 0. In production switch "
        "this policy off.",
        reference=documented(
            "KEDA documentation",
            "ScaledObject specification",
            "minReplicaCount",
            "https://keda.sh/docs/latest/reference/scaledobject-spec/",
        ),
        config={
            "label": Setting(
                "model", {"type": "string"}, "The label by which an autoscaler is known to be a model's."
            )
        },
        tags=(*TAGS, "cost"),
    ),
)
