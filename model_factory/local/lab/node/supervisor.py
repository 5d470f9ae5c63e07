"""The first process of a real node's namespaces: prepares them, starts the node's services and starts again what ends.

It is process 1 of a process namespace, so the kernel ends everything in it, containers too, when it ends, however it ends; mounts and the
network go with it. Nothing here knows what the services are: `service.json` says it. Runs on the standard library alone, as
`python -m model_factory.local.lab.node.supervisor FILE`, under `unshare --fork --kill-child --pid --mount --net --mount-proc`.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from model_factory.local.lab.node import requirements

LINK_SECONDS: Final = 20.0
STOP_SECONDS: Final = 4.0
POLL_SECONDS: Final = 0.05
BACKOFF_SECONDS: Final = (0.2, 1.0, 3.0, 5.0)
"""How long a service that ended waits before it starts again; one that ran for a minute begins anew."""
STEADY_SECONDS: Final = 60.0
LOG_BYTES: Final = 20 * 1024 * 1024
"""A log that has grown beyond it is begun anew when its service starts."""


@dataclass(slots=True)
class Service:
    """One service, and what is known of its process."""

    name: str
    command: Sequence[str]
    log: str
    wait_for: str | None = None
    """A path that must be there before it starts, such as another service's socket."""
    process: subprocess.Popen[bytes] | None = None
    failures: int = 0
    started: float = 0.0
    due: float = field(default=0.0)


class Supervisor:
    """Keeps the services running until it is told to stop."""

    def __init__(self, document: dict[str, Any]) -> None:
        self._link: str = document["link"]
        self._setup: Sequence[Sequence[str]] = document["setup"]
        self._pids = Path(document["pids"])
        self._services = [Service(**each) for each in document["services"]]
        self._stopping = False

    def run(self) -> None:
        signal.signal(signal.SIGTERM, self._stop)
        signal.signal(signal.SIGINT, self._stop)
        self._wait_for_link()
        for command in self._setup:
            if self._stopping:
                return
            subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
        while not self._stopping:
            self._reap()
            self._start_due()
            time.sleep(POLL_SECONDS)
        self._end()

    def _stop(self, *_: object) -> None:
        self._stopping = True

    def _wait_for_link(self) -> None:
        """The other end is in the host's namespace, so the host makes it and hands this end over."""
        deadline = time.monotonic() + LINK_SECONDS
        while self._link not in {name for _, name in socket.if_nameindex()}:
            if self._stopping or time.monotonic() > deadline:
                sys.exit(f"the link {self._link} did not come within {LINK_SECONDS:.0f} s")
            time.sleep(POLL_SECONDS)

    def _start_due(self) -> None:
        now, changed = time.monotonic(), False
        for service in self._services:
            if service.process is not None or now < service.due:
                continue
            if service.wait_for is not None and not Path(service.wait_for).exists():
                continue
            service.process = self._start(service)
            service.started, changed = now, True
        if changed:
            self._record()

    @staticmethod
    def _start(service: Service) -> subprocess.Popen[bytes]:
        log = Path(service.log)
        if log.exists() and log.stat().st_size > LOG_BYTES:
            log.unlink()
        with log.open("ab") as file:
            # Its own group, so that a signal to the supervisor's is not one to it.
            return subprocess.Popen(
                service.command, stdin=subprocess.DEVNULL, stdout=file, stderr=file, cwd="/", start_new_session=True
            )

    def _reap(self) -> None:
        """Take the end of every child: the services', and that of shims and other orphans, which process 1 inherits."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            for service in self._services:
                if service.process is not None and service.process.pid == pid:
                    service.process.returncode = os.waitstatus_to_exitcode(status)
                    self._ended(service)

    def _ended(self, service: Service) -> None:
        now = time.monotonic()
        service.failures = 0 if now - service.started > STEADY_SECONDS else service.failures + 1
        service.due = now + BACKOFF_SECONDS[min(service.failures, len(BACKOFF_SECONDS) - 1)]
        code = service.process.returncode if service.process else None
        print(f"{service.name} ended with {code}; it starts again", file=sys.stderr, flush=True)  # noqa: T201  its log
        service.process = None

    def _record(self) -> None:
        """Which process each service is, inside the namespace: for people, and for tests that end one."""
        running = {each.name: each.process.pid for each in self._services if each.process is not None}
        temporary = self._pids.with_suffix(".new")
        temporary.write_text(json.dumps(running))
        temporary.replace(self._pids)

    def _end(self) -> None:
        """Services first, so that they write down what they hold; what is left ends with this process."""
        running = [each.process for each in reversed(self._services) if each.process is not None]
        for process in running:
            with suppress(ProcessLookupError):
                process.terminate()
        deadline = time.monotonic() + STOP_SECONDS
        while any(process.poll() is None for process in running) and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)


if __name__ == "__main__":
    os.umask(0o022)  # what containers see of their file systems is made by services here
    # Services start programs of administration: mount, iptables, runc.
    os.environ["PATH"] = requirements.search_path()
    Supervisor(json.loads(Path(sys.argv[1]).read_text())).run()
