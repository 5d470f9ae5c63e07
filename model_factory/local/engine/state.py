"""Snapshots as Pulumi's deployment JSON, versions 3 and 4, and back.

The document is what `pulumi stack export` prints and `pulumi stack import` reads:
`{"version": 3, "deployment": {manifest, secrets_providers, resources, pending_operations, metadata}}`. Secrets are
`{"4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270", "ciphertext" or "plaintext": …}`; what is encrypted is
the value's JSON text. Source: pulumi/pulumi, pkg/resource/stack/deployment.go and sdk/go/common/apitype/core.go.

Reading checks the shape; whether the resources fit each other is `integrity.verify`'s work.
"""

from __future__ import annotations

import hashlib
import json
import math
import struct
from collections.abc import Callable, Mapping
from typing import Any, Final, cast

from model_factory.local import go_json, wire
from model_factory.local.engine.errors import StateError
from model_factory.local.engine.model import CustomTimeouts, Manifest, Operation, ResourceState, Snapshot, now
from model_factory.local.engine.secrets import Crypter
from model_factory.local.wire import Asset, Output, ResourceReference, Secret, Value

VERSION: Final = 3
VERSION_WITH_FEATURES: Final = 4
ENGINE_VERSION: Final = "local-engine/1"
PASSPHRASE: Final = "passphrase"  # noqa: S105  (a kind of provider, no secret)
_FLOAT_SIGNATURE: Final = "8ad145fe-0d11-4827-bfd7-1abcbf086f5c"
_FEATURES: Final = ("replaceWith", "refreshBeforeUpdate")
_OPERATIONS: Final = ("creating", "updating", "deleting", "reading", "importing")
_ASK_CLI: Final = "use the Pulumi CLI for this stack (--engine pulumi)"
_RESTORE: Final = "restore the state from its .bak file or an export"

JsonObject = dict[str, Any]
CrypterSource = Callable[[], Crypter]
Seal = Callable[[str], JsonObject]


class Codec:
    """Turns resources and values into JSON and back, with one way to treat secrets.

    `crypter` is asked for only when a secret is met, so that states without secrets need no passphrase.
    """

    def __init__(self, crypter: CrypterSource, *, show_secrets: bool = False) -> None:
        self._crypter = crypter
        self._show_secrets = show_secrets

    def encode_resource(self, state: ResourceState) -> JsonObject:
        result: JsonObject = {"urn": state.urn, "custom": state.custom}
        optional = {
            "delete": state.delete,
            "id": state.id,
            "type": state.type,
            "inputs": self.encode_properties(state.inputs),
            "outputs": self.encode_properties(state.outputs),
            "parent": state.parent,
            "protect": state.protect,
            "external": state.external,
            "dependencies": list(state.dependencies),
            "initErrors": list(state.init_errors),
            "provider": state.provider,
            "propertyDependencies": {key: list(urns) for key, urns in state.property_dependencies.items()},
            "pendingReplacement": state.pending_replacement,
            "additionalSecretOutputs": list(state.additional_secret_outputs),
            "aliases": list(state.aliases),
            "customTimeouts": _encode_timeouts(state.custom_timeouts),
            "importID": state.import_id,
            "retainOnDelete": state.retain_on_delete,
            "deletedWith": state.deleted_with,
            "replaceWith": list(state.replace_with),
            "created": state.created,
            "modified": state.modified,
            "sourcePosition": state.source_position,
            "ignoreChanges": list(state.ignore_changes),
            "replaceOnChanges": list(state.replace_on_changes),
            "refreshBeforeUpdate": state.refresh_before_update,
            **state.extra,
        }
        result.update((key, value) for key, value in optional.items() if value)
        return result

    def decode_resource(self, document: Mapping[str, Any], where: str = "resource") -> ResourceState:
        fields = dict(document)
        urn = _take(fields, "urn", str, where, "")
        if not urn:
            raise StateError(f"{where}.urn", "(missing)", "every resource has a URN", _RESTORE)
        try:
            return ResourceState(
                urn=urn,
                type=_take(fields, "type", str, urn, ""),
                custom=_take(fields, "custom", bool, urn, False),
                delete=_take(fields, "delete", bool, urn, False),
                id=_take(fields, "id", str, urn, ""),
                inputs=self.decode_properties(_take(fields, "inputs", dict, urn, {})),
                outputs=self.decode_properties(_take(fields, "outputs", dict, urn, {})),
                parent=_take(fields, "parent", str, urn, ""),
                protect=_take(fields, "protect", bool, urn, False),
                external=_take(fields, "external", bool, urn, False),
                dependencies=_take_texts(fields, "dependencies", urn),
                init_errors=_take_texts(fields, "initErrors", urn),
                provider=_take(fields, "provider", str, urn, ""),
                property_dependencies={
                    key: _texts([] if urns is None else urns, f"{urn} propertyDependencies {key}")
                    for key, urns in _take(fields, "propertyDependencies", dict, urn, {}).items()
                },
                pending_replacement=_take(fields, "pendingReplacement", bool, urn, False),
                additional_secret_outputs=_take_texts(fields, "additionalSecretOutputs", urn),
                aliases=_take_texts(fields, "aliases", urn),
                custom_timeouts=_decode_timeouts(_take(fields, "customTimeouts", dict, urn, {}), urn),
                import_id=_take(fields, "importID", str, urn, ""),
                retain_on_delete=_take(fields, "retainOnDelete", bool, urn, False),
                deleted_with=_take(fields, "deletedWith", str, urn, ""),
                replace_with=_take_texts(fields, "replaceWith", urn),
                created=_take(fields, "created", str, urn, ""),
                modified=_take(fields, "modified", str, urn, ""),
                source_position=_take(fields, "sourcePosition", str, urn, ""),
                ignore_changes=_take_texts(fields, "ignoreChanges", urn),
                replace_on_changes=_take_texts(fields, "replaceOnChanges", urn),
                refresh_before_update=_take(fields, "refreshBeforeUpdate", bool, urn, False),
                extra=_extra(fields, urn),
            )
        except ValueError as error:
            raise StateError(urn, "inputs or outputs", str(error), _ASK_CLI) from error

    def encode_properties(self, properties: Mapping[str, Value]) -> JsonObject:
        seal, inner = (_plain, _plain) if self._show_secrets else (self._seal, _unencrypted)
        return {key: _encode(value, seal, inner) for key, value in properties.items()}

    def decode_properties(self, properties: Mapping[str, Any]) -> dict[str, Value]:
        return {key: _decode(value, self._unseal) for key, value in properties.items()}

    def _seal(self, text: str) -> JsonObject:
        return {"ciphertext": self._crypter().encrypt(text)}

    def _unseal(self, ciphertext: str) -> str:
        return self._crypter().decrypt(ciphertext)


