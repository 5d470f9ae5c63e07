"""How a changed program changes a stack: updates, replacements in either order, deletions, and the options that steer them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pulumi
import pytest
from pulumi import ResourceOptions

from tests.local.engine.stack import Bench, Group, Thing


def one(props: Mapping[str, Any], **options: Any) -> Callable[[], None]:
    return lambda: void(Thing("one", props, ResourceOptions(**options)))


def void(_: object) -> None:
    """A program's resources register themselves."""


def changing(bench: Bench) -> list[tuple[str, str]]:
    return [step for step in bench.steps() if step[0] != "same"]


class TestUpdate:
    def test_a_changed_input_is_one_update_of_the_same_object(self, bench: Bench) -> None:
        bench.up(one({"size": 1}))
        before = bench.resources()["one"]
        outcome = bench.up(one({"size": 2}))
        after = bench.resources()["one"]
        assert (before.id, after.inputs["size"], after.outputs["size"]) == (after.id, 2, 2)
        assert outcome.changes == {"update": 1, "same": 1}
        assert changing(bench) == [("update", "one")]
        assert after.created == before.created
        assert after.modified > before.modified

    def test_preview_shows_the_detailed_diff(self, bench: Bench) -> None:
        bench.up(one({"size": 1}))
        bench.preview(one({"size": 2}))
        metadata = next(
            event["resourcePreEvent"]["metadata"]
            for event in bench.events
            if "resourcePreEvent" in event and event["resourcePreEvent"]["metadata"]["op"] == "update"
        )
        assert metadata["detailedDiff"] == {"size": {"diffKind": "update", "inputDiff": True}}
        assert metadata["diffs"] == ["size"]
        assert bench.cloud.made("Update") == []

    def test_the_engine_compares_where_the_provider_cannot(self, bench: Bench) -> None:
        bench.up(one({"size": 1, "diffUnknown": True}))
        assert not bench.up(one({"size": 1, "diffUnknown": True})).changed
        assert bench.up(one({"size": 2, "diffUnknown": True})).changes["update"] == 1


class TestReplace:
    def test_the_new_object_comes_before_the_old_one_goes(self, bench: Bench) -> None:
        bench.up(one({"forceNewZone": "a"}))
        old = bench.resources()["one"]
        bench.cloud.calls.clear()
        outcome = bench.up(one({"forceNewZone": "b"}))
        assert [call for call, _ in bench.cloud.calls if call in ("Create", "Delete")] == ["Create", "Delete"]
        assert outcome.changes == {"replace": 1, "same": 1}
        assert [op for op, _ in changing(bench)] == ["create-replacement", "replace", "delete-replaced"]
        assert bench.resources()["one"].id != old.id
        assert list(bench.cloud.objects) == [bench.resources()["one"].id]

    def test_a_replaced_object_takes_a_new_generated_name(self, bench: Bench) -> None:
        bench.up(one({"forceNewZone": "a"}))
        name = bench.resources()["one"].inputs["autoName"]
        bench.up(one({"forceNewZone": "a", "size": 2}))
        assert bench.resources()["one"].inputs["autoName"] == name
        bench.up(one({"forceNewZone": "b", "size": 2}))
        assert bench.resources()["one"].inputs["autoName"] != name

    def test_delete_before_replace_by_option(self, bench: Bench) -> None:
        bench.up(one({"forceNewZone": "a"}))
        bench.cloud.calls.clear()
        bench.up(one({"forceNewZone": "b"}, delete_before_replace=True))
        assert [call for call, _ in bench.cloud.calls if call in ("Create", "Delete")] == ["Delete", "Create"]
        assert [op for op, _ in changing(bench)] == ["delete-replaced", "replace", "create-replacement"]
        assert len(bench.snapshot().resources) == 3

    def test_delete_before_replace_by_the_provider_unless_the_program_says_no(self, bench: Bench) -> None:
        bench.up(one({"forceNewZone": "a", "deleteFirst": True}))
        bench.cloud.calls.clear()
        bench.up(one({"forceNewZone": "b", "deleteFirst": True}))
        bench.up(one({"forceNewZone": "c", "deleteFirst": True}, delete_before_replace=False))
        order = [call for call, _ in bench.cloud.calls if call in ("Create", "Delete")]
        assert order == ["Delete", "Create", "Create", "Delete"]

    def test_replace_on_changes_makes_an_update_a_replacement(self, bench: Bench) -> None:
        bench.up(one({"size": 1}))
        outcome = bench.up(one({"size": 2}, replace_on_changes=["size"]))
        assert outcome.changes["replace"] == 1
        bench.up(one({"size": 2}))
        assert bench.up(one({"size": 3}, replace_on_changes=["*"])).changes["replace"] == 1

    def test_dependents_follow_the_new_object_before_the_old_one_goes(self, bench: Bench) -> None:
        def program(zone: str) -> Callable[[], None]:
            def body() -> None:
                first = Thing("first", {"forceNewZone": zone})
                Thing("second", {"of": first.computed})  # type: ignore[attr-defined]

            return body

        bench.up(program("a"))
        bench.cloud.calls.clear()
        bench.up(program("b"))
        work = [call for call in bench.cloud.calls if call[0] in ("Create", "Update", "Delete")]
        assert work == [("Create", "first"), ("Update", "second"), ("Delete", "first")]


