"""The next steps from what is there to what a pool wants, played on a cluster of values."""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import pytest

from model_factory.local.lab.nodes.pools import (
    Drain,
    Keep,
    Launch,
    Pool,
    Rolling,
    Seen,
    is_beyond_repair,
    next_steps,
    seen,
    spread,
    state,
)
from model_factory.local.lab.nodes.simulated import Shape, SimulatedNode, Taint, regiven

SHAPE = Shape(
    {"cpu": "4"}, {"cpu": "3920m"}, "amd64", "v1.35.4", "test", {"pool": "p"}, (Taint("gpu", "", "NoSchedule"),)
)


def make(zone: str, taken: Collection[str]) -> SimulatedNode:
    name = f"node-{len(taken)}"
    return SimulatedNode(name, f"test:///{name}", "10.0.0.1", "p", "1", SHAPE, {"topology.kubernetes.io/zone": zone})


POOL = Pool("p", "1", {"a": 2, "b": 1}, SHAPE, make, Rolling(surge=1, unavailable=0, at_once=1), drain_seconds=60)


def node(name: str, zone: str = "a", *, revision: str = "1", ready: bool = True) -> Seen:
    return Seen(name, revision, zone, ready, None, None, name)


THREE = (node("1"), node("2"), node("3", "b"))


@dataclass
class Play:
    """Takes every step at once: machines start Ready, drains end in the next round."""

    nodes: list[Seen]
    serving: list[int] = field(default_factory=list[int])
    most: int = 0

    def until_settled(self, pool: Pool) -> int:
        for turn in range(50):
            self.nodes = [node for node in self.nodes if node.draining_since is None and node.leaves_at is None]
            if state(pool, self.nodes, {}).settled:
                return turn
            for step in next_steps(pool, self.nodes, {}):
                match step:
                    case Launch(_, zone):
                        self.nodes.append(node(f"{turn}-{len(self.nodes)}", zone, revision=pool.revision))
                    case Drain(name):
                        self.nodes = [
                            replace(each, draining_since=0.0) if each.name == name else each for each in self.nodes
                        ]
                    case Keep(name):
                        self.nodes = [
                            replace(each, draining_since=None) if each.name == name else each for each in self.nodes
                        ]
            self.serving.append(sum(each.ready and each.draining_since is None for each in self.nodes))
            self.most = max(self.most, len(self.nodes))
        raise AssertionError(f"not settled: {self.nodes}")


class TestSizes:
    def test_a_new_pool_starts_as_many_as_it_wants_in_each_zone(self) -> None:
        zones = Counter(step.zone for step in next_steps(POOL, (), {}) if isinstance(step, Launch))
        assert zones == {"a": 2, "b": 1}

    def test_machines_under_way_are_not_started_again(self) -> None:
        assert next_steps(POOL, (), {"a": 2, "b": 1}) == []

    def test_a_lost_node_is_replaced_in_its_zone(self) -> None:
        assert next_steps(POOL, THREE[:2], {}) == [Launch("p", "b")]

    def test_a_node_that_is_too_many_is_drained_the_unready_first(self) -> None:
        unready = node("0", ready=False)
        assert next_steps(POOL, (*THREE, unready), {}) == [Drain("0")]

    def test_among_ready_nodes_those_named_go_first_then_the_youngest(self) -> None:
        fewer = replace(POOL, wanted={"a": 1, "b": 1})
        assert next_steps(fewer, THREE, {}) == [Drain("2")]
        assert next_steps(replace(fewer, first_to_go=frozenset({"1"})), THREE, {}) == [Drain("1")]

    def test_no_more_start_than_there_are_machines(self) -> None:
        in_zone, in_all = replace(POOL, room={"a": 1}), replace(POOL, room_in_all=2)
        assert Counter(step.zone for step in next_steps(in_zone, (), {}) if isinstance(step, Launch)) == {
            "a": 1,
            "b": 1,
        }
        assert len(next_steps(in_all, (), {})) == 2

    def test_a_pool_that_lacks_machines_says_so_and_has_ended(self) -> None:
        short = state(replace(POOL, room_in_all=2), THREE[:2], {})
        assert (short.short, short.settled, short.ended) == (1, False, True)

    @pytest.mark.parametrize(("total", "sizes"), [(0, (0, 0, 0)), (2, (1, 1, 0)), (7, (3, 2, 2))])
    def test_nodes_spread_evenly_over_zones(self, total: int, sizes: Sequence[int]) -> None:
        assert tuple(spread(total, ("a", "b", "c")).values()) == tuple(sizes)


