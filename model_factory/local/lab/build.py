"""Build the lab's programs with Go, from modules pinned by their go.sum, into the cache.

A build has Go's module and compile caches in its own folder and removes them: some gigabytes, of use to nobody afterwards.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from model_factory.local.errors import BuildError
from model_factory.local.lab import cache
from model_factory.local.lab.modules import Module

BUILT: Final = "built.json"
"""In each folder of programs: which Go built it, and how long that took."""

_GIB: Final = 1024**3
_NEEDED_GIB: Final = 12
_TOOLCHAIN: Final = "go1.26.8"
_FETCHES_TOOLCHAINS: Final = (1, 21)
"""The oldest Go that can put another in its place, as a module that the checksum database knows: https://go.dev/doc/toolchain"""
_VERSION: Final = re.compile(r"go version go(\d+)\.(\d+)")
_DOWNLOADS: Final = "go: downloading "
_TAIL_LINES: Final = 15
_TERMINATION_SECONDS: Final = 10


@dataclass(frozen=True, slots=True)
class BuildStep:
    """How far a build is: `done` of `total` packages are compiled; while sources are fetched `total` is 0 and `done` counts modules."""

    module: str
    what: str
    done: int
    total: int


Report = Callable[[BuildStep], None]


@dataclass(frozen=True, slots=True)
class Go:
    """The Go command that builds. `toolchain` is the Go that it fetches in its own place, or "local"."""

    program: str
    described: str
    toolchain: str

    @classmethod
    def found(cls, modules: Sequence[Module]) -> Go:
        """The one on PATH.

        Raises:
            BuildError: there is none, or it is too old for one of the modules.
        """
        needed = max(module.required_go for module in modules)
        remedy = f"install Go {needed[0]}.{needed[1]} or newer (https://go.dev/doc/install), or name clusters of your own in local.kubernetes"
        program = shutil.which("go")
        if program is None:
            raise BuildError(f"The lab's programs are built with Go, and `go` is not on PATH; {remedy}")
        said = subprocess.run(
            [program, "version"],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "GOTOOLCHAIN": "local"},
        ).stdout
        read = _VERSION.match(said)
        if read is None:
            raise BuildError(f"{program} does not tell its version, but {said.strip()!r}; {remedy}")
        version = int(read[1]), int(read[2])
        if version >= needed:
            return cls(program, said.split()[2], "local")
        if version >= _FETCHES_TOOLCHAINS:
            return cls(program, _TOOLCHAIN, _TOOLCHAIN)
        raise BuildError(f"{program} is Go {read[1]}.{read[2]}, too old for the lab's programs; {remedy}")


def missing(modules: Sequence[Module]) -> list[Module]:
    """Those that are not built."""
    return [module for module in modules if not cache.folder_of(module).is_dir()]


def build(
    modules: Sequence[Module], report: Report, *, own_go_caches: bool = True, waits: Callable[[], None] = lambda: None
) -> list[Module]:
    """Build what is not built, and return that; `waits` is called before waiting for another build of the same.

    `own_go_caches`: false to use the caches that Go has for this user, and leave in them what was fetched and compiled.

    Raises:
        BuildError: no Go, no space, no sources, or they do not compile; nothing half is left.
    """
    if not (lacking := missing(modules)):
        return []
    if sys.platform != "linux":
        raise BuildError(
            f"The lab runs on Linux, and this is {sys.platform}; name clusters of your own in local.kubernetes, such as those of kind"
        )
    go = Go.found(lacking)
    built: list[Module] = []
    for module in lacking:
        folder = cache.folder_of(module)
        _require_space(folder, _NEEDED_GIB if own_go_caches else 2)

        def make(under_way: Path, lock: int, module: Module = module) -> None:
            _Build(module, go, under_way, lock, report, own_go_caches=own_go_caches).run()

        if cache.made_once(folder, make, waits=waits):
            built.append(module)
    return built


