"""Stack outputs on a terminal: a table for a list or map of records, a line for everything else.

Where a table would have to break words or amounts to fit, each record is a block instead: its fields one after another, all of them whole.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, TypeGuard

from rich.console import Console
from rich.table import Table
from rich.text import Text

from model_factory.preview.wording import show_value

_MAX_VALUE_CHARACTERS: Final = 60
_GAP: Final = 2
_COLUMN_ORDER: Final = (
    *("name", "model", "runtime", "cloud", "region", "machine_type", "accelerator", "capacity_type", "value"),
    *("replicas", "replicas_max", "usd_per_hour", "usd_per_hour_max", "usd_per_hour_fallback"),
)


def print_outputs(console: Console, outputs: Mapping[str, Any]) -> None:
    """Print outputs, given as plain JSON values with secrets masked, by name."""
    for number, (name, value) in enumerate(sorted(outputs.items())):
        if number:
            console.print()
        if _is_records(value):
            named = isinstance(value, Mapping)
            _print_records(
                console, name, [{"name": key, **record} for key, record in sorted(value.items())] if named else value
            )
        elif isinstance(value, Mapping) and value:
            _print_records(console, name, [{"name": key, "value": item} for key, item in sorted(value.items())])
        else:
            console.print(Text.assemble((name, "bold"), ": ", _cell(value)), soft_wrap=True)


def _is_records(value: Any) -> TypeGuard[Mapping[str, Mapping[str, Any]] | Sequence[Mapping[str, Any]]]:
    items = list(value.values()) if isinstance(value, Mapping) else value
    return isinstance(items, list) and bool(items) and all(isinstance(item, Mapping) for item in items)


def _print_records(console: Console, title: str, records: Sequence[Mapping[str, Any]]) -> None:
    columns = sorted({key for each in records for key in each if not _is_records(each[key])}, key=_column_place)
    rows: list[tuple[list[Text], str]] = []
    for record in records:
        rows.append(([_cell(record.get(column)) for column in columns], ""))
        rows += (
            ([_cell(part[column]) if column in part else Text() for column in columns], "dim")
            for part in _parts(record)
        )
    widths = [
        max(*(cells[number].cell_len for cells, _ in rows), *map(len, _heading(column).split()))
        for number, column in enumerate(columns)
    ]
    if sum(widths) + _GAP * (len(widths) - 1) > console.width:
        for line in _stacked(title, columns, rows, console.width):
            console.print(line, soft_wrap=True)
        return
    table = Table(
        title=title,
        title_justify="left",
        title_style="bold",
        box=None,
        pad_edge=False,
        padding=(0, _GAP, 0, 0),
        header_style="dim",
    )
    for column, least in zip(columns, widths, strict=True):
        numbers = all(isinstance(record.get(column), (int, float)) for record in records)
        table.add_column(_heading(column), justify="right" if numbers else "left", min_width=least)
    for cells, style in rows:
        table.add_row(*cells, style=style)
    console.print(table)


def _parts(record: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The records that it has of its own, as a model has legs; none where it is one, which says what it says."""
    several = (each for each in record.values() if _is_records(each) and len(each) > 1)
    return [part for parts in several for part in (parts.values() if isinstance(parts, Mapping) else parts)]


def _stacked(title: str, columns: Sequence[str], rows: Sequence[tuple[list[Text], str]], width: int) -> Iterator[Text]:
    """A block a record under its first column. Its parts are dim, each in lines of its own."""
    yield Text(title, "bold")
    for cells, style in rows:
        indent = "      " if style else "    "
        if not style:
            yield Text.assemble("  ", (cells[0].plain, "cyan"))
        fields = [
            Text.assemble((f"{_heading(column)} " if column != "value" else "", "dim"), (cell.plain, style))
            for column, cell in zip(columns[1:], cells[1:], strict=True)
            if cell.plain and cell.plain != "null"
        ]
        line = Text(indent)
        for field in fields:
            if line.cell_len > len(indent) and line.cell_len + _GAP + field.cell_len > width:
                yield line
                line = Text(f"{indent}  " if style else indent)
            line.append("  " if line.plain.strip() else "").append_text(field)
        yield line


def _column_place(key: str) -> tuple[int, str]:
    """Maps arrive without an order: what names a record comes first, amounts last, the rest in between by name."""
    return _COLUMN_ORDER.index(key) if key in _COLUMN_ORDER else _COLUMN_ORDER.index("value"), key


def _heading(key: str) -> str:
    """`usdPerHour` and `usd_per_hour` both as `usd per hour`."""
    return "".join(f" {letter.lower()}" if letter.isupper() else letter for letter in key).replace("_", " ").strip()


def _cell(value: Any) -> Text:
    return Text(value if isinstance(value, str) else show_value(value, _MAX_VALUE_CHARACTERS))
