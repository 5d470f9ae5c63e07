"""Every prefix of a journal is a valid state; what a caller was told is on disk; a damaged journal is refused."""

from __future__ import annotations

import asyncio
import errno
import os
import threading
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from model_factory.local.engine import journal_file
from model_factory.local.engine.errors import StateError
from model_factory.local.engine.integrity import verify
from model_factory.local.engine.journal import Journal
from model_factory.local.engine.journal_file import Header
from model_factory.local.engine.ledger import Entry, Op, fold
from model_factory.local.engine.model import Operation, ResourceState, Snapshot
from model_factory.local.engine.state import Codec
from model_factory.local.wire import Secret
from tests.local.engine.states import (
    PROJECT,
    STACK,
    STACK_URN,
    ScramblingCrypter,
    provider,
    stack,
    thing,
    urn,
)

HEADER = Header(PROJECT, STACK, "")
CODEC = Codec(ScramblingCrypter)


def new_journal(path: Path, base: Snapshot | None = None) -> Journal:
    return Journal(path, HEADER, base or Snapshot((stack(), provider())), CODEC, lambda snapshot: snapshot)


def entries(path: Path) -> list[Entry]:
    run = journal_file.parse(path.name, path.read_bytes(), lambda _: CODEC)
    assert run is not None
    return run[1]


def resources(snapshot: Snapshot) -> set[tuple[str, str, bool, bool]]:
    return {(s.name, s.id, s.delete, s.pending_replacement) for s in snapshot.resources[2:]}


def pending(snapshot: Snapshot) -> list[tuple[str, str]]:
    return [(operation.type, operation.resource.name) for operation in snapshot.pending_operations]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "dev.journal"


