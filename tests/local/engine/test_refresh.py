"""Drift: what changed or vanished behind the state's back is found, shown, and repaired by the next `up`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from pulumi import ResourceOptions

from tests.local.engine.stack import Bench, Group, Thing


def program() -> None:
    group = Group("group")
    first = Thing("first", {"size": 1}, ResourceOptions(parent=group))
    Thing("second", {"of": first.computed, "size": 2}, ResourceOptions(parent=group))  # type: ignore[attr-defined]


def drift(bench: Bench, name: str, **values: Any) -> None:
    bench.cloud.find(name).update(values)


def vanish(bench: Bench, name: str) -> None:
    del bench.cloud.objects[bench.resources()[name].id]


class TestRefresh:
    def test_without_drift_nothing_is_written(self, ours: Bench) -> None:
        ours.up(program)
        before = ours.store.path.read_bytes()
        outcome = ours.run("refresh")
        assert outcome.changes == {"same": 4}
        assert ours.store.path.read_bytes() == before

    def test_a_changed_object_changes_the_state_and_up_repairs_it(self, bench: Bench) -> None:
        bench.up(program)
        drift(bench, "first", size=9)
        outcome = bench.run("refresh")
        assert outcome.changes == {"same": 3, "update": 1}
        assert bench.resources()["first"].inputs["size"] == 9
        assert bench.up(program).changes["update"] == 1
        assert bench.cloud.find("first")["size"] == 1

    def test_the_event_shows_what_changed_in_the_direction_of_the_drift(self, bench: Bench) -> None:
        bench.up(program)
        drift(bench, "first", added="by hand")
        bench.run("refresh")
        found = [
            event["resOutputsEvent"]["metadata"]
            for event in bench.events
            if "resOutputsEvent" in event and event["resOutputsEvent"]["metadata"]["op"] == "update"
        ]
        assert [item["urn"].rsplit("::", 1)[-1] for item in found] == ["first"]
        assert set(found[0]["detailedDiff"]) == {"added"}

    def test_a_vanished_object_leaves_the_state_with_every_mention_of_it(self, bench: Bench) -> None:
        bench.up(program)
        vanish(bench, "first")
        outcome = bench.run("refresh")
        assert outcome.changes == {"same": 3, "delete": 1}
        states = bench.resources()
        assert set(states) == {"group", "second"}
        assert states["second"].dependencies == ()
        assert not any(states["second"].property_dependencies.values())
        assert bench.up(program).changes["create"] == 1
        assert bench.cloud.names() == {"first", "second"}

    def test_preview_only_writes_nothing(self, ours: Bench) -> None:
        ours.up(program)
        vanish(ours, "first")
        before = ours.store.path.read_bytes()
        assert ours.run("refresh", preview_only=True).changes["delete"] == 1
        assert ours.store.path.read_bytes() == before


class TestUpWithRefresh:
    @pytest.mark.parametrize("operation", ["preview", "up"])
    def test_drift_is_seen_and_repaired_in_one_go(self, bench: Bench, operation: Any) -> None:
        bench.up(program)
        vanish(bench, "first")
        drift(bench, "second", size=9)
        outcome = bench.run(operation, program, refresh=True)
        assert outcome.ok, outcome.failures
        assert outcome.changes == {"create": 1, "update": 1, "same": 2}
        if operation == "up":
            assert bench.cloud.names() == {"first", "second"}
            assert bench.cloud.find("second")["size"] == 2

    def test_destroy_with_refresh_does_not_stumble_over_what_is_gone(self, bench: Bench) -> None:
        bench.up(program)
        vanish(bench, "second")
        assert bench.destroy(refresh=True).ok
        assert not bench.cloud.objects

    def test_an_unreadable_object_fails_the_refresh_and_loses_nothing(self, bench: Bench) -> None:
        bench.up(program)
        before = {name: (state.id, state.outputs) for name, state in bench.resources().items()}

        def refuse(method: str, request: Any) -> None:
            raise RuntimeError("the cloud is down")

        bench.cloud.on_read = refuse
        outcome = bench.run("refresh")
        assert not outcome.ok
        assert "the cloud is down" in outcome.failures[0][1]
        assert {name: (state.id, state.outputs) for name, state in bench.resources().items()} == before


class TestExternalResources:
    def test_a_read_object_s_outputs_are_compared(self, bench: Bench) -> None:
        bench.cloud.objects["id-x"] = {"name": "x", "urn": "", "size": 3}
        body: Callable[[], None] = lambda: void(Thing("x", {"size": None}, ResourceOptions(id="id-x")))  # noqa: E731
        bench.up(body)
        bench.cloud.objects["id-x"]["size"] = 4
        assert bench.run("refresh").changes["update"] == 1
        assert bench.resources()["x"].outputs["size"] == 4


def void(_: object) -> None:
    """A program's resources register themselves."""
