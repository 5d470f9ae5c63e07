"""A change says what differs, leaf by leaf; equal changes are told once; losses come first."""

from __future__ import annotations

from typing import Any, ClassVar

from model_factory.preview.changes import Change, PropertyChange, changes_of, dangers, grouped
from model_factory.preview.events import Report
from tests.preview.samples import Event, step, urn

SET = {"diffKind": "update", "inputDiff": True}


def changes(*events: Event) -> list[Change]:
    return changes_of(Report.of(events))


def lines(change: Change) -> list[tuple[str, str, str, str]]:
    return [(item.path, item.kind, item.before, item.after) for item in change.properties]


class TestDifferences:
    def test_a_path_is_told_with_both_values(self) -> None:
        (change,) = changes(step("update", old={"a": {"b": 1}}, new={"a": {"b": 2}}, detailedDiff={"a.b": SET}))
        assert lines(change) == [("a.b", "update", "1", "2")]

    def test_a_changed_object_is_told_by_its_leaves(self) -> None:
        (change,) = changes(
            step(
                "update",
                old={"tags": {"x": "1", "y": "2"}},
                new={"tags": {"x": "1", "z": "3"}},
                detailedDiff={"tags": SET},
            )
        )
        assert lines(change) == [("tags.y", "delete", '"2"', ""), ("tags.z", "add", "", '"3"')]

    def test_json_in_a_text_is_looked_into(self) -> None:
        old, new = '{"Statement":[{"Action":"s3:Get*"}]}', '{"Statement":[{"Action":"s3:*"}]}'
        (change,) = changes(step("update", old={"policy": old}, new={"policy": new}, detailedDiff={"policy": SET}))
        assert lines(change) == [("policy.Statement[0].Action", "update", '"s3:Get*"', '"s3:*"')]

    def test_a_secret_that_changes_is_told_without_its_value(self) -> None:
        secret = {
            "4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270",
            "ciphertext": "[secret]",
        }
        (change,) = changes(step("update", old={"s": secret}, new={"s": secret}, detailedDiff={"s": SET}))
        assert lines(change) == [("s", "update", "[secret]", "[secret]")]

    def test_without_a_detailed_diff_the_named_properties_are_compared(self) -> None:
        (change,) = changes(step("update", old={"a": 1, "b": 1}, new={"a": 2, "b": 2}, diffs=["a"]))
        assert lines(change) == [("a", "update", "1", "2")]

    def test_without_any_diff_all_inputs_are_compared(self) -> None:
        (change,) = changes(step("update", old={"a": 1, "b": 1}, new={"a": 1, "b": 2}))
        assert lines(change) == [("b", "update", "1", "2")]

    def test_a_create_has_its_inputs(self) -> None:
        (change,) = changes(step("create", new={"a": {"b": [{"c": 1}]}, "ports": [80, 443]}))
        assert [(item.path, item.after) for item in change.inputs] == [
            ("a.b[0].c", "1"),
            ("ports", "[80, 443]"),
        ]

    def test_odd_keys_are_quoted_as_pulumi_does(self) -> None:
        (change,) = changes(step("create", new={"labels": {"app.kubernetes.io/name": "x"}}))
        assert change.inputs == (PropertyChange('labels["app.kubernetes.io/name"]', "add", "", '"x"'),)


class TestReplacements:
    FORCED: ClassVar[dict[str, Any]] = {
        "keys": ["k"],
        "detailedDiff": {"k": {"diffKind": "update-replace", "inputDiff": True}},
    }

    def test_stand_once_with_what_forces_them(self) -> None:
        parts = [
            step(op, old={"k": 1}, new={"k": 2}, **self.FORCED)
            for op in ("create-replacement", "replace", "delete-replaced")
        ]
        (change,) = changes(*parts)
        assert [(item.path, item.before, item.after) for item in change.because] == [("k", "1", "2")]
        assert not change.old_goes_first

    def test_tell_when_the_old_object_goes_first(self) -> None:
        parts = [
            step(op, old={"k": 1}, new={"k": 2}, **self.FORCED)
            for op in ("delete-replaced", "replace", "create-replacement")
        ]
        assert changes(*parts)[0].old_goes_first

    def test_one_that_goes_with_what_it_depends_on_names_it(self) -> None:
        ops = ("delete-replaced", "replace", "create-replacement")
        cluster = [step(op, "a:b:C", "cluster", {"k": 1}, {"k": 2}, **self.FORCED) for op in ops]
        needs = {"dependencies": [urn("a:b:C", "cluster")]}
        pool = [step(op, "a:b:P", "pool", {}, {}, **needs) for op in ops]
        found = changes(*pool[:1], *cluster, *pool[1:])
        assert {each.name: each.goes_with for each in found} == {"cluster": "", "pool": "cluster"}


