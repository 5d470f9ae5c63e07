"""In which order deletions may run. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from model_factory.local.engine.model import ResourceState
from model_factory.local.engine.step import Step


def blockers(steps: Sequence[Step], resources: Sequence[ResourceState]) -> list[set[int]]:
    """For each deletion the indexes of those that must end before it: the ones that depend on what it deletes.

    `resources` gives the order of the state; old copies may share a URN, and only earlier resources are depended on.
    """
    position = {id(resource): index for index, resource in enumerate(resources)}
    order = [position[id(step.row or step.state)] for step in steps]
    at: dict[str, list[int]] = {}
    children: dict[str, list[int]] = {}
    for index, step in enumerate(steps):
        at.setdefault(step.urn, []).append(index)
        if step.state.parent:
            children.setdefault(step.state.parent, []).append(index)
    waits: list[set[int]] = [set() for _ in steps]
    for index, step in enumerate(steps):
        for kind, urn in step.state.references():
            for target in at.get(urn, ()):
                if order[target] < order[index]:
                    waits[target].add(index)
                    if kind != "parent" and not steps[target].state.custom:
                        for below in _descendants(urn, children, steps):
                            if order[below] < order[index]:
                                waits[below].add(index)
    return waits


def _descendants(urn: str, children: Mapping[str, list[int]], steps: Sequence[Step]) -> Iterable[int]:
    stack = list(children.get(urn, ()))
    while stack:
        index = stack.pop()
        yield index
        stack.extend(children.get(steps[index].urn, ()))
