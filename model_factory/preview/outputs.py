"""Stack outputs on a terminal: a table for a list or map of records, a line for everything else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeGuard

from rich.console import Console
from rich.table import Table
from rich.text import Text

from model_factory.preview.wording import show_value

_MAX_VALUE_CHARACTERS: Final = 60
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
            records = [{"name": key, **record} for key, record in sorted(value.items())] if named else value
            console.print(_table(name, records, console.width))
        elif isinstance(value, Mapping) and value:
            console.print(
                _table(name, [{"name": key, "value": item} for key, item in sorted(value.items())], console.width)
            )
        else:
            console.print(Text.assemble((name, "bold"), ": ", _cell(value)))


def _is_records(value: Any) -> TypeGuard[Mapping[str, Mapping[str, Any]] | Sequence[Mapping[str, Any]]]:
    items = list(value.values()) if isinstance(value, Mapping) else value
    return isinstance(items, list) and bool(items) and all(isinstance(item, Mapping) for item in items)


def _table(title: str, records: Sequence[Mapping[str, Any]], width: int) -> Table:
    """A row a record; where it has several records of its own, as a model has legs, these under it in its columns. Where the values fit
    the width and the headings do not, it is the headings that wrap."""
    table = Table(
        title=title,
        title_justify="left",
        title_style="bold",
        box=None,
        pad_edge=False,
        padding=(0, 2, 0, 0),
        header_style="dim",
    )
    columns = sorted({key for each in records for key in each if not _is_records(each[key])}, key=_column_place)
    rows: list[tuple[list[Text], str]] = []
    for record in records:
        rows.append(([_cell(record.get(column)) for column in columns], ""))
        for parts in (each for each in record.values() if _is_records(each) and len(each) > 1):
            rows += (
                ([_cell(part[column]) if column in part else Text() for column in columns], "dim")
                for part in (parts.values() if isinstance(parts, Mapping) else parts)
            )
    widths = [
        max(*(cells[number].cell_len for cells, _ in rows), *map(len, _heading(column).split()))
        for number, column in enumerate(columns)
    ]
    fits = sum(widths) + 2 * (len(widths) - 1) <= width
    for column, least in zip(columns, widths, strict=True):
        numbers = all(isinstance(record.get(column), (int, float)) for record in records)
        justify = "right" if numbers else "left"
        table.add_column(_heading(column), justify=justify, overflow="fold", min_width=least if fits else None)
    for cells, style in rows:
        table.add_row(*cells, style=style)
    return table


def _column_place(key: str) -> tuple[int, str]:
    """Maps arrive without an order: what names a record comes first, amounts last, the rest in between by name."""
    return _COLUMN_ORDER.index(key) if key in _COLUMN_ORDER else _COLUMN_ORDER.index("value"), key


def _heading(key: str) -> str:
    """`usdPerHour` and `usd_per_hour` both as `usd per hour`."""
    return "".join(f" {letter.lower()}" if letter.isupper() else letter for letter in key).replace("_", " ").strip()


def _cell(value: Any) -> Text:
    return Text(value if isinstance(value, str) else show_value(value, _MAX_VALUE_CHARACTERS))
