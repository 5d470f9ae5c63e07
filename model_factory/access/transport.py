"""HTTP to one API server: TLS, credentials, retries, warnings. Follows no redirect; a server on loopback is on loopback."""

from __future__ import annotations

import json
import re
import socket
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, cast
from urllib.parse import urlencode

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from model_factory.access.errors import UnreachableError, error_of
from model_factory.access.kubeconfig import Access
from model_factory.graph.loopback import is_loopback_address

Params = Mapping[str, str | int | bool]

CONNECT_SECONDS: Final = 10.0
ANSWER_SECONDS: Final = 60.0
_ATTEMPTS: Final = 5
_FIRST_PAUSE_SECONDS: Final = 0.1
_LONGEST_PAUSE_SECONDS: Final = 5.0
_POOL: Final = 32
# The server has not done what it answers these to, and says when to ask again.
_LATER: Final = frozenset({429, 503})
_WARNING: Final = re.compile(r'299 \S+ "((?:[^"\\]|\\.)*)"')


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: the HTTP status, the object (empty where there was none), and the warnings of the API server."""

    status: int
    object: dict[str, Any]
    warnings: tuple[str, ...] = ()


def checked(connection: socket.socket) -> socket.socket:
    """The connection, where its peer is on loopback; OSError where not, and it is closed."""
    peer = str(connection.getpeername()[0])
    if is_loopback_address(peer):
        return connection
    connection.close()
    raise OSError(f"a server on loopback led to {peer}; nothing was sent: write 127.0.0.1 as the server's host")


class _Plain(HTTPConnection):
    def _new_conn(self) -> socket.socket:
        return checked(super()._new_conn())


class _Tls(HTTPSConnection):
    def _new_conn(self) -> socket.socket:
        return checked(super()._new_conn())


class _PlainPool(HTTPConnectionPool):
    ConnectionCls: Any = _Plain


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls: Any = _Tls


def _pool(access: Access) -> urllib3.PoolManager:
    options: dict[str, Any] = {"maxsize": _POOL}
    if access.tls is not None:
        options["ssl_context"] = access.tls
    if access.tls_server_name:
        options |= {"server_hostname": access.tls_server_name, "assert_hostname": access.tls_server_name}
    if access.proxy:
        return urllib3.ProxyManager(access.proxy, **options)
    manager = urllib3.PoolManager(**options)
    if access.on_loopback:
        cast("Any", manager).pool_classes_by_scheme = {"http": _PlainPool, "https": _TlsPool}
    return manager


class Transport:
    """Requests to one API server; may be used from many threads at once.

    What can be repeated (reads, applies, deletions of a uid) is asked again when a connection breaks, and everything when the
    server answers that it did nothing yet (429, 503 with Retry-After).
    """

    def __init__(self, access: Access) -> None:
        self.access = access
        self._pool = _pool(access)
        self._closed = threading.Event()

    def close(self) -> None:
        self._closed.set()
        self._pool.clear()

    def call(
        self,
        method: str,
        path: str,
        *,
        params: Params | None = None,
        body: object = None,
        content_type: str = "application/json",
        repeatable: bool | None = None,
        operation: str = "",
    ) -> Answer:
        """One request and its whole answer. Raises ApiError; `repeatable` defaults to what GET is and the others are not."""
        again = method == "GET" if repeatable is None else repeatable
        what = operation or f"{method} {path}"
        response = self._patient(method, path, params, body, content_type, again=again, operation=what)
        try:
            data = response.read()
        except urllib3.exceptions.HTTPError as error:
            raise UnreachableError(what, _told(error, self.access.server), sent=True) from error
        finally:
            response.release_conn()
        return Answer(response.status, parsed(data), _warnings(response))

    def stream(
        self, path: str, *, params: Params | None = None, idle_seconds: float | None = None, operation: str = ""
    ) -> urllib3.BaseHTTPResponse:
        """An open answer, to be read piece by piece and closed by the caller. `idle_seconds`: how long it may be silent."""
        timeout = urllib3.Timeout(connect=CONNECT_SECONDS, read=idle_seconds)
        return self._patient("GET", path, params, None, "", again=True, operation=operation or path, timeout=timeout)

    def _patient(
        self,
        method: str,
        path: str,
        params: Params | None,
        body: object,
        content_type: str,
        *,
        again: bool,
        operation: str,
        timeout: urllib3.Timeout | None = None,
    ) -> urllib3.BaseHTTPResponse:
        pause = _FIRST_PAUSE_SECONDS
        for attempt in range(1, _ATTEMPTS + 1):
            last = attempt == _ATTEMPTS or self._closed.is_set()
            try:
                response = self._send(method, path, params, body, content_type, timeout)
            except urllib3.exceptions.HTTPError as error:
                sent = not _never_sent(error)
                if last or (sent and not again) or _is_final(error):
                    raise UnreachableError(operation, _told(error, self.access.server), sent=sent) from error
            else:
                asked = response.headers.get("Retry-After", "")
                if last or response.status not in _LATER or not asked:
                    if response.status < 300:
                        return response
                    data = response.read()
                    response.release_conn()
                    raise error_of(operation, response.status, parsed(data) or None, data.decode(errors="replace"))
                response.drain_conn()
                response.release_conn()
                pause = max(pause, float(asked) if asked.isdigit() else 0.0)
            self._closed.wait(min(pause, _LONGEST_PAUSE_SECONDS))
            pause *= 2
        raise AssertionError("unreachable: the last attempt returns or raises")

    def _send(
        self,
        method: str,
        path: str,
        params: Params | None,
        body: object,
        content_type: str,
        timeout: urllib3.Timeout | None,
    ) -> urllib3.BaseHTTPResponse:
        headers = {"Accept": "application/json, */*", "User-Agent": "model-factory"}
        if authorization := self.access.authorization():
            headers["Authorization"] = authorization
        if body is not None:
            headers["Content-Type"] = content_type
        return self._pool.request(
            method,
            f"{self.access.server}{path}{_query(params)}",
            body=None if body is None else json.dumps(body).encode(),
            headers=headers,
            timeout=timeout or urllib3.Timeout(connect=CONNECT_SECONDS, read=ANSWER_SECONDS),
            preload_content=False,
            redirect=False,
            retries=False,
        )


def _query(params: Params | None) -> str:
    told = {
        key: str(value).lower() if isinstance(value, bool) else str(value)
        for key, value in (params or {}).items()
        if value not in ("", None)
    }
    return f"?{urlencode(told)}" if told else ""


def parsed(data: bytes | str) -> dict[str, Any]:
    """The object in an answer's text; empty where it is none."""
    try:
        found = json.loads(data)
    except ValueError:
        return {}
    return cast("dict[str, Any]", found) if isinstance(found, dict) else {}


def _warnings(response: urllib3.BaseHTTPResponse) -> tuple[str, ...]:
    headers: Any = response.headers
    return tuple(
        found.replace('\\"', '"') for header in headers.getlist("Warning") for found in _WARNING.findall(header)
    )


def _never_sent(error: Exception) -> bool:
    return isinstance(error, (urllib3.exceptions.NewConnectionError, urllib3.exceptions.ConnectTimeoutError))


def _is_final(error: Exception) -> bool:
    """A certificate that is not trusted stays so."""
    return isinstance(error, (urllib3.exceptions.SSLError, urllib3.exceptions.LocationValueError))


def _told(error: Exception, server: str) -> str:
    # Before its reason urllib3 names the connection's class.
    reason = str(error).partition("): ")[2] or str(error)
    return f"no answer from {server}: {reason}; is the cluster running, and is this its address?"
