"""A proxy before an API server that loses the answers of chosen requests, or never passes them on."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal

import urllib3
import yaml

from model_factory.access.kubeconfig import access

Spoil = Literal["lost before", "lost after", "busy"]
_OWN = frozenset({"connection", "transfer-encoding", "content-length", "host", "keep-alive"})


class SpoilingServer:
    """`kubeconfig` leads to it. `spoil` names what becomes of the next request of each method, once."""

    def __init__(self, kubeconfig: str) -> None:
        self.spoil: dict[str, Spoil] = {}
        self.asked: list[str] = []
        found = access(kubeconfig)
        self._server = found.server
        self._pool = urllib3.PoolManager(ssl_context=found.tls)
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: object) -> None:
                """Silent."""

            def handle_any(self) -> None:
                outer._serve(self)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = handle_any  # noqa: N815 - the server's names for them

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()
        self.kubeconfig = yaml.safe_dump({
            "apiVersion": "v1", "kind": "Config", "current-context": "c",
            "clusters": [{"name": "c", "cluster": {"server": f"http://127.0.0.1:{self._http.server_address[1]}"}}],
            "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
            "users": [{"name": "u", "user": {}}],
        })  # fmt: skip

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()
        self._pool.clear()

    def _serve(self, handler: Any) -> None:
        body = handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
        self.asked.append(handler.command)
        spoil = self.spoil.pop(handler.command, None)
        if spoil == "lost before":
            handler.close_connection = True
            return
        if spoil == "busy":
            handler.send_response(429)
            handler.send_header("Retry-After", "0")
            handler.send_header("Content-Length", "0")
            handler.end_headers()
            return
        headers = {key: value for key, value in handler.headers.items() if key.lower() not in _OWN}
        answer = self._pool.request(
            handler.command, f"{self._server}{handler.path}", body=body or None, headers=headers, redirect=False
        )
        if spoil == "lost after":
            handler.close_connection = True
            return
        handler.send_response(answer.status)
        for key, value in answer.headers.items():
            if key.lower() not in _OWN:
                handler.send_header(key, value)
        handler.send_header("Content-Length", str(len(answer.data)))
        handler.end_headers()
        handler.wfile.write(answer.data)


@contextmanager
def spoiling(kubeconfig: str) -> Iterator[SpoilingServer]:
    server = SpoilingServer(kubeconfig)
    try:
        yield server
    finally:
        server.close()
