"""The models of a stack file: read, checked each by its rules, and completed with what their keys leave to others."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, cast

from model_factory.planning.settings.clouds import Sections
from model_factory.planning.settings.model_rules import check_model, check_name, clouds_of
from model_factory.planning.settings.problems import show
from model_factory.planning.settings.reading import Finding, check
from model_factory.planning.settings.rules import Rules
from model_factory.planning.settings.sections import MODELS, MODELS_MAX, ModelConfig, ModelSettings
from model_factory.planning.settings.serving import Footprint, Hardware, Serving
from model_factory.planning.settings.yamlfile import Secure

_STAND_IN_MODEL: Final = {
    "runtime": "vllm",
    "image": f"stand-in@sha256:{'0' * 64}",
    "weights": {"uri": "bucket://stand-in"},
    "requestsPerSecond": 1,
    "replicas": {"min": 1, "max": 1},
}


def read_models(
    config: Mapping[str, object], sections: Sections, serving: Serving, rules: Rules, found: list[Finding]
) -> tuple[Mapping[str, ModelConfig], frozenset[str]]:
    """The models by name, and those whose place cannot be judged."""
    raw = config.get(MODELS, {})
    if isinstance(raw, Secure):
        message = "is encrypted, but planning must read it; write it in plain text (it is not a secret)"
        found.append(((MODELS,), message))
        return {}, frozenset()
    if not isinstance(raw, Mapping):
        message = f"{show(raw)} is not a mapping; write each model's name as a key, its settings below"
        found.append(((MODELS,), message))
        return {}, frozenset()
    if len(raw) > MODELS_MAX:
        message = f"has {len(raw):,} models, and {MODELS_MAX:,} are planned at once; spread them over several stacks"
        found.append(((MODELS,), message))
        return {}, frozenset()
    if not raw and MODELS in config:
        found.append(((MODELS,), "is empty; add at least one model"))
    models: dict[str, ModelConfig] = {}
    undecided: set[str] = set()
    for key, settings in cast("Mapping[object, object]", raw).items():
        name, place = str(key), (MODELS, str(key))
        found += [(place, message) for message in check_name(name)]
        model, findings = check(ModelConfig, settings if settings is not None else {}, place, _STAND_IN_MODEL)
        found += findings
        models[name] = model.value
        decided, findings = check_model(sections, serving, rules, place, model)
        found += findings
        if not decided:
            undecided.add(name)
    return models, frozenset(undecided)


def complete(name: str, model: ModelConfig, sections: Sections, serving: Serving) -> ModelSettings:
    """The model with what its keys leave to others filled in."""
    runtime, route = serving.runtimes.get(model.runtime), serving.routes.get(model.weights.scheme)
    footprint = route.footprint(model.weights_gib) if route is not None else Footprint()
    with_gpus = model.gpus_per_replica > 0
    filled = {
        "name": name,
        "clouds": clouds_of(model, sections),
        "sites": dict(sorted(model.sites.items())),
        "labels": dict(sorted(model.labels.items())),
        "hardware": runtime.hardware(model.args) if runtime is not None and with_gpus else Hardware(),
        "footprint": footprint if with_gpus else footprint.without_gpus,
    }
    return ModelSettings.model_construct(None, **{**dict(model), **filled})


def model_warnings(models: Mapping[str, ModelConfig], serving: Serving) -> Iterator[Finding]:
    """What a user should know of models and nothing must stop for."""
    signals = {
        signal: None
        for model in models.values()
        if model.replicas.max > model.replicas.min and (runtime := serving.runtimes.get(model.runtime))
        for signal in runtime.signals
    }
    if signals:
        # kubernetes.io/docs/tasks/run-application/horizontal-pod-autoscale: metrics that are not served add no replica and take none away.
        adapters = "prometheus-adapter, KEDA, or Google's custom-metrics-stackdriver-adapter"
        otherwise = (
            "replicas follow CPU where there are no GPUs or the runtime goes by it, and stay at their least where not"
        )
        message = f"autoscalers go by {', '.join(signals)}, which nothing in the stack serves: until an adapter does ({adapters}), {otherwise}"
        yield (MODELS,), message
    for name, model in models.items():
        place = (MODELS, name)
        if runtime := serving.runtimes.get(model.runtime):
            notes = runtime.notes(model.gpus_per_replica, model.weights.revision)
            yield from (((*place, *key), message) for key, message in notes)
        if (route := serving.routes.get(model.weights.scheme)) and route.warning:
            yield (*place, "weights"), route.warning