class TestDeleteBeforeReplaceCascade:
    def program(self, zone: str, *, protect: bool = False) -> Callable[[], None]:
        def body() -> None:
            base = Thing("base", {"forceNewZone": zone}, ResourceOptions(delete_before_replace=True))
            # Its input forces a replacement when base's changes; the others' inputs do not.
            tied = Thing("tied", {"forceNewOf": base.computed}, ResourceOptions(protect=protect))  # type: ignore[attr-defined]
            Thing("loose", {"of": base.computed})  # type: ignore[attr-defined]
            Thing("after", {}, ResourceOptions(depends_on=[tied]))

        return body

    def test_only_what_must_go_goes_in_reverse_order(self, bench: Bench) -> None:
        bench.up(self.program("a"))
        bench.cloud.calls.clear()
        bench.up(self.program("b"))
        work = [call for call in bench.cloud.calls if call[0] in ("Create", "Update", "Delete")]
        assert work[:3] == [("Delete", "tied"), ("Delete", "base"), ("Create", "base")]
        assert set(work[3:]) == {("Create", "tied"), ("Update", "loose")}
        assert not bench.up(self.program("b")).changed

    def test_preview_says_the_same(self, bench: Bench) -> None:
        bench.up(self.program("a"))
        previewed = bench.preview(self.program("b"))
        steps = sorted(changing(bench))
        assert previewed.changes == bench.up(self.program("b")).changes
        assert steps == sorted(changing(bench))

    def test_a_dependent_that_is_gone_from_the_program_is_deleted_once(self, bench: Bench) -> None:
        bench.up(self.program("a"))
        bench.cloud.calls.clear()
        bench.up(lambda: void(Thing("base", {"forceNewZone": "b"}, ResourceOptions(delete_before_replace=True))))
        assert sorted(bench.cloud.made("Delete")) == ["after", "base", "loose", "tied"]
        assert bench.cloud.names() == {"base"}
        assert set(bench.resources()) == {"base"}

    def test_it_stops_at_a_protected_resource_before_anything_is_deleted(self, bench: Bench) -> None:
        bench.up(self.program("a", protect=True))
        bench.cloud.calls.clear()
        outcome = bench.run("up", self.program("b", protect=True))
        assert not outcome.ok
        assert "tied" in outcome.failures[0][1]
        assert "protection" in outcome.failures[0][1]
        assert bench.cloud.made("Delete") == []


