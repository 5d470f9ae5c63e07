"""What journal entries mean: a base snapshot and entries give the next snapshot. Pure.

Every resource stands in a numbered row: the base's rows are numbered from 0, and a row that an operation adds takes the
operation's number, which counts on from there. So an entry names a row without naming a copy of a replaced resource by chance.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final, Literal

from model_factory.local.engine.integrity import settle
from model_factory.local.engine.model import Operation, OperationType, ResourceState, Snapshot
from model_factory.local.wire import Value

Op = Literal[
    "same", "create", "create-replacement", "update", "delete", "delete-replaced", "read", "read-replacement", "refresh",
    "import", "import-replacement", "remove-pending-replace", "discard",
]  # fmt: skip
EntryKind = Literal["begin", "end", "record", "outputs", "resolve"]

_PENDING: Final[Mapping[str, OperationType]] = {
    "create": "creating",
    "create-replacement": "creating",
    "update": "updating",
    "delete": "deleting",
    "delete-replaced": "deleting",
    "read": "reading",
    "read-replacement": "reading",
    "import": "importing",
    "import-replacement": "importing",
}
_NEEDS_OLD: Final = frozenset({"create-replacement", "read-replacement", "import-replacement", "update", "delete", "delete-replaced",
                               "refresh", "same", "remove-pending-replace", "discard"})  # fmt: skip
_NEEDS_NEW: Final = frozenset({"create", "create-replacement", "update", "read", "read-replacement", "import",
                               "import-replacement", "same"})  # fmt: skip
_REPLACING: Final = frozenset({"create-replacement", "read-replacement", "import-replacement"})
_REMOVING: Final = frozenset({"delete", "delete-replaced", "refresh", "remove-pending-replace", "discard"})


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a journal.

    begin: something is about to happen to `row` (or to a new row). end: what became of operation `number`. record: both in
    one. outputs: new `outputs` of `row`. resolve: the base's pending operation of index `row` is settled.
    """

    kind: EntryKind
    number: int
    op: Op = "same"
    row: int | None = None
    ok: bool = True
    state: ResourceState | None = None
    outputs: dict[str, Value] | None = None


