"""Signals during an operation: the first asks it to end cleanly, the second abandons what is in flight."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from types import FrameType

from rich.console import Console

from model_factory.graph.printable import printable


@contextmanager
def interrupts(
    console: Console, on_first: Callable[[], None], last_words: Callable[[], str]
) -> Generator[threading.Event]:
    """The event is set by the first Ctrl-C or SIGTERM while the block runs, and `on_first` is called; the second ends the process at once,
    with `last_words`, which takes no lock."""
    cancel = threading.Event()

    def on_signal(number: int, _frame: FrameType | None) -> None:
        if cancel.is_set():
            _end(console, last_words())
            os._exit(128 + number)  # the journal holds every step that was begun; the next run resumes from it
        cancel.set()
        on_first()

    previous = {number: signal.signal(number, on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield cancel
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _end(console: Console, words: str) -> None:
    """Past the console's buffer and whatever block it draws, on a line of its own: nothing is written after this."""
    console.show_cursor()
    if console.is_terminal:
        # The cursor stands at the end of a block that is drawn.
        words = f"\n{words}"
    with suppress(OSError, ValueError):
        console.file.write(f"{printable(words)}\n")
        console.file.flush()
