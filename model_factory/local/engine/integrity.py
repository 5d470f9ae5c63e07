"""Whether the resources of a snapshot fit each other, and how to make them fit after changes.

The rules are Pulumi's (pulumi/pulumi, pkg/resource/deploy/snapshot.go, VerifyIntegrity and Toposort). All linear.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final

from model_factory.graph.urn import Urn
from model_factory.local.engine.errors import StateError
from model_factory.local.engine.model import ResourceState, Snapshot

_RESTORE: Final = "restore the state from its .bak file or an export"


def verify(snapshot: Snapshot, project: str, stack: str) -> None:
    """Raise StateError for the first thing that is wrong: foreign or malformed URN, live URN twice, provider, parent or
    dependency missing or later in the list."""
    seen: set[str] = set()
    live: set[str] = set()
    providers: set[str] = set()
    for state in snapshot.resources:
        _verify_own(state, project, stack)
        if not state.delete:
            if state.urn in live:
                raise StateError(state.urn, "(twice)", "a URN stands once in a state, but for old copies that await deletion",
                                 _RESTORE)  # fmt: skip
            live.add(state.urn)
        for kind, urn in state.references():
            if kind == "provider":
                if state.provider not in providers and not state.pending_replacement:
                    raise _missing(snapshot, state, kind, state.provider)
            elif urn not in seen:
                raise _missing(snapshot, state, kind, urn)
        seen.add(state.urn)
        if state.is_provider:
            providers.add(state.reference)
    for operation in snapshot.pending_operations:
        _verify_own(operation.resource, project, stack)


def _verify_own(state: ResourceState, project: str, stack: str) -> None:
    try:
        urn = Urn.parse(state.urn)
    except ValueError as error:
        raise StateError("urn", state.urn, str(error), _RESTORE) from error
    if (urn.stack, urn.project) != (stack, project):
        raise StateError(state.urn, f"(stack {urn.stack}, project {urn.project})", f"this is the state of stack {stack} of "
                         f"project {project}", "read it where it belongs, or export it and import it there")  # fmt: skip
    if not state.type:
        raise StateError(state.urn, "type (missing)", "every resource has a type", _RESTORE)
    if state.id and not state.custom:
        raise StateError(state.urn, f"id {state.id}", "a component has no id", _RESTORE)


def _missing(snapshot: Snapshot, state: ResourceState, kind: str, urn: str) -> StateError:
    known = {other.reference if kind == "provider" else other.urn for other in snapshot.resources}
    problem = "comes after it" if urn in known else "is not in the state"
    return StateError(state.urn, f"{kind} {urn}", f"{problem}; what a resource needs stands before it", _RESTORE)


def settle(
    resources: Sequence[ResourceState], *, renamed: Mapping[str, str], parents: Mapping[str, str]
) -> tuple[ResourceState, ...]:
    """Make references whole again after resources were renamed or removed, and put all in dependency order.

    `renamed` leads from old URNs to new ones, `parents` from removed resources to their parents. A reference to a resource
    that is gone is dropped, a child of a removed parent goes to its grandparent. A missing provider cannot be mended; `verify`
    tells.
    """
    present = {state.urn for state in resources}
    providers = {state.reference for state in resources if state.is_provider}
    mended = [_mend(state, present, providers, renamed, parents) for state in resources]
    return tuple(_ordered(mended))


def _mend(
    state: ResourceState,
    present: set[str],
    providers: set[str],
    renamed: Mapping[str, str],
    parents: Mapping[str, str],
) -> ResourceState:
    lost_provider = state.provider and state.provider not in providers
    if not lost_provider and all(urn in present for kind, urn in state.references() if kind != "provider"):
        return state

    def keep(urns: Iterable[str]) -> tuple[str, ...]:
        return tuple(urn for urn in (_current(urn, present, renamed) for urn in urns) if urn in present)

    parent = _current(state.parent, present, renamed)
    while parent and parent not in present:
        parent = _current(parents.get(parent, ""), present, renamed)
    provider = state.provider
    if lost_provider:
        urn, _, identity = provider.rpartition("::")
        provider = f"{_current(urn, present, renamed)}::{identity}"
    deleted_with = keep((state.deleted_with,)) if state.deleted_with else ()
    return replace(
        state,
        parent=parent,
        provider=provider,
        dependencies=keep(state.dependencies),
        property_dependencies={
            key: kept for key, urns in state.property_dependencies.items() if (kept := keep(urns)) or not urns
        },
        deleted_with=deleted_with[0] if deleted_with else "",
        replace_with=keep(state.replace_with),
    )


def _current(urn: str, present: set[str], renamed: Mapping[str, str]) -> str:
    followed: set[str] = set()
    while urn not in present and urn in renamed and urn not in followed:
        followed.add(urn)
        urn = renamed[urn]
    return urn


def _ordered(resources: list[ResourceState]) -> list[ResourceState]:
    """Stable topological order, without recursion: chains may be thousands long."""
    index = _Index(resources)
    done: set[int] = set()
    open_: set[int] = set()
    result: list[ResourceState] = []
    for root in range(len(resources)):
        if root in done:
            continue
        stack: list[tuple[int, Iterator[int]]] = [(root, index.needs(root))]
        open_.add(root)
        while stack:
            row, needs = stack[-1]
            for need in needs:
                if need in open_:
                    raise StateError(resources[row].urn, f"needs {resources[need].urn}", "resources need each other in a circle",
                                     _RESTORE)  # fmt: skip
                if need not in done:
                    open_.add(need)
                    stack.append((need, index.needs(need)))
                    break
            else:
                stack.pop()
                open_.discard(row)
                done.add(row)
                result.append(resources[row])
    return result


class _Index:
    """Which rows a row needs. An old copy means the old copies of what it names, where there are any; a live one the live."""

    def __init__(self, resources: list[ResourceState]) -> None:
        self._resources = resources
        self._live: dict[str, int] = {}
        self._old: dict[str, int] = {}
        self._providers: dict[str, int] = {}
        for row, state in enumerate(resources):
            (self._old if state.delete else self._live)[state.urn] = row
            if state.is_provider:
                self._providers[state.reference] = row

    def needs(self, row: int) -> Iterator[int]:
        state = self._resources[row]
        first, second = (self._old, self._live) if state.delete else (self._live, self._old)
        for kind, urn in state.references():
            need = self._providers.get(state.provider) if kind == "provider" else None
            if need is None:
                need = first.get(urn, second.get(urn))
            if need is not None and need != row:
                yield need