def encode_snapshot(snapshot: Snapshot, codec: Codec) -> JsonObject:
    """The whole document. The caller sees to `secrets_provider`; without one the document has none."""
    features = sorted(
        {"replaceWith" for state in snapshot.resources if state.replace_with}
        | {"refreshBeforeUpdate" for state in snapshot.resources if state.refresh_before_update}
    )
    manifest = snapshot.manifest
    deployment: JsonObject = {"manifest": {"time": manifest.time, "magic": manifest.magic, "version": manifest.version}}
    if manifest.plugins:
        deployment["manifest"]["plugins"] = list(manifest.plugins)
    if snapshot.secrets_provider:
        deployment["secrets_providers"] = dict(snapshot.secrets_provider)
    if snapshot.resources:
        deployment["resources"] = [codec.encode_resource(state) for state in snapshot.resources]
    if snapshot.pending_operations:
        deployment["pending_operations"] = [
            {"resource": codec.encode_resource(operation.resource), "type": operation.type}
            for operation in snapshot.pending_operations
        ]
    deployment["metadata"] = dict(snapshot.metadata)
    deployment.update(snapshot.extra)
    document: JsonObject = {
        "version": VERSION_WITH_FEATURES if features else VERSION,
        "deployment": deployment,
    }
    if features:
        document["features"] = features
    return document


def decode_snapshot(document: object, codec: Codec) -> Snapshot:
    """Read a document. Refuses other versions, unknown features, a changed manifest and fields of the wrong shape."""
    deployment = _checked_deployment(document)
    fields = dict(deployment)
    manifest = _decode_manifest(_take(fields, "manifest", dict, "deployment", {}))
    provider = _take(fields, "secrets_providers", dict, "deployment", {})
    resources = _take(fields, "resources", list, "deployment", [])
    operations = _take(fields, "pending_operations", list, "deployment", [])
    metadata = _take(fields, "metadata", dict, "deployment", {})
    return Snapshot(
        resources=tuple(
            codec.decode_resource(_object(item, f"resources[{index}]"), f"resources[{index}]")
            for index, item in enumerate(resources)
        ),
        pending_operations=tuple(
            _decode_operation(_object(item, f"pending_operations[{index}]"), codec, f"pending_operations[{index}]")
            for index, item in enumerate(operations)
        ),
        manifest=manifest,
        secrets_provider=provider or None,
        metadata=metadata,
        extra=fields,
    )


