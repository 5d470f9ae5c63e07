"""Does a machine fit a need? One predicate, the reasons when it does not, and how many replicas a machine holds."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from model_factory.facts.clouds import CLOUDS
from model_factory.facts.nodes import allocatable
from model_factory.facts.offer import Offer
from model_factory.graph import quantity
from model_factory.planning.settings.sections import ModelConfig, Settings


@dataclass(frozen=True, slots=True)
class Need:
    """What one replica asks of its machine. Empty `accelerators` or `machine_types` mean any."""

    places: frozenset[tuple[str, str]]
    """Allowed (cloud, region)."""
    gpus: int
    gpu_memory_gib: Decimal
    """Over all its GPUs together."""
    cpu: Decimal
    memory_gib: Decimal
    accelerators: frozenset[str] = frozenset()
    machine_types: frozenset[str] = frozenset()
    zones: frozenset[str] = frozenset()
    """The only zones allowed in their regions; a region none of whose zones is here is allowed whole."""

    @property
    def gib_per_gpu(self) -> Decimal:
        """Accelerator memory that each GPU must bring."""
        return self.gpu_memory_gib / self.gpus


def need_of(settings: Settings, model: ModelConfig) -> Need:
    """The need of one replica, within the stack's regions and zones.

    Latency and traffic targets are not part of it: they steer the autoscaler. How fast a model is on an accelerator is not known here.
    """
    return Need(
        places=frozenset(
            (cloud, region)
            for cloud in model.clouds or settings.clouds
            for region in settings.regions_of(cloud)
            if not model.regions or region in model.regions
        ),
        gpus=model.gpus_per_replica,
        gpu_memory_gib=model.gpu_memory_gib,
        cpu=quantity.amount(model.cpu),
        memory_gib=model.memory_gib,
        accelerators=frozenset(model.accelerators),
        machine_types=frozenset(model.machine_types),
        zones=frozenset(settings.zones),
    )


def fits(offer: Offer, need: Need) -> bool:
    """Can one replica run on one such machine?"""
    return not misfits(offer, need)


def zones_for(offer: Offer, need: Need) -> tuple[str, ...]:
    """The zones that sell the machine and that `need` allows; empty also where the offer's zones are not known."""
    chosen = _chosen_zones(offer, need)
    return tuple(zone for zone in offer.zones if not chosen or zone in chosen)


def misfits(offer: Offer, need: Need) -> tuple[str, ...]:
    """Why a replica cannot run on the machine; empty when it can."""
    cores, memory = allocatable(offer)
    tests = (
        (
            (offer.cloud, offer.region) in need.places,
            f"is in {offer.cloud} {offer.region}, which is not among the allowed regions",
        ),
        (
            not offer.zones or bool(zones_for(offer, need)),
            f"is sold in {', '.join(offer.zones)} only, and the zones chosen are {', '.join(_chosen_zones(offer, need))}",
        ),
        (not need.machine_types or offer.machine_type in need.machine_types, "is not among the machineTypes"),
        (
            not need.accelerators or offer.accelerator in need.accelerators,
            f"has {offer.accelerator}, not among the accelerators",
        ),
        (
            need.gpus <= offer.accelerator_count,
            f"has {offer.accelerator_count} GPU of the {need.gpus} needed",
        ),
        (
            need.gib_per_gpu <= offer.usable_gib_per_accelerator,
            f"has {offer.usable_gib_per_accelerator:f} GiB a GPU to use of the {_short(need.gib_per_gpu)} needed",
        ),
        (need.cpu <= cores, f"leaves {_short(cores)} CPU of the {_short(need.cpu)} needed"),
        (
            need.memory_gib <= memory,
            f"leaves {_short(memory)} GiB of memory of the {_short(need.memory_gib)} needed",
        ),
    )
    return tuple(reason for holds, reason in tests if not holds)


def replicas_per_node(offer: Offer, need: Need) -> int:
    """How many replicas one machine holds, by GPUs, CPU and memory; 0 when `fits` is false."""
    if not fits(offer, need):
        return 0
    cores, memory = allocatable(offer)
    return int(min(offer.accelerator_count // need.gpus, cores // need.cpu, memory // need.memory_gib))


def why_not(need: Need, offers: Iterable[Offer]) -> str:
    """What stands against the offer that misses `need` by least; one of the pinned kind before others."""
    ranked = sorted(
        ((misfits(offer, need), offer) for offer in offers if offer.accelerator_count),
        key=lambda each: (
            not _as_pinned(each[1], need),
            len(each[0]),
            each[1].usd_per_hour,
            each[1].cloud,
            each[1].region,
            each[1].machine_type,
        ),
    )
    if not ranked:
        return "there are no offers"
    reasons, offer = ranked[0]
    return f"nearest is {offer.machine_type} in {offer.region}: it {', and it '.join(reasons)}"


def _chosen_zones(offer: Offer, need: Need) -> list[str]:
    return sorted(zone for zone in need.zones if CLOUDS[offer.cloud].region_of(zone) == offer.region)


def _as_pinned(offer: Offer, need: Need) -> bool:
    machine = not need.machine_types or offer.machine_type in need.machine_types
    return machine and (not need.accelerators or offer.accelerator in need.accelerators)


def _short(amount: Decimal) -> str:
    return f"{amount.quantize(Decimal('0.01')).normalize():f}"
