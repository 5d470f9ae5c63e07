"""The journal of a run: what was begun and what ended, on disk before anything depends on it.

What entries mean is `ledger`'s matter, how they lie on disk `journal_file`'s, what they are folded into `store`'s.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from pathlib import Path

from model_factory.local.engine.errors import StateError
from model_factory.local.engine.journal_file import Appender, Header, dumps, entry_line, header_line
from model_factory.local.engine.ledger import Entry, Ledger, Op
from model_factory.local.engine.model import Operation, ResourceState, Snapshot
from model_factory.local.engine.state import Codec
from model_factory.local.wire import Value


class Journal:
    """One run's journal, made by `StackStore.journal(snapshot)` under the store's lock. Safe to call from several threads.

    `old` is the very object of the snapshot or the `new` of an earlier entry (else an equal one: its row is then found by URN,
    id and `delete`). Entries reach the disk in the order of the calls. The file appears with the first entry, so a run
    without changes writes nothing. Once the disk has failed, every further call raises StateError.
    """

    def __init__(
        self, path: Path, header: Header, base: Snapshot, codec: Codec, commit: Callable[[Snapshot], Snapshot]
    ) -> None:
        self._appender = Appender(path, header_line(header))
        self._base = base
        self._codec = codec
        self._commit = commit
        self._ledger = Ledger(base)
        self._lock = threading.Lock()
        self._next = len(base.resources)
        self._used = False
        self._row_of = {id(state): row for row, state in enumerate(base.resources)}
        # Identities stay valid only while the objects live.
        self._kept: list[ResourceState] = list(base.resources)

    def begin(self, op: Op, *, old: ResourceState | None = None, new: ResourceState | None = None) -> int:
        """Before a provider call: returns the operation's number once this entry, and all before it, are on disk.

        `new` holds the checked inputs. create, read and import need `new`; update and the replacements `old` and `new`;
        delete, delete-replaced, refresh and discard `old`.
        """
        number, written = self._begin(op, old, new)
        try:
            written.result()
        except StateError:
            self._cancel(number)
            raise
        return number

    async def begin_async(self, op: Op, *, old: ResourceState | None = None, new: ResourceState | None = None) -> int:
        """As `begin`, without blocking the event loop."""
        number, written = self._begin(op, old, new)
        try:
            # The future belongs to all entries of a batch: cancelling one that waits must not cancel the write.
            await asyncio.shield(asyncio.wrap_future(written))
        except StateError:
            self._cancel(number)
            raise
        return number

    def end(self, number: int, *, ok: bool, new: ResourceState | None = None) -> None:
        """After a provider call. Does not wait: each later `begin` waits for this entry too, and so do dependents.

        `new`, where given, is the resource's state now, whether `ok` or not (a partial failure: with `init_errors`). Without
        it, an ok delete or refresh means that the resource is gone, and a failure that nothing changed. A replacement marks
        the old row `delete`, or drops it where it was pending_replacement; an ok delete-replaced drops an old copy, and makes
        a live row pending_replacement (it was deleted before its replacement exists).
        """
        begun = self._ledger.begun(number)
        if begun is None:
            raise ValueError(f"operation {number} is not open: it was never begun, or has ended")
        text = self._encode(new)
        with self._lock:
            self._append(Entry("end", number, row=begun.row, ok=ok, state=new), text)
            if new is not None:
                self._keep(new, number if begun.row is None or begun.op.endswith("-replacement") else begun.row)

    def record(self, op: Op, *, old: ResourceState | None = None, new: ResourceState | None = None) -> None:
        """A change without a provider call, in one entry: a component created or deleted, `same` with changed metadata, a
        retained resource dropped, a pending replacement given up. Writes nothing where `old` equals `new`, unless an earlier run
        left an update or the like of it open, which this settles. Does not wait."""
        if old is not None and new is not None and old == new and not self._ledger.carries(old.urn):
            with self._lock:
                self._keep(new, self._row(old))
            return
        text = self._encode(new)
        with self._lock:
            row = None if old is None else self._row(old)
            number = self._number()
            self._append(Entry("record", number, op, row, state=new), text)
            if new is not None:
                self._keep(new, number if row is None or op.endswith("-replacement") else row)

    def outputs(self, urn: str, outputs: Mapping[str, Value]) -> None:
        """RegisterResourceOutputs: new outputs of the live resource of this URN. Writes nothing where they are as before."""
        text = dumps(self._codec.encode_properties(outputs))
        with self._lock:
            row = self._ledger.live_row(urn)
            if row is None:
                raise ValueError(f"{urn} is not in the state")
            if self._ledger.rows[row].outputs != outputs:
                self._append(Entry("outputs", self._number(), row=row, outputs=dict(outputs)), text)

    def resolve(self, operation: Operation, *, new: ResourceState | None = None) -> None:
        """Settle a pending operation that the snapshot came with. For a create: `new` where its object was found (it becomes
        the resource, and the old copy of a replacement awaits deletion), None where there is none. Does not wait.

        Open creates stay pending until this is called; others also go once their URN is begun or recorded anew.
        """
        text = self._encode(new)
        with self._lock:
            index = next((i for i, other in enumerate(self._base.pending_operations) if other is operation), None)
            if index is None:
                raise ValueError(
                    f"{operation.type} {operation.resource.urn} is no pending operation of this journal's base"
                )
            number = self._number()
            self._append(Entry("resolve", number, row=index, state=new), text)
            if new is not None:
                self._keep(new, number)

    def current(self) -> Snapshot:
        """The snapshot as it would be folded now. In memory only."""
        with self._lock:
            return self._ledger.snapshot()

    def finish(self) -> Snapshot:
        """Fold into the state file, remove the journal, give the new snapshot. Without entries: the base, nothing written.

        Raises StateError where the state cannot be written; the journal then stays, and the next `load` folds it.
        """
        self._appender.close()
        return self._commit(self._ledger.snapshot()) if self._used else self._base

    def abandon(self) -> None:
        """Stop without folding. The next `load` folds what is on disk."""
        self._appender.close()

    def _begin(self, op: Op, old: ResourceState | None, new: ResourceState | None) -> tuple[int, Future[None]]:
        text = self._encode(new)
        with self._lock:
            row = None if old is None else self._row(old)
            number = self._number()
            return number, self._append(Entry("begin", number, op, row, state=new), text)

    def _cancel(self, number: int) -> None:
        with self._lock:
            self._ledger.cancel(number)

    def _append(self, entry: Entry, text: str) -> Future[None]:
        self._ledger.apply(entry)
        self._used = True
        try:
            return self._appender.append(entry_line(entry, text))
        except StateError:
            if entry.kind == "begin":
                self._ledger.cancel(entry.number)
            raise

    def _number(self) -> int:
        number = self._next
        self._next += 1
        return number

    def _encode(self, state: ResourceState | None) -> str:
        return "" if state is None else dumps(self._codec.encode_resource(state))

    def _row(self, state: ResourceState) -> int:
        rows = self._ledger.rows
        row = self._row_of.get(id(state))
        if row is not None and row in rows:
            return row
        if not state.delete:
            row = self._ledger.live_row(state.urn)
        if row is None:
            key = (state.urn, state.id, state.delete)
            row = next((number for number, other in rows.items() if (other.urn, other.id, other.delete) == key), None)
        if row is None:
            raise ValueError(f"{state.urn} (id {state.id or 'none'}) is not in the state")
        return row

    def _keep(self, state: ResourceState, row: int) -> None:
        self._row_of[id(state)] = row
        self._kept.append(state)
