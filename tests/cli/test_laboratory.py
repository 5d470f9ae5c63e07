from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from io import StringIO
from pathlib import Path

import psutil
import pytest
from rich.console import Console

from model_factory.cli import laboratory
from model_factory.cli.laboratory import beside, prepare_machine, running, take_down
from model_factory.cli.project import find_project
from model_factory.cli.session import LAB_PLACE
from model_factory.cli.steps import Steps
from model_factory.local.errors import LabError

PARENT = "import subprocess; child = subprocess.Popen(['/bin/sleep', '600']);print(child.pid, flush=True); child.wait()"


@pytest.fixture
def steps() -> Steps:
    return Steps(Console(file=StringIO(), width=200))


def said(steps: Steps) -> str:
    assert isinstance(steps.console.file, StringIO)
    return steps.console.file.getvalue()


@pytest.fixture
def shim(project: Path) -> Iterator[tuple[int, int]]:
    """A process of the lab that names its folder, and a child that does not, as a Pod's has."""
    folder = project / ".factory" / LAB_PLACE
    folder.mkdir(parents=True)
    command = ["containerd-shim-runc-v2", "-c", PARENT, f"-address={folder}/containerd.sock"]
    process = subprocess.Popen(command, executable=sys.executable, stdout=subprocess.PIPE, text=True)
    with process:
        assert process.stdout is not None
        child = int(process.stdout.readline())
        yield process.pid, child
        for pid in (process.pid, child):
            with suppress(psutil.NoSuchProcess):
                psutil.Process(pid).kill()


class TestRunning:
    def test_what_runs_in_pods_is_counted(self, project: Path, shim: tuple[int, int]) -> None:
        rows = running(project / ".factory" / LAB_PLACE)
        assert {row.pid for row in rows} == set(shim)
        assert [row.memory_mib for row in rows] == sorted((row.memory_mib for row in rows), reverse=True)

    def test_without_a_lab_nothing_is(self, project: Path) -> None:
        assert running(project / ".factory" / LAB_PLACE) == []


class TestTakeDown:
    def test_a_stack_that_cannot_be_read_keeps_nothing_alive(
        self, project: Path, shim: tuple[int, int], steps: Steps
    ) -> None:
        (project / "Pulumi.lab.yaml").write_text("config: [")
        found = take_down(find_project(project), "lab", steps)
        assert any(each.startswith(f"process {shim[0]} ") for each in found)
        assert "The stack cannot be read" in said(steps)
        assert not (project / ".factory" / LAB_PLACE).exists()
        assert running(project / ".factory" / LAB_PLACE) == []

    def test_where_nothing_was_nothing_is_told(self, project: Path, steps: Steps) -> None:
        (project / "Pulumi.lab.yaml").write_text("config: [")
        assert take_down(find_project(project), "lab", steps) == []


class TestBeside:
    def test_the_failure_beside_stops_the_block_and_is_what_is_told(self) -> None:
        stopped = threading.Event()
        previous = signal.signal(signal.SIGINT, lambda *_: stopped.set())

        def fails(_: threading.Event) -> None:
            raise LabError("no repository")

        def block() -> None:
            with beside(fails):
                assert stopped.wait(30)
                raise KeyboardInterrupt

        try:
            with pytest.raises(LabError, match="no repository"):
                block()
        finally:
            signal.signal(signal.SIGINT, previous)

    def test_a_block_that_fails_ends_what_is_beside_it(self) -> None:
        ended: list[bool] = []

        def block() -> None:
            with beside(lambda failed: ended.append(failed.wait(30))):
                raise LabError("no cluster")

        with pytest.raises(LabError, match="no cluster"):
            block()
        assert ended == [True]

    def test_a_block_that_is_done_waits_for_the_other(self) -> None:
        go, done = threading.Event(), list[bool]()
        with beside(lambda failed: done.append(go.wait(30) and not failed.is_set())):
            go.set()
        assert done == [True]


class TestPrepareMachine:
    @pytest.fixture
    def installed(self, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
        """What apt-get was asked for, by root; it installs once it has lists of packages."""
        asked: list[list[str]] = []
        missing = ["ipset", "nft"]

        def run(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
            has_lists = any(each[1] == "update" for each in asked)
            asked.append(command)
            if command[1] == "install" and has_lists:
                missing.clear()
            return subprocess.CompletedProcess(
                command, int(command[1] == "install" and not has_lists), "", "E: no list"
            )

        monkeypatch.setattr(laboratory.requirements, "missing_programs", lambda: list(missing))
        monkeypatch.setattr(laboratory.requirements, "obstacle", lambda: f"lacks {missing}" if missing else "")
        monkeypatch.setattr(laboratory.apt.subprocess, "run", run)
        monkeypatch.setattr(laboratory.shutil, "which", lambda name: f"/usr/bin/{name}")
        monkeypatch.setattr(laboratory.os, "geteuid", lambda: 0)
        return asked

    def test_what_is_missing_is_installed_and_told(self, installed: list[list[str]], steps: Steps) -> None:
        assert prepare_machine(steps) == ""
        command = "/usr/bin/apt-get install --yes --no-install-recommends ipset nftables"
        assert [" ".join(each) for each in installed] == [command, "/usr/bin/apt-get update -q", command]
        assert "ipset, nft are missing; apt-get installs ipset, nftables" in said(steps)

    def test_without_root_nothing_is_installed_and_it_says_what_is_left_out(
        self, installed: list[list[str]], monkeypatch: pytest.MonkeyPatch, steps: Steps
    ) -> None:
        monkeypatch.setattr(laboratory.os, "geteuid", lambda: 1000)
        assert prepare_machine(steps) == "lacks ['ipset', 'nft']"
        assert installed == []
        assert "No model runs for real: lacks" in said(steps)
