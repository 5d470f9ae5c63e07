"""Brings `offers.csv` and `prices.csv` of each cloud up to date from its own price source: which rows stay, change, come and go.

A table is read, merged and checked in memory; files are replaced at the end, each at once, so that whatever fails before leaves them as
they were.
"""

from __future__ import annotations

import csv
import io
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from importlib import resources
from pathlib import Path
from typing import Final

from model_factory.facts import catalogue, prices
from model_factory.facts.aws import market as aws
from model_factory.facts.clouds import CLOUDS, Cloud
from model_factory.facts.gcp import market as gcp
from model_factory.facts.machines import machines
from model_factory.facts.market import Market, Progress, Sized, Source, Wanted, plain

SOURCES: Final[Mapping[Cloud, Source]] = {"aws": aws.fetch, "gcp": gcp.fetch}
_SPOT_OF: Final = re.compile(r"; spot of (\d{4}-\d\d-\d\d)$")
_COLUMN_OF: Final = {
    "on-demand": "usd_per_hour",
    "spot": "spot_usd_per_hour",
    "reserved": "reserved_usd_per_hour",
}

Row = Mapping[str, str]
Key = tuple[str, str]
"""(region, machine type or item)."""


@dataclass(frozen=True, slots=True)
class Tables:
    """One cloud's two tables, as text."""

    offers: str
    prices: str


@dataclass(frozen=True, slots=True)
class Change:
    """A price that is another one now. `kind`: on-demand, spot or reserved of a machine, or an item's unit."""

    region: str
    name: str
    kind: str
    before: Decimal
    after: Decimal

    @property
    def percent(self) -> Decimal:
        return (self.after / self.before - 1) * 100 if self.before else Decimal(0)


@dataclass(frozen=True, slots=True)
class Refreshed:
    """One cloud's tables as they are to be, and what of them is other than before."""

    cloud: Cloud
    tables: Tables
    rows: int
    new: Sequence[Key]
    changes: Sequence[Change]
    """Largest first."""
    gone: Sequence[Key]
    """Machines that the source sells elsewhere, but no longer there."""
    kept: Sequence[Key]
    """Rows that the source said nothing of: as they were, with their old date."""
    unpriced: Sequence[str]
    """Machines of machines.csv that the source prices nowhere."""
    zoneless: Sequence[Key]
    """Machines that the source prices where no row names their zones, which it does not tell."""
    rejected: Sequence[tuple[str, str, str]]
    """Rows that are in the tables and not used: region, machine or item, and why."""
    notes: Sequence[str]


def tables_folder() -> Path:
    """Where the tables are that come with this package."""
    return Path(str(resources.files("model_factory.facts")))


def read_tables(folder: Path, cloud: Cloud) -> Tables:
    """A cloud's tables in `folder`. OSError when there are none."""
    return Tables(*(path.read_text(encoding="utf-8") for path in _paths(folder, cloud)))


def refreshed(cloud: Cloud, tables: Tables, today: date, max_age: timedelta, progress: Progress) -> Refreshed:
    """`tables` with the prices that the cloud's source says now. MarketError when it does not say them."""
    wanted = wanted_of(cloud, tables)
    return merged(cloud, tables, SOURCES[cloud](wanted, progress), wanted, today, max_age)


def wanted_of(cloud: Cloud, tables: Tables) -> Wanted:
    """Every machine that is known in full, in every region that has a row."""
    sized = {
        name: Sized(name, each.accelerator, each.accelerator_count, each.vcpus, each.memory_gib)
        for name, each in sorted(machines().items())
        if each.cloud == cloud and each.vcpus is not None and each.memory_gib is not None
    }
    return Wanted(sorted({row["region"] for row in _rows(tables.offers)}), sized)


def merged(cloud: Cloud, tables: Tables, market: Market, wanted: Wanted, today: date, max_age: timedelta) -> Refreshed:
    """`tables` with what `market` says. A spot price that was not asked stays while it is no older than `max_age`."""
    offers = _Merge({(row["region"], row["machine_type"]): row for row in _rows(tables.offers)})
    sold = {machine_type for _, machine_type in market.machines}
    zoneless: list[Key] = []
    for key in sorted(offers.before.keys() | market.machines.keys()):
        row, quote = offers.before.get(key), market.machines.get(key)
        if quote is not None and (row is not None or not CLOUDS[cloud].offers_name_zones):
            offers.put(key, _offer(key, row, market, today, max_age))
        elif quote is not None:
            zoneless.append(key)
        elif key[1] in sold:
            offers.gone.append(key)
        else:
            offers.keep(key)
    items = _Merge({(row["region"], row["item"]): row for row in _rows(tables.prices)})
    everywhere = {item for region, item in market.items if region == "*"}
    for key in sorted(items.before.keys() | market.items.keys()):
        region, item = key
        if key in market.items and region in ("*", *wanted.regions):
            unit, usd = market.items[key]
            items.put(key, _price(key, unit, usd, market, today))
        elif key in items.before and (region == "*" or item not in everywhere):
            items.keep(key)
    result = Tables(_text(catalogue.COLUMNS, offers.after), _text(prices.COLUMNS, items.after))
    return Refreshed(
        cloud=cloud,
        tables=result,
        rows=len(offers.after) + len(items.after),
        new=[*offers.new, *items.new],
        changes=sorted(
            [*offers.changes(_COLUMN_OF), *items.changes({"unit": "usd"})],
            key=lambda each: (-abs(each.percent), each.region, each.name, each.kind),
        ),
        gone=offers.gone,
        kept=[*offers.kept, *items.kept],
        unpriced=sorted(wanted.machines.keys() - sold),
        zoneless=zoneless,
        rejected=_rejected(cloud, result),
        notes=[*market.notes, *_saves_nothing(market)],
    )


