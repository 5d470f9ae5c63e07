"""A review as one HTML page: the whole, for an artifact or a browser. No script, no outside resource, light and dark.

What engines, clouds and programs wrote is escaped, and a policy of the page itself forbids scripts and requests.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from html import escape
from importlib import resources
from typing import Final

from model_factory.preview import costs
from model_factory.preview.changes import Change, Group, PropertyChange
from model_factory.preview.events import Diagnostic, FindingKind
from model_factory.preview.listing import SYMBOLS
from model_factory.preview.picture import svg
from model_factory.preview.review import Judgement, Review, count

_LABELS: Final = {
    "failed": "Failed", "blocked": "Refused", "destructive": "Replaces or deletes", "caution": "Look twice",
    "change": "Nothing is lost", "same": "No change",
}  # fmt: skip
_MEMBERS_WITH_INPUTS: Final = 25
_DIFF_LINES: Final = 400
_NAMES_IN_LINE: Final = 3
_DANGERS_SHOWN: Final = 20


def page(review: Review) -> str:
    """The page. Its size grows with the changes; identical ones are told once."""
    heading = review.heading
    name = f"{heading.project}/{heading.stack}"
    parts = (
        _top,
        _errors,
        _dangers,
        _violations,
        _cost,
        _changes,
        _drift,
        _graph,
        _policies,
        _warnings,
        _foot,
    )
    body = "".join(piece for part in parts for piece in part(review))
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        f"<title>{escape(name)}: {escape(review.verdict.title)}</title><style>{_style()}</style></head>"
        f"<body><main>{body}</main></body></html>\n"
    )


@cache
def _style() -> str:
    return resources.files("model_factory.preview").joinpath("style.css").read_text(encoding="utf-8")


def _top(review: Review) -> Iterable[str]:
    heading, verdict = review.heading, review.verdict
    yield f'<header><div class="where">Preview of {_code(f"{heading.project}/{heading.stack}")}'
    yield f" at {_code(heading.commit)}" if heading.commit else ""
    yield f" · {escape(heading.time_text)}" if heading.time_text else ""
    yield "</div>"
    yield f"<h1>{escape(verdict.title[:1].upper() + verdict.title[1:])}</h1>"
    yield f'<span class="verdict {verdict.level}">{_LABELS[verdict.level]}</span>'
    yield '<ul class="tally">'
    for op, number, words in review.tally:
        text = words.partition(" ")[2]
        yield f'<li class="{escape(op)}"><b>{escape(SYMBOLS.get(op, ""))} {number:,}</b> {escape(text)}</li>'
    yield "</ul>"
    reasons = [f"{escape(reason[:1].upper() + reason[1:])}." for reason in verdict.reasons]
    if review.cost is not None:
        reasons.append(f"<b>Cost</b> {escape(costs.headline(review.cost))}.")
    if review.policies_passed or review.policy_packs:
        packs = f" of {escape(', '.join(review.policy_packs))}" if review.policy_packs else ""
        reasons.append(f"<b>Policies</b> {count(review.policies_passed, 'check')} passed{packs}.")
    yield f'<ul class="reasons">{"".join(f"<li>{reason}</li>" for reason in reasons)}</ul></header>'


def _section(review: Review, title: str, body: Iterable[str], *, grave: bool = False) -> str:
    mark = ' class="grave"' if grave else ""
    stack = f'<span class="stack">{escape(review.heading.stack)}:</span>'
    return f"<section{mark}><h2>{stack} {escape(title)}</h2>{''.join(body)}</section>"


def _errors(review: Review) -> Iterable[str]:
    if review.errors:
        yield _section(review, "errors", (_note(note) for note in review.errors), grave=True)


def _warnings(review: Review) -> Iterable[str]:
    if review.warnings:
        yield _section(review, "warnings", (_note(note) for note in review.warnings))


def _note(note: Diagnostic) -> str:
    where = f"{_code(note.urn.rsplit('::', 1)[-1])} " if note.urn else ""
    return f'{where}<pre class="text">{escape(note.message)}</pre>'


def _dangers(review: Review) -> Iterable[str]:
    if not review.dangers:
        return
    body = [_danger_table(review.dangers[:_DANGERS_SHOWN])]
    if rest := review.dangers[_DANGERS_SHOWN:]:
        body.append(_fold(f"{len(rest):,} more", _danger_table(rest)))
    yield _section(review, "replaced and deleted", body, grave=True)


def _danger_table(changes: Sequence[Change]) -> str:
    rows = "".join(_danger(change) for change in changes)
    head = '<tr><th></th><th>resource</th><th>physical id</th><th class="because">because</th></tr>'
    return f'<div class="wide"><table class="dangers">{head}{rows}</table></div>'


def _danger(change: Change) -> str:
    what = "replace" if change.op == "replace" else "forget" if change.op == "discard" else "delete"
    return (
        f'<tr><td class="op {change.op}">{SYMBOLS[change.op]} {what}</td>'
        f"<td>{_code(change.name)}<small>{escape(change.short_type)}</small></td>"
        f'<td class="id">{_code(change.id) if change.id else "none yet"}</td><td>{_cause(change)}</td></tr>'
    )


def _cause(change: Change) -> str:
    if change.op != "replace":
        why = f"gone with {_code(change.component)}" if change.component else "no longer in the program"
        return f"{why}; the object itself stays" if change.stays else why
    forcing = change.forcing or tuple(PropertyChange(key, "update", forces=True) for key in change.keys)
    told: list[str] = []
    for item in forcing:
        sides = " → ".join(_code(side) if side else "nothing" for side in (item.before, item.after))
        told.append(f"{_code(item.path)}: {sides}" if item.before or item.after else _code(item.path))
    order = "<b>the old one is deleted first</b>" if change.old_goes_first else "the new one is made first"
    return f"{'<br>'.join(told) or 'the provider asks for it'}<small>{order}</small>"


def _violations(review: Review) -> Iterable[str]:
    if found := review.judged("mandatory"):
        yield _section(
            review, "mandatory policies violated", (_judgement(each) for each in found), grave=True
        )


def _policies(review: Review) -> Iterable[str]:
    titles: tuple[tuple[FindingKind, str], ...] = (
        ("advisory", "advisory policies violated"),
        ("remediated", "remediated by policies"),
        ("not evaluated", "policies not evaluated"),
    )
    for kind, title in titles:
        if found := review.judged(kind):
            note = (
                '<p class="soft">What these check is known only during up, where they run again. None of them has passed.</p>'
                if kind == "not evaluated"
                else ""
            )
            yield _section(review, title, [note, *(_judgement(each) for each in found)])


def _judgement(each: Judgement) -> str:
    severity = (
        f'<span class="severity {escape(each.severity)}">{escape(each.severity)}</span> '
        if each.severity
        else ""
    )
    where = (
        f'<div class="names">{"".join(_code(name) for name in each.resources)}</div>'
        if each.resources
        else ""
    )
    message = f'<pre class="text">{escape(each.message)}</pre>' if each.message else ""
    return f'<div class="finding">{severity}{_code(each.policy)}{where}{message}{_diff(each.changes)}</div>'


def _cost(review: Review) -> Iterable[str]:
    delta = review.cost
    if delta is None:
        return
    body: list[str] = []
    if delta:
        head = "".join(f'<th class="n">{escape(title)}</th>' for title in costs.HEADINGS)
        body.append(f'<div class="wide"><table><tr><th></th>{head}</tr>')
        for row in costs.rows(delta):
            note = f"<small>{escape(row.note)}</small>" if row.note else ""
            label = "of it " + row.label if row.part == "kind" else row.label
            cells = "".join(_amount(amount) for amount in row.amounts)
            body.append(f'<tr class="{row.part}"><td>{escape(label)}{note}</td>{cells}</tr>')
        body.append(
            '</table></div><p class="soft">After the change, and below by how much that is more or less. '
            "GPU nodes count at each model's least and most replicas.</p>"
        )
    else:
        body.append(f"<p>{escape(costs.headline(delta))}</p>")
    body.extend(f'<p class="medium">{escape(warning)}</p>' for warning in delta.warnings)
    notes: list[str] = []
    if missing := costs.missing_text(delta.missing):
        items = "".join(f"<li>{escape(item)}</li>" for item in missing)
        notes.append(f'<p>No price, so not in the sums:</p><ul class="plain">{items}</ul>')
    if estimated := costs.estimates(delta):
        items = "".join(f"<li>{escape(item)}</li>" for item in estimated)
        sum_ = costs.usd(delta.after.estimated.usd_per_hour.idle)
        notes.append(f'<p>Estimated, {escape(sum_)}/hour of it:</p><ul class="plain">{items}</ul>')
    if notes:
        body.append(_fold("What the cost leaves out or estimates", "".join(notes)))
    yield _section(review, "cost", body)


def _amount(amount: costs.Amount) -> str:
    tone = "more" if amount.more else "less"
    if amount.difference:
        return f'<td class="n">{escape(amount.now)}<small class="{tone}">{escape(amount.difference)}</small></td>'
    return f'<td class="n{" more" if amount.more else ""}">{escape(amount.now)}</td>'


def _changes(review: Review) -> Iterable[str]:
    if review.groups:
        yield _section(review, "changes", (_group(group) for group in review.groups))


def _drift(review: Review) -> Iterable[str]:
    if review.drift:
        note = (
            '<p class="soft">Found in the clouds and not in the state. It was there before this change.</p>'
        )
        yield _section(review, "drift", [note, *(_group(group) for group in review.drift)])


def _group(group: Group) -> str:
    first = group.first
    body: list[str] = []
    if len(group.changes) > _NAMES_IN_LINE or len(group.types) > 1:
        body.append(f'<div class="names">{"".join(_code(change.name) for change in group.changes)}</div>')
    if group.properties:
        body.append(_diff(group.properties))
    else:
        for change in group.changes[:_MEMBERS_WITH_INPUTS]:
            if change.inputs:
                body.append(_code(change.name) if len(group.changes) > 1 else "")
                body.append(_diff(change.inputs))
        if left := sum(bool(change.inputs) for change in group.changes[_MEMBERS_WITH_INPUTS:]):
            body.append(f"<p>{left:,} more of the same type.</p>")
    line = f'<b class="{escape(first.op)}">{escape(SYMBOLS.get(first.op, "?"))}</b> {_line(group)}'
    if not body:
        return f'<div class="line">{line}</div>'
    return _fold(line, "".join(body))


def _fold(summary: str, body: str) -> str:
    return f'<details><summary>{summary}</summary><div class="in">{body}</div></details>'


def _line(group: Group) -> str:
    first, types = group.first, group.types
    number = len(group.changes)
    if number == 1:
        who = f"{escape(types[0])} {_code(first.name)}"
    else:
        what = (
            f"× {types[0]}"
            if len(types) == 1
            else "components"
            if group.of_components
            else f"resources of {len(types)} types"
        )
        names = ", ".join(_code(change.name) for change in group.changes[:_NAMES_IN_LINE])
        more = f" and {number - _NAMES_IN_LINE:,} more" if number > _NAMES_IN_LINE else ""
        who = f'{number:,} {escape(what)} <span class="soft">{names}{more}</span>'
    paths = [_code(item.path) for item in group.properties]
    told = f": {', '.join(paths[:_NAMES_IN_LINE])}" if paths else ""
    told += f" and {len(paths) - _NAMES_IN_LINE} more" if len(paths) > _NAMES_IN_LINE else ""
    return f'{who}{" <b>failed</b>" if first.failed else ""}<span class="soft">{told}</span>'


def _diff(changes: Sequence[PropertyChange]) -> str:
    if not changes:
        return ""
    lines: list[str] = []
    for item in changes[:_DIFF_LINES]:
        forced = "  # forces replacement" if item.forces else ""
        if item.kind == "update" and item.before == item.after:
            lines.append(f"<span>! {escape(f'{item.path}: {item.after}{forced}')}</span>")
            continue
        if item.kind != "add":
            lines.append(f'<span class="del">- {escape(f"{item.path}: {item.before}{forced}")}</span>')
        if item.kind != "delete":
            last = forced if item.kind == "add" else ""
            lines.append(f'<span class="add">+ {escape(f"{item.path}: {item.after}{last}")}</span>')
    if len(changes) > _DIFF_LINES:
        lines.append(f"<span># and {len(changes) - _DIFF_LINES} more properties</span>")
    return f"<pre>{''.join(lines)}</pre>"


def _graph(review: Review) -> Iterable[str]:
    if review.graph is not None:
        yield _section(
            review, "what changes, and what depends on it", [f'<div class="wide">{svg(review.graph)}</div>']
        )


def _foot(review: Review) -> Iterable[str]:
    heading = review.heading
    facts = [
        f"took {review.duration_seconds:.0f} s" if review.duration_seconds else "",
        f"engine {escape(heading.engine)}" if heading.engine else "",
        f'<a href="{escape(heading.run_url)}">run</a>' if heading.run_url.startswith("https://") else "",
    ]
    yield f"<footer>{' · '.join(fact for fact in facts if fact)}</footer>"


def _code(text: str) -> str:
    return f"<code>{escape(text)}</code>"
