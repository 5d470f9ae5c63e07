"""Typed access to property values, so that declarations stay short and casts stay here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from model_factory.local.wire import UNKNOWN, Properties, Secret, Unknown, Value, is_secret

DEFAULTS_KEY: Final = "__defaults"


def text(properties: Mapping[str, Value], key: str, default: str = "") -> str:
    """A string property; `default` where it is absent or null."""
    value = properties.get(key)
    return default if value is None else str(value)


def flag(properties: Mapping[str, Value], key: str, default: bool = False) -> bool:
    """A boolean property; `default` where it is absent or null. Configuration gives booleans as text."""
    value = properties.get(key)
    if value is None:
        return default
    return value == "true" if isinstance(value, str) else bool(value)


def number(properties: Mapping[str, Value], key: str, default: int = 0) -> int:
    """A whole number; `default` where it is absent or null."""
    value = properties.get(key)
    return int(value) if isinstance(value, (int, float, str)) else default


def mapping(properties: Mapping[str, Value], key: str) -> Properties:
    """A nested object; empty where it is absent, null or unknown."""
    value = properties.get(key)
    return value if isinstance(value, dict) else {}


def items(properties: Mapping[str, Value], key: str) -> list[Value]:
    """A list; empty where it is absent, null or unknown."""
    value = properties.get(key)
    return value if isinstance(value, list) else []


def texts(properties: Mapping[str, Value], key: str) -> list[str]:
    """A list of strings; unknown items are left out."""
    return [str(item) for item in items(properties, key) if not isinstance(item, Unknown)]


def objects(properties: Mapping[str, Value], key: str) -> list[Properties]:
    """A list of nested objects; items that are not objects are left out."""
    return [item for item in items(properties, key) if isinstance(item, dict)]


def plain(value: Value) -> Value:
    """The value without internal keys (`__defaults`) and without nulls in objects, at every depth."""
    if isinstance(value, dict):
        return plain_properties(value)
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value


def plain_properties(properties: Mapping[str, Value]) -> Properties:
    """`plain` for a whole set of properties."""
    return {key: plain(value) for key, value in properties.items() if value is not None and not key.startswith("__")}


def mark_secrets(value: Value, marked: Value) -> Value:
    """Put the secret marks of `marked` (an earlier copy of the same property) on `value`.

    Follows objects by key and lists by position; where the shapes part, the whole value becomes secret.
    """
    if isinstance(marked, Secret):
        return value if isinstance(value, Secret) else Secret(value)
    if not is_secret(marked) or isinstance(value, (Unknown, Secret)):
        return value
    if isinstance(marked, dict) and isinstance(value, dict):
        return {key: mark_secrets(item, marked.get(key)) for key, item in value.items()}
    if isinstance(marked, list) and isinstance(value, list) and len(marked) == len(value):
        return [mark_secrets(item, mark) for item, mark in zip(value, marked, strict=True)]
    return Secret(value)


def mark_all(properties: Mapping[str, Value], marked: Mapping[str, Value]) -> Properties:
    """`mark_secrets` for each property that both sides have."""
    return {key: mark_secrets(value, marked.get(key)) for key, value in properties.items()}


def unknowns(names: tuple[str, ...]) -> Properties:
    """The named top-level properties, all unknown."""
    return {name: UNKNOWN for name in names if "." not in name and "[" not in name}


def with_internal(value: Value, old: Value) -> Value:
    """Carry internal keys (`__defaults`) over from an earlier copy of the same inputs, where the shapes agree."""
    if isinstance(value, dict) and isinstance(old, dict):
        kept: Properties = {key: item for key, item in old.items() if key.startswith("__")}
        return kept | {key: with_internal(item, old.get(key)) for key, item in value.items()}
    if isinstance(value, list) and isinstance(old, list) and len(value) == len(old):
        return [with_internal(item, before) for item, before in zip(value, old, strict=True)]
    return value


def with_internal_keys(properties: Properties, old: Mapping[str, Value]) -> Properties:
    """`with_internal` for a whole set of inputs."""
    kept: Properties = {key: item for key, item in old.items() if key.startswith("__")}
    return kept | {key: with_internal(item, old.get(key)) for key, item in properties.items()}
