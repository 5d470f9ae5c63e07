"""What a node group or pool asks for, what is there of it, and the next steps from one to the other. Pure.

Every step follows from what the cluster holds now, so that a cloud that was killed in the middle of a roll or a drain goes on
where it was.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from model_factory.local.lab.nodes.simulated import (
    DRAINING,
    LEAVING,
    POOL,
    REVISION,
    Object,
    Shape,
    SimulatedNode,
)

ZONE_LABEL: Final = "topology.kubernetes.io/zone"


@dataclass(frozen=True, slots=True)
class Rolling:
    """How a pool replaces its nodes: so many more than it wants meanwhile, so many fewer ready ones, so many drained at once."""

    surge: int
    unavailable: int
    at_once: int


@dataclass(frozen=True, slots=True)
class Pool:
    """A node group or pool as its cloud wants it now.

    `make` makes a node of it in a zone, under a name that is not among those taken; it is called for every node anew.
    """

    name: str
    revision: str
    """What its nodes are made from, as a word: nodes of another revision are replaced."""
    wanted: Mapping[str, int]
    """Nodes by zone."""
    shape: Shape
    make: Callable[[str, Collection[str]], SimulatedNode] = field(repr=False, compare=False)
    rolling: Rolling
    drain_seconds: float
    """How long Pods that a budget keeps hold up the end of a node."""
    forced: bool = True
    """Whether a node that is replaced ends after that time, whatever is on it; else the replacement fails."""
    drains_on_notice: bool = True
    """Whether the cloud moves Pods away when it gives notice of taking a machine back; else the kubelet ends them at once."""
    repair_seconds: float | None = None
    """How long a machine may be silent before the cloud replaces it; None where it does not."""
    room: Mapping[str, int] = field(default_factory=dict[str, int])
    """How many machines of its type a zone has at most; zones that are not named have all that are asked for."""
    room_in_all: int | None = None
    first_to_go: frozenset[str] = frozenset()
    """Of nodes that are too many, those that go first."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A node of a pool as the cluster has it."""

    name: str
    revision: str
    zone: str
    ready: bool
    draining_since: float | None
    leaves_at: float | None
    age_key: str = ""
    """When it was made; the youngest goes first."""
    unready_since: float | None = None
    """When it was Ready last, where it was."""

    @property
    def stays(self) -> bool:
        return self.draining_since is None and self.leaves_at is None


@dataclass(frozen=True, slots=True)
class Launch:
    pool: str
    zone: str


@dataclass(frozen=True, slots=True)
class Drain:
    """Begin to drain a node, and to let no Pod on it any more."""

    node: str


@dataclass(frozen=True, slots=True)
class Keep:
    """End the drain of a node that is wanted after all."""

    node: str


Step = Launch | Drain | Keep


@dataclass(frozen=True, slots=True)
class PoolState:
    """How far a pool is."""

    wanted: int
    ready: int
    """Of the revision that is wanted, not about to go."""
    there: int
    """All, those that are about to go among them."""
    old: int
    """Of another revision."""
    launching: int
    draining: int
    short: int
    """Machines that it wants and that there are not."""
    stuck: tuple[str, ...] = ()
    """Nodes that Pods do not leave in time, where that ends their replacement."""

    @property
    def settled(self) -> bool:
        """All that is wanted is there and Ready, and nothing else."""
        return self.ready == self.wanted == self.there and not self.old and not self.launching

    @property
    def blocked(self) -> bool:
        """Nodes are still to be replaced, and there is no machine for the next."""
        new = self.there - self.old
        return bool(self.short and self.old and self.ready == new) and not (self.launching or self.draining)

    @property
    def ended(self) -> bool:
        """Settled, or as far as it gets with the machines there are."""
        there = self.wanted - self.short
        as_far_as_it_gets = self.short > 0 and not self.old and self.ready == self.there == there
        return self.settled or self.blocked or as_far_as_it_gets or bool(self.stuck)


def seen(node: Object) -> Seen:
    """A Node object as `Seen`."""
    metadata = node["metadata"]
    annotations: Mapping[str, str] = metadata.get("annotations", {})
    conditions = node.get("status", {}).get("conditions", [])
    since, leaves = annotations.get(DRAINING), annotations.get(LEAVING)
    # False while it starts; Unknown, set by the node controller, once its heartbeats have stopped.
    silent = [
        each["lastTransitionTime"] for each in conditions if each["type"] == "Ready" and each["status"] == "Unknown"
    ]
    return Seen(
        name=metadata["name"],
        revision=annotations.get(REVISION, ""),
        zone=metadata.get("labels", {}).get(ZONE_LABEL, ""),
        ready=any(each["type"] == "Ready" and each["status"] == "True" for each in conditions),
        draining_since=None if since is None else float(since),
        leaves_at=None if leaves is None else float(leaves),
        age_key=metadata.get("creationTimestamp", ""),
        unready_since=datetime.fromisoformat(silent[0]).timestamp() if silent else None,
    )


def how_it_is(node: Object) -> str:
    """A Node in a word or two: Ready, NotReady, and whether it is about to go."""
    found = seen(node)
    going = "leaving" if found.leaves_at is not None else "draining" if found.draining_since is not None else ""
    return ", ".join(filter(None, ("Ready" if found.ready else "NotReady", going)))


def of_pools(nodes: Sequence[Object]) -> dict[str, list[Seen]]:
    """The simulated nodes by their pool."""
    found: dict[str, list[Seen]] = {}
    for node in nodes:
        pool = node["metadata"].get("annotations", {}).get(POOL)
        if pool is not None:
            found.setdefault(pool, []).append(seen(node))
    return found


