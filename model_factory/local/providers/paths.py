"""Property paths as Pulumi writes them: `tags["a.b"]`, `subnetIds[0]`; `*` for any index or key."""

from __future__ import annotations

import re
from functools import cache
from typing import Final

Segment = str | int
_PLAIN: Final = re.compile(r"[A-Za-z_$][A-Za-z0-9_$-]*")
_TOKEN: Final = re.compile(
    r'\.?(?P<name>[^.\[\]"]+)|\[(?P<index>\d+)\]|\[(?P<star>\*)\]|\["(?P<quoted>(?:[^"\\]|\\.)*)"\]'
)


@cache
def parse(path: str) -> tuple[Segment, ...]:
    """The segments of a path. ValueError where the text is no path."""
    segments: list[Segment] = []
    position = 0
    while position < len(path):
        match = _TOKEN.match(path, position)
        if match is None:
            raise ValueError(f"{path!r} is not a property path: cannot read it from character {position + 1}")
        if match["index"] is not None:
            segments.append(int(match["index"]))
        elif match["quoted"] is not None:
            segments.append(re.sub(r"\\(.)", r"\1", match["quoted"]))
        else:
            segments.append(match["name"] or match["star"])
        position = match.end()
    return tuple(segments)


def join(segments: tuple[Segment, ...]) -> str:
    """The path as text; keys that are no plain name are quoted."""
    text = ""
    for segment in segments:
        if isinstance(segment, int) or segment == "*":
            text += f"[{segment}]"
        elif _PLAIN.fullmatch(segment):
            text += f".{segment}" if text else segment
        else:
            escaped = segment.replace("\\", "\\\\").replace('"', '\\"')
            text += f'["{escaped}"]'
    return text


def matches(path: tuple[Segment, ...], pattern: tuple[Segment, ...]) -> bool:
    """Whether the path is the pattern, `*` standing for one index or key."""
    return len(path) == len(pattern) and all(
        want in ("*", have) for have, want in zip(path, pattern, strict=True)
    )
