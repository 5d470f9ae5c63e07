"""Google's discovery documents: the methods an API has, and what a request body may hold.

The documents are those that google-api-python-client ships. `Document.check` reads a JSON value as Google's front end does:
both spellings of a field name are taken (`ipCidrRange`, `ip_cidr_range`), null counts as absent, an unknown field, a wrong
type, a value outside an enum, a pattern not matched or a required field left out is a `Violation`. It knows nothing that only
the service's prose says.
"""

from __future__ import annotations

import importlib.resources
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final, Literal

Json = Any
"""A JSON value. The checks below are what gives it a shape."""

DOCUMENTS_PACKAGE: Final = "googleapiclient.discovery_cache.documents"
_INTEGER_BOUNDS: Final = {
    "int32": (-(2**31), 2**31 - 1),
    "uint32": (0, 2**32 - 1),
    "int64": (-(2**63), 2**63 - 1),
    "uint64": (0, 2**64 - 1),
}
_DURATION: Final = re.compile(r"-?\d+(\.\d{1,9})?s")
_SNAKE: Final = re.compile(r"_([a-z0-9])")


@dataclass(frozen=True, slots=True)
class Violation:
    """One thing wrong with a value. `path` is dotted, with list indexes: `cluster.nodePools[0].config`."""

    path: str
    field: str
    kind: Literal["unknown", "type", "enum", "pattern", "required"]
    message: str
    value: Json = None


@dataclass(frozen=True, slots=True)
class Method:
    """One API method. `path` and `flat_path` are templates that begin at the API's root, with the service path."""

    service: str
    version: str
    id: str
    verb: str
    path: str
    flat_path: str
    request: str | None
    response: str | None
    parameters: Mapping[str, Mapping[str, Json]]


@dataclass(frozen=True, slots=True)
class Document:
    """One version of one API."""

    service: str
    version: str
    service_path: str
    schemas: Mapping[str, Mapping[str, Json]]
    methods: Mapping[str, Method]
    parameters: Mapping[str, Mapping[str, Json]]

    def schema(self, name: str) -> Mapping[str, Json]:
        return self.schemas[name]

    def check(
        self,
        schema: str,
        value: Json,
        *,
        method: str = "",
        root: str = "",
        skip: Callable[[Json], bool] = lambda _: False,
    ) -> tuple[Json, list[Violation]]:
        """The value with canonical field names, and what is wrong with it.

        `method` decides which fields are required; `skip` says which values are not known yet and pass as they are.
        """
        walk = _Walk(self, method, skip)
        return walk.visit({"$ref": schema}, value, root), walk.violations


@cache
def load(service: str, version: str) -> Document:
    """Read a document. Raises LookupError when the client library has none for this API and version."""
    resource = importlib.resources.files(DOCUMENTS_PACKAGE) / f"{service}.{version}.json"
    try:
        raw: dict[str, Json] = json.loads(resource.read_bytes())
    except FileNotFoundError as error:
        raise LookupError(f"google-api-python-client has no discovery document for {service} {version}") from error
    path: str = raw["servicePath"]
    return Document(
        service=service,
        version=version,
        service_path=path,
        schemas=raw["schemas"],
        methods={m.id: m for m in _methods(raw, service, version, path)},
        parameters=raw["parameters"],
    )


def snake_to_camel(name: str) -> str:
    """`repository_id` → `repositoryId`; a name without underscores is unchanged."""
    return _SNAKE.sub(lambda match: match.group(1).upper(), name)


def _methods(node: Mapping[str, Json], service: str, version: str, prefix: str) -> Iterator[Method]:
    for raw in node.get("methods", {}).values():
        yield Method(
            service=service,
            version=version,
            id=raw["id"],
            verb=raw["httpMethod"],
            path=prefix + raw["path"],
            flat_path=prefix + raw.get("flatPath", raw["path"]),
            request=raw.get("request", {}).get("$ref"),
            response=raw.get("response", {}).get("$ref"),
            parameters=raw.get("parameters", {}),
        )
    for child in node.get("resources", {}).values():
        yield from _methods(child, service, version, prefix)


