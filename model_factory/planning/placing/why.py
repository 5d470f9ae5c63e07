"""Why a model runs where it does: all the places where it could, the best first, and what stands against every other machine."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from model_factory.facts.offer import Offer
from model_factory.planning.placing.candidates import can_be_had, candidates, rank
from model_factory.planning.placing.fit import Judge, Misfit, need_of
from model_factory.planning.placing.market import Market
from model_factory.planning.placing.place import Sites
from model_factory.planning.placing.plan import Placement, Plan, Site, filled
from model_factory.planning.settings.sections import ModelSettings, Settings


@dataclass(frozen=True, slots=True)
class Held:
    """What a placement's replicas take, of machines that no other model shares."""

    nodes: int
    gpus: int
    idle_gpus: int
    """GPUs of these nodes that no replica uses."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A place where the model could run. `chosen`: the plan has it there."""

    placement: Placement
    chosen: bool
    at_rest: Held
    at_peak: Held


@dataclass(frozen=True, slots=True)
class Against:
    """What stands against a machine type, the same at all these sites. `reasons` stand in the same words for many machines."""

    machine_type: str
    accelerator: str
    accelerator_count: int
    sites: tuple[Site, ...]
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Why:
    """All that there is to tell of one model. `against` has what misses by least first."""

    candidates: tuple[Candidate, ...]
    against: tuple[Against, ...]


def why(settings: Settings, model: ModelSettings, plan: Plan, market: Market) -> Why:
    """Weighs every machine with accelerators, or every one without, for a model that `plan` places."""
    chosen, sites = plan.of_model(model.name), Sites.of(model)
    could = [
        each
        for each in candidates(settings, model, sites.share, market)
        if sites.admit((), each.site) and not _among(each, chosen)
    ]
    ranked = sorted((*chosen, *could), key=lambda each: rank(settings, each))
    taken = {(each.site, leg.offer.machine_type) for each in ranked for leg in each.legs}
    return Why(
        tuple(
            Candidate(each, each in chosen, _held(each, each.replicas.min), _held(each, each.replicas.max))
            for each in ranked
        ),
        _against(settings, model, sites, taken, market),
    )


def _among(candidate: Placement, chosen: Iterable[Placement]) -> bool:
    """Is it one of these, whatever number of replicas it was weighed with?"""
    return any(
        candidate.site == each.site
        and [(leg.offer, leg.capacity_type, leg.reservation) for leg in candidate.legs]
        == [(leg.offer, leg.capacity_type, leg.reservation) for leg in each.legs]
        for each in chosen
    )


def _held(placement: Placement, replicas: int) -> Held:
    held = list(zip(placement.legs, filled(placement.legs, replicas), strict=True))
    nodes = sum(leg.nodes_for(count) for leg, count in held)
    gpus = sum(leg.nodes_for(count) * leg.offer.accelerator_count for leg, count in held)
    return Held(nodes, gpus, gpus - sum(leg.share.count * count for leg, count in held))


def _against(
    settings: Settings, model: ModelSettings, sites: Sites, taken: set[tuple[Site, str]], market: Market
) -> tuple[Against, ...]:
    need = need_of(settings, model)
    judge, ladder = Judge(need), settings.ladder_of(model)
    found: defaultdict[tuple[str, tuple[str, ...]], list[Site]] = defaultdict(list)
    order: dict[tuple[str, tuple[str, ...]], tuple[int, Decimal, Decimal]] = {}
    machines: dict[str, Offer] = {}
    for offer in (*market.offers, *market.rejected):
        site = Site(offer.cloud, offer.region)
        if need.with_gpus != (offer.accelerator_count > 0) or (site, offer.machine_type) in taken:
            continue
        wrong = judge.against(offer)
        reasons = _reasons(wrong)
        if not wrong:
            if not sites.admit((), site):
                reasons = ("fits, and is not at one of the model's sites",)
            elif market.why_unpriced(offer):
                reasons = ("fits, and its price was rejected; `factory offers --rejected` says why",)
            elif not can_be_had(settings, offer, ladder):
                reasons = (f"fits, and cannot be had as {' or '.join(ladder)}",)
            else:
                same = "with the same accelerator" if need.with_gpus else "of its family"
                reasons = (f"fits, and a machine {same} is cheaper there",)
        key = (offer.machine_type, reasons)
        machines[offer.machine_type] = offer
        found[key].append(site)
        far = (len(wrong), sum((each.shortfall for each in wrong), Decimal(0)), offer.usd_per_hour)
        order[key] = min(order.get(key, far), far)
    return tuple(
        Against(name, machines[name].accelerator, machines[name].accelerator_count, tuple(found[name, told]), told)
        for name, told in sorted(found, key=lambda key: (order[key], key))
    )


def _reasons(wrong: Sequence[Misfit]) -> tuple[str, ...]:
    """In words; of a machine that does not fit anywhere, its place is no reason."""
    inner = tuple(each.reason for each in wrong if each.subject != "place")
    return inner or (("fits, and is in none of the regions that the model may use",) if wrong else ())
