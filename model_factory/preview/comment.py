"""A review as the one comment that a stack has in a pull request, in GitHub's Markdown.

The first line is a hidden marker: `find_comment` tells by it which comment to edit in place. Nothing that a cloud, a program or a pull
request's author wrote can leave its place: names and values stand in code, messages in fences.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from itertools import takewhile
from typing import Final

from model_factory.graph.printable import printable
from model_factory.preview import costs
from model_factory.preview.changes import Change
from model_factory.preview.events import Diagnostic, FindingKind
from model_factory.preview.gfm import (
    cell,
    code,
    fence,
    fold,
    indented,
    plain_word,
    without_double_blanks,
    without_mentions,
    words,
)
from model_factory.preview.listing import NAMES_IN_LINE, Detail, arrow, diff, listing, more_of
from model_factory.preview.nodes import together
from model_factory.preview.review import (
    DRIFT_NOTE,
    NOT_EVALUATED_NOTE,
    TITLES,
    WARNINGS_SHOWN,
    Heading,
    Judgement,
    Review,
    Run,
)
from model_factory.preview.wording import count, join_first, op_of

MAX_BYTES: Final = 60_000
"""GitHub refuses comments of more than 65,536 characters; other hosts are about as strict."""
_BADGES: Final = {
    "failed": "🛑", "blocked": "🛑", "destructive": "⚠️", "caution": "🔎", "change": "✅", "same": "✅",
}  # fmt: skip
_DANGERS_SHOWN: Final = 20
_GROUPS_UNFOLDED: Final = 12
_EARLIER_RUNS: Final = 10
_MAX_MESSAGE: Final = 2_000
_MAX_LOG_BYTES: Final = 20_000
_RUN: Final = re.compile(r"<!-- run: (https://[^\s<>\"()]+) ([0-9a-f]{0,40}) ([0-9A-Z: -]{0,40}) -->")


def marker(project: str, stack: str) -> str:
    """The hidden first line of a stack's comment."""
    return f"<!-- model-factory preview: {plain_word(project)}/{plain_word(stack)} -->"


def is_comment_of(body: str, project: str, stack: str) -> bool:
    """Whether a comment is the one of this stack."""
    return body.lstrip("\ufeff").startswith(marker(project, stack))


def runs_in(body: str) -> tuple[Run, ...]:
    """The run of a comment and the runs before it, the latest first: what `Heading.earlier` of its next version takes.

    They stand under the marker. Further down a line that reads like one may be of anybody.
    """
    _, *lines = body.splitlines() or [""]
    found = takewhile(bool, map(_RUN.fullmatch, lines))
    return tuple(Run(*each.groups()) for each in found if each)[:_EARLIER_RUNS]


def markdown(review: Review, *, max_bytes: int = MAX_BYTES) -> str:
    """The comment, of at most `max_bytes` bytes. Where it would be longer, detail goes first and the verdict never; it says so."""
    text = ""
    for detail in _DETAILS:
        text = without_mentions(printable(_render(review, detail)))
        if len(text.encode()) <= max_bytes:
            return text
    room = max_bytes
    kept: list[str] = []
    for line in text.splitlines():
        room -= len(line.encode()) + 1
        if room < 0:
            break
        kept.append(line)
    return "\n".join(kept)


def without_preview(heading: Heading, why: str, said: str) -> str:
    """The comment where there is no preview to tell of: `why`, a sentence of ours, and what was said instead."""
    lines = [
        *_head(heading),
        f"### {_BADGES['failed']} `{plain_word(heading.project)}/{plain_word(heading.stack)}`: no preview",
        "",
        why,
        *fence(said.encode()[:_MAX_LOG_BYTES].decode(errors="ignore"), "text"),
    ]
    return without_mentions(printable("\n".join(lines))) + "\n"


_DETAILS: Final = (
    Detail(shortened=False),
    Detail(inputs=False),
    Detail(inputs=False, diffs=False, dangers=100),
    Detail(inputs=False, diffs=False, dangers=60, notes=20, groups=150),
    Detail(inputs=False, diffs=False, dangers=40, notes=10, groups=40, models=50),
    Detail(inputs=False, diffs=False, dangers=_DANGERS_SHOWN, notes=5, groups=0, models=20, graph=False),
    Detail(inputs=False, diffs=False, dangers=0, notes=1, groups=0, models=10, graph=False),
)


