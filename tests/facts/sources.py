"""The clouds' price sources on loopback: they serve the recorded answers, or fail as told."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from model_factory.facts.aws import market as aws
from model_factory.facts.gcp import market as gcp

RECORDED = Path(__file__).parent / "recorded"
NO_SPOT = b'<DescribeSpotPriceHistoryResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><spotPriceHistorySet/></DescribeSpotPriceHistoryResponse>'


@dataclass
class Sources:
    """What the server does. Keys of the faults are parts of a request's path."""

    url: str = ""
    statuses: dict[str, int] = field(default_factory=dict)
    """Answered instead of what is recorded."""
    cut: dict[str, int] = field(default_factory=dict)
    """How many bytes of an answer come before the connection ends; its length is announced in full."""
    changed: dict[str, tuple[bytes, bytes]] = field(default_factory=dict)
    """Replaced in an answer."""
    stalled: set[str] = field(default_factory=set)
    """Half of such an answer is sent, then `stalling` is set, and the rest waits for `release`."""
    stalling: threading.Event = field(default_factory=threading.Event)
    release: threading.Event = field(default_factory=threading.Event)
    asked: list[str] = field(default_factory=list)

    def answer(self, path: str) -> bytes | None:
        """The recorded answer to a GET."""
        parts = urlsplit(path)
        if found := re.fullmatch(r"/offers/v1.0/aws/(\w+)/current/region_index.json", parts.path):
            return _read(f"aws/{found[1]}-region_index.json")
        if found := re.fullmatch(r"/offers/v1.0/aws/(\w+)/\d+/([\w-]+)/index.csv", parts.path):
            return _read(f"aws/{found[1]}-{found[2]}.csv")
        if found := re.fullmatch(r"/v1/services/([\w-]+)/skus", parts.path):
            return _read(f"gcp/{found[1]}-{2 if 'pageToken' in parse_qs(parts.query) else 1}.json")
        return None


def _read(name: str) -> bytes | None:
    path = RECORDED / name
    return path.read_bytes() if path.exists() else None


@contextmanager
def serving(monkeypatch: pytest.MonkeyPatch) -> Iterator[Sources]:
    """Sources at work; this process's clients find them, with a key of Google's and without credentials of AWS."""
    sources = Sources()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._send(sources.answer(self.path))

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            region = self.headers["authorization"].split("/")[2]
            self._send(_read(f"aws/DescribeSpotPriceHistory-{region}.xml") or NO_SPOT)

        def _send(self, body: bytes | None) -> None:
            sources.asked.append(self.path)
            status = next((code for part, code in sources.statuses.items() if part in self.path), 200 if body else 404)
            body = body or b""
            for part, (old, new) in sources.changed.items():
                body = body.replace(old, new) if part in self.path else body
            self.send_response(status)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            body = body[: next((size for part, size in sources.cut.items() if part in self.path), len(body))]
            if any(part in self.path for part in sources.stalled):
                self.wfile.write(body[: len(body) // 2])
                sources.stalling.set()
                sources.release.wait(60)
                body = body[len(body) // 2 :]
            with suppress(ConnectionError):  # who asked has gone
                self.wfile.write(body)
            self.close_connection = True

        def log_message(self, *_: object) -> None:  # type: ignore[override]
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    sources.url = f"http://127.0.0.1:{server.server_port}"
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE", *gcp.KEY_VARIABLES):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nowhere")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nowhere")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_ENDPOINT_URL_EC2", sources.url)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv(aws.URL_VARIABLE, sources.url)
    monkeypatch.setenv(gcp.URL_VARIABLE, sources.url)
    monkeypatch.setenv(gcp.KEY_VARIABLES[0], "the-key")
    try:
        yield sources
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
