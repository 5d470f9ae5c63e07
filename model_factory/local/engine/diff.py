"""What differs between two states of a resource: a provider's answer, and the engine's own comparison of values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from model_factory.graph import paths
from model_factory.local.wire import UNKNOWN, Asset, Output, Secret, Unknown, Value

INIT_ERROR_KEY: Final = "#initerror"


class Kind(StrEnum):
    """How one property differs; a `-replace` kind calls for a new resource."""

    ADD = "add"
    ADD_REPLACE = "add-replace"
    DELETE = "delete"
    DELETE_REPLACE = "delete-replace"
    UPDATE = "update"
    UPDATE_REPLACE = "update-replace"

    @property
    def replaces(self) -> bool:
        return self.value.endswith("-replace")

    def as_replace(self) -> Kind:
        return self if self.replaces else Kind(f"{self.value}-replace")

    def inverted(self) -> Kind:
        return _INVERTED[self]


_INVERTED: Final = {
    Kind.ADD: Kind.DELETE,
    Kind.ADD_REPLACE: Kind.DELETE_REPLACE,
    Kind.DELETE: Kind.ADD,
    Kind.DELETE_REPLACE: Kind.ADD_REPLACE,
    Kind.UPDATE: Kind.UPDATE,
    Kind.UPDATE_REPLACE: Kind.UPDATE_REPLACE,
}


@dataclass(frozen=True, slots=True)
class PropertyDiff:
    kind: Kind
    input_diff: bool = False


@dataclass(frozen=True, slots=True)
class Diff:
    """A provider's answer. `changed` None: the provider does not know, the engine compares the inputs itself.

    `detailed` None: the provider has no details (an empty mapping: it has, and there are none).
    """

    changed: bool | None
    replace_keys: tuple[str, ...] = ()
    changed_keys: tuple[str, ...] = ()
    detailed: Mapping[str, PropertyDiff] | None = None
    delete_before_replace: bool = False

    @property
    def replaces(self) -> bool:
        return bool(self.replace_keys) or any(item.kind.replaces for item in (self.detailed or {}).values())

    def inverted(self) -> Diff:
        """The diff that undoes this one: refresh asks the provider in the opposite direction."""
        if self.detailed is None:
            return self
        detailed = {key: replace(item, kind=item.kind.inverted()) for key, item in self.detailed.items()}
        return replace(self, detailed=detailed)


NO_CHANGE: Final = Diff(changed=False)


def bare(value: Value) -> Value:
    """The value without secret and output marks at every depth, so that only content is compared."""
    if isinstance(value, (Secret, Output)):
        return bare(value.value)
    if isinstance(value, dict):
        return {key: bare(item) for key, item in value.items()}
    if isinstance(value, list):
        return [bare(item) for item in value]
    return value


def same(a: Value, b: Value) -> bool:
    """Deep equality as Pulumi's: marks count, True is not 1, an unknown equals only an unknown."""
    if a is b:
        return True
    if isinstance(a, dict):
        return isinstance(b, dict) and a.keys() == b.keys() and all(same(item, b[key]) for key, item in a.items())
    if isinstance(a, list):
        return isinstance(b, list) and len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, Secret):
        return isinstance(b, Secret) and same(a.value, b.value)
    if isinstance(a, Asset) and isinstance(b, Asset) and a.fields.get("hash"):
        return a.signature == b.signature and a.fields["hash"] == b.fields.get("hash")
    if isinstance(a, bool) or isinstance(b, bool):
        return a is b
    return a == b


def compare(olds: Mapping[str, Value], news: Mapping[str, Value]) -> Diff:
    """The difference of two sets of inputs, marks aside, as Pulumi computes it where a provider cannot."""
    detailed: dict[str, PropertyDiff] = {}
    _compare(dict(olds), dict(news), (), detailed)
    if not detailed:
        return NO_CHANGE
    keys = dict.fromkeys(str(paths.parse(text)[0]) for text in detailed)
    return Diff(changed=True, changed_keys=tuple(keys), detailed=detailed)


def _compare(old: Value, new: Value, path: paths.Path, found: dict[str, PropertyDiff]) -> None:
    old, new = bare(old) if not path else old, bare(new) if not path else new
    if isinstance(old, dict) and isinstance(new, dict):
        for key in old.keys() | new.keys():
            below = (*path, key)
            _compare(old.get(key), new.get(key), below, found)
    elif isinstance(old, list) and isinstance(new, list):
        for index in range(max(len(old), len(new))):
            below = (*path, index)
            if index >= len(new):
                found[paths.to_text(below)] = PropertyDiff(Kind.DELETE, input_diff=True)
            elif index >= len(old):
                found[paths.to_text(below)] = PropertyDiff(Kind.ADD, input_diff=True)
            else:
                _compare(old[index], new[index], below, found)
    elif isinstance(old, Unknown) or isinstance(new, Unknown) or not same(old, new):
        kind = Kind.ADD if old is None else Kind.DELETE if new is None else Kind.UPDATE
        found[paths.to_text(path)] = PropertyDiff(kind, input_diff=True)


def apply_replace_on_changes(diff: Diff, replace_on_changes: Iterable[str], *, has_init_errors: bool) -> Diff:
    """The diff with the changes below these paths made replacements. Raises ValueError for a text that is no path."""
    outer = [paths.parse(text) for text in replace_on_changes]
    if not outer or (not diff.changed and not has_init_errors):
        return diff
    detailed = diff.detailed
    if detailed is not None:
        detailed = {
            text: replace(item, kind=item.kind.as_replace()) if _covered(outer, text) else item
            for text, item in detailed.items()
        }
    keys = dict.fromkeys(diff.replace_keys)
    keys.update(dict.fromkeys(key for key in diff.changed_keys if _covered(outer, key)))
    changed = diff.changed
    if has_init_errors and _covered(outer, INIT_ERROR_KEY):
        keys[INIT_ERROR_KEY] = None
        changed = True
        if detailed is not None:
            detailed[INIT_ERROR_KEY] = PropertyDiff(Kind.UPDATE_REPLACE)
    return replace(diff, changed=changed, replace_keys=tuple(keys), detailed=detailed)


def _covered(outer: Iterable[paths.Path], text: str) -> bool:
    try:
        inner = paths.parse(text)
    except ValueError:
        return False
    return any(paths.contains(path, inner) for path in outer)


def with_unknown(inputs: Mapping[str, Value], keys: Iterable[str]) -> dict[str, Value]:
    """The inputs with the values of these keys unknown: what they may become when a dependency is replaced."""
    return {**inputs, **dict.fromkeys(keys, UNKNOWN)}
