"""`factory plan`: what today's price tables would move, what that saves and interrupts; and why a model runs where it does. Asks no cloud."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from model_factory.cli.amounts import exact
from model_factory.cli.called import pasteable
from model_factory.cli.errors import BadInputError
from model_factory.cli.options import DEFAULT_STACK, Cwd, Json, StackName, console_for
from model_factory.cli.session import Session
from model_factory.cli.why import ladder, show_why, why_document
from model_factory.facts.tables import HOURS_A_MONTH
from model_factory.planning.placing.lock import Lock, LockedPool
from model_factory.planning.placing.moves import Machines, Move, moves
from model_factory.planning.placing.place import place
from model_factory.planning.placing.plan import Placement, Plan, Site, added
from model_factory.planning.placing.why import why
from model_factory.planning.planned import market
from model_factory.planning.settings.problems import PlanningError, Problem, instead
from model_factory.planning.settings.sections import ModelSettings

_CENTS: Final = Decimal("0.01")
_FINE: Final = Decimal("0.0001")
_WIDE: Final = 130

Apply = Annotated[bool, typer.Option("--apply", help="Write the plan lock; changes no other file, and no cloud.")]
Models = Annotated[
    list[str] | None,
    typer.Option("--model", "-m", help="Plan this model anew (repeatable), and keep all others where they are."),
]
Keep = Annotated[
    bool,
    typer.Option("--keep", help="Keep what fits where it is; place only what is new, and what no longer fits."),
]
Why = Annotated[
    str,
    typer.Option("--why", help="Show where this model could run, and what stands against the rest.", metavar="MODEL"),
]


@dataclass(frozen=True, slots=True)
class Result:
    """What was planned, beside what is kept."""

    session: Session
    after: Plan
    moves: tuple[Move, ...]
    broken: str = ""
    """What is wrong with the lock, where it could not be read."""
    written: bool = False

    @property
    def as_kept(self) -> tuple[Problem, ...]:
        """What is worth telling of the plan as it is kept, and no longer of the new one."""
        return tuple(each for each in self.session.plan.notes if each not in self.after.notes)


def plan(
    stack: StackName = DEFAULT_STACK,
    apply: Apply = False,
    model: Models = None,
    keep: Keep = False,
    why_model: Why = "",
    as_json: Json = False,
    cwd: Cwd = Path(),
) -> None:
    """Plan anew from today's price tables: what would move, what that saves, and what it interrupts. Nothing moves by itself.

    --apply writes Pulumi.STACK.plan.yaml: look at its diff, commit it, and `factory up` does what it says.

    --json has stack, lock, differs (from the lock), written, moves (each with model, kind, before and after by
    site, replicas by site, savesUsdPerHour and usdPerHour with idle and peak, interrupts), savesUsdPerHour, notes, notesAsKept. A kind
    is moves, must (the next `up` does it anyway), new or gone. With --why it has stack, model, candidates
    (the best first; each with cloud, region, accelerator, chosen, legs, usdPerHour, nodes, idleGpus), against. Amounts are text, exact.
    """
    chosen = model or []
    if why_model and (apply or chosen or keep):
        raise BadInputError("--why changes nothing and weighs one model; leave out --apply, --model and --keep")
    if keep and chosen:
        raise BadInputError("--keep keeps every model that fits, and --model plans one anew; leave one of them out")
    if why_model:
        _why(Session.open(stack, cwd), why_model, as_json=as_json)
        return
    session, broken = _session(stack, cwd, anew=apply and not chosen and not keep)
    result = _planned(session, broken, chosen, keep=keep, apply=apply)
    if as_json:
        sys.stdout.write(json.dumps(_document(result), indent=4) + "\n")
    else:
        asked = "--keep" if keep else " ".join(f"--model {name}" for name in chosen)
        _show(console_for(as_json=False), result, asked, apply=apply)


def _session(stack: str, cwd: Path, *, anew: bool) -> tuple[Session, str]:
    """The session, and what is wrong with a lock that will be written `anew` whatever it says."""
    try:
        return Session.open(stack, cwd), ""
    except BadInputError as error:
        if not anew:
            raise
        return Session.open(stack, cwd, anew=True), str(error)


def _planned(session: Session, broken: str, chosen: Sequence[str], *, keep: bool, apply: bool) -> Result:
    kept = session.lock or Lock()
    names = [_model(session, name).name for name in chosen] or list(kept.models)
    try:
        after = session.plan if keep else place(session.settings, market(), kept.without(*names))
    except PlanningError as error:
        raise BadInputError(str(error)) from error
    written = apply and session.write(Lock.of(after))
    return Result(session, after, moves(session.plan, after, kept), broken, written)


def _why(session: Session, name: str, *, as_json: bool) -> None:
    told = why(session.settings, _model(session, name), session.plan, market())
    if as_json:
        sys.stdout.write(json.dumps(why_document(session.stack, name, told), indent=4) + "\n")
    else:
        show_why(console_for(as_json=False), session.stack, name, told)


def _model(session: Session, name: str) -> ModelSettings:
    for each in session.settings.models:
        if each.name == name:
            return each
    known = [each.name for each in session.settings.models]
    raise BadInputError(f"stack {session.stack} has no model {name!r}; {instead(name, known)}")


def _document(result: Result) -> dict[str, Any]:
    session = result.session
    return {
        "stack": session.stack,
        "lock": session.lock_file.name,
        "differs": Lock.of(result.after) != session.lock,
        "written": result.written,
        "moves": [_move(each, result.after.of_model(each.model)) for each in result.moves],
        "savesUsdPerHour": _both(*_saved(result.moves)),
        "notes": [str(each) for each in result.after.notes],
        "notesAsKept": [*result.broken.splitlines(), *(str(each) for each in result.as_kept)],
    }


def _move(move: Move, after: Sequence[Placement]) -> dict[str, Any]:
    costs = (added(each.usd_per_hour for each in after), added(each.usd_per_hour_max for each in after))
    return {
        "model": move.model,
        "kind": _kind(move),
        "before": _sites(move.before),
        "after": _sites(move.after),
        "replicas": {str(each.site): {"min": each.replicas.min, "max": each.replicas.max} for each in after},
        "savesUsdPerHour": _both(move.saves_at_rest, move.saves_at_peak),
        "usdPerHour": _both(*costs),
        "interrupts": list(move.interrupts),
    }


def _kind(move: Move) -> str:
    if not move.before:
        return "new"
    if not move.after:
        return "gone"
    return "must" if move.must else "moves"


def _sites(machines: Machines) -> dict[str, list[dict[str, str]]]:
    return {
        str(site): [pool.model_dump(by_alias=True, exclude_none=True) for pool in pools]
        for site, pools in machines.items()
    }


def _both(idle: Decimal | None, peak: Decimal | None) -> dict[str, str | None]:
    return {"idle": exact(idle), "peak": exact(peak)}


def _saved(found: Iterable[Move]) -> tuple[Decimal, Decimal]:
    """At rest and at peak, of the moves of which it is known."""
    rest = sum((each.saves_at_rest for each in found if each.saves_at_rest is not None), Decimal(0))
    peak = sum((each.saves_at_peak for each in found if each.saves_at_peak is not None), Decimal(0))
    return rest, peak


def _show(console: Console, result: Result, asked: str, *, apply: bool) -> None:
    session, name = result.session, result.session.lock_file.name
    if result.broken:
        console.print(Text(f"{pasteable(result.broken)}\n", "yellow"), soft_wrap=True)
    days = sorted({leg.offer.as_of for each in result.after.placements for leg in each.legs})
    of = f" at prices of machines of {days[0]}" + (f" to {days[-1]}" if days[0] != days[-1] else "") if days else ""
    console.print(Text.assemble(("Plan of ", "bold"), (session.stack, "bold cyan"), f"{of}, beside {name}\n"))
    if result.moves:
        console.print(_table(console, result))
        for move in result.moves:
            for each in (*move.interrupts, *_fall_back(result, move)):
                console.print(Text.assemble("  ", (move.model, "cyan"), f": {each}"), soft_wrap=True)
    else:
        console.print("Nothing would move. Each model stays where it is:\n")
        console.print(_standing(result.after))
    if any(each.saves_at_rest is not None for each in result.moves):
        rest, peak = _saved(result.moves)
        month = _pair(rest * HOURS_A_MONTH, peak * HOURS_A_MONTH, _CENTS)
        if rest >= 0:
            told = f"Saves {_pair(rest, peak, _FINE)} USD an hour at rest / at peak, {month} a month."
        else:
            month = _pair(-rest * HOURS_A_MONTH, -peak * HOURS_A_MONTH, _CENTS)
            told = f"Costs {_pair(-rest, -peak, _FINE)} USD an hour more at rest / at peak, {month} a month."
        console.print(Text(f"\n{told}", "bold"))
    for note in result.after.notes:
        console.print(Text(f"note: {pasteable(str(note))}", "yellow"), soft_wrap=True)
    if result.as_kept:
        console.print(Text("\nAs it is kept:", "bold"))
    for note in result.as_kept:
        console.print(Text(f"note: {pasteable(str(note))}", "yellow"), soft_wrap=True)
    console.print(Text(f"\n{pasteable(_next(result, asked, apply=apply))}"), soft_wrap=True)


def _next(result: Result, asked: str, *, apply: bool) -> str:
    session, name = result.session, result.session.lock_file.name
    if result.written:
        return f"Wrote {name}: look at its diff and commit it; `factory preview` shows what it changes, `factory up` does it."
    if apply or Lock.of(result.after) == session.lock:
        return f"{name} says so already."
    if asked:
        return f"`factory plan {asked} --apply` writes that to {name}."
    return (
        f"`factory plan --apply` writes that to {name}, with --model NAME for one model alone, with --keep only what must be; "
        "until then what fits stays where it is."
    )


def _table(console: Console, result: Result) -> Table:
    """Where there is no room, from and to share a cell, and the months are left out."""
    wide = console.width >= _WIDE
    table = Table(
        "model",
        *(("from", "to") if wide else ("from → to",)),
        box=None,
        pad_edge=False,
        padding=(0, 2, 0, 0),
        header_style="dim",
    )
    table.columns[0].no_wrap = True
    saves = any(_kind(each) == "moves" for each in result.moves)
    headings = ["$/hour", *(["saves $/hour", "saves $/month"][: 2 if wide else 1] if saves else ())]
    for heading in headings:
        table.add_column(f"{heading}\nrest / peak", justify="right", no_wrap=True)
    for move in result.moves:
        there = result.after.of_model(move.model)
        before = f"{_where(move.before) or '(new)'}{' (as it was kept)' if move.must and move.loses else ''}"
        spans = {each.site: f", {_span(each)} replicas" for each in there}
        after = _where(move.after, spans) or "(gone)"
        costs = (added(each.usd_per_hour for each in there), added(each.usd_per_hour_max for each in there))
        rest, peak = move.saves_at_rest, move.saves_at_peak
        known = _kind(move) == "moves"
        cells = [
            _pair(*costs, _FINE) if there else "",
            _pair(rest, peak, _FINE) if known else "",
            _pair(_monthly(rest), _monthly(peak), _CENTS) if known else "",
        ]
        where = (before, after) if wide else (f"{before}\n→ {after}",)
        table.add_row(Text(move.model, "cyan"), *where, *cells[: len(headings)])
    return table


def _standing(plan: Plan) -> Table:
    """Where each model is, a line a site."""
    table = Table("model", "site", "machines", box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for heading in ("replicas", "$/hour\nrest / peak"):
        table.add_column(heading, justify="right")
    for column in table.columns:
        column.no_wrap = column.header != "machines"
    kept = Lock.of(plan)
    for each in plan.placements:
        table.add_row(
            Text(each.model.name, "cyan"),
            str(each.site),
            _ladder(kept.machines(each.model.name)[each.site]),
            _span(each),
            _pair(each.usd_per_hour, each.usd_per_hour_max, _FINE),
        )
    return table


def _span(placement: Placement) -> str:
    """`2–6`: the replicas at this site."""
    least, most = placement.replicas.min, placement.replicas.max
    return f"{least}" if least == most else f"{least}–{most}"


def _fall_back(result: Result, move: Move) -> Iterator[str]:
    """What a model costs when only the last of its ways to have machines is left, where that changes."""
    was, will = (
        added(each.usd_per_hour_fallback for each in there.of_model(move.model))
        for there in (result.session.plan, result.after)
    )
    several = any(len(each.legs) > 1 for each in result.after.of_model(move.model))
    if several and will is not None:
        before = f" instead of {was:.2f}" if was is not None and was != will and move.before else ""
        yield f"with its fall-back alone it costs {will:.2f} USD an hour at peak{before}"


def _where(machines: Machines, spans: Mapping[Site, str] | None = None) -> str:
    """`aws/us-east-1 g6.xlarge spot, on-demand`, a line a site, with how many replicas where `spans` tells."""
    return "\n".join(f"{site} {_ladder(pools)}{(spans or {}).get(site, '')}" for site, pools in machines.items())


def _ladder(pools: Iterable[LockedPool]) -> str:
    return ladder((pool.machine_type, pool.capacity) for pool in pools)


def _monthly(usd_per_hour: Decimal | None) -> Decimal | None:
    return None if usd_per_hour is None else usd_per_hour * HOURS_A_MONTH


def _pair(rest: Decimal | None, peak: Decimal | None, step: Decimal) -> str:
    """`0.6100 / 2.4400`; less than nothing is more than before."""
    return " / ".join("not known" if each is None else _signed(each, step) for each in (rest, peak))


def _signed(amount: Decimal, step: Decimal) -> str:
    rounded = amount.quantize(step)
    return f"{rounded:,f}" if rounded >= 0 else f"−{-rounded:,f}"
