"""Where a stack's state lies: one file in Pulumi's deployment format, written whole or not at all, and held by one run at a time.

Files under the folder: `<stack>.json`, `<stack>.bak` (the state before the last write), `<stack>.journal` (of a run in progress
or cut short), `<stack>.lock` (who holds the stack, only while it is held).
"""

from __future__ import annotations

import contextlib
import fcntl
import getpass
import hashlib
import json
import os
import re
import socket
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final, cast

from model_factory.graph.files import STATE_BYTES_MAX, read_plain
from model_factory.graph.urn import STACK_TYPE
from model_factory.local.engine import journal_file
from model_factory.local.engine.disclosure import CHECKSUM
from model_factory.local.engine.errors import LockedError, StateError
from model_factory.local.engine.integrity import verify
from model_factory.local.engine.journal import Journal
from model_factory.local.engine.journal_file import Header, disk_error, sync_folder, write_all
from model_factory.local.engine.ledger import Entry, fold
from model_factory.local.engine.model import Snapshot, now
from model_factory.local.engine.secrets import Crypter
from model_factory.local.engine.state import (
    Codec,
    JsonObject,
    decode_snapshot,
    encode_snapshot,
    new_manifest,
    passphrase_provider,
    passphrase_salt,
)
from model_factory.local.wire import Value

_STACK_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")
_RESTORE: Final = "restore the state from its .bak file or an export"
_READ_ATTEMPTS: Final = 5


@dataclass(frozen=True, slots=True)
class Owner:
    """Who holds, or held, a stack."""

    pid: int
    user: str
    host: str
    since: str

    def __str__(self) -> str:
        return f"process {self.pid} of {self.user} on {self.host}, since {self.since}"


