from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from model_factory.facts.catalogue import Rejected, catalogue
from model_factory.facts.nodes import LEAST_DISK_GIB
from model_factory.facts.offer import Offer
from model_factory.planning.placing.lock import Lock
from model_factory.planning.placing.market import Market
from model_factory.planning.placing.place import Ask, place
from model_factory.planning.placing.plan import Placement, Plan
from model_factory.planning.settings.gcp import GcpSettings
from model_factory.planning.settings.problems import PlanError, SettingsError
from model_factory.planning.settings.sections import Settings
from tests.planning.project import STACK, from_config

OFFERS = catalogue().offers
BASE = STACK["config"]["model-factory:models"]["resnet"]


def settings_of(models: dict[str, dict[str, Any]], **aws: Any) -> Settings:
    config = {
        key: value
        for key, value in STACK["config"].items()
        if not key.startswith("gcp:") and key != "model-factory:gcp"
    }
    config["model-factory:aws"] = {"regions": ["us-east-1"], **aws}
    config["model-factory:models"] = {
        name: {**BASE, "replicas": {"min": 1, "max": 2}, **change} for name, change in models.items()
    }
    return from_config(config, stack="dev")


def planned(models: dict[str, dict[str, Any]], offers: Sequence[Offer] = OFFERS, **aws: Any) -> Plan:
    return place(settings_of(models, **aws), Market.of(offers))


class TestBesideTheServer:
    """What a Pod has beside its server, and writes, is there when a machine is chosen."""

    HUB = {"uri": "hf://owner/m", "revision": "a" * 40}  # noqa: RUF012 (not changed)

    def on_gcp(self, **changes: Any) -> Plan:
        models = {"m": {**BASE, "runtime": "vllm", "accelerators": ["l4"], "clouds": ["gcp"], **changes}}
        return place(from_config({**STACK["config"], "model-factory:models": models}, stack="dev"), Market.of(OFFERS))

    def test_a_replica_that_mounts_on_gke_needs_room_for_the_container_that_does(self) -> None:
        tight = {"gpuMemoryGib": 16, "memoryGib": 12.5}
        mounted, fetched = (self.on_gcp(**tight, weights=weights) for weights in ({"uri": "bucket://m"}, self.HUB))
        assert fetched.placements[0].first.offer.machine_type == "g2-standard-4"
        assert mounted.placements[0].first.offer.machine_type != "g2-standard-4"

    def test_fewer_replicas_share_a_node_than_without_it(self) -> None:
        cut = {"gpuMemoryGib": 16, "cpu": 1, "memoryGib": 43.5, "machineTypes": ["g2-standard-24"]}
        mounted, fetched = (self.on_gcp(**cut, weights=weights) for weights in ({"uri": "bucket://m"}, self.HUB))
        assert [each.placements[0].first.replicas_per_node for each in (fetched, mounted)] == [2, 1]

    @pytest.mark.parametrize(
        ("gib", "args", "told"),
        [
            (19, [], ""),
            (20, [], "write --gpu-memory-utilization=0.91 in args, or write gpuMemoryGib: 19.8"),
            (20, ["--gpu-memory-utilization=0.95"], ""),
            (22, [], "take more GPUs, or write gpuMemoryGib: 19.8"),
        ],
    )
    def test_memory_that_the_server_does_not_take_is_told(self, gib: int, args: list[str], told: str) -> None:
        made = self.on_gcp(gpuMemoryGib=gib, args=args)
        assert made.placements[0].first.offer.accelerator == "l4"
        found = [each.message for each in made.notes if each.key == "model-factory:models.m.gpuMemoryGib"]
        assert [told in each for each in found] == ([True] if told else [])

    @pytest.mark.parametrize("cloud", ["aws", "gcp"])
    def test_the_disk_of_a_node_holds_the_weights_of_every_replica_there(self, cloud: str) -> None:
        size = {"aws": "g6.12xlarge", "gcp": "g2-standard-48"}[cloud]
        large = {**self.HUB, "sizeGib": 100}
        made = self.on_gcp(clouds=[cloud], gpuMemoryGib=16, cpu=2, memoryGib=20, machineTypes=[size], weights=large)
        (placed,), (pool,) = made.placements, made.pools
        assert placed.first.replicas_per_node == 4
        assert pool.disk_gib > 4 * 100 + 4 * 20
        assert self.on_gcp(clouds=[cloud], weights={"uri": "bucket://m"}).pools[0].disk_gib == LEAST_DISK_GIB


