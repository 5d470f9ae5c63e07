"""One kind of machine in one region, at a price."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Literal

from model_factory.facts.clouds import Cloud
from model_factory.facts.machines import Architecture, Interconnect, kind_of

CapacityType = Literal["reserved", "on-demand", "spot"]
"""How a machine is bought. Reserved is paid for whether it runs or not; spot is cheaper, and the cloud can take it back at short notice."""


@dataclass(frozen=True, slots=True)
class Offer:
    """A machine type in a region: what `machines` and `accelerators` know of it, and what a row of `offers.csv` asks for it. Prices are
    USD for one machine and hour, without discounts; a spot price is the dearest over the region's zones. `as_of` and `source` are the
    price's."""

    cloud: Cloud
    region: str
    machine_type: str
    accelerator: str
    """As t4, l4, a10g, l40s, a100, a100-80gb, h100, h100-mega, h200, b200; empty for a machine without."""
    accelerator_count: int
    usable_gib_per_accelerator: Decimal
    """Memory that one process can allocate on one of them; 0 for a machine without."""
    vcpus: int
    memory_gib: Decimal
    usd_per_hour: Decimal
    spot_usd_per_hour: Decimal | None
    as_of: date
    source: str
    zones: tuple[str, ...] = ()
    """The region's zones that sell it, sorted; empty where the cloud's offers name none."""
    reserved_usd_per_hour: Decimal | None = None
    """With a commitment of one year, paid whether it runs or not; None where no source told."""
    interconnect: Interconnect = ""
    architecture: Architecture = "x86_64"
    features: frozenset[str] = frozenset()
    """As `Machine.features`."""

    @property
    def kind(self) -> str:
        """What decides how fast a replica is on it: its accelerator, as l4, or the family of a machine that has none, as m7i."""
        return kind_of(self.cloud, self.machine_type, self.accelerator)
