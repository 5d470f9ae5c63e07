"""The log of mutating calls: one JSON document a line, the first a header.

A line is in the operating system's hands before the call is answered, so the state survives SIGKILL of the process; it is
not flushed to the device, so a power cut may lose the last calls. A torn last line, left by a kill in the middle of a write,
belongs to a call that was never answered and is cut off. Anything else that is not readable is an error, never skipped.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from model_factory.local.errors import CallLogError

FORMAT: Final = 1
Entry = dict[str, Any]


class CallLog:
    """The open log of one data directory, held by one process. Not thread safe: its owner holds a lock."""

    def __init__(self, directory: Path) -> None:
        """Raises CallLogError where another process has the directory."""
        directory.mkdir(parents=True, exist_ok=True)
        self.path = directory / "calls.jsonl"
        self._lock = os.open(directory / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._lock)
            raise CallLogError(f"another local AWS has {directory}; stop it, or take another directory") from error
        self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)

    def read(self) -> list[Entry]:
        """What was recorded, oldest first. Raises CallLogError with file and line."""
        data = self.path.read_bytes()
        whole = data.rfind(b"\n") + 1
        if whole != len(data):
            os.ftruncate(self._file, whole)
        lines = data[:whole].splitlines()
        if not lines:
            self.rewrite([])
            return []
        entries: list[Entry] = []
        for number, line in enumerate(lines, 1):
            try:
                entry = json.loads(line)
            except ValueError as error:
                raise CallLogError(
                    f"{self.path}:{number}: not a recorded call ({error}); remove the file to start empty"
                ) from error
            if not isinstance(entry, dict):
                raise CallLogError(f"{self.path}:{number}: not a recorded call; remove the file to start empty")
            entries.append(entry)
        header = entries.pop(0)
        if header.get("format") != FORMAT:
            raise CallLogError(
                f"{self.path}:1: format {header.get('format')!r} is not {FORMAT}; remove the file to start empty"
            )
        return entries

    def append(self, entry: Entry) -> None:
        """Returns when the operating system has the line.

        Raises OSError (disk full) with nothing half written, and CallLogError where the file was removed meanwhile: what
        this process holds would be lost with it.
        """
        line = _line(entry)
        held = os.fstat(self._file)
        if held.st_nlink == 0:
            raise CallLogError(f"{self.path} was removed under the running cloud; stop it with `factory clouds stop`")
        before = held.st_size
        try:
            written = os.write(self._file, line)
            if written != len(line):
                raise OSError(f"{self.path}: {written} of {len(line)} bytes written; is the disk full?")
        except OSError:
            os.ftruncate(self._file, before)
            raise

    def rewrite(self, entries: Iterable[Entry]) -> None:
        """Put these in place of all that was recorded, at once."""
        temporary = self.path.with_suffix(".new")
        temporary.write_bytes(_line({"format": FORMAT}) + b"".join(_line(entry) for entry in entries))
        temporary.replace(self.path)
        os.close(self._file)
        self._file = os.open(self.path, os.O_RDWR | os.O_APPEND)

    def close(self) -> None:
        os.close(self._file)
        os.close(self._lock)


def _line(entry: Entry) -> bytes:
    return json.dumps(entry, separators=(",", ":")).encode() + b"\n"
