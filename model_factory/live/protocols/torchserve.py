"""TorchServe's inference API. docs.pytorch.org/serve/inference_api.html"""

from __future__ import annotations

import json
from typing import Any, Final, cast
from urllib.parse import quote

from model_factory.live.protocols.protocol import (
    JSON_TYPE,
    Ask,
    Call,
    ModelProtocol,
    RefusedError,
    Reply,
    first_of,
    flat,
    parsed,
    shortened,
)


def prepare(model: str, data: bytes | None, ask: Ask) -> Call:
    """The data as it is: what a model takes is its handler's own business, and the server cannot tell."""
    del ask
    if data is None:
        raise RefusedError(f"TorchServe does not say what model {model} takes; give --data: a file, or a text")
    return Call("POST", f"/predictions/{quote(model, safe='')}", data, _type_of(data))


def told(reply: Reply) -> str:
    """JSON on one line, the first of long lists; else the text."""
    document = reply.document
    if isinstance(document, list):
        return shortened(first_of(flat(document)))
    if isinstance(document, dict):
        return shortened(json.dumps(cast("dict[str, Any]", document), ensure_ascii=False))
    return shortened(reply.body.decode(errors="replace"))


def _type_of(data: bytes) -> str:
    if parsed(data) is not None:
        return JSON_TYPE
    try:
        data.decode()
    except UnicodeDecodeError:
        return "application/octet-stream"
    return "text/plain; charset=utf-8"


PROTOCOL: Final = ModelProtocol(title="TorchServe's inference API", prepare=prepare, told=told)
