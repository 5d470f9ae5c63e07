"""Progress of a running operation: on a terminal a block of what is under way, in a pipe or a CI log a line now and then."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.spinner import Spinner
from rich.text import Text

from model_factory.graph.masking import Masker
from model_factory.graph.urn import STACK_TYPE, name_of, type_of
from model_factory.preview.events import LOGICAL_REPLACE, Diagnostic, EngineEvent, Report, Step
from model_factory.preview.terminal import STYLES
from model_factory.preview.wording import count, op_of, short_type

LINE_EVERY_SECONDS: Final = 10.0
_REFRESHES_PER_SECOND: Final = 8
_ROOM_KEPT: Final = 5
"""Lines of a terminal that the block leaves to what was said before it."""
_LEAST_ROOM: Final = 3

_STARTING: Final = "starting"
_RUNNING: Final = "running the program"
_LOADING: Final = "loading policies, running the program"
_JUDGING: Final = "asking policies about the stack"
_ENDING: Final = "ending"


@dataclass(frozen=True, slots=True)
class _Row:
    """A step of a resource that is under way, or has ended. Times are of the monotonic clock, in seconds."""

    urn: str
    op: str
    since: float
    ended: float | None = None
    failed: bool = False


class Progress:
    """Takes engine events, one at a time, and gathers them into `report`. Use as a context manager.

    `expected_changes`: how many resources a preview has found to change. `begins`: what the engine does before it tells of resources, where
    that is not to run the program. What is drawn is drawn by another thread, from copies: it holds
    nothing that a signal's handler could wait for.
    """

    def __init__(
        self,
        console: Console,
        title: str,
        masker: Masker,
        *,
        expected_changes: int | None = None,
        quiet: bool = False,
        begins: str = "",
        line_every_seconds: float = LINE_EVERY_SECONDS,
    ) -> None:
        self.report = Report(masker)
        self._console = console
        self._title = title
        self._expected = expected_changes
        self._quiet = quiet
        self._line_every_seconds = line_every_seconds
        self._phase = _STARTING
        self._begins = begins
        self._judged = False
        self._stack_told = 0
        self._stopping = False
        self._seen: set[str] = set()
        self._done: set[str] = set()
        self._running: dict[tuple[str, str], _Row] = {}
        self._ended: list[_Row] = []
        self._failed: list[_Row] = []
        self._reasons: dict[str, str] = {}
        self._waits: dict[str, str] = {}
        self._started = time.monotonic()
        self._height = 0
        self._live: Live | None = None
        self._over = threading.Event()
        self._lines: threading.Thread | None = None

    def __enter__(self) -> Self:
        if self._quiet:
            return self
        if self._console.is_interactive:
            self._live = Live(
                console=self._console,
                refresh_per_second=_REFRESHES_PER_SECOND,
                transient=True,
                get_renderable=self._block,
            )
            self._live.start()
        else:
            self._console.print(f"{self._title} …")
            self._lines = threading.Thread(target=self._write_lines, name="progress", daemon=True)
            self._lines.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        if self._lines is not None:
            self._lines.join()
        if self._live is not None:
            self._live.stop()

    def stop(self) -> None:
        """It was asked to end: what is said is what it still waits for. Takes no lock, as a signal's handler may call it."""
        self._stopping = True

    def left(self) -> str:
        """What is under way now, where anything is: `aws:eks:Cluster dev-aws-us-east-1 and 3 more`. Takes no lock either."""
        running = self._under_way()
        return _first_of(running) if running else ""

    def __call__(self, event: EngineEvent) -> None:
        told = self.report.add(event)
        self._enter_phase(event)
        if isinstance(told, Step):
            self._count(told)
        elif isinstance(told, Diagnostic) and told.urn:
            said = next(iter(told.message.strip().splitlines()), "")
            if told.severity == "error":
                self._reasons.setdefault(told.urn, said)
            elif told.severity == "info":
                self._waits[told.urn] = said

    def _enter_phase(self, event: EngineEvent) -> None:
        if "policyLoadEvent" in event:
            self._judged = True
        if "policyLoadEvent" in event or "preludeEvent" in event:
            self._phase = self._begins or (_LOADING if self._judged else _RUNNING)
        elif "policyAnalyzeStackSummaryEvent" in event or "summaryEvent" in event:
            self._phase = _ENDING
        elif outputs := event.get("resOutputsEvent"):
            if outputs["metadata"]["type"] == STACK_TYPE:
                # Once when the stack is registered, and once when the program has run: it exports its outputs last.
                self._stack_told += 1
            if self._phase in (_LOADING, self._begins):
                self._phase = _ENDING if self._begins else _RUNNING
            elif self._phase == _RUNNING and self._stack_told > 1:
                self._phase = _JUDGING if self._judged else _ENDING

    def _count(self, step: Step) -> None:
        key, now = (step.urn, step.op), time.monotonic()
        self._seen.add(step.urn)
        if step.op in ("same", LOGICAL_REPLACE) or step.status == "planned":
            return
        if not step.is_custom:
            # A component is no more than its children, which are waited for.
            if step.status == "done" and step.is_change:
                self._done.add(step.urn)
        elif step.status == "running":
            self._running[key] = _Row(step.urn, step.op, now)
        elif (row := self._running.pop(key, None)) is not None:
            failed = step.status == "failed"
            (self._failed if failed else self._ended).append(_Row(row.urn, row.op, row.since, now, failed))
            if step.is_change and not failed:
                self._done.add(step.urn)

    def _write_lines(self) -> None:
        while not self._over.wait(self._line_every_seconds):
            self._console.print(self._line(), highlight=False)

    def _line(self) -> Text:
        """`Updating dev: 41 of 200 done, 95 s; waiting 32 s for aws:eks:Cluster dev-aws-us-east-1 and 3 more`."""
        line, running = self._head(), self._under_way()
        if running:
            line.append(f"; waiting {time.monotonic() - running[0].since:.0f} s for {_first_of(running)}")
            if why := self._waits.get(running[0].urn):
                line.append(f": {why}")
        return line

    def _block(self) -> RenderableType:
        """The head, and as many resources as there is room for: those that failed, those under way, those that ended last.

        It never gets lower, so that nothing jumps.
        """
        room = max(self._console.height - _ROOM_KEPT, _LEAST_ROOM)
        rows = list(self._rows(room))
        self._height = max(self._height, len(rows))
        rows += [Text()] * (self._height - len(rows))
        head = self._head()
        head.truncate(self._console.width - 2, overflow="ellipsis")
        return Group(Spinner("dots", text=head), *rows)

    def _rows(self, room: int) -> Iterator[Text]:
        failed, running, ended = list(self._failed), self._under_way(), list(self._ended)
        # However much has failed, what is waited for is seen, and the other way round.
        first = failed[-max(room // 2, room - len(running)) :]
        left = room - len(first)
        shown = running if len(running) <= left else running[: left - 1]
        for row in (*first, *shown):
            yield self._row(row)
        if len(shown) < len(running):
            yield Text(f"    and {count(len(running) - len(shown), 'more resource')}", "dim")
        elif left > len(shown):
            for row in reversed(ended[len(shown) - left :]):
                yield self._row(row)

    def _under_way(self) -> list[_Row]:
        """The longest-running first."""
        return sorted(self._running.copy().values(), key=lambda row: row.since)

    def _row(self, row: _Row) -> Text:
        op, kind = op_of(row.op), short_type(type_of(row.urn))
        state, style = op.doing, STYLES[op.tone]
        if row.failed:
            state, style = f"{op.planned} failed", "bold red"
        elif row.ended is not None:
            state, style = op.done, "dim"
        name, seconds = name_of(row.urn), f"{(row.ended or time.monotonic()) - row.since:.0f} s"
        # The sign, the state, and the seconds at the right edge; between them what there is room for.
        between = self._console.width - len(f"  {op.symbol:<2} {state}   {seconds} ")
        if len(f"{kind} {name}") > between:
            kind = kind.rsplit(":", 1)[-1]
        if (room := between - len(f"{kind} ")) < len(name):
            # What tells two resources apart is at the end.
            name = f"…{name[len(name) - max(room, 2) + 1 :]}"
        what = Text(f"{kind} ").append(name, "" if row.ended else "cyan")
        if row.failed and row.urn in self._reasons:
            what.append(f": {self._reasons[row.urn]}", "red")
        elif not row.ended and row.urn in self._waits:
            what.append(f": {self._waits[row.urn]}", "dim")
        what.truncate(max(between, 1), overflow="ellipsis", pad=True)
        if row.ended and not row.failed:
            what.stylize("dim")
        line = Text.assemble("  ", (f"{op.symbol:<2} {state}", style), " ", what, " ", (seconds, "dim"))
        line.no_wrap, line.overflow = True, "ellipsis"
        return line

    def _head(self) -> Text:
        running, seconds = len(self._running), time.monotonic() - self._started
        of = f" of {self._expected}" if self._expected else ""
        said = [f"{len(self._done)}{of} done"] if self._done or running else []
        if self._failed:
            said.append(f"{len(self._failed)} failed")
        if not said and self._seen:
            said.append(f"{count(len(self._seen), 'resource')} looked at")
        if self._stopping:
            said.append("stopping")
        if running or not self._stopping:
            said.append(f"{running} under way" if running else self._phase)
        return Text(f"{self._title}: {', '.join(said)}, {seconds:.0f} s")


def _first_of(running: list[_Row]) -> str:
    first, more = running[0], len(running) - 1
    return f"{short_type(type_of(first.urn))} {name_of(first.urn)}{f' and {more} more' if more else ''}"
