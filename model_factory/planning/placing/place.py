"""Which machines each model runs on. Pure and deterministic: the same settings, offers and lock give the same plan, in any order of input.

    place(settings, Market.of(offers, rejected), lock) -> Plan

A model that the lock places stays there while it fits. What decides for the others is a `Method`; `cheapest_fit` takes each model by
itself, and a method that weighs all models together has the same interface. Pools and costs follow, whatever decided.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from model_factory.planning.placing.addresses import short_of_addresses
from model_factory.planning.placing.candidates import Source, candidates, legs_of
from model_factory.planning.placing.fit import Need, need_of
from model_factory.planning.placing.keep import Kept, keep_at, locked_pools
from model_factory.planning.placing.lacking import lacking
from model_factory.planning.placing.lock import Lock
from model_factory.planning.placing.market import Market
from model_factory.planning.placing.notes import gone, held_back, moved, unsold, unused
from model_factory.planning.placing.plan import Placement, Plan, Site, site_of
from model_factory.planning.placing.pools import cramped, pools_of, renamed, with_pools, with_room
from model_factory.planning.placing.sold import (
    fits_nowhere,
    gpu_system_machines,
    unknown_hardware,
    unknown_reservations,
)
from model_factory.planning.settings.problems import PlanError, Problem
from model_factory.planning.settings.sections import MODELS, ModelSettings, Replicas, Settings


@dataclass(frozen=True, slots=True)
class Sites:
    """How many sites a model wants, and how its replicas go over them."""

    count: int
    replicas: Replicas
    """Over all sites."""
    named: Mapping[Site, Replicas]
    """The sites that the stack file names; empty where they are to be found."""
    one_a_cloud: bool = False

    @classmethod
    def of(cls, model: ModelSettings) -> Sites:
        """What a model's `sites` and `spread` say."""
        if model.sites:
            named = {site_of(key): each for key, each in model.sites.items()}
            return cls(len(named), model.replicas, named)
        if model.spread is not None:
            regions, clouds = model.spread.regions, model.spread.clouds
            return cls(regions or clouds or 1, model.replicas, {}, one_a_cloud=clouds is not None)
        return cls(1, model.replicas, {})

    def share(self, site: Site, number: int = 0) -> Replicas:
        """The replicas of one site; `number` counts those before it. What cannot be shared out evenly goes to the first ones."""
        if self.named:
            return self.named.get(site, self.replicas)
        low, high = (
            total // self.count + (number < total % self.count) for total in (self.replicas.min, self.replicas.max)
        )
        return Replicas(min=low, max=high)

    def unwanted(self, chosen: Sequence[Placement], site: Site) -> str:
        """Why a site where the model is has no place beside those chosen; empty where it has."""
        if self.named and site not in self.named:
            return "it is none of its sites"
        if len(chosen) == self.count:
            return f"{self.count} place{'' if self.count == 1 else 's'} is all that it asks for"
        return "" if self.admit(chosen, site) else f"it asks for one place in {site.cloud}"

    def admit(self, chosen: Iterable[Placement], site: Site) -> bool:
        """May a further site be added to those chosen?"""
        if self.named and site not in self.named:
            return False
        if self.one_a_cloud:
            return all(each.cloud != site.cloud for each in chosen)
        return all(each.site != site for each in chosen)


@dataclass(frozen=True, slots=True)
class Ask:
    """A model that wants a place. `kept` are its placements that stay, `left` the sites that it was at and that do not hold it as it was."""

    model: ModelSettings
    sites: Sites
    kept: tuple[Placement, ...]
    left: tuple[Site, ...]
    candidates: tuple[Placement, ...]
    """Everywhere that it could run, the best first; nothing where all that it wants is kept."""


Method = Callable[[Settings, Sequence[Ask]], Sequence[Sequence[Placement]]]
"""Chooses, for each ask, what is added to what is kept; fewer than wanted where no more fit."""


