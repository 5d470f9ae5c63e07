"""A preview judged: verdict and tally, what is dangerous, what it costs, what policies said, what changes, what has drifted.

One value, which terminal, comment and page render. It reads a report of engine events, which is masked, and the cost that the
caller gives.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import takewhile
from typing import Final, Literal

from model_factory.cost.values import Delta
from model_factory.graph.masking import name_unknowns
from model_factory.graph.urn import name_of, type_of
from model_factory.preview.changes import (
    Change,
    Group,
    PropertyChange,
    change_of,
    changes_of,
    dangers,
    grouped,
    in_order,
    leaves,
)
from model_factory.preview.dependents import Dependents, dependents_of
from model_factory.preview.events import REPLACE_PARTS, Diagnostic, FindingKind, Report
from model_factory.preview.models import ModelChange, model_changes
from model_factory.preview.nodes import NodesChange, nodes_changes
from model_factory.preview.wording import count, op_of, short_type

Level = Literal["failed", "blocked", "destructive", "caution", "change", "same"]

_SEVERITIES: Final = ("critical", "high", "medium", "low", "")
# What engines close a failed run with, after having said why.
_SAYS_NOTHING: Final = frozenset({"preview failed", "update failed"})
_TALLY: Final = ("create", "update", "replace", "delete", "import", "discard", "same")
TITLES: Final[Mapping[FindingKind, str]] = {
    "mandatory": "mandatory policies violated",
    "advisory": "advisory policies violated",
    "remediated": "remediated by policies",
    "not evaluated": "policies not evaluated",
}
_COUNTED: Final[Mapping[FindingKind, str]] = {
    "mandatory": "violated (mandatory)",
    "advisory": "violated (advisory)",
    "remediated": "remediated",
    "not evaluated": "not evaluated",
}
NOT_EVALUATED_NOTE: Final = "What these check is known only during up, where they run again. None of them has passed."
_COMMIT: Final = re.compile(r"[0-9a-f]{7,40}")
_PAGE: Final = re.compile(r"docs/policies\.md#[a-z0-9-]+")
_RUN_OF_REPOSITORY: Final = re.compile(r"(https://[^/\s]+/[\w.-]+/[\w.-]+)/actions/runs/[0-9]+")
WARNINGS_SHOWN: Final = 5
"""How many stand outside a fold."""
DRIFT_NOTE: Final = "Found in the clouds and not in the state. It was there before this change."


@dataclass(frozen=True, slots=True)
class Run:
    """Where a preview ran: a link that a reader may follow."""

    url: str
    commit: str = ""
    time: str = ""


@dataclass(frozen=True, slots=True)
class Heading:
    """What only the caller knows. `artifact` is a link to, or the name of, the whole report; `earlier` are runs before this one;
    `destroys`: it is the preview of a destroy."""

    project: str
    stack: str
    commit: str = ""
    time: datetime | None = None
    run_url: str = ""
    artifact: str = ""
    engine: str = ""
    earlier: tuple[Run, ...] = ()
    destroys: bool = False

    @property
    def time_text(self) -> str:
        """To the minute, with its zone."""
        return "" if self.time is None else self.time.strftime("%Y-%m-%d %H:%M %Z").strip()

    def link_to(self, path: str) -> str:
        """A file of the repository at the commit, as the host of the run shows it; empty where the run does not tell the repository."""
        repository = _RUN_OF_REPOSITORY.fullmatch(self.run_url)
        return f"{repository[1]}/blob/{self.commit}/{path}" if repository and _COMMIT.fullmatch(self.commit) else ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """`title` says it in a few words; `reasons` say why, a sentence each."""

    level: Level
    title: str
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Judgement:
    """One policy and all resources of which it says the same. `changes` are of a remediation."""

    kind: FindingKind
    policy: str
    pack: str
    severity: str
    message: str
    resources: tuple[str, ...]
    types: tuple[str, ...] = ()
    """Short types of the resources, each once."""
    number: int = 1
    """How often it was said: of one resource perhaps more than once."""
    changes: tuple[PropertyChange, ...] = ()

    @property
    def times(self) -> str:
        """` (10 times)` where it was said more often than of each resource once: with it, all counts add up."""
        return f" ({self.number:,} times)" if self.number > max(len(self.resources), 1) else ""

    @property
    def page(self) -> str:
        """`docs/policies.md#<policy>`, where the policy says that it is explained there."""
        found = _PAGE.search(self.message.rpartition("\n")[2])
        return found[0] if found else ""

    @property
    def remedy(self) -> str:
        """What to do about it, where the policy's last line says that."""
        return self.message.rpartition("\n")[2] if self.page else ""


