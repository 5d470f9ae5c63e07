"""Pulumi's engine events (apitype.EngineEvent, as JSON), gathered into one `Report` of an operation.

Source of the shape: pulumi/pulumi, sdk/go/common/apitype/events.go. Engines mask what a program marks as secret; a report masks
every event once more as it comes in, so that nothing made from it can show what only looks like a secret.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal, cast

from model_factory.graph.masking import Masker
from model_factory.graph.refusal import Refusal
from model_factory.graph.urn import STACK_TYPE, name_of, type_of
from model_factory.graph.verdict import not_evaluated
from model_factory.preview.wording import short_type

EngineEvent = Mapping[str, Any]
Severity = Literal["debug", "info", "info#err", "warning", "error"]
StepStatus = Literal["planned", "running", "done", "failed"]
FindingKind = Literal["mandatory", "advisory", "remediated", "not evaluated"]

UNCHANGED_OPS: Final = frozenset({"same", "read", "refresh"})
# A replacement is three steps; this one stands for all of them in a listing.
LOGICAL_REPLACE: Final = "replace"
REPLACE_PARTS: Final = frozenset({"create-replacement", "delete-replaced", "discard-replaced"})
_STEP_EVENTS: Final = ("resourcePreEvent", "resOutputsEvent", "resOpFailedEvent")
_SIDES: Final = ("old", "new")
_PROPERTIES: Final = ("inputs", "outputs")
# Words of the protocol, which a secret that reads like one must not take out.
_WORDS: Final = frozenset({"op", "type", "severity", "enforcementLevel", "result", "resourceChanges"})


@dataclass(frozen=True, slots=True)
class Step:
    """One step of one resource. `keys` force a replacement; `detailed_diff` maps property paths to kinds of change."""

    op: str
    urn: str
    type: str
    old: Mapping[str, Any] | None
    new: Mapping[str, Any] | None
    keys: tuple[str, ...] = ()
    diffs: tuple[str, ...] = ()
    detailed_diff: Mapping[str, Mapping[str, Any]] | None = None
    provider: str = ""
    logical: bool = False
    status: StepStatus = "planned"

    @property
    def name(self) -> str:
        return name_of(self.urn)

    @property
    def parent(self) -> str:
        return str(self._state.get("parent") or "")

    @property
    def is_custom(self) -> bool:
        """Whether a provider makes it; a component is not custom."""
        return bool(self._state.get("custom"))

    @property
    def component_name(self) -> str:
        """`EksCluster dev-aws-us-east-1`: a component's class and name."""
        return f"{short_type(self.type).rsplit(':', 1)[-1]} {self.name}"

    @property
    def _state(self) -> Mapping[str, Any]:
        return self.new or self.old or {}

    @property
    def is_change(self) -> bool:
        return self.op not in UNCHANGED_OPS


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """A message of the program, a provider or the engine; `urn` is empty where it is about no one resource."""

    severity: Severity
    message: str
    urn: str = ""
    error: Refusal | None = None
    """What a cloud refused, in parts. The Pulumi CLI gives only the message."""

    @property
    def subject(self) -> str:
        """The name of the one resource that it is about; empty for what is about the stack as a whole."""
        return "" if type_of(self.urn) == STACK_TYPE else name_of(self.urn)


@dataclass(frozen=True, slots=True)
class Finding:
    """What a policy said of a resource, or of the whole stack where `urn` is empty.

    `severity` is low, medium, high, critical or empty. `before` and `after` are the inputs around a remediation.
    """

    kind: FindingKind
    policy: str
    pack: str
    message: str = ""
    urn: str = ""
    severity: str = ""
    before: Mapping[str, Any] = field(default_factory=dict[str, Any])
    after: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(slots=True)