class StackStore:
    """One stack's state in the folder `root`. `crypter` is asked only when a secret, or a new stack's salt, is needed.

    Reading needs no lock. Writing does: hold `lock()` around load, journal and finish.
    """

    def __init__(self, root: Path, project: str, stack: str, crypter: Callable[[], Crypter]) -> None:
        if not _STACK_NAME.fullmatch(stack):
            raise StateError("stack", repr(stack), "a stack's name has up to 100 letters, digits, '-', '_' and '.', and starts "
                             "with a letter, digit or '_'", "choose another name")  # fmt: skip
        self.root = root
        self.project = project
        self.stack = stack
        self._make_crypter = crypter
        self._crypters: dict[str, Crypter] = {}
        self._held = False
        self._base = ""
        self.path = root / f"{stack}.json"
        self.backup_path = root / f"{stack}.bak"
        self.journal_path = root / f"{stack}.journal"
        self.lock_path = root / f"{stack}.lock"

    @contextmanager
    def lock(self) -> Generator[Owner | None]:
        """Hold the stack alone. Gives the owner that died while it held the stack, if one did. Raises LockedError."""
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            file = _lock_file(self.lock_path, self.stack)
        except OSError as error:
            raise disk_error(self.lock_path, error) from error
        try:
            dead = _read_owner(self.lock_path)
            self._take(file)
            yield dead
        finally:
            self._held = False
            # Removed before it is released: whoever waits for it finds that its file is no longer the one with this name.
            self.lock_path.unlink(missing_ok=True)
            os.close(file)

    def _take(self, file: int) -> None:
        try:
            os.ftruncate(file, 0)
            write_all(file, json.dumps(asdict(_myself())).encode())
            for temporary in _temporaries(self.path):
                # What a run that was killed while it wrote left behind.
                temporary.unlink(missing_ok=True)
        except OSError as error:
            raise disk_error(self.lock_path, error) from error
        self._held = True

    def exists(self) -> bool:
        return self.path.exists() or self.journal_path.exists()

    def load(self) -> Snapshot:
        """The state with the journal of a run that was cut short folded in; on disk too, where the lock is held. Empty for a
        new stack. Raises StateError for a state that is damaged, too new or another stack's."""
        snapshot, left_over = self._read()
        if left_over and self._held:
            if left_over == "open":
                return self._commit(snapshot)
            self._drop_journal()
        return snapshot

    def journal(self, snapshot: Snapshot) -> Journal:
        """A journal that continues `snapshot`, which `load` or `write` returned under this lock."""
        self._require_lock()
        if _digest(_read_bytes(self.path)) != self._base:
            raise StateError(
                self.path.name,
                "(changed)",
                "the state is not the one that was loaded",
                "load it under the lock",
            )
        provider = snapshot.secrets_provider or passphrase_provider(self._make_crypter().salt)
        header = Header(self.project, self.stack, self._base, provider)
        base = replace(snapshot, secrets_provider=provider)
        return Journal(self.journal_path, header, base, self._codec(provider), self._commit)

    def write(self, snapshot: Snapshot) -> Snapshot:
        """Replace the state, after checking it; a journal is dropped. Gives the snapshot with its new manifest."""
        self._require_lock()
        return self._commit(snapshot)

    def remove(self) -> None:
        """Forget the stack, its backup too. Whether anything still exists in a cloud is the caller's to know."""
        self._require_lock()
        for path in (self.journal_path, self.path, self.backup_path):
            path.unlink(missing_ok=True)
        sync_folder(self.root)

    def export(self, *, show_secrets: bool = False) -> JsonObject:
        """The document that `pulumi stack export` prints. Without `show_secrets` no passphrase is needed, unless a run was cut
        short."""
        if not show_secrets and not self.journal_path.exists() and self.path.exists():
            return cast("JsonObject", _document(read_plain(self.path, STATE_BYTES_MAX), self.path))
        snapshot, _ = self._read()
        if not snapshot.manifest.version:
            snapshot = replace(snapshot, manifest=new_manifest())
        return encode_snapshot(snapshot, self._codec(snapshot.secrets_provider, show_secrets=show_secrets))

    def import_(self, document: object) -> Snapshot:
        """Replace the state by a document of `pulumi stack export`. Drops its pending operations, as Pulumi does."""
        self._require_lock()
        provider = _provider_of(document)
        used = False

        def source() -> Crypter:
            nonlocal used
            used = True
            return self._crypter_for(passphrase_salt(provider))

        snapshot = decode_snapshot(document, Codec(source))
        if not used:
            # Nothing is encrypted under the document's own salt, so this stack's passphrase serves from now on.
            snapshot = replace(snapshot, secrets_provider=None)
        return self._commit(replace(snapshot, pending_operations=()))

    def outputs_of(self, stack: str) -> dict[str, Value]:
        """`read_outputs` of another stack of this project, in the same folder and under the same passphrase."""
        return read_outputs(self.root, self.project, stack, self._make_crypter)

    def _read(self) -> tuple[Snapshot, str]:
        """The state, and "open" or "folded" where a journal lies beside it. A run in another process may fold its journal
        meanwhile: then state and journal do not fit, and both are read again."""
        for _ in range(_READ_ATTEMPTS):
            recorded = _read_bytes(self.journal_path)
            run = journal_file.parse(
                self.journal_path.name, recorded or b"", lambda header: self._codec(header.secrets_provider)
            )
            data = _read_bytes(self.path)
            self._base = _digest(data)
            base = self._decode(data)
            if run is None:
                return base, "" if recorded is None else "folded"
            header, entries = run
            if (header.project, header.stack) != (self.project, self.stack):
                raise StateError(self.journal_path.name, f"(stack {header.stack}, project {header.project})",
                                 f"this is not the journal of stack {self.stack} of project {self.project}",
                                 "move it to where it belongs")  # fmt: skip
            if header.base == self._base:
                return self._fold(replace(base, secrets_provider=header.secrets_provider), entries), "open"
            if header.base == _digest(_read_bytes(self.backup_path)):
                # The run ended between writing the state and removing its journal.
                return base, "folded"
        raise StateError(self.journal_path.name, "(of another state)", f"{self.path.name} was changed since the run that was cut "
                         "short began", f"restore {self.path.name} as it was, or remove {self.journal_path.name} and run "
                         "`refresh`")  # fmt: skip

    def _fold(self, base: Snapshot, entries: list[Entry]) -> Snapshot:
        name = self.journal_path.name
        try:
            snapshot = fold(base, entries)
            verify(snapshot, self.project, self.stack)
        except (ValueError, StateError) as error:
            raise StateError(name, "(damaged)", f"it does not fit the state that it continues: {error}",
                             f"keep a copy of {name}, remove this line and all after it, and run `refresh`") from error  # fmt: skip
        return snapshot

    def _decode(self, data: bytes | None) -> Snapshot:
        if data is None:
            return Snapshot()
        document = _document(data, self.path)
        snapshot = decode_snapshot(document, self._codec(_provider_of(document)))
        verify(snapshot, self.project, self.stack)
        return snapshot

    def _commit(self, snapshot: Snapshot) -> Snapshot:
        """Write the state and drop the journal."""
        self._require_lock()
        provider = snapshot.secrets_provider or passphrase_provider(self._make_crypter().salt)
        snapshot = replace(snapshot, manifest=new_manifest(), secrets_provider=provider)
        verify(snapshot, self.project, self.stack)
        data = _dump(encode_snapshot(snapshot, self._codec(provider)))
        try:
            replace_file(self.path, data, backup=self.backup_path)
            self._drop_journal()
        except OSError as error:
            raise disk_error(self.path, error) from error
        self._base = _digest(data)
        return snapshot

    def _drop_journal(self) -> None:
        if self.journal_path.exists():
            self.journal_path.unlink()
            sync_folder(self.root)

    def _require_lock(self) -> None:
        if not self._held:
            raise RuntimeError("hold StackStore.lock() around every change of a stack's state")

    def _codec(self, provider: Mapping[str, Any] | None, *, show_secrets: bool = False) -> Codec:
        return Codec(lambda: self._crypter_for(passphrase_salt(provider)), show_secrets=show_secrets)

    def _crypter_for(self, salt: str | None) -> Crypter:
        crypter = self._crypters.get(salt or "")
        if crypter is None:
            made = self._make_crypter()
            crypter = self._crypters[salt or ""] = made.for_salt(salt) if salt else made
        return crypter


