"""Steps of a report as changes that can be told in a line each, and identical ones told once.

Values are masked here, before anything else sees them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

from model_factory.graph.masking import Masker
from model_factory.preview.events import LOGICAL_REPLACE, ROOT_STACK_TYPE, Report, Step
from model_factory.preview.tree import short_type, value_at

Kind = Literal["add", "update", "delete"]

_MAX_VALUE_CHARACTERS: Final = 120
_MAX_JSON_DEPTH: Final = 12
_GRAVEST_FIRST: Final = (
    "replace",
    "create-replacement",
    "delete",
    "delete-replaced",
    "discard",
    "update",
    "import",
    "create",
)
# Deleted or replaced, these lose data or serving capacity; they are listed before the rest.
_WEIGHTY: Final = (
    *(
        "/bucket:Bucket",
        "kms/key:Key",
        ":CryptoKey",
        "/cluster:Cluster",
        ":NodeGroup",
        ":NodePool",
        ":Repository",
    ),
    *(
        ":PersistentVolumeClaim",
        ":Vpc",
        ":Network",
        ":Subnet",
        ":Subnetwork",
        ":NatGateway",
        ":RouterNat",
        ":Namespace",
    ),
    *(":Deployment", ":StatefulSet", ":Service"),
)


@dataclass(frozen=True, slots=True)
class PropertyChange:
    """One property: texts of the old and new value, empty where there is none. `forces` a replacement."""

    path: str
    kind: Kind
    before: str = ""
    after: str = ""
    forces: bool = False


@dataclass(frozen=True, slots=True)
class Change:
    """What happens to one resource. `properties` are of an update or a replacement, `inputs` of a create."""

    op: str
    urn: str
    type: str
    name: str
    id: str = ""
    custom: bool = True
    failed: bool = False
    keys: tuple[str, ...] = ()
    properties: tuple[PropertyChange, ...] = ()
    inputs: tuple[PropertyChange, ...] = ()
    old_goes_first: bool = False
    """Of a replacement: the old object is deleted before the new one exists."""
    component: str = ""
    """Of a deletion: the outermost component that is gone with it."""
    stays: bool = False
    """Of a deletion: the object itself stays (retainOnDelete)."""

    @property
    def short_type(self) -> str:
        return short_type(self.type)

    @property
    def forcing(self) -> tuple[PropertyChange, ...]:
        """The property changes that force the replacement."""
        return tuple(item for item in self.properties if item.forces)


@dataclass(frozen=True, slots=True)
class Group:
    """Changes told together: equal in everything but their resources. Of an update, the types may differ."""

    changes: tuple[Change, ...]

    @property
    def first(self) -> Change:
        return self.changes[0]

    @property
    def types(self) -> tuple[str, ...]:
        """Short types, each once."""
        return tuple(dict.fromkeys(change.short_type for change in self.changes))

    @property
    def of_components(self) -> bool:
        """Whether these are components, which are no objects of a cloud."""
        return not any(change.custom for change in self.changes)

    @property
    def properties(self) -> tuple[PropertyChange, ...]:
        """What changes in each of them; where several do the same, their own names read `<name>`."""
        if len(self.changes) == 1:
            return self.first.properties
        return tuple(_without_name(item, self.first.name) for item in self.first.properties)


def _gone_with(report: Report) -> dict[str, str]:
    """For each deletion the outermost deleted component above it, as `Type name`."""
    deleted = {step.urn: step for step in report.steps.values() if step.op in {"delete", "discard"}}
    found: dict[str, str] = {}
    for urn, step in deleted.items():
        above = deleted.get(step.parent)
        while above is not None:
            if not (above.old or {}).get("custom"):
                found[urn] = f"{short_type(above.type).rsplit(':', 1)[-1]} {above.name}"
            above = deleted.get(above.parent)
    return found


def changes_of(report: Report, masker: Masker) -> list[Change]:
    """Everything that changes, drift apart, the root stack left out.

    The gravest first, then by type and name: engines work on many at once, and two runs of one change should read the same.
    """
    gone_with = _gone_with(report)
    apart = {id(step) for (_, op), step in report.steps.items() if op == "refresh"}
    order = {key: at for at, key in enumerate(report.steps)}
    found = [
        change_of(
            step,
            masker,
            old_goes_first=step.op == LOGICAL_REPLACE
            and order.get((step.urn, "delete-replaced"), len(order))
            < order.get((step.urn, "create-replacement"), -1),
            component=gone_with.get(step.urn, ""),
        )
        for step in report.changed
        if id(step) not in apart and step.type != ROOT_STACK_TYPE
    ]
    return in_order(found)


def in_order(changes: Iterable[Change]) -> list[Change]:
    """The gravest first, then by type and name."""
    rank = {op: at for at, op in enumerate(_GRAVEST_FIRST)}
    return sorted(changes, key=lambda change: (rank.get(change.op, len(rank)), change.type, change.name))


def change_of(step: Step, masker: Masker, *, old_goes_first: bool = False, component: str = "") -> Change:
    """One step, its values masked."""
    old, new = step.old or {}, step.new or {}
    state = new or old
    properties: tuple[PropertyChange, ...] = ()
    inputs: tuple[PropertyChange, ...] = ()
    if step.op in {"update", LOGICAL_REPLACE, "create-replacement"}:
        properties = tuple(replace(item, path=masker.text(item.path)) for item in _differences(step, masker))
    elif step.op in {"create", "import"}:
        shown = masker.properties(step.type, new.get("inputs"))
        inputs = tuple(replace(item, path=masker.text(item.path)) for item in leaves("", None, shown))
    return Change(
        op=step.op,
        urn=step.urn,
        type=step.type,
        name=masker.text(step.name),
        id=masker.text(str(old.get("id") or "")),
        custom=bool(state.get("custom")),
        failed=step.status == "failed",
        keys=tuple(masker.text(key) for key in step.keys),
        properties=properties,
        inputs=inputs,
        old_goes_first=old_goes_first,
        component=masker.text(component),
        stays=bool(old.get("retainOnDelete")),
    )


def grouped(changes: Iterable[Change]) -> list[Group]:
    """Creates and deletes by type, components last and together; updates and replacements by what changes, whatever their type."""
    groups: dict[tuple[Any, ...], list[Change]] = {}
    for change in changes:
        groups.setdefault(_group_key(change), []).append(change)
    found = [Group(tuple(members)) for members in groups.values()]
    return sorted(found, key=lambda group: group.of_components)


def dangers(changes: Iterable[Change]) -> list[Change]:
    """Replacements and deletions of real objects, the weightiest first. Components are not objects, providers hold none."""
    found = [
        change
        for change in changes
        if change.op in {LOGICAL_REPLACE, "delete", "discard"}
        and change.custom
        and not change.type.startswith("pulumi:providers:")
    ]
    return sorted(found, key=lambda change: (_weight(change), change.op != LOGICAL_REPLACE))


def show(value: Any) -> str:
    """A masked value in one line."""
    text = (
        value
        if isinstance(value, str) and _is_mark(value)
        else json.dumps(value, ensure_ascii=False, default=str)
    )
    return text if len(text) <= _MAX_VALUE_CHARACTERS else f"{text[: _MAX_VALUE_CHARACTERS - 1]}…"


def _is_mark(text: str) -> bool:
    return text in {"[secret]", "known after up"}


def _weight(change: Change) -> int:
    return next((at for at, part in enumerate(_WEIGHTY) if change.type.endswith(part)), len(_WEIGHTY))


def _group_key(change: Change) -> tuple[Any, ...]:
    if change.op in {"update", LOGICAL_REPLACE} and change.properties:
        same = tuple(_without_name(item, change.name) for item in change.properties)
        return change.op, change.failed, change.old_goes_first, same
    return change.op, change.failed, change.type if change.custom else ""


def _without_name(item: PropertyChange, name: str) -> PropertyChange:
    return replace(item, before=item.before.replace(name, "<name>"), after=item.after.replace(name, "<name>"))


def _differences(step: Step, masker: Masker) -> Iterable[PropertyChange]:
    old, new = step.old or {}, step.new or {}
    before_inputs = masker.properties(step.type, old.get("inputs"))
    before_outputs = masker.properties(step.type, old.get("outputs"))
    after_inputs = masker.properties(step.type, new.get("inputs"))
    after_outputs = masker.properties(step.type, new.get("outputs"))
    if step.detailed_diff:
        for path, diff in step.detailed_diff.items():
            kind = str(diff.get("diffKind", diff.get("kind", "update")))
            first, second = (
                (before_inputs, before_outputs) if diff.get("inputDiff") else (before_outputs, before_inputs)
            )
            before = value_at(first, path)
            before = value_at(second, path) if before is None else before
            after = value_at(after_inputs, path)
            after = value_at(after_outputs, path) if after is None else after
            forces = kind.endswith("replace")
            if kind.startswith("add"):
                yield from leaves(path, None, after, forces=forces, told="add")
            elif kind.startswith("delete"):
                yield from leaves(path, before, None, forces=forces, told="delete")
            else:
                yield from leaves(path, before, after, forces=forces, told="update")
        return
    keys = step.diffs or step.keys or tuple(dict.fromkeys([*before_inputs, *after_inputs]))
    for key in keys:
        forces = key in step.keys
        before, after = value_at(before_inputs, key), value_at(after_inputs, key)
        if before != after:
            yield from leaves(key, before, after, forces=forces)
        elif step.diffs or step.keys:
            yield PropertyChange(key, "update", show(before), show(after), forces)


def leaves(
    path: str, before: Any, after: Any, *, forces: bool = False, told: Kind | None = None, depth: int = 0
) -> Iterable[PropertyChange]:
    """The leaves in which two values differ; JSON inside a text is looked into, as in a policy document.

    `told` is the kind that the provider gave: where both values look equal to us, as two secrets do, it is still told.
    """
    before, after = _opened(before), _opened(after)
    if not path and not before and not after:
        return
    if before == after:
        if told is not None:
            yield PropertyChange(path, told, show(before), show(after), forces)
        return
    inside = isinstance(before, Mapping | None) and isinstance(after, Mapping | None)
    if inside and depth < _MAX_JSON_DEPTH and (before or after):
        old, new = before or {}, after or {}
        for key in dict.fromkeys([*old, *new]):
            if old.get(key) != new.get(key):
                yield from leaves(
                    _join(path, key), old.get(key), new.get(key), forces=forces, depth=depth + 1
                )
        return
    lists = isinstance(before, list | None) and isinstance(after, list | None) and bool(before or after)
    old_items: list[Any] = before if isinstance(before, list) else []
    new_items: list[Any] = after if isinstance(after, list) else []
    if lists and depth < _MAX_JSON_DEPTH and not _is_plain(old_items, new_items):
        for at in range(max(len(old_items), len(new_items))):
            a = old_items[at] if at < len(old_items) else None
            b = new_items[at] if at < len(new_items) else None
            if a != b:
                yield from leaves(f"{path}[{at}]", a, b, forces=forces, depth=depth + 1)
        return
    kind: Kind = "add" if before is None else "delete" if after is None else "update"
    yield PropertyChange(
        path, kind, "" if before is None else show(before), "" if after is None else show(after), forces
    )


def _opened(value: Any) -> Any:
    """A JSON object or list written as text, read."""
    if isinstance(value, str) and value[:1] in {"{", "["}:
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value


def _is_plain(*lists: Sequence[Any]) -> bool:
    """Short lists of plain values read better whole."""
    items = [item for each in lists for item in each]
    return (
        all(not isinstance(item, Mapping | list) for item in items)
        and len(show(items)) < _MAX_VALUE_CHARACTERS
    )


def _join(path: str, key: str) -> str:
    if not key.replace("_", "").replace("-", "").isalnum():
        return f'{path}["{key}"]'
    return f"{path}.{key}" if path else key
