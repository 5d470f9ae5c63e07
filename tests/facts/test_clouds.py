"""Every cloud's folder holds what planning, cost and components ask of a cloud."""

from __future__ import annotations

from typing import get_args

import pytest

from model_factory.facts.aws.kubernetes import SUPPORT, EksVersion
from model_factory.facts.catalogue import catalogue
from model_factory.facts.clouds import CLOUDS, Cloud
from model_factory.facts.gcp.accelerators import HYPERDISK_ONLY, gke_accelerator_type
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


class TestAccelerators:
    def test_those_that_need_hyperdisks_are_gkes(self) -> None:
        assert all(gke_accelerator_type(each) for each in HYPERDISK_ONLY)