class Walk:
    """An engine that acts at random, but never against the rules: it gives a journal every legal story."""

    def __init__(self, journal: Journal, base: Snapshot, data: st.DataObject) -> None:
        self.journal = journal
        self.data = data
        self.live = {state.urn: state for state in base.resources[2:]}
        self.old: list[ResourceState] = []
        self.open: dict[int, tuple[Op, ResourceState | None, ResourceState | None]] = {}
        self.rank = {name: rank for rank, name in enumerate(self.live)}
        self.unresolved = list(base.pending_operations)
        self.ids = 0

    def step(self) -> None:
        actions = ["create", "outputs", "component"]
        if self.open:
            actions += ["end", "end"]
        if self.free():
            actions += ["update", "replace", "delete_first", "delete", "refresh", "rename"]
        if self.old:
            actions.append("delete_old")
        if self.unresolved:
            actions.append("resolve")
        getattr(self, self.data.draw(st.sampled_from(actions)))()

    def free(self) -> list[ResourceState]:
        busy = {state.urn for _, old, new in self.open.values() for state in (old, new) if state is not None}
        return [state for state in self.live.values() if state.urn not in busy]

    def pick(self) -> ResourceState:
        return self.data.draw(st.sampled_from(self.free()))

    def needs(self, name: str) -> dict[str, object]:
        """References to what was there before, so that nothing needs itself."""
        before = [other for other in self.live if self.rank[other] < self.rank[name]]
        chosen = self.data.draw(st.lists(st.sampled_from(before), unique=True, max_size=2)) if before else []
        parent = self.data.draw(st.sampled_from([STACK_URN, *chosen]))
        return {
            "dependencies": tuple(chosen),
            "property_dependencies": {"x": tuple(chosen)},
            "parent": parent,
        }

    def fresh(self) -> ResourceState:
        self.ids += 1
        name = f"r{len(self.rank)}"
        self.rank[urn(name)] = len(self.rank)
        return thing(name, id="", inputs={"n": self.ids, "s": Secret("x")}, **self.needs(urn(name)))

    def next_id(self) -> str:
        self.ids += 1
        return f"i{self.ids}"

    def begin(self, op: Op, old: ResourceState | None, new: ResourceState | None) -> None:
        self.open[self.journal.begin(op, old=old, new=new)] = (op, old, new)

    def create(self) -> None:
        self.begin("create", None, self.fresh())

    def component(self) -> None:
        made = replace(self.fresh(), custom=False, provider="")
        self.journal.record("create", new=made)
        self.live[made.urn] = made

    def update(self) -> None:
        old = self.pick()
        op: Op = self.data.draw(st.sampled_from(["update", "same"]))
        new = replace(old, inputs={"n": self.ids}, **self.needs(old.urn))
        if op == "update":
            self.begin(op, old, new)
        else:
            self.journal.record(op, old=old, new=new)
            self.live[old.urn] = new

    def replace(self) -> None:
        old = self.pick()
        self.begin("create-replacement", old, replace(old, id="", pending_replacement=False, **self.needs(old.urn)))

    def delete_first(self) -> None:
        old = self.pick()
        if not old.pending_replacement:
            self.begin("delete-replaced", old, None)

    def delete(self) -> None:
        old = self.pick()
        if not self.needed(old):
            self.begin("delete", old, None)

    def needed(self, state: ResourceState) -> bool:
        states = [*self.live.values(), *self.old, *(s for _, o, n in self.open.values() for s in (o, n) if s)]
        return any(name == state.urn for other in states if other is not state for _, name in other.references())

    def refresh(self) -> None:
        old = self.pick()
        if self.data.draw(st.booleans()):
            self.journal.record("refresh", old=old)
            del self.live[old.urn]
        else:
            new = self.live[old.urn] = replace(old, outputs={"drift": self.next_id()})
            self.journal.record("refresh", old=old, new=new)

    def rename(self) -> None:
        old = self.pick()
        new = replace(old, urn=urn(f"r{len(self.rank)}"), aliases=(old.urn,))
        self.rank[new.urn] = self.rank[old.urn]
        self.journal.record("same", old=old, new=new)
        del self.live[old.urn]
        self.live[new.urn] = new

    def delete_old(self) -> None:
        old = self.old.pop()
        self.begin("delete-replaced", old, None)

    def outputs(self) -> None:
        self.journal.outputs(STACK_URN, {"n": self.next_id()})

    def resolve(self) -> None:
        operation = self.unresolved.pop()
        found = replace(operation.resource, id=self.next_id()) if self.data.draw(st.booleans()) else None
        self.journal.resolve(operation, new=found)
        if found is not None:
            self.rank.setdefault(found.urn, len(self.rank))
            self.live[found.urn] = found

    def end(self) -> None:
        number = self.data.draw(st.sampled_from(sorted(self.open)))
        op, old, new = self.open.pop(number)
        ok = self.data.draw(st.booleans())
        if new is None:
            self.journal.end(number, ok=ok)
            if ok and old is not None and old.urn in self.live and self.live[old.urn] is old:
                if op == "delete-replaced":
                    self.live[old.urn] = replace(old, pending_replacement=True)
                else:
                    del self.live[old.urn]
            return
        partial = not ok and self.data.draw(st.booleans())
        made = replace(new, id=self.next_id() if op.startswith("create") and new.custom else new.id,
                       init_errors=("not ready",) if partial else ())  # fmt: skip
        self.journal.end(number, ok=ok, new=made if ok or partial else None)
        if ok or partial:
            if op == "create-replacement" and old is not None and not old.pending_replacement:
                self.old.append(old)
            self.live[made.urn] = made


