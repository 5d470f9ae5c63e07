"""What AWS bills."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Final

from model_factory.cost.charges import (
    ONE,
    Billing,
    Charge,
    Charges,
    Context,
    Unpriced,
    Volume,
    address,
    disk,
    key,
    owner_by_label,
    weights,
)
from model_factory.cost.values import SHARED
from model_factory.facts.aws.kubernetes import SUPPORT
from model_factory.graph.clusters import EKS_CLUSTER
from model_factory.graph.graph import Graph
from model_factory.graph.resource import Resource
from model_factory.graph.values import at, listed, mapping, number, text

_LAUNCH_TEMPLATE: Final = "aws:ec2/launchTemplate:LaunchTemplate"


def _cluster(context: Context, resource: Resource) -> Charges:
    support = SUPPORT.get(text(resource.at("version")))
    if support is not None and context.today is not None and context.today > support.standard_until:
        yield Charge(
            "eks-control-plane-extended",
            f"control plane, extended support since {support.standard_until}",
            ONE,
        )
    else:
        yield Charge("eks-control-plane", "control plane", ONE)


def _nat_gateway(context: Context, _resource: Resource) -> Charges:
    gb = context.usage.gb_through_nat_gateway
    yield Charge("nat-gateway", "NAT gateway", ONE)
    yield Charge("nat-gateway-data", "data through the gateway", gb, f"assumes {gb:f} GB a month")


def _registry(context: Context, resource: Resource) -> Charges:
    gb = context.usage.gb_a_model_in_registry
    owner = text(resource.at("tags", "model")) or SHARED
    yield Charge("ecr-storage", "images", gb, f"assumes {gb:f} GB", owner)


def _bucket(context: Context, resource: Resource) -> Charges:
    return weights(context, resource, "s3-standard")


def _log_group(context: Context, resource: Resource) -> Charges:
    usage, clusters = context.usage, context.graph.of_type(EKS_CLUSTER)
    gb = usage.gb_of_other_logs
    if text(resource.at("name")).startswith("/aws/eks/") and clusters:
        cluster = context.graph.nearest(resource, clusters)
        kinds = len(listed(cluster.at("enabledClusterLogTypes"))) if cluster is not None else 5
        gb = usage.gb_of_control_plane_logs * kinds / 5
    days = number(resource.at("retentionInDays")) or Decimal(0)
    if gb:
        yield Charge("logs-ingested", "logs taken in", gb, f"assumes {gb:f} GB a month")
    if gb and days:
        share = usage.share_of_logs_kept
        kept = (gb * days / 30 * share).quantize(Decimal("0.01"))
        yield Charge("logs-stored", "logs kept", kept, f"assumes {gb:f} GB a month, kept {days:f} days at {share:.0%}")
    elif gb:
        yield Unpriced("logs kept", "they are kept for ever, so what they cost grows without end")


def _load_balancer(_context: Context, resource: Resource) -> Charges:
    kind = text(resource.at("loadBalancerType")) or "application"
    yield Charge(f"load-balancer:{kind}", f"{kind} load balancer", ONE)
    yield _capacity_units(kind)


def _service(context: Context, resource: Resource) -> Charges:
    notes = mapping(resource.at("metadata", "annotations"))
    made = text(notes.get("service.beta.kubernetes.io/aws-load-balancer-type"))
    kind = "network" if made in {"nlb", "external", "nlb-ip"} else "classic"
    owner = owner_by_label(resource)
    yield Charge(f"load-balancer:{kind}", f"{kind} load balancer", ONE, "", owner)
    if kind == "network":
        yield _capacity_units(kind)
        return
    gb = context.usage.gb_through_load_balancer
    yield Charge(
        "load-balancer-data:classic",
        "data through the load balancer",
        gb,
        f"assumes {gb:f} GB a month",
        owner,
    )


def _capacity_units(kind: str) -> Unpriced:
    return Unpriced(f"capacity units of the {kind} load balancer", "they bill by use, and no use was assumed")


def _template(graph: Graph, pool: Resource) -> Resource | None:
    template = graph.by_id.get((_LAUNCH_TEMPLATE, text(pool.at("launchTemplate", "id"))))
    if template is None and pool.at("launchTemplate") is not None:
        beside = graph.siblings(pool, _LAUNCH_TEMPLATE)
        template = beside[0] if len(beside) == 1 else None
    return template


def _is_reserved(graph: Graph, pool: Resource) -> bool:
    """docs.aws.amazon.com/eks/latest/userguide/capacity-reservations.html: named by the launch template."""
    template = _template(graph, pool)
    return template is not None and bool(
        mapping(template.at("capacityReservationSpecification", "capacityReservationTarget"))
    )


def _volumes(graph: Graph, pool: Resource) -> Iterable[Volume]:
    template = _template(graph, pool)
    if template is None:
        gib = number(pool.at("diskSize"))
        return [Volume("gp3", gib)] if gib else []
    volumes = [at(each, "ebs") for each in listed(template.at("blockDeviceMappings"))]
    return [
        Volume(text(at(volume, "volumeType")) or "gp2", gib)
        for volume in volumes
        if (gib := number(at(volume, "volumeSize")))
    ]


def _by_the_node(_graph: Graph) -> Mapping[str, str]:
    return {}


BILLING: Final = Billing(
    rules={
        "aws:cloudwatch/logGroup:LogGroup": _log_group,
        "aws:ebs/volume:Volume": disk("gp2"),
        "aws:ec2/eip:Eip": address,
        "aws:ec2/natGateway:NatGateway": _nat_gateway,
        "aws:ecr/repository:Repository": _registry,
        EKS_CLUSTER: _cluster,
        "aws:kms/key:Key": key,
        "aws:lb/loadBalancer:LoadBalancer": _load_balancer,
        "aws:s3/bucket:Bucket": _bucket,
        "aws:s3/bucketV2:BucketV2": _bucket,
    },
    free=(
        "aws:ec2/defaultSecurityGroup:",
        "aws:ec2/flowLog:",  # bills through the log group that it writes to
        "aws:ec2/internetGateway:",
        "aws:ec2/launchTemplate:",
        "aws:ec2/networkAcl",
        "aws:ec2/route",
        "aws:ec2/securityGroup",
        "aws:ec2/subnet:",
        "aws:ec2/vpc:",
        "aws:ec2/vpcEndpoint:",  # of type Gateway, for S3; an interface endpoint bills, and no stack of ours has one
        "aws:ecr/lifecyclePolicy:",
        "aws:ecr/repositoryPolicy:",
        "aws:eks/accessEntry:",
        "aws:eks/accessPolicyAssociation:",
        "aws:eks/addon:",
        "aws:eks/podIdentityAssociation:",
        "aws:iam/",
        "aws:kms/alias:",
        "aws:kms/keyPolicy:",
        "aws:s3/bucket",
        "aws:vpc/",
    ),
    volumes=_volumes,
    is_reserved=_is_reserved,
    by_the_node=_by_the_node,
    load_balancer=_service,
    storage_classes={"gp2": "gp2", "gp3": "gp3"},
)
