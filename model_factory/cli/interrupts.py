"""Signals during an operation: the first asks it to end cleanly, the second abandons what is in flight."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from types import FrameType

from rich.console import Console


@contextmanager
def interrupts(console: Console, on_first: Callable[[], None]) -> Generator[threading.Event]:
    """The event is set by the first Ctrl-C or SIGTERM while the block runs, and `on_first` is called; the second ends the process at once."""
    cancel = threading.Event()

    def on_signal(number: int, _frame: FrameType | None) -> None:
        if cancel.is_set():
            console.show_cursor()
            os._exit(128 + number)  # the journal holds every step that was begun; the next run resumes from it
        cancel.set()
        on_first()

    previous = {number: signal.signal(number, on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield cancel
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
