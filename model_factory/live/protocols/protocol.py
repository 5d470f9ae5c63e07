"""What a protocol of model servers is: how one request is made of a user's data, and what of the answer a person reads."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

JSON_TYPE: Final = "application/json"
GREETING: Final = "What is a model server?"
"""What a model that takes text is asked where nothing is given."""
_VALUES_MOST: Final = 6
_TEXT_MOST: Final = 2_000
_LINES_MOST: Final = 3
_LINE_MOST: Final = 300


class RefusedError(Exception):
    """The data is nothing that this model can be asked."""


class ServerError(Exception):
    """The server answers otherwise than its protocol says, or refuses; in its own words."""


@dataclass(frozen=True, slots=True)
class Call:
    """One HTTP request to a model server."""

    method: str
    path: str
    body: bytes = b""
    content_type: str = JSON_TYPE
    headers: Mapping[str, str] = field(default_factory=dict[str, str])

    @classmethod
    def of(cls, path: str, document: object) -> Call:
        """A POST of JSON."""
        return cls("POST", path, json.dumps(document).encode())


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back, whatever its status."""

    status: int
    body: bytes
    content_type: str = ""

    @property
    def ok(self) -> bool:
        return 200 <= self.status < 300

    @property
    def document(self) -> Any:
        """The body as JSON; None where it is none."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None

    @property
    def problem(self) -> str:
        """Status and the first lines of the body."""
        said = self.body[: 4 * _LINES_MOST * _LINE_MOST].decode(errors="replace").strip()
        lines = [line[:_LINE_MOST] for line in said.splitlines()[:_LINES_MOST]]
        return f"status {self.status}: {' / '.join(lines) or 'no body'}"


Ask = Callable[[Call], Reply]
"""Carries out one call. OSError and the like where no answer comes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelProtocol:
    """One way in which model servers are asked.

    `prepare` makes the call that carries `data` (None: whatever the model can be asked without) to a model; it may ask the server what
    the model takes. `told` is the answer as a person reads it, shortened. `prepare` raises RefusedError and ServerError.
    """

    title: str
    prepare: Callable[[str, bytes | None, Ask], Call]
    told: Callable[[Reply], str]


def parsed(data: bytes | None) -> Any:
    """The data as JSON where it is an object or a list; None else: a number alone, or a word, is text."""
    if data is None or data.lstrip()[:1] not in (b"{", b"["):
        return None
    try:
        return json.loads(data)
    except ValueError:
        return None


def shortened(text: str) -> str:
    """A text with its end left out where it is long."""
    return text if len(text) <= _TEXT_MOST else f"{text[:_TEXT_MOST]} … ({len(text)} characters)"


def first_of(values: list[Any]) -> str:
    """The first of many values."""
    shown = " ".join(f"{each:.6g}" if isinstance(each, float) else str(each) for each in values[:_VALUES_MOST])
    return f"{shown} …" if len(values) > _VALUES_MOST else shown


def flat(value: Any) -> list[Any]:
    """What lists hold, however deep."""
    return [inner for each in value for inner in flat(each)] if isinstance(value, list) else [value]


def document_of(call: Call, ask: Ask) -> Any:
    """What the server answers as JSON. Raises ServerError with what it said instead."""
    reply = ask(call)
    if not reply.ok or reply.document is None:
        raise ServerError(f"{call.method} {call.path}: {reply.problem}")
    return reply.document
