"""What Google Cloud bills."""

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
    models_near,
    weights,
)
from model_factory.graph.clusters import GKE_CLUSTER
from model_factory.graph.graph import Graph
from model_factory.graph.resource import Resource
from model_factory.graph.values import listed, number, text

_ROUTER_NAT: Final = "gcp:compute/routerNat:RouterNat"


def _cluster(context: Context, resource: Resource) -> Charges:
    yield Charge("gke-control-plane", "control plane", ONE)
    if resource.at("enableAutopilot") is True:
        yield Unpriced("pods of an Autopilot cluster", "they bill by what they ask for, which is not counted")
    elif resource.at("removeDefaultNodePool") is not True:
        yield Unpriced("default node pool", "nodes that the cluster makes by itself are not counted")
    parts = {text(part) for part in listed(resource.at("loggingConfig", "enableComponents"))} - {""}
    if parts:
        gb = context.usage.gb_of_cluster_logs * (ONE if "WORKLOADS" in parts else Decimal("0.5"))
        yield Charge("logs-ingested", "logs", gb, f"assumes {gb:f} GB a month")
    if resource.at("monitoringConfig", "managedPrometheus", "enabled") is True:
        yield Unpriced("metrics of managed Prometheus", "they bill by the sample, and how many there are is not known")


def _router_nat(context: Context, resource: Resource) -> Charges:
    gb = context.usage.gb_through_nat_gateway
    yield Charge("nat-data", "data through the gateway", gb, f"assumes {gb:f} GB a month")
    if text(resource.at("natIpAllocateOption")) == "AUTO_ONLY" or not resource.at("natIps"):
        count = context.usage.nat_addresses
        yield Charge("public-ipv4", "addresses", count, f"assumes {count:f} address")
    # Addresses that are resources of their own bill there.


def _registry(context: Context, resource: Resource) -> Charges:
    models = models_near(context, resource)
    gb = context.usage.gb_a_model_in_registry
    if models:
        yield Charge(
            "artifact-registry-storage",
            "images",
            gb * models,
            f"assumes {gb:f} GB for each of {models} models",
        )


def _bucket(context: Context, resource: Resource) -> Charges:
    kind = text(resource.at("storageClass")) or "STANDARD"
    return weights(context, resource, f"gcs-{kind.lower()}")


def _service(_context: Context, _resource: Resource) -> Charges:
    yield Unpriced("load balancer of a Service", "no price of forwarding rules is known")


def _volumes(_graph: Graph, pool: Resource) -> Iterable[Volume]:
    gib = number(pool.at("nodeConfig", "diskSizeGb"))
    return [Volume(text(pool.at("nodeConfig", "diskType")) or "pd-balanced", gib)] if gib else []


def _is_reserved(_graph: Graph, pool: Resource) -> bool:
    """cloud.google.com/kubernetes-engine/docs/how-to/consuming-reservations: one that the pool names."""
    return pool.at("nodeConfig", "reservationAffinity", "consumeReservationType") == "SPECIFIC_RESERVATION"


def _by_the_node(graph: Graph) -> Mapping[str, str]:
    """A Cloud NAT bills by the node behind it."""
    return {"nat-vm": "Cloud NAT of its nodes"} if graph.of_type(_ROUTER_NAT) else {}


BILLING: Final = Billing(
    rules={
        "gcp:artifactregistry/repository:Repository": _registry,
        "gcp:compute/address:Address": address,
        "gcp:compute/disk:Disk": disk("pd-standard"),
        _ROUTER_NAT: _router_nat,
        GKE_CLUSTER: _cluster,
        "gcp:kms/cryptoKey:CryptoKey": key,
        "gcp:storage/bucket:Bucket": _bucket,
    },
    free=(
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
    ),
    volumes=_volumes,
    is_reserved=_is_reserved,
    by_the_node=_by_the_node,
    load_balancer=_service,
    storage_classes={"standard": "pd-standard", "standard-rwo": "pd-balanced", "premium-rwo": "pd-ssd"},
)
