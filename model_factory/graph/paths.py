"""Property paths such as `tags["a.b"]`, `rules[0].port` and `rules[*].port`, as resource options, diffs and failures name them.

A parsed path is a tuple of keys (str), indexes (int) and the wildcard "*". Grammar and meaning follow Pulumi's
(pulumi/pulumi, sdk/go/common/resource/properties_path.go); beyond it a backslash in a quoted key is written as two, so that every
path reads back as it was written.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, Final, TypeAlias

Path: TypeAlias = tuple[str | int, ...]

WILDCARD: Final = "*"
_TOKEN: Final = re.compile(r'\.?\["((?:[^"\\]|\\.)*)"\]|\.?\[(\*|\d+)\]|\.?([^.\[]+)', re.DOTALL)
_ESCAPE: Final = re.compile(r'\\(["\\])')
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
                f"{text!r} is not a property path: cannot read it from character {position + 1}; "
                'a path reads name.name, name[0], name[*] or name["a.b"]'
            )
        quoted, index, name = match.groups()
        if quoted is not None:
            elements.append(_ESCAPE.sub(r"\1", quoted))
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
            escaped = element.replace("\\", "\\\\").replace('"', '\\"')
            parts.append(f'["{escaped}"]')
    return "".join(parts)


def contains(outer: Path, inner: Path) -> bool:
    """Whether `inner` is `outer` or lies below it; a wildcard in `outer` stands for any one key or index."""
    return len(inner) >= len(outer) and matches(inner[: len(outer)], outer)


def matches(path: Path, pattern: Path) -> bool:
    """Whether the path is the pattern, in which a wildcard stands for any one key or index."""
    return len(path) == len(pattern) and all(want in (WILDCARD, have) for have, want in zip(path, pattern, strict=True))


def value_at(properties: Any, path: Path) -> Any:
    """The value at a path without wildcards; None where there is none."""
    value = properties
    for key in path:
        if isinstance(key, str):
            value = value.get(key) if isinstance(value, Mapping) else None
        else:
            value = value[key] if isinstance(value, list | tuple) and key < len(value) else None
    return value
