"""The local providers served by a process of their own, which outlives the command that starts it: for a `pulumi` run by hand.

Its files lie under `<root>/.factory/clouds/providers/`: those of `model_factory.local.daemon`, and `ports.json`.
"""

from __future__ import annotations

import fcntl
import json
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from model_factory.local import daemon
from model_factory.local.errors import ServerError
from model_factory.local.folders import private, take_private
from model_factory.local.providers.packages import PROVIDERS

_SOURCE: Final = Path(__file__).parents[3]
_START_SECONDS: Final = 30.0
_STOP_SECONDS: Final = 10.0
_POLL_SECONDS: Final = 0.03
_PORTS: Final = "ports.json"


def start(root: Path) -> Mapping[str, int]:
    """The port of every provider, once all of them listen. Does nothing where the server of this root runs.

    Raises:
        ServerError: it ended, or did not listen in time.
    """
    folder = _folder(root)
    take_private(folder)
    with open(folder / "start.lock", "w", opener=private) as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two commands at once: the second finds the server of the first
        running = daemon.recorded(folder)
        if running is None:
            (folder / _PORTS).unlink(missing_ok=True)
            command = [
                sys.executable,
                "-m",
                "model_factory.local.providers.serve",
                "--root",
                str(root.resolve()),
            ]
            command += ["--ports", str(folder / _PORTS), *PROVIDERS]
            running = daemon.spawn(command, folder, source=_SOURCE, facts={})
        try:
            return _wait(folder, running)
        except ServerError:
            stop(root)
            raise


def stop(root: Path) -> bool:
    """Stop the server of this root. Returns whether one ran."""
    folder = _folder(root)
    running = daemon.recorded(folder)
    if running is not None:
        daemon.stop(running.process, seconds=_STOP_SECONDS)
    daemon.forget(folder)
    return running is not None


def _wait(folder: Path, running: daemon.Daemon) -> Mapping[str, int]:
    deadline = time.monotonic() + _START_SECONDS
    while daemon.is_alive(running.process) and time.monotonic() < deadline:
        if (folder / _PORTS).exists():
            ports: dict[str, Any] = json.loads((folder / _PORTS).read_text(encoding="utf-8"))
            return {name: int(port) for name, port in ports.items()}
        time.sleep(_POLL_SECONDS)
    raise ServerError(f"the local providers could not be served:\n{daemon.log_tail(folder)}")


def _folder(root: Path) -> Path:
    return root.resolve() / ".factory" / "clouds" / "providers"
