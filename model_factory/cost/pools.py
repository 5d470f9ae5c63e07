"""Node pools of a graph with the models on them: how many nodes there are at rest and at peak, and who holds them.

At rest every model runs its least replicas and at peak its most; a pool has the nodes that hold them, packed, between the pool's own
least and most. Of several pools a model fills the one that it likes best up to that pool's most, and what is left goes on to the next.
A pool without GPUs that no model names by its labels is not followed pod by pod: it has its least and its most nodes.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import ROUND_DOWN, Decimal
from typing import Final, Literal

from model_factory.cost.values import IDLE, SHARED, Share, Span, total
from model_factory.facts.clouds import Cloud
from model_factory.facts.machines import machines
from model_factory.facts.nodes import allocatable
from model_factory.facts.offer import Offer
from model_factory.facts.packing import Need, nodes_for
from model_factory.facts.prices import MACHINE, PriceTable
from model_factory.graph.clusters import Cluster, clusters_of
from model_factory.graph.graph import Graph
from model_factory.graph.pods import MODEL_LABEL, Requests, pod_labels, pod_spec, requests_of
from model_factory.graph.pools import NodePool, by_preference, names_nodes, node_pool
from model_factory.graph.resource import Resource
from model_factory.graph.values import text

Moment = Literal["idle", "peak"]
_STEP: Final = Decimal("0.00000001")
_NOTHING: Final = Decimal("0.000001")
"""Less of a GPU than this is the rounding of its parts: seven sevenths are not one."""


@dataclass(frozen=True, slots=True)
class Workload:
    """Replicas of one model in one cluster, and what one of them takes of its node."""

    resource: Resource
    cluster: Cluster[Resource]
    model: str
    asks: Requests
    replicas: Span

    def need(self, replicas: int) -> Need:
        """What so many of its replicas take of nodes."""
        return (self.asks.gpus, self.asks.cpu, self.asks.memory_gib), self.model, replicas


@dataclass(frozen=True, slots=True)
class FilledPool:
    """One pool with the models placed on it. `problems` are worth showing: something the figures cannot follow."""

    resource: Resource
    cloud: Cloud
    region: str
    machine_type: str
    item: str
    """Its machine in the price table."""
    is_spot: bool
    nodes: Span
    gpus_per_node: int
    held: Mapping[str, Span]
    """GPUs that each model holds. In a pool without GPUs, nodes that it fills: the mean of its parts of their CPU and of their memory."""
    problems: tuple[str, ...] = ()

    @property
    def gpus(self) -> Span:
        """All its GPUs, held or idle."""
        return self.nodes * self.gpus_per_node

    def split(self, usd_per_hour: Span) -> tuple[Share, ...]:
        """What each model pays of an amount that the pool's nodes cost, by the GPUs it holds, and what idle GPUs cost.

        Without GPUs the models pay all of it by what they fill, and where there are none, it is shared. The parts add up exactly.
        """
        if not self.gpus_per_node:
            return self._split_by_size(usd_per_hour)
        parts = {
            model: Share(model, _part(usd_per_hour, gpus, self.gpus), gpus)
            for model, gpus in sorted(self.held.items())
            if gpus
        }
        rest, idle = usd_per_hour, self.gpus
        for share in parts.values():
            rest -= share.usd_per_hour
            idle -= share.gpus
        if max(idle.idle, idle.peak) > _NOTHING or not parts:
            parts[IDLE] = Share(IDLE, rest, idle)
        else:
            # What rounding down left over, so that the parts add up.
            largest = max(parts.values(), key=lambda share: (share.gpus.peak, share.owner))
            parts[largest.owner] = Share(largest.owner, largest.usd_per_hour + rest, largest.gpus + idle)
        return tuple(parts.values())

    def _split_by_size(self, usd: Span) -> tuple[Share, ...]:
        filled = total(self.held.values())
        parts = {model: _part(usd, held, filled) for model, held in sorted(self.held.items()) if held}
        rest = usd - total(parts.values())
        # What rounding down left over is a model's; what nobody fills, nobody's.
        rounded = Span(rest.idle if filled.idle else Decimal(0), rest.peak if filled.peak else Decimal(0))
        if parts:
            largest = max(parts, key=lambda model: (self.held[model].peak, model))
            parts[largest] += rounded
        shares = [Share(model, part) for model, part in parts.items()]
        return (*shares, *([Share(SHARED, rest - rounded)] if rest - rounded or not shares else ()))


@dataclass(frozen=True, slots=True)
class _Empty:
    """A pool before anything is on it, with its machine's offer: None for a machine that is not known, or whose GPUs are not."""

    pool: FilledPool
    offer: Offer | None
    has_gpus: bool

    @property
    def urn(self) -> str:
        return self.pool.resource.urn

    def room_for(self, workload: Workload, replicas: int, others: Sequence[Need]) -> int:
        """How many of the replicas it holds beside the others."""
        if self.offer is None:
            return replicas
        apart = [*others, workload.need(replicas)]
        if sum(nodes_for(self.offer, [each]) for each in apart) <= self.pool.nodes.peak:
            return replicas
        offer, peak = self.offer, self.pool.nodes.peak
        # By halves, as a count may be anything: so many fit, and one more does not.
        return bisect_right(
            range(1, replicas + 1), peak, key=lambda count: nodes_for(offer, [*others, workload.need(count)])
        )


