"""Property values as Pulumi's protocol carries them, and as plain Python.

A `Value` is None, bool, int, float, str, a list or a dict of values, or one of the marks below. On the wire the marks are
maps with a signature key, in a `google.protobuf.Struct`. Source: pulumi/pulumi, sdk/go/common/resource and proto/pulumi.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from google.protobuf import struct_pb2

from model_factory.graph.values import SECRET_SIGNATURE, SIGNATURE_KEY, UNKNOWN_SENTINEL

ASSET_SIGNATURE: Final = "c44067f5952c0a294b673a41bacd8c17"
ARCHIVE_SIGNATURE: Final = "0def7320c3a5731c473e5ecbe6d01bc7"
RESOURCE_SIGNATURE: Final = "5cf8f73096256a8f31e491e813e4eb8e"
OUTPUT_SIGNATURE: Final = "d0e6a833031e9bbcd3f4e8bde6ca49a4"


class Unknown:
    """A value that only a real `up` will know. One instance: `UNKNOWN`."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "UNKNOWN"


UNKNOWN: Final = Unknown()


@dataclass(frozen=True, slots=True)
class Secret:
    """A value that must be masked in every event and encrypted at rest."""

    value: Value


@dataclass(frozen=True, slots=True)
class Output:
    """A value together with the URNs it was made from. `value` is UNKNOWN where it is not known yet."""

    value: Value
    secret: bool = False
    dependencies: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Asset:
    """An asset or archive, kept as the map it came as (text, path, uri, assets, hash)."""

    signature: str
    fields: Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class ResourceReference:
    """A reference to another resource of the stack; `id` is None for a component."""

    urn: str
    id: Value = None
    version: str = ""


Value: TypeAlias = (
    bool | int | float | str | list["Value"] | dict[str, "Value"]
    | Unknown | Secret | Output | Asset | ResourceReference | None
)  # fmt: skip
Properties: TypeAlias = dict[str, Value]


def decode(struct: struct_pb2.Struct) -> Properties:
    """Read a wire struct. Whole numbers become `int`, so that state files say 3 and not 3.0."""
    return {key: _decode(value) for key, value in struct.fields.items()}


def encode(
    properties: Mapping[str, Value],
    *,
    keep_secrets: bool = True,
    keep_outputs: bool = True,
    keep_resources: bool = True,
) -> struct_pb2.Struct:
    """Write values to a wire struct.

    `keep_secrets=False` sends the bare value of a secret, `keep_outputs=False` folds an Output into a bare value or the
    unknown sentinel, `keep_resources=False` sends a resource reference as its id (a component's as its URN).
    """
    struct = struct_pb2.Struct()
    keep = (keep_secrets, keep_outputs, keep_resources)
    for key, value in properties.items():
        _encode(value, struct.fields[key], keep)
    return struct


def _decode(value: struct_pb2.Value) -> Value:
    kind = value.WhichOneof("kind")
    if kind == "string_value":
        text = value.string_value
        return UNKNOWN if text == UNKNOWN_SENTINEL else text
    if kind == "struct_value":
        fields = value.struct_value.fields
        if SIGNATURE_KEY in fields:
            return _decode_marked({key: _decode(item) for key, item in fields.items()})
        return {key: _decode(item) for key, item in fields.items()}
    if kind == "list_value":
        return [_decode(item) for item in value.list_value.values]
    if kind == "number_value":
        number = value.number_value
        return int(number) if number.is_integer() else number
    if kind == "bool_value":
        return value.bool_value
    return None


def _decode_marked(fields: dict[str, Value]) -> Value:
    signature = fields.pop(SIGNATURE_KEY)
    if signature == SECRET_SIGNATURE:
        return Secret(fields.get("value"))
    if signature == OUTPUT_SIGNATURE:
        dependencies = fields.get("dependencies")
        return Output(
            fields.get("value", UNKNOWN),
            bool(fields.get("secret", False)),
            tuple(str(urn) for urn in dependencies) if isinstance(dependencies, list) else (),
        )
    if signature == RESOURCE_SIGNATURE:
        return ResourceReference(str(fields["urn"]), fields.get("id"), str(fields.get("packageVersion", "")))
    if signature in (ASSET_SIGNATURE, ARCHIVE_SIGNATURE):
        return Asset(str(signature), fields)
    raise ValueError(f"property value with unknown signature {signature!r}; this engine knows secrets, outputs, assets, "
                     "archives and resource references")  # fmt: skip