def list_stacks(root: Path) -> list[str]:
    """The stacks whose state, or whose first run's journal, lies in the folder."""
    return sorted({path.stem for pattern in ("*.json", "*.journal") for path in root.glob(pattern)})


def read_outputs(root: Path, project: str, stack: str, crypter: Callable[[], Crypter]) -> dict[str, Value]:
    """The outputs of a stack of ours, for a stack reference; secrets are kept as Secret. StateError where it has no state."""
    store = StackStore(root, project, stack, crypter)
    if not store.exists():
        known = ", ".join(list_stacks(root)) or "none"
        raise StateError("stack reference", f"{project}/{stack}", f"there is no such stack (known: {known})",
                         "bring that stack up first, or correct the reference")  # fmt: skip
    for state in store.load().resources:
        if state.type == STACK_TYPE and not state.parent:
            return state.outputs
    return {}


def replace_file(path: Path, data: bytes, *, backup: Path | None = None) -> None:
    """Write a file whole or not at all, keeping what it was as `backup`. Raises OSError; the old file then stands."""
    temporary, link = _temporaries(path)
    try:
        file = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            write_all(file, data)
            os.fsync(file)
        finally:
            os.close(file)
        if backup is not None and path.exists():
            link.unlink(missing_ok=True)
            os.link(path, link)
            link.replace(backup)
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def _temporaries(path: Path) -> tuple[Path, Path]:
    return path.with_name(f".{path.name}.new"), path.with_name(f".{path.name}.old")


def _lock_file(path: Path, stack: str) -> int:
    while True:
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            with contextlib.suppress(FileNotFoundError):
                if os.fstat(file).st_ino == path.stat().st_ino:
                    return file
        except BlockingIOError as error:
            os.close(file)
            raise LockedError(stack, _read_owner(path)) from error
        os.close(file)


def _read_owner(path: Path) -> Owner | None:
    try:
        document = json.loads(path.read_bytes())
        return Owner(int(document["pid"]), str(document["user"]), str(document["host"]), str(document["since"]))
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None


def _myself() -> Owner:
    try:
        user = getpass.getuser()
    except (OSError, KeyError):
        user = f"user {os.getuid()}"
    return Owner(os.getpid(), user, socket.gethostname(), now())


def _read_bytes(path: Path) -> bytes | None:
    try:
        return read_plain(path, STATE_BYTES_MAX)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StateError(
            str(path),
            f"({error.strerror})",
            "the state cannot be read",
            "see that the file is yours and readable",
        ) from error


def _digest(data: bytes | None) -> str:
    return "" if data is None else hashlib.sha256(data).hexdigest()


def _document(data: bytes, path: Path) -> object:
    """A state file's document. One without a checksum is an earlier version's, or was put there from an export."""
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise StateError(path.name, "(damaged)", f"not JSON: {error}", _RESTORE) from error
    known = cast("JsonObject", document).pop(CHECKSUM, None) if isinstance(document, dict) else None
    if known is not None and known != _digest(data.partition(b"\n")[2]):
        raise StateError(path.name, "(changed)", f"what it holds does not fit its {CHECKSUM}: it was damaged or edited",
                         f"{_RESTORE}; to change a state, export, edit and import it")  # fmt: skip
    return document


def _provider_of(document: object) -> Mapping[str, Any] | None:
    if not isinstance(document, dict):
        return None
    deployment = cast("JsonObject", document).get("deployment")
    provider = cast("JsonObject", deployment).get("secrets_providers") if isinstance(deployment, dict) else None
    return cast("JsonObject", provider) if isinstance(provider, dict) else None


def _dump(document: JsonObject) -> bytes:
    """One resource a line: quick to write, and a diff of two states can be read."""
    deployment = cast("JsonObject", document["deployment"])
    parts = [f'"{key}":{_dump_part(value)}' for key, value in deployment.items()]
    body = (",\n".join(parts) + "\n}}\n").encode()
    head = {**{key: value for key, value in document.items() if key != "deployment"}, CHECKSUM: _digest(body)}
    return (json.dumps(head)[:-1] + ',"deployment":{\n').encode() + body


def _dump_part(value: object) -> str:
    if isinstance(value, list) and value:
        return (
            "[\n" + ",\n".join(json.dumps(item, separators=(",", ":")) for item in cast("list[object]", value)) + "\n]"
        )
    return json.dumps(value, separators=(",", ":"))
