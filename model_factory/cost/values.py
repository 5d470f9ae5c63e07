"""The values of a graph's cost: what `bill_of` and `delta_of` return, and all that their readers need.

Amounts are exact decimals in USD; nothing here is rounded for display. `Span` holds each of them twice: at rest (every model at its
least replicas, every pool at its least nodes) and at peak (at its most). A month has 730 hours.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Final

from model_factory.facts.clouds import Cloud
from model_factory.facts.offer import CapacityType
from model_factory.facts.tables import HOURS_A_MONTH
from model_factory.graph.urn import name_of

SHARED: Final = "(shared)"
"""Owner of what serves no one model: control planes, gateways, system nodes, logs."""
IDLE: Final = "(idle GPUs)"
"""Owner of the GPUs that are paid for and that no model asks for."""

Place = Cloud


@dataclass(frozen=True, slots=True)
class Span:
    """One amount at rest and at peak."""

    idle: Decimal = Decimal(0)
    peak: Decimal = Decimal(0)

    def __add__(self, other: Span) -> Span:
        return Span(self.idle + other.idle, self.peak + other.peak)

    def __sub__(self, other: Span) -> Span:
        return Span(self.idle - other.idle, self.peak - other.peak)

    def __mul__(self, factor: Decimal | int) -> Span:
        return Span(self.idle * factor, self.peak * factor)

    def __bool__(self) -> bool:
        return bool(self.idle or self.peak)


def total(spans: Iterable[Span]) -> Span:
    """Their sum; zero for none."""
    return sum(spans, Span())


@dataclass(frozen=True, slots=True)
class Sums:
    """What something costs. `on_demand` and `spot` are the machines' parts of `usd_per_hour`; the rest is what has no such choice."""

    usd_per_hour: Span = field(default_factory=Span)
    on_demand: Span = field(default_factory=Span)
    spot: Span = field(default_factory=Span)
    gpus: Span = field(default_factory=Span)
    """GPUs held, which is GPU-hours an hour."""

    @property
    def usd_per_month(self) -> Span:
        """At that rate, all month."""
        return self.usd_per_hour * HOURS_A_MONTH

    @property
    def gpu_hours_per_month(self) -> Span:
        """At that rate, all month."""
        return self.gpus * HOURS_A_MONTH

    def __add__(self, other: Sums) -> Sums:
        return Sums(
            self.usd_per_hour + other.usd_per_hour,
            self.on_demand + other.on_demand,
            self.spot + other.spot,
            self.gpus + other.gpus,
        )

    def __sub__(self, other: Sums) -> Sums:
        return Sums(
            self.usd_per_hour - other.usd_per_hour,
            self.on_demand - other.on_demand,
            self.spot - other.spot,
            self.gpus - other.gpus,
        )

    def __bool__(self) -> bool:
        return bool(self.usd_per_hour or self.gpus)


@dataclass(frozen=True, slots=True)
class Share:
    """One owner's part of a line: a model's name, `SHARED` or `IDLE`."""

    owner: str
    usd_per_hour: Span
    gpus: Span = field(default_factory=Span)


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that a resource bills. `shares` add up to `usd_per_hour` and `gpus`."""

    urn: str
    cloud: Cloud
    region: str
    kind: str
    """What stays the same of it when its machine or size changes: a resource has one line of a kind."""
    what: str
    """As `g6.xlarge nodes`, `control plane`, `data through the gateway`."""
    quantity: Span
    unit: str
    """As node-hour, hour, GB, GB-month: what `quantity` counts, an hour or a month as the unit says."""
    usd_per_unit: Decimal
    usd_per_hour: Span
    capacity_type: CapacityType | None
    """None for what is not a machine."""
    gpus: Span
    estimated: str
    """What was assumed where the graph does not say the quantity; empty where it does."""
    source: str
    as_of: date
    shares: tuple[Share, ...]

    @property
    def name(self) -> str:
        """The resource's logical name."""
        return name_of(self.urn)

    @property
    def sums(self) -> Sums:
        """The line as sums."""
        return _sums(self, self.usd_per_hour, self.gpus)


@dataclass(frozen=True, slots=True)
class Missing:
    """Something that bills and is not in the total."""

    urn: str
    what: str
    reason: str

    @property
    def name(self) -> str:
        """The resource's logical name."""
        return name_of(self.urn)


@dataclass(frozen=True, slots=True)
class Bill:
    """What a graph of resources costs: lines by cloud, region, name and what; what is missing; what the reader should doubt."""

    lines: tuple[Line, ...]
    missing: tuple[Missing, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def total(self) -> Sums:
        """All lines."""
        return sum((line.sums for line in self.lines), Sums())

    @property
    def estimated(self) -> Sums:
        """The lines whose quantity was assumed."""
        return sum((line.sums for line in self.lines if line.estimated), Sums())

    @property
    def by_cloud(self) -> dict[str, Sums]:
        """Each cloud's lines, sorted."""
        sums: dict[str, Sums] = {}
        for line in self.lines:
            sums[line.cloud] = sums.get(line.cloud, Sums()) + line.sums
        return dict(sorted(sums.items()))

    @property
    def by_owner(self) -> dict[tuple[str, str], Sums]:
        """Each (owner, cloud): models first by name, then `IDLE`, then `SHARED`. They add up to `total`."""
        sums: dict[tuple[str, str], Sums] = {}
        for line in self.lines:
            for share in line.shares:
                key = (share.owner, line.cloud)
                sums[key] = sums.get(key, Sums()) + _sums(line, share.usd_per_hour, share.gpus)
        return {key: sums[key] for key in sorted(sums, key=_owner_order)}


@dataclass(frozen=True, slots=True)
class Change:
    """A row of a delta. `before` or `after` is zero where there was or will be nothing."""

    before: Sums
    after: Sums

    @property
    def difference(self) -> Sums:
        """after - before."""
        return self.after - self.before


@dataclass(frozen=True, slots=True)
class LineChange:
    """A line that is new, gone, or differs in anything but the estimate's wording; at least one side is there."""

    before: Line | None
    after: Line | None


@dataclass(frozen=True, slots=True)
class Delta:
    """Two bills side by side. Rows that do not change are left out of `models`, `clouds` and `lines`."""

    before: Bill
    after: Bill
    total: Change
    models: dict[tuple[str, str], Change]
    """By (owner, cloud), in the order of `Bill.by_owner`."""
    clouds: dict[str, Change]
    lines: tuple[LineChange, ...]
    missing: tuple[Missing, ...]
    """What the bill after the change leaves out."""
    warnings: tuple[str, ...]

    def __bool__(self) -> bool:
        return bool(self.lines)


def _sums(line: Line, usd_per_hour: Span, gpus: Span) -> Sums:
    nothing = Span()
    return Sums(
        usd_per_hour,
        usd_per_hour if line.capacity_type == "on-demand" else nothing,
        usd_per_hour if line.capacity_type == "spot" else nothing,
        gpus,
    )


def _owner_order(key: tuple[str, str]) -> tuple[int, str, str]:
    owner, cloud = key
    return ({IDLE: 1, SHARED: 2}.get(owner, 0), owner, cloud)