class TestRolling:
    @pytest.mark.parametrize(
        ("rolling", "least", "most"),
        [
            (Rolling(surge=1, unavailable=0, at_once=1), 3, 4),
            (Rolling(surge=0, unavailable=1, at_once=1), 2, 3),
            (Rolling(surge=4, unavailable=0, at_once=1), 3, 6),
            (Rolling(surge=2, unavailable=1, at_once=3), 2, 5),
        ],
        ids=str,
    )
    def test_ready_nodes_and_all_nodes_keep_within_its_bounds(self, rolling: Rolling, least: int, most: int) -> None:
        play = Play(list(THREE))
        play.until_settled(replace(POOL, revision="2", rolling=rolling))
        assert min(play.serving) >= least
        assert play.most <= most
        assert {each.revision for each in play.nodes} == {"2"}

    def test_nothing_is_drained_before_a_surge_is_ready(self) -> None:
        rolled = replace(POOL, revision="2")
        assert [type(step) for step in next_steps(rolled, THREE, {})] == [Launch]
        starting = node("4", revision="2", ready=False)
        assert next_steps(rolled, (*THREE, starting), {}) == []
        assert next_steps(rolled, (*THREE, replace(starting, ready=True)), {}) == [Drain("1")]

    def test_without_a_machine_for_the_surge_nothing_is_drained(self) -> None:
        assert next_steps(replace(POOL, revision="2", room_in_all=3), THREE, {}) == []

    def test_a_roll_that_is_given_up_keeps_the_node_it_was_draining(self) -> None:
        half = (*THREE[:2], replace(THREE[2], draining_since=0.0), node("4", "b", revision="2"))
        assert next_steps(POOL, half, {})[0] == Keep("3")
        play = Play([*THREE[:2], node("4", "b", revision="2")])
        play.until_settled(POOL)
        assert {each.revision for each in play.nodes} == {"1"}

    def test_a_pool_that_ends_drains_old_and_new(self) -> None:
        steps = next_steps(replace(POOL, wanted={}), (*THREE[:2], node("4", revision="0")), {})
        assert {step.node for step in steps if isinstance(step, Drain)} == {"1", "2", "4"}


class TestNotices:
    LEAVING = (*THREE[:2], replace(THREE[2], leaves_at=120.0))

    def test_a_node_with_a_notice_is_replaced_at_once_and_drained(self) -> None:
        assert next_steps(POOL, self.LEAVING, {}) == [Launch("p", "b"), Drain("3")]

    def test_where_the_kubelet_ends_pods_itself_the_cloud_drains_nothing(self) -> None:
        assert next_steps(replace(POOL, drains_on_notice=False), self.LEAVING, {}) == [Launch("p", "b")]


class TestRepair:
    SILENT = replace(node("1"), ready=False, unready_since=100.0)

    def test_a_machine_is_replaced_once_it_is_silent_for_too_long(self) -> None:
        repaired = replace(POOL, repair_seconds=600.0)
        assert not is_beyond_repair(repaired, self.SILENT, 699.0)
        assert is_beyond_repair(repaired, self.SILENT, 700.0)

    def test_where_the_cloud_repairs_nothing_it_stays(self) -> None:
        assert not is_beyond_repair(POOL, self.SILENT, 1e9)

    def test_a_node_that_starts_is_not_silent(self) -> None:
        body = make("a", ()).body()
        condition = {"type": "Ready", "status": "False", "lastTransitionTime": "2026-01-01T00:00:00Z"}
        body["status"]["conditions"] = [condition]
        assert seen(body).unready_since is None
        condition["status"] = "Unknown"
        assert seen(body).unready_since == datetime(2026, 1, 1, tzinfo=UTC).timestamp()


class TestLabelsAndTaints:
    def _registered(self) -> dict[str, Any]:
        body = make("a", ()).body()
        body["metadata"]["resourceVersion"] = "7"
        return body

    def test_a_node_as_its_pool_wants_it_is_left_alone(self) -> None:
        assert regiven(self._registered(), SHAPE) is None

    def test_what_the_pool_gave_and_gives_no_more_is_taken_and_others_stay(self) -> None:
        body = self._registered()
        body["spec"]["taints"].append({"key": "others", "effect": "NoExecute"})
        new = replace(SHAPE, labels={"team": "x"}, taints=(Taint("new", "v", "NoSchedule"),))
        patch = regiven(body, new)
        assert patch is not None
        assert patch["metadata"]["labels"] == {"pool": None, "team": "x"}
        assert patch["spec"]["taints"] == [
            {"key": "others", "effect": "NoExecute"},
            {"key": "new", "value": "v", "effect": "NoSchedule"},
        ]

    def test_a_patch_of_taints_fails_where_another_changed_the_node_meanwhile(self) -> None:
        patch = regiven(self._registered(), replace(SHAPE, taints=()))
        assert patch is not None
        assert patch["metadata"]["resourceVersion"] == "7"


def test_a_node_reads_back_as_it_was_made() -> None:
    found = seen(make("b", ()).body())
    assert (found.revision, found.zone, found.ready, found.stays) == ("1", "b", False, True)
