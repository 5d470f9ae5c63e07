"""What a resource other than a node pool bills: one rule a resource type. Prices come later, by item.

Where the graph does not say how much is used, `Usage` does, and the charge says so. Types that bill nothing by themselves are listed;
a type of a cloud that is neither listed nor has a rule is reported as missing, never as free.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Final

from model_factory.cost.pools import workloads_of
from model_factory.cost.values import SHARED, Place
from model_factory.facts.aws.kubernetes import SUPPORT
from model_factory.graph.graph import CLUSTERS, Graph
from model_factory.graph.quantity import amount
from model_factory.graph.resource import Resource
from model_factory.graph.values import at, mapping, number, text

_GIB: Final = Decimal(2) ** 30


@dataclass(frozen=True, slots=True)
class Usage:
    """What is assumed where the graph does not say it. GB a month unless the name says otherwise."""

    gb_through_nat_gateway: Decimal = Decimal(100)
    """Through each AWS NAT gateway or each Cloud NAT: mostly images and weights that new nodes fetch."""
    gb_of_control_plane_logs: Decimal = Decimal(10)
    """Of one EKS cluster with all log types; a part of it for fewer."""
    gb_of_other_logs: Decimal = Decimal(10)
    """Of any other log group, as the flows of a network."""
    share_of_logs_kept: Decimal = Decimal("0.15")
    """Size of stored logs, compressed, against what was taken in."""
    gb_of_cluster_logs: Decimal = Decimal(30)
    """Of one GKE cluster with the logs of system and workloads; before the 50 GiB that Google Cloud gives each project."""
    gb_a_model_in_registry: Decimal = Decimal(30)
    """Images of one model: two versions of 15 GB."""
    gb_a_model_in_bucket: Decimal = Decimal(60)
    """Weights of one model: two versions of 30 GB."""
    gb_through_load_balancer: Decimal = Decimal(100)
    nat_addresses: Decimal = Decimal(1)
    """Addresses of a Cloud NAT that allocates them by itself: one serves a thousand nodes."""


@dataclass(frozen=True, slots=True)
class Charge:
    """One thing that a resource bills: so much of an item."""

    item: str
    what: str
    quantity: Decimal
    estimated: str = ""
    owner: str = SHARED
    place: tuple[Place, str] | None = None
    """Cloud and region, where they are not the resource's own."""


@dataclass(frozen=True, slots=True)
class Unpriced:
    """Something that bills and that no item stands for."""

    what: str
    reason: str


@dataclass(frozen=True, slots=True)
class Context:
    """What a rule may look at besides its resource."""

    graph: Graph
    usage: Usage
    today: date | None


Rule = Callable[[Context, Resource], Iterable[Charge | Unpriced]]
_ONE: Final = Decimal(1)


def _eks_cluster(context: Context, resource: Resource) -> Iterable[Charge | Unpriced]:
    support = SUPPORT.get(text(resource.at("version")))
    if support is not None and context.today is not None and context.today > support.standard_until:
        yield Charge(
            "eks-control-plane-extended",
            f"control plane, extended support since {support.standard_until}",
            _ONE,
        )
    else:
        yield Charge("eks-control-plane", "control plane", _ONE)


def _gke_cluster(context: Context, resource: Resource) -> Iterable[Charge | Unpriced]:
    yield Charge("gke-control-plane", "control plane", _ONE)
    if resource.at("enableAutopilot") is True:
        yield Unpriced("pods of an Autopilot cluster", "they bill by what they ask for, which is not counted")
    elif resource.at("removeDefaultNodePool") is not True:
        yield Unpriced("default node pool", "nodes that the cluster makes by itself are not counted")
    parts = {part for part in resource.at("loggingConfig", "enableComponents") or () if isinstance(part, str)}
    if parts:
        gb = context.usage.gb_of_cluster_logs * (_ONE if "WORKLOADS" in parts else Decimal("0.5"))
        yield Charge("logs-ingested", "logs", gb, f"assumes {gb:f} GB a month")
    if resource.at("monitoringConfig", "managedPrometheus", "enabled") is True:
        yield Unpriced(
            "metrics of managed Prometheus", "they bill by the sample, and how many there are is not known"
        )


def _nat_gateway(context: Context, _resource: Resource) -> Iterable[Charge | Unpriced]:
    gb = context.usage.gb_through_nat_gateway
    yield Charge("nat-gateway", "NAT gateway", _ONE)
    yield Charge("nat-gateway-data", "data through the gateway", gb, f"assumes {gb:f} GB a month")


