"""What planning takes for valid, the local clouds have: machines in their zones, regions, versions. Else a stack that plans well cannot
be created."""

from __future__ import annotations

from decimal import Decimal
from typing import get_args

import pytest

from model_factory.facts.aws.kubernetes import EksVersion
from model_factory.facts.catalogue import catalogue
from model_factory.facts.gcp.accelerators import ATTACHABLE, ATTACHABLE_COUNTS, gke_accelerator_type
from model_factory.facts.gcp.kubernetes import GKE_VERSIONS, GkeChannel
from model_factory.facts.gcp.regions import REGIONS
from model_factory.local.clouds.aws.eks import catalogue as eks
from model_factory.local.clouds.gcp import catalogue as cloud
from model_factory.local.clouds.gcp.container import pick_version
from model_factory.planning.settings.gcp import GcpSettings

OFFERS = [offer for offer in catalogue().offers if offer.cloud == "gcp"] + [
    each.offer for each in catalogue().rejected if each.offer.cloud == "gcp"
]


class TestEveryOffer:
    @pytest.mark.parametrize("machine_type", sorted({offer.machine_type for offer in OFFERS}))
    def test_is_sold_by_the_local_cloud_in_each_of_its_zones(self, machine_type: str) -> None:
        machine = cloud.machine_type(machine_type)
        assert machine is not None
        for offer in (each for each in OFFERS if each.machine_type == machine_type):
            assert machine.vcpus == offer.vcpus
            assert Decimal(machine.memory_mib) / 1024 == offer.memory_gib
            accelerator = gke_accelerator_type(offer.accelerator) if offer.accelerator else ""
            if machine.accelerator:
                assert (machine.accelerator, machine.accelerator_count) == (accelerator, offer.accelerator_count)
            elif accelerator:
                assert accelerator in ATTACHABLE[machine.family]
                assert offer.accelerator_count in ATTACHABLE_COUNTS[accelerator]
            sold = {zone for zone in cloud.REGIONS[offer.region] if cloud.sells(zone, machine, accelerator)}
            assert set(offer.zones) <= sold if not accelerator else set(offer.zones) == sold, offer.region


class TestRegions:
    def test_are_the_same(self) -> None:
        assert set(cloud.REGIONS) == REGIONS

    def test_a_cluster_takes_three_zones_of_each(self) -> None:
        assert all(len(cloud.zones_of(region)) == 3 for region in REGIONS)


class TestVersions:
    @pytest.mark.parametrize("channel", GKE_VERSIONS)
    def test_each_release_channel_offers_those_that_planning_takes(self, channel: GkeChannel) -> None:
        for version in GKE_VERSIONS[channel]:
            assert pick_version(channel, version).startswith(f"{version}.")

    def test_the_default_one_is_offered_everywhere(self) -> None:
        default = GcpSettings().kubernetes_version
        assert all(default in versions for versions in GKE_VERSIONS.values())

    def test_eks_has_those_that_planning_takes(self) -> None:
        assert set(get_args(EksVersion)) <= {version.name for version in eks.VERSIONS}
