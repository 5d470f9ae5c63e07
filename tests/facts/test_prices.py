from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest

from model_factory.facts.catalogue import Catalogue
from model_factory.facts.prices import PriceTable, price_table, read_prices, without_mispriced
from tests.cost.tables import price

HEAD = "region,item,unit,usd,as_of,source\n"
NO_OFFERS = Catalogue((), ())


class TestMispricedRows:
    def test_spot_at_or_above_on_demand(self) -> None:
        good, rejected = without_mispriced([price("aws", "machine:m", "hour", "1", spot_usd=Decimal("1.2"))])
        assert not good
        assert [each.reason for each in rejected] == ["spot 1.2 is not below on-demand 1"]

    def test_a_region_may_be_far_cheaper_than_another(self) -> None:
        here = price("aws", "disk:gp3", "GB-month", "0.10")
        there = replace(here, region="eu-west-1", usd=Decimal("0.06"))
        assert without_mispriced([here, there]) == ([here, there], [])

    def test_nothing_is_free(self) -> None:
        assert without_mispriced([price("aws", "kms-key", "month", "0")])[1][0].reason == "a price is not above 0"

    def test_the_tables_that_come_with_the_package_have_none(self) -> None:
        own = {key: reason for key, reason in price_table().rejected.items() if key not in _machines()}
        assert own == {}


class TestReading:
    @pytest.mark.parametrize(
        ("row", "told"),
        [
            ("r,i,hour,x,2026-01-01,s", "aws.csv:2"),
            ("r,i,hour,1,yesterday,s", "aws.csv:2"),
            ("r,i,fortnight,1,2026-01-01,s", "a unit of hour"),
            ("r,i,hour,1,2026-01-01,", "a source"),
            ("r,machine:m,hour,1,2026-01-01,s", "machines stand in offers.csv"),
        ],
    )
    def test_a_bad_row_is_named(self, row: str, told: str) -> None:
        with pytest.raises(ValueError, match=told):
            read_prices("aws", HEAD + row)

    def test_other_columns_are_refused(self) -> None:
        with pytest.raises(ValueError, match="the columns are"):
            read_prices("gcp", "region,item\n")

    def test_two_prices_of_one_item_are_refused(self) -> None:
        row = price("aws", "kms-key", "month", "1")
        with pytest.raises(ValueError, match="two prices of kms-key"):
            PriceTable.of([row, row], NO_OFFERS)


class TestFinding:
    def test_a_region_goes_before_all_regions(self) -> None:
        everywhere = price("gcp", "logs-ingested", "GB", "0.50", region="*")
        here = price("gcp", "logs-ingested", "GB", "0.60")
        found = PriceTable.of([everywhere, here], NO_OFFERS)
        assert found.find("gcp", "us-central1", "logs-ingested") == here
        assert found.find("gcp", "europe-west4", "logs-ingested") == everywhere
        assert found.find("aws", "us-east-1", "logs-ingested") is None

    @pytest.mark.parametrize(
        ("cloud", "items"),
        [
            ("aws", ("eks-control-plane", "eks-control-plane-extended", "kms-key", "public-ipv4")),
            ("gcp", ("gke-control-plane", "kms-key", "nat-vm", "nat-data", "public-ipv4", "logs-ingested")),
            ("gcp", ("disk:pd-balanced", "disk:pd-standard", "disk:pd-ssd", "gcs-standard")),
        ],
    )
    def test_every_region_that_sells_machines_has_it(self, cloud: str, items: tuple[str, ...]) -> None:
        prices = price_table()
        regions = {region for of, region, _ in prices.machines if of == cloud}
        assert len(regions) > 15
        assert not [(region, item) for region in regions for item in items if prices.find(cloud, region, item) is None]

    def test_every_shipped_row_has_a_date_and_a_source(self) -> None:
        for row in price_table().prices.values():
            assert row.source
            assert date(2026, 1, 1) <= row.as_of <= date(2026, 12, 31)

    def test_the_regions_of_the_examples_have_every_price(self) -> None:
        prices = price_table()
        aws = (
            "eks-control-plane",
            "nat-gateway",
            "nat-gateway-data",
            "public-ipv4",
            "disk:gp3",
            "ecr-storage",
            "s3-standard",
        )
        gcp = (
            "gke-control-plane",
            "nat-vm",
            "nat-data",
            "public-ipv4",
            "disk:pd-balanced",
            "gcs-standard",
            "machine:e2-standard-4",
        )
        assert all(prices.find("aws", "us-east-1", item) for item in (*aws, "machine:m7i.large", "machine:g6.xlarge"))
        assert all(prices.find("gcp", "us-central1", item) for item in (*gcp, "machine:g2-standard-4"))


def _machines() -> set[tuple[str, str, str]]:
    from model_factory.facts.catalogue import catalogue

    return {
        (each.offer.cloud, each.offer.region, f"machine:{each.offer.machine_type}") for each in catalogue().rejected
    }