def write_tables(folder: Path, done: Iterable[Refreshed]) -> None:
    """Replaces the tables of `done` in `folder`. All are written beside the old ones first, so that a full disk replaces none."""
    texts = {
        path: text
        for each in done
        for path, text in zip(_paths(folder, each.cloud), (each.tables.offers, each.tables.prices), strict=True)
    }
    beside = {path: path.with_name(f".{path.name}.new") for path in texts}
    try:
        for path, text in texts.items():
            with beside[path].open("w", encoding="utf-8", newline="") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
        for path, new in beside.items():
            new.replace(path)
    finally:
        for new in beside.values():
            new.unlink(missing_ok=True)


class _Merge:
    """One table on its way from what it was to what it is to be."""

    def __init__(self, before: Mapping[Key, Row]) -> None:
        self.before = before
        self.after: dict[Key, Row] = {}
        self.new: list[Key] = []
        self.gone: list[Key] = []
        self.kept: list[Key] = []

    def put(self, key: Key, row: Row) -> None:
        self.after[key] = row
        if key not in self.before:
            self.new.append(key)

    def keep(self, key: Key) -> None:
        self.after[key] = self.before[key]
        self.kept.append(key)

    def changes(self, columns: Mapping[str, str]) -> Iterable[Change]:
        """Where both rows state a price in the same unit, and it differs."""
        for key in self.before.keys() & self.after.keys():
            before, after = self.before[key], self.after[key]
            if before.get("unit") != after.get("unit"):
                continue
            for kind, column in columns.items():
                if before[column] and after[column] and Decimal(before[column]) != Decimal(after[column]):
                    yield Change(*key, kind, Decimal(before[column]), Decimal(after[column]))


def _offer(key: Key, row: Row | None, market: Market, today: date, max_age: timedelta) -> Row:
    quote = market.machines[key]
    spot, source = quote.spot_usd_per_hour, market.source
    if row is not None and key[0] not in market.spot_regions and row["spot_usd_per_hour"]:
        since = _spot_date(row)
        if today - since <= max_age:
            spot, source = Decimal(row["spot_usd_per_hour"]), f"{source}; spot of {since}"
    reserved = _saving(quote.reserved_usd_per_hour, quote.usd_per_hour)
    if _saving(spot, quote.usd_per_hour) is None:
        spot, source = None, market.source
    return {
        "region": key[0],
        "zones": row["zones"] if row else "",
        "machine_type": key[1],
        "usd_per_hour": plain(quote.usd_per_hour),
        "spot_usd_per_hour": "" if spot is None else plain(spot),
        "reserved_usd_per_hour": "" if reserved is None else plain(reserved),
        "as_of": today.isoformat(),
        "source": source,
    }


def _saving(usd: Decimal | None, on_demand: Decimal) -> Decimal | None:
    """A spot or reserved price where it is below that on demand. Both are the cloud's own, so one that is not saves nothing today; written
    down, it would take the machine itself off the market, as a row that cannot be right."""
    return usd if usd is not None and usd < on_demand else None


def _saves_nothing(market: Market) -> list[str]:
    names = sorted(
        f"{machine_type} in {region}"
        for (region, machine_type), quote in market.machines.items()
        for usd in (quote.spot_usd_per_hour, quote.reserved_usd_per_hour)
        if usd is not None and _saving(usd, quote.usd_per_hour) is None
    )
    return [f"no spot or reserved price written where it is not below on-demand: {', '.join(names)}"] if names else []


def _spot_date(row: Row) -> date:
    """The day of the row's spot price: that of the row, unless its source says that the spot price is older."""
    found = _SPOT_OF.search(row["source"])
    return date.fromisoformat(found[1] if found else row["as_of"])


def _price(key: Key, unit: str, usd: Decimal, market: Market, today: date) -> Row:
    return {
        "region": key[0],
        "item": key[1],
        "unit": unit,
        "usd": plain(usd),
        "as_of": today.isoformat(),
        "source": market.source,
    }


def _rejected(cloud: Cloud, tables: Tables) -> list[tuple[str, str, str]]:
    """ValueError when the tables could not be read again."""
    offers = catalogue.without_mispriced(catalogue.read_csv(cloud, tables.offers)).rejected
    _, items = prices.without_mispriced(prices.read_prices(cloud, tables.prices))
    return [
        *((each.offer.region, each.offer.machine_type, each.reason) for each in offers),
        *((each.price.region, each.price.item, each.reason) for each in items),
    ]


def _rows(text: str) -> list[Row]:
    return list(csv.DictReader(text.splitlines()))


def _text(columns: Sequence[str], rows: Mapping[Key, Row]) -> str:
    """Sorted by region and name, a line a row, so that a change of one price is a change of one line."""
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(row for _, row in sorted(rows.items()))
    return text.getvalue()


def _paths(folder: Path, cloud: Cloud) -> tuple[Path, Path]:
    return folder / cloud / "offers.csv", folder / cloud / "prices.csv"
