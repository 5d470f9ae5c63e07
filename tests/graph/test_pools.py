"""Node pools, as both clouds declare them."""

from __future__ import annotations

from typing import Any

import pytest
from pulumi_policy.proxy import UnknownValueError

from model_factory.graph.pools import KarpenterPool, NodePool, by_preference, keeps_others_away, node_pool
from tests.graph.declared import UNKNOWN, held, proxied

EKS = "aws:eks/nodeGroup:NodeGroup"
GKE = "gcp:container/nodePool:NodePool"
AFFINITY = ("affinity", "nodeAffinity", "requiredDuringSchedulingIgnoredDuringExecution", "nodeSelectorTerms")


def pool(type_: str, **props: Any) -> NodePool:
    found = node_pool(held(type_, props))
    assert found is not None
    return found


class TestNodes:
    @pytest.mark.parametrize(
        ("type_", "props", "least", "most"),
        [
            (EKS, {"scalingConfig": {"minSize": 1, "maxSize": 4}}, 1, 4),
            (EKS, {}, 0, None),
            (GKE, {"location": "us-central1", "autoscaling": {"minNodeCount": 1, "maxNodeCount": 2}}, 3, 6),
            (GKE, {"location": "us-central1-a", "autoscaling": {"maxNodeCount": 2}}, 0, 2),
            (GKE, {"nodeLocations": ["a", "b"], "autoscaling": {"minNodeCount": 1, "maxNodeCount": 2}}, 2, 4),
            (GKE, {"autoscaling": {"totalMinNodeCount": 1, "totalMaxNodeCount": 9}}, 1, 9),
            (GKE, {"location": "us-central1", "nodeCount": 2}, 6, 6),
            (GKE, {"location": "us-central1", "nodeCount": 0, "initialNodeCount": 2}, 0, 0),
            (GKE, {"location": "us-central1-a", "initialNodeCount": 2}, 2, 2),
            (GKE, {"location": "us-central1"}, 0, None),
        ],
    )
    def test_are_counted_over_all_zones(self, type_: str, props: dict[str, Any], least: int, most: int | None) -> None:
        found = pool(type_, **props)
        assert (found.least_nodes, found.most_nodes) == (least, most)

    @pytest.mark.parametrize(
        ("type_", "props", "gpus"),
        [
            (EKS, {"instanceTypes": ["g6.xlarge", "g6.48xlarge"]}, 8),
            (EKS, {"amiType": "BOTTLEROCKET_x86_64_NVIDIA"}, 8),
            (EKS, {"instanceTypes": ["m7i.large"], "amiType": "BOTTLEROCKET_x86_64"}, 0),
            (GKE, {"nodeConfig": {"machineType": "a2-highgpu-2g"}}, 2),
            (
                GKE,
                {"nodeConfig": {"machineType": "n1-standard-16", "guestAccelerators": [{"count": 2}]}},
                2,
            ),
            (GKE, {"nodeConfig": {"machineType": "n1-standard-4", "guestAccelerators": [{"type": "x"}]}}, 1),
        ],
    )
    def test_have_the_gpus_of_their_machine_or_those_attached(
        self, type_: str, props: dict[str, Any], gpus: int
    ) -> None:
        assert pool(type_, **props).gpus_per_node == gpus

    @pytest.mark.parametrize(
        ("type_", "props", "region", "spot"),
        [
            (EKS, {"region": "us-east-1", "capacityType": "SPOT"}, "us-east-1", True),
            (EKS, {"capacityType": "ON_DEMAND"}, "", False),
            (GKE, {"location": "us-central1-a", "nodeConfig": {"spot": True}}, "us-central1", True),
            (GKE, {"location": "us-central1", "nodeConfig": {"preemptible": True}}, "us-central1", True),
            (GKE, {}, "", False),
        ],
    )
    def test_are_somewhere_on_demand_or_spot(self, type_: str, props: dict[str, Any], region: str, spot: bool) -> None:
        found = pool(type_, **props)
        assert (found.region, found.is_spot) == (region, spot)

    @pytest.mark.parametrize("key", ["instanceTypes", "scalingConfig"])
    def test_what_is_unknown_raises_for_policies_and_is_absent_for_others(self, key: str) -> None:
        props = {"instanceTypes": ["g6.xlarge"], "scalingConfig": {"minSize": 0, "maxSize": 4}, key: UNKNOWN}
        judged, seen = node_pool(proxied(EKS, props)), pool(EKS, **props)
        assert judged is not None

        def read(found: NodePool) -> object:
            return found.machine_types if key == "instanceTypes" else found.most_nodes

        with pytest.raises(UnknownValueError):
            read(judged)
        assert not read(seen)
        assert judged.taints == seen.taints == []


