"""The rules for one model. Whether any offer fits it, `model_factory.planning.placing` says."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from typing import Final

from model_factory.facts.clouds import Cloud
from model_factory.facts.machines import features
from model_factory.planning.settings.arguments import check_arguments
from model_factory.planning.settings.cloud import twice
from model_factory.planning.settings.clouds import Sections
from model_factory.planning.settings.fields import DNS_LABEL, MODEL_NAME_MAX
from model_factory.planning.settings.problems import instead
from model_factory.planning.settings.reading import Checked, Finding, not_among
from model_factory.planning.settings.rules import Rules
from model_factory.planning.settings.sections import ModelConfig
from model_factory.planning.settings.serving import Serving
from model_factory.planning.settings.site_rules import check_capacity, check_places, check_replicas
from model_factory.planning.settings.yamlfile import KeyPath

_DECIDE_THE_PLACE: Final = (
    "runtime", "args", "gpu_memory_gib", "gpus_per_replica", "cpu", "memory_gib", "replicas", "clouds", "regions", "sites", "spread",
    "spot", "capacity", "accelerators", "machine_types", "architecture", "cpu_features", "labels",
)  # fmt: skip


def check_name(name: str) -> Iterator[str]:
    """What is wrong with a model's name."""
    if len(name) > MODEL_NAME_MAX:
        yield f"the name has {len(name)} characters; use at most {MODEL_NAME_MAX}, pods and cloud resources add their own to it"
    elif not re.fullmatch(DNS_LABEL, name):
        better = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-").lstrip("0123456789-")[:MODEL_NAME_MAX]
        rule = "the name must be of a-z, 0-9 and single hyphens, from a letter to a letter or digit"
        yield f"{rule}{f'; write {better}' if better else ''}"


def check_model(
    sections: Sections, serving: Serving, rules: Rules, place: KeyPath, model: Checked[ModelConfig]
) -> tuple[bool, list[Finding]]:
    """Whether all that decides where the model at `place` runs is as the user meant it; and what is wrong with the model."""
    value, clouds = model.value, tuple(sections)
    found: list[Finding] = list(check_replicas(place, model))
    for key, names in (
        ("accelerators", value.accelerators),
        ("machineTypes", value.machine_types),
        ("cpuFeatures", value.cpu_features),
    ):
        found += twice((*place, key), names)
    regions_right = all(each.right("regions") and each.value.regions_known() for each in sections.values())
    strange = [
        *_clouds((*place, "clouds"), model, clouds),
        *(_regions((*place, "regions"), model, sections) if regions_right else ()),
    ]
    if regions_right and not strange and model.right("clouds", "regions"):
        strange += check_places(place, model, sections, rules)
    strange += check_capacity(place, model, rules)
    strange += _processors(place, model, serving)
    found += [*strange, *twice((*place, "clouds"), value.clouds), *twice((*place, "regions"), value.regions)]
    if model.right("runtime"):
        found += _runtime(place, model, serving)
    if model.right("weights"):
        found += _weights((*place, "weights"), model, serving, sections)
    counted = 1 <= value.replicas.min <= value.replicas.max
    decided = bool(clouds) and regions_right and not strange and counted and model.right(*_DECIDE_THE_PLACE)
    return decided, found


def clouds_of(model: ModelConfig, sections: Sections) -> tuple[Cloud, ...]:
    """The clouds where the model may run: those it names, those of its sites, or all."""
    named = {site.partition("/")[0] for site in model.sites}
    return model.clouds or tuple(cloud for cloud in sections if not named or cloud in named)


def _clouds(place: KeyPath, model: Checked[ModelConfig], clouds: Sequence[Cloud]) -> Iterator[Finding]:
    for index, cloud in enumerate(model.value.clouds):
        if cloud not in clouds:
            remedy = f"write {' or '.join(clouds)}" if clouds else "remove it"
            yield (
                (*place, index),
                f"{cloud} is not set up in this stack; add model-factory:{cloud}, or {remedy}",
            )


def _regions(place: KeyPath, model: Checked[ModelConfig], sections: Sections) -> Iterator[Finding]:
    if not model.right("clouds"):
        return
    chosen = [sections[cloud] for cloud in model.value.clouds or sections if cloud in sections]
    allowed = [region for section in chosen for region in section.value.regions]
    for index, region in enumerate(model.value.regions):
        if region not in allowed:
            where = (
                f"no region of this model's clouds; {instead(region, allowed)}"
                if allowed
                else "in no cloud of this model"
            )
            yield (*place, index), f"{region!r} is {where}"


