"""What was agreed to and what would be done are the same where they mean the same, and differ by name where they do not."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from model_factory.graph.masking import Masker
from model_factory.graph.names import told_apart
from model_factory.preview.agreed import Agreement, Bounds, NotAgreedError, without_made_up
from model_factory.preview.events import Report
from tests.preview.samples import Event, step

UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
CLAIM = "kubernetes:core/v1:PersistentVolumeClaim"


def agreed(*events: Event, lock: str = "lock", stack: str = "p/dev") -> Agreement:
    return Agreement.of(Report.of(events, Masker(("hidden-secret",))), stack, lock)


def update(before: Any, after: Any, name: str = "b", **more: Any) -> Event:
    return step("update", name=name, old={"a": before}, new={"a": after}, diffs=["a"], **more)


def volume(bucket: str) -> dict[str, Any]:
    options = ["prefix x/", "region us-east-1"]
    return {"mountOptions": options, "csi": {"handle": f"claim-{told_apart(bucket, options)}", "bucket": bucket}}


def created(suffix: str) -> list[Event]:
    """A bucket, a volume and a claim whose names are made up, one that refers to them, one that has what is derived of a name."""
    bucket = {"__defaults": ["bucket"], "bucket": f"b-{suffix}"}
    claim = {"metadata": {"name": f"claim-{suffix}0", "annotations": {"pulumi.com/autonamed": "true"}}}
    return [
        step("create", name="b", new=bucket),
        step("create", CLAIM, "claim", new=claim),
        step("replace", "gcp:serviceaccount/account:Account", "dev-gcp-assistant-reader", {"accountId": "x"},
             {"__defaults": ["accountId"], "accountId": f"dev-gcp-assi{suffix}"}),
        step("create", "kubernetes:core/v1:PersistentVolume", "claim", new=volume(f"b-{suffix}")),
        update({"to": "b-0000000"}, {"to": f"http://b-{suffix}.svc/claim-{suffix}0", "id": UNKNOWN}, name="u"),
    ]  # fmt: skip


class TestOutputs:
    def test_a_name_that_up_makes_anew_is_not_known_before_it(self) -> None:
        report = Report.of(created("0a1b2c3"))
        outputs = {"buckets": {"site": "b-0a1b2c3", "other": "b-given"}, "uris": ["gs://b-0a1b2c3/x"], "number": 3}
        assert without_made_up(outputs, report) == {
            "buckets": {"site": "known after up", "other": "b-given"}, "uris": ["known after up"], "number": 3,
        }  # fmt: skip

    def test_the_name_of_what_is_there_is_known(self) -> None:
        kept = {"__defaults": ["bucket"], "bucket": "b-0a1b2c3"}
        report = Report.of([step("update", name="b", old=kept, new={**kept, "tags": {"a": "b"}}, diffs=["tags"])])
        assert without_made_up({"bucket": "b-0a1b2c3"}, report) == {"bucket": "b-0a1b2c3"}


class TestTheSame:
    def test_whatever_the_order_and_the_time(self) -> None:
        events = [update(number, number + 1, name=f"n{number}") for number in range(20)]
        mixed = events.copy()
        random.Random(1).shuffle(mixed)  # noqa: S311
        summary = {"summaryEvent": {"resourceChanges": {"update": 20}, "durationSeconds": 9, "isPreview": True}}
        assert agreed(*events).differing(agreed(*mixed, summary)) == []

    def test_whatever_names_are_made_up(self) -> None:
        assert agreed(*created("0a1b2c3")).differing(agreed(*created("9f8e7d6"))) == []

    def test_whatever_the_clouds_report_and_the_engine_reads(self) -> None:
        one, other = update(1, 2), update(1, 2)
        other["resOutputsEvent"]["metadata"]["old"]["outputs"] = {"a": 1, "lastSeen": "now"}
        drift = step("refresh", name="other", old={"a": 1}, new={"a": 2}, diffs=["a"])
        same = step("same", name="s", old={"a": 1}, new={"a": 1})
        assert agreed(one).differing(agreed(same, drift, other)) == []

    def test_where_it_went_through_a_file_that_holds_no_value(self, tmp_path: Path) -> None:
        file = tmp_path / "agreement"
        before = agreed(update("plain-value", "hidden-secret"))
        file.write_text(before.text, encoding="utf-8")
        assert Agreement.read(file) == before
        assert "plain-value" not in before.text
        assert "hidden-secret" not in before.text


class TestAnother:
    @pytest.mark.parametrize(
        ("now", "said"),
        [
            ([], "gone: update aws:s3:Bucket b"),
            ([update(1, 2), step("delete", name="x", old={})], "new: delete aws:s3:Bucket x"),
            ([update(1, 3)], "changed: update aws:s3:Bucket b"),
            ([update(0, 2)], "changed: update aws:s3:Bucket b"),
            ([update(1, UNKNOWN)], "changed: update aws:s3:Bucket b"),
            ([step("replace", old={"a": 1}, new={"a": 2}, keys=["a"])], "new: replace aws:s3:Bucket b"),
            ([update(1, 2, id="another")], "changed: update aws:s3:Bucket b"),
        ],
    )
    def test_is_told_by_its_step(self, now: list[Event], said: str) -> None:
        assert said in agreed(update(1, 2)).differing(agreed(*now))

    def test_replacement_by_what_forces_it(self) -> None:
        one, other = (step("replace", old={"a": 1, "b": 1}, new={"a": 2, "b": 2}, keys=[key]) for key in "ab")
        assert agreed(one).differing(agreed(other)) == ["changed: replace aws:s3:Bucket b"]

    def test_a_name_that_is_given_is_no_made_up_one(self) -> None:
        one, other = (
            step("create", new={"__defaults": [], "bucket": f"mine-{digits}"}) for digits in ("0a1b2c3", "9f8e7d6")
        )
        assert agreed(one).differing(agreed(other)) == ["changed: create aws:s3:Bucket b"]
        one, other = (update("b-0000000", f"b-{digits}") for digits in ("0a1b2c3", "9f8e7d6"))
        assert agreed(one).differing(agreed(other)) == ["changed: update aws:s3:Bucket b"]

    @pytest.mark.parametrize("digits", ["abc123", "1a2b3c4d", "20261126"])
    def test_a_tag_that_begins_as_its_step_is_no_made_up_one(self, digits: str) -> None:
        def image(tag: str) -> Event:
            return step("create", name="web", new={"image": f"repo/web-{tag}", "bucket": "b-0a1b2c3"})

        one, other = (agreed(created("0a1b2c3")[0], image(tag)) for tag in (digits, "9f8e7d6c"))
        assert one.differing(other) == ["changed: create aws:s3:Bucket web"]

    @pytest.mark.parametrize("said_by", ["diffs", "detailedDiff"])
    def test_a_secret_beside_another_change_is_told(self, said_by: str) -> None:
        def changed(*keys: str) -> Event:
            event = update("hidden-secret", "hidden-secret")
            said = {"diffs": list(keys), "detailedDiff": {key: {"diffKind": "update"} for key in keys}}
            event["resOutputsEvent"]["metadata"][said_by] = said[said_by]
            return event

        assert agreed(changed("a")).differing(agreed(changed("a", "s"))) == ["changed: update aws:s3:Bucket b"]

    @pytest.mark.parametrize("flag", ["retainOnDelete", "protect", "external"])
    @pytest.mark.parametrize("op", ["delete", "replace"])
    def test_whether_an_object_outlives_its_step_is_told(self, op: str, flag: str) -> None:
        one, other = step(op, old={}), step(op, old={})
        one["resOutputsEvent"]["metadata"]["old"][flag] = True
        assert agreed(one).differing(agreed(other)) == [f"changed: {op} aws:s3:Bucket b"]

    def test_plan_lock_and_stack_are_told(self) -> None:
        assert agreed().differing(agreed(lock="other")) == ["where the models run: the plan lock is another"]
        assert agreed().differing(agreed(stack="p/prod")) == ["it is of p/dev, and this is p/prod"]

    def test_many_are_counted(self) -> None:
        lines = agreed().differing(agreed(*(update(1, 2, name=f"n{number}") for number in range(14))))
        assert len(lines) == 11
        assert lines[-1] == "new: 4 more"


def bounds(*events: Event) -> Bounds:
    return Bounds(Report.of(events, Masker(("hidden-secret",))))


def refusal(held: Bounds, event: Event) -> str:
    return held.refusal(event["resOutputsEvent"]["metadata"])


class TestBounds:
    @pytest.mark.parametrize(
        "now",
        [
            update(1, 2),
            update(1, 1) | step("same", old={"a": 1}, new={"a": 1}),
            step("refresh", old={}, new={"a": 3}),
            step("read", new={}),
        ],
    )
    def test_what_was_previewed_and_what_changes_nothing_is_carried_out(self, now: Event) -> None:
        assert refusal(bounds(update(1, 2)), now) == ""

    @pytest.mark.parametrize(
        ("now", "said"),
        [
            (step("create", "aws:iam/role:Role", "sneaky", new={}), "new: create aws:iam:Role sneaky"),
            (step("delete", old={"a": 1}), "new: delete aws:s3:Bucket b"),
            (step("replace", old={"a": 1}, new={"a": 2}, keys=["a"]), "new: replace aws:s3:Bucket b"),
            (update(1, 3), "changed: update aws:s3:Bucket b"),
            (update(0, 2), "changed: update aws:s3:Bucket b"),
            (update(True, 2), "changed: update aws:s3:Bucket b"),
            (update(1, 2, id="another"), "changed: update aws:s3:Bucket b"),
            (update(1, 2, retainOnDelete=True), "changed: update aws:s3:Bucket b"),
            (step("update", old={"a": 1}, new={"a": 2, "b": 1}, diffs=["a"]), "changed: update aws:s3:Bucket b"),
            (step("update", old={"a": 1}, new={"a": 2}, diffs=["a", "s"]), "changed: update aws:s3:Bucket b"),
        ],
    )
    def test_anything_else_is_not_and_is_named(self, now: Event, said: str) -> None:
        held = bounds(update(1, 2))
        assert said in refusal(held, now)
        assert held.refused == [said]

    @pytest.mark.parametrize("now", [2, "x", {"a": [1]}, None])
    def test_what_the_preview_did_not_know_may_come_to_anything(self, now: Any) -> None:
        planned = step("update", old={"a": 1}, new={"a": [{"b": UNKNOWN, "c": 1}]}, diffs=["a"])
        done, other = (step("update", old={"a": 1}, new={"a": [{"b": now, "c": c}]}, diffs=["a"]) for c in (1, 2))
        assert refusal(bounds(planned), done) == ""
        assert refusal(bounds(planned), other)

    def test_an_update_will_do_for_a_replacement_and_a_replacement_is_known_by_its_parts(self) -> None:
        parts = [
            step(op, old={"a": 1}, new=None if op == "delete-replaced" else {"a": UNKNOWN}, keys=["a"], diffs=["a"])
            for op in ("create-replacement", "replace", "delete-replaced")
        ]
        held = bounds(*parts)
        assert [refusal(held, each) for each in (*parts, update(1, 5))] == [""] * 4

    def test_made_up_names_are_others_each_time(self) -> None:
        held, other = bounds(*created("0a1b2c3")), bounds(*created("0a1b2c3"))
        assert [refusal(held, each) for each in created("9f8e7d6")] == [""] * 5
        first, *_, last = created("9f8e7d6")
        assert refusal(other, first) == ""
        last["resOutputsEvent"]["metadata"]["new"]["inputs"]["to"] = "http://b-0a1b2c3.svc/claim-0a1b2c30"
        assert refusal(other, last)


class TestFile:
    @pytest.mark.parametrize(
        "text",
        ["", "[]", "{}", json.dumps({"version": 2, "stack": "p/dev", "lock": "", "steps": {}}),
         json.dumps({"version": 1, "stack": "p/dev", "lock": "", "steps": {"a": 1}}),
         json.dumps({"version": 1, "stack": "p/dev", "lock": "", "steps": {}, "more": 1})],
    )  # fmt: skip
    def test_that_is_no_agreement_is_refused(self, tmp_path: Path, text: str) -> None:
        file = tmp_path / "agreement"
        file.write_text(text, encoding="utf-8")
        with pytest.raises(NotAgreedError):
            Agreement.read(file)

    def test_that_is_not_there_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(NotAgreedError, match="cannot be read"):
            Agreement.read(tmp_path / "agreement")