def _render(review: Review, detail: Detail) -> str:
    parts: list[Callable[[Review, Detail], Iterable[str]]] = [
        _top, _errors, _models, _nodes, _dangers, _violations, _warnings, _cost, _changes, _drift, _graph, _other_policies, _foot,
    ]  # fmt: skip
    return "\n".join(without_double_blanks(line for part in parts for line in part(review, detail))) + "\n"


def _head(heading: Heading) -> Iterable[str]:
    """What the next version of the comment is found by, and what it keeps of this one."""
    yield marker(heading.project, heading.stack)
    if heading.run_url.startswith("https://"):
        yield _run_mark(Run(heading.run_url, heading.commit, heading.time_text))
    for run in heading.earlier[: _EARLIER_RUNS - 1]:
        yield _run_mark(run)


def _top(review: Review, detail: Detail) -> Iterable[str]:
    heading, verdict = review.heading, review.verdict
    yield from _head(heading)
    yield f"### {_BADGES[verdict.level]} `{plain_word(heading.project)}/{plain_word(heading.stack)}`: {verdict.title}"
    yield ""
    yield " · ".join(_counted(op, number, words_) for op, number, words_ in review.tally) or "No resources."
    yield ""
    lines = [*(_sentence(reason) for reason in verdict.reasons)]
    if review.cost is not None:
        lines.append(f"**Cost** {costs.headline(review.cost)}.")
    if review.policy_sentence:
        lines.append(f"**Policies** {review.policy_sentence}.")
    yield from (f"- {line}" for line in lines)
    if detail.shortened:
        whole = _artifact(heading)
        yield ""
        yield f"> Shortened to fit into a comment. {whole}"
    yield ""


def _counted(op: str, number: int, told: str) -> str:
    symbol = _symbol(op)
    return f"**{symbol} {number:,} {words(told)}**" if symbol else f"{number:,} {words(told)}"


def _symbol(op: str) -> str:
    """Code hosts read `+` and `~` as marks of their own."""
    return re.sub(r"([+~])", r"\\\1", op_of(op).symbol)


def _errors(review: Review, detail: Detail) -> Iterable[str]:
    if not review.errors:
        return
    yield f"#### {_stack(review)}: errors"
    for note in review.errors[: detail.notes]:
        if note.subject:
            yield f"{code(note.subject)}:"
        yield from fence(_cut(note.message), "text")
        yield from (f"- {words(line)}" for line in (note.error.lines if note.error else ()))
    yield from more_of(len(review.errors) - detail.notes, "error")
    yield ""


def _models(review: Review, detail: Detail) -> Iterable[str]:
    if not review.models:
        return
    yield f"#### {_stack(review)}: models"
    yield ""
    yield "| model | from → to | restarts | requests lost | $/month at rest | $/month at peak |"
    yield "|---|---|---|---|--:|--:|"
    for each in review.models[: detail.models]:
        before, after = each.cost.before.usd_per_month, each.cost.after.usd_per_month
        cells = (
            f"{_symbol(each.kind)} {code(each.model)}<br>{words(each.site)}",
            "<br>".join(f"{aspect.what} {' → '.join(map(code, aspect.sides))}".lstrip() for aspect in each.aspects)
            or "the same, on new nodes",
            words(each.restarts),
            f"**{words(each.requests.told)}**" if each.requests.lost else words(each.requests.told),
            costs.went(before.idle, after.idle),
            costs.went(before.peak, after.peak),
        )
        yield f"| {' | '.join(map(cell, cells))} |"
    yield ""
    yield from more_of(len(review.models) - detail.models, "model")


def _nodes(review: Review, detail: Detail) -> Iterable[str]:
    if not review.nodes:
        return
    yield f"#### {_stack(review)}: clusters and nodes"
    yield ""
    yield "| cluster or pool | what becomes of its nodes | because |"
    yield "|---|---|---|"
    groups = together(review.nodes)
    for group in groups[: detail.models]:
        first = group[0]
        told = f"**{words(first.told)}**" if first.recycles else words(first.told)
        names = [f"{_symbol(each.kind)} {code(each.name)} {each.size.replace(' ', '&nbsp;')}".strip() for each in group]
        cells = (f"{'<br>'.join(names)}<br>{words(first.site)}", told, words(first.why))
        yield f"| {' | '.join(map(cell, cells))} |"
    yield ""
    yield from more_of(sum(map(len, groups[detail.models :])), "cluster or pool")


