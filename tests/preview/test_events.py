"""A report says what the events said, once, in their order."""

from __future__ import annotations

from typing import Any

from model_factory.preview.events import Report

STACK = "urn:pulumi:dev::p::pulumi:pulumi:Stack::p-dev"
POOL = "urn:pulumi:dev::p::model-factory:cluster:EksCluster$aws:eks/nodeGroup:NodeGroup::l4"


def step(kind: str, op: str, urn: str = POOL, *, planning: bool = False, **metadata: Any) -> dict[str, Any]:
    type_ = urn.split("::")[2].rsplit("$", 1)[-1]
    return {
        kind: {
            "metadata": {"op": op, "urn": urn, "type": type_, "old": None, "new": None, **metadata},
            "planning": planning,
        }
    }


class TestSteps:
    def test_a_step_goes_from_running_to_done(self) -> None:
        report = Report()
        report.add(step("resourcePreEvent", "create"))
        assert [s.status for s in report.steps.values()] == ["running"]
        report.add(step("resOutputsEvent", "create"))
        assert [s.status for s in report.steps.values()] == ["done"]

    def test_a_failure_is_not_undone_by_a_later_event(self) -> None:
        report = Report.of(
            [
                step("resourcePreEvent", "create"),
                step("resOpFailedEvent", "create"),
                step("resOutputsEvent", "create"),
            ]
        )
        assert [s.urn for s in report.failed] == [POOL]

    def test_planned_steps_stay_planned(self) -> None:
        report = Report.of(
            [
                step("resourcePreEvent", "update", planning=True),
                step("resOutputsEvent", "update", planning=True),
            ]
        )
        assert [s.status for s in report.changed] == ["planned"]

    def test_a_replacement_is_listed_once(self) -> None:
        ops = ("create-replacement", "replace", "delete-replaced")
        report = Report.of([step("resourcePreEvent", op, keys=["instanceTypes"]) for op in ops])
        assert [s.op for s in report.changed] == ["replace"]

    def test_unchanged_and_read_resources_are_no_change(self) -> None:
        report = Report.of([step("resourcePreEvent", op, urn=f"{POOL}{op}") for op in ("same", "read", "refresh")])
        assert report.changed == []

    def test_a_refresh_becomes_what_it_found(self) -> None:
        report = Report.of([step("resourcePreEvent", "refresh"), step("resOutputsEvent", "delete")])
        assert [(s.op, s.status) for s in report.changed] == [("delete", "done")]

    def test_the_outputs_event_keeps_the_diff_of_the_first_event(self) -> None:
        diff = {"instanceTypes[0]": {"diffKind": "update-replace", "inputDiff": True}}
        report = Report.of(
            [
                step("resourcePreEvent", "update", detailedDiff=diff, diffs=["instanceTypes"]),
                step("resOutputsEvent", "update"),
            ]
        )
        assert report.changed[0].detailed_diff == diff
        assert report.changed[0].diffs == ("instanceTypes",)


class TestDiagnostics:
    def test_colour_tags_and_debug_messages_are_left_out(self) -> None:
        report = Report.of(
            [
                {
                    "diagnosticEvent": {
                        "severity": "error",
                        "message": "<{%fg 1%}>boom<{%reset%}>\n",
                        "urn": POOL,
                        "color": "raw",
                    }
                },
                {"diagnosticEvent": {"severity": "debug", "message": "noise", "color": "raw"}},
                {
                    "diagnosticEvent": {
                        "severity": "info",
                        "message": "passing",
                        "color": "raw",
                        "ephemeral": True,
                    }
                },
            ]
        )
        assert [(note.severity, note.message, note.urn) for note in report.diagnostics] == [("error", "boom", POOL)]

    def test_the_resource_that_a_message_is_about_is_named_once(self) -> None:
        type_, name = POOL.split("::")[2].rsplit("$", 1)[-1], POOL.rsplit("::", 1)[-1]
        mine, other = f"{type_} resource '{name}'", f"{type_} resource 'other'"
        message = f"{mine}: property version value '1' has a problem: old\n{mine} has a problem: bad\n{other}: there"
        report = Report.of([{"diagnosticEvent": {"severity": "error", "message": message, "urn": POOL}}])
        (note,) = report.diagnostics
        assert note.message == f"property version value '1' has a problem: old\nbad\n{other}: there"

    def test_the_summary_gives_the_counts(self) -> None:
        report = Report.of(
            [
                {
                    "summaryEvent": {
                        "resourceChanges": {"create": 3},
                        "durationSeconds": 2,
                        "isPreview": True,
                        "maybeCorrupt": False,
                    }
                }
            ]
        )
        assert (report.changes, report.duration_seconds, report.is_preview) == ({"create": 3}, 2.0, True)