class TestUpdates:
    def test_what_a_provider_notes_once_more_is_left_out(self) -> None:
        both = {"tags.team": SET, "tagsAll.team": SET}
        old, new = ({key: {"team": team} for key in ("tags", "tagsAll")} for team in "ab")
        (change,) = changes(step("update", old=old, new=new, detailedDiff=both))
        assert [item.path for item in change.properties] == ["tags.team"]

    def test_it_is_told_where_it_is_all(self) -> None:
        old, new = ({"tagsAll": {"team": team}} for team in "ab")
        (change,) = changes(step("update", old=old, new=new, detailedDiff={"tagsAll.team": SET}))
        assert [item.path for item in change.properties] == ["tagsAll.team"]


class TestGroups:
    def test_equal_updates_of_different_types_are_one_group(self) -> None:
        events = [
            step("update", type_, f"n{at}", {"v": 1}, {"v": 2}, detailedDiff={"v": SET})
            for at, type_ in enumerate(["aws:s3/bucket:Bucket", "aws:kms/key:Key", "aws:s3/bucket:Bucket"])
        ]
        (group,) = grouped(changes(*events))
        assert len(group.changes) == 3
        assert group.types == ("aws:kms:Key", "aws:s3:Bucket")

    def test_a_value_that_holds_the_own_name_is_the_same_in_all(self) -> None:
        events = [
            step("update", name=name, old={"v": f"{name}-1"}, new={"v": f"{name}-2"}, detailedDiff={"v": SET})
            for name in ("alpha", "beta")
        ]
        (group,) = grouped(changes(*events))
        assert group.properties == (PropertyChange("v", "update", '"<name>-1"', '"<name>-2"'),)

    def test_different_values_stay_apart(self) -> None:
        events = [
            step("update", name=f"n{at}", old={"v": 0}, new={"v": at + 1}, detailedDiff={"v": SET}) for at in range(3)
        ]
        assert len(grouped(changes(*events))) == 3

    def test_components_come_last_and_together(self) -> None:
        events = [step("create", f"model-factory:a:C{at}", f"c{at}", new={}, custom=False) for at in range(2)]
        groups = grouped(changes(*events, step("create", new={})))
        assert [len(group.changes) for group in groups] == [1, 2]
        assert groups[1].of_components

    def test_the_order_does_not_depend_on_the_engines_timing(self) -> None:
        events = [step("create", name=f"n{at}", new={}) for at in range(5)]
        assert changes(*events) == changes(*reversed(events))


class TestDangers:
    def test_what_holds_data_comes_first(self) -> None:
        events = [
            step("delete", type_, "x", {})
            for type_ in ("kubernetes:core/v1:Service", "aws:ec2/vpc:Vpc", "aws:s3/bucket:Bucket")
        ]
        assert [change.short_type for change in dangers(changes(*events))] == [
            "aws:s3:Bucket",
            "aws:ec2:Vpc",
            "kubernetes:core:Service",
        ]

    def test_components_and_providers_are_none(self) -> None:
        assert (
            dangers(
                changes(
                    step("delete", "a:b:C", "c", {}, custom=False),
                    step("delete", "pulumi:providers:aws", "p", {}),
                )
            )
            == []
        )

    def test_a_deletion_names_the_outermost_component_that_goes_with_it(self) -> None:
        outer = step("delete", "m:r:Region", "r", {}, custom=False)
        inner = step("delete", "m:c:Cluster", "c", {}, custom=False, parent=urn("m:r:Region", "r"))
        bucket = step("delete", old={}, parent=urn("m:c:Cluster", "c"))
        assert [change.component for change in dangers(changes(outer, inner, bucket))] == ["Region r"]

    def test_drift_is_no_change(self) -> None:
        drifted = step("refresh", old={"v": 1}, new={"v": 2}, detailedDiff={"v": SET})
        assert changes(drifted) == []
        assert [found.op for found in Report.of([drifted]).drift] == ["update"]

    def test_what_is_gone_outside_is_drift(self) -> None:
        gone = step("refresh", old={"v": 1})
        assert [found.op for found in Report.of([gone]).drift] == ["delete"]

    def test_a_refresh_that_found_what_was_expected_is_none(self) -> None:
        assert Report.of([step("refresh", old={"v": 1}, new={"v": 1})]).drift == []


class TestNewResources:
    def test_what_is_looked_for_stands_first_and_what_a_provider_notes_for_itself_is_left_out(self) -> None:
        container = {
            "name": "server",
            "args": ["--port=80"],
            "image": "m:1",
            "resources": {"limits": {"memory": "8Gi"}},
        }
        inputs = {
            "__defaults": ["x"],
            "metadata": {"labels": {"a": "b"}, "__internal": {}},
            "spec": {"dnsPolicy": "None", "containers": [container]},
            "tagsAll": {"a": "b"},
        }
        (change,) = changes(step("create", "kubernetes:core/v1:Pod", new=inputs))
        assert [item.path for item in change.inputs] == [
            "spec.containers[0].image",
            "spec.containers[0].args",
            "spec.containers[0].resources.limits.memory",
            "spec.dnsPolicy",
            "spec.containers[0].name",
            "metadata.labels.a",
        ]
