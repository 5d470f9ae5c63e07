"""Reads the price tables beside this file and throws out prices that cannot be right."""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import cache
from importlib import resources
from typing import Final, Literal

from model_factory.facts.offer import Offer
from model_factory.facts.regions import region_of

COLUMNS: Final = (
    "region",
    "zones",
    "machine_type",
    "accelerator",
    "accelerator_count",
    "accelerator_memory_gib",
    "vcpus",
    "memory_gib",
    "usd_per_hour",
    "spot_usd_per_hour",
    "as_of",
    "source",
)
LEAST_SHARE_OF_DEAREST: Final = Decimal("0.7")
"""Regions of one cloud differ by less than this for the same machine; cheaper rows are another kind of offer in the wrong column."""


@dataclass(frozen=True, slots=True)
class Rejected:
    """A row that is not offered, and why."""

    offer: Offer
    reason: str


@dataclass(frozen=True, slots=True)
class Catalogue:
    """All offers that can be right, by cloud, region and machine type; and the rows thrown out."""

    offers: tuple[Offer, ...]
    rejected: tuple[Rejected, ...]


@cache
def catalogue() -> Catalogue:
    """The tables that come with this package."""
    rows = [*read_csv("aws", _table("aws")), *read_csv("gcp", _table("gcp"))]
    return without_mispriced(rows)


def read_csv(cloud: Literal["aws", "gcp"], text: str) -> list[Offer]:
    """The rows of one table. ValueError names the line that is not as `COLUMNS` say."""
    lines = csv.DictReader(text.splitlines())
    if tuple(lines.fieldnames or ()) != COLUMNS:
        raise ValueError(
            f"{cloud}.csv: the columns are {lines.fieldnames}; they must be {', '.join(COLUMNS)}"
        )
    offers: list[Offer] = []
    for number, row in enumerate(lines, start=2):
        try:
            offers.append(
                Offer(
                    cloud=cloud,
                    region=row["region"],
                    machine_type=row["machine_type"],
                    accelerator=row["accelerator"],
                    accelerator_count=int(row["accelerator_count"]),
                    accelerator_memory_gib=Decimal(row["accelerator_memory_gib"]),
                    vcpus=int(row["vcpus"]),
                    memory_gib=Decimal(row["memory_gib"]),
                    usd_per_hour=Decimal(row["usd_per_hour"]),
                    spot_usd_per_hour=Decimal(row["spot_usd_per_hour"]) if row["spot_usd_per_hour"] else None,
                    as_of=date.fromisoformat(row["as_of"]),
                    source=row["source"],
                    zones=_zones(cloud, row["region"], row["zones"]),
                )
            )
        except (ValueError, ArithmeticError, TypeError) as broken:
            raise ValueError(f"{cloud}.csv:{number}: {broken!r} in {row}") from broken
    return offers


def without_mispriced(rows: Iterable[Offer]) -> Catalogue:
    """Splits rows into offers and mispriced ones.

    Price tables mix on-demand prices with reservations, calendar and flex offers in one column. Two signs give that away: spot at or
    above on-demand, and a price under `LEAST_SHARE_OF_DEAREST` of the same machine's dearest region.
    """
    rows = sorted(rows, key=lambda row: (row.cloud, row.region, row.machine_type))
    dearest: defaultdict[tuple[str, str], Decimal] = defaultdict(Decimal)
    for row in rows:
        machine = (row.cloud, row.machine_type)
        dearest[machine] = max(dearest[machine], row.usd_per_hour)
    offers: list[Offer] = []
    rejected: list[Rejected] = []
    for row in rows:
        reason = _mispriced(row, dearest[row.cloud, row.machine_type])
        if reason:
            rejected.append(Rejected(row, reason))
        else:
            offers.append(row)
    return Catalogue(tuple(offers), tuple(rejected))


def _mispriced(row: Offer, dearest: Decimal) -> str:
    spot = row.spot_usd_per_hour
    if row.usd_per_hour <= 0 or (spot is not None and spot <= 0):
        return "a price is not above 0"
    if spot is not None and spot >= row.usd_per_hour:
        return f"spot {spot} is not below on-demand {row.usd_per_hour}"
    if row.usd_per_hour < dearest * LEAST_SHARE_OF_DEAREST:
        return f"{row.usd_per_hour} is under {LEAST_SHARE_OF_DEAREST} of the dearest region's {dearest}"
    return ""


def _zones(cloud: Literal["aws", "gcp"], region: str, letters: str) -> tuple[str, ...]:
    """`a c` of us-east4 → us-east4-a, us-east4-c. On Google Cloud there must be some: a node pool asks for them by name."""
    zones = tuple(f"{region}{'-' if cloud == 'gcp' else ''}{letter}" for letter in letters.split())
    if list(zones) != sorted(set(zones)) or any(region_of(cloud, zone) != region for zone in zones):
        raise ValueError(f"zones {letters!r} are not letters of {region}'s zones, each once, in order")
    if cloud == "gcp" and not zones:
        raise ValueError(f"no zone of {region} is named; write letters such as a c")
    return zones


def _table(cloud: str) -> str:
    return resources.files("model_factory.facts").joinpath(cloud, "offers.csv").read_text(encoding="utf-8")
