"""The engine's values as plain JSON: stack outputs for people and machines, resources for the graph."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

from model_factory.graph.masking import MASK, UNKNOWN_TEXT
from model_factory.graph.resource import Resource
from model_factory.graph.values import listed, mapping
from model_factory.local import wire
from model_factory.local.engine.model import ResourceState
from model_factory.local.engine.request import Program
from model_factory.local.wire import Output, ResourceReference, Secret, Unknown, Value


def plain(outputs: Mapping[str, Value], *, show_secrets: bool = False) -> dict[str, Any]:
    """The outputs without the engine's marks; secrets masked unless they are to be shown."""
    return {name: _plain(value, show_secrets=show_secrets) for name, value in outputs.items()}


def resource(state: ResourceState) -> Resource:
    """A resource of a state as the graph has it: secrets masked, values not known yet as engines write them."""
    return Resource(
        urn=state.urn,
        type=state.type,
        inputs=_values(state.inputs),
        outputs=_values(state.outputs),
        id=state.id,
        parent=state.parent,
        provider=state.provider,
        dependencies=state.dependencies,
        property_dependencies=state.property_dependencies,
    )


def secret_texts(program: Program) -> Iterator[str]:
    """The texts of a program's secret configuration; of a structured one each text in it."""
    for text in program.secrets:
        yield from _texts(text)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
        if value[:1] in {"{", "["}:
            with suppress(ValueError):
                yield from _texts(json.loads(value))
    for item in listed(value) or mapping(value).values():
        yield from _texts(item)


def _values(properties: Mapping[str, Value]) -> dict[str, Any]:
    return {name: _plain(value, unknown=wire.UNKNOWN_SENTINEL) for name, value in properties.items()}


def _plain(value: Value, *, show_secrets: bool = False, unknown: str = UNKNOWN_TEXT) -> Any:
    def inside(inner: Value) -> Any:
        return _plain(inner, show_secrets=show_secrets, unknown=unknown)

    match value:
        case Secret(inner):
            return inside(inner) if show_secrets else MASK
        case Output(inner, secret):
            return MASK if secret and not show_secrets else inside(inner)
        case Unknown():
            return unknown
        case ResourceReference(urn, id_):
            return urn if id_ is None else inside(id_)
        case dict():
            return {key: inside(item) for key, item in value.items()}
        case list():
            return [inside(item) for item in value]
        case None | bool() | int() | float() | str():
            return value
        case _:
            return dict(value.fields)