def _dangers(review: Review, detail: Detail) -> Iterable[str]:
    if not review.dangers:
        return
    yield f"#### {_stack(review)}: replaced and deleted"
    yield ""
    yield from (_danger(change) for change in review.dangers[:_DANGERS_SHOWN])
    yield ""
    if rest := review.dangers[_DANGERS_SHOWN : detail.dangers]:
        yield from fold(f"{len(rest):,} more", (_danger(change) for change in rest))
    left = len(review.dangers) - max(detail.dangers, _DANGERS_SHOWN)
    yield from more_of(left, "replaced or deleted resource")


def _danger(change: Change) -> str:
    """One item of a list: what, the physical id, why. A table would not have room for the ids."""
    id_ = code(change.id) if change.id else "no physical id yet"
    op = op_of(change.op)
    lost = f"<br>**Data is lost: {words(change.data)}**" if change.data else ""
    return f"- **{_symbol(change.op)} {words(op.planned)}** {words(change.short_type)} {code(change.name)}<br>{id_}<br>{_cause(change)}{lost}"


def _cause(change: Change) -> str:
    if change.op != "replace":
        why = f"gone with {code(change.component)}" if change.component else "no longer in the program"
        return f"{why}; the object itself stays" if change.stays else why
    if change.goes_with:
        return f"it goes with {code(change.goes_with)} (**the old one is deleted first**)"
    told = [
        f"{code(item.path)}: {arrow(item)}" if item.before != item.after else code(item.path)
        for item in change.because[:NAMES_IN_LINE]
    ]
    if len(change.because) > NAMES_IN_LINE:
        told.append(f"and {len(change.because) - NAMES_IN_LINE} more")
    order = "**the old one is deleted first**" if change.old_goes_first else "the new one is made first"
    return f"{'; '.join(told) or 'the provider asks for it'} ({order})"


def _violations(review: Review, detail: Detail) -> Iterable[str]:
    found = review.judged("mandatory")
    if not found:
        return
    yield f"#### {_stack(review)}: {TITLES['mandatory']}"
    yield ""
    for each in found[: max(detail.notes, 5)]:
        yield f"- {_judgement_head(each, review.heading)}"
        yield from indented(fence(_cut(each.message), "text"))
    yield from more_of(len(found) - max(detail.notes, 5), "violated policy")
    yield ""


def _other_policies(review: Review, detail: Detail) -> Iterable[str]:
    kinds: tuple[FindingKind, ...] = ("advisory", "remediated", "not evaluated")
    for kind in kinds:
        found = review.judged(kind)
        if not found:
            continue
        body: list[str] = []
        if kind == "not evaluated":
            body += [NOT_EVALUATED_NOTE, ""]
        for each in found[: detail.notes]:
            body.append(f"- {_judgement_head(each, review.heading)}")
            if kind == "advisory":
                body += indented(fence(_cut(each.message), "text"))
            elif kind == "remediated" and detail.diffs:
                body += indented(diff(each.changes))
            elif each.message and "\n" in each.message:
                body += indented(fence(_cut(each.message), "text"))
            elif each.message:
                body[-1] += f": {code(_cut(each.message))}"
        body += more_of(len(found) - detail.notes, "policy")
        number = sum(each.number for each in found)
        yield from fold(f"<b>{_stack(review)}: {TITLES[kind]}</b> ({number:,})", body)


def _judgement_head(each: Judgement, heading: Heading) -> str:
    severity = f"**{each.severity}** " if each.severity else ""
    names = join_first([code(name) for name in each.resources], NAMES_IN_LINE)
    link = heading.link_to(each.page) if each.page else ""
    return f"{severity}{code(each.policy)} on {names or 'the stack'}{each.times}{f' ([how to mend it]({link}))' if link else ''}"