class TestEveryPrefix:
    @settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow])
    @given(st.data())
    def test_is_a_valid_state(self, data: st.DataObject) -> None:
        open_create = Operation(thing("lost", id="", inputs={"s": Secret(1)}), "creating")
        base = Snapshot((stack(), provider(), thing("r0"), thing("r1", dependencies=(urn("r0"),))), (open_create,))
        with TemporaryDirectory() as folder:
            path = Path(folder, "dev.journal")
            journal = new_journal(path, base)
            try:
                walk = Walk(journal, base, data)
                for _ in range(data.draw(st.integers(1, 25))):
                    walk.step()
                live = journal.current()
            finally:  # hypothesis ends an example it has no use for by an exception
                journal.abandon()
            story = entries(path) if path.exists() else []
        for length in range(len(story) + 1):
            snapshot = fold(base, story[:length])
            verify(snapshot, PROJECT, STACK)
            begun = {e.number for e in story[:length] if e.kind == "begin"}
            ended = {e.number for e in story[:length] if e.kind == "end"}
            resolved = sum(e.kind == "resolve" for e in story[:length])
            assert len(snapshot.pending_operations) == len(begun - ended) + 1 - resolved
        assert fold(base, story) == live


class TestStories:
    def test_a_create_is_pending_until_it_ends(self, path: Path) -> None:
        journal = new_journal(path)
        a = thing("a", id="", inputs={"name": "a-1"})
        number = journal.begin("create", new=a)
        assert pending(journal.current()) == [("creating", "a")]
        assert journal.current().pending_operations[0].resource.inputs == {"name": "a-1"}
        journal.end(number, ok=True, new=replace(a, id="1"))
        snapshot = journal.finish()
        assert (resources(snapshot), pending(snapshot)) == ({("a", "1", False, False)}, [])

    def test_a_failed_create_leaves_nothing(self, path: Path) -> None:
        journal = new_journal(path)
        journal.end(journal.begin("create", new=thing("a", id="")), ok=False)
        snapshot = journal.finish()
        assert (resources(snapshot), pending(snapshot)) == (set(), [])

    def test_a_half_done_create_is_kept_with_its_errors(self, path: Path) -> None:
        journal = new_journal(path)
        half = thing("a", id="1", init_errors=("timed out",))
        journal.end(journal.begin("create", new=thing("a", id="")), ok=False, new=half)
        assert journal.finish().resources[2] == half

    def test_create_before_delete_keeps_the_old_copy_until_it_is_deleted(self, path: Path) -> None:
        old = thing("a", id="old")
        journal = new_journal(path, Snapshot((stack(), provider(), old)))
        number = journal.begin("create-replacement", old=old, new=replace(old, id=""))
        assert resources(journal.current()) == {("a", "old", False, False)}
        journal.end(number, ok=True, new=replace(old, id="new"))
        assert resources(journal.current()) == {("a", "new", False, False), ("a", "old", True, False)}
        number = journal.begin("delete-replaced", old=old)
        assert pending(journal.current()) == [("deleting", "a")]
        journal.end(number, ok=True)
        assert resources(journal.finish()) == {("a", "new", False, False)}

    def test_a_failed_replacement_leaves_the_old_one_live(self, path: Path) -> None:
        old = thing("a", id="old")
        journal = new_journal(path, Snapshot((stack(), provider(), old)))
        journal.end(journal.begin("create-replacement", old=old, new=replace(old, id="")), ok=False)
        assert resources(journal.finish()) == {("a", "old", False, False)}

    def test_delete_before_replace_is_not_deleted_again(self, path: Path) -> None:
        old = thing("a", id="old")
        dependent = thing("b", dependencies=(old.urn,))
        journal = new_journal(path, Snapshot((stack(), provider(), old, dependent)))
        journal.end(journal.begin("delete-replaced", old=old), ok=True)
        between = journal.current()
        assert resources(between) == {("a", "old", False, True), ("b", "i-b", False, False)}
        verify(between, PROJECT, STACK)
        journal.end(
            journal.begin("create-replacement", old=old, new=replace(old, id="")),
            ok=True,
            new=replace(old, id="new"),
        )
        assert resources(journal.finish()) == {("a", "new", False, False), ("b", "i-b", False, False)}

    def test_an_old_copy_of_an_earlier_run_is_told_from_the_live_one(self, path: Path) -> None:
        live, old, older = thing("a"), thing("a", id="2", delete=True), thing("a", id="1", delete=True)
        journal = new_journal(path, Snapshot((stack(), provider(), live, old, older)))
        journal.end(journal.begin("delete-replaced", old=replace(older)), ok=True)
        assert resources(journal.finish()) == {("a", "i-a", False, False), ("a", "2", True, False)}

    def test_a_failed_delete_keeps_the_resource(self, path: Path) -> None:
        journal = new_journal(path, Snapshot((stack(), provider(), a := thing("a"))))
        journal.end(journal.begin("delete", old=a), ok=False)
        snapshot = journal.finish()
        assert (resources(snapshot), pending(snapshot)) == ({("a", "i-a", False, False)}, [])

    def test_an_update_stays_in_its_place(self, path: Path) -> None:
        a, b = thing("a"), thing("b")
        journal = new_journal(path, Snapshot((stack(), provider(), a, b)))
        journal.end(journal.begin("update", old=a, new=a), ok=True, new=replace(a, outputs={"x": 1}))
        assert [state.name for state in journal.finish().resources[2:]] == ["a", "b"]

    def test_outputs_reach_the_live_resource(self, path: Path) -> None:
        journal = new_journal(path)
        journal.outputs(STACK_URN, {"url": Secret("x")})
        assert journal.finish().resources[0].outputs == {"url": Secret("x")}

    def test_a_resource_may_change_twice_in_a_run(self, path: Path) -> None:
        a = thing("a")
        journal = new_journal(path, Snapshot((stack(), provider(), a)))
        journal.record("refresh", old=a, new=(drifted := replace(a, outputs={"x": 1})))
        journal.record("same", old=drifted, new=(again := replace(drifted, protect=True)))
        journal.end(journal.begin("update", old=again, new=again), ok=True, new=replace(again, inputs={"x": 2}))
        assert journal.finish().resources[2] == replace(a, outputs={"x": 1}, protect=True, inputs={"x": 2})

    def test_a_replacement_made_in_this_run_can_be_replaced_again(self, path: Path) -> None:
        a = thing("a", id="1")
        journal = new_journal(path, Snapshot((stack(), provider(), a)))
        second, third = replace(a, id="2"), replace(a, id="3")
        journal.end(journal.begin("create-replacement", old=a, new=a), ok=True, new=second)
        journal.end(journal.begin("create-replacement", old=second, new=a), ok=True, new=third)
        journal.end(journal.begin("delete-replaced", old=second), ok=True)
        assert resources(journal.finish()) == {("a", "3", False, False), ("a", "1", True, False)}


