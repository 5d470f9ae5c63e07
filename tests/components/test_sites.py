"""A stack with models at several sites and on reserved machines, run whole against mocks."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

import pytest

from model_factory.planning.settings.stackfile import read_stack_file
from tests.components.conftest import ROOT, run_config

RESERVED_AT_AWS = {"name": "cr-0123456789abcdef0", "zone": "us-east-1b", "machineType": "g6.xlarge", "machines": 2}
RESERVED_AT_GCP = {"name": "serving-l4", "zone": "us-central1-a", "machineType": "g2-standard-4", "machines": 3}
MODEL = {
    "runtime": "vllm",
    "image": f"m@sha256:{'0' * 64}",
    "weights": {"uri": "bucket://m", "revision": "1"},
    "gpuMemoryGib": 20,
    "requestsPerSecond": 60,
    "accelerators": ["l4"],
}
MODELS = {
    "ladder": {
        "regions": ["us-east-1"],
        "replicas": {"min": 3, "max": 6},
        "capacity": ["reserved", "spot", "on-demand"],
    },
    "held": {"clouds": ["gcp"], "replicas": {"min": 1, "max": 3}, "capacity": ["reserved"]},
    "pair": {"sites": {"aws/us-east-1": {"min": 1, "max": 2}, "aws/us-west-2": {"min": 1, "max": 4}}},
    "both": {
        "sites": {"aws/us-east-1": {"min": 2, "max": 4}, "gcp/us-central1": {"min": 1, "max": 2}},
        "labels": {"data": "public", "team": "search"},
    },
}


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Any:
    config = {
        **read_stack_file(ROOT / "Pulumi.dev.yaml").config,
        "model-factory:aws": {"regions": ["us-east-1", "us-west-2"], "reservations": [RESERVED_AT_AWS]},
        "model-factory:gcp": {"reservations": [RESERVED_AT_GCP]},
        "model-factory:models": {name: {**MODEL, **model} for name, model in MODELS.items()},
    }
    return run_config(config, "dev", tmp_path_factory.mktemp("sites"))


def objects_of(seen: Any, kind: str, model: str) -> dict[str, Any]:
    """A model's objects of one kind by their logical names."""
    return {each.name: each.inputs for each in seen.of(kind) if each.inputs["metadata"]["labels"].get("model") == model}


class TestSites:
    def test_each_is_a_deployment_of_its_own_with_its_own_bounds(self, seen: Any) -> None:
        scalers = objects_of(seen, ":HorizontalPodAutoscaler", "both")
        bounds = {name: (each["spec"]["minReplicas"], each["spec"]["maxReplicas"]) for name, each in scalers.items()}
        assert bounds == {"dev-aws-us-east-1-both": (2, 4), "dev-gcp-us-central1-both": (1, 2)}
        assert objects_of(seen, "apps/v1:Deployment", "both").keys() == bounds.keys()

    def test_a_replica_carries_the_same_at_each(self, seen: Any) -> None:
        rates = [
            each["spec"]["metrics"][0]["pods"]["target"]["averageValue"]
            for each in objects_of(seen, ":HorizontalPodAutoscaler", "both").values()
        ]
        assert rates == ["10000m", "10000m"]

    def test_they_are_written_to_different_clusters(self, seen: Any) -> None:
        providers = {each.provider for each in seen.of("apps/v1:Deployment") if each.name.endswith("-pair")}
        assert len(providers) == 2

    def test_nothing_of_them_collides(self, seen: Any) -> None:
        assert [urn for urn, count in Counter(each.urn for each in seen.resources).items() if count > 1] == []
        accounts = [each.inputs["accountId"] for each in seen.of("serviceaccount/account:Account")]
        assert len(set(accounts)) == len(accounts)
        assert all(re.fullmatch(r"[a-z][-a-z0-9]{4,28}[a-z0-9]", each) for each in accounts)

    def test_a_model_has_a_repository_in_each_region_of_aws(self, seen: Any) -> None:
        names = {each.name for each in seen.of("ecr/repository:Repository") if each.name.endswith("-pair")}
        assert names == {"dev-aws-us-east-1-pair", "dev-aws-us-west-2-pair"}


