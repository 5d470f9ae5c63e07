"""Reads the price tables beside this file, throws out prices that cannot be right, and answers with the dated price of an item.

Columns: `region` (`*`: the same in all), `item` (as `disk:gp3`, `machine:m7i.large`), `unit`, `usd`, `spot_usd` (the dearest zone),
`as_of` (the day on which the source said so), `source`. A unit of hour, GB-hour counts by the hour; month, GB-month, GB by the month.
"""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import cache
from importlib import resources
from typing import Final, Literal

from model_factory.cost.values import HOURS_A_MONTH, Place
from model_factory.facts.catalogue import LEAST_SHARE_OF_DEAREST, Catalogue, catalogue
from model_factory.facts.offer import Offer

COLUMNS: Final = ("region", "item", "unit", "usd", "spot_usd", "as_of", "source")
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
    """The price of one item in one region: USD a unit, on demand; `spot_usd` only for machines that are sold so."""

    cloud: Place
    region: str
    item: str
    unit: str
    usd: Decimal
    spot_usd: Decimal | None
    as_of: date
    source: str

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
    """All prices that can be right. Machines with GPUs come from `model_factory.facts.catalogue`, with their sizes."""

    prices: Mapping[tuple[str, str, str], Price]
    """By (cloud, region, item)."""
    machines: Mapping[tuple[str, str, str], Offer]
    """GPU machines by (cloud, region, machine type)."""
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
                machine.spot_usd_per_hour,
                machine.as_of,
                machine.source,
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
    return PriceTable.of(
        [*read_prices("aws", _table("aws")), *read_prices("gcp", _table("gcp"))], catalogue()
    )


def read_prices(cloud: Literal["aws", "gcp"], text: str) -> list[Price]:
    """The rows of one table. ValueError names the line that is not as `COLUMNS` say."""
    lines = csv.DictReader(text.splitlines())
    if tuple(lines.fieldnames or ()) != COLUMNS:
        raise ValueError(
            f"{cloud}.csv: the columns are {lines.fieldnames}; they must be {', '.join(COLUMNS)}"
        )
    prices: list[Price] = []
    for number, row in enumerate(lines, start=2):
        try:
            price = Price(
                cloud=cloud,
                region=row["region"],
                item=row["item"],
                unit=row["unit"],
                usd=Decimal(row["usd"]),
                spot_usd=Decimal(row["spot_usd"]) if row["spot_usd"] else None,
                as_of=date.fromisoformat(row["as_of"]),
                source=row["source"],
            )
        except (ValueError, ArithmeticError, TypeError) as broken:
            raise ValueError(f"{cloud}.csv:{number}: {broken!r} in {row}") from broken
        if price.unit not in _HOURS_OF_UNIT or not price.source:
            raise ValueError(
                f"{cloud}.csv:{number}: a unit of {', '.join(_HOURS_OF_UNIT)} and a source are needed in {row}"
            )
        prices.append(price)
    return prices


def without_mispriced(rows: Iterable[Price]) -> tuple[list[Price], list[RejectedPrice]]:
    """Splits rows into prices and mispriced ones, by the signs of `model_factory.facts.catalogue`: nothing above 0, spot at or above on-demand,
    far below the same item's dearest region."""
    rows = list(rows)
    dearest: defaultdict[tuple[str, str], Decimal] = defaultdict(Decimal)
    for row in rows:
        dearest[row.cloud, row.item] = max(dearest[row.cloud, row.item], row.usd)
    good: list[Price] = []
    rejected: list[RejectedPrice] = []
    for row in rows:
        reason = _mispriced(row, dearest[row.cloud, row.item])
        if reason:
            rejected.append(RejectedPrice(row, reason))
        else:
            good.append(row)
    return good, rejected


def _mispriced(row: Price, dearest: Decimal) -> str:
    if row.usd <= 0 or (row.spot_usd is not None and row.spot_usd <= 0):
        return "a price is not above 0"
    if row.spot_usd is not None and row.spot_usd >= row.usd:
        return f"spot {row.spot_usd} is not below on-demand {row.usd}"
    if row.usd < dearest * LEAST_SHARE_OF_DEAREST:
        return f"{row.usd} is under {LEAST_SHARE_OF_DEAREST} of the dearest region's {dearest}"
    return ""


def _key(price: Price) -> tuple[str, str, str]:
    return (price.cloud, price.region, price.item)


def _table(cloud: str) -> str:
    return resources.files("model_factory.facts").joinpath(cloud, "prices.csv").read_text(encoding="utf-8")