def place(
    settings: Settings,
    market: Market,
    lock: Lock | None = None,
    *,
    method: Method | None = None,
    undecided: Collection[str] = (),
) -> Plan:
    """Places every model of `settings`, and groups the machines into pools.

    PlanError has a problem for each model that fits nowhere and for each name that no offer has, with the line in the stack file.
    `undecided` names models that are not placed, since what decides their place is refused already; their names are judged all the same.
    """
    lock = lock or Lock()
    unknown = list(unknown_hardware(settings, market))
    problems: list[Problem] = [
        *gpu_system_machines(settings, market),
        *unknown_reservations(settings, market),
        *(problem for _, problem in unknown),
    ]
    left_out = {*undecided, *(name for name, _ in unknown)}
    asks: list[Ask] = []
    kept: dict[str, tuple[Kept, ...]] = {}
    for model in sorted(settings.models, key=lambda each: each.name):
        if model.name not in left_out:
            ask, kept[model.name] = _ask(settings, model, market, lock)
            asks.append(ask)
    found = (method or cheapest_fit)(settings, asks)
    placements: list[Placement] = []
    for ask, added in zip(asks, found, strict=True):
        chosen = (*ask.kept, *added)
        if len(chosen) < ask.sites.count:
            problems.append(_too_few(settings, ask, chosen, market))
        placements += _shared_out(settings, ask, chosen)
    if problems:
        raise PlanError(problems)
    placements.sort(key=lambda each: (each.model.name, each.site))
    named = with_room(with_pools(placements, lock))
    pools, short = pools_of(settings, named)
    if short := [*short, *short_of_addresses(settings, named, pools)]:
        raise PlanError(short)
    notes = [
        *(note for ask in asks for note in moved(settings, ask.model, named, kept[ask.model.name])),
        *gone(settings, lock),
        *renamed(settings, named, lock),
        *unsold(settings, named),
        *cramped(settings, named),
        *lacking(settings, named, pools),
        *held_back(settings, named),
        *unused(settings, market, named, pools),
    ]
    return Plan(tuple(named), pools, tuple(notes))


def cheapest_fit(settings: Settings, asks: Sequence[Ask]) -> Sequence[Sequence[Placement]]:
    """The best candidates for each model by itself; a site that it was at before others, since its weights are there."""
    del settings
    found: list[Sequence[Placement]] = []
    for ask in asks:
        chosen = list(ask.kept)
        for each in sorted(ask.candidates, key=lambda candidate: candidate.site not in ask.left):
            if len(chosen) < ask.sites.count and ask.sites.admit(chosen, each.site):
                chosen.append(each)
        found.append(chosen[len(ask.kept) :])
    return found


def _ask(settings: Settings, model: ModelSettings, market: Market, lock: Lock) -> tuple[Ask, tuple[Kept, ...]]:
    sites = Sites.of(model)
    need = need_of(settings, model)
    kept: list[Kept] = []
    stay: list[Placement] = []
    for site, names in lock.models.get(model.name, {}).items():
        if unwanted := sites.unwanted(stay, site):
            kept.append(Kept(site, None, (unwanted,)))
            continue
        pools = locked_pools(lock.pools[site], names)
        found = keep_at(settings, model, need, sites.share(site, len(stay)), site, pools, market)
        kept.append(found)
        if found.placement is not None:
            stay.append(found.placement)
    left = tuple(each.site for each in kept if each.placement is None)
    could: Sequence[Placement] = ()
    if len(stay) < sites.count:
        could = candidates(settings, model, sites.share, market)
    return Ask(model, sites, tuple(stay), left, tuple(could)), tuple(kept)


def _too_few(settings: Settings, ask: Ask, chosen: Sequence[Placement], market: Market) -> Problem:
    """The problem of a model that fits at fewer sites than it wants."""
    model, need = ask.model, need_of(settings, ask.model)
    if ask.sites.named:
        missing = [site for site in ask.sites.named if all(each.site != site for each in chosen)]
        return fits_nowhere(settings, model, need, market, at=missing[:1])
    if not chosen:
        return fits_nowhere(settings, model, need, market)
    unit = "clouds" if ask.sites.one_a_cloud else "regions"
    there = ", ".join(str(each.site) for each in chosen)
    remedy = f"write {unit}: {len(chosen)}" if len(chosen) > 1 else "leave spread out"
    message = f"{ask.sites.count} are asked for, and it fits in {len(chosen)} only: {there}; {remedy}, or add one where it fits"
    return settings.where.problem((MODELS, model.name, "spread", unit), message)


def _shared_out(settings: Settings, ask: Ask, chosen: Sequence[Placement]) -> list[Placement]:
    """The replicas over the sites that were chosen, by the order of their names: which came first, a kept plan does not tell."""
    need = need_of(settings, ask.model)
    return [
        _with_replicas(need, each, ask.sites.share(each.site, number))
        for number, each in enumerate(sorted(chosen, key=lambda each: each.site))
    ]


def _with_replicas(need: Need, placement: Placement, replicas: Replicas) -> Placement:
    if placement.replicas == replicas:
        return placement
    legs = [Source(leg.offer, leg.capacity_type, leg.reservation, leg.unpriced) for leg in placement.legs]
    return replace(placement, replicas=replicas, legs=legs_of(need, replicas, legs))
