"""Replicas share nodes as the clouds bill them: whole nodes, and never more than each model's alone."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from model_factory.facts.nodes import allocatable
from model_factory.facts.packing import Need, nodes_for
from tests.cost.tables import offer

FOUR = offer("aws", "four", 4, "3.60", None)


def need(name: str, gpus: int, replicas: int) -> Need:
    return (Decimal(gpus), Decimal(1), Decimal(4)), name, replicas


def one_by_one(needs: list[Need]) -> int:
    """The same by hand: each replica on the first node with room."""
    nodes: list[list[Decimal]] = []
    for sizes, _, replicas in sorted(needs, reverse=True):
        for _ in range(replicas):
            fitting = (node for node in nodes if all(size <= left for size, left in zip(sizes, node, strict=True)))
            node = next(fitting, None)
            if node is None:
                nodes.append(node := [Decimal(4), *allocatable(FOUR)])
            node[:] = [left - size for size, left in zip(sizes, node, strict=True)]
    return len(nodes)


needs = st.lists(st.builds(need, st.sampled_from("abcd"), st.integers(1, 5), st.integers(0, 9)), min_size=0, max_size=5)


class TestNodes:
    def test_models_on_one_node_share_it(self) -> None:
        assert nodes_for(FOUR, [need("a", 1, 1), need("b", 2, 1)]) == 1
        assert nodes_for(FOUR, [need("a", 1, 4), need("b", 2, 2)]) == 2
        assert nodes_for(FOUR, []) == 0

    def test_what_fits_on_no_node_has_one_alone(self) -> None:
        assert nodes_for(FOUR, [need("a", 5, 2)]) == 2

    @given(needs)
    def test_are_those_of_replicas_placed_one_by_one(self, asked: list[Need]) -> None:
        assert nodes_for(FOUR, asked) == one_by_one(asked)

    def test_of_any_number_of_replicas_are_known_at_once(self) -> None:
        assert nodes_for(FOUR, [need("a", 3, 10**15), need("b", 1, 10**15), need("c", 4, 10**17)]) == 10**15 + 10**17
        assert nodes_for(FOUR, [need("a", 1, 10**17 + 1)]) == 10**17 // 4 + 1

    @given(needs)
    def test_together_are_no_more_than_apart(self, asked: list[Need]) -> None:
        assert nodes_for(FOUR, asked) <= sum(nodes_for(FOUR, [each]) for each in asked)

    @given(needs)
    def test_hold_all_gpus_that_are_asked_for(self, asked: list[Need]) -> None:
        gpus = sum(min(sizes[0], 4) * replicas for sizes, _, replicas in asked)
        assert nodes_for(FOUR, asked) * 4 >= gpus

    @given(needs)
    def test_do_not_depend_on_the_order(self, asked: list[Need]) -> None:
        assert nodes_for(FOUR, asked) == nodes_for(FOUR, asked[::-1])
