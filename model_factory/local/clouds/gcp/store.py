"""What the local Google Cloud knows, in one SQLite file.

A resource is a JSON body under a key such as `compute/projects/p/global/networks/n`: the service, then Google's relative
name. An operation is kept with the time it is due and what it does then (`Effect`), so that one that was pending when the
process was killed is finished by the next. Every request is one transaction.
"""

# ruff: noqa: S608 - table and column names are literals of this file
from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from model_factory.local.discovery import Json
from model_factory.local.errors import CloudDataError

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS resource (
    key TEXT PRIMARY KEY, kind TEXT NOT NULL, parent TEXT NOT NULL, ready INTEGER NOT NULL, body TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS resource_parent ON resource (parent, kind, key);
CREATE TABLE IF NOT EXISTS reference (source TEXT NOT NULL, target TEXT NOT NULL, PRIMARY KEY (source, target)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS reference_target ON reference (target);
CREATE TABLE IF NOT EXISTS operation (
    key TEXT PRIMARY KEY, subject TEXT NOT NULL, due REAL NOT NULL, done INTEGER NOT NULL, body TEXT NOT NULL, effect TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS operation_due ON operation (done, due);
CREATE INDEX IF NOT EXISTS operation_subject ON operation (subject, done);
CREATE TABLE IF NOT EXISTS policy (key TEXT PRIMARY KEY, body TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS content (key TEXT PRIMARY KEY, data BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS setting (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
"""
_JSON_COLUMNS: Final = (
    ("resource", "body"), ("operation", "body"), ("operation", "effect"), ("policy", "body"), ("setting", "value"),
)  # fmt: skip
_TABLES: Final = ("resource", "reference", "operation", "policy", "content", "setting")


@dataclass(frozen=True, slots=True)
class Effect:
    """What an operation does when it is due: fields merged into bodies (None removes one), and keys removed for good."""

    merge: Mapping[str, Mapping[str, Json]] = field(default_factory=dict[str, Mapping[str, Json]])
    remove: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Stored:
    """A resource as it is kept. `ready` is false while the operation that creates it runs."""

    key: str
    kind: str
    ready: bool
    body: dict[str, Json]


@dataclass(frozen=True, slots=True)
class StoredOperation:
    key: str
    subject: str
    due: float
    done: bool
    body: dict[str, Json]
    effect: Effect


class Store:
    """The tables. Guarded by one lock: requests come from the event loop, control calls from worker threads."""

    def __init__(self, path: Path | None) -> None:
        """`path` is the SQLite file; None keeps everything in memory. Raises CloudDataError where it is damaged."""
        self._lock = threading.RLock()
        try:
            if path is not None and path.exists() and not path.stat().st_size:
                raise sqlite3.DatabaseError("the file is empty")
            self._database = sqlite3.connect(
                ":memory:" if path is None else path, check_same_thread=False, isolation_level=None
            )
            self._database.execute("PRAGMA journal_mode=WAL")
            self._database.execute("PRAGMA synchronous=NORMAL")
            self._database.executescript(_SCHEMA)
            self._check()
        except sqlite3.OperationalError as error:
            raise CloudDataError(
                f"{path}: {error}; see that no other local cloud has it, that it is yours and the disk is not full"
            ) from error
        except sqlite3.DatabaseError as error:
            raise CloudDataError(
                f"{path}: {error}. Put back a copy of it, or remove it, with its -wal and -shm, to start empty; `factory refresh` "
                "then tells the stack what is gone"
            ) from error

    def _check(self) -> None:
        """Raises DatabaseError for damage: what SQLite finds (https://sqlite.org/pragma.html#pragma_integrity_check), which
        has no checksums of pages, and bodies that are no JSON any more."""
        found = [row[0] for row in self._database.execute("PRAGMA integrity_check(3)")]
        for table, column in _JSON_COLUMNS:
            rows = self._database.execute(
                f"SELECT {column} FROM {table} WHERE NOT json_valid({column}) LIMIT 1"
            ).fetchall()
            found += [f"a {column} of table {table} is not JSON" for _ in rows]
        if problems := [text for text in found if text != "ok"]:
            raise sqlite3.DatabaseError("; ".join(problems).replace("\n", " "))

    @contextmanager
    def transaction(self) -> Generator[None]:
        with self._lock:
            if self._database.in_transaction:
                yield
                return
            self._database.execute("BEGIN")
            try:
                yield
            except BaseException:
                self._database.execute("ROLLBACK")
                raise
            self._database.execute("COMMIT")

    def close(self) -> None:
        with self._lock:
            self._database.close()

    def clear(self) -> None:
        with self.transaction():
            for table in _TABLES:
                self._database.execute(f"DELETE FROM {table}")

    def counts(self) -> dict[str, int]:
        with self._lock:
            return dict(self._database.execute("SELECT kind, COUNT(*) FROM resource GROUP BY kind ORDER BY kind"))

    # Resources

    def get(self, key: str) -> Stored | None:
        with self._lock:
            row = self._database.execute("SELECT key, kind, ready, body FROM resource WHERE key = ?", (key,)).fetchone()
        return None if row is None else _stored(row)

    def children(self, parent: str, kind: str) -> list[Stored]:
        """The resources of a kind right under `parent`, or anywhere where it ends in `*`; in the order of their keys."""
        where, values = "parent = ?", (kind, parent)
        if parent.endswith("*"):
            where, values = "substr(parent, 1, ?) = ?", (kind, len(parent) - 1, parent[:-1])
        query = f"SELECT key, kind, ready, body FROM resource WHERE kind = ? AND {where} ORDER BY key"
        with self._lock:
            rows = self._database.execute(query, values).fetchall()
        return [_stored(row) for row in rows]

    def put(
        self,
        key: str,
        kind: str,
        parent: str,
        body: Mapping[str, Json],
        targets: frozenset[str],
        *,
        ready: bool,
    ) -> None:
        """Write a resource and the keys it refers to."""
        with self._lock:
            self._database.execute(
                "INSERT INTO resource VALUES (?, ?, ?, ?, ?) ON CONFLICT (key) DO UPDATE SET ready = excluded.ready, body = excluded.body",
                (key, kind, parent, ready, json.dumps(body)),
            )
            self._database.execute("DELETE FROM reference WHERE source = ?", (key,))
            self._database.executemany(
                "INSERT INTO reference VALUES (?, ?)", [(key, target) for target in sorted(targets)]
            )

    def remove(self, key: str) -> None:
        """Remove a resource with all below it: bodies, policies, references, contents."""
        low, high = (
            key + "/",
            key + "0",
        )  # "0" follows "/": a range that takes every longer key, and the index
        with self._lock:
            for table, column in (
                ("resource", "key"),
                ("policy", "key"),
                ("content", "key"),
                ("reference", "source"),
            ):
                self._database.execute(
                    f"DELETE FROM {table} WHERE {column} = ? OR ({column} > ? AND {column} < ?)",
                    (key, low, high),
                )

    def users(self, target: str) -> list[str]:
        """The keys of resources that refer to `target`."""
        with self._lock:
            rows = self._database.execute("SELECT source FROM reference WHERE target = ? ORDER BY source", (target,))
            return [row[0] for row in rows]

    # Operations

    def put_operation(self, operation: StoredOperation) -> None:
        effect = {"merge": operation.effect.merge, "remove": operation.effect.remove}
        with self._lock:
            self._database.execute(
                "INSERT OR REPLACE INTO operation VALUES (?, ?, ?, ?, ?, ?)",
                (
                    operation.key,
                    operation.subject,
                    operation.due,
                    operation.done,
                    json.dumps(operation.body),
                    json.dumps(effect),
                ),
            )

    def operation(self, key: str) -> StoredOperation | None:
        with self._lock:
            row = self._database.execute("SELECT * FROM operation WHERE key = ?", (key,)).fetchone()
        return None if row is None else _operation(row)

    def operations(self, prefix: str) -> list[StoredOperation]:
        with self._lock:
            rows = self._database.execute(
                "SELECT * FROM operation WHERE substr(key, 1, ?) = ? ORDER BY key", (len(prefix), prefix)
            ).fetchall()
        return [_operation(row) for row in rows]

    def due(self, now: float) -> list[StoredOperation]:
        with self._lock:
            rows = self._database.execute(
                "SELECT * FROM operation WHERE done = 0 AND due <= ? ORDER BY due, key", (now,)
            )
            return [_operation(row) for row in rows.fetchall()]

    def pending(self, subject: str) -> list[StoredOperation]:
        """Unfinished operations on `subject` or anything below it."""
        with self._lock:
            rows = self._database.execute(
                "SELECT * FROM operation WHERE done = 0 AND (subject = ? OR (subject > ? AND subject < ?)) ORDER BY due, key",
                (subject, subject + "/", subject + "0"),
            )
            return [_operation(row) for row in rows.fetchall()]

    # Policies, contents, settings

    def policy(self, key: str) -> dict[str, Json] | None:
        return self._json("SELECT body FROM policy WHERE key = ?", key)

    def policies(self) -> list[tuple[str, dict[str, Json]]]:
        with self._lock:
            rows = self._database.execute("SELECT key, body FROM policy ORDER BY key").fetchall()
        return [(key, json.loads(body)) for key, body in rows]

    def put_policy(self, key: str, body: Mapping[str, Json]) -> None:
        with self._lock:
            self._database.execute("INSERT OR REPLACE INTO policy VALUES (?, ?)", (key, json.dumps(body)))

    def content(self, key: str) -> bytes | None:
        with self._lock:
            row = self._database.execute("SELECT data FROM content WHERE key = ?", (key,)).fetchone()
        return None if row is None else row[0]

    def put_content(self, key: str, data: bytes) -> None:
        with self._lock:
            self._database.execute("INSERT OR REPLACE INTO content VALUES (?, ?)", (key, data))

    def setting(self, name: str) -> Json:
        return self._json("SELECT value FROM setting WHERE name = ?", name)

    def put_setting(self, name: str, value: Json) -> None:
        with self._lock:
            self._database.execute("INSERT OR REPLACE INTO setting VALUES (?, ?)", (name, json.dumps(value)))

    def _json(self, query: str, key: str) -> Json:
        with self._lock:
            row = self._database.execute(query, (key,)).fetchone()
        return None if row is None else json.loads(row[0])


def _stored(row: tuple[str, str, int, str]) -> Stored:
    key, kind, ready, body = row
    return Stored(key, kind, bool(ready), json.loads(body))


def _operation(row: tuple[str, str, float, int, str, str]) -> StoredOperation:
    key, subject, due, done, body, effect = row
    raw = json.loads(effect)
    return StoredOperation(key, subject, due, bool(done), json.loads(body), Effect(raw["merge"], tuple(raw["remove"])))
