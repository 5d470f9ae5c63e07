"""Machine types with GPUs, from `machines.csv` of each cloud: which accelerator, and how many.

Prices and regions are in the offers. `attached` marks a machine that has no GPUs by itself and is sold with this many attached.
`as_of` is the day on which a row was compared with its source.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache
from importlib import resources
from typing import Final

CLOUDS: Final = ("aws", "gcp")
GPU_FAMILIES: Final = {"aws": re.compile(r"(g[3-9]|gr\d|p[2-9])[a-z0-9-]*"), "gcp": re.compile(r"a\d+x?|g\d")}
"""Names of families whose machines all have GPUs, those that the tables do not know yet among them."""
MOST_GPUS: Final = 8
"""No machine sold today has more."""


@dataclass(frozen=True, slots=True)
class Machine:
    """A machine type and its GPUs."""

    cloud: str
    machine_type: str
    accelerator: str
    """Named as in `Offer.accelerator`."""
    gpus: int
    attached: bool
    as_of: date
    source: str


@cache
def machines() -> Mapping[str, Machine]:
    """All machines with GPUs, by machine type: no two clouds have one of the same name."""
    return {row["machine_type"]: _machine(cloud, row) for cloud in CLOUDS for row in _rows(cloud)}


def _rows(cloud: str) -> csv.DictReader[str]:
    table = resources.files("model_factory.facts").joinpath(cloud, "machines.csv").read_text(encoding="utf-8")
    return csv.DictReader(table.splitlines())


def _machine(cloud: str, row: Mapping[str, str]) -> Machine:
    return Machine(
        cloud=cloud,
        machine_type=row["machine_type"],
        accelerator=row["accelerator"],
        gpus=int(row["gpus"]),
        attached=bool(row["attached"]),
        as_of=date.fromisoformat(row["as_of"]),
        source=row["source"],
    )
