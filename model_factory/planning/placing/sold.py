"""Whether what settings name, or need, is sold: each question is asked of the market here, and once."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Final

from model_factory.facts.clouds import CLOUDS
from model_factory.planning.placing.fit import Judge, Need, lacking
from model_factory.planning.placing.market import Market
from model_factory.planning.placing.nearest import nearest
from model_factory.planning.placing.plan import Site
from model_factory.planning.settings.problems import Problem, instead
from model_factory.planning.settings.sections import MODELS, ModelConfig, ModelSettings, Settings

_REGIONS_NAMED: Final = 6


def unknown_hardware(settings: Settings, market: Market) -> Iterator[tuple[str, Problem]]:
    """The models that name an accelerator or a machine type that no offer has, each with a problem a name."""
    every = (*market.offers, *market.rejected)
    accelerators = sorted({offer.accelerator for offer in every if offer.accelerator})
    machine_types = {
        with_gpus: sorted({offer.machine_type for offer in every if (offer.accelerator_count > 0) == with_gpus})
        for with_gpus in (True, False)
    }
    for model in settings.models:
        with_gpus = model.gpus_per_replica > 0
        for key, given, sold in (
            ("accelerators", model.accelerators, accelerators),
            ("machineTypes", model.machine_types, machine_types[with_gpus]),
        ):
            for index, name in enumerate(given):
                if name not in sold:
                    other = (
                        "has no GPU, and the model takes some" if with_gpus else "has GPUs, and the model takes none"
                    )
                    what = other if name in machine_types[not with_gpus] else "is not in the price tables"
                    message = f"{name!r} {what}; {instead(name, sold)}"
                    yield model.name, settings.where.problem((MODELS, model.name, key, index), message)


def gpu_system_machines(settings: Settings, market: Market) -> Iterator[Problem]:
    """Clouds whose system nodes would have GPUs."""
    with_gpus = {offer.machine_type for offer in market.offers if offer.accelerator_count}
    for section in settings.sections.values():
        machine = section.system_machine_type
        if machine in with_gpus:
            example = type(section).model_fields["system_machine_type"].default
            message = f"{machine} is a GPU machine, and the system nodes need none; write one such as {example}"
            yield settings.where.problem((section.key(), "systemMachineType"), message)


def unknown_reservations(settings: Settings, market: Market) -> Iterator[Problem]:
    """Reservations of machines that no table has in their region."""
    for section in settings.sections.values():
        for index, each in enumerate(section.reservations):
            region = CLOUDS[section.CLOUD].region_of(each.zone)
            if region not in section.regions or not section.MACHINE_TYPE.match(each.machine_type):
                continue  # Refused already.
            if market.find(section.CLOUD, region, each.machine_type) is None:
                message = f"{each.machine_type} is not in the tables for {region}, so no model can be placed on it; remove it or correct it"
                yield settings.where.problem((section.key(), "reservations", index, "machineType"), message)


def fits_nowhere(
    settings: Settings, model: ModelSettings, need: Need, market: Market, *, at: Collection[Site] = ()
) -> Problem:
    """The problem of a model that fits on no offer (`at`: of these sites), at the key to change."""
    found = nearest(settings, model, need, market, at=at)
    keys = [each.key for each in found.remedies if each.key[:2] == (MODELS, model.name)] if found else []
    narrower = (("machineTypes", model.machine_types), ("accelerators", model.accelerators))
    key = next((key for key, given in narrower if given), "gpuMemoryGib" if need.with_gpus else "memoryGib")
    place = keys[0] if keys else (MODELS, model.name, key)
    regions = sorted({site.region for site in at} or {region for _, region in need.places})
    named = ", ".join(regions) if len(regions) <= _REGIONS_NAMED else f"any of its {len(regions)} regions"
    told = [
        f"{describe(model)} fits on no machine in {named or 'any region that its labels allow'}",
        *_thrown_out(settings, model, need, market),
        *_pinned(need, market),
        str(found) if found else _no_offers(settings, model),
    ]
    return settings.where.problem(place, "; ".join(told))


def describe(model: ModelConfig) -> str:
    """What a model asks of a machine, in a few words."""
    pinned = ", ".join(model.machine_types or model.accelerators)
    gpus = f"{model.gpus_per_replica} GPU with {model.gpu_memory_gib:f} GiB in all, " if model.gpus_per_replica else ""
    special = [*model.cpu_features, *(() if model.architecture == "x86_64" else (model.architecture,))]
    with_ = f" with {' and '.join(special)}" if special else ""
    return (
        f"{gpus}{model.cpu} CPU{with_}, {model.memory_gib:f} GiB of memory{'' if gpus else ', no GPU'}"
        f"{f' on {pinned}' if pinned else ''}"
    )


def _thrown_out(settings: Settings, model: ModelSettings, need: Need, market: Market) -> Iterator[str]:
    """Machines that would fit, but for a price that cannot be right."""
    judge = Judge(need)
    for offer in market.rejected if set(settings.ladder_of(model)) - {"reserved"} else ():
        if judge.fits(offer):
            reason = market.why_unpriced(offer)
            yield f"{offer.machine_type} in {offer.region} would fit, but its price was rejected: {reason} (`make prices` reads it anew)"
            return


def _pinned(need: Need, market: Market) -> Iterator[str]:
    """What its server lacks of every machine that is named."""
    named = need.machine_types or need.accelerators
    if named and need.with_gpus:
        there = [offer for offer in market.offers if {offer.machine_type, offer.accelerator} & named]
        reasons = {lacking(offer, need.hardware) for offer in there if offer.accelerator_count}
        if len(reasons) == 1 and (reason := reasons.pop()):
            yield f"{', '.join(sorted(named))} {reason}"


def _no_offers(settings: Settings, model: ModelSettings) -> str:
    residence = settings.residence_of(model)
    if residence is None:
        return "there are no offers"
    return f"no machine is on offer in {', '.join(sorted(residence))}, where its labels keep it"