class TestDelete:
    def test_what_the_program_drops_is_deleted_dependents_first(self, bench: Bench) -> None:
        def program() -> None:
            parent = Group("group")
            first = Thing("first", {}, ResourceOptions(parent=parent))
            second = Thing("second", {"of": first.computed})  # type: ignore[attr-defined]
            Thing("third", {}, ResourceOptions(depends_on=[second]))

        bench.up(program)
        outcome = bench.up(lambda: None)
        assert bench.cloud.made("Delete") == ["third", "second", "first"]
        assert outcome.changes == {"delete": 4, "same": 1}
        assert bench.resources() == {}

    def test_independent_deletions_run_side_by_side(self, ours: Bench) -> None:
        ours.up(lambda: void([Thing(f"thing-{index}") for index in range(6)]))
        ours.cloud.delay_seconds = 0.05
        ours.cloud.most_running = 0
        ours.destroy(parallel=3)
        assert ours.cloud.most_running == 3

    def test_retain_on_delete_leaves_the_object(self, bench: Bench) -> None:
        bench.up(one({}, retain_on_delete=True))
        outcome = bench.up(lambda: None)
        assert outcome.changes["delete"] == 1
        assert bench.cloud.names() == {"one"}
        assert bench.resources() == {}

    def test_deleted_with_spares_the_call(self, bench: Bench) -> None:
        def program() -> None:
            box = Thing("box")
            Thing("content", {}, ResourceOptions(deleted_with=box))

        bench.up(program)
        bench.destroy()
        assert bench.cloud.made("Delete") == ["box"]
        assert not bench.snapshot().resources

    def test_deleted_with_still_calls_where_the_other_stays(self, bench: Bench) -> None:
        def program(*, both: bool) -> Callable[[], None]:
            def body() -> None:
                box = Thing("box")
                if both:
                    Thing("content", {}, ResourceOptions(deleted_with=box))

            return body

        bench.up(program(both=True))
        bench.up(program(both=False))
        assert bench.cloud.made("Delete") == ["content"]


class TestProtect:
    def test_every_violation_is_reported_at_once(self, bench: Bench) -> None:
        def program() -> None:
            for name in ("a", "b", "c"):
                Thing(name, {}, ResourceOptions(protect=name != "b"))

        bench.up(program)
        outcome = bench.destroy()
        assert not outcome.ok
        assert sorted(urn.rsplit("::", 1)[-1] for urn, _ in outcome.failures if urn) == ["a", "c"]
        assert bench.cloud.names() == {"a", "c"}
        assert set(bench.resources()) == {"a", "c"}

    def test_preview_shows_violations_too(self, bench: Bench) -> None:
        bench.up(one({"forceNewZone": "a"}, protect=True))
        outcome = bench.preview(one({"forceNewZone": "b"}, protect=True))
        assert not outcome.ok
        assert "marked for protection" in outcome.failures[0][1]

    def test_unprotecting_and_replacing_in_one_go_is_allowed(self, bench: Bench) -> None:
        bench.up(one({"forceNewZone": "a"}, protect=True))
        assert bench.up(one({"forceNewZone": "b"}, protect=False)).changes["replace"] == 1

    def test_children_inherit_it(self, bench: Bench) -> None:
        def program() -> None:
            group = Group("group", ResourceOptions(protect=True))
            Thing("child", {}, ResourceOptions(parent=group))

        bench.up(program)
        assert bench.resources()["child"].protect

    def test_a_changed_protection_is_saved_without_a_change(self, bench: Bench) -> None:
        bench.up(one({}, protect=True))
        assert not bench.up(one({})).changed
        assert not bench.resources()["one"].protect
        assert bench.destroy().ok


