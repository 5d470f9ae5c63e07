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
    # Nodes that have as much left, in the order in which they are filled: counts may be anything that somebody wrote.
    nodes: list[tuple[tuple[Decimal, ...], int]] = []
    for need, _name, replicas in sorted(needs, reverse=True):
        filled: list[tuple[tuple[Decimal, ...], int]] = []
        waiting = replicas
        for left, there in nodes:
            rest, waiting = _filled(left, there, need, waiting, _room(left, need, waiting))
            filled += rest
        if waiting > 0:
            each = _room(size, need, waiting) or 1
            rest, _ = _filled(size, -(-waiting // each), need, waiting, each)
            filled += rest
        nodes = filled
    return sum(there for _, there in nodes)


def _room(left: tuple[Decimal, ...], need: tuple[Decimal, ...], most: int) -> int:
    """How many, up to `most`, find room in what a node has left."""
    if most <= 0 or any(r < n for n, r in zip(need, left, strict=True)):
        return 0
    return min(int(r // n) if n * most > r else most for n, r in zip(need, left, strict=True))


def _filled(
    left: tuple[Decimal, ...], there: int, need: tuple[Decimal, ...], waiting: int, each: int
) -> tuple[list[tuple[tuple[Decimal, ...], int]], int]:
    """So many equal nodes with `each` replicas on each as long as any wait: as nodes that have as much left, and how many wait still."""
    full, some = divmod(min(waiting, each * there), each) if each else (0, 0)
    parts = ((full, each), (1 if some else 0, some), (there - full - (1 if some else 0), 0))
    groups = [(tuple(r - n * held for n, r in zip(need, left, strict=True)), count) for count, held in parts if count]
    return groups, waiting - full * each - some
