"""The terminal view of an operation: a tree of what changes, why, and a tally.

Renders to a rich console given by the caller; decides nothing and reads no state.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from rich.console import Console, Group, RenderableType
from rich.text import Text
from rich.tree import Tree

from model_factory.preview.events import REPLACE_PARTS, ROOT_STACK_TYPE, Report, Step

# op → (symbol, style, verb in a preview, verb when done)
STYLES: Final[Mapping[str, tuple[str, str, str, str]]] = {
    "create": ("+", "green", "create", "created"),
    "create-replacement": ("++", "green", "create replacement", "created replacement"),
    "update": ("~", "yellow", "update", "updated"),
    "replace": ("+-", "magenta", "replace", "replaced"),
    "delete": ("-", "red", "delete", "deleted"),
    "delete-replaced": ("--", "red", "delete original", "deleted original"),
    "discard": ("<", "red", "forget", "forgotten"),
    "discard-replaced": ("<<", "red", "forget original", "forgot original"),
    "read": (">", "cyan", "read", "read"),
    "refresh": ("~", "cyan", "refresh", "refreshed"),
    "same": (" ", "dim", "unchanged", "unchanged"),
    "import": ("=", "green", "import", "imported"),
}
_TALLY_ORDER: Final = ("create", "update", "replace", "delete", "same")
_MAX_VALUE_CHARACTERS: Final = 60
_MAX_PATHS_ON_A_LINE: Final = 4


def step_text(step: Step) -> Text:
    """One step on one line: symbol, type, name, and for a change what causes it."""
    symbol, style, planned, done = STYLES.get(step.op, ("?", "", step.op, step.op))
    verb = {
        "planned": planned,
        "running": f"{planned} not finished",
        "done": done,
        "failed": f"{planned} failed",
    }[step.status]
    text = Text.assemble(
        (f"{symbol:<2} ", style),
        (short_type(step.type), "bold" if step.type == ROOT_STACK_TYPE else ""),
        " ",
        (step.name, "cyan"),
        " ",
    )
    text.append(verb, "bold red" if step.status == "failed" else style)
    if cause := cause_of(step):
        text.append(f"  [{cause}]", "dim")
    return text


def cause_of(step: Step) -> str:
    """The properties behind an update or replacement, in short."""
    paths = step.keys or tuple(step.detailed_diff or ()) or step.diffs
    if step.op not in {"update", "replace"} or not paths:
        return ""
    shown = ", ".join(paths[:_MAX_PATHS_ON_A_LINE])
    more = len(paths) - _MAX_PATHS_ON_A_LINE
    return f"{'forced by' if step.keys else 'diff'}: {shown}{f' and {more} more' if more > 0 else ''}"


def short_type(token: str) -> str:
    """`aws:eks/cluster:Cluster` as `aws:eks:Cluster`, as Pulumi's own display has it."""
    package, _, rest = token.partition(":")
    module, _, name = rest.partition(":")
    return ":".join(part for part in (package, module.split("/", 1)[0], name) if part)


def change_tree(report: Report, *, show_diff: bool = False, show_same: bool = False) -> Tree | None:
    """The changed resources under their parents; None where nothing changes."""
    shown = [step for step in report.steps.values() if show_same] if show_same else report.changed
    shown = [step for step in shown if step.type != ROOT_STACK_TYPE or step.is_change]
    if not shown:
        return None
    known = {step.urn: step for step in report.steps.values()}
    listed: dict[str, list[Step]] = {}
    for step in shown:
        listed.setdefault(step.urn, []).append(step)
    children: dict[str, list[str]] = {}
    placed: set[str] = set()

    def place(urn: str) -> None:
        """Put a resource and all its ancestors into the tree, so that no change hangs in the air."""
        if urn in placed:
            return
        placed.add(urn)
        step = known.get(urn)
        parent = step.parent if step else ""
        if parent in known:
            place(parent)
            children.setdefault(parent, []).append(urn)
        else:
            children.setdefault("", []).append(urn)

    for urn in listed:
        place(urn)

    def grow(branch: Tree, urns: Iterable[str]) -> None:
        for urn in urns:
            steps = listed.get(urn)
            label: RenderableType
            if steps is None:
                label = Text.assemble(
                    ("   ", ""), (short_type(known[urn].type), "dim"), " ", (known[urn].name, "dim")
                )
            else:
                lines: list[RenderableType] = []
                for step in steps:
                    lines.append(step_text(step))
                    if show_diff:
                        lines.extend(diff_lines(step))
                label = Group(*lines) if len(lines) > 1 else lines[0]
            grow(branch.add(label), children.get(urn, ()))

    roots = children.get("", [])
    top = Tree("", hide_root=True)
    grow(top, roots)
    return top