class TestPendingOperations:
    base = Snapshot(
        (stack(), provider(), thing("u")),
        (Operation(thing("c", id=""), "creating"), Operation(thing("u"), "updating")),
    )

    def test_an_open_create_stays_whatever_else_happens(self, path: Path) -> None:
        journal = new_journal(path, self.base)
        journal.record("create", new=thing("c"))
        journal.outputs(STACK_URN, {"x": 1})
        assert ("creating", "c") in pending(journal.finish())

    def test_other_operations_end_once_their_resource_is_acted_on(self, path: Path) -> None:
        journal = new_journal(path, self.base)
        journal.outputs(STACK_URN, {"x": 1})
        assert ("updating", "u") in pending(journal.current())
        old = self.base.resources[2]
        journal.record("refresh", old=old, new=replace(old, outputs={"x": 1}))
        assert ("updating", "u") not in pending(journal.finish())

    def test_an_unchanged_resource_settles_what_was_open_about_it(self, path: Path) -> None:
        journal = new_journal(path, self.base)
        journal.record("refresh", old=self.base.resources[2], new=self.base.resources[2])
        assert pending(journal.finish()) == [("creating", "c")]

    def test_an_open_create_whose_object_is_found_becomes_a_resource(self, path: Path) -> None:
        journal = new_journal(path, self.base)
        journal.resolve(self.base.pending_operations[0], new=thing("c", id="found"))
        journal.resolve(self.base.pending_operations[1])
        snapshot = journal.finish()
        assert pending(snapshot) == []
        assert ("c", "found", False, False) in resources(snapshot)

    def test_an_open_replacement_that_is_found_leaves_the_old_copy_to_delete(self, path: Path) -> None:
        old = thing("a", id="old")
        base = Snapshot((stack(), provider(), old), (Operation(thing("a", id=""), "creating"),))
        journal = new_journal(path, base)
        journal.resolve(base.pending_operations[0], new=thing("a", id="new"))
        assert resources(journal.finish()) == {("a", "new", False, False), ("a", "old", True, False)}

    def test_what_is_not_pending_cannot_be_settled(self, path: Path) -> None:
        with pytest.raises(ValueError, match="no pending operation"):
            new_journal(path).resolve(Operation(thing("c"), "creating"))


