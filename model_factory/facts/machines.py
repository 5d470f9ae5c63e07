"""What a machine type is, from `machines.csv` of each cloud: its accelerators, its processor and its size. The same in every region.

Where it is sold and for what is in the offers. `attached` marks a machine that has no GPUs by itself and is sold with this many attached.
`as_of` is the day on which a row was compared with its source.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import cache
from typing import Final, Literal, get_args

from model_factory.facts.clouds import CLOUDS, Cloud
from model_factory.facts.tables import read_rows, table

COLUMNS: Final = (
    "machine_type",
    "accelerator",
    "accelerator_count",
    "attached",
    "interconnect",
    "architecture",
    "features",
    "vcpus",
    "memory_gib",
    "as_of",
    "source",
)
MOST_GPUS: Final = 8
"""No machine has more, but for two that are gone; a machine of which nothing is known but that it has GPUs counts so."""

Interconnect = Literal["nvswitch", "nvlink", "pcie", ""]
"""How the accelerators of one machine talk: all with all at full speed, some pairs, over the host's bus; empty for one or none."""
Architecture = Literal["x86_64", "arm64"]
_INTERCONNECTS: Final[Mapping[str, Interconnect]] = {each: each for each in get_args(Interconnect)}
_ARCHITECTURES: Final[Mapping[str, Architecture]] = {each: each for each in get_args(Architecture)}


@dataclass(frozen=True, slots=True)
class Machine:
    """A machine type. `accelerator` is named as in `model_factory.facts.accelerators`, and empty with a count of 0 where it has none."""

    cloud: Cloud
    machine_type: str
    accelerator: str
    accelerator_count: int
    attached: bool
    interconnect: Interconnect
    architecture: Architecture
    features: frozenset[str]
    """What its processor has for inference: amx (Intel's matrix units), sve and sve2 (Arm's vectors; what has sve2 has sve)."""
    vcpus: int | None
    """None, as its memory, for machines that are not to be on offer: those that are no longer sold, those that have a part of an accelerator,
    and those with accelerators on arm64, which the images of models do not run on."""
    memory_gib: Decimal | None
    as_of: date
    source: str

    @property
    def kind(self) -> str:
        """As `Offer.kind`."""
        return kind_of(self.cloud, self.machine_type, self.accelerator)


@cache
def machines() -> Mapping[str, Machine]:
    """All machines, by machine type: no two clouds have one of the same name."""
    rows = (row for cloud in CLOUDS for row in read_machines(cloud, table(cloud, "machines.csv")))
    return {row.machine_type: row for row in rows}


@cache
def families() -> tuple[str, ...]:
    """The machine types that can be on offer, as patterns of their families: `m7i.*`, `a2-*`. Those of one cloud after another, sorted."""
    return tuple(
        dict.fromkeys(
            family_of(cloud, each.machine_type) + facts.family_separator + "*"
            for cloud, facts in CLOUDS.items()
            for each in sorted(machines().values(), key=lambda each: each.machine_type)
            if each.cloud == cloud and each.vcpus is not None
        )
    )


@cache
def features() -> Mapping[str, Architecture]:
    """What processors of machines on offer have for inference, and the architecture that has it, sorted by name."""
    found: dict[str, Architecture] = {
        name: each.architecture for each in machines().values() if each.vcpus for name in each.features
    }
    return dict(sorted(found.items()))


def family_of(cloud: Cloud, machine_type: str) -> str:
    """The family of a machine type: m7i of m7i.large, c4 of c4-standard-8."""
    return machine_type.partition(CLOUDS[cloud].family_separator)[0]


def kind_of(cloud: Cloud, machine_type: str, accelerator: str) -> str:
    """What decides how fast a replica is on a machine: its accelerator, or the family of one that has none."""
    return accelerator or family_of(cloud, machine_type)


def read_machines(cloud: Cloud, text: str) -> list[Machine]:
    """The rows of one table. ValueError names the line that is not as `COLUMNS` say."""

    def machine(cells: Mapping[str, str]) -> Machine:
        interconnect = _INTERCONNECTS.get(cells["interconnect"])
        architecture = _ARCHITECTURES.get(cells["architecture"])
        if interconnect is None or architecture is None:
            raise ValueError(
                f"interconnect is one of {', '.join(filter(None, _INTERCONNECTS))} or empty, "
                f"architecture one of {', '.join(_ARCHITECTURES)}"
            )
        return Machine(
            cloud=cloud,
            machine_type=cells["machine_type"],
            accelerator=cells["accelerator"],
            accelerator_count=int(cells["accelerator_count"]),
            attached=cells["attached"] == "yes",
            interconnect=interconnect,
            architecture=architecture,
            features=frozenset(cells["features"].split()),
            vcpus=int(cells["vcpus"]) if cells["vcpus"] else None,
            memory_gib=Decimal(cells["memory_gib"]) if cells["memory_gib"] else None,
            as_of=date.fromisoformat(cells["as_of"]),
            source=cells["source"],
        )

    return read_rows(cloud, text, COLUMNS, machine)
