"""What `factory plan --why MODEL` shows: where a model could run, the best first, and what stands against every other machine."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from decimal import Decimal
from itertools import groupby
from typing import Any, Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from model_factory.cli.amounts import exact
from model_factory.cli.called import pasteable
from model_factory.planning.placing.plan import Leg
from model_factory.planning.placing.why import Against, Candidate, Held, Why

_MOST_CANDIDATES: Final = 15
_MOST_REASONS: Final = 12
_MOST_MACHINES: Final = 4
_UNBOUNDED: Final = 10_000


def why_document(stack: str, model: str, told: Why) -> dict[str, Any]:
    """For machines: all of it, amounts exact, as text."""
    return {
        "stack": stack,
        "model": model,
        "candidates": [_candidate(each) for each in told.candidates],
        "against": [
            {
                "machineType": each.machine_type,
                "accelerator": each.accelerator,
                "acceleratorCount": each.accelerator_count,
                "sites": [str(site) for site in each.sites],
                "reasons": list(each.reasons),
            }
            for each in told.against
        ],
    }


def _candidate(each: Candidate) -> dict[str, Any]:
    placement = each.placement
    return {
        "cloud": placement.cloud,
        "region": placement.region,
        "accelerator": placement.first.offer.accelerator,
        "chosen": each.chosen,
        "legs": [_leg(leg) for leg in placement.legs],
        "replicas": {"min": placement.replicas.min, "max": placement.replicas.max},
        "usdPerHour": {"idle": exact(placement.usd_per_hour), "peak": exact(placement.usd_per_hour_max)},
        "nodes": {"idle": each.at_rest.nodes, "peak": each.at_peak.nodes},
        "idleGpus": {"idle": each.at_rest.idle_gpus, "peak": each.at_peak.idle_gpus},
    }


def _leg(leg: Leg) -> dict[str, Any]:
    return {
        "capacity": leg.capacity_type,
        "machineType": leg.offer.machine_type,
        "acceleratorCount": leg.offer.accelerator_count,
        "reservation": leg.reservation.name if leg.reservation else None,
        "replicasPerNode": leg.replicas_per_node,
        "usdPerNodeHour": exact(leg.usd_per_node_hour),
        "zones": list(leg.zones),
        "asOf": leg.offer.as_of.isoformat(),
        "source": leg.offer.source,
    }


def show_why(console: Console, stack: str, model: str, told: Why) -> None:
    """For people: the best candidates with their prices and waste, and the reasons against the rest by what misses least."""
    console.print(
        Text.assemble(
            ("Where ", "bold"),
            (model, "bold cyan"),
            f" of {stack} could run, the best first; ● where it does; USD an hour",
        )
    )
    console.print()
    wide = _table(told.candidates, narrow=False)
    fits = console.measure(wide, options=console.options.update(max_width=_UNBOUNDED)).maximum <= console.width
    console.print(wide if fits else _table(told.candidates, narrow=True))
    _more(console, len(told.candidates) - _MOST_CANDIDATES, "candidate")
    if told.against:
        console.print(Text("\nWhat stands against the rest", "bold"))
    reasons: defaultdict[tuple[str, ...], list[Against]] = defaultdict(list)
    for each in told.against:
        reasons[each.reasons].append(each)
    for reason, machines in list(reasons.items())[:_MOST_REASONS]:
        console.print(
            Text.assemble(f"  {_machines(machines)}: ", (pasteable(", and ".join(reason)), "yellow")), soft_wrap=True
        )
    _more(console, len(reasons) - _MOST_REASONS, "reason")


def _table(candidates: tuple[Candidate, ...], *, narrow: bool) -> Table:
    """Where there is no room, an accelerator stands under its machines: no name and no amount is broken. Models without GPUs have no columns
    for them."""
    with_gpus = any(each.placement.first.share.count for each in candidates)
    table = Table(
        "", "site", "machines", box=None, pad_edge=False, padding=(0, 1 if narrow else 2, 0, 0), header_style="dim"
    )
    if with_gpus and not narrow:
        table.add_column("accelerator")
    for heading in ("at rest", "at peak", "nodes", *(("idle GPUs",) if with_gpus else ())):
        table.add_column(heading, justify="right")
    for column in table.columns:
        column.no_wrap = column.header != "machines"
    shown = [each for number, each in enumerate(candidates) if each.chosen or number < _MOST_CANDIDATES]
    for each in shown:
        placement = each.placement
        offer = placement.first.offer
        machines = ladder((leg.offer.machine_type, leg.capacity_type) for leg in placement.legs)
        accelerator = (f"{offer.accelerator_count}x {offer.accelerator}",) if with_gpus else ()
        table.add_row(
            "●" if each.chosen else "",
            str(placement.site),
            *(("\n".join((machines, *accelerator)),) if narrow else (machines, *accelerator)),
            _money(placement.usd_per_hour),
            _money(placement.usd_per_hour_max),
            _span(each.at_rest.nodes, each.at_peak.nodes),
            *((_idle(each.at_rest, each.at_peak),) if with_gpus else ()),
            style="bold" if each.chosen else "",
        )
    return table


def ladder(bought: Iterable[tuple[str, str]]) -> str:
    """`g6.xlarge spot, on-demand`, from each machine type and way to buy it, the preferred first."""
    return "; ".join(
        f"{machine_type} {', '.join(capacity for _, capacity in same)}"
        for machine_type, same in groupby(bought, key=lambda each: each[0])
    )


def _machines(there: list[Against]) -> str:
    """`l4 g6.xlarge in 3 regions`, or the first of many."""
    regions = len({site for each in there for site in each.sites})
    named = ", ".join(f"{each.accelerator} {each.machine_type}".strip() for each in there[:_MOST_MACHINES])
    others = f" and {len(there) - _MOST_MACHINES} more" if len(there) > _MOST_MACHINES else ""
    return f"{named}{others} in {regions} region{'' if regions == 1 else 's'}"


def _more(console: Console, count: int, what: str) -> None:
    if count > 0:
        console.print(Text(f"  and {count} more {what}{'' if count == 1 else 's'}; --json has all", "dim"))


def _money(amount: Decimal | None) -> str:
    return "not known" if amount is None else f"{amount:,.4f}"


def _span(rest: int, peak: int) -> str:
    return f"{rest}" if rest == peak else f"{rest}–{peak}"


def _idle(rest: Held, peak: Held) -> str:
    if not rest.idle_gpus and not peak.idle_gpus:
        return ""
    return f"{_span(rest.idle_gpus, peak.idle_gpus)} of {_span(rest.gpus, peak.gpus)}"
