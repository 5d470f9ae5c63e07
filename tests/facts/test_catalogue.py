from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest

from model_factory.facts.accelerators import accelerators
from model_factory.facts.catalogue import COLUMNS, catalogue, read_csv, without_mispriced
from model_factory.facts.clouds import CLOUDS, Cloud
from model_factory.facts.gcp.accelerators import gke_accelerator_type
from model_factory.facts.machines import machines
from model_factory.facts.offer import Offer

ROW = Offer(
    cloud="gcp",
    region="us-east4",
    machine_type="a3-highgpu-8g",
    accelerator="h100",
    accelerator_count=8,
    usable_gib_per_accelerator=Decimal(79),
    vcpus=208,
    memory_gib=Decimal(1872),
    usd_per_hour=Decimal("87.83"),
    spot_usd_per_hour=Decimal("34.16"),
    as_of=date(2026, 6, 30),
    source="test",
)


class CloudTable:
    """What holds for the table of every cloud."""

    cloud: Cloud
    accelerators: frozenset[str]

    @pytest.fixture
    def rows(self) -> list[Offer]:
        everything = catalogue()
        return [
            offer
            for offer in (*everything.offers, *(each.offer for each in everything.rejected))
            if offer.cloud == self.cloud
        ]

    def test_regions_are_the_clouds(self, rows: list[Offer]) -> None:
        assert {row.region for row in rows} <= CLOUDS[self.cloud].regions

    def test_a_machine_is_sold_once_a_region(self, rows: list[Offer]) -> None:
        twice = [key for key, count in Counter((row.region, row.machine_type) for row in rows).items() if count > 1]
        assert not twice

    def test_a_row_tells_what_its_machine_and_accelerator_are(self, rows: list[Offer]) -> None:
        for row in rows:
            machine = machines()[row.machine_type]
            known = accelerators().get(row.accelerator)
            assert (row.cloud, row.accelerator, row.accelerator_count) == (
                machine.cloud,
                machine.accelerator,
                machine.accelerator_count,
            )
            assert (row.vcpus, row.memory_gib, row.interconnect) == (
                machine.vcpus,
                machine.memory_gib,
                machine.interconnect,
            )
            assert row.usable_gib_per_accelerator == (known.usable_gib if known else 0)

    def test_amounts_are_sane(self, rows: list[Offer]) -> None:
        for row in rows:
            assert row.accelerator_count in {0, 1, 2, 4, 8, 16}
            assert 2 <= row.vcpus <= 448
            assert row.vcpus <= row.memory_gib * 2 <= 64 * row.vcpus
            assert 0 < row.usd_per_hour < 200

    def test_every_row_has_its_date_and_source(self, rows: list[Offer]) -> None:
        assert all(date(2026, 1, 1) <= row.as_of <= date(2026, 12, 31) and row.source for row in rows)

    def test_all_accelerators_can_be_had(self) -> None:
        assert {
            each.accelerator for each in catalogue().offers if each.cloud == self.cloud and each.accelerator
        } == self.accelerators

    def test_offers_come_in_a_fixed_order(self) -> None:
        keys = [(each.cloud, each.region, each.machine_type) for each in catalogue().offers]
        assert keys == sorted(keys)


class TestAws(CloudTable):
    cloud = "aws"
    accelerators = frozenset({
        "t4", "a10g", "l4", "l40s", "a100", "a100-80gb", "h100", "h200", "b200", "b300", "rtx-pro-4500", "rtx-pro-6000",
    })  # fmt: skip

    def test_no_price_is_suspect(self) -> None:
        assert [each for each in catalogue().rejected if each.offer.cloud == "aws"] == []

    def test_known_prices(self, rows: list[Offer]) -> None:
        prices = {(row.region, row.machine_type): (row.usd_per_hour, row.spot_usd_per_hour) for row in rows}
        assert prices["us-east-1", "g6.xlarge"] == (Decimal("0.8048"), Decimal("0.5525"))
        assert prices["us-west-2", "p5en.48xlarge"] == (Decimal("63.296"), Decimal("19.3811"))
        assert prices["eu-west-1", "c8g.2xlarge"] == (Decimal("0.34112"), Decimal("0.1599"))

    @pytest.mark.parametrize("family", ["c7g", "c8g", "m7g", "m8g", "c7i", "m7i", "r7i", "c8i", "m8i"])
    def test_processors_for_inference_can_be_had_in_ten_regions(self, rows: list[Offer], family: str) -> None:
        assert len({row.region for row in rows if row.machine_type.startswith(family + ".")}) >= 10


