"""What a graph of resources costs, and what changes from one graph to another.

resources = [Resource.of(resource) for resource in deployment["resources"]]
bill = bill_of(resources)
delta = delta_of(bill, bill_of(after))
"""

from model_factory.cost.bill import bill_of
from model_factory.cost.charges import Usage
from model_factory.cost.delta import delta_of
from model_factory.cost.values import (
    HOURS_A_MONTH,
    IDLE,
    SHARED,
    Bill,
    Change,
    Delta,
    Line,
    LineChange,
    Missing,
    Share,
    SiteKey,
    Span,
    Sums,
    site_name,
)
from model_factory.facts.packing import nodes_for
from model_factory.graph.resource import Resource, before_and_after, resources_of

__all__ = [
    "HOURS_A_MONTH",
    "IDLE",
    "SHARED",
    "Bill",
    "Change",
    "Delta",
    "Line",
    "LineChange",
    "Missing",
    "Resource",
    "Share",
    "SiteKey",
    "Span",
    "Sums",
    "Usage",
    "before_and_after",
    "bill_of",
    "delta_of",
    "nodes_for",
    "resources_of",
    "site_name",
]
