"""A proxy on loopback between a provider and a local cloud, which spoils the answers of chosen calls."""

from __future__ import annotations

import http.client
import re
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final, Literal, get_args
from urllib.parse import urlsplit

Fault = Literal[
    "reset before", "reset after", "error before", "error after", "throttle", "cut after", "page before", "page after"
]
FAULTS: Final[tuple[Fault, ...]] = get_args(Fault)
_READS: Final = re.compile(r"Describe|Get|List|Head|Test|get|list|test")
_NAMED: Final = re.compile(r"(?:^|&)Action=(\w+)")
_CONNECTION: Final = frozenset({"connection", "keep-alive", "transfer-encoding", "content-length"})
_THROTTLED: Final = (
    b"<ErrorResponse><Error><Code>Throttling</Code><Message>slower</Message></Error></ErrorResponse>",
    b'{"__type": "ThrottlingException", "message": "slower"}',
)


_PAGE: Final = b"<html><body>This site is being looked after.</body></html>"


@dataclass(frozen=True, slots=True)
class Asked:
    """A call as it came by: `name` is its operation where the protocol says it, else its verb and path."""

    name: str
    changes: bool


class FaultProxy:
    """`url` stands for the cloud's. `asked` has every call; `spoil` names the fault of a call, or None to let it pass."""

    def __init__(self, cloud_url: str) -> None:
        self.asked: list[Asked] = []
        self.spoiled: list[str] = []
        self.spoil: Callable[[Asked], Fault | None] = lambda _: None
        self._cloud = urlsplit(cloud_url).netloc
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: object) -> None:
                """Silent."""

            def handle_one_request(self) -> None:
                self.raw_requestline = self.rfile.readline(65537)
                if not self.raw_requestline or not self.parse_request():
                    self.close_connection = True
                    return
                proxy._serve(self)

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    def change(self, number: int, fault: Fault) -> None:
        """Spoil the `number`th call from now that changes something, and no other."""
        self.asked.clear()
        self.spoiled.clear()

        def spoil(asked: Asked) -> Fault | None:
            if not asked.changes or sum(each.changes for each in self.asked) != number:
                return None
            return fault

        self.spoil = spoil

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _serve(self, handler: BaseHTTPRequestHandler) -> None:
        body = handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
        asked = _asked(handler, body)
        self.asked.append(asked)
        fault = self.spoil(asked)
        if fault is not None:
            self.spoiled.append(asked.name)
        if fault == "reset before":
            return _reset(handler)
        if fault == "throttle":
            is_json = "json" in handler.headers.get("Content-Type", "") or "X-Amz-Target" in handler.headers
            return _answer(handler, 429, {"x-amzn-ErrorType": "ThrottlingException"}, _THROTTLED[is_json])
        if fault == "error before":
            return _answer(handler, 503, {}, b"")
        if fault == "page before":
            return _answer(handler, 200, {"Content-Type": "text/html"}, _PAGE)
        connection = http.client.HTTPConnection(self._cloud, timeout=60)
        try:
            headers = {key: value for key, value in handler.headers.items() if key.lower() not in _CONNECTION}
            connection.request(handler.command, handler.path, body, headers)
            response = connection.getresponse()
            content = response.read()
        finally:
            connection.close()
        if fault == "reset after":
            return _reset(handler)
        if fault == "error after":
            return _answer(handler, 500, {}, b"")
        if fault == "page after":
            return _answer(handler, 200, {"Content-Type": "text/html"}, _PAGE)
        kept = {key: value for key, value in response.getheaders() if key.lower() not in _CONNECTION}
        shown = len(content) // 2 if fault == "cut after" else None
        return _answer(handler, response.status, kept, content, shown)


@contextmanager
def fault_proxy(cloud_url: str) -> Iterator[FaultProxy]:
    proxy = FaultProxy(cloud_url)
    try:
        yield proxy
    finally:
        proxy.close()


def _asked(handler: BaseHTTPRequestHandler, body: bytes) -> Asked:
    action = _NAMED.search(body.decode("utf-8", "replace")) if handler.command == "POST" else None
    target = handler.headers.get("X-Amz-Target", "").rpartition(".")[2]
    custom = handler.path.partition("?")[0].rpartition(":")[2] if ":" in handler.path else ""
    operation = action[1] if action else target or custom
    reads = handler.command in ("GET", "HEAD") or (operation != "" and _READS.match(operation) is not None)
    return Asked(operation or f"{handler.command} {handler.path}", changes=not reads)


def _answer(
    handler: BaseHTTPRequestHandler, status: int, headers: dict[str, str], content: bytes, shown: int | None = None
) -> None:
    """Answer; of the content that the header promises only the first `shown` bytes, where that is given."""
    handler.send_response_only(status)
    for key, value in headers.items():
        handler.send_header(key, value)
    handler.send_header("Content-Length", str(len(content)))
    handler.end_headers()
    if handler.command != "HEAD":
        handler.wfile.write(content[:shown])
    handler.close_connection |= shown is not None


def _reset(handler: BaseHTTPRequestHandler) -> None:
    """End the connection by a reset, as a load balancer does that lost its server."""
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    handler.close_connection = True
    handler.connection.shutdown(socket.SHUT_RD)
    handler.connection.close()
