"""`factory prices`: asks each cloud's own source what machines and the rest cost, and writes that into the tables of `model_factory/facts`."""

from __future__ import annotations

import json
import sys
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Table
from rich.text import Text

from model_factory.cli.console import SafeConsole
from model_factory.cli.errors import EXIT_INTERRUPTED, BadInputError, CommandError
from model_factory.cli.options import Json, console_for
from model_factory.facts.ages import MAX_PRICE_AGE
from model_factory.facts.clouds import Cloud
from model_factory.facts.market import MarketError
from model_factory.facts.market import Progress as Told
from model_factory.facts.refresh import SOURCES, Refreshed, read_tables, refreshed, tables_folder, write_tables

_MOST_SHOWN: Final = 10

Which = Annotated[
    list[str] | None, typer.Option("--cloud", help=f"Only this cloud, {' or '.join(SOURCES)}; may be repeated.")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what would change, and write nothing.")]
Folder = Annotated[
    Path | None,
    typer.Option("--tables", help="The folder of the tables, instead of the package's.", file_okay=False, exists=True),
]


def prices(cloud: Which = None, dry_run: DryRun = False, as_json: Json = False, tables: Folder = None) -> None:
    """Refresh the price tables from the clouds' own sources.

    AWS's price list asks no account; its spot prices do (AWS_PROFILE). Google's catalogue asks an API key (GCP_PRICES_API_KEY) or an account.
    Nothing is written unless every source has told its prices whole.
    """
    chosen = _chosen(cloud or [])
    folder = tables or tables_folder()
    console = console_for(as_json=as_json)
    today = datetime.now(UTC).date()
    try:
        with _progress(SafeConsole(stderr=True, highlight=False)) as told:
            done = [refreshed(each, read_tables(folder, each), today, MAX_PRICE_AGE, told) for each in chosen]
    except MarketError as error:
        raise CommandError(f"{error}. The tables are as they were.") from error
    except (OSError, ValueError) as error:
        raise CommandError(f"{error}; the tables are as they were: mend that and run it again") from error
    except KeyboardInterrupt:
        raise CommandError("Interrupted; the tables are as they were.", exit_code=EXIT_INTERRUPTED) from None
    if not dry_run:
        _write(folder, done)
    if as_json:
        sys.stdout.write(json.dumps([_document(each) for each in done], indent=4) + "\n")
        return
    for each in done:
        _show(console, each)
    console.print(Text("Nothing was written." if dry_run else f"Written below {folder}; look at the diff.", "bold"))


def _write(folder: Path, done: Sequence[Refreshed]) -> None:
    try:
        write_tables(folder, done)
    except OSError as error:
        raise CommandError(f"{error}; give --tables a folder that can be written") from error


def _chosen(names: Sequence[str]) -> list[Cloud]:
    if unknown := sorted(set(names) - set(SOURCES)):
        raise BadInputError(f"--cloud {unknown[0]}: no such cloud; use {' or '.join(SOURCES)}")
    return [each for each in SOURCES if not names or each in names]


@contextmanager
def _progress(console: Console) -> Generator[Told]:
    """Bars on a terminal; elsewhere a line for each thing that is read."""
    if not console.is_terminal:
        begun: set[str] = set()

        def line(what: str, _done: int, _total: int) -> None:
            if what not in begun:
                begun.add(what)
                console.print(f"reading {what}")

        yield line
        return
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[amount]}"),
        console=console,
        transient=True,
    ) as bars:
        tasks: dict[str, Any] = {}

        def bar(what: str, done: int, total: int) -> None:
            if what not in tasks:
                for task in bars.task_ids:
                    bars.update(task, visible=False)
                tasks[what] = bars.add_task(what, total=None, amount="")
            bars.update(tasks[what], completed=done, total=total or None, amount=_amount(done, total))

        yield bar


def _amount(done: int, total: int) -> str:
    """Bytes from a mebibyte up, else a count."""
    mib = 1 << 20
    if total >= mib:
        return f"{done // mib} of {total // mib} MiB"
    return f"{done} of {total}" if total else f"{done}"


def _document(each: Refreshed) -> dict[str, Any]:
    """For machines: amounts are exact, as text."""
    return {
        "cloud": each.cloud,
        "rows": each.rows,
        "new": _places(each.new),
        "changed": [
            {
                "region": change.region,
                "name": change.name,
                "kind": change.kind,
                "before": str(change.before),
                "after": str(change.after),
                "percent": f"{change.percent:.2f}",
            }
            for change in each.changes
        ],
        "gone": _places(each.gone),
        "kept": _places(each.kept),
        "unpriced": list(each.unpriced),
        "zoneless": _places(each.zoneless),
        "rejected": [{"region": region, "name": name, "reason": reason} for region, name, reason in each.rejected],
        "notes": list(each.notes),
    }


def _places(keys: Sequence[tuple[str, str]]) -> list[dict[str, str]]:
    return [{"region": region, "name": name} for region, name in keys]


def _show(console: Console, each: Refreshed) -> None:
    counts = {
        "new": each.new,
        "prices changed": each.changes,
        "gone": each.gone,
        "kept as they were": each.kept,
        "rejected as mispriced": each.rejected,
    }
    said = ", ".join(f"{len(rows)} {what}" for what, rows in counts.items())
    console.print(Text.assemble((each.cloud, "bold cyan"), f": {each.rows} rows; {said}"))
    if each.changes:
        console.print(_largest(each))
    _names(console, "gone", [f"{name} in {region}" for region, name in each.gone])
    _names(
        console, "not told by the source, kept with the old date", [f"{name} in {region}" for region, name in each.kept]
    )
    _names(console, "machines without a price", list(each.unpriced))
    zoneless = [f"{name} in {region}" for region, name in each.zoneless]
    _names(console, "priced, but no row names the zones that sell it", zoneless)
    for region, name, reason in each.rejected[:_MOST_SHOWN]:
        console.print(Text(f"rejected: {name} in {region}: {reason}", "yellow"))
    for note in each.notes:
        console.print(Text(note, "yellow"))
    console.print()


def _largest(each: Refreshed) -> Table:
    table = Table("price", "region", "", box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for heading in ("before", "now", "%"):
        table.add_column(heading, justify="right")
    for change in each.changes[:_MOST_SHOWN]:
        table.add_row(
            change.name, change.region, change.kind, f"{change.before:f}", f"{change.after:f}", f"{change.percent:+.1f}"
        )
    return table


def _names(console: Console, what: str, names: Sequence[str]) -> None:
    if names:
        rest = f" and {len(names) - _MOST_SHOWN} more (--json)" if len(names) > _MOST_SHOWN else ""
        console.print(Text(f"{what}: {', '.join(names[:_MOST_SHOWN])}{rest}", "dim"))
