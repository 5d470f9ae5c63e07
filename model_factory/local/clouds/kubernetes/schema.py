"""The published Kubernetes schemas, as data from the `kubernetes-validate` package, checked with jsonschema.

Definitions are loaded once a version; a kind's validator is compiled at first use. Custom resources have no schema here.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from typing import Any, Final, TypeAlias

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError
from referencing import Registry, Resource

from model_factory.graph.paths import Path

KUBERNETES_VERSION: Final = "1.36"
"""The version whose schemas the local clusters follow."""

Definition: TypeAlias = Mapping[str, Any]
_PREFIX: Final = "#/$defs/"
OBJECT_META: Final = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
QUANTITY: Final = "io.k8s.apimachinery.pkg.api.resource.Quantity"


@dataclass(frozen=True, slots=True)
class Violation:
    """One broken rule: where in the object, and why."""

    path: Path
    reason: str

    def __str__(self) -> str:
        return f"{path_text(self.path)}: {self.reason}" if self.path else self.reason


class UnknownKindError(Exception):
    """No schema is published for this apiVersion and kind in this version of Kubernetes."""


def path_text(path: Path) -> str:
    """A path as Pulumi writes property paths: `spec.ports[0].name`, `metadata.labels["a.b/c"]`."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        elif any(mark in part for mark in '."[]'):
            escaped = part.replace('"', '\\"')
            text += f'["{escaped}"]'
        else:
            text += f".{part}" if text else part
    return text


class Catalogue:
    """The kinds of one Kubernetes version."""

    def __init__(self, version: str = KUBERNETES_VERSION) -> None:
        folder = resources.files("kubernetes_validate") / "kubernetes-json-schema" / f"v{version}.0-local-strict"
        document: dict[str, Any] = json.loads((folder / "_definitions.json").read_text())
        self.version = version
        self.definitions: dict[str, Definition] = document["$defs"]
        registry: Registry[Any] = Registry().with_resource("kubernetes", Resource.from_contents(document))
        self._registry = registry
        self._kinds: dict[tuple[str, str], str] = {}
        self._validators: dict[str, Draft202012Validator] = {}
        for name, definition in self.definitions.items():
            kinds: list[dict[str, str]] = definition.get("x-kubernetes-group-version-kind", [])
            metadata: dict[str, Any] = definition.get("properties", {}).get("metadata", {})
            if metadata.get("$ref") == _PREFIX + OBJECT_META and len(kinds) == 1:
                group, version_, kind = kinds[0]["group"], kinds[0]["version"], kinds[0]["kind"]
                self._kinds[f"{group}/{version_}" if group else version_, kind] = name

    def definition_name(self, api_version: str, kind: str) -> str:
        """The schema's name for a kind; UnknownKindError says which apiVersions have the kind, or which kinds are near."""
        name = self._kinds.get((api_version, kind))
        if name is not None:
            return name
        elsewhere = sorted(version for version, known in self._kinds if known == kind)
        near = difflib.get_close_matches(kind, {known for _, known in self._kinds}, n=1)
        remedy = (f"use {' or '.join(elsewhere)}" if elsewhere else
                  f"did you mean {near[0]}?" if near else "custom resources need the Pulumi CLI and a real cluster")  # fmt: skip
        raise UnknownKindError(f"Kubernetes {self.version} has no {kind} in {api_version}; {remedy}")

    def has_group(self, api_version: str) -> bool:
        """Whether the API group of `group/version` is one of Kubernetes' own; any version of it."""
        group = api_version.rpartition("/")[0]
        return any(known.rpartition("/")[0] == group for known, _ in self._kinds)

    def violations(self, definition_name: str, instance: Mapping[str, Any]) -> Iterator[Violation]:
        """Where the object departs from its schema: unknown fields, types, missing fields, enumerations."""
        for error in self._validator(definition_name).iter_errors(instance):
            yield from _violations(error)

    def target(self, schema: Definition) -> tuple[str | None, Definition]:
        """Follow a reference: the definition's name (None for an inline schema) and its body."""
        reference = schema.get("$ref")
        if isinstance(reference, str):
            name = reference.removeprefix(_PREFIX)
            return name, self.definitions[name]
        return None, schema

    def _validator(self, definition_name: str) -> Draft202012Validator:
        validator = self._validators.get(definition_name)
        if validator is None:
            schema = {"$ref": f"kubernetes{_PREFIX}{definition_name}"}
            validator = self._validators[definition_name] = Draft202012Validator(schema, registry=self._registry)
        return validator


@lru_cache(maxsize=4)
def catalogue(version: str = KUBERNETES_VERSION) -> Catalogue:
    return Catalogue(version)


def _violations(error: ValidationError) -> Iterator[Violation]:
    path: Path = tuple(error.absolute_path)
    instance: Any = error.instance
    rule: Any = error.validator_value
    schema: Any = error.schema
    if error.validator == "additionalProperties" and isinstance(instance, dict):
        known: list[str] = list(schema.get("properties", {}))
        for key in instance:
            if key not in known:
                near = difflib.get_close_matches(key, known, n=1)
                yield Violation((*path, key), "unknown field" + (f"; did you mean {near[0]}?" if near else ""))
    elif error.validator == "required" and isinstance(instance, dict):
        for key in rule:
            if key not in instance:
                yield Violation((*path, key), "required field is missing")
    elif error.validator == "type":
        wanted = " or ".join(name for name in rule if name != "null") if isinstance(rule, list) else rule
        yield Violation(path, f"must be of type {wanted}, not {_shown(instance)}")
    elif error.validator == "oneOf":
        yield Violation(path, f"must be a string or a number, not {_shown(instance)}")
    elif error.validator == "enum":
        yield Violation(path, f"must be one of {', '.join(map(str, rule))}, not {_shown(instance)}")
    else:
        yield Violation(path, error.message)


def _shown(value: object) -> str:
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return "a list"
    return "null" if value is None else repr(value)
