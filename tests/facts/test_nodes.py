"""What a node leaves to models: room for what clouds add to them, and a disk for all that they write."""

from __future__ import annotations

from decimal import Decimal
from itertools import pairwise

import pytest

from model_factory.facts.catalogue import catalogue
from model_factory.facts.clouds import CLOUDS, Cloud
from model_factory.facts.nodes import LEAST_DISK_GIB, allocatable, disk_for

BOTH: tuple[Cloud, ...] = ("aws", "gcp")


class TestMemory:
    def test_of_nodes_of_eks_holds_mountpoint_beside_the_models(self) -> None:
        """EKS keeps 255 MiB and 11 MiB a Pod (awslabs/amazon-eks-ami), of 737 at most, 100 MiB before it evicts, and half a GiB are the
        node's own Pods'. Mountpoint wants half a GiB at least, and has a whole one."""
        offers = [each for each in catalogue().offers if each.cloud == "aws" and each.accelerator_count]
        assert offers
        for offer in offers:
            pods = 110 if offer.vcpus < 30 else 737
            kept = Decimal(255 + 11 * pods + 100) / 1024 + Decimal("0.5")
            assert kept + 1 <= offer.memory_gib - allocatable(offer)[1], offer.machine_type


class TestDisks:
    @pytest.mark.parametrize(
        ("cloud", "scratch_gib", "disk_gib"),
        [("aws", 129, 200), ("aws", 130, 210), ("gcp", 104, 200), ("gcp", 105, 210)],
    )
    def test_hold_what_pods_write_beside_images_and_the_system(
        self, cloud: Cloud, scratch_gib: int, disk_gib: int
    ) -> None:
        assert disk_for(cloud, Decimal(scratch_gib)) == disk_gib

    @pytest.mark.parametrize("cloud", BOTH)
    def test_are_as_large_as_needed_and_no_larger(self, cloud: Cloud) -> None:
        asked = [Decimal(each) for each in range(0, 3000, 37)]
        sizes = [disk_for(cloud, each) for each in asked]
        for each, size in zip(asked, sizes, strict=True):
            left = CLOUDS[cloud].disk_left
            assert left(Decimal(size)) >= each
            assert size == LEAST_DISK_GIB or left(Decimal(size - 10)) < each
        assert all(a <= b for a, b in pairwise(sizes))

    def test_of_gke_follow_its_published_formula(self) -> None:
        # cloud.google.com/kubernetes-engine/docs/concepts/plan-node-sizes: 10% for eviction, and the least of half, 6 GiB + 35%, 100 GiB.
        left = CLOUDS["gcp"].disk_left
        assert [left(Decimal(size)) for size in (20, 100, 1000)] == [8, 49, 800]
