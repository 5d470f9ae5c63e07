"""How a pack is written: functions, each marked as a check of its theme.

A function's name is the policy's id, with dashes; its docstring is what the policy ensures. The mark says what it looks at: a
resource, each container of a Pod, the stack, or each cluster of the stack.

    theme = Theme("gpu")

    @theme.container(types=PODS, severity=HIGH, steps="Set a limit.", reference=documented(...))
    def gpu_limit_equals_request(container: Container) -> Iterable[str]:
        \"""GPUs are asked for whole, and limits equal requests.\"""
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Required, TypedDict, TypeVar, Unpack

from pulumi_policy import Severity

from model_factory.graph.clusters import Cluster, clusters_of
from policies.authoring.checks import (
    Policy,
    Remedy,
    ResourceCheck,
    Setting,
    StackCheck,
    resource_check,
    stack_check,
)
from policies.authoring.containers import Container, each_container
from policies.authoring.references import Reference
from policies.authoring.resources import Report, Resource, Stack

ContainerCheck = Callable[[Container], Iterable[str]]
ClusterCheck = Callable[[Cluster[Resource], Mapping[str, Any], Report], None]
C = TypeVar("C", bound=Callable[..., Any])


class OfStack(TypedDict, total=False):
    """What a check of the stack is made with: see `checks.stack_check`. Its tags are added to the theme's."""

    severity: Required[Severity]
    steps: Required[str]
    reference: Required[Reference]
    config: Mapping[str, Setting]
    tags: Iterable[str]


class OfResource(OfStack, total=False):
    """What a check of a resource is made with: see `checks.resource_check`."""

    types: Required[Iterable[str]]
    remedy: Remedy


class Theme:
    """The checks of one file, in the order in which they stand there."""

    def __init__(self, *tags: str) -> None:
        self._tags = tags
        self._policies: list[Policy] = []

    @property
    def policies(self) -> tuple[Policy, ...]:
        """What the checks make."""
        return tuple(self._policies)

    def resource(self, **asked: Unpack[OfResource]) -> Callable[[ResourceCheck], ResourceCheck]:
        """A check of single resources."""
        return lambda check: self._add_resource(check, check, asked)

    def container(
        self, *, first: bool = True, **asked: Unpack[OfResource]
    ) -> Callable[[ContainerCheck], ContainerCheck]:
        """A check of each container by itself; `first` takes in those that run before the others."""
        return lambda judge: self._add_resource(judge, each_container(judge, first=first), asked)

    def stack(self, **asked: Unpack[OfStack]) -> Callable[[StackCheck], StackCheck]:
        """A check of all resources together."""
        return lambda check: self._add_stack(check, check, asked)

    def cluster(self, **asked: Unpack[OfStack]) -> Callable[[ClusterCheck], ClusterCheck]:
        """A check of each cluster by itself: one unknown name makes that cluster, and no other, one that could not be evaluated."""

        def register(judge: ClusterCheck) -> ClusterCheck:
            def check(stack: Stack, report: Report) -> None:
                for cluster in clusters_of(stack.resources):
                    with report.guard():
                        judge(cluster, stack.config, report)

            return self._add_stack(judge, check, asked)

        return register

    def _add_resource(self, written: C, check: ResourceCheck, asked: OfResource) -> C:
        asked["tags"] = (*self._tags, *asked.get("tags", ()))
        self._policies.append(resource_check(*_told(written), check=check, **asked))
        return written

    def _add_stack(self, written: C, check: StackCheck, asked: OfStack) -> C:
        asked["tags"] = (*self._tags, *asked.get("tags", ()))
        self._policies.append(stack_check(*_told(written), check=check, **asked))
        return written


def _told(check: Callable[..., Any]) -> tuple[str, str]:
    """A policy's id and description."""
    return check.__name__.replace("_", "-"), " ".join((check.__doc__ or "").split())
