"""Events have the shape that the Pulumi CLI writes, and say no secret."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pulumi
import pytest
from pulumi import ResourceOptions

from tests.local.engine.stack import Bench, Group, Thing

# pulumi/pulumi, sdk/go/common/apitype/events.go: the fields that are always there, and those that may be left out. Dependencies are ours:
# Pulumi has them in `preview --json` alone.
METADATA = {"op", "urn", "type", "old", "new", "detailedDiff", "provider"}, {"keys", "diffs", "logical"}
STATE = (
    {"type", "urn", "id", "parent", "inputs", "outputs", "provider"},
    {
        "custom",
        "delete",
        "protect",
        "taint",
        "external",
        "retainOnDelete",
        "initErrors",
        "hideDiffs",
        "dependencies",
        "propertyDependencies",
    },
)
BODIES = {
    "preludeEvent": ({"config"}, set()),
    "resourcePreEvent": ({"metadata"}, {"planning"}),
    "resOutputsEvent": ({"metadata"}, {"planning"}),
    "resOpFailedEvent": ({"metadata", "status", "steps"}, set()),
    "diagnosticEvent": (
        {"message", "color", "severity"},
        {"urn", "prefix", "streamID", "ephemeral", "error"},
    ),
    "summaryEvent": (
        {"maybeCorrupt", "durationSeconds", "resourceChanges", "PolicyPacks", "isPreview", "result"},
        set(),
    ),
    "cancelEvent": (set(), set()),
}


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def fits(item: dict[str, Any], shape: tuple[set[str], set[str]]) -> bool:
    needed, allowed = shape
    return needed <= set(item) <= needed | allowed


def check(events: list[dict[str, Any]]) -> None:
    assert [event["sequence"] for event in events] == list(range(len(events)))
    for event in events:
        (name,) = set(event) - {"sequence", "timestamp"}
        assert fits(event[name], BODIES[name]), (name, event[name])
        metadata = event[name].get("metadata")
        if metadata is not None:
            assert fits(metadata, METADATA), metadata
            for side in (metadata["old"], metadata["new"]):
                assert side is None or fits(side, STATE), side
    assert "preludeEvent" in events[0]
    assert "summaryEvent" in events[-2]
    assert "cancelEvent" in events[-1]
    json.dumps(events)


def program(zone: str, **props: Any) -> None:
    group = Group("group")
    Thing("one", {"forceNewZone": zone, **props}, ResourceOptions(parent=group))


class TestShape:
    def test_every_event_of_a_stack_s_life_fits(self, bench: Bench) -> None:
        for operation, body in (
            ("preview", lambda: program("a")), ("up", lambda: program("a")), ("up", lambda: program("b", size=1)),
            ("up", lambda: program("b", size=2)), ("refresh", lambda: None),
            ("up", lambda: program("b", size=3, fail="update")), ("destroy", lambda: None),
        ):  # fmt: skip
            bench.run(operation, body)  # type: ignore[arg-type]
            check(bench.events)

    def test_a_preview_is_marked_as_planning(self, bench: Bench) -> None:
        bench.preview(lambda: program("a"))
        marks = [event["resourcePreEvent"].get("planning") for event in bench.events if "resourcePreEvent" in event]
        assert marks == [True] * 3
        summary = bench.events[-2]["summaryEvent"]
        assert (summary["isPreview"], summary["result"]) == (True, "succeeded")
        assert summary["resourceChanges"] == {"create": 3}

    def test_each_step_has_a_begin_and_an_end(self, bench: Bench) -> None:
        bench.up(lambda: program("a"))
        begun = [event["resourcePreEvent"]["metadata"]["urn"] for event in bench.events if "resourcePreEvent" in event]
        ended = {event["resOutputsEvent"]["metadata"]["urn"] for event in bench.events if "resOutputsEvent" in event}
        assert set(begun) == ended
        assert len(begun) == len(set(begun)) == 3


class TestSecrecy:
    def test_no_event_says_a_secret(self, bench: Bench) -> None:
        def body() -> None:
            config = pulumi.Config("app")
            token = config.require_secret("token")
            Thing("one", {"token": token, "deep": [{"x": token}]})
            pulumi.log.info("the token is t0ken-of-the-app")
            pulumi.export("token", token)

        options: dict[str, Any] = {
            "config": {"app:token": "t0ken-of-the-app", "app:plain": "shown"},
            "secret_keys": frozenset({"app:token"}),
        }
        for operation in ("preview", "up", "refresh", "destroy"):
            bench.run(operation, body, **options)  # type: ignore[arg-type]
            text = json.dumps(bench.events)
            assert "t0ken-of-the-app" not in text
            assert bench.events[0]["preludeEvent"]["config"] == {
                "app:token": "[secret]",
                "app:plain": "shown",
            }

    def test_a_provider_s_message_with_a_secret_is_masked(self, bench: Bench) -> None:
        def hook(method: str, name: str) -> None:
            raise RuntimeError("denied for t0ken-of-the-app")

        bench.cloud.hook = hook
        bench.run(
            "up",
            lambda: program("a"),
            config={"app:token": "t0ken-of-the-app"},
            secret_keys=frozenset({"app:token"}),
        )
        assert any("denied for [secret]" in message for message in bench.messages("error"))
