"""Every cloud's folder holds what planning, cost and components ask of a cloud."""

from __future__ import annotations

from typing import get_args

import pytest

from model_factory.facts.aws.kubernetes import SUPPORT, EksVersion
from model_factory.facts.catalogue import catalogue
from model_factory.facts.clouds import CLOUDS, Cloud
from model_factory.facts.gcp.disks import boot_disk
from model_factory.facts.prices import price_table


class TestClouds:
    def test_the_registry_has_them_all(self) -> None:
        assert set(CLOUDS) == set(get_args(Cloud))

    @pytest.mark.parametrize("cloud", CLOUDS)
    def test_each_has_offers_and_prices(self, cloud: Cloud) -> None:
        assert any(offer.cloud == cloud for offer in catalogue().offers)
        assert any(place == cloud for place, _, _ in price_table().prices)

    @pytest.mark.parametrize("cloud", CLOUDS)
    def test_a_zone_lies_in_the_region_of_its_name(self, cloud: Cloud) -> None:
        facts = CLOUDS[cloud]
        for region in facts.regions:
            assert all(facts.region_of(zone) == region for zone in facts.zones_of(region))
            assert all(facts.region_of(name) == "" for name in (region, f"{region}-z", f"x{region}a", ""))

    def test_a_zone_of_one_cloud_is_none_of_another(self) -> None:
        assert CLOUDS["aws"].region_of("us-central1-a") == CLOUDS["gcp"].region_of("us-east-1a") == ""


class TestVersions:
    def test_eks_takes_those_with_extended_support_or_without_an_end(self) -> None:
        assert all(version in SUPPORT or version == get_args(EksVersion)[-1] for version in get_args(EksVersion))

    def test_extended_support_follows_the_standard_one(self) -> None:
        assert all(each.standard_until < each.extended_until for each in SUPPORT.values())


class TestBootDisks:
    @pytest.mark.parametrize(
        "machine", ["g2-standard-4", "a3-highgpu-8g", "a3-megagpu-8g", "n2-standard-4", "c3-standard-8"]
    )
    def test_a_machine_that_takes_both_has_a_persistent_one(self, machine: str) -> None:
        assert boot_disk(machine) == "pd-balanced"

    @pytest.mark.parametrize(
        "machine",
        ["a3-ultragpu-8g", "a4-highgpu-8g", "g4-standard-48", "c4-standard-8", "c4a-standard-4", "n4-standard-4"],
    )
    def test_newer_machines_take_hyperdisks_alone(self, machine: str) -> None:
        assert boot_disk(machine) == "hyperdisk-balanced"
