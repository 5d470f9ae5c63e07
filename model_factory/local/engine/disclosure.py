"""States without their secrets: what a preview needs of a state, and nothing that it would have to open.

Works on deployment documents (`pulumi stack export`), of any secrets provider, since nothing is decrypted.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final, cast

from model_factory.local import wire

UNDISCLOSED: Final = "[undisclosed]"
"""Stands for every secret's value. A preview counts it as unchanged wherever the program still gives a secret."""

CHECKSUM: Final = "sha256"
"""Where a state file of ours says what it holds. No part of a deployment document: it does not hold for one that was changed."""

JsonObject = dict[str, Any]
_CLOSED: Final = {wire.SIGNATURE_KEY: wire.SECRET_SIGNATURE, "plaintext": json.dumps(UNDISCLOSED)}


def without_secrets(document: Mapping[str, Any]) -> JsonObject:
    """The document with every secret's value, encrypted or plain, replaced, and without what would decrypt them.

    Pending operations go too: only a run that may ask the cloud can settle them. Not for `stack import`: the secrets are lost.
    """
    deployment = document.get("deployment")
    if not isinstance(deployment, dict):
        return dict(document)
    kept: JsonObject = {
        key: _closed(value)
        for key, value in cast("JsonObject", deployment).items()
        if key not in ("secrets_providers", "pending_operations")
    }
    return {**{key: value for key, value in document.items() if key != CHECKSUM}, "deployment": kept}


def is_stripped(document: Mapping[str, Any]) -> bool:
    """Whether secrets were taken out of the document, so that it is no state to go on from."""
    return _has_undisclosed(document)


def _has_undisclosed(value: Any) -> bool:
    if isinstance(value, list):
        return any(map(_has_undisclosed, cast("list[Any]", value)))
    if not isinstance(value, dict):
        return False
    fields = cast("JsonObject", value)
    return fields == _CLOSED or any(map(_has_undisclosed, fields.values()))


def _closed(value: Any) -> Any:
    if isinstance(value, list):
        return [_closed(item) for item in cast("list[Any]", value)]
    if not isinstance(value, dict):
        return value
    fields = cast("JsonObject", value)
    if fields.get(wire.SIGNATURE_KEY) == wire.SECRET_SIGNATURE:
        return dict(_CLOSED)
    return {key: _closed(item) for key, item in fields.items()}
