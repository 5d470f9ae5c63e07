"""Which machine each model runs on. Pure and deterministic: the same settings and offers give the same plan, in any order of input.

    plan(settings, catalogue().offers) -> Plan

What decides is a `Method`: settings × offers → one `Choice` a model. `cheapest_fit` takes each model by itself; a method that weighs all
models together has the same interface. Pools and costs follow from the choices, whatever made them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from model_factory.facts.clouds import Cloud
from model_factory.facts.offer import CapacityType, Offer
from model_factory.planning.placing.fit import Need, fits, need_of, replicas_per_node, zones_for
from model_factory.planning.placing.sold import fits_nowhere, gpu_system_machines, unknown_hardware
from model_factory.planning.settings.problems import PlanError, Problem
from model_factory.planning.settings.sections import ModelSettings, Settings


@dataclass(frozen=True, slots=True)
class Placement:
    """One model on one offer.

    `usd_per_hour` and `usd_per_hour_max` are what the nodes for this model alone cost at `replicas` (its least count) and at its
    most: whole nodes, as the cloud bills them. `model_factory.cost` adds up over shared nodes.
    """

    model: ModelSettings
    offer: Offer
    capacity_type: CapacityType
    pool: str
    """Name of the `Pool` in the same cloud and region."""
    zones: tuple[str, ...]
    """Zones where the machine is sold and the settings allow it; empty where that is not known and the cloud decides."""
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
    zones: tuple[str, ...] = ()
    """As its placements'."""


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


@dataclass(frozen=True, slots=True)
class Choice:
    """What a method decides for one model."""

    model: ModelSettings
    offer: Offer
    capacity_type: CapacityType


Method = Callable[[Settings, Sequence[Offer]], Sequence[Choice]]
"""Chooses one offer for each model of the settings, or raises PlanError with a problem for each model that fits nowhere."""


def plan(
    settings: Settings,
    offers: Iterable[Offer],
    *,
    method: Method | None = None,
    undecided: Collection[str] = (),
) -> Plan:
    """Places every model of `settings` on one of `offers`, and groups the machines into pools.

    PlanError has a problem for each model that fits nowhere and for each name that no offer has, with the line in the stack file.
    `undecided` names models that are not placed, since what decides their place is refused already; their names are judged all the same.
    """
    ordered = sorted(offers, key=lambda offer: (offer.cloud, offer.region, offer.machine_type))
    unknown = list(unknown_hardware(settings, ordered))
    problems = [*gpu_system_machines(settings, ordered), *(problem for _, problem in unknown)]
    left_out = {*undecided, *(name for name, _ in unknown)}
    models = tuple(model for model in settings.models if model.name not in left_out)
    choices: list[Choice] = []
    try:
        found = (method or cheapest_fit)(replace(settings, models=models), ordered)
        choices = sorted(found, key=lambda choice: choice.model.name)
    except PlanError as refused:
        problems += refused.problems
    if problems:
        raise PlanError(problems)
    names = _pool_names(choices)
    placements = tuple(_placement(settings, choice, names[_kind(choice)]) for choice in choices)
    return Plan(placements, _pools(placements))


def cheapest_fit(settings: Settings, offers: Sequence[Offer]) -> Sequence[Choice]:
    """The cheapest offer for each model by itself, at its least number of replicas, then at its most.

    Spot is taken only by models that allow it. Ties go to the machine with fewer GPUs, then by name.
    """
    choices: list[Choice] = []
    problems: list[Problem] = []
    for model in settings.models:
        need = need_of(settings, model)
        candidates = [
            Choice(model, offer, capacity)
            for offer in offers
            if fits(offer, need)
            for capacity in _capacities(model, offer)
        ]
        if candidates:
            choices.append(min(candidates, key=lambda choice: _rank(choice, need)))
        else:
            problems.append(fits_nowhere(settings, model, need, offers))
    if problems:
        raise PlanError(problems)
    return choices


