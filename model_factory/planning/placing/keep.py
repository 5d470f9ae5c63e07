"""What of a kept plan still holds: a placed model stays while it fits, and where it does not, the cause is told."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from model_factory.facts.offer import CapacityType
from model_factory.planning.placing.candidates import Source, choose, legs_of, sources
from model_factory.planning.placing.fit import Judge, Need, misfits, replicas_per_node
from model_factory.planning.placing.lock import LockedPool
from model_factory.planning.placing.market import Market
from model_factory.planning.placing.plan import Placement, Site
from model_factory.planning.settings.sections import ModelSettings, Replicas, Settings


@dataclass(frozen=True, slots=True)
class Kept:
    """What is left of a model at a site of the lock. `placement` is None where it cannot stay; `causes` say what no longer holds."""

    site: Site
    placement: Placement | None
    causes: tuple[str, ...] = ()


def keep_at(
    settings: Settings, model: ModelSettings, need: Need, replicas: Replicas, site: Site, pools: Sequence[LockedPool], market: Market
) -> Kept:  # fmt: skip
    """The model at a site where it is placed, on the pools it has there. A rung of its ladder that it has no pool for, or whose pool no
    longer fits, is found anew among machines of the same kind. Prices decide nothing here."""
    if (site.cloud, site.region) not in need.places:
        return Kept(site, None, (_closed(settings, model, site),))
    ladder = settings.ladder_of(model)
    held: dict[CapacityType, Source] = {}
    causes: list[str] = []
    for pool in pools:
        source, cause = _source(settings, need, site, pool, market)
        if source is not None and (short := _short(need, replicas, source, ladder)):
            causes.append(short)
        elif source is not None:
            held.setdefault(pool.capacity, source)
        else:
            causes.append(cause)
    if not held:
        return Kept(site, None, tuple(causes))
    kind = next(iter(held.values())).offer.kind
    judge = Judge(need)
    there = [
        each
        for offer in market.at(site.cloud, site.region, with_gpus=need.with_gpus)
        if offer.kind == kind and judge.fits(offer)
        for each in sources(settings, offer)
    ]
    legs = legs_of(need, replicas, choose(need, replicas, ladder, there, held))
    if not legs:
        return Kept(site, None, (f"no {kind} can be had there as {' or '.join(ladder)}",))
    causes += _bought_otherwise([pool.capacity for pool in pools], ladder, [leg.capacity_type for leg in legs])
    return Kept(site, Placement(model, site, replicas, legs), tuple(causes))


def _source(settings: Settings, need: Need, site: Site, pool: LockedPool, market: Market) -> tuple[Source | None, str]:
    """Where a locked pool's machines come from, or why they no longer can."""
    offer = market.find(site.cloud, site.region, pool.machine_type)
    if offer is None:
        return None, f"{pool.machine_type} is no longer sold in {site.region}"
    if against := misfits(offer, need):
        return None, f"{pool.machine_type} {', and '.join(each.reason for each in against)}"
    unpriced = market.why_unpriced(offer)
    if pool.capacity == "reserved":
        held = {each.name: each for each in settings.reservations_in(site.cloud, site.region)}
        found = held.get(pool.reservation or "")
        if found is None or found.machine_type != pool.machine_type:
            return None, f"reservation {pool.reservation} of {pool.machine_type} is no longer among the settings"
        return Source(offer, "reserved", found, unpriced), ""
    if pool.capacity == "spot" and offer.spot_usd_per_hour is None:
        unpriced = unpriced or f"no table has a spot price of {pool.machine_type} in {site.region}"
    return Source(offer, pool.capacity, None, unpriced), ""


def _bought_otherwise(
    was: Sequence[CapacityType], ladder: Sequence[CapacityType], now: Sequence[CapacityType]
) -> Iterator[str]:
    """What of a model's machines is bought in other ways than it was, as the settings now say."""
    if gone := [each for each in was if each not in ladder]:
        yield f"{' and '.join(gone)} is no longer among the ways to buy them"
    if new := [each for each in now if each not in was]:
        yield f"{' and '.join(new)} is now among the ways to buy them"
    if not gone and not new and list(was) != list(now):
        yield f"the ways to buy them are now ranked {', '.join(now)}"


def _short(need: Need, replicas: Replicas, source: Source, ladder: Sequence[CapacityType]) -> str:
    """That a reservation no longer holds all of a model that nothing else may hold; empty where it does."""
    held = source.reservation
    wanted = -(-replicas.max // replicas_per_node(source.offer, need))
    if held is None or ladder[-1] != "reserved" or wanted <= held.machines:
        return ""
    return f"reservation {held.name} has {held.machines} of the {wanted} machines that it may need"


def _closed(settings: Settings, model: ModelSettings, site: Site) -> str:
    """Why a site is not among those where a model may run."""
    if site.region not in settings.regions_of(site.cloud):
        return f"the stack has no cluster in {site}"
    if model.clouds and site.cloud not in model.clouds:
        return f"{site.cloud} is not among its clouds"
    if model.regions and site.region not in model.regions:
        return f"{site.region} is not among its regions"
    return f"its labels keep it out of {site.region}"


def locked_pools(sites: Mapping[str, LockedPool], names: Sequence[str]) -> list[LockedPool]:
    """The pools of one site by name."""
    return [sites[name] for name in names]
