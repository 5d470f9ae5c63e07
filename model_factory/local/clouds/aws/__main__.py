"""`python -m model_factory.local.clouds.aws --port N --data DIR [--transition-seconds S] [--kubernetes lab [--real-node DIR]]`: the local AWS, on loopback only."""

from __future__ import annotations

import argparse
import gc
import logging
import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any

from model_factory.local.clouds import REFUSAL, TRANSITION_SECONDS

HOST = "127.0.0.1"


def main() -> int:
    """Serves until SIGTERM or SIGINT; then answers the calls under way and returns 0."""
    parser = argparse.ArgumentParser(prog="python -m model_factory.local.clouds.aws", description=main.__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--data", type=Path, required=True, help="directory that keeps the state")
    parser.add_argument(
        "--transition-seconds",
        type=float,
        default=TRANSITION_SECONDS,
        help="how long CREATING and the like last",
    )
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
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    # moto asks botocore for regions, and botocore must find neither the user's profile nor an instance's metadata.
    for key in [key for key in os.environ if key.startswith("AWS_")]:
        del os.environ[key]
    os.environ.update(
        AWS_CONFIG_FILE=os.devnull, AWS_SHARED_CREDENTIALS_FILE=os.devnull, AWS_EC2_METADATA_DISABLED="true"
    )

    # Loading the service models makes half a million objects that live for good; collecting on the way doubles the time.
    gc.disable()
    from werkzeug.serving import make_server

    from model_factory.local.clouds import control, control_planes
    from model_factory.local.clouds.aws.app import AwsCloud, warm
    from model_factory.local.clouds.aws.request_handler import RequestHandler
    from model_factory.local.errors import CloudDataError
    from model_factory.local.lab.node.join import place_of

    try:
        planes = control_planes.of(arguments.kubernetes, arguments.data, arguments.port)
        place = place_of(arguments.real_node, arguments.real_node_taint, "aws", arguments.port)
        cloud = AwsCloud(arguments.data, transition_seconds=arguments.transition_seconds, planes=planes, place=place)
        server = make_server(
            HOST,
            arguments.port,
            control.wsgi(cloud.controls, cloud),
            threaded=True,
            request_handler=RequestHandler,
        )
    except (CloudDataError, OSError) as error:
        print(f"{REFUSAL}{error}", file=sys.stderr)  # noqa: T201  the log is all this process has
        return 1

    def load() -> None:
        warm()
        gc.freeze()
        gc.enable()

    def stop(_signal: int, _frame: Any) -> None:
        threading.Thread(target=server.shutdown).start()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    restored = f", {cloud.restored_calls} calls restored" if cloud.restored_calls else ""
    print(f"local AWS on http://{HOST}:{server.port}{restored}", flush=True)  # noqa: T201  says that it is ready
    threading.Thread(target=load, daemon=True).start()
    server.serve_forever()
    server.server_close()
    cloud.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
