"""TensorFlow Serving's REST API. tensorflow.org/tfx/serving/api_rest"""

from __future__ import annotations

import base64
import json
from typing import Any, Final, cast
from urllib.parse import quote

from model_factory.live.protocols.protocol import (
    GREETING,
    Ask,
    Call,
    ModelProtocol,
    RefusedError,
    Reply,
    ServerError,
    document_of,
    first_of,
    flat,
    parsed,
    shortened,
)

_SIGNATURE: Final = "serving_default"
_TEXT: Final = "DT_STRING"
_ASKS: Final = ("instances", "inputs")


def prepare(model: str, data: bytes | None, ask: Ask) -> Call:
    """Data with `instances` or `inputs` is sent as it is, and a list is the instances. Without data the signature says what the model
    takes: a question for texts, 0 for numbers. A text goes to the only input."""
    path = f"/v1/models/{quote(model, safe='')}"
    given = parsed(data)
    if isinstance(given, dict):
        document = cast("dict[str, Any]", given)
        known = any(key in document for key in _ASKS)
        return Call.of(f"{path}:predict", document if known else {"instances": [document]})
    if isinstance(given, list):
        return Call.of(f"{path}:predict", {"instances": given})
    inputs = _inputs(document_of(Call("GET", f"{path}/metadata"), ask))
    if data is None:
        instance = {name: _default(described) for name, described in inputs.items()}
        return Call.of(f"{path}:predict", {"instances": [instance]})
    if len(inputs) != 1:
        raise RefusedError(f"model {model} takes {', '.join(inputs)}; give --data as an object of their values")
    ((name, described),) = inputs.items()
    if described.get("dtype") != _TEXT:
        raise RefusedError(
            f"input {name} takes {described.get('dtype')}, not text; give --data as JSON: a list of numbers"
        )
    try:
        value: Any = data.decode()
    except UnicodeDecodeError:
        value = {"b64": base64.b64encode(data).decode()}
    return Call.of(f"{path}:predict", {"instances": [{name: value}]})


def told(reply: Reply) -> str:
    """The first prediction, of long lists the first values."""
    document = reply.document
    predictions = cast("dict[str, Any]", document).get("predictions") if isinstance(document, dict) else None
    if not isinstance(predictions, list) or not predictions:
        return shortened(reply.body.decode(errors="replace"))
    first = predictions[0]
    if isinstance(first, dict):
        return shortened(json.dumps(first, ensure_ascii=False))
    return f"{len(predictions)} of {first_of(flat(first))}"


def _inputs(metadata: Any) -> dict[str, dict[str, Any]]:
    signatures = ((metadata.get("metadata") or {}).get("signature_def") or {}).get("signature_def") or {}
    signature = signatures.get(_SIGNATURE)
    if signature is None:
        raise ServerError(f"the model has no signature {_SIGNATURE}; it has {', '.join(signatures) or 'none'}")
    return cast("dict[str, dict[str, Any]]", signature.get("inputs") or {})


def _default(described: dict[str, Any]) -> Any:
    """One instance: without the first size, which is the batch."""
    sizes = [int(dim.get("size", 1)) for dim in (described.get("tensor_shape") or {}).get("dim") or ()][1:]
    value: Any = GREETING if described.get("dtype") == _TEXT else False if described.get("dtype") == "DT_BOOL" else 0
    for size in reversed(sizes):
        value = [value] * max(size, 1)
    return value


PROTOCOL: Final = ModelProtocol(title="TensorFlow Serving's REST API", prepare=prepare, told=told)
