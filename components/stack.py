"""What holds for all of a stack, and what a site of it shows to the outside."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import pulumi

from components.kubernetes.nodes import LABEL_VALUE_LIMIT
from components.kubernetes.weights.fetched import Fetching
from model_factory.graph.names import fit
from model_factory.planning.settings.clusters import Clusters
from model_factory.planning.settings.sections import ModelSettings, Settings


@dataclass(frozen=True, slots=True)
class StackTraits:
    """What every site of a stack is given alike.

    `clusters` says where Kubernetes objects go, `render_to` the folder for those that are rendered, None where clusters are real;
    `fetching` how Pods copy their weights, None where buckets are mounted; `disposable` lets stores be deleted with what is in
    them; `protect` keeps what holds state from being deleted at all; `labels` are on everything that takes some. `identity` are those of
    them that tell whose a resource is: they stay while it lives, whatever the stack file says of labels.
    """

    stack: str
    clusters: Clusters
    render_to: str | None
    fetching: Fetching | None
    disposable: bool
    protect: bool
    labels: Mapping[str, str]
    identity: Mapping[str, str]

    @classmethod
    def of(cls, settings: Settings) -> StackTraits:
        """A stack's traits: the stack file's labels, and those that tell whose a resource is."""
        return cls(
            stack=settings.stack,
            clusters=settings.clusters,
            render_to=settings.rendered_to,
            fetching=Fetching.of(settings),
            disposable=settings.environment == "dev",
            protect=settings.environment == "prod",
            labels={**settings.labels, **(identity := _identity(settings))},
            identity=identity,
        )

    def labels_of(self, model: ModelSettings) -> Mapping[str, str]:
        """The labels of what belongs to one model: the stack's and its own, which come first where both have one."""
        return {**self.labels, **model.labels, "model": model.name}


def _identity(settings: Settings) -> Mapping[str, str]:
    return {
        "environment": settings.environment,
        "managed-by": fit(settings.project, LABEL_VALUE_LIMIT),
        "stack": fit(settings.stack, LABEL_VALUE_LIMIT),
    }


class Site(Protocol):
    """All of a stack in one region of a cloud. Registries and addresses go by logical name: `dev-aws-us-east-1/assistant`."""

    endpoint: pulumi.Output[str]
    bucket: pulumi.Output[str]
    registries: Mapping[str, pulumi.Output[str]]
    addresses: Mapping[str, pulumi.Output[str]]
