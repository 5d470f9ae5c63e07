"""A run killed at any point loses nothing: no object without a record, no record without its object, and the next run converges.

The run is a small engine over a cloud that is a folder of files. Each of its writes to the disk, and each call to the cloud, is a
point to die at by SIGKILL, before it, after it and, for writes, halfway. Every point is tried, each from a process of its own.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from model_factory.local.engine.integrity import verify
from model_factory.local.engine.journal import Journal
from model_factory.local.engine.model import Operation, ResourceState, Snapshot
from model_factory.local.engine.store import StackStore
from model_factory.local.wire import Secret
from tests.local.engine.states import PROJECT, STACK, ScramblingCrypter, provider, stack, thing, urn

FIRST = {"a": 1, "b": 1, "c": 1, "d": 1, "gone": 1}
# a and c are replaced (a new before old, c old before new), e and f are made, gone goes.
SECOND = {"a": 2, "b": 1, "c": 2, "d": 1, "e": 1, "f": 1}
DELETED_FIRST = {"c"}


class Cloud:
    """Objects are files; a name is taken once."""

    def __init__(self, root: Path) -> None:
        self.root = root
        root.mkdir(parents=True, exist_ok=True)

    def create(self, name: str) -> str:
        with (self.root / name).open("x"):
            return name

    def delete(self, name: str) -> None:
        (self.root / name).unlink(missing_ok=True)

    def names(self) -> set[str]:
        return {path.name for path in self.root.iterdir()}


class Run:
    """One `up`: settles what an earlier run left open, then makes, replaces and deletes."""

    def __init__(self, store: StackStore, cloud: Cloud, goal: dict[str, int]) -> None:
        self.store = store
        self.cloud = cloud
        self.goal = goal

    def up(self) -> None:
        with self.store.lock():
            snapshot = self.store.load()
            journal = self.store.journal(snapshot)
            for operation in snapshot.pending_operations:
                self.settle(journal, operation)
            live = journal.current().by_urn()
            for state in (stack(), provider()):
                if state.urn not in live:
                    journal.record("create", new=state)
            with ThreadPoolExecutor(3) as workers:
                for done in [workers.submit(self.reach, journal, live.get(urn(n)), n, v) for n, v in self.goal.items()]:
                    done.result()
            for state in reversed(journal.current().resources):
                if state.delete or (state.type == "cloud:index:Thing" and state.name not in self.goal):
                    self.delete(journal, state)
            journal.finish()

    def settle(self, journal: Journal, operation: Operation) -> None:
        """Look in the cloud what became of it."""
        state, exists = operation.resource, self.cloud.names()
        if operation.type == "creating":
            name = str(state.inputs["name"])
            journal.resolve(operation, new=replace(state, id=name) if name in exists else None)
        elif state.id in exists:
            journal.resolve(operation)
        else:
            journal.record("refresh", old=state)

    def reach(self, journal: Journal, old: ResourceState | None, name: str, version: int) -> None:
        # The random part of a real name stands here for the process: a second attempt takes another name.
        physical = f"{name}-{version}-{os.getpid()}"
        new = thing(name, id="", inputs={"name": physical, "version": version, "key": Secret(physical)})
        if old is None:
            self.create(journal, None, new)
        elif old.pending_replacement or old.inputs["version"] != version:
            if name in DELETED_FIRST and not old.pending_replacement:
                number = journal.begin("delete-replaced", old=old)
                self.cloud.delete(old.id)
                journal.end(number, ok=True)
            self.create(journal, old, new)

    def create(self, journal: Journal, old: ResourceState | None, new: ResourceState) -> None:
        number = journal.begin("create-replacement" if old else "create", old=old, new=new)
        identity = self.cloud.create(str(new.inputs["name"]))
        journal.end(number, ok=True, new=replace(new, id=identity))

    def delete(self, journal: Journal, state: ResourceState) -> None:
        if state.pending_replacement:
            journal.record("remove-pending-replace", old=state)
            return
        number = journal.begin("delete-replaced" if state.delete else "delete", old=state)
        self.cloud.delete(state.id)
        journal.end(number, ok=True)


class Deadline:
    """Counts the points at which a run may die, and kills it at one."""

    def __init__(self, point: int) -> None:
        self.left = point
        self.lock = threading.Lock()

    def reached(self) -> bool:
        with self.lock:
            self.left -= 1
            return self.left == 0

    def pass_(self) -> None:
        if self.reached():
            os.kill(os.getpid(), signal.SIGKILL)

    def around(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def guarded(*args: Any, **kwargs: Any) -> Any:
            self.pass_()
            result = function(*args, **kwargs)
            self.pass_()
            return result

        return guarded

    def half(self, write: Callable[[int, bytes], int]) -> Callable[[int, bytes], int]:
        def guarded(file: int, data: bytes) -> int:
            if self.reached():
                write(file, bytes(data)[: len(data) // 2])
                os.kill(os.getpid(), signal.SIGKILL)
            return write(file, data)

        return guarded

    def arm(self, cloud: Cloud) -> None:
        os.write = self.half(os.write)
        for module, name in ((os, "open"), (os, "fsync"), (os, "link"), (os, "rename"), (os, "replace"), (os, "unlink"), (os, "write"),
                             (cloud, "create"), (cloud, "delete")):  # fmt: skip
            setattr(module, name, self.around(getattr(module, name)))


def open_store(folder: Path) -> tuple[StackStore, Cloud]:
    return StackStore(folder / "stacks", PROJECT, STACK, ScramblingCrypter), Cloud(folder / "cloud")


def child(folder: Path, goal: dict[str, int], point: int) -> bool:
    """Run in a process that dies at `point` (0: never). Whether it came to its end."""
    process = os.fork()
    if process == 0:
        code = 1
        try:
            store, cloud = open_store(folder)
            if point:
                Deadline(point).arm(cloud)
            Run(store, cloud, goal).up()
            code = 0
        finally:
            os._exit(code)
    status = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    assert status in (0, -signal.SIGKILL), f"the run failed by itself at point {point}: {status}"
    return status == 0


def check_nothing_lost(folder: Path, point: int) -> Snapshot:
    store, cloud = open_store(folder)
    snapshot = store.load()
    verify(snapshot, PROJECT, STACK)
    exists = cloud.names()
    recorded = {state.id for state in snapshot.resources if state.custom and not state.is_provider}
    begun = {str(o.resource.inputs["name"]) for o in snapshot.pending_operations if o.type == "creating"}
    deleting = {o.resource.id for o in snapshot.pending_operations if o.type == "deleting"}
    waiting = {state.id for state in snapshot.resources if state.pending_replacement}
    assert exists <= recorded | begun, f"point {point}: nothing knows of {exists - recorded - begun}"
    lost = recorded - {"p-1"} - exists - deleting - waiting
    assert not lost, f"point {point}: {lost} are recorded but do not exist"
    return snapshot


def check_converged(folder: Path, goal: dict[str, int], point: int) -> None:
    snapshot = check_nothing_lost(folder, point)
    made = {state.name: state.inputs["version"] for state in snapshot.resources[2:]}
    assert made == goal, f"point {point}: reached {made}"
    assert not snapshot.pending_operations
    assert not any(state.delete or state.pending_replacement for state in snapshot.resources)
    store, cloud = open_store(folder)
    assert len(cloud.names()) == len(goal), f"point {point}: orphans among {cloud.names()}"
    before = store.path.read_bytes()
    assert child(folder, goal, 0)
    assert store.path.read_bytes() == before, f"point {point}: a run without changes wrote"
    assert not {".dev.json.new", ".dev.json.old"} & {path.name for path in store.root.iterdir()}


def kill_everywhere(folder: Path) -> int:
    start = folder / "start"
    assert child(start, FIRST, 0)
    check_converged(start, FIRST, 0)
    point = 1
    while True:
        work = folder / "work"
        shutil.rmtree(work, ignore_errors=True)
        shutil.copytree(start, work)
        if child(work, SECOND, point):
            return point
        check_nothing_lost(work, point)
        # The runs that clean up are killed as well, at other points.
        for again in (point * 7 % 61 + 1, point * 13 % 97 + 1):
            child(work, SECOND, again)
            check_nothing_lost(work, point)
        child(work, SECOND, 0)
        check_converged(work, SECOND, point)
        point += 1


@pytest.mark.slow
class TestKilledAnywhere:
    def test_nothing_is_lost_and_the_next_run_converges(self, tmp_path: Path) -> None:
        # A process of its own, because forking one with threads is not sound.
        done = subprocess.run(
            [sys.executable, __file__, str(tmp_path)],
            capture_output=True,
            text=True,
            check=False,
            cwd=Path.cwd(),
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert int(done.stdout) > 60


if __name__ == "__main__":
    sys.stdout.write(str(kill_everywhere(Path(sys.argv[1]))))
