"""The node pools that placements share: their names, which never change for a price, and how large they may grow."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Final

from model_factory.facts.clouds import Cloud
from model_factory.facts.nodes import LEAST_CPU_DISK_GIB, LEAST_DISK_GIB, disk_for
from model_factory.facts.offer import CapacityType
from model_factory.graph.names import fit
from model_factory.planning.placing.lock import Lock, LockedPool, lock_file, locked
from model_factory.planning.placing.plan import SURGE, Leg, Placement, Pool, Site
from model_factory.planning.settings.problems import Problem
from model_factory.planning.settings.sections import MODELS, Settings

_LABEL_MAX: Final = 63
"""Characters of a label's value in Kubernetes; pods find a pool by it."""


@dataclass(frozen=True, slots=True)
class _Kind:
    """What models ask of a pool. Pools of one kind differ in their machines only."""

    site: Site
    hardware: str
    """`l4x1`; `cpu` for machines without GPUs, `cpu-arm64` for those of that architecture."""
    capacity_type: CapacityType

    @property
    def name(self) -> str:
        """`l4x1-spot`."""
        return f"{self.hardware}-{self.capacity_type}"

    def name_with(self, machine: _Machine) -> str:
        """`l4x1-spot-g6-2xlarge`: as long as a label may be, and no other machine's."""
        more = [part.replace(".", "-") for part in (machine.machine_type, machine.reservation) if part]
        return fit("-".join((self.name, *more)), _LABEL_MAX)


@dataclass(frozen=True, slots=True, order=True)
class _Machine:
    """The machines of one pool, the smaller first."""

    vcpus: int
    memory_gib: Decimal
    machine_type: str
    reservation: str

    def held_by(self, pool: LockedPool) -> bool:
        """Does a locked pool have these?"""
        return (pool.machine_type, pool.reservation or "") == (self.machine_type, self.reservation)


def with_pools(placements: Iterable[Placement], lock: Lock) -> list[Placement]:
    """The placements with the names of their pools.

    `l4x1-spot` is named after what models ask for, so that another machine type with the same GPUs, or with none, keeps the name: a pool that the lock
    names so keeps it, and a further machine of its kind adds its own type. Where several are new, the smallest has the plain name. A pool
    that the lock calls otherwise, as by hand, is renamed: `renamed` tells it.
    """
    placements = list(placements)
    needed: defaultdict[_Kind, set[_Machine]] = defaultdict(set)
    for each in placements:
        for leg in each.legs:
            needed[_kind(each.site, leg)].add(_machine(leg))
    names = {
        (kind, machine): name
        for kind, there in needed.items()
        for machine, name in _names(kind, there, lock.pools.get(kind.site, {})).items()
    }
    return [
        replace(
            each,
            legs=tuple(replace(leg, pool=names[_kind(each.site, leg), _machine(leg)]) for leg in each.legs),
        )
        for each in placements
    ]


def pools_of(settings: Settings, placements: Sequence[Placement]) -> tuple[tuple[Pool, ...], list[Problem]]:
    """The pools of placements that name them; and the problems of models that more is promised to than a reservation holds."""
    members: defaultdict[tuple[Site, str], list[tuple[Placement, Leg]]] = defaultdict(list)
    for each in placements:
        for leg in each.legs:
            members[each.site, leg.pool].append((each, leg))
    pools: list[Pool] = []
    short: list[Problem] = []
    for (site, name), there in sorted(members.items(), key=lambda each: each[0]):
        leg = there[0][1]
        nodes = sum(each.nodes_for(each.most + SURGE) for _, each in there)
        if leg.reservation is not None:
            nodes = min(nodes, leg.reservation.machines)
            short += _short(settings, leg, there)
        pools.append(
            Pool(
                name=name,
                cloud=site.cloud,
                region=site.region,
                machine_type=leg.offer.machine_type,
                accelerator=leg.offer.accelerator,
                accelerator_count=leg.offer.accelerator_count,
                capacity_type=leg.capacity_type,
                max_nodes=nodes,
                zones=leg.zones,
                reservation=leg.reservation,
                disk_gib=_disk_gib(site.cloud, there),
            )
        )
    return tuple(pools), short


