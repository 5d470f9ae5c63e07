"""What the command asks of an engine, whichever it is."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from model_factory.local.engine.request import Request

EngineEvent = dict[str, Any]
Emit = Callable[[EngineEvent], None]


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an operation ended. `changes` counts resources by operation. `outputs` are the stack's, and `outputs_before` those in the
    state: plain JSON, secrets masked. `unchanged`: all is as it should be, nothing is left to do."""

    ok: bool
    cancelled: bool = False
    changes: Mapping[str, int] = field(default_factory=dict[str, int])
    outputs: Mapping[str, Any] = field(default_factory=dict[str, Any])
    outputs_before: Mapping[str, Any] = field(default_factory=dict[str, Any])
    unchanged: bool = False


class Engine(Protocol):
    """One stack, ready to be operated on. Every message and step is an event; the caller gathers and shows them."""

    @property
    def name(self) -> str:
        """As `--engine` calls it."""
        ...

    @property
    def secrets(self) -> Collection[str]:
        """Texts that nobody may be shown, as far as they are known here."""
        ...

    def run(self, request: Request, emit: Emit, cancel: threading.Event | None = None) -> Outcome:
        """Do one operation; blocks until it has ended. `emit` gets every event, one at a time. Once `cancel` is set nothing new
        is begun, and what was begun is ended.

        Raises:
            EngineError: the operation could not start at all.
        """
        ...
