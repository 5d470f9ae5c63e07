"""A local Google Cloud in a thread of the test's process."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn

from model_factory.local.clouds.gcp.app import create_app
from model_factory.local.clouds.gcp.core import Cloud
from model_factory.local.clouds.gcp.store import Store


@contextmanager
def gcp_server(project: str, *, transition_seconds: float) -> Iterator[tuple[str, Cloud]]:
    """Its address and the cloud itself, with no state on disk. Ended and closed after the block."""
    cloud = Cloud(Store(None), projects=(project,), transition_seconds=transition_seconds)
    config = uvicorn.Config(
        create_app(cloud),
        host="127.0.0.1",
        port=0,
        log_level="error",
        ws="none",
        lifespan="off",
        timeout_keep_alive=600,  # longer than a busy machine makes a test's client wait between two calls
    )
    running = uvicorn.Server(config)
    thread = threading.Thread(target=running.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + 20
    while not running.started:
        assert time.monotonic() < deadline, "the server did not start"
        time.sleep(0.005)
    port = running.servers[0].sockets[0].getsockname()[1]
    yield f"http://127.0.0.1:{port}", cloud
    running.should_exit = True
    thread.join(10)
    cloud.store.close()
