"""Between Pulumi's properties and Kubernetes objects: canonical inputs, auto-names, the state that is recorded. Pure.

State has the shape of pulumi-kubernetes 4: the live object, and beside it `__inputs`, `__initialApiVersion` and
`__fieldManager`.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any, Final, cast

from model_factory.local.clouds.kubernetes.cluster import Reference
from model_factory.local.clouds.kubernetes.schema import UnknownKindError, catalogue
from model_factory.local.clouds.kubernetes.validate import Validator
from model_factory.local.providers.kubernetes.options import FIELD_MANAGER, annotation
from model_factory.local.providers.naming import unique_name
from model_factory.local.wire import Properties, Secret, Unknown, Value, is_secret, is_unknown, reveal

INPUTS_KEY: Final = "__inputs"
MANAGER_KEY: Final = "__fieldManager"
AUTONAMED: Final = "pulumi.com/autonamed"
_CONTROLLERS_OWN: Final = ("deployment.kubernetes.io/revision", "kubectl.kubernetes.io/last-applied-configuration")
_EMPTY: Final[tuple[Any, ...]] = ("", [], {})
_NAME_DIGITS: Final = 8
_SERVER_FIELDS: Final = (
    "creationTimestamp", "deletionGracePeriodSeconds", "deletionTimestamp", "generation", "managedFields",
    "resourceVersion", "uid",
)  # fmt: skip
_UNDERSCORED: Final = {
    f"x_kubernetes_{name}": f"x-kubernetes-{name.replace('_', '-')}"
    for name in ("embedded_resource", "int_or_string", "list_map_keys", "list_type", "map_type",
                 "preserve_unknown_fields", "validations")
}  # fmt: skip
_DASHED: Final = {dashed: underscored for underscored, dashed in _UNDERSCORED.items()}

Object = dict[str, Any]


def validator() -> Validator:
    return Validator(catalogue())


def bare(properties: Mapping[str, Value]) -> Object:
    """The object in properties: no marks, no internal keys, Kubernetes' spelling of keys."""
    shown = {key: reveal(value) for key, value in properties.items() if not key.startswith("__")}
    return cast("Object", _renamed(shown, _UNDERSCORED) if _is_crd(shown) else shown)


def normal(obj: Object, checker: Validator) -> Object:
    """The object as given, in the form an API server would store: what only the server sets is left out.

    Of a custom resource nobody here knows the schema: it stays as it is, but for nulls.
    """
    try:
        found = checker.canonical(obj)
    except UnknownKindError:
        found = cast("Object", _without_nulls(obj))
    metadata = found.get("metadata")
    if isinstance(metadata, dict):
        found["metadata"] = {key: value for key, value in metadata.items() if key not in _SERVER_FIELDS}
    texts = found.get("stringData")
    if found.get("kind") == "Secret" and isinstance(texts, dict) and not is_unknown(texts):
        encoded = {key: base64.b64encode(str(text).encode()).decode() for key, text in texts.items()}
        found["data"] = {**(found.get("data") or {}), **encoded}
        del found["stringData"]
    return found


def metadata_for_change(obj: Object) -> Object | None:
    """The object's metadata, made where there is none and copied, so that it may be changed; None while unknown."""
    metadata: Any = obj.get("metadata") or {}
    if not isinstance(metadata, dict):
        return None
    copy = cast("Object", dict(metadata))
    obj["metadata"] = copy
    return copy


def set_name(metadata: Object, olds: Mapping[str, Any], *, name: str, urn: str, seed: bytes) -> None:
    """Give an unnamed object its auto-name `{logical name}-{8 hex}`: that of `olds` where they had one."""
    if metadata.get("name") or metadata.get("generateName"):
        return
    if olds:
        if not is_autonamed(olds):
            return
        metadata["name"] = olds["metadata"]["name"]
    else:
        metadata["name"] = unique_name(name, urn=urn, seed=seed, length=_NAME_DIGITS)
    annotations: Any = metadata.get("annotations") or {}
    if isinstance(annotations, dict):
        metadata["annotations"] = {**annotations, AUTONAMED: "true"}


def is_autonamed(obj: Mapping[str, Any]) -> bool:
    metadata = obj.get("metadata")
    annotations = metadata.get("annotations") if isinstance(metadata, Mapping) else None
    return isinstance(annotations, Mapping) and annotations.get(AUTONAMED) == "true"


def object_id(reference: Reference) -> str:
    return f"{reference.namespace}/{reference.name}" if reference.namespace else reference.name


def reference_of(api_version: str, kind: str, identity: str) -> Reference:
    """The object that an id names: `namespace/name`, or `name`."""
    namespace, _, name = identity.rpartition("/")
    return Reference(api_version, kind, namespace, name)


