from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from components.kubernetes.nodes import (
    ACCELERATOR_LABEL,
    GPU_TAINT,
    POOL_LABEL,
    model_pool_shape,
    pool_labels,
    pools_by_rank,
    system_pool_shape,
)
from model_factory.planning.placing.plan import Pool


def pool(least: int, most: int) -> Pool:
    return Pool("l4x1-spot", "aws", "us-east-1", "g6.xlarge", "l4", 1, "spot", max_nodes=most, min_nodes=least)


class TestGpuPools:
    def test_repel_pods_without_the_toleration(self) -> None:
        assert model_pool_shape(pool(0, 4), 0).taints == (GPU_TAINT,)

    def test_carry_the_label_that_models_select(self) -> None:
        assert model_pool_shape(pool(0, 4), 0).labels[POOL_LABEL] == "l4x1-spot"

    @given(st.integers(0, 50), st.integers(0, 50), st.integers(0, 200))
    def test_start_within_their_bounds(self, least: int, more: int, initial: int) -> None:
        shape = model_pool_shape(pool(least, least + more), initial)
        assert shape.min_nodes <= shape.initial_nodes <= shape.max_nodes


class TestPoolsWithoutGpus:
    POOL = Pool("cpu-spot", "aws", "us-east-1", "m7i.xlarge", "", 0, "spot", max_nodes=4)

    def test_keep_others_away_only_while_there_is_room_elsewhere(self) -> None:
        (taint,) = model_pool_shape(self.POOL, 0).taints
        assert (taint.effect, taint.cloud_effect) == ("PreferNoSchedule", "PREFER_NO_SCHEDULE")
        assert taint.key != GPU_TAINT.key

    def test_carry_the_label_that_models_select_and_no_accelerator(self) -> None:
        labels = model_pool_shape(self.POOL, 0).labels
        assert labels[POOL_LABEL] == "cpu-spot"
        assert ACCELERATOR_LABEL not in labels


class TestLabels:
    def test_a_long_name_is_the_same_valid_value_on_nodes_and_pods(self) -> None:
        names = [f"a100-80gbx8-reserved-a2-ultragpu-8g-{'r' * 60}{end}" for end in "ab"]
        on_nodes = [pool_labels(name)[POOL_LABEL] for name in names]
        assert all(len(each) <= 63 for each in on_nodes)
        assert len(set(on_nodes)) == 2
        affinity: Any = pools_by_rank(names)
        (term,) = affinity["required_during_scheduling_ignored_during_execution"]["node_selector_terms"]
        assert term["match_expressions"][0]["values"] == on_nodes


class TestSystemPools:
    def test_are_on_demand_and_open_to_all(self) -> None:
        shape = system_pool_shape("m7i.large", 2)
        assert (shape.capacity_type, shape.taints, shape.accelerator) == ("on-demand", (), "")

    def test_never_shrink_below_what_was_asked(self) -> None:
        assert system_pool_shape("m7i.large", 3).min_nodes == 3


class TestTaints:
    def test_clouds_spell_effects_their_own_way(self) -> None:
        assert (GPU_TAINT.effect, GPU_TAINT.cloud_effect) == ("NoSchedule", "NO_SCHEDULE")
