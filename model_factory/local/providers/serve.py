"""Serve local providers over gRPC on loopback, for the Pulumi CLI (`PULUMI_DEBUG_PROVIDERS`).

    python -m model_factory.local.providers.serve [--root DIR] [--ports FILE] aws gcp=40001 kubernetes

prints `PULUMI_DEBUG_PROVIDERS=aws:PORT,gcp:40001,kubernetes:PORT` once all of them listen, writes their ports to the file as
JSON, and ends on SIGTERM or SIGINT. `factory clouds env` starts it and prints all that a shell needs to run `pulumi`.

The CLI attaches every provider of a package to the one port, each over a connection of its own: three clusters are three
connections that are configured differently. So a connection is given a provider of its own. A connection that was idle for
half an hour is opened anew by the CLI and would then be unconfigured: such a call is refused with that explanation. The first
call on a connection is Handshake. It makes the provider, so that none is met again which served, and was cancelled by, an
earlier run whose port the system has given out anew; of the connections before the latest thousand, none is kept.
"""

from __future__ import annotations

import argparse
import json
import logging
import signal
import sys
import threading
from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import grpc
from pulumi.runtime.proto import provider_pb2_grpc

from model_factory.local.providers.packages import PROVIDERS, provider_class
from model_factory.local.providers.retries import log

VARIABLE: Final = "PULUMI_DEBUG_PROVIDERS"
_OPTIONS: Final = (
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    ("grpc.so_reuseport", 0),
)
_WORKERS: Final = 64
_STOP_SECONDS: Final = 5.0
_CONNECTIONS_KEPT: Final = 1000


class PerConnection:
    """A servicer that gives each connection a provider of its own."""

    def __init__(self, make: Callable[[], provider_pb2_grpc.ResourceProviderServicer]) -> None:
        self._make = make
        self._providers: dict[str, provider_pb2_grpc.ResourceProviderServicer] = {}
        self._lock = threading.Lock()

    def __getattr__(self, method: str) -> Callable[[Any, Any], Any]:
        # Called once a method, when the servicer is added to a server.
        def call(request: Any, context: Any) -> Any:
            try:
                provider = self._of(context.peer(), anew=method == "Handshake")
                return getattr(provider, method)(request, context)
            except NotImplementedError:
                context.abort(grpc.StatusCode.UNIMPLEMENTED, f"local providers do not implement {method}")

        return call

    def _of(self, peer: str, *, anew: bool) -> provider_pb2_grpc.ResourceProviderServicer:
        with self._lock:
            if anew or peer not in self._providers:
                self._providers.pop(peer, None)
                self._providers[peer] = self._make()
                for oldest in list(self._providers)[:-_CONNECTIONS_KEPT]:
                    del self._providers[oldest]
            return self._providers[peer]


@dataclass(frozen=True, slots=True)
class Served:
    """Providers that listen on 127.0.0.1: the port of each."""

    ports: Mapping[str, int]

    @property
    def environment(self) -> dict[str, str]:
        """What the Pulumi CLI needs in its environment to attach to them."""
        return {VARIABLE: ",".join(f"{name}:{port}" for name, port in self.ports.items())}


@contextmanager
def serve(
    wanted: Mapping[str, int],
    *,
    root: Path | None = None,
    make: Callable[[str, Path | None], Callable[[], Any]] | None = None,
) -> Generator[Served]:
    """Serve the named packages until the block ends; port 0 takes a free one. OSError where a port is taken.

    `root` is the folder that relative paths in a provider's configuration are taken from; the current one by default.
    """
    maker = make or provider_class
    with ExitStack() as stack:
        yield Served({name: _start(stack, name, port, maker(name, root)) for name, port in wanted.items()})


def _start(stack: ExitStack, name: str, port: int, provider: Callable[[], Any]) -> int:
    server: Any = grpc.server(ThreadPoolExecutor(_WORKERS, thread_name_prefix=f"{name}-provider"), options=_OPTIONS)
    servicer: Any = PerConnection(provider)
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(servicer, server)
    try:
        bound = int(server.add_insecure_port(f"127.0.0.1:{port}"))
    except RuntimeError as error:
        raise OSError(f"cannot serve the {name} provider on 127.0.0.1:{port}; is the port taken? ({error})") from error
    server.start()
    stack.callback(lambda: server.stop(_STOP_SECONDS).wait())
    return bound


def _write_whole(path: Path, text: str) -> None:
    """Whoever waits for the file never reads a part of it."""
    temporary = path.with_name(f"{path.name}.new")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m model_factory.local.providers.serve",
        description="Serve local providers to the Pulumi CLI.",
    )
    parser.add_argument("providers", nargs="+", metavar="NAME[=PORT]", help=f"one of {', '.join(PROVIDERS)}")
    parser.add_argument("--root", type=Path, default=None, help="folder that relative paths are taken from")
    parser.add_argument("--ports", type=Path, default=None, help="file to write the ports to, as JSON")
    options = parser.parse_args(arguments)
    wanted: dict[str, int] = {}
    for item in options.providers:
        name, _, port = str(item).partition("=")
        if name not in PROVIDERS or not (port or "0").isdigit():
            parser.error(f"{item!r} is not NAME or NAME=PORT; there are {', '.join(PROVIDERS)}")
        wanted[name] = int(port or 0)
    logging.basicConfig(format="%(asctime)s %(message)s")
    log.setLevel(logging.INFO)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: stop.set())
    try:
        with serve(wanted, root=options.root) as served:
            sys.stdout.write("".join(f"{key}={value}\n" for key, value in served.environment.items()))
            sys.stdout.flush()
            if options.ports is not None:
                _write_whole(options.ports, json.dumps(dict(served.ports)))
            stop.wait()
    except OSError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