def spread(total: int, zones: Sequence[str]) -> dict[str, int]:
    """So many nodes over zones as evenly as goes, the first zones with the rest."""
    each, rest = divmod(total, len(zones))
    return {zone: each + (index < rest) for index, zone in enumerate(zones)}


def is_beyond_repair(pool: Pool, node: Seen, now: float) -> bool:
    """Whether the cloud replaces the machine for its silence."""
    silent = node.unready_since is not None and pool.repair_seconds is not None
    return silent and now >= (node.unready_since or 0.0) + (pool.repair_seconds or 0.0)


def next_steps(pool: Pool, nodes: Sequence[Seen], launching: Mapping[str, int]) -> list[Step]:
    """What to begin now. `launching` counts the machines under way by zone: they are no nodes yet."""
    staying = [node for node in nodes if node.stays]
    new = [node for node in staying if node.revision == pool.revision]
    old = [node for node in staying if node.revision != pool.revision]
    kept = _kept(pool, nodes, new, launching)
    new += kept
    return [
        *(Keep(node.name) for node in kept),
        *_launches(pool, nodes, new, old, launching),
        *_drains(pool, nodes, new, old),
    ]


def state(pool: Pool, nodes: Sequence[Seen], launching: Mapping[str, int], stuck: tuple[str, ...] = ()) -> PoolState:
    """How far a pool is."""
    new = [node for node in nodes if node.stays and node.revision == pool.revision]
    lacking = sum(_lacking(pool, new, launching).values())
    on_the_way = sum(launching.values())
    old = sum(node.revision != pool.revision for node in nodes)
    room = sum(_room(pool, nodes, launching, zone) > 0 for zone in pool.wanted) if lacking else 0
    return PoolState(
        wanted=sum(pool.wanted.values()),
        ready=sum(node.ready for node in new),
        there=len(nodes),
        old=old,
        launching=on_the_way,
        draining=len(nodes) - sum(node.stays for node in nodes),
        short=lacking if lacking and not room else 0,
        stuck=stuck,
    )


def _lacking(pool: Pool, new: Sequence[Seen], launching: Mapping[str, int]) -> Counter[str]:
    there = Counter(node.zone for node in new) + Counter(launching)
    return Counter(pool.wanted) - there


def _kept(pool: Pool, nodes: Sequence[Seen], new: Sequence[Seen], launching: Mapping[str, int]) -> list[Seen]:
    """Nodes that are drained although the pool lacks such: it was told otherwise meanwhile."""
    lacking = _lacking(pool, new, launching)
    kept: list[Seen] = []
    for node in nodes:
        going = node.draining_since is not None and node.leaves_at is None
        if going and node.revision == pool.revision and lacking[node.zone] > 0:
            kept.append(node)
            lacking[node.zone] -= 1
    return kept


def _room(pool: Pool, nodes: Sequence[Seen], launching: Mapping[str, int], zone: str) -> int:
    """How many machines the zone can still start."""
    there = Counter(node.zone for node in nodes) + Counter(launching)
    lots = 1 << 30
    in_zone = pool.room.get(zone, lots) - there[zone]
    in_all = (lots if pool.room_in_all is None else pool.room_in_all) - there.total()
    return max(0, min(in_zone, in_all))


def _launches(
    pool: Pool, nodes: Sequence[Seen], new: Sequence[Seen], old: Sequence[Seen], launching: Mapping[str, int]
) -> list[Step]:
    lacking = _lacking(pool, new, launching)
    # While it rolls, old nodes count until they are gone; a machine whose notice came is replaced at once.
    counted = len(new) + sum(launching.values())
    if old or any(node.revision != pool.revision for node in nodes):
        counted += sum(node.revision != pool.revision and node.leaves_at is None for node in nodes)
        allowed = max(0, sum(pool.wanted.values()) + pool.rolling.surge - counted)
    else:
        allowed = lacking.total()
    steps: list[Step] = []
    under_way = Counter(launching)
    for zone in _by_turns(lacking):
        if len(steps) < allowed and _room(pool, nodes, under_way, zone) > 0:
            steps.append(Launch(pool.name, zone))
            under_way[zone] += 1
    return steps


def _by_turns(counts: Mapping[str, int]) -> list[str]:
    """Zone after zone, each as often as it is counted."""
    return [zone for turn in range(max(counts.values(), default=0)) for zone in counts if counts[zone] > turn]


def _drains(pool: Pool, nodes: Sequence[Seen], new: Sequence[Seen], old: Sequence[Seen]) -> list[Step]:
    wanted = sum(pool.wanted.values())
    steps: list[Step] = [
        Drain(node.name)
        for node in nodes
        if pool.drains_on_notice and node.leaves_at is not None and node.draining_since is None
    ]
    steps += [Drain(name) for name in _surplus(pool, new)]
    if not wanted:
        return steps + [Drain(node.name) for node in old]
    draining = sum(node.revision != pool.revision and node.draining_since is not None for node in nodes)
    serving = sum(node.ready for node in [*new, *old])
    # What does not serve goes first: it costs nothing.
    for node in sorted(old, key=lambda node: (node.ready, node.age_key, node.name)):
        left = serving - node.ready
        if draining >= pool.rolling.at_once or (node.ready and left < wanted - pool.rolling.unavailable):
            break
        steps.append(Drain(node.name))
        draining, serving = draining + 1, left
    return steps


def _surplus(pool: Pool, new: Sequence[Seen]) -> list[str]:
    found: list[str] = []
    for zone in sorted({node.zone for node in new}):
        here = sorted(
            (node for node in new if node.zone == zone), key=lambda node: (node.age_key, node.name), reverse=True
        )
        here.sort(key=lambda node: (node.name not in pool.first_to_go, node.ready))
        found += [node.name for node in here[: max(0, len(here) - pool.wanted.get(zone, 0))]]
    return found