def _cost(review: Review, _detail: Detail) -> Iterable[str]:
    delta = review.cost
    if delta is None:
        return
    notes: list[str] = []
    if missing := costs.missing_text(delta.missing):
        notes += ["No price, so not in the sums:", *(f"- {words(item)}" for item in missing), ""]
    if estimated := costs.estimates(delta):
        sums = delta.after.estimated.usd_per_hour
        notes += [
            f"Estimated, {costs.usd(sums.idle)}/hour of it:",
            *(f"- {words(item)}" for item in estimated),
            "",
        ]
    if delta:
        yield f"#### {_stack(review)}: cost"
        yield ""
        yield "| | " + " | ".join(costs.HEADINGS) + " |"
        yield "|---|" + "--:|" * len(costs.HEADINGS)
        for row in costs.rows(delta):
            label = {
                "total": f"**{row.label}**",
                "kind": f"of it {row.label}",
                "cloud": f"**{words(row.label)}**",
            }.get(row.part, row.label if row.label in {"shared", "idle GPUs"} else code(row.label))
            note = f" {words(row.note)}" if row.note and row.part == "owner" else ""
            yield f"| {cell(label + note)} | " + " | ".join(_amount(amount) for amount in row.amounts) + " |"
        yield ""
        yield costs.LEGEND
        yield ""
    for warning in delta.warnings:
        yield f"> {words(warning)}"
        yield ""
    if notes:
        yield from fold("What the cost leaves out or estimates", notes)


def _amount(amount: costs.Amount) -> str:
    return f"{amount.now}<br>{amount.difference}" if amount.difference else amount.now


def _changes(review: Review, detail: Detail) -> Iterable[str]:
    if not review.groups:
        return
    title = f"{_stack(review)}: changes"
    body = list(listing(review.groups, detail))
    if len(review.groups) <= _GROUPS_UNFOLDED:
        yield f"#### {title}"
        yield ""
        yield from body
        yield ""
    else:
        yield from fold(f"<b>{title}</b>", body)


def _drift(review: Review, detail: Detail) -> Iterable[str]:
    if not review.drift:
        return
    number = sum(len(group.changes) for group in review.drift)
    body = [DRIFT_NOTE, ""]
    body += listing(review.drift, detail)
    yield from fold(f"<b>{_stack(review)}: drift</b> ({count(number, 'resource')})", body)


def _graph(review: Review, detail: Detail) -> Iterable[str]:
    if review.dependents is None or not detail.graph:
        return
    yield from fold(
        f"<b>{_stack(review)}: what changes, and what depends on it</b>",
        fence(review.dependents.chart().text(), "mermaid"),
    )


def _warnings(review: Review, detail: Detail) -> Iterable[str]:
    if not review.warnings:
        return
    yield f"#### {_stack(review)}: warnings"
    yield ""
    shown, found = min(WARNINGS_SHOWN, detail.notes), review.warnings[: detail.notes]
    yield from (line for note in found[:shown] for line in _warning(note))
    yield ""
    if rest := found[shown:]:
        yield from fold(f"{len(rest):,} more", (line for note in rest for line in _warning(note)))
    yield from more_of(len(review.warnings) - len(found), "warning")


def _warning(note: Diagnostic) -> list[str]:
    subject = f"{code(note.subject)}: " if note.subject else ""
    message = _cut(note.message)
    if "\n" in message:
        return [f"- {subject}", *indented(fence(message, "text"))]
    return [f"- {subject}{words(message)}"]


def _foot(review: Review, _detail: Detail) -> Iterable[str]:
    heading = review.heading
    facts = [
        f"commit {code(heading.commit)}" if heading.commit else "",
        heading.time_text,
        f"took {review.report.duration_seconds:.0f} s" if review.report.duration_seconds else "",
        f"engine {heading.engine}" if heading.engine else "",
        f"policies {', '.join(code(pack) for pack in review.policy_packs)}" if review.policy_packs else "",
        f"[run]({heading.run_url})" if heading.run_url.startswith("https://") else "",
    ]
    yield "---"
    yield f"<sub>{' · '.join(fact for fact in facts if fact) or _stack(review)}</sub>"
    earlier = [run for run in heading.earlier if run.url != heading.run_url][: _EARLIER_RUNS - 1]
    if earlier:
        links = [
            f"[{plain_word(run.commit[:7]) or 'run'}{f' {words(run.time)}' if run.time else ''}]({run.url})"
            for run in earlier
        ]
        yield f"<sub>earlier: {' · '.join(links)}</sub>"


def _artifact(heading: Heading) -> str:
    if heading.artifact.startswith("https://"):
        return f"[The whole report]({heading.artifact})."
    return f"The whole report is {code(heading.artifact)}." if heading.artifact else "The whole is in the run's report."


def _run_mark(run: Run) -> str:
    return f"<!-- run: {run.url} {run.commit[:40]} {run.time} -->"


def _stack(review: Review) -> str:
    return plain_word(review.heading.stack)


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."


def _cut(text: str) -> str:
    return text if len(text) <= _MAX_MESSAGE else f"{text[:_MAX_MESSAGE]}…"
