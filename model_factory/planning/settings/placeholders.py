"""Values of a stack file that stand for somebody's own: an example's project, ranges and names for documentation, made-up digests.

Nothing here is a mistake of form: the file is valid, local clouds take it, and a real account would fail late or, for a range, let strangers in.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from ipaddress import ip_network
from typing import Final, cast

from model_factory.planning.settings.problems import shown
from model_factory.planning.settings.stackfile import StackFile
from model_factory.planning.settings.yamlfile import KeyPath

# RFC 5737, RFC 3849, RFC 9637.
_DOCUMENTATION: Final = tuple(
    map(ip_network, ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32", "3fff::/20"))
)
_IMAGE: Final = re.compile(r"(?P<text>.+)@sha256:(?P<digest>[0-9a-f]{64})")
_NOTHING: Final = sha256(b"").hexdigest()
_PERIOD: Final = 16
_SHOWN: Final = 7
_IS_CREDENTIAL: Final = re.compile(r"(access_?key|secret_?key|token|credentials)$", re.IGNORECASE)
_CREDENTIAL: Final = re.compile(
    r"test|mock|mock_.*|fake|dummy|example|AKIAIOSFODNN7EXAMPLE|.*EXAMPLEKEY", re.IGNORECASE
)
_PROJECT: Final = re.compile(r"(example|your)-.*|my-(gcp-)?project(-.*)?|project-id")
_SIGNS: Final = (
    (
        re.compile(r"(?<![0-9])(123456789012|111122223333|444455556666|012345678901|([01])\2{11})(?![0-9])"),
        "an account of AWS's documentation",
        "write your account's number",
    ),
    (re.compile(r"-0?1234567890?abcdef0$"), "an id of AWS's documentation", "write the id of your own"),
    # RFC 2606.
    (
        re.compile(r"(^|[/.@])example\.(com|org|net)(?=[:/]|$)|\.(example|invalid|test)(?=[:/]|$)"),
        "a host for documentation (RFC 2606)",
        "write your own host",
    ),
    (re.compile(r"<[A-Za-z][\w -]*>|\b(TODO|FIXME|XXXX*)\b|change-?me|placeholder", re.IGNORECASE), "to be filled in", "write your own"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Placeholder:
    """One value that stands for another. `place` is file, line and key; `value` the part that gives it away."""

    place: str
    value: str
    stands_for: str
    remedy: str


def placeholders(file: StackFile) -> list[Placeholder]:
    """All of a stack file, in its order; secrets are not looked into."""
    return [
        Placeholder(f"{file.name}:{file.line(path)}: {shown(path)}", *found)
        for path, value in _texts((), file.config)
        if (found := _sign(path, value)) is not None
    ]


def _texts(path: KeyPath, value: object) -> Iterator[tuple[KeyPath, str]]:
    if isinstance(value, Mapping):
        for key, each in cast("Mapping[str, object]", value).items():
            yield from _texts((*path, key), each)
    elif isinstance(value, list):
        for number, each in enumerate(cast("list[object]", value)):
            yield from _texts((*path, number), each)
    elif isinstance(value, str):
        yield path, value


def _sign(path: KeyPath, value: str) -> tuple[str, str, str] | None:
    """The part that stands for something else, what it is, and the remedy. Of a credential nothing is told but what is none."""
    key = str(path[-1])
    if _IS_CREDENTIAL.search(key):
        remedy = "take it out; real ones come from the environment"
        return (value, "a credential that is none", remedy) if _CREDENTIAL.fullmatch(value) else None
    if key == "gcp:project" and _PROJECT.fullmatch(value):
        return value, "an example's project", "write the id of your own"
    if _is_documentation(value):
        return value, "a range for documentation", "write the ranges of your offices and runners"
    if (image := _IMAGE.search(value)) and _is_made_up(image["text"], image["digest"]):
        remedy = "`docker buildx imagetools inspect IMAGE` prints that of your image"
        return f"sha256:{image['digest'][:_SHOWN]}… of {image['text']}", "a made-up digest", remedy
    matches = ((sign.search(value), stands_for, remedy) for sign, stands_for, remedy in _SIGNS)
    return next(((found[0], stands_for, remedy) for found, stands_for, remedy in matches if found), None)


def _is_documentation(value: str) -> bool:
    try:
        given = ip_network(value, strict=False)
    except ValueError:
        return False
    return any(given.version == each.version and given.subnet_of(each) for each in _DOCUMENTATION)  # pyright: ignore[reportArgumentType]


def _is_made_up(text: str, digest: str) -> bool:
    """The digest of the text before it, that of nothing, or one that repeats itself."""
    repeated = digest[:_PERIOD] * (len(digest) // _PERIOD)
    return digest in {sha256(text.encode()).hexdigest(), _NOTHING, repeated}
