"""What readers of the graph ask of a resource, whoever holds it: a state, an engine's event, or a policy.

Properties are camelCase, as on the wire. What is not known yet is absent from `props` where they are a `values.known` view, and
raises there where they are the policy SDK's.
"""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase
from functools import cache
from typing import Any, Protocol


class Declared(Protocol):
    """A resource. `provider` and `dependencies` are URNs; a state adds the id to its provider's."""

    @property
    def type(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def urn(self) -> str: ...
    @property
    def parent(self) -> str: ...
    @property
    def props(self) -> Mapping[str, Any]: ...
    @property
    def provider(self) -> str: ...
    @property
    def provider_props(self) -> Mapping[str, Any]: ...
    @property
    def dependencies(self) -> tuple[str, ...]: ...
    @property
    def property_dependencies(self) -> Mapping[str, tuple[str, ...]]: ...


@cache
def matches(text: str, patterns: tuple[str, ...]) -> bool:
    """Whether a type or a name is one of `patterns`, in which `*` stands for anything."""
    return any(fnmatchcase(text, each) for each in patterns)


def is_a(resource: Declared, *patterns: str) -> bool:
    """Whether a resource's type is one of `patterns`."""
    return matches(resource.type, patterns)


def needs(resource: Declared) -> frozenset[str]:
    """URNs of all that a resource depends on, by its properties or by option."""
    by_property = (urn for urns in resource.property_dependencies.values() for urn in urns)
    return frozenset((*resource.dependencies, *by_property))
