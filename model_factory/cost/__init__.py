"""What a stack costs: of a plan (`cost_of`, GPU nodes only), and of a graph of resources (`bill_of`, everything that bills).

resources = [Resource.of(resource) for resource in deployment["resources"]]
bill = bill_of(resources)
delta = delta_of(bill, bill_of(after))
"""

from model_factory.cost.bill import MAX_PRICE_AGE, bill_of
from model_factory.cost.delta import delta_of
from model_factory.cost.placed import Cost, CostLine, cost_of, nodes_of
from model_factory.cost.services import Usage
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
    Span,
    Sums,
)
from model_factory.graph.resource import Resource, before_and_after, resources_of

__all__ = [
    "HOURS_A_MONTH",
    "IDLE",
    "MAX_PRICE_AGE",
    "SHARED",
    "Bill",
    "Change",
    "Cost",
    "CostLine",
    "Delta",
    "Line",
    "LineChange",
    "Missing",
    "Resource",
    "Share",
    "Span",
    "Sums",
    "Usage",
    "before_and_after",
    "bill_of",
    "cost_of",
    "delta_of",
    "nodes_of",
    "resources_of",
]
