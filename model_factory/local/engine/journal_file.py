"""How a journal lies on disk: lines that are written in order, together, and never changed.

One line an entry, `<CRC-32, 8 hex digits> <JSON>\\n`, the first a header that names the state it continues. Secrets are encrypted
as in the state. A last line that was cut short by a crash is no entry; any other damage is refused.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import threading
import zlib
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, cast

from model_factory.local.engine.errors import StateError
from model_factory.local.engine.ledger import Entry
from model_factory.local.engine.state import Codec, JsonObject

FORMAT: Final = 1


@dataclass(frozen=True, slots=True)
class Header:
    """What a journal continues: `base` is the SHA-256 of the state file it was begun on, empty where there was none."""

    project: str
    stack: str
    base: str
    secrets_provider: Mapping[str, Any] | None = None


def parse(name: str, data: bytes, codec: Callable[[Header], Codec]) -> tuple[Header, list[Entry]] | None:
    """A journal's header and entries; None where the header was not written wholly, so that nothing was begun.

    `codec` gives what reads the entries' secrets. Raises StateError for damage before the last line of the file `name`.
    """
    lines = data.split(b"\n")
    objects: list[JsonObject] = []
    for index, line in enumerate(lines[:-1]):
        parsed = _parse(line)
        if parsed is None:
            if index == len(lines) - 2:
                break
            raise StateError(f"{name} line {index + 1}", "(damaged)", "only the last line of a journal may be cut short",
                             f"keep a copy of {name}, remove this line and all after it, and run `refresh`")  # fmt: skip
        objects.append(parsed)
    if not objects:
        return None
    head = objects[0]
    if head.get("journal") != FORMAT:
        raise StateError(f"{name} format", head.get("journal"), f"this engine reads journals of format {FORMAT}",
                         "finish the run with the version that began it")  # fmt: skip
    header = Header(
        str(head.get("project")), str(head.get("stack")), str(head.get("base")), head.get("secrets_providers")
    )
    reader = codec(header)
    return header, [_entry(item, reader) for item in objects[1:]]


@dataclass(slots=True)
class _Batch:
    lines: list[bytes] = field(default_factory=list[bytes])
    written: Future[None] = field(default_factory=Future[None])


class Appender:
    """Writes lines to a new file, in order, from one thread; one fsync for all lines that came in while the last one ran."""

    def __init__(self, path: Path, header: bytes) -> None:
        self._path = path
        self._header = header
        self._batch = _Batch()
        self._changed = threading.Condition()
        self._closed = False
        self._failure: StateError | None = None
        self._thread: threading.Thread | None = None

    def append(self, line: bytes) -> Future[None]:
        """The result is there once the line is on disk; StateError where it could not be written."""
        with self._changed:
            if self._failure is not None:
                raise self._failure
            if self._closed:
                raise ValueError("the journal is closed")
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="journal", daemon=True)
                self._thread.start()
            self._batch.lines.append(line)
            self._changed.notify()
            return self._batch.written

    def close(self) -> None:
        """Write what is still waiting, and stop."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        file = -1
        size = 0
        try:
            while (batch := self._take()) is not None:
                data = b"".join(batch.lines)
                try:
                    if file < 0:
                        file = os.open(
                            self._path,
                            os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC,
                            0o600,
                        )
                        sync_folder(self._path.parent)
                        data = self._header + data
                    write_all(file, data)
                    os.fsync(file)
                except OSError as error:
                    if file >= 0:
                        _cut(file, size)
                    self._fail(error, batch)
                    return
                size += len(data)
                batch.written.set_result(None)
        finally:
            if file >= 0:
                os.close(file)

    def _take(self) -> _Batch | None:
        with self._changed:
            while not self._batch.lines and not self._closed:
                self._changed.wait()
            if not self._batch.lines:
                return None
            batch, self._batch = self._batch, _Batch()
            return batch

    def _fail(self, error: OSError, batch: _Batch) -> None:
        with self._changed:
            self._failure = disk_error(self._path, error)
            failed, self._batch = (batch, self._batch), _Batch()
        for waiting in failed:
            waiting.written.set_exception(self._failure)


def disk_error(path: Path, error: OSError) -> StateError:
    """Why the state could not be written, and what to do about it."""
    if isinstance(error, FileExistsError):
        return StateError(
            str(path),
            "(exists)",
            "a journal is begun only once the last one is folded",
            "load the stack again",
        )
    remedy = {
        errno.ENOSPC: "free some space and run again",
        errno.EDQUOT: "free some of your quota and run again",
        errno.EROFS: "make the folder writable and run again",
        errno.EACCES: "make the folder writable and run again",
    }.get(error.errno or 0, "see to the disk and run again")
    return StateError(str(path), f"({error.strerror})", "the state cannot be written, so nothing more is started; what was "
                      "recorded stays, and what was begun is looked up in the cloud", remedy)  # fmt: skip


def write_all(file: int, data: bytes) -> None:
    """`os.write` may write less than it was given."""
    view = memoryview(data)
    while view:
        view = view[os.write(file, view) :]


def _cut(file: int, size: int) -> None:
    # Where this fails too, the line that was cut short is the last one, which a reader ignores.
    with contextlib.suppress(OSError):
        os.ftruncate(file, size)
        os.fsync(file)


def sync_folder(folder: Path) -> None:
    """Make renames, creations and removals in a folder last."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def dumps(document: object) -> str:
    return json.dumps(document, separators=(",", ":"))


def _line(document: JsonObject, payload: str) -> bytes:
    text = dumps(document)
    if payload:
        text = f'{text[:-1]},"payload":{payload}}}'
    data = text.encode()
    return b"%08x %b\n" % (zlib.crc32(data), data)


def _parse(line: bytes) -> JsonObject | None:
    """None for a line that is damaged."""
    checksum, _, data = line.partition(b" ")
    try:
        if int(checksum, 16) != zlib.crc32(data):
            return None
        return cast("JsonObject", json.loads(data))
    except ValueError:
        return None


def header_line(header: Header) -> bytes:
    document: JsonObject = {
        "journal": FORMAT,
        "project": header.project,
        "stack": header.stack,
        "base": header.base,
        "secrets_providers": header.secrets_provider,
    }
    return _line(document, "")


def entry_line(entry: Entry, payload: str) -> bytes:
    """`payload` is the JSON of the entry's state or outputs, as text so that it need not be encoded under a lock."""
    document = {"kind": entry.kind, "n": entry.number, "op": entry.op, "row": entry.row, "ok": entry.ok}
    return _line(document, payload)


def _entry(document: JsonObject, codec: Codec) -> Entry:
    payload = document.get("payload")
    outputs = document["kind"] == "outputs"
    return Entry(
        document["kind"],
        document["n"],
        document["op"],
        document["row"],
        document["ok"],
        codec.decode_resource(payload) if payload is not None and not outputs else None,
        codec.decode_properties(payload or {}) if outputs else None,
    )
