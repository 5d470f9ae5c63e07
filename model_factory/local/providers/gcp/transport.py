"""The transport of Google's client, to loopback alone: httplib2 without proxies and redirects."""

from __future__ import annotations

import http.client
import socket
import ssl
from typing import Any

import httplib2

from model_factory.local.loopback import checked


class Http(httplib2.Http):
    """One thread's connections, kept alive."""

    def __init__(self, timeout_seconds: float | None = None) -> None:
        super().__init__(timeout=timeout_seconds, proxy_info=None)
        self.follow_redirects = False

    def request(self, uri: str, *arguments: Any, **named: Any) -> Any:
        named["connection_type"] = _Tls if uri.startswith("https:") else _Plain
        return super().request(uri, *arguments, **named)


class _AnswersOnce(http.client.HTTPConnection):
    def getresponse(self) -> http.client.HTTPResponse:
        """httplib2 sends a request again, whatever it does, where this raises BadStatusLine: it must not."""
        try:
            return super().getresponse()
        except http.client.BadStatusLine as error:
            raise ConnectionResetError("the connection ended before an answer came") from error


class _Plain(_AnswersOnce, httplib2.HTTPConnectionWithTimeout):
    def connect(self) -> None:
        self.sock = _connect(self.host, self.port, self.timeout)


class _Tls(_AnswersOnce, httplib2.HTTPSConnectionWithTimeout):
    _context: ssl.SSLContext

    def connect(self) -> None:
        self.sock = self._context.wrap_socket(_connect(self.host, self.port, self.timeout), server_hostname=self.host)


def _connect(host: str, port: int, timeout_seconds: float | None) -> socket.socket:
    connection = checked(socket.create_connection((host, port), timeout_seconds))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection
