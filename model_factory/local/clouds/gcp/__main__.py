"""`python -m model_factory.local.clouds.gcp --port N --data DIR [--transition-seconds S] [--project ID …] [--kubernetes lab]`

Serves until SIGTERM or SIGINT. Prints one line when it takes requests.
"""

from __future__ import annotations

import argparse
import signal
import socket
import sys
from pathlib import Path

import uvicorn

from model_factory.local.clouds import REFUSAL, TRANSITION_SECONDS, control_planes
from model_factory.local.clouds.gcp.app import create_app
from model_factory.local.clouds.gcp.core import Cloud
from model_factory.local.clouds.gcp.store import Store
from model_factory.local.errors import CloudDataError
from model_factory.local.lab.node.join import place_of

STATE_FILE = "gcp.sqlite"
KEEP_ALIVE_SECONDS = 600
"""As long as Google keeps idle connections: longer than a client waits between two calls of one run."""


def _end(_number: int, _frame: object) -> None:
    sys.exit(0)


class _Server(uvicorn.Server):
    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            sys.stdout.write(f"gcp local cloud ready at http://127.0.0.1:{self.config.port}" + "\n")
            sys.stdout.flush()


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m model_factory.local.clouds.gcp", description="The local Google Cloud, on loopback."
    )
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--data", type=Path, required=True, help="directory that keeps the state over restarts")
    parser.add_argument(
        "--transition-seconds",
        type=float,
        default=TRANSITION_SECONDS,
        help="how long clusters and node pools take",
    )
    parser.add_argument("--project", action="append", default=[], help="a project that exists")
    parser.add_argument(
        "--kubernetes",
        choices=("files", "lab"),
        default="files",
        help="whether clusters are only told of, or have a control plane on this machine",
    )
    parser.add_argument(
        "--real-node",
        type=Path,
        metavar="FOLDER",
        help="the lab's folder, where this machine is to be a node of a cluster, too",
    )
    parser.add_argument("--real-node-taint", default="", help="the key of a taint on the pools that it may be of")
    arguments = parser.parse_args()
    data: Path = arguments.data
    data.mkdir(parents=True, exist_ok=True)
    try:
        store = Store(data / STATE_FILE)
    except (CloudDataError, OSError) as error:
        sys.exit(f"{REFUSAL}{error}")
    cloud = Cloud(
        store,
        data,
        tuple(arguments.project),
        transition_seconds=arguments.transition_seconds,
        planes=control_planes.of(arguments.kubernetes, data, arguments.port),
    )
    cloud.fleets.join(place_of(arguments.real_node, arguments.real_node_taint, "gcp", arguments.port))
    config = uvicorn.Config(
        create_app(cloud),
        host="127.0.0.1",
        port=arguments.port,
        log_level="warning",
        access_log=False,
        ws="none",
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
    )
    # uvicorn ends in order, then raises the signal again: that must not count as a failure.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _end)
    try:
        _Server(config).run()
    finally:
        cloud.fleets.close_all()
        cloud.store.close()


if __name__ == "__main__":
    main()
