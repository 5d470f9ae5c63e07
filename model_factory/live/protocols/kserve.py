"""KServe's Open Inference Protocol, version 2, over HTTP, as Triton speaks it.

github.com/kserve/open-inference-protocol, specification/protocol/inference_rest.md; for bytes that are no text Triton's binary data
extension: github.com/triton-inference-server/server, docs/protocol/extension_binary_data.md.
"""

from __future__ import annotations

import json
import math
import struct
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

_BYTES: Final = "BYTES"
_HEADER_LENGTH: Final = "Inference-Header-Content-Length"


def prepare(model: str, data: bytes | None, ask: Ask) -> Call:
    """Data with `inputs` is sent as it is. Else the model's own description says which inputs it has: an object gives values by their names,
    and anything else is the value of the only one that is not given: text for BYTES, JSON numbers for others. Without data texts are a
    question and numbers 0."""
    name = _served(model, ask)
    path = f"/v2/models/{quote(name, safe='')}"
    given = parsed(data)
    if isinstance(given, dict) and isinstance(cast("dict[str, Any]", given).get("inputs"), list):
        return Call("POST", f"{path}/infer", data or b"")
    inputs: list[dict[str, Any]] = document_of(Call("GET", path), ask).get("inputs") or []
    names = [str(each["name"]) for each in inputs]
    by_name = cast("dict[str, Any]", given) if isinstance(given, dict) and given.keys() <= set(names) else None
    if by_name is None and data is not None and len(inputs) != 1:
        raise RefusedError(
            f"model {name} takes {', '.join(names) or 'nothing'}; give --data as an object of their values: "
            f'{{"{names[0] if names else "input"}": …}}'
        )
    tensors: list[dict[str, Any]] = []
    raw: list[bytes] = []
    for each in inputs:
        told = by_name.get(str(each["name"])) if by_name is not None else given if given is not None else data
        tensor, following = _tensor(each, told)
        tensors.append(tensor)
        raw.append(following)
    header = json.dumps({"inputs": tensors}).encode()
    if not any(raw):
        return Call("POST", f"{path}/infer", header)
    return Call(
        "POST",
        f"{path}/infer",
        b"".join([header, *raw]),
        "application/octet-stream",
        {_HEADER_LENGTH: str(len(header))},
    )


def told(reply: Reply) -> str:
    """A line an output: name, type, shape and first values."""
    outputs = (reply.document or {}).get("outputs")
    if not isinstance(outputs, list):
        return shortened(reply.body.decode(errors="replace"))
    lines: list[str] = []
    for each in cast("list[dict[str, Any]]", outputs):
        shape = ",".join(str(size) for size in each.get("shape") or ())
        lines.append(f"{each.get('name')} {each.get('datatype')}[{shape}]: {first_of(flat(each.get('data') or []))}")
    return shortened("\n".join(lines))


def _served(model: str, ask: Ask) -> str:
    """The model's name with the server: the stack's, or that of the only one that it serves, since a repository names its own."""
    if ask(Call("GET", f"/v2/models/{quote(model, safe='')}/ready")).ok:
        return model
    index = ask(Call.of("/v2/repository/index", {"ready": True}))
    found = index.document if index.ok else None
    names = [
        str(each.get("name")) for each in cast("list[dict[str, Any]]", found or []) if each.get("state") == "READY"
    ]
    if len(names) != 1:
        raise ServerError(f"the server has no model {model}; it serves {', '.join(names) or 'none'}")
    return names[0]


def _tensor(described: dict[str, Any], value: Any) -> tuple[dict[str, Any], bytes]:
    """A value as an input, and the bytes that follow the JSON for it."""
    name, datatype = str(described["name"]), str(described["datatype"])
    shape = [int(size) for size in described.get("shape") or ()]
    if isinstance(value, bytes):
        try:
            value = value.decode()
        except UnicodeDecodeError:
            if datatype != _BYTES:
                raise RefusedError(f"input {name} takes {datatype}, and the data is neither text nor JSON") from None
            packed = struct.pack("<I", len(value)) + value
            parameters = {"binary_data_size": len(packed)}
            head = {"name": name, "datatype": datatype, "shape": _filled(shape, 1), "parameters": parameters}
            return head, packed
    if value is None:
        count = math.prod(max(size, 1) for size in shape)
        values = [GREETING if datatype == _BYTES else False if datatype == "BOOL" else 0] * count
    else:
        values = flat(value) if datatype != _BYTES or isinstance(value, list) else [_text(value)]
    if datatype != _BYTES and any(isinstance(each, str) for each in values):
        raise RefusedError(f"input {name} takes {datatype}, not text; give --data as JSON: a list of numbers")
    return {"name": name, "datatype": datatype, "shape": _filled(shape, len(values)), "data": values}, b""


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _filled(shape: list[int], count: int) -> list[int]:
    """The shape for so many values: the first size that is open takes what the others leave, further ones are 1."""
    rest = math.prod(size for size in shape if size > 0)
    left = max(count // max(rest, 1), 1)
    filled: list[int] = []
    for size in shape:
        filled.append(size if size > 0 else left)
        left = left if size > 0 else 1
    return filled


PROTOCOL: Final = ModelProtocol(title="the Open Inference Protocol", prepare=prepare, told=told)
