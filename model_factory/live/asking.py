"""HTTP to a model server: at an address, or at a Pod's port through the API server of its cluster."""

from __future__ import annotations

import http.client
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import TYPE_CHECKING, Final, Self
from urllib.parse import urlsplit

from model_factory.access.errors import AccessError
from model_factory.live.protocols.protocol import Call, Reply

if TYPE_CHECKING:
    from model_factory.access.client import ClusterClient
    from model_factory.access.forward import Forward

ANSWER_SECONDS: Final = 120.0
"""How long an answer may take: a long text on a small machine."""
FAILURES: Final = (OSError, HTTPException, AccessError)
"""What an `Asker` raises where no answer comes."""

Connect = Callable[[], HTTPConnection]


class _Forwarded(HTTPConnection):
    """To a Pod's port: the socket is a stream through the API server."""

    def __init__(self, open_stream: Callable[[], Forward]) -> None:
        super().__init__("localhost", timeout=ANSWER_SECONDS)
        self._open = open_stream
        self._stream: Forward | None = None
        self.said = ""
        """What the kubelet said of the last stream: that nobody listens there, for one."""

    def connect(self) -> None:
        self.said = ""
        self._stream = self._open()
        self._stream.socket.settimeout(self.timeout)
        self.sock = self._stream.socket

    def close(self) -> None:
        super().close()
        if self._stream is not None:
            self.said = self._stream.error()
            self._stream.close()
            self._stream = None


def through_cluster(client: ClusterClient, namespace: str, pod: str, port: int) -> Connect:
    """Connections to a port of a Pod, that open when first used."""
    return lambda: _Forwarded(lambda: client.forward(pod, port, namespace=namespace))


def at_address(url: str) -> Connect:
    """Connections to an address, `http://…` or `https://…`. ValueError for what is none."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.path not in ("", "/"):
        raise ValueError(f"{url} is no address of a server; write http://HOST:PORT")
    made = HTTPSConnection if parts.scheme == "https" else HTTPConnection
    host, port = parts.hostname, parts.port
    return lambda: made(host, port, timeout=ANSWER_SECONDS)


@dataclass(slots=True)
class Asker:
    """One connection that is kept between calls. Not for several threads."""

    connect: Connect
    _connection: HTTPConnection | None = field(default=None, init=False)

    def ask(self, call: Call) -> Reply:
        """Carry out one call. Where the server has meanwhile closed a connection that was used before, on a new one.

        Raises one of `FAILURES` where no answer comes.
        """
        if self._connection is not None:
            with suppress(http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError):
                return self._ask(self._connection, call)
            self.close()
        self._connection = self.connect()
        try:
            return self._ask(self._connection, call)
        except FAILURES as error:
            connection = self._connection
            self.close()
            said = getattr(connection, "said", "").strip()
            raise ConnectionError(f"{str(error) or type(error).__name__}{f': {said}' if said else ''}") from error

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @staticmethod
    def _ask(connection: HTTPConnection, call: Call) -> Reply:
        headers = {"Content-Type": call.content_type, "Accept": "application/json, */*", **call.headers}
        connection.request(call.method, call.path, body=call.body or None, headers=headers)
        answer = connection.getresponse()
        return Reply(answer.status, answer.read(), answer.headers.get("Content-Type", ""))
