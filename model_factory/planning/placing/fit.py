"""Does a machine fit a need? One predicate, the reasons when it does not, and how many replicas a machine holds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from decimal import ROUND_CEILING, ROUND_DOWN, Decimal
from typing import Final, Literal

from model_factory.facts.accelerators import accelerators
from model_factory.facts.clouds import CLOUDS
from model_factory.facts.machines import Architecture
from model_factory.facts.nodes import allocatable
from model_factory.facts.offer import Offer
from model_factory.graph import quantity
from model_factory.graph.accelerators import Share
from model_factory.planning.settings.sections import ModelConfig, ModelSettings, Settings
from model_factory.planning.settings.serving import Footprint, Hardware

Subject = Literal[
    "place", "zones", "capacity", "machineTypes", "accelerators", "hardware", "gpusPerReplica", "gpuMemoryGib", "architecture",
    "cpuFeatures", "cpu", "memoryGib",
]  # fmt: skip
"""What stands against a machine, by the model's key where that is what can be changed."""

_HUNDREDTH: Final = Decimal("0.01")


@dataclass(frozen=True, slots=True)
class Need:
    """What one replica asks of its machine. Empty `accelerators` or `machine_types` mean any."""

    places: frozenset[tuple[str, str]]
    """Allowed (cloud, region)."""
    share: Share
    gpu_memory_gib: Decimal
    """Over all its accelerators together, as its server can use it; 0 for a replica without."""
    cpu: Decimal
    memory_gib: Decimal
    accelerators: frozenset[str] = frozenset()
    machine_types: frozenset[str] = frozenset()
    zones: frozenset[str] = frozenset()
    """The only zones allowed in their regions; a region none of whose zones is here is allowed whole."""
    hardware: Hardware = Hardware()  # noqa: RUF009 (frozen)
    """What its server asks of an accelerator."""
    footprint: Footprint = Footprint()  # noqa: RUF009 (frozen)
    """What it takes beside its server."""
    architecture: Architecture = "x86_64"
    cpu_features: frozenset[str] = frozenset()
    """What the processors of a machine without accelerators must have."""

    @property
    def with_gpus(self) -> bool:
        """Does it take accelerators? Machines with some are for it alone, and machines without for those that take none."""
        return self.share.count > 0

    @property
    def gib_per_gpu(self) -> Decimal:
        """Accelerator memory that each GPU must bring, of a replica that has some."""
        return self.gpu_memory_gib / self.share.count


@dataclass(frozen=True, slots=True)
class Misfit:
    """One thing that stands against a machine.

    `value` is what to write at the model's key, or to strike from it, so that it no longer does; None where no value of that key helps. `shortfall` is how
    far off it is, as a share of what is asked: 0 for what is only named.
    """

    subject: Subject
    reason: str
    value: str | int | Decimal | None = None
    shortfall: Decimal = Decimal(0)


def need_of(settings: Settings, model: ModelSettings) -> Need:
    """The need of one replica, within the stack's sites, those that the model's labels allow, and the zones chosen.

    Latency and traffic targets are not part of it: they steer the autoscaler. How fast a model is on an accelerator is not known here.
    """
    residence = settings.residence_of(model)
    return Need(
        places=frozenset(
            (cloud, region)
            for cloud in model.clouds or settings.clouds
            for region in settings.regions_of(cloud)
            if (not model.regions or region in model.regions) and (residence is None or region in residence)
        ),
        share=share_of(model),
        gpu_memory_gib=model.gpu_memory_gib,
        cpu=quantity.amount(model.cpu),
        memory_gib=model.memory_gib,
        accelerators=frozenset(model.accelerators),
        machine_types=frozenset(model.machine_types),
        zones=frozenset(settings.zones),
        hardware=model.hardware,
        footprint=model.footprint,
        architecture=model.architecture,
        cpu_features=frozenset(model.cpu_features),
    )


def share_of(model: ModelConfig) -> Share:
    """What one replica takes of its machine's accelerators."""
    return Share(model.gpus_per_replica)


def all_of(offer: Offer) -> Share:
    """All the accelerators of one such machine."""
    return Share(offer.accelerator_count)


class Judge:
    """What stands against a replica of one need on many machines. A type of machine is judged once, however many regions sell it."""

    def __init__(self, need: Need) -> None:
        self._need = need
        self._seen: dict[tuple[object, ...], tuple[Misfit, ...]] = {}

    def against(self, offer: Offer) -> tuple[Misfit, ...]:
        """As `misfits`."""
        key = (
            offer.machine_type, offer.accelerator, offer.accelerator_count, offer.usable_gib_per_accelerator, offer.vcpus, offer.memory_gib,
            offer.architecture, offer.features,
        )  # fmt: skip
        found = self._seen.get(key)
        if found is None:
            found = self._seen[key] = tuple(_of_machine(offer, self._need))
        return (*_of_place(offer, self._need), *found, *_of_zones(offer, self._need))

    def fits(self, offer: Offer) -> bool:
        """Can one replica run on one such machine?"""
        return not self.against(offer)


def fits(offer: Offer, need: Need) -> bool:
    """Can one replica run on one such machine?"""
    return Judge(need).fits(offer)


def misfits(offer: Offer, need: Need) -> tuple[Misfit, ...]:
    """What stands against a replica on the machine; empty when it can run there."""
    return Judge(need).against(offer)


def zones_for(offer: Offer, need: Need) -> tuple[str, ...]:
    """The zones that sell the machine and that `need` allows; empty also where the offer's zones are not known."""
    chosen = _chosen_zones(offer, need)
    return tuple(zone for zone in offer.zones if not chosen or zone in chosen)


