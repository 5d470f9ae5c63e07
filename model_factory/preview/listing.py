"""Changes as Markdown: a line each, with its difference in a fold."""

from __future__ import annotations

import html
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from model_factory.preview.changes import Group, PropertyChange, diff_lines
from model_factory.preview.gfm import cell, code, fence, fold, html_code, html_words, words
from model_factory.preview.wording import count, join_first, op_of

NAMES_IN_LINE: Final = 3
NAMES_IN_FOLD: Final = 200
_DIFF_LINES: Final = 40
_MEMBERS_WITH_INPUTS: Final = 4
_TYPES: Final = 100


@dataclass(frozen=True, slots=True)
class Detail:
    """How much is told: by default everything."""

    inputs: bool = True
    diffs: bool = True
    graph: bool = True
    groups: int | None = None
    """How many changes have a line of their own; None for all."""
    dangers: int = NAMES_IN_FOLD
    models: int = 100
    notes: int = 50
    shortened: bool = True


def listing(groups: Sequence[Group], detail: Detail) -> Iterable[str]:
    """The changes in lines; those beyond `detail.groups` by type."""
    shown = groups[: detail.groups]
    for group in shown:
        yield from _group(group, detail)
    if rest := groups[len(shown) :]:
        yield from _by_type(rest)
        yield ""


def _by_type(groups: Sequence[Group]) -> Iterable[str]:
    counts = Counter((change.op, change.short_type) for group in groups for change in group.changes)
    yield "| | type | resources |"
    yield "|---|---|--:|"
    for (op, type_), number in counts.most_common(_TYPES):
        yield f"| {op_of(op).symbol} {words(op)} | {cell(code(type_))} | {number:,} |"
    yield from more_of(len(counts) - _TYPES, "type")


def _group(group: Group, detail: Detail) -> Iterable[str]:
    summary = _summary(group)
    body: list[str] = []
    if len(group.changes) > NAMES_IN_LINE or len(group.types) > 1:
        body += [join_first([code(change.name) for change in group.changes], NAMES_IN_FOLD), ""]
    if detail.diffs and group.properties:
        body += diff(group.properties)
    elif detail.inputs:
        for change in group.changes[:_MEMBERS_WITH_INPUTS]:
            if change.inputs:
                body += [f"{code(change.name)}:"] if len(group.changes) > 1 else []
                body += diff(change.inputs)
        left = sum(bool(change.inputs) for change in group.changes[_MEMBERS_WITH_INPUTS:])
        body += [f"{left:,} more of the same type.", ""] if left else []
    if body:
        yield from fold(summary, body)
    else:
        yield f"<div>{summary}</div>"
        yield ""


def _summary(group: Group) -> str:
    """One line of HTML, which is what a fold's summary takes."""
    number = len(group.changes)
    names = join_first([html_code(each.name) for each in group.changes], NAMES_IN_LINE)
    times = "" if number == 1 else f"{number:,} {'× ' if len(group.types) == 1 else ''}"
    failed = " <b>failed</b>" if group.first.failed else ""
    paths = join_first([html_code(item.path) for item in group.properties], NAMES_IN_LINE)
    symbol = html.escape(op_of(group.first.op).symbol)
    return f"{symbol} {times}{html_words(group.what)} {names}{failed}{f': {paths}' if paths else ''}"


def diff(changes: Sequence[PropertyChange]) -> list[str]:
    lines = [f"{mark} {text}" for mark, text in diff_lines(changes, _DIFF_LINES)]
    return fence("\n".join(lines), "diff") if lines else []


def arrow(item: PropertyChange) -> str:
    return " → ".join(code(side) if side else "nothing" for side in (item.before, item.after))


def more_of(number: int, noun: str) -> list[str]:
    """`And 3 more errors.`, after a list that is cut."""
    return [f"And {count(number, f'more {noun}')}.", ""] if number > 0 else []
