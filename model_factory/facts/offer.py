"""One kind of GPU machine in one region, at a price."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Final, Literal


@dataclass(frozen=True, slots=True)
class Offer:
    """A machine type with GPUs in a region. Prices are USD for one machine and hour, without discounts; a spot price is the
    dearest over the region's zones. `as_of` and `source` say where the row comes from."""

    cloud: Literal["aws", "gcp"]
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
    """The region's zones that sell it, sorted. Empty on AWS: an account's zone names are its own there, and no table can know them."""


_GKE_ACCELERATOR_TYPES: Final = {
    "t4": "nvidia-tesla-t4",
    "l4": "nvidia-l4",
    "a100": "nvidia-tesla-a100",
    "a100-80gb": "nvidia-a100-80gb",
    "h100": "nvidia-h100-80gb",
    "h100-mega": "nvidia-h100-mega-80gb",
    "h200": "nvidia-h200-141gb",
    "b200": "nvidia-b200",
}


def gke_accelerator_type(accelerator: str) -> str:
    """GKE's name of an accelerator, as node pools and the label `cloud.google.com/gke-accelerator` take it. ValueError when GKE has none.

    https://cloud.google.com/kubernetes-engine/docs/concepts/gpus
    """
    if accelerator not in _GKE_ACCELERATOR_TYPES:
        raise ValueError(f"GKE has no accelerator {accelerator}; it has {', '.join(_GKE_ACCELERATOR_TYPES)}")
    return _GKE_ACCELERATOR_TYPES[accelerator]
