"""Programs of a small module are built, by the real Go and without a network. What the lab itself is made of is built by `factory lab build`."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import namedtuple
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from model_factory.local.errors import BuildError
from model_factory.local.lab import build as builds
from model_factory.local.lab import cache, modules
from model_factory.local.lab.build import BuildStep, build
from model_factory.local.lab.modules import Module

needs_go = pytest.mark.skipif(shutil.which("go") is None, reason="Go is not on PATH")
SMALL = Module(
    name="small",
    kubernetes="v1.35.4",
    programs={"hello": "example.com/small/cmd/hello", "serve": "example.com/small/serve/v3"},
)
GO_MOD = "module example.com/small\n\ngo 1.20\n"


@pytest.fixture(autouse=True)
def small_module(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The lab's modules are this one, in a cache of its own, and no module can be fetched."""
    sources = tmp_path / "sources" / "small"
    sources.mkdir(parents=True)
    (sources / "go.mod").write_text(GO_MOD)
    (sources / "go.sum").write_text("")
    monkeypatch.setattr(modules, "_SOURCES", tmp_path / "sources")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("GOPROXY", "off")
    monkeypatch.setattr(builds, "_NEEDED_GIB", 0)
    return sources


@pytest.fixture
def with_programs(small_module: Path) -> Path:
    for name, package in (("cmd/hello", "main"), ("serve/v3", "main")):
        folder = small_module / name
        folder.mkdir(parents=True)
        (folder / "main.go").write_text(f'package {package}\n\nfunc main() {{ println("{name}") }}\n')
    return small_module


def quiet(_: BuildStep) -> None: ...


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Go's own packages, compiled once for all tests."""
    return tmp_path_factory.mktemp("compiled")


