"""The offers of all clouds, without the prices that cannot be right."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import cache
from typing import Final

from model_factory.facts.accelerators import accelerators
from model_factory.facts.clouds import CLOUDS, Cloud
from model_factory.facts.machines import machines
from model_factory.facts.offer import Offer
from model_factory.facts.tables import Quoted, levels_of, mispriced, read_rows, table

COLUMNS: Final = (
    "region",
    "zones",
    "machine_type",
    "usd_per_hour",
    "spot_usd_per_hour",
    "reserved_usd_per_hour",
    "as_of",
    "source",
)


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
    return without_mispriced(offer for cloud in CLOUDS for offer in read_csv(cloud, table(cloud, "offers.csv")))


def read_csv(cloud: Cloud, text: str) -> list[Offer]:
    """The rows of one table, each with what its machine is. ValueError names the line that is not as `COLUMNS` say, or whose machine is
    not known in full."""

    def offer(cells: Mapping[str, str]) -> Offer:
        machine = machines().get(cells["machine_type"])
        if machine is None or machine.cloud != cloud or machine.vcpus is None or machine.memory_gib is None:
            raise ValueError(
                f"{cells['machine_type']} is not in {cloud}/machines.csv with its vcpus and memory_gib; add it there"
            )
        if machine.accelerator and machine.accelerator not in accelerators():
            raise ValueError(f"{machine.accelerator} is not in accelerators.csv; add it there")
        return Offer(
            cloud=cloud,
            region=cells["region"],
            machine_type=machine.machine_type,
            accelerator=machine.accelerator,
            accelerator_count=machine.accelerator_count,
            usable_gib_per_accelerator=accelerators()[machine.accelerator].usable_gib
            if machine.accelerator
            else Decimal(0),
            vcpus=machine.vcpus,
            memory_gib=machine.memory_gib,
            usd_per_hour=Decimal(cells["usd_per_hour"]),
            spot_usd_per_hour=_price(cells["spot_usd_per_hour"]),
            as_of=date.fromisoformat(cells["as_of"]),
            source=cells["source"],
            zones=_zones(cloud, cells["region"], cells["zones"]),
            reserved_usd_per_hour=_price(cells["reserved_usd_per_hour"]),
            interconnect=machine.interconnect,
            architecture=machine.architecture,
            features=machine.features,
        )

    return read_rows(cloud, text, COLUMNS, offer)


def without_mispriced(rows: Iterable[Offer]) -> Catalogue:
    """Splits rows into offers and mispriced ones, as `model_factory.facts.tables.mispriced` tells them apart.

    Machines without accelerators are sold in one way only, so they are not held against other regions: where one is far cheaper, as
    Graviton is in Mumbai, it is. Those with the processors that machines with accelerators have, x86-64, say how dear a region is.
    """
    rows = sorted(rows, key=lambda row: (row.cloud, row.region, row.machine_type))
    quoted = [
        Quoted(
            (row.cloud, row.machine_type),
            (row.cloud, row.region),
            row.usd_per_hour,
            row.spot_usd_per_hour,
            row.reserved_usd_per_hour,
            is_comparable=row.accelerator_count > 0,
        )
        for row in rows
    ]
    steady = (
        each for each, row in zip(quoted, rows, strict=True) if not each.is_comparable and row.architecture == "x86_64"
    )
    reasons = mispriced(quoted, levels_of(steady))
    judged = list(zip(rows, reasons, strict=True))
    return Catalogue(
        tuple(row for row, reason in judged if not reason),
        tuple(Rejected(row, reason) for row, reason in judged if reason),
    )


def _price(cell: str) -> Decimal | None:
    return Decimal(cell) if cell else None


def _zones(cloud: Cloud, region: str, letters: str) -> tuple[str, ...]:
    """`a c` of us-east4 → us-east4-a, us-east4-c. Where offers name zones there must be some: a node pool asks for them by name."""
    facts = CLOUDS[cloud]
    zones = tuple(f"{region}{facts.zone_separator}{letter}" for letter in letters.split())
    if list(zones) != sorted(set(zones)) or any(facts.region_of(zone) != region for zone in zones):
        raise ValueError(f"zones {letters!r} are not letters of {region}'s zones, each once, in order")
    if facts.offers_name_zones and not zones:
        raise ValueError(f"no zone of {region} is named; write letters such as a c")
    return zones
