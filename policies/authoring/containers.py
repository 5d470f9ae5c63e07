"""Checks of containers, one by one."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from pulumi_policy.proxy import UnknownValueError

from model_factory.graph.pods import pod_spec
from model_factory.graph.values import at, mapping
from policies.authoring.checks import ResourceCheck
from policies.authoring.resources import Props, Report, Resource

DIGEST = re.compile(r".+@sha256:[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Container:
    """One container, and what is around it. `label` is what messages call it."""

    label: str
    props: Props
    pod: Props
    resource: Resource

    def context(self, *path: str) -> Any:
        """A value of its security context; the Pod's where it has none."""
        own = at(self.props, "securityContext", *path)
        return at(self.pod, "securityContext", *path) if own is None else own


def containers(resource: Resource, report: Report, *, first: bool = True) -> list[Container]:
    """Each known container. `first` adds those that run before the others."""
    spec = pod_spec(resource)
    return [
        Container(_label(each), mapping(each), spec, resource)
        for key in (("initContainers", "containers") if first else ("containers",))
        for each in report.items(spec, key)
    ]


def each_container(judge: Callable[[Container], Iterable[str]], *, first: bool = True) -> ResourceCheck:
    """A check of each container by itself, so that what is unknown of one does not hide the others."""

    def check(resource: Resource, report: Report) -> None:
        for container in containers(resource, report, first=first):
            with report.guard():
                for finding in judge(container):
                    report(f"{container.label} {finding}")

    return check


def _label(container: object) -> str:
    try:
        return f"container {at(container, 'name') or 'without a name'}"
    except UnknownValueError:
        return "a container"
