"""The places where a model could run: one candidate a site and kind of machine (its accelerator, or its family), with the legs that the model's ladder finds there."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal

from model_factory.facts.offer import CapacityType, Offer
from model_factory.planning.placing.fit import Judge, Need, need_of, replicas_per_node, zones_for
from model_factory.planning.placing.market import Market
from model_factory.planning.placing.plan import Leg, Placement, Site, added, filled, hourly_price
from model_factory.planning.settings.cloud import Reservation
from model_factory.planning.settings.sections import ModelSettings, Replicas, Settings

Rank = tuple[bool, Decimal, Decimal, int, str, str, str, str]


@dataclass(frozen=True, slots=True)
class Source:
    """One way to have a machine: an offer, how it is bought, and what is held of it for us."""

    offer: Offer
    capacity_type: CapacityType
    reservation: Reservation | None = None
    unpriced: str = ""
    """Why its price is not known; empty where it is."""

    @property
    def price(self) -> Decimal | None:
        """USD for one machine and hour."""
        return None if self.unpriced else hourly_price(self.offer, self.capacity_type)


def candidates(
    settings: Settings, model: ModelSettings, share: Callable[[Site], Replicas], market: Market
) -> list[Placement]:
    """Everywhere that a model could run with a site's `share` of its replicas, the best first: the preferred cloud's before others, then by what they cost at
    rest and at peak. Machines that are reserved are paid for already and count nothing. Ties go to fewer GPUs, then by name."""
    need, ladder = need_of(settings, model), settings.ladder_of(model)
    judge = Judge(need)
    kinds: defaultdict[tuple[Site, str], list[Source]] = defaultdict(list)
    for offer in (each for place in sorted(need.places) for each in market.at(*place, with_gpus=need.with_gpus)):
        if judge.fits(offer):
            kinds[Site(offer.cloud, offer.region), offer.kind] += sources(settings, offer)
    made: list[Placement] = []
    for (site, _), there in kinds.items():
        replicas = share(site)
        if legs := legs_of(need, replicas, choose(need, replicas, ladder, there)):
            made.append(Placement(model, site, replicas, legs))
    return sorted(made, key=lambda each: rank(settings, each))


def sources(settings: Settings, offer: Offer) -> Iterator[Source]:
    """The ways to have a machine that is on offer."""
    yield Source(offer, "on-demand")
    if offer.spot_usd_per_hour is not None:
        yield Source(offer, "spot")
    for each in settings.reservations_in(offer.cloud, offer.region):
        if each.machine_type == offer.machine_type:
            yield Source(offer, "reserved", each)


def can_be_had(settings: Settings, offer: Offer, ladder: Collection[CapacityType]) -> bool:
    """Can a machine be bought in one of the ways that a ladder allows?"""
    return any(each.capacity_type in ladder for each in sources(settings, offer))


def choose(
    need: Need,
    replicas: Replicas,
    ladder: Iterable[CapacityType],
    there: Iterable[Source],
    kept: Mapping[CapacityType, Source] | None = None,
) -> list[Source]:
    """The source of each rung of the ladder at one site, those in `kept` as they are; without the rungs that nobody sells there."""
    there = list(there)
    chosen: list[Source] = []
    for capacity in ladder:
        if kept and capacity in kept:
            chosen.append(kept[capacity])
        elif found := [each for each in there if each.capacity_type == capacity]:
            chosen.append(min(found, key=lambda each: _cheapness(each, need, replicas)))
    return chosen


def legs_of(need: Need, replicas: Replicas, chosen: Iterable[Source]) -> tuple[Leg, ...]:
    """The legs of one placement, with the replicas that each holds."""
    bare = [
        Leg(
            rank=number,
            offer=each.offer,
            capacity_type=each.capacity_type,
            share=need.share,
            replicas_per_node=replicas_per_node(each.offer, need),
            least=0,
            most=0,
            zones=(each.reservation.zone,) if each.reservation else zones_for(each.offer, need),
            reservation=each.reservation,
            unpriced=each.unpriced,
        )
        for number, each in enumerate(chosen)
    ]
    at_rest = filled(bare, replicas.min)
    return tuple(
        replace(leg, least=least, most=replicas.max if leg.room is None else min(leg.room, replicas.max))
        for leg, least in zip(bare, at_rest, strict=True)
    )


def rank(settings: Settings, placement: Placement) -> Rank:
    """What the better of two placements of one model has less of."""
    leg = placement.first
    return (
        placement.cloud != settings.rules.preferred_cloud,
        _to_pay(placement, placement.replicas.min),
        _to_pay(placement, placement.replicas.max),
        leg.offer.accelerator_count,
        placement.cloud,
        placement.region,
        leg.offer.machine_type,
        leg.capacity_type,
    )


def _to_pay(placement: Placement, replicas: int) -> Decimal:
    held = zip(placement.legs, filled(placement.legs, replicas), strict=True)
    paid = added(leg.usd_per_hour(count) for leg, count in held if count and leg.capacity_type != "reserved")
    return Decimal("Infinity") if paid is None else paid


def _cheapness(source: Source, need: Need, replicas: Replicas) -> tuple[int, Decimal, Decimal, int, str, int, str]:
    """What the better of two sources has less of: replicas that its reservation has no room for, then cost. Of reservations alike the smaller, which
    leaves the larger one whole."""
    per_node = replicas_per_node(source.offer, need)
    price = Decimal("Infinity") if source.price is None else source.price
    held = source.reservation
    return (
        max(replicas.max - held.machines * per_node, 0) if held else 0,
        price * -(-replicas.min // per_node),
        price * -(-replicas.max // per_node),
        source.offer.accelerator_count,
        source.offer.machine_type,
        held.machines if held else 0,
        held.name if held else "",
    )
