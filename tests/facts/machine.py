"""Machines to ask a price source for, without the tables."""

from __future__ import annotations

from decimal import Decimal

from model_factory.facts.market import Sized, Wanted


def sized(machine_type: str, vcpus: int = 4, memory_gib: int = 16, accelerator: str = "", count: int = 0) -> Sized:
    return Sized(machine_type, accelerator, count, vcpus, Decimal(memory_gib))


def wanted(regions: list[str], *machines: Sized) -> Wanted:
    return Wanted(regions, {machine.machine_type: machine for machine in machines})


def unheard(what: str, done: int, total: int) -> None:
    """Progress that nobody watches."""
