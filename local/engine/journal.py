"""The journal of a run: what was begun and what ended, on disk before anything depends on it.

INTERFACE FIRST; the implementation follows in the next commit.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from local.engine.model import Operation, ResourceState, Snapshot
from local.wire import Value

Op = Literal["same", "create", "create-replacement", "update", "delete", "delete-replaced", "read", "read-replacement",
             "refresh", "import", "remove-pending-replace", "discard"]  # fmt: skip


class Journal:
    """Made by `StackStore.journal(snapshot)`, under the store's lock. Safe to call from several threads.

    `old` is the very object of the snapshot, or the `new` of an earlier entry of this journal (or an equal one: the row is
    found by identity, else by URN, id and `delete`).
    """

    def begin(self, op: Op, *, old: ResourceState | None = None, new: ResourceState | None = None) -> int:
        """Before a provider call. Returns when this entry and all before it are on disk. `new` holds the checked inputs.

        create needs new; create-replacement old and new; update old and new; delete, delete-replaced old; read new (old where
        there is one); refresh old.
        """
        raise NotImplementedError

    async def begin_async(self, op: Op, *, old: ResourceState | None = None, new: ResourceState | None = None) -> int:
        """As `begin`, without blocking the event loop."""
        raise NotImplementedError

    def end(self, seq: int, *, ok: bool, new: ResourceState | None = None) -> None:
        """After a provider call. Does not wait: entries reach the disk in order, so each later `begin` waits for this one.

        `new` given: it is the resource's state now, whether ok or not (partial failure: with init_errors). `new` None: for ok
        deletes and refreshes the resource is gone; for failures nothing changed.
        create-replacement marks the old row `delete` (or drops it where it was pending_replacement); delete-replaced drops an
        old copy, and turns a live row into pending_replacement (delete before replace).
        """
        raise NotImplementedError

    def record(self, op: Op, *, old: ResourceState | None = None, new: ResourceState | None = None) -> None:
        """A change with no provider call, in one entry: component created or deleted, `same` with changed metadata, a
        retained or discarded resource dropped, a pending replacement removed. Nothing is written where old == new."""
        raise NotImplementedError

    def outputs(self, urn: str, outputs: Mapping[str, Value]) -> None:
        """RegisterResourceOutputs: new outputs of the live resource of this URN. Nothing is written where they are equal."""
        raise NotImplementedError

    def resolve(self, operation: Operation, *, new: ResourceState | None = None) -> None:
        """Settle a pending operation that the snapshot came with. A pending create: `new` if the object was found (it becomes
        a resource), None if it does not exist. Pending creates stay until this is called; other pending operations also go
        when their URN is begun or recorded anew."""
        raise NotImplementedError

    def finish(self) -> Snapshot:
        """Fold into the state file and remove the journal. Writes nothing where nothing was journalled."""
        raise NotImplementedError

    def abandon(self) -> None:
        """Stop without folding: the next `load` folds what is on disk."""
        raise NotImplementedError
