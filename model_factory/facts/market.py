"""What a cloud's own price source says today, and what it is asked. The sources are in `facts/<cloud>/market.py`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final

PLACES: Final = Decimal("1e-9")
"""Finer than any source states a price."""


class MarketError(Exception):
    """A source did not tell its prices. The text names what was asked, what came back, and what to do."""


@dataclass(frozen=True, slots=True)
class Quote:
    """What one machine costs in one region, USD an hour; None where the source has no such price or was not asked."""

    usd_per_hour: Decimal
    spot_usd_per_hour: Decimal | None = None
    reserved_usd_per_hour: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Market:
    """All that one cloud's source said."""

    machines: Mapping[tuple[str, str], Quote]
    """By (region, machine type)."""
    items: Mapping[tuple[str, str], tuple[str, Decimal]]
    """Everything else, by (region, item) as in `prices.csv`: unit and USD a unit. Region `*`: the same in all."""
    source: str
    """For the tables' `source` column."""
    spot_regions: frozenset[str]
    """Regions whose spot prices were asked; elsewhere a quote without one says nothing about spot."""
    notes: Sequence[str] = field(default=())
    """What was not asked, and why."""


@dataclass(frozen=True, slots=True)
class Sized:
    """What a source must know of a machine to price it."""

    machine_type: str
    accelerator: str
    accelerator_count: int
    vcpus: int
    memory_gib: Decimal


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to ask: these machines in these regions, each sorted."""

    regions: Sequence[str]
    machines: Mapping[str, Sized]
    """By machine type."""


Progress = Callable[[str, int, int], None]
"""Told while a source is read: what, how much of it is done, how much there is (0: not known)."""
Source = Callable[[Wanted, Progress], Market]


def plain(usd: Decimal) -> str:
    """A price as the tables write it: no exponent, no zeros behind."""
    return f"{usd.quantize(PLACES).normalize():f}"