class TestMisuse:
    def test_an_operation_needs_its_states(self, path: Path) -> None:
        journal = new_journal(path)
        with pytest.raises(ValueError, match="update needs old"):
            journal.begin("update", new=thing("a"))
        with pytest.raises(ValueError, match="create needs new"):
            journal.begin("create")
        with pytest.raises(ValueError, match="is not in the state"):
            journal.begin("delete", old=thing("a"))
        with pytest.raises(ValueError, match="is not in the state"):
            journal.outputs(urn("a"), {})
        assert not path.exists()

    def test_an_operation_ends_once(self, path: Path) -> None:
        journal = new_journal(path)
        number = journal.begin("create", new=thing("a"))
        with pytest.raises(ValueError, match="with what state"):
            journal.end(number, ok=True)
        journal.end(number, ok=False)
        with pytest.raises(ValueError, match="is not open"):
            journal.end(number, ok=False)
        journal.abandon()


class TestDisk:
    def test_nothing_is_written_without_a_change(self, path: Path) -> None:
        journal = new_journal(path, base := Snapshot((stack(), provider(), a := thing("a"))))
        journal.record("same", old=a, new=replace(a))
        journal.outputs(STACK_URN, {})
        assert journal.finish() is base
        assert not path.exists()

    def test_what_was_begun_can_be_read_at_once(self, path: Path) -> None:
        journal = new_journal(path)
        for index in range(3):
            journal.begin("create", new=thing(f"n{index}"))
            assert len(entries(path)) == index + 1
        journal.abandon()

    def test_an_end_is_on_disk_before_the_next_begin_returns(self, path: Path) -> None:
        journal = new_journal(path)
        journal.end(journal.begin("create", new=thing("a")), ok=True, new=thing("a"))
        journal.begin("create", new=thing("b"))
        assert [entry.kind for entry in entries(path)] == ["begin", "end", "begin"]
        journal.abandon()

    def test_secrets_are_encrypted(self, path: Path) -> None:
        journal = new_journal(path)
        journal.record("create", new=thing("a", inputs={"p": Secret("hunter2")}))
        journal.outputs(STACK_URN, {"p": Secret("hunter2")})
        journal.abandon()
        assert b"hunter2" not in path.read_bytes()
        assert entries(path)[0].state == thing("a", inputs={"p": Secret("hunter2")})

    def test_many_threads_share_few_writes(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        syncs = 0
        fsync = os.fsync

        def counted(file: int) -> None:
            nonlocal syncs
            syncs += 1
            fsync(file)

        monkeypatch.setattr(os, "fsync", counted)
        journal = new_journal(path)
        barrier = threading.Barrier(16)

        def create(index: int) -> None:
            barrier.wait()
            for turn in range(8):
                state = thing(f"n{index}-{turn}")
                journal.end(journal.begin("create", new=state), ok=True, new=state)

        with ThreadPoolExecutor(16) as workers:
            list(workers.map(create, range(16)))
        assert len(journal.finish().resources) == 2 + 128
        assert syncs < 256

    def test_waiting_for_the_disk_does_not_block_the_loop(self, path: Path) -> None:
        async def run(journal: Journal) -> list[int]:
            waiting = [asyncio.ensure_future(journal.begin_async("create", new=thing(f"n{i}"))) for i in range(20)]
            cancelled = waiting.pop()
            await asyncio.sleep(0)
            cancelled.cancel()
            numbers = await asyncio.gather(*waiting)
            with pytest.raises(asyncio.CancelledError):
                await cancelled
            return numbers

        journal = new_journal(path)
        assert len(set(asyncio.run(run(journal)))) == 19
        journal.abandon()
        assert len(entries(path)) == 20

    @pytest.fixture
    def full(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[bool]]:
        """A disk that takes half of what it is given and then is full, while the list's item is True."""
        state = [False]
        write = os.write

        def limited(file: int, data: bytes) -> int:
            if state[0]:
                write(file, bytes(data)[: len(data) // 2])
                raise OSError(errno.ENOSPC, "No space left on device")
            return write(file, data)

        monkeypatch.setattr(os, "write", limited)
        return iter([state])

    def test_a_full_disk_starts_nothing_and_loses_nothing(self, path: Path, full: Iterator[list[bool]]) -> None:
        disk = next(full)
        journal = new_journal(path)
        journal.end(journal.begin("create", new=thing("a")), ok=True, new=thing("a"))
        journal.begin("create", new=thing("b"))
        disk[0] = True
        with pytest.raises(StateError, match=r"No space left.*free some space") as caught:
            journal.begin("create", new=thing("c"))
        assert str(path) in caught.value.key
        with pytest.raises(StateError):
            journal.begin("create", new=thing("d"))
        disk[0] = False
        journal.abandon()
        snapshot = fold(Snapshot((stack(), provider())), entries(path))
        assert resources(snapshot) == {("a", "i-a", False, False)}
        assert pending(snapshot) == [("creating", "b")]
        assert pending(journal.current()) == [("creating", "b")]


class TestDamage:
    @pytest.fixture
    def written(self, path: Path) -> bytes:
        journal = new_journal(path)
        for index in range(3):
            journal.record("create", new=thing(f"n{index}"))
        journal.abandon()
        return path.read_bytes()

    def test_cut_short_anywhere_it_gives_the_whole_lines(self, path: Path, written: bytes) -> None:
        header = written.index(b"\n") + 1
        for length in range(len(written)):
            run = journal_file.parse(path.name, written[:length], lambda _: CODEC)
            assert (run is None) == (length < header)
            if run is not None:
                assert len(run[1]) == written[:length].count(b"\n") - 1

    def test_a_damaged_last_line_is_no_entry(self, path: Path, written: bytes) -> None:
        path.write_bytes(written[:-10] + b"#########\n")
        assert len(entries(path)) == 2

    def test_damage_before_the_last_line_is_refused(self, path: Path, written: bytes) -> None:
        middle = written.index(b"n1") + 1
        path.write_bytes(written[:middle] + b"9" + written[middle + 1 :])
        with pytest.raises(StateError, match=r"dev\.journal line 3"):
            entries(path)

    def test_another_format_is_refused(self, path: Path) -> None:
        data = journal_file.header_line(HEADER).replace(b'"journal":2', b'"journal":1')
        path.write_bytes(b"%08x %b\n" % (zlib.crc32(data), data))
        with pytest.raises(StateError, match="format"):
            entries(path)

    def test_a_journal_is_never_written_over_another(self, path: Path) -> None:
        path.write_bytes(b"left over")
        with pytest.raises(StateError, match="load the stack again"):
            new_journal(path).begin("create", new=thing("a"))
        assert path.read_bytes() == b"left over"
