"""Models on several legs and at several sites: up, changed and down, seen through the clouds' own clients and the rendered files."""

from __future__ import annotations

import importlib.util
import os
import shutil
from collections.abc import Iterator
from typing import Any

import pytest

from tests.stacks.harness import LocalStack

CLI = (
    pytest.mark.cli,
    pytest.mark.skipif(
        shutil.which("pulumi") is None or importlib.util.find_spec("pip") is None,
        reason="needs the Pulumi CLI on PATH, and pip, by which its Python host lists a program's packages",
    ),
)
pytestmark = [
    pytest.mark.slow,
    pytest.mark.parametrize("engine", ["local", pytest.param("pulumi", marks=CLI)], scope="module"),
]

MODEL = {
    "runtime": "vllm",
    "image": f"m@sha256:{'0' * 64}",
    "weights": {"uri": "bucket://m", "revision": "1"},
    "gpuMemoryGib": 20,
    "requestsPerSecond": 60,
    "accelerators": ["l4"],
}
SPOT = {**MODEL, "regions": ["us-east-1"], "replicas": {"min": 2, "max": 5}, "spot": True}
PAIR = {**MODEL, "sites": {"aws/us-east-1": {"min": 1, "max": 2}, "aws/us-west-2": {"min": 1, "max": 3}}}
BOTH = {
    **MODEL,
    "capacity": ["reserved", "on-demand"],
    "sites": {"aws/us-east-1": {"min": 2, "max": 4}, "gcp/us-central1": {"min": 1, "max": 2}},
}
RESERVED = {
    "aws": {"name": "cr-0123456789abcdef0", "zone": "us-east-1b", "machineType": "g6.xlarge", "machines": 1},
    "gcp": {"name": "serving-l4", "zone": "us-central1-a", "machineType": "g2-standard-4", "machines": 1},
}
EAST, WEST, CENTRAL = "dev-aws-us-east-1", "dev-aws-us-west-2", "dev-gcp-us-central1"


class Places:
    """A stack of three models, and what of it the outside sees."""

    def __init__(self, stack: LocalStack, engine: str) -> None:
        self.stack = stack
        self.engine = engine
        self.empty: dict[str, Any] = {}

    def up(self, **models: dict[str, Any]) -> dict[str, int]:
        """Bring these models up; the steps that changed something, by operation."""

        def edit(config: dict[str, Any]) -> None:
            config["model-factory:aws"]["regions"] = ["us-east-1", "us-west-2"]
            for cloud, reservation in RESERVED.items():
                config[f"model-factory:{cloud}"]["reservations"] = [reservation]
            config["model-factory:models"] = models

        self.stack.edit(edit)
        ended = self.factory("up", "--yes", "--skip-preview", "--json")
        return {op: count for op, count in ended.json["changeSummary"].items() if op != "same"}

    def factory(self, *arguments: str) -> Any:
        return self.stack.factory(*arguments, "--engine", self.engine, env={"PATH": os.environ["PATH"]})

    def bounds(self, model: str) -> dict[str, tuple[int, int]]:
        """The bounds of a model's autoscaler by cluster."""
        return {
            cluster: (item["spec"]["minReplicas"], item["spec"]["maxReplicas"])
            for cluster, item in self.objects("HorizontalPodAutoscaler", model).items()
        }

    def objects(self, kind: str, model: str) -> dict[str, dict[str, Any]]:
        """A model's object of one kind by cluster."""
        return {
            cluster: item
            for cluster, objects in self.stack.rendered().items()
            for (its, _), item in objects.items()
            if its == kind and item["metadata"]["namespace"] == f"model-{model}"
        }

    def groups(self, region: str) -> dict[str, tuple[str, int, int, int]]:
        """EKS' node groups with GPUs by pool: how they are bought, least, most and desired nodes."""
        eks = self.stack.aws("eks", region)
        (cluster,) = eks.list_clusters()["clusters"]
        found: dict[str, tuple[str, int, int, int]] = {}
        for name in eks.list_nodegroups(clusterName=cluster)["nodegroups"]:
            group = eks.describe_nodegroup(clusterName=cluster, nodegroupName=name)["nodegroup"]
            assert group["status"] == "ACTIVE"
            size = group["scalingConfig"]
            if group["taints"]:
                sizes = (size["minSize"], size["maxSize"], size["desiredSize"])
                found[group["labels"]["model-factory/pool"]] = (group["capacityType"], *sizes)
        return found

    def pools(self) -> dict[str, tuple[bool, int]]:
        """GKE's node pools with GPUs by pool: whether they are spot, and their most nodes."""
        return {
            pool["config"]["labels"]["model-factory/pool"]: (
                bool(pool["config"].get("spot")),
                pool["autoscaling"]["totalMaxNodeCount"],
            )
            for pool in self.node_pools()
        }

    def node_pools(self) -> list[dict[str, Any]]:
        """GKE's node pools with GPUs."""
        clusters = self.stack.gcp("container", "v1").projects().locations().clusters()
        (cluster,) = clusters.list(parent="projects/model-factory-dev/locations/-").execute()["clusters"]
        return [pool for pool in cluster["nodePools"] if pool["config"].get("accelerators")]


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory, engine: str) -> Iterator[Places]:
    stack = LocalStack(tmp_path_factory.mktemp(engine))
    made = Places(stack, engine)
    stack.factory("clouds", "start")
    made.empty = stack.held()
    made.up(spot=SPOT, pair=PAIR, both=BOTH)
    yield made
    stack.close()