def _encode(value: Value, target: struct_pb2.Value, keep: tuple[bool, bool, bool]) -> None:
    if value is None:
        target.null_value = struct_pb2.NULL_VALUE
    elif isinstance(value, str):
        target.string_value = value
    elif isinstance(value, bool):
        target.bool_value = value
    elif isinstance(value, (int, float)):
        target.number_value = value
    elif isinstance(value, dict):
        fields = target.struct_value.fields
        target.struct_value.SetInParent()
        for key, item in value.items():
            _encode(item, fields[key], keep)
    elif isinstance(value, list):
        target.list_value.SetInParent()
        values = target.list_value.values
        for item in value:
            _encode(item, values.add(), keep)
    else:
        _encode_marked(value, target, keep)


def _encode_marked(
    value: Unknown | Secret | Output | Asset | ResourceReference,
    target: struct_pb2.Value,
    keep: tuple[bool, bool, bool],
) -> None:
    keep_secrets, keep_outputs, keep_resources = keep
    if isinstance(value, Unknown):
        target.string_value = UNKNOWN_SENTINEL
    elif isinstance(value, Secret):
        if keep_secrets:
            _encode({SIGNATURE_KEY: SECRET_SIGNATURE, "value": value.value}, target, keep)
        else:
            _encode(value.value, target, keep)
    elif isinstance(value, Output):
        if keep_outputs:
            fields: Properties = {SIGNATURE_KEY: OUTPUT_SIGNATURE}
            if not isinstance(value.value, Unknown):
                fields["value"] = value.value
            if value.secret:
                fields["secret"] = True
            if value.dependencies:
                fields["dependencies"] = list(value.dependencies)
            _encode(fields, target, keep)
        else:
            _encode(Secret(value.value) if value.secret else value.value, target, keep)
    elif isinstance(value, Asset):
        _encode({SIGNATURE_KEY: value.signature, **value.fields}, target, keep)
    elif keep_resources:
        fields = {SIGNATURE_KEY: RESOURCE_SIGNATURE, "urn": value.urn}
        if value.id is not None:
            fields["id"] = value.id
        if value.version:
            fields["packageVersion"] = value.version
        _encode(fields, target, keep)
    else:
        _encode(value.urn if value.id is None else value.id, target, keep)


def is_unknown(value: Value) -> bool:
    """Whether the value is unknown, or holds an unknown at any depth."""
    if isinstance(value, Unknown):
        return True
    return any(is_unknown(item) for item in _children(value))


def is_secret(value: Value) -> bool:
    """Whether the value is secret, or holds a secret at any depth."""
    if isinstance(value, Secret) or (isinstance(value, Output) and value.secret):
        return True
    return any(is_secret(item) for item in _children(value))


def reveal(value: Value) -> Value:
    """The value without its secret and output marks, at every depth. Unknowns stay."""
    if isinstance(value, (Secret, Output)):
        return reveal(value.value)
    if isinstance(value, dict):
        return {key: reveal(item) for key, item in value.items()}
    if isinstance(value, list):
        return [reveal(item) for item in value]
    return value


def marked(answer: Value, like: Value) -> Value:
    """The answer of something that knows no secrets, secret where `like` is: a list is so as a whole, since its order may differ."""
    if isinstance(answer, dict) and isinstance(like, dict):
        return {key: marked(item, like[key]) if key in like else item for key, item in answer.items()}
    return Secret(answer) if is_secret(like) and not isinstance(answer, Secret) else answer


def _children(value: Value) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    if isinstance(value, list):
        return value
    if isinstance(value, (Secret, Output)):
        return (value.value,)
    if isinstance(value, ResourceReference):
        return (value.id,)
    if isinstance(value, Asset):
        return value.fields.values()
    return ()
