"""All of a stack in one region of Google Cloud: cluster, pools, registry, bucket, models."""

from collections.abc import Mapping, Sequence
from typing import TypedDict

import pulumi

from components.gcp.bucket import GcsWeightsBucket
from components.gcp.gke import GkeCluster
from components.gcp.identity import GcpModelIdentity
from components.gcp.node_pool import GkeNodePool
from components.gcp.registry import ArtifactRegistry
from components.kubernetes.images import image_in, in_own_registry
from components.kubernetes.model_service import ModelService, model_namespace, service_account_name
from components.kubernetes.nodes import gpu_pool_shape
from components.kubernetes.provider import cluster_provider
from components.kubernetes.weights.routes import GcsWeights, Weights, hub_weights, weights_place
from model_factory.planning.placing.plan import Placement, Pool
from model_factory.planning.settings.sections import GcpSettings, ModelSettings


class GcpRegionArgs(TypedDict):
    region: str
    settings: GcpSettings
    network_id: pulumi.Input[str]
    subnetwork_id: pulumi.Input[str]
    placements: Sequence[Placement]
    pools: Sequence[Pool]
    render_to: str | None
    disposable: bool
    protect: bool
    labels: Mapping[str, str]


class GcpRegion(pulumi.ComponentResource):
    """A GKE cluster in a subnet of the stack's network, with everything that the models placed here need."""

    endpoint: pulumi.Output[str]
    registry: pulumi.Output[str]
    bucket: pulumi.Output[str]
    addresses: Mapping[str, pulumi.Output[str]]

    def __init__(self, name: str, args: GcpRegionArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("model-factory:region:GcpRegion", name, {}, opts)
        region, settings, labels = args["region"], args["settings"], args["labels"]
        project = settings.project
        child = pulumi.ResourceOptions(parent=self)
        cluster = GkeCluster(
            name,
            {
                "project": project,
                "region": region,
                "network_id": args["network_id"],
                "subnetwork_id": args["subnetwork_id"],
                "control_plane_cidr": settings.control_plane_cidr_of(region),
                "authorized_cidrs": settings.authorized_cidrs,
                "release_channel": settings.release_channel,
                "kubernetes_version": settings.kubernetes_version,
                "system_machine_type": settings.system_machine_type,
                "system_nodes_per_zone": settings.system_nodes,
                "protect": args["protect"],
                "labels": labels,
            },
            child,
        )
        registry = ArtifactRegistry(
            name,
            {
                "project": project,
                "region": region,
                "reader_email": cluster.node_service_account,
                "protect": args["protect"],
                "labels": labels,
            },
            child,
        )
        bucket = GcsWeightsBucket(
            f"{name}-weights",
            {
                "project": project,
                "region": region,
                "disposable": args["disposable"],
                "protect": args["protect"],
                "labels": labels,
            },
            child,
        )
        pools = {
            pool.name: GkeNodePool(
                f"{region}-{pool.name}",
                {
                    "project": project,
                    "region": region,
                    "zones": pool.zones,
                    "cluster_name": cluster.cluster_name,
                    "service_account": cluster.node_service_account,
                    # GKE's own autoscaler brings the first nodes when the models ask for them.
                    "shape": gpu_pool_shape(pool, initial_nodes=0),
                    "labels": labels,
                },
                child,
            )
            for pool in args["pools"]
        }
        provider = cluster_provider(name, cluster.kubeconfig, args["render_to"], self, cluster)

        def serve(placement: Placement) -> ModelService:
            model = placement.model
            weights = gcp_weights(model, bucket)
            identity = (
                GcpModelIdentity(
                    f"{name}-{model.name}",
                    {
                        "project": project,
                        "bucket": weights.bucket,
                        "namespace": model_namespace(model.name),
                        "service_account": service_account_name(model.name),
                    },
                    # The identity pool that the binding names comes with the project's first cluster.
                    pulumi.ResourceOptions(parent=self, depends_on=[cluster]),
                )
                if isinstance(weights, GcsWeights)
                else None
            )
            return ModelService(
                f"{name}-{model.name}",
                {
                    "model": model,
                    "region": region,
                    "pool": placement.pool,
                    "image": registry.url.apply(lambda url: image_in(f"{url}/{model.name}", model.image))
                    if in_own_registry(model.image)
                    else model.image,
                    "weights": weights,
                    "service_account_annotations": {"iam.gke.io/gcp-service-account": identity.email}
                    if identity
                    else {},
                    "labels": labels,
                },
                # Pods wait for their pool, and read with an identity that must exist before they start.
                pulumi.ResourceOptions(
                    parent=self,
                    providers=[provider],
                    depends_on=[pools[placement.pool], *([identity] if identity else [])],
                ),
            )

        self.addresses = {each.model.name: serve(each).address for each in args["placements"]}
        self.endpoint = cluster.endpoint
        self.registry = registry.url
        self.bucket = bucket.bucket_name
        self.register_outputs({"endpoint": self.endpoint, "bucket": self.bucket})


def gcp_weights(model: ModelSettings, bucket: GcsWeightsBucket) -> Weights:
    """Where a model's Pods on Google Cloud read from. ValueError for a place that they cannot read."""
    place = weights_place(model, "gcp")
    if place.scheme == "hf":
        return hub_weights(model, place)
    return GcsWeights(place.bucket or bucket.bucket_name, place.prefix)
