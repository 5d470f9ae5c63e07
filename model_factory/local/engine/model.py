"""What a stack's state is made of: resources, pending operations, snapshots.

Pure values. They hold no I/O and check nothing about each other: `state.verify` does. Names and meanings follow Pulumi's
deployment format (pulumi/pulumi, sdk/go/common/apitype/core.go).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

from model_factory.graph.urn import PROVIDER_TYPE_PREFIX, Urn, provider_urn
from model_factory.local.wire import Value

OperationType = Literal["creating", "updating", "deleting", "reading", "importing"]


@dataclass(frozen=True, slots=True)
class CustomTimeouts:
    """How long an operation may take, in seconds; 0 is the provider's default."""

    create: float = 0.0
    update: float = 0.0
    delete: float = 0.0
    read: float = 0.0


@dataclass(frozen=True, slots=True)
class ResourceState:
    """One resource as the state knows it. Immutable: use `dataclasses.replace`; do not change its dicts in place.

    `delete` marks the old copy of a replacement, which waits for its deletion. `pending_replacement` marks a resource that
    is deleted already and waits to be created again. `provider` is `<urn>::<id>`, empty for components and providers.
    `extra` holds fields of newer formats as they were read, so that a round trip loses nothing.
    """

    urn: str
    type: str
    custom: bool
    id: str = ""
    inputs: dict[str, Value] = field(default_factory=dict[str, Value])
    outputs: dict[str, Value] = field(default_factory=dict[str, Value])
    parent: str = ""
    provider: str = ""
    dependencies: tuple[str, ...] = ()
    property_dependencies: dict[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    protect: bool = False
    external: bool = False
    delete: bool = False
    pending_replacement: bool = False
    retain_on_delete: bool = False
    deleted_with: str = ""
    replace_with: tuple[str, ...] = ()
    init_errors: tuple[str, ...] = ()
    additional_secret_outputs: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    import_id: str = ""
    custom_timeouts: CustomTimeouts | None = None
    ignore_changes: tuple[str, ...] = ()
    replace_on_changes: tuple[str, ...] = ()
    refresh_before_update: bool = False
    created: str = ""
    modified: str = ""
    source_position: str = ""
    # Not part of Pulumi's format: what the program said at registration, for the steps of this run only.
    delete_before_replace: bool | None = field(default=None, compare=False)
    extra: Mapping[str, Any] = field(default_factory=dict[str, Any])

    @property
    def name(self) -> str:
        return Urn.parse(self.urn).name

    @property
    def is_provider(self) -> bool:
        return self.type.startswith(PROVIDER_TYPE_PREFIX)

    @property
    def reference(self) -> str:
        """How a resource names this one as its provider."""
        return f"{self.urn}::{self.id}"

    def references(self) -> Iterator[tuple[str, str]]:
        """Every (kind, URN) that must stand before this resource. The provider comes without its id."""
        if self.provider:
            yield "provider", provider_urn(self.provider)
        if self.parent:
            yield "parent", self.parent
        for urn in self.dependencies:
            yield "dependency", urn
        for key, urns in self.property_dependencies.items():
            for urn in urns:
                yield f"dependency of property {key}", urn
        if self.deleted_with:
            yield "deletedWith", self.deleted_with
        for urn in self.replace_with:
            yield "replaceWith", urn


@dataclass(frozen=True, slots=True)
class Operation:
    """Something that was begun and whose end is not known. `resource` is the state it was begun with: the new inputs of a
    create, the goal of an update, the old state of a delete."""

    resource: ResourceState
    type: OperationType


@dataclass(frozen=True, slots=True)
class Manifest:
    """When and by what a state was written."""

    time: str = ""
    magic: str = ""
    version: str = ""
    plugins: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A stack's whole state at one moment, resources in dependency order. An empty one is a stack without resources.

    `secrets_provider` is what the file says of its encryption ({"type": …, "state": …}), None for a new stack.
    """

    resources: tuple[ResourceState, ...] = ()
    pending_operations: tuple[Operation, ...] = ()
    manifest: Manifest = Manifest()
    secrets_provider: Mapping[str, Any] | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict[str, Any])
    extra: Mapping[str, Any] = field(default_factory=dict[str, Any])

    def by_urn(self) -> dict[str, ResourceState]:
        """The live resources (no old copies that await deletion) by URN."""
        return {resource.urn: resource for resource in self.resources if not resource.delete}


def now() -> str:
    """The present as Pulumi writes times: RFC 3339 in UTC, without zeros at the end of the fraction."""
    moment = datetime.now(UTC)
    fraction = f".{moment.microsecond:06d}".rstrip("0").rstrip(".")
    return f"{moment:%Y-%m-%dT%H:%M:%S}{fraction}Z"
