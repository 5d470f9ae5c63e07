"""The values of a graph's cost: what `bill_of` and `delta_of` return, and all that their readers need.

Amounts are exact decimals in USD; nothing here is rounded for display. `Span` holds each of them twice: at rest (every model at its
least replicas, every pool at its least nodes) and at peak (at its most). A month has 730 hours.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from functools import cached_property
from typing import Final, TypeVar

from model_factory.facts.clouds import Cloud
from model_factory.facts.offer import CapacityType
from model_factory.facts.tables import HOURS_A_MONTH
from model_factory.graph.urn import name_of

SHARED: Final = "(shared)"
"""Owner of what serves no one model: control planes, gateways, system nodes, logs."""
IDLE: Final = "(idle GPUs)"
"""Owner of the GPUs that are paid for and that no model asks for."""

SiteKey = tuple[str, str, str]
"""Owner, cloud, region."""
LegKey = tuple[str, str, str, str]
"""Owner, cloud, region, capacity type."""

Key = TypeVar("Key")
Names = TypeVar("Names", bound=tuple[str, ...])


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
    """What something costs. `on_demand`, `spot` and `reserved` are the machines' parts of `usd_per_hour`, by how they are bought; the rest
    is what has no such choice."""

    usd_per_hour: Span = field(default_factory=Span)
    on_demand: Span = field(default_factory=Span)
    spot: Span = field(default_factory=Span)
    gpus: Span = field(default_factory=Span)
    """GPUs held, which is GPU-hours an hour."""
    reserved: Span = field(default_factory=Span)

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
            self.reserved + other.reserved,
        )

    def __sub__(self, other: Sums) -> Sums:
        return Sums(
            self.usd_per_hour - other.usd_per_hour,
            self.on_demand - other.on_demand,
            self.spot - other.spot,
            self.gpus - other.gpus,
            self.reserved - other.reserved,
        )

    @property
    def machines(self) -> Span:
        """What of it is for machines, however they are bought."""
        return self.on_demand + self.spot + self.reserved

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
    """What was assumed where the graph does not say the quantity, or no table the price; empty where they do."""
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


@dataclass(frozen=True)
class Bill:
    """What a graph of resources costs: lines by cloud, region, name and what; what is missing; what the reader should doubt."""

    lines: tuple[Line, ...]
    missing: tuple[Missing, ...] = ()
    warnings: tuple[str, ...] = ()

    @cached_property
    def total(self) -> Sums:
        """All lines."""
        return sum((line.sums for line in self.lines), Sums())

    @cached_property
    def estimated(self) -> Sums:
        """The lines of which something was assumed."""
        return sum((line.sums for line in self.lines if line.estimated), Sums())

    @cached_property
    def by_cloud(self) -> dict[str, Sums]:
        """Each cloud's lines, sorted."""
        sums = self._by(lambda line, _: line.cloud)
        return {cloud: sums[cloud] for cloud in sorted(sums)}

    @cached_property
    def by_owner(self) -> dict[tuple[str, str], Sums]:
        """Each (owner, cloud): models first by name, then `IDLE`, then `SHARED`. They add up to `total`, as all that follow do."""
        return _in_order(self._by(lambda line, share: (share.owner, line.cloud)))

    @cached_property
    def by_model(self) -> dict[str, Sums]:
        """Each owner, over all sites; in the same order."""
        sums = self._by(lambda _, share: (share.owner,))
        return {owner: each for (owner,), each in _in_order(sums).items()}

    @cached_property
    def by_site(self) -> dict[SiteKey, Sums]:
        """Each (owner, cloud, region), in the same order."""
        return _in_order(self._by(lambda line, share: (share.owner, line.cloud, line.region)))

    @cached_property
    def by_leg(self) -> dict[LegKey, Sums]:
        """Each (owner, cloud, region, capacity type), in the same order: a model's share by leg. What is no machine has an empty
        capacity type."""
        return _in_order(self._by(lambda line, share: (share.owner, line.cloud, line.region, line.capacity_type or "")))

    def _by(self, key: Callable[[Line, Share], Key]) -> dict[Key, Sums]:
        sums: dict[Key, Sums] = {}
        for line in self.lines:
            for share in line.shares:
                of = key(line, share)
                sums[of] = sums.get(of, Sums()) + _sums(line, share.usd_per_hour, share.gpus)
        return sums


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
    """Two bills side by side. Rows that do not change are left out of `sites`, `legs`, `clouds` and `lines`."""

    before: Bill
    after: Bill
    total: Change
    sites: dict[SiteKey, Change]
    """By owner and site, in the order of `Bill.by_site`."""
    legs: dict[LegKey, Change]
    """By owner, site and capacity type, in the order of `Bill.by_leg`."""
    clouds: dict[str, Change]
    lines: tuple[LineChange, ...]
    missing: tuple[Missing, ...]
    """What the bill after the change leaves out."""
    warnings: tuple[str, ...]

    def __bool__(self) -> bool:
        return bool(self.lines)


def site_name(cloud: str, region: str) -> str:
    """`aws/us-east-1`; the cloud alone where the region is not known."""
    return f"{cloud}/{region}".removesuffix("/")


def _sums(line: Line, usd_per_hour: Span, gpus: Span) -> Sums:
    nothing = Span()
    return Sums(
        usd_per_hour,
        usd_per_hour if line.capacity_type == "on-demand" else nothing,
        usd_per_hour if line.capacity_type == "spot" else nothing,
        gpus,
        usd_per_hour if line.capacity_type == "reserved" else nothing,
    )


def _in_order(sums: Mapping[Names, Sums]) -> dict[Names, Sums]:
    return {key: sums[key] for key in sorted(sums, key=lambda key: ({IDLE: 1, SHARED: 2}.get(key[0], 0), key))}