class TestGcp(CloudTable):
    cloud = "gcp"
    accelerators = frozenset({"t4", "l4", "a100", "a100-80gb", "h100", "h100-mega", "h200", "b200", "rtx-pro-6000"})

    def test_a_price_is_host_and_gpu_together(self, rows: list[Offer]) -> None:
        prices = {(row.region, row.machine_type): row.usd_per_hour for row in rows}
        assert prices["us-central1", "n1-standard-4"] == Decimal("0.19000") + Decimal("0.35")
        assert abs(prices["us-east4", "a3-highgpu-8g"] - Decimal("87.83")) < Decimal("0.01")

    def test_the_traps_of_the_source_are_thrown_out(self) -> None:
        thrown = {(each.offer.region, each.offer.machine_type): each.reason for each in catalogue().rejected}
        assert thrown["us-central1", "a3-highgpu-8g"].startswith("spot 47.86592 is not below on-demand 43.06615")
        assert "under 0.75 of what it costs in the dearest region" in thrown["us-central1", "a2-ultragpu-1g"]
        assert {"us-central1", "us-east4", "europe-west4"} <= {
            region for region, machine in thrown if machine == "a4-highgpu-8g"
        }
        assert {"us-central1", "us-west1"} <= {region for region, machine in thrown if machine == "a3-highgpu-8g"}
        assert {"us-central1", "us-east4", "europe-west4"} == {
            region for region, machine in thrown if machine == "a2-ultragpu-1g"
        }

    def test_few_rows_are_thrown_out_and_none_without_a_reason(self, rows: list[Offer]) -> None:
        thrown = [each for each in catalogue().rejected if each.offer.cloud == "gcp"]
        assert len(thrown) < len(rows) / 8
        assert all(each.reason for each in thrown)
        assert {each.offer.accelerator for each in thrown} <= {"a100", "a100-80gb", "h100", "h100-mega", "h200", "b200"}

    def test_every_row_names_the_zones_that_sell_it(self, rows: list[Offer]) -> None:
        for row in rows:
            assert row.zones
            assert all(CLOUDS["gcp"].region_of(zone) == row.region for zone in row.zones)
            assert list(row.zones) == sorted(set(row.zones))

    def test_axion_can_be_had_in_ten_regions_for_less_than_on_demand(self, rows: list[Offer]) -> None:
        axion = [row for row in rows if row.machine_type == "c4a-standard-8"]
        assert len(axion) >= 10
        for row in axion:
            assert row.architecture == "arm64"
            assert row.spot_usd_per_hour is not None
            assert row.reserved_usd_per_hour is not None
            assert row.spot_usd_per_hour < row.usd_per_hour > row.reserved_usd_per_hour

    def test_a_price_grows_with_the_size(self, rows: list[Offer]) -> None:
        prices = {(row.region, row.machine_type): row.usd_per_hour for row in rows}
        assert prices["us-central1", "c4a-standard-16"] == Decimal("0.7184")
        assert (
            prices["us-central1", "n4-standard-2"] * 8 == prices["us-central1", "n4-standard-16"] == Decimal("0.7256")
        )
        assert prices["us-central1", "g4-standard-384"] == 8 * prices["us-central1", "g4-standard-48"]

    def test_known_zones(self, rows: list[Offer]) -> None:
        zones = {(row.region, row.machine_type): row.zones for row in rows}
        assert zones["us-west1", "c4a-standard-8"] == ("us-west1-a", "us-west1-c")
        assert zones["us-east4", "g2-standard-4"] == ("us-east4-a", "us-east4-c")
        assert zones["us-central1", "a2-highgpu-1g"] == tuple(f"us-central1-{letter}" for letter in "abcf")
        assert zones["us-east5", "a3-highgpu-8g"] == ("us-east5-a",)

    def test_every_accelerator_has_a_name_in_gke(self, rows: list[Offer]) -> None:
        assert all(gke_accelerator_type(row.accelerator).startswith("nvidia-") for row in rows if row.accelerator)
        with pytest.raises(ValueError, match="GKE has no accelerator l40s; it has t4"):
            gke_accelerator_type("l40s")


