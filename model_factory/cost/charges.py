"""What the rules of billing are made of: charges, what is assumed for them, and the rules that clouds share. Prices come later, by item."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Final

from model_factory.cost.pools import Workload
from model_factory.cost.values import SHARED
from model_factory.graph.graph import Graph
from model_factory.graph.resource import Resource
from model_factory.graph.values import number, text

ONE: Final = Decimal(1)


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
    """One thing that a resource bills, where the resource is: so much of an item."""

    item: str
    what: str
    quantity: Decimal
    estimated: str = ""
    owner: str = SHARED


@dataclass(frozen=True, slots=True)
class Unpriced:
    """Something that bills and that no item stands for."""

    what: str
    reason: str


@dataclass(frozen=True, slots=True)
class Context:
    """What a rule may look at besides its resource."""

    graph: Graph
    workloads: Sequence[Workload]
    """Those of models: all whose pods ask for GPUs, and those without that choose their nodes."""
    usage: Usage
    today: date | None


@dataclass(frozen=True, slots=True)
class Volume:
    """A volume that every node of a pool has."""

    type: str
    gib: Decimal


Charges = Iterable[Charge | Unpriced]
Rule = Callable[[Context, Resource], Charges]


@dataclass(frozen=True, slots=True)
class Billing:
    """What one cloud bills. A type of its own that is in no rule and not free is reported as missing, never as free."""

    rules: Mapping[str, Rule]
    """By type, node pools apart."""
    free: tuple[str, ...]
    """Beginnings of types that bill nothing by themselves; `rules` go before them."""
    volumes: Callable[[Graph, Resource], Iterable[Volume]]
    """Of every node of a pool, as far as the graph declares them. What a machine image brings by itself is not in it, and small."""
    is_reserved: Callable[[Graph, Resource], bool]
    """Whether a pool's nodes are machines that a reservation holds."""
    by_the_node: Callable[[Graph], Mapping[str, str]]
    """What else a node brings a bill of: item and wording."""
    load_balancer: Rule
    """Of a Kubernetes Service."""
    storage_classes: Mapping[str, str]
    """The disk that a claim of a storage class makes."""


def address(_context: Context, resource: Resource) -> Charges:
    """A public address, whether in use or not."""
    if text(resource.at("addressType")) != "INTERNAL":
        yield Charge("public-ipv4", "public address", ONE)


def key(_context: Context, _resource: Resource) -> Charges:
    """A key of a key management service."""
    yield Charge("kms-key", "key", ONE)


def disk(default: str) -> Rule:
    """A volume; `default` is the type of one that names none."""

    def charges(_context: Context, resource: Resource) -> Charges:
        kind = text(resource.at("type")).rsplit("/", 1)[-1] or default
        gib = number(resource.at("size"))
        if gib is None:
            yield Unpriced(f"{kind} volume", "its size is not known before it exists")
        else:
            yield Charge(f"disk:{kind}", f"{kind} volume", gib)

    return charges


def weights(context: Context, resource: Resource, item: str) -> Charges:
    """A bucket that holds the weights of the models of its cluster."""
    models = models_near(context, resource)
    gb = context.usage.gb_a_model_in_bucket
    if models:
        yield Charge(item, "weights", gb * models, f"assumes {gb:f} GB for each of {models} models")


def models_near(context: Context, resource: Resource) -> int:
    """Models that run in the cluster nearest to the resource; what a registry or bucket there has to hold."""
    graph = context.graph
    here = graph.cluster_of(resource)
    return len({each.model for each in context.workloads if graph.cluster_of(each.resource) is here})


def owner_by_label(resource: Resource) -> str:
    """The model that an object's label names."""
    return text(resource.at("metadata", "labels", "model")) or SHARED
