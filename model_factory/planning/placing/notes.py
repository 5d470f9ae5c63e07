"""What a plan is worth telling: who moves and why, what is no longer there, and what is paid for without being used."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from decimal import ROUND_DOWN, ROUND_UP, Decimal

from model_factory.facts.packing import nodes_for
from model_factory.planning.placing.candidates import candidates
from model_factory.planning.placing.keep import Kept
from model_factory.planning.placing.lock import Lock
from model_factory.planning.placing.market import Market
from model_factory.planning.placing.plan import Leg, Placement, Pool, filled, to_pack
from model_factory.planning.settings.problems import Problem
from model_factory.planning.settings.sections import MODELS, ModelSettings, Settings

GPUS_OF_A_REPLICA = (1, 2, 4, 8, 16)
_MOST_SHARE = Decimal("0.95")
"""Of an accelerator's memory, what a server can take and leave room for the rest of its process."""
_TENTH, _HUNDREDTH = Decimal("0.1"), Decimal("0.01")


def moved(
    settings: Settings, model: ModelSettings, placements: Iterable[Placement], kept: Iterable[Kept]
) -> Iterator[Problem]:
    """A model's moves away from where the lock has it, each with its cause."""
    kept = list(kept)
    before = {each.site for each in kept}
    now = {each.site: each for each in placements if each.model.name == model.name}
    for each in kept:
        if not each.causes:
            continue
        cause = "; ".join(each.causes)
        there = now.get(each.site)
        if there is not None:
            what = f"changes its machines in {each.site} to {machines_of(there)}"
        else:
            to = ", ".join(f"{site} ({machines_of(at)})" for site, at in now.items() if site not in before)
            what = f"moves from {each.site} to {to}" if to else f"leaves {each.site}"
        yield settings.where.problem((MODELS, model.name), f"{what}: {cause}")


def gone(settings: Settings, lock: Lock) -> Iterator[Problem]:
    """Models of the lock that the stack file no longer has."""
    names = {model.name for model in settings.models}
    for name in sorted(lock.models.keys() - names):
        yield settings.where.problem((MODELS,), f"{name} is in the plan lock and no longer here; `up` removes it")


def unused(
    settings: Settings, market: Market, placements: Sequence[Placement], pools: Sequence[Pool]
) -> Iterator[Problem]:
    """Clusters without a model, reserved machines without one, and GPUs that no replica can use."""
    for section in settings.sections.values():
        for region in section.regions:
            if not any((each.cloud, each.region) == (section.CLOUD, region) for each in placements):
                message = f"{region} has a cluster and no model: its control plane and system nodes are paid for; remove it, or place a model there"
                yield settings.where.problem((section.key(), "regions"), message)
        for index, each in enumerate(section.reservations):
            if not any(pool.reservation == each for pool in pools):
                message = f"{each.machines} {each.machine_type} in {each.zone} are reserved, and no model runs on them; name reserved in the capacity of one that fits, or remove it"
                yield settings.where.problem((section.key(), "reservations", index), message)
    for pool in pools:
        members = [
            (each, leg)
            for each in placements
            for leg in each.legs
            if (each.cloud, each.region, leg.pool) == (pool.cloud, pool.region, pool.name)
        ]
        yield from _idle_gpus(settings, market, pool, members)


def unsold(settings: Settings, placements: Iterable[Placement]) -> Iterator[Problem]:
    """Models that are to run on reserved or spot machines, at sites where none that fits can be had so."""
    for each in placements:
        ways = [leg.capacity_type for leg in each.legs]
        for capacity in settings.ladder_of(each.model):
            if capacity not in ways:
                section = settings.sections[each.cloud]
                where = (
                    f"no machine that fits is listed in {section.key()}.reservations for {each.region}"
                    if capacity == "reserved"
                    else f"no table has a {capacity} price of {each.first.offer.kind} machines that fit in {each.region}"
                )
                message = f"{where}; it runs there as {' and '.join(ways)}"
                yield settings.where.problem((MODELS, each.model.name, "capacity"), message)


