"""What a graph of resources costs: every resource that bills becomes lines, and what has no price is named.

Pure: resources in, a `Bill` out. Not counted: traffic between zones and to the internet, requests, taxes, discounts, commitments,
and free tiers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import date, timedelta
from decimal import Decimal
from typing import Final

from model_factory.cost.charges import Context, Unpriced, Usage
from model_factory.cost.clouds import BILLING, KUBERNETES, capacity_of
from model_factory.cost.pools import FilledPool, pools_of, workloads_of
from model_factory.cost.values import Bill, Line, Missing, Share, Span
from model_factory.facts.ages import MAX_PRICE_AGE
from model_factory.facts.clouds import Cloud
from model_factory.facts.offer import CapacityType
from model_factory.facts.prices import Price, PriceTable, price_table
from model_factory.graph.graph import Graph
from model_factory.graph.pools import POOLS
from model_factory.graph.resource import Resource

_STEP: Final = Decimal("0.00000001")


def bill_of(
    resources: Iterable[Resource],
    *,
    today: date | None = None,
    prices: PriceTable | None = None,
    usage: Usage | None = None,
    max_price_age: timedelta = MAX_PRICE_AGE,
) -> Bill:
    """The bill of all resources together.

    `today` brings warnings on prices older than `max_price_age`, and the price of clusters past their standard support.
    """
    maker = _Maker(Graph(resources), prices or price_table(), usage or Usage(), today)
    lines, missing, warnings = maker.bill()
    if today is not None:
        warnings += _too_old(lines, today, max_price_age)
    return Bill(
        tuple(sorted(lines, key=lambda line: (line.cloud, line.region, line.name, line.what))),
        tuple(sorted(missing, key=lambda each: (each.urn, each.what))),
        tuple(warnings),
    )


class _Maker:
    def __init__(self, graph: Graph, prices: PriceTable, usage: Usage, today: date | None) -> None:
        self._graph = graph
        self._prices = prices
        self._context = Context(graph, workloads_of(graph), usage, today)
        self._lines: list[Line] = []
        self._missing: list[Missing] = []
        self._warnings: list[str] = []

    def bill(self) -> tuple[list[Line], list[Missing], list[str]]:
        pools, lost = pools_of(self._graph, self._context.workloads, self._prices)
        for pool in pools:
            self._add_pool(pool)
        for workload, reason in lost:
            self._missing.append(Missing(workload.urn, "nodes of its pods", reason))
        for resource in self._graph.resources:
            self._add_service(resource)
        return self._lines, self._missing, self._warnings

    def _add_pool(self, pool: FilledPool) -> None:
        self._warnings += [f"{pool.resource.name}: {problem}" for problem in pool.problems]
        self._add_nodes(pool)
        billing = BILLING[pool.cloud]
        for number, volume in enumerate(billing.volumes(self._graph, pool.resource)):
            what = f"{volume.type} volumes of its nodes"
            self._add_of_pool(pool, f"disk:{volume.type}", what, pool.nodes * volume.gib, kind=f"volume {number}")
        for item, what in billing.by_the_node(self._graph).items():
            self._add_of_pool(pool, item, what, pool.nodes)

    def _add_nodes(self, pool: FilledPool) -> None:
        what = f"{pool.machine_type or 'unknown machine'} nodes"
        price = self._prices.find(pool.cloud, pool.region, pool.item)
        if price is not None and pool.is_spot and price.spot_usd is None:
            reason = f"no spot price of {pool.machine_type} in {pool.region}"
            self._missing.append(Missing(pool.resource.urn, what, reason))
            return
        capacity = capacity_of(self._graph, pool.cloud, pool.resource, is_spot=pool.is_spot)
        estimated = ""
        if capacity == "reserved":
            reason = "their reservation bills them whether they run or not, and it is not of this stack"
            self._missing.append(Missing(pool.resource.urn, "reserved machines that no node runs on", reason))
            if price is not None and price.reserved_usd is None:
                estimated = "assumes the price on demand, as no table has that of a reservation"
        self._add(
            pool.resource, (pool.cloud, pool.region), pool.item, what, pool.nodes, pool.split,
            kind="nodes", estimated=estimated, capacity=capacity,
        )  # fmt: skip

    def _add_of_pool(self, pool: FilledPool, item: str, what: str, quantity: Span, *, kind: str = "") -> None:
        def split(usd_per_hour: Span) -> tuple[Share, ...]:
            # GPUs are counted once, on the line of the nodes.
            return tuple(Share(each.owner, each.usd_per_hour) for each in pool.split(usd_per_hour))

        self._add(pool.resource, (pool.cloud, pool.region), item, what, quantity, split, kind=kind)

    def _add_service(self, resource: Resource) -> None:
        place = self._graph.place_of(resource)
        billing = BILLING[place[0]] if place is not None else None
        rule = KUBERNETES.get(resource.type) or (billing.rules.get(resource.type) if billing else None)
        if rule is None:
            known = billing is None or resource.type in POOLS or resource.type.startswith(billing.free)
            if not (known or resource.type.startswith("kubernetes:")):
                self._missing.append(Missing(resource.urn, resource.type, "whether it bills is not known"))
            return
        for charge in rule(self._context, resource):
            if isinstance(charge, Unpriced):
                self._missing.append(Missing(resource.urn, charge.what, charge.reason))
            elif place is not None:
                self._add(
                    resource, place, charge.item, charge.what, Span(charge.quantity, charge.quantity),
                    lambda usd_per_hour, owner=charge.owner: (Share(owner, usd_per_hour),),
                    estimated=charge.estimated,
                )  # fmt: skip

    def _add(
        self,
        resource: Resource,
        place: tuple[Cloud, str],
        item: str,
        what: str,
        quantity: Span,
        split: Callable[[Span], tuple[Share, ...]],
        *,
        kind: str = "",
        estimated: str = "",
        capacity: CapacityType | None = None,
    ) -> None:
        cloud, region = place
        price = self._prices.find(cloud, region, item)
        if price is None:
            self._missing.append(Missing(resource.urn, what, self._prices.why_missing(cloud, region, item)))
            return
        by_capacity = {"spot": price.spot_usd, "reserved": price.reserved_usd}
        usd = by_capacity.get(capacity or "") or price.usd
        per_hour = Span(_hourly(quantity.idle, usd, price), _hourly(quantity.peak, usd, price))
        shares = split(per_hour)
        self._lines.append(
            Line(
                urn=resource.urn,
                cloud=cloud,
                region=region,
                kind=kind or item,
                what=what,
                quantity=quantity,
                unit=price.unit,
                usd_per_unit=usd,
                usd_per_hour=per_hour,
                capacity_type=capacity,
                gpus=sum((share.gpus for share in shares), Span()),
                estimated=estimated,
                source=price.source,
                as_of=price.as_of,
                shares=shares,
            )
        )


def _hourly(quantity: Decimal, usd: Decimal, price: Price) -> Decimal:
    return (quantity * usd / price.hours).quantize(_STEP)


def _too_old(lines: Iterable[Line], today: date, allowed: timedelta) -> list[str]:
    oldest: dict[tuple[date, str], list[str]] = {}
    for line in lines:
        if today - line.as_of > allowed:
            oldest.setdefault((line.as_of, line.source), []).append(line.what)
    return [
        f"prices of {as_of} are {(today - as_of).days} days old, above {allowed.days}: {', '.join(dict.fromkeys(whats))} ({source})"
        for (as_of, source), whats in sorted(oldest.items())
    ]
