"""What a preview found, as a file that goes from the job that ran it to one that trusts it in nothing.

The job that previews a pull request runs the author's code, so it may say anything; the job that comments may write to the repository.
Between them goes this: the masked steps and messages of the engine, and no word of how they are told. `read` takes what `written` gives
and refuses everything else by its place. It says nothing of where a comment belongs: who reads knows that by himself.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal, NotRequired, TypeAlias, cast

from pydantic import Field, StringConstraints, TypeAdapter, ValidationError
from typing_extensions import TypedDict

from model_factory.graph.files import read_plain
from model_factory.graph.refusal import Cause, Refusal
from model_factory.graph.urn import Urn, type_of, upwards
from model_factory.preview.events import Diagnostic, Finding, FindingKind, Report, Step, StepStatus

VERSION: Final = 1
MAX_BYTES: Final = 64 * 2**20
"""A thousand resources take about 4 MiB."""
_MAX_STEPS: Final = 50_000
_MAX_DEPTH: Final = 60
_ERRORS_TOLD: Final = 5
_TOLD: Final = frozenset({"warning", "error"})

_Text: TypeAlias = Annotated[str, StringConstraints(max_length=100_000)]
_Line: TypeAlias = Annotated[str, StringConstraints(max_length=4_000, pattern=r"^[^\x00-\x1f\x7f]*$")]
_Type: TypeAlias = Annotated[str, StringConstraints(max_length=400, pattern=r"^[A-Za-z0-9_.:/-]+$")]
_Op: TypeAlias = Annotated[str, StringConstraints(max_length=40, pattern=r"^[a-z]+(-[a-z]+)*$")]
_Pack: TypeAlias = Annotated[str, StringConstraints(max_length=400)]
_Properties: TypeAlias = dict[str, Any]
_Count: TypeAlias = Annotated[int, Field(ge=0, le=10_000_000)]


class _State(TypedDict):
    """Of a resource's state what is read: by the review, and by the graph that it draws."""

    urn: _Line
    type: _Type
    custom: NotRequired[bool]
    delete: NotRequired[bool]
    id: NotRequired[_Text]
    parent: NotRequired[_Line]
    provider: NotRequired[_Text]
    retainOnDelete: NotRequired[bool]
    inputs: NotRequired[_Properties]
    outputs: NotRequired[_Properties]
    dependencies: NotRequired[list[_Line]]
    propertyDependencies: NotRequired[dict[str, list[_Line]]]


class _Difference(TypedDict):
    kind: Literal["add", "add-replace", "delete", "delete-replace", "update", "update-replace"]
    inputDiff: bool


class _Step(TypedDict):
    op: _Op
    under: _Op
    """What the report knows it by: of a refresh, which ends as what it found, `refresh`."""
    urn: _Line
    type: _Type
    old: _State | None
    new: _State | None
    keys: list[_Text]
    diffs: list[_Text]
    detailedDiff: dict[_Text, _Difference] | None
    provider: _Text
    logical: bool
    status: StepStatus


class _Error(TypedDict):
    cloud: NotRequired[_Text]
    operation: NotRequired[_Text]
    code: NotRequired[_Text]
    status: NotRequired[_Count]
    requestId: NotRequired[_Text]
    reason: NotRequired[_Text]
    cause: NotRequired[Cause]
    remedy: NotRequired[_Text]


class _Message(TypedDict):
    severity: Literal["warning", "error"]
    message: _Text
    urn: _Line
    error: _Error | None


class _Finding(TypedDict):
    kind: FindingKind
    policy: _Text
    pack: _Pack
    message: _Text
    urn: _Line
    severity: _Text
    before: _Properties
    after: _Properties


class _Document(TypedDict):
    version: Literal[1]
    engine: Literal["local", "pulumi"]
    steps: Annotated[list[_Step], Field(max_length=_MAX_STEPS)]
    messages: Annotated[list[_Message], Field(max_length=_MAX_STEPS)]
    findings: Annotated[list[_Finding], Field(max_length=_MAX_STEPS)]
    policiesPassed: _Count
    policyPacks: dict[_Pack, _Pack]
    result: Literal["", "succeeded", "failed"]
    changes: dict[_Op, _Count]
    durationSeconds: Annotated[float, Field(ge=0, le=1_000_000, allow_inf_nan=False)]
    isPreview: bool
    maybeCorrupt: bool
    cancelled: bool


_DOCUMENTS: Final = TypeAdapter(_Document)


class RefusedError(ValueError):
    """A file that is not what `written` gives. The message is of one line, and quotes nothing of the file but keys."""


def written(report: Report, engine: str) -> bytes:
    """The report as a file."""
    document = {
        "version": VERSION,
        "engine": engine,
        "steps": [_step(step, under) for (_, under), step in report.steps.items()],
        "messages": [
            {
                "severity": note.severity,
                "message": note.message,
                "urn": note.urn,
                "error": note.error.document if note.error else None,
            }
            for note in report.diagnostics
            if note.severity in _TOLD
        ],
        "findings": [
            {
                "kind": each.kind,
                "policy": each.policy,
                "pack": each.pack,
                "message": each.message,
                "urn": each.urn,
                "severity": each.severity,
                "before": dict(each.before),
                "after": dict(each.after),
            }
            for each in report.findings
        ],
        "policiesPassed": report.policies_passed,
        "policyPacks": dict(report.policy_packs),
        "result": report.result,
        "changes": dict(report.changes),
        "durationSeconds": report.duration_seconds,
        "isPreview": report.is_preview,
        "maybeCorrupt": report.maybe_corrupt,
        "cancelled": report.cancelled,
    }
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode(errors="replace")