def state(
    inputs: Object, live: Object, marked: Mapping[str, Value], urn: str, recorded: Mapping[str, Value]
) -> Properties:
    """What is recorded of an object. `marked` says which parts are secret; `recorded` is the earlier state, if any."""
    return {
        **properties(_without_managed_fields(live), marked),
        INPUTS_KEY: properties(inputs, marked),
        "__initialApiVersion": recorded.get("__initialApiVersion") or inputs.get("apiVersion"),
        MANAGER_KEY: field_manager(inputs, urn, recorded),
    }


def field_manager(inputs: Object, urn: str, recorded: Mapping[str, Value]) -> str:
    """As whom an object is written: as its annotation says, as its state has it, else by a name of this URN's own."""
    known = annotation(inputs, FIELD_MANAGER) or recorded.get(MANAGER_KEY)
    return str(known or unique_name("pulumi-kubernetes", urn=urn, seed=b"", length=_NAME_DIGITS))


def properties(obj: Object, marked: Mapping[str, Value]) -> Properties:
    """The object as properties, with the secret marks of `marked`; the data of a Secret always has them."""
    found = cast("Properties", _renamed(obj, _DASHED) if _is_crd(obj) else obj)
    return _mark(found, marked)


def kept(found: Object, normalised: Object) -> Object:
    """A live object for the state: in canonical form, with what only the server sets of its metadata."""
    metadata: Object = found.get("metadata") or {}
    server = {key: metadata[key] for key in _SERVER_FIELDS if key in metadata}
    return {**normalised, "metadata": {**(normalised.get("metadata") or {}), **server}} if server else normalised


def importable(live: Object) -> Object:
    """The inputs that an object stands for of which nobody knows what was asked: what no controller writes into it."""
    found = {key: value for key, value in live.items() if key != "status"}
    metadata = dict(found.get("metadata") or {})
    annotations = {
        key: value for key, value in (metadata.pop("annotations", None) or {}).items() if key not in _CONTROLLERS_OWN
    }
    metadata.pop("selfLink", None)
    found["metadata"] = {**metadata, **({"annotations": annotations} if annotations else {})}
    return found


def parse_state(recorded: Mapping[str, Value], old_inputs: Mapping[str, Value]) -> tuple[Object, Object]:
    """The inputs and the live object in a state."""
    inputs = recorded.get(INPUTS_KEY)
    return bare(inputs if isinstance(inputs, dict) else old_inputs), bare(recorded)


def pruned(source: Any, shape: Any) -> Any:
    """The part of `source` that has the shape of `shape`: what the server filled in is left out. What is empty in `shape` and not in
    `source` is as it was asked for: servers drop empty texts, lists and maps."""
    if isinstance(source, dict) and isinstance(shape, dict):
        found = {key: pruned(value, shape[key]) for key, value in source.items() if key in shape}
        return found | {key: value for key, value in shape.items() if key not in source and value in _EMPTY}
    if isinstance(source, list) and isinstance(shape, list):
        # Items beyond the shape are drift, not defaults: a list is asked for whole.
        return [pruned(item, shape[index]) if index < len(shape) else item for index, item in enumerate(source)]
    return source


def _mark(outs: Mapping[str, Value], ins: Mapping[str, Value]) -> Properties:
    marked: Properties = {}
    sealed = ("data", "stringData") if outs.get("kind") == "Secret" else ()
    for key, value in outs.items():
        mark = ins.get(key)
        if key in sealed:
            marked[key] = Secret(value)
        elif isinstance(value, dict) and isinstance(mark, dict):
            marked[key] = _mark(value, mark)
        else:
            marked[key] = Secret(value) if is_secret(mark) and not isinstance(value, Unknown) else value
    return marked


def _without_managed_fields(live: Object) -> Object:
    """As long as the object itself, and anew with each status: the server is asked for them where they count."""
    metadata = live.get("metadata")
    if not isinstance(metadata, dict) or "managedFields" not in metadata:
        return live
    return {**live, "metadata": {key: value for key, value in metadata.items() if key != "managedFields"}}


def _without_nulls(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    return [_without_nulls(item) for item in value] if isinstance(value, list) else value


def _is_crd(obj: Mapping[str, Any]) -> bool:
    return obj.get("kind") == "CustomResourceDefinition"


def _renamed(value: Any, names: Mapping[str, str]) -> Any:
    if isinstance(value, Mapping):
        return {names.get(key, key): _renamed(item, names) for key, item in value.items()}
    if isinstance(value, list):
        return [_renamed(item, names) for item in value]
    return value
