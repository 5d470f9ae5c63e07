"""`factory status`: what runs of a stack's models, and what the rest waits for."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from model_factory.access.errors import AccessError, ApiError
from model_factory.cli.called import pasteable
from model_factory.cli.console import json_text
from model_factory.cli.errors import EXIT_FAILED
from model_factory.cli.options import DEFAULT_STACK, Cwd, Json, StackName, console_for
from model_factory.cli.session import Session
from model_factory.cli.sites import Sites, chosen_sites, live_sites, require_model
from model_factory.graph.masking import Masker
from model_factory.live.models import Replica, Serving, read, short_image, unreached
from model_factory.live.sites import Site
from model_factory.planning.placing.plan import site_of
from model_factory.preview.wording import count

if TYPE_CHECKING:
    from model_factory.access.client import ClusterClient

WATCH_SECONDS: Final = 2.0
_NOT_THERE: Final = "no cluster; `factory up` makes it"
_LEAST, _MORE, _MOST = range(3)
"""How much of a row a table shows."""
_UNBOUNDED: Final = 10_000
_REASON_WIDTH_LEAST: Final = 30

Look = Callable[[], list[Serving]]


def status(
    model: Annotated[str, typer.Argument(help="Only this model.", show_default=False)] = "",
    stack_name: StackName = DEFAULT_STACK,
    site: Sites = None,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Show it anew until Ctrl-C.")] = False,
    as_json: Json = False,
    cwd: Cwd = Path(),
) -> None:
    """Show a line a model and site: replicas ready of those wanted, what the others wait for, revision, image, age and pools.

    Wanted is what the autoscaler asks for now. Where one that is wanted is not ready, or a cluster does not answer, the exit code is 1.

    --json is a list; each has model, site, wanted, ready, pending (reason and count), notes, revision, image, since, pools (name and
    count), replicas (pod, namespace, node, pool, ready, reason, note, since). With --watch it is a line for each change.
    """
    session = Session.open(stack_name, cwd)
    if model:
        require_model(session, model)
    names = chosen_sites(session, site)
    look = looking(session, names, live_sites(session, site), model)
    if watch:
        _watch(look, as_json=as_json)
    found = look()
    if as_json:
        _print_json([_document(each) for each in found], indent=4)
    else:
        _print(console_for(as_json=False), found)
    if not all(each.is_served for each in found):
        raise typer.Exit(EXIT_FAILED)


def looking(session: Session, names: Sequence[str], sites: Sequence[Site], model: str = "") -> Look:
    """Reads the models at these sites anew at each call, all sites at once; one that does not answer says so in the rows of its models."""
    planned = {name: _planned(session, name, model) for name in names}
    reached = {each.name: each for each in sites}
    clients: dict[str, ClusterClient] = {}

    def lost(name: str, why: str) -> list[Serving]:
        return [unreached(each, name, least, why) for each, least in planned[name].items()]

    def at_site(name: str) -> list[Serving]:
        if name not in reached:
            return lost(name, _NOT_THERE)
        try:
            if name not in clients:
                clients[name] = reached[name].client()
            return read(clients[name], name, planned[name], model)
        except ApiError as error:
            return lost(name, f"{error.reason}: {error.message}")
        except AccessError as error:
            return lost(name, str(error))

    def look() -> list[Serving]:
        with ThreadPoolExecutor(max_workers=max(len(names), 1)) as pool:
            rows = [row for found in pool.map(at_site, names) for row in found]
        return sorted(rows, key=lambda each: (each.model, each.site))

    return look


def _planned(session: Session, name: str, model: str) -> dict[str, int]:
    """The models that the plan has at a site, with their least replicas."""
    place = site_of(name)
    return {
        each.model.name: each.replicas.min
        for each in session.plan.placements_of(place.cloud, place.region)
        if not model or each.model.name == model
    }


def _watch(look: Look, *, as_json: bool) -> None:
    """Until Ctrl-C: on a terminal in one place, else each time something has changed."""
    console = console_for(as_json=False)
    pause = threading.Event()
    if console.is_terminal and not as_json:
        with Live(console=console, auto_refresh=False) as live:
            while True:
                live.update(Group(*_shown(console, look())), refresh=True)
                pause.wait(WATCH_SECONDS)
    before: list[dict[str, Any]] | None = None
    while True:
        found = look()
        documents = [_document(each) for each in found]
        if documents != before:
            before = documents
            if as_json:
                _print_json(documents)
            else:
                console.print(Text(f"{datetime.now(UTC):%H:%M:%S} UTC", "dim"))
                _print(console, found)
            sys.stdout.flush()
        pause.wait(WATCH_SECONDS)


def _print(console: Console, rows: Sequence[Serving]) -> None:
    for each in _shown(console, rows):
        console.print(each)


def _shown(console: Console, rows: Sequence[Serving]) -> list[Table | Text]:
    if not rows:
        return [Text("No model is placed here.")]
    now = datetime.now(UTC)
    room = console.options.update(max_width=_UNBOUNDED)
    detail = next(
        (
            each
            for each in (_MOST, _MORE)
            if console.measure(_table(rows, each, now, reasons=False), options=room).maximum + _REASON_WIDTH_LEAST
            <= console.width
        ),
        _LEAST,
    )
    wanted, ready = sum(each.wanted for each in rows), sum(min(each.ready, each.wanted) for each in rows)
    sites = len({each.site for each in rows})
    tone = "green" if all(each.is_served for each in rows) else "yellow"
    return [
        _table(rows, detail, now),
        Text(f"{ready} of {count(wanted, 'replica')} ready at {count(sites, 'site')}", tone),
    ]


def _table(rows: Sequence[Serving], detail: int, now: datetime, *, reasons: bool = True) -> Table:
    masker = Masker()
    headings = [
        "model", "site", "ready", *(("revision", "image") if detail >= _MOST else ()),
        *(("age", "pools") if detail >= _MORE else ()),
    ]  # fmt: skip
    table = Table(*headings, box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for column in table.columns:
        column.no_wrap = True
    if reasons:
        table.add_column("waits for", overflow="fold")
    for each in rows:
        tone = "green" if each.is_served else "yellow" if each.ready else "red"
        cells: list[Text] = [Text(each.model), Text(each.site), Text(f"{each.ready}/{each.wanted}", tone)]
        if detail >= _MOST:
            cells += [Text(each.revision), Text(short_image(each.image))]
        if detail >= _MORE:
            pools = ", ".join(f"{amount}x {name}" for name, amount in each.where)
            cells += [Text(_age(each.since, now)), Text(pools)]
        if reasons:
            cells.append(Text(masker.text(pasteable(_waits_for(each))), "" if each.is_served else tone))
        table.add_row(*cells)
    return table


def _waits_for(each: Serving) -> str:
    pending = [reason if len(each.pending) == 1 else f"{amount}: {reason}" for reason, amount in each.pending]
    return "; ".join((*pending, *each.notes))


def _age(since: datetime | None, now: datetime) -> str:
    """`4d`, `3h`, `12m`, `40s`."""
    if since is None:
        return ""
    past = max(now - since, timedelta())
    for unit, letter in ((timedelta(days=1), "d"), (timedelta(hours=1), "h"), (timedelta(minutes=1), "m")):
        if past >= unit:
            return f"{past // unit}{letter}"
    return f"{past.seconds}s"


def _document(each: Serving) -> dict[str, Any]:
    found = {
        "model": each.model,
        "site": each.site,
        "wanted": each.wanted,
        "ready": each.ready,
        "pending": [{"reason": reason, "count": amount} for reason, amount in each.pending],
        "notes": list(each.notes),
        "revision": each.revision or None,
        "image": each.image or None,
        "since": _iso(each.since),
        "pools": [{"name": name, "count": amount} for name, amount in each.where],
        "replicas": [_replica(replica) for replica in each.replicas],
    }
    return Masker().value(found)


def _replica(replica: Replica) -> Mapping[str, Any]:
    return {
        "pod": replica.pod,
        "namespace": replica.namespace,
        "node": replica.node or None,
        "pool": replica.pool or None,
        "ready": replica.ready,
        "reason": replica.reason or None,
        "note": replica.note or None,
        "since": _iso(replica.created),
    }


def _iso(time: datetime | None) -> str | None:
    return time.isoformat() if time else None


def _print_json(document: object, indent: int | None = None) -> None:
    sys.stdout.write(json_text(json.dumps(document, indent=indent)) + "\n")
