"""One kind of GPU machine in one region, at a price."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Literal

from model_factory.facts.clouds import Cloud

CapacityType = Literal["reserved", "on-demand", "spot"]
"""How a machine is bought. Reserved is paid for whether it runs or not; spot is cheaper, and the cloud can take it back at short notice."""


@dataclass(frozen=True, slots=True)
class Offer:
    """A machine type with GPUs in a region. Prices are USD for one machine and hour, without discounts; a spot price is the
    dearest over the region's zones. `as_of` and `source` say where the row comes from."""

    cloud: Cloud
    region: str
    machine_type: str
    accelerator: str
    """As t4, l4, a10g, l40s, a100, a100-80gb, h100, h100-mega, h200, b200."""
    accelerator_count: int
    accelerator_memory_gib: Decimal
    """Of one GPU."""
    vcpus: int
    memory_gib: Decimal
    usd_per_hour: Decimal
    spot_usd_per_hour: Decimal | None
    as_of: date
    source: str
    zones: tuple[str, ...] = ()
    """The region's zones that sell it, sorted; empty where the cloud's offers name none."""
