"""All of a stack in one AWS region: network, cluster, pools, registries, bucket, models."""

from collections.abc import Mapping, Sequence
from typing import TypedDict

import pulumi
import pulumi_aws as aws

from components.aws.bucket import S3WeightsBucket
from components.aws.eks import EksCluster
from components.aws.flow_logs import AwsFlowLogs
from components.aws.identity import AwsModelIdentity
from components.aws.network import AwsNetwork
from components.aws.node_pool import EksNodePool
from components.aws.registry import EcrRepository
from components.kubernetes.images import image_in, in_own_registry
from components.kubernetes.model_service import ModelService, model_namespace, service_account_name
from components.kubernetes.nodes import gpu_pool_shape
from components.kubernetes.provider import cluster_provider
from components.kubernetes.weights.routes import S3Weights, Weights, hub_weights, weights_place
from model_factory.cost import nodes_of
from model_factory.planning.placing.plan import Placement, Pool
from model_factory.planning.settings.sections import AwsSettings, ModelSettings


class AwsRegionArgs(TypedDict):
    region: str
    settings: AwsSettings
    models: Sequence[ModelSettings]
    placements: Sequence[Placement]
    pools: Sequence[Pool]
    render_to: str | None
    disposable: bool
    protect: bool
    tags: Mapping[str, str]


class AwsRegion(pulumi.ComponentResource):
    """An EKS cluster in a network of its own, with everything that the models placed here need.

    Every model that may run on AWS has a repository, also while it runs elsewhere: its image can be there before it moves.
    """

    endpoint: pulumi.Output[str]
    registries: Mapping[str, pulumi.Output[str]]
    bucket: pulumi.Output[str]
    addresses: Mapping[str, pulumi.Output[str]]

    def __init__(self, name: str, args: AwsRegionArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("model-factory:region:AwsRegion", name, {}, opts)
        region, settings, tags = args["region"], args["settings"], args["tags"]
        child = pulumi.ResourceOptions(parent=self)
        network = AwsNetwork(
            name,
            {
                "region": region,
                "cidr": settings.vpc_cidr_of(region),
                "zones": settings.zones_of(region),
                "tags": tags,
            },
            child,
        )
        AwsFlowLogs(
            f"{name}-flow-logs",
            {
                "region": region,
                "vpc_id": network.vpc_id,
                "log_retention_days": settings.log_retention_days,
                "tags": tags,
            },
            child,
        )
        cluster = EksCluster(
            name,
            {
                "region": region,
                "kubernetes_version": settings.kubernetes_version,
                "vpc_subnet_ids": network.private_subnet_ids,
                "control_plane_security_group_id": network.control_plane_security_group_id,
                "endpoint_public_access_cidrs": settings.endpoint_public_access_cidrs,
                "service_cidr": settings.service_cidr,
                "system_machine_type": settings.system_machine_type,
                "system_nodes": settings.system_nodes,
                "log_retention_days": settings.log_retention_days,
                "protect": args["protect"],
                "tags": tags,
            },
            # Nodes fetch their first images through gateways and routes that no input of theirs names.
            pulumi.ResourceOptions(parent=self, depends_on=[network]),
        )
        bucket = S3WeightsBucket(
            f"{name}-weights",
            {"region": region, "disposable": args["disposable"], "protect": args["protect"], "tags": tags},
            child,
        )
        repositories = {
            model.name: EcrRepository(
                f"{name}-{model.name}",
                {
                    "region": region,
                    "disposable": args["disposable"],
                    "protect": args["protect"],
                    "tags": {**tags, "model": model.name},
                },
                child,
            )
            for model in args["models"]
            if "aws" in model.clouds
        }
        pools = {
            pool.name: EksNodePool(
                f"{name}-{pool.name}",
                {
                    "region": region,
                    "cluster_name": cluster.cluster_name,
                    "node_role_arn": cluster.node_role_arn,
                    "subnet_ids": network.private_subnet_ids,
                    "shape": gpu_pool_shape(pool, nodes_at_rest(pool, args["placements"])),
                    "tags": tags,
                },
                # Nodes cannot join before their role has its policies and the CNI is there.
                pulumi.ResourceOptions(parent=self, depends_on=[cluster]),
            )
            for pool in args["pools"]
        }
        provider = cluster_provider(name, cluster.kubeconfig, args["render_to"], self, cluster)

        def serve(placement: Placement) -> ModelService:
            model = placement.model
            model_name = f"{name}-{model.name}"
            weights = aws_weights(model, bucket)
            identity = (
                AwsModelIdentity(
                    model_name,
                    {
                        "region": region,
                        "cluster_name": cluster.cluster_name,
                        "namespace": model_namespace(model.name),
                        "service_account": service_account_name(model.name),
                        "bucket_arn": weights.bucket_arn,
                        "prefix": weights.prefix,
                        "key_arn": weights.key_arn,
                        "tags": {**tags, "model": model.name},
                    },
                    child,
                )
                if isinstance(weights, S3Weights)
                else None
            )
            return ModelService(
                model_name,
                {
                    "model": model,
                    "region": region,
                    "pool": placement.pool,
                    "image": repositories[model.name].url.apply(lambda url: image_in(url, model.image))
                    if in_own_registry(model.image)
                    else model.image,
                    "weights": weights,
                    "service_account_annotations": {},
                    "labels": tags,
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
        self.registries = {model_name: repository.url for model_name, repository in repositories.items()}
        self.bucket = bucket.bucket_name
        self.register_outputs({"endpoint": self.endpoint, "bucket": self.bucket})


def nodes_at_rest(pool: Pool, placements: Sequence[Placement]) -> int:
    """The nodes that hold the least replicas of the pool's models."""
    members = [each for each in placements if each.pool == pool.name]
    return nodes_of(members, {each.model.name: each.replicas for each in members})


def aws_weights(model: ModelSettings, bucket: S3WeightsBucket) -> Weights:
    """Where a model's Pods on AWS read from. ValueError for a place that they cannot read."""
    place = weights_place(model, "aws")
    if place.scheme == "hf":
        return hub_weights(model, place)
    if place.bucket:
        arn = aws.get_partition_output().partition.apply(
            lambda partition: f"arn:{partition}:s3:::{place.bucket}"
        )
        return S3Weights(place.bucket, arn, place.prefix, None)
    return S3Weights(bucket.bucket_name, bucket.bucket_arn, place.prefix, bucket.key_arn)
