"""`factory preview --json`: the shape of `pulumi preview --json`.

Source of the shape: pulumi/pulumi, pkg/display/json.go (PreviewDigest). A resource's state stands as in a state file,
secrets masked; unchanged resources are left out as the CLI leaves them out, save the stack itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from model_factory.graph.urn import STACK_TYPE
from model_factory.preview.events import Diagnostic, Report, Step
from model_factory.preview.models import ModelChange, Place
from model_factory.preview.nodes import NodesChange
from model_factory.preview.review import Judgement, Review

_NANOSECONDS_PER_SECOND = 1_000_000_000
_STATE_KEYS_KEPT_EMPTY = frozenset({"urn", "custom", "type"})


def digest(report: Report, *, show_same: bool = False, review: Review | None = None) -> dict[str, Any]:
    """The digest as JSON-ready values; keys that the CLI omits when empty are omitted here too.

    With the report's `review` also `modelChanges`, `nodeChanges` and `policies`, which are not of the CLI.
    """
    steps = [
        _step(step) for step in report.steps.values() if show_same or step.op not in {"same", "read"} or _is_root(step)
    ]
    full = {
        "config": dict(report.config),
        "steps": steps,
        "diagnostics": [_diagnostic(note) for note in report.diagnostics],
        "duration": int(report.duration_seconds * _NANOSECONDS_PER_SECOND),
        "changeSummary": dict(report.changes),
        "maybeCorrupt": report.maybe_corrupt,
        "modelChanges": [_model(each) for each in review.models] if review else [],
        "nodeChanges": [_nodes(each) for each in review.nodes] if review else [],
        "policies": [_judgement(each) for each in review.judgements] if review else [],
    }
    return {key: value for key, value in full.items() if value}


def _diagnostic(note: Diagnostic) -> dict[str, Any]:
    shown = {"urn": note.urn, "message": note.message, "severity": note.severity}
    # Not of the CLI: what a cloud refused, for who groups by cause.
    error = {"error": note.error.document} if note.error else {}
    return {key: value for key, value in shown.items() if value} | error


def _judgement(each: Judgement) -> dict[str, Any]:
    shown = {"severity": each.severity, "message": each.message, "remedy": each.remedy, "page": each.page}
    return {
        "kind": each.kind,
        "policy": each.policy,
        "pack": each.pack,
        "resources": list(each.resources),
        "number": each.number,
    } | {key: value for key, value in shown.items() if value}


def _model(change: ModelChange) -> dict[str, Any]:
    return {
        "model": change.model,
        "before": _place(change.before),
        "after": _place(change.after),
        "restarts": change.restarts,
        "requestsLost": {"lost": change.requests.lost, "told": change.requests.told},
        "usdPerMonth": {
            side: {"idle": f"{sums.usd_per_month.idle:f}", "peak": f"{sums.usd_per_month.peak:f}"}
            for side, sums in (("before", change.cost.before), ("after", change.cost.after))
        },
    }


def _nodes(change: NodesChange) -> dict[str, Any]:
    shown = {"nodes": change.nodes, "told": change.told, "why": change.why}
    return {"name": change.name, "site": change.site, "op": change.kind, "recycles": change.recycles} | {
        key: value for key, value in shown.items() if value
    }


def _place(place: Place | None) -> dict[str, str] | None:
    if place is None:
        return None
    keys = ("site", "machines", "replicas", "image", "revision")
    return {key: value for key in keys if (value := getattr(place, key))}


def _is_root(step: Step) -> bool:
    return step.type == STACK_TYPE


def _step(step: Step) -> dict[str, Any]:
    detailed = (
        None
        if step.detailed_diff is None
        else {
            path: {"kind": diff.get("diffKind", diff.get("kind")), "inputDiff": bool(diff.get("inputDiff"))}
            for path, diff in step.detailed_diff.items()
        }
    )
    shown: dict[str, Any] = {"op": step.op, "urn": step.urn}
    optional = {
        "provider": step.provider,
        "oldState": _state(step.old),
        "newState": _state(step.new),
        "diffReasons": list(step.diffs),
        "replaceReasons": list(step.keys),
    }
    shown |= {key: value for key, value in optional.items() if value}
    shown["detailedDiff"] = detailed
    return shown


def _state(state: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if state is None:
        return None
    return {key: value for key, value in state.items() if value or key in _STATE_KEYS_KEPT_EMPTY}