def replicas_per_node(offer: Offer, need: Need) -> int:
    """How many replicas one machine that fits holds, by GPUs, CPU and memory, with what runs beside them."""
    cores, memory = allocatable(offer)
    beside = need.footprint.beside_in(offer.cloud)
    fitting = cores // (need.cpu + beside.cpu), memory // (need.memory_gib + beside.memory_gib)
    gpus = (all_of(offer).holds(need.share),) if need.with_gpus else ()
    return int(min(*gpus, *fitting))


def gpus_for(offer: Offer, gib: Decimal) -> int:
    """The least number of the machine's GPUs that together have `gib` of memory to use."""
    return int((gib / offer.usable_gib_per_accelerator).to_integral_value(ROUND_CEILING))


def _of_place(offer: Offer, need: Need) -> Iterator[Misfit]:
    if (offer.cloud, offer.region) not in need.places:
        yield Misfit("place", f"is in {offer.cloud} {offer.region}, which is not among the allowed regions")


def _of_machine(offer: Offer, need: Need) -> Iterator[Misfit]:
    """What a machine lacks wherever it is sold. Nothing is said of the size of one of the other kind: without GPUs, or with some."""
    if need.accelerators and offer.accelerator not in need.accelerators:
        yield Misfit(
            "accelerators",
            f"has {offer.accelerator or 'no accelerator'}, not among the accelerators",
            offer.accelerator or None,
        )
    if need.machine_types and offer.machine_type not in need.machine_types:
        yield Misfit("machineTypes", "is not among the machineTypes", offer.machine_type)
    if need.with_gpus != (offer.accelerator_count > 0):
        told = "has no GPU" if need.with_gpus else f"has {offer.accelerator_count} GPU, and the model takes none"
        yield Misfit("gpusPerReplica", told, None, Decimal(1))
        return
    yield from _gpus(offer, need) if need.with_gpus else _processors(offer, need)
    beside = need.footprint.beside_in(offer.cloud)
    cores, memory = (
        left - taken for left, taken in zip(allocatable(offer), (beside.cpu, beside.memory_gib), strict=True)
    )
    if need.cpu > cores:
        most = cores.quantize(_HUNDREDTH, ROUND_DOWN)
        yield Misfit(
            "cpu",
            f"leaves {_short(cores)} CPU of the {_short(need.cpu)} needed",
            f"{most.normalize():f}",
            1 - cores / need.cpu,
        )
    if need.memory_gib > memory:
        most = memory.quantize(_HUNDREDTH, ROUND_DOWN).normalize()
        told = f"leaves {_short(memory)} GiB of memory of the {_short(need.memory_gib)} needed"
        yield Misfit("memoryGib", told, most, 1 - memory / need.memory_gib)


def _of_zones(offer: Offer, need: Need) -> Iterator[Misfit]:
    of_its_kind = need.with_gpus == (offer.accelerator_count > 0)
    if need.zones and offer.zones and of_its_kind and not zones_for(offer, need):
        chosen = ", ".join(_chosen_zones(offer, need))
        yield Misfit(
            "zones", f"is sold in {', '.join(offer.zones)} only, and the zones chosen are {chosen}", offer.zones[0]
        )


def _processors(offer: Offer, need: Need) -> Iterator[Misfit]:
    """What stands against the processors of a machine without GPUs."""
    if offer.architecture != need.architecture:
        told = f"is {offer.architecture}, and the model's image is for {need.architecture}"
        yield Misfit("architecture", told, offer.architecture, Decimal(1))
        return
    for name in sorted(need.cpu_features - offer.features):
        yield Misfit("cpuFeatures", f"has no {name}", name, Decimal(1))


def _gpus(offer: Offer, need: Need) -> Iterator[Misfit]:
    """What stands against its accelerators. More of them are asked for rather than less memory, where the machine has them."""
    if told := lacking(offer, need.hardware):
        yield Misfit("hardware", told)
    asked, there = need.share.count, offer.accelerator_count
    if asked > there:
        yield Misfit("gpusPerReplica", f"has {there} GPU of the {asked} needed", there, 1 - Decimal(there) / asked)
        need = replace(need, share=Share(there))
    usable = offer.usable_gib_per_accelerator
    if need.gib_per_gpu > usable:
        told = f"has {_short(usable)} GiB a GPU to use of the {_short(need.gib_per_gpu)} needed"
        more = gpus_for(offer, need.gpu_memory_gib)
        if more <= there:
            yield Misfit("gpusPerReplica", told, more, 1 - Decimal(asked) / more)
        else:
            most = (usable * need.share.count).quantize(_HUNDREDTH, ROUND_DOWN).normalize()
            yield Misfit("gpuMemoryGib", told, most, 1 - most / need.gpu_memory_gib)


def lacking(offer: Offer, hardware: Hardware) -> str:
    """What an accelerator lacks of what a server asks; empty for nothing."""
    accelerator = accelerators().get(offer.accelerator)
    if accelerator is None:
        return ""
    missing = sorted(hardware.formats - accelerator.formats)
    if missing:
        return f"has no {', '.join(missing)} on its {offer.accelerator}, which the server needs"
    if accelerator.compute_capability < hardware.compute_capability:
        have, want = accelerator.compute_capability, hardware.compute_capability
        return f"has compute capability {have:f} on its {offer.accelerator} of the {want:f} that the server needs"
    return ""


def _chosen_zones(offer: Offer, need: Need) -> list[str]:
    return sorted(zone for zone in need.zones if CLOUDS[offer.cloud].region_of(zone) == offer.region)


def _short(amount: Decimal) -> str:
    return f"{amount.quantize(_HUNDREDTH, ROUND_DOWN).normalize():f}"
