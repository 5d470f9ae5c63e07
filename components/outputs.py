"""What the stack says of itself besides its resources' addresses. Amounts are text: a double would round them."""

from collections.abc import Mapping

from model_factory.planning.placing.plan import Plan
from model_factory.planning.settings.rules import Budget


def model_rows(plan: Plan) -> list[Mapping[str, object]]:
    """The table of models."""
    return [
        {
            "model": each.model.name,
            "runtime": each.model.runtime,
            "cloud": each.cloud,
            "region": each.region,
            "machine_type": each.first.offer.machine_type,
            "accelerator": f"{each.model.gpus_per_replica}x {each.first.offer.accelerator}",
            "capacity_type": each.first.capacity_type,
            "replicas": each.replicas.min,
            "replicas_max": each.replicas.max,
            "usd_per_hour": str(each.usd_per_hour),
            "usd_per_hour_max": str(each.usd_per_hour_max),
        }
        for each in plan.placements
    ]


def budget_row(budget: Budget) -> Mapping[str, str]:
    """What the stack may cost, as its own rules say; the budget policy reads it."""
    return {"usd_per_month": str(budget.usd_per_month), "basis": budget.basis}
