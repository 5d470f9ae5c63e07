"""URNs, by which resources name each other, and the types that Pulumi itself owns."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

STACK_TYPE: Final = "pulumi:pulumi:Stack"
PROVIDER_TYPE_PREFIX: Final = "pulumi:providers:"


@dataclass(frozen=True, slots=True)
class Urn:
    """A resource's name: `urn:pulumi:<stack>::<project>::<parent types>$<type>::<name>`.

    `qualified_type` is the type preceded by its ancestors' types (the stack's excepted), joined by `$`. The name may itself
    hold `::`.
    """

    stack: str
    project: str
    qualified_type: str
    name: str

    def __str__(self) -> str:
        return self.make(self.stack, self.project, self.qualified_type, self.name)

    @property
    def type(self) -> str:
        return self.qualified_type.rsplit("$", 1)[-1]

    @staticmethod
    def make(stack: str, project: str, qualified_type: str, name: str) -> str:
        """The URN as text. Use `qualify` to build the qualified type from the parent's URN."""
        return f"urn:pulumi:{stack}::{project}::{qualified_type}::{name}"

    @staticmethod
    def parse(text: str) -> Urn:
        """Raises ValueError for what is no URN."""
        parts = text.split("::", 3)
        if len(parts) != 4 or not parts[0].startswith("urn:pulumi:") or not parts[2]:
            raise ValueError(
                f"{text!r} is not a URN; a URN reads urn:pulumi:<stack>::<project>::<qualified type>::<name>"
            )
        return Urn(parts[0].removeprefix("urn:pulumi:"), parts[1], parts[2], parts[3])


def type_of(urn: str) -> str:
    """The type in a URN, for display; empty where the text is no URN."""
    try:
        return Urn.parse(urn).type
    except ValueError:
        return ""


def upwards(urn: str, parent_of: Callable[[str], str]) -> Iterator[str]:
    """A URN and those above it, each once: what a stranger wrote may lead back to where it began."""
    seen: set[str] = set()
    while urn and urn not in seen:
        seen.add(urn)
        yield urn
        urn = parent_of(urn)


def name_of(urn: str) -> str:
    """The logical name in a URN, for display; the text itself where it is no URN."""
    try:
        return Urn.parse(urn).name
    except ValueError:
        return urn


def is_default_provider(urn: str) -> bool:
    """Whether it is a provider that an engine made by itself, which no program names and no display counts."""
    return type_of(urn).startswith(PROVIDER_TYPE_PREFIX) and name_of(urn).startswith("default")


def qualify(parent_urn: str, type_: str) -> str:
    """The qualified type of a child: the parent's qualified type, unless the parent is the stack itself or none."""
    if not parent_urn:
        return type_
    parent = Urn.parse(parent_urn).qualified_type
    return type_ if parent == STACK_TYPE else f"{parent}${type_}"


def provider_urn(reference: str) -> str:
    """The URN inside a provider reference `<urn>::<id>`."""
    return reference.rsplit("::", 1)[0]
