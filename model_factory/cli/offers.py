"""`factory offers`: what can be bought where, from the price tables. Asks no cloud, and needs no stack."""

from __future__ import annotations

import json
import sys
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Annotated, Any, Final

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from model_factory.cli.amounts import exact
from model_factory.cli.errors import BadInputError
from model_factory.cli.options import Json, console_for
from model_factory.facts.clouds import CLOUDS
from model_factory.facts.offer import Offer
from model_factory.planning.planned import market
from model_factory.planning.settings.problems import instead

_LEAST, _MORE, _MOST = range(3)
"""How much of an offer a table shows."""
_OF_MOST: Final = "link, zones, date"
_LEFT_OUT: Final = (f"memory, vCPU, reserved, {_OF_MOST}", _OF_MOST, "")
"""What a table has no columns for, by how much it shows."""
_UNBOUNDED: Final = 10_000
_USD: Final = Decimal("0.0001")


class Sort(StrEnum):
    """What comes first."""

    PLACE = "place"
    PRICE = "price"
    SPOT = "spot"


Clouds = Annotated[list[str] | None, typer.Option("--cloud", help="Only in this cloud (repeatable).")]
Regions = Annotated[
    list[str] | None, typer.Option("--region", help="Only in this region, as us-east-1 or aws/us-east-1 (repeatable).")
]
Accelerators = Annotated[
    list[str] | None, typer.Option("--accelerator", help="Only with this accelerator, as l4 or a100-80gb (repeatable).")
]
Machine = Annotated[
    str, typer.Option("--machine", help="Only machine types of this pattern, as 'g6*'.", metavar="PATTERN")
]
MinGpus = Annotated[int, typer.Option("--min-gpus", min=0, help="Only with so many accelerators or more.")]
MinMemory = Annotated[
    float,
    typer.Option("--min-memory-gib", min=0, help="Only with so much usable memory over all accelerators, or more."),
]
Cpu = Annotated[bool, typer.Option("--cpu", help="Only without accelerators.")]
Features = Annotated[
    list[str] | None, typer.Option("--cpu-feature", help="Only with this in its processors, as amx (repeatable).")
]
Spot = Annotated[bool, typer.Option("--spot", help="Only what has a spot price.")]
Rejected = Annotated[bool, typer.Option("--rejected", help="Only rows whose price cannot be right, and why.")]
Sorted = Annotated[Sort, typer.Option("--sort", help="By place and name, or the cheapest first.")]


@dataclass(frozen=True, slots=True)
class Filter:
    """Which offers are wanted; what is empty or 0 wants all."""

    clouds: Collection[str]
    regions: Collection[str]
    accelerators: Collection[str]
    machine: str
    min_gpus: int
    min_memory_gib: Decimal
    spot: bool
    cpu: bool
    features: Collection[str]

    def admits(self, offer: Offer) -> bool:
        """Is it wanted?"""
        return (
            (not self.clouds or offer.cloud in self.clouds)
            and (not self.regions or offer.region in self.regions)
            and (not self.accelerators or offer.accelerator in self.accelerators)
            and (not self.machine or fnmatchcase(offer.machine_type, self.machine))
            and offer.accelerator_count >= self.min_gpus
            and offer.usable_gib_per_accelerator * offer.accelerator_count >= self.min_memory_gib
            and (not self.cpu or not offer.accelerator_count)
            and offer.features.issuperset(self.features)
            and (not self.spot or offer.spot_usd_per_hour is not None)
        )


def offers(
    cloud: Clouds = None,
    region: Regions = None,
    accelerator: Accelerators = None,
    machine: Machine = "",
    min_gpus: MinGpus = 0,
    min_memory_gib: MinMemory = 0,
    spot: Spot = False,
    cpu: Cpu = False,
    cpu_feature: Features = None,
    rejected: Rejected = False,
    sort: Sorted = Sort.PLACE,
    as_json: Json = False,
) -> None:
    """List what can be bought: machines with their accelerators, usable memory, interconnect, zones and prices, by cloud and region.

    --json is a list; each has cloud, region, machineType, accelerator, acceleratorCount, usableGibPerAccelerator, interconnect, architecture,
    features, vcpus, memoryGib, zones (empty where the cloud's tables name none), usdPerHour, spotUsdPerHour, reservedUsdPerHour (a year's
    commitment), asOf, source, rejected (why, or null). Amounts are text, exact; null where no source told.
    """
    there = market()
    rows = there.rejected if rejected else there.offers
    every = (*there.offers, *there.rejected)
    wanted = Filter(
        _known("--cloud", cloud, CLOUDS),
        _known("--region", [each.rpartition("/")[2] for each in region or ()], {each.region for each in every}),
        _known("--accelerator", accelerator, {each.accelerator for each in every if each.accelerator}),
        machine,
        min_gpus,
        Decimal(str(min_memory_gib)),
        spot,
        cpu,
        _known("--cpu-feature", cpu_feature, {feature for each in every for feature in each.features}),
    )
    found = _in_order([each for each in rows if wanted.admits(each)], sort)
    if as_json:
        sys.stdout.write(json.dumps([_document(each, there.why_unpriced(each)) for each in found], indent=4) + "\n")
        return
    console = console_for(as_json=False)
    if not found:
        console.print("No row of the tables is so.")
        return
    detail = _MOST if rejected else _detail(console, found)
    console.print(
        _rejected(found, [there.why_unpriced(each) for each in found]) if rejected else _of_detail(found, detail)
    )
    days = sorted({each.as_of for each in found})
    of = f"{days[0]}" if days[0] == days[-1] else f"{days[0]} to {days[-1]}"
    memory = "" if rejected or detail == _LEAST else "; GiB each is what one process can use"
    console.print(Text(f"{len(found)} of {len(rows)}; USD an hour of {of}{memory}; sources in --json", "dim"))
    if left_out := _LEFT_OUT[detail]:
        console.print(Text(f"left out for want of room: {left_out}; see --json", "dim"))


