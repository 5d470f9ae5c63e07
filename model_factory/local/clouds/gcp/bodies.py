"""Pure helpers over resource bodies: times, digests, links between resources, patches, masks, list filters."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Final

from model_factory.local.clouds.gcp import errors
from model_factory.local.discovery import Json, snake_to_camel

HIDDEN: Final = "_"
"""Fields of a stored body that begin with this are the emulation's own and never leave it."""

Body = dict[str, Json]
_COMPUTE_LINK: Final = re.compile(
    r"(?:https?://[^/]+/)?(?:compute/(?:v1|beta)/)?"
    r"(projects/[^/]+/(?:global|regions/[^/]+|zones/[^/]+)/[a-zA-Z]+/[^/]+)"
)


def timestamp(seconds: float) -> str:
    """RFC 3339, UTC, milliseconds."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def digest(value: Json) -> str:
    """A short base64 digest, as etags and fingerprints are."""
    raw = hashlib.sha256(json.dumps(value, sort_keys=True).encode()).digest()
    return base64.b64encode(raw[:9]).decode()


def numeric_id(*parts: str) -> str:
    """A 19-digit number from a name and a time."""
    return str(10**18 + int(hashlib.sha256("\0".join(parts).encode()).hexdigest()[:15], 16))


def visible(body: Mapping[str, Json]) -> Body:
    return {key: value for key, value in body.items() if not key.startswith(HIDDEN)}


def links(value: Json) -> Iterable[str]:
    """The keys of the compute resources a body names, by link or by relative name."""
    if isinstance(value, str):
        match = _COMPUTE_LINK.fullmatch(value)
        if match:
            yield f"compute/{match.group(1)}"
    elif isinstance(value, dict):
        for key, item in value.items():
            if key not in ("selfLink", "selfLinkWithId", "region", "zone"):
                yield from links(item)
    elif isinstance(value, list):
        for item in value:
            yield from links(item)


def merge_patch(old: Json, change: Json) -> Json:
    """RFC 7386: objects merge, null removes, the rest replaces."""
    if not isinstance(change, dict):
        return change
    result: Body = dict(old) if isinstance(old, dict) else {}
    for key, value in change.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merge_patch(result.get(key), value)
    return result


def apply_mask(old: Body, new: Body, mask: str | None, fields: Iterable[str]) -> Body:
    """`old` with the masked fields taken from `new`; a masked field that `new` lacks is cleared. No mask: all of `new`."""
    paths = [p.strip() for p in mask.split(",") if p.strip()] if mask else list(new)
    known = set(fields)
    result = json.loads(json.dumps(old))
    for path in paths:
        steps = [snake_to_camel(step) for step in path.split(".")]
        if steps[0] == "*":
            return {**old, **new}
        if steps[0] not in known:
            raise errors.invalid(f"Invalid field mask: there is no field '{path}'")
        source: Json = new
        target: Body = result
        for step in steps[:-1]:
            source = source.get(step) if isinstance(source, dict) else None
            target = target.setdefault(step, {})
        if isinstance(source, dict) and steps[-1] in source:
            target[steps[-1]] = source[steps[-1]]
        else:
            target.pop(steps[-1], None)
    return result


_TERM: Final = re.compile(r"""\(?\s*([\w.]+)\s*(=|!=|:|\beq\b|\bne\b)\s*("[^"]*"|[^\s()]+)\s*\)?""")


def matches(item: Body, expression: str) -> bool:
    """Google's list filter, as far as `field = value`, `!=`, `:` and their conjunctions go. Raises ApiError for the rest."""
    rest = expression.strip()
    while rest:
        term = _TERM.match(rest)
        if term is None:
            raise errors.not_implemented(
                f"the list filter {expression!r}: it takes field=value, field!=value, field:value, AND"
            )
        path, operator, wanted = term.group(1), term.group(2), term.group(3).strip('"')
        actual: Json = item
        for step in path.split("."):
            actual = actual.get(step) if isinstance(actual, dict) else None
        text = json.dumps(actual) if isinstance(actual, bool) else "" if actual is None else str(actual)
        if operator == ":":
            holds = actual is not None if wanted == "*" else wanted in text
        elif operator == "eq":
            holds = re.fullmatch(wanted, text) is not None
        elif operator == "ne":
            holds = re.fullmatch(wanted, text) is None
        else:
            holds = (_glob(wanted, text)) == (operator == "=")
        if not holds:
            return False
        rest = re.sub(r"^\s*(AND\b)?\s*", "", rest[term.end() :])
    return True


def _glob(pattern: str, text: str) -> bool:
    return re.fullmatch(re.escape(pattern).replace(r"\*", ".*"), text) is not None


def not_found_message(key: str) -> str:
    service, _, name = key.partition("/")
    if service == "compute":
        return f"The resource '{name}' was not found"
    if service == "container":
        return f"Not found: {name}."
    return f"Resource '{name}' was not found"