@needs_go
@pytest.mark.slow
class TestBuild:
    @pytest.fixture(autouse=True)
    def shared_compiled(self, compiled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("GOCACHE", str(compiled))

    def test_programs_run_and_are_named_as_the_lab_names_them(self, with_programs: Path) -> None:
        assert build([SMALL], quiet, own_go_caches=False) == [SMALL]
        folder = cache.folder_of(SMALL)
        assert {path.name for path in folder.iterdir()} == {"hello", "serve", builds.BUILT}
        said = subprocess.run([folder / "serve"], capture_output=True, text=True, check=True)
        assert said.stderr == "serve/v3\n"
        assert json.loads((folder / builds.BUILT).read_text())["go"].startswith("go1.")

    def test_what_is_built_is_not_built_again(self, with_programs: Path) -> None:
        build([SMALL], quiet, own_go_caches=False)
        assert build([SMALL], quiet, own_go_caches=False) == []

    def test_it_tells_how_far_it_is_and_leaves_none_of_gos_caches(self, with_programs: Path, compiled: Path) -> None:
        steps: list[BuildStep] = []
        before = set(compiled.rglob("*"))
        build([SMALL], steps.append)
        assert [step.done for step in steps] == list(range(1, steps[-1].total + 1))
        assert {"hello", "serve"} <= {step.what for step in steps}
        assert set(compiled.rglob("*")) == before
        assert {path.name for path in cache.folder_of(SMALL).iterdir()} == {"hello", "serve", builds.BUILT}

    def test_what_does_not_compile_leaves_nothing_and_is_told_in_gos_words(self, with_programs: Path) -> None:
        (with_programs / "cmd" / "hello" / "main.go").write_text("package main\n\nfunc main() { nowhere() }\n")
        with pytest.raises(BuildError, match="undefined: nowhere"):
            build([SMALL], quiet, own_go_caches=False)
        assert [path.suffix for path in cache.folder_of(SMALL).parent.iterdir()] == [".lock"]

    def test_a_module_that_go_sum_does_not_name_is_not_fetched(self, with_programs: Path) -> None:
        (with_programs / "go.mod").write_text(f"{GO_MOD}\nrequire example.com/other v1.0.0\n")
        (with_programs / "cmd" / "hello" / "main.go").write_text('package main\n\nimport _ "example.com/other"\n')
        with pytest.raises(BuildError, match=r"go\.sum"):
            build([SMALL], quiet, own_go_caches=False)


class FakeGo:
    """A `go` that says what a test has it say."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder, self.version = folder, "go1.30.1"
        folder.mkdir()
        monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")

    def does(self, script: str) -> None:
        program = self.folder / "go"
        program.write_text(
            f"#!/bin/sh\n[ $1 = version ] && echo go version {self.version} linux/amd64 && exit\n{script}\n"
        )
        program.chmod(0o755)


@pytest.fixture
def go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeGo:
    return FakeGo(tmp_path / "bin", monkeypatch)


class TestInterruption:
    """Ctrl-C comes while Go runs."""

    def test_it_ends_go_and_its_compilers_and_leaves_nothing(self, go: FakeGo, tmp_path: Path) -> None:
        go.does(f"sleep 300 & echo $! > {tmp_path}/compiler; echo $$ > {tmp_path}/go; wait")
        code = "from model_factory.local.lab.build import build; from tests.local.lab.test_build import *; "
        code += f"modules._SOURCES = Path({str(tmp_path / 'sources')!r}); builds._NEEDED_GIB = 0; build([SMALL], quiet)"
        process = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True)
        wait_for(lambda: (tmp_path / "go").exists() and (tmp_path / "go").read_text().strip() != "")
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
        assert "KeyboardInterrupt" in said
        pids = [int((tmp_path / name).read_text()) for name in ("go", "compiler")]
        wait_for(lambda: not any(runs(pid) for pid in pids))
        assert [path.suffix for path in cache.folder_of(SMALL).parent.iterdir()] == [".lock"]

    def test_a_go_that_outlives_its_starter_keeps_the_next_build_away(self, go: FakeGo, tmp_path: Path) -> None:
        go.does(f"echo $$ > {tmp_path}/go; exec sleep 300")
        code = "from model_factory.local.lab.build import build; from tests.local.lab.test_build import *; "
        code += f"modules._SOURCES = Path({str(tmp_path / 'sources')!r}); builds._NEEDED_GIB = 0; build([SMALL], quiet)"
        process = subprocess.Popen([sys.executable, "-c", code])
        wait_for(lambda: (tmp_path / "go").exists() and (tmp_path / "go").read_text().strip() != "")
        process.kill()
        process.wait()
        orphan = int((tmp_path / "go").read_text())

        def end_orphan() -> None:
            os.kill(orphan, signal.SIGKILL)

        made = cache.made_once(cache.folder_of(SMALL), lambda *_: None, waits=end_orphan)
        assert made
        wait_for(lambda: not runs(orphan))


class TestRequirements:
    def test_without_go_the_remedy_is_told(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setenv("PATH", str(tmp_path))
        with pytest.raises(BuildError, match=r"`go` is not on PATH; install Go 1\.20 or newer .*local\.kubernetes"):
            build([SMALL], quiet)

    def test_a_go_that_is_too_old_is_named(self, go: FakeGo) -> None:
        go.version = "go1.19.8"
        go.does("exit 1")
        with pytest.raises(BuildError, match=r"is Go 1\.19, too old for the lab's programs; install Go 1\.20"):
            build([SMALL], quiet)

    @pytest.mark.parametrize(("version", "taken"), [("go1.26.1", "local"), ("go1.25.9", "go1.26.8")])
    def test_a_go_that_can_fetch_the_one_that_is_needed_does(
        self, go: FakeGo, small_module: Path, tmp_path: Path, version: str, taken: str
    ) -> None:
        (small_module / "go.mod").write_text("module example.com/small\n\ngo 1.26.0\n")
        go.version = version
        go.does(f"echo $GOTOOLCHAIN > {tmp_path}/seen; exit 1")
        with pytest.raises(BuildError):
            build([SMALL], quiet)
        assert (tmp_path / "seen").read_text().strip() == taken

    def test_too_little_disk_is_told_before_anything_is_fetched(
        self, go: FakeGo, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        go.does("exit 1")
        usage = namedtuple("usage", "total used free")  # noqa: PYI024 - as shutil has it
        monkeypatch.setattr(builds, "_NEEDED_GIB", 10)
        monkeypatch.setattr(builds.shutil, "disk_usage", lambda _: usage(0, 0, 3 * 1024**3))
        with pytest.raises(
            BuildError, match=r"need 10 GiB of disk .* has 3\.0 GiB free; free some, or set XDG_CACHE_HOME"
        ):
            build([SMALL], quiet)

    def test_another_system_is_refused_by_name(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(builds.sys, "platform", "darwin")
        with pytest.raises(BuildError, match=r"runs on Linux, and this is darwin; name clusters of your own"):
            build([SMALL], quiet)

    def test_what_the_user_set_for_other_builds_changes_nothing(
        self, go: FakeGo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name, value in {"GOFLAGS": "-mod=mod", "GOOS": "plan9", "CGO_ENABLED": "1", "GOWORK": "/w"}.items():
            monkeypatch.setenv(name, value)
        go.does(f"env > {tmp_path}/seen; exit 1")
        with pytest.raises(BuildError):
            build([SMALL], quiet)
        seen = dict(line.split("=", 1) for line in (tmp_path / "seen").read_text().splitlines() if "=" in line)
        assert "GOOS" not in seen
        assert (seen["CGO_ENABLED"], seen["GOWORK"], seen["GOTOOLCHAIN"]) == ("0", "off", "local")
        assert "-mod=readonly" in seen["GOFLAGS"]
        assert "-mod=mod" not in seen["GOFLAGS"]
        assert seen["GOPROXY"] == "off"
        assert seen["GOMODCACHE"].startswith(str(cache.root()))


def runs(pid: int) -> bool:
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def wait_for(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.02)
