"""The prices of all clouds, without those that cannot be right: the dated price of an item in a region.

Machines are items too, as `machine:m7i.large`: theirs are the offers. Columns of the table of everything else: `region` (`*`: the same in
all), `item` (as `disk:gp3`), `unit`, `usd`, `as_of` (the day on which the source said so), `source`. A unit of hour, GB-hour counts by the hour; month, GB-month, GB by the month.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import cache
from typing import Final

from model_factory.facts.catalogue import Catalogue, catalogue
from model_factory.facts.clouds import CLOUDS, Cloud
from model_factory.facts.offer import Offer
from model_factory.facts.tables import HOURS_A_MONTH, Quoted, mispriced, read_rows, table

COLUMNS: Final = ("region", "item", "unit", "usd", "as_of", "source")
MACHINE: Final = "machine:"
_HOURS_OF_UNIT: Final = {
    "hour": 1,
    "GB-hour": 1,
    "month": HOURS_A_MONTH,
    "GB-month": HOURS_A_MONTH,
    "GB": HOURS_A_MONTH,
}


@dataclass(frozen=True, slots=True)
class Price:
    """The price of one item in one region: USD a unit, on demand; `spot_usd` and `reserved_usd` only for machines that are sold so."""

    cloud: Cloud
    region: str
    item: str
    unit: str
    usd: Decimal
    as_of: date
    source: str
    spot_usd: Decimal | None = None
    reserved_usd: Decimal | None = None

    @property
    def hours(self) -> int:
        """How many hours one unit of quantity is billed over."""
        return _HOURS_OF_UNIT[self.unit]


@dataclass(frozen=True, slots=True)
class RejectedPrice:
    """A row that is not used, and why."""

    price: Price
    reason: str


@dataclass(frozen=True, slots=True)
class PriceTable:
    """All prices that can be right. Those of machines come from `model_factory.facts.catalogue`, with their sizes."""

    prices: Mapping[tuple[str, str, str], Price]
    """By (cloud, region, item)."""
    machines: Mapping[tuple[str, str, str], Offer]
    """By (cloud, region, machine type)."""
    rejected: Mapping[tuple[str, str, str], str]
    """Why a row of either table is not used, by (cloud, region, item)."""

    @classmethod
    def of(cls, rows: Iterable[Price], offers: Catalogue) -> PriceTable:
        """The table of `rows` and `offers` without mispriced rows. ValueError when an item has two prices in one region."""
        rows = list(rows)
        good, rejected = without_mispriced(rows)
        reasons = {_key(each.price): each.reason for each in rejected}
        for offer in offers.rejected:
            key = (offer.offer.cloud, offer.offer.region, MACHINE + offer.offer.machine_type)
            reasons[key] = offer.reason
        prices: dict[tuple[str, str, str], Price] = {}
        for row in good:
            if _key(row) in prices:
                raise ValueError(f"{row.cloud} {row.region} has two prices of {row.item}; keep the newer row")
            prices[_key(row)] = row
        machines = {(offer.cloud, offer.region, offer.machine_type): offer for offer in offers.offers}
        return cls(prices, machines, reasons)

    def find(self, cloud: str, region: str, item: str) -> Price | None:
        """The item's price in the region, or the one that holds in all; None where no source told."""
        machine = self.machines.get((cloud, region, item.removeprefix(MACHINE)))
        if machine is not None and item.startswith(MACHINE):
            return Price(
                machine.cloud,
                region,
                item,
                "hour",
                machine.usd_per_hour,
                machine.as_of,
                machine.source,
                machine.spot_usd_per_hour,
                machine.reserved_usd_per_hour,
            )
        return self.prices.get((cloud, region, item)) or self.prices.get((cloud, "*", item))

    def why_missing(self, cloud: str, region: str, item: str) -> str:
        """The reason to show where `find` has nothing."""
        rejected = self.rejected.get((cloud, region, item))
        return (
            f"its price was rejected: {rejected}"
            if rejected
            else f"no price of {item} in {region or 'an unknown region'}"
        )


@cache
def price_table() -> PriceTable:
    """The tables that come with this package."""
    rows = (price for cloud in CLOUDS for price in read_prices(cloud, table(cloud, "prices.csv")))
    return PriceTable.of(rows, catalogue())


def read_prices(cloud: Cloud, text: str) -> list[Price]:
    """The rows of one table. ValueError names the line that is not as `COLUMNS` say."""

    def price(cells: Mapping[str, str]) -> Price:
        if cells["item"].startswith(MACHINE):
            raise ValueError("machines stand in offers.csv")
        if cells["unit"] not in _HOURS_OF_UNIT or not cells["source"]:
            raise ValueError(f"a unit of {', '.join(_HOURS_OF_UNIT)} and a source are needed")
        return Price(
            cloud=cloud,
            region=cells["region"],
            item=cells["item"],
            unit=cells["unit"],
            usd=Decimal(cells["usd"]),
            as_of=date.fromisoformat(cells["as_of"]),
            source=cells["source"],
        )

    return read_rows(cloud, text, COLUMNS, price)


def without_mispriced(rows: Iterable[Price]) -> tuple[list[Price], list[RejectedPrice]]:
    """Splits rows into prices and mispriced ones, as `model_factory.facts.tables.mispriced` tells them apart. No region is held against others:
    these are sold in one way only, and an honest disk in Iowa costs 0.6 of one in Dammam."""
    rows = list(rows)
    quoted = (
        Quoted((row.cloud, row.item), (row.cloud, row.region), row.usd, row.spot_usd, is_comparable=False)
        for row in rows
    )
    judged = list(zip(rows, mispriced(quoted), strict=True))
    return (
        [row for row, reason in judged if not reason],
        [RejectedPrice(row, reason) for row, reason in judged if reason],
    )


def _key(price: Price) -> tuple[str, str, str]:
    return (price.cloud, price.region, price.item)
