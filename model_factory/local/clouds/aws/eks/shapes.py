"""EKS requests against botocore's own model of EKS: where each member stands, and what it may be."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from botocore.model import ListShape, MapShape, Shape, StringShape, StructureShape

from model_factory.local.clouds.aws.errors import AwsError
from model_factory.local.clouds.aws.routing import Call

Document = dict[str, Any]


def parse(call: Call) -> Document:
    """The call's parameters by member name. Raises InvalidParameterException with every problem at once."""
    shape = call.input_shape
    if shape is None:
        return {}
    body = _body(call)
    parameters: Document = {}
    for name, member in _members(shape).items():
        serialization: Document = _any(member).serialization
        place, wire_name = serialization.get("location"), serialization.get("name", name)
        if place == "uri":
            if wire_name in call.path_parameters:
                parameters[name] = call.path_parameters[wire_name]
        elif place == "querystring":
            values = call.request.args.getlist(wire_name)
            if values:
                parameters[name] = values if isinstance(member, ListShape) else _scalar(member, values[-1])
        elif body.get(wire_name) is not None:
            parameters[name] = body.pop(wire_name)
    problems = [f"Unknown parameter {name}" for name in body if body[name] is not None]
    problems += _problems(parameters, shape, "")
    if problems:
        raise AwsError("InvalidParameterException", "; ".join(problems))
    return parameters


def _any(shape: Shape) -> Any:
    """botocore's shapes compute their members lazily, which its types do not tell."""
    return shape


def _members(shape: Shape) -> dict[str, Shape]:
    return _any(shape).members


def _metadata(shape: Shape) -> Document:
    return _any(shape).metadata


def _part(shape: Shape, name: str) -> Shape:
    return getattr(shape, name)


def _body(call: Call) -> Document:
    data = call.request.get_data(cache=True)
    if not data:
        return {}
    try:
        body = json.loads(data)
    except ValueError as error:
        raise AwsError("SerializationException", f"the body is not JSON: {error}") from error
    if not isinstance(body, dict):
        raise AwsError("SerializationException", "the body is not a JSON object")
    return body


def _scalar(shape: Shape, text: str) -> Any:
    if shape.type_name == "boolean":
        return text.lower() == "true"
    if shape.type_name == "integer" and text.lstrip("-").isdecimal():
        return int(text)
    return text


def _problems(value: Any, shape: Shape, path: str) -> Iterator[str]:
    if isinstance(shape, StructureShape):
        yield from _structure_problems(value, shape, path)
    elif isinstance(shape, ListShape):
        if not isinstance(value, list):
            yield f"{path} is not a list"
            return
        yield from _bounds(len(value), shape, f"the length of {path}")
        for index, item in enumerate(value):
            yield from _problems(item, _part(shape, "member"), f"{path}[{index}]")
    elif isinstance(shape, MapShape):
        if not isinstance(value, dict):
            yield f"{path} is not a map"
            return
        if value:
            yield from _bounds(len(value), shape, f"the size of {path}")
        for key, item in value.items():
            yield from _problems(key, _part(shape, "key"), f"the key {path}.{key}")
            yield from _problems(item, _part(shape, "value"), f"{path}.{key}")
    else:
        yield from _scalar_problems(value, shape, path)


def _structure_problems(value: Any, shape: StructureShape, path: str) -> Iterator[str]:
    if not isinstance(value, dict):
        yield f"{path} is not a structure"
        return
    prefix = f"{path}." if path else ""
    required: list[str] = _any(shape).required_members
    for name in required:
        if value.get(name) is None:
            yield f"Missing required parameter {prefix}{name}"
    for name, item in value.items():
        member = _members(shape).get(name)
        if member is None:
            yield f"Unknown parameter {prefix}{name}"
        elif item is not None:
            yield from _problems(item, member, f"{prefix}{name}")


def _scalar_problems(value: Any, shape: Shape, path: str) -> Iterator[str]:
    kind: str = shape.type_name
    if kind == "string":
        if not isinstance(value, str):
            yield f"{path} is not a string"
            return
        yield from _bounds(len(value), shape, f"the length of {path}")
        allowed: list[str] = _any(shape).enum if isinstance(shape, StringShape) else []
        if allowed and value not in allowed:
            yield f"{path} {value!r} is not one of {', '.join(allowed)}"
        pattern = _metadata(shape).get("pattern")
        if pattern and not re.search(pattern, value):
            yield f"{path} {value!r} does not match {pattern}"
    elif kind in {"integer", "long"}:
        if isinstance(value, bool) or not isinstance(value, int):
            yield f"{path} is not an integer"
            return
        yield from _bounds(value, shape, path)
    elif kind == "boolean" and not isinstance(value, bool):
        yield f"{path} is not a boolean"


def _bounds(number: int, shape: Shape, what: str) -> Iterator[str]:
    metadata = _metadata(shape)
    least, most = metadata.get("min"), metadata.get("max")
    if least is not None and number < least:
        yield f"{what} is {number}, less than {least}"
    if most is not None and number > most:
        yield f"{what} is {number}, more than {most}"