class TestCheapestFit:
    def test_the_cheapest_machine_that_holds_the_model(self) -> None:
        (placed,) = planned({"small": {"gpuMemoryGib": 10}}).placements
        leg = placed.first
        assert (leg.offer.machine_type, leg.capacity_type, placed.usd_per_hour) == (
            "g4dn.xlarge",
            "on-demand",
            Decimal("0.526"),
        )

    def test_spot_only_where_allowed(self) -> None:
        spot, not_spot = planned({"a": {"spot": True}, "b": {}}).placements
        assert spot.pools == ("t4x1-spot", "t4x1-on-demand")
        assert not_spot.pools == ("t4x1-on-demand",)

    def test_the_cheapest_region_and_cloud(self) -> None:
        both = from_config(
            {
                **STACK["config"],
                "model-factory:aws": {"regions": ["us-east-1", "us-east-2"]},
                "model-factory:models": {"llm": {**STACK["config"]["model-factory:models"]["llm"], "clouds": []}},
            },
        )
        (placed,) = place(both, Market.of(OFFERS)).placements
        assert (placed.cloud, placed.region, placed.first.offer.machine_type) == ("aws", "us-east-2", "g6.xlarge")

    def test_whole_nodes_are_paid(self) -> None:
        offers = [offer for offer in OFFERS if offer.machine_type == "g6.12xlarge"]
        (placed,) = planned({"m": {"replicas": {"min": 5, "max": 9}}}, offers).placements
        assert placed.first.replicas_per_node == 4
        assert placed.usd_per_hour == 2 * Decimal("4.6016")
        assert placed.usd_per_hour_max == 3 * Decimal("4.6016")

    def test_many_replicas_can_make_a_large_machine_the_cheaper_one(self) -> None:
        offers = [
            offer
            for offer in OFFERS
            if offer.machine_type in {"g6.xlarge", "g6.12xlarge"} and offer.region == "us-east-1"
        ]
        cheap_large = [
            replace(each, usd_per_hour=Decimal(2)) if each.machine_type == "g6.12xlarge" else each for each in offers
        ]
        assert (
            planned({"m": {"replicas": {"min": 1, "max": 4}}}, cheap_large).placements[0].first.offer.machine_type
            == "g6.xlarge"
        )
        assert (
            planned({"m": {"replicas": {"min": 4, "max": 4}}}, cheap_large).placements[0].first.offer.machine_type
            == "g6.12xlarge"
        )

    def test_models_that_fit_nowhere_are_all_told(self) -> None:
        offers = [offer for offer in OFFERS if offer.machine_type == "g4dn.xlarge"]
        with pytest.raises(PlanError) as refused:
            planned({"a": {"gpuMemoryGib": 20}, "b": {}, "c": {"memoryGib": 13}}, offers)
        first, second = map(str, refused.value.problems)
        assert first == (
            "model-factory:models.a.gpuMemoryGib: 1 GPU with 20 GiB in all, 2 CPU, 8 GiB of memory fits on no machine in us-east-1; "
            "nearest is g4dn.xlarge in us-east-1: it has 14.56 GiB a GPU to use of the 20 needed; write gpuMemoryGib: 14.56"
        )
        assert second.startswith("model-factory:models.c.memoryGib: ")
        assert second.endswith(
            "nearest is g4dn.xlarge in us-east-1: it leaves 12.8 GiB of memory of the 13 needed; write memoryGib: 12.8"
        )

    def test_a_machine_whose_price_was_thrown_out_is_not_refused_as_if_it_were_not_there(self) -> None:
        bad = next(offer for offer in OFFERS if (offer.region, offer.machine_type) == ("us-east-1", "p4d.24xlarge"))
        market = Market.of(
            [each for each in OFFERS if each != bad], [Rejected(bad, "spot 30 is not below on-demand 22")]
        )
        with pytest.raises(PlanError) as refused:
            place(settings_of({"a": {"machineTypes": ["p4d.24xlarge"]}}), market)
        (problem,) = refused.value.problems
        assert (
            "p4d.24xlarge in us-east-1 would fit, but its price was rejected: spot 30 is not below on-demand 22 "
            "(`make prices` reads it anew)"
        ) in problem.message

    def test_of_many_regions_their_number_is_told(self) -> None:
        regions = ["us-east-1", "us-east-2", "us-west-2", "eu-west-1", "eu-central-1", "ap-south-1", "ca-central-1"]
        with pytest.raises(SettingsError, match=r"fits on no machine in any of its 7 regions; nearest is "):
            planned({"m": {"gpuMemoryGib": 5000}}, regions=regions)

    @pytest.mark.parametrize(
        ("model", "remedy"),
        [
            ({"gpuMemoryGib": 80, "accelerators": ["l40s"]}, "write gpusPerReplica: 2"),
            ({"gpuMemoryGib": 30, "accelerators": ["t4"], "gpusPerReplica": 2}, "write gpusPerReplica: 3"),
            ({"gpuMemoryGib": 80, "machineTypes": ["g6e.xlarge"]}, "write gpuMemoryGib: 44.34"),
            ({"gpusPerReplica": 8, "accelerators": ["l4"], "capacity": ["reserved"]}, "add on-demand to capacity"),
        ],
    )
    def test_a_model_asks_for_less_only_where_nothing_else_helps(self, model: dict[str, Any], remedy: str) -> None:
        with pytest.raises(SettingsError) as refused:
            planned({"m": model})
        (problem,) = refused.value.problems
        assert problem.message.endswith(f"; {remedy}")