class TestMispricedRows:
    def test_spot_must_be_below_on_demand(self) -> None:
        for spot in ("87.83", "90"):
            kept = without_mispriced([replace(ROW, spot_usd_per_hour=Decimal(spot))])
            assert kept.offers == ()
            assert kept.rejected[0].reason == f"spot {spot} is not below on-demand 87.83"

    def test_a_region_cannot_be_far_below_the_dearest(self) -> None:
        half = replace(ROW, region="us-central1", usd_per_hour=Decimal("43.9"), spot_usd_per_hour=Decimal(20))
        found = without_mispriced([ROW, half])
        assert found.offers == (ROW,)
        assert [each.offer for each in found.rejected] == [half]

    def test_a_cheap_region_is_not_thrown_out_for_a_dear_one(self) -> None:
        """What sells everywhere tells that Sao Paulo asks 1.6 times what Iowa does: so may the GPU machine."""
        cpus = [
            replace(
                ROW,
                region=region,
                machine_type=name,
                accelerator="",
                accelerator_count=0,
                usd_per_hour=usd,
                spot_usd_per_hour=None,
            )
            for name in ("e2-standard-2", "e2-standard-4", "e2-standard-8")
            for region, usd in (("us-central1", Decimal(10)), ("southamerica-east1", Decimal(16)))
        ]
        iowa, sao_paulo = (
            replace(ROW, region=region, usd_per_hour=Decimal(usd))
            for region, usd in (("us-central1", 80), ("southamerica-east1", 128))
        )
        assert without_mispriced([*cpus, iowa, sao_paulo]).rejected == ()
        half = replace(iowa, usd_per_hour=Decimal(56))
        assert [each.offer for each in without_mispriced([*cpus, half, sao_paulo]).rejected] == [half]
        as_in_iowa = replace(sao_paulo, usd_per_hour=Decimal(80))
        assert without_mispriced([*cpus, iowa, as_in_iowa]).rejected == (), "prices need not follow the level"

    def test_most_rows_can_be_the_wrong_ones(self) -> None:
        halves = [
            replace(ROW, region=region, usd_per_hour=Decimal(43)) for region in ("us-central1", "us-west1", "us-east5")
        ]
        assert [each.offer.region for each in without_mispriced([ROW, *halves]).rejected] == [
            "us-central1",
            "us-east5",
            "us-west1",
        ]

    def test_machines_without_accelerators_may_be_cheap_somewhere(self) -> None:
        mumbai = replace(
            ROW,
            cloud="aws",
            machine_type="m7g.large",
            accelerator="",
            accelerator_count=0,
            usd_per_hour=Decimal(58),
            spot_usd_per_hour=None,
        )
        assert without_mispriced([mumbai, replace(mumbai, region="us-east-1", usd_per_hour=Decimal(82))]).rejected == ()

    def test_a_reservation_must_be_below_on_demand(self) -> None:
        kept = without_mispriced([replace(ROW, reserved_usd_per_hour=Decimal(88))])
        assert kept.rejected[0].reason == "reserved 88 is not below on-demand 87.83"

    def test_other_machines_and_clouds_are_not_compared(self) -> None:
        other = replace(ROW, machine_type="g2-standard-4", usd_per_hour=Decimal("0.7"), spot_usd_per_hour=None)
        abroad = replace(ROW, cloud="aws", usd_per_hour=Decimal(1), spot_usd_per_hour=None)
        assert set(without_mispriced([ROW, other, abroad]).offers) == {ROW, other, abroad}

    def test_prices_are_above_zero(self) -> None:
        assert without_mispriced([replace(ROW, usd_per_hour=Decimal(0))]).offers == ()
        assert without_mispriced([replace(ROW, spot_usd_per_hour=Decimal(0))]).offers == ()

    def test_a_row_without_spot_is_fine(self) -> None:
        assert without_mispriced([replace(ROW, spot_usd_per_hour=None)]).rejected == ()


class TestMarket:
    def test_is_wide_enough_to_choose_from(self) -> None:
        rows = [*catalogue().offers, *(each.offer for each in catalogue().rejected)]
        assert len(rows) >= 600
        for cloud in CLOUDS:
            for machines_of in (True, False):
                places = {
                    row.region for row in rows if row.cloud == cloud and bool(row.accelerator_count) is machines_of
                }
                assert len(places) >= 10, (cloud, machines_of)

    def test_has_processors_fit_for_inference_in_each_cloud(self) -> None:
        for cloud in CLOUDS:
            assert any("amx" in each.features for each in catalogue().offers if each.cloud == cloud)
        assert any(each.architecture == "arm64" for each in catalogue().offers)

    def test_sells_accelerators_with_x86_processors_only(self) -> None:
        """The images that models run in are x86-64's: a GPU machine of another architecture would be chosen and not run them."""
        assert {each.architecture for each in catalogue().offers if each.accelerator_count} == {"x86_64"}


class TestReading:
    def test_the_columns_are_fixed(self) -> None:
        with pytest.raises(ValueError, match=r"aws.csv: the columns are"):
            read_csv("aws", "region,price\nx,1\n")

    def test_a_bad_cell_is_told_with_its_line(self) -> None:
        with pytest.raises(ValueError, match=r"aws.csv:2: .*InvalidOperation"):
            read_csv("aws", ",".join(COLUMNS) + "\nus-east-1,,g6.xlarge,cheap,,,2026-06-30,x\n")

    @pytest.mark.parametrize("machine", ["z9.large", "p3.2xlarge", "g2-standard-4"])
    def test_a_machine_is_known_in_full(self, machine: str) -> None:
        with pytest.raises(ValueError, match=f"{machine} is not in aws/machines.csv with its vcpus"):
            read_csv("aws", ",".join(COLUMNS) + f"\nus-east-1,,{machine},1,,,2026-06-30,x\n")

    @pytest.mark.parametrize(
        ("letters", "why"),
        [
            ("", "no zone of us-east4 is named"),
            ("a g", "'a g' are not letters"),
            ("c a", "each once, in order"),
            ("a a", "each once"),
            ("us-east4-a", "are not letters of us-east4's zones"),
        ],
    )
    def test_zones_are_letters_of_the_region(self, letters: str, why: str) -> None:
        row = f"us-east4,{letters},g2-standard-4,0.7,0.3,,2026-06-30,x"
        with pytest.raises(ValueError, match=why):
            read_csv("gcp", ",".join(COLUMNS) + f"\n{row}\n")
