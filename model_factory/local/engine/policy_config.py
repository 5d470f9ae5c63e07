"""What a policy pack is told of its policies: their levels and settings, from the pack's own defaults and a JSON file.

The file is what `--policy-pack-config` takes: `{"policy": "advisory", "other": {"enforcementLevel": "mandatory", "max": 3}}`, with
"all" for every policy. Rules follow Pulumi's (pulumi/pulumi, pkg/resource/analyzer/config.go), which ignores a policy that the
pack does not have and a setting that it does not declare: here both are errors, or a slip of the pen would switch off a rule.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, cast

import jsonschema
from google.protobuf import json_format, struct_pb2
from pulumi.runtime.proto import analyzer_pb2

from model_factory.graph.files import read_plain_text
from model_factory.local.engine.errors import PolicyError

LEVELS: Final[Mapping[str, int]] = {
    "advisory": analyzer_pb2.ADVISORY,
    "mandatory": analyzer_pb2.MANDATORY,
    "remediate": analyzer_pb2.REMEDIATE,
    "disabled": analyzer_pb2.DISABLED,
}
_LEVEL_KEY: Final = "enforcementLevel"
_ALL: Final = "all"


@dataclass(frozen=True, slots=True)
class PolicySetting:
    """What is said of one policy. `level` None: as it is."""

    level: int | None = None
    properties: Mapping[str, Any] = field(default_factory=dict[str, Any])


def read_policy_config(file: Path) -> dict[str, PolicySetting]:
    """The settings in a file, by policy.

    Raises:
        PolicyError: it is not there, no JSON, or not of this shape; every mistake is listed.
    """
    try:
        document: object = json.loads(read_plain_text(file, 16 * 2**20).strip() or "{}")
    except OSError as error:
        raise PolicyError("", f"policy configuration {file} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise PolicyError("", f"policy configuration {file} is not JSON: {error}") from error
    if not isinstance(document, dict):
        raise PolicyError(
            "",
            f"policy configuration {file} holds a {type(document).__name__}; a JSON object by policy is needed",
        )
    settings: dict[str, PolicySetting] = {}
    mistakes: list[str] = []
    for policy, value in cast("dict[str, Any]", document).items():
        if policy == "environments" and isinstance(value, list):
            mistakes.append("environments: not supported by the local engine; use the Pulumi CLI (--engine pulumi)")
            continue
        try:
            settings[policy] = _setting(value)
        except ValueError as error:
            mistakes.append(f"{policy}: {error}")
    _refuse(file, mistakes)
    return settings


def reconcile(
    info: analyzer_pb2.AnalyzerInfo, given: Mapping[str, PolicySetting], source: Path | None
) -> dict[str, PolicySetting]:
    """The setting of every policy of a pack, with its level: the policies' defaults, the pack's own configuration, then `given`.

    Raises:
        PolicyError: `given` names what the pack does not have, or breaks a policy's schema; every mistake is listed.
    """
    schemas = {policy.name: _schema(policy) for policy in info.policies}
    result = {
        policy.name: PolicySetting(policy.enforcementLevel, _defaults(schemas[policy.name])) for policy in info.policies
    }
    initial = {
        name: PolicySetting(config.enforcementLevel, _plain(config.properties))
        for name, config in info.initialConfig.items()
    }
    mistakes = list(_unknown(given, schemas))
    for settings in (initial, given):
        whole = settings.get(_ALL, PolicySetting())
        for name, setting in result.items():
            said = settings.get(name, PolicySetting())
            level = next((each for each in (said.level, whole.level) if each is not None), setting.level)
            result[name] = PolicySetting(level, {**setting.properties, **said.properties})
    for name, setting in result.items():
        validator = jsonschema.Draft202012Validator({"type": "object", **schemas[name]})
        for error in validator.iter_errors(dict(setting.properties)):
            at = ".".join(str(part) for part in error.absolute_path)
            mistakes.append(f"{name}{f'.{at}' if at else ''}: {error.message}")
    _refuse(source or info.name, mistakes)
    return result


def to_request(settings: Mapping[str, PolicySetting]) -> analyzer_pb2.ConfigureAnalyzerRequest:
    """The settings as the pack is sent them."""
    request = analyzer_pb2.ConfigureAnalyzerRequest()
    for name, setting in settings.items():
        config = request.policyConfig[name]
        config.enforcementLevel = cast("Any", setting.level)
        config.properties.update(dict(setting.properties))
    return request


def _setting(value: object) -> PolicySetting:
    if isinstance(value, str):
        return PolicySetting(_level(value))
    if not isinstance(value, dict):
        raise ValueError(  # noqa: TRY004 - what a file says, not a type of ours
            f"{json.dumps(value)} is neither a level nor an object of settings"
        )
    properties = dict(cast("dict[str, Any]", value))
    level = properties.pop(_LEVEL_KEY, None)
    return PolicySetting(None if level is None else _level(level), properties)


def _level(value: object) -> int:
    if not isinstance(value, str) or value not in LEVELS:
        raise ValueError(f"{json.dumps(value)} is no level; levels are {', '.join(LEVELS)}")
    return LEVELS[value]


def _unknown(given: Mapping[str, PolicySetting], schemas: Mapping[str, Mapping[str, Any]]) -> Iterable[str]:
    for name, setting in given.items():
        if name == _ALL:
            if setting.properties:
                yield f"{_ALL}: takes a level, and no {', '.join(setting.properties)}"
        elif name not in schemas:
            yield f"{name}: the pack has no such policy{_nearest(name, schemas)}"
        else:
            declared = schemas[name].get("properties", {})
            for key in setting.properties:
                if key not in declared:
                    yield f"{name}.{key}: the policy has no such setting{_nearest(key, declared)}"


def _nearest(name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean {near[0]}?" if near else ""


def _schema(policy: analyzer_pb2.PolicyInfo) -> dict[str, Any]:
    """The JSON Schema of a policy's settings, without `type`."""
    if not policy.HasField("configSchema"):
        return {}
    schema: dict[str, Any] = {"properties": _plain(policy.configSchema.properties)}
    if policy.configSchema.required:
        schema["required"] = list(policy.configSchema.required)
    return schema


def _defaults(schema: Mapping[str, Any]) -> dict[str, Any]:
    return {key: item["default"] for key, item in schema.get("properties", {}).items() if "default" in item}


def _plain(struct: struct_pb2.Struct) -> dict[str, Any]:
    return json_format.MessageToDict(struct)


def _refuse(source: Path | str, mistakes: Iterable[str]) -> None:
    listed = sorted(mistakes)
    if listed:
        raise PolicyError("", "\n  ".join((f"the policy configuration of {source} is wrong:", *listed)))