def hourly_price(offer: Offer, capacity_type: CapacityType) -> Decimal:
    """USD for one machine and hour. ValueError when the offer has no spot price."""
    if capacity_type == "on-demand":
        return offer.usd_per_hour
    if offer.spot_usd_per_hour is None:
        raise ValueError(f"{offer.machine_type} in {offer.region} has no spot price; place the model on-demand")
    return offer.spot_usd_per_hour


def nodes_for(replicas: int, per_node: int) -> int:
    """Whole nodes that hold `replicas`."""
    return -(-replicas // per_node)


def _capacities(model: ModelSettings, offer: Offer) -> tuple[CapacityType, ...]:
    return ("on-demand", "spot") if model.spot and offer.spot_usd_per_hour is not None else ("on-demand",)


def _rank(choice: Choice, need: Need) -> tuple[Decimal, Decimal, int, str, str, str, str]:
    offer, replicas = choice.offer, choice.model.replicas
    per_node = replicas_per_node(offer, need)
    price = hourly_price(offer, choice.capacity_type)
    return (
        price * nodes_for(replicas.min, per_node),
        price * nodes_for(replicas.max, per_node),
        offer.accelerator_count,
        offer.cloud,
        offer.region,
        offer.machine_type,
        choice.capacity_type,
    )


_Kind = tuple[Cloud, str, str, int, CapacityType, str]


def _kind(choice: Choice) -> _Kind:
    offer = choice.offer
    return (
        offer.cloud,
        offer.region,
        offer.accelerator,
        offer.accelerator_count,
        choice.capacity_type,
        offer.machine_type,
    )


def _pool_names(choices: Iterable[Choice]) -> dict[_Kind, str]:
    """`l4x1-spot`: named after what models ask for, so that another machine type with the same GPUs keeps the name. Where one cluster
    needs two machine types for that, the smaller one has the plain name and the others add theirs, so that a price never renames."""
    sizes: defaultdict[tuple[object, ...], dict[str, tuple[int, Decimal, str]]] = defaultdict(dict)
    kinds: set[_Kind] = set()
    for choice in choices:
        kind, offer = _kind(choice), choice.offer
        kinds.add(kind)
        sizes[kind[:-1]][offer.machine_type] = (offer.vcpus, offer.memory_gib, offer.machine_type)
    names: dict[_Kind, str] = {}
    for kind in kinds:
        _, _, accelerator, count, capacity, machine = kind
        smallest = min(sizes[kind[:-1]].values())[-1]
        names[kind] = f"{accelerator}x{count}-{capacity}" + (
            "" if machine == smallest else f"-{machine.replace('.', '-')}"
        )
    return names


def _placement(settings: Settings, choice: Choice, pool: str) -> Placement:
    model, offer = choice.model, choice.offer
    need = need_of(settings, model)
    per_node = replicas_per_node(offer, need)
    if per_node < 1:
        raise ValueError(f"{model.name} was placed on {offer.machine_type} in {offer.region}, which does not fit it")
    price = hourly_price(offer, choice.capacity_type)
    return Placement(
        model=model,
        offer=offer,
        capacity_type=choice.capacity_type,
        pool=pool,
        zones=zones_for(offer, need),
        replicas=model.replicas.min,
        replicas_per_node=per_node,
        usd_per_hour=price * nodes_for(model.replicas.min, per_node),
        usd_per_hour_max=price * nodes_for(model.replicas.max, per_node),
    )


def _pools(placements: Sequence[Placement]) -> tuple[Pool, ...]:
    members: defaultdict[tuple[Cloud, str, str], list[Placement]] = defaultdict(list)
    for placement in placements:
        members[placement.cloud, placement.region, placement.pool].append(placement)
    return tuple(
        Pool(
            name=name,
            cloud=cloud,
            region=region,
            machine_type=placed[0].offer.machine_type,
            accelerator=placed[0].offer.accelerator,
            accelerator_count=placed[0].offer.accelerator_count,
            capacity_type=placed[0].capacity_type,
            max_nodes=sum(nodes_for(each.model.replicas.max, each.replicas_per_node) for each in placed),
            zones=placed[0].zones,
        )
        for (cloud, region, name), placed in sorted(members.items())
    )
