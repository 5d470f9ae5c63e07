"""Machines and accelerators: one reading of what is in a node."""

from __future__ import annotations

from decimal import Decimal

import pytest

from model_factory.facts.catalogue import catalogue
from model_factory.facts.clouds import CLOUDS
from model_factory.facts.machines import machines
from model_factory.graph.accelerators import is_accelerator, whole
from model_factory.graph.machines import built_in_gpus, gpus_of_machine
from model_factory.graph.pools import node_pool
from tests.graph.declared import held

OFFERS = [*catalogue().offers, *(each.offer for each in catalogue().rejected)]


class TestGpus:
    @pytest.mark.parametrize(
        ("machine", "gpus"),
        [
            ("m7i.large", 0),
            ("g4dn.xlarge", 1),
            ("g4dn.12xlarge", 4),
            ("g6e.48xlarge", 8),
            ("gr6.4xlarge", 1),
            ("p4de.24xlarge", 8),
            ("p5.4xlarge", 1),
            ("p6-b200.48xlarge", 8),
            ("p9.48xlarge", 8),
            ("e2-standard-4", 0),
            ("c4a-standard-4", 0),
            ("t3.large", 0),
            ("g2-standard-4", 1),
            ("g2-standard-24", 2),
            ("g2-standard-96", 8),
            ("a2-highgpu-4g", 4),
            ("a2-ultragpu-8g", 8),
            ("a3-megagpu-8g", 8),
            ("a9-newgpu-2g", 2),
            ("g9-standard-4", 8),
        ],
    )
    def test_of_machines_known_and_not(self, machine: str, gpus: int) -> None:
        assert gpus_of_machine(machine) == gpus

    def test_are_those_that_are_sold(self) -> None:
        odd = [each for each in OFFERS if gpus_of_machine(each.machine_type) != each.accelerator_count]
        assert odd == []

    def test_that_are_sold_attached_come_with_no_pool_by_themselves(self) -> None:
        assert gpus_of_machine("n1-standard-16") == 4
        assert built_in_gpus("n1-standard-16") == 0
        bare = held("gcp:container/nodePool:NodePool", {"nodeConfig": {"machineType": "n1-standard-16"}})
        pool = node_pool(bare)
        assert pool is not None
        assert pool.gpus_per_node == 0


class TestTable:
    def test_machines_that_come_with_gpus_have_the_name_of_one_and_no_others_do(self) -> None:
        odd = [
            each.machine_type
            for each in machines().values()
            if bool(each.accelerator_count and not each.attached)
            is not bool(CLOUDS[each.cloud].gpu_machines.fullmatch(each.machine_type))
        ]
        assert odd == []

    def test_every_row_has_a_source(self) -> None:
        assert all(each.source for each in machines().values())

    def test_an_accelerator_has_a_name_and_a_count_or_neither(self) -> None:
        assert all(bool(each.accelerator) is bool(each.accelerator_count) for each in machines().values())

    def test_several_accelerators_are_connected_and_one_is_not(self) -> None:
        odd = [each for each in machines().values() if bool(each.interconnect) is not (each.accelerator_count > 1)]
        assert odd == []


class TestAccelerators:
    @pytest.mark.parametrize(
        ("resource", "yes"),
        [
            ("nvidia.com/gpu", True),
            ("nvidia.com/mig-1g.5gb", True),
            ("amd.com/gpu", True),
            ("nvidia.com/gpu.shared", False),
            ("cpu", False),
        ],
    )
    def test_are_told_by_their_resource(self, resource: str, yes: bool) -> None:
        assert is_accelerator(resource) is yes

    @pytest.mark.parametrize(
        ("resource", "amount", "gpus"),
        [
            ("nvidia.com/gpu", 2, 2),
            ("nvidia.com/mig-1g.10gb", 7, 1),
            ("nvidia.com/mig-3g.40gb", 7, 3),
            ("nvidia.com/mig-1g.24gb", 2, Decimal("0.5")),
            ("nvidia.com/mig-7g.80gb", 1, 1),
            ("nvidia.com/mig-something", 2, 2),
        ],
    )
    def test_parts_are_counted_in_whole_ones(self, resource: str, amount: int, gpus: Decimal) -> None:
        assert whole(resource, Decimal(amount)) == gpus
