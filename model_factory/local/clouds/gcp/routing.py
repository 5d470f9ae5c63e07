"""From a request's verb and path to the API method it means.

The methods of all served discovery documents are asked for, twice: under the service's name
(`/container/v1/projects/…`, `/compute/v1/projects/…`, as custom endpoints are configured) and at the root, where a client with a
bare `api_endpoint` asks. Two services may share a root path (locations, operations), so a match is a list.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Final
from urllib.parse import unquote

from model_factory.local import discovery
from model_factory.local.discovery import Document, Method

SERVED: Final[Mapping[str, tuple[str, ...]]] = {
    "compute": ("v1", "beta"),
    "container": ("v1", "v1beta1"),
    "artifactregistry": ("v1",),
    "storage": ("v1",),
    "iam": ("v1",),
    "cloudresourcemanager": ("v1", "v3"),
    "serviceusage": ("v1",),
    "cloudkms": ("v1",),
}
ALIASES: Final[Mapping[str, str]] = {"kms": "cloudkms", "artifact-registry": "artifactregistry"}


@dataclass(frozen=True, slots=True)
class Match:
    document: Document
    method: Method
    parameters: Mapping[str, str]


def find(verb: str, raw_path: str) -> list[Match]:
    """Every method the path may mean, the named service's alone where the path begins with one."""
    segments = raw_path.strip("/").split("/")
    first = ALIASES.get(segments[0], segments[0])
    if first in SERVED:
        rest = segments if first in ("compute", "storage") else segments[1:]
        found = list(_in_service(first, verb, rest))
        if found or first not in ("compute", "storage"):
            return found
    found = [match for service in SERVED for match in _in_service(service, verb, segments)]
    if not found and segments[0] in ("projects", "b"):
        # compute and storage documents put `compute/v1/` into a base path that a bare `api_endpoint` replaces.
        prefix = ["compute", "v1"] if segments[0] == "projects" else ["storage", "v1"]
        found += _in_service(prefix[0], verb, [*prefix, *segments])
    return found


def _in_service(service: str, verb: str, segments: list[str]) -> Iterator[Match]:
    plain = [unquote(segment) for segment in segments]
    for version in SERVED[service]:
        if version not in segments[:2]:
            continue
        candidates = _methods(service, version).get(len(segments), ())
        fits = [(fit, method) for template, method in candidates if (fit := _fit(template, plain))]
        best = min((fit for fit, _ in fits), default=())
        for fit, method in fits:
            parameters = _parameters(method.path, segments) or _parameters(method.flat_path, segments)
            if fit == best and method.verb == verb and parameters is not None:
                yield Match(discovery.load(service, version), method, parameters)


@cache
def _methods(service: str, version: str) -> Mapping[int, list[tuple[list[str], Method]]]:
    """By number of segments: a method with its path's template. Read when the first request may mean the version:
    compute alone has 5 MB of document."""
    found: dict[int, list[tuple[list[str], Method]]] = {}
    for method in discovery.load(service, version).methods.values():
        template = method.flat_path.split("/")
        found.setdefault(len(template), []).append((template, method))
    return found


def _fit(template: list[str], segments: list[str]) -> tuple[int, ...]:
    """How closely a path fits, the smaller the closer: a literal 0, a name with its custom verb 1, a name 2. () is no fit."""
    ranks: list[int] = []
    for wanted, segment in zip(template, segments, strict=True):
        _, brace, custom_verb = wanted.partition("}")
        if wanted == segment:
            ranks.append(0)
        elif custom_verb and segment.endswith(custom_verb):
            ranks.append(1)
        elif brace and not custom_verb and segment:
            ranks.append(2)
        else:
            return ()
    return tuple(ranks)


@cache
def _pattern(template: str) -> re.Pattern[str]:
    parts = re.split(r"(\{\+?\w+\})", template)
    out = ""
    for part in parts:
        if part.startswith("{+"):
            out += f"(?P<{part[2:-1]}>.+)"
        elif part.startswith("{"):
            out += f"(?P<{part[1:-1]}>[^/]+?)"
        else:
            out += re.escape(part)
    return re.compile(out)


def _parameters(template: str, segments: list[str]) -> dict[str, str] | None:
    match = _pattern(template).fullmatch("/".join(segments).replace("%3A", ":"))
    return None if match is None else {name: unquote(value) for name, value in match.groupdict().items()}
