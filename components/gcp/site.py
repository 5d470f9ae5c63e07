"""All of a stack in one region of Google Cloud: cluster, pools, registry, bucket, models."""

from collections.abc import Mapping, Sequence
from typing import TypedDict

import pulumi

from components.gcp.bucket import GcsWeightsBucket
from components.gcp.gke import GkeCluster
from components.gcp.identity import GcpModelIdentity
from components.gcp.network import GcpNetwork, SubnetRanges
from components.gcp.node_pool import GkeNodePool
from components.gcp.registry import ArtifactRegistry
from components.kubernetes.model_service import model_namespace, service_account_name
from components.kubernetes.models import ModelIdentity, ModelSite, serve_models
from components.kubernetes.nodes import model_pool_shape
from components.kubernetes.provider import cluster_provider
from components.kubernetes.weights.fetched import FetchedBuckets, Fetching
from components.kubernetes.weights.gcs import GcsBuckets
from components.kubernetes.weights.route import Buckets, Folder
from components.stack import StackTraits
from model_factory.planning.placing.plan import Placement, Plan, Pool
from model_factory.planning.settings.gcp import GcpSettings
from model_factory.planning.settings.sections import ModelSettings, Settings


class GcpRegionArgs(TypedDict):
    region: str
    settings: GcpSettings
    network_id: pulumi.Input[str]
    subnetwork_id: pulumi.Input[str]
    placements: Sequence[Placement]
    pools: Sequence[Pool]
    traits: StackTraits


class GcpRegion(pulumi.ComponentResource):
    """A GKE cluster in a subnet of the stack's network, with everything that the models placed here need."""

    endpoint: pulumi.Output[str]
    registries: Mapping[str, pulumi.Output[str]]
    bucket: pulumi.Output[str]
    addresses: Mapping[str, pulumi.Output[str]]

    def __init__(self, name: str, args: GcpRegionArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("model-factory:region:GcpRegion", name, {}, opts)
        region, settings, traits = args["region"], args["settings"], args["traits"]
        labels = traits.labels
        project = settings.project
        child = pulumi.ResourceOptions(parent=self)
        cluster = GkeCluster(
            name,
            {
                "region": region,
                "settings": settings,
                "network_id": args["network_id"],
                "subnetwork_id": args["subnetwork_id"],
                "protect": traits.protect,
                "labels": labels,
                "tokens_are_local": traits.clusters.tokens_are_local,
            },
            child,
        )
        registry = ArtifactRegistry(
            name,
            {
                "project": project,
                "region": region,
                "reader_email": cluster.node_service_account,
                "protect": traits.protect,
                "labels": labels,
            },
            child,
        )
        bucket = GcsWeightsBucket(
            f"{name}-weights",
            {
                "project": project,
                "region": region,
                "disposable": traits.disposable,
                "protect": traits.protect,
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
                    "shape": model_pool_shape(pool, initial_nodes=0),
                    "labels": labels,
                },
                child,
            )
            for pool in args["pools"]
        }

        def identity(model_name: str, model: ModelSettings, folder: Folder) -> ModelIdentity:
            made = GcpModelIdentity(
                model_name,
                {
                    "project": project,
                    "bucket": folder.bucket or bucket.bucket_name,
                    "namespace": model_namespace(model.name),
                    "service_account": service_account_name(model.name),
                },
                # The identity pool that the binding names comes with the project's first cluster.
                pulumi.ResourceOptions(parent=self, depends_on=[cluster]),
            )
            return ModelIdentity(made, {"iam.gke.io/gcp-service-account": made.email})

        site = ModelSite(
            provider=cluster_provider(name, f"gcp/{region}", cluster.kubeconfig, traits, self, cluster),
            pools=pools,
            buckets=_buckets(bucket.bucket_name, traits.fetching),
            repository=lambda model: registry.url.apply(lambda url: f"{url}/{model.name}"),
            identity=identity,
            labels=traits.labels_of,
        )
        self.addresses = serve_models(name, self, site, args["placements"])
        self.endpoint = cluster.endpoint
        self.registries = {name: registry.url}
        self.bucket = bucket.bucket_name
        self.register_outputs({"endpoint": self.endpoint, "bucket": self.bucket})


def _buckets(own: pulumi.Input[str], fetching: Fetching | None) -> Buckets:
    if fetching is None:
        return GcsBuckets(own)
    env = {"STORAGE_EMULATOR_HOST": fetching.url("gcp")}
    return FetchedBuckets("gs", own, fetching.image, env, fetching.ports["gcp"])


def gcp_sites(settings: Settings, plan: Plan, traits: StackTraits) -> dict[str, GcpRegion]:
    """Declares the stack's network on Google Cloud and its sites there, by logical name."""
    if (gcp := settings.gcp) is None:
        return {}
    network = GcpNetwork(
        f"{traits.stack}-gcp",
        {
            "project": gcp.project,
            "subnets": [
                SubnetRanges(
                    region=region,
                    nodes_cidr=gcp.subnet_cidr_of(region),
                    pods_cidr=gcp.pods_cidr_of(region),
                    services_cidr=gcp.services_cidr_of(region),
                )
                for region in gcp.regions
            ],
        },
    )
    return {
        (name := f"{traits.stack}-gcp-{region}"): GcpRegion(
            name,
            {
                "region": region,
                "settings": gcp,
                "network_id": network.network_id,
                "subnetwork_id": network.subnetwork_ids[region],
                "placements": plan.placements_of("gcp", region),
                "pools": plan.pools_of("gcp", region),
                "traits": traits,
            },
            # Nodes fetch their first images through a NAT that no input of theirs names.
            pulumi.ResourceOptions(depends_on=[network]),
        )
        for region in gcp.regions
    }
