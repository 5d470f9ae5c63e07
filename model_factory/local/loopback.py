"""Connections that reach this machine alone: each is checked once it stands, before a byte is sent on it.

What a URL says is read by one parser and called by another; a socket's peer is what it is. Proxies of the environment are not asked, and
redirects are not followed, whatever the client. Each cloud's client takes its sockets from here (`transport.py` in its folder).
"""

from __future__ import annotations

import socket
import urllib.request
from typing import Any, Final

from model_factory.graph.loopback import is_loopback_address
from model_factory.local.errors import LeavesLoopbackError

GRPC_OPTIONS: Final[tuple[tuple[str, int], ...]] = (
    ("grpc.max_receive_message_length", 400 * 1024 * 1024),
    ("grpc.max_send_message_length", 400 * 1024 * 1024),
    ("grpc.enable_http_proxy", 0),
)
"""For every channel of ours: messages as large as Pulumi's, and straight to its target."""


def checked(connection: socket.socket) -> socket.socket:
    """The connection, where its peer is on loopback. Raises LeavesLoopbackError where not, and closes it."""
    peer = str(connection.getpeername()[0])
    if is_loopback_address(peer):
        return connection
    connection.close()
    raise LeavesLoopbackError(
        f"a call to {peer} was stopped before anything was sent: the local engine only talks to loopback; write "
        "http://127.0.0.1:<port> as the endpoint, or use the Pulumi CLI for real accounts"
    )


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> None:  # noqa: ARG002
        return None


def opener() -> urllib.request.OpenerDirector:
    """urllib's client without proxies and redirects; its callers give it URLs of 127.0.0.1."""
    return urllib.request.build_opener(urllib.request.ProxyHandler({}), _NoRedirects())
