"""Engine events in the JSON shape of Pulumi's `apitype.EngineEvent` (pulumi/pulumi, sdk/go/common/apitype/events.go).

Secrets leave here masked: a secret value is Pulumi's secret envelope around the text "[secret]", and the texts of secret
configuration are struck from every message. Called from one thread only.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Literal, TypeAlias, cast

from model_factory.graph.masking import MASK
from model_factory.graph.refusal import Refusal
from model_factory.graph.verdict import not_evaluated
from model_factory.local import wire
from model_factory.local.engine.model import ResourceState
from model_factory.local.engine.step import Op, Step
from model_factory.local.wire import (
    Asset,
    Output,
    Properties,
    ResourceReference,
    Secret,
    Unknown,
    Value,
    is_secret,
    marked,
)

EngineEvent: TypeAlias = dict[str, Any]
Severity: TypeAlias = Literal["debug", "info", "info#err", "warning", "error"]

PolicySummaryKind: TypeAlias = Literal["analyze", "remediate", "analyzeStack"]

_SUMMARY_EVENTS: Final[Mapping[PolicySummaryKind, str]] = {
    "analyze": "policyAnalyzeSummaryEvent",
    "remediate": "policyRemediateSummaryEvent",
    "analyzeStack": "policyAnalyzeStackSummaryEvent",
}
_MASKED: Final = {wire.SIGNATURE_KEY: wire.SECRET_SIGNATURE, "ciphertext": MASK}
_SHORTEST_SECRET: Final = 3


@dataclass(frozen=True, slots=True)
class PackName:
    """A policy pack, as events name it."""

    name: str
    version: str

    def fields(self) -> dict[str, Any]:
        return {
            "policyPackName": self.name, "policyPackVersion": self.version, "policyPackVersionTag": self.version,
        }  # fmt: skip


class EventSink:
    """Numbers events, masks them, and hands them on."""

    def __init__(self, emit: Callable[[EngineEvent], None], secrets: Iterable[str] = ()) -> None:
        self._emit = emit
        self._sequence = 0
        # As Pulumi: very short secrets would strike half of every message.
        self._secrets = sorted({text for text in secrets if len(text) >= _SHORTEST_SECRET}, key=len, reverse=True)
        self._shown: dict[int, tuple[object, dict[str, Any]]] = {}
        self.errors = 0

    def prelude(self, config: Mapping[str, str], secret_keys: Iterable[str]) -> None:
        hidden = frozenset(secret_keys)
        self._send("preludeEvent", {"config": {key: MASK if key in hidden else text for key, text in config.items()}})

    def diagnostic(
        self,
        severity: Severity,
        message: str,
        urn: str = "",
        *,
        ephemeral: bool = False,
        refusal: Refusal | None = None,
    ) -> None:
        """A message of the engine, a provider or the program, about one resource or none. `refusal` is what a cloud said in parts:
        our addition to Pulumi's event, under `error`."""
        if severity == "error":
            self.errors += 1
        if not message.endswith("\n"):
            message += "\n"
        event: dict[str, Any] = {"message": self.strike(message), "color": "never", "severity": severity}
        if not severity.startswith("info"):
            event["prefix"] = f"{severity}: "
        if urn:
            event["urn"] = urn
        if ephemeral:
            event["ephemeral"] = True
        if refusal is not None:
            event["error"] = _show(refusal.document, self.strike)
        self._send("diagnosticEvent", event)

    def pre(self, step: Step, *, planning: bool) -> None:
        body: dict[str, Any] = {"metadata": self.metadata(step, step.op)}
        if planning:
            body["planning"] = True
        self._send("resourcePreEvent", body)

    def outputs(self, step: Step, *, planning: bool, op: Op | None = None) -> None:
        body: dict[str, Any] = {"metadata": self.metadata(step, op or step.op)}
        if planning:
            body["planning"] = True
        self._send("resOutputsEvent", body)

    def failed(self, step: Step, status: int, steps: int) -> None:
        self._send("resOpFailedEvent", {"metadata": self.metadata(step, step.op), "status": status, "steps": steps})

    def policy_load(self) -> None:
        """A policy pack begins to load."""
        self._send("policyLoadEvent", {})

    def violation(self, urn: str, pack: PackName, policy: str, message: str, level: str, severity: str) -> None:
        """What a policy says of a resource. `level`: mandatory or advisory; `severity` may be empty. A check that met an unknown value
        says why under `notEvaluated`, our addition to Pulumi's event."""
        body: dict[str, Any] = {
            "resourceUrn": urn, "message": self.strike(message) + "\n", "color": "never", "policyName": policy,
            **pack.fields(), "enforcementLevel": level,
        }  # fmt: skip
        if severity:
            body["severity"] = severity
        if (why := not_evaluated(message)) is not None:
            body["notEvaluated"] = self.strike(why)
        self._send("policyEvent", body)

    def remediation(
        self, urn: str, pack: PackName, policy: str, before: dict[str, Value], after: dict[str, Value]
    ) -> None:
        """A policy has changed a resource's inputs."""
        self._send("policyRemediationEvent", {
            "resourceUrn": urn, "color": "never", "policyName": policy, **pack.fields(),
            "before": self._properties(before), "after": self._properties(after),
        })  # fmt: skip

    def policy_summary(
        self, kind: PolicySummaryKind, urn: str, pack: PackName, passed: Sequence[str], failed: Sequence[str]
    ) -> None:
        """Which policies were run and found nothing, and which found something or could not be run."""
        body: dict[str, Any] = {"resourceUrn": urn} if kind != "analyzeStack" else {}
        body |= pack.fields()
        body |= {key: list(names) for key, names in (("passed", passed), ("failed", failed)) if names}
        self._send(_SUMMARY_EVENTS[kind], body)

    def summary(
        self,
        changes: Mapping[str, int],
        duration_seconds: float,
        *,
        planning: bool,
        maybe_corrupt: bool,
        result: str,
        policy_packs: Mapping[str, str] | None = None,
    ) -> None:
        self._send("summaryEvent", {
            "maybeCorrupt": maybe_corrupt, "durationSeconds": math.ceil(duration_seconds), "resourceChanges": dict(changes),
            "PolicyPacks": dict(policy_packs or {}), "isPreview": planning, "result": result,
        })  # fmt: skip

    def end(self) -> None:
        self._send("cancelEvent", {})

    def strike(self, message: str) -> str:
        for secret in self._secrets:
            message = message.replace(secret, MASK)
        return message

    def _send(self, name: str, body: dict[str, Any]) -> None:
        event: EngineEvent = {"sequence": self._sequence, "timestamp": int(time.time()), name: body}
        self._sequence += 1
        self._emit(event)

    def metadata(self, step: Step, op: Op) -> dict[str, Any]:
        """A step as events have it, secrets masked."""
        detailed = None
        if step.detailed is not None:
            detailed = {
                path: {"diffKind": item.kind.value, "inputDiff": item.input_diff}
                for path, item in step.detailed.items()
            }
        metadata: dict[str, Any] = {
            "op": op.value, "urn": step.urn, "type": step.state.type, "old": self._state(_as_secret(step)),
            "new": self._state(step.new), "detailedDiff": detailed, "provider": step.state.provider,
        }  # fmt: skip
        if step.keys:
            metadata["keys"] = list(step.keys)
        if step.diffs:
            metadata["diffs"] = list(step.diffs)
        if step.op.logical:
            metadata["logical"] = True
        return metadata

    def _state(self, state: ResourceState | None) -> dict[str, Any] | None:
        if state is None:
            return None
        shown: dict[str, Any] = {
            "type": state.type, "urn": state.urn, "id": state.id, "parent": state.parent,
            "inputs": self._properties(state.inputs), "outputs": self._properties(state.outputs),
            "provider": state.provider,
        }  # fmt: skip
        # Pulumi's events leave these out, `pulumi preview --json` has them.
        if state.dependencies:
            shown["dependencies"] = list(state.dependencies)
        if state.property_dependencies:
            shown["propertyDependencies"] = {key: list(urns) for key, urns in state.property_dependencies.items()}
        for key, flag in (
            ("custom", state.custom), ("delete", state.delete), ("protect", state.protect),
            ("external", state.external), ("retainOnDelete", state.retain_on_delete),
        ):  # fmt: skip
            if flag:
                shown[key] = True
        if state.init_errors:
            shown["initErrors"] = list(state.init_errors)
        if state.extra.get("hideDiff"):
            shown["hideDiffs"] = list(state.extra["hideDiff"])
        return shown

    def _properties(self, properties: dict[str, Value]) -> dict[str, Any]:
        """Shown once for the two events of a step: states are never changed in place."""
        known = self._shown.get(id(properties))
        if known is not None and known[0] is properties:
            return known[1]
        shown = {key: _show(value, self.strike if self._secrets else _as_is) for key, value in properties.items()}
        if len(self._shown) >= 512:  # about the steps in flight; older ones are not asked for again
            self._shown.clear()
        self._shown[id(properties)] = (properties, shown)
        return shown