def held_back(settings: Settings, placements: Iterable[Placement]) -> Iterator[Problem]:
    """Models that ask for more accelerator memory than their server takes of what it is given."""
    for each in placements:
        model, leg, hardware = each.model, each.first, each.model.hardware
        given = leg.offer.usable_gib_per_accelerator * leg.share.count
        taken = (given * hardware.memory_share).quantize(_TENTH, ROUND_DOWN)
        if model.gpu_memory_gib > taken and hardware.memory_flag:
            share = (model.gpu_memory_gib / given).quantize(_HUNDREDTH, ROUND_UP)
            more = f"write {hardware.memory_flag}={share} in args" if share <= _MOST_SHARE else "take more GPUs"
            less = f", or write gpuMemoryGib: {taken.normalize():f}" if taken else ""
            message = f"its server takes {hardware.memory_share:f} of the {given:.1f} GiB that {leg.share.count} {leg.offer.accelerator} in {each.site} has to use, and {model.gpu_memory_gib:f} are asked for; {more}{less}"
            yield settings.where.problem((MODELS, model.name, "gpuMemoryGib"), message)


def _idle_gpus(
    settings: Settings, market: Market, pool: Pool, members: Sequence[tuple[Placement, Leg]]
) -> Iterator[Problem]:
    """GPUs that are idle at rest and at peak alike: how the replicas are cut leaves them over, not a lull."""
    leg = members[0][1]
    spans = [_idle(members, at_peak=at_peak) for at_peak in (False, True)]
    idle = [idle for idle, there in spans if there]
    if not idle or not all(idle):
        return
    left, there = next((idle, there) for idle, there in spans if there)
    price = leg.usd_per_node_hour
    costs = f" and cost {price * left / pool.accelerator_count:.2f} USD an hour" if price is not None else ""
    models = ", ".join(each.model.name for each, _ in members)
    message = f"{left} of {there} GPUs of its {pool.machine_type} in {pool.region} stay idle{costs}"
    if len(members) > 1:
        message += f", shared by {models}"
    model = members[0][0].model
    remedy = _cut_otherwise(settings, market, members[0][0]) if len(members) == 1 else ""
    yield settings.where.problem((MODELS, model.name, "gpusPerReplica"), f"{message}{remedy}")


def _idle(members: Sequence[tuple[Placement, Leg]], *, at_peak: bool) -> tuple[int, int]:
    """Idle GPUs and all GPUs of a pool with the replicas that go there by rank."""
    offer = members[0][1].offer
    needs = [
        to_pack(each.model, leg, filled(each.legs, each.replicas.max if at_peak else each.replicas.min)[leg.rank])
        for each, leg in members
    ]
    there = nodes_for(offer, needs) * offer.accelerator_count
    used = sum(int(need[0]) * replicas for need, _, replicas in needs)
    return there - used, there


def _cut_otherwise(settings: Settings, market: Market, placement: Placement) -> str:
    """Another number of GPUs a replica that costs less at rest, in words; empty where none does."""
    model, best = placement.model, placement.usd_per_hour
    found = ""
    for gpus in GPUS_OF_A_REPLICA:
        if gpus == model.gpus_per_replica or best is None:
            continue
        other = ModelSettings.model_construct(None, **{**dict(model), "gpus_per_replica": gpus})
        for each in candidates(settings, other, lambda _: placement.replicas, market)[:1]:
            usd = each.usd_per_hour
            if usd is not None and usd < best:
                best = usd
                found = f"; gpusPerReplica: {gpus} would run on {machines_of(each)} in {each.region} at {usd:.2f} instead of {placement.usd_per_hour:.2f}"
    return found


def machines_of(placement: Placement) -> str:
    """The machines of a placement in words: `g6.xlarge spot, g6.xlarge on-demand`."""
    return ", ".join(f"{leg.offer.machine_type} {leg.capacity_type}" for leg in placement.legs)
