"""Which pools grow for Pods that found no room, and how far."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from model_factory.local.clouds.gcp.autoscaler import Growing, Limits, admits, grow, limits_of, requests
from model_factory.local.lab.nodes.simulated import Shape, Taint

GPU = "nvidia.com/gpu"
ALLOCATABLE = {"cpu": "4", "memory": "16Gi", "pods": "10"}
PLAIN = Shape(ALLOCATABLE, ALLOCATABLE, "amd64", "v1", "os", {"pool": "plain"})
ONE_GPU = replace(
    PLAIN, allocatable={**ALLOCATABLE, GPU: "1"}, labels={"pool": "gpu"}, taints=(Taint(GPU, "present", "NoSchedule"),)
)
TOLERATES = {"tolerations": [{"key": GPU, "operator": "Exists"}]}


def pool(shape: Shape = PLAIN, *, most: int = 3, zones: str = "ab", **more: Any) -> Growing:
    sizes = dict.fromkeys(zones, 0)
    return Growing(shape.labels["pool"], shape, Limits(0, most, in_all=True), sizes, [], {}, **more)


def pod(cpu: str = "1", gpus: int = 0, **spec: Any) -> dict[str, Any]:
    limits = {GPU: str(gpus)} if gpus else {}
    container = {"resources": {"requests": {"cpu": cpu}, "limits": limits}}
    return {"metadata": {}, "spec": {"containers": [container], **(TOLERATES if gpus else {}), **spec}}


class TestGrowth:
    def test_pods_share_the_nodes_that_come_for_them(self) -> None:
        plain = pool()
        grow([pod() for _ in range(6)], [plain])
        assert plain.sizes == {"a": 1, "b": 1}

    def test_a_pool_stops_at_its_most(self) -> None:
        plain = pool(most=1)
        grow([pod("4") for _ in range(3)], [plain])
        assert sum(plain.sizes.values()) == 1

    def test_a_pod_without_gpus_brings_no_node_that_has_some(self) -> None:
        gpu, plain = pool(ONE_GPU), pool()
        grow([pod(**TOLERATES)], [gpu, plain])
        assert (sum(gpu.sizes.values()), sum(plain.sizes.values())) == (0, 1)

    def test_of_equal_pools_that_of_spot_machines_grows(self) -> None:
        spot = replace(ONE_GPU, labels={"pool": "spot", "cloud.google.com/gke-spot": "true"})
        pools = [pool(ONE_GPU), pool(spot)]
        grow([pod(gpus=1)], pools)
        assert [sum(each.sizes.values()) for each in pools] == [0, 1]

    def test_nothing_comes_for_a_pod_that_no_node_is_large_enough_for(self) -> None:
        plain = pool()
        grow([pod("5")], [plain])
        assert sum(plain.sizes.values()) == 0

    def test_a_zone_without_machines_is_passed_over(self) -> None:
        plain = pool()
        plain.machines = {"a": 0}
        grow([pod("4"), pod("4")], [plain])
        assert plain.sizes == {"a": 0, "b": 2}

    def test_a_pod_bound_to_a_zone_brings_a_node_there(self) -> None:
        plain = pool()
        grow([pod(nodeSelector={"topology.kubernetes.io/zone": "b"})], [plain])
        assert plain.sizes == {"a": 0, "b": 1}


class TestAdmission:
    def test_a_taint_is_met_by_its_toleration_alone(self) -> None:
        equal = {"key": GPU, "operator": "Equal", "value": "present", "effect": "NoSchedule"}
        assert admits(ONE_GPU, "a", pod(tolerations=[equal]))
        assert not admits(ONE_GPU, "a", pod(tolerations=[equal | {"value": "other"}]))
        assert not admits(ONE_GPU, "a", pod(tolerations=[equal | {"effect": "NoExecute"}]))

    def test_one_required_term_must_hold(self) -> None:
        terms = [{"matchExpressions": [{"key": "pool", "operator": "In", "values": [value]}]} for value in ("gpu", "x")]
        required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}
        assert admits(ONE_GPU, "a", pod(gpus=1, affinity={"nodeAffinity": required}))
        assert not admits(PLAIN, "a", pod(affinity={"nodeAffinity": required}))


class TestLimits:
    def test_per_zone_and_in_all(self) -> None:
        a_zone = limits_of({"autoscaling": {"enabled": True, "minNodeCount": 1, "maxNodeCount": 2}})
        in_all = limits_of({"autoscaling": {"enabled": True, "totalMinNodeCount": 3, "totalMaxNodeCount": 4}})
        assert a_zone is not None
        assert in_all is not None
        assert a_zone.at_least({"a": 0, "b": 2}) == {"a": 1, "b": 2}
        assert in_all.at_least({"a": 0, "b": 0}) == {"a": 2, "b": 1}
        assert a_zone.allows_more({"a": 1, "b": 2}, "a")
        assert not in_all.allows_more({"a": 2, "b": 2}, "a")

    @pytest.mark.parametrize("autoscaling", [None, {}, {"enabled": False, "maxNodeCount": 3}])
    def test_a_pool_without_an_autoscaler_has_none(self, autoscaling: Any) -> None:
        assert limits_of({"autoscaling": autoscaling}) is None


def test_an_init_container_that_asks_more_counts_instead_of_the_sum() -> None:
    asked = pod("1")
    asked["spec"]["initContainers"] = [{"resources": {"requests": {"cpu": "3"}}}]
    assert requests(asked)["cpu"] == 3
