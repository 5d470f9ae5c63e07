from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from components.aws.eks import EksCluster
from components.aws.group_size import GroupSize, scaling
from components.kubernetes.nodes import model_pool_shape
from model_factory.planning.settings.aws import AwsSettings
from tests.components.aws.test_eks import ARGS, POOL

SHAPE = model_pool_shape(POOL, 2)
PRESENT = GroupSize(least=SHAPE.min_nodes, most=SHAPE.max_nodes, desired=3, machine_type=SHAPE.machine_type)
IGNORED = ["scalingConfig.desiredSize"]


class TestScaling:
    def test_a_new_group_has_the_nodes_that_it_starts_with(self) -> None:
        assert scaling(SHAPE, None) == ({"min_size": 0, "max_size": 4, "desired_size": 2}, IGNORED)

    def test_a_size_that_others_moved_is_left_while_the_bounds_stay(self) -> None:
        assert scaling(SHAPE, PRESENT)[1] == IGNORED

    @pytest.mark.parametrize(("resting", "ignored"), [(2, IGNORED), (3, IGNORED), (4, [])])
    def test_replicas_that_always_run_get_their_nodes_though_the_bounds_stay(
        self, resting: int, ignored: list[str]
    ) -> None:
        config, found = scaling(replace(SHAPE, initial_nodes=resting), PRESENT)
        assert found == ignored
        assert found or config == {"min_size": 0, "max_size": 4, "desired_size": 4}

    def test_new_bounds_take_in_the_nodes_that_replicas_need_at_rest(self) -> None:
        config, _ = scaling(replace(SHAPE, max_nodes=6, initial_nodes=5), PRESENT)
        assert config["desired_size"] == 5

    @pytest.mark.parametrize(
        ("least", "most", "desired"),
        [(0, 6, 3), (0, 2, 2), (4, 6, 4), (0, 3, 3)],
        ids=["wider", "lower", "higher", "at it"],
    )
    def test_new_bounds_take_the_present_size_into_them(self, least: int, most: int, desired: int) -> None:
        config, ignored = scaling(replace(SHAPE, min_nodes=least, max_nodes=most), PRESENT)
        assert config == {"min_size": least, "max_size": most, "desired_size": desired}
        assert ignored == []

    @pytest.mark.parametrize(("most", "desired"), [(4, 3), (2, 2)])
    def test_what_replaces_a_group_begins_as_large_as_it_may(self, most: int, desired: int) -> None:
        config, ignored = scaling(replace(SHAPE, machine_type="g6.2xlarge", max_nodes=most), PRESENT)
        assert config["desired_size"] == desired
        assert ignored == []

    def test_the_system_pool_has_the_size_that_the_stack_says(self, run: Any) -> None:
        for nodes in (2, 5):
            settings = AwsSettings(system_nodes_total=nodes)
            group = run(lambda settings=settings: EksCluster("c", {**ARGS, "settings": settings})).one(":NodeGroup")
            assert group.inputs["scalingConfig"] == {"minSize": nodes, "maxSize": 2 * nodes, "desiredSize": nodes}
            assert group.ignore_changes == ()
