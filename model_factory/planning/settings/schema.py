"""The JSON Schema (draft 2020-12) of a whole `Pulumi.<stack>.yaml`, for editors. Made from the classes that validate the file, so that
both say the same; what takes two keys to judge (min ≤ max, overlaps, fits) only `model_factory.planning.settings.load` knows."""

from __future__ import annotations

from typing import Any, Final

from pydantic import TypeAdapter
from pydantic.json_schema import models_json_schema

from model_factory.facts.clouds import CLOUDS
from model_factory.facts.machines import features
from model_factory.planning.settings.clouds import SECTIONS
from model_factory.planning.settings.fields import DNS_LABEL, MODEL_NAME_MAX, LabelKey, LabelValue
from model_factory.planning.settings.load import PROJECT
from model_factory.planning.settings.provider_keys import NAMESPACES, keys_of
from model_factory.planning.settings.rules import Rules
from model_factory.planning.settings.sections import MODELS_MAX, Environment, LocalSettings, ModelConfig
from model_factory.planning.settings.serving import Serving

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"

_SECTIONS: Final = {**SECTIONS, "local": LocalSettings, "rules": Rules}
_SECURE: Final = {
    "type": "object",
    "properties": {"secure": {"type": "string"}},
    "required": ["secure"],
    "additionalProperties": False,
    "description": "A value encrypted by `pulumi config set --secret`.",
}


def json_schema(serving: Serving) -> dict[str, Any]:
    """The schema as plain JSON values, keys in a fixed order."""
    kinds = [*_SECTIONS.values(), ModelConfig]
    _, made = models_json_schema([(kind, "validation") for kind in kinds], ref_template="#/$defs/{model}")
    definitions: dict[str, Any] = {name: _plain(each) for name, each in sorted(made["$defs"].items())}
    definitions["Secure"] = _SECURE
    _name_regions(definitions)
    definitions["ModelConfig"]["properties"]["runtime"]["enum"] = sorted(serving.runtimes)
    definitions["ModelConfig"]["anyOf"] = [{"required": ["replicas"]}, {"required": ["sites"]}]
    definitions["ModelConfig"] |= _with_gpus_or_without(serving)
    del definitions["ModelConfig"]["properties"]["gpuMemoryGib"]["default"]
    definitions["ModelConfig"]["properties"]["cpuFeatures"]["items"] = {"type": "string", "enum": list(features())}
    definitions["ModelConfig"]["properties"]["sites"]["propertyNames"] = {"pattern": rf"^({'|'.join(SECTIONS)})/\S+$"}
    definitions["Weights"]["properties"]["uri"] |= {
        "description": f"Their place: {serving.forms}.",
        "pattern": rf"^({'|'.join(sorted(serving.routes))})://\S+$",
    }
    return {
        "$schema": DIALECT,
        "title": f"Stack file of {PROJECT}",
        "type": "object",
        "required": ["config"],
        "additionalProperties": False,
        "properties": {
            "config": {
                "type": "object",
                "description": "Settings of the stack, and of the providers.",
                "properties": _ours() | _providers(),
                "patternProperties": {"^gcp:[A-Za-z0-9]+CustomEndpoint$": {"type": "string", "format": "uri"}},
                "required": [f"{PROJECT}:environment", f"{PROJECT}:models"],
                "anyOf": [{"required": [section.key()]} for section in SECTIONS.values()],
                "additionalProperties": False,
            },
            "encryptionsalt": {"type": "string", "description": "Written by Pulumi: salt of the passphrase."},
            "encryptedkey": {
                "type": "string",
                "description": "Written by Pulumi: data key, encrypted by the secrets provider.",
            },
            "secretsprovider": {"type": "string", "description": "Written by Pulumi: what encrypts secrets."},
        },
        "$defs": definitions,
    }


def _ours() -> dict[str, Any]:
    labels = {
        "type": "object",
        "propertyNames": TypeAdapter(LabelKey).json_schema(),
        "additionalProperties": TypeAdapter(LabelValue).json_schema(),
    }
    models = {
        "type": "object",
        "description": "The models to serve, by name.",
        "minProperties": 1,
        "maxProperties": MODELS_MAX,
        "propertyNames": {"pattern": DNS_LABEL, "maxLength": MODEL_NAME_MAX},
        "additionalProperties": {"$ref": "#/$defs/ModelConfig"},
    }
    sections = {
        name: {"anyOf": [{"$ref": f"#/$defs/{kind.__name__}"}, {"type": "null"}]} for name, kind in _SECTIONS.items()
    }
    keys = {
        **sections,
        "environment": {**TypeAdapter(Environment).json_schema(), "description": "What the stack is for."},
        "labels": {**labels, "description": "Labels and tags on everything that takes some."},
        "models": models,
    }
    return {f"{PROJECT}:{name}": keys[name] for name in sorted(keys)}


def _providers() -> dict[str, Any]:
    exact: dict[str, Any] = {
        **{f"{cloud}:region": {"type": "string", "enum": sorted(facts.regions)} for cloud, facts in CLOUDS.items()},
        "aws:endpoints": {
            "type": "array",
            "items": {"type": "object", "additionalProperties": {"type": "string", "format": "uri"}},
        },
    }
    return {
        f"{namespace}:{key}": exact.get(
            f"{namespace}:{key}", {"description": f"Configuration of the {namespace} provider."}
        )
        for namespace in NAMESPACES
        for key in sorted(keys_of(namespace))
        if not key.endswith("CustomEndpoint") or key in CLOUDS["gcp"].endpoint_keys
    }


def _with_gpus_or_without(serving: Serving) -> dict[str, Any]:
    """What goes with gpusPerReplica: 0, and what with GPUs."""
    without = {"properties": {"gpusPerReplica": {"const": 0}}, "required": ["gpusPerReplica"]}
    able = sorted(name for name, each in serving.runtimes.items() if each.runs_without_gpus)
    return {
        "if": without,
        "then": {"properties": {"gpuMemoryGib": False, "accelerators": False, "runtime": {"enum": able}}},
        "else": {
            "required": ["gpuMemoryGib"],
            "properties": {"architecture": {"const": "x86_64"}, "cpuFeatures": False},
        },
    }


def _name_regions(definitions: dict[str, Any]) -> None:
    for cloud, facts in CLOUDS.items():
        regions = definitions[SECTIONS[cloud].__name__]["properties"]["regions"]
        regions["items"] = {"type": "string", "enum": sorted(facts.regions)}


def _plain(node: Any) -> Any:
    """Without the titles that pydantic makes from class and field names (they repeat the key), and with Decimal defaults as numbers."""
    if isinstance(node, dict):
        kept = {key: _plain(value) for key, value in node.items() if not (key == "title" and isinstance(value, str))}
        if kept.get("type") == "number" and isinstance(kept.get("default"), str):
            kept["default"] = float(kept["default"])
        if "patternProperties" in kept:  # pydantic's way to say how the keys of a mapping are written
            kept["additionalProperties"] = False
        return kept
    return [_plain(each) for each in node] if isinstance(node, list) else node
