"""A process that outlives the command that started it, found again by a record beside its log.

Its folder holds `process.json` (pid, its start time, what else the starter wants to know again) and `server.log`. A pid is
trusted only together with its start time, so a reused pid is never taken for the process, nor killed.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import psutil

from model_factory.local.environment import for_child
from model_factory.local.folders import private, take_private

LOG_TAIL_LINES: Final = 15
_RECORD: Final = "process.json"
_LOG: Final = "server.log"

# A daemon outlives the call that started it; a dropped Popen would warn of that.
_STARTED: Final[dict[int, subprocess.Popen[bytes]]] = {}


@dataclass(frozen=True, slots=True)
class Daemon:
    """A daemon that runs, and what its starter recorded of it."""

    process: psutil.Process
    facts: Mapping[str, Any]


def spawn(command: Sequence[str], directory: Path, *, source: Path, facts: Mapping[str, Any]) -> Daemon:
    """Start the command in `source`, which its imports come from too, and record it in `directory`."""
    _reap()
    environment = for_child()
    environment["PYTHONPATH"] = os.pathsep.join([str(source), *filter(None, [environment.get("PYTHONPATH")])])
    take_private(directory)
    with open(directory / _LOG, "ab", opener=private) as log:
        # Its own session: Ctrl-C in the terminal stops the deployment, not the daemon.
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=source,
            env=environment,
            # What it keeps holds secrets.
            umask=0o077,
            start_new_session=True,
        )
    _STARTED[process.pid] = process
    started = psutil.Process(process.pid)
    temporary = directory / f"{_RECORD}.new"
    with open(temporary, "w", encoding="utf-8", opener=private) as file:
        json.dump({"pid": process.pid, "created": started.create_time(), **facts}, file)
    temporary.replace(directory / _RECORD)
    return Daemon(started, facts)


def recorded(directory: Path) -> Daemon | None:
    """The daemon that the record names, if that process still runs."""
    try:
        record: dict[str, Any] = json.loads((directory / _RECORD).read_text())
        process = psutil.Process(record["pid"])
        same = abs(process.create_time() - record["created"]) < 1.0
    except (OSError, ValueError, KeyError, TypeError, psutil.Error):
        return None
    return Daemon(process, record) if same and is_alive(process) else None


def is_alive(process: psutil.Process) -> bool:
    """Whether it still runs; a child that ended and was not waited for does not."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def stop(process: psutil.Process, *, seconds: float) -> None:
    """End it with SIGTERM, or with SIGKILL where it does not end in time."""
    with suppress(psutil.NoSuchProcess):
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(seconds)
        except psutil.TimeoutExpired:
            process.kill()
            process.wait(seconds)
    if (ours := _STARTED.pop(process.pid, None)) is not None:
        ours.wait()
    _reap()


def _reap() -> None:
    """Let go of those of ours that were killed by others: a child that nobody waits for stays a zombie."""
    for pid in [pid for pid, ours in _STARTED.items() if ours.poll() is not None]:
        del _STARTED[pid]


def forget(directory: Path) -> None:
    """Remove the record."""
    (directory / _RECORD).unlink(missing_ok=True)


def log_tail(directory: Path) -> str:
    """The end of what it wrote."""
    lines = (directory / _LOG).read_text(errors="replace").splitlines()
    return "\n".join(lines[-LOG_TAIL_LINES:])
