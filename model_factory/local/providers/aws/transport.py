"""botocore's connections, to loopback alone."""

from __future__ import annotations

import socket
from typing import Any

from botocore.awsrequest import AWSHTTPConnection, AWSHTTPConnectionPool, AWSHTTPSConnection, AWSHTTPSConnectionPool

from model_factory.local.loopback import checked


class _Plain(AWSHTTPConnection):
    def _new_conn(self) -> socket.socket:
        return checked(super()._new_conn())


class _Tls(AWSHTTPSConnection):
    def _new_conn(self) -> socket.socket:
        return checked(super()._new_conn())


class _PlainPool(AWSHTTPConnectionPool):
    ConnectionCls = _Plain


class _TlsPool(AWSHTTPSConnectionPool):
    ConnectionCls = _Tls


def keep_on_loopback(client: Any) -> None:
    """Let a client that has not connected yet make such connections only. botocore itself follows no redirect."""
    # botocore makes its session by itself, and has no setting for the connections.
    client._endpoint.http_session._manager.pool_classes_by_scheme = {"http": _PlainPool, "https": _TlsPool}  # noqa: SLF001