class TestUp:
    def test_a_spot_model_may_use_both_pools_and_prefers_spot(self, places: Places) -> None:
        (deployment,) = places.objects("Deployment", "spot").values()
        pod = deployment["spec"]["template"]["spec"]
        affinity = pod["affinity"]["nodeAffinity"]
        (term,) = affinity["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"]
        (either,) = term["matchExpressions"]
        assert either["values"] == ["l4x1-spot", "l4x1-on-demand"]
        (preferred,) = affinity["preferredDuringSchedulingIgnoredDuringExecution"]
        assert preferred["preference"]["matchExpressions"] == [{**either, "values": ["l4x1-spot"]}]

    def test_the_fall_back_has_room_for_all_and_starts_with_nothing_for_it(self, places: Places) -> None:
        """On demand: room for 5 + 2 + 4 replicas and one more of each while it rolls; at rest the 1 + 1 that rest there."""
        assert places.groups("us-east-1") == {
            "l4x1-spot": ("SPOT", 0, 6, 2),
            "l4x1-on-demand": ("ON_DEMAND", 0, 14, 2),
            "l4x1-reserved": ("ON_DEMAND", 0, 1, 1),
        }

    def test_a_model_in_two_regions_is_a_deployment_in_each_with_its_own_bounds(self, places: Places) -> None:
        assert places.objects("Deployment", "pair").keys() == {EAST, WEST}
        assert places.bounds("pair") == {EAST: (1, 2), WEST: (1, 3)}
        assert places.groups("us-west-2") == {"l4x1-on-demand": ("ON_DEMAND", 0, 4, 1)}

    def test_a_model_in_both_clouds_is_a_deployment_in_each_with_its_own_bounds(self, places: Places) -> None:
        assert places.bounds("both") == {EAST: (2, 4), CENTRAL: (1, 2)}
        assert places.pools() == {"l4x1-on-demand": (False, 3), "l4x1-reserved": (False, 1)}

    def test_reserved_machines_come_from_the_reservation_of_their_cloud(self, places: Places) -> None:
        versions = places.stack.aws("ec2").describe_launch_template_versions(Versions=["$Latest"])
        templates = [each["LaunchTemplateData"] for each in versions["LaunchTemplateVersions"]]
        named = [
            each["CapacityReservationSpecification"] for each in templates if "CapacityReservationSpecification" in each
        ]
        assert [each["CapacityReservationTarget"] for each in named] == [
            {"CapacityReservationId": "cr-0123456789abcdef0"}
        ]
        (pool,) = [pool for pool in places.node_pools() if "reservationAffinity" in pool["config"]]
        assert pool["config"]["reservationAffinity"]["values"] == ["serving-l4"]
        assert pool["locations"] == ["us-central1-a"]

    def test_each_model_has_an_identity_at_each_site(self, places: Places) -> None:
        for region, models in (("us-east-1", 3), ("us-west-2", 1)):
            eks = places.stack.aws("eks", region)
            (cluster,) = eks.list_clusters()["clusters"]
            assert len(eks.list_pod_identity_associations(clusterName=cluster)["associations"]) == models


class TestChanged:
    def test_places_by_number_are_the_same_places(self, places: Places) -> None:
        """`spread` and the sum of the replicas instead of `sites`: 3 to 6 over two clouds are 2 to 3 and 1 to 3."""
        before = places.objects("Deployment", "both")
        by_number = {**MODEL, "capacity": BOTH["capacity"], "replicas": {"min": 3, "max": 6}, "spread": {"clouds": 2}}
        by_number["regions"] = ["us-east-1", "us-central1"]
        places.up(spot=SPOT, pair=PAIR, both=by_number)
        assert places.bounds("both") == {EAST: (2, 3), CENTRAL: (1, 3)}
        assert places.objects("Deployment", "both") == before

    def test_other_bounds_of_one_site_change_that_site(self, places: Places) -> None:
        wider = {**PAIR, "sites": {**PAIR["sites"], "aws/us-west-2": {"min": 2, "max": 6}}}
        places.up(spot=SPOT, pair=wider, both=BOTH)
        assert places.bounds("pair") == {EAST: (1, 2), WEST: (2, 6)}
        assert places.groups("us-west-2") == {"l4x1-on-demand": ("ON_DEMAND", 0, 7, 2)}

    def test_a_site_that_is_left_is_taken_down_and_the_other_stays(self, places: Places) -> None:
        before = places.objects("Deployment", "pair")[EAST]
        places.up(spot=SPOT, pair={**PAIR, "sites": {"aws/us-east-1": {"min": 1, "max": 2}}}, both=BOTH)
        assert places.objects("Deployment", "pair") == {EAST: before}
        assert places.groups("us-west-2") == {}


class TestDown:
    def test_leaves_nothing_in_any_cloud(self, places: Places) -> None:
        places.factory("destroy", "--yes")
        assert places.stack.held() == places.empty