class TestPools:
    def test_a_replica_count_changes_no_name_and_no_machine(self) -> None:
        before = planned({"m": {"spot": True}})
        after = planned({"m": {"spot": True, "replicas": {"min": 2, "max": 2}}})
        assert [(each.name, each.machine_type, each.max_nodes) for each in before.pools] == [
            (each.name, each.machine_type, each.max_nodes) for each in after.pools
        ]

    def test_another_machine_type_keeps_the_name(self) -> None:
        before, after = (planned({"m": {"machineTypes": [machine]}}) for machine in ("g6.xlarge", "g6.2xlarge"))
        assert [pool.name for pool in before.pools] == [pool.name for pool in after.pools] == ["l4x1-on-demand"]
        assert [pool.machine_type for pool in after.pools] == ["g6.2xlarge"]

    def test_two_machine_types_with_the_same_gpus_have_two_names(self) -> None:
        made = planned({"a": {"machineTypes": ["g6.2xlarge"]}, "b": {"machineTypes": ["g6.xlarge"]}})
        assert {pool.name: pool.machine_type for pool in made.pools} == {
            "l4x1-on-demand": "g6.xlarge",
            "l4x1-on-demand-g6-2xlarge": "g6.2xlarge",
        }

    def test_models_share_a_pool_that_holds_all_of_them(self) -> None:
        made = planned({"a": {}, "b": {"replicas": {"min": 1, "max": 5}}})
        (pool,) = made.pools
        # Two and five, and one more of each while it rolls.
        assert (pool.min_nodes, pool.max_nodes) == (0, 9)

    def test_every_cluster_has_pools_of_its_own(self) -> None:
        made = planned(
            {"a": {"regions": ["us-east-1"]}, "b": {"regions": ["us-east-2"]}},
            regions=["us-east-1", "us-east-2"],
        )
        assert [(pool.region, pool.name) for pool in made.pools] == [
            ("us-east-1", "t4x1-on-demand"),
            ("us-east-2", "t4x1-on-demand"),
        ]
        assert [each.model.name for each in made.placements_of("aws", "us-east-2")] == ["b"]
        assert made.pools_of("aws", "us-east-1") == made.pools[:1]


