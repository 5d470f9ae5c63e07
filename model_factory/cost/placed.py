"""What a plan's GPU nodes cost an hour, itemised by model.

Counts whole nodes of each pool, as the clouds bill them, and packs the models that share a pool onto them. A pool's price is split among
its models by the GPUs they ask for; GPUs that nobody asks for are paid by them in the same proportion, so lines add up to the total.
Leaves out what a plan does not decide: control planes, system nodes, disks, addresses, traffic.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_DOWN, Decimal
from typing import Final

from model_factory.cost.packing import packed
from model_factory.cost.values import HOURS_A_MONTH
from model_factory.facts.clouds import Cloud
from model_factory.facts.offer import CapacityType
from model_factory.graph.quantity import amount
from model_factory.planning.placing.fit import allocatable
from model_factory.planning.placing.plan import Placement, Plan, hourly_price

_STEP: Final = Decimal("0.00001")


@dataclass(frozen=True, slots=True)
class CostLine:
    """One model's part. USD an hour at its least and at its most replicas."""

    model: str
    cloud: Cloud
    region: str
    pool: str
    machine_type: str
    capacity_type: CapacityType
    replicas: int
    usd_per_hour: Decimal
    usd_per_hour_max: Decimal


@dataclass(frozen=True, slots=True)
class Cost:
    """All models, sorted by name, and their sums."""

    lines: tuple[CostLine, ...]
    usd_per_hour: Decimal
    usd_per_hour_max: Decimal

    @property
    def usd_per_month(self) -> Decimal:
        """At the least number of replicas, all month."""
        return self.usd_per_hour * HOURS_A_MONTH


def cost_of(plan: Plan) -> Cost:
    """The itemised cost of `plan`."""
    least = _shares(plan, lambda placement: placement.model.replicas.min)
    most = _shares(plan, lambda placement: placement.model.replicas.max)
    lines = tuple(
        CostLine(
            model=placement.model.name,
            cloud=placement.cloud,
            region=placement.region,
            pool=placement.pool,
            machine_type=placement.offer.machine_type,
            capacity_type=placement.capacity_type,
            replicas=placement.model.replicas.min,
            usd_per_hour=least[placement.model.name],
            usd_per_hour_max=most[placement.model.name],
        )
        for placement in plan.placements
    )
    return Cost(lines, sum(least.values(), Decimal(0)), sum(most.values(), Decimal(0)))


def nodes_of(placements: Sequence[Placement], replicas: Mapping[str, int]) -> int:
    """Nodes that the models of one pool fill together, as `packed` fills them."""
    if not placements:
        return 0
    cores, memory = allocatable(placements[0].offer)
    size = (Decimal(placements[0].offer.accelerator_count), cores, memory)
    return packed(size, [(_size(each), each.model.name, replicas[each.model.name]) for each in placements])


def _size(placement: Placement) -> tuple[Decimal, ...]:
    model = placement.model
    return (Decimal(model.gpus_per_replica), amount(model.cpu), model.memory_gib)


def _shares(plan: Plan, count: Callable[[Placement], int]) -> dict[str, Decimal]:
    pools: defaultdict[tuple[str, str, str], list[Placement]] = defaultdict(list)
    for placement in plan.placements:
        pools[placement.cloud, placement.region, placement.pool].append(placement)
    shares: dict[str, Decimal] = {}
    for members in pools.values():
        replicas = {each.model.name: count(each) for each in members}
        price = hourly_price(members[0].offer, members[0].capacity_type) * nodes_of(members, replicas)
        gpus = {each.model.name: replicas[each.model.name] * each.model.gpus_per_replica for each in members}
        total = sum(gpus.values())
        part = {name: (price * count / total).quantize(_STEP, ROUND_DOWN) for name, count in gpus.items()}
        largest = max(gpus, key=lambda name: (gpus[name], name))
        part[largest] += price - sum(part.values(), Decimal(0))
        shares |= part
    return shares
