"""Replicas share nodes as the clouds bill them: whole nodes, and never more than each model's alone."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from model_factory.facts.packing import Need, nodes_for
from tests.cost.tables import offer

FOUR = offer("aws", "four", 4, "3.60", None)


def need(name: str, gpus: int, replicas: int) -> Need:
    return (Decimal(gpus), Decimal(1), Decimal(4)), name, replicas


needs = st.lists(st.builds(need, st.sampled_from("abcd"), st.integers(1, 5), st.integers(0, 9)), min_size=0, max_size=5)


class TestNodes:
    def test_models_on_one_node_share_it(self) -> None:
        assert nodes_for(FOUR, [need("a", 1, 1), need("b", 2, 1)]) == 1
        assert nodes_for(FOUR, [need("a", 1, 4), need("b", 2, 2)]) == 2
        assert nodes_for(FOUR, []) == 0

    def test_what_fits_on_no_node_has_one_alone(self) -> None:
        assert nodes_for(FOUR, [need("a", 5, 2)]) == 2

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