def diff_lines(step: Step) -> list[Text]:
    """The property changes of an update or replacement, a line each: path, old value, new value."""
    if step.op not in {"update", "replace"}:
        return []
    lines: list[Text] = []
    for path, diff in (step.detailed_diff or {key: {"diffKind": "update"} for key in step.diffs}).items():
        kind = str(diff.get("diffKind", diff.get("kind", "update")))
        before_side = "inputs" if diff.get("inputDiff") else "outputs"
        before = value_at((step.old or {}).get(before_side), path)
        if before is None:
            before = value_at((step.old or {}).get("inputs"), path)
        after = value_at((step.new or {}).get("inputs"), path)
        if kind.startswith("add"):
            change, style = show_value(after), "green"
        elif kind.startswith("delete"):
            change, style = show_value(before), "red"
        else:
            change, style = f"{show_value(before)} → {show_value(after)}", "yellow"
        forced = "  (forces replacement)" if kind.endswith("replace") else ""
        lines.append(Text.assemble("     ", (path, style), ": ", change, (forced, "magenta")))
    return lines


def value_at(properties: Any, path: str) -> Any:
    """The value at a property path such as `a.b[0]["c.d"]`; None where there is none."""
    value = properties
    for key in split_path(path):
        if isinstance(key, int):
            value = (
                value[key]
                if isinstance(value, Sequence) and not isinstance(value, str) and key < len(value)
                else None
            )
        else:
            value = value.get(key) if isinstance(value, Mapping) else None
        if value is None:
            return None
    return value


def split_path(path: str) -> list[str | int]:
    """`a.b[0]["c.d"]` as ["a", "b", 0, "c.d"]."""
    keys: list[str | int] = []
    rest = path
    while rest:
        if rest.startswith('["'):
            end = rest.index('"]')
            keys.append(rest[2:end])
            rest = rest[end + 2 :]
        elif rest.startswith("["):
            end = rest.index("]")
            inner = rest[1:end]
            keys.append(int(inner) if inner.isdigit() else inner)
            rest = rest[end + 1 :]
        else:
            rest = rest.removeprefix(".")
            end = min((at for at in (rest.find("."), rest.find("[")) if at >= 0), default=len(rest))
            keys.append(rest[:end])
            rest = rest[end:]
    return keys


def show_value(value: Any) -> str:
    """A value in one short line of JSON."""
    if value == "04da6b54-80e4-46f7-96ec-b56ff0331ba9":
        return "known after up"
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= _MAX_VALUE_CHARACTERS else f"{text[:_MAX_VALUE_CHARACTERS]}…"


def tally(report: Report) -> Text:
    """How many resources were or will be created, updated, replaced, deleted; how many stay."""
    counts = Counter(dict(report.changes))
    parts: list[Text] = []
    for op in (*_TALLY_ORDER, *sorted(set(counts) - set(_TALLY_ORDER) - REPLACE_PARTS)):
        if count := counts.get(op, 0):
            symbol, style, planned, done = STYLES.get(op, ("?", "", op, op))
            verb = f"to {planned}" if report.is_preview and op != "same" else done
            parts.append(Text.assemble((f"{symbol.strip()} {count} {verb}".strip(), style)))
    return Text("  ").join(parts) if parts else Text("nothing to do")


def print_report(
    console: Console, report: Report, *, show_diff: bool = False, show_same: bool = False
) -> None:
    """Tree, messages and tally of a finished operation."""
    tree = change_tree(report, show_diff=show_diff, show_same=show_same)
    if tree is not None:
        console.print(tree)
        console.print()
    print_diagnostics(console, report)
    console.print(tally(report))


def print_diagnostics(console: Console, report: Report) -> None:
    """Warnings and errors first named by their resource, then the message."""
    styles = {
        "warning": ("warning", "yellow"),
        "error": ("error", "bold red"),
        "info": ("", ""),
        "info#err": ("", ""),
    }
    for note in report.diagnostics:
        label, style = styles.get(note.severity, ("", ""))
        where = (
            f"{short_type(note.urn.split('::')[2].rsplit('$', 1)[-1])} {note.urn.rsplit('::', 1)[-1]}: "
            if note.urn.count("::") >= 3
            else ""
        )
        console.print(
            Text.assemble((f"{label}: " if label else "", style), (where, "cyan"), note.message),
            soft_wrap=True,
        )
    if report.diagnostics:
        console.print()