def new_manifest() -> Manifest:
    return Manifest(now(), _magic(ENGINE_VERSION), ENGINE_VERSION)


def passphrase_salt(provider: Mapping[str, Any] | None) -> str | None:
    """The salt in `secrets_providers`; None where there is none. Other kinds of provider are refused by name."""
    if not provider:
        return None
    kind = provider.get("type")
    state = provider.get("state")
    salt = cast("JsonObject", state).get("salt") if isinstance(state, dict) else None
    if kind != PASSPHRASE or not isinstance(salt, str):
        raise StateError("secrets_providers", kind, "this engine reads secrets of the passphrase provider only",
                         "run `pulumi stack change-secrets-provider passphrase`, or export with --show-secrets")  # fmt: skip
    return salt


def passphrase_provider(salt: str) -> JsonObject:
    return {"type": PASSPHRASE, "state": {"salt": salt}}


def _checked_deployment(document: object) -> JsonObject:
    fields = _object(document, "document")
    version = fields.get("version")
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise StateError("version", version, "a deployment document has a whole version number", _RESTORE)
    if version < VERSION:
        raise StateError("version", version, f"this engine reads versions {VERSION} and {VERSION_WITH_FEATURES}",
                         "import and export it once with the Pulumi CLI, which migrates it")  # fmt: skip
    if version > VERSION_WITH_FEATURES:
        raise StateError("version", version, "the state is newer than this engine", _ASK_CLI)
    unknown = [feature for feature in _texts(fields.get("features", []), "features") if feature not in _FEATURES]
    if unknown:
        raise StateError("features", ", ".join(unknown), "the state needs what this engine does not do", _ASK_CLI)
    return _object(fields.get("deployment"), "deployment")


def _decode_manifest(document: Mapping[str, Any]) -> Manifest:
    fields = dict(document)
    time, version, magic = (_take(fields, key, str, "manifest", "") for key in ("time", "version", "magic"))
    if magic != _magic(version):
        raise StateError("manifest.magic", magic or "(missing)", f"does not belong to version {version!r}: the state was "
                         "changed or damaged", _RESTORE)  # fmt: skip
    return Manifest(time, magic, version, tuple(_take(fields, "plugins", list, "manifest", [])))


def _decode_operation(document: Mapping[str, Any], codec: Codec, where: str) -> Operation:
    kind = document.get("type")
    if kind not in _OPERATIONS:
        raise StateError(f"{where}.type", kind, f"a pending operation is one of {', '.join(_OPERATIONS)}", _RESTORE)
    resource = _object(document.get("resource"), f"{where}.resource")
    return Operation(codec.decode_resource(resource, f"{where}.resource"), kind)


def _magic(version: str) -> str:
    return hashlib.sha256(version.encode()).hexdigest() if version else ""


def _object(value: object, where: str) -> JsonObject:
    if not isinstance(value, dict):
        raise StateError(where, type(value).__name__, "must be a JSON object", _RESTORE)
    return cast("JsonObject", value)


def _take(fields: JsonObject, key: str, kind: type[Any], where: str, default: Any) -> Any:
    if key not in fields:
        return default
    value = fields.pop(key)
    if not isinstance(value, kind):
        raise StateError(f"{where} {key}", type(value).__name__, f"must be a JSON {kind.__name__}", _RESTORE)
    return value


def _take_texts(fields: JsonObject, key: str, where: str) -> tuple[str, ...]:
    return _texts(_take(fields, key, list, where, []), f"{where} {key}")


def _texts(value: object, where: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in cast("list[object]", value)):
        raise StateError(where, "(wrong)", "must be a JSON list of texts", _RESTORE)
    return tuple(cast("list[str]", value))


def _extra(fields: JsonObject, urn: str) -> JsonObject:
    """What this engine only carries, and of that what it reads all the same."""
    if "hideDiff" in fields:
        _texts(fields["hideDiff"], f"{urn} hideDiff")
    return fields


def _encode_timeouts(timeouts: CustomTimeouts | None) -> JsonObject:
    if timeouts is None:
        return {}
    seconds = {
        "create": timeouts.create,
        "update": timeouts.update,
        "delete": timeouts.delete,
        "read": timeouts.read,
    }
    return {key: value for key, value in seconds.items() if value}


