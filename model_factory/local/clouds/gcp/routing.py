"""From a request's verb and path to the API method it means.

The methods of all served discovery documents stand in one tree of path segments, twice: under the service's name
(`/container/v1/projects/…`, `/compute/v1/projects/…`, as custom endpoints are configured) and at the root, where a client with a
bare `api_endpoint` asks. Two services may share a root path (locations, operations), so a match is a list.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
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


@dataclass(slots=True)
class _Node:
    literals: dict[str, _Node] = field(default_factory=dict[str, "_Node"])
    wildcard: _Node | None = None
    verbs: dict[str, _Node] = field(default_factory=dict[str, "_Node"])
    """Children for `{name}:verb` segments, by verb."""
    methods: dict[str, list[Method]] = field(default_factory=dict[str, list[Method]])


class Routes:
    """Built a version of a service at a time, when the first request may mean it: compute alone has 5 MB of document."""

    def __init__(self) -> None:
        self._trees: dict[tuple[str, str], _Node] = {}

    def match(self, verb: str, raw_path: str) -> list[Match]:
        """Every method the path may mean, the named service's alone where the path begins with one."""
        segments = raw_path.strip("/").split("/")
        first = ALIASES.get(segments[0], segments[0])
        if first in SERVED:
            rest = segments[1:]
            if first in ("compute", "storage"):
                rest = segments
            found = list(self._in_service(first, verb, rest))
            if found or first not in ("compute", "storage"):
                return found
        found = []
        for service in SERVED:
            found += self._in_service(service, verb, segments)
        if not found and segments[0] in ("projects", "b"):
            # compute and storage documents put `compute/v1/` into a base path that a bare `api_endpoint` replaces.
            prefix = ["compute", "v1"] if segments[0] == "projects" else ["storage", "v1"]
            found += self._in_service(prefix[0], verb, [*prefix, *segments])
        return found

    def _in_service(self, service: str, verb: str, segments: list[str]) -> Iterator[Match]:
        for version in SERVED[service]:
            if version not in segments[:2]:
                continue
            for method in _walk(self._tree(service, version), [unquote(s) for s in segments], verb):
                parameters = _parameters(method.path, segments) or _parameters(method.flat_path, segments)
                if parameters is not None:
                    yield Match(discovery.load(service, version), method, parameters)

    def _tree(self, service: str, version: str) -> _Node:
        tree = self._trees.get((service, version))
        if tree is None:
            tree = self._trees[service, version] = _build(discovery.load(service, version).methods.values())
        return tree


def _build(methods: Iterable[Method]) -> _Node:
    root = _Node()
    for method in methods:
        node = root
        for segment in method.flat_path.split("/"):
            name, _, verb = segment.partition(":") if "}:" in segment else (segment, "", "")
            if verb:
                node = node.verbs.setdefault(verb, _Node())
            elif name.startswith("{"):
                node.wildcard = node.wildcard or _Node()
                node = node.wildcard
            else:
                node = node.literals.setdefault(name, _Node())
        node.methods.setdefault(method.verb, []).append(method)
    return root


def _walk(node: _Node, segments: list[str], verb: str) -> Iterator[Method]:
    if not segments:
        yield from node.methods.get(verb, ())
        return
    head, tail = segments[0], segments[1:]
    if head in node.literals:
        yield from _walk(node.literals[head], tail, verb)
    custom = head.rpartition(":")[2] if ":" in head else ""
    if custom in node.verbs:
        yield from _walk(node.verbs[custom], tail, verb)
    elif node.wildcard is not None and head and head not in node.literals:
        yield from _walk(node.wildcard, tail, verb)


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
