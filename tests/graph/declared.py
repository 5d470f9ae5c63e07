"""Resources as policies see them (what is unknown raises) and as states hold them (what is unknown is absent)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pulumi_policy.proxy import unknown_checking_proxy

from model_factory.graph.resource import Resource

UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"


@dataclass(frozen=True)
class Proxied:
    """A resource whose properties are the policy SDK's."""

    type: str
    props: Mapping[str, Any]
    name: str = "subject"
    parent: str = ""
    provider: str = ""
    provider_props: Mapping[str, Any] = field(default_factory=dict)
    dependencies: tuple[str, ...] = ()
    property_dependencies: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def urn(self) -> str:
        return urn(self.type, self.name)


def urn(type_: str, name: str) -> str:
    return f"urn:pulumi:test::model-factory::{type_}::{name}"


def proxied(type_: str, props: Mapping[str, Any], **more: Any) -> Proxied:
    return Proxied(type_, unknown_checking_proxy(dict(props)), **more)


def held(type_: str, props: Mapping[str, Any], name: str = "subject", **more: Any) -> Resource:
    return Resource(urn(type_, name), type_, props, **more)
