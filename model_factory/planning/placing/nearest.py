"""Why a model fits nowhere: the machine that misses by least, and what to write so that it fits.

The remedies of one refusal belong together: written as they are told, the machine fits.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from model_factory.facts.clouds import CLOUDS
from model_factory.facts.offer import CapacityType, Offer
from model_factory.planning.placing.candidates import can_be_had
from model_factory.planning.placing.fit import Judge, Misfit, Need
from model_factory.planning.placing.market import Market
from model_factory.planning.placing.plan import Site
from model_factory.planning.settings.problems import shown
from model_factory.planning.settings.sections import MODELS, ModelSettings, Settings
from model_factory.planning.settings.yamlfile import KeyPath

_NOT_FAR: Final = (0, False, 0)
"""How the key of an offer begins that its server can use, of the pinned kind, where the model may run: no offer elsewhere is nearer."""


@dataclass(frozen=True, slots=True)
class Remedy:
    """A key of the stack file, and the whole value to write there."""

    key: KeyPath
    value: object
    text: str
    """In words: `write cpu: 3.67`."""


@dataclass(frozen=True, slots=True)
class Nearest:
    """A machine that does not fit, what stands against it, and what to change. Without `remedies` nothing in the stack file helps."""

    offer: Offer
    against: tuple[Misfit, ...]
    remedies: tuple[Remedy, ...]

    def __str__(self) -> str:
        told = ", and it ".join(each.reason for each in self.against)
        remedy = " and ".join(each.text for each in self.remedies)
        about = f"nearest is {self.offer.machine_type} in {self.offer.region}: it {told}"
        return f"{about}; {remedy}" if remedy else about


def nearest(
    settings: Settings, model: ModelSettings, need: Need, market: Market, *, at: Collection[Site] = ()
) -> Nearest | None:
    """The offer that misses `need` by least: one of machines with GPUs or without, as the model has, whose accelerator the server can use, of the pinned kind before others, where the
    model may run before other regions, that holds all of what is asked (on more GPUs, or bought otherwise) before one that takes less of
    it, with the fewest keys to change, and by the smallest part of what is asked. `at` names the only sites looked
    at; empty for all where the model's labels let it be."""
    ladder = settings.ladder_of(model)
    residence = settings.residence_of(model)
    judge = Judge(need)

    def look(offer: Offer) -> tuple[tuple[object, ...], Nearest]:
        against = (*judge.against(offer), *_unsold(settings, offer, ladder))
        remedies = tuple(_remedies(settings, model, offer, against))
        hard = sum(1 for each in against if each.subject == "hardware")
        place = any(each.subject == "place" for each in against)
        far = place + (offer.region not in settings.regions_of(offer.cloud))
        key = (
            hard + (offer.cloud not in settings.clouds),
            not _as_pinned(offer, need),
            far,
            sum(1 for each in against if _takes_from_need(model, each)),
            len(remedies),
            sum((each.shortfall for each in against), Decimal(0)),
            offer.usd_per_hour,
            offer.cloud,
            offer.region,
            offer.machine_type,
        )
        return key, Nearest(offer, against, remedies)

    def asked(offer: Offer) -> bool:
        outside = residence is not None and offer.region not in residence
        return (
            need.with_gpus == (offer.accelerator_count > 0)
            and not outside
            and (not at or Site(offer.cloud, offer.region) in at)
        )

    inside = [offer for place in sorted(need.places) for offer in market.at(*place, with_gpus=need.with_gpus)]
    found = [look(offer) for offer in inside if asked(offer)]
    if not any(key[:3] == _NOT_FAR for key, _ in found):
        found = [look(offer) for offer in market.offers if asked(offer)]
    return min(found, key=lambda each: each[0])[1] if found else None


def _takes_from_need(model: ModelSettings, misfit: Misfit) -> bool:
    """Would what is told against it have the model ask for less?"""
    if misfit.subject == "gpusPerReplica":
        return isinstance(misfit.value, int) and misfit.value < model.gpus_per_replica
    return misfit.subject in {"gpuMemoryGib", "architecture", "cpuFeatures", "cpu", "memoryGib"}


def _unsold(settings: Settings, offer: Offer, ladder: Collection[CapacityType]) -> Iterator[Misfit]:
    """Whether a machine can be bought in one of the ways that the model allows."""
    if not can_be_had(settings, offer, ladder):
        why = (
            f": {settings.sections[offer.cloud].key()}.reservations lists none"
            if "reserved" in ladder and offer.cloud in settings.sections
            else ""
        )
        yield Misfit("capacity", f"cannot be had as {' or '.join(ladder)}{why}", shortfall=Decimal(1))


def _remedies(settings: Settings, model: ModelSettings, offer: Offer, against: Collection[Misfit]) -> Iterator[Remedy]:
    for each in against:
        match each.subject:
            case "place":
                yield from _to_place(settings, model, offer)
            case "zones":
                section = settings.sections[offer.cloud]
                yield _longer((section.key(), "zones"), section.zones, offer.zones[0])
            case "machineTypes":
                yield _longer((MODELS, model.name, "machineTypes"), model.machine_types, offer.machine_type)
            case "accelerators":
                yield _longer((MODELS, model.name, "accelerators"), model.accelerators, offer.accelerator)
            case "capacity":
                ladder: list[CapacityType] = [*model.ladder, "on-demand"]
                told = f"add on-demand to {shown(('capacity',))}"
                yield Remedy((MODELS, model.name, "capacity"), ladder, told)
            case "hardware":
                pass
            case "architecture":
                yield Remedy((MODELS, model.name, each.subject), each.value, f"write architecture: {each.value}")
            case "cpuFeatures":
                pass  # All that are lacking are one key, below.
            case "gpusPerReplica" | "gpuMemoryGib" | "cpu" | "memoryGib":
                value = float(each.value) if isinstance(each.value, Decimal) else each.value
                told = f"{each.value:f}" if isinstance(each.value, Decimal) else each.value
                yield Remedy((MODELS, model.name, each.subject), value, f"write {each.subject}: {told}")
    if lacking := [each.value for each in against if each.subject == "cpuFeatures"]:
        left = [name for name in model.cpu_features if name not in lacking]
        told = f"remove {', '.join(map(str, lacking))} from cpuFeatures"
        yield Remedy((MODELS, model.name, "cpuFeatures"), left, told)


def _to_place(settings: Settings, model: ModelSettings, offer: Offer) -> Iterator[Remedy]:
    """What lets a model into an offer's region."""
    section = settings.sections.get(offer.cloud)
    if section is None:
        return
    if offer.region not in section.regions:
        yield _longer((section.key(), "regions"), section.regions, offer.region)
        if section.zones:
            zones = offer.zones or CLOUDS[offer.cloud].zones_of(offer.region)
            yield _longer((section.key(), "zones"), section.zones, *zones[: section.ZONES_LEAST])
    if model.clouds and offer.cloud not in model.clouds:
        yield _longer((MODELS, model.name, "clouds"), model.clouds, offer.cloud)
    if model.regions and offer.region not in model.regions:
        yield _longer((MODELS, model.name, "regions"), model.regions, offer.region)


def _longer(key: KeyPath, names: Collection[str], *more: str) -> Remedy:
    where = str(key[-1]) if key[0] == MODELS else shown(key)
    return Remedy(key, [*names, *more], f"add {', '.join(more)} to {where}")


def _as_pinned(offer: Offer, need: Need) -> bool:
    machine = not need.machine_types or offer.machine_type in need.machine_types
    return machine and (not need.accelerators or offer.accelerator in need.accelerators)
