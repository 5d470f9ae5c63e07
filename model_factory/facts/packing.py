"""How many nodes replicas fill. Pure; the same rule for a plan and for a graph."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from model_factory.facts.nodes import allocatable
from model_factory.facts.offer import Offer

Need = tuple[tuple[Decimal, Decimal, Decimal], str, int]
"""GPUs, CPU cores and GiB of memory that one replica takes, a name for a stable order, and how many replicas."""


def nodes_for(offer: Offer, needs: Iterable[Need]) -> int:
    """Machines of one kind that the replicas fill: largest first, each on the first node with room. One that fits on none has one alone.

    The scheduler may do worse, and never needs more than each model's nodes added up.
    """
    size = (Decimal(offer.accelerator_count), *allocatable(offer))
    nodes: list[tuple[Decimal, ...]] = []
    last: tuple[Decimal, ...] = ()
    at = 0
    for need, _name, replicas in sorted(needs, reverse=True):
        if need != last:
            last, at = need, 0
        # What has no room for one has none for the next that takes as much.
        for _ in range(replicas):
            while at < len(nodes) and not all(n <= r for n, r in zip(need, nodes[at], strict=True)):
                at += 1
            if at == len(nodes):
                nodes.append(size)
            nodes[at] = tuple(r - n for n, r in zip(need, nodes[at], strict=True))
    return len(nodes)