def pools_of(
    graph: Graph, workloads: Iterable[Workload], prices: PriceTable
) -> tuple[list[FilledPool], list[tuple[Resource, str]]]:
    """The pools of the graph with the workloads on them, and the workloads that no pool of it takes, with the reason."""
    empty = {each.urn: _empty(graph, each, pool, prices) for each in graph.resources if (pool := node_pool(each))}
    homes: list[tuple[Workload, Sequence[_Empty]]] = []
    lost: list[tuple[Resource, str]] = []
    for each in workloads:
        ranks = [
            [empty[pool.resource.urn] for pool in rank]
            for rank in by_preference(each.cluster.pools, pod_spec(each.resource))
        ]
        if found := _homes(graph, each, ranks):
            homes.append((each, found))
        else:
            reason = "several node pools of several clusters fit" if ranks else "no node pool has the labels it selects"
            lost.append((each.resource, reason))
    placed = _placed(homes)
    of_models = {home.urn for _, ranked in homes for home in ranked}
    return [
        _filled(each, placed.get(urn, ())) if each.has_gpus or urn in of_models else each.pool
        for urn, each in empty.items()
    ], lost


def workloads_of(graph: Graph) -> list[Workload]:
    """The Deployments and StatefulSets whose pods ask for GPUs, or for parts of one, and the models without that choose their nodes."""
    found: list[Workload] = []
    for cluster in clusters_of(graph.resources):
        for each in cluster.workloads:
            asks = requests_of(each)
            labels = pod_labels(each)
            if asks.gpus > 0 or (text(labels.get(MODEL_LABEL)) and names_nodes(pod_spec(each))):
                model = text(labels.get(MODEL_LABEL)) or text(labels.get("app.kubernetes.io/instance"))
                found.append(Workload(each, cluster, model or each.name, asks, _replicas(cluster, each)))
    return found


def _replicas(cluster: Cluster[Resource], workload: Resource) -> Span:
    least = min((each.idle for each in cluster.autoscalers_of(workload)), default=None)
    return Span(
        Decimal(cluster.least_replicas(workload) if least is None else least),
        Decimal(cluster.most_replicas(workload)),
    )


def _homes(graph: Graph, workload: Workload, ranks: Iterable[Sequence[_Empty]]) -> Sequence[_Empty]:
    """The pools that a workload may be on, the one that it likes best first. Of those that it likes equally, the nearest; none where several
    are as near."""
    ranks = list(ranks)
    kind = ([each for each in rank if each.has_gpus == (workload.asks.gpus > 0)] for rank in ranks)
    priced = ([each for each in rank if each.offer] or rank for rank in kind)
    fitting = [rank for rank in priced if rank] or ranks
    found = (graph.nearest(workload.resource, [each.pool.resource for each in rank]) for rank in fitting)
    by_urn = {each.pool.resource.urn: each for rank in ranks for each in rank}
    return [by_urn[each.urn] for each in found if each is not None]


def _placed(homes: Sequence[tuple[Workload, Sequence[_Empty]]]) -> dict[str, list[Workload]]:
    """The workloads on each pool, by URN, with the replicas that they have there."""
    idle, peak = _spread(homes, "idle"), _spread(homes, "peak")
    placed: dict[str, list[Workload]] = {}
    for number, (workload, ranked) in enumerate(homes):
        for rank, home in enumerate(ranked):
            replicas = Span(Decimal(idle[number, rank]), Decimal(peak[number, rank]))
            if replicas or not rank:
                placed.setdefault(home.urn, []).append(replace(workload, replicas=replicas))
    return placed


