"""A TCP stream to a Pod's port through the API server, over a websocket, with the official client's framing."""

# The websocket comes with the certificates and credentials of an Access; the official client takes them as files only.
from __future__ import annotations

import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import urlsplit

from model_factory.access.errors import UnreachableError, error_of
from model_factory.access.kubeconfig import Access
from model_factory.access.transport import CONNECT_SECONDS, checked, parsed

_PROTOCOL: Final = "sec-websocket-protocol: v4.channel.k8s.io"
_PORTS: Final = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Forward:
    """One connection to a Pod's port. `socket` is read and written like any other; `error` says what the kubelet had to say."""

    socket: Any
    error: Callable[[], str] = field(repr=False)

    @classmethod
    def open(cls, access: Access, path: str, port: int) -> Self:
        """Raises ApiError where no stream comes about."""
        # Most who use a cluster forward nothing.
        import websocket
        from kubernetes.stream.ws_client import PortForward

        class Closing(PortForward):
            """The official one leaves its connection open where the other side goes first, and its errors to nobody."""

            def _proxy(self) -> None:
                try:
                    super()._proxy()  # type: ignore[no-untyped-call]
                except (OSError, ValueError, websocket.WebSocketException) as error:
                    failed.append(str(error))
                finally:
                    for each in self.local_ports.values():
                        each.python.close()
                    stream.shutdown()

        failed: list[str] = []
        operation = f"v1/Pod.portforward:{port}"
        header = [_PROTOCOL]
        if authorization := access.authorization():
            header.append(f"Authorization: {authorization}")
        options: dict[str, Any] = {"context": access.tls} if access.tls is not None else {}
        stream = websocket.WebSocket(sslopt=options, skip_utf8_validation=False)
        url = f"ws{access.server.removeprefix('http')}{path}?ports={port}"
        way: dict[str, Any] = {}
        try:
            way = _way(access)
            stream.connect(url, header=header, timeout=CONNECT_SECONDS, **way)
            stream.settimeout(None)
        except websocket.WebSocketBadStatusException as error:
            _end(stream, way)
            text = (error.resp_body or b"").decode(errors="replace")
            raise error_of(operation, error.status_code, parsed(text), text) from error
        except (websocket.WebSocketException, OSError) as error:
            _end(stream, way)
            raise UnreachableError(operation, f"no stream through {access.server}: {error}", sent=False) from error
        forward: Any = Closing(stream, [port])
        return cls(forward.socket(port), lambda: str(forward.error(port) or "; ".join(failed)))

    def close(self) -> None:
        self.socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _end(stream: Any, way: Mapping[str, Any]) -> None:
    """Of a stream that did not come about: it does not close a connection that it was given."""
    stream.shutdown()
    if "socket" in way:
        way["socket"].close()


def _way(access: Access) -> dict[str, Any]:
    parts = urlsplit(access.server)
    host, port = str(parts.hostname), parts.port or _PORTS[parts.scheme]
    if access.proxy:
        proxy = urlsplit(access.proxy)
        return {"http_proxy_host": proxy.hostname, "http_proxy_port": proxy.port, "proxy_type": "http"}
    raw = socket.create_connection((host, port), timeout=CONNECT_SECONDS)
    if access.on_loopback:
        raw = checked(raw)
    if access.tls is not None:
        raw = access.tls.wrap_socket(raw, server_hostname=access.tls_server_name or host)
    return {"socket": raw}
