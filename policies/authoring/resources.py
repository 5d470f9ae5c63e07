"""What a check sees of a resource or of a stack, and how it reports what it finds.

A check reads plain values; where a value is not known yet the SDK raises, and `Report.guard` keeps that from hiding what can be judged.
A check of which any part could not be judged ends as "can't run policy", which previews show as not evaluated: it never counts as
passed.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from pulumi_policy import PolicyResource, PolicyResourceOptions, ReportViolation, ResourceValidationArgs
from pulumi_policy.proxy import UNKNOWN_OBJECT_VALUE, UnknownValueError

from model_factory.graph.declared import is_a
from model_factory.graph.values import at, listed

Props = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Resource:
    """What a check sees of one resource, as `graph.declared.Declared` has it, with the check's configuration. `provider` is empty where
    there is none; what depends on what is known in checks of a stack only."""

    type: str
    name: str
    urn: str
    props: Props
    config: Mapping[str, Any]
    options: PolicyResourceOptions
    provider: str = ""
    provider_props: Props = field(default_factory=dict[str, Any])
    dependencies: tuple[str, ...] = ()
    property_dependencies: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    parent: str = ""

    @classmethod
    def alone(cls, args: ResourceValidationArgs, config: Mapping[str, Any]) -> Resource:
        """A resource that is judged by itself."""
        return cls(
            type=args.resource_type,
            name=args.name,
            urn=args.urn,
            props=args.props,
            config=config,
            options=args.opts,
            provider=args.provider.urn if args.provider else "",
            provider_props=args.provider.props if args.provider else {},
            parent=args.opts.parent or "",
        )

    @classmethod
    def member(cls, each: PolicyResource) -> Resource:
        """A resource of a stack that is judged as a whole."""
        return cls(
            type=each.resource_type,
            name=each.name,
            urn=each.urn,
            props=each.props if len(each.props) else _NotKnownYet(each.name),
            config={},
            options=each.opts,
            provider=each.provider.urn if each.provider else "",
            provider_props=each.provider.props if each.provider else {},
            dependencies=tuple(one.urn for one in each.dependencies),
            property_dependencies={
                key: tuple(one.urn for one in ones) for key, ones in each.property_dependencies.items()
            },
            parent=each.parent.urn if each.parent else "",
        )

    def is_(self, *patterns: str) -> bool:
        """Whether its type is one of `patterns`, in which `*` stands for anything."""
        return is_a(self, *patterns)


@dataclass(frozen=True, slots=True)
class Stack:
    """What a check sees of the whole stack. Properties are what the resources will have, as far as it is known."""

    resources: tuple[Resource, ...]
    config: Mapping[str, Any]
    tags: Mapping[str, str]

    def of(self, *patterns: str) -> tuple[Resource, ...]:
        """Its resources of these types."""
        return tuple(each for each in self.resources if each.is_(*patterns))


@dataclass(slots=True)
class Report:
    """Takes what a check finds, and remembers what it could not look at."""

    _violation: ReportViolation
    _unknown: UnknownValueError | None = field(default=None)

    def __call__(self, message: str, urn: str | None = None) -> None:
        """One violation. `urn` names the resource, in checks of a stack."""
        self._violation(message, urn)

    @contextmanager
    def guard(self) -> Generator[None]:
        """What is inside may meet unknown values: then the rest is still judged, and the whole is not evaluated."""
        try:
            yield
        except UnknownValueError as unknown:
            self._unknown = self._unknown or unknown

    def items(self, props: Props, *path: str) -> list[Any]:
        """The known members of the list at `path`; none where there is no such list. Unknown ones are remembered."""
        found: list[Any] = []
        with self.guard():
            members = listed(at(props, *path))
            for index in range(len(members)):
                with self.guard():
                    found.append(members[index])
        return found

    def finish(self) -> None:
        """Raises UnknownValueError if anything was unknown, for the SDK to tell."""
        if self._unknown is not None:
            raise self._unknown


def shown(value: object) -> str:
    """A value in a message: whole numbers without a point, parts to a hundredth, texts as they are."""
    number = round(float(value), 2) if isinstance(value, Decimal) else value
    return str(int(number)) if isinstance(number, float) and number.is_integer() else str(number)


class _NotKnownYet(Mapping[str, Any]):
    """The properties of a resource whose provider is not there yet. Engines hand them over as an empty object, which must not be
    taken for one that has nothing."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getitem__(self, key: str) -> Any:
        raise UnknownValueError(UNKNOWN_OBJECT_VALUE, [self._name, key])

    def __iter__(self) -> Iterator[str]:
        raise UnknownValueError(UNKNOWN_OBJECT_VALUE, [self._name])

    def __len__(self) -> int:
        raise UnknownValueError(UNKNOWN_OBJECT_VALUE, [self._name])
