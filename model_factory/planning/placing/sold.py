"""Whether what settings name, or need, is sold: each question is asked of the offers here, and once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from model_factory.facts.offer import Offer
from model_factory.planning.placing.fit import Need, why_not
from model_factory.planning.settings.problems import Problem, instead
from model_factory.planning.settings.sections import MODELS, ModelConfig, ModelSettings, Settings


def unknown_hardware(settings: Settings, offers: Sequence[Offer]) -> Iterator[tuple[str, Problem]]:
    """The models that name an accelerator or a machine type that no offer has, each with a problem a name."""
    accelerators = sorted({offer.accelerator for offer in offers if offer.accelerator_count})
    machine_types = sorted({offer.machine_type for offer in offers if offer.accelerator_count})
    for model in settings.models:
        for key, given, sold in (
            ("accelerators", model.accelerators, accelerators),
            ("machineTypes", model.machine_types, machine_types),
        ):
            for index, name in enumerate(given):
                if name not in sold:
                    message = f"{name!r} is not in the price tables; {instead(name, sold)}"
                    yield model.name, settings.where.problem((MODELS, model.name, key, index), message)


def gpu_system_machines(settings: Settings, offers: Sequence[Offer]) -> Iterator[Problem]:
    """Clouds whose system nodes would have GPUs."""
    for section in settings.sections.values():
        machine = section.system_machine_type
        if any(offer.machine_type == machine and offer.accelerator_count for offer in offers):
            example = type(section).model_fields["system_machine_type"].default
            message = f"{machine} is a GPU machine, and the system nodes need none; write one such as {example}"
            yield settings.where.problem((section.key(), "systemMachineType"), message)


def fits_nowhere(settings: Settings, model: ModelSettings, need: Need, offers: Sequence[Offer]) -> Problem:
    """The problem of a model that fits on no offer, at the narrowest of its keys."""
    narrower = (("machineTypes", model.machine_types), ("accelerators", model.accelerators))
    key = next((key for key, given in narrower if given), "gpuMemoryGib")
    regions = ", ".join(sorted(region for _, region in need.places))
    message = f"{describe(model)} fits on no machine in {regions}; {why_not(need, offers)}"
    return settings.where.problem((MODELS, model.name, key), message)


def describe(model: ModelConfig) -> str:
    """What a model asks of a machine, in a few words."""
    pinned = ", ".join(model.machine_types or model.accelerators)
    return (
        f"{model.gpus_per_replica} GPU with {model.gpu_memory_gib:f} GiB in all, {model.cpu} CPU, "
        f"{model.memory_gib:f} GiB of memory{f' on {pinned}' if pinned else ''}"
    )