class TestReservedPools:
    def test_at_aws_take_their_machines_from_the_reservation_and_from_nowhere_else(self, seen: Any) -> None:
        template = seen.one(":LaunchTemplate", "dev-aws-us-east-1-l4x1-reserved").inputs
        assert template["capacityReservationSpecification"] == {
            "capacityReservationPreference": "capacity-reservations-only",
            "capacityReservationTarget": {"capacityReservationId": "cr-0123456789abcdef0"},
        }

    def test_at_aws_are_in_the_zone_of_the_reservation(self, seen: Any) -> None:
        group = seen.one(":NodeGroup", "dev-aws-us-east-1-l4x1-reserved").inputs
        zones = {f"{each.name}-id": each.inputs["availabilityZone"] for each in seen.of("ec2/subnet:Subnet")}
        assert [zones[each] for each in group["subnetIds"]] == ["us-east-1b"]
        assert group["capacityType"] == "ON_DEMAND"

    def test_at_aws_give_up_a_node_before_they_take_a_new_one(self, seen: Any) -> None:
        """A reservation that is in use has none to spare."""
        groups = {each.name: each.inputs["updateConfig"] for each in seen.of(":NodeGroup")}
        minimal = {name for name, update in groups.items() if update.get("updateStrategy") == "MINIMAL"}
        assert minimal == {"dev-aws-us-east-1-l4x1-reserved"}

    def test_at_google_cloud_take_their_machines_from_the_reservation_and_from_nowhere_else(self, seen: Any) -> None:
        pool = seen.one(":NodePool", "us-central1-l4x1-reserved").inputs
        assert pool["nodeLocations"] == ["us-central1-a"]
        assert not pool["nodeConfig"]["spot"]
        assert pool["nodeConfig"]["reservationAffinity"] == {
            "consumeReservationType": "SPECIFIC_RESERVATION",
            "key": "compute.googleapis.com/reservation-name",
            "values": ["serving-l4"],
        }

    def test_are_no_larger_than_the_reservation(self, seen: Any) -> None:
        assert seen.one(":NodeGroup", "dev-aws-us-east-1-l4x1-reserved").inputs["scalingConfig"]["maxSize"] == 2
        assert seen.one(":NodePool", "us-central1-l4x1-reserved").inputs["autoscaling"]["totalMaxNodeCount"] == 3

    def test_nodes_say_how_they_were_bought(self, seen: Any) -> None:
        for capacity in ("reserved", "spot", "on-demand"):
            group = seen.one(":NodeGroup", f"dev-aws-us-east-1-l4x1-{capacity}").inputs
            assert group["labels"]["model-factory/capacity-type"] == capacity

    def test_others_name_no_reservation(self, seen: Any) -> None:
        naming = {each.name for each in seen.of(":LaunchTemplate") if "capacityReservationSpecification" in each.inputs}
        assert naming == {"dev-aws-us-east-1-l4x1-reserved"}
        pools = [each for each in seen.of(":NodePool") if "reservationAffinity" in each.inputs["nodeConfig"]]
        assert [each.name for each in pools] == ["us-central1-l4x1-reserved"]


class TestLegs:
    def test_what_rests_on_a_leg_is_started_with_it_and_nothing_more(self, seen: Any) -> None:
        """Three replicas at rest: two on the reserved machines, the third on spot. On demand starts what rests there for others."""
        sizes = {
            each.name.removeprefix("dev-aws-us-east-1-l4x1-"): each.inputs["scalingConfig"]["desiredSize"]
            for each in seen.of(":NodeGroup")
            if each.name.startswith("dev-aws-us-east-1-l4x1-")
        }
        assert sizes == {"reserved": 2, "spot": 1, "on-demand": 3}

    def test_pods_prefer_them_by_rank(self, seen: Any) -> None:
        (deployment,) = objects_of(seen, "apps/v1:Deployment", "ladder").values()
        affinity = deployment["spec"]["template"]["spec"]["affinity"]["nodeAffinity"]
        order = {
            each["preference"]["matchExpressions"][0]["values"][0]: each["weight"]
            for each in affinity["preferredDuringSchedulingIgnoredDuringExecution"]
        }
        assert order == {"l4x1-reserved": 100, "l4x1-spot": 50}


class TestLabels:
    def test_of_a_model_are_on_its_objects_and_neither_on_pods_nor_in_selectors(self, seen: Any) -> None:
        wanted = {"data": "public", "team": "search", "model": "both"}.items()
        objects = [each for each in seen.resources if each.custom and each.type.startswith("kubernetes:")]
        own = [each for each in objects if each.name.startswith(("dev-aws-us-east-1-both", "dev-gcp-us-central1-both"))]
        assert len(own) > 14
        for each in own:
            assert wanted <= each.inputs["metadata"]["labels"].items(), each.urn
        for each in objects_of(seen, "apps/v1:Deployment", "both").values():
            assert {"data", "team"}.isdisjoint(each["spec"]["template"]["metadata"]["labels"])
            assert not {"data", "team"} & each["spec"]["selector"]["matchLabels"].keys()

    def test_of_a_model_are_on_what_it_has_in_the_cloud(self, seen: Any) -> None:
        for kind in ("ecr/repository:Repository", "iam/role:Role", ":PodIdentityAssociation"):
            tags = seen.one(kind, "dev-aws-us-east-1-both").inputs["tags"]
            assert {"data": "public", "team": "search", "model": "both"}.items() <= tags.items(), kind

    def test_of_a_model_are_on_nothing_of_others(self, seen: Any) -> None:
        assert "data" not in seen.one("ecr/repository:Repository", "dev-aws-us-east-1-pair").inputs["tags"]
        assert "data" not in seen.one("eks/cluster:Cluster", "dev-aws-us-east-1").inputs["tags"]


class TestOutputs:
    def test_a_row_a_model_and_site(self, seen: Any) -> None:
        rows = [(row["model"], row["cloud"], row["region"]) for row in seen.outputs["models"]]
        assert rows == [
            ("both", "aws", "us-east-1"),
            ("both", "gcp", "us-central1"),
            ("held", "gcp", "us-central1"),
            ("ladder", "aws", "us-east-1"),
            ("pair", "aws", "us-east-1"),
            ("pair", "aws", "us-west-2"),
        ]

    def test_legs_hold_at_rest_what_the_model_has_at_rest(self, seen: Any) -> None:
        for row in seen.outputs["models"]:
            assert sum(leg["replicas"] for leg in row["legs"]) == row["replicas"], row["model"]
            assert row["machine_type"] == row["legs"][0]["machine_type"]
            assert row["capacity_type"] == row["legs"][0]["capacity_type"]

    def test_an_address_a_model_and_site(self, seen: Any) -> None:
        assert seen.outputs["addresses"].keys() == {
            f"dev-{row['cloud']}-{row['region']}/{row['model']}" for row in seen.outputs["models"]
        }
