"""Node pools with GPUs, as EKS, GKE and Karpenter declare them: what is in a node, how many there may be, which Pods they take."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from policies.checks import Props, Resource, Stack, at
from policies.clusters import whole
from policies.pods import listed, mapping

EKS_POOL = "aws:eks/nodeGroup:NodeGroup"
GKE_POOL = "gcp:container/nodePool:NodePool"
KARPENTER_POOL = "kubernetes:karpenter.sh/*:NodePool"
POOLS = (EKS_POOL, GKE_POOL)
CLUSTERS = ("aws:eks/cluster:Cluster", "gcp:container/cluster:Cluster")
GPU_RESOURCES = ("nvidia.com/gpu", "nvidia.com/mig-*", "amd.com/gpu")
GPU_TAINTS = ("nvidia.com/gpu", "amd.com/gpu")
ZONES_OF_A_REGION = 3
# No machine of either cloud has more, but for two that are gone; a type that is not known is counted so.
MOST_GPUS = 8

_AWS_GPU = re.compile(r"(g[3-9]|gr\d|p[2-9])[a-z0-9-]*")
# Machines with more than one GPU, by family and size (aws.amazon.com/ec2/instance-types, accelerated computing).
_FOUR_EIGHT = {"12xlarge": 4, "24xlarge": 4, "48xlarge": 8}
_AWS_SEVERAL: Mapping[str, Mapping[str, int]] = {
    "g3": {"8xlarge": 2, "16xlarge": 4},
    "g4ad": {"8xlarge": 2, "16xlarge": 4},
    "g4dn": {"12xlarge": 4, "metal": 8},
    "g5": _FOUR_EIGHT,
    "g5g": {"16xlarge": 2, "metal": 2},
    "g6": _FOUR_EIGHT,
    "g6e": _FOUR_EIGHT,
    "g6f": {},
    "g7e": {"12xlarge": 2, "24xlarge": 4, "48xlarge": 8},
    "gr6": {},
    "gr6f": {},
    "p2": {"8xlarge": 8, "16xlarge": 16},
    "p3": {"8xlarge": 4, "16xlarge": 8},
    "p3dn": {"24xlarge": 8},
    "p4d": {"24xlarge": 8},
    "p4de": {"24xlarge": 8},
    "p5": {"48xlarge": 8},
    "p5e": {"48xlarge": 8},
    "p5en": {"48xlarge": 8},
    "p6-b200": {"48xlarge": 8},
    "p6-b300": {"48xlarge": 8},
    "p6e-gb200": {"36xlarge": 4},
}
# cloud.google.com/compute/docs/gpus
_GCP_COUNTED = re.compile(r"a\d+x?-[a-z]+-(\d+)g.*")
_GCP_SEVERAL: Mapping[str, Mapping[str, int]] = {
    "g2": {"24": 2, "48": 4, "96": 8},
    "g4": {"96": 2, "192": 4, "384": 8},
}
# Labels that clouds, kubelets and autoscalers write: what they say of a pool is not in its declaration.
_GIVEN_LABELS = re.compile(
    r"([a-z0-9.-]+\.)?(kubernetes\.io|k8s\.io|k8s\.aws|gke\.io|cloud\.google\.com|karpenter\.sh|amazonaws\.com|nvidia\.com)/.*"
)
_EFFECTS = {"NO_SCHEDULE": "NoSchedule", "NO_EXECUTE": "NoExecute", "PREFER_NO_SCHEDULE": "PreferNoSchedule"}


def gpus_of_machine(machine_type: str) -> int:
    """The GPUs in a machine of EC2 or Compute Engine; 0 for machines without. A type of a GPU family that is not known counts as 8."""
    if "." in machine_type:
        family, _, size = machine_type.partition(".")
        if not _AWS_GPU.fullmatch(family):
            return 0
        if family not in _AWS_SEVERAL:
            return MOST_GPUS
        return _AWS_SEVERAL[family].get(size, 1)
    counted = _GCP_COUNTED.fullmatch(machine_type)
    if counted:
        return int(counted[1])
    family, _, size = machine_type.partition("-")
    return _GCP_SEVERAL[family].get(size.rpartition("-")[2], 1) if family in _GCP_SEVERAL else 0


def machine_types(pool: Resource) -> list[str]:
    """The machine types a pool, template or instance names itself."""
    if pool.is_(EKS_POOL):
        return [str(each) for each in listed(pool.props, "instanceTypes")]
    keys = (("nodeConfig", "machineType"), ("machineType",), ("instanceType",))
    named = [at(pool.props, *key) for key in keys]
    return [str(each) for each in named if each]


def gpus_per_node(pool: Resource) -> int:
    """The most GPUs that one node of a pool has."""
    attached = [whole(at(each, "count"), 1) for each in listed(pool.props, "nodeConfig", "guestAccelerators")]
    counts = [gpus_of_machine(each) for each in machine_types(pool)]
    found = max([*attached, *counts], default=0)
    if not found and pool.is_(EKS_POOL) and re.search("NVIDIA|GPU", str(at(pool.props, "amiType"))):
        return MOST_GPUS
    return found


def pool_taints(pool: Resource) -> list[tuple[str, str]]:
    """A pool's taints as key and effect, the effect as Kubernetes spells it."""
    path = {True: ("taints",), False: ("nodeConfig", "taints")}[pool.is_(EKS_POOL)]
    if pool.is_(KARPENTER_POOL):
        path = ("spec", "template", "spec", "taints")
    return [
        (str(at(each, "key")), _EFFECTS.get(str(at(each, "effect")), str(at(each, "effect"))))
        for each in listed(pool.props, *path)
    ]