def _disk_gib(cloud: Cloud, there: Sequence[tuple[Placement, Leg]]) -> int:
    """The disk of a node that is full with the replicas of any one of its models: those of several leave each other less room."""
    prints = [(each.model.footprint, leg.replicas_per_node) for each, leg in there]
    written = max(replicas * print_.disk_gib(cloud) for print_, replicas in prints)
    least = LEAST_DISK_GIB if there[0][1].share.count else LEAST_CPU_DISK_GIB
    return disk_for(cloud, Decimal(written + sum(print_.fetched_gib for print_, _ in prints)), least)


def with_room(placements: Sequence[Placement]) -> list[Placement]:
    """The placements, those without a surge that can only run on reserved machines all of which their models may fill: a new replica
    would wait for a machine until its rollout is given up."""
    wanted: defaultdict[tuple[Site, str], int] = defaultdict(int)
    for each in placements:
        for leg in each.legs:
            wanted[each.site, leg.pool] += leg.nodes_for(leg.most + SURGE)

    def fits(each: Placement) -> bool:
        last = each.legs[-1]
        return last.reservation is None or wanted[each.site, last.pool] <= last.reservation.machines

    return [each if fits(each) else replace(each, surge=0) for each in placements]


def cramped(settings: Settings, placements: Iterable[Placement]) -> Iterator[Problem]:
    """The models that have no room for a surge, and what that means for requests."""
    for each in placements:
        reservation = each.legs[-1].reservation
        if not each.surge and reservation is not None:
            lost = "at rest nothing serves meanwhile" if each.replicas.min == 1 else "one fewer serves meanwhile"
            message = f"in {each.site} reservation {reservation.name} has no machine to spare: a rollout stops a replica before it starts a new one, and {lost}"
            yield settings.where.problem(
                (MODELS, each.model.name, "capacity"), f"{message}; reserve one more, or append on-demand"
            )


def renamed(settings: Settings, placements: Iterable[Placement], lock: Lock) -> Iterator[Problem]:
    """The pools of the lock whose machines another pool has now: nobody moves, and yet their nodes are replaced."""
    there: defaultdict[Site, dict[str, LockedPool]] = defaultdict(dict)
    for each in placements:
        there[each.site].update(
            {leg.pool: locked(leg.capacity_type, leg.offer.machine_type, leg.reservation) for leg in each.legs}
        )
    for site, pools in sorted(lock.pools.items()):
        for name, pool in sorted(pools.items()):
            now = [each for each, machines in there[site].items() if machines == pool]
            if now and name not in now:
                message = f"is called {now[0]} from now on, as every pool of these machines is: its nodes are replaced"
                yield Problem(lock_file(Path(), settings.stack).name, 0, f"pools.{site}.{name}", message)


def _names(kind: _Kind, there: Iterable[_Machine], kept: Mapping[str, LockedPool]) -> dict[_Machine, str]:
    names: dict[_Machine, str] = {}
    of_kind = {name: pool for name, pool in kept.items() if pool.capacity == kind.capacity_type}
    new: list[_Machine] = []
    for machine in sorted(there):
        for name in (kind.name, kind.name_with(machine)):
            if name in of_kind and machine.held_by(of_kind[name]):
                names[machine] = name
                break
        else:
            new.append(machine)
    for machine in new:
        names[machine] = kind.name if kind.name not in names.values() else kind.name_with(machine)
    return names


def _kind(site: Site, leg: Leg) -> _Kind:
    offer = leg.offer
    without = "cpu" if offer.architecture == "x86_64" else f"cpu-{offer.architecture}"
    hardware = f"{offer.accelerator}x{offer.accelerator_count}" if offer.accelerator_count else without
    return _Kind(site, hardware, leg.capacity_type)


def _machine(leg: Leg) -> _Machine:
    offer, reservation = leg.offer, leg.reservation
    return _Machine(offer.vcpus, offer.memory_gib, offer.machine_type, reservation.name if reservation else "")


def _short(settings: Settings, leg: Leg, there: Iterable[tuple[Placement, Leg]]) -> Iterable[Problem]:
    """Models that can only run on reserved machines, of which there are not enough for all."""
    alone = [(each, own) for each, own in there if each.legs[-1] == own]
    wanted = sum(own.nodes_for(each.replicas.max) for each, own in alone)
    held = leg.reservation.machines if leg.reservation else wanted
    if wanted > held:
        for each, _ in alone:
            message = f"reservation {leg.reservation.name if leg.reservation else ''} has {held} machine{'' if held == 1 else 's'}, and its models may need {wanted}"
            remedy = "append on-demand, or lower replicas.max"
            yield settings.where.problem((MODELS, each.model.name, "capacity"), f"{message}; {remedy}")
