"""Kubernetes objects: what a Pod takes, what scales what, which pools are whose."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from pulumi_policy.proxy import UnknownValueError

from model_factory.graph.autoscalers import autoscaler
from model_factory.graph.clusters import Cluster, clusters_of
from model_factory.graph.objects import identity, selects
from model_factory.graph.pods import asks_for_gpus, gpus_per_pod, requests_of
from model_factory.graph.resource import Resource, resources_of
from tests.graph.declared import UNKNOWN, held, proxied, urn

DEPLOYMENT = "kubernetes:apps/v1:Deployment"
HPA = "kubernetes:autoscaling/v2:HorizontalPodAutoscaler"
KEDA = "kubernetes:keda.sh/v1alpha1:ScaledObject"
PROVIDER = "pulumi:providers:kubernetes"
NODES = "aws:eks/nodeGroup:NodeGroup"
EKS = "aws:eks/cluster:Cluster"


def container(**resources: dict[str, str]) -> dict[str, Any]:
    return {"resources": resources}


def pod(*containers: dict[str, Any], first: list[dict[str, Any]] | None = None) -> Resource:
    spec = {"containers": list(containers), "initContainers": first or []}
    return held(DEPLOYMENT, {"metadata": {"name": "m"}, "spec": {"template": {"spec": spec}}}, "m")


def cluster(*resources: Resource) -> Cluster[Resource]:
    (found,) = clusters_of(resources)
    return found


class TestRequests:
    @pytest.mark.parametrize(
        ("resources", "gpus"),
        [
            ({"limits": {"nvidia.com/gpu": "2"}}, 2),
            ({"requests": {"nvidia.com/gpu": "1"}}, 1),
            ({"limits": {"amd.com/gpu": 1}}, 1),
            ({"limits": {"nvidia.com/mig-3g.40gb": 7}}, 3),
            ({"limits": {"nvidia.com/gpu": "0"}}, 0),
            ({"requests": {"cpu": "1"}}, 0),
        ],
    )
    def test_count_gpus_and_parts_of_them(self, resources: dict[str, Any], gpus: int) -> None:
        found = pod(container(**resources))
        assert requests_of(found).gpus == gpus_per_pod(found) == gpus
        assert asks_for_gpus(found) is bool(gpus)

    def test_every_unit_counts(self) -> None:
        asked = requests_of(pod(container(requests={"cpu": "500m", "memory": "1Pi"}), container(limits={"cpu": "2"})))
        assert (asked.cpu, asked.memory_gib) == (Decimal("2.5"), 2**20)

    def test_the_larger_of_what_runs_first_and_what_stays(self) -> None:
        first = [
            container(requests={"cpu": "4", "memory": "1Gi"}),
            container(requests={"memory": "1Gi"}) | {"restartPolicy": "Always"},
        ]
        asked = requests_of(pod(container(requests={"cpu": "1", "memory": "2Gi"}), first=first))
        assert (asked.cpu, asked.memory_gib) == (4, 3)

    @pytest.mark.parametrize(
        ("annotations", "cpu", "memory_gib"),
        [
            ({}, "1", "2"),
            ({"gke-gcsfuse/volumes": "false", "gke-gcsfuse/cpu-request": "2"}, "1", "2"),
            ({"gke-gcsfuse/volumes": "true"}, "1.25", "2.25"),
            (
                {"gke-gcsfuse/volumes": "true", "gke-gcsfuse/cpu-limit": "0", "gke-gcsfuse/memory-limit": "1Gi"},
                "1.25",
                "3",
            ),
            (
                {"gke-gcsfuse/volumes": "true", "gke-gcsfuse/cpu-request": "2", "gke-gcsfuse/memory-request": "0"},
                "3",
                "2",
            ),
        ],
    )
    def test_count_the_container_that_gke_adds_for_mounts(
        self, annotations: dict[str, str], cpu: str, memory_gib: str
    ) -> None:
        asking = pod(container(requests={"cpu": "1", "memory": "2Gi"}))
        asking.inputs["spec"]["template"]["metadata"] = {"annotations": annotations}
        asked = requests_of(asking)
        assert (asked.cpu, asked.memory_gib) == (Decimal(cpu), Decimal(memory_gib))


class TestAutoscalers:
    @pytest.mark.parametrize(
        ("type_", "spec", "bounds"),
        [
            (HPA, {"minReplicas": 2, "maxReplicas": 4}, (2, 2, 4)),
            (HPA, {}, (1, 1, 1)),
            (KEDA, {"minReplicaCount": 2, "maxReplicaCount": 5}, (2, 2, 5)),
            (KEDA, {"minReplicaCount": 2, "idleReplicaCount": 0}, (0, 2, 100)),
            (KEDA, {}, (0, 0, 100)),
        ],
    )
    def test_bound_replicas(self, type_: str, spec: dict[str, Any], bounds: tuple[int, int, int]) -> None:
        found = autoscaler(held(type_, {"spec": spec}))
        assert found is not None
        assert (found.idle, found.least, found.most) == bounds

    def test_what_is_unknown_raises_for_policies_alone(self) -> None:
        props = {"spec": {"minReplicas": UNKNOWN, "maxReplicas": 3}}
        judged, seen = autoscaler(proxied(HPA, props)), autoscaler(held(HPA, props))
        assert judged is not None
        assert seen is not None
        assert judged.most == seen.most == 3
        assert seen.least == 1
        with pytest.raises(UnknownValueError):
            _ = judged.least


class TestReplicas:
    def scaled(self, type_: str, name: str | None, target: str, parent: str = "", **spec: int) -> Cluster[Resource]:
        metadata = {"name": name} if name else {}
        workload = held(DEPLOYMENT, {"metadata": metadata, "spec": {"replicas": 7}}, "m", parent="urn:model")
        scaler = held(
            type_,
            {"spec": {"scaleTargetRef": {"kind": "Deployment", "name": target}, **spec}},
            "s",
            parent=parent,
        )
        return cluster(workload, scaler, held("model-factory:x:Scaling", {}, "c", parent="urn:model"))

    def test_are_the_autoscalers_of_either_kind(self) -> None:
        keda = self.scaled(KEDA, "m", "m", maxReplicaCount=5)
        assert (keda.least_replicas(keda.workloads[0]), keda.most_replicas(keda.workloads[0])) == (0, 5)
        hpa = self.scaled(HPA, "m", "m", minReplicas=2, maxReplicas=4)
        assert (hpa.least_replicas(hpa.workloads[0]), hpa.most_replicas(hpa.workloads[0])) == (2, 4)

    def test_are_the_workloads_own_where_nothing_scales_it(self) -> None:
        found = self.scaled(HPA, "m", "other", maxReplicas=4)
        assert found.least_replicas(found.workloads[0]) == found.most_replicas(found.workloads[0]) == 7

    @pytest.mark.parametrize("parent", ["urn:model", urn("model-factory:x:Scaling", "c")])
    def test_an_autoscaler_of_the_same_component_counts_before_names_are_made_up(self, parent: str) -> None:
        found = self.scaled(HPA, None, UNKNOWN, parent, maxReplicas=4)
        assert found.most_replicas(found.workloads[0]) == 4

    def test_one_of_another_component_does_not(self) -> None:
        found = self.scaled(HPA, None, UNKNOWN, "urn:other", maxReplicas=4)
        assert found.most_replicas(found.workloads[0]) == 7


class TestObjects:
    def test_take_their_namespace_from_their_provider(self) -> None:
        states = [
            {"urn": urn(PROVIDER, "p"), "type": PROVIDER, "inputs": {"namespace": "models"}},
            {"urn": urn(DEPLOYMENT, "m"), "type": DEPLOYMENT, "provider": f"{urn(PROVIDER, 'p')}::id"},
        ]
        assert str(identity(resources_of(states)[1])) == "Deployment models/"

    @pytest.mark.parametrize(
        ("selector", "yes"),
        [
            ({}, True),
            ({"matchLabels": {"app": "a"}}, True),
            ({"matchLabels": {"app": "b"}}, False),
            ({"matchExpressions": [{"key": "app", "operator": "In", "values": ["a"]}]}, True),
            ({"matchExpressions": [{"key": "app", "operator": "DoesNotExist"}]}, False),
            ({"matchExpressions": [{"key": "app", "operator": "Near"}]}, False),
        ],
    )
    def test_are_selected_by_their_labels(self, selector: dict[str, Any], yes: bool) -> None:
        assert selects(selector, {"app": "a"}) is yes


class TestPools:
    def of(self, provider: Resource) -> list[str]:
        nodes = [held(NODES, {}, name, property_dependencies={"clusterName": (urn(EKS, name),)}) for name in ("a", "b")]
        clusters = [held(EKS, {}, name) for name in ("a", "b")]
        workload = held(DEPLOYMENT, {}, "m", provider=f"{provider.urn}::id")
        return [each.resource.name for each in cluster(workload, provider, *nodes, *clusters).pools]

    def test_are_those_of_the_cluster_that_the_provider_talks_to(self) -> None:
        assert self.of(held(PROVIDER, {}, "p", dependencies=(urn(EKS, "b"),))) == ["b"]

    def test_are_all_where_no_dependency_tells(self) -> None:
        assert self.of(held(PROVIDER, {}, "p")) == ["a", "b"]