@dataclass(slots=True)
class _Walk:
    document: Document
    method: str
    skip: Callable[[Json], bool]
    violations: list[Violation] = field(default_factory=list[Violation])

    def visit(self, schema: Mapping[str, Json], value: Json, path: str) -> Json:
        if self.skip(value):
            return value
        while "$ref" in schema:
            schema = self.document.schemas[schema["$ref"]]
        kind = schema.get("type", "any")
        if kind == "object":
            return self._object(schema, value, path)
        if kind == "array":
            if not isinstance(value, list):
                return self._wrong(path, "list", value)
            return [self.visit(schema["items"], item, f"{path}[{i}]") for i, item in enumerate(value)]
        if kind == "boolean":
            return value if isinstance(value, bool) else self._wrong(path, "TYPE_BOOL", value)
        if kind == "integer":
            return self._integer(str(schema.get("format", "int32")), value, path)
        if kind == "number":
            if isinstance(value, bool) or not isinstance(value, int | float):
                return self._wrong(path, "TYPE_DOUBLE", value)
            return value
        if kind == "string":
            return self._string(schema, value, path)
        return value

    def _object(self, schema: Mapping[str, Json], value: Json, path: str) -> Json:
        if not isinstance(value, dict):
            return self._wrong(path, "message", value)
        properties: Mapping[str, Mapping[str, Json]] = schema.get("properties", {})
        extra: Mapping[str, Json] | None = schema.get("additionalProperties")
        result: dict[str, Json] = {}
        for key, item in value.items():
            name = key if key in properties else snake_to_camel(key)
            at = f"{path}.{name}" if path else name
            if name in properties:
                if item is None:
                    result[name] = None
                else:
                    result[name] = self.visit(properties[name], item, at)
            elif extra is not None:
                at = f"{path}.{key}" if path else key
                result[key] = None if item is None else self.visit(extra, item, at)
            else:
                self.violations.append(Violation(path, key, "unknown", "there is no such field", item))
        if self.method:
            for name, property_ in properties.items():
                required = property_.get("annotations", {}).get("required", ())
                if self.method in required and result.get(name) in (None, ""):
                    at = f"{path}.{name}" if path else name
                    self.violations.append(Violation(at, name, "required", "it is required"))
        return result

    def _integer(self, format_: str, value: Json, path: str) -> Json:
        number = value
        if (isinstance(value, str) and re.fullmatch(r"-?\d+", value)) or (
            isinstance(value, float) and value.is_integer()
        ):
            number = int(value)
        if isinstance(number, bool) or not isinstance(number, int):
            return self._wrong(path, f"TYPE_{format_.upper()}", value)
        low, high = _INTEGER_BOUNDS.get(format_, (-(2**63), 2**63 - 1))
        return number if low <= number <= high else self._wrong(path, f"TYPE_{format_.upper()}", value)

    def _string(self, schema: Mapping[str, Json], value: Json, path: str) -> Json:
        format_ = schema.get("format", "")
        if format_ in ("int64", "uint64"):
            number = self._integer(format_, value, path)
            return str(number)
        if not isinstance(value, str):
            return self._wrong(path, "TYPE_STRING", value)
        if format_ == "google-duration" and not _DURATION.fullmatch(value):
            self.violations.append(
                Violation(path, _leaf(path), "type", "it is not a duration in seconds such as 3600s", value)
            )
        enum = schema.get("enum")
        if enum is not None and value and value not in enum:
            allowed = ", ".join(enum)
            self.violations.append(Violation(path, _leaf(path), "enum", f"it must be one of {allowed}", value))
        pattern = schema.get("pattern")
        if pattern is not None and value and not re.fullmatch(pattern, value):
            self.violations.append(Violation(path, _leaf(path), "pattern", f"it must match {pattern}", value))
        return value

    def _wrong(self, path: str, expected: str, value: Json) -> Json:
        self.violations.append(Violation(path, _leaf(path), "type", f"it must be of type {expected}", value))
        return value


def _leaf(path: str) -> str:
    return path.rpartition(".")[2]
