"""Changes as Markdown: a line each, with its difference in a fold."""

from __future__ import annotations

import html
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from model_factory.preview.changes import Group, PropertyChange
from model_factory.preview.gfm import cell, code, fence, fold
from model_factory.preview.review import count

SYMBOLS: Final = {
    "create": "+", "update": "~", "replace": "±", "create-replacement": "±", "delete": "−", "import": "=", "discard": "○",
}  # fmt: skip
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
        yield f"| {SYMBOLS.get(op, '?')} {op} | {cell(code(type_))} | {number:,} |"
    yield from more_of(len(counts) - _TYPES, "type")


def _group(group: Group, detail: Detail) -> Iterable[str]:
    summary = _summary(group)
    body: list[str] = []
    if len(group.changes) > 1:
        names = [code(change.name) for change in group.changes[:NAMES_IN_FOLD]]
        if len(group.changes) > NAMES_IN_LINE or len(group.types) > 1:
            more = len(group.changes) - len(names)
            body += [", ".join(names) + (f" and {more:,} more" if more > 0 else ""), ""]
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
    first = group.first
    symbol = html.escape(SYMBOLS.get(first.op, "?"))
    types = group.types
    what = (
        html.escape(types[0])
        if len(types) == 1
        else "components"
        if group.of_components
        else f"resources of {len(types)} types"
    )
    failed = " <b>failed</b>" if first.failed else ""
    if len(group.changes) == 1:
        who = f"{what} <code>{html.escape(first.name)}</code>"
    else:
        names = ", ".join(f"<code>{html.escape(each.name)}</code>" for each in group.changes[:NAMES_IN_LINE])
        more = len(group.changes) - NAMES_IN_LINE
        times = "×" if len(types) == 1 else ""
        who = f"{len(group.changes):,} {times} {what} {names}{f' and {more:,} more' if more > 0 else ''}"
    paths = [item.path for item in group.properties]
    told = ", ".join(f"<code>{html.escape(path)}</code>" for path in paths[:NAMES_IN_LINE])
    more = f" and {len(paths) - NAMES_IN_LINE} more" if len(paths) > NAMES_IN_LINE else ""
    return f"{symbol} {who}{failed}{f': {told}{more}' if paths else ''}"


def diff(changes: Sequence[PropertyChange]) -> list[str]:
    if not changes:
        return []
    lines: list[str] = []
    for item in changes[:_DIFF_LINES]:
        forced = "  # forces replacement" if item.forces else ""
        if item.kind == "update" and item.before == item.after:
            lines.append(f"! {item.path}: {item.after}{forced}")
            continue
        if item.kind != "add":
            lines.append(f"- {item.path}: {item.before}{forced}")
        if item.kind != "delete":
            lines.append(f"+ {item.path}: {item.after}{forced if item.kind == 'add' else ''}")
    if len(changes) > _DIFF_LINES:
        lines.append(f"# and {len(changes) - _DIFF_LINES} more properties")
    return fence("\n".join(lines), "diff")


def arrow(item: PropertyChange) -> str:
    return " → ".join(code(side) if side else "nothing" for side in (item.before, item.after))


def more_of(number: int, noun: str) -> list[str]:
    return (
        [
            f"And {count(number, noun)} more.".replace(f"{number:,} ", f"{number:,} more ").replace(
                " more.", "."
            ),
            "",
        ]
        if number > 0
        else []
    )
