"""Between Pulumi's property names and an API's field names, both ways. Pure.

A shape is a tuple of `Field`s. What a shape does not name, the provider refuses by name.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from model_factory.local.discovery import Json, Violation
from model_factory.local.providers.errors import Failure
from model_factory.local.wire import Properties, Unknown, Value

Convert = Callable[[Any], Any]
_SILENT: Final[tuple[Value, ...]] = (False, 0, "", [], {})
"""Values that Google's APIs leave out of answers."""


@dataclass(frozen=True, slots=True)
class Field:
    """One property. `api` is the field's path in the message at this level, "" for the same name.

    fields: the shape of a nested object, or of each item of a list. None: the value passes as it is.
    to, back: how the value is written and read. output: never sent. extra: set beside the nested object's fields when sent.
    """

    name: str
    api: str = ""
    fields: tuple[Field, ...] | None = None
    to: Convert | None = None
    back: Convert | None = None
    output: bool = False
    extra: tuple[tuple[str, Json], ...] = ()

    @property
    def path(self) -> tuple[str, ...]:
        return tuple((self.api or self.name).split("."))


Shape = tuple[Field, ...]


def same(*names: str) -> Shape:
    """Fields that both sides call the same."""
    return tuple(Field(name) for name in names)


def outputs(*names: str) -> Shape:
    """Fields that the cloud alone sets, called the same on both sides."""
    return tuple(Field(name, output=True) for name in names)


def to_api(shape: Shape, properties: Mapping[str, Value], only: Iterable[str] | None = None) -> dict[str, Json]:
    """The message for the given properties (`only` some of them). Unknown values stay in it as they are."""
    wanted = None if only is None else frozenset(only)
    body: dict[str, Json] = {}
    for field in shape:
        value = properties.get(field.name)
        if value is None or field.output or (wanted is not None and field.name not in wanted):
            continue
        target = body
        for step in field.path[:-1]:
            target = target.setdefault(step, {})
        written, there = _write(field, value), target.get(field.path[-1])
        if isinstance(there, dict) and isinstance(written, dict):
            written = {**there, **written}
        target[field.path[-1]] = written
    return body


def _write(field: Field, value: Value) -> Json:
    if isinstance(value, Unknown):
        return value
    if field.fields is not None:
        if isinstance(value, list):
            return [_write(field, item) for item in value]
        if isinstance(value, dict):
            return {**dict(field.extra), **to_api(field.fields, value)}
    return field.to(value) if field.to else value


def from_api(shape: Shape, body: Mapping[str, Json]) -> Properties:
    """The properties of a message; absent fields are left out."""
    result: Properties = {}
    for field in shape:
        found: Json = body
        for step in field.path:
            found = found.get(step) if isinstance(found, dict) else None
        if found is not None:
            value = _read(field, found)
            if value is not None:
                result[field.name] = value
    return result


def _read(field: Field, found: Json) -> Value:
    if field.fields is not None:
        if isinstance(found, list):
            return [_read(field, item) for item in found]
        if isinstance(found, dict):
            return from_api(field.fields, found)
    return field.back(found) if field.back else found


def unknown_properties(
    shape: Shape, properties: Mapping[str, Value], token: str, prefix: str = ""
) -> Iterable[Failure]:
    """Properties that the shape does not have, at every depth it describes."""
    known = {field.name: field for field in shape}
    for key, value in properties.items():
        field = known.get(key)
        if field is None or field.output:
            yield Failure(
                f"{prefix}{key}",
                f"the local provider does not know this input of {token}; remove it, or use the Pulumi CLI with the real provider",
            )
        elif field.fields is not None:
            for index, item in enumerate(value if isinstance(value, list) else [value]):
                if isinstance(item, dict):
                    at = f"{prefix}{key}[{index}]." if isinstance(value, list) else f"{prefix}{key}."
                    yield from unknown_properties(field.fields, item, token, at)


def property_path(shape: Shape, violation: Violation) -> str:
    """The Pulumi path of a violation in a message; the API's own path where no property stands for it."""
    path = violation.path
    if violation.kind == "unknown":
        path = f"{path}.{violation.field}" if path else violation.field
    steps = re.findall(r"[^.\[\]]+|\[\d+\]", path)
    return _translate(shape, steps) or path


def _translate(shape: Shape, steps: list[str]) -> str:
    best: tuple[int, Field] | None = None
    for field in shape:
        length = len(field.path)
        if tuple(steps[:length]) == field.path and (best is None or length > best[0]):
            best = (length, field)
    if best is None:
        return ".".join(steps).replace(".[", "[")
    length, field = best
    rest, text = steps[length:], field.name
    while rest and rest[0].startswith("["):
        text, rest = text + rest[0], rest[1:]
    if not rest:
        return text
    return f"{text}.{_translate(field.fields or (), rest)}"


def fill_silent(asked: Value, found: Value) -> Value:
    """`found` with those false, zero and empty values that were asked for and that the cloud does not repeat."""
    if isinstance(asked, dict) and isinstance(found, dict):
        result = dict(found)
        for key, value in asked.items():
            if key in found:
                result[key] = fill_silent(value, found[key])
            elif _is_silent(value):
                result[key] = value
        return result
    if isinstance(asked, list) and isinstance(found, list) and len(asked) == len(found):
        return [fill_silent(one, other) for one, other in zip(asked, found, strict=True)]
    return found


def _is_silent(value: Value) -> bool:
    if isinstance(value, dict):
        return all(_is_silent(item) for item in value.values())
    return any(value == silent and type(value) is type(silent) for silent in _SILENT)
