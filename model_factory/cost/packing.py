"""How many nodes replicas fill. Pure; the same rule for a plan and for a graph."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal

Need = tuple[tuple[Decimal, ...], str, int]
"""What one replica takes of each resource, a name for a stable order, and how many replicas."""


def packed(size: Sequence[Decimal], needs: Iterable[Need]) -> int:
    """Nodes of `size` that the replicas fill: largest first, each on the first node with room. One that fits on no node has one alone.

    The scheduler may do worse, and never needs more than each model's nodes added up.
    """
    nodes: list[tuple[Decimal, ...]] = []
    for need, _name, replicas in sorted(needs, reverse=True):
        for _ in range(replicas):
            at = next(
                (
                    index
                    for index, room in enumerate(nodes)
                    if all(n <= r for n, r in zip(need, room, strict=True))
                ),
                None,
            )
            if at is None:
                nodes.append(tuple(size))
                at = len(nodes) - 1
            nodes[at] = tuple(r - n for n, r in zip(need, nodes[at], strict=True))
    return len(nodes)
