"""Small made-up events for the tests of preview."""

from __future__ import annotations

from typing import Any

from model_factory.graph.masking import Masker
from model_factory.preview.events import Report
from model_factory.preview.review import Heading, Review, review_of

PROJECT = "urn:pulumi:dev::p::"
Event = dict[str, Any]


def urn(type_: str, name: str) -> str:
    return f"{PROJECT}{type_}::{name}"


def state(type_: str, name: str, inputs: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "urn": urn(type_, name),
        "type": type_,
        "custom": True,
        "id": f"{name}-1",
        "parent": "",
        "inputs": inputs,
        "outputs": inputs,
        **more,
    }


def step(
    op: str,
    type_: str = "aws:s3/bucket:Bucket",
    name: str = "b",
    old: dict[str, Any] | None = None,
    new: dict[str, Any] | None = None,
    **more: Any,
) -> Event:
    """A planned step; `old` and `new` are inputs."""
    kept = {key: more.pop(key) for key in ("keys", "diffs", "detailedDiff") if key in more}
    found = {
        "op": op,
        "urn": urn(type_, name),
        "type": type_,
        "old": None if old is None else state(type_, name, old, **more),
        "new": None if new is None else state(type_, name, new, **more),
        "detailedDiff": None,
        **kept,
    }
    return {"resOutputsEvent": {"metadata": found, "planning": True}}


def policy(level: str, name: str, message: str = "no", resource: str = "", severity: str = "") -> Event:
    return {
        "policyEvent": {
            "resourceUrn": resource,
            "message": message,
            "color": "never",
            "policyName": name,
            "policyPackName": "pack",
            "policyPackVersion": "1.0.0",
            "policyPackVersionTag": "1.0.0",
            "enforcementLevel": level,
            "severity": severity,
        }
    }


def error(message: str, resource: str = "") -> Event:
    return {"diagnosticEvent": {"severity": "error", "message": message, "urn": resource, "color": "never"}}


def warning(message: str, resource: str = "") -> Event:
    return {"diagnosticEvent": {"severity": "warning", "message": message, "urn": resource, "color": "never"}}


def reviewed(*events: Event, secrets: tuple[str, ...] = (), **heading: Any) -> Review:
    return review_of(Report.of(events, Masker(secrets)), Heading("p", "dev", **heading))
