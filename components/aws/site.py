"""All of a stack in one AWS region: network, cluster, pools, registries, bucket, models."""

from collections.abc import Mapping, Sequence
from typing import TypedDict

import pulumi
import pulumi_aws as aws

from components.aws.bucket import S3WeightsBucket
from components.aws.eks import EksCluster
from components.aws.flow_logs import AwsFlowLogs
from components.aws.group_size import running_groups
from components.aws.identity import AwsModelIdentity
from components.aws.network import AwsNetwork
from components.aws.node_pool import EksNodePool
from components.aws.registry import EcrRepository
from components.kubernetes.model_service import model_namespace, service_account_name
from components.kubernetes.models import ModelIdentity, ModelSite, serve_models
from components.kubernetes.nodes import model_pool_shape
from components.kubernetes.provider import cluster_provider
from components.kubernetes.weights.fetched import FetchedBuckets
from components.kubernetes.weights.route import Buckets, Folder, PodToken
from components.kubernetes.weights.s3 import S3Buckets
from components.stack import StackTraits
from model_factory.cost import nodes_for
from model_factory.planning.placing.plan import Placement, Plan, Pool, to_pack
from model_factory.planning.settings.aws import AwsSettings
from model_factory.planning.settings.sections import ModelSettings, Settings

# docs.aws.amazon.com/eks/latest/userguide/pod-id-how-it-works.html: what EKS's webhook adds to Pods.
POD_IDENTITY_TOKEN = PodToken(
    "pods.eks.amazonaws.com", "/var/run/secrets/pods.eks.amazonaws.com/serviceaccount", "eks-pod-identity-token"
)


class AwsRegionArgs(TypedDict):
    region: str
    settings: AwsSettings
    models: Sequence[ModelSettings]
    placements: Sequence[Placement]
    pools: Sequence[Pool]
    traits: StackTraits


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
        region, settings, traits = args["region"], args["settings"], args["traits"]
        tags = traits.labels
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
                "settings": settings,
                "vpc_subnet_ids": network.private_subnet_ids,
                "control_plane_security_group_id": network.control_plane_security_group_id,
                "protect": traits.protect,
                "tags": tags,
                "machine_tags": traits.identity,
                "tokens_are_local": traits.clusters.tokens_are_local,
            },
            # Nodes fetch their first images through gateways and routes that no input of theirs names.
            pulumi.ResourceOptions(parent=self, depends_on=[network]),
        )
        bucket = S3WeightsBucket(
            f"{name}-weights",
            {"region": region, "disposable": traits.disposable, "protect": traits.protect, "tags": tags},
            child,
        )
        repositories = {
            model.name: EcrRepository(
                f"{name}-{model.name}",
                {
                    "region": region,
                    "disposable": traits.disposable,
                    "protect": traits.protect,
                    "tags": traits.labels_of(model),
                },
                child,
            )
            for model in args["models"]
            if "aws" in model.clouds
        }
        running = running_groups(cluster.physical_name, region, self)
        pools = {
            pool.name: EksNodePool(
                f"{name}-{pool.name}",
                {
                    "region": region,
                    "cluster_name": cluster.cluster_name,
                    "kubernetes_version": settings.kubernetes_version,
                    "node_role_arn": cluster.node_role_arn,
                    "subnet_ids": [network.private_subnet_in(pool.reservation.zone)]
                    if pool.reservation
                    else network.private_subnet_ids,
                    "shape": model_pool_shape(pool, nodes_at_rest(pool, args["placements"])),
                    "running": running,
                    "tags": tags,
                    "machine_tags": traits.identity,
                },
                # Nodes cannot join before their role has its policies and the CNI is there.
                pulumi.ResourceOptions(parent=self, depends_on=[cluster]),
            )
            for pool in args["pools"]
        }

        def identity(model_name: str, model: ModelSettings, folder: Folder) -> ModelIdentity:
            made = AwsModelIdentity(
                model_name,
                {
                    "region": region,
                    "cluster_name": cluster.cluster_name,
                    "namespace": model_namespace(model.name),
                    "service_account": service_account_name(model.name),
                    "bucket_arn": bucket_arn(folder.bucket) if folder.bucket else bucket.bucket_arn,
                    "prefix": folder.readable,
                    "key_arn": None if folder.bucket else bucket.key_arn,
                    "tags": traits.labels_of(model),
                },
                child,
            )
            return ModelIdentity(made, {})

        site = ModelSite(
            provider=cluster_provider(name, f"aws/{region}", cluster.kubeconfig, traits, self, cluster),
            pools=pools,
            buckets=_buckets(bucket.bucket_name, region, cluster.cluster_name, traits),
            repository=lambda model: repositories[model.name].url,
            identity=identity,
            labels=traits.labels_of,
        )
        self.addresses = serve_models(name, self, site, args["placements"])
        self.endpoint = cluster.endpoint
        self.registries = {f"{name}/{model}": repository.url for model, repository in repositories.items()}
        self.bucket = bucket.bucket_name
        self.register_outputs({"endpoint": self.endpoint, "bucket": self.bucket})


def _buckets(own: pulumi.Input[str], region: str, cluster_name: pulumi.Input[str], traits: StackTraits) -> Buckets:
    fetching = traits.fetching
    if fetching is None:
        return S3Buckets(own, region)
    url = fetching.url("aws")
    env: dict[str, pulumi.Input[str]] = {"AWS_ENDPOINT_URL_S3": url, "AWS_REGION": region}
    token = None
    if traits.clusters.tokens_are_local:
        # On AWS a webhook of EKS adds this to each Pod that has an association, and an agent on its node answers.
        token = POD_IDENTITY_TOKEN
        env["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = pulumi.Output.concat(
            f"{url}/v1/credentials/{region}.", cluster_name
        )
        env["AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"] = f"{token.folder}/{token.file}"
    return FetchedBuckets("s3", own, fetching.image, env, fetching.ports["aws"], token)


def nodes_at_rest(pool: Pool, placements: Sequence[Placement]) -> int:
    """The nodes that hold the least replicas of the pool's models."""
    legs = [(each.model, leg) for each in placements for leg in each.legs if leg.pool == pool.name]
    if not legs:
        return 0
    return nodes_for(legs[0][1].offer, [to_pack(model, leg, leg.least) for model, leg in legs])


def bucket_arn(bucket: str) -> pulumi.Output[str]:
    """The ARN of a bucket that is not the stack's."""
    return aws.get_partition_output().partition.apply(lambda partition: f"arn:{partition}:s3:::{bucket}")


def aws_sites(settings: Settings, plan: Plan, traits: StackTraits) -> dict[str, AwsRegion]:
    """Declares the stack's sites on AWS, by logical name."""
    if settings.aws is None:
        return {}
    return {
        (name := f"{traits.stack}-aws-{region}"): AwsRegion(
            name,
            {
                "region": region,
                "settings": settings.aws,
                "models": settings.models,
                "placements": plan.placements_of("aws", region),
                "pools": plan.pools_of("aws", region),
                "traits": traits,
            },
        )
        for region in settings.aws.regions
    }
