"""Between Pulumi's properties and AWS's published shapes: one walk that converts and checks.

Names differ by case (`cidrBlock`, `CidrBlock`) and, where a declaration says so, more. Source of all rules: botocore's model.
"""

from __future__ import annotations

import datetime
import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final, cast

from botocore.model import ListShape, MapShape, Shape, StringShape, StructureShape

from model_factory.graph.paths import Path, to_text
from model_factory.local.providers.aws.session import Aws
from model_factory.local.providers.errors import Failure
from model_factory.local.providers.values import mapping
from model_factory.local.wire import Properties, Unknown, Value

COMMON: Final = frozenset({"region", "tags", "tagsAll"})
"""Inputs that no operation takes as they are: `declare` sees to the region, `Api.request` to tags."""


@dataclass(frozen=True, slots=True)
class Api:
    """The shape behind a type's inputs.

    shape: an operation (its input is meant) or the name of a structure.
    names: Pulumi path without indices → member, where they differ by more than the first letter's case.
    wrapped: paths that Pulumi has as a list of one and AWS as an object; single: the other way round.
    quoted: paths of booleans that Pulumi has as text, "" being AWS's default.
    ours: inputs without a member in this shape; the type handles them itself.
    """

    service: str
    shape: str
    names: Mapping[str, str] = field(default_factory=dict[str, str])
    wrapped: frozenset[str] = frozenset()
    single: frozenset[str] = frozenset()
    quoted: frozenset[str] = frozenset()
    ours: frozenset[str] = frozenset()

    def structure(self, aws: Aws) -> StructureShape:
        """The structure in the service's model."""
        model = aws.model(self.service)
        if self.shape in cast("list[str]", model.operation_names):
            return cast("StructureShape", model.operation_model(self.shape).input_shape)
        return cast("StructureShape", model.shape_for(self.shape))

    def request(self, aws: Aws, inputs: Properties) -> dict[str, Any]:
        """The inputs in AWS's terms, with all their tags where the structure has a member for them.

        What does not fit is left to `failures`, which runs first.
        """
        structure = self.structure(aws)
        request = _Writer(self, []).structure(structure, self._mapped(inputs), (), ())
        tags = {key: str(value) for key, value in mapping(inputs, "tagsAll").items()}
        return cast("dict[str, Any]", {**request, **tags_member(structure, tags)})

    def failures(self, aws: Aws, inputs: Properties) -> list[Failure]:
        """All inputs that the published model refuses."""
        failures: list[Failure] = []
        _Writer(self, failures).structure(self.structure(aws), self._mapped(inputs), (), ())
        return failures

    def properties(self, aws: Aws, answer: Mapping[str, Any], shape: str = "") -> Properties:
        """An answer in Pulumi's terms; `shape` is the answer's structure where it is not that of the inputs."""
        structure = aws.model(self.service).shape_for(shape) if shape else self.structure(aws)
        return cast("Properties", _Reader(self).value(structure, answer, ()))

    def _mapped(self, inputs: Properties) -> Properties:
        return {key: value for key, value in inputs.items() if key not in self.ours | COMMON}


@dataclass(frozen=True, slots=True)
class _Writer:
    api: Api
    failures: list[Failure]

    def fail(self, path: Path, reason: str) -> None:
        self.failures.append(Failure(to_text(path), reason))

    def value(self, shape: Shape, value: Value, path: Path, names: tuple[str, ...]) -> Any:
        if isinstance(value, Unknown):
            return value
        if isinstance(shape, StructureShape):
            return self.structure(shape, value, path, names)
        if isinstance(shape, ListShape):
            return self.list(shape, value, path, names)
        if isinstance(shape, MapShape):
            return self.map(shape, value, path, names)
        return self.scalar(shape, value, path)

    def structure(self, shape: StructureShape, value: Value, path: Path, names: tuple[str, ...]) -> Any:
        if ".".join(names) in self.api.wrapped and isinstance(value, list):
            if len(value) > 1:
                self.fail(path, f"{len(value)} blocks; AWS takes one")
            value = value[0] if value else {}
        if not isinstance(value, dict):
            return self.fail(path, f"{value!r} is no object")
        members = cast("dict[str, Shape]", shape.members)
        request: dict[str, Any] = {}
        for key, item in value.items():
            below = (*names, key)
            member = self.api.names.get(".".join(below)) or _member(key, tuple(members))
            if member is None and not path:
                self.fail(
                    (key,),
                    "the local AWS provider does not do this input; leave it out, or use the Pulumi CLI",
                )
            elif member is None:
                near = difflib.get_close_matches(key, [_key(name) for name in members], n=1)
                hint = f"; nearest is {near[0]}" if near else ""
                self.fail((*path, key), f"{shape.name} of {self.api.service} has no such property{hint}")
            else:
                request[member] = self.value(members[member], item, (*path, key), below)
        if path:
            for missing in sorted({*cast("list[str]", shape.required_members)} - {*request}):
                self.fail((*path, self._property(names, missing)), f"missing; {shape.name} requires it")
        return request

    def _property(self, names: tuple[str, ...], member: str) -> str:
        return _reverse(self.api, names).get(member) or _key(member)

    def list(self, shape: ListShape, value: Value, path: Path, names: tuple[str, ...]) -> Any:
        item_shape = cast("Shape", shape.member)
        if isinstance(value, dict) and _is_tag(item_shape):
            return [{"Key": key, "Value": str(item)} for key, item in value.items()]
        if ".".join(names) in self.api.single and isinstance(value, dict):
            return [self.value(item_shape, value, path, names)]
        if not isinstance(value, list):
            return self.fail(path, f"{value!r} is no list")
        self.size(shape, len(value), path, "items")
        return [self.value(item_shape, item, (*path, index), names) for index, item in enumerate(value)]

    def map(self, shape: MapShape, value: Value, path: Path, names: tuple[str, ...]) -> Any:
        if not isinstance(value, dict):
            return self.fail(path, f"{value!r} is no map")
        for key in value:
            self.scalar(cast("Shape", shape.key), key, (*path, key))
        return {key: self.value(cast("Shape", shape.value), item, (*path, key), names) for key, item in value.items()}

    def scalar(self, shape: Shape, value: Value, path: Path) -> Any:
        kind = shape.type_name
        if kind == "boolean":
            if value in ("true", "false"):  # Pulumi has AWS's nullable booleans as text.
                return value == "true"
            return value if isinstance(value, bool) else self.fail(path, f"{value!r} is neither true nor false")
        if kind in ("integer", "long"):
            if isinstance(value, bool) or not isinstance(value, int):
                return self.fail(path, f"{value!r} is no whole number")
            self.size(shape, value, path, "")
            return value
        if kind in ("float", "double"):
            if isinstance(value, bool) or not isinstance(value, (int, float)):
                return self.fail(path, f"{value!r} is no number")
            return value
        if not isinstance(value, str):
            return self.fail(path, f"{value!r} is no text")
        self.text(shape, value, path)
        return value

    def text(self, shape: Shape, value: str, path: Path) -> None:
        enum = cast("list[str]", shape.enum) if isinstance(shape, StringShape) else []
        if enum and value not in enum:
            near = difflib.get_close_matches(value, enum, n=1, cutoff=0.3)
            known = f"nearest is {near[0]}" if near else f"one of {', '.join(enum[:8])}"
            self.fail(path, f"{value!r} is not known to AWS; {known}")
        pattern = _metadata(shape).get("pattern")
        if pattern and not _fits(str(pattern), value):
            self.fail(path, f"{value!r} does not match {pattern}")
        self.size(shape, len(value), path, "characters")

    def size(self, shape: Shape, have: int, path: Path, unit: str) -> None:
        low, high = _metadata(shape).get("min"), _metadata(shape).get("max")
        said = f"{have} {unit}".strip()
        if low is not None and have < low:
            self.fail(path, f"{said}; AWS takes at least {low}")
        if high is not None and have > high:
            self.fail(path, f"{said}; AWS takes at most {high}")


