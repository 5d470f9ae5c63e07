"""Where people read. The one door to a terminal: what texts of others do to it ends here, and our own colours pass."""

from __future__ import annotations

import sys
from collections.abc import Iterable

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from model_factory.graph.printable import printable


class SafeConsole(Console):
    """A console whose texts do nothing but stand there: a colour is a style of ours, never part of a text."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """See `Console`: all that it writes comes from here."""
        for segment in super().render(renderable, options):
            text, style, control = segment
            # Rich's own cursor movements are controls, and its texts are not.
            yield segment if control else Segment(printable(text), style)


def write(text: str) -> None:
    """A text of others alone on stdout: as it is for a program that reads it, and as a terminal may get it for a person."""
    sys.stdout.write(printable(text) if sys.stdout.isatty() else text)
