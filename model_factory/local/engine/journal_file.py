"""How a journal lies on disk: lines that are written in order, together, and never changed.

One line an entry, `<CRC-32, 8 hex digits> <JSON>\\n`, the first a header that names the state it continues. The checksums go on from
line to line, so that none can be missing, doubled or elsewhere. Secrets are encrypted as in the state. A last line that was cut short
by a crash is no entry; any other damage is refused.
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
from typing import Any, Final, cast, get_args

from model_factory.local.engine.errors import StateError
from model_factory.local.engine.ledger import Entry, EntryKind, Op
from model_factory.local.engine.state import Codec, JsonObject

FORMAT: Final = 2
_REMEDY: Final = "keep a copy of {}, remove this line and all after it, and run `refresh`"


@dataclass(frozen=True, slots=True)
class Header:
    """What a journal continues: `base` is the SHA-256 of the state file it was begun on, empty where there was none."""

    project: str
    stack: str
    base: str
    secrets_provider: Mapping[str, Any] | None = None


def parse(name: str, data: bytes, codec: Callable[[Header], Codec]) -> tuple[Header, list[Entry]] | None:
    """A journal's header and entries; None where the header was not written wholly, so that nothing was begun.

    `codec` gives what reads the entries' secrets. Raises StateError for damage, with the line of the file `name`.
    """
    lines = data.split(b"\n")[:-1]
    header: Header | None = None
    entries: list[Entry] = []
    reader: Codec | None = None
    checksum = 0
    for index, line in enumerate(lines):
        found, _, text = line.partition(b" ")
        checksum = zlib.crc32(text, checksum)
        document = _read(text)
        if document is None and index == len(lines) - 1:
            break
        where = f"{name} line {index + 1}"
        if document is None or found != b"%08x" % checksum:
            raise StateError(where, "(damaged)", "it is not what was written there, or a line before it is missing",
                             _REMEDY.format(name))  # fmt: skip
        if header is None or reader is None:
            header = _header(document, name)
            reader = codec(header)
            continue
        try:
            entries.append(_entry(document, reader))
        except StateError as error:
            raise StateError(f"{where}: {error.key}", error.value, error.rule, _REMEDY.format(name)) from error
    return None if header is None else (header, entries)


@dataclass(slots=True)
class _Batch:
    lines: list[bytes] = field(default_factory=list[bytes])
    written: Future[None] = field(default_factory=Future[None])


class Appender:
    """Writes lines to a new file, in order, from one thread; one fsync for all lines that came in while the last one ran."""

    def __init__(self, path: Path, header: bytes) -> None:
        self._path = path
        self._header, self._checksum = _framed(header, 0)
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
            framed, self._checksum = _framed(line, self._checksum)
            self._batch.lines.append(framed)
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


def _framed(text: bytes, before: int) -> tuple[bytes, int]:
    checksum = zlib.crc32(text, before)
    return b"%08x %b\n" % (checksum, text), checksum


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


def _read(text: bytes) -> JsonObject | None:
    """None for what is no JSON object."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return cast("JsonObject", document) if isinstance(document, dict) else None


def header_line(header: Header) -> bytes:
    document: JsonObject = {
        "journal": FORMAT,
        "project": header.project,
        "stack": header.stack,
        "base": header.base,
        "secrets_providers": header.secrets_provider,
    }
    return dumps(document).encode()


def _header(document: JsonObject, name: str) -> Header:
    if document.get("journal") != FORMAT:
        raise StateError(f"{name} format", document.get("journal"), f"this engine reads journals of format {FORMAT}",
                         "finish the run with the version that began it")  # fmt: skip
    project, stack, base, provider = (document.get(key) for key in ("project", "stack", "base", "secrets_providers"))
    if not all(isinstance(text, str) for text in (project, stack, base)) or not isinstance(provider, dict | None):
        raise StateError(
            f"{name} line 1", "(damaged)", "it says of which state it is the journal", _REMEDY.format(name)
        )
    return Header(str(project), str(stack), str(base), cast("JsonObject | None", provider))


def entry_line(entry: Entry, payload: str) -> bytes:
    """`payload` is the JSON of the entry's state or outputs, as text so that it need not be encoded under a lock."""
    text = dumps({"kind": entry.kind, "n": entry.number, "op": entry.op, "row": entry.row, "ok": entry.ok})
    return (f'{text[:-1]},"payload":{payload}}}' if payload else text).encode()


def _entry(document: JsonObject, codec: Codec) -> Entry:
    kind, number, op, row, ok = (document.get(key) for key in ("kind", "n", "op", "row", "ok"))
    outputs, payload = kind == "outputs", document.get("payload", {})
    for key, fits in (("kind", kind in get_args(EntryKind)), ("n", type(number) is int), ("op", op in get_args(Op)),
                      ("row", row is None or type(row) is int), ("ok", type(ok) is bool),
                      ("payload", isinstance(payload, dict))):  # fmt: skip
        if not fits:
            raise StateError(key, type(document.get(key)).__name__, "no journal has that there", "")
    return Entry(
        cast("EntryKind", kind), cast("int", number), cast("Op", op), row, cast("bool", ok),
        codec.decode_resource(payload) if payload and not outputs else None,
        codec.decode_properties(payload) if outputs else None,
    )  # fmt: skip
