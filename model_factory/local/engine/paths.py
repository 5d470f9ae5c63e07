"""Property paths such as `tags["a.b"]`, `rules[0].port` and `rules[*].port`, as resource options and diffs name them.

A parsed path is a tuple of keys (str), indexes (int) and the wildcard "*". Grammar and meaning follow Pulumi's
(pulumi/pulumi, sdk/go/common/resource/properties_path.go).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Final, TypeAlias

from model_factory.local.wire import Properties, Secret, Value

Path: TypeAlias = tuple[str | int, ...]

WILDCARD: Final = "*"
_TOKEN: Final = re.compile(r'\.?\["((?:[^"\\]|\\.)*)"\]|\.?\[(\*|\d+)\]|\.?([^.\[]+)')
_PLAIN_KEY: Final = re.compile(r"[A-Za-z0-9_]+")


@lru_cache(maxsize=4096)
def parse(text: str) -> Path:
    """The path a text stands for. Raises ValueError for text that is no path."""
    elements: list[str | int] = []
    position = 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None or (position == 0 and text.startswith(".")):
            raise ValueError(
                f'{text!r} is not a property path; a path reads name.name, name[0], name[*] or name["a.b"]'
            )
        quoted, index, name = match.groups()
        if quoted is not None:
            elements.append(quoted.replace('\\"', '"'))
        elif index is not None:
            elements.append(WILDCARD if index == WILDCARD else int(index))
        else:
            elements.append(name)
        position = match.end()
    return tuple(elements)


def to_text(path: Iterable[str | int]) -> str:
    """The text of a path, as a detailed diff spells it."""
    parts: list[str] = []
    for element in path:
        if isinstance(element, int):
            parts.append(f"[{element}]")
        elif _PLAIN_KEY.fullmatch(element):
            parts.append(f".{element}" if parts else element)
        else:
            escaped = element.replace('"', '\\"')
            parts.append(f'["{escaped}"]')
    return "".join(parts)


def contains(outer: Path, inner: Path) -> bool:
    """Whether `inner` is `outer` or lies below it; a wildcard stands for any one key or index."""
    return len(inner) >= len(outer) and all(a in (WILDCARD, b) for a, b in zip(outer, inner, strict=False))


def reset(
    news: Mapping[str, Value], olds: Mapping[str, Value], ignored: Iterable[str]
) -> tuple[Properties, list[str]]:
    """`news` with the values at the ignored paths taken back from `olds`, and the paths where that is impossible.

    Impossible are paths through parts that were added or removed. The arguments are left as they are. A value that was
    below a secret stays secret.
    """
    result: Properties = dict(news)
    impossible: list[str] = []
    for text in ignored:
        try:
            path = parse(text)
        except ValueError:
            continue
        fresh, done = _reset(result, dict(olds), path, False)
        if isinstance(fresh, dict):
            result = fresh
        if not done:
            impossible.append(text)
    return result, impossible


def _reset(new: Value, old: Value, path: Path, hidden: bool) -> tuple[Value, bool]:
    """A copy of `new` with the value at `path` from `old`, and whether the path led there in both."""
    if isinstance(new, Secret):
        inner, done = _reset(new.value, old.value if isinstance(old, Secret) else old, path, False)
        return Secret(inner), done
    if isinstance(old, Secret):
        return _reset(new, old.value, path, True)
    key, rest = path[0], path[1:]
    if key == WILDCARD:
        return _reset_each(new, old, rest, hidden)
    if isinstance(key, int):
        return _reset_index(new, old, key, rest, hidden)
    return _reset_key(new, old, key, rest, hidden)


def _reset_key(new: Value, old: Value, key: str, rest: Path, hidden: bool) -> tuple[Value, bool]:
    if not isinstance(new, dict):
        return new, not (isinstance(old, dict) and key in old)
    if not rest:
        copy = {name: value for name, value in new.items() if name != key}
        if isinstance(old, dict) and key in old:
            copy[key] = _hide(old[key], hidden)
        return copy, True
    if not isinstance(old, dict):
        return new, False
    if key not in new:
        return new, key not in old
    fresh, done = _reset(new[key], old.get(key), rest, hidden)
    return {**new, key: fresh}, done


def _reset_index(new: Value, old: Value, index: int, rest: Path, hidden: bool) -> tuple[Value, bool]:
    if not isinstance(new, list) or not isinstance(old, list):
        return new, not isinstance(new, list) and not isinstance(old, list)
    if index >= len(new) or index >= len(old):
        return new, index >= len(new) and index >= len(old)
    fresh, done = (
        (_reset(new[index], old[index], rest, hidden)) if rest else (_hide(old[index], hidden), True)
    )
    return [*new[:index], fresh, *new[index + 1 :]], done


def _reset_each(new: Value, old: Value, rest: Path, hidden: bool) -> tuple[Value, bool]:
    if isinstance(new, dict) and isinstance(old, dict):
        if not rest:
            return {key: _hide(value, hidden) for key, value in old.items()}, True
        copy = dict(new)
        done = True
        for key, value in old.items():
            if key not in new:
                done = False
                continue
            copy[key], one = _reset(new[key], value, rest, hidden)
            done = done and one
        return copy, done
    if isinstance(new, list) and isinstance(old, list):
        items = list(new)
        done = len(new) == len(old)
        for index in range(min(len(new), len(old))):
            if rest:
                items[index], one = _reset(new[index], old[index], rest, hidden)
                done = done and one
            else:
                items[index] = _hide(old[index], hidden)
        return items, done
    return new, False


def _hide(value: Value, hidden: bool) -> Value:
    return Secret(value) if hidden and not isinstance(value, Secret) else value