def pool_labels(pool: Resource) -> dict[str, str]:
    """The labels of a pool's nodes: those it declares, and those that the cloud adds and that follow from the declaration."""
    if pool.is_(EKS_POOL):
        declared = mapping(at(pool.props, "labels"))
        given = {"eks.amazonaws.com/capacityType": "SPOT" if is_spot(pool) else "ON_DEMAND"}
    else:
        declared = mapping(at(pool.props, "nodeConfig", "labels"))
        given = {"cloud.google.com/gke-spot": "true"} if is_spot(pool) else {}
        for each in listed(pool.props, "nodeConfig", "guestAccelerators"):
            given["cloud.google.com/gke-accelerator"] = str(at(each, "type"))
    return given | {str(key): str(declared[key]) for key in declared}


def is_spot(pool: Resource) -> bool:
    """Whether the cloud may take a pool's nodes back."""
    if pool.is_(EKS_POOL):
        return at(pool.props, "capacityType") == "SPOT"
    return at(pool.props, "nodeConfig", "spot") is True or at(pool.props, "nodeConfig", "preemptible") is True


def most_nodes(pool: Resource) -> int | None:
    """How many nodes a pool may grow to; None where nothing says."""
    if pool.is_(EKS_POOL):
        return _count(pool, "scalingConfig", "maxSize")
    total = _count(pool, "autoscaling", "totalMaxNodeCount")
    if total:
        return total
    a_zone = _count(pool, "autoscaling", "maxNodeCount") or _count(pool, "nodeCount")
    return a_zone * _zones(pool) if a_zone is not None else None


def least_nodes(pool: Resource) -> int:
    """How many nodes a pool always has."""
    if pool.is_(EKS_POOL):
        return _count(pool, "scalingConfig", "minSize") or 0
    if at(pool.props, "autoscaling") is None:
        return (_count(pool, "nodeCount") or _count(pool, "initialNodeCount") or 0) * _zones(pool)
    a_zone = _count(pool, "autoscaling", "minNodeCount") or 0
    return _count(pool, "autoscaling", "totalMinNodeCount") or a_zone * _zones(pool)


def region_of(pool: Resource) -> str:
    """A pool's cloud and region: aws/us-east-1."""
    if pool.is_(EKS_POOL):
        return f"aws/{at(pool.props, 'region') or 'default'}"
    return f"gcp/{'-'.join(str(at(pool.props, 'location') or 'default').split('-')[:2])}"


def pools_of(stack: Stack, provider: str) -> tuple[Resource, ...]:
    """The pools of the cluster that a Kubernetes provider talks to: those that depend on a cluster the provider depends on. All of
    the stack's, where no dependency tells."""
    pools = stack.of(*POOLS)
    clusters = {each.urn for each in stack.of(*CLUSTERS)}
    talked_to = {
        urn for each in stack.resources if each.urn == provider for urn in _needs(each) if urn in clusters
    }
    return tuple(each for each in pools if talked_to & _needs(each)) if talked_to else pools


def admits(pool: Resource, spec: Props) -> bool:
    """Whether Pods with this spec may run on a pool, by node selector and required node affinity. Labels that the cloud writes and that
    do not follow from the pool's declaration (zones, say) are taken to fit."""
    labels = pool_labels(pool)
    selector = mapping(at(spec, "nodeSelector"))
    if any(not _fits(key, "In", [selector[key]], labels) for key in selector):
        return False
    terms = listed(
        spec,
        "affinity",
        "nodeAffinity",
        "requiredDuringSchedulingIgnoredDuringExecution",
        "nodeSelectorTerms",
    )
    return not terms or any(_term(each, labels) for each in terms)


def is_gpu_karpenter_pool(pool: Resource) -> bool:
    """Whether a Karpenter NodePool may start machines with GPUs, as far as its requirements tell."""
    for each in listed(pool.props, "spec", "template", "spec", "requirements"):
        key, values = str(at(each, "key")), [str(value) for value in listed(each, "values")]
        if "gpu" in key or (key.endswith("/instance-category") and {"g", "p"} & set(values)):
            return True
        if key.endswith("/instance-family") and any(_AWS_GPU.fullmatch(value) for value in values):
            return True
        if key.endswith("/instance-type") and any(gpus_of_machine(value) for value in values):
            return True
    return False


def _needs(resource: Resource) -> set[str]:
    return set(resource.dependencies) | {
        urn for urns in resource.property_dependencies.values() for urn in urns
    }


def _term(term: Props, labels: Mapping[str, str]) -> bool:
    return all(
        _fits(str(at(each, "key")), str(at(each, "operator")), listed(each, "values"), labels)
        for each in listed(term, "matchExpressions")
    )


def _fits(key: str, operator: str, values: Iterable[Any], labels: Mapping[str, str]) -> bool:
    found, wanted = labels.get(key), {str(each) for each in values}
    if found is None and _GIVEN_LABELS.fullmatch(key) and key not in _TOLD:
        return True
    return {
        "In": found in wanted,
        "NotIn": found not in wanted,
        "Exists": found is not None,
        "DoesNotExist": found is None,
    }.get(operator, True)


# Labels of the cloud's that `pool_labels` works out.
_TOLD = frozenset(
    ("eks.amazonaws.com/capacityType", "cloud.google.com/gke-spot", "cloud.google.com/gke-accelerator")
)


def _zones(pool: Resource) -> int:
    named = listed(pool.props, "nodeLocations")
    if named:
        return len(named)
    is_zone = str(at(pool.props, "location")).count("-") > 1
    return 1 if is_zone else ZONES_OF_A_REGION


def _count(pool: Resource, *path: str) -> int | None:
    value = at(pool.props, *path)
    return whole(value, 0) if value is not None else None