def _router_nat(context: Context, resource: Resource) -> Iterable[Charge | Unpriced]:
    gb = context.usage.gb_through_nat_gateway
    yield Charge("nat-data", "data through the gateway", gb, f"assumes {gb:f} GB a month")
    own = resource.at("natIps")
    if text(resource.at("natIpAllocateOption")) == "AUTO_ONLY" or not own:
        count = context.usage.nat_addresses
        yield Charge("public-ipv4", "addresses", count, f"assumes {count:f} address")
    # Addresses that are resources of their own bill there.


def _address(_context: Context, resource: Resource) -> Iterable[Charge | Unpriced]:
    if text(resource.at("addressType")) != "INTERNAL":
        yield Charge("public-ipv4", "public address", _ONE)


def _disk(_context: Context, resource: Resource) -> Iterable[Charge | Unpriced]:
    kind = text(resource.at("type")).rsplit("/", 1)[-1] or (
        "gp2" if resource.type.startswith("aws:") else "pd-standard"
    )
    gib = number(resource.at("size"))
    if gib is None:
        yield Unpriced(f"{kind} volume", "its size is not known before it exists")
    else:
        yield Charge(f"disk:{kind}", f"{kind} volume", gib)


def _ecr(context: Context, resource: Resource) -> Iterable[Charge | Unpriced]:
    gb = context.usage.gb_a_model_in_registry
    owner = text(resource.at("tags", "model")) or SHARED
    yield Charge("ecr-storage", "images", gb, f"assumes {gb:f} GB", owner)


def _artifact_registry(context: Context, resource: Resource) -> Iterable[Charge | Unpriced]:
    models = _models_near(context, resource)
    gb = context.usage.gb_a_model_in_registry
    if models:
        yield Charge(
            "artifact-registry-storage",
            "images",
            gb * models,
            f"assumes {gb:f} GB for each of {models} models",
        )


def _s3(context: Context, resource: Resource) -> Iterable[Charge | Unpriced]:
    return _bucket(context, resource, "s3-standard")


def _gcs(context: Context, resource: Resource) -> Iterable[Charge | Unpriced]:
    kind = text(resource.at("storageClass")) or "STANDARD"
    return _bucket(context, resource, f"gcs-{kind.lower()}")


def _bucket(context: Context, resource: Resource, item: str) -> Iterable[Charge | Unpriced]:
    models = _models_near(context, resource)
    gb = context.usage.gb_a_model_in_bucket
    if models:
        yield Charge(item, "weights", gb * models, f"assumes {gb:f} GB for each of {models} models")


def _log_group(context: Context, resource: Resource) -> Iterable[Charge | Unpriced]:
    usage = context.usage
    gb = usage.gb_of_other_logs
    if text(resource.at("name")).startswith("/aws/eks/") and context.graph.of_type("aws:eks/cluster:Cluster"):
        cluster = context.graph.nearest(resource, context.graph.of_type("aws:eks/cluster:Cluster"))
        kinds = len(cluster.at("enabledClusterLogTypes") or ()) if cluster is not None else 5
        gb = usage.gb_of_control_plane_logs * kinds / 5
    days = number(resource.at("retentionInDays")) or Decimal(0)
    if gb:
        yield Charge("logs-ingested", "logs taken in", gb, f"assumes {gb:f} GB a month")
    if gb and days:
        share = usage.share_of_logs_kept
        kept = (gb * days / 30 * share).quantize(Decimal("0.01"))
        yield Charge(
            "logs-stored", "logs kept", kept, f"assumes {gb:f} GB a month, kept {days:f} days at {share:.0%}"
        )
    elif gb:
        yield Unpriced("logs kept", "they are kept for ever, so what they cost grows without end")


def _kms(_context: Context, _resource: Resource) -> Iterable[Charge | Unpriced]:
    yield Charge("kms-key", "key", _ONE)


def _load_balancer(_context: Context, resource: Resource) -> Iterable[Charge | Unpriced]:
    kind = text(resource.at("loadBalancerType")) or "application"
    yield Charge(f"load-balancer:{kind}", f"{kind} load balancer", _ONE)
    yield Unpriced(f"capacity units of the {kind} load balancer", "they bill by use, and no use was assumed")


