"""A stack's state is written whole or not at all, held by one run at a time, and never another stack's."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from model_factory.local.engine.errors import LockedError, SecretsError, StateError
from model_factory.local.engine.model import Operation, Snapshot
from model_factory.local.engine.secrets import PassphraseCrypter, new_salt
from model_factory.local.engine.store import StackStore, list_stacks, read_outputs, replace_file
from model_factory.local.wire import Secret
from tests.local.engine.states import PROJECT, STACK, STACK_URN, ScramblingCrypter, provider, stack, thing

HOLD = """
import sys, pathlib
from model_factory.local.engine.store import StackStore
from tests.local.engine.states import ScramblingCrypter
with StackStore(pathlib.Path(sys.argv[1]), "shop", "dev", ScramblingCrypter).lock():
    print("held", flush=True)
    sys.stdin.read()
"""
BASE = Snapshot((stack({"url": Secret("https://x"), "count": 3}), provider(), thing("a")))


@pytest.fixture
def store(tmp_path: Path) -> StackStore:
    return StackStore(tmp_path, PROJECT, STACK, ScramblingCrypter)


@pytest.fixture
def filled(store: StackStore) -> StackStore:
    with store.lock():
        store.load()
        store.write(BASE)
    return store


def cut_short(store: StackStore) -> None:
    """Leave a journal as a killed run would: one resource made, one begun."""
    with store.lock():
        journal = store.journal(store.load())
        journal.end(journal.begin("create", new=thing("b", id="")), ok=True, new=thing("b", outputs={"s": Secret(1)}))
        journal.begin("create", new=thing("c", id=""))
        journal.abandon()


def names(snapshot: Snapshot) -> list[str]:
    return [state.name for state in snapshot.resources[2:]]


class TestWriting:
    def test_reads_what_it_wrote(self, filled: StackStore) -> None:
        assert filled.load().resources == BASE.resources
        assert filled.exists()
        assert list_stacks(filled.root) == [STACK]

    def test_a_new_stack_is_empty(self, store: StackStore) -> None:
        assert store.load() == Snapshot()
        assert not store.exists()

    def test_is_private_and_keeps_the_state_before(self, filled: StackStore) -> None:
        before = filled.path.read_bytes()
        with filled.lock():
            filled.write(replace(filled.load(), resources=BASE.resources[:2]))
        assert filled.backup_path.read_bytes() == before
        assert filled.path.stat().st_mode & 0o077 == 0
        assert {path.name for path in filled.root.iterdir()} == {"dev.json", "dev.bak"}

    def test_a_broken_snapshot_is_not_written(self, filled: StackStore) -> None:
        before = filled.path.read_bytes()
        with filled.lock(), pytest.raises(StateError):
            filled.write(Snapshot((thing("orphan"),)))
        assert filled.path.read_bytes() == before

    def test_needs_the_lock(self, filled: StackStore) -> None:
        for change in (
            lambda: filled.write(BASE),
            lambda: filled.journal(BASE),
            filled.remove,
            lambda: filled.import_({}),
        ):
            with pytest.raises(RuntimeError, match="lock"):
                change()

    def test_remove_leaves_nothing(self, filled: StackStore) -> None:
        with filled.lock():
            filled.write(filled.load())
            filled.remove()
        assert list(filled.root.iterdir()) == []

    def test_a_full_disk_keeps_the_state_and_the_journal(
        self, filled: StackStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        before = filled.path.read_bytes()
        with filled.lock():
            journal = filled.journal(filled.load())
            journal.record("create", new=thing("b"))
            journal.begin("create", new=thing("c"))
            fsync = os.fsync

            def full(file: int) -> None:
                raise OSError(errno.ENOSPC, "No space left on device")

            monkeypatch.setattr(os, "fsync", full)
            with pytest.raises(StateError, match="free some space"):
                journal.finish()
            monkeypatch.setattr(os, "fsync", fsync)
        assert filled.path.read_bytes() == before
        assert {path.name for path in filled.root.iterdir()} == {"dev.json", "dev.journal"}
        assert names(filled.load()) == ["a", "b"]

    def test_replacing_a_file_is_all_or_nothing(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        path = tmp_path / "x"
        replace_file(path, b"old")
        with monkeypatch.context() as patched:
            patched.setattr(os, "link", lambda *_: (_ for _ in ()).throw(OSError(errno.EIO, "I/O error")))
            with pytest.raises(OSError, match="I/O"):
                replace_file(path, b"new", backup=tmp_path / "y")
        assert path.read_bytes() == b"old"
        assert [entry.name for entry in tmp_path.iterdir()] == ["x"]


class TestNames:
    @pytest.mark.parametrize("name", ["", "a/b", "..", ".hidden", "a b", "x" * 101, "a\n"])
    def test_a_name_that_is_no_file_name_is_refused(self, tmp_path: Path, name: str) -> None:
        with pytest.raises(StateError, match="choose another name"):
            StackStore(tmp_path, PROJECT, name, ScramblingCrypter)


class TestLock:
    def test_two_runs_exclude_each_other(self, store: StackStore) -> None:
        other = StackStore(store.root, PROJECT, STACK, ScramblingCrypter)
        with store.lock():
            with pytest.raises(LockedError, match=f"process {os.getpid()} of ") as caught, other.lock():
                pass
            assert caught.value.owner is not None
            assert caught.value.owner.since
        with other.lock() as dead:
            assert dead is None
        assert not store.lock_path.exists()

    def test_another_stack_is_free(self, store: StackStore) -> None:
        with store.lock(), StackStore(store.root, PROJECT, "other", ScramblingCrypter).lock():
            pass

    def test_a_live_process_holds_it_and_a_dead_one_does_not(self, store: StackStore) -> None:
        holder = subprocess.Popen(
            [sys.executable, "-c", HOLD, str(store.root)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        with holder:
            assert holder.stdout is not None
            assert holder.stdout.readline() == "held\n"
            with pytest.raises(LockedError, match=f"process {holder.pid}"), store.lock():
                pass
            holder.send_signal(signal.SIGKILL)
        with store.lock() as dead:
            assert dead is not None
            assert dead.pid == holder.pid

    def test_is_released_when_the_run_fails(self, store: StackStore) -> None:
        with pytest.raises(ZeroDivisionError), store.lock():
            raise ZeroDivisionError
        with store.lock():
            pass

    def test_a_folder_that_cannot_be_made_is_a_clear_error(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        store = StackStore(tmp_path / "file" / "stacks", PROJECT, STACK, ScramblingCrypter)
        with pytest.raises(StateError, match="Not a directory"), store.lock():
            pass


class TestRunCutShort:
    def test_loading_folds_in_memory_and_under_the_lock_on_disk(self, filled: StackStore) -> None:
        cut_short(filled)
        state, journal = filled.path.read_bytes(), filled.journal_path.read_bytes()
        seen = filled.load()
        assert names(seen) == ["a", "b"]
        assert [(o.type, o.resource.name) for o in seen.pending_operations] == [("creating", "c")]
        assert (filled.path.read_bytes(), filled.journal_path.read_bytes()) == (state, journal)
        with filled.lock():
            folded = filled.load()
        assert (folded.resources, folded.pending_operations) == (seen.resources, seen.pending_operations)
        assert not filled.journal_path.exists()
        assert filled.load() == folded

    def test_a_first_run_cut_short_is_known(self, store: StackStore) -> None:
        with store.lock():
            journal = store.journal(store.load())
            journal.record("create", new=stack())
            journal.abandon()
        assert store.exists()
        assert list_stacks(store.root) == [STACK]
        assert store.load().resources == (stack(),)

    def test_a_journal_that_is_folded_already_is_dropped(self, filled: StackStore) -> None:
        cut_short(filled)
        journal = filled.journal_path.read_bytes()
        with filled.lock():
            folded = filled.load()
        filled.journal_path.write_bytes(journal)
        assert filled.load() == folded
        with filled.lock():
            assert filled.load() == folded
        assert not filled.journal_path.exists()

    def test_a_header_that_was_cut_short_is_dropped(self, filled: StackStore) -> None:
        filled.journal_path.write_bytes(b"0000")
        with filled.lock():
            assert filled.load().resources == BASE.resources
            journal = filled.journal(filled.load())
            journal.begin("create", new=thing("b"))
            journal.abandon()

    def test_a_journal_of_another_state_is_refused(self, filled: StackStore) -> None:
        cut_short(filled)
        document = json.loads(filled.path.read_bytes())
        del document["sha256"]
        document["deployment"]["resources"].pop()
        filled.path.write_text(json.dumps(document))
        with pytest.raises(StateError, match="was changed since"):
            filled.load()

    def test_a_journal_of_another_stack_is_refused(self, filled: StackStore) -> None:
        cut_short(filled)
        filled.journal_path.rename(filled.root / "prod.journal")
        with pytest.raises(StateError, match="not the journal of stack prod"):
            StackStore(filled.root, PROJECT, "prod", ScramblingCrypter).load()

    def test_a_journal_continues_what_was_loaded_under_the_lock(self, filled: StackStore) -> None:
        stale = StackStore(filled.root, PROJECT, STACK, ScramblingCrypter)
        seen = stale.load()
        with filled.lock():
            filled.write(filled.load())
        with stale.lock(), pytest.raises(StateError, match="load it under the lock"):
            stale.journal(seen)

    def test_reading_never_disturbs_a_run(self, filled: StackStore) -> None:
        reader = StackStore(filled.root, PROJECT, STACK, ScramblingCrypter)
        with filled.lock():
            journal = filled.journal(filled.load())
            for index in range(20):
                journal.begin("create", new=thing(f"n{index}", id=""))
                assert len(reader.load().pending_operations) == index + 1
            journal.finish()
        assert len(reader.load().pending_operations) == 20

    def test_a_run_without_changes_leaves_the_file_as_it_is(self, filled: StackStore) -> None:
        before = filled.path.read_bytes(), filled.path.stat().st_mtime_ns
        with filled.lock():
            snapshot = filled.load()
            journal = filled.journal(snapshot)
            for state in snapshot.resources:
                journal.record("same", old=state, new=replace(state))
            assert journal.finish().resources == snapshot.resources
        assert (filled.path.read_bytes(), filled.path.stat().st_mtime_ns) == before


class TestForeignStates:
    def test_another_projects_state_is_refused(self, filled: StackStore) -> None:
        with pytest.raises(StateError, match="project"):
            StackStore(filled.root, "other", STACK, ScramblingCrypter).load()

    def test_what_is_not_json_is_refused(self, filled: StackStore) -> None:
        filled.path.write_bytes(filled.path.read_bytes()[:-5])
        with pytest.raises(StateError, match=r"not JSON.*\.bak"):
            filled.load()


class TestExportAndImport:
    def test_export_reads_back(self, filled: StackStore, tmp_path: Path) -> None:
        for shown in (False, True):
            document = filled.export(show_secrets=shown)
            assert ("https://x" in json.dumps(document)) == shown
            other = StackStore(tmp_path / "other", PROJECT, STACK, ScramblingCrypter)
            with other.lock():
                assert other.import_(document).resources == BASE.resources
            assert other.load().resources == BASE.resources

    def test_export_folds_a_run_cut_short(self, filled: StackStore) -> None:
        cut_short(filled)
        deployment = filled.export()["deployment"]
        assert len(deployment["resources"]) == 4
        assert len(deployment["pending_operations"]) == 1

    def test_an_empty_stack_exports(self, store: StackStore) -> None:
        document = store.export()
        assert document["version"] == 3
        assert "resources" not in document["deployment"]

    def test_import_drops_pending_operations(self, filled: StackStore) -> None:
        with filled.lock():
            filled.write(replace(filled.load(), pending_operations=(Operation(thing("b"), "creating"),)))
            assert filled.import_(filled.export()).pending_operations == ()

    def test_a_foreign_document_changes_nothing(self, filled: StackStore) -> None:
        before = filled.path.read_bytes()
        document = json.loads(before)
        document["deployment"]["resources"][0]["urn"] = STACK_URN.replace("dev", "prod")
        with filled.lock(), pytest.raises(StateError):
            filled.import_(document)
        assert filled.path.read_bytes() == before

    def test_a_documents_own_salt_is_kept_while_it_hides_something(self, tmp_path: Path) -> None:
        theirs, ours = new_salt("same"), new_salt("same")
        foreign = StackStore(tmp_path / "a", PROJECT, STACK, lambda: PassphraseCrypter("same", theirs))
        with foreign.lock():
            foreign.load()
            foreign.write(BASE)
        store = StackStore(tmp_path / "b", PROJECT, STACK, lambda: PassphraseCrypter("same", ours))
        with store.lock():
            store.import_(foreign.export())
            assert store.load().resources == BASE.resources
            assert store.export()["deployment"]["secrets_providers"]["state"]["salt"] == theirs
            store.import_(foreign.export(show_secrets=True))
            assert store.export()["deployment"]["secrets_providers"]["state"]["salt"] == ours

    def test_another_passphrase_reads_no_secret(self, tmp_path: Path) -> None:
        salt = new_salt("one")
        store = StackStore(tmp_path, PROJECT, STACK, lambda: PassphraseCrypter("one", salt))
        with store.lock():
            store.load()
            store.write(BASE)
        with pytest.raises(SecretsError, match="does not fit"):
            StackStore(tmp_path, PROJECT, STACK, lambda: PassphraseCrypter("two", salt)).load()
        # The rescue route needs no passphrase.
        assert StackStore(tmp_path, PROJECT, STACK, lambda: PassphraseCrypter("two", salt)).export()["version"] == 3


class TestStackReferences:
    def test_outputs_keep_their_secrecy(self, filled: StackStore) -> None:
        assert read_outputs(filled.root, PROJECT, STACK, ScramblingCrypter) == {
            "url": Secret("https://x"),
            "count": 3,
        }

    def test_a_store_reads_its_siblings(self, filled: StackStore) -> None:
        other = StackStore(filled.root, PROJECT, "other", ScramblingCrypter)
        assert other.outputs_of(STACK)["count"] == 3

    def test_a_missing_stack_names_those_there_are(self, filled: StackStore) -> None:
        with pytest.raises(StateError, match=r"shop/prod.*known: dev"):
            read_outputs(filled.root, PROJECT, "prod", ScramblingCrypter)

    def test_a_stack_without_resources_has_no_outputs(self, filled: StackStore) -> None:
        with filled.lock():
            filled.write(replace(filled.load(), resources=()))
        assert read_outputs(filled.root, PROJECT, STACK, ScramblingCrypter) == {}