@dataclass(frozen=True, slots=True)
class _Reader:
    api: Api

    def value(self, shape: Shape, value: Any, names: tuple[str, ...]) -> Value:
        if isinstance(shape, StructureShape):
            members = cast("dict[str, Shape]", shape.members)
            reverse = _reverse(self.api, names)
            found: Properties = {}
            for member, item in cast("dict[str, Any]", value).items():
                if item is None or member not in members:
                    continue
                key = reverse.get(member) or _key(member)
                found[key] = self.value(members[member], item, (*names, key))
            return [found] if ".".join(names) in self.api.wrapped else found
        if isinstance(shape, ListShape):
            items = cast("list[Any]", value)
            item_shape = cast("Shape", shape.member)
            if _is_tag(item_shape):
                return {str(item["Key"]): str(item.get("Value", "")) for item in items}
            if ".".join(names) in self.api.single:
                return self.value(item_shape, items[0], names) if items else None
            return [self.value(item_shape, item, names) for item in items]
        if isinstance(shape, MapShape):
            return {key: self.value(cast("Shape", shape.value), item, names) for key, item in value.items()}
        if ".".join(names) in self.api.quoted:
            return "true" if value else "false"
        return timestamp(value) if isinstance(value, datetime.datetime) else cast("Value", value)


def tags_member(structure: StructureShape, tags: Mapping[str, str]) -> dict[str, Any]:
    """The member of a request that holds tags, in the service's form; empty where there are none, or no such member.

    A service takes a map or a list of pairs, whose members it names Key and Value, or TagKey and TagValue.
    """
    members = cast("dict[str, Shape]", structure.members)
    name = next((name for name in ("tags", "Tags") if name in members), "")
    if not name or not tags:
        return {}
    shape = members[name]
    if not isinstance(shape, ListShape):
        return {name: dict(tags)}
    key, value = cast("dict[str, Shape]", cast("StructureShape", shape.member).members)
    return {name: [{key: tag, value: text} for tag, text in tags.items()]}


def timestamp(moment: datetime.datetime) -> str:
    """A time as AWS writes it: RFC 3339 in UTC."""
    return moment.astimezone(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _metadata(shape: Shape) -> dict[str, Any]:
    return cast("dict[str, Any]", shape.metadata)


def _key(member: str) -> str:
    return member[:1].lower() + member[1:]


def _member(key: str, members: tuple[str, ...]) -> str | None:
    upper = key[:1].upper() + key[1:]
    return next((name for name in (key, upper) if name in members), None)


def _reverse(api: Api, names: tuple[str, ...]) -> dict[str, str]:
    depth = len(names)
    found: dict[str, str] = {}
    for path, member in api.names.items():
        parts = tuple(path.split("."))
        if len(parts) == depth + 1 and parts[:depth] == names:
            found[member] = parts[-1]
    return found


def _is_tag(shape: Shape) -> bool:
    return isinstance(shape, StructureShape) and set(cast("dict[str, Shape]", shape.members)) == {
        "Key",
        "Value",
    }


@cache
def _compiled(pattern: str) -> re.Pattern[str] | None:
    try:
        return re.compile(pattern)
    except re.error:  # Written for another engine (\p{…}): AWS will check it.
        return None


def _fits(pattern: str, value: str) -> bool:
    compiled = _compiled(pattern)
    return compiled is None or compiled.fullmatch(value) is not None
