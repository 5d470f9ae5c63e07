"""A review on a terminal: the tree of what changes and why, messages, tally, and what policies said.

Renders to a rich console given by the caller; decides nothing and reads no state.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Final

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from model_factory.graph.masking import name_unknowns
from model_factory.graph.urn import STACK_TYPE, type_of
from model_factory.preview import costs
from model_factory.preview.changes import PropertyChange, differences, is_noted
from model_factory.preview.events import Diagnostic, FindingKind, Report, Severity, Step
from model_factory.preview.nodes import together
from model_factory.preview.review import NOT_EVALUATED_NOTE, Judgement, Review
from model_factory.preview.wording import Tone, count, folded, join_first, op_of, short_type

STYLES: Final[Mapping[Tone, str]] = {
    "create": "green",
    "update": "yellow",
    "replace": "magenta",
    "delete": "red",
    "same": "dim",
}
_FINDING_STYLES: Final[Mapping[FindingKind, str]] = {
    "mandatory": "bold red",
    "advisory": "yellow",
    "remediated": "cyan",
    "not evaluated": "magenta",
}
_NOTE_STYLES: Final[Mapping[Severity, str]] = {"warning": "yellow", "error": "bold red"}
_DIFF_STYLES: Final = {"add": "green", "delete": "red", "update": "yellow"}
_MAX_PATHS_ON_A_LINE: Final = 4
_MAX_NAMES: Final = 3
_ASPECT_WIDTH: Final = 18


def print_review(
    console: Console,
    review: Review,
    *,
    show_diff: bool = False,
    show_same: bool = False,
    show_models: bool = False,
    told: Collection[Diagnostic] = (),
) -> None:
    """All of a finished operation, but for warnings that the reader was `told` before. `show_models`: what it does to each model, to the
    data that objects hold, and to the cost."""
    tree = _tree(review.report, show_diff=show_diff, show_same=show_same)
    if tree is not None:
        console.print(tree)
        console.print()
    _print_notes(console, review.report, told)
    if show_models:
        _print_models(console, review)
        _print_nodes(console, review)
    console.print(_tally(review))
    if show_models:
        if review.effects:
            console.print(Text("; ".join(review.effects)), soft_wrap=True)
        _print_losses(console, review)
    _print_judgements(console, review)


def print_messages(console: Console, review: Review) -> None:
    """What was said, without what was done: beside JSON, which has the rest."""
    _print_notes(console, review.report)
    _print_judgements(console, review)


def print_warnings(console: Console, review: Review, told: Collection[Diagnostic] = ()) -> None:
    """The warnings alone, but for those that the reader was `told` before."""
    others = [note for note in review.report.diagnostics if note.severity != "warning"]
    _print_notes(console, review.report, [*told, *others])


def _step_text(step: Step) -> Text:
    """One step on one line: symbol, type, name, and for a change what causes it."""
    op = op_of(step.op)
    verb = {
        "planned": op.planned,
        "running": f"{op.planned} not finished",
        "done": op.done,
        "failed": f"{op.planned} failed",
    }[step.status]
    text = Text.assemble(
        (f"{op.symbol:<2} ", STYLES[op.tone]),
        (short_type(step.type), "bold" if step.type == STACK_TYPE else ""),
        " ",
        (step.name, "cyan"),
        " ",
    )
    text.append(verb, "bold red" if step.status == "failed" else STYLES[op.tone])
    if cause := _cause(step):
        text.append(f"  [{cause}]", "dim")
    return text


def _cause(step: Step) -> str:
    """The properties behind an update or replacement, in short."""
    paths = step.keys or tuple(step.detailed_diff or ()) or step.diffs
    paths = [path for path in paths if not is_noted(path)] or paths
    if step.op not in {"update", "replace"} or not paths:
        return ""
    return f"{'forced by' if step.keys else 'diff'}: {join_first(paths, _MAX_PATHS_ON_A_LINE)}"


def _tree(report: Report, *, show_diff: bool, show_same: bool) -> Tree | None:
    """The changed resources under their parents, so that no change hangs in the air; None where nothing changes."""
    known = {step.urn: step for step in report.steps.values()}
    listed: dict[str, list[Step]] = {}
    for step in report.steps.values() if show_same else report.changed:
        if step.type != STACK_TYPE or step.is_change:
            listed.setdefault(step.urn, []).append(step)
    if not listed:
        return None
    children: dict[str, dict[str, None]] = {}
    for urn in listed:
        child = urn
        while child:
            parent = known[child].parent if known[child].parent in known else ""
            siblings = children.setdefault(parent, {})
            if child in siblings:
                break
            siblings[child] = None
            child = parent

    def grow(branch: Tree, urns: Iterable[str]) -> None:
        for urn in urns:
            lines: list[RenderableType] = []
            for step in listed.get(urn, ()):
                lines.append(_step_text(step))
                lines.extend(_diff_line(item) for item in (differences(step) if show_diff else ()))
            if not lines:
                lines.append(Text(f"   {short_type(known[urn].type)} {known[urn].name}", "dim"))
            grow(branch.add(Group(*lines) if len(lines) > 1 else lines[0]), children.get(urn, ()))

    top = Tree("", hide_root=True)
    grow(top, children[""])
    return top


def _diff_line(item: PropertyChange) -> Text:
    """A property's path, its old value, its new value."""
    values = " → ".join(side for side in (item.before, item.after) if side)
    forced = "  (forces replacement)" if item.forces else ""
    return Text.assemble("     ", (item.path, _DIFF_STYLES[item.kind]), ": ", values, (forced, "magenta"))