class TestMethod:
    def test_another_method_has_the_same_interface(self) -> None:
        def dearest(settings: Settings, asks: Sequence[Ask]) -> Sequence[Sequence[Placement]]:
            assert settings.models
            return [ask.candidates[-1:] for ask in asks]

        made = place(settings_of({"a": {}, "b": {}}), Market.of(OFFERS), method=dearest)
        assert {each.first.offer.accelerator for each in made.placements} == {"b200"}

    def test_what_it_does_not_place_is_refused(self) -> None:
        def nothing(_settings: Settings, asks: Sequence[Ask]) -> Sequence[Sequence[Placement]]:
            return [() for _ in asks]

        with pytest.raises(PlanError):
            place(settings_of({"a": {}}), Market.of(OFFERS), method=nothing)


class TestZones:
    """GPUs are not sold in every zone of a region."""

    def gcp(self, *zones: str, **model: Any) -> Plan:
        config = {
            **STACK["config"],
            "gcp:region": "us-east4",
            "model-factory:gcp": {"regions": ["us-east4"], "zones": list(zones)},
            "model-factory:models": {"m": {**BASE, "clouds": ["gcp"], "accelerators": ["l4"], **model}},
        }
        return place(from_config(config, stack="dev"), Market.of(OFFERS))

    def test_a_pool_spans_the_zones_that_sell_its_machine(self) -> None:
        (pool,) = self.gcp().pools
        assert pool.zones == ("us-east4-a", "us-east4-c")

    def test_a_pool_keeps_to_the_zones_chosen(self) -> None:
        made = self.gcp("us-east4-b", "us-east4-c")
        assert made.pools[0].zones == made.placements[0].first.zones == ("us-east4-c",)

    def test_chosen_zones_without_the_accelerator_are_refused_with_both(self) -> None:
        with pytest.raises(SettingsError) as refused:
            self.gcp("us-east4-b")
        assert "fits on no machine in us-east4" in str(refused.value)
        assert "sold in us-east4-a, us-east4-c only, and the zones chosen are us-east4-b" in str(refused.value)

    def test_another_accelerator_is_taken_where_the_zones_sell_it(self) -> None:
        (pool,) = self.gcp("us-east4-b", accelerators=[]).pools
        assert (pool.accelerator, pool.zones) == ("t4", ("us-east4-b",))

    def test_aws_leaves_zones_to_the_node_group(self) -> None:
        assert planned({"m": {}}).pools[0].zones == ()

    def test_regions_whose_names_begin_alike_are_apart(self) -> None:
        settings = GcpSettings(zones=("europe-west1-b", "europe-west10-a", "europe-west12-c"))
        assert settings.zones_of("europe-west1") == ("europe-west1-b",)
        assert settings.zones_of("europe-west12") == ("europe-west12-c",)


class TestSpread:
    def test_replicas_are_shared_out_alike_with_a_lock_and_without(self) -> None:
        """The first choice is Google Cloud, the first name AWS: a lock that forgot the choice would move a replica."""
        model = {**BASE, "accelerators": ["l4"], "replicas": {"min": 3, "max": 5}, "spread": {"clouds": 2}}
        settings = from_config({**STACK["config"], "model-factory:models": {"m": model}}, stack="dev")
        market = Market.of(OFFERS)
        plan = place(settings, market)
        assert [(each.cloud, each.replicas.min, each.replicas.max) for each in plan.placements] == [
            ("aws", 2, 3),
            ("gcp", 1, 2),
        ]
        assert place(settings, market, Lock.of(plan)) == plan
