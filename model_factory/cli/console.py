"""Where people read. The one door to a terminal: what texts of others do to it ends here, and our own colours pass."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable
from typing import IO, Any, Final, cast

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from model_factory.graph.printable import printable, without_commands

_IN_A_JOB: Final = "GITHUB_ACTIONS"
"""docs.github.com/en/actions/reference/workflows-and-actions/variables: set to true by the runner, which reads what a job prints."""

_BLANKS: Final = re.compile(r"[ \t]+(?=\n)")


class SafeConsole(Console):
    """A console whose texts do nothing but stand there: a colour is a style of ours, never part of a text. Nor is `[red]` or `:b:` in one more
    than what it says."""

    def __init__(self, **options: Any) -> None:
        super().__init__(markup=False, emoji=False, **options)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """See `Console`: all that it writes comes from here."""
        for segment in super().render(renderable, options):
            text, style, control = segment
            # Rich's own cursor movements are controls, and its texts are not.
            yield segment if control else Segment(printable(text), style)

    @property
    def file(self) -> IO[str]:
        """Where it writes; in a job of GitHub Actions no line of it is a command, and where nobody sees the cells of a table, none ends in
        blanks."""
        file = super().file
        in_a_job = _IN_A_JOB in os.environ
        return cast("IO[str]", _Log(file, in_a_job)) if in_a_job or not _is_seen(file) else file

    @file.setter
    def file(self, new_file: IO[str]) -> None:
        self._file = new_file


def _is_seen(file: IO[str]) -> bool:
    return not file.closed and file.isatty()


class _Log:
    """A stream of whole lines, in which none is a command to the runner nor ends in blanks: only here is known where a line begins and ends."""

    def __init__(self, file: IO[str], in_a_job: bool) -> None:
        self._stream, self._in_a_job = file, in_a_job

    def write(self, text: str) -> int:
        text = _BLANKS.sub("", text)
        return self._stream.write(without_commands(text) if self._in_a_job else text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def write(text: str) -> None:
    """A text of others alone on stdout: as it is for a program that reads it, and as a terminal may get it for a person."""
    sys.stdout.write(printable(text) if sys.stdout.isatty() else text)


def write_error(text: str) -> None:
    """A text that may quote others on stderr, which nobody but a person reads."""
    shown = printable(text)
    sys.stderr.write(without_commands(shown) if _IN_A_JOB in os.environ else shown)


def json_text(document: str) -> str:
    """JSON of the same meaning, in which nothing reads like a command to a runner, whoever reads it."""
    return document.replace("##[", "#\\u0023[")