def _tally(review: Review) -> Text:
    """How many resources were or will be created, updated, replaced, deleted; how many stay."""
    parts = [
        Text(f"{op_of(op).symbol} {number} {words}".strip(), STYLES[op_of(op).tone])
        for op, number, words in review.tally
    ]
    return Text("  ").join(parts) if parts else Text("nothing to do")


def _print_notes(console: Console, report: Report, told: Collection[Diagnostic] = ()) -> None:
    """Each message after what it is and the resource that it is about, a warning once."""
    seen = set(told)
    notes: list[Diagnostic] = []
    for note in report.diagnostics:
        if note not in seen:
            notes.append(note)
        if note.severity == "warning":
            seen.add(note)
    for note in notes:
        style = _NOTE_STYLES.get(note.severity)
        label = f"{note.severity}: " if style else ""
        where = f"{short_type(type_of(note.urn))} {note.subject}: " if note.subject else ""
        text = Text.assemble((label, style or ""), (where, "cyan"), name_unknowns(note.message))
        console.print(text, soft_wrap=True)
        for line in note.error.lines if note.error else ():
            console.print(Text(f"  {line}"), soft_wrap=True)
    if notes:
        console.print()


def _print_models(console: Console, review: Review) -> None:
    """Each model that changes, under one another: this fits any width."""
    for each in review.models:
        op = op_of(each.kind)
        head = Text.assemble((f"{op.symbol:<2} ", STYLES[op.tone]), (each.model, "bold"), (f" {each.site}", "cyan"))
        console.print(head)
        before, after = each.cost.before.usd_per_month, each.cost.after.usd_per_month
        rows: list[tuple[str, Text]] = [
            *((aspect.what, Text(" → ".join(aspect.sides))) for aspect in each.aspects),
            ("restarts", Text(each.restarts)),
            ("requests lost", Text(each.requests.told, "bold red" if each.requests.lost else "")),
            ("a month at rest", Text(costs.went(before.idle, after.idle))),
            ("a month at peak", Text(costs.went(before.peak, after.peak))),
        ]
        console.print(_aspects(rows))
    if review.models:
        console.print()


def _print_nodes(console: Console, review: Review) -> None:
    """Clusters and pools, each with what becomes of its nodes; below those of which the same is said, once, why."""
    for group in together(review.nodes):
        first = group[0]
        op = op_of(first.kind)
        for each in group:
            name = Text.assemble((f"{op.symbol:<2} ", STYLES[op.tone]), (each.name, "bold"))
            name.append(f" {first.site}", "cyan").append(f" {each.size}".rstrip()).append(": ")
            console.print(name.append(each.told, "bold red" if each.recycles else ""))
        if first.why:
            console.print(_aspects([("because" if len(group) == 1 else "all because", Text(first.why))]))
    if review.nodes:
        console.print()


def _aspects(rows: Iterable[tuple[str, Text]]) -> Table:
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(style="dim", no_wrap=True, width=_ASPECT_WIDTH)
    table.add_column(overflow="fold")
    for what, told in rows:
        table.add_row(f"   {what}", told)
    return table


def _print_losses(console: Console, review: Review) -> None:
    for change in review.dangers:
        if change.data:
            lost = Text.assemble(
                ("data is lost", "bold red"), f" with {change.short_type} {change.name}: {change.data}"
            )
            console.print(lost, soft_wrap=True)
    if review.cost is not None:
        console.print(Text(f"cost: {costs.headline(review.cost)}"), soft_wrap=True)
        for each in costs.missing_text(review.cost.missing):
            console.print(Text(f"  not in the cost: {each}", "yellow"), soft_wrap=True)


def _print_judgements(console: Console, review: Review) -> None:
    """A tally, every mandatory violation in full, and a line for each policy that warns, mended or could not be judged."""
    if not review.policy_sentence:
        return
    packs = f" of {', '.join(review.policy_packs)}" if review.policy_packs else ""
    console.print(Text(f"\nPolicies{packs}: {review.policy_sentence}"), soft_wrap=True)
    for kind, style in _FINDING_STYLES.items():
        if kind == "not evaluated" and review.judged(kind):
            console.print(Text(f"  {NOT_EVALUATED_NOTE}", style), soft_wrap=True)
        for each in review.judged(kind):
            severity = f" ({each.severity})" if kind == "mandatory" and each.severity else ""
            text = Text.assemble(
                (f"  {kind}: ", style), (each.policy, "bold"), f"{severity} {_where(each)}{each.times}"
            )
            console.print(text, soft_wrap=True)
            lines = _said_of(each)
            for line in lines:
                console.print(Text(f"    {line}"), soft_wrap=True)


def _said_of(each: Judgement) -> list[str]:
    """A violation that stops all in full; why a check could not be made; of others what to do."""
    if each.kind == "mandatory":
        return each.message.splitlines()
    if each.kind == "not evaluated":
        first, *more = each.message.splitlines() or [""]
        rest = f", and {count(len(more), 'more line')} in --json" if more else ""
        return [f"{first}{rest}"] if first else []
    return [each.remedy] if each.remedy else []


def _where(each: Judgement) -> str:
    first, *rest = each.resources or ("the stack",)
    short = folded(each.resources)
    names = join_first([first, *(short[name] for name in rest)], _MAX_NAMES)
    return f"{each.types[0]} {names}" if len(each.types) == 1 else names
