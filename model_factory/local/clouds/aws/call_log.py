"""The log of mutating calls: one JSON document a line, the first a header, before each other the checksum of all so far.

A line is in the operating system's hands before the call is answered, so the state survives SIGKILL of the process; it is
not flushed to the device, so a power cut may lose the last calls. A torn last line, left by a kill in the middle of a write,
belongs to a call that was never answered and is cut off. What is too large for a line lies in a file of its own, named by its SHA-256,
below `bodies`. Any other line that is missing, doubled, elsewhere or changed is an error with its
number, never skipped. A log of the format before, without checksums, is read as it is and written anew.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import zlib
from collections.abc import Collection
from pathlib import Path
from typing import Any, Final

from model_factory.local.errors import CloudDataError

FORMAT: Final = 2
_WITHOUT_CHECKSUMS: Final = 1
Entry = dict[str, Any]


class CallLog:
    """The open log of one data directory, held by one process. Not thread safe: its owner holds a lock."""

    def __init__(self, directory: Path) -> None:
        """Raises CloudDataError where another process has the directory."""
        directory.mkdir(parents=True, exist_ok=True)
        self.path = directory / "calls.jsonl"
        self._lock = os.open(directory / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._lock)
            raise CloudDataError(f"another local AWS has {directory}; stop it, or take another directory") from error
        self._bodies = directory / "bodies"
        self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        self._checksum = 0

    def read(self) -> list[Entry]:
        """What was recorded, oldest first. Raises CloudDataError with file and line."""
        data = self.path.read_bytes()
        whole = data.rfind(b"\n") + 1
        if whole != len(data):
            os.ftruncate(self._file, whole)
        lines = data[:whole].split(b"\n")[:-1]
        if not lines:
            self.rewrite([])
            return []
        header = _object(lines[0])
        if header is None or header.get("format") not in (FORMAT, _WITHOUT_CHECKSUMS):
            raise self._damaged(1, f"it is not the header of a log of format {FORMAT}")
        if header["format"] == _WITHOUT_CHECKSUMS:
            self.rewrite([self._known(_object(line), number) for number, line in enumerate(lines[1:], 2)])
            return self.read()
        entries: list[Entry] = []
        self._checksum = zlib.crc32(lines[0])
        for number, line in enumerate(lines[1:], 2):
            checksum, _, text = line.partition(b" ")
            self._checksum = zlib.crc32(text, self._checksum)
            if checksum != b"%08x" % self._checksum:
                raise self._damaged(number, "it is not what was written there, or a line before it is missing")
            entries.append(self._known(_object(text), number))
        return entries

    def _known(self, entry: Entry | None, number: int) -> Entry:
        if entry is None:
            raise self._damaged(number, "it is not a recorded call")
        return entry

    def _damaged(self, number: int, why: str) -> CloudDataError:
        return CloudDataError(
            f"{self.path}:{number}: {why}. Remove the lines from {number} on for what the local AWS held before them, or the "
            "file to start empty; `factory refresh` then tells the stack what is gone"
        )

    def append(self, entry: Entry) -> None:
        """Returns when the operating system has the line.

        Raises OSError (disk full) with nothing half written, and CloudDataError where the file was removed meanwhile: what
        this process holds would be lost with it.
        """
        text = _text(entry)
        checksum = zlib.crc32(text, self._checksum)
        line = b"%08x %b\n" % (checksum, text)
        held = os.fstat(self._file)
        if held.st_nlink == 0:
            raise CloudDataError(f"{self.path} was removed under the running cloud; stop it with `factory clouds stop`")
        before = held.st_size
        try:
            written = os.write(self._file, line)
            if written != len(line):
                raise OSError(f"{self.path}: {written} of {len(line)} bytes written; is the disk full?")
        except OSError:
            os.ftruncate(self._file, before)
            raise
        self._checksum = checksum

    def keep(self, body: bytes) -> str:
        """Keeps a body in a file, whole or not at all; the name that `body` knows it by. Raises OSError (disk full)."""
        name = hashlib.sha256(body).hexdigest()
        path = self._bodies / name
        if not path.is_file():
            self._bodies.mkdir(mode=0o700, exist_ok=True)
            half = path.with_suffix(".new")
            half.write_bytes(body)
            half.replace(path)
        return name

    def body(self, name: str) -> bytes:
        """A body that was kept. Raises CloudDataError where it is not there any more, or another."""
        path = self._bodies / name
        body = path.read_bytes() if path.is_file() else b""
        if hashlib.sha256(body).hexdigest() != name:
            raise CloudDataError(
                f"{path}: it is not what was written there; remove {self.path} to start empty, and `factory refresh` then tells the stack what is gone"
            )
        return body

    def rewrite(self, entries: Collection[Entry]) -> None:
        """Put these in place of all that was recorded, at once."""
        temporary = self.path.with_suffix(".new")
        data = _text({"format": FORMAT})
        self._checksum = zlib.crc32(data)
        for text in map(_text, entries):
            self._checksum = zlib.crc32(text, self._checksum)
            data += b"\n%08x %b" % (self._checksum, text)
        temporary.write_bytes(data + b"\n")
        temporary.replace(self.path)
        os.close(self._file)
        self._file = os.open(self.path, os.O_RDWR | os.O_APPEND)
        kept = {entry["bodyIn"] for entry in entries if "bodyIn" in entry}
        for path in [*self._bodies.glob("*")] if self._bodies.is_dir() else []:
            if path.name not in kept:
                path.unlink()

    def close(self) -> None:
        os.close(self._file)
        os.close(self._lock)


def _text(entry: Entry) -> bytes:
    return json.dumps(entry, separators=(",", ":")).encode()


def _object(text: bytes) -> Entry | None:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None
