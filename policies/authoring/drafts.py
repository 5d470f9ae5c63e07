"""A resource's properties as a remedy changes them, secrets and unknown values kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from pulumi_policy import PolicyResourceOptions, Secret

from model_factory.graph.pods import pod_path
from model_factory.graph.values import UNKNOWNS


@dataclass(slots=True)
class Draft:
    """A resource's properties, to be mended in place.

    `props` is a deep copy in plain dicts and lists in which secrets are still `Secret` and unknown values still the SDK's
    marks: the SDK hands them over so when it remediates, and anything else would lose them. Use `child` and `children` to go
    down, and `put` to write.
    """

    type: str
    name: str
    props: dict[str, Any]
    config: Mapping[str, Any]
    options: PolicyResourceOptions
    urn: str = ""
    changed: bool = False

    def child(self, parent: dict[str, Any] | None, key: str, *, create: bool = False) -> dict[str, Any] | None:
        """The object under `key`: made when absent and wanted; None when absent, unknown, no object, or under nothing."""
        value = revealed(parent.get(key)) if parent is not None else None
        if value is None and create and parent is not None:
            value = parent[key] = cast("dict[str, Any]", {})
        return cast("dict[str, Any]", value) if isinstance(value, dict) else None

    def below(self, *path: str, create: bool = False) -> dict[str, Any] | None:
        """The object at a path from the top, as `child` finds each."""
        place: dict[str, Any] | None = self.props
        for key in path:
            place = self.child(place, key, create=create)
        return place

    def children(self, parent: dict[str, Any] | None, key: str) -> list[dict[str, Any]]:
        """The objects in the list under `key`; unknown members are left out."""
        value = revealed(parent.get(key)) if parent is not None else None
        members = cast("list[object]", value) if isinstance(value, list) else []
        return [cast("dict[str, Any]", each) for each in map(revealed, members) if isinstance(each, dict)]

    def texts(self, parent: dict[str, Any], key: str) -> list[str]:
        """The texts in the list under `key`, unknown ones as their marks."""
        value = revealed(parent.get(key))
        members = cast("list[object]", value) if isinstance(value, list) else []
        return [each for each in map(revealed, members) if isinstance(each, str)]

    def put(self, parent: dict[str, Any], key: str, value: object) -> None:
        """Writes a value, unless it is there already or is not known yet. A secret stays one."""
        old = parent.get(key)
        if revealed(old) == value or is_unknown(revealed(old)):
            return
        parent[key] = Secret(value) if isinstance(old, Secret) else value
        self.changed = True

    @property
    def pod(self) -> dict[str, Any] | None:
        """The Pod's spec; None where there is none, or where it is not known."""
        return self.below(*pod_path(self.type), "spec")

    @property
    def containers(self) -> list[dict[str, Any]]:
        """All known containers of the Pod."""
        return [each for key in ("initContainers", "containers") for each in self.children(self.pod, key)]


def is_unknown(value: object) -> bool:
    """Whether a value is one of the SDK's marks for what is not known yet."""
    return isinstance(value, str) and value in UNKNOWNS


def revealed(value: Any) -> Any:
    """What a secret holds; any other value as it is."""
    return value.value if isinstance(value, Secret) else value


def editable(value: Any) -> Any:
    """A deep copy of properties in plain dicts and lists, secrets and unknown marks kept. The SDK's wrappers give out what they
    wrap under the key `__target`, and take secrets off what is read in any other way."""
    if isinstance(value, Secret):
        return Secret(editable(value.value))
    if isinstance(value, Mapping):
        mapping = cast("Mapping[str, Any]", value)
        inside = mapping if isinstance(mapping, dict) else cast("Mapping[str, Any]", mapping["__target"])
        return {key: editable(each) for key, each in inside.items()}
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        members: Any = cast("Sequence[Any]", value)
        return [editable(each) for each in (members if isinstance(members, list | tuple) else members["__target"])]
    return value