def _processors(place: KeyPath, model: Checked[ModelConfig], serving: Serving) -> Iterator[Finding]:
    """What a model with GPUs must say and one without must not, and the other way round."""
    value = model.value
    if not model.right("gpus_per_replica"):
        return
    if value.gpus_per_replica:
        if model.right("gpu_memory_gib") and not value.gpu_memory_gib:
            message = "is missing; add it: accelerator memory that one replica needs, over all its GPUs together"
            yield (*place, "gpuMemoryGib"), f"{message}; or write gpusPerReplica: 0 for a model that runs without GPUs"
        given = {"architecture": value.architecture != "x86_64", "cpuFeatures": bool(value.cpu_features)}
        for key in (key for key, is_given in given.items() if is_given):
            yield (
                (*place, key),
                "is for models without GPUs, and this one takes some; remove it, or write gpusPerReplica: 0",
            )
        return
    runtime = serving.runtimes.get(value.runtime) if model.right("runtime") else None
    if runtime is not None and not runtime.runs_without_gpus:
        # Whatever else is said of GPUs is right then.
        able = ", ".join(sorted(name for name, each in serving.runtimes.items() if each.runs_without_gpus))
        message = f"is 0, and {runtime.title} runs on GPUs alone; write 1 or more, or take a runtime that runs without: {able}"
        yield (*place, "gpusPerReplica"), message
        return
    for key, is_given in (("gpuMemoryGib", value.gpu_memory_gib), ("accelerators", value.accelerators)):
        if is_given:
            yield (*place, key), "is for models with GPUs, and gpusPerReplica is 0; remove it, or ask for GPUs"
    if not model.right("cpu_features", "architecture"):
        return
    known = features()
    for index, name in enumerate(value.cpu_features):
        if name not in known:
            yield (*place, "cpuFeatures", index), not_among(name, list(known))
        elif (has := known[name]) != value.architecture:
            told = f"{name} is of {has}, and the model's image is for {value.architecture}"
            yield (*place, "cpuFeatures", index), f"{told}; write architecture: {has} if it is for that, or remove it"


def _runtime(place: KeyPath, model: Checked[ModelConfig], serving: Serving) -> Iterator[Finding]:
    name = model.value.runtime
    runtime = serving.runtimes.get(name)
    if runtime is None:
        yield (*place, "runtime"), not_among(name, sorted(serving.runtimes))
        return
    if model.right("args", "gpus_per_replica"):
        for index, message in check_arguments(model.value.args, model.value.gpus_per_replica, runtime):
            yield (*place, "args", index), message


def _weights(place: KeyPath, model: Checked[ModelConfig], serving: Serving, sections: Sections) -> Iterator[Finding]:
    weights = model.value.weights
    route = serving.routes.get(weights.scheme)
    if route is None or not weights.path.strip("/") or re.search(r"\s", weights.path):
        yield (*place, "uri"), f"{weights.uri!r} is not a place of weights; write {serving.forms}"
        return
    yield from (((*place, key), message) for key, message in route.refuse(weights.path, weights.revision))
    runtime = serving.runtimes.get(model.value.runtime) if model.right("runtime") else None
    if runtime is not None and not route.mounted and weights.scheme not in runtime.fetches:
        yield (
            (*place, "uri"),
            f"{model.value.runtime} cannot load from {route.title}; copy the weights into bucket://path",
        )
    clouds: Collection[Cloud] = clouds_of(model.value, sections) if model.right("clouds", "sites") else ()
    for cloud, section in sections.items():
        version, least = section.value.kubernetes_version, route.least_kubernetes
        if cloud in clouds and _minor(version) < _minor(least):
            told = f"{weights.scheme}:// needs Kubernetes {least}, and {cloud} runs {version}"
            yield (
                (*place, "uri"),
                f'{told}; set kubernetesVersion: "{least}" in {section.value.key()}, or use bucket://',
            )
    if route.cloud and clouds and set(clouds) != {route.cloud}:
        yield (
            (*place, "uri"),
            f"{weights.scheme}:// can be read from {route.cloud} only; set clouds: [{route.cloud}], or use bucket://",
        )


def _minor(version: str) -> tuple[int, ...]:
    """A version as numbers, so that 1.9 comes before 1.30; no version comes before all."""
    return tuple(int(part) for part in version.split(".") if part)
