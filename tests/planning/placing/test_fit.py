from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from model_factory.facts.catalogue import catalogue
from model_factory.facts.nodes import allocatable
from model_factory.graph.accelerators import Share
from model_factory.planning.placing.fit import (
    Misfit,
    Need,
    fits,
    misfits,
    replicas_per_node,
    zones_for,
)

OFFERS = {(offer.region, offer.machine_type): offer for offer in catalogue().offers}
G6 = OFFERS["us-east-1", "g6.xlarge"]
G6_12 = OFFERS["us-east-1", "g6.12xlarge"]
NEED = Need(
    places=frozenset({("aws", "us-east-1")}),
    share=Share(1),
    gpu_memory_gib=Decimal(20),
    cpu=Decimal(2),
    memory_gib=Decimal(8),
)


class TestFits:
    def test_a_machine_with_room(self) -> None:
        assert fits(G6, NEED)

    @pytest.mark.parametrize(
        ("change", "reason"),
        [
            ({"places": frozenset({("aws", "us-east-2")})}, "is in aws us-east-1"),
            ({"places": frozenset({("gcp", "us-east-1")})}, "is in aws us-east-1"),
            ({"share": Share(2)}, "has 1 GPU of the 2 needed"),
            ({"gpu_memory_gib": Decimal("24.1")}, "has 22.03 GiB a GPU to use of the 24.1 needed"),
            ({"cpu": Decimal(4)}, "leaves 3.67 CPU of the 4 needed"),
            ({"memory_gib": Decimal(16)}, "leaves 12.8 GiB of memory of the 16 needed"),
            ({"accelerators": frozenset({"t4"})}, "has l4, not among the accelerators"),
            ({"machine_types": frozenset({"g5.xlarge"})}, "is not among the machineTypes"),
        ],
    )
    def test_each_shortage_is_told(self, change: dict[str, object], reason: str) -> None:
        need = replace(NEED, **change)
        assert not fits(G6, need)
        assert misfits(G6, need)[0].reason.startswith(reason)

    def test_memory_is_shared_by_a_replicas_gpus(self) -> None:
        assert fits(G6_12, replace(NEED, share=Share(4), gpu_memory_gib=Decimal(88)))
        assert not fits(G6_12, replace(NEED, share=Share(3), gpu_memory_gib=Decimal(96)))


class TestZones:
    OFFER = OFFERS["us-east4", "g2-standard-4"]
    NEED = replace(NEED, places=frozenset({("gcp", "us-east4"), ("aws", "us-east-1")}))

    def test_all_that_sell_the_machine_unless_some_are_chosen(self) -> None:
        assert zones_for(self.OFFER, self.NEED) == ("us-east4-a", "us-east4-c")

    def test_only_the_chosen_ones_that_sell_it(self) -> None:
        need = replace(self.NEED, zones=frozenset({"us-east4-b", "us-east4-c"}))
        assert fits(self.OFFER, need)
        assert zones_for(self.OFFER, need) == ("us-east4-c",)

    def test_a_region_does_not_fit_whose_chosen_zones_do_not_sell_it(self) -> None:
        need = replace(self.NEED, zones=frozenset({"us-east4-b"}))
        assert not fits(self.OFFER, need)
        assert misfits(self.OFFER, need) == (
            Misfit(
                "zones", "is sold in us-east4-a, us-east4-c only, and the zones chosen are us-east4-b", "us-east4-a"
            ),
        )

    def test_a_choice_in_one_region_binds_no_other(self) -> None:
        need = replace(self.NEED, zones=frozenset({"us-central1-a", "us-east-1a"}))
        assert zones_for(self.OFFER, need) == self.OFFER.zones

    def test_unknown_zones_are_left_to_the_cloud(self) -> None:
        need = replace(self.NEED, zones=frozenset({"us-east-1a"}))
        assert fits(G6, need)
        assert zones_for(G6, need) == ()


class TestReplicasPerNode:
    def test_the_scarcest_thing_bounds(self) -> None:
        assert replicas_per_node(G6_12, NEED) == 4
        assert replicas_per_node(G6_12, replace(NEED, share=Share(3))) == 1
        assert replicas_per_node(G6_12, replace(NEED, cpu=Decimal(20))) == 2
        assert replicas_per_node(G6_12, replace(NEED, memory_gib=Decimal(80))) == 2
        assert replicas_per_node(G6, replace(NEED, share=Share(2))) == 0


class TestAllocatable:
    def test_a_node_keeps_something_for_itself(self) -> None:
        for offer in catalogue().offers:
            if not offer.accelerator_count:
                continue
            cores, memory = allocatable(offer)
            assert Decimal("0.8") * offer.vcpus < cores < offer.vcpus
            assert Decimal("0.75") * offer.memory_gib < memory < offer.memory_gib
