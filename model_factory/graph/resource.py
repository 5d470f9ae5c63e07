"""Resources of a graph, as state files and the events of engines hold them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from model_factory.graph.declared import needs
from model_factory.graph.urn import PROVIDER_TYPE_PREFIX, name_of, provider_urn
from model_factory.graph.values import at, known, listed, mapping

_GONE_AFTER: Final = frozenset({"delete", "delete-replaced", "discard", "discard-replaced", "remove-pending-replace"})
"""Steps after which the resource (or the copy they are about) is not there."""
_REPLACES: Final = frozenset({"replace", "create-replacement"})
"""Steps whose old state is what runs until now, though the Pulumi CLI marks it as to be deleted. Elsewhere the mark is of a copy that an
earlier run has left."""


@dataclass(frozen=True, slots=True)
class Resource:
    """One resource. `parent`, `provider` (`<urn>::<id>`) and the dependencies are the engine's references; events of engines carry no
    dependencies, states do."""

    urn: str
    type: str
    inputs: Mapping[str, Any]
    outputs: Mapping[str, Any] = field(default_factory=dict[str, Any])
    id: str = ""
    parent: str = ""
    provider: str = ""
    dependencies: tuple[str, ...] = ()
    property_dependencies: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    provider_props: Mapping[str, Any] = field(default_factory=dict[str, Any], compare=False, repr=False)
    """What is known of its provider, where that is among the resources."""

    @classmethod
    def of(cls, state: Mapping[str, Any]) -> Resource:
        """From a resource of a state file, or an `oldState` or `newState` of a preview."""
        return cls(
            urn=str(state["urn"]),
            type=str(state["type"]),
            inputs=mapping(state.get("inputs")),
            outputs=mapping(state.get("outputs")),
            id=str(state.get("id") or ""),
            parent=str(state.get("parent") or ""),
            provider=str(state.get("provider") or ""),
            dependencies=tuple(map(str, listed(state.get("dependencies")))),
            property_dependencies={
                key: tuple(map(str, listed(urns))) for key, urns in mapping(state.get("propertyDependencies")).items()
            },
        )

    @property
    def name(self) -> str:
        """Its logical name."""
        return name_of(self.urn)

    @property
    def kind(self) -> str:
        """The last part of its type: `Deployment` of `kubernetes:apps/v1:Deployment`."""
        return self.type.rpartition(":")[2]

    @property
    def needs(self) -> frozenset[str]:
        """URNs of all that it depends on, those of its properties included."""
        return needs(self)

    @property
    def props(self) -> Mapping[str, Any]:
        """What is known of it: see `values.known`."""
        return known(self.inputs, self.outputs)

    def at(self, *path: str | int) -> Any:
        """A value of `props`; None where there is none."""
        return at(self.props, *path)


def resources_of(states: Iterable[Mapping[str, Any]]) -> list[Resource]:
    """The resources of a state file, without old copies that await deletion."""
    return with_providers(Resource.of(each) for each in states if not each.get("delete"))


def before_and_after(
    steps: Iterable[tuple[str, Mapping[str, Any] | None, Mapping[str, Any] | None]],
) -> tuple[list[Resource], list[Resource]]:
    """The graph before and after the steps (op, old state, new state) of a preview or an update.

    The steps must include the unchanged resources (op `same`), as engine events and `preview --json --show-same` do.
    """
    before: dict[str, Resource] = {}
    after: dict[str, Resource] = {}
    for op, old, new in steps:
        if old and (op in _REPLACES or not old.get("delete")):
            before.setdefault(str(old["urn"]), Resource.of(old))
        if new and op not in _GONE_AFTER:
            after[str(new["urn"])] = Resource.of(new)
    return with_providers(before.values()), with_providers(after.values())


def with_providers(resources: Iterable[Resource]) -> list[Resource]:
    """The resources, each with what is known of its provider where that is among them."""
    found = list(resources)
    providers = {each.urn: each.props for each in found if each.type.startswith(PROVIDER_TYPE_PREFIX)}
    return [
        replace(each, provider_props=providers[urn]) if (urn := provider_urn(each.provider)) in providers else each
        for each in found
    ]
