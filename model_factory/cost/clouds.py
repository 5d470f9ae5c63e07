"""Billing by cloud: a file each, and a line each here; and what Kubernetes objects make a cloud bill."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Final

from model_factory.cost import aws, gcp
from model_factory.cost.charges import Billing, Charge, Charges, Context, Rule, Unpriced, owner_by_label
from model_factory.facts.clouds import Cloud
from model_factory.facts.offer import CapacityType
from model_factory.graph.graph import Graph
from model_factory.graph.quantity import amount
from model_factory.graph.resource import Resource
from model_factory.graph.values import text

BILLING: Final[Mapping[Cloud, Billing]] = {"aws": aws.BILLING, "gcp": gcp.BILLING}
_GIB: Final = Decimal(2) ** 30


def capacity_of(graph: Graph, cloud: Cloud, pool: Resource, *, is_spot: bool) -> CapacityType:
    """How the machines of a pool are bought."""
    if BILLING[cloud].is_reserved(graph, pool):
        return "reserved"
    return "spot" if is_spot else "on-demand"


def _service(context: Context, resource: Resource) -> Charges:
    if text(resource.at("spec", "type")) != "LoadBalancer":
        return
    place = context.graph.place_of(resource)
    if place is None:
        yield Unpriced("load balancer of a Service", "which cloud makes it is not known")
    else:
        yield from BILLING[place[0]].load_balancer(context, resource)


def _claim(context: Context, resource: Resource) -> Charges:
    name = resource.at("spec", "storageClassName")
    if name == "" or resource.at("spec", "volumeName"):
        return  # bound to a volume that exists: here, a bucket that is mounted
    place = context.graph.place_of(resource)
    disk = BILLING[place[0]].storage_classes.get(text(name)) if place is not None else None
    if disk is None:
        yield Unpriced("volume of a claim", f"what storage class {text(name) or 'the default'} makes is not known")
        return
    asked = amount(resource.at("spec", "resources", "requests", "storage")) / _GIB
    yield Charge(f"disk:{disk}", f"{disk} volume", asked, "", owner_by_label(resource))


KUBERNETES: Final[Mapping[str, Rule]] = {
    "kubernetes:core/v1:PersistentVolumeClaim": _claim,
    "kubernetes:core/v1:Service": _service,
}
