"""Steps of a command that takes minutes: each is told when it begins, and how long it took."""

from __future__ import annotations

import time
from collections.abc import Generator
from contextlib import contextmanager
from typing import Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

_MINUTE: Final = 60


class Steps:
    """Tells steps on a console, unless `quiet`, and remembers in `seconds` how long each took that came to its end."""

    def __init__(self, console: Console, *, quiet: bool = False) -> None:
        self.console = console
        self.quiet = quiet
        self.seconds: dict[str, float] = {}
        self._began = time.monotonic()

    @contextmanager
    def step(self, name: str, about: str) -> Generator[None]:
        """One step: `name` in the sum of all, `about` when it begins."""
        self.say(Text.assemble((f"{name}: ", "bold"), about))
        began = time.monotonic()
        yield
        self.seconds[name] = time.monotonic() - began

    def say(self, text: Text | str) -> None:
        """A line."""
        if not self.quiet:
            self.console.print(text, soft_wrap=True)

    def sum(self) -> Table:
        """How long each step took, and all of them."""
        table = Table.grid(padding=(0, 2, 0, 0))
        for name, seconds in self.seconds.items():
            table.add_row(name, Text(duration(seconds), justify="right"))
        table.add_row(Text("in all", "bold"), Text(duration(self.total), "bold", justify="right"))
        return table

    @property
    def total(self) -> float:
        """Seconds since the first step could begin."""
        return time.monotonic() - self._began


def duration(seconds: float) -> str:
    """`0.3 s`, `42 s`, `6 min 4 s`."""
    whole = round(seconds)
    if whole < 1:
        return f"{seconds:.1f} s"
    return f"{whole} s" if whole < _MINUTE else f"{whole // _MINUTE} min {whole % _MINUTE} s"
