"""What the stack says of itself besides its resources' addresses. Amounts are text: a double would round them."""

from collections.abc import Mapping
from decimal import Decimal

from model_factory.planning.placing.plan import Leg, Placement, Plan
from model_factory.planning.settings.rules import Budget


def model_rows(plan: Plan) -> list[Mapping[str, object]]:
    """The table of models: a row for each model and site, with its legs by rank. Machine and capacity are those of the first leg; a
    price that no table has is empty."""
    return [_row(each) for each in plan.placements]


def budget_row(budget: Budget) -> Mapping[str, str]:
    """What the stack may cost, as its own rules say; the budget policy reads it."""
    return {"usd_per_month": str(budget.usd_per_month), "basis": budget.basis}


def _row(placement: Placement) -> Mapping[str, object]:
    first = placement.first
    return {
        "model": placement.model.name,
        "runtime": placement.model.runtime,
        "cloud": placement.cloud,
        "region": placement.region,
        "machine_type": first.offer.machine_type,
        "accelerator": f"{first.share.count}x {first.offer.accelerator}" if first.share.count else "",
        "capacity_type": first.capacity_type,
        "replicas": placement.replicas.min,
        "replicas_max": placement.replicas.max,
        "usd_per_hour": _amount(placement.usd_per_hour),
        "usd_per_hour_max": _amount(placement.usd_per_hour_max),
        "usd_per_hour_fallback": _amount(placement.usd_per_hour_fallback),
        "legs": [_leg(each) for each in placement.legs],
    }


def _leg(leg: Leg) -> Mapping[str, object]:
    """What a leg holds at rest, and what it holds and costs when the others are gone."""
    return {
        "rank": leg.rank,
        "pool": leg.pool,
        "machine_type": leg.offer.machine_type,
        "capacity_type": leg.capacity_type,
        "replicas": leg.least,
        "replicas_max": leg.most,
        "usd_per_hour": _amount(leg.usd_per_hour(leg.least)),
        "usd_per_hour_max": _amount(leg.usd_per_hour(leg.most)),
    }


def _amount(usd: Decimal | None) -> str:
    return "" if usd is None else str(usd)
