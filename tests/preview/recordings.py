"""Recorded engine events, in full again: `record` leaves out what can be told from the rest."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

RECORDED = Path(__file__).with_name("recorded")
BASE = "no-change"
Event = dict[str, Any]
# Of the many policies that pass, how many is all that is told.
_SUMMARIES = {"policyAnalyzeSummaryEvent", "policyAnalyzeStackSummaryEvent"}


def load(name: str) -> list[Event]:
    """The events of a recording, those of the unchanged resources included."""
    events = _read(name)
    if name not in {BASE, "create-all"}:
        told = {metadata(event).get("urn") for event in events if metadata(event).get("op") != "refresh"}
        unchanged = [
            event
            for event in _read(BASE)
            if metadata(event) and metadata(event)["urn"] not in told and _in_stack(event, events)
        ]
        events = [events[0], *unchanged, *events[1:]]
    for event in events:
        _fill(metadata(event))
        for kind in _SUMMARIES & event.keys():
            event[kind]["passed"] = ["a-policy"] * event[kind].get("passed", 0)
    return events


def keep(name: str, events: list[Event]) -> None:
    """Write a recording, one event a line, so that a new one reads as a diff."""
    kept = [event for event in events if "policyRemediateSummaryEvent" not in event]
    kept = [
        event
        for event in kept
        if (name == BASE or metadata(event).get("op") != "same") and not _is_idle_refresh(event)
    ]
    ended = {_step(event) for event in kept if "resOutputsEvent" in event}
    kept = [event for event in kept if not ("resourcePreEvent" in event and _step(event) in ended)]
    lines = ",\n".join(
        json.dumps(_trimmed(event), ensure_ascii=False, separators=(",", ":"), sort_keys=True)
        for event in kept
    )
    RECORDED.mkdir(exist_ok=True)
    (RECORDED / f"{name}.json").write_text(f"[\n{lines}\n]\n", encoding="utf-8")


def metadata(event: Event) -> Event:
    """A step event's metadata; empty for other events."""
    return (event.get("resourcePreEvent") or event.get("resOutputsEvent") or {}).get("metadata", {})


def _read(name: str) -> list[Event]:
    return json.loads((RECORDED / f"{name}.json").read_text(encoding="utf-8"))


def _in_stack(event: Event, events: list[Event]) -> bool:
    """A base resource whose default provider was replaced is told under another URN of that provider; keep all but the provider."""
    replaced = {metadata(each)["urn"] for each in events if metadata(each).get("op") == "delete"}
    return metadata(event)["urn"] not in replaced


def _step(event: Event) -> tuple[str, str]:
    return metadata(event).get("urn", ""), metadata(event).get("op", "")


def _is_idle_refresh(event: Event) -> bool:
    """A refresh that found what was expected."""
    found = metadata(event)
    return (
        found.get("op") == "refresh"
        and found.get("new") is not None
        and not (found.get("diffs") or found.get("detailedDiff"))
    )


def _trimmed(event: Event) -> Event:
    event = {
        key: value
        for key, value in json.loads(json.dumps(event)).items()
        if key not in {"sequence", "timestamp"}
    }
    found = metadata(event)
    for kind in _SUMMARIES & event.keys():
        event[kind]["passed"] = len(event[kind].get("passed") or ())
    if found and found.get("old") is not None and found["old"] == found.get("new"):
        del found["old"]
    for side in ("old", "new"):
        state = found.get(side)
        if state and "outputs" in state and state["outputs"] == state.get("inputs"):
            del state["outputs"]
    return event


def _fill(found: Event) -> None:
    for side in ("old", "new"):
        state = found.get(side)
        if state is not None and "outputs" not in state:
            state["outputs"] = state.get("inputs", {})
    if found and "old" not in found:
        found["old"] = found["new"]