@dataclass(frozen=True, slots=True)
class Review:
    """All that a reviewer is shown."""

    heading: Heading
    report: Report
    verdict: Verdict
    tally: tuple[tuple[str, int, str], ...]
    """(operation, how many, in words)."""
    models: tuple[ModelChange, ...]
    nodes: tuple[NodesChange, ...]
    """Clusters and pools."""
    effects: tuple[str, ...]
    """How many models restart or stop, and of how many pools nodes are replaced: a sentence each, as in the verdict."""
    dangers: tuple[Change, ...]
    groups: tuple[Group, ...]
    drift: tuple[Group, ...]
    judgements: tuple[Judgement, ...]
    cost: Delta | None
    """None where none was given, and as there are no models then, where the preview failed."""
    dependents: Dependents | None
    errors: tuple[Diagnostic, ...]
    warnings: tuple[Diagnostic, ...]
    """Each once, those of the stack as a whole first: what the plan says of the change is among them."""

    def judged(self, kind: FindingKind) -> tuple[Judgement, ...]:
        """The judgements of one kind, the most severe first."""
        return tuple(each for each in self.judgements if each.kind == kind)

    @property
    def policy_packs(self) -> tuple[str, ...]:
        """Names and versions."""
        # The CLI says of a pack on disk where it lies: `name|local|folder`.
        packs = sorted(self.report.policy_packs.items())
        return tuple(f"{name.partition('|')[0]} {version}".strip() for name, version in packs)

    @property
    def policy_sentence(self) -> str:
        """How often policies said what, and of how many resources, in words; empty where none was asked."""
        parts = [
            f"{number:,} {word}{self._at(kind, number)}"
            for kind, word in _COUNTED.items()
            if (number := sum(each.number for each in self.judged(kind)))
        ]
        if self.report.policies_passed:
            parts.append(f"{self.report.policies_passed:,} passed")
        return ", ".join(parts) or ("nothing to say" if self.policy_packs else "")

    def _at(self, kind: FindingKind, number: int) -> str:
        urns = {finding.urn for finding in self.report.findings if finding.kind == kind}
        return f" at {count(len(urns), 'resource')}" if len(urns) < number else ""


def review_of(report: Report, heading: Heading, *, cost: Delta | None = None) -> Review:
    """Judge what an operation said. For the verdict it is a finished preview."""
    changes = changes_of(report)
    drift = grouped(in_order(change_of(step) for step in report.drift))
    judgements = tuple(_judgements(report))
    found = dangers(changes)
    errors, tally = tuple(_notes(report, "error")), _tally(report)
    if len(errors) > 1 or any(each.kind == "mandatory" for each in judgements):
        errors = tuple(note for note in errors if note.message not in _SAYS_NOTHING)
    nodes = nodes_changes(report, changes)
    models = model_changes(report, nodes, cost)
    effects = _effects(models, nodes)
    verdict = _verdict(report, tally, found, judgements, drift, errors, effects)
    # What failed in the middle has told of a part, and a part of a bill is no bill.
    whole = verdict.level != "failed"
    return Review(
        heading=heading,
        report=report,
        verdict=_destroying(heading, verdict),
        tally=tally,
        models=models if whole else (),
        nodes=nodes if whole else (),
        effects=effects.told if whole else (),
        dangers=tuple(found),
        groups=tuple(grouped(changes)),
        drift=tuple(drift),
        judgements=judgements,
        cost=cost if whole else None,
        dependents=dependents_of(report),
        errors=errors,
        warnings=tuple(sorted(dict.fromkeys(_notes(report, "warning")), key=lambda note: bool(note.subject))),
    )


def _destroying(heading: Heading, verdict: Verdict) -> Verdict:
    return replace(verdict, title=f"destroy: {verdict.title}") if heading.destroys else verdict


def _verdict(
    report: Report,
    tally: tuple[tuple[str, int, str], ...],
    found: list[Change],
    judgements: tuple[Judgement, ...],
    drift: list[Group],
    errors: tuple[Diagnostic, ...],
    effects: _Effects,
) -> Verdict:
    violated = sum(each.number for each in judgements if each.kind == "mandatory")
    advised = sum(each.number for each in judgements if each.kind == "advisory")
    unknown = sum(each.number for each in judgements if each.kind == "not evaluated")
    drifted = sum(len(group.changes) for group in drift)
    reasons: list[str] = []
    if losing := sum(bool(change.data) for change in found):
        reasons.append(f"data is lost with {count(losing, 'resource')}")
    if unknown:
        reasons.append(f"{count(unknown, 'policy check')} could not be evaluated before up")
    if drifted:
        reasons.append(f"{count(drifted, 'resource')} differ from the state: changed outside")
    what = ", ".join(_counts(tally, in_place=not effects.rolls)) or "nothing changes"
    if violated:
        title = f"{count(violated, 'mandatory policy violation')}: up is refused"
        return Verdict("blocked", title, (what, *effects.told, *reasons))
    if errors or report.failed or report.result == "failed":
        named = [step.name for step in report.failed]
        why = f"{count(len(named), 'resource')} failed" if named else "see the errors"
        return Verdict("failed", "the preview failed", (why, *reasons))
    if advised:
        reasons.insert(0, f"{count(advised, 'advisory policy violation')}")
    if found:
        return Verdict("destructive", what, (*effects.told, *reasons))
    if what == "nothing changes":
        return Verdict("caution" if advised or drifted else "same", "nothing changes", tuple(reasons))
    told = effects.told or ("nothing is replaced or deleted",)
    return Verdict("caution" if advised or drifted or effects.is_grave else "change", what, (*told, *reasons))