def read(path: Path, project: str, stack: str) -> tuple[Report, str]:
    """The report in a file, and the name of the engine.

    Raises:
        RefusedError: it is not what `written` gives: another shape, too large, too deep, or of another stack.
    """
    if path.is_symlink():
        raise RefusedError("it is no plain file")
    try:
        found = _DOCUMENTS.validate_json(read_plain(path, MAX_BYTES), strict=True, extra="forbid")
    except OSError as error:
        raise RefusedError(str(error.strerror)) from None
    except ValidationError as error:
        raise RefusedError(_told(error)) from None
    if not _is_within(found, _MAX_DEPTH):
        raise RefusedError(f"it has values within values, more than {_MAX_DEPTH} deep")
    if not all(_is_of(step, project, stack) for step in found["steps"]):
        raise RefusedError(f"it has a step of no resource of stack {stack} of {project}")
    if any(_has_loop([step[side] for step in found["steps"]]) for side in ("old", "new")):
        raise RefusedError("it has a resource that is its own parent, by itself or by others")
    return _report(found), found["engine"]


def _has_loop(states: Iterable[_State | None]) -> bool:
    """Whether one of these is above itself."""
    parents = {state["urn"]: state.get("parent", "") for state in states if state is not None}
    ends: set[str] = {""}
    for urn in parents:
        above = list(upwards(urn, lambda each: "" if each in ends else parents.get(each, "")))
        if parents.get(above[-1], "") in above:
            return True
        ends.update(above)
    return False


def _is_of(step: _Step, project: str, stack: str) -> bool:
    """Of what was renamed, the old state has the old name."""
    try:
        urn = Urn.parse(step["urn"])
    except ValueError:
        return False
    named = (step, *(state for state in (step["old"], step["new"]) if state is not None))
    return (urn.stack, urn.project) == (stack, project) and all(type_of(each["urn"]) == each["type"] for each in named)


def _told(error: ValidationError) -> str:
    errors = error.errors(include_url=False, include_context=False, include_input=False)
    places = [f"{'.'.join(map(_key, each['loc'])) or 'the file'}: {each['msg']}" for each in errors[:_ERRORS_TOLD]]
    more = len(errors) - len(places)
    return "; ".join(places) + (f"; and {more} more" if more > 0 else "")


def _key(part: int | str) -> str:
    text = str(part)
    return text if len(text) <= 60 else f"{text[:60]}…"


def _is_within(value: Any, depth: int) -> bool:
    """Whether nothing in it lies deeper. Not by recursion, which is what is to be spared."""
    level: list[Any] = [value]
    while level and depth >= 0:
        level = [inner for outer in level for inner in _inside(outer)]
        depth -= 1
    return not level


def _inside(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        yield from cast("dict[str, Any]", value).values()
    elif isinstance(value, list):
        yield from cast("list[Any]", value)


def _step(step: Step, under: str) -> dict[str, Any]:
    differences = step.detailed_diff
    return {
        "op": step.op,
        "under": under,
        "urn": step.urn,
        "type": step.type,
        "old": _state(step.old),
        "new": _state(step.new),
        "keys": list(step.keys),
        "diffs": list(step.diffs),
        "detailedDiff": None
        if differences is None
        else {
            path: {"kind": each.get("diffKind", each.get("kind", "update")), "inputDiff": bool(each.get("inputDiff"))}
            for path, each in differences.items()
        },
        "provider": step.provider,
        "logical": step.logical,
        "status": step.status,
    }


def _state(state: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if state is None:
        return None
    return {key: state[key] for key in _State.__annotations__ if state.get(key) is not None}


def _report(found: _Document) -> Report:
    return Report(
        steps={(step["urn"], step["under"]): _step_of(step) for step in found["steps"]},
        diagnostics=[
            Diagnostic(
                each["severity"], each["message"], each["urn"], Refusal.read(each["error"]) if each["error"] else None
            )
            for each in found["messages"]
        ],
        findings=[Finding(**each) for each in found["findings"]],
        policies_passed=found["policiesPassed"],
        policy_packs=found["policyPacks"],
        result=found["result"],
        changes=found["changes"],
        duration_seconds=found["durationSeconds"],
        is_preview=found["isPreview"],
        maybe_corrupt=found["maybeCorrupt"],
        cancelled=found["cancelled"],
    )


def _step_of(step: _Step) -> Step:
    return Step(
        op=step["op"],
        urn=step["urn"],
        type=step["type"],
        old=step["old"],
        new=step["new"],
        keys=tuple(step["keys"]),
        diffs=tuple(step["diffs"]),
        detailed_diff=step["detailedDiff"],
        provider=step["provider"],
        logical=step["logical"],
        status=step["status"],
    )
