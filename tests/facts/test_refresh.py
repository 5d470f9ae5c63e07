"""The tables after a refresh: what stays, what changes, what comes and goes."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from model_factory.facts.catalogue import COLUMNS as OFFER_COLUMNS
from model_factory.facts.catalogue import read_csv
from model_factory.facts.clouds import CLOUDS, Cloud
from model_factory.facts.market import Market, Quote
from model_factory.facts.prices import COLUMNS as PRICE_COLUMNS
from model_factory.facts.prices import read_prices
from model_factory.facts.refresh import (
    SOURCES,
    Change,
    Refreshed,
    Tables,
    merged,
    read_tables,
    tables_folder,
    wanted_of,
    write_tables,
)

TODAY = date(2026, 11, 26)
MAX_AGE = timedelta(days=180)
OFFERS = """\
us-east-1,,g6.xlarge,0.8048,0.553,,2026-06-30,old
us-east-1,,m7i.large,0.1008,0.0376,,2026-06-30,old
us-west-2,,g6.xlarge,0.8048,0.4289,,2026-06-30,old
us-west-2,,m7i.large,0.1008,,,2026-06-30,old
"""
PRICES = """\
*,logs-ingested,GB,0.5,2026-08-21,old
us-east-1,disk:gp3,GB-month,0.08,2026-08-21,old
us-east-1,s3-standard,GB-hour,0.0000315,2026-08-21,old
"""
TABLES = Tables(f"{','.join(OFFER_COLUMNS)}\n{OFFERS}", f"{','.join(PRICE_COLUMNS)}\n{PRICES}")


def market(
    machines: dict[tuple[str, str], Quote] | None = None,
    items: dict[tuple[str, str], tuple[str, Decimal]] | None = None,
    spot_regions: frozenset[str] = frozenset({"us-east-1", "us-west-2"}),
) -> Market:
    return Market(machines or {}, items or {}, "the source", spot_regions, ["a note"])


def quote(usd: str, spot: str | None = None, reserved: str | None = None) -> Quote:
    return Quote(Decimal(usd), *(None if each is None else Decimal(each) for each in (spot, reserved)))


SAME = {
    ("us-east-1", "g6.xlarge"): quote("0.8048", "0.553"),
    ("us-east-1", "m7i.large"): quote("0.1008", "0.0376"),
    ("us-west-2", "g6.xlarge"): quote("0.8048", "0.4289"),
    ("us-west-2", "m7i.large"): quote("0.1008"),
}


def merge(said: Market, tables: Tables = TABLES, cloud: Cloud = "aws") -> Refreshed:
    return merged(cloud, tables, said, wanted_of(cloud, tables), TODAY, MAX_AGE)


def row(found: Refreshed, *key: str) -> str:
    """The line of an offer or a price."""
    lines = (*found.tables.offers.splitlines(), *found.tables.prices.splitlines())
    [line] = [line for line in lines if set(key) <= set(line.split(","))]
    return line


class TestOffers:
    def test_what_is_told_again_has_a_new_date_and_no_change(self) -> None:
        found = merge(market(SAME))
        assert (found.new, found.changes, found.gone) == ([], [], [])
        assert row(found, "us-east-1", "g6.xlarge") == "us-east-1,,g6.xlarge,0.8048,0.553,,2026-11-26,the source"

    def test_changes_are_told_in_percent_the_largest_first(self) -> None:
        said = SAME | {
            ("us-east-1", "g6.xlarge"): quote("0.90", "0.7742", "0.6"),
            ("us-west-2", "m7i.large"): quote("0.1"),
        }
        found = merge(market(said))
        assert [(each.region, each.name, each.kind, f"{each.percent:+.1f}") for each in found.changes] == [
            ("us-east-1", "g6.xlarge", "spot", "+40.0"),
            ("us-east-1", "g6.xlarge", "on-demand", "+11.8"),
            ("us-west-2", "m7i.large", "on-demand", "-0.8"),
        ]
        assert row(found, "us-east-1", "g6.xlarge") == "us-east-1,,g6.xlarge,0.9,0.7742,0.6,2026-11-26,the source"

    def test_a_machine_that_is_sold_in_a_new_region_of_the_table_comes_in(self) -> None:
        found = merge(market(SAME | {("us-west-2", "g6e.xlarge"): quote("1.861")}))
        assert found.new == [("us-west-2", "g6e.xlarge")]
        assert row(found, "g6e.xlarge") == "us-west-2,,g6e.xlarge,1.861,,,2026-11-26,the source"

    def test_a_machine_that_is_sold_elsewhere_only_goes(self) -> None:
        found = merge(market({key: each for key, each in SAME.items() if key != ("us-west-2", "g6.xlarge")}))
        assert found.gone == [("us-west-2", "g6.xlarge")]
        assert "us-west-2,,g6" not in found.tables.offers

    def test_a_machine_that_the_source_prices_nowhere_stays_with_its_old_date(self) -> None:
        found = merge(market({key: each for key, each in SAME.items() if key[1] != "g6.xlarge"}))
        assert found.gone == []
        assert ("us-east-1", "g6.xlarge") in found.kept
        assert row(found, "us-east-1", "g6.xlarge") == "us-east-1,,g6.xlarge,0.8048,0.553,,2026-06-30,old"
        assert "g6.xlarge" in found.unpriced
        assert "m7i.large" not in found.unpriced

    @pytest.mark.parametrize("prices", [("0.8048", "0.8048"), ("0.8048", None, "0.9")], ids=["spot", "reserved"])
    def test_what_saves_nothing_is_left_out_and_the_machine_stays(self, prices: tuple[str, str | None]) -> None:
        found = merge(market(SAME | {("us-east-1", "g6.xlarge"): quote(*prices)}))
        assert row(found, "us-east-1", "g6.xlarge") == "us-east-1,,g6.xlarge,0.8048,,,2026-11-26,the source"
        assert found.rejected == []
        assert found.notes == [
            "a note",
            "no spot or reserved price written where it is not below on-demand: g6.xlarge in us-east-1",
        ]

    def test_a_row_that_cannot_be_right_is_told_with_its_reason(self) -> None:
        regions = ("us-east-2", "us-west-1", "us-west-2", "eu-west-1", "eu-west-2", "eu-north-1")
        names = ("g6.xlarge", "g6.2xlarge", "g6e.xlarge", "m7i.large")
        said = {(region, name): quote("0.8") for region in regions for name in names}
        found = merge(market(said | {("us-east-1", "g6.xlarge"): quote("0.08")}))
        [(region, name, reason)] = found.rejected
        assert (region, name) == ("us-east-1", "g6.xlarge")
        assert "0.08" in reason

    def test_rows_are_sorted_and_unchanged_by_a_second_time(self) -> None:
        once = merge(market(dict(reversed(SAME.items()))))
        assert once.tables.offers.splitlines()[1:] == sorted(once.tables.offers.splitlines()[1:])
        assert merge(market(SAME), once.tables).tables == once.tables


ON_DEMAND = {key: replace(each, spot_usd_per_hour=None) for key, each in SAME.items()}


class TestSpotThatWasNotAsked:
    def test_it_stays_and_says_its_day(self) -> None:
        found = merge(market(ON_DEMAND, spot_regions=frozenset({"us-west-2"})))
        assert row(found, "us-east-1", "g6.xlarge").endswith("0.8048,0.553,,2026-11-26,the source; spot of 2026-06-30")
        assert row(found, "us-west-2", "g6.xlarge") == "us-west-2,,g6.xlarge,0.8048,,,2026-11-26,the source"

    def test_refreshing_again_does_not_make_it_younger(self) -> None:
        said = market(ON_DEMAND, spot_regions=frozenset())
        once = merge(said)
        again = merged("aws", once.tables, said, wanted_of("aws", once.tables), TODAY + timedelta(days=31), MAX_AGE)
        assert (
            row(again, "us-east-1", "g6.xlarge")
            == "us-east-1,,g6.xlarge,0.8048,0.553,,2026-12-27,the source; spot of 2026-06-30"
        )
        late = merged("aws", again.tables, said, wanted_of("aws", again.tables), TODAY + timedelta(days=32), MAX_AGE)
        assert row(late, "us-east-1", "g6.xlarge") == "us-east-1,,g6.xlarge,0.8048,,,2026-12-28,the source"

    def test_it_goes_where_on_demand_has_come_down_to_it(self) -> None:
        said = ON_DEMAND | {("us-east-1", "g6.xlarge"): quote("0.55")}
        assert row(merge(market(said, spot_regions=frozenset())), "us-east-1", "g6.xlarge").startswith(
            "us-east-1,,g6.xlarge,0.55,,,"
        )


class TestZones:
    TABLES = Tables(
        f"{','.join(OFFER_COLUMNS)}\nus-central1,a c,g2-standard-4,0.7,0.3,,2026-06-30,old\n",
        f"{','.join(PRICE_COLUMNS)}\n",
    )

    def test_they_stay_as_they_were(self) -> None:
        said = market(
            {("us-central1", "g2-standard-4"): quote("0.71", "0.31", "0.45")}, spot_regions=frozenset({"us-central1"})
        )
        found = merge(said, self.TABLES, "gcp")
        assert row(found, "g2-standard-4") == "us-central1,a c,g2-standard-4,0.71,0.31,0.45,2026-11-26,the source"

    def test_a_machine_whose_zones_no_row_names_is_told_and_not_added(self) -> None:
        said = {("us-central1", name): quote("0.7") for name in ("g2-standard-4", "g2-standard-8")}
        found = merge(market(said), self.TABLES, "gcp")
        assert found.zoneless == [("us-central1", "g2-standard-8")]
        assert found.new == []


class TestItems:
    def test_a_price_is_taken_and_what_was_not_told_stays(self) -> None:
        found = merge(market(SAME, {("us-east-1", "disk:gp3"): ("GB-month", Decimal("0.0800000000"))}))
        assert row(found, "disk:gp3") == "us-east-1,disk:gp3,GB-month,0.08,2026-11-26,the source"
        assert found.changes == []
        assert [key for key in found.kept if key[1] != "g6.xlarge"] == [
            ("*", "logs-ingested"),
            ("us-east-1", "s3-standard"),
        ]

    def test_a_region_of_the_table_gets_its_own_price_and_others_do_not(self) -> None:
        said = {
            (region, "disk:gp3"): ("GB-month", Decimal("0.09")) for region in ("us-east-1", "us-west-2", "sa-east-1")
        }
        found = merge(market(SAME, said))
        assert found.new == [("us-west-2", "disk:gp3")]
        assert found.changes == [Change("us-east-1", "disk:gp3", "unit", Decimal("0.08"), Decimal("0.09"))]

    def test_one_price_for_all_regions_takes_the_place_of_theirs(self) -> None:
        found = merge(market(SAME, {("*", "disk:gp3"): ("GB-month", Decimal("0.08"))}))
        assert [line for line in found.tables.prices.splitlines() if "disk:gp3" in line] == [
            "*,disk:gp3,GB-month,0.08,2026-11-26,the source"
        ]

    def test_another_unit_is_no_change_of_price(self) -> None:
        found = merge(market(SAME, {("us-east-1", "s3-standard"): ("GB-month", Decimal("0.023"))}))
        assert row(found, "s3-standard") == "us-east-1,s3-standard,GB-month,0.023,2026-11-26,the source"
        assert found.changes == []


class TestTables:
    @pytest.mark.parametrize("cloud", CLOUDS)
    def test_each_cloud_has_a_source_and_machines_to_ask_for(self, cloud: Cloud) -> None:
        wanted = wanted_of(cloud, read_tables(tables_folder(), cloud))
        assert cloud in SOURCES
        assert wanted.regions == sorted(set(wanted.regions))
        assert set(wanted.regions) <= CLOUDS[cloud].regions
        assert all(each.machine_type == name and each.vcpus > 0 for name, each in wanted.machines.items())

    @pytest.mark.parametrize("cloud", CLOUDS)
    def test_a_refresh_that_tells_nothing_leaves_the_tables_as_they_are(self, cloud: Cloud) -> None:
        tables = read_tables(tables_folder(), cloud)
        found = merge(market(), tables, cloud)
        assert sorted(read_csv(cloud, found.tables.offers), key=repr) == sorted(
            read_csv(cloud, tables.offers), key=repr
        )
        assert sorted(read_prices(cloud, found.tables.prices), key=repr) == sorted(
            read_prices(cloud, tables.prices), key=repr
        )
        assert found.tables == tables

    def test_writing_replaces_both_and_leaves_nothing_beside(self, tmp_path: Path) -> None:
        (tmp_path / "aws").mkdir()
        write_tables(tmp_path, [merge(market(SAME))])
        assert read_tables(tmp_path, "aws") == merge(market(SAME)).tables
        assert sorted(path.name for path in (tmp_path / "aws").iterdir()) == ["offers.csv", "prices.csv"]

    def test_a_table_that_cannot_be_written_leaves_the_others_as_they_were(self, tmp_path: Path) -> None:
        for cloud in ("aws", "gcp"):
            (tmp_path / cloud).mkdir()
        (tmp_path / "aws" / "offers.csv").write_text("old")
        (tmp_path / "gcp" / ".prices.csv.new").mkdir()
        found = merge(market(SAME))
        with pytest.raises(OSError, match=r"prices\.csv\.new"):
            write_tables(tmp_path, [found, replace(found, cloud="gcp")])
        assert (tmp_path / "aws" / "offers.csv").read_text() == "old"