def _service(context: Context, resource: Resource) -> Iterable[Charge | Unpriced]:
    if text(resource.at("spec", "type")) != "LoadBalancer":
        return
    cluster = context.graph.cluster_of(resource)
    if cluster is None or CLUSTERS[cluster.type] != "aws":
        yield Unpriced("load balancer of a Service", "no price of forwarding rules is known")
        return
    notes = mapping(resource.at("metadata", "annotations"))
    network = text(notes.get("service.beta.kubernetes.io/aws-load-balancer-type")) in {
        "nlb",
        "external",
        "nlb-ip",
    }
    kind = "network" if network else "classic"
    owner = text(resource.at("metadata", "labels", "model")) or SHARED
    place: tuple[Place, str] = ("aws", context.graph.region_of(cluster, "aws"))
    yield Charge(f"load-balancer:{kind}", f"{kind} load balancer", _ONE, "", owner, place)
    if network:
        yield Unpriced(
            "capacity units of the network load balancer", "they bill by use, and no use was assumed"
        )
    else:
        gb = context.usage.gb_through_load_balancer
        yield Charge(
            "load-balancer-data:classic",
            "data through the load balancer",
            gb,
            f"assumes {gb:f} GB a month",
            owner,
            place,
        )


_CLASS_DISKS: Final = {
    "gp2": "gp2",
    "gp3": "gp3",
    "standard": "pd-standard",
    "standard-rwo": "pd-balanced",
    "premium-rwo": "pd-ssd",
}


def _claim(context: Context, resource: Resource) -> Iterable[Charge | Unpriced]:
    name = resource.at("spec", "storageClassName")
    if name == "" or resource.at("spec", "volumeName"):
        return  # bound to a volume that exists: here, a bucket that is mounted
    disk = _CLASS_DISKS.get(text(name))
    cluster = context.graph.cluster_of(resource)
    asked = amount(at(resource.at("spec", "resources"), "requests", "storage") or 0) / _GIB
    if disk is None or cluster is None:
        yield Unpriced(
            "volume of a claim", f"what storage class {text(name) or 'the default'} makes is not known"
        )
        return
    cloud: Place = "aws" if CLUSTERS[cluster.type] == "aws" else "gcp"
    owner = text(resource.at("metadata", "labels", "model")) or SHARED
    yield Charge(
        f"disk:{disk}", f"{disk} volume", asked, "", owner, (cloud, context.graph.region_of(cluster, cloud))
    )


def _models_near(context: Context, resource: Resource) -> int:
    """Models that run in the cluster nearest to the resource; what a registry or bucket there has to hold."""
    graph = context.graph
    here = graph.nearest(resource, graph.of_type(*CLUSTERS))
    return len({each.model for each in workloads_of(graph) if graph.cluster_of(each.resource) is here})


RULES: Final[Mapping[str, Rule]] = {
    "aws:cloudwatch/logGroup:LogGroup": _log_group,
    "aws:ebs/volume:Volume": _disk,
    "aws:ec2/eip:Eip": _address,
    "aws:ec2/natGateway:NatGateway": _nat_gateway,
    "aws:ecr/repository:Repository": _ecr,
    "aws:eks/cluster:Cluster": _eks_cluster,
    "aws:kms/key:Key": _kms,
    "aws:lb/loadBalancer:LoadBalancer": _load_balancer,
    "aws:s3/bucket:Bucket": _s3,
    "aws:s3/bucketV2:BucketV2": _s3,
    "gcp:artifactregistry/repository:Repository": _artifact_registry,
    "gcp:compute/address:Address": _address,
    "gcp:compute/disk:Disk": _disk,
    "gcp:compute/routerNat:RouterNat": _router_nat,
    "gcp:container/cluster:Cluster": _gke_cluster,
    "gcp:kms/cryptoKey:CryptoKey": _kms,
    "gcp:storage/bucket:Bucket": _gcs,
    "kubernetes:core/v1:PersistentVolumeClaim": _claim,
    "kubernetes:core/v1:Service": _service,
}
FREE: Final = (
    "aws:ec2/defaultSecurityGroup:",
    "aws:ec2/flowLog:",  # bills through the log group that it writes to
    "aws:ec2/internetGateway:",
    "aws:ec2/launchTemplate:",
    "aws:ec2/networkAcl",
    "aws:ec2/route",
    "aws:ec2/securityGroup",
    "aws:ec2/subnet:",
    "aws:ec2/vpc:",
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
    "gcp:artifactregistry/repositoryIam",
    "gcp:compute/firewall:",
    "gcp:compute/network:",
    "gcp:compute/route:",
    "gcp:compute/router:",
    "gcp:compute/subnetwork",
    "gcp:kms/cryptoKeyIAM",
    "gcp:kms/keyRing",
    "gcp:organizations/",
    "gcp:projects/",
    "gcp:serviceaccount/",
    "gcp:storage/bucketIAM",
)
"""Beginnings of types that bill nothing by themselves; `RULES` goes before them."""
