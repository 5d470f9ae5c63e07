"""Who set which field of an object, as the API server keeps it in `metadata.managedFields`. Pure.

Server-side apply refuses to change what somebody else set. What was set by hand is drift, which the stack repairs, so its
fields are taken over first; what a controller or another tool set (an autoscaler its replicas) stays theirs, and is a conflict
where the stack sets it too. So has it pulumi-kubernetes (provider/pkg/await/await.go, fixCSAFieldManagers).
Source of the form: https://kubernetes.io/docs/reference/using-api/server-side-apply/#field-management
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from typing import Any, Final, cast

from model_factory.graph.paths import Path

Object = dict[str, Any]

_HANDS: Final = ("kubectl", "before-first-apply", "pulumi-kubernetes", "pulumi-resource-kubernetes")
_APPLYING_HANDS: Final = ("kubectl",)
_SCALE: Final = "scale"


def managers(obj: Mapping[str, Any]) -> set[str]:
    """The names of all who set a field of the object."""
    return {str(entry.get("manager", "")) for entry in _entries(obj)}


def taken_over(live: Mapping[str, Any], wanted: Mapping[str, Any], manager: str) -> list[Object] | None:
    """The object's entries once `manager` has applied all that was set by hand; None where nothing was."""
    mine = [entry for entry in _entries(live) if _is_own(entry, manager)]
    hands = [entry for entry in _entries(live) if not _is_own(entry, manager) and _by_hand(entry, wanted)]
    if not hands:
        return None
    fields: Object = {}
    for entry in (*mine, *hands):
        _merge(fields, entry.get("fieldsV1") or {})
    latest = (*mine, *hands)[-1]
    own = {
        "manager": manager,
        "operation": "Apply",
        "apiVersion": wanted.get("apiVersion"),
        "time": latest.get("time"),
        "fieldsType": "FieldsV1",
        "fieldsV1": fields,
    }
    others = [entry for entry in _entries(live) if entry not in mine and entry not in hands]
    return [own, *others]


def without_ignored(wanted: Object, live: Mapping[str, Any], manager: str, ignored: Iterable[Path]) -> Object:
    """The object as it is applied while some of its paths are ignored: what others set there is left out, so that it stays theirs, and
    what nobody else did keeps its value. Paths into lists are set as they are given."""
    result = copy.deepcopy(wanted)
    mine = [entry.get("fieldsV1") or {} for entry in _entries(live) if _is_own(entry, manager)]
    theirs = [entry.get("fieldsV1") or {} for entry in _entries(live) if not _is_own(entry, manager)]
    for path in ignored:
        keys = [str(part) for part in path]
        if any(isinstance(part, int) for part in path) or not keys:
            continue
        if any(_has(fields, keys) for fields in theirs) and not any(_has(fields, keys) for fields in mine):
            _drop(result, keys)
        elif (value := _value(live, keys)) is not None:
            _put(result, keys, value)
    return result


def _entries(obj: Mapping[str, Any]) -> list[Object]:
    metadata: Mapping[str, Any] = obj.get("metadata") or {}
    return cast("list[Object]", list(metadata.get("managedFields") or ()))


def _is_own(entry: Object, manager: str) -> bool:
    return entry.get("manager") == manager and entry.get("operation") == "Apply" and not entry.get("subresource")


def _by_hand(entry: Object, wanted: Mapping[str, Any]) -> bool:
    names = _APPLYING_HANDS if entry.get("operation") == "Apply" else _HANDS
    if not str(entry.get("manager", "")).startswith(names):
        return False
    part = entry.get("subresource")
    # Where the stack sets no number of replicas, one that was set by hand has to stay.
    return not part or (part == _SCALE and "replicas" in (wanted.get("spec") or {}))


def _merge(into: Object, fields: Mapping[str, Any]) -> None:
    for key, below in fields.items():
        _merge(into.setdefault(key, {}), below)


def _has(fields: Mapping[str, Any], keys: list[str]) -> bool:
    found: Any = fields
    for key in keys:
        found = found.get(f"f:{key}") if isinstance(found, Mapping) else None
    return found is not None


def _value(obj: Mapping[str, Any], keys: list[str]) -> Any:
    found: Any = obj
    for key in keys:
        found = found.get(key) if isinstance(found, Mapping) else None
    return found


def _drop(obj: Object, keys: list[str]) -> None:
    holder = _value(obj, keys[:-1])
    if isinstance(holder, dict):
        holder.pop(keys[-1], None)


def _put(obj: Object, keys: list[str], value: Any) -> None:
    holder = obj
    for key in keys[:-1]:
        holder = holder.setdefault(key, {})
    holder[keys[-1]] = value
