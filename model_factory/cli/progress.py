"""Progress of a running operation: a live block on a terminal, a line every few seconds in a pipe or a CI log."""

from __future__ import annotations

import threading
import time
from types import TracebackType
from typing import Final, Self

from rich.console import Console
from rich.live import Live
from rich.spinner import Spinner
from rich.text import Text

from model_factory.graph.masking import Masker
from model_factory.graph.urn import name_of, type_of
from model_factory.preview.events import EngineEvent, Report, Step
from model_factory.preview.terminal import STYLES
from model_factory.preview.wording import op_of, short_type

_LINE_EVERY_SECONDS: Final = 5.0
_MAX_RUNNING_SHOWN: Final = 6


class Progress:
    """Takes engine events from any thread and gathers them into `report`. Use as a context manager."""

    def __init__(
        self,
        console: Console,
        title: str,
        masker: Masker,
        *,
        expected_changes: int | None = None,
        quiet: bool = False,
    ) -> None:
        self.report = Report(masker)
        self._console = console
        self._title = title
        self._expected = expected_changes
        self._quiet = quiet
        self._lock = threading.Lock()
        self._running: dict[tuple[str, str], float] = {}
        self._finished = 0
        self._seen = 0
        self._started = time.monotonic()
        self._last_line = self._started
        self._live: Live | None = None

    def __enter__(self) -> Self:
        if not self._quiet and self._console.is_terminal:
            self._live = Live(
                self._render(),
                console=self._console,
                refresh_per_second=8,
                transient=True,
                get_renderable=self._render,
            )
            self._live.start()
        elif not self._quiet:
            self._console.print(f"{self._title} …")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def __call__(self, event: EngineEvent) -> None:
        with self._lock:
            told = self.report.add(event)
            if isinstance(told, Step):
                self._count(told)
            if self._live is None and not self._quiet and time.monotonic() - self._last_line >= _LINE_EVERY_SECONDS:
                self._last_line = time.monotonic()
                self._console.print(self._line(), highlight=False)

    def _count(self, step: Step) -> None:
        key = (step.urn, step.op)
        self._seen += step.status in {"planned", "running"}
        if not step.is_change or step.logical:
            return
        if step.status == "running":
            self._running[key] = time.monotonic()
        elif step.status in {"done", "failed"} and self._running.pop(key, None) is not None:
            self._finished += 1

    def _line(self) -> Text:
        """`Updating dev: 41 of 118 done, 12 s; creating aws:eks:Cluster dev (8 s)`."""
        now = time.monotonic()
        line = self._head()
        if self._running:
            (urn, op), since = min(self._running.items(), key=lambda item: item[1])
            line.append(f"; {op} {short_type(type_of(urn))} {name_of(urn)} ({now - since:.0f} s)")
        return line

    def _render(self) -> Text | Spinner:
        text = self._head()
        now = time.monotonic()
        running = sorted(self._running.items(), key=lambda item: item[1])
        for (urn, op), since in running[:_MAX_RUNNING_SHOWN]:
            what = op_of(op)
            text.append(f"\n  {what.symbol:<2} ", STYLES[what.tone])
            text.append(f"{what.planned} {short_type(type_of(urn))} ")
            text.append(name_of(urn), "cyan")
            text.append(f" {now - since:.0f} s", "dim")
        if len(running) > _MAX_RUNNING_SHOWN:
            text.append(f"\n     and {len(running) - _MAX_RUNNING_SHOWN} more", "dim")
        return Spinner("dots", text=text)

    def _head(self) -> Text:
        of = f" of {self._expected}" if self._expected else ""
        seen = f"{self._seen} resource{'' if self._seen == 1 else 's'} seen"
        what = f"{self._finished}{of} done" if self._finished or self._running else seen
        return Text(f"{self._title}: {what}, {time.monotonic() - self._started:.0f} s")