@dataclass(frozen=True, slots=True)
class _Effects:
    """What a change does that no count of resources tells."""

    told: tuple[str, ...]
    loses: bool
    """Whether requests may be lost."""
    rolls: bool
    """Whether nodes go of pools that stay."""

    @property
    def is_grave(self) -> bool:
        return self.loses or self.rolls


def _effects(models: tuple[ModelChange, ...], nodes: tuple[NodesChange, ...]) -> _Effects:
    restarting = [each for each in models if each.is_restarted]
    stopping = sum(each.after is None for each in models)
    losing = sum(each.requests.lost for each in restarting)
    rolled = sum(each.recycles and each.kind == "update" for each in nodes)
    told: list[str] = []
    if restarting:
        some = f" of {losing:,}" if losing < len(restarting) else ""
        lost = f"requests{some} may be lost" if losing else "no requests are lost"
        told.append(f"{count(len(restarting), 'model')} restart{'s' if len(restarting) == 1 else ''}, {lost}")
    if stopping:
        told.append(f"{count(stopping, 'model')} stop{'s' if stopping == 1 else ''}")
    if rolled:
        told.append(f"the nodes of {count(rolled, 'pool')} are replaced one after another")
    return _Effects(tuple(told), bool(losing), bool(rolled))


def _counts(tally: tuple[tuple[str, int, str], ...], *, in_place: bool) -> Iterator[str]:
    """The tally without what stays, the gravest first: every output has the same numbers, which are the engine's. A pool that is updated
    and whose nodes go is nothing that is changed in place."""
    counts = {op: number for op, number, _ in tally}
    for op in ("delete", "discard", "replace", "update", "create", "import"):
        if counts.get(op):
            yield f"{counts[op]:,} {op_of(op).done}{' in place' if op == 'update' and in_place else ''}"


def _tally(report: Report) -> tuple[tuple[str, int, str], ...]:
    counts = Counter({op: number for op, number in report.changes.items() if op not in REPLACE_PARTS})
    if not counts:
        counts = Counter(step.op for step in report.steps.values() if step.op not in REPLACE_PARTS)
    ops = [*_TALLY, *sorted(set(counts) - set(_TALLY) - {"read", "refresh"})]
    return tuple(
        (op, counts[op], op_of(op).done if report.changes and not report.is_preview else op_of(op).to_do)
        for op in ops
        if counts[op]
    )


def _judgements(report: Report) -> Iterable[Judgement]:
    together: dict[Judgement, list[tuple[str, str, str]]] = {}
    for finding in report.findings:
        message = name_unknowns(finding.message)
        key = Judgement(
            finding.kind,
            finding.policy,
            finding.pack,
            finding.severity if finding.severity in _SEVERITIES else "",
            "",
            (),
            changes=tuple(leaves((), finding.before, finding.after)) if finding.kind == "remediated" else (),
        )
        together.setdefault(key, []).append((name_of(finding.urn), message, short_type(type_of(finding.urn))))
    return sorted(
        (
            replace(
                key,
                message=_said([(name, message) for name, message, _ in told]),
                resources=tuple(sorted({name for name, _, _ in told if name})),
                types=tuple(sorted({type_ for _, _, type_ in told if type_})),
                number=len(told),
            )
            for key, told in together.items()
        ),
        key=lambda each: (_SEVERITIES.index(each.severity), each.policy),
    )


def _said(told: list[tuple[str, str]]) -> str:
    """What a policy says of all its resources: the lines that all begin and end with once, the others with their resource."""
    messages = list(dict.fromkeys(message for _, message in told))
    if len(messages) == 1:
        return messages[0]
    all_lines = [text.splitlines() for text in messages]
    first = _same(all_lines)
    last = _same([lines[len(first) :][::-1] for lines in all_lines])[::-1]
    own: list[str] = []
    for name, message in sorted(told):
        lines = message.splitlines()
        rest = " ".join(lines[len(first) : len(lines) - len(last)])
        own.append(f"{name}: {rest}" if name and rest else rest or name)
    return "\n".join([*first, *dict.fromkeys(own), *last])


def _same(lines: list[list[str]]) -> list[str]:
    """What all begin with."""
    return [each[0] for each in takewhile(lambda row: len(set(row)) == 1, zip(*lines, strict=False))]


def _notes(report: Report, severity: str) -> Iterator[Diagnostic]:
    for note in report.diagnostics:
        if note.severity == severity:
            yield replace(note, message=name_unknowns(note.message))
