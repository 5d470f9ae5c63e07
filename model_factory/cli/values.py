"""Stack outputs as plain JSON values for people and machines."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from model_factory.graph.masking import MASK, UNKNOWN_TEXT
from model_factory.local.wire import Output, ResourceReference, Secret, Unknown, Value


def plain(outputs: Mapping[str, Value], *, show_secrets: bool = False) -> dict[str, Any]:
    """The outputs without the engine's marks; secrets masked unless they are to be shown."""
    return {name: _plain(value, show_secrets=show_secrets) for name, value in outputs.items()}


def _plain(value: Value, *, show_secrets: bool) -> Any:
    match value:
        case Secret(inner):
            return _plain(inner, show_secrets=True) if show_secrets else MASK
        case Output(inner, secret):
            return MASK if secret and not show_secrets else _plain(inner, show_secrets=show_secrets)
        case Unknown():
            return UNKNOWN_TEXT
        case ResourceReference(urn, id_):
            return urn if id_ is None else _plain(id_, show_secrets=show_secrets)
        case dict():
            return {key: _plain(item, show_secrets=show_secrets) for key, item in value.items()}
        case list():
            return [_plain(item, show_secrets=show_secrets) for item in value]
        case None | bool() | int() | float() | str():
            return value
        case _:
            return dict(value.fields)
