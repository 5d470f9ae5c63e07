"""Models that run on processors: where they fit, what their pools are called, and what a kept plan does with them."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from model_factory.facts.catalogue import catalogue
from model_factory.facts.nodes import LEAST_CPU_DISK_GIB, LEAST_DISK_GIB
from model_factory.facts.offer import Offer
from model_factory.planning.placing.lock import Lock
from model_factory.planning.placing.market import Market
from model_factory.planning.placing.place import place
from model_factory.planning.placing.plan import Plan
from model_factory.planning.placing.why import why
from model_factory.planning.settings.sections import Settings
from tests.planning.project import STACK, from_config

OFFERS = catalogue().offers
MODEL: dict[str, Any] = {
    "runtime": "triton-onnx",
    "image": f"embeddings@sha256:{'2' * 64}",
    "weights": {"uri": "bucket://embeddings"},
    "gpusPerReplica": 0,
    "cpu": 2,
    "memoryGib": 3,
    "requestsPerSecond": 10,
    "replicas": {"min": 1, "max": 3},
}


def settings_of(*clouds: str, beside: dict[str, Any] | None = None, **change: Any) -> Settings:
    """A stack of the model so changed, in these clouds (none named: both)."""
    without = {"aws", "gcp"} - {*clouds} if clouds else set[str]()
    config = {
        key: value
        for key, value in STACK["config"].items()
        if not any(key.startswith((f"{each}:", f"model-factory:{each}")) for each in without)
    }
    config["model-factory:models"] = {"m": {**MODEL, **change}, **(beside or {})}
    return from_config(config, stack="dev")


def planned(*clouds: str, offers: tuple[Offer, ...] = OFFERS, lock: Lock | None = None, **change: Any) -> Plan:
    return place(settings_of(*clouds, **change), Market.of(offers), lock)


class TestMachines:
    def test_have_no_gpu_and_are_the_cheapest_that_hold_it(self) -> None:
        (placed,) = planned().placements
        there = {(each.cloud, each.region) for each in OFFERS if each.region in ("us-east-1", "us-central1")}
        cheaper = [
            each
            for each in OFFERS
            if (each.cloud, each.region) in there
            and each.architecture == "x86_64"
            and each.usd_per_hour < placed.first.offer.usd_per_hour
            and each.vcpus > 3
            and each.memory_gib >= 8
        ]
        assert not placed.first.offer.accelerator_count
        assert not cheaper

    @pytest.mark.parametrize(
        ("change", "families"),
        [
            ({"cpuFeatures": ["amx"]}, {"m7i", "m8i", "c7i", "c8i", "r7i", "r8i", "c3", "c4", "n4"}),
            ({"architecture": "arm64"}, {"c7g", "c8g", "m7g", "m8g", "r7g", "r8g", "c4a"}),
            ({"architecture": "arm64", "cpuFeatures": ["sve2"]}, {"c8g", "m8g", "r8g", "c4a"}),
        ],
    )
    @pytest.mark.parametrize("cloud", ["aws", "gcp"])
    def test_have_the_processors_that_are_asked_for(
        self, cloud: str, change: dict[str, Any], families: set[str]
    ) -> None:
        (placed,) = planned(cloud, **change).placements
        assert placed.first.offer.kind in families

    def test_are_of_one_family_however_they_are_bought(self) -> None:
        for cloud in ("aws", "gcp"):
            (placed,) = planned(cloud, spot=True).placements
            assert [leg.capacity_type for leg in placed.legs] == ["spot", "on-demand"]
            assert len({leg.offer.kind for leg in placed.legs}) == 1

    def test_may_be_reserved(self) -> None:
        held = {"name": "cr-0123456789abcdef0", "zone": "us-east-1a", "machineType": "m7i.xlarge", "machines": 4}
        config = {key: value for key, value in STACK["config"].items() if "gcp" not in key}
        config["model-factory:aws"] = {"regions": ["us-east-1"], "reservations": [held]}
        config["model-factory:models"] = {"m": {**MODEL, "capacity": ["reserved"]}}
        (placed,) = place(from_config(config, stack="dev"), Market.of(OFFERS)).placements
        assert (placed.first.capacity_type, placed.first.offer.machine_type) == ("reserved", "m7i.xlarge")

    def test_hold_as_many_replicas_as_their_cpu_and_memory_do(self) -> None:
        (placed,) = planned("aws", machineTypes=["m7i.4xlarge"], cpu=2, memoryGib=3).placements
        assert placed.first.replicas_per_node == 7

    def test_go_to_no_model_with_gpus(self) -> None:
        gpu = STACK["config"]["model-factory:models"]["resnet"]
        placed = place(settings_of(beside={"gpu": gpu}), Market.of(OFFERS)).placements
        assert {each.model.name: each.first.offer.accelerator_count > 0 for each in placed} == {"m": False, "gpu": True}


class TestPools:
    @pytest.mark.parametrize(
        ("change", "name"),
        [
            ({}, "cpu-on-demand"),
            ({"capacity": ["spot"]}, "cpu-spot"),
            ({"architecture": "arm64"}, "cpu-arm64-on-demand"),
        ],
    )
    def test_are_called_after_what_is_asked_for(self, change: dict[str, Any], name: str) -> None:
        (pool,) = planned("gcp", **change).pools
        assert (pool.name, pool.accelerator, pool.accelerator_count) == (name, "", 0)

    def test_of_another_machine_keep_the_name(self) -> None:
        names = [planned("aws", machineTypes=[each]).pools[0].name for each in ("m7i.xlarge", "c7i.2xlarge")]
        assert names == ["cpu-on-demand"] * 2

    def test_have_disks_for_images_without_kernels_for_gpus(self) -> None:
        (pool,) = planned("gcp").pools
        assert LEAST_CPU_DISK_GIB <= pool.disk_gib < LEAST_DISK_GIB
        (larger,) = planned("gcp", weights={"uri": "oci://r.example/m@sha256:" + "3" * 64, "sizeGib": 90}).pools
        assert larger.disk_gib > 180


class TestKeptPlan:
    def test_stays_at_any_price(self) -> None:
        made = planned(spot=True)
        dearer = tuple(
            replace(each, usd_per_hour=each.usd_per_hour * 3) if each == made.placements[0].first.offer else each
            for each in OFFERS
        )
        assert Lock.of(planned(spot=True, offers=dearer, lock=Lock.of(made))) == Lock.of(made)

    def test_moves_a_model_that_gives_up_its_gpus_and_says_why(self) -> None:
        before = planned("aws", gpusPerReplica=1, gpuMemoryGib=6)
        after = planned("aws", lock=Lock.of(before))
        assert not after.placements[0].first.offer.accelerator_count
        assert any("GPU, and the model takes none" in each.message for each in after.notes)

    def test_moves_a_model_whose_image_is_for_other_processors(self) -> None:
        after = planned("aws", architecture="arm64", lock=Lock.of(planned("aws")))
        assert any("is x86_64, and the model's image is for arm64" in each.message for each in after.notes)


class TestWhy:
    def test_weighs_every_machine_without_gpus_and_no_other(self) -> None:
        settings, market = settings_of("gcp"), Market.of(OFFERS)
        told = why(settings, settings.models[0], place(settings, market), market)
        assert {each.accelerator_count for each in told.against} == {0}
        assert any("is arm64, and the model's image is for x86_64" in each.reasons for each in told.against)
        assert sum(each.chosen for each in told.candidates) == 1


class TestWeights:
    def test_are_taken_for_as_large_as_the_memory_that_holds_them(self) -> None:
        (model,) = settings_of("gcp").models
        assert model.weights_gib == Decimal(3)
