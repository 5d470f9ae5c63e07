"""`factory offers` lists the rows of the price tables, filtered, for people and whole for machines."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from typer.testing import CliRunner

from model_factory.cli.errors import BadInputError
from model_factory.cli.main import app
from model_factory.planning.planned import market


def offers(*arguments: str, columns: int = 160) -> str:
    result = CliRunner().invoke(
        app, ["offers", *arguments], env={"COLUMNS": str(columns)}, catch_exceptions=False, standalone_mode=False
    )
    return result.stdout


def rows(*arguments: str) -> list[dict[str, Any]]:
    return json.loads(offers("--json", *arguments))


class TestJson:
    def test_has_every_offer_with_all_that_is_known(self) -> None:
        told = rows()
        assert len(told) == len(market().offers)
        assert {frozenset(each) for each in told} == {
            frozenset({
                "cloud", "region", "machineType", "accelerator", "acceleratorCount", "usableGibPerAccelerator",
                "interconnect", "architecture", "features", "vcpus", "memoryGib", "zones", "usdPerHour",
                "spotUsdPerHour", "reservedUsdPerHour", "asOf", "source", "rejected",
            })
        }  # fmt: skip
        first, offer = told[0], market().offers[0]
        assert (first["machineType"], first["usdPerHour"]) == (offer.machine_type, f"{offer.usd_per_hour:f}")

    def test_is_an_empty_list_where_nothing_is_so(self) -> None:
        assert rows("--machine", "nothing*") == []


class TestFilters:
    @pytest.mark.parametrize(
        ("arguments", "wanted"),
        [
            (("--cloud", "gcp"), lambda each: each["cloud"] == "gcp"),
            (("--region", "us-east-1", "--region", "us-central1"),
             lambda each: each["region"] in {"us-east-1", "us-central1"}),
            (("--accelerator", "l4"), lambda each: each["accelerator"] == "l4"),
            (("--machine", "g6*.xlarge"),
             lambda each: each["machineType"].startswith("g6") and each["machineType"].endswith(".xlarge")),
            (("--min-gpus", "4"), lambda each: each["acceleratorCount"] >= 4),
            (("--min-memory-gib", "80"),
             lambda each: each["acceleratorCount"] * Decimal(each["usableGibPerAccelerator"]) >= 80),
            (("--spot",), lambda each: each["spotUsdPerHour"] is not None),
            (("--cpu",), lambda each: not each["acceleratorCount"]),
            (("--cpu-feature", "amx"), lambda each: "amx" in each["features"]),
            (("--cpu-feature", "sve", "--cpu-feature", "sve2"), lambda each: {"sve", "sve2"} <= set(each["features"])),
            (("--cloud", "aws", "--spot", "--min-gpus", "8"),
             lambda each: each["cloud"] == "aws" and each["spotUsdPerHour"] is not None and each["acceleratorCount"] >= 8),
        ],
    )  # fmt: skip
    def test_leave_what_is_wanted_and_nothing_else(self, arguments: tuple[str, ...], wanted: Any) -> None:
        found = rows(*arguments)
        assert found == [each for each in rows() if wanted(each)]
        assert 0 < len(found) < len(market().offers)

    @pytest.mark.parametrize(
        ("arguments", "told"),
        [
            (("--accelerator", "l4s"), "write l4"),
            (("--region", "us-east1-1"), "write us-east-1|write us-east1"),
            (("--cloud", "azure"), "choose from aws, gcp"),
            (("--cpu-feature", "amx2"), "write amx"),
            (("--accelerator", "nosuch"), r"choose one of the \d+ there are, as \w"),
        ],
    )
    def test_of_names_that_no_table_has_are_refused(self, arguments: tuple[str, str], told: str) -> None:
        with pytest.raises(BadInputError, match=told):
            offers(*arguments)


class TestSort:
    def test_by_price(self) -> None:
        prices = [Decimal(each["usdPerHour"]) for each in rows("--sort", "price", "--min-gpus", "1")]
        assert prices == sorted(prices)

    def test_by_spot_has_those_without_last(self) -> None:
        prices = [each["spotUsdPerHour"] for each in rows("--sort", "spot", "--accelerator", "l4")]
        known = [Decimal(each) for each in prices if each is not None]
        assert prices[len(known) :] == [None] * (len(prices) - len(known))
        assert known == sorted(known)


class TestRejected:
    def test_rows_have_their_reason(self) -> None:
        told = rows("--rejected")
        assert len(told) == len(market().rejected)
        assert all(each["rejected"] for each in told)
        assert not any(each["rejected"] for each in rows())

    def test_are_a_table_of_their_own(self) -> None:
        offer = market().rejected[0]
        shown = offers("--rejected", columns=200)
        assert offer.machine_type in shown
        assert market().why_unpriced(offer) in shown


class TestTable:
    @pytest.mark.parametrize(
        ("columns", "headings"),
        [(80, {"on demand", "spot"}), (110, {"vCPU", "reserved"}), (160, {"link", "zones", "as of"})],
    )
    def test_fits_the_terminal(self, columns: int, headings: set[str]) -> None:
        shown = offers("--accelerator", "l4", "--region", "us-central1", columns=columns)
        assert all(len(line) <= columns for line in shown.splitlines()), shown
        assert all(heading in shown for heading in headings)
        assert "g2-standard-4 " in shown
        assert "…" not in shown
        assert "\x1b" not in shown

    def test_says_so_where_there_is_none(self) -> None:
        assert offers("--machine", "nothing*") == "No row of the tables is so.\n"

    def test_a_machine_without_accelerator_shows_its_architecture(self) -> None:
        bare = next(offer for offer in market().offers if not offer.accelerator_count)
        shown = offers("--machine", bare.machine_type, "--region", bare.region)
        assert bare.architecture in shown

    @pytest.mark.parametrize("columns", [60, 80, 110, 400])
    def test_says_of_memory_only_where_it_is_shown_and_what_had_no_room(self, columns: int) -> None:
        shown = offers("--machine", "g6.xlarge", "--region", "us-east-1", columns=columns)
        headings = shown.splitlines()[0]
        assert ("one process can use" in shown) == ("GiB each" in headings)
        assert ("left out for want of room" in shown) == ("as of" not in headings)
        assert ("left out for want of room: memory" in shown) == ("GiB each" not in headings)
