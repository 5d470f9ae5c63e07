"""Servers on loopback that keep what they are sent: stand-ins for a proxy, or for where a redirect leads."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from typing import Final

PROXY_VARIABLES: Final = tuple(
    name for lower in ("http_proxy", "https_proxy", "all_proxy", "grpc_proxy") for name in (lower, lower.upper())
)


class Recorder:
    """A server on loopback that keeps what it is sent, and gives every request the one answer."""

    def __init__(self, answer: str) -> None:
        self.sent: list[bytes] = []
        self.connections = 0
        self.heard = threading.Event()
        """A connection was made and is over."""
        self._answer = answer.encode()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            with connection, suppress(OSError):  # a client may hang up at any time
                if got := connection.recv(65536):
                    self.sent.append(got)
                    connection.sendall(self._answer)
            self.heard.set()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()


def answer(status: str, *headers: str) -> str:
    body = "<ErrorResponse><Error><Code>Told</Code><Message>as told</Message></Error></ErrorResponse>"
    return "\r\n".join((f"HTTP/1.1 {status}", *headers, f"Content-Length: {len(body)}", "Connection: close", "", body))
