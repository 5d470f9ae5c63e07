"""The difference of two sets of inputs, with what it does to the resource. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from model_factory.graph.paths import Path, matches, parse, to_text
from model_factory.local.providers.rules import Rules
from model_factory.local.providers.values import DEFAULTS_KEY, plain_properties
from model_factory.local.wire import Properties, Unknown, Value, is_unknown, reveal

Kind = Literal["add", "delete", "update"]


@dataclass(frozen=True, slots=True)
class Change:
    """One changed path, with both values (None where absent)."""

    path: Path
    kind: Kind
    replaces: bool
    old: Value = None
    new: Value = None

    @property
    def text(self) -> str:
        """The path as Pulumi writes it."""
        return to_text(self.path)

    @property
    def property(self) -> str:
        """The top-level property that changed."""
        return str(self.path[0])

    def is_within(self, paths: Iterable[str]) -> bool:
        """Whether it lies at one of these paths or below it."""
        return any(self.text == path or self.text.startswith((f"{path}.", f"{path}[")) for path in paths)


def diff(olds: Mapping[str, Value], news: Mapping[str, Value], rules: Rules) -> list[Change]:
    """All changes from old to new inputs. Internal keys, nulls and secret marks do not count."""
    old_plain, new_plain = plain_properties(_revealed(olds)), plain_properties(_revealed(news))
    return list(_changes((), old_plain, new_plain, rules))


def user_set(inputs: Mapping[str, Value], key: str) -> bool:
    """Whether the program gave this input itself, rather than a default or an auto-name."""
    defaults = inputs.get(DEFAULTS_KEY)
    return inputs.get(key) is not None and not (isinstance(defaults, list) and key in defaults)


def is_same(path: Path, old: Value, new: Value, rules: Rules) -> bool:
    """Whether two values of a path mean the same: equal, equal as sets where the cloud keeps a set, or equivalent."""
    if type(old) is type(new) and old == new:
        return True
    if is_unknown(old) or is_unknown(new):
        return False
    if (
        isinstance(old, (int, float))
        and isinstance(new, (int, float))
        and not isinstance(old, bool) | isinstance(new, bool)
    ):
        return old == new
    for pattern, equivalent in rules.equivalent.items():
        if matches(path, parse(pattern)):
            return equivalent(old, new)
    if isinstance(old, list) and isinstance(new, list) and any(matches(path, parse(p)) for p in rules.unordered):
        return sorted(old, key=repr) == sorted(new, key=repr)
    return False


def _revealed(properties: Mapping[str, Value]) -> Properties:
    return {key: reveal(value) for key, value in properties.items()}


def _changes(path: Path, old: Value, new: Value, rules: Rules) -> Iterator[Change]:
    if is_same(path, old, new, rules):
        return
    if isinstance(old, dict) and isinstance(new, dict):
        for key in [*old, *(key for key in new if key not in old)]:
            yield from _changes((*path, key), old.get(key), new.get(key), rules)
    elif isinstance(old, list) and isinstance(new, list):
        for index in range(max(len(old), len(new))):
            old_item = old[index] if index < len(old) else None
            new_item = new[index] if index < len(new) else None
            yield from _changes((*path, index), old_item, new_item, rules)
    elif new is None:
        if not _listed(path, rules.computed):
            yield Change(path, "delete", _replaces(path, old, rules), old, new)
    elif old is None:
        yield Change(path, "add", _replaces(path, new, rules), old, new)
    else:
        yield Change(path, "update", _replaces(path, new if isinstance(old, Unknown) else old, rules), old, new)


def _listed(path: Path, patterns: tuple[str, ...] | frozenset[str]) -> bool:
    return any(matches(path, parse(pattern)) for pattern in patterns)


def _replaces(path: Path, value: Value, rules: Rules) -> bool:
    """Whether a change at this path replaces; for a whole block that comes or goes, whether any leaf of it does."""
    patterns = rules.replace_on_changes
    if _listed(path, patterns):
        return True
    # An item of a listed list, set or map replaces with it; a property of a listed block does not.
    collection_item = len(path) > 1 and (isinstance(path[-1], int) or not isinstance(value, (dict, list)))
    if collection_item and _listed(path[:-1], patterns) and not _is_block(path[:-1], patterns):
        return True
    if isinstance(value, dict):
        return any(_replaces((*path, key), item, rules) for key, item in value.items())
    if isinstance(value, list):
        return any(_replaces((*path, index), item, rules) for index, item in enumerate(value))
    return False


def _is_block(path: Path, patterns: frozenset[str]) -> bool:
    """A listed path with listed paths below it is a block, whose own properties speak for themselves."""
    return any(len(parsed) > len(path) and matches(path, parsed[: len(path)]) for parsed in map(parse, patterns))
