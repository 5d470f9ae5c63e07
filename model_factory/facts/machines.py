"""Machine types with GPUs, from `machines.csv` of each cloud: which accelerator, and how many.

Prices and regions are in the offers. `attached` marks a machine that has no GPUs by itself and is sold with this many attached.
`as_of` is the day on which a row was compared with its source.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache
from typing import Final

from model_factory.facts.clouds import CLOUDS, Cloud
from model_factory.facts.tables import read_rows, table

COLUMNS: Final = ("machine_type", "accelerator", "gpus", "attached", "as_of", "source")
MOST_GPUS: Final = 8
"""No machine has more, but for two that are gone; a machine of which nothing is known but that it has GPUs counts so."""


@dataclass(frozen=True, slots=True)
class Machine:
    """A machine type and its GPUs. `accelerator` is named as in the offers."""

    cloud: Cloud
    machine_type: str
    accelerator: str
    gpus: int
    attached: bool
    as_of: date
    source: str


@cache
def machines() -> Mapping[str, Machine]:
    """All machines with GPUs, by machine type: no two clouds have one of the same name."""
    rows = (row for cloud in CLOUDS for row in _read(cloud, table(cloud, "machines.csv")))
    return {row.machine_type: row for row in rows}


def _read(cloud: Cloud, text: str) -> list[Machine]:
    def machine(cells: Mapping[str, str]) -> Machine:
        return Machine(
            cloud=cloud,
            machine_type=cells["machine_type"],
            accelerator=cells["accelerator"],
            gpus=int(cells["gpus"]),
            attached=cells["attached"] == "yes",
            as_of=date.fromisoformat(cells["as_of"]),
            source=cells["source"],
        )

    return read_rows(cloud, text, COLUMNS, machine)