def _spread(homes: Sequence[tuple[Workload, Sequence[_Empty]]], when: Moment) -> Mapping[tuple[int, int], int]:
    """How many replicas of each workload are on each of its homes: all on the first that has room, and what is left on the next. The last
    takes all that is left. Of those that a pool has no room for, the ones that can go nowhere else are there first."""
    left = [int(getattr(workload.replicas, when)) for workload, _ in homes]
    held: defaultdict[tuple[int, int], int] = defaultdict(int)
    needs: defaultdict[str, list[Need]] = defaultdict(list)
    for rank in range(max((len(ranked) for _, ranked in homes), default=0)):
        for number, (workload, ranked) in sorted(
            ((number, each) for number, each in enumerate(homes) if rank < len(each[1])),
            key=lambda each: (len(each[1][1]), each[1][0].model, each[0]),
        ):
            home, is_last = ranked[rank], rank + 1 == len(ranked)
            taken = left[number] if is_last else home.room_for(workload, left[number], needs[home.urn])
            held[number, rank] = taken
            left[number] -= taken
            needs[home.urn].append(workload.need(taken))
    return held


def _empty(graph: Graph, resource: Resource, pool: NodePool, prices: PriceTable) -> _Empty:
    """The pool at its own bounds, and its machine's offer, None for a machine that is not known, or whose GPUs are not."""
    cloud, region = pool.cloud, graph.region_of(pool.cloud, resource)
    machine = next(iter(pool.machine_types), "")
    offer = prices.machines.get((cloud, region, machine))
    item = MACHINE + machine
    if offer is not None and not offer.accelerator_count and pool.gpus_per_node:
        offer = None
    if offer is not None and _is_attached(machine) and pool.gpus_per_node != offer.accelerator_count:
        # Its price is known with other GPUs than the pool attaches.
        offer, item = None, f"{item} with {pool.gpus_per_node} GPUs"
    least = Decimal(pool.least_nodes)
    most = least if pool.most_nodes is None else Decimal(pool.most_nodes)
    empty = FilledPool(
        resource=resource,
        cloud=cloud,
        region=region,
        machine_type=machine,
        item=item,
        is_spot=pool.is_spot,
        nodes=Span(least, most),
        gpus_per_node=offer.accelerator_count if offer is not None else 0,
        held={},
    )
    return _Empty(empty, offer, bool(pool.gpus_per_node or empty.gpus_per_node))


def _is_attached(machine_type: str) -> bool:
    machine = machines().get(machine_type)
    return machine is not None and machine.attached


def _filled(empty: _Empty, members: Sequence[Workload]) -> FilledPool:
    pool, offer = empty.pool, empty.offer
    if offer is None:
        machine = pool.machine_type or "machines"
        problem = f"{len(members)} models run on {machine} of unknown size and price; nothing is charged to them"
        return replace(pool, problems=(problem,) if members else ())
    wanted = Span(_packed(offer, members, "idle"), _packed(offer, members, "peak"))
    least, most = pool.nodes.idle, pool.nodes.peak
    nodes = Span(min(max(wanted.idle, least), most), min(max(wanted.peak, least), most))
    problem = f"its models need {wanted.peak} nodes at peak, and it stops at {most}; the figures stop there too"
    return replace(
        pool,
        nodes=nodes,
        held=_held(members, nodes * offer.accelerator_count) if offer.accelerator_count else _sizes(offer, members),
        problems=(problem,) if wanted.peak > most else (),
    )


def _packed(offer: Offer, members: Sequence[Workload], when: Moment) -> Decimal:
    return Decimal(nodes_for(offer, [each.need(int(getattr(each.replicas, when))) for each in members]))


def _held(members: Sequence[Workload], there: Span) -> dict[str, Span]:
    """GPUs by model: what its replicas ask for, scaled down where the pool cannot hold all of them."""
    asked: dict[str, Span] = {}
    for each in members:
        asked[each.model] = asked.get(each.model, Span()) + each.replicas * each.asks.gpus
    total = sum(asked.values(), Span())
    return {
        model: Span(_scaled(gpus.idle, total.idle, there.idle), _scaled(gpus.peak, total.peak, there.peak))
        for model, gpus in asked.items()
    }


def _sizes(offer: Offer, members: Sequence[Workload]) -> dict[str, Span]:
    """Nodes by model, as much of them as its replicas ask for: no more than there are where all find room."""
    cores, memory = allocatable(offer)
    filled: dict[str, Span] = {}
    for each in members:
        part = (each.asks.cpu / cores + each.asks.memory_gib / memory) / 2
        filled[each.model] = filled.get(each.model, Span()) + each.replicas * part
    return filled


def _scaled(asked: Decimal, total: Decimal, there: Decimal) -> Decimal:
    return asked if total <= there else (asked * there / total).quantize(_STEP, ROUND_DOWN)


def _part(usd: Span, held: Span, there: Span) -> Span:
    return Span(_money(usd.idle, held.idle, there.idle), _money(usd.peak, held.peak, there.peak))


def _money(usd: Decimal, held: Decimal, there: Decimal) -> Decimal:
    return (usd * held / there).quantize(_STEP, ROUND_DOWN) if there else Decimal(0)
