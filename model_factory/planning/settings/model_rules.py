"""The rules for one model, and whether any offer fits it."""

from __future__ import annotations

import re
from collections.abc import Generator, Iterator, Sequence
from typing import cast

from model_factory.facts.catalogue import catalogue
from model_factory.facts.clouds import Cloud
from model_factory.facts.offer import Offer
from model_factory.planning.placing.fit import fits, why_not
from model_factory.planning.placing.needs import need_of
from model_factory.planning.settings.draft import Draft, twice
from model_factory.planning.settings.fields import DNS_LABEL
from model_factory.planning.settings.problems import instead
from model_factory.planning.settings.reading import Checked, Finding, not_among
from model_factory.planning.settings.sections import ModelConfig
from model_factory.planning.settings.serving import Serving
from model_factory.planning.settings.stackfile import KeyPath


def model_name(name: str, longest: int) -> Iterator[str]:
    """What is wrong with a model's name."""
    if len(name) > longest:
        yield f"the name has {len(name)} characters; use at most {longest}, pods and cloud resources add their own to it"
    elif not re.match(DNS_LABEL, name):
        better = re.sub(r"[^a-z0-9-]+", "-", name.lower()).strip("-").lstrip("0123456789-")[:longest]
        yield f"the name must be of a-z, 0-9 and -, from a letter to a letter or digit{f'; write {better}' if better else ''}"


def check_model(draft: Draft, place: KeyPath, model: Checked[ModelConfig]) -> Iterator[Finding]:
    """Everything about one model at `place`."""
    value = model.value
    if model.right("replicas") and value.replicas.min > value.replicas.max:
        low, high = value.replicas.min, value.replicas.max
        yield (*place, "replicas"), f"min {low} is above max {high}; set min ≤ max"
    places_right = draft.regions_right()
    if model.right("clouds"):
        yield from twice((*place, "clouds"), value.clouds)
        for index, cloud in enumerate(value.clouds):
            if cloud not in draft.clouds:
                places_right = False
                yield (
                    (*place, "clouds", index),
                    f"{cloud} is not set up in this stack; add model-factory:{cloud}, or {_other(draft.clouds)}",
                )
    if model.right("regions", "clouds") and draft.regions_right():
        allowed = [region for cloud in value.clouds or draft.clouds for region in draft.regions(cloud)]
        yield from twice((*place, "regions"), value.regions)
        for index, region in enumerate(value.regions):
            if region not in allowed:
                places_right = False
                where = (
                    f"no region of this model's clouds; {instead(region, allowed)}"
                    if allowed
                    else "in no cloud of this model"
                )
                yield (*place, "regions", index), f"{region!r} is {where}"
    if model.right("runtime"):
        yield from _runtime(place, model, draft.serving)
    if model.right("weights"):
        yield from _weights((*place, "weights"), model, draft)
    known = yield from _known_hardware(place, model)
    fields = (
        "gpu_memory_gib",
        "gpus_per_replica",
        "cpu",
        "memory_gib",
        "clouds",
        "regions",
        "spot",
        "accelerators",
        "machine_types",
    )
    if places_right and known and draft.clouds and model.right(*fields):
        yield from _fits(draft, place, value)


def _fits(draft: Draft, place: KeyPath, value: ModelConfig) -> Iterator[Finding]:
    need = need_of(value, {cloud: draft.regions(cloud) for cloud in draft.clouds}, draft.zones())
    if any(fits(offer, need) for offer in _offers()):
        return
    at = next(
        (
            key
            for key, given in (("machineTypes", value.machine_types), ("accelerators", value.accelerators))
            if given
        ),
        "gpuMemoryGib",
    )
    yield (
        (*place, at),
        f"{describe(value)} fits on no machine in {', '.join(sorted(region for _, region in need.places))}; {why_not(need, _offers())}",
    )


def describe(model: ModelConfig) -> str:
    """What a model asks of a machine, in a few words."""
    on = (
        f" on {', '.join(model.machine_types or model.accelerators)}"
        if model.machine_types or model.accelerators
        else ""
    )
    return f"{model.gpus_per_replica} GPU with {model.gpu_memory_gib:f} GiB in all, {model.cpu} CPU, {model.memory_gib:f} GiB of memory{on}"


def _known_hardware(place: KeyPath, model: Checked[ModelConfig]) -> Generator[Finding, None, bool]:
    known = True
    tables = {
        "accelerators": ("accelerators", sorted({offer.accelerator for offer in _offers()})),
        "machineTypes": ("machine_types", sorted({offer.machine_type for offer in _offers()})),
    }
    for alias, (field, names) in tables.items():
        if not model.right(field):
            continue
        given = cast("tuple[str, ...]", getattr(model.value, field))
        yield from twice((*place, alias), given)
        for index, name in enumerate(given):
            if name not in names:
                known = False
                yield (*place, alias, index), f"{name!r} is not in the price tables; {instead(name, names)}"
    return known


def _runtime(place: KeyPath, model: Checked[ModelConfig], serving: Serving) -> Iterator[Finding]:
    name = model.value.runtime
    runtime = serving.runtimes.get(name)
    if runtime is None:
        yield (*place, "runtime"), not_among(name, sorted(serving.runtimes))
        return
    for index, argument in enumerate(model.value.args if model.right("args") else ()):
        # Servers take - and _ alike, and a value after = or a space.
        flag = re.split(r"[=\s]", argument.strip(), maxsplit=1)[0]
        if flag.startswith("-") and flag.replace("_", "-") in runtime.owned_flags:
            yield (
                (*place, "args", index),
                f"the stack sets {flag} for {runtime.title} itself, from this model's other settings; remove it",
            )


def _weights(place: KeyPath, model: Checked[ModelConfig], draft: Draft) -> Iterator[Finding]:
    weights = model.value.weights
    route = draft.serving.routes.get(weights.scheme)
    if route is None or not weights.path.strip("/") or re.search(r"\s", weights.path):
        yield (*place, "uri"), f"{weights.uri!r} is not a place of weights; write {draft.serving.forms}"
        return
    yield from (((*place, key), message) for key, message in route.refuse(weights.path, weights.revision))
    runtime = draft.serving.runtimes.get(model.value.runtime) if model.right("runtime") else None
    if runtime is not None and not route.mounted and weights.scheme not in runtime.fetches:
        yield (
            (*place, "uri"),
            f"{model.value.runtime} cannot load from {route.title}; copy the weights into bucket://path",
        )
    if route.cloud and model.right("clouds") and set(model.value.clouds or draft.clouds) != {route.cloud}:
        yield (
            (*place, "uri"),
            f"{weights.scheme}:// can be read from {route.cloud} only; set clouds: [{route.cloud}], or use bucket://",
        )


def _other(clouds: Sequence[Cloud]) -> str:
    return f"write {' or '.join(clouds)}" if clouds else "remove it"


def _offers() -> Sequence[Offer]:
    return catalogue().offers
