"""What a graph of resources costs: every resource that bills becomes lines, and what has no price is named.

Pure: resources in, a `Bill` out. Not counted: traffic between zones and to the internet, requests, taxes, discounts, commitments, and
free tiers.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, timedelta
from decimal import Decimal
from typing import Final

from model_factory.cost.pools import NodePool, pools_of
from model_factory.cost.services import FREE, RULES, Charge, Context, Unpriced, Usage
from model_factory.cost.values import Bill, Line, Missing, Place, Share, Span
from model_factory.facts.offer import CapacityType
from model_factory.facts.prices import Price, PriceTable, price_table
from model_factory.graph.graph import NODE_POOLS, Graph
from model_factory.graph.resource import Resource

MAX_PRICE_AGE: Final = timedelta(days=180)
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
        self._context = Context(graph, usage, today)
        self._lines: list[Line] = []
        self._missing: list[Missing] = []
        self._warnings: list[str] = []

    def bill(self) -> tuple[list[Line], list[Missing], list[str]]:
        pools, lost = pools_of(self._graph, self._prices)
        for pool in pools:
            self._add_pool(pool)
        for workload, reason in lost:
            self._missing.append(Missing(workload.urn, "GPUs of its pods", reason))
        for resource in self._graph.resources:
            self._add_service(resource)
        return self._lines, self._missing, self._warnings

    def _add_pool(self, pool: NodePool) -> None:
        self._warnings += [f"{pool.resource.name}: {problem}" for problem in pool.problems]
        self._add_nodes(pool)
        for number, disk in enumerate(pool.disks):
            self._add(
                pool.resource,
                pool.cloud,
                pool.region,
                f"disk:{disk.type}",
                f"{disk.type} volumes of its nodes",
                pool.nodes * disk.gib,
                kind=f"volume {number}",
                pool=pool,
            )
        if pool.cloud == "gcp" and self._graph.of_type("gcp:compute/routerNat:RouterNat"):
            # A Cloud NAT bills by the node behind it, so the line belongs to the pool that brings the nodes.
            self._add(
                pool.resource, "gcp", pool.region, "nat-vm", "Cloud NAT of its nodes", pool.nodes, pool=pool
            )

    def _add_nodes(self, pool: NodePool) -> None:
        what = f"{pool.machine_type or 'unknown machine'} nodes"
        price = self._prices.find(pool.cloud, pool.region, pool.item)
        if price is not None and pool.capacity_type == "spot" and price.spot_usd is None:
            reason = f"no spot price of {pool.machine_type} in {pool.region}"
            self._missing.append(Missing(pool.resource.urn, what, reason))
            return
        self._add(
            pool.resource,
            pool.cloud,
            pool.region,
            pool.item,
            what,
            pool.nodes,
            kind="nodes",
            pool=pool,
            capacity=pool.capacity_type,
        )

    def _add_service(self, resource: Resource) -> None:
        rule = RULES.get(resource.type)
        if rule is None:
            known = resource.type in NODE_POOLS or resource.type.startswith(FREE)
            if resource.type.startswith(("aws:", "gcp:")) and not known:
                self._missing.append(Missing(resource.urn, resource.type, "whether it bills is not known"))
            return
        cloud: Place = "aws" if resource.type.startswith("aws:") else "gcp"
        for charge in rule(self._context, resource):
            if isinstance(charge, Unpriced):
                self._missing.append(Missing(resource.urn, charge.what, charge.reason))
                continue
            place, region = charge.place or (cloud, self._graph.region_of(resource, cloud))
            quantity = Span(charge.quantity, charge.quantity)
            self._add(resource, place, region, charge.item, charge.what, quantity, charge=charge)

    def _add(
        self,
        resource: Resource,
        cloud: Place,
        region: str,
        item: str,
        what: str,
        quantity: Span,
        *,
        kind: str = "",
        pool: NodePool | None = None,
        charge: Charge | None = None,
        capacity: CapacityType | None = None,
    ) -> None:
        price = self._prices.find(cloud, region, item)
        if price is None:
            self._missing.append(Missing(resource.urn, what, self._prices.why_missing(cloud, region, item)))
            return
        usd = price.spot_usd if capacity == "spot" and price.spot_usd is not None else price.usd
        per_hour = Span(_hourly(quantity.idle, usd, price), _hourly(quantity.peak, usd, price))
        shares = _shares(per_hour, pool, charge, with_gpus=capacity is not None)
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
                estimated=charge.estimated if charge is not None else "",
                source=price.source,
                as_of=price.as_of,
                shares=shares,
            )
        )


def _shares(
    per_hour: Span, pool: NodePool | None, charge: Charge | None, *, with_gpus: bool
) -> tuple[Share, ...]:
    if pool is None:
        return (Share(charge.owner, per_hour),) if charge is not None else ()
    # GPUs are counted once, on the line of the nodes.
    return tuple(
        share if with_gpus else Share(share.owner, share.usd_per_hour) for share in pool.split(per_hour)
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
