"""Steps of a report as changes that can be told in a line each, and identical ones told once."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Literal, cast

from model_factory.graph import paths
from model_factory.graph.paths import Path
from model_factory.graph.resource import Resource
from model_factory.graph.urn import STACK_TYPE, name_of, upwards
from model_factory.graph.values import at, mapping
from model_factory.preview.events import LOGICAL_REPLACE, Report, Step
from model_factory.preview.wording import MAX_VALUE_CHARACTERS, short_type, show_value

# Of a new resource: the same tags once more.
NOTED: Final = frozenset({"tagsAll", "pulumiLabels", "effectiveLabels"})
# Of a new resource: what is looked for, in this order. What is of none of these comes after.
_TELLING: Final = tuple(
    map(
        re.compile,
        (
            r"(^|\.)(image|machineType|instanceTypes?)\b", r"(^|\.)(args|command)\b", r"(^|\.)resources\.", r"(^|\.)(capacityType|spot)\b",
            r"(^|\.)(scalingConfig|autoscaling|minReplicas|maxReplicas|replicas)\b", r"^(?!metadata|tags|labels)",
        ),
    )
)  # fmt: skip

Kind = Literal["add", "update", "delete"]
Mark = Literal["+", "-", "!", "#"]

_MAX_JSON_DEPTH: Final = 12
_GRAVEST_FIRST: Final = (
    "replace", "create-replacement", "delete", "delete-replaced", "discard", "update", "import", "create",
)  # fmt: skip
# Deleted or replaced, these lose data or serving capacity; they are listed before the rest.
_WEIGHTY: Final = (
    "/bucket:Bucket", "kms/key:Key", ":CryptoKey", "/cluster:Cluster", ":NodeGroup", ":NodePool", ":Repository",
    ":PersistentVolumeClaim", ":Vpc", ":Network", ":Subnet", ":Subnetwork", ":NatGateway", ":RouterNat", ":Namespace",
    ":Deployment", ":StatefulSet", ":Service",
)  # fmt: skip


# What is lost with an object, and the input that allows it: without, the cloud refuses as long as the object holds anything.
_DATA: Final[Mapping[str, tuple[str, str]]] = {
    "aws:s3/bucket:Bucket": ("all its objects", "forceDestroy"),
    "aws:s3/bucketV2:BucketV2": ("all its objects", "forceDestroy"),
    "gcp:storage/bucket:Bucket": ("all its objects", "forceDestroy"),
    "aws:ecr/repository:Repository": ("all its images", "forceDelete"),
    "gcp:artifactregistry/repository:Repository": ("all its images", ""),
    "aws:kms/key:Key": ("all that is encrypted with it", ""),
    "gcp:kms/cryptoKey:CryptoKey": ("all that is encrypted with it", ""),
    "kubernetes:core/v1:PersistentVolumeClaim": ("its volume", ""),
    "aws:ebs/volume:Volume": ("all that is on it", ""),
    "aws:efs/fileSystem:FileSystem": ("all that is on it", ""),
    "gcp:compute/disk:Disk": ("all that is on it", ""),
    "gcp:filestore/instance:Instance": ("all that is on it", ""),
}


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
    goes_with: str = ""
    """Of a replacement that nothing of its own forces: what it depends on, which is deleted before its replacement exists."""
    component: str = ""
    """Of a deletion: the outermost component that is gone with it."""
    stays: bool = False
    """Of a deletion: the object itself stays (retainOnDelete)."""
    data: str = ""
    """Of a deletion or replacement: what is lost with the old object, in words; empty where it holds nothing of its own."""

    @property
    def short_type(self) -> str:
        return short_type(self.type)

    @property
    def because(self) -> tuple[PropertyChange, ...]:
        """What forces the replacement; without values where the engine names nothing but the properties."""
        forcing = tuple(item for item in self.properties if item.forces)
        return forcing or tuple(PropertyChange(key, "update", forces=True) for key in self.keys)


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
    def what(self) -> str:
        """The type, or what the types have in common."""
        if len(self.types) == 1:
            return self.types[0]
        return "components" if self.of_components else f"resources of {len(self.types)} types"

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


def changes_of(report: Report) -> list[Change]:
    """Everything that changes, drift apart, the root stack left out.

    The gravest first, then by type and name: engines work on many at once, and two runs of one change should read the same.
    """
    gone_with = _gone_with(report)
    apart = {id(step) for (_, op), step in report.steps.items() if op == "refresh"}
    old_first = old_goes_first(report)
    found = [
        change_of(
            _with_reasons(step, report),
            old_goes_first=step.urn in old_first,
            goes_with=_goes_with(step, old_first),
            component=gone_with.get(step.urn, ""),
        )
        for step in report.changed
        if id(step) not in apart and step.type != STACK_TYPE
    ]
    return in_order(found)


def old_goes_first(report: Report) -> frozenset[str]:
    """URNs of the replacements of which the old object is deleted before the new one exists."""
    order = {key: at for at, key in enumerate(report.steps)}
    return frozenset(
        urn
        for urn, op in report.steps
        if op == LOGICAL_REPLACE
        and order.get((urn, "delete-replaced"), len(order)) < order.get((urn, "create-replacement"), -1)
    )


def _with_reasons(step: Step, report: Report) -> Step:
    """Of what goes with a replacement, engines say only in its creation which property is the reason."""
    created = report.steps.get((step.urn, "create-replacement"))
    return replace(step, keys=created.keys) if step.op == LOGICAL_REPLACE and not step.keys and created else step


def _goes_with(step: Step, old_first: frozenset[str]) -> str:
    if step.urn not in old_first or step.keys or step.old is None:
        return ""
    return next((name_of(urn) for urn in sorted(Resource.of(step.old).needs & old_first)), "")


def in_order(changes: Iterable[Change]) -> list[Change]:
    """The gravest first, then by type and name."""
    rank = {op: at for at, op in enumerate(_GRAVEST_FIRST)}
    return sorted(changes, key=lambda change: (rank.get(change.op, len(rank)), change.type, change.name))


def change_of(step: Step, *, old_goes_first: bool = False, goes_with: str = "", component: str = "") -> Change:
    """One step."""
    old, new = step.old or {}, step.new or {}
    inputs: tuple[PropertyChange, ...] = ()
    if step.op in {"create", "import"}:
        inputs = tuple(sorted(leaves((), None, _told(new.get("inputs"))), key=telling))
    return Change(
        op=step.op,
        urn=step.urn,
        type=step.type,
        name=step.name,
        id=str(old.get("id") or ""),
        custom=bool((new or old).get("custom")),
        failed=step.status == "failed",
        keys=step.keys,
        properties=differences(step),
        inputs=inputs,
        old_goes_first=old_goes_first,
        goes_with=goes_with,
        component=component,
        stays=bool(old.get("retainOnDelete")),
        data=_data(step, old),
    )


def _told(value: Any) -> Any:
    """What the program gave: without what providers and their SDKs note for themselves, at every depth."""
    if isinstance(value, Mapping):
        given = cast("Mapping[str, Any]", value)
        return {key: _told(each) for key, each in given.items() if key not in NOTED and not key.startswith("__")}
    return [_told(each) for each in cast("list[Any]", value)] if isinstance(value, list) else value


def telling(item: PropertyChange) -> int:
    """What is read for first, first: a diff of many lines is cut."""
    return next((at for at, key in enumerate(_TELLING) if key.search(item.path)), len(_TELLING))


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
    return sorted(found, key=lambda change: (not change.data, _weight(change), change.op != LOGICAL_REPLACE))


def differences(step: Step) -> tuple[PropertyChange, ...]:
    """The leaves that an update or a replacement changes; none of other steps. What providers note once more is left out where it is not all."""
    found = tuple(_differences(step)) if step.op in {"update", LOGICAL_REPLACE, "create-replacement"} else ()
    return tuple(item for item in found if not is_noted(item.path) or item.forces) or found


def is_noted(path: str) -> bool:
    """Whether a provider writes this itself, of what the program gives elsewhere."""
    return re.split(r"[.\[]", path, maxsplit=1)[0] in NOTED


def diff_lines(changes: Sequence[PropertyChange], most: int) -> Iterator[tuple[Mark, str]]:
    """The lines of a diff, each after its mark: `-` before, `+` after, `!` changed unseen, `#` a remark."""
    for item in changes[:most]:
        forced = "  # forces replacement" if item.forces else ""
        if item.kind == "update" and item.before == item.after:
            yield "!", f"{item.path}: {item.after}{forced}"
            continue
        if item.kind != "add":
            yield "-", f"{item.path}: {item.before}{forced}"
        if item.kind != "delete":
            yield "+", f"{item.path}: {item.after}{forced if item.kind == 'add' else ''}"
    if len(changes) > most:
        yield "#", f"and {len(changes) - most} more properties"


def leaves(
    path: Path, before: Any, after: Any, *, forces: bool = False, told: Kind | None = None, depth: int = 0
) -> Iterator[PropertyChange]:
    """The leaves in which two values differ; JSON inside a text is looked into, as in a policy document.

    `told` is the kind that the provider gave: where both values look equal to us, as two secrets do, it is still told.
    """
    before, after = _opened(before), _opened(after)
    if not path and not before and not after:
        return
    if before == after:
        if told is not None:
            yield PropertyChange(paths.to_text(path), told, show_value(before), show_value(after), forces)
        return
    if depth < _MAX_JSON_DEPTH and (before or after):
        if isinstance(before, Mapping | None) and isinstance(after, Mapping | None):
            old, new = _mapping(before), _mapping(after)
            for key in dict.fromkeys([*old, *new]):
                if old.get(key) != new.get(key):
                    yield from leaves((*path, key), old.get(key), new.get(key), forces=forces, depth=depth + 1)
            return
        if isinstance(before, list | None) and isinstance(after, list | None):
            items, others = _list(before), _list(after)
            if not _is_plain(items, others):
                for at in range(max(len(items), len(others))):
                    a = items[at] if at < len(items) else None
                    b = others[at] if at < len(others) else None
                    if a != b:
                        yield from leaves((*path, at), a, b, forces=forces, depth=depth + 1)
                return
    yield PropertyChange(
        paths.to_text(path),
        "add" if before is None else "delete" if after is None else "update",
        "" if before is None else show_value(before),
        "" if after is None else show_value(after),
        forces,
    )


def _data(step: Step, old: Mapping[str, Any]) -> str:
    lost, allowed_by = _DATA.get(step.type, ("", ""))
    inputs = mapping(old.get("inputs"))
    claims_what_is_there = at(inputs, "spec", "storageClassName") == "" or at(inputs, "spec", "volumeName")
    if not lost or step.op not in {"delete", LOGICAL_REPLACE} or old.get("retainOnDelete") or claims_what_is_there:
        return ""
    if allowed_by and not inputs.get(allowed_by):
        return f"{lost}, of which there must be none: {allowed_by} is not set, and the cloud refuses"
    return lost


def _gone_with(report: Report) -> dict[str, str]:
    """For each deletion the outermost deleted component above it, as `Type name`."""
    deleted = {step.urn: step for step in report.steps.values() if step.op in {"delete", "discard"}}
    found: dict[str, str] = {}
    for urn, step in deleted.items():
        for above in upwards(step.parent, lambda each: deleted[each].parent if each in deleted else ""):
            if above in deleted and not deleted[above].is_custom:
                found[urn] = deleted[above].component_name
    return found


def _weight(change: Change) -> int:
    return next((at for at, part in enumerate(_WEIGHTY) if change.type.endswith(part)), len(_WEIGHTY))


def _group_key(change: Change) -> tuple[Any, ...]:
    if change.op in {"update", LOGICAL_REPLACE} and change.properties:
        same = tuple(_without_name(item, change.name) for item in change.properties)
        return change.op, change.failed, change.old_goes_first, same
    return change.op, change.failed, change.type if change.custom else ""


def _without_name(item: PropertyChange, name: str) -> PropertyChange:
    return replace(item, before=item.before.replace(name, "<name>"), after=item.after.replace(name, "<name>"))


def _differences(step: Step) -> Iterator[PropertyChange]:
    old, new = step.old or {}, step.new or {}
    inputs = old.get("inputs") or {}, new.get("inputs") or {}
    outputs = old.get("outputs") or {}, new.get("outputs") or {}
    if step.detailed_diff:
        for text, diff in step.detailed_diff.items():
            path = _path(text)
            kind = str(diff.get("diffKind", diff.get("kind", "update")))
            forces = kind.endswith("replace")
            first, second = (inputs, outputs) if diff.get("inputDiff") else (outputs, inputs)
            before = paths.value_at(first[0], path)
            before = paths.value_at(second[0], path) if before is None else before
            after = paths.value_at(inputs[1], path)
            after = paths.value_at(outputs[1], path) if after is None else after
            if kind.startswith("add"):
                yield from leaves(path, None, after, forces=forces, told="add")
            elif kind.startswith("delete"):
                yield from leaves(path, before, None, forces=forces, told="delete")
            else:
                yield from leaves(path, before, after, forces=forces, told="update")
        return
    named = step.diffs or step.keys
    for text in named or tuple(dict.fromkeys([*inputs[0], *inputs[1]])):
        path = _path(text)
        forces = text in step.keys
        before, after = paths.value_at(inputs[0], path), paths.value_at(inputs[1], path)
        yield from leaves(path, before, after, forces=forces, told="update" if named else None)


def _path(text: str) -> Path:
    """A path as the engine wrote it; what is none stands as one key."""
    try:
        return paths.parse(text)
    except ValueError:
        return (text,)


def _opened(value: Any) -> Any:
    """A JSON object or list written as text, read."""
    if isinstance(value, str) and value[:1] in {"{", "["}:
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value


def _mapping(value: Any) -> Mapping[str, Any]:
    return cast("Mapping[str, Any]", value or {})


def _list(value: Any) -> list[Any]:
    return cast("list[Any]", value or [])


def _is_plain(*lists: Sequence[Any]) -> bool:
    """Short lists of plain values read better whole."""
    items = [item for each in lists for item in each]
    return all(not isinstance(item, Mapping | list) for item in items) and len(show_value(items)) < MAX_VALUE_CHARACTERS
