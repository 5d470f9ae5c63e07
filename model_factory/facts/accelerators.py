"""What an accelerator is, from `accelerators.csv`: memory and what its arithmetic does, the same on every machine and in every cloud.

`as_of` is the day on which a row was compared with its source.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import cache
from typing import Final

from model_factory.facts.tables import read_rows, table

COLUMNS: Final = (
    "accelerator",
    "vendor",
    "memory_gib",
    "usable_gib",
    "compute_capability",
    "formats",
    "as_of",
    "source",
)
FORMATS: Final = frozenset({"fp32", "tf32", "fp16", "bf16", "fp8", "fp4", "int8", "int4"})


@dataclass(frozen=True, slots=True)
class Accelerator:
    """One kind of accelerator, by the name that offers give it."""

    name: str
    vendor: str
    memory_gib: Decimal
    """As the vendor sells it."""
    usable_gib: Decimal
    """What the driver lets one process allocate: the box's memory less ECC, firmware and the driver's own. Of several sources the lowest."""
    compute_capability: Decimal
    """NVIDIA's, which kernels are compiled for."""
    formats: frozenset[str]
    """Those of `FORMATS` that its units compute in natively; others are emulated, or not at all."""
    as_of: date
    source: str


@cache
def accelerators() -> Mapping[str, Accelerator]:
    """All accelerators that machines on offer have, by name."""
    return {each.name: each for each in read_accelerators(table("accelerators.csv"))}


def read_accelerators(text: str) -> list[Accelerator]:
    """The rows of one table. ValueError names the line that is not as `COLUMNS` say."""

    def accelerator(cells: Mapping[str, str]) -> Accelerator:
        formats = frozenset(cells["formats"].split())
        if not formats or not formats <= FORMATS:
            raise ValueError(f"formats {cells['formats']!r}: write some of {' '.join(sorted(FORMATS))}")
        return Accelerator(
            name=cells["accelerator"],
            vendor=cells["vendor"],
            memory_gib=Decimal(cells["memory_gib"]),
            usable_gib=Decimal(cells["usable_gib"]),
            compute_capability=Decimal(cells["compute_capability"]),
            formats=formats,
            as_of=date.fromisoformat(cells["as_of"]),
            source=cells["source"],
        )

    return read_rows("accelerators", text, COLUMNS, accelerator)