class _Build:
    def __init__(self, module: Module, go: Go, folder: Path, lock: int, report: Report, *, own_go_caches: bool) -> None:
        self.module, self.go, self.folder, self.lock, self.report = module, go, folder, lock, report
        self.scratch = folder / ".go"
        self.environment = _environment(self.scratch, go.toolchain, own_go_caches=own_go_caches)

    def run(self) -> None:
        began = time.monotonic()
        (self.scratch / "temporary").mkdir(parents=True)
        # A copy, so that nothing of the repository is written to.
        shutil.copytree(self.module.source, self.scratch / "source")
        try:
            total = len(self._fetch())
            self._compile(total)
            self._copy_folders()
        finally:
            cache.remove(self.scratch)
        about = {"go": self.go.described, "seconds": round(time.monotonic() - began)}
        (self.folder / BUILT).write_text(json.dumps(about), encoding="utf-8")

    def _fetch(self) -> list[str]:
        """Every package that the programs are compiled of; their modules are fetched and compared with go.sum by it."""
        fetched = 0

        def line(text: str) -> None:
            nonlocal fetched
            if text.startswith(_DOWNLOADS):
                fetched += 1
                self.report(BuildStep(self.module.name, text.removeprefix(_DOWNLOADS).replace(" ", "@"), fetched, 0))

        packages = self._run(["list", "-deps", *self.module.programs.values()], line).splitlines()
        return [package for package in packages if package != "unsafe"]  # which is the compiler's own

    def _compile(self, total: int) -> None:
        done = 0
        names = {package: program for program, package in self.module.programs.items()}

        def line(text: str) -> None:
            nonlocal done
            # -v names each package when its compilation begins.
            if re.fullmatch(r"[\w./~+-]+", text):
                done += 1
                self.report(BuildStep(self.module.name, names.get(text, text), min(done, total), total))

        packages = list(self.module.programs.values())
        self._run(["build", "-v", "-ldflags", self.module.link_flags, "-o", f"{self.folder}/", *packages], line)
        for program, package in self.module.programs.items():
            # Go names a program after its package, and etcd's is named server.
            (self.folder / _go_name(package)).rename(self.folder / program)

    def _copy_folders(self) -> None:
        for name, (module, path) in self.module.folders.items():
            found = self._run(["list", "-m", "-f", "{{.Dir}}", module], lambda _: None).strip()
            for source in sorted((Path(found) / path).rglob("*.yaml")):
                if "testdata" in source.parts:
                    continue
                target = self.folder / name / source.relative_to(Path(found) / path)
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(source.read_bytes())

    def _run(self, arguments: Sequence[str], line: Callable[[str], None]) -> str:
        """Run Go, hand on each line that it says, and return its output."""
        process = subprocess.Popen(
            [self.go.program, *arguments],
            cwd=self.scratch / "source",
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            # Its compilers end with it, and it keeps the folder locked should it outlive this process.
            process_group=0,
            pass_fds=(self.lock,),
        )
        tail: deque[str] = deque(maxlen=_TAIL_LINES)

        def listen() -> None:
            assert process.stderr is not None  # noqa: S101 - for the type checker: it is a pipe
            for text in process.stderr:
                line(text.rstrip())
                if not text.startswith(_DOWNLOADS):
                    tail.append(text.rstrip())

        listener = threading.Thread(target=listen)
        with process:
            try:
                listener.start()
                assert process.stdout is not None  # noqa: S101 - for the type checker: it is a pipe
                output = process.stdout.read()
                code = process.wait()
            finally:
                _end(process)
                listener.join()
        if code:
            said = "\n".join(tail)
            raise BuildError(
                f"Go could not {'build' if arguments[0] == 'build' else 'fetch'} the lab's {self.module.name}:\n{said}\n"
                "Nothing of it is kept. Go takes modules from GOPROXY, through HTTPS_PROXY, as `go env` says; once that answers, run this again"
            )
        return output


def _environment(scratch: Path, toolchain: str, *, own_go_caches: bool) -> dict[str, str]:
    """Go's settings: where modules come from is the user's own, what is built of them is ours alone."""
    environment = {
        key: value for key, value in os.environ.items() if key not in {"GOOS", "GOARCH", "GOEXPERIMENT", "GOBIN"}
    }
    environment |= {
        "CGO_ENABLED": "0",
        "GOENV": "off" if own_go_caches else environment.get("GOENV", ""),
        "GOFLAGS": "-mod=readonly -trimpath -buildvcs=false" + (" -modcacherw" if own_go_caches else ""),
        "GOTMPDIR": str(scratch / "temporary"),
        "GOTOOLCHAIN": toolchain,
        "GOWORK": "off",
    }
    if own_go_caches:
        environment |= {"GOMODCACHE": str(scratch / "modules"), "GOCACHE": str(scratch / "compiled")}
    return environment


def _require_space(folder: Path, needed_gib: int) -> None:
    there = next(each for each in folder.parents if each.exists())
    free = shutil.disk_usage(there).free
    if free < needed_gib * _GIB:
        raise BuildError(
            f"The lab's programs need {needed_gib} GiB of disk while they are built, and {there} has {free / _GIB:.1f} GiB free; "
            "free some, or set XDG_CACHE_HOME to a folder with more"
        )


def _go_name(package: str) -> str:
    """What Go names the program of a main package: its last part that is no major version."""
    return [part for part in package.split("/") if not re.fullmatch(r"v\d+", part)][-1]


def _end(process: subprocess.Popen[str]) -> None:
    """End Go and its compilers, if they still run."""
    if process.poll() is not None:
        return
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        process.wait(_TERMINATION_SECONDS)
        return
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
