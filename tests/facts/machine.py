"""Machines to ask a price source for, without the tables."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from model_factory.facts.market import Wanted


@dataclass(frozen=True)
class Asked:
    """What a source must know of a machine."""

    machine_type: str
    vcpus: int = 4
    memory_gib: Decimal = Decimal(16)
    accelerator: str = ""
    accelerator_count: int = 0


def wanted(regions: list[str], *machines: Asked) -> Wanted:
    return Wanted(regions, {machine.machine_type: machine for machine in machines})


def unheard(what: str, done: int, total: int) -> None:
    """Progress that nobody watches."""