class Ledger:
    """The rows as they are after the entries applied so far. Entries must come in the order of their journal.

    Raises ValueError for an entry that cannot follow what came before: an unknown row or operation.
    """

    def __init__(self, base: Snapshot) -> None:
        self._base = base
        self._rows: dict[int, ResourceState] = dict(enumerate(base.resources))
        self._live = {state.urn: row for row, state in self._rows.items() if not state.delete}
        self._carried: dict[int, Operation] = dict(enumerate(base.pending_operations))
        self._begun: dict[int, Entry] = {}
        self._pending: dict[int, Operation] = {}
        self._renamed: dict[str, str] = {}
        self._parents: dict[str, str] = {}

    @property
    def rows(self) -> Mapping[int, ResourceState]:
        """The resources by row, not in dependency order."""
        return self._rows

    def carries(self, urn: str) -> bool:
        """Whether an earlier run left something open about this URN that ends once this run acts on it."""
        return any(o.resource.urn == urn and o.type != "creating" for o in self._carried.values())

    def live_row(self, urn: str) -> int | None:
        """The row of the resource of this URN, old copies left aside."""
        return self._live.get(urn)

    def begun(self, number: int) -> Entry | None:
        """The begin of an operation that has not ended."""
        return self._begun.get(number)

    def apply(self, entry: Entry) -> None:
        if entry.row is not None and entry.kind != "resolve" and entry.row not in self._rows:
            raise ValueError(f"entry {entry.number} names row {entry.row}, which does not exist")
        if entry.kind in ("begin", "record"):
            if entry.row is None and entry.op in _NEEDS_OLD and not (entry.op == "same" and entry.state):
                raise ValueError(f"{entry.op} needs old")
            if entry.row is not None and entry.op == "create":
                raise ValueError("create makes a new row")
            if entry.state is None and entry.op in _NEEDS_NEW:
                raise ValueError(f"{entry.op} needs new")
        if entry.kind == "begin":
            self._begin(entry)
        elif entry.kind == "end":
            begun = self._begun.get(entry.number)
            if begun is None:
                raise ValueError(f"operation {entry.number} is not open: it was never begun, or has ended")
            if entry.ok and entry.state is None and begun.op in _NEEDS_NEW:
                raise ValueError(f"{begun.op} ended well and must say with what state")
            del self._begun[entry.number]
            self._pending.pop(entry.number, None)
            self._change(begun.op, entry.number, begun.row, entry.state, entry.ok)
        elif entry.kind == "record":
            self._uncarry(entry)
            self._change(entry.op, entry.number, entry.row, entry.state, ok=True)
        elif entry.kind == "outputs":
            if entry.row is None or entry.outputs is None:
                raise ValueError(f"entry {entry.number} registers outputs of nothing")
            self._put(entry.row, replace(self._rows[entry.row], outputs=entry.outputs))
        else:
            if entry.row is None or self._carried.pop(entry.row, None) is None:
                raise ValueError(f"entry {entry.number} settles pending operation {entry.row}, which does not exist")
            if entry.state is not None:
                self._adopt(entry.number, entry.state)

    def cancel(self, number: int) -> None:
        """Take back a begin that never reached the disk: nothing was done after it."""
        self._begun.pop(number, None)
        self._pending.pop(number, None)

    def snapshot(self) -> Snapshot:
        """A valid snapshot, in dependency order; operations without an end are pending. The manifest is the base's."""
        return replace(
            self._base,
            resources=settle(list(self._rows.values()), renamed=self._renamed, parents=self._parents),
            pending_operations=(*self._carried.values(), *self._pending.values()),
        )

    def _begin(self, entry: Entry) -> None:
        self._uncarry(entry)
        self._begun[entry.number] = entry
        kind = _PENDING.get(entry.op)
        resource = entry.state or (None if entry.row is None else self._rows[entry.row])
        if kind is not None and resource is not None:
            self._pending[entry.number] = Operation(resource, kind)

    def _uncarry(self, entry: Entry) -> None:
        """What an earlier run left open about a resource is over once this run acts on it. Not so an open create: there may be
        an object that no state knows."""
        if not self._carried:
            return
        urns = {state.urn for state in (entry.state, None if entry.row is None else self._rows[entry.row]) if state}
        for index, operation in list(self._carried.items()):
            if operation.type != "creating" and operation.resource.urn in urns:
                del self._carried[index]

    def _change(self, op: Op, number: int, row: int | None, state: ResourceState | None, ok: bool) -> None:
        if state is None:
            if ok and op in _REMOVING and row is not None:
                self._remove(op, row)
        elif row is None:
            self._put(number, state)
        elif op in _REPLACING:
            self._replace(row, number, state)
        else:
            self._rename(self._rows[row], state)
            self._put(row, state)

    def _replace(self, row: int, number: int, state: ResourceState) -> None:
        old = self._rows[row]
        self._rename(old, state)
        if old.pending_replacement or old.external:
            self._drop(row)
        else:
            self._put(row, replace(old, delete=True))
        self._put(number, state)

    def _adopt(self, number: int, state: ResourceState) -> None:
        row = self._live.get(state.urn)
        if row is None:
            self._put(number, state)
        else:
            # The open create was a replacement's: its old copy is still to be deleted.
            self._replace(row, number, state)

    def _remove(self, op: Op, row: int) -> None:
        old = self._rows[row]
        if op == "delete-replaced" and not old.delete:
            # Deleted before its replacement exists: the row stays, so that dependents keep what they refer to, and an
            # interrupted run creates it without deleting again.
            self._put(row, replace(old, pending_replacement=True))
            return
        self._drop(row)
        if not old.delete:
            self._parents[old.urn] = old.parent

    def _rename(self, old: ResourceState, new: ResourceState) -> None:
        if old.urn != new.urn and not old.delete:
            self._renamed[old.urn] = new.urn

    def _put(self, row: int, state: ResourceState) -> None:
        self._unlist(row)
        self._rows[row] = state
        if not state.delete:
            self._live[state.urn] = row

    def _drop(self, row: int) -> None:
        self._unlist(row)
        del self._rows[row]

    def _unlist(self, row: int) -> None:
        old = self._rows.get(row)
        if old is not None and self._live.get(old.urn) == row:
            del self._live[old.urn]


def fold(base: Snapshot, entries: Iterable[Entry]) -> Snapshot:
    """The snapshot after these entries. Pure; every prefix of a journal gives a valid snapshot. Errors name the journal's line."""
    ledger = Ledger(base)
    for line, entry in enumerate(entries, start=2):
        try:
            ledger.apply(entry)
        except ValueError as error:
            raise ValueError(f"line {line}: {error}") from error
    return ledger.snapshot()
