"""A proxy on loopback between a provider and a local cloud, which spoils the answers of chosen calls."""

from __future__ import annotations

import http.client
import select
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from typing import Final, Literal, get_args
from urllib.parse import urlsplit

from model_factory.local.clouds.aws import routing as aws_routing
from model_factory.local.clouds.gcp import routing as gcp_routing

Fault = Literal[
    "throttle", "error before", "error after", "reset before", "reset after", "cut after", "chunk cut after", "page before",
    "page after", "nonsense after", "slow after", "not found",
]  # fmt: skip
"""What comes of a call: before or after it was done, or (`not found`) although the object is there."""
FAULTS: Final[tuple[Fault, ...]] = get_args(Fault)
LONGEST_SLOW_SECONDS: Final = 10
_CONNECTION: Final = frozenset({"connection", "keep-alive", "transfer-encoding", "content-length"})
_PAGE: Final = b"<html><body>This site is being looked after.</body></html>"
_REFUSALS: Final = {
    # By how the API words errors: AWS's codes for throttling and for what is not there, and the body around one.
    "ec2": ("RequestLimitExceeded", "InvalidID.NotFound", "<Response><Errors>{xml}</Errors></Response>"),
    "query": ("Throttling", "NoSuchEntity", "<ErrorResponse>{xml}</ErrorResponse>"),
    "rest-xml": ("SlowDown", "NoSuchBucket", "{xml}"),
    "json": ("ThrottlingException", "ResourceNotFoundException", '{{"__type": "{code}", "message": "as told"}}'),
    "google": (
        "rateLimitExceeded",
        "notFound",
        '{{"error": {{"code": {status}, "errors": [{{"reason": "{code}"}}]}}}}',
    ),
}


@dataclass(frozen=True, slots=True)
class Asked:
    """A call as it came by: `name` is its operation as the cloud calls it (`ec2:CreateVpc`, `compute.networks.insert`)."""

    name: str
    changes: bool
    words: str
    """How its API words errors: a key of `_REFUSALS`."""


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
            wbufsize = -1  # header and body at once: a body of its own would wait for the acknowledgement of the header

            def log_message(self, *_: object) -> None:
                """Silent."""

            def handle_one_request(self) -> None:
                self.raw_requestline = self.rfile.readline(65537)
                if not self.raw_requestline or not self.parse_request():
                    self.close_connection = True
                    return
                proxy._serve(self)
                if not self.wfile.closed:
                    self.wfile.flush()

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    def only(self, name: str, occurrence: int, fault: Fault, times: int = 1) -> None:
        """Spoil the `occurrence`th call of this name from now, and as many after it as make it `times`."""
        self.pass_all()

        def spoil(asked: Asked) -> Fault | None:
            seen = sum(each.name == name for each in self.asked)
            return fault if asked.name == name and occurrence <= seen < occurrence + times else None

        self.spoil = spoil

    def pass_all(self) -> None:
        """Forget what was asked, and spoil nothing."""
        self.asked.clear()
        self.spoiled.clear()
        self.spoil = lambda _: None

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
        if fault in ("throttle", "not found"):
            return _refuse(handler, asked, fault)
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
        kept = {key: value for key, value in response.getheaders() if key.lower() not in _CONNECTION}
        status, shown = response.status, None
        if fault == "slow after":  # until the client has had enough
            select.select([handler.connection], [], [], LONGEST_SLOW_SECONDS)
        if fault in ("reset after", "slow after") or (fault == "cut after" and not content):
            return _reset(handler)
        if fault == "chunk cut after":
            return _cut_chunk(handler, status, kept, content)
        if fault == "error after":
            status, kept, content = 500, {}, b""
        elif fault == "page after":
            status, kept, content = 200, {"Content-Type": "text/html"}, _PAGE
        elif fault == "nonsense after":
            status, content = (
                200,
                b"<surprise>1</surprise>" if content.lstrip().startswith(b"<") else b'{"surprise": 1}',
            )
        elif fault == "cut after":
            shown = len(content) // 2
        return _answer(handler, status, kept, content, shown)


@contextmanager
def fault_proxy(cloud_url: str) -> Iterator[FaultProxy]:
    proxy = FaultProxy(cloud_url)
    try:
        yield proxy
    finally:
        proxy.close()


def _asked(handler: BaseHTTPRequestHandler, body: bytes) -> Asked:
    verb, (path, _, query) = handler.command, handler.path.partition("?")
    if "AWS4-HMAC-SHA256" in handler.headers.get("Authorization", ""):
        call = aws_routing.resolve(
            {
                "REQUEST_METHOD": verb,
                "PATH_INFO": path,
                "QUERY_STRING": query,
                "SERVER_NAME": "127.0.0.1",
                "SERVER_PORT": "80",
                "wsgi.url_scheme": "http",
                "wsgi.input": BytesIO(body),
                "CONTENT_LENGTH": str(len(body)),
                "CONTENT_TYPE": handler.headers.get("Content-Type", ""),
                **{f"HTTP_{key.upper().replace('-', '_')}": value for key, value in handler.headers.items()},
            }
        )
        return Asked(call.name, not call.reads, "json" if "json" in call.protocol else call.protocol)
    found = gcp_routing.find(verb, path)
    name = found[0].method.id if found else f"{verb} {path}"
    reads = verb == "GET" or name.rpartition(".")[2] in ("getIamPolicy", "testIamPermissions")
    return Asked(name, not reads, "google")


def _refuse(handler: BaseHTTPRequestHandler, asked: Asked, fault: Fault) -> None:
    throttled, not_found, words = _REFUSALS[asked.words]
    status, code = (429, throttled) if fault == "throttle" else (404, not_found)
    xml = f"<Error><Code>{code}</Code><Message>as told</Message></Error>"
    content = words.format(xml=xml, code=code, status=status)
    _answer(handler, status, {"x-amzn-ErrorType": code}, content.encode())


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


def _cut_chunk(handler: BaseHTTPRequestHandler, status: int, headers: dict[str, str], content: bytes) -> None:
    """Begin a chunk of the whole, and hang up in its middle."""
    handler.send_response_only(status)
    for key, value in {**headers, "Transfer-Encoding": "chunked"}.items():
        handler.send_header(key, value)
    handler.end_headers()
    handler.wfile.write(b"%x\r\n" % (len(content) + 1) + content)
    handler.close_connection = True


def _reset(handler: BaseHTTPRequestHandler) -> None:
    """End the connection by a reset, as a load balancer does that lost its server."""
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    handler.close_connection = True
    handler.connection.shutdown(socket.SHUT_RD)
    handler.connection.close()
