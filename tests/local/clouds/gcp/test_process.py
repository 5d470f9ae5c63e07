"""The cloud as a process: one line when ready, state that survives a kill, a clean end."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import httplib2

from model_factory.local.providers.gcp.session import google_discovery

ROOT = Path(__file__).parents[4]
PROJECT = "model-factory-dev"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running(port: int, data: Path, seconds: float) -> Iterator[subprocess.Popen[str]]:
    command = [
        sys.executable,
        "-m",
        "model_factory.local.clouds.gcp",
        "--port",
        str(port),
        "--data",
        str(data),
        "--transition-seconds",
        str(seconds),
        "--project",
        PROJECT,
    ]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == f"gcp local cloud ready at http://127.0.0.1:{port}\n"
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        if process.stdout:
            process.stdout.close()


def networks(port: int, http: httplib2.Http) -> Any:
    options = {"api_endpoint": f"http://127.0.0.1:{port}/compute/v1/"}
    return google_discovery.build(
        "compute", "v1", http=http, client_options=options, static_discovery=True, cache_discovery=False
    )


class TestProcess:
    def test_a_kill_with_an_operation_pending_loses_nothing(self, tmp_path: Path) -> None:
        port, http = free_port(), httplib2.Http()
        with running(port, tmp_path, 10) as process:
            compute = networks(port, http)
            operation = (
                compute.networks().insert(project=PROJECT, body={"name": "n", "autoCreateSubnetworks": False}).execute()
            )
            assert operation["status"] == "RUNNING"
            process.send_signal(signal.SIGKILL)
            process.wait()
        http.close()
        with running(port, tmp_path, 0):
            compute = networks(port, http)
            done = compute.globalOperations().wait(project=PROJECT, operation=operation["name"]).execute()
            assert done["status"] == "DONE"
            took = datetime.fromisoformat(done["endTime"]) - datetime.fromisoformat(operation["startTime"])
            # A quarter of the 10 s that were set when it began, told in whole seconds.
            assert took.total_seconds() in (2, 3)
            assert compute.networks().get(project=PROJECT, network="n").execute()["name"] == "n"
        http.close()

    def test_sigterm_ends_it_cleanly(self, tmp_path: Path) -> None:
        with running(free_port(), tmp_path, 0) as process:
            process.send_signal(signal.SIGTERM)
            assert process.wait(10) == 0
