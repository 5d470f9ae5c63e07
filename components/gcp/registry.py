"""The Artifact Registry repository of a region: one for all models there, an image name each."""

from collections.abc import Mapping
from typing import TypedDict

import pulumi
import pulumi_gcp as gcp

from model_factory.graph.names import fit

REPOSITORY_ID_LIMIT = 63


class ArtifactRegistryArgs(TypedDict):
    project: str
    region: str
    reader_email: pulumi.Input[str]
    protect: bool
    labels: Mapping[str, str]


class ArtifactRegistry(pulumi.ComponentResource):
    """A Docker repository whose tags cannot move, and which the cluster's nodes may read."""

    url: pulumi.Output[str]

    def __init__(self, name: str, args: ArtifactRegistryArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("model-factory:registry:ArtifactRegistry", name, {}, opts)
        project, region = args["project"], args["region"]
        repository = gcp.artifactregistry.Repository(
            name,
            project=project,
            location=region,
            repository_id=fit(name, REPOSITORY_ID_LIMIT),
            format="DOCKER",
            description="Images of the models that this stack serves",
            docker_config={"immutable_tags": True},
            labels=args["labels"],
            opts=pulumi.ResourceOptions(parent=self, protect=args["protect"]),
        )
        gcp.artifactregistry.RepositoryIamMember(
            f"{name}-nodes",
            project=project,
            location=region,
            repository=repository.repository_id,
            role="roles/artifactregistry.reader",
            member=pulumi.Output.concat("serviceAccount:", args["reader_email"]),
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.url = repository.repository_id.apply(lambda id_: f"{region}-docker.pkg.dev/{project}/{id_}")
        self.register_outputs({"url": self.url})
