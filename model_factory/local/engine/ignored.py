"""Takes the values at ignored paths back from what was before, as `ignore_changes` asks. Works on values with the engine's marks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from model_factory.graph.paths import WILDCARD, Path, parse
from model_factory.local.wire import Properties, Secret, Value


def reset(news: Mapping[str, Value], olds: Mapping[str, Value], ignored: Iterable[str]) -> tuple[Properties, list[str]]:
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
    fresh, done = (_reset(new[index], old[index], rest, hidden)) if rest else (_hide(old[index], hidden), True)
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