class Report:
    """All that an operation said, in the order of first mention, masked by `masker`."""

    masker: Masker = field(default_factory=Masker)
    steps: dict[tuple[str, str], Step] = field(default_factory=dict[tuple[str, str], Step])
    diagnostics: list[Diagnostic] = field(default_factory=list[Diagnostic])
    findings: list[Finding] = field(default_factory=list[Finding])
    policies_passed: int = 0
    """How many times a policy was run and found nothing to object to; a host that does not count leaves 0."""
    policy_packs: Mapping[str, str] = field(default_factory=dict[str, str])
    result: str = ""
    """`succeeded`, `failed` or empty where the engine did not say."""
    config: Mapping[str, str] = field(default_factory=dict[str, str])
    changes: Mapping[str, int] = field(default_factory=dict[str, int])
    duration_seconds: float = 0.0
    is_preview: bool = False
    maybe_corrupt: bool = False
    cancelled: bool = False

    @classmethod
    def of(cls, events: Iterable[EngineEvent], masker: Masker | None = None) -> Report:
        """Gather a whole operation."""
        report = cls(masker or Masker())
        for event in events:
            report.add(event)
        return report

    def add(self, event: EngineEvent) -> Step | Diagnostic | None:
        """Take in one event; returns the step or diagnostic that it told of, for live display."""
        event = _masked(event, self.masker)
        if pre := event.get("resourcePreEvent"):
            return self._put(_step(pre["metadata"], "planned" if pre.get("planning") else "running"))
        if outputs := event.get("resOutputsEvent"):
            step = _step(outputs["metadata"], "planned" if outputs.get("planning") else "done")
            return self._put(step, ends=True)
        if failed := event.get("resOpFailedEvent"):
            return self._put(_step(failed["metadata"], "failed"))
        if diagnostic := event.get("diagnosticEvent"):
            return self._note(diagnostic)
        if (finding := _finding(event)) is not None:
            self.findings.append(finding)
        for kind in ("policyAnalyzeSummaryEvent", "policyAnalyzeStackSummaryEvent"):
            if counted := event.get(kind):
                self.policies_passed += len(counted.get("passed") or ())
        if stdout := event.get("stdoutEvent"):
            return self._note({"severity": "info", "message": stdout["message"]})
        if prelude := event.get("preludeEvent"):
            self.config = prelude.get("config") or {}
        elif summary := event.get("summaryEvent"):
            self.changes = summary.get("resourceChanges") or {}
            self.duration_seconds = float(summary.get("durationSeconds") or 0)
            self.is_preview = bool(summary.get("isPreview"))
            self.maybe_corrupt = bool(summary.get("maybeCorrupt"))
            self.policy_packs = summary.get("PolicyPacks") or {}
            self.result = str(summary.get("result") or "")
        elif "cancelEvent" in event:
            self.cancelled = True
        return None

    @property
    def changed(self) -> list[Step]:
        """The steps that change something, a replacement once, in the order of first mention."""
        replaced = {step.urn for step in self.steps.values() if step.op == LOGICAL_REPLACE}
        return [
            step
            for step in self.steps.values()
            if step.is_change and not (step.op in REPLACE_PARTS and step.urn in replaced)
        ]

    @property
    def drift(self) -> list[Step]:
        """What a refresh found to differ from the state: changed (`update`) or gone (`delete`) outside.

        Before an `up` or its preview, engines say `refresh` of all of them, and the difference stands in the step.
        """
        found = [step for (_, op), step in self.steps.items() if op == "refresh"]
        return [
            replace(step, op="update" if step.new else "delete") if step.op == "refresh" else step
            for step in found
            if step.is_change
            or (step.op == "refresh" and (step.diffs or step.detailed_diff or (step.old and not step.new)))
        ]

    @property
    def failed(self) -> list[Step]:
        return [step for step in self.steps.values() if step.status == "failed"]

    @property
    def errors(self) -> list[Diagnostic]:
        return [note for note in self.diagnostics if note.severity == "error"]

    def _put(self, step: Step, *, ends: bool = False) -> Step:
        key = (step.urn, step.op)
        known = self.steps.get(key)
        if known is None and ends and (refreshed := self.steps.get((step.urn, "refresh"))):
            # A refresh begins as `refresh` and ends as what it found: same, update or delete.
            key = (step.urn, "refresh")
            known = refreshed
        if known is not None and known.status == "failed":
            return known
        if known is not None and step.detailed_diff is None:
            step = replace(
                step,
                detailed_diff=known.detailed_diff,
                diffs=step.diffs or known.diffs,
                keys=step.keys or known.keys,
            )
        self.steps[key] = step
        return step

    def _note(self, event: Mapping[str, Any]) -> Diagnostic | None:
        if event.get("ephemeral") or event["severity"] == "debug":
            return None
        # The event's prefix ("error: ") only repeats the severity.
        error = Refusal.read(event["error"]) if event.get("error") else None
        urn = str(event.get("urn", ""))
        note = Diagnostic(event["severity"], _without_resource(_plain(str(event["message"])), urn), urn, error)
        self.diagnostics.append(note)
        return note


