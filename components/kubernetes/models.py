"""The models of one cluster, the same on every cloud: each with its weights, its image, its identity and its service."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as kubernetes

from components.kubernetes.images import image_in, in_own_registry
from components.kubernetes.model_service import ModelService
from components.kubernetes.weights import weights_of
from components.kubernetes.weights.route import Buckets, Folder
from model_factory.planning.placing.plan import Placement
from model_factory.planning.settings.sections import ModelSettings


@dataclass(frozen=True, slots=True)
class ModelIdentity:
    """Who a model's Pods are in the cloud: what must exist before they start, and what their service account says of it."""

    resource: pulumi.Resource
    annotations: Mapping[str, pulumi.Input[str]]


@dataclass(frozen=True, slots=True)
class ModelSite:
    """What a site offers to the models in its cluster, in its cloud's own way."""

    provider: kubernetes.Provider
    pools: Mapping[str, pulumi.Resource]
    buckets: Buckets
    repository: Callable[[ModelSettings], pulumi.Output[str]]
    """Where a model's image lies in the stack's own registry."""
    identity: Callable[[str, ModelSettings, Folder], ModelIdentity]
    """Declares, under a logical name, the identity of a model that reads a folder."""
    labels: Callable[[ModelSettings], Mapping[str, str]]


def serve_models(
    name: str, parent: pulumi.Resource, site: ModelSite, placements: Iterable[Placement]
) -> dict[str, pulumi.Output[str]]:
    """Declares the service of each model placed in the site `name`, and returns their addresses as `<site>/<model>`."""

    def serve(placement: Placement) -> ModelService:
        model = placement.model
        model_name = f"{name}-{model.name}"
        weights = weights_of(model, site.buckets)

        def found(image: str) -> pulumi.Input[str]:
            return site.repository(model).apply(lambda url: image_in(url, image)) if in_own_registry(image) else image

        identity = site.identity(model_name, model, weights.reads) if weights.reads else None
        return ModelService(
            model_name,
            {
                "placement": placement,
                "image": found(model.image),
                "fetcher": found(weights.fetch.image) if weights.fetch else None,
                "weights": weights,
                "service_account_annotations": identity.annotations if identity else {},
                "labels": site.labels(model),
            },
            # Pods wait for their pools, and read with an identity that must exist before they start.
            pulumi.ResourceOptions(
                parent=parent,
                providers=[site.provider],
                depends_on=[
                    *(site.pools[pool] for pool in placement.pools),
                    *([identity.resource] if identity else []),
                ],
            ),
        )

    return {f"{name}/{each.model.name}": serve(each).address for each in placements}