class TestIgnoreChanges:
    @pytest.mark.parametrize(
        ("ignored", "old", "new"),
        [
            ("size", {"size": 1}, {"size": 2}),
            ("tags.env", {"tags": {"env": "a", "x": 1}}, {"tags": {"env": "b", "x": 1}}),
            ('tags["a.b"]', {"tags": {"a.b": 1}}, {"tags": {"a.b": 2}}),
            ("rules[0].port", {"rules": [{"port": 1}]}, {"rules": [{"port": 2}]}),
            ("rules[*].port", {"rules": [{"port": 1}, {"port": 2}]}, {"rules": [{"port": 3}, {"port": 4}]}),
            ("gone", {"gone": 1}, {}),
            ("added", {}, {"added": 1}),
        ],
    )
    def test_a_path_keeps_its_old_value(self, bench: Bench, ignored: str, old: Any, new: Any) -> None:
        bench.up(one(old))
        assert not bench.up(one(new, ignore_changes=[ignored])).changed
        kept = bench.resources()["one"].inputs
        assert {key: value for key, value in kept.items() if key != "autoName"} == old

    def test_other_changes_count(self, bench: Bench) -> None:
        bench.up(one({"size": 1, "color": "red"}))
        bench.up(one({"size": 2, "color": "blue"}, ignore_changes=["size"]))
        inputs = bench.resources()["one"].inputs
        assert (inputs["size"], inputs["color"]) == (1, "blue")

    def test_an_impossible_path_is_told(self, bench: Bench) -> None:
        bench.up(one({"rules": [{"port": 1}]}))
        bench.up(one({"rules": []}, ignore_changes=["rules[0].port"]))
        told = 'cannot ignore changes in added or removed elements of the path: "rules[0].port"'
        assert told in [text.strip() for text in bench.messages("info")]


class TestAliases:
    def test_a_renamed_resource_keeps_its_object(self, bench: Bench) -> None:
        bench.up(one({}))
        before = bench.resources()["one"]
        outcome = bench.up(lambda: void(Thing("two", {}, ResourceOptions(aliases=[pulumi.Alias(name="one")]))))
        assert not outcome.changed
        after = bench.resources()
        assert set(after) == {"two"}
        assert after["two"].id == before.id

    def test_a_moved_resource_keeps_its_object(self, bench: Bench) -> None:
        bench.up(one({}))

        def program() -> None:
            group = Group("group")
            Thing(
                "one",
                {},
                ResourceOptions(parent=group, aliases=[pulumi.Alias(parent=pulumi.ROOT_STACK_RESOURCE)]),
            )

        outcome = bench.up(program)
        assert outcome.changes == {"create": 1, "same": 2}
        assert bench.cloud.made("Delete") == []

    def test_children_follow_a_renamed_component(self, bench: Bench) -> None:
        def program(name: str, options: ResourceOptions) -> Callable[[], None]:
            def body() -> None:
                group = Group(name, options)
                Thing(f"{name}-child", {}, ResourceOptions(parent=group))

            return body

        bench.up(program("old", ResourceOptions()))
        before = bench.resources()["old-child"].id
        outcome = bench.up(program("new", ResourceOptions(aliases=[pulumi.Alias(name="old")])))
        assert not outcome.changed
        assert bench.resources()["new-child"].id == before

    def test_two_resources_may_not_claim_one_alias(self, bench: Bench) -> None:
        bench.up(one({}))

        def program() -> None:
            first = Thing("first", {}, ResourceOptions(aliases=[pulumi.Alias(name="one")]))
            Thing("second", {}, ResourceOptions(aliases=[pulumi.Alias(name="one")], depends_on=[first]))

        outcome = bench.run("up", program)
        assert not outcome.ok
        assert "Duplicate resource alias" in outcome.failures[0][1]

    def test_two_resources_may_not_have_one_urn(self, bench: Bench) -> None:
        outcome = bench.run("up", lambda: void([Thing("one"), Thing("one")]))
        assert not outcome.ok
        assert "Duplicate resource URN" in outcome.failures[0][1]


class TestReplaceWith:
    def test_a_resource_is_replaced_with_another(self, bench: Bench) -> None:
        def program(zone: str) -> Callable[[], None]:
            def body() -> None:
                first = Thing("first", {"forceNewZone": zone})
                Thing("second", {}, ResourceOptions(replace_with=[first]))

            return body

        bench.up(program("a"))
        assert bench.up(program("b")).changes["replace"] == 2