class TestAdmission:
    @pytest.mark.parametrize(
        ("labels", "spec", "yes"),
        [
            ({"pool": "a"}, {}, True),
            ({"pool": "a"}, {"nodeSelector": {"pool": "a"}}, True),
            ({"pool": "a"}, {"nodeSelector": {"pool": "b"}}, False),
            ({}, {"nodeSelector": {"pool": "a"}}, False),
            ({}, {"nodeSelector": {"topology.kubernetes.io/zone": "us-central1-a"}}, True),
            ({}, {"nodeSelector": {"cloud.google.com/gke-spot": "true"}}, False),
        ],
    )
    def test_follows_the_selector(self, labels: dict[str, str], spec: dict[str, Any], yes: bool) -> None:
        assert pool(GKE, nodeConfig={"labels": labels}).admits(spec) is yes

    @pytest.mark.parametrize(
        ("expressions", "yes"),
        [
            ([{"key": "pool", "operator": "In", "values": ["a", "b"]}], True),
            ([{"key": "pool", "operator": "NotIn", "values": ["a"]}], False),
            ([{"key": "pool", "operator": "Exists"}, {"key": "other", "operator": "DoesNotExist"}], True),
            ([{"key": "eks.amazonaws.com/capacityType", "operator": "In", "values": ["SPOT"]}], False),
            ([{"key": "pool", "operator": "Gt", "values": ["1"]}], True),
        ],
    )
    def test_follows_required_affinity(self, expressions: list[Any], yes: bool) -> None:
        spec: dict[str, Any] = {AFFINITY[-1]: [{"matchExpressions": expressions}]}
        for key in reversed(AFFINITY[:-1]):
            spec = {key: spec}
        assert pool(EKS, labels={"pool": "a"}).admits(spec) is yes


class TestPreference:
    def spec(self, **weights: int) -> dict[str, Any]:
        terms = [
            {
                "weight": weight,
                "preference": {"matchExpressions": [{"key": "pool", "operator": "In", "values": [name]}]},
            }
            for name, weight in weights.items()
        ]
        return {"affinity": {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": terms}}}

    def pools(self, *names: str) -> list[NodePool]:
        return [pool(EKS, labels={"pool": name}) for name in names]

    def test_the_heaviest_is_first_and_those_that_no_term_names_are_together_and_last(self) -> None:
        ranks = by_preference(self.pools("a", "b", "c", "d"), self.spec(c=100, a=50))
        assert [[each.labels["pool"] for each in rank] for rank in ranks] == [["c"], ["a"], ["b", "d"]]

    def test_weights_of_all_terms_that_match_add_up(self) -> None:
        both = pool(GKE, nodeConfig={"labels": {"pool": "a", "team": "x"}})
        spec = self.spec(a=30)
        terms = spec["affinity"]["nodeAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"]
        terms.append({"weight": 25, "preference": {"matchExpressions": [{"key": "team", "operator": "Exists"}]}})
        assert both.preference(spec) == 55
        assert self.pools("b")[0].preference(spec) == 0

    def test_what_is_not_admitted_is_at_no_rank(self) -> None:
        spec = {"nodeSelector": {"pool": "b"}, **self.spec(a=100)}
        assert [[each.labels["pool"] for each in rank] for rank in by_preference(self.pools("a", "b"), spec)] == [["b"]]

    def test_without_a_preference_all_are_together(self) -> None:
        assert [len(rank) for rank in by_preference(self.pools("a", "b"), {})] == [2]


class TestTaints:
    def test_are_spelled_as_kubernetes_does(self) -> None:
        taint = {"key": "nvidia.com/gpu", "effect": "NO_SCHEDULE"}
        assert pool(EKS, taints=[taint]).taints == [("nvidia.com/gpu", "NoSchedule")]
        assert pool(GKE, nodeConfig={"taints": [taint]}).taints == [("nvidia.com/gpu", "NoSchedule")]

    def test_keep_others_away_only_by_a_gpus_key_and_a_hard_effect(self) -> None:
        assert keeps_others_away([("amd.com/gpu", "NoExecute")])
        assert not keeps_others_away([("nvidia.com/gpu", "PreferNoSchedule"), ("team", "NoSchedule")])


class TestKarpenter:
    @pytest.mark.parametrize(
        ("key", "values", "yes"),
        [
            ("karpenter.k8s.aws/instance-family", ["g6"], True),
            ("karpenter.k8s.aws/instance-family", ["m7i"], False),
            ("node.kubernetes.io/instance-type", ["p5.48xlarge"], True),
            ("karpenter.k8s.aws/instance-category", ["c", "g"], True),
            ("karpenter.k8s.aws/instance-gpu-count", ["1"], True),
        ],
    )
    def test_requirements_tell_of_gpus(self, key: str, values: list[str], yes: bool) -> None:
        spec = {"template": {"spec": {"requirements": [{"key": key, "operator": "In", "values": values}]}}}
        found = KarpenterPool(held("kubernetes:karpenter.sh/v1:NodePool", {"spec": spec}))
        assert found.may_have_gpus is yes
        assert found.most_gpus is None
