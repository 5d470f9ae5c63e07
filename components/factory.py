"""A stack's placements as resources: every region of every cloud, and what the outside wants to know of them."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import pulumi

from components.aws.site import AwsRegion
from components.gcp.network import GcpNetwork, SubnetRanges
from components.gcp.site import GcpRegion
from model_factory.planning.placing.plan import Plan
from model_factory.planning.settings.sections import Settings

Outputs = dict[str, pulumi.Output[str]]


@dataclass(frozen=True, slots=True)
class Factory:
    """What was built, by logical name: clusters and buckets by region, registries by region and model, addresses by model."""

    clusters: Outputs = field(default_factory=Outputs)
    registries: Outputs = field(default_factory=Outputs)
    buckets: Outputs = field(default_factory=Outputs)
    addresses: Outputs = field(default_factory=Outputs)


def build(settings: Settings, plan: Plan) -> Factory:
    """Declares every resource of the stack. It reads no configuration and makes no decision of its own."""
    built = Factory()
    if settings.aws is not None:
        for region in settings.aws.regions:
            name = region_name(settings, "aws", region)
            aws_region = AwsRegion(
                name,
                {
                    "region": region,
                    "settings": settings.aws,
                    "models": settings.models,
                    "placements": plan.placements_of("aws", region),
                    "pools": plan.pools_of("aws", region),
                    "render_to": settings.local.render_to if settings.local else None,
                    "disposable": settings.environment == "dev",
                    "protect": settings.environment == "prod",
                    "tags": stack_labels(settings),
                },
            )
            built.clusters[name] = aws_region.endpoint
            built.buckets[name] = aws_region.bucket
            built.registries.update({f"{name}/{model}": url for model, url in aws_region.registries.items()})
            built.addresses.update(aws_region.addresses)
    if settings.gcp is not None:
        gcp = settings.gcp
        network = GcpNetwork(
            f"{settings.stack}-gcp",
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
        for region in gcp.regions:
            name = region_name(settings, "gcp", region)
            gcp_region = GcpRegion(
                name,
                {
                    "region": region,
                    "settings": gcp,
                    "network_id": network.network_id,
                    "subnetwork_id": network.subnetwork_ids[region],
                    "placements": plan.placements_of("gcp", region),
                    "pools": plan.pools_of("gcp", region),
                    "render_to": settings.local.render_to if settings.local else None,
                    "disposable": settings.environment == "dev",
                    "protect": settings.environment == "prod",
                    "labels": stack_labels(settings),
                },
                # Nodes fetch their first images through a NAT that no input of theirs names.
                pulumi.ResourceOptions(depends_on=[network]),
            )
            built.clusters[name] = gcp_region.endpoint
            built.buckets[name] = gcp_region.bucket
            built.registries[name] = gcp_region.registry
            built.addresses.update(gcp_region.addresses)
    return built


def region_name(settings: Settings, cloud: str, region: str) -> str:
    """The logical name of all of a stack in one region."""
    return f"{settings.stack}-{cloud}-{region}"


def stack_labels(settings: Settings) -> Mapping[str, str]:
    """What every resource carries: the stack file's labels, and those that tell whose it is."""
    return {
        **settings.labels,
        "environment": settings.environment,
        "managed-by": settings.project,
        "stack": settings.stack,
    }


def model_rows(plan: Plan) -> list[Mapping[str, object]]:
    """The table of models for the stack's outputs. Amounts are text: a double would round them."""
    return [
        {
            "model": each.model.name,
            "runtime": each.model.runtime,
            "cloud": each.cloud,
            "region": each.region,
            "machine_type": each.offer.machine_type,
            "accelerator": f"{each.model.gpus_per_replica}x {each.offer.accelerator}",
            "capacity_type": each.capacity_type,
            "replicas": each.replicas,
            "replicas_max": each.model.replicas_max,
            "usd_per_hour": str(each.usd_per_hour),
            "usd_per_hour_max": str(each.usd_per_hour_max),
        }
        for each in plan.placements
    ]
