"""Which machine each model runs on. Pure and deterministic: the same settings and offers give the same plan, in any order of input."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from planning.offers import Offer
from planning.values import Cloud, ModelSettings

CapacityType = Literal["on-demand", "spot"]


@dataclass(frozen=True, slots=True)
class Placement:
    """One model on one offer.

    `usd_per_hour` and `usd_per_hour_max` are what the nodes for this model alone cost at `replicas` (its least count) and at its
    most: whole nodes, as the cloud bills them. `planning.cost` adds up over shared nodes.
    """

    model: ModelSettings
    offer: Offer
    capacity_type: CapacityType
    pool: str
    """Name of the `Pool` in the same cloud and region."""
    replicas: int
    replicas_per_node: int
    usd_per_hour: Decimal
    usd_per_hour_max: Decimal

    @property
    def cloud(self) -> Cloud:
        """Cloud of the offer."""
        return self.offer.cloud

    @property
    def region(self) -> str:
        """Region of the offer."""
        return self.offer.region


@dataclass(frozen=True, slots=True)
class Pool:
    """GPU nodes of one kind in one cluster, shared by the models placed on them; empty until a model asks."""

    name: str
    cloud: Cloud
    region: str
    machine_type: str
    accelerator: str
    accelerator_count: int
    capacity_type: CapacityType
    max_nodes: int
    min_nodes: int = 0


@dataclass(frozen=True, slots=True)
class Plan:
    """Where everything runs: placements sorted by model name, pools by cloud, region and name."""

    placements: tuple[Placement, ...]
    pools: tuple[Pool, ...]

    def pools_of(self, cloud: Cloud, region: str) -> tuple[Pool, ...]:
        """The pools of one cluster."""
        return tuple(pool for pool in self.pools if (pool.cloud, pool.region) == (cloud, region))

    def placements_of(self, cloud: Cloud, region: str) -> tuple[Placement, ...]:
        """The models of one cluster."""
        return tuple(each for each in self.placements if (each.cloud, each.region) == (cloud, region))
