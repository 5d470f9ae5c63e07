"""`factory cost`: what a stack costs, line by line, with each price's source and date. Asks no cloud and no price service."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from itertools import groupby
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import typer
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from model_factory.cli.offline import declared
from model_factory.cli.options import DEFAULT_STACK, Cwd, Json, StackName, console_for
from model_factory.cli.session import Session
from model_factory.cost import IDLE, SHARED, Bill, Line, Resource, SiteKey, Span, Sums, bill_of, site_name
from model_factory.engines.values import resource
from model_factory.preview.costs import missing_text
from model_factory.preview.wording import beginning_of, folded

Basis = Literal["state", "program"]
_SAID: Final[Mapping[tuple[Basis, bool], str]] = {
    ("state", False): "its state",
    ("program", True): "what its program describes",
    ("program", False): "what its program describes, as nothing of it stands here",
}
_QUANTITIES: Final = (
    "quantities: from rest to peak of the models' replicas, hours of each hour, GB and months of each month; "
    "what a pool may grow to is not among them"
)
_FINE: Final = Decimal("0.0001")
_CENT: Final = Decimal("0.01")
_WIDE: Final = 110
_WIDEST_NAME: Final = 30
"""Names that are longer are broken, rather than amounts."""
_LEAST_WORDS: Final = 12
_GAP: Final = 2
"""Columns of a terminal that has room for hours of GPUs."""

Planned = Annotated[
    bool, typer.Option("--planned", help="What the program describes now, though the stack has state here.")
]


def cost(stack: StackName = DEFAULT_STACK, as_json: Json = False, planned: Planned = False, cwd: Cwd = Path()) -> None:
    """Show what the stack costs at rest and at peak: from its state here, or where nothing stands from what its program describes."""
    session = Session.open(stack, cwd)
    basis, resources = _resources(session, planned=planned)
    bill = bill_of(resources, today=datetime.now(UTC).date())
    if as_json:
        sys.stdout.write(json.dumps(_document(stack, basis, bill), indent=4) + "\n")
    else:
        _show(console_for(as_json=False), stack, _SAID[basis, planned], bill)


def _resources(session: Session, *, planned: bool) -> tuple[Basis, list[Resource]]:
    standing = [] if planned else [each for each in session.store.load().resources if not each.delete]
    if standing:
        return "state", [resource(each) for each in standing]
    return "program", declared(session)


def _document(stack: str, basis: Basis, bill: Bill) -> dict[str, Any]:
    """For machines: amounts are exact, as text."""
    return {
        "stack": stack,
        "basis": basis,
        "currency": "USD",
        "total": _sums(bill.total),
        "estimated": _sums(bill.estimated),
        "clouds": {cloud: _sums(sums) for cloud, sums in bill.by_cloud.items()},
        "owners": [{"owner": owner, "cloud": cloud, **_sums(sums)} for (owner, cloud), sums in bill.by_owner.items()],
        "models": [
            {"model": owner, **_sums(sums)} for owner, sums in bill.by_model.items() if owner not in {SHARED, IDLE}
        ],
        "sites": [
            {
                "owner": owner,
                "cloud": cloud,
                "region": region,
                **_sums(sums),
                "legs": [
                    {"capacityType": capacity, **_sums(part)} for capacity, part in _legs(bill, (owner, cloud, region))
                ],
            }
            for (owner, cloud, region), sums in bill.by_site.items()
        ],
        "lines": [_line(line) for line in bill.lines],
        "missing": [{"urn": each.urn, "what": each.what, "reason": each.reason} for each in bill.missing],
        "warnings": list(bill.warnings),
    }


def _sums(sums: Sums) -> dict[str, Any]:
    return {
        "usdPerHour": _span(sums.usd_per_hour),
        "usdPerMonth": _span(sums.usd_per_month),
        "onDemandUsdPerHour": _span(sums.on_demand),
        "spotUsdPerHour": _span(sums.spot),
        "reservedUsdPerHour": _span(sums.reserved),
        "gpuHoursPerMonth": _span(sums.gpu_hours_per_month),
    }


def _line(line: Line) -> dict[str, Any]:
    return {
        "urn": line.urn,
        "cloud": line.cloud,
        "region": line.region,
        "what": line.what,
        "quantity": _span(line.quantity),
        "unit": line.unit,
        "usdPerUnit": str(line.usd_per_unit),
        "usdPerHour": _span(line.usd_per_hour),
        "capacityType": line.capacity_type,
        "gpus": _span(line.gpus),
        "estimated": line.estimated,
        "source": line.source,
        "asOf": line.as_of.isoformat(),
        "shares": [{"owner": share.owner, "usdPerHour": _span(share.usd_per_hour)} for share in line.shares],
    }


def _span(span: Span) -> dict[str, str]:
    return {"idle": f"{span.idle:f}", "peak": f"{span.peak:f}"}


def _show(console: Console, stack: str, said: str, bill: Bill) -> None:
    console.print(Text.assemble(("Cost of ", "bold"), (stack, "bold cyan"), f", from {said}; USD list prices"))
    console.print()
    console.print(_lines(bill.lines, console.width))
    for site, found in _by_site(bill.lines):
        if beginning := beginning_of([line.name for line in found]):
            console.print(Text(f"… in {site} is {beginning}", "dim"))
    console.print()
    console.print(_parts(bill, gpu_hours=console.width >= _WIDE))
    if bill.estimated:
        console.print(Text(f"~ assumed: {_hourly(bill.estimated.usd_per_hour)} an hour of the total", "dim"))
    for each in missing_text(bill.missing):
        console.print(Text(f"not in the total: {each}", "yellow"))
    for warning in bill.warnings:
        console.print(Text(f"warning: {warning}", "yellow"))
    console.print(Text(_QUANTITIES, "dim"))
    dates = sorted({line.as_of for line in bill.lines})
    if dates:
        machines = sorted({line.as_of for line in bill.lines if line.capacity_type})
        theirs = f", of machines {_between(machines)}" if machines and machines != dates else ""
        console.print(Text(f"prices of {_between(dates)}{theirs}; sources in --json", "dim"))


def _lines(lines: Sequence[Line], width: int) -> Table:
    """Site by site. Amounts are whole on any terminal: prices of a unit make room for them, what all names of a site begin with, and the
    words that say what it is, which wrap."""
    unit_prices = width >= _WIDE
    table = _table("resource", "what")
    table.columns[0].overflow = table.columns[1].overflow = "fold"
    for heading in ("quantity", *(("unit price",) if unit_prices else ()), "$/hour", "at peak"):
        table.add_column(heading, justify="right", no_wrap=True)
    for site, found in _by_site(lines):
        table.add_row(Text(site, "bold"))
        names = folded([line.name for line in found])
        for line in found:
            mark = "~" if line.estimated else ""
            capacity = f" ({line.capacity_type})" if line.capacity_type else ""
            table.add_row(
                f"  {names[line.name]}",
                line.what + capacity,
                f"{mark}{_plain(line.quantity)} {line.unit}",
                *((f"{line.usd_per_unit.normalize():f}",) if unit_prices else ()),
                _money(line.usd_per_hour.idle, _FINE),
                _money(line.usd_per_hour.peak, _FINE),
            )
    widths = [max(cell_len(str(cell)) for cell in (column.header, *column.cells)) for column in table.columns]
    widths[0] = min(widths[0], _WIDEST_NAME)
    room = width - sum(each + _GAP for each in (widths[0], *widths[2:]))
    table.columns[0].width = widths[0]
    table.columns[1].width = max(_LEAST_WORDS, min(widths[1], room))
    return table


def _by_site(lines: Sequence[Line]) -> Iterator[tuple[str, list[Line]]]:
    for site, found in groupby(lines, key=lambda line: site_name(line.cloud, line.region)):
        yield site, list(found)


def _parts(bill: Bill, *, gpu_hours: bool) -> Table:
    """Amounts are whole on any terminal: hours of GPUs make room for them."""
    table = _table("part", "site")
    table.columns[0].overflow = "fold"
    table.columns[1].no_wrap = True  # A region that is cut is another region.
    headings = ("$/hour", "at peak", "$/month", "at peak", "GPU-hours/month", "at peak")[: 6 if gpu_hours else 4]
    for heading in headings:
        table.add_column(heading, justify="right", no_wrap=True)

    def cells(sums: Sums) -> list[str]:
        return _cells(sums)[: len(headings)]

    for owner, together in bill.by_model.items():
        sites = {key: sums for key, sums in bill.by_site.items() if key[0] == owner and sums}
        # Where it runs: its images may be kept at other sites too.
        if sum(bool(sums.machines) for sums in sites.values()) > 1 and owner not in {SHARED, IDLE}:
            table.add_row(owner, "all", *cells(together))
        for key, sums in sites.items():
            table.add_row(owner, site_name(*key[1:]), *cells(sums))
            legs = [(capacity, part) for capacity, part in _legs(bill, key) if part]
            for capacity, part in legs if len(legs) > 1 else ():
                table.add_row(f"  of it {capacity}", "", *cells(part), style="dim")
    table.add_section()
    for cloud, sums in bill.by_cloud.items():
        table.add_row("all", cloud, *cells(sums))
    total = bill.total
    for bought, span in (("on demand", total.on_demand), ("on spot", total.spot), ("reserved", total.reserved)):
        if span or bought != "reserved":
            table.add_row(f"machines {bought}", "", *cells(Sums(span)))
    table.add_row("total", "", *cells(total), style="bold")
    return table


def _legs(bill: Bill, site: SiteKey) -> list[tuple[str, Sums]]:
    """What its machines cost, by how they are bought."""
    return [(key[3], sums) for key, sums in bill.by_leg.items() if key[:3] == site and key[3]]


def _table(*headings: str) -> Table:
    return Table(*headings, box=None, pad_edge=False, padding=(0, _GAP, 0, 0), header_style="dim")


def _cells(sums: Sums) -> list[str]:
    hour, month, gpus = sums.usd_per_hour, sums.usd_per_month, sums.gpu_hours_per_month
    return [
        *(_money(amount, _FINE) for amount in (hour.idle, hour.peak)),
        *(_money(amount, _CENT) for amount in (month.idle, month.peak)),
        *(f"{amount:,.0f}" if amount else "" for amount in (gpus.idle, gpus.peak)),
    ]


def _money(amount: Decimal, step: Decimal) -> str:
    return f"{amount.quantize(step):,f}"


def _hourly(span: Span) -> str:
    return _money(span.idle, _FINE)


def _plain(span: Span) -> str:
    idle, peak = (f"{amount.normalize():f}" for amount in (span.idle, span.peak))
    return idle if idle == peak else f"{idle}–{peak}"


def _between(dates: Sequence[date]) -> str:
    return f"{dates[0]}" if dates[0] == dates[-1] else f"{dates[0]} to {dates[-1]}"