def _as_secret(step: Step) -> ResourceState | None:
    """What was there, secret where it is so from now on: that a value is secret holds for what it was, too."""
    old, new = step.old, step.new
    if old is None or new is None or old is new:
        return old
    now = {**new.inputs, **new.outputs, **dict.fromkeys(new.additional_secret_outputs, Secret(None))}
    hidden = {key: value for key, value in now.items() if is_secret(value)}
    if not hidden:
        return old
    inputs, outputs = marked(old.inputs, hidden), marked(old.outputs, hidden)
    return replace(old, inputs=cast("Properties", inputs), outputs=cast("Properties", outputs))


def _as_is(text: str) -> str:
    return text


def _show(value: Value, strike: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return strike(value)
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, dict):
        return {key: _show(item, strike) for key, item in value.items()}
    if isinstance(value, list):
        return [_show(item, strike) for item in value]
    if isinstance(value, Secret):
        return _MASKED
    if isinstance(value, Unknown):
        return wire.UNKNOWN_SENTINEL
    if isinstance(value, Output):
        return _MASKED if value.secret else _show(value.value, strike)
    if isinstance(value, Asset):
        return _show_asset(value, strike)
    return _show_reference(value, strike)


def _show_asset(asset: Asset, strike: Callable[[str], str]) -> dict[str, Any]:
    """As Pulumi: the text of an asset is left out, its hash identifies it."""
    fields = {key: "<contents elided>" if key == "text" else _show(item, strike) for key, item in asset.fields.items()}
    return {wire.SIGNATURE_KEY: asset.signature, **fields}


def _show_reference(reference: ResourceReference, strike: Callable[[str], str]) -> dict[str, Any]:
    shown: dict[str, Any] = {wire.SIGNATURE_KEY: wire.RESOURCE_SIGNATURE, "urn": reference.urn}
    if reference.id is not None:
        shown["id"] = _show(reference.id, strike)
    if reference.version:
        shown["packageVersion"] = reference.version
    return shown