def _known(option: str, given: Iterable[str] | None, known: Collection[str]) -> tuple[str, ...]:
    names = tuple(given or ())
    for name in names:
        if name not in known:
            raise BadInputError(f"{option} {name}: no table has it; {instead(name, sorted(known))}")
    return names


def _in_order(found: Sequence[Offer], sort: Sort) -> list[Offer]:
    match sort:
        case Sort.PLACE:
            return list(found)
        case Sort.PRICE:
            return sorted(found, key=lambda each: each.usd_per_hour)
        case Sort.SPOT:
            return sorted(found, key=lambda each: each.spot_usd_per_hour or Decimal("Infinity"))


def _document(offer: Offer, rejected: str) -> dict[str, Any]:
    return {
        "cloud": offer.cloud,
        "region": offer.region,
        "machineType": offer.machine_type,
        "accelerator": offer.accelerator or None,
        "acceleratorCount": offer.accelerator_count,
        "usableGibPerAccelerator": f"{offer.usable_gib_per_accelerator:f}",
        "interconnect": offer.interconnect or None,
        "architecture": offer.architecture,
        "features": sorted(offer.features),
        "vcpus": offer.vcpus,
        "memoryGib": f"{offer.memory_gib:f}",
        "zones": list(offer.zones),
        "usdPerHour": f"{offer.usd_per_hour:f}",
        "spotUsdPerHour": exact(offer.spot_usd_per_hour),
        "reservedUsdPerHour": exact(offer.reserved_usd_per_hour),
        "asOf": offer.as_of.isoformat(),
        "source": offer.source,
        "rejected": rejected or None,
    }


def _detail(console: Console, found: Sequence[Offer]) -> int:
    """As many columns as the terminal has room for with nothing of them cut: a region that is cut is another region. --json has the rest."""
    room = console.options.update(max_width=_UNBOUNDED)
    widths = ((detail, console.measure(_of_detail(found, detail), options=room).maximum) for detail in (_MOST, _MORE))
    return next((detail for detail, width in widths if width <= console.width), _LEAST)


def _of_detail(found: Sequence[Offer], detail: int) -> Table:
    most, more = detail >= _MOST, detail >= _MORE
    table = _empty(
        "region", "machine type", "accelerator", *(("GiB each",) if more else ()), *(("link", "zones") if most else ())
    )
    if not more:
        table.padding = (0, 1, 0, 0)
    for heading in (*(("vCPU", "GiB") if more else ()), "on demand", "spot", *(("reserved",) if more else ())):
        table.add_column(heading, justify="right")
    if most:
        table.add_column("as of")
    for column in table.columns:
        column.no_wrap = True
    for each in found:
        zones = " ".join(zone.removeprefix(each.region).lstrip("-") for zone in each.zones)
        usable = f"{each.usable_gib_per_accelerator.normalize():f}" if each.accelerator_count else ""
        table.add_row(
            f"{each.cloud}/{each.region}",
            each.machine_type,
            f"{each.accelerator_count}x {each.accelerator}"
            if each.accelerator_count
            else " ".join((each.architecture, *sorted(each.features))),
            *((usable,) if more else ()),
            *((each.interconnect, zones) if most else ()),
            *((f"{each.vcpus}", f"{each.memory_gib.normalize():f}") if more else ()),
            *(_money(amount) for amount in (each.usd_per_hour, each.spot_usd_per_hour)),
            *((_money(each.reserved_usd_per_hour),) if more else ()),
            *((each.as_of.isoformat(),) if most else ()),
        )
    return table


def _rejected(found: Sequence[Offer], reasons: Sequence[str]) -> Table:
    table = _empty("region", "machine type", "on demand", "spot", "why")
    for column in table.columns[:-1]:
        column.no_wrap = True
    for each, reason in zip(found, reasons, strict=True):
        place = f"{each.cloud}/{each.region}"
        table.add_row(place, each.machine_type, _money(each.usd_per_hour), _money(each.spot_usd_per_hour), reason)
    return table


def _empty(*headings: str) -> Table:
    return Table(*headings, box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")


def _money(amount: Decimal | None) -> str:
    return "" if amount is None else f"{amount.quantize(_USD):,f}"