def _without_resource(message: str, urn: str) -> str:
    """An engine begins each line on an input with its resource, which every output names beside the message:
    pulumi/pulumi, sdk/go/common/diag/errors.go, GetResourcePropertyInvalidValueError and its siblings."""
    named = re.escape(f"{type_of(urn)} resource '{name_of(urn)}'") if urn else "(?!)"
    return re.sub(rf"^{named}(?:: | has a problem: )", "", message, flags=re.MULTILINE)


def _masked(event: EngineEvent, masker: Masker) -> EngineEvent:
    """The event with every secret struck: what is left may be shown to anyone. The protocol's own words stay."""
    return {kind: _masked_body(kind, body, masker) for kind, body in event.items()}


def _masked_body(kind: str, body: Any, masker: Masker) -> Any:
    if not isinstance(body, Mapping):
        return body
    found = cast("Mapping[str, Any]", body)
    if kind in _STEP_EVENTS:
        metadata = found["metadata"]
        states = {side: _masked_state(metadata.get(side), metadata["type"], masker) for side in _SIDES}
        rest = {key: value for key, value in metadata.items() if key not in _SIDES}
        return {**found, "metadata": _without_secrets(rest, masker) | states}
    shown = _without_secrets(found, masker)
    if kind == "policyRemediationEvent":
        type_ = type_of(str(found.get("resourceUrn") or ""))
        shown |= {side: masker.properties(type_, found.get(side)) for side in ("before", "after")}
    return shown


def _masked_state(state: Mapping[str, Any] | None, type_: str, masker: Masker) -> Mapping[str, Any] | None:
    if state is None:
        return None
    shown = _without_secrets({key: value for key, value in state.items() if key not in _PROPERTIES}, masker)
    return shown | {key: masker.properties(type_, state[key]) for key in _PROPERTIES if key in state}


def _without_secrets(body: Mapping[str, Any], masker: Masker) -> dict[str, Any]:
    return masker.value(body) | {key: body[key] for key in _WORDS & body.keys()}


def _finding(event: EngineEvent) -> Finding | None:
    if said := event.get("policyEvent"):
        message = _plain(str(said.get("message") or "")).strip()
        kind: FindingKind = "mandatory" if said.get("enforcementLevel") == "mandatory" else "advisory"
        why = said.get("notEvaluated")
        if why is None:
            why = not_evaluated(message)
        if why is not None:
            kind, message = "not evaluated", str(why)
        return Finding(
            kind,
            str(said.get("policyName") or ""),
            str(said.get("policyPackName") or ""),
            message,
            str(said.get("resourceUrn") or ""),
            str(said.get("severity") or ""),
        )
    if mended := event.get("policyRemediationEvent"):
        return Finding(
            "remediated",
            str(mended.get("policyName") or ""),
            str(mended.get("policyPackName") or ""),
            urn=str(mended.get("resourceUrn") or ""),
            before=mended.get("before") or {},
            after=mended.get("after") or {},
        )
    return None


def _step(metadata: Mapping[str, Any], status: StepStatus) -> Step:
    return Step(
        op=metadata["op"],
        urn=metadata["urn"],
        type=metadata["type"],
        old=metadata.get("old"),
        new=metadata.get("new"),
        keys=tuple(metadata.get("keys") or ()),
        diffs=tuple(metadata.get("diffs") or ()),
        detailed_diff=metadata.get("detailedDiff"),
        provider=metadata.get("provider") or "",
        logical=bool(metadata.get("logical")),
        status=status,
    )


def _plain(text: str) -> str:
    """The text without Pulumi's colour tags such as `<{%reset%}>`."""
    while (start := text.find("<{%")) >= 0 and (end := text.find("%}>", start)) >= 0:
        text = text[:start] + text[end + 3 :]
    return text.rstrip("\n")
