"""Where everything runs, as plain values: sites, legs, placements and pools. `model_factory.planning.placing.place` makes them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from model_factory.facts.clouds import CLOUDS, Cloud
from model_factory.facts.nodes import LEAST_DISK_GIB
from model_factory.facts.offer import CapacityType, Offer
from model_factory.facts.packing import Need
from model_factory.graph import quantity
from model_factory.graph.accelerators import Share
from model_factory.planning.settings.cloud import Reservation
from model_factory.planning.settings.problems import Problem
from model_factory.planning.settings.sections import ModelSettings, Replicas

SURGE: Final = 1
"""Replicas above its most that a model has while it rolls, where there is room: a new one serves before an old one goes."""


@dataclass(frozen=True, slots=True, order=True)
class Site:
    """A cloud and region with its cluster. `str` gives `aws/us-east-1`."""

    cloud: Cloud
    region: str

    def __str__(self) -> str:
        return f"{self.cloud}/{self.region}"


def site_of(text: str) -> Site:
    """The site that `aws/us-east-1` names. KeyError when no cloud is called so."""
    name, _, region = text.partition("/")
    clouds: dict[str, Cloud] = {cloud: cloud for cloud in CLOUDS}
    return Site(clouds[name], region)


@dataclass(frozen=True, slots=True)
class Leg:
    """One kind of machine, bought in one way, that a model may run on at a site."""

    rank: int
    """0 is preferred; a further one is used when those before it have no room."""
    offer: Offer
    capacity_type: CapacityType
    share: Share
    """What a replica takes of a machine's accelerators."""
    replicas_per_node: int
    least: int
    """Replicas that it holds at rest."""
    most: int
    """Replicas that it may have to hold: all of them, where it has room, since the others can be gone."""
    zones: tuple[str, ...] = ()
    """Zones where the machine is sold and the settings allow it; empty where that is not known and the cloud decides."""
    reservation: Reservation | None = None
    """The machines that are held for us; only of capacity type reserved."""
    pool: str = ""
    """Name of the `Pool` in the same site."""
    unpriced: str = ""
    """Why its price is not known; empty where it is."""

    @property
    def usd_per_node_hour(self) -> Decimal | None:
        """USD for one machine and hour; None where no table says."""
        return None if self.unpriced else hourly_price(self.offer, self.capacity_type)

    @property
    def room(self) -> int | None:
        """The most replicas that its machines hold; None where nothing bounds them."""
        return self.reservation.machines * self.replicas_per_node if self.reservation else None

    def nodes_for(self, replicas: int) -> int:
        """Whole nodes that hold `replicas`."""
        return -(-replicas // self.replicas_per_node)

    def usd_per_hour(self, replicas: int) -> Decimal | None:
        """USD an hour of the whole nodes that hold `replicas`; None where no table says."""
        price = self.usd_per_node_hour
        return None if price is None else price * self.nodes_for(replicas)


@dataclass(frozen=True, slots=True)
class Placement:
    """One model at one site. Its legs, in order of rank, have one kind of accelerator, or one family of machines without, so that a replica is as
    fast on each.

    Costs are those of the nodes for this model alone, whole, as the cloud bills them; `model_factory.cost` adds up over shared nodes.
    """

    model: ModelSettings
    site: Site
    replicas: Replicas
    """Bounds at this site."""
    legs: tuple[Leg, ...]
    surge: int = SURGE
    """Replicas above its most while it rolls: none where its last pool has no room for one, and an old one has to go first."""

    @property
    def cloud(self) -> Cloud:
        """Cloud of the site."""
        return self.site.cloud

    @property
    def region(self) -> str:
        """Region of the site."""
        return self.site.region

    @property
    def first(self) -> Leg:
        """The preferred leg."""
        return self.legs[0]

    @property
    def pools(self) -> tuple[str, ...]:
        """The pools it may use, the preferred one first."""
        return tuple(leg.pool for leg in self.legs)

    @property
    def usd_per_hour(self) -> Decimal | None:
        """At its least replicas, on its legs by rank."""
        return price_of(self.legs, self.replicas.min)

    @property
    def usd_per_hour_max(self) -> Decimal | None:
        """At its most replicas, on its legs by rank."""
        return price_of(self.legs, self.replicas.max)

    @property
    def usd_per_hour_fallback(self) -> Decimal | None:
        """At its most replicas when all legs but the last are gone; so far as the last has room."""
        last = self.legs[-1]
        return last.usd_per_hour(last.most)


@dataclass(frozen=True, slots=True)
class Pool:
    """Nodes of one kind in one cluster, shared by the models placed on them; empty until a model asks. `accelerator` is empty where they
    have none.

    `max_nodes` holds all that its legs may have to hold, and what each has more while it rolls.
    """

    name: str
    cloud: Cloud
    region: str
    machine_type: str
    accelerator: str
    accelerator_count: int
    capacity_type: CapacityType
    max_nodes: int
    min_nodes: int = 0
    zones: tuple[str, ...] = ()
    """As its legs'."""
    reservation: Reservation | None = None
    disk_gib: int = LEAST_DISK_GIB
    """Of each node: images, and what all replicas there write."""

    @property
    def share(self) -> Share:
        """All the accelerators of one node."""
        return Share(self.accelerator_count)


@dataclass(frozen=True, slots=True)
class Plan:
    """Where everything runs: placements sorted by model and site, pools by cloud, region and name.

    `notes` are worth showing and stop nothing: what moves and why, what is paid for and not used.
    """

    placements: tuple[Placement, ...]
    pools: tuple[Pool, ...]
    notes: tuple[Problem, ...] = ()

    def pools_of(self, cloud: Cloud, region: str) -> tuple[Pool, ...]:
        """The pools of one cluster."""
        return tuple(pool for pool in self.pools if (pool.cloud, pool.region) == (cloud, region))

    def placements_of(self, cloud: Cloud, region: str) -> tuple[Placement, ...]:
        """The models of one cluster."""
        return tuple(each for each in self.placements if (each.cloud, each.region) == (cloud, region))

    def of_model(self, name: str) -> tuple[Placement, ...]:
        """A model's placements."""
        return tuple(each for each in self.placements if each.model.name == name)


def hourly_price(offer: Offer, capacity_type: CapacityType) -> Decimal | None:
    """USD for one machine and hour; None where no table says. Reserved machines that no table has a price of cost what they cost on
    demand: so both clouds bill a reservation without a commitment."""
    match capacity_type:
        case "on-demand":
            return offer.usd_per_hour
        case "spot":
            return offer.spot_usd_per_hour
        case "reserved":
            return offer.reserved_usd_per_hour or offer.usd_per_hour


def to_pack(model: ModelSettings, leg: Leg, replicas: int) -> Need:
    """What so many replicas take of a leg's nodes, as `nodes_for` packs them."""
    beside = model.footprint.beside_in(leg.offer.cloud)
    cpu, memory = quantity.amount(model.cpu) + beside.cpu, model.memory_gib + beside.memory_gib
    return (leg.share.accelerators, cpu, memory), model.name, replicas


def filled(legs: Sequence[Leg], replicas: int) -> tuple[int, ...]:
    """How many of `replicas` each leg holds when they are filled by rank; the last takes what no other has room for."""
    held: list[int] = []
    for leg in legs:
        room = replicas if leg.room is None or leg is legs[-1] else min(replicas, leg.room)
        held.append(room)
        replicas -= room
    return tuple(held)


def price_of(legs: Sequence[Leg], replicas: int) -> Decimal | None:
    """USD an hour of `replicas` on legs filled by rank; None where the price of one that is used is not known."""
    return added(leg.usd_per_hour(count) for leg, count in zip(legs, filled(legs, replicas), strict=True) if count)


def added(amounts: Iterable[Decimal | None]) -> Decimal | None:
    """The sum; None where one is not known."""
    total = Decimal(0)
    for amount in amounts:
        if amount is None:
            return None
        total += amount
    return total