def _decode_timeouts(document: Mapping[str, Any], urn: str) -> CustomTimeouts | None:
    times = [document.get(key, 0) for key in ("create", "update", "delete", "read")]
    if not all(type(seconds) in (int, float) for seconds in times):
        raise StateError(f"{urn} customTimeouts", "(wrong)", "must be numbers of seconds", _RESTORE)
    return CustomTimeouts(*map(float, times)) if document else None


def _encode(value: Value, seal: Seal, inner: Seal) -> Any:
    """`inner` seals the secrets inside a secret: they stay marked, but are not encrypted twice."""
    if value is None or isinstance(value, (str, bool, int)):
        return value
    if isinstance(value, dict):
        return {key: _encode(item, seal, inner) for key, item in value.items()}
    if isinstance(value, list):
        return [_encode(item, seal, inner) for item in value]
    if isinstance(value, float):
        if math.isfinite(value):
            return value
        return {wire.SIGNATURE_KEY: _FLOAT_SIGNATURE, "value": struct.pack(">d", value).hex()}
    if isinstance(value, Secret):
        text = go_json.dumps(_encode(value.value, inner, inner))
        return {wire.SIGNATURE_KEY: wire.SECRET_SIGNATURE, **seal(text)}
    if isinstance(value, Output):
        return _encode(Secret(value.value) if value.secret else value.value, seal, inner)
    if isinstance(value, Asset):
        fields = {key: _encode(item, seal, inner) for key, item in value.fields.items()}
        return {wire.SIGNATURE_KEY: value.signature, **fields}
    if isinstance(value, ResourceReference):
        reference = {
            wire.SIGNATURE_KEY: wire.RESOURCE_SIGNATURE,
            "urn": value.urn,
            "packageVersion": value.version,
        }
        if value.id is not None:
            reference["id"] = value.id if isinstance(value.id, str) else ""
        return reference
    return wire.UNKNOWN_SENTINEL


def _decode(value: Any, unseal: Callable[[str], str]) -> Value:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return wire.UNKNOWN if value == wire.UNKNOWN_SENTINEL else value
    if isinstance(value, float):
        return int(value) if value.is_integer() else value
    if isinstance(value, int):
        return value
    if isinstance(value, list):
        return [_decode(item, unseal) for item in cast("list[Any]", value)]
    fields = cast("JsonObject", value)
    signature = fields.get(wire.SIGNATURE_KEY)
    if signature is None:
        return {key: _decode(item, unseal) for key, item in fields.items()}
    if signature == wire.SECRET_SIGNATURE:
        return _decode_secret(fields, unseal)
    if signature == _FLOAT_SIGNATURE:
        return _decode_float(fields.get("value"))
    if signature == wire.RESOURCE_SIGNATURE:
        urn, identity, version = fields.get("urn"), fields.get("id"), fields.get("packageVersion", "")
        if not (isinstance(urn, str) and isinstance(identity, str | None) and isinstance(version, str)):
            raise ValueError("a reference to a resource is made of texts")
        return ResourceReference(urn, identity, version)
    if signature in (wire.ASSET_SIGNATURE, wire.ARCHIVE_SIGNATURE):
        if not all(isinstance(fields.get(key, ""), str) for key in ("hash", "path", "text", "uri")):
            raise ValueError("hash, path, text and URI of an asset are texts")
        return Asset(
            str(signature),
            {key: _decode(item, unseal) for key, item in fields.items() if key != wire.SIGNATURE_KEY},
        )
    raise ValueError(f"a property value has the unknown signature {signature!r}")


def _decode_secret(fields: JsonObject, unseal: Callable[[str], str]) -> Secret:
    plaintext, ciphertext = fields.get("plaintext"), fields.get("ciphertext")
    if isinstance(plaintext, str) == isinstance(ciphertext, str):
        raise ValueError("a secret has exactly one of ciphertext and plaintext")
    text = plaintext if isinstance(plaintext, str) else unseal(str(ciphertext))
    return Secret(_decode(json.loads(text), _text))


def _decode_float(bits: object) -> float:
    if not isinstance(bits, str) or len(bits) != 16:
        raise ValueError("a float that JSON cannot hold has 16 hexadecimal digits")
    return struct.unpack(">d", bytes.fromhex(bits))[0]


def _plain(text: str) -> JsonObject:
    return {"plaintext": text}


def _unencrypted(text: str) -> JsonObject:
    return {"ciphertext": text}


def _text(text: str) -> str:
    return text
